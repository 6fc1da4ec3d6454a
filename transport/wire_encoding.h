// SPDX-License-Identifier: Apache-2.0
// transport/wire_encoding.h - how a body says its values.
#ifndef HOLDFAST_TRANSPORT_WIRE_ENCODING_H_
#define HOLDFAST_TRANSPORT_WIRE_ENCODING_H_

#include <cstdint>

namespace holdfast::wire {

enum class Encoding : std::uint8_t { kJson, kCbor };

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_ENCODING_H_
