// SPDX-License-Identifier: Apache-2.0
#include "hal/linux/linux_clock.h"

#include <fcntl.h>
#include <sys/random.h>
#include <sys/timex.h>
#include <time.h>
#include <unistd.h>

#include "hal/base/prng.h"
#include "hal/base/result.h"

namespace holdfast::hal {
namespace {

// A UUID and its newline.
constexpr std::size_t kBootIdText = 37;

std::uint64_t ReadBootId() {
  char text[kBootIdText];
  const int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
  const ssize_t size = fd < 0 ? -1 : read(fd, text, sizeof text);
  if (fd >= 0) close(fd);
  std::uint64_t hash = 14695981039346656037ULL;  // FNV-1a
  if (size > 0) {
    for (ssize_t i = 0; i < size; ++i) {
      hash = (hash ^ static_cast<unsigned char>(text[i])) * 1099511628211ULL;
    }
  } else {
    timespec now{};
    clock_gettime(CLOCK_BOOTTIME, &now);
    hash ^= std::uint64_t(now.tv_nsec) ^ (std::uint64_t(getpid()) << 32);
    if (getrandom(&hash, sizeof hash, GRND_NONBLOCK) < 0) hash *= 1099511628211ULL;
  }
  return Prng(hash).Next();  // spreads what FNV leaves clustered
}

bool Synchronised() {
  timex state{};  // modes 0: only asks, needs no privilege
  const int answer = adjtimex(&state);
  return answer >= 0 && answer != TIME_ERROR && (state.status & STA_UNSYNC) == 0;
}

}  // namespace

LinuxClock::LinuxClock() : boot_id_(ReadBootId()) {}

Instant LinuxClock::Now() const {
  timespec now{};
  HF_ASSERT(clock_gettime(CLOCK_BOOTTIME, &now) == 0);
  return {std::int64_t(now.tv_sec) * 1'000'000'000 + now.tv_nsec};
}

WallTime LinuxClock::Wall() const {
  timespec now{};
  HF_ASSERT(clock_gettime(CLOCK_REALTIME, &now) == 0);
  return Judge(std::int64_t(now.tv_sec) * 1000 + now.tv_nsec / 1'000'000, Synchronised());
}

std::int64_t LinuxClock::build_date_unix_ms() {
  return std::int64_t{HOLDFAST_BUILD_UNIX_SECONDS} * 1000;
}

WallTime LinuxClock::Judge(std::int64_t unix_ms, bool synchronised) {
  // A synchronised clock that claims an impossible date is wrong all the same.
  if (unix_ms < build_date_unix_ms()) return {0, WallQuality::kUnset};
  return {unix_ms, synchronised ? WallQuality::kSynced : WallQuality::kEstimated};
}

}  // namespace holdfast::hal
