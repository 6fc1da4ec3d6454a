// SPDX-License-Identifier: Apache-2.0
// server/sqlite_rows.h - Rows in one SQLite database.
//
// Purpose: a table of the protocol is a table of SQLite by the same name, so that anybody with
//          sqlite3 can look at it. What belongs to the server is in __tables, __columns and __meta.
// Shapes:  "readings"(id TEXT, createdAt TEXT, updatedAt TEXT UNIQUE, version TEXT, deleted
// INTEGER,
//          then the columns, without a declared type: a number stays the number that came.
// Order:   updatedAt is assigned inside the one writing transaction, so the order of commits is the
//          order of moments. The last moment is found again from the rows; a hard delete leaves it
//          in __meta.
// Bulks:   __senders knows each (device, installation, incarnation), __outcomes what it was told: a
//          line for operations of consecutive sequences and moments.
// Threads: one. Files: sqlite_rows.cc writes, sqlite_bulk.cc many at once, sqlite_catalog.cc
// tables, sqlite_list.cc reads.
#ifndef HOLDFAST_SERVER_SQLITE_ROWS_H_
#define HOLDFAST_SERVER_SQLITE_ROWS_H_

#include <map>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "hal/base/arena.h"
#include "hal/base/query.h"
#include "server/change_clock.h"
#include "server/rows.h"
#include "server/schema.h"
#include "server/sqlite_db.h"

namespace holdfast::server {

class SqliteRows : public Rows {
 public:
  // Throws StorageError; a schema that contradicts the tables throws std::runtime_error.
  SqliteRows(const std::string& path, const SchemaFile& schema,
             ChangeClock::Now now = &ChangeClock::SystemNow);
  ~SqliteRows() override;

  void Apply(std::span<Write* const> writes) override;
  BulkOutcome ApplyBulk(const Sender& sender, Bulk& bulk) override;
  Outcome Lookup(std::string_view table, std::string_view id, bool include_deleted,
                 RowSink& sink) override;
  bool Takes(std::string_view table, bool make) override;
  std::string Newest() const override;
  ListResult List(const ListQuery& query, RowSink& sink) override;

  // For records that change in one transaction with rows (WriteWitness).
  Database& database() { return database_; }

 private:
  struct Table;
  struct ListSql;
  class TableColumns;

  // sqlite_catalog.cc
  void Declare(const SchemaFile& schema);
  void DeclareTable(const TableSchema& declared);
  void LoadCatalog();
  void FindLastMoment();
  Table* Find(std::string_view name);
  Table& Create(const TableSchema& schema);
  void AddColumn(Table& table, const Column& column);
  void SetType(Table& table, std::size_t column, ColumnType type);
  void Prepare(Table& table);

  // sqlite_rows.cc
  void ApplyInTransaction(std::span<Write* const> writes);
  void ApplyOne(Write& write);
  Outcome Execute(Write& write, Table& table);
  Outcome Insert(Write& write, Table& table);
  Outcome Modify(Write& write, Table& table);
  Outcome Delete(Write& write, Table& table);
  bool Stale(const Write& write, Table& table);
  bool Present(Write& write, Table& table);
  bool IsLarge(Write& write, Table& table);
  bool FitColumns(Write& write, Table& table);
  bool FitValue(Write& write, Table& table, std::size_t column, Value& value);
  Statement& UpdateOf(Table& table, std::uint64_t mask, bool all);
  void Stamp(Statement& statement, int moment_index, int version_index);
  Result<void> Emit(Table& table, Statement& row, RowSink& sink);

  // sqlite_bulk.cc
  // What a sender was told of operations that were applied one after the other.
  struct Told {
    std::int64_t first = 0, count = 0, changes = 0, moment = 0;
    std::string digests;  // 4 bytes each
  };
  struct KnownSender {
    std::int64_t id = 0, acknowledged = 0, told_applied = 0, applied = 0;
    std::int64_t used = 0;  // the last moment given out when it was here last
  };
  struct Earlier {
    std::int64_t changes = 0, moment = 0;
    std::uint32_t digest = 0;
  };
  void PrepareBulk();
  void Undo();
  BulkOutcome ApplyBulkInTransaction(const Sender& sender, Bulk& bulk);
  bool FindSender(const Sender& sender, KnownSender& known);
  void NoteSender(const Sender& sender, KnownSender& known);
  bool FindEarlier(const KnownSender& sender, const Operated& operated, Earlier& earlier);
  void ApplyOperated(Operated& operated);
  bool MayGrow(const Write& write);
  void Tell(const KnownSender& sender, const Operated& operated, std::int64_t moment, Told& told);
  void KeepTold(const KnownSender& sender, Told& told);

  // sqlite_list.cc
  bool BuildList(const ListQuery& query, Table& table, ListSql& sql, std::string& reason);
  bool SelectedColumns(const ListQuery& query, Table& table, ListSql& sql, std::string& reason);
  Statement* Cached(const std::string& sql);
  bool CountMatches(const ListSql& sql, ListResult& result);
  void ReadPage(const ListQuery& query, ListSql& sql, Statement& statement, RowSink& sink,
                ListResult& result);

  Database database_;
  ChangeClock clock_;
  bool grow_tables_ = true;
  std::map<std::string, std::unique_ptr<Table>> tables_;  // by lower-case name
  bool catalog_changed_ = false;  // inside the transaction: reload when it is rolled back
  bool hard_deleted_ = false;
  Statement begin_, commit_, savepoint_, release_;
  bool together_ = false;  // moments follow each other without a gap
  Statement find_sender_, add_sender_, note_sender_, drop_senders_, find_told_, keep_told_,
      forget_told_, drop_told_;
  TimestampText moment_text_;
  std::string version_text_;
  std::unique_ptr<char[]> scratch_;  // values that had to be conformed; texts of filters
  Arena arena_;
  std::vector<std::unique_ptr<char[]>> long_values_;  // what would not fit there
  std::unique_ptr<query::ParsedFilter> filter_;
  std::unique_ptr<query::Parameters> parameters_;
  std::unordered_map<std::string, Statement> list_cache_;

  struct Fitted {  // one write's values, by column
    std::uint64_t given = 0;
    std::array<Value, limits::kColumns> values;
  } fitted_;
};

struct SqliteRows::Table {
  TableSchema schema;
  std::string columns_sql;  // "id","sensor",..,"createdAt",...: the order of the wire
  Statement select, insert, soft_delete, undelete, hard_delete;
  std::unordered_map<std::uint64_t, Statement> updates;  // by mask of columns

  // Columns of columns_sql that are the server's.
  int created_at() const { return static_cast<int>(schema.columns.size()) + 1; }
  int updated_at() const { return created_at() + 1; }
  int version() const { return created_at() + 2; }
  int deleted() const { return created_at() + 3; }
};

std::string Quoted(std::string_view name);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_SQLITE_ROWS_H_
