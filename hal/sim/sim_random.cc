// SPDX-License-Identifier: Apache-2.0
#include "hal/sim/sim_random.h"

#include <cerrno>

namespace holdfast::hal {

Result<void> SimRandom::Fill(std::span<std::byte> out) {
  if (!ready_) return Error{Code::kBusy, Origin::kErrno, EAGAIN, "the simulated boot is too young"};
  for (std::byte& b : out) b = std::byte(prng_.Next() >> 56);
  return Ok();
}

}  // namespace holdfast::hal
