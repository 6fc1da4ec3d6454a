// SPDX-License-Identifier: Apache-2.0
#include "transport/coap/datagram_meter.h"

#include <sys/socket.h>

#include <cerrno>

namespace holdfast::transport::coap {
namespace {

thread_local DatagramMeter* counting = nullptr;

void NoteFailure() {
  if (counting != nullptr && errno != EAGAIN && errno != EINTR) counting->last_errno = errno;
}

ssize_t Sent(ssize_t size) {
  if (size < 0) NoteFailure();
  if (size > 0 && counting != nullptr) {
    counting->bytes_sent += std::uint64_t(size);
    ++counting->datagrams_sent;
  }
  return size;
}

ssize_t Received(ssize_t size) {
  if (size < 0) NoteFailure();
  if (size > 0 && counting != nullptr) counting->bytes_received += std::uint64_t(size);
  return size;
}

}  // namespace

Counting::Counting(DatagramMeter& meter) : before_(counting) { counting = &meter; }
Counting::~Counting() { counting = before_; }

}  // namespace holdfast::transport::coap

extern "C" {

ssize_t hf_send(int socket, const void* data, size_t size, int flags);
ssize_t hf_sendmsg(int socket, const struct msghdr* message, int flags);
ssize_t hf_recv(int socket, void* data, size_t size, int flags);
ssize_t hf_recvmsg(int socket, struct msghdr* message, int flags);

ssize_t hf_send(int socket, const void* data, size_t size, int flags) {
  return holdfast::transport::coap::Sent(send(socket, data, size, flags));
}
ssize_t hf_sendmsg(int socket, const struct msghdr* message, int flags) {
  return holdfast::transport::coap::Sent(sendmsg(socket, message, flags));
}
ssize_t hf_recv(int socket, void* data, size_t size, int flags) {
  return holdfast::transport::coap::Received(recv(socket, data, size, flags));
}
ssize_t hf_recvmsg(int socket, struct msghdr* message, int flags) {
  return holdfast::transport::coap::Received(recvmsg(socket, message, flags));
}

}  // extern "C"
