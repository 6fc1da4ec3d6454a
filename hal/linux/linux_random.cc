// SPDX-License-Identifier: Apache-2.0
#include "hal/linux/linux_random.h"

#include <sys/random.h>

#include <cerrno>

namespace holdfast::hal {

Result<void> LinuxRandom::Fill(std::span<std::byte> out) {
  while (!out.empty()) {
    const ssize_t got = getrandom(out.data(), out.size(), GRND_NONBLOCK);
    if (got >= 0) {
      out = out.subspan(std::size_t(got));
    } else if (errno == EAGAIN) {
      return Error{Code::kBusy, Origin::kErrno, EAGAIN, "the system has too little entropy yet"};
    } else if (errno != EINTR) {
      return Error{Code::kUnsupported, Origin::kErrno, errno, "getrandom failed"};
    }
  }
  return Ok();
}

}  // namespace holdfast::hal
