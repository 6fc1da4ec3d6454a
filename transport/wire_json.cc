// SPDX-License-Identifier: Apache-2.0
#include "transport/wire_json.h"

#include <cstdint>
#include <cstring>

#include "hal/base/limits.h"
#include "hal/base/text.h"

namespace holdfast::wire {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }
bool IsDigit(char c) { return c >= '0' && c <= '9'; }

// Whether one of eight bytes ends a run of plain characters: a quote, a backslash, a control
// character (Bit Twiddling Hacks: determine if a word has a byte equal to, or less than, n).
bool HasSpecial(const char* at) {
  constexpr std::uint64_t kOnes = 0x0101010101010101ULL;
  constexpr std::uint64_t kHighs = 0x8080808080808080ULL;
  std::uint64_t w;
  std::memcpy(&w, at, sizeof w);
  const std::uint64_t quote = w ^ (kOnes * '"');
  const std::uint64_t backslash = w ^ (kOnes * '\\');
  const std::uint64_t control = (w - kOnes * 0x20) & ~w;
  return (((quote - kOnes) & ~quote) | ((backslash - kOnes) & ~backslash) | control) & kHighs;
}

}  // namespace

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

char* PutUtf8(char* out, unsigned code) {
  if (code < 0x80) {
    *out++ = char(code);
  } else if (code < 0x800) {
    *out++ = char(0xC0 | code >> 6);
    *out++ = char(0x80 | (code & 63));
  } else if (code < 0x10000) {
    *out++ = char(0xE0 | code >> 12);
    *out++ = char(0x80 | (code >> 6 & 63));
    *out++ = char(0x80 | (code & 63));
  } else {
    *out++ = char(0xF0 | code >> 18);
    *out++ = char(0x80 | (code >> 12 & 63));
    *out++ = char(0x80 | (code >> 6 & 63));
    *out++ = char(0x80 | (code & 63));
  }
  return out;
}

const char* SkipPlain(const char* at, const char* end) {
  while (end - at >= 8 && !HasSpecial(at)) at += 8;
  while (at != end && *at != '"' && *at != '\\' && static_cast<unsigned char>(*at) >= 0x20) ++at;
  return at;
}

JsonReader::JsonReader(std::string_view text, std::size_t most_nodes, std::size_t most_bytes)
    : begin_(text.data()), end_(begin_ + text.size()), at_(begin_), most_nodes_(most_nodes) {
  if (text.size() > most_bytes) {
    Fail("a row is longer than its limit", Code::kTooLarge, most_bytes);
  } else if (!IsUtf8(text)) {
    std::size_t good = 0;
    while (const std::size_t length = Utf8Length(text.substr(good))) good += length;
    Fail("not UTF-8", Code::kBadAnswer, good);
  } else if (text.starts_with(kByteOrderMark)) {
    at_ += kByteOrderMark.size();
  }
}

bool JsonReader::Fail(const Error& error) {
  if (!error_) error_ = error;
  at_ = end_;
  return false;
}

bool JsonReader::Fail(const char* what, Code code, std::size_t native) {
  return Fail(Error{code, Origin::kJson, std::int32_t(native), what});
}

bool JsonReader::SkipSpace() {
  while (at_ != end_ && IsSpace(*at_)) ++at_;
  return at_ != end_;
}

bool JsonReader::Next(char c) {
  if (!SkipSpace() || *at_ != c) return false;
  ++at_;
  return true;
}

bool JsonReader::Expect(char c, const char* what) { return Next(c) || Fail(what); }

bool JsonReader::End() {
  if (error_) return false;
  return !SkipSpace() || Fail("something follows the value");
}

bool JsonReader::CountNode() {
  if (error_) return false;
  if (++nodes_ <= most_nodes_) return true;
  return Fail("JSON with too many values", Code::kTooLarge, most_nodes_);
}

bool JsonReader::String(Arena& arena, std::string_view& out) {
  if (!Expect('"', "a string is expected")) return false;
  const char* const from = at_;
  at_ = SkipPlain(at_, end_);
  if (at_ == end_ || *at_ != '"') return Unescape(arena, from, out);
  auto copy = arena.Copy({from, std::size_t(at_ - from)});
  if (!copy) return Fail(copy.error());
  out = *copy;
  ++at_;
  return true;
}

// Finds the end of a string, checking its escapes.
bool JsonReader::SkipString() {
  for (;;) {
    at_ = SkipPlain(at_, end_);
    if (at_ == end_) return Fail("a string does not end");
    if (*at_ == '"') {
      ++at_;
      return true;
    }
    if (*at_ != '\\') return Fail("a control character in a string");
    if (!SkipEscape()) return false;
  }
}

bool JsonReader::SkipEscape() {
  if (end_ - at_ >= 2 && at_[1] != '\0' && std::strchr("\"\\/bfnrt", at_[1]) != nullptr) {
    at_ += 2;
    return true;
  }
  const char* from = at_;
  unsigned code = 0;
  if (!CodePoint(from, code)) return false;
  at_ = from;
  return true;
}

// \uXXXX, or the two of them that make one character.
bool JsonReader::CodePoint(const char*& from, unsigned& code) {
  const auto unit = [this](const char* at) {
    if (end_ - at < 6 || at[0] != '\\' || at[1] != 'u') return -1;
    int value = 0;
    for (int i = 2; i < 6; ++i) {
      const int digit = HexValue(at[i]);
      if (digit < 0) return -1;
      value = value << 4 | digit;
    }
    return value;
  };
  const int first = unit(from);
  if (first < 0) return Fail("a bad escape in a string");
  from += 6;
  code = unsigned(first);
  if (first < 0xD800 || first > 0xDFFF) return true;
  const int second = first < 0xDC00 ? unit(from) : -1;
  if (second < 0xDC00 || second > 0xDFFF) return Fail("half a character in a string");
  from += 6;
  code = 0x10000 + ((unsigned(first) - 0xD800) << 10) + (unsigned(second) - 0xDC00);
  return true;
}

// The slow way of String(): `from` is its first byte, at_ the first that is not plain.
bool JsonReader::Unescape(Arena& arena, const char* from, std::string_view& out) {
  if (!SkipString()) return false;
  const char* const end = at_ - 1;
  // Unescaped text is never longer than its escapes.
  const std::size_t mark = arena.Mark();
  char* const place = static_cast<char*>(arena.AllocateBytes(std::size_t(end - from)));
  if (place == nullptr) return Fail(Arena::Full());
  char* to = place;
  while (from != end) {
    if (*from != '\\') {
      *to++ = *from++;
      continue;
    }
    constexpr std::string_view kNames = "bfnrt";
    constexpr std::string_view kMeanings = "\b\f\n\r\t";
    if (from[1] == 'u') {
      unsigned code = 0;
      if (!CodePoint(from, code)) return false;
      to = PutUtf8(to, code);
    } else {
      const std::size_t name = kNames.find(from[1]);
      *to++ = name == std::string_view::npos ? from[1] : kMeanings[name];
      from += 2;
    }
  }
  out = {place, std::size_t(to - place)};
  arena.ResetTo(mark + out.size());
  return true;
}

bool JsonReader::Digits() {
  const char* const from = at_;
  while (at_ != end_ && IsDigit(*at_)) ++at_;
  return at_ != from || Fail("a digit is expected");
}

bool JsonReader::Number(std::string_view& raw, bool& is_integer) {
  const char* const from = at_;
  if (*at_ == '-') ++at_;
  if (at_ != end_ && *at_ == '0') {
    ++at_;
  } else if (!Digits()) {
    return false;
  }
  is_integer = true;
  if (at_ != end_ && *at_ == '.') {
    is_integer = false;
    ++at_;
    if (!Digits()) return false;
  }
  if (at_ != end_ && (*at_ == 'e' || *at_ == 'E')) {
    is_integer = false;
    ++at_;
    if (at_ != end_ && (*at_ == '+' || *at_ == '-')) ++at_;
    if (!Digits()) return false;
  }
  raw = {from, std::size_t(at_ - from)};
  return true;
}

bool JsonReader::Word(std::string_view word) {
  if (!std::string_view(at_, std::size_t(end_ - at_)).starts_with(word)) {
    return Fail("a value is expected");
  }
  at_ += word.size();
  return true;
}

bool JsonReader::Scalar(Arena& arena, Value& out) {
  if (!CountNode()) return false;
  if (!SkipSpace()) return Fail("a value is expected");
  switch (*at_) {
    case '"': {
      std::string_view text;
      if (!String(arena, text)) return false;
      out = Value::Text(text);
      return true;
    }
    case 't': out = Value::Boolean(true); return Word("true");
    case 'f': out = Value::Boolean(false); return Word("false");
    case 'n': out = Value::Null(); return Word("null");
    default: break;
  }
  if (*at_ != '-' && !IsDigit(*at_)) return Fail("a value is expected");
  std::string_view raw;
  bool is_integer = false;
  if (!Number(raw, is_integer)) return false;
  if (is_integer) {
    if (const auto integer = ParseInteger(raw)) {
      out = Value::Integer(*integer);
      return true;
    }
  }
  // What is beyond the largest double has no other value (servers do the same).
  const auto real = ParseReal(raw);
  out = real ? Value::Real(*real) : Value::Null();
  return true;
}

bool JsonReader::Any(std::string_view& raw) {
  if (!SkipSpace()) return Fail("a value is expected");
  const char* const from = at_;
  if (at_container()) {
    if (!SkipContainer()) return false;
  } else if (*at_ == '"') {
    if (!CountNode()) return false;
    ++at_;
    if (!SkipString()) return false;
  } else {
    Arena none({});
    Value value;
    if (!Scalar(none, value)) return false;
  }
  raw = {from, std::size_t(at_ - from)};
  return true;
}

bool JsonReader::SkipContainer() {
  if (!CountNode()) return false;
  if (++depth_ > limits::kJsonDepth) {
    return Fail("JSON nested too deeply", Code::kTooLarge, limits::kJsonDepth);
  }
  const bool is_object = *at_++ == '{';
  const char closing = is_object ? '}' : ']';
  std::string_view ignored;
  if (!Next(closing)) {
    do {
      if (is_object) {
        if (!Expect('"', "a member's name is expected") || !SkipString() ||
            !Expect(':', "a colon is expected")) {
          return false;
        }
      }
      if (!Any(ignored)) return false;
    } while (Next(','));
    if (!Expect(closing, "a comma or the end is expected")) return false;
  }
  --depth_;
  return true;
}

Result<std::string_view> Compact(std::string_view raw, Arena& arena) {
  const std::size_t mark = arena.Mark();
  char* const place = static_cast<char*>(arena.AllocateBytes(raw.size()));
  if (place == nullptr) return Arena::Full();
  std::size_t used = 0;
  bool in_string = false;
  for (std::size_t i = 0; i < raw.size(); ++i) {
    const char c = raw[i];
    if (!in_string && IsSpace(c)) continue;
    place[used++] = c;
    if (c == '"') in_string = !in_string;
    if (c == '\\') place[used++] = raw[++i];
  }
  arena.ResetTo(mark + used);
  return std::string_view(place, used);
}

}  // namespace holdfast::wire
