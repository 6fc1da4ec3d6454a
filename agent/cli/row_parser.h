// SPDX-License-Identifier: Apache-2.0
// agent/cli/row_parser.h - one record of input into a row that fits its table.
//
// Purpose: `record` and `put` refuse a value that is not what its column holds, by name and before
//          it is in the table. SQLite would store it as it comes, and a server would refuse it
//          weeks later. System columns but `id` are dropped, so that what `get` prints can be put
//          back.
// Owner:   rows borrow the record and the parser's buffers until the next Parse.
// Threads: one.
// Errors:  kInvalidArgument; why() is a sentence for a person.
#ifndef HOLDFAST_AGENT_CLI_ROW_PARSER_H_
#define HOLDFAST_AGENT_CLI_ROW_PARSER_H_

#include <array>
#include <memory>
#include <span>
#include <string_view>

#include "agent/cli/csv.h"
#include "hal/base/arena.h"
#include "hal/base/row.h"
#include "store/store.h"

namespace holdfast::agent {

class RowParser {
 public:
  // `any_columns`: names that the table does not have are let through (the server's may).
  RowParser(const store::Table& table, bool any_columns);

  Result<RowView> ParseJson(std::string_view json);
  // The header first, once; then rows.
  Result<void> ParseCsvHeader(std::span<char> record);
  Result<RowView> ParseCsv(std::span<char> record);

  // Of the row that was parsed last; empty when it has none.
  std::string_view id() const { return id_; }
  std::string_view version() const { return version_; }
  const char* why() const { return why_; }

 private:
  struct Column {
    std::string_view name;  // the table's own text
    ColumnType type = ColumnType::kAny;
    bool known = false;
  };

  Column FindColumn(std::string_view name) const;
  Result<void> AddField(const Column& column, std::string_view name, Value value);
  Result<void> Fit(const Column& column, std::string_view name, Value& value);
  void Reset();
  [[gnu::format(printf, 2, 3)]] Error Refuse(const char* format, ...);

  const store::Table& table_;
  bool any_columns_;
  std::unique_ptr<char[]> arena_bytes_;
  Arena arena_;
  RowFields decoded_, row_;
  // What stood at this place in the row before: rows of one source name their columns in one order.
  std::array<Column, limits::kColumns + 5> guess_{};
  std::array<CsvField, limits::kColumns + 5> csv_fields_;
  std::array<Column, limits::kColumns + 5> csv_columns_{};
  std::size_t csv_count_ = 0;
  std::string_view id_, version_;
  char why_[320] = {};
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_ROW_PARSER_H_
