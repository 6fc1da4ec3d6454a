// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/row_parser.h"

#include <algorithm>
#include <cstdarg>
#include <cstdio>

#include "hal/base/timestamp.h"
#include "transport/wire.h"

namespace holdfast::agent {
namespace {

// The JSON tree of one row, or its blobs; cJSON's nodes take more room than its text.
constexpr std::size_t kArenaBytes = limits::kRowBytes + (512 << 10);

int Width(std::string_view text, std::size_t at_most) {
  return int(std::min(text.size(), at_most));
}

// Whether the store may have it; after wire::Conform(), which has made the best of it.
bool Fits(ColumnType type, const Value& value) {
  if (value.is_null()) return true;
  switch (type) {
    case ColumnType::kAny: return true;
    case ColumnType::kText: return value.type == ValueType::kText;
    case ColumnType::kInteger: return value.type == ValueType::kInteger;
    case ColumnType::kReal:
      return value.type == ValueType::kReal || value.type == ValueType::kInteger;
    case ColumnType::kBoolean:
      return value.type == ValueType::kBoolean ||
             (value.type == ValueType::kInteger && (value.integer == 0 || value.integer == 1));
    case ColumnType::kDatetime:
      return value.type == ValueType::kText && ParseTimestamp(value.text).has_value();
    case ColumnType::kBlob: return value.type == ValueType::kBlob;
  }
  return false;
}

const char* Wanted(ColumnType type) {
  switch (type) {
    case ColumnType::kAny: return "a value";
    case ColumnType::kText: return "a text";
    case ColumnType::kInteger: return "an integer";
    case ColumnType::kReal: return "a number";
    case ColumnType::kBoolean: return "true or false";
    case ColumnType::kDatetime: return "a date like 2026-11-23T06:11:29.123Z";
    case ColumnType::kBlob: return "base64";
  }
  return "a value";
}

void Print(const Value& value, TextWriter& out) {
  switch (value.type) {
    case ValueType::kNull: out.Put("null"); break;
    case ValueType::kInteger: out.PutInteger(value.integer); break;
    case ValueType::kReal: out.PutReal(value.real); break;
    case ValueType::kBoolean: out.Put(value.integer != 0 ? "true" : "false"); break;
    case ValueType::kText: wire::EncodeString(value.text.substr(0, 40), out); break;
    case ValueType::kBlob: out.Put("bytes"); break;
  }
}

}  // namespace

RowParser::RowParser(const store::Table& table, bool any_columns)
    : table_(table),
      any_columns_(any_columns),
      arena_bytes_(new char[kArenaBytes]),
      arena_({arena_bytes_.get(), kArenaBytes}) {}

Error RowParser::Refuse(const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(why_, sizeof why_, format, arguments);
  va_end(arguments);
  return {Code::kInvalidArgument, Origin::kNone, 0, "the record is no row of this table"};
}

void RowParser::Reset() {
  arena_.Reset();
  decoded_.clear();
  row_.clear();
  id_ = version_ = {};
  why_[0] = '\0';
}

RowParser::Column RowParser::FindColumn(std::string_view name) const {
  for (const std::string_view system : {kId, kCreatedAt, kUpdatedAt, kVersion, kDeleted}) {
    if (EqualsIgnoreCase(name, system)) return {system, ColumnType::kText, true};
  }
  for (const store::Column& column : table_.columns()) {
    if (EqualsIgnoreCase(name, column.name.view())) return {column.name.view(), column.type, true};
  }
  return {};
}

Result<void> RowParser::Fit(const Column& column, std::string_view name, Value& value) {
  const Value given = value;
  HF_TRY(wire::Conform(column.type, arena_, value));
  if (Fits(column.type, value)) return Ok();
  char shown[300];
  TextWriter text({shown, sizeof shown - 1});
  Print(given, text);
  return Refuse("%.*s: %s is needed (got %.*s)", Width(name, 64), name.data(), Wanted(column.type),
                int(text.view().size()), text.view().data());
}

Result<void> RowParser::AddField(const Column& column, std::string_view name, Value value) {
  if (!column.known && !any_columns_) {
    const std::string_view table = table_.name();
    return Refuse("%.*s: %.*s has no such column", Width(name, 64), name.data(), int(table.size()),
                  table.data());
  }
  if (!column.known) return row_.Add(name, ColumnType::kAny, value);
  if (column.name == kVersion) {
    if (value.type == ValueType::kText) version_ = value.text;
    return Ok();
  }
  if (column.name == kId) {
    if (value.is_null()) return Ok();
    if (value.type != ValueType::kText) return Refuse("id: a text is needed");
    if (auto checked = CheckId(value.text); !checked) {
      return Refuse("id: %s",
                    checked.error().what != nullptr ? checked.error().what : "not allowed");
    }
    id_ = value.text;
    return row_.Add(kId, ColumnType::kText, value);
  }
  // The others belong to the server.
  if (column.name == kCreatedAt || column.name == kUpdatedAt || column.name == kDeleted)
    return Ok();
  HF_TRY(Fit(column, name, value));
  return row_.Add(column.name, column.type, value);
}

Result<RowView> RowParser::ParseJson(std::string_view json) {
  Reset();
  if (auto decoded = wire::DecodeRow(json, arena_, decoded_); !decoded) {
    const Error& error = decoded.error();
    const char* what = error.what != nullptr ? error.what : "not a JSON object";
    if (error.origin != Origin::kJson) return Refuse("%s", what);
    return Refuse("%s (byte %d of the line)", what, error.native + 1);
  }
  std::size_t place = 0;
  for (const Field& field : decoded_.view()) {
    Column& guess = guess_[place++];
    if (!guess.known || guess.name != field.name) guess = FindColumn(field.name);
    HF_TRY(AddField(guess, field.name, field.value));
  }
  return row_.view();
}

Result<void> RowParser::ParseCsvHeader(std::span<char> record) {
  Reset();
  auto count = SplitCsv(record, csv_fields_);
  if (!count) return Refuse("the header: %s", count.error().what);
  for (std::size_t i = 0; i < *count; ++i) {
    const std::string_view name = csv_fields_[i].text;
    csv_columns_[i] = FindColumn(name);
    if (!csv_columns_[i].known) {
      const std::string_view table = table_.name();
      return Refuse("the header names '%.*s', which is no column of %.*s", Width(name, 64),
                    name.data(), int(table.size()), table.data());
    }
    for (std::size_t j = 0; j < i; ++j) {
      if (csv_columns_[j].name == csv_columns_[i].name) {
        return Refuse("the header names '%.*s' twice", Width(name, 64), name.data());
      }
    }
  }
  csv_count_ = *count;
  return Ok();
}

Result<RowView> RowParser::ParseCsv(std::span<char> record) {
  Reset();
  auto count = SplitCsv(record, csv_fields_);
  if (!count) return Refuse("%s", count.error().what);
  if (*count != csv_count_) {
    return Refuse("%zu fields, the header has %zu", *count, csv_count_);
  }
  for (std::size_t i = 0; i < csv_count_; ++i) {
    const Column& column = csv_columns_[i];
    const std::string_view text = csv_fields_[i].text;
    if (!IsUtf8(text)) return Refuse("%s: not UTF-8", std::string(column.name).c_str());
    auto value = CsvValue(column.type, csv_fields_[i]);
    if (!value) {
      return Refuse("%.*s: '%.*s' %s", int(column.name.size()), column.name.data(), Width(text, 40),
                    text.data(), value.error().what);
    }
    if (column.name == kId && text.empty()) continue;  // made here, as when the column is missing
    HF_TRY(AddField(column, column.name, *value));
  }
  return row_.view();
}

}  // namespace holdfast::agent
