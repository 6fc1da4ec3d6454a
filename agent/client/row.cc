// SPDX-License-Identifier: Apache-2.0
#include <vector>

#include "hal/base/arena.h"
#include "hal/base/text.h"
#include "holdfast/holdfast.h"
#include "transport/wire.h"

namespace holdfast {

Row::Row(RowView fields) {
  for (const Field& field : fields) {
    Column& column = Make(field.name, field.type, field.value.type);
    column.text = field.value.text;
    if (field.value.type == ValueType::kReal) {
      column.real = field.value.real;
    } else {
      column.integer = field.value.integer;
    }
  }
}

const Row::Column* Row::Find(std::string_view name) const {
  for (const Column& column : fields_) {
    if (EqualsIgnoreCase(column.name, name)) return &column;
  }
  return nullptr;
}

Row::Column& Row::Make(std::string_view name, ColumnType type, ValueType value_type) {
  Column* column = nullptr;
  for (Column& known : fields_) {
    if (EqualsIgnoreCase(known.name, name)) column = &known;
  }
  if (column == nullptr) column = &fields_.emplace_back();
  *column = Column();
  column->name = name;
  column->type = type;
  column->value_type = value_type;
  return *column;
}

Row& Row::Set(std::string_view column, std::string_view text) {
  Make(column, ColumnType::kText, ValueType::kText).text = text;
  return *this;
}

Row& Row::Set(std::string_view column, double number) {
  Make(column, ColumnType::kReal, ValueType::kReal).real = number;
  return *this;
}

Row& Row::SetInteger(std::string_view column, std::int64_t number) {
  Make(column, ColumnType::kInteger, ValueType::kInteger).integer = number;
  return *this;
}

Row& Row::SetFlag(std::string_view column, bool flag) {
  Make(column, ColumnType::kBoolean, ValueType::kBoolean).integer = flag;
  return *this;
}

Row& Row::SetBlob(std::string_view column, std::string_view bytes) {
  Make(column, ColumnType::kBlob, ValueType::kBlob).text = bytes;
  return *this;
}

Row& Row::SetNull(std::string_view column) {
  Make(column, ColumnType::kAny, ValueType::kNull);
  return *this;
}

bool Row::IsNull(std::string_view column) const {
  const Column* found = Find(column);
  return found == nullptr || found->value_type == ValueType::kNull;
}

std::string Row::Text(std::string_view column, std::string_view otherwise) const {
  const Column* found = Find(column);
  const bool is_text = found != nullptr && (found->value_type == ValueType::kText ||
                                            found->value_type == ValueType::kBlob);
  return is_text ? found->text : std::string(otherwise);
}

double Row::Real(std::string_view column, double otherwise) const {
  const Column* found = Find(column);
  if (found == nullptr) return otherwise;
  if (found->value_type == ValueType::kReal) return found->real;
  return found->value_type == ValueType::kInteger ? double(found->integer) : otherwise;
}

std::int64_t Row::Integer(std::string_view column, std::int64_t otherwise) const {
  const Column* found = Find(column);
  if (found == nullptr) return otherwise;
  switch (found->value_type) {
    case ValueType::kInteger:
    case ValueType::kBoolean: return found->integer;
    case ValueType::kReal:
      // Outside of this range the conversion has no meaning.
      return found->real > -9.2e18 && found->real < 9.2e18 ? std::int64_t(found->real) : otherwise;
    default: return otherwise;
  }
}

bool Row::Flag(std::string_view column, bool otherwise) const {
  return Integer(column, otherwise ? 1 : 0) != 0;
}

Result<void> Row::AppendTo(RowFields& fields) const {
  for (const Column& column : fields_) {
    Value value;
    switch (column.value_type) {
      case ValueType::kNull: break;
      case ValueType::kInteger: value = Value::Integer(column.integer); break;
      case ValueType::kBoolean: value = Value::Boolean(column.integer != 0); break;
      case ValueType::kReal: value = Value::Real(column.real); break;
      case ValueType::kText: value = Value::Text(column.text); break;
      case ValueType::kBlob: value = Value::Blob(column.text); break;
    }
    HF_TRY(fields.Add(column.name, column.type, value));
  }
  return Ok();
}

std::string Row::Json() const {
  RowFields fields;
  if (!AppendTo(fields)) return {};
  std::size_t bytes = 64;
  for (const Column& column : fields_) bytes += 64 + 6 * (column.name.size() + column.text.size());
  std::vector<char> room(bytes);
  TextWriter out(room);
  if (!wire::EncodeRow(fields.view(), out)) return {};
  return std::string(out.view());
}

Result<Row> Row::FromJson(std::string_view json) {
  std::vector<char> room(2 * json.size() + 4096);
  Arena arena(room);
  RowFields fields;
  if (auto decoded = wire::DecodeRow(json, arena, fields, {.keep_nested = true}); !decoded) {
    return Error{Code::kInvalidArgument, Origin::kJson, decoded.error().native,
                 "not one JSON object of plain values"};
  }
  return Row(fields.view());
}

}  // namespace holdfast
