// SPDX-License-Identifier: Apache-2.0
// transport/coap/pacer.h - no message id comes back while its first use can still be on the way.
//
// Purpose: ids have 16 bits and live for EXCHANGE_LIFETIME, 247 s. 61,696 messages in that time,
//          250 a second, leave a margin below 65,536 (in a window that begins amid a group, up to
//          255 more). Counted over the whole time, so that a short backlog is not held up on a fast
//          link.
// Threads: one.
// Standard: RFC 7252 4.4 and 4.8.2.
#ifndef HOLDFAST_TRANSPORT_COAP_PACER_H_
#define HOLDFAST_TRANSPORT_COAP_PACER_H_

#include <array>
#include <cstdint>

#include "hal/clock.h"

namespace holdfast::transport::coap {

class Pacer {
 public:
  static constexpr hal::Duration kLifetime = hal::Duration::Seconds(247);
  static constexpr std::uint64_t kGroup = 256, kGroups = 241;

  // How long to wait before the next message may go; nothing when it may go now.
  hal::Duration Wait(hal::Instant now) const {
    if (sent_ % kGroup != 0 || sent_ < kGroup * kGroups) return {0};
    const hal::Duration age = now - began_[Slot()];
    return age >= kLifetime ? hal::Duration{0} : kLifetime - age;
  }
  void Sent(hal::Instant now) {
    if (sent_ % kGroup == 0) began_[Slot()] = now;
    ++sent_;
  }

 private:
  std::size_t Slot() const { return std::size_t(sent_ / kGroup % kGroups); }

  std::array<hal::Instant, kGroups> began_;  // when each group of messages began
  std::uint64_t sent_ = 0;
};

}  // namespace holdfast::transport::coap

#endif  // HOLDFAST_TRANSPORT_COAP_PACER_H_
