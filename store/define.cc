// SPDX-License-Identifier: Apache-2.0
// Creating, adopting and extending synced tables. All of it in one transaction a table.
#include <cstdio>

#include "hal/base/text.h"
#include "store/schema.h"
#include "store/sqlite_store.h"

namespace holdfast::store {

// A table as SQLite describes it.
struct SqliteStore::PhysicalTable {
  bool exists = false;
  bool has_id = false;
  bool has_op = false;
  bool has_system[4] = {};  // createdAt updatedAt version deleted
  TriggerTable shape;
  std::vector<std::string> declared;  // the types of shape.columns
};

namespace {

constexpr std::string_view kOp = "__op";
constexpr std::string_view kSystem[4] = {kCreatedAt, kUpdatedAt, kVersion, kDeleted};
constexpr const char* kSystemType[4] = {"TEXT", "TEXT", "TEXT", "INTEGER"};

const char* SqlType(ColumnType type) {
  switch (type) {
    case ColumnType::kInteger:
    case ColumnType::kBoolean: return " INTEGER";
    case ColumnType::kReal: return " REAL";
    case ColumnType::kBlob: return " BLOB";
    case ColumnType::kText:
    case ColumnType::kDatetime: return " TEXT";
    case ColumnType::kAny: return "";
  }
  return "";
}

bool Contains(std::string_view text, std::string_view part) {
  for (std::size_t i = 0; i + part.size() <= text.size(); ++i) {
    if (EqualsIgnoreCase(text.substr(i, part.size()), part)) return true;
  }
  return false;
}

// SQLite's rules of affinity, and the names people use for dates and booleans before them.
ColumnType TypeOfDeclared(std::string_view declared) {
  if (declared.empty() || EqualsIgnoreCase(declared, "ANY")) return ColumnType::kAny;
  if (Contains(declared, "BOOL")) return ColumnType::kBoolean;
  if (Contains(declared, "DATE") || Contains(declared, "TIMESTAMP")) return ColumnType::kDatetime;
  if (Contains(declared, "INT")) return ColumnType::kInteger;
  if (Contains(declared, "CHAR") || Contains(declared, "CLOB") || Contains(declared, "TEXT")) {
    return ColumnType::kText;
  }
  if (Contains(declared, "BLOB")) return ColumnType::kBlob;
  return ColumnType::kReal;
}

bool HasName(const std::vector<std::string>& names, std::string_view name) {
  for (const std::string& each : names) {
    if (EqualsIgnoreCase(each, name)) return true;
  }
  return false;
}

}  // namespace

Result<void> SqliteStore::Inspect(std::string_view name, PhysicalTable& out) {
  Statement kind(
      "SELECT name,type,wr FROM pragma_table_list WHERE schema='main' AND name=?1 COLLATE NOCASE");
  HF_TRY(Ready(kind));
  kind.Bind(1, name);
  HF_TRY_ASSIGN(out.exists, kind.Step());
  if (!out.exists) return Ok();
  out.shape.name = std::string(kind.Text(0));
  if (kind.Text(1) != "table") return Refuse(Code::kInvalidArgument, "not an ordinary table", name);
  const bool without_rowid = kind.Integer(2) != 0;
  kind.Reset();

  std::string declared_id, key_column;
  int key_columns = 0;
  std::vector<std::string> all;
  Statement columns("SELECT name,type,pk,hidden FROM pragma_table_xinfo(?1) ORDER BY cid");
  HF_TRY(Ready(columns));
  columns.Bind(1, name);
  for (;;) {
    HF_TRY_ASSIGN(const bool more, columns.Step());
    if (!more) break;
    const std::string column(columns.Text(0)), type(columns.Text(1));
    all.push_back(column);
    if (columns.Integer(2) != 0) {
      ++key_columns;
      key_column = column;
      if (EqualsIgnoreCase(type, "INTEGER") && !without_rowid) out.shape.integer_key = column;
    }
    if (EqualsIgnoreCase(column, kId)) {
      out.has_id = true;
      declared_id = type;
      continue;
    }
    if (EqualsIgnoreCase(column, kOp)) {
      out.has_op = true;
      continue;
    }
    bool system = false;
    for (std::size_t i = 0; i < 4; ++i) {
      if (!EqualsIgnoreCase(column, kSystem[i])) continue;
      out.has_system[i] = system = true;
    }
    if (system || columns.Integer(3) != 0) continue;  // generated columns follow from the others
    out.shape.columns.push_back(column);
    out.declared.push_back(type);
  }
  if (key_columns != 1) out.shape.integer_key.clear();
  if (!without_rowid) {
    for (const char* key : {"rowid", "_rowid_", "oid"}) {
      if (!HasName(all, key) && out.shape.row_key.empty()) out.shape.row_key = key;
    }
    if (out.shape.row_key.empty()) {
      return Refuse(Code::kInvalidArgument, "its columns hide the rowid", name);
    }
  }
  if (!out.has_id) return Refuse(Code::kInvalidArgument, "the table has no column id", name);
  if (TypeOfDeclared(declared_id) != ColumnType::kText) {
    return Refuse(Code::kInvalidArgument, "the column id is not TEXT", name);
  }

  bool unique_id = false;
  Statement indexes(
      "SELECT i.name,i.partial,(SELECT count(*) FROM pragma_index_xinfo(i.name) WHERE key),"
      "(SELECT name FROM pragma_index_xinfo(i.name) WHERE key AND seqno=0),"
      "(SELECT coll FROM pragma_index_xinfo(i.name) WHERE key AND seqno=0) "
      "FROM pragma_index_list(?1) i WHERE i.\"unique\"");
  HF_TRY(Ready(indexes));
  indexes.Bind(1, name);
  for (;;) {
    HF_TRY_ASSIGN(const bool more, indexes.Step());
    if (!more) break;
    const bool only_id = indexes.Integer(1) == 0 && indexes.Integer(2) == 1 &&
                         EqualsIgnoreCase(indexes.Text(3), kId);
    if (!only_id) {
      return Refuse(Code::kInvalidArgument,
                    "another UNIQUE constraint than that of id: REPLACE would delete rows unseen",
                    indexes.Text(0));
    }
    if (!EqualsIgnoreCase(indexes.Text(4), "BINARY")) {
      return Refuse(Code::kInvalidArgument, "the column id has a collation", name);
    }
    unique_id = true;
  }
  if (!unique_id) {
    return Refuse(Code::kInvalidArgument, "the column id is neither PRIMARY KEY nor UNIQUE", name);
  }

  Statement relations("SELECT DISTINCT \"from\" FROM pragma_foreign_key_list(?1)");
  HF_TRY(Ready(relations));
  relations.Bind(1, name);
  for (;;) {
    HF_TRY_ASSIGN(const bool more, relations.Step());
    if (!more) return Ok();
    const std::string from(relations.Text(0));
    if (HasName(out.shape.columns, from)) out.shape.relations.push_back(from);
  }
}

Result<void> SqliteStore::CreateTable(const TableSpec& spec) {
  HF_TRY(CheckName(spec.name));
  std::string sql = "CREATE TABLE " + QuoteName(spec.name) + "(id TEXT PRIMARY KEY";
  for (const Column& column : spec.columns) {
    sql += "," + QuoteName(column.name.view()) + SqlType(column.type);
  }
  for (std::size_t i = 0; i < 4; ++i) sql += "," + std::string(kSystem[i]) + " " + kSystemType[i];
  sql += "," + std::string(kOp) + " INTEGER)";
  return Raw(sql.c_str());
}

Result<void> SqliteStore::AddColumns(const TableSpec& spec, const PhysicalTable& physical) {
  const std::string alter = "ALTER TABLE " + QuoteName(physical.shape.name) + " ADD COLUMN ";
  for (std::size_t i = 0; i < 4; ++i) {
    if (physical.has_system[i]) continue;
    HF_TRY(Raw((alter + std::string(kSystem[i]) + " " + kSystemType[i]).c_str()));
  }
  if (!physical.has_op) HF_TRY(Raw((alter + std::string(kOp) + " INTEGER").c_str()));
  if (spec.adopt) return Ok();
  for (const Column& column : spec.columns) {
    if (HasName(physical.shape.columns, column.name.view())) continue;
    HF_TRY(Raw((alter + QuoteName(column.name.view()) + SqlType(column.type)).c_str()));
  }
  return Ok();
}

// What a column holds is kept in __config: INTEGER does not say whether it is a boolean.
Result<void> SqliteStore::SettleTypes(const TableSpec& spec, std::vector<Column>& columns,
                                      PhysicalTable& physical) {
  for (std::size_t i = 0; i < physical.shape.columns.size(); ++i) {
    const std::string& name = physical.shape.columns[i];
    Column column;
    if (auto fits = column.name.Assign(name); !fits) {
      return Refuse(Code::kTooLarge, "a column's name is too long", name);
    }
    std::optional<ColumnType> wanted;
    if (!spec.adopt) {
      for (const Column& each : spec.columns) {
        if (EqualsIgnoreCase(each.name.view(), name)) wanted = each.type;
      }
    }
    const std::string key = "column|" + physical.shape.name + "|" + name;
    std::optional<ColumnType> kept;
    {
      HF_TRY(Ready(get_config_));
      const Using use(get_config_);
      get_config_.Bind(1, key);
      HF_TRY_ASSIGN(const bool found, get_config_.Step());
      if (found) kept = ColumnTypeFromName(get_config_.Text(0));
    }
    if (kept && wanted && *kept != *wanted) {
      return Refuse(Code::kInvalidArgument, "a column's type cannot change", name);
    }
    column.type = kept ? *kept : wanted ? *wanted : TypeOfDeclared(physical.declared[i]);
    if (!kept) {
      HF_TRY(Ready(set_config_));
      set_config_.Bind(1, key);
      set_config_.Bind(2, ColumnTypeName(column.type));
      HF_TRY(RunReady(set_config_));
    }
    columns.push_back(column);
  }
  return Ok();
}

Result<void> SqliteStore::MakeTriggers(const TriggerTable& shape) {
  // Those of columns that are not there any more included.
  const std::vector<Trigger> wanted = TriggersOf(shape);
  std::vector<std::string> stale;
  std::vector<bool> there(wanted.size(), false);
  Statement found(
      "SELECT name,sql FROM sqlite_master WHERE type='trigger' AND tbl_name=?1 COLLATE "
      "NOCASE AND substr(name,1,2)='__'");
  HF_TRY(Ready(found));
  found.Bind(1, shape.name);
  for (;;) {
    HF_TRY_ASSIGN(const bool more, found.Step());
    if (!more) break;
    bool current = false;
    for (std::size_t i = 0; i < wanted.size(); ++i) {
      if (found.Text(0) == wanted[i].name && found.Text(1) == wanted[i].sql) {
        there[i] = current = true;
      }
    }
    if (!current) stale.push_back(std::string(found.Text(0)));
  }
  found.Reset();
  for (const std::string& name : stale) HF_TRY(Raw(("DROP TRIGGER " + QuoteName(name)).c_str()));
  for (std::size_t i = 0; i < wanted.size(); ++i) {
    if (!there[i]) HF_TRY(Raw(wanted[i].sql.c_str()));
  }
  return Ok();
}

// The rows that an adopted table had before: the server knows none of them.
Result<void> SqliteStore::QueueExistingRows(const TriggerTable& shape) {
  const std::string name = QuoteName(shape.name);
  const std::string key = shape.row_key.empty() ? "id" : shape.row_key;
  Statement wrong("SELECT quote(id) FROM " + name +
                  " WHERE id IS NOT NULL AND (typeof(id)<>'text' OR length(CAST(id AS BLOB)) NOT "
                  "BETWEEN 1 AND 255) LIMIT 1");
  HF_TRY(Ready(wrong));
  HF_TRY_ASSIGN(const bool is_wrong, wrong.Step());
  if (is_wrong) {
    return Refuse(Code::kInvalidArgument, "an id is not text of 1 to 255 bytes", wrong.Text(0));
  }
  Statement rows("SELECT " + key + ",id FROM " + name + " WHERE ?1 IS NULL OR " + key +
                 ">?1 ORDER BY " + key + " LIMIT 1");
  Statement queue(
      "INSERT INTO __operations(sequence,tableName,itemId,kind,state,changes,attempts,"
      "queuedAt) VALUES(?1,?2,?3,0,0,1,0,CAST(strftime('%s','now') AS INTEGER))");
  Statement point("UPDATE " + name +
                  " SET id=?2,__op=?3,createdAt=NULL,updatedAt=NULL,version=NULL,"
                  "deleted=NULL WHERE " +
                  key + "=?1");
  for (Statement* statement : {&rows, &queue, &point, &next_sequence_}) HF_TRY(Ready(*statement));
  HF_TRY(next_sequence_.Step());
  std::int64_t sequence = next_sequence_.Integer(0);
  next_sequence_.Reset();
  rows.BindNull(1);
  std::string last, id;
  for (;; ++sequence) {
    HF_TRY_ASSIGN(const bool more, rows.Step());
    if (!more) return Ok();
    const std::int64_t row = rows.Integer(0);
    id = std::string(rows.Text(1));
    if (rows.IsNull(1)) {
      char digits[24];
      (void)std::snprintf(digits, sizeof digits, "-%08llx",
                          static_cast<unsigned long long>(sequence));
      id = std::string(id_prefix_.view()) + digits;
    }
    rows.Reset();
    queue.Bind(1, sequence);
    queue.Bind(2, shape.name);
    queue.Bind(3, id);
    HF_TRY(RunReady(queue));
    point.Bind(2, id);
    point.Bind(3, sequence);
    if (shape.row_key.empty()) {
      last = id;
      point.Bind(1, last);
      rows.Bind(1, last);
    } else {
      point.Bind(1, row);
      rows.Bind(1, row);
    }
    HF_TRY(RunReady(point));
  }
}

Result<const Table*> SqliteStore::DefineTable(const TableSpec& spec) {
  HF_ASSERT(open_ == Open::kNone);
  why_.clear();
  if (spec.name.empty() || spec.name.size() > limits::kTableNameBytes ||
      spec.name.starts_with("__") || EqualsIgnoreCase(spec.name.substr(0, 7), "sqlite_")) {
    return Refuse(Code::kInvalidArgument, "no name for a synced table", spec.name);
  }
  for (const Column& column : spec.columns) {
    if (spec.adopt) break;
    if (IsSystemColumn(column.name.view()) || column.name.empty() ||
        column.name.view().starts_with("__")) {
      return Refuse(Code::kInvalidArgument, "no name for a column", column.name.view());
    }
  }
  // Nothing is written when the table is as it should be, as on nearly every start; so somebody's
  // long transaction holds nobody up. If there is something to write and the table changed while
  // it was looked at, it is looked at again, alone.
  auto defined = Define(spec, Transaction::Lock::kWhenNeeded);
  if (!defined && defined.error().code == Code::kBusy) return Define(spec, Transaction::Lock::kNow);
  return defined;
}

Result<const Table*> SqliteStore::Define(const TableSpec& spec, Transaction::Lock lock) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast, lock));
  PhysicalTable physical;
  HF_TRY(Inspect(spec.name, physical));
  if (!physical.exists) {
    if (spec.adopt) return Refuse(Code::kNotFound, "the table to adopt is not there", spec.name);
    HF_TRY(CreateTable(spec));
  } else {
    if (!physical.has_op && !spec.adopt) {
      return Refuse(Code::kInvalidArgument, "the table exists and is not synced; adopt it",
                    spec.name);
    }
    HF_TRY(AddColumns(spec, physical));
  }
  PhysicalTable after;
  HF_TRY(Inspect(spec.name, after));
  if (after.shape.columns.size() > limits::kColumns) {
    return Refuse(Code::kTooLarge, "too many columns", spec.name);
  }
  std::vector<Column> columns;
  HF_TRY(SettleTypes(spec, columns, after));
  HF_TRY(MakeTriggers(after.shape));
  if (physical.exists && !physical.has_op) HF_TRY(QueueExistingRows(after.shape));

  SqliteTable* table = FindOwn(spec.name);
  if (table == nullptr && tables_.size() == limits::kTables) {
    return Refuse(Code::kTooLarge, "too many synced tables", spec.name);
  }
  HF_TRY(transaction.Commit());
  if (table == nullptr) {
    tables_.push_back(std::make_unique<SqliteTable>(int(tables_.size())));
    table = tables_.back().get();
    views_.push_back(table);
  }
  table->shape = std::move(after.shape);
  table->SetColumns(std::move(columns));
  return static_cast<const Table*>(table);
}

}  // namespace holdfast::store
