// SPDX-License-Identifier: Apache-2.0
// transport/sim/sim_server.h - a model of a server of the table protocol, in memory.
//
// Purpose: what the engine is tested and simulated against: small enough to be seen to be right,
//          and a judge too, for it counts what was applied. Three kinds of server, with the habits
//          that tell them apart.
// Owner:   the test; rows belong to the server.
// Threads: one.
// Sim:     deterministic: the same requests on the same clock give the same bytes.
#ifndef HOLDFAST_TRANSPORT_SIM_SIM_SERVER_H_
#define HOLDFAST_TRANSPORT_SIM_SIM_SERVER_H_

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "hal/base/arena.h"
#include "hal/base/row.h"
#include "hal/base/timestamp.h"
#include "hal/clock.h"
#include "transport/transport.h"
#include "transport/wire_bulk.h"

namespace holdfast::transport {

// Habits of servers in the field (transport/README.md).
enum class SimFlavour : std::uint8_t {
  kHoldfast,  // ours: 2.0, true rows in refusals, next links
  kNode,      // azure-mobile-apps: 2.0, echoes the request in a 409, no usable next link
  kToolkit,   // 3.0: PUT but no PATCH, {"items":..,"nextLink":..}, 410 for what was deleted
};

// A value that owns its text.
struct SimValue {
  ValueType type = ValueType::kNull;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;

  static SimValue From(const Value& value);
  Value view() const;
};

struct SimRow {
  std::string id;
  std::vector<std::pair<std::string, SimValue>> columns;  // without the system columns
  std::uint64_t version = 0;
  Ticks created_at = 0, updated_at = 0;
  bool deleted = false;
  std::uint64_t inserts = 0;  // how often this id came to life by an insert

  const SimValue* Find(std::string_view name) const;
  void Set(std::string_view name, SimValue value);
};

struct SimAnswer {
  int status = 200;
  bool is_json = true;
  std::string body;
  std::string version;       // as an ETag would carry it
  std::string continuation;  // as a Link header would carry it
  hal::Duration retry_after{-1};
  std::string upload = {};  // as in ResponseHead
  std::int64_t upload_offset = -1;
  bool upload_complete = false;
  bool version_only = false;
  std::int64_t body_from = 0;
};

class SimServer {
 public:
  struct Options {
    SimFlavour flavour = SimFlavour::kHoldfast;
    std::uint32_t page_rows = 50;  // when the request does not say
    std::uint32_t top_rows = 1000;
    bool soft_delete = true;
    int date_decimals = 3;  // what it prints; it stores 7
    bool bulk = false;      // kHoldfast: it takes bulks, and versions are moments
    bool uploads = false;   // kHoldfast: it takes rows in pieces
  };
  SimServer(const hal::Clock& clock, const Options& options);

  // Applies a request whole, and answers it.
  SimAnswer Handle(const Request& request);

  // Somebody else's writes. A row is given as JSON with its id in it.
  void Put(std::string_view table, std::string_view json);
  void Delete(std::string_view table, std::string_view id);
  // A value that is too long to be put as JSON.
  void SetText(std::string_view table, std::string_view id, std::string_view column,
               std::string_view text);
  // Dates the last change of a row earlier, as servers do that take the date before they commit.
  void Backdate(std::string_view table, std::string_view id, hal::Duration by);

  using Table = std::map<std::string, SimRow, std::less<>>;
  const Table& table(std::string_view name) const;
  const SimRow* Find(std::string_view table, std::string_view id) const;
  std::string Json(const SimRow& row) const;
  std::string SizeOnly(const SimRow& row, std::size_t bytes) const;
  const Options& options() const { return options_; }
  std::uint64_t writes() const { return writes_; }  // that changed a row
  std::uint64_t bulks() const { return bulks_; }    // bodies that were taken
  std::uint64_t uploads() const { return uploads_begun_; }
  std::uint64_t uploaded_bytes() const { return uploaded_bytes_; }  // also what came in vain
  // As if it had lost them, or their time were over.
  void ForgetUploads() { uploads_.clear(); }

  // As a server that was restored from a copy made now, later: call the one, then the other.
  void Remember();
  void GoBack();

 private:
  SimAnswer List(const Request& request);
  SimAnswer Watch(const Request& request) const;
  SimAnswer Lookup(const Request& request);
  SimAnswer Insert(const Request& request);
  SimAnswer Update(const Request& request);
  SimAnswer Remove(const Request& request);
  SimAnswer Undelete(const Request& request);

  // sim_bulk.cc
  // What a device was told of one operation.
  struct Kept {
    std::int64_t changes = 0, moment = 0;
    std::uint64_t digest = 0;
  };
  struct Sender {
    std::int64_t acknowledged = 0, told_applied = 0, applied = 0;
    std::map<std::int64_t, Kept> kept;
  };
  struct Verdict {
    int status = 200;
    std::int64_t moment = 0;
    std::string answer;  // of a refusal: the row, or words
  };
  SimAnswer Bulk(const Request& request);
  std::optional<SimAnswer> CheckSender(const wire::BulkSender& said, Sender& sender) const;
  Verdict ApplyBulk(const wire::BulkOperation& operation);

  // sim_upload.cc
  struct Upload {
    Method method = Method::kInsert;
    std::string table, id, if_match, digest, bytes;
    std::uint64_t length = 0;
    std::optional<SimAnswer> final;
  };
  SimAnswer BeginUpload(const Request& request);
  SimAnswer AppendUpload(const Request& request);
  SimAnswer FindUpload(const Request& request) const;
  SimAnswer EndUpload(Upload& upload);

  SimAnswer RowAnswer(int status, const SimRow& row) const;
  SimAnswer Missing(bool was_deleted) const;
  std::optional<SimAnswer> Stale(const Request& request, const SimRow& row) const;
  bool Decode(std::string_view json, RowFields& fields);
  SimRow& Touch(SimRow& row);
  std::string VersionText(const SimRow& row) const;
  SimRow& Store(std::string_view table, std::string_view id, const RowFields& fields);
  std::string NewId();

  const hal::Clock& clock_;
  Options options_;
  std::map<std::string, Table, std::less<>> tables_;
  std::map<std::string, Request, std::less<>> pages_;  // next links that are out there
  std::vector<std::unique_ptr<std::string>> page_texts_;
  Ticks last_change_ = 0;
  std::uint64_t versions_ = 0, ids_ = 0, writes_ = 0, bulks_ = 0;
  std::map<std::string, Sender, std::less<>> senders_;  // by installation and incarnation
  std::map<std::string, Table, std::less<>> remembered_tables_;
  std::map<std::string, Sender, std::less<>> remembered_senders_;
  Ticks remembered_change_ = 0;
  std::map<std::string, Upload, std::less<>> uploads_;
  std::uint64_t uploads_begun_ = 0, uploaded_bytes_ = 0;
  std::size_t most_bytes_ = limits::kRowBytes;  // of a body
  std::unique_ptr<char[]> arena_bytes_;
  Arena arena_;
};

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_SIM_SIM_SERVER_H_
