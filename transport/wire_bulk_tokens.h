// SPDX-License-Identifier: Apache-2.0
// transport/wire_bulk_tokens.h - the arrays and scalars that a bulk is made of; private to the
// codec.
//
// Purpose: readers of bulks see one way to walk through nested arrays, whatever the encoding.
// Owner:   borrows the text; strings of JSON are copied into the arena, those of CBOR are borrowed.
// Threads: any; no state but its own.
// Errors:  sticky, as of JsonReader. `native` is the offset.
#ifndef HOLDFAST_TRANSPORT_WIRE_BULK_TOKENS_H_
#define HOLDFAST_TRANSPORT_WIRE_BULK_TOKENS_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "transport/wire_cbor_items.h"
#include "transport/wire_encoding.h"
#include "transport/wire_json.h"

namespace holdfast::wire {

class BulkTokens {
 public:
  BulkTokens(std::string_view text, Encoding encoding, Arena& arena);

  bool packed() const { return cbor_; }
  // Into an array.
  bool Open(const char* what);
  // Whether one more value stands in the innermost array; at its end, out of it.
  bool More();
  // The end of the innermost array, and nothing else. False: Fail(what).
  bool Close(const char* what);
  // Nothing may follow.
  bool End();

  bool at_array();
  bool at_text();
  bool at_object() { return !cbor_ && json_.SkipSpace() && json_.at('{'); }

  // These take the next value of the innermost array.
  bool Integer(std::int64_t& out, const char* what);
  bool Text(std::string_view& out, const char* what);
  // Null as "".
  bool TextOrNull(std::string_view& out, const char* what);

  // These take the value that stands here: More() was true.
  bool Scalar(Value& out);
  // An object of JSON, as it stands in the text.
  bool Object(std::string_view& raw) { return json_.Any(raw); }
  // A value of a packed row.
  struct Packed {
    Value value;
    bool same = false;   // as in the row before
    int reference = -1;  // not negative: the text of that number in this column
  };
  bool Item(Packed& out);

  bool Fail(const char* what);
  bool Fail(const Error& error) { return json_.Fail(error); }
  bool failed() const { return json_.failed(); }
  const Error& error() const { return json_.error(); }

 private:
  static constexpr std::size_t kDepth = 6;

  CborValue& here() { return at_[depth_]; }
  bool Check(const Result<void>& done) { return done ? true : Fail(done.error()); }
  bool Step();
  bool Decimal(Value& out);

  const bool cbor_;
  std::string_view text_;
  Arena& arena_;
  JsonReader json_;                       // of CBOR, keeps the error only
  std::array<bool, kDepth + 1> begun_{};  // by depth: a value of that array was read
  CborItems items_;
  CborParser parser_{};
  std::array<CborValue, kDepth + 1> at_{};
  std::size_t depth_ = 0;
};

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_BULK_TOKENS_H_
