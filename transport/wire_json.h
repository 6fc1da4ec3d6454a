// SPDX-License-Identifier: Apache-2.0
// transport/wire_json.h - reads JSON from front to back, in bounds; private to the codec.
//
// Purpose: every byte that came from outside is judged here first: size, depth, number of nodes,
//          UTF-8, grammar (RFC 8259). Integers keep their 64 bits, which cJSON, whose numbers are
//          doubles, would lose; and a row needs no tree, so rows are read with this alone.
// Owner:   borrows the text; strings are copied into the caller's arena.
// Threads: any; no state but its own.
// Errors:  sticky: after the first, every call says no, and error() says why and at which byte.
#ifndef HOLDFAST_TRANSPORT_WIRE_JSON_H_
#define HOLDFAST_TRANSPORT_WIRE_JSON_H_

#include <cstddef>
#include <optional>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/row.h"

namespace holdfast::wire {

class JsonReader {
 public:
  // A byte order mark in front is stepped over (RFC 8259, 8.1).
  explicit JsonReader(std::string_view text, std::size_t most_nodes = limits::kJsonNodes,
                      std::size_t most_bytes = limits::kRowBytes);

  bool SkipSpace();   // true when something is left
  bool Next(char c);  // takes `c` when it stands here, after white space
  bool Expect(char c, const char* what);
  bool End();  // nothing but white space may be left

  // The values. Each checks what stands here to its end.
  bool String(Arena& arena, std::string_view& out);
  bool Scalar(Arena& arena, Value& out);
  // An object, an array or a scalar of any kind, as it stands in the text.
  bool Any(std::string_view& raw);

  bool at_container() const { return at_ != end_ && (*at_ == '{' || *at_ == '['); }
  bool at(char c) const { return at_ != end_ && *at_ == c; }
  bool failed() const { return error_.has_value(); }
  bool Fail(const char* what) { return Fail(what, Code::kBadAnswer, offset()); }
  bool Fail(const Error& error);
  const Error& error() const { return *error_; }

 private:
  bool Fail(const char* what, Code code, std::size_t native);
  std::size_t offset() const { return std::size_t(at_ - begin_); }
  bool CountNode();
  bool Word(std::string_view word);
  bool Number(std::string_view& raw, bool& is_integer);
  bool Digits();
  bool SkipString();
  bool SkipEscape();
  bool SkipContainer();
  bool Unescape(Arena& arena, const char* from, std::string_view& out);
  bool CodePoint(const char*& from, unsigned& code);

  const char* begin_;
  const char* end_;
  const char* at_;
  std::size_t depth_ = 1;  // the object of a row counts
  std::size_t nodes_ = 0, most_nodes_;
  std::optional<Error> error_;
};

// -1: no hexadecimal digit.
int HexValue(char c);

// Up to four bytes; returns where the next character goes.
char* PutUtf8(char* out, unsigned code);

// The first character in [at, end) that cannot stand in a JSON string as it is: a quote, a
// backslash, a control character.
const char* SkipPlain(const char* at, const char* end);

// `raw`, checked before, without the white space between its tokens.
Result<std::string_view> Compact(std::string_view raw, Arena& arena);

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_JSON_H_
