// SPDX-License-Identifier: Apache-2.0
#include "transport/wire_bulk_tokens.h"

#include "hal/base/limits.h"
#include "transport/wire_bulk_packed.h"

namespace holdfast::wire {

// A body has no more values than bytes.
BulkTokens::BulkTokens(std::string_view text, Encoding encoding, Arena& arena)
    : cbor_(encoding == Encoding::kCbor),
      text_(text),
      arena_(arena),
      json_(cbor_ ? std::string_view() : text, text.size()),
      items_(text, arena) {
  if (!cbor_) return;
  const auto* const begin = reinterpret_cast<const std::uint8_t*>(text.data());
  (void)Check(items_.Check(cbor_parser_init(begin, text.size(), 0, &parser_, &at_[0]), at_[0]));
}

bool BulkTokens::Fail(const char* what) {
  if (!cbor_) return json_.Fail(what);
  if (failed()) return false;
  return Fail(items_.Bad(what, here()));
}

bool BulkTokens::at_array() {
  return cbor_ ? !failed() && cbor_value_is_array(&here()) : json_.SkipSpace() && json_.at('[');
}

bool BulkTokens::at_text() {
  return cbor_ ? !failed() && cbor_value_is_text_string(&here())
               : json_.SkipSpace() && json_.at('"');
}

bool BulkTokens::Open(const char* what) {
  if (failed()) return false;
  if (depth_ == kDepth) return Fail("arrays nested too deeply");
  if (!at_array()) return Fail(what);
  if (cbor_) {
    if (!Check(items_.Check(cbor_value_enter_container(&here(), &at_[depth_ + 1]), here()))) {
      return false;
    }
  } else if (!json_.Expect('[', what)) {
    return false;
  }
  begun_[++depth_] = false;
  return true;
}

bool BulkTokens::More() {
  HF_ASSERT(depth_ > 0);
  if (failed()) return false;
  if (cbor_) {
    if (!cbor_value_at_end(&here())) return true;
    --depth_;
    (void)Check(items_.Check(cbor_value_leave_container(&here(), &at_[depth_ + 1]), here()));
    return false;
  }
  if (json_.Next(']')) {
    --depth_;
    return false;
  }
  bool& begun = begun_[depth_];
  if (begun) return json_.Expect(',', "a comma or the end is expected");
  begun = true;
  return json_.SkipSpace() || Fail("an array does not end");
}

bool BulkTokens::Close(const char* what) {
  if (More()) return Fail(what);
  return !failed();
}

bool BulkTokens::End() {
  if (!cbor_) return json_.End();
  if (failed()) return false;
  const auto* const end = reinterpret_cast<const std::uint8_t*>(text_.data()) + text_.size();
  return cbor_value_get_next_byte(&here()) == end || Fail("something follows the value");
}

bool BulkTokens::Step() { return Check(items_.Check(cbor_value_advance_fixed(&here()), here())); }

bool BulkTokens::Scalar(Value& out) {
  if (failed()) return false;
  return cbor_ ? Check(items_.Scalar(here(), out)) : json_.Scalar(arena_, out);
}

bool BulkTokens::Integer(std::int64_t& out, const char* what) {
  if (!More()) return Fail(what);
  Value value;
  const bool container = cbor_ ? at_array() : json_.SkipSpace() && json_.at_container();
  if (container || at_text()) return Fail(what);
  if (!Scalar(value)) return false;
  if (value.type != ValueType::kInteger) return Fail(what);
  out = value.integer;
  return true;
}

bool BulkTokens::Text(std::string_view& out, const char* what) {
  if (!More() || !at_text()) return Fail(what);
  return cbor_ ? Check(items_.String(here(), out)) : json_.String(arena_, out);
}

bool BulkTokens::TextOrNull(std::string_view& out, const char* what) {
  if (!More()) return Fail(what);
  const bool container = cbor_ ? at_array() : json_.SkipSpace() && json_.at_container();
  if (container) return Fail(what);
  Value value;
  if (!Scalar(value)) return false;
  if (!value.is_null() && value.type != ValueType::kText) return Fail(what);
  out = value.text;
  return true;
}

// [exponent, mantissa] behind tag 4 (RFC 8949 3.4.4).
bool BulkTokens::Decimal(Value& out) {
  std::int64_t exponent = 0, mantissa = 0;
  if (!Open("a decimal fraction is an array") || !Integer(exponent, "an exponent is expected") ||
      !Integer(mantissa, "a mantissa is expected") ||
      !Close("something follows the decimal fraction")) {
    return false;
  }
  const auto real = RealOfDecimal(exponent, mantissa);
  if (!real) return Fail("no decimal fraction of ours");
  out = Value::Real(*real);
  return true;
}

bool BulkTokens::Item(Packed& out) {
  out = {};
  if (failed()) return false;
  if (cbor_value_is_undefined(&here())) {
    out.same = true;
    return Step();
  }
  if (!cbor_value_is_tag(&here())) return Scalar(out.value);
  CborTag tag = 0;
  cbor_value_get_tag(&here(), &tag);
  if (tag != kDecimalTag && tag != kReferenceTag) return Fail("a tag");
  if (!Step()) return false;
  if (tag == kDecimalTag) return Decimal(out.value);
  Value number;
  if (!Scalar(number)) return false;
  if (number.type != ValueType::kInteger || number.integer < 0 ||
      number.integer >= std::int64_t(kPackedTexts)) {
    return Fail("no number of a text");
  }
  out.reference = int(number.integer);
  return true;
}

}  // namespace holdfast::wire
