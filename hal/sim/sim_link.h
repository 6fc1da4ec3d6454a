// SPDX-License-Identifier: Apache-2.0
// hal/sim/sim_link.h - a link that does what the test says.
//
// Faults: down, unknown, flapping, metered or roaming, and up but dead: it says kUp and carries
//         nothing, which only an exchange can find out (ask carries()).
#ifndef HOLDFAST_HAL_SIM_SIM_LINK_H_
#define HOLDFAST_HAL_SIM_SIM_LINK_H_

#include <cstdint>

#include "hal/link.h"

namespace holdfast::hal {

class SimLink final : public Link {
 public:
  explicit SimLink(LinkState state = LinkState::kUp) { status_.state = state; }

  LinkStatus Status() override {
    ++calls_;
    return status_;
  }

  // Each counts as a change for the epoch only if something is different.
  void Set(LinkState state);
  void SetCost(LinkCost cost);
  // Down and up again between two calls of Status(): only the epoch tells.
  void Flap();
  void SetDead(bool dead) { dead_ = dead; }

  // For simulated transports: does a packet arrive?
  bool carries() const { return status_.state != LinkState::kDown && !dead_; }
  std::uint64_t calls() const { return calls_; }

 private:
  LinkStatus status_;
  bool dead_ = false;
  std::uint64_t calls_ = 0;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_SIM_SIM_LINK_H_
