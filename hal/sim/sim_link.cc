// SPDX-License-Identifier: Apache-2.0
#include "hal/sim/sim_link.h"

namespace holdfast::hal {

void SimLink::Set(LinkState state) {
  if (state == status_.state) return;
  status_.state = state;
  ++status_.epoch;
}

void SimLink::SetCost(LinkCost cost) {
  if (cost == status_.cost) return;
  status_.cost = cost;
  ++status_.epoch;
}

void SimLink::Flap() { status_.epoch += 2; }

}  // namespace holdfast::hal
