// SPDX-License-Identifier: Apache-2.0
#include "transport/wire.h"

#include <cmath>

#include "hal/base/timestamp.h"
#include "transport/wire_json.h"

namespace holdfast::wire {
namespace {

constexpr std::int64_t kExactInDouble = std::int64_t{1} << 53;
constexpr std::string_view kReplacement = "\xEF\xBF\xBD";  // U+FFFD

bool IsPlain(char c) { return static_cast<unsigned char>(c) >= 0x20 && c != '"' && c != '\\'; }

void EncodeControl(char c, TextWriter& out) {
  switch (c) {
    case '"': out.Put("\\\""); return;
    case '\\': out.Put("\\\\"); return;
    case '\n': out.Put("\\n"); return;
    case '\r': out.Put("\\r"); return;
    case '\t': out.Put("\\t"); return;
    default: out.Put("\\u00").PutHex({&c, 1}); return;
  }
}

// `text` is UTF-8.
void EncodePart(std::string_view text, TextWriter& out) {
  while (!text.empty()) {
    const char* const end = SkipPlain(text.data(), text.data() + text.size());
    const auto run = std::size_t(end - text.data());
    out.Put(text.substr(0, run));
    if (run == text.size()) break;
    EncodeControl(text[run], out);
    text.remove_prefix(run + 1);
  }
}

void EncodeUtf8(std::string_view text, TextWriter& out) {
  out.Put('"');
  EncodePart(text, out);
  out.Put('"');
}

Error NotUtf8() { return {Code::kInvalidArgument, Origin::kJson, 0, "a text that is not UTF-8"}; }

Result<void> EncodeValue(const Field& field, TextWriter& out) {
  const Value& value = field.value;
  switch (value.type) {
    case ValueType::kNull: out.Put("null"); break;
    case ValueType::kBoolean: out.Put(value.integer != 0 ? "true" : "false"); break;
    case ValueType::kInteger:
      if (field.type == ColumnType::kBoolean) {
        out.Put(value.integer != 0 ? "true" : "false");
      } else {
        out.PutInteger(value.integer);
      }
      break;
    case ValueType::kReal:
      // 1.0 stays a real on the other side, where no type is declared.
      out.PutReal(value.real, field.type != ColumnType::kInteger);
      break;
    case ValueType::kText:
      if (!IsUtf8(value.text)) return NotUtf8();
      EncodeUtf8(value.text, out);
      break;
    case ValueType::kBlob: out.Put('"').PutBase64(value.text).Put('"'); break;
  }
  return Ok();
}

// One member into `row`. Names are columns, and those of SQLite do not differ by case.
Result<void> ReadMember(JsonReader& json, Arena& arena, RowFields& row,
                        const DecodeOptions& options) {
  std::string_view name;
  if (!json.String(arena, name)) return json.error();
  if (Find(row.view(), name) != nullptr) {
    json.Fail("a member occurs twice");
    return json.error();
  }
  Value value;
  if (!json.Expect(':', "a colon is expected")) return json.error();
  if (json.SkipSpace() && json.at_container()) {
    std::string_view raw;
    if (!options.keep_nested) json.Fail("an object or an array as a column's value");
    if (!json.Any(raw)) return json.error();
    HF_TRY_ASSIGN(const std::string_view text, Compact(raw, arena));
    value = Value::Text(text);
  } else if (!json.Scalar(arena, value)) {
    return json.error();
  }
  return row.Add(name, ColumnType::kAny, value);
}

Result<void> ReadRow(JsonReader& json, Arena& arena, RowFields& row, const DecodeOptions& options) {
  if (!json.Expect('{', "an object is expected")) return json.error();
  if (!json.Next('}')) {
    do {
      HF_TRY(ReadMember(json, arena, row, options));
    } while (json.Next(','));
    if (!json.Expect('}', "a comma or the end is expected")) return json.error();
  }
  if (!json.End()) return json.error();
  return Ok();
}

Result<void> ConformBlob(Arena& arena, Value& value) {
  if (value.type != ValueType::kText) return Ok();
  const std::size_t mark = arena.Mark();
  const std::size_t room = value.text.size() / 4 * 3;
  char* const place = static_cast<char*>(arena.AllocateBytes(room));
  if (place == nullptr) return Arena::Full();
  if (const auto bytes = DecodeBase64(value.text, {place, room})) {
    arena.ResetTo(mark + bytes->size());
    value = Value::Blob(*bytes);
  } else {
    arena.ResetTo(mark);
  }
  return Ok();
}

Result<void> ConformDate(Arena& arena, Value& value) {
  if (value.type != ValueType::kText) return Ok();
  const auto ticks = ParseTimestamp(value.text);
  if (!ticks) return Ok();
  const TimestampText text = FormatTimestamp(*ticks);
  if (text == value.text) return Ok();
  HF_TRY_ASSIGN(const std::string_view copy, arena.Copy(text.view()));
  value = Value::Text(copy);
  return Ok();
}

// nullopt: not a whole number of 64 bits.
std::optional<std::int64_t> Whole(const Value& value) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  if (value.type == ValueType::kInteger || value.type == ValueType::kBoolean) return value.integer;
  if (value.type != ValueType::kReal || !(value.real >= -kTwoTo63 && value.real < kTwoTo63)) {
    return std::nullopt;
  }
  if (std::trunc(value.real) != value.real) return std::nullopt;
  return std::int64_t(value.real);
}

}  // namespace

Result<void> EncodeScalar(const Field& field, TextWriter& out) { return EncodeValue(field, out); }

Result<void> EncodeTextPart(std::string_view text, TextWriter& out) {
  if (!IsUtf8(text)) return NotUtf8();
  EncodePart(text, out);
  return Ok();
}

Result<void> EncodeRow(RowView row, TextWriter& out) {
  char before = '{';
  for (const Field& field : row) {
    out.Put(before);
    before = ',';
    EncodeString(field.name, out);
    out.Put(':');
    HF_TRY(EncodeValue(field, out));
  }
  if (row.empty()) out.Put('{');
  out.Put('}');
  if (auto text = out.Finish(); !text) return text.error();
  return Ok();
}

void EncodeString(std::string_view text, TextWriter& out) {
  if (IsUtf8(text)) return EncodeUtf8(text, out);
  out.Put('"');
  while (!text.empty()) {
    const std::size_t length = Utf8Length(text);
    if (length == 0) {
      out.Put(kReplacement);
    } else if (IsPlain(text[0])) {
      out.Put(text.substr(0, length));
    } else {
      EncodeControl(text[0], out);
    }
    text.remove_prefix(length == 0 ? 1 : length);
  }
  out.Put('"');
}

Result<void> DecodeRow(std::string_view json, Arena& arena, RowFields& row,
                       const DecodeOptions& options) {
  const std::size_t mark = arena.Mark();
  row.clear();
  JsonReader reader(json, limits::kJsonNodes, options.most_bytes);
  Result<void> read = ReadRow(reader, arena, row, options);
  if (!read) {
    row.clear();
    arena.ResetTo(mark);
  }
  return read;
}

Result<void> Conform(ColumnType type, Arena& arena, Value& value) {
  switch (type) {
    case ColumnType::kAny:
    case ColumnType::kText: return Ok();
    case ColumnType::kInteger:
      if (const auto whole = Whole(value)) value = Value::Integer(*whole);
      return Ok();
    case ColumnType::kReal:
      // Only when nothing is lost: beyond 2^53 not every integer is a double.
      if (value.type == ValueType::kInteger && value.integer >= -kExactInDouble &&
          value.integer <= kExactInDouble) {
        value = Value::Real(double(value.integer));
      }
      return Ok();
    case ColumnType::kBoolean:
      if (const auto whole = Whole(value); whole && (*whole == 0 || *whole == 1)) {
        value = Value::Boolean(*whole == 1);
      }
      return Ok();
    case ColumnType::kDatetime: return ConformDate(arena, value);
    case ColumnType::kBlob: return ConformBlob(arena, value);
  }
  return Ok();
}

}  // namespace holdfast::wire
