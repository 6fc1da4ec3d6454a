// SPDX-License-Identifier: Apache-2.0
// transport/wire_moment.h - the moment and the version that holdfast-server gives a change.
//
// Purpose: both sides of a bulk push know the next moment and the next version from the one before,
//          so that a thousand outcomes are said in one line.
// Shapes:  a version is the moment in other clothes: the number of 8 us steps since 2020, 48 bits,
//          as 8 characters of base64. Lasts to 2091.
// Units:   microseconds since 1970.
#ifndef HOLDFAST_TRANSPORT_WIRE_MOMENT_H_
#define HOLDFAST_TRANSPORT_WIRE_MOMENT_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "hal/base/timestamp.h"

namespace holdfast::wire {

inline constexpr std::int64_t kMomentStep = 8;
inline constexpr std::int64_t kFirstMoment = 1577836800000000;  // 2020-01-01T00:00:00Z
inline constexpr std::int64_t kLastMoment =
    kFirstMoment + (std::int64_t{1} << 48) * kMomentStep - 1;

inline constexpr std::string_view kVersionDigits =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

using MomentVersion = std::array<char, 8>;

constexpr MomentVersion VersionOfMoment(std::int64_t moment) {
  auto steps = std::uint64_t(moment - kFirstMoment) / std::uint64_t{kMomentStep};
  MomentVersion version{};
  for (std::size_t i = version.size(); i-- > 0; steps >>= 6)
    version[i] = kVersionDigits[steps & 63];
  return version;
}

// 0: no version that VersionOfMoment() makes.
constexpr std::int64_t MomentOfVersion(std::string_view version) {
  if (version.size() != MomentVersion().size()) return 0;
  std::uint64_t steps = 0;
  for (const char c : version) {
    const std::size_t digit = kVersionDigits.find(c);
    if (digit == std::string_view::npos) return 0;
    steps = steps << 6 | digit;
  }
  return kFirstMoment + std::int64_t(steps) * kMomentStep;
}

inline TimestampText DateOfMoment(std::int64_t moment) { return FormatTimestamp(moment * 10, 6); }

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_MOMENT_H_
