// SPDX-License-Identifier: Apache-2.0
// hal/random.h - unpredictable bytes.
//
// Purpose: installation ids and incarnations must differ between devices that boot from one image.
//          Jitter and simulation use hal/base/prng.h instead, seeded from here once.
// Owner:   the program creates one Random; it outlives those who hold it.
// Threads: any; never blocks.
// Errors:  kBusy: the system has not gathered enough entropy yet (early boot); try again later.
// Sim:     hal/sim/sim_random.h: seeded, and not ready when the test says so.
#ifndef HOLDFAST_HAL_RANDOM_H_
#define HOLDFAST_HAL_RANDOM_H_

#include <cstddef>
#include <span>

#include "hal/base/result.h"

namespace holdfast::hal {

class Random {
 public:
  virtual ~Random() = default;
  virtual Result<void> Fill(std::span<std::byte> out) = 0;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_RANDOM_H_
