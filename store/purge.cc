// SPDX-License-Identifier: Apache-2.0
// Purge: rows leave this device, and nobody else hears of it.
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

// Operations of the rows that `where` chooses; those of rows that are deleted here belong to no
// row, and so only to the purge of the whole table.
std::string OperationsOf(const SqliteTable& table, const std::string& where) {
  std::string sql = " FROM __operations WHERE tableName=" + QuoteText(table.name());
  if (!where.empty()) sql += " AND itemId IN(SELECT id FROM " + table.quoted_name + where + ")";
  return sql;
}

}  // namespace

Result<Purged> SqliteStore::Purge(const Table& table, const query::ParsedFilter* filter,
                                  bool force) {
  const SqliteTable& own = Own(table);
  std::string where;
  query::Parameters parameters;
  HF_TRY(Where(filter, table, where, parameters));
  if (!where.empty()) where = " WHERE " + where;
  const bool whole = where.empty();
  const std::string operations = OperationsOf(own, where);
  const std::string name = QuoteText(own.name());

  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  const auto run = [&](const std::string& sql, bool with_filter) -> Result<std::int64_t> {
    Statement statement(sql);
    HF_TRY(Ready(statement));
    for (std::size_t i = 0; with_filter && i < parameters.count; ++i) {
      statement.Bind(int(i) + 1, parameters.values[i]);
    }
    auto row = statement.Step();
    if (!row) return Explain(row.error());
    return *row ? statement.Integer(0) : std::int64_t{sqlite3_changes(database_)};
  };
  Purged purged;
  HF_TRY_ASSIGN(const std::int64_t queued, run("SELECT count(*)" + operations, true));
  if (queued > 0 && !force) {
    return Error{Code::kPending, Origin::kNone, int(queued),
                 "operations of these rows wait, and would be lost"};
  }
  if (queued > 0) {
    HF_TRY_ASSIGN(const std::int64_t highest, run("SELECT max(sequence)" + operations, true));
    HF_TRY(run("DELETE FROM __errors WHERE id IN(SELECT sequence" + operations + ")", true));
    HF_TRY(run("DELETE" + operations, true));
    HF_TRY(KeepSequence(highest));
    purged.operations = std::uint64_t(queued);
  }
  if (whole) {
    HF_TRY(run("DELETE FROM __shadows WHERE tableName=" + name, false));
    HF_TRY(run("DELETE FROM __missed WHERE tableName=" + name, false));
  }
  HF_TRY_ASSIGN(const std::int64_t rows, run("DELETE FROM " + own.quoted_name + where, true));
  purged.rows = std::uint64_t(rows);
  if (whole || queued > 0) HF_TRY(ForgetDeltaTokens(table));
  HF_TRY(transaction.Commit());
  return purged;
}

}  // namespace holdfast::store
