// SPDX-License-Identifier: Apache-2.0
// holdfast/holdfast.h - the agent as a library.
//
// Purpose: what the command line does, for programs: the same insert, update, delete, lookup and
//          read on the device's table and on the server's; push, pull and purge with results,
//          progress and a way to stop; a say in what is sent and in who wins.
//
//              auto client = holdfast::Client::Open("/etc/holdfast/holdfast.conf");
//              auto& readings = *(*client)->sync_table("readings");
//              readings.Insert(holdfast::Row().Set("sensor", "t1").Set("value", 21.5));
//              (*client)->Push();
//
// Owner:   the program owns the Client; tables belong to it. Values are copies.
// Threads: one at a time for each Client, Cancel() apart. Several clients and other programs may
//          use one database at once. Two pushes of one database at once send rows twice, once
//          in effect: the program, or the person with `holdfast push`, lets one end first.
// Errors:  Result<T>: no exceptions. Error::code says what happened, Client::why() in words. What
//          the program passes in is called from code without exceptions: it must not throw.
// Units:   seconds, bytes, as named.
#ifndef HOLDFAST_HOLDFAST_H_
#define HOLDFAST_HOLDFAST_H_

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "hal/base/result.h"
#include "hal/base/row.h"

namespace holdfast {

namespace store {
class Store;
}
namespace transport {
class Transport;
}
namespace hal {
class Clock;
class Link;
class Random;
}  // namespace hal

// ------------------------------------------------------------------------------------------- rows

// One row, by column name. Names compare without case, as in SQLite.
class Row {
 public:
  Row() = default;
  explicit Row(std::string_view id) { Set("id", id); }
  explicit Row(RowView fields);

  Row& Set(std::string_view column, std::string_view text);
  Row& Set(std::string_view column, const char* text) {
    return Set(column, std::string_view(text));
  }
  Row& Set(std::string_view column, double number);
  Row& SetInteger(std::string_view column, std::int64_t number);
  Row& SetFlag(std::string_view column, bool flag);
  // Any whole number or flag, whatever it is called on this machine: time_t, uint32_t, long long.
  // An unsigned one above INT64_MAX wraps, as there is no column for it.
  template <std::integral T>
  Row& Set(std::string_view column, T number) {
    if constexpr (std::same_as<T, bool>) {
      return SetFlag(column, number);
    } else {
      return SetInteger(column, static_cast<std::int64_t>(number));
    }
  }
  // No other pointer is a flag; no value is SetNull().
  template <typename T>
  requires(!std::same_as<std::remove_cv_t<T>, char>) Row& Set(std::string_view column,
                                                              T* pointer) = delete;
  Row& Set(std::string_view column, std::nullptr_t) = delete;
  Row& SetBlob(std::string_view column, std::string_view bytes);
  Row& SetNull(std::string_view column);

  bool Has(std::string_view column) const { return Find(column) != nullptr; }
  bool IsNull(std::string_view column) const;  // also when there is no such column
  // The value, or `otherwise` when it is null, absent, or no such thing. Numbers are converted.
  std::string Text(std::string_view column, std::string_view otherwise = {}) const;
  double Real(std::string_view column, double otherwise = 0) const;
  std::int64_t Integer(std::string_view column, std::int64_t otherwise = 0) const;
  bool Flag(std::string_view column, bool otherwise = false) const;

  std::string id() const { return Text("id"); }
  std::string version() const { return Text("version"); }  // the server's; empty: not yet there
  std::string updated_at() const { return Text("updatedAt"); }  // as 2026-11-23T06:11:29.123Z
  bool empty() const { return fields_.empty(); }

  // {"id":"..","value":1} and back. kInvalidArgument: not one JSON object.
  std::string Json() const;
  static Result<Row> FromJson(std::string_view json);

  // For those who implement stores and handlers: borrowed from this row.
  Result<void> AppendTo(RowFields& fields) const;

 private:
  struct Column {
    std::string name;
    ColumnType type = ColumnType::kAny;
    ValueType value_type = ValueType::kNull;
    std::int64_t integer = 0;
    double real = 0;
    std::string text;
  };
  const Column* Find(std::string_view name) const;
  Column& Make(std::string_view name, ColumnType type, ValueType value_type);

  std::vector<Column> fields_;
};

struct Query {
  std::string where = {};     // the filter language of `get --where`; empty: all rows
  std::string order_by = {};  // "ts desc, id"
  std::uint64_t top = UINT64_MAX;
  std::uint64_t skip = 0;
};

// A table of this device (tracked, works without a network), or the server's (at once, needs one).
// Rows have the types of the configuration on both: a blob is bytes, a flag is a flag. On the way
// in a text for a blob column is base64, as in JSON; bytes go through SetBlob(). Errors of the
// server's, besides those named: kOffline, kTimeout, kUnauthorized ... kBusy: it is in use already,
// by the sync or the Read() that has called the program.
class Table {
 public:
  virtual ~Table() = default;
  virtual std::string_view name() const = 0;
  // Returns the row's id: the given one, or one that was made. kExists: there is such a row.
  virtual Result<std::string> Insert(const Row& row) = 0;
  // Changes the columns given; on the server only if it still has the row's version, when the row
  // has one. kNotFound: there is no such row. kConflict: the server's row has changed.
  virtual Result<void> Update(const Row& row) = 0;
  // kNotFound: there is no such row.
  virtual Result<void> Delete(std::string_view id) = 0;
  virtual Result<Row> Lookup(std::string_view id) = 0;
  // Rows one at a time; memory does not grow with their number. `row` returns false to stop.
  virtual Result<void> Read(const Query& query, const std::function<bool(const Row&)>& row) = 0;
  Result<std::vector<Row>> ReadAll(const Query& query = {});
};

// ------------------------------------------------------------------------------------------- sync

enum class Action : std::uint8_t { kInsert, kUpdate, kDelete };

struct Operation {
  std::string table, id;
  Action action = Action::kInsert;
  int attempts = 0;
};

struct PushReport {
  Result<void> outcome;          // ok: everything that could be sent was dealt with
  double retry_after_s = -1;     // the server's wish, when it said so
  std::uint64_t pushed = 0;      // operations that the server has now
  std::uint64_t recognised = 0;  // of these: had arrived before, their answer was lost
  std::uint64_t resolved = 0;    // conflicts that a policy or the events have settled
  std::uint64_t conflicts = 0, parked = 0, skipped = 0;
  std::uint64_t remaining = 0;  // operations that could be sent
  std::uint64_t requests = 0, bytes_sent = 0, bytes_received = 0;
};

struct PullRequest {
  std::string where = {};     // only rows that pass
  std::string query_id = {};  // remember how far this pull came under a name of its own
  bool full = false;          // all rows; and what the server does not have any more leaves
  bool push_first = true;
};

struct PullReport {
  PushReport push;
  Result<void> outcome;
  std::uint64_t received = 0, deleted = 0, unchanged = 0, skipped_pending = 0;
};

// What this device holds, without asking anybody.
struct QueueState {
  std::uint64_t queued = 0;     // operations that the server does not have
  std::uint64_t sendable = 0;   // of these: the next push sends them
  std::uint64_t attempted = 0;  // of these: sent, and no answer came
  std::uint64_t conflicts = 0, parked = 0;
  std::int64_t oldest_unix_s =
      0;  // when the oldest was queued; 0: nothing is, or no date was known
  std::uint64_t database_bytes = 0, wal_bytes = 0;
};

struct PurgeReport {
  std::uint64_t removed = 0;    // rows
  std::uint64_t discarded = 0;  // operations
};

struct Progress {
  std::string_view table;  // that is pulled; empty during the push
  std::uint64_t pushed = 0, received = 0;
  std::uint64_t bytes_sent = 0, bytes_received = 0;
};

// Something that waits for a decision.
struct Waiting {
  std::int64_t number = 0;  // for Resolve()
  bool conflict = false;    // else: refused by the server
  int http_status = 0;
  Operation operation;
  Row local, server;         // server: empty when it has no such row, or gave none
  std::string server_words;  // of a refusal
};

enum class Settle : std::uint8_t {
  kLocal,    // send the device's row again
  kServer,   // take the server's
  kMerged,   // the server's row with the given columns on top
  kDiscard,  // give the edit up
};

// What a program may say while a sync goes on; every function may be left as it is.
class Events {
 public:
  virtual ~Events() = default;
  enum class Send : std::uint8_t { kSend, kSkip, kAbort };
  // `row` may be changed: what it says is sent, and stored here once the server has it. It is empty
  // for a delete.
  virtual Send BeforeSend(const Operation& operation, Row& row) {
    (void)operation, (void)row;
    return Send::kSend;
  }
  // `server` is empty when the row is gone there. `merged` may begin as a copy of either; a column
  // that the device does not have must say what the server says. false: the table's policy decides.
  virtual bool OnConflict(const Operation& operation, const Row& local, const Row& server,
                          Settle& settle, Row& merged) {
    (void)operation, (void)local, (void)server, (void)settle, (void)merged;
    return false;
  }
  enum class Refused : std::uint8_t { kPark, kRetry, kAbort };
  virtual Refused OnRefused(const Operation& operation, const Error& error) {
    (void)operation, (void)error;
    return Refused::kPark;
  }
  virtual void AfterPush(const PushReport& report) { (void)report; }
  // A pull has changed a row here. It is not yet committed; the Client must not be used.
  virtual void OnPulled(std::string_view table, const Row& row, bool deleted) {
    (void)table, (void)row, (void)deleted;
  }
};

// ----------------------------------------------------------------------------------------- client

class Client {
 public:
  // Reads the configuration, opens the database and makes its tables. `problems` gets a line for
  // each thing that is wrong.
  static Result<std::unique_ptr<Client>> Open(const std::string& config_path,
                                              std::string* problems = nullptr);

  // The same from parts of the program's own (store/store.h, transport/transport.h). The store's
  // tables are defined already.
  struct Parts {
    std::unique_ptr<store::Store> store;
    std::unique_ptr<transport::Transport> transport;
    hal::Clock* clock = nullptr;    // borrowed
    hal::Link* link = nullptr;      // borrowed
    hal::Random* random = nullptr;  // borrowed
    // Table name -> "ask", "server", "client", "newest", "merge" or "merge:RULE", where RULE
    // decides about columns that both sides changed. Others ask.
    std::map<std::string, std::string> policies;
  };
  static Result<std::unique_ptr<Client>> Open(Parts parts);

  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // nullptr: the configuration has no such table.
  Table* sync_table(std::string_view name);  // the device's
  Table* table(std::string_view name);       // the server's

  // All tables that may go this way, or those named. kInvalidArgument: the configuration's
  // "direction" is against it. `retry_parked`: rows that the server has refused are sent again.
  PushReport Push(const std::vector<std::string>& tables = {}, bool retry_parked = false);
  PullReport Pull(std::string_view table, const PullRequest& request = {});
  // Removes rows from this device only. kPending: operations of these rows wait, and `force` was
  // not given. It does not push.
  Result<PurgeReport> Purge(std::string_view table, std::string_view where = {},
                            bool force = false);

  Result<std::vector<Waiting>> Conflicts();
  Result<void> Resolve(std::int64_t number, Settle settle, const Row& merged = {});
  Result<std::uint64_t> CountQueued();
  Result<QueueState> Queue();

  void set_events(Events* events);  // borrowed; nullptr: none
  void set_progress(std::function<void(const Progress&)> progress);
  // Ends the sync that is under way, or the next one; from any thread, or a signal handler.
  void Cancel();

  // The last error in words.
  const std::string& why() const;

  struct Impl;  // the library's own

 private:
  explicit Client(std::unique_ptr<Impl> impl);
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast

#endif  // HOLDFAST_HOLDFAST_H_
