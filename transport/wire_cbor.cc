// SPDX-License-Identifier: Apache-2.0
#include "transport/wire_cbor.h"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <optional>

#include "hal/base/limits.h"
#include "transport/wire_cbor_items.h"

namespace holdfast::wire {
namespace {

constexpr double kTwoTo63 = 9223372036854775808.0;
constexpr double kTwoTo64 = 18446744073709551616.0;

// The encoder's way into a TextWriter, which remembers that it was full: nobody else has to.
CborError Append(void* writer, const void* bytes, std::size_t size, CborEncoderAppendType) {
  static_cast<TextWriter*>(writer)->Put({static_cast<const char*>(bytes), size});
  return CborNoError;
}

// The bits of the binary16 that is exactly `value`, which is finite.
std::optional<std::uint16_t> HalfOf(float value) {
  const auto bits = std::bit_cast<std::uint32_t>(value);
  const std::uint32_t sign = bits >> 16 & 0x8000;
  const int exponent = int(bits >> 23 & 0xFF) - 127;
  const std::uint32_t fraction = bits & 0x7FFFFF;
  if (value == 0) return std::uint16_t(sign);
  if (exponent < -24 || exponent > 15) return std::nullopt;
  // 10 of the 23 bits stay; below 2^-14 the leading 1 is written too, and ever fewer after it.
  const bool subnormal = exponent < -14;
  const int dropped = subnormal ? -1 - exponent : 13;
  const std::uint32_t digits = subnormal ? fraction | 0x800000 : fraction;
  if ((digits & ((std::uint32_t{1} << dropped) - 1)) != 0) return std::nullopt;
  const std::uint32_t biased = subnormal ? 0 : std::uint32_t(exponent + 15) << 10;
  return std::uint16_t(sign | biased | digits >> dropped);
}

void EncodeReal(double value, CborEncoder& map) {
  if (!std::isfinite(value)) {
    cbor_encode_null(&map);
    return;
  }
  // Beyond a float's range the conversion is undefined.
  const bool in_range = std::fabs(value) <= double(std::numeric_limits<float>::max());
  if (!in_range || double(float(value)) != value) {
    cbor_encode_double(&map, value);
  } else if (const auto half = HalfOf(float(value))) {
    cbor_encode_half_float(&map, &*half);
  } else {
    cbor_encode_float(&map, float(value));
  }
}

bool IsWhole(double value) {
  return value >= -kTwoTo63 && value < kTwoTo63 && std::trunc(value) == value;
}

// TinyCBOR's own errors are those of Append(), which has none.
Result<void> EncodeText(std::string_view text, CborEncoder& map) {
  if (!IsUtf8(text)) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0, "a text that is not UTF-8"};
  }
  cbor_encode_text_string(&map, text.data(), text.size());
  return Ok();
}

Result<void> EncodeValue(const Field& field, CborEncoder& map) {
  const Value& value = field.value;
  switch (value.type) {
    case ValueType::kNull: cbor_encode_null(&map); break;
    case ValueType::kBoolean: cbor_encode_boolean(&map, value.integer != 0); break;
    case ValueType::kInteger:
      if (field.type == ColumnType::kBoolean) {
        cbor_encode_boolean(&map, value.integer != 0);
      } else {
        cbor_encode_int(&map, value.integer);
      }
      break;
    case ValueType::kReal:
      // 1.0 stays a real on the other side, where no type is declared.
      if (field.type == ColumnType::kInteger && IsWhole(value.real)) {
        cbor_encode_int(&map, std::int64_t(value.real));
      } else {
        EncodeReal(value.real, map);
      }
      break;
    case ValueType::kText: return EncodeText(value.text, map);
    case ValueType::kBlob:
      cbor_encode_byte_string(&map, reinterpret_cast<const std::uint8_t*>(value.text.data()),
                              value.text.size());
      break;
  }
  return Ok();
}

Result<void> EncodeMap(RowView row, TextWriter& out) {
  CborEncoder encoder;
  CborEncoder map;
  cbor_encoder_init_writer(&encoder, Append, &out);
  cbor_encoder_create_map(&encoder, &map, row.size());
  for (const Field& field : row) {
    HF_TRY(EncodeText(field.name, map));
    HF_TRY(EncodeValue(field, map));
  }
  HF_ASSERT(cbor_encoder_close_container(&encoder, &map) == CborNoError);
  if (auto text = out.Finish(); !text) return text.error();
  return Ok();
}

const char* Reason(CborError error) {
  switch (error) {
    case CborErrorUnexpectedEOF: return "the row ends too early";
    case CborErrorUnexpectedBreak: return "a break where an item is expected";
    case CborErrorIllegalType: return "a chunk of another type than its string";
    case CborErrorDataTooLarge: return "a length beyond any row";
    default: return "not CBOR";
  }
}

Value IntegerOf(const CborValue& item) {
  std::uint64_t raw = 0;
  cbor_value_get_raw_integer(&item, &raw);
  const bool fits = raw <= std::uint64_t(std::numeric_limits<std::int64_t>::max());
  if (cbor_value_is_unsigned_integer(&item)) {
    return fits ? Value::Integer(std::int64_t(raw)) : Value::Real(double(raw));
  }
  // A negative integer is -1 - raw.
  if (fits) return Value::Integer(-1 - std::int64_t(raw));
  return Value::Real(raw + 1 == 0 ? -kTwoTo64 : -double(raw + 1));
}

Value RealOf(const CborValue& item) {
  float single = 0;
  double real = 0;
  if (cbor_value_is_double(&item)) {
    cbor_value_get_double(&item, &real);
  } else if (cbor_value_is_float(&item)) {
    cbor_value_get_float(&item, &single);
    real = double(single);
  } else {
    cbor_value_get_half_float_as_float(&item, &single);
    real = double(single);
  }
  return std::isfinite(real) ? Value::Real(real) : Value::Null();
}

// TinyCBOR looks at the head of the next item when it steps over one, and nowhere ahead of that; it
// recurses only to step over maps and arrays, which this never asks for.
class RowReader : private CborItems {
 public:
  RowReader(std::string_view cbor, Arena& arena, RowFields& row)
      : CborItems(cbor, arena), row_(row) {}

  Result<void> Read();

 private:
  Result<void> SelfDescription(CborValue& item) const;
  Result<void> Member(CborValue& item);

  RowFields& row_;
};

Result<void> RowReader::Read() {
  CborParser parser;
  CborValue top;
  CborValue item;
  HF_TRY(Check(cbor_parser_init(begin_, size_, 0, &parser, &top), top));
  HF_TRY(SelfDescription(top));
  if (!cbor_value_is_map(&top)) return Bad("a map is expected", top);
  // A length that lies needs no check of its own: the members end, or the room for them.
  HF_TRY(Check(cbor_value_enter_container(&top, &item), item));
  while (!cbor_value_at_end(&item)) HF_TRY(Member(item));
  HF_TRY(Check(cbor_value_leave_container(&top, &item), top));
  if (cbor_value_get_next_byte(&top) != begin_ + size_) {
    return Bad("something follows the row", top);
  }
  return Ok();
}

Result<void> RowReader::SelfDescription(CborValue& item) const {
  if (!cbor_value_is_tag(&item)) return Ok();
  CborTag tag = 0;
  cbor_value_get_tag(&item, &tag);
  if (tag != CborSignatureTag) return Bad("a tag", item);
  return Check(cbor_value_advance_fixed(&item), item);
}

// One member into the row. Names are columns, and those of SQLite do not differ by case.
Result<void> RowReader::Member(CborValue& item) {
  const std::uint8_t* const start = cbor_value_get_next_byte(&item);
  if (!cbor_value_is_text_string(&item)) return Bad("a member's name is not text", start);
  std::string_view name;
  HF_TRY(String(item, name));
  if (Find(row_.view(), name) != nullptr) return Bad("a member occurs twice", start);
  Value value;
  HF_TRY(Scalar(item, value));
  if (!row_.Add(name, ColumnType::kAny, value)) return Bad("more members than columns", start);
  return Ok();
}

}  // namespace

// Steps over the item.
Result<void> CborItems::Scalar(CborValue& item, Value& value) {
  std::string_view text;
  switch (cbor_value_get_type(&item)) {
    case CborIntegerType: value = IntegerOf(item); break;
    case CborBooleanType: {
      bool boolean = false;
      cbor_value_get_boolean(&item, &boolean);
      value = Value::Boolean(boolean);
      break;
    }
    case CborNullType:
    case CborUndefinedType: value = Value::Null(); break;
    case CborHalfFloatType:
    case CborFloatType:
    case CborDoubleType: value = RealOf(item); break;
    case CborTextStringType:
      HF_TRY(String(item, text));
      value = Value::Text(text);
      return Ok();
    case CborByteStringType:
      HF_TRY(String(item, text));
      value = Value::Blob(text);
      return Ok();
    case CborArrayType:
    case CborMapType: return Bad("a map or an array as a column's value", item);
    case CborTagType: return Bad("a tag", item);
    case CborSimpleType:
    case CborInvalidType: return Bad("a simple value without a meaning", item);
  }
  return Check(cbor_value_advance_fixed(&item), item);
}

// A text or byte string. Steps over the item.
Result<void> CborItems::String(CborValue& item, std::string_view& text) {
  const bool is_text = cbor_value_is_text_string(&item);
  const bool is_definite = cbor_value_is_length_known(&item);
  const char* place = nullptr;
  std::size_t used = 0;
  text = {};
  HF_TRY(Check(cbor_value_begin_string_iteration(&item), item));
  for (;;) {
    const char* chars = nullptr;
    const std::uint8_t* bytes = nullptr;
    std::size_t size = 0;
    CborValue next;
    const CborError error = is_text ? cbor_value_get_text_string_chunk(&item, &chars, &size, &next)
                                    : cbor_value_get_byte_string_chunk(&item, &bytes, &size, &next);
    if (error == CborErrorNoMoreStringChunks) break;
    HF_TRY(Check(error, item));
    std::string_view chunk(is_text ? chars : reinterpret_cast<const char*>(bytes), size);
    HF_TRY(Chunk(chunk, is_text));
    if (is_definite) {
      text = chunk;
    } else {
      // The arena gives one copy right behind the other.
      HF_TRY_ASSIGN(chunk, arena_.Copy(chunk));
      if (place == nullptr) place = chunk.data();
      used += size;
      text = {place, used};
    }
    item = next;
  }
  return Check(cbor_value_finish_string_iteration(&item), item);
}

// Every chunk of a text has whole characters (RFC 8949, 3.2.3).
Result<void> CborItems::Chunk(std::string_view chunk, bool is_text) const {
  if (!is_text || IsUtf8(chunk)) return Ok();
  const auto* const start = reinterpret_cast<const std::uint8_t*>(chunk.data());
  std::size_t good = 0;
  while (const std::size_t length = Utf8Length(chunk.substr(good))) good += length;
  return Bad("not UTF-8", start + good);
}

Error CborItems::Bad(const char* what, const std::uint8_t* at) const {
  return {Code::kBadAnswer, Origin::kNone, std::int32_t(at - begin_), what};
}

Error CborItems::Bad(const char* what, const CborValue& at) const {
  return Bad(what, cbor_value_get_next_byte(&at));
}

Result<void> CborItems::Check(CborError error, const CborValue& at) const {
  if (error == CborNoError) return Ok();
  return Bad(Reason(error), at);
}

Result<void> PutCborItem(const Field& field, TextWriter& out) {
  CborEncoder encoder;
  cbor_encoder_init_writer(&encoder, Append, &out);
  return EncodeValue(field, encoder);
}

Result<void> EncodeRowCbor(RowView row, TextWriter& out) {
  if (auto before = out.Finish(); !before) return before.error();
  const std::size_t start = out.view().size();
  Result<void> encoded = EncodeMap(row, out);
  if (!encoded) out.Rewind(start);
  return encoded;
}

Result<void> DecodeRowCbor(std::string_view cbor, Arena& arena, RowFields& row) {
  const std::size_t mark = arena.Mark();
  row.clear();
  if (cbor.size() > limits::kRowBytes) {
    return Error{Code::kTooLarge, Origin::kNone, std::int32_t(limits::kRowBytes),
                 "a row is longer than its limit"};
  }
  Result<void> read = RowReader(cbor, arena, row).Read();
  if (!read) {
    row.clear();
    arena.ResetTo(mark);
  }
  return read;
}

}  // namespace holdfast::wire
