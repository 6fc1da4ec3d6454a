// SPDX-License-Identifier: Apache-2.0
// store/sqlite_table.h - a synced table and the statements that are prepared for it.
#ifndef HOLDFAST_STORE_SQLITE_TABLE_H_
#define HOLDFAST_STORE_SQLITE_TABLE_H_

#include <array>
#include <string>
#include <vector>

#include "store/sql.h"
#include "store/store.h"
#include "store/triggers.h"

namespace holdfast::store {

// A statement for one set of columns; the least used one makes room.
struct ColumnsStatement {
  enum class Use : std::uint8_t {
    kNone,
    kInsert,
    kUpdate,
    kRemoteInsert,
    kRemoteUpdate,
    kComplete
  };
  Use use = Use::kNone;
  std::uint64_t mask = 0;
  std::uint64_t last_used = 0;
  Statement statement;
};

class SqliteTable final : public Table {
 public:
  explicit SqliteTable(int number) : number_(number) {}

  std::string_view name() const override { return shape.name; }
  std::span<const Column> columns() const override { return columns_; }
  int number() const override { return number_; }
  std::optional<query::ColumnInfo> Lookup(std::string_view column) const override;

  // Writes the statements for the columns as they are now.
  void SetColumns(std::vector<Column> columns);
  // The statement for the columns in `mask`; parameters: ?1 id, then the columns in order, then
  // those of the use (see the text in sqlite_table.cc).
  // What SQLite says when it cannot prepare it.
  Result<Statement*> For(sqlite3* database, ColumnsStatement::Use use, std::uint64_t mask);

  TriggerTable shape;
  std::string quoted_name;

  Statement load;        // ?1 sequence: the operation, and the row that it is about
  Statement load_long;   // ?1 sequence ?2 bytes: as load, without what is longer
  Statement find;        // ?1 id: version, __op, whether __op points to an operation of the row
  Statement columns_of;  // ?1 id: the user's columns
  Statement complete;    // ?1 id ?2 version ?3 createdAt ?4 updatedAt ?5 operation to take off
  Statement take_off;    // ?1 id ?2 operation
  Statement sizes;       // ?1 id: bytes and type of each column
  Statement key_of;      // ?1 id: the rowid
  Statement remove;      // ?1 id

 private:
  int PutColumns(std::uint64_t mask, bool names, bool parameters, TextWriter& sql) const;
  void PutStatement(ColumnsStatement::Use use, std::uint64_t mask, TextWriter& sql) const;

  int number_;
  std::vector<Column> columns_;
  std::array<ColumnsStatement, 12> cache_;
  std::uint64_t uses_ = 0;
};

// Columns of `load_long`, before the three of each column: its value when that is short, its size,
// its type.
enum LongColumn : int {
  kLongChanges,
  kLongKind,
  kLongFound,
  kLongFrozen,
  kLongBaseVersion,
  kLongVersion,
  kLongFirst
};

// Columns of `load`, before those of the row.
enum LoadColumn : int {
  kLoadKind,
  kLoadState,
  kLoadChanges,
  kLoadBaseVersion,
  kLoadBase,
  kLoadItem,
  kLoadPrevious,
  kLoadAttempts,
  kLoadFound,
  kLoadVersion,
  kLoadSent,
  kLoadFirst
};

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_SQLITE_TABLE_H_
