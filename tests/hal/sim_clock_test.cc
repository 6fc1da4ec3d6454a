// SPDX-License-Identifier: Apache-2.0
#include "hal/sim/sim_clock.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

TEST_GROUP(SimClock){};

TEST(SimClock, StandsStillUntilMoved) {
  SimClock clock;
  const Instant start = clock.Now();
  CHECK(clock.Now() == start);
  clock.Advance(Duration::Seconds(90));
  CHECK((clock.Now() - start) == Duration::Seconds(90));
  CHECK(clock.Wall().unix_ms == SimClock::kStartUnixMs + 90'000);
  clock.AdvanceTo(start + Duration::Seconds(100));
  CHECK((clock.Now() - start) == Duration::Seconds(100));
}

TEST(SimClock, TheDateStepsWithoutMovingTime) {
  SimClock clock;
  const Instant start = clock.Now();
  clock.StepWall(Duration::Seconds(-3600));
  CHECK(clock.Wall().unix_ms == SimClock::kStartUnixMs - 3'600'000);
  clock.SetWall(1, WallQuality::kEstimated);
  CHECK(clock.Wall().unix_ms == 1);
  CHECK(clock.Now() == start);
  clock.UnsetWall();
  CHECK(clock.Wall().unix_ms == 0);
  CHECK(clock.Wall().quality == WallQuality::kUnset);
}

TEST(SimClock, TheDateDrifts) {
  SimClock clock;
  clock.SetDrift(100);
  clock.Advance(Duration::Seconds(365LL * 86400));
  const std::int64_t gained = clock.Wall().unix_ms - SimClock::kStartUnixMs - 365LL * 86'400'000;
  LONGS_EQUAL(365LL * 86'400'000 / 10'000, gained);
}

TEST(SimClock, ARebootStartsOverWithAnotherId) {
  SimClock clock(7);
  const Instant start = clock.Now();
  const std::uint64_t boot = clock.BootId();
  clock.Advance(Duration::Seconds(1000));
  clock.Reboot();
  CHECK(clock.Now() == start);
  CHECK(clock.BootId() != boot);
  CHECK(clock.Wall().unix_ms == SimClock::kStartUnixMs + 1'000'000);
  clock.Reboot(false);
  CHECK(clock.Wall().quality == WallQuality::kUnset);
  CHECK(SimClock(7).BootId() == boot);
}

}  // namespace holdfast::hal
