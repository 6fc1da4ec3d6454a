// SPDX-License-Identifier: Apache-2.0
#include "hal/sim/sim_random.h"

#include <array>

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

TEST_GROUP(SimRandom){};

TEST(SimRandom, SameSeedSameBytes) {
  std::array<std::byte, 32> a{};
  std::array<std::byte, 32> b{};
  std::array<std::byte, 32> c{};
  SimRandom one(5);
  SimRandom two(5);
  CHECK(one.Fill(a).ok() && two.Fill(b).ok() && two.Fill(c).ok());
  CHECK(a == b);
  CHECK(a != c);
}

TEST(SimRandom, NotReadyTakesNothing) {
  std::array<std::byte, 32> a{};
  std::array<std::byte, 32> b{};
  SimRandom one(5);
  one.SetReady(false);
  const auto early = one.Fill(a);
  CHECK(!early.ok());
  CHECK(early.error().code == Code::kBusy);
  one.SetReady(true);
  CHECK(one.Fill(a).ok());
  CHECK(SimRandom(5).Fill(b).ok());
  CHECK(a == b);
}

}  // namespace holdfast::hal
