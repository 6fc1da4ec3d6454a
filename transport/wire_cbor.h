// SPDX-License-Identifier: Apache-2.0
// transport/wire_cbor.h - one row as CBOR and back, where every byte counts.
//
// Purpose: the same rows as EncodeRow() and DecodeRow() of transport/wire.h, in fewer bytes.
//          A row is one map with text names; blobs are byte strings, so no base64 and no Conform()
//          for them. TinyCBOR reads and writes the items; what a row may be is judged here.
// Owner:   decoded rows borrow from `cbor` (strings of definite length) and from the arena (those
//          that came in chunks); they live as long as both.
// Threads: any; no state.
// Units:   `native` of a kBadAnswer is the offset of the item in question, in bytes.
// Errors:  kBadAnswer, kNoMemory, kTooLarge, kInvalidArgument, all with Origin::kNone.
// Standard: RFC 8949. Written: definite lengths, and of 4.2.1 the shortest form of every length,
//          integer and real; members stay in the row's order. Read: every well-formed item, the
//          shortest form or not, that has a meaning as a column's value.
#ifndef HOLDFAST_TRANSPORT_WIRE_CBOR_H_
#define HOLDFAST_TRANSPORT_WIRE_CBOR_H_

#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "hal/base/text.h"

namespace holdfast::wire {

// Appends the row as one map. Booleans by column type, dates as text, a real that is not finite as
// null, a whole real of an integer column as integer (EncodeRow() writes it without a point).
// kTooLarge when the writer is full; kInvalidArgument for a name or a text that is not UTF-8. On an
// error the writer is as it was.
Result<void> EncodeRowCbor(RowView row, TextWriter& out);

// One map -> fields, in order. Integers that do not fit int64 become kReal, byte strings kBlob;
// undefined, NaN and the infinities become null. Maps and strings may be of indefinite length, and
// tag 55799 (self-described CBOR) may stand in front. All other tags, nested maps and arrays, other
// simple values, names that are not text or differ by case only, text that is not UTF-8, more
// fields than a row has room for, and bytes after the map are kBadAnswer. kTooLarge: more than
// limits::kRowBytes. On an error the row is empty and the arena as it was.
Result<void> DecodeRowCbor(std::string_view cbor, Arena& arena, RowFields& row);

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_CBOR_H_
