// SPDX-License-Identifier: Apache-2.0
// Local rows, tracked by the triggers like anybody's.
#include <cstdio>

#include "hal/base/text.h"
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

// A million rows in an order that no index has do not fit into memory. What belongs to a write is
// too short to be worth a file.
class SortOnDisk {
 public:
  SortOnDisk(sqlite3* database, bool wanted) : database_(wanted ? database : nullptr) {
    if (database_ != nullptr) (void)Execute(database_, "PRAGMA temp_store=FILE").ok();
  }
  ~SortOnDisk() {
    if (database_ != nullptr) (void)Execute(database_, "PRAGMA temp_store=DEFAULT").ok();
  }
  SortOnDisk(const SortOnDisk&) = delete;
  SortOnDisk& operator=(const SortOnDisk&) = delete;

 private:
  sqlite3* database_;
};

}  // namespace

// The user's columns in `row`. System columns are passed over: they belong to the server.
Result<std::uint64_t> SqliteStore::ProgramColumns(const SqliteTable& table, RowView row) {
  std::uint64_t mask = 0;
  for (const Field& field : row) {
    if (IsSystemColumn(field.name)) continue;
    const int index = IndexOf(table, field.name);
    if (index < 0) return Refuse(Code::kInvalidArgument, "no such column", field.name);
    mask |= std::uint64_t{1} << index;
  }
  return mask;
}

Result<void> SqliteStore::BindColumns(Statement& statement, const SqliteTable& table, RowView row,
                                      std::uint64_t mask, int& next) {
  const auto columns = table.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    const Field* field = holdfast::Find(row, columns[i].name.view());
    statement.Bind(next++, field->value);
  }
  return Ok();
}

// The id that the trigger would make: its operation is the next one, as nobody else can write now.
Result<void> SqliteStore::PredictId(Id& id) {
  if (predicted_ == 0) {
    HF_TRY(Ready(next_sequence_));
    const Using use(next_sequence_);
    HF_TRY(next_sequence_.Step());
    predicted_ = next_sequence_.Integer(0) - 1;
  }
  char digits[24];
  const int size = std::snprintf(digits, sizeof digits, "-%08llx",
                                 static_cast<unsigned long long>(predicted_ + 1));
  HF_TRY(id.Assign(id_prefix_.view()));
  return id.Append({digits, std::size_t(size)});
}

Result<void> SqliteStore::Insert(const Table& table, RowView row, Id& id) {
  HF_TRY_ASSIGN(const std::uint64_t mask, ProgramColumns(Own(table), row));
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kProgram));
  const std::string_view given = FindText(row, kId);
  if (given.empty()) {
    HF_TRY(PredictId(id));
  } else {
    HF_TRY(id.Assign(given));
  }
  if (auto valid = CheckId(id.view()); !valid) {
    return Refuse(Code::kInvalidArgument, valid.error().what, "id");
  }
  HF_TRY_ASSIGN(Statement * statement,
                ForColumns(Own(table), ColumnsStatement::Use::kInsert, mask));
  Statement& insert = *statement;
  insert.Bind(1, id.view());
  int next = 2;
  HF_TRY(BindColumns(insert, Own(table), row, mask, next));
  const std::int64_t expected = predicted_;
  predicted_ = 0;
  HF_TRY(RunReady(insert));
  if (given.empty()) predicted_ = expected + 1;
  return transaction.Commit();
}

Result<void> SqliteStore::Put(const Table& table, RowView row, Id& id) {
  const std::string_view given = FindText(row, kId);
  if (given.empty()) return Insert(table, row, id);
  HF_TRY_ASSIGN(const std::uint64_t mask, ProgramColumns(Own(table), row));
  SqliteTable& own = Own(table);
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kProgram));
  predicted_ = 0;
  HF_TRY(Ready(own.find));
  bool there = false;
  {
    const Using use(own.find);
    own.find.Bind(1, given);
    HF_TRY_ASSIGN(there, own.find.Step());
  }
  if (!there) {
    HF_TRY(Insert(table, row, id));
    return transaction.Commit();
  }
  HF_TRY(id.Assign(given));
  if (mask != 0) {
    HF_TRY_ASSIGN(Statement * statement, ForColumns(own, ColumnsStatement::Use::kUpdate, mask));
    Statement& update = *statement;
    update.Bind(1, given);
    int next = 2;
    HF_TRY(BindColumns(update, own, row, mask, next));
    HF_TRY(RunReady(update));
  }
  return transaction.Commit();
}

Result<bool> SqliteStore::Delete(const Table& table, std::string_view id) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kProgram));
  predicted_ = 0;
  Statement& remove = Own(table).remove;
  HF_TRY(Ready(remove));
  remove.Bind(1, id);
  HF_TRY(RunReady(remove));
  const bool removed = sqlite3_changes(database_) > 0;
  HF_TRY(transaction.Commit());
  return removed;
}

Result<void> SqliteStore::Where(const query::ParsedFilter* filter, const Table& table,
                                std::string& where, query::Parameters& parameters) {
  if (filter == nullptr || filter->root < 0) return Ok();
  scratch_arena_.Reset();
  query::QueryError problem;
  char room[limits::kFilterBytes * 4];
  TextWriter text(room);
  if (auto made = query::AppendWhere(*filter, table, scratch_arena_, text, parameters, problem);
      !made) {
    return ExplainQuery(made.error(), problem);
  }
  HF_TRY(text.Finish());
  where = "(" + std::string(text.view()) + ")";
  return Ok();
}

Error SqliteStore::ExplainQuery(const Error& error, const query::QueryError& problem) {
  why_ = std::string("column ") + std::to_string(problem.column) + ": " +
         (problem.what != nullptr ? problem.what : "the filter cannot be used");
  return error;
}

Result<void> SqliteStore::Read(const Table& table, const ReadQuery& query, RowSink& sink) {
  const SqliteTable& own = Own(table);
  std::string sql = "SELECT id";
  for (const Column& column : own.columns()) sql += "," + QuoteName(column.name.view());
  sql += ",createdAt,updatedAt,version FROM " + own.quoted_name;

  query::Parameters parameters;
  std::string where, passes;
  if (!query.id.empty()) where = "id=?";
  HF_TRY(Where(query.filter, table, passes, parameters));
  if (!passes.empty()) where += (where.empty() ? "" : " AND ") + passes;
  if (!where.empty()) sql += " WHERE " + where;
  if (!query.order_by.empty()) {
    query::QueryError problem;
    char room[limits::kFilterBytes * 4];
    TextWriter text(room);
    if (auto made = query::AppendOrderBy(query.order_by, table, text, problem); !made) {
      return ExplainQuery(made.error(), problem);
    }
    HF_TRY(text.Finish());
    sql += " ORDER BY " + std::string(text.view());
  } else {
    sql += " ORDER BY " + (own.shape.row_key.empty() ? std::string("id") : own.shape.row_key);
  }
  constexpr std::uint64_t kAll = INT64_MAX;
  if (query.top < kAll || query.skip > 0) {
    sql += " LIMIT " + std::to_string(query.top < kAll ? query.top : kAll) + " OFFSET " +
           std::to_string(query.skip < kAll ? query.skip : kAll);
  }
  const SortOnDisk sorted(database_, !query.order_by.empty());
  Statement select(std::move(sql));
  HF_TRY(Ready(select));
  int next = 1;
  if (!query.id.empty()) select.Bind(next++, query.id);
  for (std::size_t i = 0; i < parameters.count; ++i) select.Bind(next++, parameters.values[i]);

  const auto columns = own.columns();
  RowFields row;
  for (;;) {
    auto more = select.Step();
    if (!more) return Explain(more.error());
    if (!*more) return Ok();
    row.clear();
    HF_TRY(row.Add(kId, ColumnType::kText, select.At(0)));
    int at = 1;
    for (const Column& column : columns) {
      HF_TRY(row.Add(column.name.view(), column.type, select.At(at++)));
    }
    for (const std::string_view name : {kCreatedAt, kUpdatedAt, kVersion}) {
      HF_TRY(row.Add(name, ColumnType::kText, select.At(at++)));
    }
    HF_TRY(sink.OnRow(row.view()));
  }
}

}  // namespace holdfast::store
