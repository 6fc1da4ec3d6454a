// SPDX-License-Identifier: Apache-2.0
#include "transport/wire_bulk_tokens.h"

#include "hal/base/limits.h"

namespace holdfast::wire {

// A body has no more values than bytes.
BulkTokens::BulkTokens(std::string_view text, Encoding encoding) : json_(text, text.size()) {
  if (encoding != Encoding::kJson) {
    json_.Fail(Error{Code::kUnsupported, Origin::kNone, 0, "this encoding is not known"});
  }
}

bool BulkTokens::Open(const char* what) {
  if (depth_ == kDepth) return Fail("arrays nested too deeply");
  if (!json_.Expect('[', what)) return false;
  begun_[depth_++] = false;
  return true;
}

bool BulkTokens::More() {
  HF_ASSERT(depth_ > 0);
  bool& begun = begun_[depth_ - 1];
  if (json_.Next(']')) {
    --depth_;
    return false;
  }
  if (begun) return json_.Expect(',', "a comma or the end is expected");
  begun = true;
  return json_.SkipSpace() || Fail("an array does not end");
}

bool BulkTokens::Close(const char* what) {
  if (More()) return Fail(what);
  return !failed();
}

bool BulkTokens::Integer(std::int64_t& out, const char* what) {
  Arena none({});
  Value value;
  if (!More() || !json_.SkipSpace() || json_.at('"') || json_.at_container()) return Fail(what);
  if (!json_.Scalar(none, value)) return false;
  if (value.type != ValueType::kInteger) return Fail(what);
  out = value.integer;
  return true;
}

bool BulkTokens::Text(Arena& arena, std::string_view& out, const char* what) {
  if (!More() || !json_.SkipSpace() || !json_.at('"')) return Fail(what);
  return json_.String(arena, out);
}

bool BulkTokens::TextOrNull(Arena& arena, std::string_view& out, const char* what) {
  if (!More() || !json_.SkipSpace() || json_.at_container()) return Fail(what);
  Value value;
  if (!json_.Scalar(arena, value)) return false;
  if (!value.is_null() && value.type != ValueType::kText) return Fail(what);
  out = value.text;
  return true;
}

}  // namespace holdfast::wire
