// SPDX-License-Identifier: Apache-2.0
// Reading: one row, and pages of rows.
#include <algorithm>
#include <utility>

#include "hal/base/text.h"
#include "server/sqlite_rows.h"

namespace holdfast::server {
namespace {

constexpr std::size_t kSqlBytes = 32u << 10;
constexpr std::size_t kCachedLists = 64;
constexpr std::string_view kByMoment = "\"updatedAt\" ASC";

std::string Place(const char* option, const query::QueryError& error) {
  return std::string(option) + ": column " + std::to_string(error.column) + ": " +
         (error.what == nullptr ? "not understood" : error.what);
}

}  // namespace

// What a list becomes: "FROM .. WHERE .." serves the page and the count, `after` the page only.
struct SqliteRows::ListSql {
  std::string columns, from, after, order;
  bool by_moment = false;  // the order is that of changes, and a page can begin at one of them
  struct Output {
    std::string_view name;
    ColumnType type;
  };
  std::vector<Output> outputs;
};

class SqliteRows::TableColumns : public query::Columns {
 public:
  explicit TableColumns(const TableSchema& schema) : schema_(schema) {}

  std::optional<query::ColumnInfo> Lookup(std::string_view name) const override {
    if (EqualsIgnoreCase(name, kCreatedAt) || EqualsIgnoreCase(name, kUpdatedAt)) {
      return query::ColumnInfo{ColumnType::kDatetime, 6};
    }
    if (EqualsIgnoreCase(name, kId) || EqualsIgnoreCase(name, kVersion)) {
      return query::ColumnInfo{ColumnType::kText, 3};
    }
    if (EqualsIgnoreCase(name, kDeleted)) return query::ColumnInfo{ColumnType::kBoolean, 3};
    const int index = schema_.IndexOf(name);
    if (index < 0) return std::nullopt;
    const Column& column = schema_.columns[static_cast<std::size_t>(index)];
    // A column that grew may hold dates as text; only a declared one is known not to.
    const bool open = !column.declared && column.type == ColumnType::kText;
    return query::ColumnInfo{open ? ColumnType::kAny : column.type, 3};
  }

 private:
  const TableSchema& schema_;
};

Outcome SqliteRows::Lookup(std::string_view name, std::string_view id, bool include_deleted,
                           RowSink& sink) {
  Table* table = Find(name);
  if (table == nullptr) return grow_tables_ ? Outcome::kMissing : Outcome::kNoTable;
  ResetAtEnd reset(table->select);
  table->select.Bind(1, id);
  const int code = table->select.Step();
  if (code == SQLITE_DONE) return Outcome::kMissing;
  if (code != SQLITE_ROW) return Outcome::kFailed;
  if (table->select.Integer(table->deleted()) != 0 && !include_deleted) return Outcome::kGone;
  return Emit(*table, table->select, sink) ? Outcome::kDone : Outcome::kFailed;
}

ListResult SqliteRows::List(const ListQuery& query, RowSink& sink) {
  ListResult result;
  arena_.Reset();
  Table* table = Find(query.table);
  ListSql sql;
  // A table that nobody has written to yet is empty, but what is asked of it has to make sense.
  if (table == nullptr) {
    query::QueryError error;
    if (!query::ParseFilter(query.filter, arena_, *filter_, error)) {
      result.outcome = Outcome::kRefused;
      result.reason = Place("$filter", error);
    } else {
      result.outcome = grow_tables_ ? Outcome::kDone : Outcome::kNoTable;
      if (query.count) result.count = 0;
    }
    return result;
  }
  if (!BuildList(query, *table, sql, result.reason)) {
    result.outcome = Outcome::kRefused;
    return result;
  }
  Statement* statement = Cached("SELECT " + sql.columns + ",updatedAt" + sql.from + sql.after +
                                sql.order + " LIMIT ? OFFSET ?");
  if (statement == nullptr) {
    result.outcome = Outcome::kRefused;
    result.reason = std::string("the query cannot be run: ") + database_.message();
    return result;
  }
  ReadPage(query, sql, *statement, sink, result);
  if (query.count && result.outcome == Outcome::kDone && !CountMatches(sql, result)) {
    result.outcome = Outcome::kFailed;
  }
  return result;
}

bool SqliteRows::BuildList(const ListQuery& query, Table& table, ListSql& sql,
                           std::string& reason) {
  const TableColumns columns(table.schema);
  query::QueryError error;
  const auto text = std::make_unique<char[]>(kSqlBytes);
  TextWriter where({text.get(), kSqlBytes});
  parameters_->count = 0;
  if (!query::ParseFilter(query.filter, arena_, *filter_, error) ||
      !query::AppendWhere(*filter_, columns, arena_, where, *parameters_, error)) {
    reason = Place("$filter", error);
    return false;
  }
  sql.from = " FROM " + Quoted(table.schema.name);
  const char* word = " WHERE ";
  if (!query.include_deleted) {
    sql.from += " WHERE deleted=0";
    word = " AND ";
  }
  if (!where.view().empty()) {
    sql.from += word + ("(" + std::string(where.view()) + ")");
    word = " AND ";
  }
  // updatedAt is unique, so it ends every order and makes it total.
  TextWriter order({text.get(), kSqlBytes});
  if (!query.order.empty() && !query::AppendOrderBy(query.order, columns, order, error)) {
    reason = Place("$orderby", error);
    return false;
  }
  sql.order = " ORDER BY " + std::string(order.view());
  if (order.view().find("\"updatedAt\"") == std::string_view::npos) {
    sql.order += std::string(order.view().empty() ? "" : ",") + "updatedAt";
  }
  // A row that changes moves to the end of this order and lets those behind it move up, so that a
  // number of rows to skip would pass over one that nobody has seen. A moment does not.
  sql.by_moment = order.view().empty() || order.view().starts_with(kByMoment);
  if (sql.by_moment && !query.after.empty()) sql.after = word + std::string("updatedAt>?");
  return SelectedColumns(query, table, sql, reason);
}

bool SqliteRows::SelectedColumns(const ListQuery& query, Table& table, ListSql& sql,
                                 std::string& reason) {
  // A column that is asked for twice is answered once: an object has each member once.
  const auto add = [&](std::string_view name, ColumnType type) {
    for (const ListSql::Output& output : sql.outputs) {
      if (output.name == name) return;
    }
    sql.columns += (sql.columns.empty() ? "" : ",") + Quoted(name);
    sql.outputs.push_back({name, type});
  };
  static constexpr std::pair<std::string_view, ColumnType> kSystem[] = {
      {kId, ColumnType::kText},
      {kCreatedAt, ColumnType::kDatetime},
      {kUpdatedAt, ColumnType::kDatetime},
      {kVersion, ColumnType::kText},
      {kDeleted, ColumnType::kBoolean}};
  const auto all = [&] {
    add(kId, ColumnType::kText);
    for (const Column& column : table.schema.columns) add(column.name, column.type);
    for (const auto& [name, type] : kSystem) add(name, type);
  };
  if (query.select.empty()) {
    all();
    return true;
  }
  std::string_view rest = query.select;
  while (true) {
    const std::size_t comma = rest.find(',');
    std::string_view name = rest.substr(0, comma);
    while (!name.empty() && name.front() == ' ') name.remove_prefix(1);
    while (!name.empty() && name.back() == ' ') name.remove_suffix(1);
    const int index = table.schema.IndexOf(name);
    if (name == "*") {
      all();
    } else if (index >= 0) {
      const Column& column = table.schema.columns[static_cast<std::size_t>(index)];
      add(column.name, column.type);
    } else if (const auto* system = std::find_if(
                   std::begin(kSystem), std::end(kSystem),
                   [&](const auto& entry) { return EqualsIgnoreCase(name, entry.first); });
               system != std::end(kSystem)) {
      add(system->first, system->second);
    } else {
      reason = "$select: " + (CheckName(name) ? "no column " + std::string(name)
                                              : std::string("a list of columns is expected"));
      return false;
    }
    if (comma == std::string_view::npos) return true;
    rest.remove_prefix(comma + 1);
  }
}

Statement* SqliteRows::Cached(const std::string& sql) {
  const auto found = list_cache_.find(sql);
  if (found != list_cache_.end()) return &found->second;
  if (list_cache_.size() >= kCachedLists) list_cache_.clear();
  Statement statement = database_.TryPrepare(sql);
  if (!statement) return nullptr;
  return &(list_cache_[sql] = std::move(statement));
}

void SqliteRows::ReadPage(const ListQuery& query, ListSql& sql, Statement& statement, RowSink& sink,
                          ListResult& result) {
  ResetAtEnd reset(statement);
  int index = 0;
  for (std::size_t i = 0; i < parameters_->count; ++i) {
    statement.Bind(++index, parameters_->values[i]);
  }
  const bool after = !sql.after.empty();
  if (after) statement.Bind(++index, query.after);
  statement.Bind(++index, std::int64_t{query.top} + 1);
  statement.Bind(++index, after ? 0 : static_cast<std::int64_t>(query.skip));
  int code = SQLITE_DONE;
  while ((code = statement.Step()) == SQLITE_ROW) {
    if (result.rows == query.top) {
      result.more = true;
      return;
    }
    RowFields fields;
    for (std::size_t i = 0; i < sql.outputs.size(); ++i) {
      const ListSql::Output& output = sql.outputs[i];
      const Value value = statement.Read(static_cast<int>(i), output.type);
      if (!fields.Add(output.name, output.type, value)) break;  // outputs fit: SelectedColumns()
    }
    if (const auto taken = sink.OnRow(fields.view()); !taken) {
      result.more = taken.error().code == Code::kCancelled;
      if (!result.more) result.outcome = Outcome::kFailed;
      return;
    }
    ++result.rows;
    if (sql.by_moment) result.last = statement.Text(static_cast<int>(sql.outputs.size()));
  }
  if (code == SQLITE_DONE) return;
  // What goes wrong while values are computed is the query's fault; the rest is the disk's.
  result.outcome = (code & 0xff) == SQLITE_ERROR || (code & 0xff) == SQLITE_TOOBIG
                       ? Outcome::kRefused
                       : Outcome::kFailed;
  result.reason = std::string("the query cannot be run: ") + database_.message();
}

bool SqliteRows::CountMatches(const ListSql& sql, ListResult& result) {
  Statement* statement = Cached("SELECT count(*)" + sql.from);
  if (statement == nullptr) return false;
  ResetAtEnd reset(*statement);
  for (std::size_t i = 0; i < parameters_->count; ++i) {
    statement->Bind(static_cast<int>(i) + 1, parameters_->values[i]);
  }
  if (statement->Step() != SQLITE_ROW) return false;
  result.count = statement->Integer(0);
  return true;
}

}  // namespace holdfast::server
