// SPDX-License-Identifier: Apache-2.0
#include "hal/base/row.h"

#include <bit>
#include <cmath>

#include "hal/base/text.h"
#include "hal/base/timestamp.h"

namespace holdfast {
namespace {

constexpr std::string_view kTypeNames[] = {"any",     "text",     "integer", "real",
                                           "boolean", "datetime", "blob"};

// The form in which values are compared and digested. Two values are the same when their forms are,
// so that SameValue() and DigestValue() cannot disagree.
struct Canonical {
  enum class Kind : std::uint8_t { kNull, kInteger, kReal, kMoment, kText };
  Kind kind = Kind::kNull;
  bool encode = false;  // kText: `text` is bytes, of which the form is the base64
  std::uint64_t number = 0;
  std::string_view text;
};

// A real that is a whole number of 64 bits counts as an integer; so does -0.0.
Canonical CanonicalReal(double real) {
  constexpr double kTwoTo63 = 9223372036854775808.0;
  Canonical form;
  if (real >= -kTwoTo63 && real < kTwoTo63 && std::trunc(real) == real) {
    form.kind = Canonical::Kind::kInteger;
    form.number = std::uint64_t(std::int64_t(real));
  } else {
    form.kind = Canonical::Kind::kReal;
    form.number = std::bit_cast<std::uint64_t>(real);
  }
  return form;
}

Canonical CanonicalText(ColumnType type, std::string_view text) {
  Canonical form;
  if (type == ColumnType::kDatetime) {
    if (const auto ticks = ParseTimestamp(text)) {
      const Ticks rest = (*ticks % kTicksPerMillisecond + kTicksPerMillisecond);
      form.kind = Canonical::Kind::kMoment;
      form.number = std::uint64_t((*ticks - rest % kTicksPerMillisecond) / kTicksPerMillisecond);
      return form;
    }
  }
  form.kind = Canonical::Kind::kText;
  form.text = text;
  return form;
}

Canonical CanonicalOf(ColumnType type, const Value& value) {
  Canonical form;
  switch (value.type) {
    case ValueType::kNull: return form;
    case ValueType::kInteger:
    case ValueType::kBoolean:
      form.kind = Canonical::Kind::kInteger;
      form.number = std::uint64_t(value.integer);
      return form;
    case ValueType::kReal: return CanonicalReal(value.real);
    case ValueType::kText: return CanonicalText(type, value.text);
    case ValueType::kBlob:
      form.kind = Canonical::Kind::kText;
      form.encode = true;
      form.text = value.text;
      return form;
  }
  return form;
}

// Gives the base64 of `bytes` to `take` piece by piece; stops when it returns false.
template <typename Take>
bool ForEachBase64(std::string_view bytes, Take take) {
  char room[64];
  while (!bytes.empty()) {
    TextWriter piece(room);
    piece.PutBase64(bytes.substr(0, 48));
    if (!take(piece.view())) return false;
    bytes.remove_prefix(bytes.size() < 48 ? bytes.size() : 48);
  }
  return true;
}

bool IsBase64Of(std::string_view text, std::string_view bytes) {
  if (text.size() != (bytes.size() + 2) / 3 * 4) return false;
  return ForEachBase64(bytes, [&text](std::string_view piece) {
    const bool same = text.starts_with(piece);
    text.remove_prefix(piece.size());
    return same;
  });
}

std::uint64_t FoldByte(std::uint64_t digest, unsigned char byte) {
  return (digest ^ byte) * 1099511628211ULL;
}

std::uint64_t Fold(std::uint64_t digest, std::uint64_t number) {
  for (int shift = 0; shift < 64; shift += 8) {
    digest = FoldByte(digest, static_cast<unsigned char>(number >> shift));
  }
  return digest;
}

std::uint64_t Fold(std::uint64_t digest, std::string_view text) {
  for (const char c : text) digest = FoldByte(digest, static_cast<unsigned char>(c));
  return digest;
}

}  // namespace

std::string_view ColumnTypeName(ColumnType type) { return kTypeNames[std::size_t(type)]; }

std::optional<ColumnType> ColumnTypeFromName(std::string_view name) {
  for (std::size_t i = 0; i < std::size(kTypeNames); ++i) {
    if (kTypeNames[i] == name) return ColumnType(i);
  }
  return std::nullopt;
}

bool SameValue(ColumnType type, const Value& a, const Value& b) {
  const Canonical left = CanonicalOf(type, a);
  const Canonical right = CanonicalOf(type, b);
  if (left.kind != right.kind) return false;
  if (left.kind != Canonical::Kind::kText) return left.number == right.number;
  if (left.encode == right.encode) return left.text == right.text;
  return left.encode ? IsBase64Of(right.text, left.text) : IsBase64Of(left.text, right.text);
}

std::uint64_t DigestValue(std::uint64_t digest, ColumnType type, const Value& value) {
  const Canonical form = CanonicalOf(type, value);
  digest = FoldByte(digest, static_cast<unsigned char>(form.kind));
  if (form.kind == Canonical::Kind::kNull) return digest;
  if (form.kind != Canonical::Kind::kText) return Fold(digest, form.number);
  // The length comes first: "ab" and "c" are not "a" and "bc".
  if (!form.encode) return Fold(Fold(digest, std::uint64_t(form.text.size())), form.text);
  digest = Fold(digest, std::uint64_t((form.text.size() + 2) / 3 * 4));
  ForEachBase64(form.text, [&digest](std::string_view piece) {
    digest = Fold(digest, piece);
    return true;
  });
  return digest;
}

bool IsSystemColumn(std::string_view name) {
  for (const std::string_view column : {kId, kCreatedAt, kUpdatedAt, kVersion, kDeleted}) {
    if (EqualsIgnoreCase(name, column)) return true;
  }
  return false;
}

const Field* Find(RowView row, std::string_view name) {
  for (const Field& field : row) {
    if (EqualsIgnoreCase(field.name, name)) return &field;
  }
  return nullptr;
}

std::string_view FindText(RowView row, std::string_view name) {
  const Field* field = Find(row, name);
  return field != nullptr && field->value.type == ValueType::kText ? field->value.text
                                                                   : std::string_view();
}

Result<void> RowFields::Add(std::string_view name, ColumnType type, const Value& value) {
  if (count_ == fields_.size()) {
    return Error{Code::kTooLarge, Origin::kNone, std::int32_t(fields_.size()),
                 "a row has too many columns"};
  }
  Field& field = fields_[count_++];
  field.name = name;
  field.type = type;
  field.value = value;
  return Ok();
}

}  // namespace holdfast
