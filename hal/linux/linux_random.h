// SPDX-License-Identifier: Apache-2.0
// hal/linux/linux_random.h - unpredictable bytes from the kernel's generator.
//
// Threads: any; no state.
// Errors:  kBusy: the generator is not seeded yet (early boot); kUnsupported: a kernel or a sandbox
//          without getrandom(2).
#ifndef HOLDFAST_HAL_LINUX_LINUX_RANDOM_H_
#define HOLDFAST_HAL_LINUX_LINUX_RANDOM_H_

#include "hal/random.h"

namespace holdfast::hal {

class LinuxRandom final : public Random {
 public:
  Result<void> Fill(std::span<std::byte> out) override;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_LINUX_LINUX_RANDOM_H_
