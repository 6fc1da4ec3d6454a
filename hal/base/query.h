// SPDX-License-Identifier: Apache-2.0
// hal/base/query.h - filters and orders: one parser, one SQL generator.
//
// Purpose: `get --where` on the device, `$filter` on the server, and the filter of a pull mean the
//          same, because the same code turns them into SQL. Values become bound parameters, never
//          SQL text.
// Shapes:  the OData subset of protocol.md 6.1 (protocol 2.0) and 6.2 (3.0): comparison,
// and/or/not,
//          add sub mul div mod, the functions listed there, contains(), in (...), datetime'..',
//          datetimeoffset'..', guid'..', cast(..,Edm.*).
// Owner:   a ParsedFilter borrows the text it was parsed from.
// Threads: any; no state.
// Errors:  QueryError: a column (1-based byte position in the text) and what was expected there.
#ifndef HOLDFAST_HAL_BASE_QUERY_H_
#define HOLDFAST_HAL_BASE_QUERY_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "hal/base/text.h"

namespace holdfast::query {

struct QueryError {
  std::size_t column = 0;      // 1-based; 0 when nothing went wrong
  const char* what = nullptr;  // "expected ')'", static text
};

enum class Op : std::uint8_t {
  kLiteral,
  kColumn,
  kOr,
  kAnd,
  kNot,
  kNegate,
  kEq,
  kNe,
  kGt,
  kGe,
  kLt,
  kLe,
  kIn,
  kAdd,
  kSub,
  kMul,
  kDiv,
  kMod,
  kCall,
};

enum class Function : std::uint8_t {
  kNone,
  kDay,
  kMonth,
  kYear,
  kHour,
  kMinute,
  kSecond,
  kFloor,
  kCeiling,
  kRound,
  kToLower,
  kToUpper,
  kLength,
  kTrim,
  kSubstringOf,
  kContains,
  kStartsWith,
  kEndsWith,
  kConcat,
  kIndexOf,
  kReplace,
  kSubstring,
};

struct Node {
  Op op = Op::kLiteral;
  Function function = Function::kNone;
  // kDatetime for datetime'..', datetimeoffset'..', cast(.., Edm.DateTimeOffset) and Edm.Date.
  ColumnType literal_type = ColumnType::kAny;
  Value literal;
  std::string_view name;    // kColumn
  std::size_t column = 0;   // where it stood in the text, for errors found later
  std::int16_t first = -1;  // operands: index of the first, each linked by next
  std::int16_t next = -1;
};

// A syntax tree in fixed room: about 20 KiB, so keep it in a member, not on a small stack.
struct ParsedFilter {
  std::array<Node, limits::kFilterNodes> nodes;
  std::int16_t count = 0;
  std::int16_t root = -1;  // -1: the empty filter, which every row passes
};

// Strings with doubled quotes and dates are unescaped into `arena`.
// kInvalidArgument: see `error`; limits::kFilterDepth and kFilterNodes are errors of that kind too.
Result<void> ParseFilter(std::string_view text, Arena& arena, ParsedFilter& filter,
                         QueryError& error);

// What a name in a filter stands for.
struct ColumnInfo {
  ColumnType type = ColumnType::kAny;
  int date_decimals = 3;  // kDatetime is stored as text with this many decimals, and 'Z'
};
class Columns {
 public:
  virtual ~Columns() = default;
  // nullopt: no such column (an error with the name's position).
  virtual std::optional<ColumnInfo> Lookup(std::string_view name) const = 0;
};

// Bound parameters in order of the '?' that AppendWhere() wrote.
struct Parameters {
  std::array<Value, limits::kFilterNodes> values;
  std::size_t count = 0;
};

// Writes an SQL expression (without WHERE; nothing for the empty filter). Column names are quoted.
// Dates in literals become texts in the form of the column they are compared with. Unknown columns
// and wrong types of operands are errors with a position.
Result<void> AppendWhere(const ParsedFilter& filter, const Columns& columns, Arena& arena,
                         TextWriter& sql, Parameters& parameters, QueryError& error);

// "a, b desc" -> "\"a\" ASC,\"b\" DESC" (without ORDER BY).
Result<void> AppendOrderBy(std::string_view text, const Columns& columns, TextWriter& sql,
                           QueryError& error);

}  // namespace holdfast::query

#endif  // HOLDFAST_HAL_BASE_QUERY_H_
