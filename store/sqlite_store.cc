// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_store.h"

#include <sys/stat.h>

#include <cstdlib>
#include <new>

#include "hal/base/log.h"
#include "hal/base/text.h"
#include "store/migrate.h"
#include "store/schema.h"

namespace holdfast::store {
namespace {

constexpr std::size_t kScratchBytes = 64 << 10;
// Older ones can damage a WAL that several processes write: https://sqlite.org/wal.html.
constexpr int kSafeSqlite = 3051003;
// 4 MiB of WAL. Measured: 256 pages cost a tenth of the insert rate with random ids, and write each
// page of the database more often.
constexpr const char* kAutoCheckpoint = "PRAGMA wal_autocheckpoint=1000";
constexpr const char* kJournalLimit = "PRAGMA journal_size_limit=4194304";
constexpr std::uint64_t kTruncateWalBytes = 4 << 20;

}  // namespace

Result<std::unique_ptr<Store>> Store::Open(const Options& options, hal::Storage& storage,
                                           hal::Clock& /*clock*/, hal::Random& random) {
  auto store = std::unique_ptr<SqliteStore>(new (std::nothrow) SqliteStore());
  if (store == nullptr) return Error{Code::kNoMemory, Origin::kNone, 0, "no memory for the store"};
  HF_TRY(store->Start(options, storage, random));
  return std::unique_ptr<Store>(std::move(store));
}

SqliteStore::SqliteStore()
    : scratch_(new (std::nothrow) char[kScratchBytes]),
      scratch_arena_({scratch_.get(), kScratchBytes}),
      copies_(new (std::nothrow) char[kCopiesBytes]),
      begin_("BEGIN IMMEDIATE"),
      begin_reading_("BEGIN"),
      commit_("COMMIT"),
      rollback_("ROLLBACK"),
      first_operation_("SELECT sequence FROM __operations ORDER BY sequence LIMIT 1"),
      last_sequence_("SELECT lastSequence FROM __tracking WHERE id=1"),
      next_operation_(
          "SELECT sequence,tableName,itemId,kind,state,changes,baseVersion,previous,"
          "attempts,ifnull(editedAt,queuedAt) FROM __operations WHERE sequence>?1 ORDER BY "
          "sequence"),
      find_operation_(
          "SELECT sequence,tableName,itemId,kind,state,changes,baseVersion,previous,"
          "attempts,ifnull(editedAt,queuedAt) FROM __operations WHERE sequence=?1"),
      operation_exists_("SELECT 1 FROM __operations WHERE sequence=?1"),
      op_changes_(
          "SELECT changes,kind,tableName,itemId,item IS NOT NULL,base,item,state FROM "
          "__operations WHERE sequence=?1"),
      op_facts_(
          "SELECT changes,kind,CASE WHEN octet_length(base)<=?2 THEN base END FROM __operations "
          "WHERE sequence=?1"),
      remove_unchanged_("DELETE FROM __operations WHERE sequence=?1 AND changes=?2 AND kind<>2"),
      remove_operation_("DELETE FROM __operations WHERE sequence=?1"),
      keep_sequence_(
          "UPDATE __tracking SET lastSequence=?1 WHERE id=1 AND lastSequence<?1 AND NOT "
          "EXISTS(SELECT 1 FROM __operations WHERE sequence>?1)"),
      next_sequence_("SELECT " HOLDFAST_NEXT_SEQUENCE),
      version_of_shadow_("SELECT version FROM __shadows WHERE tableName=?1 AND itemId=?2"),
      shadow_delete_(
          "SELECT s.op FROM __shadows s JOIN __operations d ON d.sequence=s.op AND "
          "d.itemId=s.itemId AND d.tableName=s.tableName AND d.kind=2 WHERE "
          "s.tableName=?1 AND s.itemId=?2 AND s.content IS NULL"),
      remove_shadow_("DELETE FROM __shadows WHERE tableName=?1 AND itemId=?2"),
      remove_shadow_of_("DELETE FROM __shadows WHERE tableName=?1 AND itemId=?2 AND op=?3"),
      shadow_version_(
          "UPDATE __shadows SET version=?3 WHERE tableName=?1 AND itemId=?2 AND content "
          "IS NULL"),
      mark_("UPDATE __operations SET state=1,attempts=attempts+1,sent=?2 WHERE sequence=?1"),
      mark_first_(
          "UPDATE __operations SET state=1,attempts=attempts+1,sent=?2 WHERE sequence=?1 AND sent "
          "IS "
          "NULL"),
      unmark_(
          "UPDATE __operations SET state=CASE WHEN ?3 AND state=1 THEN 0 ELSE state END,"
          "attempts=max(attempts-1,0),sent=?2 WHERE sequence=?1"),
      sent_("SELECT sent FROM __operations WHERE sequence=?1"),
      rebase_(
          "UPDATE __operations SET kind=CASE kind WHEN 0 THEN 1 ELSE kind END,baseVersion=?2,"
          "base=CASE kind WHEN 2 THEN base ELSE ?3 END,sent=CASE state WHEN 2 THEN NULL ELSE sent "
          "END,state=CASE state WHEN 2 THEN 0 ELSE state END WHERE sequence=?1"),
      hand_over_(
          "UPDATE __operations SET baseVersion=CASE WHEN previous IS NULL OR baseVersion IS NOT "
          "NULL "
          "THEN ?2 END,base=NULL,kind=CASE kind WHEN 0 THEN 1 ELSE kind END WHERE sequence=?1"),
      moved_(
          "UPDATE __operations SET kind=1,state=0,baseVersion=?2,base=?3,sent=NULL WHERE "
          "sequence=?1"),
      change_kind_(
          "UPDATE __operations SET kind=?2,baseVersion=?3,base=NULL,sent=CASE state WHEN 2 THEN "
          "NULL "
          "ELSE sent END,state=CASE state WHEN 2 THEN 0 ELSE state END WHERE sequence=?1"),
      fail_state_("UPDATE __operations SET state=2 WHERE sequence=?1"),
      fail_(
          "INSERT OR REPLACE INTO __errors(id,kind,httpStatus,operationVersion,operationKind,"
          "tableName,itemId,item,base,rawResult,serverVersion) VALUES(?1,?2,?3,?4,?5,?6,?7,?8,?9,"
          "?10,?11)"),
      drop_error_("DELETE FROM __errors WHERE id=?1"),
      error_kind_("SELECT kind FROM __errors WHERE id=?1"),
      send_again_(
          "UPDATE __operations SET state=CASE state WHEN 2 THEN attempts>1 ELSE state END WHERE "
          "sequence=?1"),
      log_resolution_(
          "INSERT INTO __resolutions(decidedAt,rule,kept,operationKind,tableName,itemId,item,base,"
          "server) VALUES(" HOLDFAST_NOW_SECONDS ",?1,?2,?3,?4,?5,?6,?7,?8)"),
      trim_resolutions_(
          "DELETE FROM __resolutions WHERE id<=(SELECT max(id) FROM __resolutions)-?1"),
      resolutions_(
          "SELECT id,ifnull(decidedAt,0),kept,operationKind,tableName,itemId,rule,item,server,base "
          "FROM __resolutions WHERE id>?1 ORDER BY id LIMIT 1"),
      add_missed_("INSERT OR IGNORE INTO __missed(tableName,itemId) VALUES(?1,?2)"),
      remove_missed_("DELETE FROM __missed WHERE tableName=?1 AND itemId=?2"),
      missed_("SELECT itemId FROM __missed WHERE tableName=?1 AND itemId>?2 ORDER BY itemId"),
      put_upload_(
          "INSERT OR REPLACE INTO __uploads(sequence,changes,kind,baseVersion,mask,bytes,digest,"
          "resource) VALUES(?1,?2,?3,?4,?5,?6,?7,?8)"),
      find_upload_(
          "SELECT changes,kind,baseVersion,mask,bytes,digest,resource FROM __uploads WHERE "
          "sequence=?1"),
      remove_upload_("DELETE FROM __uploads WHERE sequence=?1"),
      put_piece_("INSERT OR REPLACE INTO __pieces(place,bytes) VALUES(?1,?2)"),
      get_piece_("SELECT bytes FROM __pieces WHERE place=?1"),
      remove_pieces_("DELETE FROM __pieces WHERE place>=?1 AND place<?2"),
      put_download_(
          "INSERT OR REPLACE INTO __download(id,tableName,itemId,version,bytes) "
          "VALUES(1,?1,?2,?3,?4)"),
      find_download_(
          "SELECT version,bytes FROM __download WHERE tableName=?1 COLLATE NOCASE AND itemId=?2"),
      any_error_("SELECT 1 FROM __errors LIMIT 1"),
      errors_(
          "SELECT "
          "e.id,e.kind,httpStatus,operationKind,e.tableName,e.itemId,e.item,e.base,rawResult,"
          "serverVersion,ifnull(attempts,0) FROM __errors e LEFT JOIN __operations ON "
          "sequence=e.id "
          "WHERE e.id>?1 ORDER BY e.id LIMIT 1"),
      count_sendable_(
          "SELECT count(*) FROM __operations WHERE state<>2 AND tableName=?1 COLLATE NOCASE"),
      get_config_("SELECT value FROM __config WHERE id=?1"),
      set_config_(
          "INSERT INTO __config(id,value) VALUES(?1,?2) ON CONFLICT(id) DO UPDATE SET "
          "value=excluded.value"),
      remove_config_("DELETE FROM __config WHERE id>=?1 AND id<?2") {}

SqliteStore::~SqliteStore() {
  if (database_ == nullptr) return;
  if (open_ != Open::kNone) (void)Execute(database_, "ROLLBACK");
  tables_.clear();
  // A zombie until the last statement, a member, has ended.
  (void)sqlite3_close_v2(database_);
}

Result<void> SqliteStore::Start(const Options& options, hal::Storage& storage,
                                hal::Random& random) {
  if (!scratch_ || !copies_) {
    return Error{Code::kNoMemory, Origin::kNone, 0, "no memory for the store"};
  }
  storage_ = &storage;
  random_ = &random;
  path_ = options.path;
  if (sqlite3_libversion_number() < kSafeSqlite) {
    Log(LogLevel::kWarning,
        "SQLite %s can damage a database that several programs write; use 3.51.3 or later",
        sqlite3_libversion());
  }
  int code = sqlite3_open_v2(
      options.path, &database_,
      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE,
      storage.vfs_name());
  if (code != SQLITE_OK) return Explain(SqlError(code));
  sqlite3_busy_timeout(database_, int(options.busy_timeout.milliseconds()));
  char cache_size[48];
  std::snprintf(cache_size, sizeof cache_size, "PRAGMA cache_size=-%zu",
                std::size_t(options.cache_bytes) / 1024);
  HF_TRY(cache_size_.Assign(cache_size));
  HF_TRY(Raw(cache_size_.c_str()));
  HF_TRY(Raw("PRAGMA journal_mode=WAL"));
  HF_TRY(Raw("PRAGMA synchronous=FULL"));
  HF_TRY(Raw(kAutoCheckpoint));
  HF_TRY(Raw(kJournalLimit));
  HF_TRY(Raw("PRAGMA foreign_keys=OFF"));
  if (auto migrated = Migrate(database_, random); !migrated) return Explain(migrated.error());

  Statement any_missed("SELECT 1 FROM __missed LIMIT 1");
  HF_TRY(Ready(any_missed));
  HF_TRY_ASSIGN(any_missed_, any_missed.Step());
  any_missed.Reset();

  return LoadNames();
}

// ---------------------------------------------------------------------------------- transactions

Result<void> SqliteStore::As(Writer writer) {
  if (writer == writer_) return Ok();
  const int on = writer == Writer::kProgram ? 1 : 0;
  const int code = sqlite3_db_config(database_, SQLITE_DBCONFIG_ENABLE_TRIGGER, on, nullptr);
  if (code != SQLITE_OK) return SqlError(code);
  writer_ = writer;
  return Ok();
}

SqliteStore::Transaction::~Transaction() {
  if (started_) (void)store_.RunReady(store_.rollback_);
}

Result<void> SqliteStore::Transaction::Start(Writer writer, Lock lock) {
  HF_TRY(store_.As(writer));
  store_.EndReading();
  // Within a transaction of the caller, or of a function that is built on this one.
  if (store_.open_ != Open::kNone || sqlite3_get_autocommit(store_.database_) == 0) return Ok();
  store_.predicted_ = 0;
  HF_TRY(store_.Strict());
  HF_TRY(store_.RunReady(lock == Lock::kNow ? store_.begin_ : store_.begin_reading_));
  started_ = true;
  return Ok();
}

Result<void> SqliteStore::Transaction::Commit() {
  if (!started_) return Ok();
  HF_TRY(store_.RunReady(store_.commit_));
  started_ = false;
  return Ok();
}

Result<void> SqliteStore::Begin() {
  EndReading();
  HF_ASSERT(open_ == Open::kNone);
  predicted_ = 0;
  HF_TRY(Strict());
  HF_TRY(RunReady(begin_));
  open_ = Open::kProgram;
  return Ok();
}

Result<void> SqliteStore::Commit() {
  HF_ASSERT(open_ == Open::kProgram);
  long_value_.Close();
  HF_TRY(RunReady(commit_));  // on kBusy the transaction stays open: try again, or Rollback()
  open_ = Open::kNone;
  return Ok();
}

void SqliteStore::Rollback() {
  if (open_ == Open::kNone) return;
  long_value_.Close();
  open_ = Open::kNone;
  predicted_ = 0;
  // SQLite may have rolled back by itself (no space, I/O error).
  if (sqlite3_get_autocommit(database_) == 0) (void)RunReady(rollback_);
}

// ----------------------------------------------------------------------------------------- helpers

SqliteTable& SqliteStore::Own(const Table& table) const {
  HF_ASSERT(std::size_t(table.number()) < tables_.size());
  return *tables_[std::size_t(table.number())];
}

SqliteTable* SqliteStore::FindOwn(std::string_view name) const {
  for (const auto& table : tables_) {
    if (EqualsIgnoreCase(table->name(), name)) return table.get();
  }
  return nullptr;
}

const Table* SqliteStore::FindTable(std::string_view name) const { return FindOwn(name); }

Error SqliteStore::Explain(Error error) {
  if (error.origin == Origin::kSqlite && database_ != nullptr) why_ = sqlite3_errmsg(database_);
  return error;
}

Error SqliteStore::Refuse(Code code, const char* what, std::string_view name) {
  why_ = std::string(what) + ": " + std::string(name);
  return {code, Origin::kNone, 0, what};
}

Result<void> SqliteStore::Raw(const char* sql) {
  if (auto done = Execute(database_, sql); !done) return Explain(done.error());
  return Ok();
}

Result<void> SqliteStore::Ready(Statement& statement) {
  if (auto opened = statement.Open(database_); !opened) return Explain(opened.error());
  return Ok();
}

Result<Statement*> SqliteStore::ForColumns(SqliteTable& table, ColumnsStatement::Use use,
                                           std::uint64_t mask) {
  auto statement = table.For(database_, use, mask);
  if (!statement) return Explain(statement.error());
  return statement;
}

Result<void> SqliteStore::RunReady(Statement& statement) {
  HF_TRY(Ready(statement));
  if (auto done = statement.Run(); !done) return Explain(done.error());
  return Ok();
}

// ------------------------------------------------------------------------------------------- facts

namespace {

constexpr std::size_t kFactKeyBytes = 64;

Result<void> FactId(std::string_view key, FixedString<kFactKeyBytes>& id) {
  HF_TRY(id.Assign("fact|"));
  return id.Append(key);
}

}  // namespace

Result<void> SqliteStore::SetFact(std::string_view key, std::string_view value) {
  FixedString<kFactKeyBytes> id;
  HF_TRY(FactId(key, id));
  HF_TRY(Ready(set_config_));
  set_config_.Bind(1, id.view());
  set_config_.Bind(2, value);
  return RunReady(set_config_);
}

Result<bool> SqliteStore::Fact(std::string_view key, FixedString<512>& value) {
  FixedString<kFactKeyBytes> id;
  HF_TRY(FactId(key, id));
  HF_TRY(Ready(get_config_));
  const Using use(get_config_);
  get_config_.Bind(1, id.view());
  HF_TRY_ASSIGN(const bool found, get_config_.Step());
  if (!found) return false;
  HF_TRY(value.Assign(get_config_.Text(0)));
  return true;
}

// -------------------------------------------------------------------------------------- checkpoint

Result<void> SqliteStore::Checkpoint() {
  if (open_ != Open::kNone) return Ok();
  // What INSERT OR IGNORE and UPSERT left behind: of use only while their statement ran.
  HF_TRY(As(Writer::kHoldfast));
  HF_TRY(Raw("DELETE FROM __shadows WHERE content IS NOT NULL"));
  int frames = 0, moved = 0;
  int code =
      sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_PASSIVE, &frames, &moved);
  if (code != SQLITE_OK) return Explain(SqlError(code));
  struct stat wal {};
  if (stat((path_ + "-wal").c_str(), &wal) == 0 && std::uint64_t(wal.st_size) > kTruncateWalBytes) {
    code =
        sqlite3_wal_checkpoint_v2(database_, nullptr, SQLITE_CHECKPOINT_TRUNCATE, nullptr, nullptr);
    // A reader keeps its snapshot: the next time then.
    if (code != SQLITE_OK && (code & 0xff) != SQLITE_BUSY) return Explain(SqlError(code));
  }
  return Ok();
}

}  // namespace holdfast::store
