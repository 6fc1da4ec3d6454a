// SPDX-License-Identifier: Apache-2.0
// hal/clock.h - time, with the possibility that the date is unknown.
//
// Purpose: waits are measured with Now(); dates are written with Wall(). No other folder calls a
//          time function of the system.
// Owner:   the program creates one Clock and it outlives every component that holds it.
// Threads: const and callable from any thread; never blocks; never fails.
// Units:   nanoseconds for Now(), milliseconds since 1970-01-01T00:00:00Z for Wall().
// Sim:     hal/sim/sim_clock.h advances only when told; Wall() can be unset, drift, and step.
#ifndef HOLDFAST_HAL_CLOCK_H_
#define HOLDFAST_HAL_CLOCK_H_

#include <compare>
#include <cstdint>

namespace holdfast::hal {

// A span of time. Plain integers with a unit in their name appear only in SQL columns, wire fields,
// configuration keys and logs.
struct Duration {
  std::int64_t ns = 0;

  static constexpr Duration Milliseconds(std::int64_t n) { return {n * 1'000'000}; }
  static constexpr Duration Seconds(std::int64_t n) { return {n * 1'000'000'000}; }
  constexpr std::int64_t milliseconds() const { return ns / 1'000'000; }
  constexpr double seconds() const { return double(ns) / 1e9; }
  friend constexpr auto operator<=>(Duration, Duration) = default;
  friend constexpr Duration operator+(Duration a, Duration b) { return {a.ns + b.ns}; }
  friend constexpr Duration operator-(Duration a, Duration b) { return {a.ns - b.ns}; }
};

// A moment of this boot. Moments of different boots must not be compared.
struct Instant {
  std::int64_t ns_since_boot = 0;

  friend constexpr auto operator<=>(Instant, Instant) = default;
  friend constexpr Duration operator-(Instant a, Instant b) {
    return {a.ns_since_boot - b.ns_since_boot};
  }
  friend constexpr Instant operator+(Instant a, Duration d) { return {a.ns_since_boot + d.ns}; }
};

// How far Wall() can be trusted.
enum class WallQuality : std::uint8_t {
  kUnset,      // before the build date of this program: no date
  kEstimated,  // plausible: a real-time clock, or the last date seen
  kSynced,     // the system says that it is synchronised
};

struct WallTime {
  std::int64_t unix_ms = 0;
  WallQuality quality = WallQuality::kUnset;
};

class Clock {
 public:
  virtual ~Clock() = default;

  // Time since boot, suspend included. Never goes back within a boot.
  virtual Instant Now() const = 0;

  // The date. When quality is kUnset, unix_ms must not be stored or sent. May jump either way.
  virtual WallTime Wall() const = 0;

  // Random per boot; the same for every process of a boot.
  virtual std::uint64_t BootId() const = 0;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_CLOCK_H_
