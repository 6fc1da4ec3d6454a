// SPDX-License-Identifier: Apache-2.0
// hal/base/row.h - a row on its way between SQLite and the wire.
//
// Purpose: the one shape in which store/, transport/ and server/ hand rows to each other, so that
//          none of them has to know the other. A row is a list of named values that borrow memory.
// Owner:   views; the giver says how long they live (a statement's step, an arena's Reset()).
// Units:   datetime values are text, ISO 8601 in UTC, as the wire has them:
//          2026-11-23T06:11:29.123Z. Blobs are raw bytes here and base64 on the wire.
// Shapes:  system columns are ordinary fields by their names: id createdAt updatedAt version
// deleted.
#ifndef HOLDFAST_HAL_BASE_ROW_H_
#define HOLDFAST_HAL_BASE_ROW_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/limits.h"
#include "hal/base/result.h"

namespace holdfast {

// What a column is declared to hold. kAny: not declared (a server's dynamic column).
enum class ColumnType : std::uint8_t { kAny, kText, kInteger, kReal, kBoolean, kDatetime, kBlob };

std::string_view ColumnTypeName(ColumnType type);
std::optional<ColumnType> ColumnTypeFromName(std::string_view name);

// What a value is. Booleans and dates are told apart by the column, except on the wire, where a
// JSON true is kBoolean.
enum class ValueType : std::uint8_t { kNull, kInteger, kReal, kBoolean, kText, kBlob };

struct Value {
  ValueType type = ValueType::kNull;
  union {
    std::int64_t integer;  // kInteger; kBoolean as 0 or 1
    double real;           // kReal; always finite
  };
  std::string_view text;  // kText (UTF-8), kBlob (bytes)

  Value() : integer(0) {}
  static Value Null() { return {}; }
  static Value Integer(std::int64_t v) {
    Value r;
    r.type = ValueType::kInteger;
    r.integer = v;
    return r;
  }
  static Value Real(double v) {
    Value r;
    r.type = ValueType::kReal;
    r.real = v;
    return r;
  }
  static Value Boolean(bool v) {
    Value r;
    r.type = ValueType::kBoolean;
    r.integer = v;
    return r;
  }
  static Value Text(std::string_view v) {
    Value r;
    r.type = ValueType::kText;
    r.text = v;
    return r;
  }
  static Value Blob(std::string_view v) {
    Value r;
    r.type = ValueType::kBlob;
    r.text = v;
    return r;
  }

  bool is_null() const { return type == ValueType::kNull; }
};

// Equal as a server would see it (standards.md 3.2, rule 3): numbers by value, booleans as 0 and 1,
// dates by instant to the millisecond, blobs and base64 text by their bytes, the rest byte by byte.
bool SameValue(ColumnType type, const Value& a, const Value& b);

// Changes whenever SameValue() would, and never otherwise: folds one value into a running 64-bit
// digest (FNV-1a over a canonical form; no defence against an adversary, and needs none).
std::uint64_t DigestValue(std::uint64_t digest, ColumnType type, const Value& value);
inline constexpr std::uint64_t kDigestStart = 14695981039346656037ULL;

struct Field {
  std::string_view name;
  ColumnType type = ColumnType::kAny;
  Value value;
};

using RowView = std::span<const Field>;

// The system columns, in the order in which they are created. They belong to the server.
inline constexpr std::string_view kId = "id";
inline constexpr std::string_view kCreatedAt = "createdAt";
inline constexpr std::string_view kUpdatedAt = "updatedAt";
inline constexpr std::string_view kVersion = "version";
inline constexpr std::string_view kDeleted = "deleted";
// In a list, instead of its values: the row has so many bytes as JSON, and is to be asked for
// alone. No column can have this name.
inline constexpr std::string_view kBytesOfRow = "@bytes";
bool IsSystemColumn(std::string_view name);  // all five; case is ignored, as SQLite does

// nullptr when the row has no such field. Names compare without case, as in SQLite.
const Field* Find(RowView row, std::string_view name);
// The text of a field, or "" when absent or not text.
std::string_view FindText(RowView row, std::string_view name);

// Fixed room for the fields of one row, for those who build rows.
class RowFields {
 public:
  // kTooLarge: more than limits::kColumns + 5 fields.
  Result<void> Add(std::string_view name, ColumnType type, const Value& value);
  void clear() { count_ = 0; }
  RowView view() const { return {fields_.data(), count_}; }
  std::size_t size() const { return count_; }

 private:
  std::array<Field, limits::kColumns + 5> fields_;
  std::size_t count_ = 0;
};

// Takes rows one at a time; the row's views are valid during the call only. An error ends the
// reading and is returned by it.
class RowSink {
 public:
  virtual ~RowSink() = default;
  virtual Result<void> OnRow(RowView row) = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_ROW_H_
