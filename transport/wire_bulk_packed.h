// SPDX-License-Identifier: Apache-2.0
// transport/wire_bulk_packed.h - what a packed row says against the rows before it; private to the
//                                codec.
//
// Purpose: without gzip, which CoAP does not have, a row of a sensor is mostly what its
//          predecessors were. Writer and reader keep the same memory of a run.
// Owner:   its texts lie in the body.
#ifndef HOLDFAST_TRANSPORT_WIRE_BULK_PACKED_H_
#define HOLDFAST_TRANSPORT_WIRE_BULK_PACKED_H_

#include <array>
#include <cmath>
#include <cstdint>
#include <optional>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/row.h"

namespace holdfast::wire {

inline constexpr std::uint64_t kDecimalTag = 4, kReferenceTag = 25;
// Texts of a column that a run knows by number: one byte each.
inline constexpr std::size_t kPackedTexts = 24;
inline constexpr int kDecimals = 6;
inline constexpr std::int64_t kMantissaMost =
    (std::int64_t{1} << 32) - 1;  // 5 bytes; a double has 9

// The real that a decimal stands for: the same division on both sides gives the same bits.
inline std::optional<double> RealOfDecimal(std::int64_t exponent, std::int64_t mantissa) {
  if (exponent < -kDecimals || exponent > -1) return std::nullopt;
  if (mantissa < -kMantissaMost || mantissa > kMantissaMost) return std::nullopt;
  double scale = 1;
  for (std::int64_t i = exponent; i < 0; ++i) scale *= 10;
  return double(mantissa) / scale;
}

struct Decimal {
  int exponent = 0;
  std::int64_t mantissa = 0;
};
inline std::optional<Decimal> DecimalOf(double real) {
  double scale = 10;
  for (int decimals = 1; decimals <= kDecimals; ++decimals, scale *= 10) {
    const double scaled = std::round(real * scale);
    if (!(std::fabs(scaled) <= double(kMantissaMost))) return std::nullopt;
    if (scaled / scale == real) return Decimal{-decimals, std::int64_t(scaled)};
  }
  return std::nullopt;
}

// Of one run.
struct PackedMemory {
  struct Column {
    Value last;
    std::array<std::string_view, kPackedTexts> texts;
    std::size_t count = 0;
  };
  FixedString<limits::kIdBytes> id;
  bool any = false;  // there was a row
  std::array<Column, limits::kColumns> columns;

  void Forget() {
    id.clear();
    any = false;
    for (Column& column : columns) column.count = 0;
  }
};

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_BULK_PACKED_H_
