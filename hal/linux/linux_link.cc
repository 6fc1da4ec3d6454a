// SPDX-License-Identifier: Apache-2.0
#include "hal/linux/linux_link.h"

#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstddef>
#include <cstring>
#include <string_view>

#include "hal/base/prng.h"

namespace holdfast::hal {
namespace {

int OpenNetlink(std::uint32_t groups) {
  const int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, NETLINK_ROUTE);
  if (fd < 0) return -1;
  sockaddr_nl address{};
  address.nl_family = AF_NETLINK;
  address.nl_groups = groups;
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0) return fd;
  close(fd);
  return -1;
}

// The linux/netlink.h macros cast in a way that does not compile here; this is the same walk.
// Calls visit(message) for each message until it returns false.
template <typename Visit>
void ForEachMessage(std::span<const char> bytes, Visit visit) {
  while (bytes.size() >= sizeof(nlmsghdr)) {
    const void* at = bytes.data();  // the buffer and every step are aligned
    const auto* message = static_cast<const nlmsghdr*>(at);
    if (message->nlmsg_len < sizeof(nlmsghdr) || message->nlmsg_len > bytes.size()) return;
    if (!visit(*message)) return;
    const std::size_t step = (std::size_t{message->nlmsg_len} + 3) & ~std::size_t{3};
    bytes = bytes.subspan(std::min(step, bytes.size()));
  }
}

// The fixed part of a message of type T, or nullptr when the message is too short for it.
template <typename T>
const T* Payload(const nlmsghdr& message) {
  if (message.nlmsg_len < NLMSG_HDRLEN + sizeof(T)) return nullptr;
  const void* at = reinterpret_cast<const char*>(&message) + NLMSG_HDRLEN;
  return static_cast<const T*>(at);
}

}  // namespace

LinuxLink::LinuxLink(const LinuxLinkOptions& options) : options_(options) {
  events_fd_ = OpenNetlink(RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
                           RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE);
  query_fd_ = OpenNetlink(0);
}

LinuxLink::~LinuxLink() {
  if (events_fd_ >= 0) close(events_fd_);
  if (query_fd_ >= 0) close(query_fd_);
}

LinkStatus LinuxLink::Status() {
  const bool changed = DrainEvents();
  // Without events (a sandbox may forbid the groups) every call has to look for itself.
  if (stale_ || events_fd_ < 0) {
    const Reading now = ReadAddresses();
    if (changed || now.state != reading_.state || now.digest != reading_.digest) ++epoch_;
    reading_ = now;
    stale_ = false;
  }
  const LinkState state = options_.server_on_loopback ? LinkState::kUnknown : reading_.state;
  return {state, options_.cost, epoch_};
}

bool LinuxLink::DrainEvents() {
  if (events_fd_ < 0) return false;
  bool changed = false;
  for (;;) {
    const ssize_t size = recv(events_fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size > 0) {
      stale_ = true;
      ForEachMessage({buffer_.data(), std::size_t(size)}, [&](const nlmsghdr& message) {
        changed = changed || IsChange(message);
        return true;
      });
    } else if (size < 0 && errno == ENOBUFS) {
      stale_ = changed = true;  // events were lost: assume the worst of them
    } else if (size == 0 || errno != EINTR) {
      return changed;
    }
  }
}

// Routers repeat themselves, and so does the kernel then: a message about an address that is still
// there must not look like news, or a device behind a chatty router would knock all day.
bool LinuxLink::IsChange(const nlmsghdr& message) const {
  switch (message.nlmsg_type) {
    case RTM_DELADDR: {
      const auto* address = Payload<ifaddrmsg>(message);
      return address != nullptr && IsWatched(int(address->ifa_index));
    }
    case RTM_NEWLINK:
    case RTM_DELLINK: {
      const auto* link = Payload<ifinfomsg>(message);
      const bool lost = message.nlmsg_type == RTM_DELLINK ||
                        (link != nullptr && (link->ifi_flags & IFF_RUNNING) == 0);
      return link != nullptr && lost && IsWatched(link->ifi_index);
    }
    case RTM_NEWROUTE:
    case RTM_DELROUTE: {
      const auto* route = Payload<rtmsg>(message);
      return route != nullptr && route->rtm_dst_len == 0 && route->rtm_table == RT_TABLE_MAIN;
    }
    default: return false;
  }
}

LinuxLink::Reading LinuxLink::ReadAddresses() {
  struct {
    nlmsghdr header;
    ifaddrmsg body;
  } request{};
  request.header.nlmsg_len = sizeof request;
  request.header.nlmsg_type = RTM_GETADDR;
  request.header.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  request.header.nlmsg_seq = ++sequence_;

  Reading reading;
  if (query_fd_ < 0 || send(query_fd_, &request, sizeof request, MSG_DONTWAIT) < 0) return reading;
  reading.state = LinkState::kDown;
  for (bool done = false; !done;) {
    const ssize_t size = recv(query_fd_, buffer_.data(), buffer_.size(), MSG_DONTWAIT);
    if (size < 0 && errno == EINTR) continue;
    if (size <= 0) return {};
    ForEachMessage({buffer_.data(), std::size_t(size)}, [&](const nlmsghdr& message) {
      if (message.nlmsg_seq != sequence_) return true;  // the rest of a dump that we gave up
      if (message.nlmsg_type == RTM_NEWADDR) TakeAddress(message, reading);
      done = message.nlmsg_type == NLMSG_DONE || message.nlmsg_type == NLMSG_ERROR;
      return !done;
    });
  }
  return reading;
}

void LinuxLink::TakeAddress(const nlmsghdr& message, Reading& reading) {
  const auto* address = Payload<ifaddrmsg>(message);
  if (address == nullptr || address->ifa_scope >= RT_SCOPE_HOST) return;
  const int interface = int(address->ifa_index);
  if (!IsRunning(interface)) return;
  const bool local_only = address->ifa_scope >= RT_SCOPE_LINK;
  if (!local_only) reading.state = LinkState::kUp;
  if (reading.state == LinkState::kDown) reading.state = LinkState::kUnknown;
  const auto known = std::span(reading.interfaces).first(reading.watched);
  if (reading.watched < kWatchedInterfaces && std::ranges::find(known, interface) == known.end()) {
    reading.interfaces[reading.watched++] = interface;
  }

  // Lifetimes change with every advertisement of a router, so only the address itself counts.
  std::uint64_t hash = 14695981039346656037ULL ^ (std::uint64_t(address->ifa_index) << 8);
  const char* at = reinterpret_cast<const char*>(address) + NLMSG_ALIGN(sizeof(ifaddrmsg));
  const char* end = reinterpret_cast<const char*>(&message) + message.nlmsg_len;
  while (end - at >= std::ptrdiff_t(sizeof(rtattr))) {
    rtattr attribute;
    std::memcpy(&attribute, at, sizeof attribute);
    if (attribute.rta_len < sizeof attribute || attribute.rta_len > end - at) break;
    if (attribute.rta_type == IFA_ADDRESS) {
      for (const char c : std::string_view(at, attribute.rta_len).substr(sizeof attribute)) {
        hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211ULL;
      }
    }
    at += std::min<std::ptrdiff_t>((attribute.rta_len + 3) & ~3, end - at);
  }
  reading.digest += Prng(hash).Next();
}

bool LinuxLink::IsRunning(int interface) const {
  ifreq request{};
  request.ifr_ifindex = interface;
  if (ioctl(query_fd_, SIOCGIFNAME, &request) != 0) return false;
  if (ioctl(query_fd_, SIOCGIFFLAGS, &request) != 0) return false;
  const unsigned flags = static_cast<unsigned short>(request.ifr_flags);
  return (flags & IFF_LOOPBACK) == 0 && (flags & IFF_UP) != 0 && (flags & IFF_RUNNING) != 0;
}

bool LinuxLink::IsWatched(int interface) const {
  const auto known = std::span(reading_.interfaces).first(reading_.watched);
  return std::ranges::find(known, interface) != known.end();
}

}  // namespace holdfast::hal
