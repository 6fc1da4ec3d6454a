// SPDX-License-Identifier: Apache-2.0
// Requests on a device, answers on a server.
#include <bit>
#include <cmath>
#include <limits>

#include "transport/wire.h"
#include "transport/wire_bulk.h"
#include "transport/wire_moment.h"

namespace holdfast::wire {
namespace {

// What closes a body at any place: a row list, a run, the runs, the body.
constexpr std::string_view kTail = "]]]]", kPackedTail = "\xFF\xFF\xFF\xFF";
constexpr std::size_t kAnswerTailBytes = 1;
constexpr char kOpenArray = '\x9F', kUndefined = '\xF7', kTagDecimal = '\xC4';
constexpr std::string_view kTagReference = "\xD8\x19";

std::string_view KindName(BulkKind kind) {
  switch (kind) {
    case BulkKind::kUpdate: return "u";
    case BulkKind::kDelete: return "d";
    default: return "i";
  }
}

// The value as a reader of the packed form will have it.
Value Canonical(const Field& field) {
  const Value& value = field.value;
  const bool integer = value.type == ValueType::kInteger;
  if (integer && field.type == ColumnType::kBoolean) return Value::Boolean(value.integer != 0);
  if (value.type != ValueType::kReal) return value;
  if (!std::isfinite(value.real)) return Value::Null();
  constexpr double kTwoTo63 = 9223372036854775808.0;
  const bool whole = std::trunc(value.real) == value.real && std::fabs(value.real) < kTwoTo63;
  if (field.type == ColumnType::kInteger && whole) return Value::Integer(std::int64_t(value.real));
  return value;
}

bool SameBits(const Value& a, const Value& b) {
  if (a.type != b.type) return false;
  switch (a.type) {
    case ValueType::kNull: return true;
    case ValueType::kReal:
      return std::bit_cast<std::uint64_t>(a.real) == std::bit_cast<std::uint64_t>(b.real);
    case ValueType::kInteger:
    case ValueType::kBoolean: return a.integer == b.integer;
    case ValueType::kText:
    case ValueType::kBlob: return a.text == b.text;
  }
  return false;
}

// Whether CBOR has it in 5 bytes or less.
bool IsSingle(double real) {
  constexpr double kMost = double(std::numeric_limits<float>::max());
  return std::fabs(real) <= kMost && double(float(real)) == real;
}

Field Plain(const Value& value) { return {{}, ColumnType::kAny, value}; }

std::size_t SharedBytes(std::string_view a, std::string_view b) {
  std::size_t shared = 0;
  while (shared < a.size() && shared < b.size() && a[shared] == b[shared]) ++shared;
  // Not into the middle of a character: the rest is a text too.
  while (shared > 0 && shared < b.size() && (b[shared] & 0xC0) == 0x80) --shared;
  return shared;
}

}  // namespace

BulkWriter::BulkWriter(std::span<char> room, Encoding encoding)
    : out_(room.first(room.size() > kTail.size() ? room.size() - kTail.size() : 0)),
      cbor_(encoding == Encoding::kCbor) {}

void BulkWriter::Open() { out_.Put(cbor_ ? kOpenArray : '['); }

void BulkWriter::Separate() {
  if (!cbor_) out_.Put(',');
}

// TinyCBOR's only errors here would be those of the writer, which remembers them itself.
void BulkWriter::Number(std::int64_t value) {
  if (cbor_) {
    (void)PutCborItem(Plain(Value::Integer(value)), out_).ok();
  } else {
    out_.PutInteger(value);
  }
}

void BulkWriter::Word(std::string_view text) {
  if (cbor_) {
    (void)PutCborItem(Plain(Value::Text(text)), out_).ok();
  } else {
    EncodeString(text, out_);
  }
}

Result<void> BulkWriter::Begin(const BulkSender& sender) {
  Open();
  Number(1);
  Separate();
  Word(sender.installation);
  Separate();
  Word(sender.incarnation);
  Separate();
  Number(sender.acknowledged);
  Separate();
  Number(sender.applied);
  Separate();
  Open();
  if (auto text = out_.Finish(); !text) return text.error();
  return Ok();
}

Result<bool> BulkWriter::Add(const BulkOperation& operation) {
  const std::size_t before = out_.view().size();
  const std::size_t heads_before = head_count_, head_before = head_;
  auto put = Put(operation);
  if (put && *put && !out_.full()) {
    changes_ = operation.changes;
    last_sequence_ = operation.sequence;
    if (cbor_) Remember(operation);
    return true;
  }
  out_.Rewind(before);
  head_count_ = heads_before;
  head_ = head_before;
  if (!put && put.error().code != Code::kTooLarge) return put.error();
  return false;
}

// Into the run that is open when it goes on there, else into a new one.
Result<bool> BulkWriter::Put(const BulkOperation& operation) {
  const bool open = head_ != kBulkHeads;
  const std::size_t start = out_.view().size();
  if (open) out_.Put((cbor_ ? kPackedTail : kTail).substr(0, 2));
  if (open) Separate();
  Open();
  const std::size_t head_at = out_.view().size();
  HF_TRY(PutHead(operation));
  if (out_.full()) return false;
  const std::string_view text = out_.view().substr(head_at);
  std::size_t known = 0;
  while (known < head_count_ && out_.view().substr(heads_[known].at, heads_[known].bytes) != text) {
    ++known;
  }
  fresh_ = !open || known != head_ || operation.changes != changes_ ||
           operation.sequence != last_sequence_ + 1;
  if (!fresh_) {
    out_.Rewind(start);
    Separate();
  } else {
    if (known == kBulkHeads) return false;
    if (known < head_count_) {
      out_.Rewind(head_at);
      Number(std::int64_t(known));
    } else {
      heads_[head_count_++] = {head_at, text.size()};
    }
    head_ = known;
    Separate();
    Number(operation.sequence);
    Separate();
    Number(operation.changes);
    Separate();
    Open();
  }
  HF_TRY(PutRow(operation));
  return true;
}

Result<void> BulkWriter::PutHead(const BulkOperation& operation) {
  Open();
  Word(operation.table);
  Separate();
  Word(KindName(operation.kind));
  Separate();
  Open();
  for (std::size_t i = 0; i < operation.fields.size(); ++i) {
    if (i > 0) Separate();
    Word(operation.fields[i].name);
  }
  out_.Put((cbor_ ? kPackedTail : kTail).substr(0, 2));
  return Ok();
}

Result<void> BulkWriter::PutRow(const BulkOperation& operation) {
  if (!IsUtf8(operation.id)) {
    return Error{Code::kInvalidArgument, Origin::kJson, 0, "an id that is not UTF-8"};
  }
  Open();
  if (cbor_) {
    PutPackedId(operation.id);
  } else {
    Word(operation.id);
  }
  if (operation.kind != BulkKind::kInsert) {
    Separate();
    if (operation.if_match.empty()) {
      HF_TRY(cbor_ ? PutCborItem(Plain(Value::Null()), out_)
                   : EncodeScalar(Plain(Value::Null()), out_));
    } else {
      Word(operation.if_match);
    }
  }
  for (std::size_t i = 0; i < operation.fields.size(); ++i) {
    Separate();
    HF_TRY(cbor_ ? PutPackedValue(operation.fields[i], i)
                 : EncodeScalar(operation.fields[i], out_));
  }
  out_.Put(cbor_ ? kPackedTail[0] : ']');
  return Ok();
}

void BulkWriter::PutPackedId(std::string_view id) {
  const std::size_t shared = fresh_ ? 0 : SharedBytes(memory_.id.view(), id);
  Number(std::int64_t(shared));
  Word(id.substr(shared));
}

Result<void> BulkWriter::PutPackedValue(const Field& field, std::size_t index) {
  const PackedMemory::Column& column = memory_.columns[index];
  const Value value = row_[index] = Canonical(field);
  written_[index] = false;
  if (!fresh_ && SameBits(value, column.last)) {
    row_[index] = column.last;  // whose text lies in the body
    out_.Put(kUndefined);
    return Ok();
  }
  if (value.type == ValueType::kInteger && !fresh_ && column.last.type == ValueType::kInteger) {
    Number(std::int64_t(std::uint64_t(value.integer) - std::uint64_t(column.last.integer)));
    return Ok();
  }
  if (value.type == ValueType::kReal && !IsSingle(value.real)) {
    if (const auto decimal = DecimalOf(value.real)) {
      out_.Put(kTagDecimal).Put('\x82');
      Number(decimal->exponent);
      Number(decimal->mantissa);
      return Ok();
    }
  }
  for (std::size_t i = 0; value.type == ValueType::kText && !fresh_ && i < column.count; ++i) {
    if (column.texts[i] != value.text) continue;
    row_[index] = Value::Text(column.texts[i]);
    out_.Put(kTagReference);
    Number(std::int64_t(i));
    return Ok();
  }
  HF_TRY(PutCborItem(Plain(value), out_));
  if (value.type != ValueType::kText && value.type != ValueType::kBlob) return Ok();
  if (out_.full()) return Ok();
  row_[index].text = out_.view().substr(out_.view().size() - value.text.size());
  written_[index] = value.type == ValueType::kText;
  return Ok();
}

// As the reader does, once the row stands in the body.
void BulkWriter::Remember(const BulkOperation& operation) {
  if (fresh_) memory_.Forget();
  (void)memory_.id.Assign(operation.id).ok();
  memory_.any = true;
  for (std::size_t i = 0; i < operation.fields.size(); ++i) {
    PackedMemory::Column& column = memory_.columns[i];
    column.last = row_[i];
    if (written_[i] && column.count < kPackedTexts) column.texts[column.count++] = row_[i].text;
  }
}

Result<std::string_view> BulkWriter::Finish() {
  HF_ASSERT(head_ != kBulkHeads && !out_.full());
  // The room behind was kept free for this.
  char* const end = const_cast<char*>(out_.view().data()) + out_.view().size();
  (cbor_ ? kPackedTail : kTail).copy(end, kTail.size());
  return std::string_view(out_.view().data(), out_.view().size() + kTail.size());
}

// ---- answers

BulkAnswerWriter::BulkAnswerWriter(std::span<char> room)
    : out_(room.first(room.size() > kAnswerTailBytes ? room.size() - kAnswerTailBytes : 0)) {
  out_.Put('[');
}

void BulkAnswerWriter::Next() {
  if (out_.view().size() > 1) out_.Put(',');
}

bool BulkAnswerWriter::Flush() {
  if (pending_.count == 0) return true;
  const std::size_t before = out_.view().size();
  Next();
  out_.Put('[').PutInteger(pending_.first).Put(',').PutInteger(pending_.count).Put(',');
  out_.PutInteger(pending_.moment);
  if (pending_.changes >= 0) out_.Put(',').PutInteger(pending_.changes);
  out_.Put(']');
  if (out_.full()) {
    out_.Rewind(before);
    return false;
  }
  pending_.count = 0;
  return true;
}

bool BulkAnswerWriter::Done(const BulkDone& done) {
  const bool follows = pending_.count > 0 && done.first == pending_.first + pending_.count &&
                       done.moment == pending_.moment + pending_.count * kMomentStep &&
                       done.changes == pending_.changes;
  if (follows) {
    pending_.count += done.count;
    return true;
  }
  if (!Flush()) return false;
  pending_ = done;
  return true;
}

bool BulkAnswerWriter::Refused(std::int64_t sequence, int status, std::string_view words) {
  return Refuse(sequence, status, words, {});
}

bool BulkAnswerWriter::RefusedRow(std::int64_t sequence, int status, std::string_view row) {
  return Refuse(sequence, status, {}, row);
}

bool BulkAnswerWriter::Refuse(std::int64_t sequence, int status, std::string_view words,
                              std::string_view row) {
  if (!Flush()) return false;
  const std::size_t before = out_.view().size();
  Next();
  out_.Put('[').PutInteger(sequence).Put(',').PutInteger(status).Put(',');
  if (row.empty()) {
    EncodeString(words, out_);
  } else {
    out_.Put(row);
  }
  out_.Put(']');
  if (!out_.full()) return true;
  out_.Rewind(before);
  return false;
}

Result<std::string_view> BulkAnswerWriter::Finish() {
  if (!Flush() || out_.full()) {
    return Error{Code::kTooLarge, Origin::kNone, 0, "the answer has no room"};
  }
  char* const end = const_cast<char*>(out_.view().data()) + out_.view().size();
  *end = ']';
  return std::string_view(out_.view().data(), out_.view().size() + 1);
}

}  // namespace holdfast::wire
