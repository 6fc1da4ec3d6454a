// SPDX-License-Identifier: Apache-2.0
#include "store/sqlite_table.h"

#include "hal/base/text.h"
#include "store/content.h"

namespace holdfast::store {

std::optional<query::ColumnInfo> SqliteTable::Lookup(std::string_view column) const {
  const int index = IndexOf(*this, column);
  if (index >= 0) return query::ColumnInfo{columns_[std::size_t(index)].type, 3};
  if (EqualsIgnoreCase(column, kCreatedAt) || EqualsIgnoreCase(column, kUpdatedAt)) {
    return query::ColumnInfo{ColumnType::kDatetime, 3};
  }
  if (EqualsIgnoreCase(column, kDeleted)) return query::ColumnInfo{ColumnType::kBoolean, 3};
  if (IsSystemColumn(column)) return query::ColumnInfo{ColumnType::kText, 3};
  return std::nullopt;
}

void SqliteTable::SetColumns(std::vector<Column> columns) {
  columns_ = std::move(columns);
  quoted_name = QuoteName(shape.name);
  for (ColumnsStatement& cached : cache_) {
    cached.use = ColumnsStatement::Use::kNone;
    cached.last_used = 0;
  }

  std::string all;
  for (const Column& column : columns_) all += "," + QuoteName(column.name.view());
  const std::string text = QuoteText(shape.name);
  std::string qualified;
  for (const Column& column : columns_) qualified += ",r." + QuoteName(column.name.view());
  load.Assign(
      "SELECT o.kind,o.state,o.changes,o.baseVersion,o.base,o.item,o.previous,o.attempts,"
      "r.id IS NOT NULL,r.version,o.sent" +
      qualified + " FROM __operations o LEFT JOIN " + quoted_name +
      " r ON r.id=o.itemId WHERE o.sequence=?1");
  std::string values;
  for (const Column& column : columns_) {
    const std::string name = "r." + QuoteName(column.name.view());
    const std::string size = "ifnull(octet_length(" + name + "),0)";
    values += ",CASE WHEN " + size + "<=?2 THEN " + name + " END," + size + ",typeof(" + name + ")";
  }
  load_long.Assign(
      "SELECT o.changes,o.kind,r.id IS NOT NULL,o.item IS NOT NULL,o.baseVersion,r.version" +
      values + " FROM __operations o LEFT JOIN " + quoted_name +
      " r ON r.id=o.itemId WHERE o.sequence=?1");
  std::string sizes_of;
  for (const Column& column : columns_) {
    const std::string name = QuoteName(column.name.view());
    sizes_of += ",ifnull(octet_length(" + name + "),0),typeof(" + name + ")";
  }
  sizes.Assign("SELECT " + (sizes_of.empty() ? "0" : sizes_of.substr(1)) + " FROM " + quoted_name +
               " WHERE id=?1");
  if (!shape.row_key.empty()) {
    key_of.Assign("SELECT " + shape.row_key + " FROM " + quoted_name + " WHERE id=?1");
  }
  find.Assign(
      "SELECT version,__op,__op IS NOT NULL AND EXISTS(SELECT 1 FROM __operations WHERE "
      "sequence=r.__op AND itemId=r.id AND tableName=" +
      text + "),updatedAt FROM " + quoted_name + " r WHERE id=?1");
  columns_of.Assign("SELECT id" + all + " FROM " + quoted_name + " WHERE id=?1");
  complete.Assign("UPDATE " + quoted_name +
                  " SET version=?2,createdAt=ifnull(?3,createdAt),updatedAt=ifnull(?4,updatedAt),"
                  "__op=CASE WHEN __op=?5 THEN NULL ELSE __op END WHERE id=?1");
  take_off.Assign("UPDATE " + quoted_name + " SET __op=NULL WHERE id=?1 AND __op=?2");
  remove.Assign("DELETE FROM " + quoted_name + " WHERE id=?1");
}

// Names, parameters from ?2 on, or both; returns the number of the next parameter.
int SqliteTable::PutColumns(std::uint64_t mask, bool names, bool parameters,
                            TextWriter& sql) const {
  int next = 2;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    if (next > 2 || names != parameters) sql.Put(',');
    if (names) PutName(columns_[i].name.view(), sql);
    if (names && parameters) sql.Put('=');
    if (parameters) sql.Put('?').PutInteger(next);
    ++next;
  }
  return next;
}

void SqliteTable::PutStatement(ColumnsStatement::Use use, std::uint64_t mask,
                               TextWriter& sql) const {
  using Use = ColumnsStatement::Use;
  const auto parameter = [&sql](std::string_view before, int number, std::string_view after) {
    sql.Put(before).Put('?').PutInteger(number).Put(after);
  };
  const bool is_remote = use == Use::kRemoteInsert || use == Use::kRemoteUpdate;
  if (use == Use::kInsert || use == Use::kRemoteInsert) {
    sql.Put("INSERT INTO ").Put(quoted_name).Put("(id");
    PutColumns(mask, true, false, sql);
    sql.Put(is_remote ? ",version,createdAt,updatedAt) VALUES(?1" : ") VALUES(?1");
    const int next = PutColumns(mask, false, true, sql);
    for (int i = 0; is_remote && i < 3; ++i) parameter(",", next + i, "");
    sql.Put(')');
    return;
  }
  sql.Put("UPDATE ").Put(quoted_name).Put(" SET ");
  const int next = PutColumns(mask, true, true, sql);
  if (is_remote) {
    parameter(next > 2 ? ",version=" : "version=", next, "");
    parameter(",createdAt=ifnull(", next + 1, ",createdAt)");
    parameter(",updatedAt=ifnull(", next + 2, ",updatedAt)");
  }
  sql.Put(" WHERE id=?1");
}

Result<Statement*> SqliteTable::For(sqlite3* database, ColumnsStatement::Use use,
                                    std::uint64_t mask) {
  ColumnsStatement* oldest = &cache_[0];
  for (ColumnsStatement& cached : cache_) {
    if (cached.use == use && cached.mask == mask) {
      cached.last_used = ++uses_;
      return &cached.statement;
    }
    if (cached.last_used < oldest->last_used) oldest = &cached;
  }
  char room[kSqlBytes];
  TextWriter sql(room);
  PutStatement(use, mask, sql);
  HF_TRY_ASSIGN(const std::string_view text, sql.Finish());
  oldest->use = ColumnsStatement::Use::kNone;
  oldest->statement.Close();
  HF_TRY(oldest->statement.Open(database, text));
  oldest->use = use;
  oldest->mask = mask;
  oldest->last_used = ++uses_;
  return &oldest->statement;
}

}  // namespace holdfast::store
