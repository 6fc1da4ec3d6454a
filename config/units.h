// SPDX-License-Identifier: Apache-2.0
// config/units.h - "30 s" and "8 MiB": durations and sizes as people write them.
//
// Purpose: a bare number is refused, because 8 has been seconds and minutes, kB and MB before.
// Units:   durations in milliseconds: ms s min h d; sizes in bytes: B KiB MiB GiB.
#ifndef HOLDFAST_CONFIG_UNITS_H_
#define HOLDFAST_CONFIG_UNITS_H_

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::config {

enum class Dimension : std::uint8_t { kDuration, kSize };

enum class UnitError : std::uint8_t {
  kNone,
  kNotANumber,  // does not begin with a whole number
  kNoUnit,
  kUnknownUnit,
  kTooLarge,  // does not fit 64 bits
};

struct Quantity {
  UnitError error = UnitError::kNone;
  std::int64_t value = 0;   // in ms or bytes
  std::string_view number;  // as written
  std::string_view unit;    // as written, or what was meant by it: "KB" is "KiB" here
};

// "8 MiB", "8MiB"; whole numbers only. On kUnknownUnit, `unit` is the unit that was probably meant,
// or empty.
Quantity ParseQuantity(Dimension dimension, std::string_view text);

// In `unit` when that is exact, else in the largest unit that is.
std::string FormatQuantity(Dimension dimension, std::int64_t value, std::string_view unit);

// "ms, s, min, h or d"
std::string_view UnitNames(Dimension dimension);

}  // namespace holdfast::config

#endif  // HOLDFAST_CONFIG_UNITS_H_
