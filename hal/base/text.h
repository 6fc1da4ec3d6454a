// SPDX-License-Identifier: Apache-2.0
// hal/base/text.h - small text conversions that several folders need, each into a caller's buffer.
#ifndef HOLDFAST_HAL_BASE_TEXT_H_
#define HOLDFAST_HAL_BASE_TEXT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/result.h"

namespace holdfast {

// Appends to a buffer that it does not own; the first byte that does not fit makes every later
// result an error, so a caller may check once at the end.
class TextWriter {
 public:
  explicit TextWriter(std::span<char> buffer) : buffer_(buffer) {}
  TextWriter& Put(std::string_view text);
  TextWriter& Put(char c) {
    if (full_ || used_ == buffer_.size()) {
      full_ = true;
    } else {
      buffer_[used_++] = c;
    }
    return *this;
  }
  TextWriter& PutInteger(std::int64_t value);
  // The shortest digits that read back as the same double; never an exponent-less integer that
  // would change its type: 1 is written 1.0 only when `keep_real`.
  TextWriter& PutReal(double value, bool keep_real = false);
  TextWriter& PutHex(std::string_view bytes);
  TextWriter& PutBase64(std::string_view bytes);
  TextWriter& PutPercentEncoded(std::string_view text);  // RFC 3986 unreserved stay

  bool full() const { return full_; }
  std::string_view view() const { return {buffer_.data(), used_}; }
  // kTooLarge when anything was cut.
  Result<std::string_view> Finish() const;
  void Rewind(std::size_t size) {
    used_ = size;
    full_ = false;
  }

 private:
  std::span<char> buffer_;
  std::size_t used_ = 0;
  bool full_ = false;
};

// Decodes standard base64 with padding into `out`; nullopt when it is not base64 or does not fit.
std::optional<std::string_view> DecodeBase64(std::string_view text, std::span<char> out);

// RFC 3986 %XX and, when `plus_is_space`, '+'. nullopt: a bad escape, or no room.
std::optional<std::string_view> DecodePercent(std::string_view text, std::span<char> out,
                                              bool plus_is_space);

std::optional<std::int64_t> ParseInteger(std::string_view text);  // all of it, in range
std::optional<double> ParseReal(std::string_view text);           // all of it, finite

bool EqualsIgnoreCase(std::string_view a, std::string_view b);  // ASCII
bool IsUtf8(std::string_view text);                             // well-formed, no surrogates
// How many bytes the first character of `text` has; 0 when they are not well-formed UTF-8.
std::size_t Utf8Length(std::string_view text);

// Rules of protocol.md 1: no control characters, none of " + ? \ / `, not "." or "..", 1 to
// limits::kIdBytes bytes. The reason is the error's text.
Result<void> CheckId(std::string_view id);
// ^[A-Za-z][A-Za-z0-9_]*$, at most limits::kTableNameBytes; names that begin with two underscores
// or with sqlite_ belong to holdfast and to SQLite.
Result<void> CheckName(std::string_view name);

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_TEXT_H_
