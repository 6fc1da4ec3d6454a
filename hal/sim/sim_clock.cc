// SPDX-License-Identifier: Apache-2.0
#include "hal/sim/sim_clock.h"

#include "hal/base/prng.h"
#include "hal/base/result.h"

namespace holdfast::hal {
namespace {

constexpr std::int64_t kNsPerMs = 1'000'000;
constexpr Instant kBootDone{5'000'000'000};  // programs start some seconds after the kernel

}  // namespace

SimClock::SimClock(std::uint64_t seed)
    : seed_(seed),
      boot_id_(Prng(seed).Next()),
      now_(kBootDone),
      wall_ns_(kStartUnixMs * kNsPerMs) {}

WallTime SimClock::Wall() const {
  if (quality_ == WallQuality::kUnset) return {0, quality_};
  return {wall_ns_ / kNsPerMs, quality_};
}

void SimClock::Advance(Duration time) {
  HF_ASSERT(time.ns >= 0);
  now_ = now_ + time;
  // Split, so that years in nanoseconds times parts per million do not overflow.
  constexpr std::int64_t kMillion = 1'000'000;
  wall_ns_ +=
      time.ns + time.ns / kMillion * drift_ppm_ + time.ns % kMillion * drift_ppm_ / kMillion;
}

void SimClock::SetWall(std::int64_t unix_ms, WallQuality quality) {
  wall_ns_ = unix_ms * kNsPerMs;
  quality_ = quality;
}

void SimClock::StepWall(Duration step) { wall_ns_ += step.ns; }

void SimClock::SetDrift(std::int64_t parts_per_million) { drift_ppm_ = parts_per_million; }

void SimClock::Reboot(bool battery) {
  now_ = kBootDone;
  boot_id_ = Prng(seed_ ^ boot_id_).Next();
  quality_ = battery ? WallQuality::kEstimated : WallQuality::kUnset;
}

}  // namespace holdfast::hal
