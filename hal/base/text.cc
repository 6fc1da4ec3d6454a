// SPDX-License-Identifier: Apache-2.0
#include "hal/base/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstring>

#include "hal/base/limits.h"

namespace holdfast {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";
constexpr char kBase64Digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

constexpr bool IsDigit(char c) { return c >= '0' && c <= '9'; }
constexpr bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
constexpr char Lower(char c) { return c >= 'A' && c <= 'Z' ? char(c + ('a' - 'A')) : c; }
constexpr unsigned Octet(char c) { return static_cast<unsigned char>(c); }

int HexValue(char c) {
  if (IsDigit(c)) return c - '0';
  const char lower = Lower(c);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

int Base64Value(char c) {
  if (c >= 'A' && c <= 'Z') return c - 'A';
  if (c >= 'a' && c <= 'z') return c - 'a' + 26;
  if (IsDigit(c)) return c - '0' + 52;
  if (c == '+') return 62;
  return c == '/' ? 63 : -1;
}

bool IsTail(unsigned octet) { return (octet & 0xC0) == 0x80; }

Error BadText(const char* what) { return {Code::kInvalidArgument, Origin::kNone, 0, what}; }

// Whether a number that from_chars() finds out of range is too large rather than too small: the
// decimal exponent of its first digit that is not zero.
bool IsHuge(std::string_view number) {
  std::int64_t exponent = 0;
  const std::size_t e = number.find_first_of("eE");
  if (e != std::string_view::npos) {
    std::string_view power = number.substr(e + 1);
    const bool negative = power.starts_with('-');
    if (negative || power.starts_with('+')) power.remove_prefix(1);
    for (const char c : power) {
      if (exponent < 1'000'000'000) exponent = exponent * 10 + (c - '0');
    }
    if (negative) exponent = -exponent;
    number = number.substr(0, e);
  }
  const std::size_t first = number.find_first_of("123456789");
  if (first == std::string_view::npos) return false;
  const std::size_t point = std::min(number.find('.'), number.size());
  return exponent + std::int64_t(point) - std::int64_t(first) > 0;
}

// What people and sensors write: at most 15 digits, at most 9 of them decimals. A whole number
// below 2^53 divided by a power of ten is rounded as reading the decimal would be, so a quotient
// equal to `value` shows that the decimal reads back as it. "" for all others.
std::string_view ShortDecimal(double value, std::span<char, 40> room) {
  double scale = 1;
  std::int64_t divisor = 1;
  for (std::size_t decimals = 0; decimals <= 9; ++decimals, scale *= 10, divisor *= 10) {
    const double scaled = value * scale;
    if (scaled >= 1e15) break;
    const auto whole = std::int64_t(scaled + 0.5);
    if (double(whole) / scale != value) continue;
    char* end = std::to_chars(room.data(), room.data() + room.size(), whole / divisor).ptr;
    if (decimals > 0) {
      *end++ = '.';
      std::int64_t fraction = whole % divisor;
      for (std::size_t i = decimals; i > 0; --i, fraction /= 10)
        end[i - 1] = char('0' + fraction % 10);
      end += decimals;
    }
    return {room.data(), std::size_t(end - room.data())};
  }
  return {};
}

// 15 digits hold every decimal of that length, 17 every double; subnormals may need only one.
std::string_view AnyDecimal(double value, std::span<char, 40> room) {
  std::string_view text;
  for (int digits = std::isnormal(value) ? 15 : 1; digits <= 17; ++digits) {
    const int size = std::snprintf(room.data(), room.size(), "%.*g", digits, value);
    HF_ASSERT(size > 0 && std::size_t(size) < room.size());
    text = {room.data(), std::size_t(size)};
    // Whatever locale a library has set: the only other character is the point.
    for (char& c : room.first(text.size())) {
      if (!IsDigit(c) && c != 'e' && c != '-' && c != '+') c = '.';
    }
    if (ParseReal(text) == value) break;
  }
  return text;
}

}  // namespace

TextWriter& TextWriter::Put(std::string_view text) {
  if (full_ || text.size() > buffer_.size() - used_) {
    full_ = true;
    return *this;
  }
  if (!text.empty()) std::memcpy(buffer_.data() + used_, text.data(), text.size());
  used_ += text.size();
  return *this;
}

TextWriter& TextWriter::PutInteger(std::int64_t value) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, value);
  return Put({digits, std::size_t(end.ptr - digits)});
}

// std::to_chars() for doubles would do, but brings 125 KB of tables to a small device.
TextWriter& TextWriter::PutReal(double value, bool keep_real) {
  if (!std::isfinite(value)) return Put("null");
  if (std::signbit(value)) Put('-');
  char digits[40];
  std::string_view text = ShortDecimal(std::fabs(value), digits);
  if (text.empty()) text = AnyDecimal(std::fabs(value), digits);
  Put(text);
  if (keep_real && text.find_first_of(".e") == std::string_view::npos) Put(".0");
  return *this;
}

TextWriter& TextWriter::PutHex(std::string_view bytes) {
  for (const char c : bytes) {
    const char pair[2] = {kHexDigits[Octet(c) >> 4], kHexDigits[Octet(c) & 15]};
    Put({pair, 2});
  }
  return *this;
}

TextWriter& TextWriter::PutBase64(std::string_view bytes) {
  while (!bytes.empty() && !full_) {
    const std::size_t n = bytes.size() < 3 ? bytes.size() : 3;
    unsigned group = Octet(bytes[0]) << 16;
    if (n > 1) group |= Octet(bytes[1]) << 8;
    if (n > 2) group |= Octet(bytes[2]);
    const char four[4] = {kBase64Digits[group >> 18], kBase64Digits[(group >> 12) & 63],
                          n > 1 ? kBase64Digits[(group >> 6) & 63] : '=',
                          n > 2 ? kBase64Digits[group & 63] : '='};
    Put({four, 4});
    bytes.remove_prefix(n);
  }
  return *this;
}

TextWriter& TextWriter::PutPercentEncoded(std::string_view text) {
  for (const char c : text) {
    if (IsLetter(c) || IsDigit(c) || c == '-' || c == '.' || c == '_' || c == '~') {
      Put(c);
    } else {
      const char three[3] = {'%',
                             char(kHexDigits[Octet(c) >> 4] & (Octet(c) >> 4 > 9 ? 0xDF : 0xFF)),
                             char(kHexDigits[Octet(c) & 15] & ((Octet(c) & 15) > 9 ? 0xDF : 0xFF))};
      Put({three, 3});
    }
  }
  return *this;
}

Result<std::string_view> TextWriter::Finish() const {
  if (full_) {
    return Error{Code::kTooLarge, Origin::kNone, std::int32_t(buffer_.size()),
                 "the text does not fit its buffer"};
  }
  return view();
}

std::optional<std::string_view> DecodeBase64(std::string_view text, std::span<char> out) {
  if (text.size() % 4 != 0) return std::nullopt;
  std::size_t padding = 0;
  while (padding < 2 && padding < text.size() && text[text.size() - 1 - padding] == '=') ++padding;
  const std::size_t size = text.size() / 4 * 3 - padding;
  if (size > out.size()) return std::nullopt;
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size(); i += 4) {
    unsigned group = 0;
    for (std::size_t k = 0; k < 4; ++k) {
      const bool is_padding = i + k >= text.size() - padding;
      const int value = is_padding ? 0 : Base64Value(text[i + k]);
      if (value < 0) return std::nullopt;
      group = group << 6 | unsigned(value);
    }
    // Bits that no byte takes have to be zero: equal bytes have one text only.
    const std::size_t bytes = size - used < 3 ? size - used : 3;
    if ((group & (0xFFFFFFU >> (8 * bytes))) != 0) return std::nullopt;
    for (std::size_t k = 0; k < bytes; ++k) out[used++] = char(group >> (16 - 8 * k) & 0xFF);
  }
  return std::string_view(out.data(), used);
}

std::optional<std::string_view> DecodePercent(std::string_view text, std::span<char> out,
                                              bool plus_is_space) {
  std::size_t used = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    char c = text[i];
    if (c == '%') {
      if (text.size() - i < 3) return std::nullopt;
      const int high = HexValue(text[i + 1]);
      const int low = HexValue(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      c = char(high << 4 | low);
      i += 2;
    } else if (c == '+' && plus_is_space) {
      c = ' ';
    }
    if (used == out.size()) return std::nullopt;
    out[used++] = c;
  }
  return std::string_view(out.data(), used);
}

std::optional<std::int64_t> ParseInteger(std::string_view text) {
  std::int64_t value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ec != std::errc() || end.ptr != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<double> ParseReal(std::string_view text) {
  // from_chars() also takes "inf" and "nan".
  const std::string_view digits = text.starts_with('-') ? text.substr(1) : text;
  if (digits.empty() || !(IsDigit(digits[0]) || digits[0] == '.')) return std::nullopt;
  double value = 0;
  const auto end = std::from_chars(text.data(), text.data() + text.size(), value);
  if (end.ptr != text.data() + text.size()) return std::nullopt;
  if (end.ec == std::errc()) return std::isfinite(value) ? std::optional(value) : std::nullopt;
  if (end.ec != std::errc::result_out_of_range || IsHuge(digits)) return std::nullopt;
  return text.starts_with('-') ? -0.0 : 0.0;
}

bool EqualsIgnoreCase(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

// Table 3-7 of the Unicode Standard: the second octet's range depends on the first.
std::size_t Utf8Length(std::string_view text) {
  if (text.empty()) return 0;
  const unsigned first = Octet(text[0]);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || text.size() < length) return 0;
  unsigned low = 0x80;
  unsigned high = 0xBF;
  if (first == 0xE0) low = 0xA0;
  if (first == 0xED) high = 0x9F;
  if (first == 0xF0) low = 0x90;
  if (first == 0xF4) high = 0x8F;
  if (Octet(text[1]) < low || Octet(text[1]) > high) return 0;
  for (std::size_t i = 2; i < length; ++i) {
    if (!IsTail(Octet(text[i]))) return 0;
  }
  return length;
}

bool IsUtf8(std::string_view text) {
  const char* at = text.data();
  const char* const end = at + text.size();
  while (at != end) {
    // Nearly all text is ASCII: eight octets at a time.
    std::uint64_t eight;
    while (end - at >= 8) {
      std::memcpy(&eight, at, sizeof eight);
      if ((eight & 0x8080808080808080ULL) != 0) break;
      at += 8;
    }
    while (at != end && Octet(*at) < 0x80) ++at;
    if (at == end) return true;
    const std::size_t length = Utf8Length({at, std::size_t(end - at)});
    if (length == 0) return false;
    at += length;
  }
  return true;
}

Result<void> CheckId(std::string_view id) {
  if (id.empty()) return BadText("an id is not empty");
  if (id.size() > limits::kIdBytes) return BadText("an id has at most 255 bytes");
  if (id == "." || id == "..") return BadText("an id is not . or ..");
  if (!IsUtf8(id)) return BadText("an id is UTF-8");
  for (std::size_t i = 0; i < id.size(); ++i) {
    const unsigned c = Octet(id[i]);
    // U+0080 to U+009F are C2 80 to C2 9F.
    const bool is_c1 = c == 0xC2 && Octet(id[i + 1]) < 0xA0;
    if (c < 0x20 || c == 0x7F || is_c1) return BadText("an id has no control characters");
    if (std::string_view("\"+?\\/`").find(id[i]) != std::string_view::npos) {
      return BadText("an id has none of \" + ? \\ / `");
    }
  }
  return Ok();
}

Result<void> CheckName(std::string_view name) {
  if (name.empty()) return BadText("a name is not empty");
  if (name.size() > limits::kTableNameBytes) return BadText("a name has at most 64 bytes");
  if (name.starts_with("__")) return BadText("names that begin with __ belong to holdfast");
  if (!IsLetter(name[0])) return BadText("a name begins with a letter");
  for (const char c : name) {
    if (!IsLetter(c) && !IsDigit(c) && c != '_') {
      return BadText("a name consists of letters, digits and _");
    }
  }
  if (EqualsIgnoreCase(name.substr(0, 7), "sqlite_")) {
    return BadText("names that begin with sqlite_ belong to SQLite");
  }
  return Ok();
}

}  // namespace holdfast
