// SPDX-License-Identifier: Apache-2.0
#include "server/sqlite_rows.h"

#include "hal/base/log.h"
#include "hal/base/text.h"
#include "transport/wire.h"

namespace holdfast::server {
namespace {

// Values that were conformed, and the strings of filters; both are bounded by what came in.
constexpr std::size_t kScratchBytes = 2 * limits::kRowBytes + (64u << 10);
// Values longer than this have a buffer of their own: a row may have many, and each be long.
constexpr std::size_t kLongValueBytes = 16u << 10;
static_assert(limits::kColumns * kLongValueBytes <= kScratchBytes);
// Rows whose values are shorter are not large, even when each byte is six as JSON.
constexpr std::size_t kSurelySmallBytes = limits::kRowBytes / 8;

std::string_view KindOf(ColumnType type) {
  switch (type) {
    case ColumnType::kText: return "text";
    case ColumnType::kInteger: return "integers";
    case ColumnType::kReal: return "numbers";
    case ColumnType::kBoolean: return "true or false";
    case ColumnType::kDatetime: return "dates";
    case ColumnType::kBlob: return "base64";
    case ColumnType::kAny: break;
  }
  return "any value";
}

bool Holds(ColumnType type, const Value& value) {
  switch (type) {
    case ColumnType::kText: return value.type == ValueType::kText;
    case ColumnType::kInteger: return value.type == ValueType::kInteger;
    case ColumnType::kReal:
      return value.type == ValueType::kReal || value.type == ValueType::kInteger;
    case ColumnType::kBoolean: return value.type == ValueType::kBoolean;
    case ColumnType::kDatetime:
      return value.type == ValueType::kText && ParseTimestamp(value.text).has_value();
    case ColumnType::kBlob: return value.type == ValueType::kBlob;
    case ColumnType::kAny: break;
  }
  return true;
}

ColumnType TypeOf(const Value& value) {
  switch (value.type) {
    case ValueType::kNull: return ColumnType::kAny;
    case ValueType::kInteger:
    case ValueType::kReal: return ColumnType::kReal;
    case ValueType::kBoolean: return ColumnType::kBoolean;
    case ValueType::kText: return ColumnType::kText;
    case ValueType::kBlob: return ColumnType::kBlob;
  }
  return ColumnType::kAny;
}

void Require(int code, int expected, const Database& database) {
  if (code != expected) throw StorageError(code, database.message());
}

void Execute(Statement& statement, const Database& database) {
  const int code = statement.Step();
  statement.Reset();
  Require(code, SQLITE_DONE, database);
}

}  // namespace

SqliteRows::SqliteRows(const std::string& path, const SchemaFile& schema, ChangeClock::Now now)
    : database_(path),
      clock_(now),
      scratch_(new char[kScratchBytes]),
      arena_({scratch_.get(), kScratchBytes}),
      filter_(new query::ParsedFilter),
      parameters_(new query::Parameters) {
  Declare(schema);
  FindLastMoment();
  begin_ = database_.Prepare("BEGIN IMMEDIATE");
  commit_ = database_.Prepare("COMMIT");
  savepoint_ = database_.Prepare("SAVEPOINT one");
  release_ = database_.Prepare("RELEASE one");
  PrepareBulk();
}

SqliteRows::~SqliteRows() = default;

void SqliteRows::Apply(std::span<Write* const> writes) {
  try {
    ApplyInTransaction(writes);
  } catch (const StorageError& error) {
    Log(LogLevel::kError, "storage: %s", error.what());
    for (Write* write : writes) {
      write->outcome = Outcome::kFailed;
      write->reason = "the server cannot store rows at the moment";
    }
    try {
      if (database_.in_transaction()) database_.Run("ROLLBACK");
      if (catalog_changed_) LoadCatalog();
    } catch (const StorageError& second) {
      Log(LogLevel::kError, "storage: %s", second.what());
    }
  }
}

void SqliteRows::ApplyInTransaction(std::span<Write* const> writes) {
  const bool alone = writes.size() == 1;
  bool anything = false;
  hard_deleted_ = false;
  server::Execute(begin_, database_);
  for (Write* write : writes) {
    if (!alone) server::Execute(savepoint_, database_);
    ApplyOne(*write);
    if (write->outcome == Outcome::kDone) {
      anything = true;
    } else if (!alone) {
      database_.Run("ROLLBACK TO one");
      if (catalog_changed_) LoadCatalog();
    }
    if (!alone) server::Execute(release_, database_);
  }
  if (!anything) {
    database_.Run("ROLLBACK");
    if (catalog_changed_) LoadCatalog();
    return;
  }
  if (hard_deleted_) {
    database_.Run("INSERT OR REPLACE INTO __meta VALUES('last_moment'," +
                  std::to_string(clock_.last()) + ")");
  }
  server::Execute(commit_, database_);
  catalog_changed_ = false;
}

void SqliteRows::ApplyOne(Write& write) {
  arena_.Reset();
  long_values_.clear();
  Table* table = Find(write.table);
  if (table == nullptr && write.change == Change::kInsert && grow_tables_) {
    if (tables_.size() >= limits::kTables) {
      write.outcome = Outcome::kRefused;
      write.reason = "this server has as many tables as it may have";
      return;
    }
    TableSchema schema;
    schema.name = write.table;
    table = &Create(schema);
  }
  write.outcome = table == nullptr ? Outcome::kNoTable : Execute(write, *table);
  long_values_.clear();
  if (write.outcome == Outcome::kDone && write.witness != nullptr) write.witness->OnDone();
}

bool SqliteRows::Takes(std::string_view table, bool make) {
  return Find(table) != nullptr || (make && grow_tables_ && tables_.size() < limits::kTables);
}

Outcome SqliteRows::Execute(Write& write, Table& table) {
  switch (write.change) {
    case Change::kInsert: return Insert(write, table);
    case Change::kUpdate:
    case Change::kReplace: return Modify(write, table);
    case Change::kDelete:
    case Change::kUndelete: return Delete(write, table);
  }
  return Outcome::kFailed;
}

void SqliteRows::Stamp(Statement& statement, int moment_index, int version_index) {
  const std::int64_t moment = together_ ? clock_.Following() : clock_.Next();
  moment_text_ = ChangeClock::TextOf(moment);
  version_text_ = ChangeClock::VersionOf(moment);
  statement.Bind(moment_index, moment_text_.view());
  statement.Bind(version_index, version_text_);
}

Outcome SqliteRows::Insert(Write& write, Table& table) {
  if (!FitColumns(write, table)) return Outcome::kRefused;
  Statement& insert = table.insert;
  insert.Bind(1, write.id);
  Stamp(insert, 2, 3);
  for (std::size_t i = 0; i < table.schema.columns.size(); ++i) {
    if (fitted_.given >> i & 1) insert.Bind(static_cast<int>(4 + i), fitted_.values[i]);
  }
  server::Execute(insert, database_);
  const bool inserted = database_.changes() == 1;
  if (inserted && write.quiet) return Outcome::kDone;
  if (!inserted) write.large = true;
  if (!Present(write, table)) return Outcome::kTooLarge;
  return inserted ? Outcome::kDone : Outcome::kExists;
}

// The row that table.select stands on is not the one that the client thinks it changes.
bool SqliteRows::Stale(const Write& write, Table& table) {
  const std::string_view version = table.select.Text(table.version());
  const std::string_view updated_at = table.select.Text(table.updated_at());
  return !write.conditions.Met(version, updated_at) || write.conditions.Known(version, updated_at);
}

// Whether the row that table.select stands on is too long for the sink: it may then stay so long.
bool SqliteRows::IsLarge(Write& write, Table& table) {
  std::size_t bytes = 0;
  for (int i = 0; i <= table.deleted(); ++i) bytes += table.select.Bytes(i);
  return bytes > kSurelySmallBytes && !Emit(table, table.select, *write.sink).ok();
}

// Gives the row as it is to the sink. False: the sink could not take it.
bool SqliteRows::Present(Write& write, Table& table) {
  ResetAtEnd reset(table.select);
  table.select.Bind(1, write.id);
  Require(table.select.Step(), SQLITE_ROW, database_);
  return Emit(table, table.select, *write.sink).ok();
}

Outcome SqliteRows::Modify(Write& write, Table& table) {
  {
    ResetAtEnd reset(table.select);
    table.select.Bind(1, write.id);
    if (table.select.Step() != SQLITE_ROW) return Outcome::kMissing;
    if (table.select.Integer(table.deleted()) != 0 && !write.revive) return Outcome::kGone;
    if (Stale(write, table)) {
      write.large = true;
      return Emit(table, table.select, *write.sink) ? Outcome::kStale : Outcome::kTooLarge;
    }
    if (!write.large) write.large = IsLarge(write, table);
  }
  if (!FitColumns(write, table)) return Outcome::kRefused;
  const bool all = write.change == Change::kReplace;
  if (fitted_.given != 0 || all || write.revive) {
    Statement& update = UpdateOf(table, fitted_.given, all);
    update.Bind(1, write.id);
    Stamp(update, 2, 3);
    int index = 4;
    for (std::size_t i = 0; i < table.schema.columns.size(); ++i) {
      const bool given = fitted_.given >> i & 1;
      if (given) update.Bind(index, fitted_.values[i]);
      if (given || all) ++index;
    }
    server::Execute(update, database_);
  }
  return Present(write, table) ? Outcome::kDone : Outcome::kTooLarge;
}

// A row that is modified is not deleted afterwards: either it was not before, or it is revived.
Statement& SqliteRows::UpdateOf(Table& table, std::uint64_t mask, bool all) {
  if (all) mask = ~std::uint64_t{0};
  const auto found = table.updates.find(mask);
  if (found != table.updates.end()) return found->second;
  if (table.updates.size() >= 64) table.updates.clear();
  std::string sql =
      "UPDATE " + Quoted(table.schema.name) + " SET updatedAt=?2,version=?3,deleted=0";
  int index = 4;
  for (std::size_t i = 0; i < table.schema.columns.size(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    sql += "," + Quoted(table.schema.columns[i].name) + "=?" + std::to_string(index++);
  }
  return table.updates[mask] = database_.Prepare(sql + " WHERE id=?1");
}

Outcome SqliteRows::Delete(Write& write, Table& table) {
  const bool undelete = write.change == Change::kUndelete;
  write.large = true;  // it does not grow
  {
    ResetAtEnd reset(table.select);
    table.select.Bind(1, write.id);
    if (table.select.Step() != SQLITE_ROW) return Outcome::kMissing;
    if (table.select.Integer(table.deleted()) != 0 && !undelete) return Outcome::kGone;
    const bool stale = Stale(write, table);
    if (stale || (table.schema.hard_delete && !undelete)) {
      if (!Emit(table, table.select, *write.sink)) return Outcome::kTooLarge;
    }
    if (stale) return Outcome::kStale;
  }
  const bool hard = table.schema.hard_delete && !undelete;
  Statement& change = hard ? table.hard_delete : undelete ? table.undelete : table.soft_delete;
  change.Bind(1, write.id);
  if (!hard) Stamp(change, 2, 3);
  server::Execute(change, database_);
  hard_deleted_ = hard_deleted_ || hard;
  if (hard) return Outcome::kDone;
  return Present(write, table) ? Outcome::kDone : Outcome::kTooLarge;
}

// Sorts the fields of a write into fitted_, and lets the table grow the columns it lacks.
bool SqliteRows::FitColumns(Write& write, Table& table) {
  fitted_.given = 0;
  const std::size_t before = table.schema.columns.size();
  std::size_t hint = 0;
  for (const Field& field : write.fields) {
    if (IsSystemColumn(field.name)) continue;
    int index = table.schema.IndexOf(field.name, hint);
    if (index < 0) {
      const std::string name(field.name);
      if (!CheckName(name)) {
        write.reason =
            "a member's name cannot be a column's name: a letter, then letters, digits "
            "and _, at most 64, not beginning with __ or sqlite_";
        return false;
      }
      if (!table.schema.grow || table.schema.columns.size() >= limits::kColumns) {
        write.reason = "table " + table.schema.name + " has no column " + name +
                       (table.schema.grow ? " and no room for more" : "");
        return false;
      }
      index = static_cast<int>(table.schema.columns.size());
      AddColumn(table, {name, ColumnType::kAny, false});
    }
    const auto column = static_cast<std::size_t>(index);
    hint = column + 1;
    Value value = field.value;
    if (!FitValue(write, table, column, value)) return false;
    fitted_.values[column] = value;
    fitted_.given |= std::uint64_t{1} << column;
  }
  if (table.schema.columns.size() != before) Prepare(table);
  return true;
}

bool SqliteRows::FitValue(Write& write, Table& table, std::size_t index, Value& value) {
  if (value.is_null()) return true;
  const Column& column = table.schema.columns[index];
  if (column.type == ColumnType::kAny && !column.declared) {
    SetType(table, index, TypeOf(value));
  }
  // A column that grew takes what comes, with one exception: 0 and 1 stand for false and true in a
  // column of booleans, so another number there would come back as something else.
  const bool number = value.type == ValueType::kInteger || value.type == ValueType::kReal;
  if (column.declared || (column.type == ColumnType::kBoolean && number)) {
    const bool is_long = value.text.size() > kLongValueBytes;
    if (is_long) long_values_.emplace_back(new char[value.text.size()]);
    Arena own({is_long ? long_values_.back().get() : nullptr, is_long ? value.text.size() : 0});
    if (!wire::Conform(column.type, is_long ? own : arena_, value) || !Holds(column.type, value)) {
      write.reason = "column " + column.name + " of table " + table.schema.name + " holds " +
                     std::string(KindOf(column.type));
      return false;
    }
  }
  return true;
}

Result<void> SqliteRows::Emit(Table& table, Statement& row, RowSink& sink) {
  RowFields fields;
  HF_TRY(fields.Add(kId, ColumnType::kText, row.Read(0, ColumnType::kText)));
  int index = 1;
  for (const Column& column : table.schema.columns) {
    HF_TRY(fields.Add(column.name, column.type, row.Read(index, column.type)));
    ++index;
  }
  HF_TRY(fields.Add(kCreatedAt, ColumnType::kDatetime, Value::Text(row.Text(index))));
  HF_TRY(fields.Add(kUpdatedAt, ColumnType::kDatetime, Value::Text(row.Text(index + 1))));
  HF_TRY(fields.Add(kVersion, ColumnType::kText, Value::Text(row.Text(index + 2))));
  HF_TRY(fields.Add(kDeleted, ColumnType::kBoolean, Value::Boolean(row.Integer(index + 3) != 0)));
  return sink.OnRow(fields.view());
}

std::string SqliteRows::Newest() const {
  if (clock_.last() <= ChangeClock::kEpoch) return "";
  return std::string(ChangeClock::TextOf(clock_.last()).view());
}

}  // namespace holdfast::server
