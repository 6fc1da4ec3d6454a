// SPDX-License-Identifier: Apache-2.0
// hal/link.h - is there a network, and what does it cost.
//
// Purpose: the engine asks before it tries, and waits for a change instead of knocking. It says
//          nothing about whether the server is there: only an exchange can.
// Owner:   the program creates one Link; it outlives those who hold it.
// Threads: one (the engine's); never blocks.
// Sim:     hal/sim/sim_link.h: up, down, up-but-dead, metered, at the test's word.
#ifndef HOLDFAST_HAL_LINK_H_
#define HOLDFAST_HAL_LINK_H_

#include <cstdint>

namespace holdfast::hal {

enum class LinkState : std::uint8_t {
  kUnknown,  // the port cannot tell: the engine may try
  kDown,     // no address, no route: trying is a waste
  kUp,
};

enum class LinkCost : std::uint8_t { kFree, kMetered, kRoaming };

struct LinkStatus {
  LinkState state = LinkState::kUnknown;
  LinkCost cost = LinkCost::kFree;
  std::uint64_t epoch = 0;  // grows with every change, so that a missed flap is seen
};

class Link {
 public:
  virtual ~Link() = default;
  virtual LinkStatus Status() = 0;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_LINK_H_
