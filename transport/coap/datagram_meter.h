// SPDX-License-Identifier: Apache-2.0
// transport/coap/datagram_meter.h - bytes on the wire, counted where libcoap hands them over.
//
// Purpose: a data budget has to count what a modem counts, handshakes and retransmissions included.
//          Neither libcoap nor the kernel counts them for UDP; our build of libcoap calls hf_send()
//          and its kin (toolchains/deps/stubs.c), which are here. Headers of UDP and IP are not in
//          it.
// Owner:   the transport; a Counting lives for the length of a call into libcoap.
// Threads: any; a Counting is of its thread.
#ifndef HOLDFAST_TRANSPORT_COAP_DATAGRAM_METER_H_
#define HOLDFAST_TRANSPORT_COAP_DATAGRAM_METER_H_

#include <cstdint>

namespace holdfast::transport::coap {

struct DatagramMeter {
  std::uint64_t bytes_sent = 0, bytes_received = 0, datagrams_sent = 0;
  int last_errno = 0;  // of a call that failed: ECONNREFUSED when nothing listens
};

// While it lives, datagrams of this thread count for `meter`.
class Counting {
 public:
  explicit Counting(DatagramMeter& meter);
  Counting(const Counting&) = delete;
  Counting& operator=(const Counting&) = delete;
  ~Counting();

 private:
  DatagramMeter* before_;
};

}  // namespace holdfast::transport::coap

#endif  // HOLDFAST_TRANSPORT_COAP_DATAGRAM_METER_H_
