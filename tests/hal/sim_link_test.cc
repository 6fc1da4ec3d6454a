// SPDX-License-Identifier: Apache-2.0
#include "hal/sim/sim_link.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

TEST_GROUP(SimLink){};

TEST(SimLink, EveryChangeMovesTheEpoch) {
  SimLink link;
  std::uint64_t epoch = link.Status().epoch;
  CHECK(link.Status().state == LinkState::kUp);
  link.Set(LinkState::kUp);  // none
  CHECK(link.Status().epoch == epoch);
  link.Set(LinkState::kDown);
  CHECK(link.Status().epoch > epoch);
  epoch = link.Status().epoch;
  link.SetCost(LinkCost::kRoaming);
  CHECK(link.Status().epoch > epoch);
  CHECK(link.Status().cost == LinkCost::kRoaming);
  epoch = link.Status().epoch;
  link.Flap();
  CHECK(link.Status().epoch > epoch);
  CHECK(link.Status().state == LinkState::kDown);
}

TEST(SimLink, UpButDeadSaysUp) {
  SimLink link;
  CHECK(link.carries());
  link.SetDead(true);
  CHECK(link.Status().state == LinkState::kUp);
  CHECK(!link.carries());
  link.SetDead(false);
  link.Set(LinkState::kDown);
  CHECK(!link.carries());
  link.Set(LinkState::kUnknown);
  CHECK(link.carries());
}

}  // namespace holdfast::hal
