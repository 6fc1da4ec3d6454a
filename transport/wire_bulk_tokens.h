// SPDX-License-Identifier: Apache-2.0
// transport/wire_bulk_tokens.h - the arrays and scalars that a bulk is made of; private to the
// codec.
//
// Purpose: readers of bulks see one way to walk through nested arrays, whatever the encoding.
// Owner:   borrows the text; strings are copied into the caller's arena.
// Threads: any; no state but its own.
// Errors:  sticky, as of JsonReader.
#ifndef HOLDFAST_TRANSPORT_WIRE_BULK_TOKENS_H_
#define HOLDFAST_TRANSPORT_WIRE_BULK_TOKENS_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "transport/wire_json.h"

namespace holdfast::wire {

enum class Encoding : std::uint8_t { kJson, kCbor };

class BulkTokens {
 public:
  BulkTokens(std::string_view text, Encoding encoding);

  // Into an array.
  bool Open(const char* what);
  // Whether one more value stands in the innermost array; at its end, out of it.
  bool More();
  // The end of the innermost array, and nothing else. False: Fail(what).
  bool Close(const char* what);
  // Nothing may follow.
  bool End() { return json_.End(); }

  bool at_array() { return json_.SkipSpace() && json_.at('['); }
  bool at_text() { return json_.SkipSpace() && json_.at('"'); }
  bool at_object() { return json_.SkipSpace() && json_.at('{'); }

  bool Integer(std::int64_t& out, const char* what);
  bool Text(Arena& arena, std::string_view& out, const char* what);
  // Null as "".
  bool TextOrNull(Arena& arena, std::string_view& out, const char* what);
  bool Scalar(Arena& arena, Value& out) { return json_.Scalar(arena, out); }
  // An object, as it stands in the text.
  bool Object(std::string_view& raw) { return json_.Any(raw); }

  bool Fail(const char* what) { return json_.Fail(what); }
  bool Fail(const Error& error) { return json_.Fail(error); }
  bool failed() const { return json_.failed(); }
  const Error& error() const { return json_.error(); }

 private:
  static constexpr std::size_t kDepth = 6;

  JsonReader json_;
  std::array<bool, kDepth> begun_{};  // by depth: a value of that array was read
  std::size_t depth_ = 0;
};

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_BULK_TOKENS_H_
