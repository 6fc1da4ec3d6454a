// SPDX-License-Identifier: Apache-2.0
#include "transport/https/socket_meter.h"

#include <linux/tcp.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstddef>

namespace holdfast::transport::https {

int SocketMeter::Open(int family, int type, int protocol) {
  const int fd = socket(family, type | SOCK_CLOEXEC, protocol);
  if (fd < 0) return fd;
  for (Socket& socket : sockets_) {
    if (socket.fd < 0) {
      socket = {fd, 0, 0};
      return fd;
    }
  }
  exact_ = false;  // one connection too many to count
  return fd;
}

int SocketMeter::Close(int fd) {
  for (Socket& socket : sockets_) {
    if (socket.fd != fd) continue;
    Update(socket);
    socket.fd = -1;
  }
  return close(fd);
}

void SocketMeter::Update() {
  for (Socket& socket : sockets_) {
    if (socket.fd >= 0) Update(socket);
  }
}

void SocketMeter::Update(Socket& socket) {
  struct tcp_info info = {};
  socklen_t size = sizeof info;
  constexpr std::size_t kNeeded = offsetof(struct tcp_info, tcpi_bytes_sent) + 8;
  if (getsockopt(socket.fd, IPPROTO_TCP, TCP_INFO, &info, &size) != 0 || size < kNeeded) {
    exact_ = false;
    return;
  }
  bytes_sent_ += info.tcpi_bytes_sent - socket.sent;
  bytes_received_ += info.tcpi_bytes_received - socket.received;
  socket.sent = info.tcpi_bytes_sent;
  socket.received = info.tcpi_bytes_received;
}

}  // namespace holdfast::transport::https
