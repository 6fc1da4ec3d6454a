// SPDX-License-Identifier: Apache-2.0
// store/store.h - everything durable: synced tables, the operations queue, errors, delta tokens.
//
// Purpose: a synced table is an ordinary SQLite table that any program may write with plain SQL.
//          Triggers record each change as an operation in the same transaction; the engine takes
//          operations from here, and brings back outcomes and pulled rows. Nothing that this
//          interface reports as done is lost by a crash or a power cut (WAL, synchronous=FULL).
// Owner:   the program opens one Store; handles and statements live as long as it does.
// Threads: one. Other processes may read and write the same file at any time; no transaction of
//          ours is open while a caller waits for the network.
// Errors:  kBusy: another writer kept the lock longer than Options::busy_timeout. kNoSpace,
//          kReadOnly, kIo, kCorrupt from SQLite; kTooNew: the file was written by a later holdfast.
// Shapes:  store/README.md describes every table, for people with `sqlite3`.
#ifndef HOLDFAST_STORE_STORE_H_
#define HOLDFAST_STORE_STORE_H_

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/query.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "hal/base/timestamp.h"
#include "hal/clock.h"
#include "hal/random.h"
#include "hal/storage.h"

namespace holdfast::store {

using Id = FixedString<limits::kIdBytes>;
using Version = FixedString<limits::kVersionBytes>;
using Name = FixedString<limits::kTableNameBytes>;

// ---------------------------------------------------------------------------------------- tables

struct Column {
  FixedString<limits::kColumnNameBytes> name;
  ColumnType type = ColumnType::kText;
};

struct TableSpec {
  std::string_view name;
  std::span<const Column> columns;  // the user's columns; ignored when `adopt`
  bool adopt = false;               // the table exists: take its columns as they stand
};

// A synced table as the store knows it. The position of a column in columns() never changes once
// operations may refer to it (new columns come last): masks of columns count on that.
class Table : public query::Columns {
 public:
  virtual std::string_view name() const = 0;
  virtual std::span<const Column> columns() const = 0;
  virtual int number() const = 0;  // index in Store::tables()
  // Columns and system columns, for filters.
  std::optional<query::ColumnInfo> Lookup(std::string_view column) const override = 0;
};

// ------------------------------------------------------------------------------------- operations

// Values as in the __operations table of the old clients.
enum class Kind : std::uint8_t { kInsert = 0, kUpdate = 1, kDelete = 2 };
enum class State : std::uint8_t {
  kPending = 0,    // not sent since it was queued
  kAttempted = 1,  // may have been sent; the server may or may not have it
  kFailed = 2,     // the server answered no: see __errors
};

struct Operation {
  std::int64_t sequence = 0;  // order of queueing over all tables; never used twice
  const Table* table = nullptr;
  Id id;
  Kind kind = Kind::kInsert;
  State state = State::kPending;
  std::int64_t changes = 0;        // grows with every local edit merged into the operation
  Version base_version;            // the version that the edit stands on; empty: none
  std::int64_t edited_unix_s = 0;  // the last edit, by this device's clock; 0: unknown
  bool follows_own = false;   // an earlier operation of the same row preceded it (see `previous`)
  std::int64_t previous = 0;  // that earlier operation, while it is still queued; 0: none
  std::int32_t attempts = 0;
};

// What of the row an operation carries.
struct Content {
  RowView fields;            // user's columns only; no id. Borrowed from the arena
  std::uint64_t mask = 0;    // bit n: columns()[n] is among the fields
  std::uint64_t digest = 0;  // DigestRow(table, fields, mask)
  bool too_long = false;     // nothing is here: the row has to be read piece by piece
};

// Whether the operation carries what changed, or all of the row.
enum class Extent : std::uint8_t {
  kChanged,  // update: columns that differ from the base; insert: columns that are not null
  kWhole,    // every column, nulls included (PUT of protocol 3.0)
};

// The digest of `row` over the columns in `mask`; absent columns count as null. Two rows for which
// SameValue() holds column by column have the same digest.
std::uint64_t DigestRow(const Table& table, RowView row, std::uint64_t mask);

// A successful exchange, to be written back. `version` is what the server gave; the row's other
// values are given only when the server changed them (`row`), else empty.
struct Completion {
  const Table* table = nullptr;
  std::int64_t sequence = 0;
  std::int64_t changes = 0;  // as it was when the content was loaded
  Id id;
  Version version;
  TimestampText created_at, updated_at;
  RowView row;
  bool recognised = false;  // not an answer to the write: others may have written on top of it
  bool identified = false;  // the server keeps this outcome under the operation's sequence
};

// Hands out completions one by one, so that a thousand of them need the memory of one.
class CompletionSource {
 public:
  virtual ~CompletionSource() = default;
  // false: there are no more.
  virtual Result<bool> Next(Completion& completion) = 0;
};

// Under which name the server knows the operations of this database, beside installation_id().
struct Sender {
  FixedString<64> incarnation;
  // Every operation up to here has left the queue: nobody will ask for its outcome.
  std::int64_t acknowledged = 0;
  // The highest operation that the server has applied under this name, as far as we know.
  std::int64_t applied = 0;
};

enum class ErrorKind : std::uint8_t {
  kConflict = 0,  // the row changed on the server: both copies are kept until somebody decides
  kParked = 1,    // the server refuses this row: kept until the row changes
};

// Why an operation did not go through; kept in __errors.
struct OperationError {
  ErrorKind kind = ErrorKind::kParked;
  int http_status = 0;
  std::string_view server_words;  // the server's message, or the JSON of its row
  std::string_view
      server_version;  // conflict: the version of the server's row; empty: it is deleted
};

struct ErrorRecord {
  std::int64_t sequence = 0;
  ErrorKind kind = ErrorKind::kParked;
  int http_status = 0;
  Kind operation_kind = Kind::kInsert;
  std::int32_t attempts = 0;  // how often the operation was sent
  std::string_view table, id;
  std::string_view local_row;  // JSON of the device's copy when the error was met
  std::string_view base_row;   // what the edit stood on, as an SQL value list; empty: unknown
  std::string_view server_words;
  std::string_view server_version;
};

class ErrorSink {
 public:
  virtual ~ErrorSink() = default;
  virtual Result<void> OnError(const ErrorRecord& record) = 0;
};

// How the error of an operation is settled.
enum class Keep : std::uint8_t {
  kLocal = 0,    // the device's row goes to the server, whatever is there
  kServer = 1,   // the server's row comes here; there is none: the local one goes
  kMerged = 2,   // the server's row with the columns of `merged` on top, which go to the server
  kNeither = 3,  // the edit is given up: the row is as it was before it, or as the server has it
};

struct Resolution {
  Keep keep = Keep::kLocal;
  std::string_view rule = {};  // who decided, for the log: "person", "newest" ...
  RowView server_row = {};     // the server's copy; empty: it has none, or none is known
  RowView merged = {};         // kMerged: user's columns
  std::int64_t changes = 0;    // not 0: kBusy when the operation has other `changes` by now
};

// What was decided, and what it overwrote; kept in __resolutions.
struct ResolutionRecord {
  std::int64_t number = 0;  // grows
  std::int64_t decided_unix_s = 0;
  std::string_view table, id, rule;
  Keep keep = Keep::kLocal;
  Kind operation_kind = Kind::kInsert;
  std::string_view local_row, server_row;  // JSON, as they were before; empty: there was none
  std::string_view base_row;               // as in ErrorRecord
};

class ResolutionSink {
 public:
  virtual ~ResolutionSink() = default;
  virtual Result<void> OnResolution(const ResolutionRecord& record) = 0;
};

// A row that is too long for memory: its short values as they are, its long ones by their size.
struct LongRow {
  RowFields fields;  // user's columns; the text of a long value is empty
  std::array<std::uint64_t, limits::kColumns> long_bytes{};  // by field; 0: it is a short one
  std::array<std::uint8_t, limits::kColumns> columns{};      // by field: which of Table::columns()
  std::uint64_t mask = 0;
};

// The body of a large row on its way up, kept until the server has all of it: what was begun is
// ended with the same bytes, whatever becomes of the row meanwhile and whoever pulls the plug.
struct Upload {
  std::int64_t sequence = 0;
  std::int64_t changes = 0;  // of the operation when its row was read
  Kind kind = Kind::kInsert;
  Version base_version;
  std::uint64_t mask = 0;    // columns among the fields
  std::uint64_t bytes = 0;   // of the body; 0: it is not whole
  FixedString<32> digest;    // SHA-256 of the body
  FixedString<64> resource;  // what the server calls it; empty: it has not begun
};

struct Purged {
  std::uint64_t rows = 0;        // removed from the table
  std::uint64_t operations = 0;  // discarded unsent
};

// ------------------------------------------------------------------------------------------- pull

// Where a long value of the server's goes.
struct LongPlace {
  int column = 0;
  ValueType type = ValueType::kBlob;  // or kText
  std::uint64_t bytes = 0;
};

enum class Applied : std::uint8_t {
  kStored,          // inserted or updated
  kUnchanged,       // this version was here already
  kDeleted,         // a row was removed
  kAbsent,          // a deletion of a row that is not here
  kSkippedPending,  // the row has a queued operation: left alone, the push will meet the server's
                    // copy
  kLarge,           // the list has only the size of the row: noted as missed
};

// ------------------------------------------------------------------------------------------ reads

struct ReadQuery {
  std::string_view id;                          // one row; else all that pass the filter
  const query::ParsedFilter* filter = nullptr;  // borrowed
  std::string_view order_by;                    // "value desc, id"; empty: by insertion
  std::uint64_t top = UINT64_MAX;
  std::uint64_t skip = 0;
};

struct QueueStats {
  std::uint64_t operations = 0;
  std::uint64_t pending = 0, attempted = 0, failed = 0;
  std::uint64_t conflicts = 0, parked = 0;
  std::int64_t oldest_unix_s = 0;  // when the oldest operation was queued, by this device's clock
  std::uint64_t database_bytes = 0, wal_bytes = 0;
};

struct Options {
  const char* path = nullptr;
  hal::Duration busy_timeout = hal::Duration::Seconds(10);
  std::size_t cache_bytes = 1 << 20;
};

class Store {
 public:
  // Creates the file and its system tables, or upgrades them; idempotent. Warns when the linked
  // SQLite is older than 3.51.3 (WAL-reset bug, https://sqlite.org/wal.html).
  static Result<std::unique_ptr<Store>> Open(const Options& options, hal::Storage& storage,
                                             hal::Clock& clock, hal::Random& random);
  virtual ~Store() = default;

  // ---- tables
  // Creates, adopts or extends the table and (re)makes its triggers; idempotent. Rows that stand in
  // an adopted table are queued as inserts. kInvalidArgument: a column's type changed, the table
  // has no usable id, another UNIQUE constraint (REPLACE would delete rows unseen) ...; `why()`
  // tells.
  virtual Result<const Table*> DefineTable(const TableSpec& spec) = 0;
  virtual const Table* FindTable(std::string_view name) const = 0;
  virtual std::span<const Table* const> tables() const = 0;

  // ---- local rows, tracked like anybody's. One transaction each, unless between Begin and Commit.
  virtual Result<void> Begin() = 0;
  virtual Result<void> Commit() = 0;
  virtual void Rollback() = 0;
  // `id` gets the row's id (given, or made here). Unknown columns are kInvalidArgument, see why().
  // kExists: a row of that id is there.
  virtual Result<void> Insert(const Table& table, RowView row, Id& id) = 0;
  // Insert, or update of the given columns.
  virtual Result<void> Put(const Table& table, RowView row, Id& id) = 0;
  virtual Result<bool> Delete(const Table& table, std::string_view id) = 0;
  virtual Result<void> Read(const Table& table, const ReadQuery& query, RowSink& sink) = 0;

  // ---- queue
  // The first operation after `sequence` of the tables whose bit is set. false: there is none.
  virtual Result<bool> Next(std::int64_t after_sequence, std::uint64_t tables, Operation& out) = 0;
  // The operation as it is now. false: it is gone (merged away, or done).
  virtual Result<bool> Find(std::int64_t sequence, Operation& out) = 0;
  // What the operation carries now, and the operation's `changes` that belong to it (one read
  // transaction). kNotFound: the row is gone although the operation is no delete.
  virtual Result<Content> Load(Operation& operation, Extent extent, Arena& arena,
                               RowFields& room) = 0;
  // What is read in between is of one moment, and cheaper; a write ends it. `store` outlives it.
  class Reading {
   public:
    explicit Reading(Store& store) : store_(store) {}
    ~Reading() { store_.EndReading(); }
    Reading(const Reading&) = delete;
    Reading& operator=(const Reading&) = delete;
    Result<void> Begin() { return store_.BeginReading(); }

   private:
    Store& store_;
  };
  // Rows longer than that are not loaded: Load() says kTooLarge, and they are read piece by piece.
  static constexpr std::size_t kLoadBytes = limits::kRowBytes;
  // The row that an insert or update carries: every column that is not null, and of an update those
  // that are as well. Borrowed from the arena. kNotFound: there is no such row. kUnsupported: its
  // table is WITHOUT ROWID, or its content is in the operation only.
  virtual Result<void> LoadLong(Operation& operation, std::size_t longest_short, Arena& arena,
                                LongRow& row) = 0;
  // Bytes of a long value from `offset` on, as many as fit. REQUIRES: between Begin() and Commit(),
  // where the operation was found to have the `changes` that LoadLong() has seen.
  virtual Result<void> ReadLong(const Operation& operation, int column, std::uint64_t offset,
                                std::span<char> out) = 0;
  // A body is stored piece by piece, all but the last of kUploadPiece bytes, and then sealed.
  static constexpr std::size_t kUploadPiece = 32 << 10;
  virtual Result<void> BeginUpload(std::int64_t sequence) = 0;  // forgets an earlier one
  virtual Result<void> AppendUpload(std::int64_t sequence, std::uint64_t offset,
                                    std::string_view piece) = 0;
  // The body is whole, or the server has given it a name.
  virtual Result<void> NoteUpload(const Upload& upload) = 0;
  virtual Result<bool> FindUpload(std::int64_t sequence, Upload& upload) = 0;
  // kCorrupt: a piece is missing.
  virtual Result<void> ReadUpload(std::int64_t sequence, std::uint64_t offset,
                                  std::span<char> out) = 0;
  // Complete(), Fail() and whatever gives an operation another base do this by themselves.
  virtual Result<void> DropUpload(std::int64_t sequence) = 0;
  // Those whose operation has left by other ways.
  virtual Result<void> DropStrayUploads() = 0;
  // Durably `attempted`, with the digests of what is about to be sent. In one transaction.
  struct Attempt {
    std::int64_t sequence = 0;
    std::int64_t changes = 0;
    std::uint64_t mask = 0, digest = 0;
    bool was_pending = false;
  };
  // kBusy, of no origin: one has left the queue since it was read (an insert that never left, and
  // whose row was deleted); none is marked, and none of them may be sent: read them again.
  virtual Result<void> MarkAttempted(std::span<const Attempt> attempts) = 0;
  // These were marked and then not sent after all (the link went away first).
  virtual Result<void> UnmarkUnsent(std::span<const Attempt> attempts) = 0;
  // Whether `server_row` carries what some attempt of this operation sent: then the server has
  // applied our own write, and its answer was lost. An attempt whose mask is kRaised is no write:
  // it notes the content of a tombstone that is about to be raised.
  static constexpr std::uint64_t kRaised = ~std::uint64_t{0};
  enum class Sent : std::uint8_t { kNever, kWritten, kRaised };
  virtual Result<Sent> WasSent(const Operation& operation, RowView server_row) = 0;
  // Outcomes, all in one transaction. An operation whose `changes` moved meanwhile stays queued as
  // an update on the new version; a row deleted meanwhile hands the version to its delete.
  // Returns how many stay.
  virtual Result<std::size_t> Complete(CompletionSource& completions) = 0;
  Result<std::size_t> Complete(std::span<const Completion> completions);
  // The server holds our content at `version`, but newer local edits wait, or the write has to be
  // made again on that version: same kind, new base.
  virtual Result<void> Rebase(std::int64_t sequence, std::string_view version,
                              RowView server_row) = 0;
  // As Rebase, for a write of ours that arrived earlier: columns that this device did not change
  // since take the server's values, which others have written on top of ours. false, and nothing
  // is done: both sides have changed a column, or the row that is deleted here.
  virtual Result<bool> Recognise(std::int64_t sequence, std::string_view version,
                                 RowView server_row) = 0;
  // The operation turns into another kind on the given base (insert <-> update).
  virtual Result<void> ChangeKind(std::int64_t sequence, Kind kind, std::string_view version) = 0;
  virtual Result<void> Fail(std::int64_t sequence, const OperationError& error) = 0;
  // The operation leaves without being sent: it changes nothing (edited back, or its row is gone).
  virtual Result<void> Drop(std::int64_t sequence, std::int64_t changes) = 0;
  // Settles an operation that is in conflict or parked, or is about to be, and logs what was
  // overwritten, in one transaction. kNotFound: no such operation. kBusy: it was edited since
  // (`changes`), or a later operation of the row waits for it.
  virtual Result<void> Resolve(std::int64_t sequence, const Resolution& resolution) = 0;
  // What Resolve() did, oldest first; the last limits::kResolutionsKept are kept.
  virtual Result<void> Resolutions(Arena& arena, ResolutionSink& sink) = 0;
  // The operation's three copies as Resolve() sees them, for a three-way merge. Borrowed from the
  // arena. `base` is empty when it is not known, `local` when the row was deleted.
  struct Copies {
    RowView local, base;
    std::int64_t changes = 0;
  };
  virtual Result<Copies> LoadCopies(std::int64_t sequence, Arena& arena, RowFields& local,
                                    RowFields& base) = 0;
  // Parked operations of these tables are sent again; returns how many.
  virtual Result<std::uint64_t> RetryParked(std::uint64_t tables) = 0;
  virtual Result<void> Errors(Arena& arena, ErrorSink& sink) = 0;
  // Who we are to the server.
  virtual Result<Sender> LoadSender() = 0;
  // From here on another device, as far as the server can tell: a new incarnation, and ids of rows
  // that no copy of this database makes. For a database that was restored from an image or cloned,
  // and for a server that was.
  virtual Result<void> BeginIncarnation() = 0;
  // Queues, as inserts that know the version they had, the rows without an operation that the
  // server has dated later than `date` (empty: all that it ever dated); returns how many. For a
  // server that lost its newest rows.
  virtual Result<std::uint64_t> Requeue(const Table& table, std::string_view date) = 0;
  // Operations of these tables that a push could send now (failed ones wait for somebody).
  virtual Result<std::uint64_t> CountSendable(std::uint64_t tables) = 0;
  virtual Result<QueueStats> Stats() = 0;

  // ---- pull
  // A page: rows and the delta token in one transaction. BeginPage ... ApplyRemote ... EndPage.
  virtual Result<void> BeginPage() = 0;
  virtual Result<Applied> ApplyRemote(const Table& table, RowView server_row) = 0;
  // A row that is too long for memory, in the transaction of a page: what is short as in
  // ApplyRemote(), then, when that has said kStored, the rest part by part. A text is made whole in
  // memory once; a blob is not. kUnsupported: the table is WITHOUT ROWID.
  virtual Result<Applied> ApplyLong(const Table& table, RowView server_row,
                                    std::span<const LongPlace> places) = 0;
  virtual Result<void> WriteLong(const Table& table, std::string_view id, int column,
                                 std::uint64_t offset, std::string_view bytes) = 0;
  // The body of such a row, kept while it comes: one at a time, in pieces of kUploadPiece bytes.
  // `bytes`: how much of it, at that version, is here. false: nothing.
  virtual Result<bool> FindDownload(const Table& table, std::string_view id, Version& version,
                                    std::uint64_t& bytes) = 0;
  virtual Result<void> NoteDownload(const Table& table, std::string_view id,
                                    std::string_view version, std::uint64_t bytes) = 0;
  virtual Result<void> PutDownload(std::uint64_t offset, std::string_view piece) = 0;
  virtual Result<void> ReadDownload(std::uint64_t offset, std::span<char> out) = 0;
  virtual Result<void> DropDownload() = 0;
  // `token` empty: leave the token as it is.
  virtual Result<void> EndPage(const Table& table, std::string_view query_id,
                               std::string_view token) = 0;
  virtual void AbortPage() = 0;
  // "" when there is none.
  virtual Result<TimestampText> DeltaToken(const Table& table, std::string_view query_id) = 0;
  virtual Result<void> ForgetDeltaTokens(const Table& table) = 0;
  // Rows whose copy here is doubtful, and that have no queued operation: a pull passed over them
  // because of one that has left without meeting the server's copy; or NoteMissed() was told so.
  // `sink` gets up to `most` of them, an id each; returns how many.
  virtual Result<std::size_t> Missed(const Table& table, std::size_t most, Arena& arena,
                                     RowSink& sink) = 0;
  virtual Result<void> NoteMissed(const Table& table, std::span<const std::string_view> ids) = 0;
  // The ids of rows that have a version and no operation, and that pass `filter` (null: all): the
  // first `most` after `after`, in the order of their bytes, up to `last` (empty: to the end).
  virtual Result<std::size_t> SyncedIds(const Table& table, std::string_view after,
                                        std::string_view last, const query::ParsedFilter* filter,
                                        std::size_t most, RowSink& sink) = 0;

  // ---- purge
  // Removes rows here and tells the server nothing, in one transaction. Rows with operations:
  // kPending unless `force`, which discards these as well. Delta tokens are forgotten when the
  // whole table was purged or an operation was discarded, so that the next pull brings everything.
  virtual Result<Purged> Purge(const Table& table, const query::ParsedFilter* filter,
                               bool force) = 0;

  // ---- small facts kept for the agent (last success, Retry-After, ...), in __config.
  virtual Result<void> SetFact(std::string_view key, std::string_view value) = 0;
  // false: not there. `value` is cut never: kTooLarge when it does not fit.
  virtual Result<bool> Fact(std::string_view key, FixedString<512>& value) = 0;
  virtual std::string_view installation_id() const = 0;

  // Moves the WAL into the database; the agent is the only checkpointer (standards.md F4).
  virtual Result<void> Checkpoint() = 0;
  // The last error in words: the SQL message, the column that was unknown.
  virtual std::string_view why() const = 0;

 protected:
  virtual Result<void> BeginReading() = 0;
  virtual void EndReading() = 0;
};

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_STORE_H_
