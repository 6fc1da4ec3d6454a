// SPDX-License-Identifier: Apache-2.0
// store/sqlite_store.h - the Store: one connection and the statements that are prepared on it.
//
// Tracking is the triggers' work, and our own writes must not be tracked: outcomes and pulled rows.
// So the connection switches triggers off (SQLITE_DBCONFIG_ENABLE_TRIGGER) unless it writes on
// behalf of a program: Writer::kProgram. Nobody else can see that, and no flag has to survive.
//
// queue.cc operations on their way, recognise.cc what was sent, outcomes.cc what became of it,
// copies.cc and resolve.cc conflicts, pages.cc pulls, purge.cc, rows.cc local rows, define.cc
// tables.
#ifndef HOLDFAST_STORE_SQLITE_STORE_H_
#define HOLDFAST_STORE_SQLITE_STORE_H_

#include <array>
#include <string>
#include <vector>

#include "store/content.h"
#include "store/sql.h"
#include "store/sqlite_table.h"
#include "store/store.h"

namespace holdfast::store {

class SqliteStore final : public Store {
 public:
  SqliteStore();
  ~SqliteStore() override;
  Result<void> Start(const Options& options, hal::Storage& storage, hal::Random& random);

  Result<const Table*> DefineTable(const TableSpec& spec) override;
  const Table* FindTable(std::string_view name) const override;
  std::span<const Table* const> tables() const override { return views_; }

  Result<void> Begin() override;
  Result<void> Commit() override;
  void Rollback() override;
  Result<void> Insert(const Table& table, RowView row, Id& id) override;
  Result<void> Put(const Table& table, RowView row, Id& id) override;
  Result<bool> Delete(const Table& table, std::string_view id) override;
  Result<void> Read(const Table& table, const ReadQuery& query, RowSink& sink) override;

  Result<bool> Next(std::int64_t after_sequence, std::uint64_t tables, Operation& out) override;
  Result<bool> Find(std::int64_t sequence, Operation& out) override;
  Result<Content> Load(Operation& operation, Extent extent, Arena& arena, RowFields& room) override;
  Result<void> LoadLong(Operation& operation, std::size_t longest_short, Arena& arena,
                        LongRow& row) override;
  Result<void> ReadLong(const Operation& operation, int column, std::uint64_t offset,
                        std::span<char> out) override;
  Result<void> BeginUpload(std::int64_t sequence) override;
  Result<void> AppendUpload(std::int64_t sequence, std::uint64_t offset,
                            std::string_view piece) override;
  Result<void> NoteUpload(const Upload& upload) override;
  Result<bool> FindUpload(std::int64_t sequence, Upload& upload) override;
  Result<void> ReadUpload(std::int64_t sequence, std::uint64_t offset,
                          std::span<char> out) override;
  Result<void> DropUpload(std::int64_t sequence) override;
  Result<void> DropStrayUploads() override;
  Result<void> MarkAttempted(std::span<const Attempt> attempts) override;
  Result<void> UnmarkUnsent(std::span<const Attempt> attempts) override;
  Result<Sent> WasSent(const Operation& operation, RowView server_row) override;
  Result<std::size_t> Complete(CompletionSource& completions) override;
  using Store::Complete;
  Result<Sender> LoadSender() override;
  Result<void> BeginIncarnation() override;
  Result<std::uint64_t> Requeue(const Table& table, std::string_view date) override;
  Result<void> Rebase(std::int64_t sequence, std::string_view version, RowView server_row) override;
  Result<bool> Recognise(std::int64_t sequence, std::string_view version,
                         RowView server_row) override;
  Result<void> ChangeKind(std::int64_t sequence, Kind kind, std::string_view version) override;
  Result<void> Fail(std::int64_t sequence, const OperationError& error) override;
  Result<void> Drop(std::int64_t sequence, std::int64_t changes) override;
  Result<void> Resolve(std::int64_t sequence, const Resolution& resolution) override;
  Result<void> Resolutions(Arena& arena, ResolutionSink& sink) override;
  Result<Copies> LoadCopies(std::int64_t sequence, Arena& arena, RowFields& local,
                            RowFields& base) override;
  Result<std::uint64_t> RetryParked(std::uint64_t tables) override;
  Result<void> Errors(Arena& arena, ErrorSink& sink) override;
  Result<std::uint64_t> CountSendable(std::uint64_t tables) override;
  Result<QueueStats> Stats() override;

  Result<void> BeginPage() override;
  Result<Applied> ApplyRemote(const Table& table, RowView server_row) override;
  Result<void> EndPage(const Table& table, std::string_view query_id,
                       std::string_view token) override;
  void AbortPage() override;
  Result<bool> FindDownload(const Table& table, std::string_view id, Version& version,
                            std::uint64_t& bytes) override;
  Result<void> NoteDownload(const Table& table, std::string_view id, std::string_view version,
                            std::uint64_t bytes) override;
  Result<void> PutDownload(std::uint64_t offset, std::string_view piece) override;
  Result<void> ReadDownload(std::uint64_t offset, std::span<char> out) override;
  Result<void> DropDownload() override;
  Result<Applied> ApplyLong(const Table& table, RowView server_row,
                            std::span<const LongPlace> places) override;
  Result<void> WriteLong(const Table& table, std::string_view id, int column, std::uint64_t offset,
                         std::string_view bytes) override;
  Result<TimestampText> DeltaToken(const Table& table, std::string_view query_id) override;
  Result<void> ForgetDeltaTokens(const Table& table) override;
  Result<std::size_t> Missed(const Table& table, std::size_t most, Arena& arena,
                             RowSink& sink) override;
  Result<void> NoteMissed(const Table& table, std::span<const std::string_view> ids) override;
  Result<std::size_t> SyncedIds(const Table& table, std::string_view after, std::string_view last,
                                const query::ParsedFilter* filter, std::size_t most,
                                RowSink& sink) override;
  Result<Purged> Purge(const Table& table, const query::ParsedFilter* filter, bool force) override;

  Result<void> SetFact(std::string_view key, std::string_view value) override;
  Result<bool> Fact(std::string_view key, FixedString<512>& value) override;
  std::string_view installation_id() const override { return installation_.view(); }

  Result<void> Checkpoint() override;
  std::string_view why() const override { return why_; }

 private:
  // Whose writes the next statements are.
  enum class Writer : std::uint8_t { kHoldfast, kProgram };
  enum class Open : std::uint8_t { kNone, kProgram, kPage, kOwn, kReading };

  // A transaction of our own that rolls back unless it was committed. Inside a program's Begin()
  // and Commit(), it is a part of that one.
  class Transaction {
   public:
    explicit Transaction(SqliteStore& store) : store_(store) {}
    ~Transaction();
    // kWhenNeeded: other writers are waited for only if there is something to write.
    enum class Lock : std::uint8_t { kNow, kWhenNeeded };
    Result<void> Start(Writer writer, Lock lock = Lock::kNow);
    Result<void> Commit();

   private:
    SqliteStore& store_;
    bool started_ = false;
  };

  SqliteTable& Own(const Table& table) const;
  SqliteTable* FindOwn(std::string_view name) const;
  Result<void> As(Writer writer);
  // Commits wait for the disk again, after a page.
  Result<void> Strict();
  Result<void> Raw(const char* sql);
  // Keeps SQLite's words for why().
  Error Explain(Error error);
  Error Refuse(Code code, const char* what, std::string_view name);
  Result<void> Ready(Statement& statement);
  Result<void> RunReady(Statement& statement);
  // Ready to be bound.
  Result<Statement*> ForColumns(SqliteTable& table, ColumnsStatement::Use use, std::uint64_t mask);

  // define.cc
  struct PhysicalTable;
  Result<const Table*> Define(const TableSpec& spec, Transaction::Lock lock);
  Result<void> Inspect(std::string_view name, PhysicalTable& out);
  Result<void> CreateTable(const TableSpec& spec);
  Result<void> AddColumns(const TableSpec& spec, const PhysicalTable& physical);
  Result<void> SettleTypes(const TableSpec& spec, std::vector<Column>& columns,
                           PhysicalTable& physical);
  Result<void> MakeTriggers(const TriggerTable& shape);
  Result<void> QueueExistingRows(const TriggerTable& shape);

  // pages.cc
  Result<void> Miss(const SqliteTable& table, std::string_view id);
  Result<void> Met(const SqliteTable& table, std::string_view id);

  // rows.cc
  Result<std::uint64_t> ProgramColumns(const SqliteTable& table, RowView row);
  Result<void> BindColumns(Statement& statement, const SqliteTable& table, RowView row,
                           std::uint64_t mask, int& next);
  Result<void> PredictId(Id& id);
  // "(...)" for a filter, with its parameters; "" when there is none.
  Result<void> Where(const query::ParsedFilter* filter, const Table& table, std::string& where,
                     query::Parameters& parameters);
  Error ExplainQuery(const Error& error, const query::QueryError& problem);

  // queue.cc
  Result<void> BeginReading() override;
  void EndReading() override;
  Result<bool> Fill(Statement& statement, Operation& out);

  // resolve.cc, copies.cc
  Result<void> Settle(const Operation& operation, const Resolution& resolution);
  Result<void> KeepLocal(const Operation& operation, RowView server_row, bool parked);
  Result<void> KeepServer(const Operation& operation, RowView server_row);
  Result<void> FillFromBase(const Operation& operation, RowView server_row, Arena& arena,
                            RowFields& base, RowFields& row);
  Result<void> KeepMerged(const Operation& operation, RowView server_row, RowView merged);
  Result<void> PutMerged(const Operation& operation, RowView merged);
  Result<void> GiveUp(const Operation& operation);
  Result<bool> IsParked(std::int64_t sequence);
  Result<void> LogResolution(const Operation& operation, const Resolution& resolution);
  // The device's copy as JSON: the row, or what the operation keeps of it.
  Result<void> LocalJson(const Operation& operation, SqlText& out);
  Result<void> WriteLocal(const Operation& operation, SqlText& out);

  // outcomes.cc
  // What a set of completions comes to.
  struct Tally {
    std::int64_t highest = 0;  // sequence that has left the queue
    std::int64_t applied = 0;  // sequence whose outcome the server keeps
    std::size_t stay = 0;      // operations that were edited meanwhile
  };
  Result<void> CompleteOne(const Completion& completion, Tally& tally);
  Result<void> HandOver(const Completion& completion, SqliteTable& table);
  Result<void> WriteServerRow(SqliteTable& table, const Completion& completion);
  Result<void> RemoveOperation(std::int64_t sequence);
  Result<void> KeepSequence(std::int64_t removed);
  Result<void> DropError(std::int64_t sequence);

  // uploads.cc
  Result<void> RemoveUpload(std::int64_t sequence);
  Result<void> OpenLong(const Table& table, std::string_view id, int column, bool write);
  Result<void> ReadPieces(std::int64_t first_place, int step, std::uint64_t offset,
                          std::span<char> out);
  Result<void> PutPiece(std::int64_t place, std::string_view piece);
  Result<void> RemovePieces(std::int64_t from, std::int64_t to);

  // long_rows.cc
  // An update of holdfast's own, of the row `id`; `changes`: columns of the program's that it sets.
  Result<void> RunOnRow(Statement& update, SqliteTable& table, std::string_view id,
                        std::uint64_t changes = 0);
  Result<bool> MayBeShort(const SqliteTable& table, std::span<const LongPlace> places);
  Result<void> RunOnLongRow(Statement& update, SqliteTable& table, std::string_view id,
                            std::span<const LongPlace> places);
  Result<std::size_t> FindLongValues(SqliteTable& table, std::string_view id, std::uint64_t changes,
                                     std::span<LongPlace> places);
  Result<void> MoveLong(SqliteTable& table, std::string_view id, const LongPlace& place,
                        std::int64_t& aside, bool back);
  Result<void> MakeRoom(const SqliteTable& table, std::string_view id,
                        std::span<const LongPlace> places);

  // sender.cc
  Result<void> LoadNames();
  Result<void> NoteApplied(std::int64_t sequence);

  // recognise.cc
  static constexpr std::size_t kCopiesBytes = 2 * limits::kRowBytes;
  Result<std::uint64_t> WrittenColumns(const Operation& operation, RowView server_row);
  Result<bool> IsUntouched(const Operation& operation, RowView server_row);
  Result<bool> TakeTheirs(const Operation& operation, RowView server_row, bool by_others);
  Result<bool> MarkFirst(const Attempt& attempt);
  Result<bool> SentAfter(std::int64_t sequence, const Attempt& attempt, bool add);

  sqlite3* database_ = nullptr;
  hal::Storage* storage_ = nullptr;
  hal::Random* random_ = nullptr;
  std::string path_;
  FixedString<48> cache_size_;  // the pragma
  Writer writer_ = Writer::kProgram;
  Open open_ = Open::kNone;
  bool relaxed_ = false;     // synchronous=NORMAL
  bool any_missed_ = false;  // __missed may have rows
  bool any_upload_ = true;   // __uploads or __pieces may have rows
  std::vector<std::unique_ptr<SqliteTable>> tables_;
  std::vector<const Table*> views_;
  Id installation_, id_prefix_;
  std::string why_;
  std::int64_t predicted_ = 0;  // the last sequence, while only our own inserts can have moved it

  std::unique_ptr<char[]> scratch_;  // filters, and the content of one operation
  Arena scratch_arena_;
  std::unique_ptr<char[]> copies_;  // the device's copy of a row and the base, of conflicts
  ContentValues content_;
  RowFields row_;

  BlobHandle long_value_;  // of the transaction that is open

  // Statements, by what they do.
  Statement begin_, begin_reading_, commit_, rollback_;
  Statement first_operation_, last_sequence_, next_operation_, find_operation_, operation_exists_,
      op_changes_, op_facts_, remove_unchanged_, remove_operation_, keep_sequence_, next_sequence_;
  Statement version_of_shadow_, shadow_delete_, remove_shadow_, remove_shadow_of_, shadow_version_;
  Statement mark_, mark_first_, unmark_, sent_, rebase_, hand_over_, moved_, change_kind_,
      fail_state_, fail_, drop_error_, error_kind_, send_again_;
  Statement log_resolution_, trim_resolutions_, resolutions_;
  Statement add_missed_, remove_missed_, missed_;
  Statement put_upload_, find_upload_, remove_upload_, put_piece_, get_piece_, remove_pieces_;
  Statement put_download_, find_download_;
  Statement any_error_, errors_, count_sendable_;
  Statement get_config_, set_config_, remove_config_;
};

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_SQLITE_STORE_H_
