// SPDX-License-Identifier: Apache-2.0
// transport/https/socket_meter.h - bytes on the wire, as the kernel counts them.
//
// Purpose: a data budget has to count what a modem counts. libcurl knows HTTP bytes only; the
//          kernel knows every byte of a TCP connection, handshakes and retransmissions included.
//          Headers of TCP and IP are not in it.
// Owner:   opens and closes the sockets for libcurl; outlives its connections.
// Threads: one.
// Standard: Linux tcp(7), TCP_INFO (bytes since Linux 4.19).
#ifndef HOLDFAST_TRANSPORT_HTTPS_SOCKET_METER_H_
#define HOLDFAST_TRANSPORT_HTTPS_SOCKET_METER_H_

#include <array>
#include <cstdint>

namespace holdfast::transport::https {

class SocketMeter {
 public:
  // As socket(2), with close-on-exec.
  int Open(int family, int type, int protocol);
  int Close(int fd);

  // Reads the counters of all open connections.
  void Update();

  // False: this kernel does not count, so nobody knows.
  bool exact() const { return exact_; }
  std::uint64_t bytes_sent() const { return bytes_sent_; }
  std::uint64_t bytes_received() const { return bytes_received_; }

 private:
  struct Socket {
    int fd = -1;
    std::uint64_t sent = 0, received = 0;  // already counted
  };
  void Update(Socket& socket);

  // One connection is kept; more exist for moments, while IPv4 and IPv6 race each other.
  std::array<Socket, 16> sockets_;
  bool exact_ = true;
  std::uint64_t bytes_sent_ = 0, bytes_received_ = 0;
};

}  // namespace holdfast::transport::https

#endif  // HOLDFAST_TRANSPORT_HTTPS_SOCKET_METER_H_
