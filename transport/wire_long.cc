// SPDX-License-Identifier: Apache-2.0
#include "transport/wire_long.h"

#include <algorithm>
#include <cstring>

#include "hal/base/text.h"
#include "transport/wire_json.h"

namespace holdfast::wire {
namespace {

constexpr int kMembersMost = int(limits::kColumns) + 16;
constexpr std::size_t kWordBytes = 400;  // of a number

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool EndsWord(char c) { return IsSpace(c) || c == ',' || c == '}'; }

}  // namespace

Error LongRowReader::Bad(const char* what) const {
  return {Code::kBadAnswer, Origin::kJson, std::int32_t(read_ - (end_ - at_)), what};
}

// Makes `wanted` bytes visible. false: the text has fewer.
Result<bool> LongRowReader::Fill(std::size_t wanted) {
  while (end_ - at_ < wanted) {
    std::memmove(window_.data(), window_.data() + at_, end_ - at_);
    end_ -= at_;
    at_ = 0;
    HF_TRY_ASSIGN(const std::size_t size, source_.Read(read_, std::span(window_).subspan(end_)));
    if (size == 0) return false;
    read_ += size;
    end_ += size;
  }
  return true;
}

Result<char> LongRowReader::Look() {
  HF_TRY_ASSIGN(const bool more, Fill(1));
  if (!more) return Bad("the row does not end");
  return window_[at_];
}

Result<char> LongRowReader::SkipSpace() {
  for (;;) {
    HF_TRY_ASSIGN(const char c, Look());
    if (!IsSpace(c)) return c;
    ++at_;
  }
}

Result<void> LongRowReader::Expect(char c, const char* what) {
  HF_TRY_ASSIGN(const char found, SkipSpace());
  if (found != c) return Bad(what);
  ++at_;
  return Ok();
}

Result<bool> LongRowReader::Next(Member& member) {
  while (in_long_) {
    HF_TRY_ASSIGN(const std::string_view rest, ReadText(text_));
    (void)rest;
  }
  member = {};
  if (!begun_) HF_TRY(Expect('{', "an object is expected"));
  HF_TRY_ASSIGN(const char c, SkipSpace());
  if (c == '}') {
    ++at_;
    HF_TRY_ASSIGN(const bool more, Fill(1));
    if (more) return Bad("something follows the row");
    return false;
  }
  if (begun_) HF_TRY(Expect(',', "a comma or the end is expected"));
  begun_ = true;
  if (++members_ > kMembersMost) {
    return Error{Code::kTooLarge, Origin::kJson, kMembersMost, "a row with too many members"};
  }
  bool whole = false;
  HF_TRY(Expect('"', "a member's name is expected"));
  HF_TRY(String(name_, member.name, whole));
  if (!whole) return Bad("a member's name is too long");
  HF_TRY(Expect(':', "a colon is expected"));
  HF_TRY_ASSIGN(const char first, SkipSpace());
  if (first != '"') {
    HF_TRY(Word(member.value));
    return true;
  }
  ++at_;
  std::string_view text;
  HF_TRY(String(text_, text, whole));
  member.is_long = in_long_ = !whole;
  pending_ = whole ? std::string_view() : text;
  member.value = Value::Text(whole ? text : std::string_view());
  return true;
}

// A number, true, false or null.
Result<void> LongRowReader::Word(Value& value) {
  std::size_t size = 0;
  for (;; ++size) {
    HF_TRY_ASSIGN(const bool more, Fill(size + 1));
    if (!more) return Bad("the row does not end");
    if (EndsWord(window_[at_ + size])) break;
    if (size == kWordBytes) return Bad("a value is expected");
  }
  JsonReader json(std::string_view(window_.data() + at_, size));
  Arena none({});
  if (!json.Scalar(none, value) || !json.End()) return Bad("a value is expected");
  at_ += size;
  return Ok();
}

// Up to the closing quote, or as much as fits.
Result<void> LongRowReader::String(std::span<char> out, std::string_view& text, bool& whole) {
  std::size_t used = 0;
  for (;;) {
    HF_TRY_ASSIGN(const char c, Look());
    whole = c == '"';
    if (whole || out.size() - used < 4) break;
    HF_TRY_ASSIGN(const std::size_t size, Character(out.subspan(used)));
    used += size;
  }
  if (whole) ++at_;
  text = {out.data(), used};
  return Ok();
}

// A run of plain ASCII, or one other character. REQUIRES: something other than a quote stands here.
Result<std::size_t> LongRowReader::Character(std::span<char> out) {
  const char* const from = window_.data() + at_;
  const std::size_t room = std::min(end_ - at_, out.size());
  std::size_t run = 0;
  while (run < room && static_cast<unsigned char>(from[run]) < 0x80 &&
         static_cast<unsigned char>(from[run]) >= 0x20 && from[run] != '"' && from[run] != '\\') {
    ++run;
  }
  if (run > 0) {
    std::memcpy(out.data(), from, run);
    at_ += run;
    return run;
  }
  if (*from == '\\') {
    HF_TRY_ASSIGN(const unsigned code, Escape());
    return std::size_t(PutUtf8(out.data(), code) - out.data());
  }
  HF_TRY(Fill(4));  // fewer at the end of the text are too few in any case
  const std::size_t size = Utf8Length({window_.data() + at_, std::min<std::size_t>(4, end_ - at_)});
  if (size < 2) return Bad("a control character, or not UTF-8");
  std::memcpy(out.data(), window_.data() + at_, size);
  at_ += size;
  return size;
}

Result<unsigned> LongRowReader::Escape() {
  HF_TRY_ASSIGN(const bool more, Fill(2));
  if (!more) return Bad("the row does not end");
  constexpr std::string_view kNames = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
  const std::size_t name = kNames.find(window_[at_ + 1]);
  if (name != std::string_view::npos) {
    at_ += 2;
    return unsigned(kMeanings[name]);
  }
  HF_TRY_ASSIGN(const unsigned first, Unit());
  if (first < 0xD800 || first > 0xDFFF) return first;
  if (first > 0xDBFF) return Bad("half a character in a string");
  HF_TRY_ASSIGN(const unsigned second, Unit());
  if (second < 0xDC00 || second > 0xDFFF) return Bad("half a character in a string");
  return 0x10000 + ((first - 0xD800) << 10) + (second - 0xDC00);
}

// \uXXXX
Result<unsigned> LongRowReader::Unit() {
  HF_TRY_ASSIGN(const bool more, Fill(6));
  if (!more || window_[at_] != '\\' || window_[at_ + 1] != 'u') return Bad("a bad escape");
  unsigned value = 0;
  for (std::size_t i = 2; i < 6; ++i) {
    const int digit = HexValue(window_[at_ + i]);
    if (digit < 0) return Bad("a bad escape");
    value = value << 4 | unsigned(digit);
  }
  at_ += 6;
  return value;
}

Result<std::string_view> LongRowReader::ReadText(std::span<char> out) {
  HF_ASSERT(out.size() >= 4);
  if (!pending_.empty()) {
    // What was read before it was known to be long; it may be where `out` is.
    std::size_t size = std::min(pending_.size(), out.size());
    while (size < pending_.size() && (pending_[size] & 0xC0) == 0x80) --size;
    std::memmove(out.data(), pending_.data(), size);
    pending_.remove_prefix(size);
    return std::string_view(out.data(), size);
  }
  if (!in_long_) return std::string_view();
  std::string_view text;
  bool whole = false;
  HF_TRY(String(out, text, whole));
  in_long_ = !whole;
  return text;
}

}  // namespace holdfast::wire
