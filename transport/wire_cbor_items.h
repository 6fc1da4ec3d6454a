// SPDX-License-Identifier: Apache-2.0
// transport/wire_cbor_items.h - single items of CBOR, in and out; private to the codec.
//
// Owner:   strings of definite length are borrowed from the text, others copied into the arena.
// Errors:  kBadAnswer with the offset of the item.
#ifndef HOLDFAST_TRANSPORT_WIRE_CBOR_ITEMS_H_
#define HOLDFAST_TRANSPORT_WIRE_CBOR_ITEMS_H_

#include <tinycbor/cbor.h>

#include <cstdint>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "hal/base/text.h"

namespace holdfast::wire {

class CborItems {
 public:
  CborItems(std::string_view cbor, Arena& arena)
      : begin_(reinterpret_cast<const std::uint8_t*>(cbor.data())),
        size_(cbor.size()),
        arena_(arena) {}

  // Both step over the item. A scalar is what a column may hold: no maps, arrays, tags.
  Result<void> Scalar(CborValue& item, Value& value);
  Result<void> String(CborValue& item, std::string_view& text);

  Error Bad(const char* what, const std::uint8_t* at) const;
  Error Bad(const char* what, const CborValue& at) const;
  // `at` is where TinyCBOR stopped.
  Result<void> Check(CborError error, const CborValue& at) const;

 protected:
  Result<void> Chunk(std::string_view chunk, bool is_text) const;

  const std::uint8_t* begin_;
  std::size_t size_;
  Arena& arena_;
};

// One value of a row, as EncodeRowCbor() writes it.
Result<void> PutCborItem(const Field& field, TextWriter& out);

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_CBOR_ITEMS_H_
