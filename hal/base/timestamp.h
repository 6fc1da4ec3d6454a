// SPDX-License-Identifier: Apache-2.0
// hal/base/timestamp.h - moments as text, the way the wire writes them.
//
// Purpose: parse and print ISO 8601 dates without the C library's time zones. Servers print 3 to 7
//          decimals and Z or +hh:mm; a delta token must keep all of it (semantics.md E.7).
// Units:   ticks of 100 ns since 1970-01-01T00:00:00Z: what .NET servers store, the finest known.
// Threads: any; pure functions.
#ifndef HOLDFAST_HAL_BASE_TIMESTAMP_H_
#define HOLDFAST_HAL_BASE_TIMESTAMP_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"

namespace holdfast {

using Ticks = std::int64_t;
inline constexpr Ticks kTicksPerMicrosecond = 10;
inline constexpr Ticks kTicksPerMillisecond = 10000;
inline constexpr Ticks kTicksPerSecond = 10000000;

using TimestampText = FixedString<limits::kTimestampBytes>;

// nullopt: not a date of years 0001 to 9999 (date, 'T' or ' ', time, up to 9 decimals of which 7
// count, then Z, +hh:mm, -hh:mm or nothing, which means UTC).
std::optional<Ticks> ParseTimestamp(std::string_view text);

// decimals: 0, 3, 6 or 7. 2026-11-23T06:11:29.123Z
TimestampText FormatTimestamp(Ticks ticks, int decimals = 3);

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_TIMESTAMP_H_
