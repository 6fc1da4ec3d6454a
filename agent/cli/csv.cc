// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/csv.h"

#include "hal/base/text.h"

namespace holdfast::agent {
namespace {

Error Bad(const char* what) { return {Code::kInvalidArgument, Origin::kNone, 0, what}; }

// `at` stands on the opening quote; moves it behind the closing one.
Result<std::string_view> Unquote(std::span<char> record, std::size_t& at) {
  const std::size_t from = ++at;
  std::size_t to = from;
  while (at < record.size()) {
    if (record[at] == '"') {
      if (at + 1 == record.size() || record[at + 1] != '"') {
        ++at;
        return std::string_view(record.data() + from, to - from);
      }
      ++at;
    }
    record[to++] = record[at++];
  }
  return Bad("a quote is not closed");
}

}  // namespace

Result<std::size_t> SplitCsv(std::span<char> record, std::span<CsvField> fields) {
  std::size_t count = 0, at = 0;
  while (true) {
    if (count == fields.size()) {
      return Error{Code::kTooLarge, Origin::kNone, int(fields.size()), "too many fields"};
    }
    CsvField& field = fields[count++];
    field = {};
    if (at < record.size() && record[at] == '"') {
      field.quoted = true;
      HF_TRY_ASSIGN(field.text, Unquote(record, at));
      if (at < record.size() && record[at] != ',') return Bad("text after a closing quote");
    } else {
      const std::size_t from = at;
      while (at < record.size() && record[at] != ',') ++at;
      field.text = {record.data() + from, at - from};
    }
    if (at == record.size()) return count;
    ++at;
  }
}

Result<Value> CsvValue(ColumnType type, const CsvField& field) {
  const std::string_view text = field.text;
  if (text.empty()) {
    const bool is_text = type == ColumnType::kText || type == ColumnType::kAny;
    return field.quoted && is_text ? Value::Text(text) : Value::Null();
  }
  switch (type) {
    case ColumnType::kInteger: {
      const auto integer = ParseInteger(text);
      if (integer) return Value::Integer(*integer);
      return Bad("is no integer");
    }
    case ColumnType::kReal: {
      const auto real = ParseReal(text);
      if (real) return Value::Real(*real);
      return Bad("is no number");
    }
    case ColumnType::kBoolean:
      if (text == "1" || EqualsIgnoreCase(text, "true")) return Value::Boolean(true);
      if (text == "0" || EqualsIgnoreCase(text, "false")) return Value::Boolean(false);
      return Bad("is neither true nor false");
    case ColumnType::kAny:
    case ColumnType::kText:
    case ColumnType::kDatetime:
    case ColumnType::kBlob: return Value::Text(text);
  }
  return Value::Text(text);
}

}  // namespace holdfast::agent
