// SPDX-License-Identifier: Apache-2.0
// agent/cli/csv.h - one record of CSV (RFC 4180) into fields, and fields into values.
//
// Purpose: what spreadsheets and loggers write can be recorded as it is. RecordReader has found
//          where the record ends; quotes are taken off in place, so nothing is copied.
// Owner:   fields borrow the record.
// Threads: any; no state.
// Errors:  kInvalidArgument: quoting that RecordReader would not have let through, a value that is
//          not what its column holds. kTooLarge: more fields than room.
#ifndef HOLDFAST_AGENT_CLI_CSV_H_
#define HOLDFAST_AGENT_CLI_CSV_H_

#include <span>
#include <string_view>

#include "hal/base/result.h"
#include "hal/base/row.h"

namespace holdfast::agent {

struct CsvField {
  std::string_view text;
  bool quoted = false;
};

Result<std::size_t> SplitCsv(std::span<char> record, std::span<CsvField> fields);

// Empty is null; only a quoted empty field of a text column is an empty text. Dates and blobs stay
// text here: wire::Conform() makes them what they are.
Result<Value> CsvValue(ColumnType type, const CsvField& field);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_CSV_H_
