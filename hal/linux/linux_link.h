// SPDX-License-Identifier: Apache-2.0
// hal/linux/linux_link.h - the link as the kernel's routing sockets tell it.
//
// Purpose: kUp as soon as an interface that is up, has a carrier and is not the loopback has an
//          address that reaches beyond its own cable; kDown when there is none; kUnknown when the
//          port cannot tell: only link-local addresses, the kernel refuses to answer (a sandbox),
//          or the server is on this host, where interfaces say nothing.
// Owner:   as hal/link.h. Holds two sockets.
// Threads: one; never blocks: the sockets do not wait, and the kernel answers a dump at once.
// Units:   the epoch grows by one for each Status() that found something changed since the last:
//          addresses, carrier or default route, also when all of it is back as it was.
#ifndef HOLDFAST_HAL_LINUX_LINUX_LINK_H_
#define HOLDFAST_HAL_LINUX_LINUX_LINK_H_

#include <array>
#include <cstdint>
#include <span>

#include "hal/link.h"

struct nlmsghdr;

namespace holdfast::hal {

struct LinuxLinkOptions {
  bool server_on_loopback = false;
  LinkCost cost = LinkCost::kFree;
};

class LinuxLink final : public Link {
 public:
  explicit LinuxLink(const LinuxLinkOptions& options = {});
  ~LinuxLink() override;
  LinuxLink(const LinuxLink&) = delete;
  LinuxLink& operator=(const LinuxLink&) = delete;

  LinkStatus Status() override;

  // Readable when Status() may have news, for a poll loop; -1 when there is nothing to poll.
  int poll_fd() const { return events_fd_; }

 private:
  // An interface counts once; more than these are not watched for a short loss of their carrier.
  static constexpr std::size_t kWatchedInterfaces = 16;
  static constexpr std::size_t kBufferBytes =
      16384;  // what the kernel itself uses at most per dump

  struct Reading {
    LinkState state = LinkState::kUnknown;
    std::uint64_t digest = 0;  // of all addresses that count, in any order
    std::size_t watched = 0;
    std::array<int, kWatchedInterfaces> interfaces{};
  };

  // True when a message says that something that counted was lost or that a way out appeared.
  bool DrainEvents();
  bool IsChange(const nlmsghdr& message) const;
  Reading ReadAddresses();
  void TakeAddress(const nlmsghdr& message, Reading& reading);
  bool IsRunning(int interface) const;
  bool IsWatched(int interface) const;

  LinuxLinkOptions options_;
  int events_fd_ = -1;
  int query_fd_ = -1;
  std::uint32_t sequence_ = 0;
  bool stale_ = true;  // the reading is older than an event
  std::uint64_t epoch_ = 0;
  Reading reading_;
  alignas(8) std::array<char, kBufferBytes> buffer_;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_LINUX_LINUX_LINK_H_
