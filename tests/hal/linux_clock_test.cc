// SPDX-License-Identifier: Apache-2.0
#include "hal/linux/linux_clock.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

TEST_GROUP(LinuxClock){};

TEST(LinuxClock, BootTimeNeverGoesBack) {
  const LinuxClock clock;
  Instant before = clock.Now();
  CHECK(before.ns_since_boot > 0);
  for (int i = 0; i < 1000; ++i) {
    const Instant now = clock.Now();
    CHECK(now >= before);
    before = now;
  }
}

TEST(LinuxClock, AllClocksOfABootAgreeOnItsId) {
  CHECK(LinuxClock().BootId() == LinuxClock().BootId());
  CHECK(LinuxClock().BootId() != 0);
}

TEST(LinuxClock, ADateBeforeTheProgramWasMadeIsNoDate) {
  const std::int64_t built = LinuxClock::build_date_unix_ms();
  CHECK(built > 1'700'000'000'000);
  for (const bool synchronised : {false, true}) {
    const WallTime unset = LinuxClock::Judge(built - 1, synchronised);
    CHECK(unset.quality == WallQuality::kUnset);
    CHECK(unset.unix_ms == 0);
    CHECK(LinuxClock::Judge(0, synchronised).quality == WallQuality::kUnset);
  }
}

TEST(LinuxClock, OnlyTheKernelCanSayThatADateIsRight) {
  const std::int64_t built = LinuxClock::build_date_unix_ms();
  CHECK(LinuxClock::Judge(built, false).quality == WallQuality::kEstimated);
  CHECK(LinuxClock::Judge(built, true).quality == WallQuality::kSynced);
  CHECK(LinuxClock::Judge(built + 5, true).unix_ms == built + 5);
}

TEST(LinuxClock, WallIsJudged) {
  const WallTime wall = LinuxClock().Wall();
  CHECK((wall.quality == WallQuality::kUnset) == (wall.unix_ms == 0));
}

}  // namespace holdfast::hal
