// SPDX-License-Identifier: Apache-2.0
// hal/sim/sim_clock.h - time that stands still until the test moves it.
//
// Purpose: a year of waiting runs in a blink, and twice the same.
// Faults:  no date, a date that drifts, steps of the date in both directions, reboots (with or
//          without a battery for the date). A suspend is Advance(): boot time includes it.
#ifndef HOLDFAST_HAL_SIM_SIM_CLOCK_H_
#define HOLDFAST_HAL_SIM_SIM_CLOCK_H_

#include <cstdint>

#include "hal/clock.h"

namespace holdfast::hal {

class SimClock final : public Clock {
 public:
  static constexpr std::int64_t kStartUnixMs = 1'798'761'600'000;  // 2027-01-01T00:00:00Z

  explicit SimClock(std::uint64_t seed = 1);

  Instant Now() const override { return now_; }
  WallTime Wall() const override;
  std::uint64_t BootId() const override { return boot_id_; }

  // REQUIRES: not negative.
  void Advance(Duration time);
  // REQUIRES: not in the past.
  void AdvanceTo(Instant moment) { Advance(moment - now_); }

  // The date jumps, Now() does not.
  void SetWall(std::int64_t unix_ms, WallQuality quality = WallQuality::kSynced);
  void StepWall(Duration step);
  void UnsetWall() { quality_ = WallQuality::kUnset; }
  // The date runs fast (or slow, when negative) from here on.
  void SetDrift(std::int64_t parts_per_million);

  // A new boot: Now() starts again, BootId() changes. Without a battery the date is lost.
  void Reboot(bool battery = true);

 private:
  std::uint64_t seed_;
  std::uint64_t boot_id_;
  Instant now_;
  std::int64_t wall_ns_;  // since 1970
  std::int64_t drift_ppm_ = 0;
  WallQuality quality_ = WallQuality::kSynced;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_SIM_SIM_CLOCK_H_
