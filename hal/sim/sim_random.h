// SPDX-License-Identifier: Apache-2.0
// hal/sim/sim_random.h - bytes that look random and are the same for the same seed.
//
// Faults: not ready, as early in a boot: Fill() is kBusy and takes nothing from the sequence.
#ifndef HOLDFAST_HAL_SIM_SIM_RANDOM_H_
#define HOLDFAST_HAL_SIM_SIM_RANDOM_H_

#include <cstdint>

#include "hal/base/prng.h"
#include "hal/random.h"

namespace holdfast::hal {

class SimRandom final : public Random {
 public:
  explicit SimRandom(std::uint64_t seed = 1) : prng_(seed) {}

  Result<void> Fill(std::span<std::byte> out) override;

  void SetReady(bool ready) { ready_ = ready; }

 private:
  Prng prng_;
  bool ready_ = true;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_SIM_SIM_RANDOM_H_
