// SPDX-License-Identifier: Apache-2.0
// Tables and columns: declared, grown, loaded, and their prepared statements.
#include <stdexcept>

#include "hal/base/text.h"
#include "server/sqlite_rows.h"

namespace holdfast::server {
namespace {

constexpr const char* kCatalog =
    "CREATE TABLE IF NOT EXISTS __meta(key TEXT PRIMARY KEY, value) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS __tables(name TEXT PRIMARY KEY COLLATE NOCASE,"
    " hard_delete INTEGER NOT NULL, grow INTEGER NOT NULL) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS __columns(tbl TEXT COLLATE NOCASE, position INTEGER,"
    " name TEXT NOT NULL, type TEXT NOT NULL, declared INTEGER NOT NULL,"
    " PRIMARY KEY(tbl, position)) WITHOUT ROWID;"
    "CREATE TABLE IF NOT EXISTS __senders(id INTEGER PRIMARY KEY, device TEXT NOT NULL,"
    " installation TEXT NOT NULL, incarnation TEXT NOT NULL, acknowledged INTEGER NOT NULL,"
    " told_applied INTEGER NOT NULL, applied INTEGER NOT NULL, used INTEGER NOT NULL,"
    " UNIQUE(device, installation, incarnation));"
    "CREATE TABLE IF NOT EXISTS __outcomes(sender INTEGER, first INTEGER, changes INTEGER,"
    " count INTEGER NOT NULL, moment INTEGER NOT NULL, digests BLOB NOT NULL,"
    " PRIMARY KEY(sender, first, changes)) WITHOUT ROWID;";

void RunOnce(Statement statement, std::initializer_list<Value> values, const Database& database) {
  int index = 0;
  for (const Value& value : values) statement.Bind(++index, value);
  const int code = statement.Step();
  if (code != SQLITE_DONE) throw StorageError(code, database.message());
}

}  // namespace

// "any" stands for a column that has only ever held null.
static std::string TypeText(ColumnType type) {
  return type == ColumnType::kAny ? "any" : std::string(ColumnTypeName(type));
}

std::string Quoted(std::string_view name) { return "\"" + std::string(name) + "\""; }

void SqliteRows::Declare(const SchemaFile& schema) {
  grow_tables_ = schema.grow;
  database_.Run("BEGIN IMMEDIATE");
  database_.Run(kCatalog);
  LoadCatalog();
  for (const TableSchema& declared : schema.tables) DeclareTable(declared);
  database_.Run("COMMIT");
  catalog_changed_ = false;
}

void SqliteRows::DeclareTable(const TableSchema& declared) {
  Table* table = Find(declared.name);
  if (table == nullptr) {
    Create(declared);
    return;
  }
  RunOnce(database_.Prepare("UPDATE __tables SET hard_delete=?, grow=? WHERE name=?"),
          {Value::Integer(declared.hard_delete), Value::Integer(declared.grow),
           Value::Text(table->schema.name)},
          database_);
  table->schema.hard_delete = declared.hard_delete;
  table->schema.grow = declared.grow;
  for (const Column& column : declared.columns) {
    const int index = table->schema.IndexOf(column.name);
    if (index < 0) {
      if (table->schema.columns.size() >= limits::kColumns) {
        throw std::runtime_error("schema: table " + declared.name + " would have too many columns");
      }
      AddColumn(*table, column);
    } else {
      SetType(*table, static_cast<std::size_t>(index), column.type);
      table->schema.columns[static_cast<std::size_t>(index)].declared = true;
      RunOnce(database_.Prepare("UPDATE __columns SET declared=1 WHERE tbl=? AND position=?"),
              {Value::Text(table->schema.name), Value::Integer(index)}, database_);
    }
  }
  Prepare(*table);
}

void SqliteRows::LoadCatalog() {
  tables_.clear();
  list_cache_.clear();
  Statement names = database_.Prepare("SELECT name, hard_delete, grow FROM __tables");
  while (names.Step() == SQLITE_ROW) {
    auto table = std::make_unique<Table>();
    table->schema.name = names.Text(0);
    table->schema.hard_delete = names.Integer(1) != 0;
    table->schema.grow = names.Integer(2) != 0;
    tables_[LowerCase(table->schema.name)] = std::move(table);
  }
  Statement columns =
      database_.Prepare("SELECT tbl, name, type, declared FROM __columns ORDER BY tbl, position");
  while (columns.Step() == SQLITE_ROW) {
    if (Table* table = Find(columns.Text(0))) {
      const auto type = ColumnTypeFromName(columns.Text(2)).value_or(ColumnType::kAny);
      table->schema.columns.push_back(
          {std::string(columns.Text(1)), type, columns.Integer(3) != 0});
    }
  }
  for (auto& [name, table] : tables_) Prepare(*table);
  catalog_changed_ = false;
}

void SqliteRows::FindLastMoment() {
  Statement meta = database_.Prepare("SELECT value FROM __meta WHERE key='last_moment'");
  if (meta.Step() == SQLITE_ROW) clock_.RaiseTo(meta.Integer(0));
  // What senders were told while we were here is not told of something else.
  Statement used = database_.Prepare("SELECT max(used) FROM __senders");
  if (used.Step() == SQLITE_ROW) clock_.RaiseTo(used.Integer(0));
  for (auto& [name, table] : tables_) {
    Statement newest =
        database_.Prepare("SELECT max(updatedAt) FROM " + Quoted(table->schema.name));
    if (newest.Step() != SQLITE_ROW) continue;
    if (const auto ticks = ParseTimestamp(newest.Text(0))) clock_.RaiseTo(*ticks / 10);
  }
}

SqliteRows::Table* SqliteRows::Find(std::string_view name) {
  const auto found = tables_.find(LowerCase(name));
  return found == tables_.end() ? nullptr : found->second.get();
}

SqliteRows::Table& SqliteRows::Create(const TableSchema& schema) {
  catalog_changed_ = true;
  std::string sql = "CREATE TABLE " + Quoted(schema.name) +
                    "(id TEXT PRIMARY KEY NOT NULL, createdAt TEXT NOT NULL,"
                    " updatedAt TEXT NOT NULL UNIQUE, version TEXT NOT NULL,"
                    " deleted INTEGER NOT NULL DEFAULT 0)";
  database_.Run(sql);
  RunOnce(
      database_.Prepare("INSERT INTO __tables VALUES(?,?,?)"),
      {Value::Text(schema.name), Value::Integer(schema.hard_delete), Value::Integer(schema.grow)},
      database_);
  auto table = std::make_unique<Table>();
  table->schema.name = schema.name;
  table->schema.hard_delete = schema.hard_delete;
  table->schema.grow = schema.grow;
  for (const Column& column : schema.columns) AddColumn(*table, column);
  Prepare(*table);
  return *(tables_[LowerCase(schema.name)] = std::move(table));
}

void SqliteRows::AddColumn(Table& table, const Column& column) {
  catalog_changed_ = true;
  database_.Run("ALTER TABLE " + Quoted(table.schema.name) + " ADD COLUMN " + Quoted(column.name));
  const std::string type = TypeText(column.type);
  RunOnce(database_.Prepare("INSERT INTO __columns VALUES(?,?,?,?,?)"),
          {Value::Text(table.schema.name),
           Value::Integer(static_cast<std::int64_t>(table.schema.columns.size())),
           Value::Text(column.name), Value::Text(type), Value::Integer(column.declared)},
          database_);
  table.schema.columns.push_back(column);
}

void SqliteRows::SetType(Table& table, std::size_t column, ColumnType type) {
  if (table.schema.columns[column].type == type) return;
  catalog_changed_ = true;
  const std::string text = TypeText(type);
  RunOnce(database_.Prepare("UPDATE __columns SET type=? WHERE tbl=? AND position=?"),
          {Value::Text(text), Value::Text(table.schema.name),
           Value::Integer(static_cast<std::int64_t>(column))},
          database_);
  table.schema.columns[column].type = type;
  list_cache_.clear();
}

void SqliteRows::Prepare(Table& table) {
  const std::string name = Quoted(table.schema.name);
  std::string columns, values;
  for (const Column& column : table.schema.columns) {
    columns += "," + Quoted(column.name);
    values += ",?";
  }
  table.columns_sql = "id" + columns + ",createdAt,updatedAt,version,deleted";
  table.updates.clear();
  list_cache_.clear();
  table.select =
      database_.Prepare("SELECT " + table.columns_sql + " FROM " + name + " WHERE id=?1");
  table.insert =
      database_.Prepare("INSERT INTO " + name + "(id,createdAt,updatedAt,version" + columns +
                        ") VALUES(?1,?2,?2,?3" + values + ") ON CONFLICT(id) DO NOTHING");
  table.soft_delete =
      database_.Prepare("UPDATE " + name + " SET deleted=1,updatedAt=?2,version=?3 WHERE id=?1");
  table.undelete =
      database_.Prepare("UPDATE " + name + " SET deleted=0,updatedAt=?2,version=?3 WHERE id=?1");
  table.hard_delete = database_.Prepare("DELETE FROM " + name + " WHERE id=?1");
}

}  // namespace holdfast::server
