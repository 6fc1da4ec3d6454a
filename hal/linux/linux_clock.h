// SPDX-License-Identifier: Apache-2.0
// hal/linux/linux_clock.h - the clocks of the kernel.
//
// Purpose: Now() is CLOCK_BOOTTIME, so that a wait counts the time of a suspend. Wall() is
//          CLOCK_REALTIME, judged: a date before this program was built cannot be one (a board
//          without a battery wakes up in 1970), and only the kernel knows whether somebody
//          disciplines the clock (adjtimex).
// Owner:   as hal/clock.h.
// Threads: any; immutable after construction.
#ifndef HOLDFAST_HAL_LINUX_LINUX_CLOCK_H_
#define HOLDFAST_HAL_LINUX_LINUX_CLOCK_H_

#include <cstdint>

#include "hal/clock.h"

namespace holdfast::hal {

class LinuxClock final : public Clock {
 public:
  // Reads the boot id once. Without /proc the id is random for each process: instants of two
  // processes then count as instants of two boots, which errs on the safe side.
  LinuxClock();

  Instant Now() const override;
  // unix_ms is 0 when the quality is kUnset. A sandbox that forbids adjtimex gets kEstimated.
  WallTime Wall() const override;
  std::uint64_t BootId() const override { return boot_id_; }

  // The earliest date that Wall() believes: when the source of this program was last changed.
  static std::int64_t build_date_unix_ms();

  // How a date is judged; apart from the system calls, so that it can be tested.
  static WallTime Judge(std::int64_t unix_ms, bool synchronised);

 private:
  std::uint64_t boot_id_;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_LINUX_LINUX_CLOCK_H_
