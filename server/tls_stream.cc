// SPDX-License-Identifier: Apache-2.0
#include "server/tls_stream.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <cstring>

#include "server/credentials.h"

namespace holdfast::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr int kSocketFailed = -1;
constexpr std::size_t kLingerBytes = 16u << 20;
// A peer can use a record when all of it is there: one that was cut goes again.
constexpr std::size_t kRecordBytes = 4u << 10;
}  // namespace

TlsStream::TlsStream(tcp::socket socket, TlsContext& context)
    : socket_(std::move(socket)), context_(context) {
  boost::system::error_code ignored;
  socket_.non_blocking(true, ignored);
  socket_.set_option(tcp::no_delay(true), ignored);
  mbedtls_ssl_init(&ssl_);
}

TlsStream::~TlsStream() { mbedtls_ssl_free(&ssl_); }

int TlsStream::Send(void* context, const unsigned char* data, std::size_t size) {
  auto& self = *static_cast<TlsStream*>(context);
  const ssize_t sent = send(self.socket_.native_handle(), data, size, MSG_NOSIGNAL);
  if (sent >= 0) return static_cast<int>(sent);
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_WRITE : kSocketFailed;
}

int TlsStream::Receive(void* context, unsigned char* out, std::size_t size) {
  auto& self = *static_cast<TlsStream*>(context);
  if (self.pending_start_ == self.pending_end_) {
    if (size >= self.pending_.size()) return self.ReceiveInto(out, size);
    const int got = self.ReceiveInto(self.pending_.data(), self.pending_.size());
    if (got <= 0) return got;
    self.pending_start_ = 0;
    self.pending_end_ = static_cast<std::size_t>(got);
  }
  size = std::min(size, self.pending_end_ - self.pending_start_);
  std::memcpy(out, self.pending_.data() + self.pending_start_, size);
  self.pending_start_ += size;
  return static_cast<int>(size);
}

int TlsStream::ReceiveInto(unsigned char* out, std::size_t size) {
  const ssize_t got = recv(socket_.native_handle(), out, size, 0);
  if (got >= 0) return static_cast<int>(got);
  return errno == EAGAIN || errno == EINTR ? MBEDTLS_ERR_SSL_WANT_READ : kSocketFailed;
}

asio::awaitable<bool> TlsStream::WaitFor(int code) {
  if (cancelled_) co_return false;
  boost::system::error_code error;
  if (code == MBEDTLS_ERR_SSL_WANT_READ) {
    co_await socket_.async_wait(tcp::socket::wait_read,
                                asio::redirect_error(asio::use_awaitable, error));
  } else if (code == MBEDTLS_ERR_SSL_WANT_WRITE) {
    co_await socket_.async_wait(tcp::socket::wait_write,
                                asio::redirect_error(asio::use_awaitable, error));
  } else {
    co_return false;
  }
  co_return !error && !cancelled_;
}

asio::awaitable<bool> TlsStream::Handshake() {
  if (mbedtls_ssl_setup(&ssl_, &context_.config()) != 0) co_return false;
  mbedtls_ssl_set_bio(&ssl_, this, Send, Receive, nullptr);
  // Step by step, because whether a session was resumed shows only in the states that were passed.
  while (ssl_.MBEDTLS_PRIVATE(state) != MBEDTLS_SSL_HANDSHAKE_OVER) {
    if (ssl_.MBEDTLS_PRIVATE(state) == MBEDTLS_SSL_SERVER_CERTIFICATE) handshake_.full = true;
    context_.Enter(&handshake_);
    const int code = mbedtls_ssl_handshake_step(&ssl_);
    context_.Enter(nullptr);
    if (code == 0) continue;
    const bool again = co_await WaitFor(code);
    if (!again) co_return false;
  }
  const mbedtls_x509_crt* certificate = mbedtls_ssl_get_peer_cert(&ssl_);
  if (certificate != nullptr) {
    peer_ = TlsContext::IdentityOf(certificate);
  } else if (!handshake_.full) {
    peer_ = handshake_.resumed;
  }
  co_return true;
}

asio::awaitable<std::size_t> TlsStream::Read(std::span<char> out) {
  while (true) {
    const int code =
        mbedtls_ssl_read(&ssl_, reinterpret_cast<unsigned char*>(out.data()), out.size());
    if (code > 0) co_return static_cast<std::size_t>(code);
    const bool again = co_await WaitFor(code);
    if (!again) co_return 0;
  }
}

asio::awaitable<bool> TlsStream::Write(std::string_view data) {
  while (!data.empty()) {
    const std::string_view record = data.substr(0, kRecordBytes);
    const int code = mbedtls_ssl_write(&ssl_, reinterpret_cast<const unsigned char*>(record.data()),
                                       record.size());
    if (code > 0) {
      data.remove_prefix(static_cast<std::size_t>(code));
      continue;
    }
    const bool again = co_await WaitFor(code);
    if (!again) co_return false;
  }
  co_return true;
}

void TlsStream::SayGoodbye() { mbedtls_ssl_close_notify(&ssl_); }

asio::awaitable<void> TlsStream::Linger() {
  SayGoodbye();
  boost::system::error_code error;
  socket_.shutdown(tcp::socket::shutdown_send, error);
  std::array<unsigned char, 4096> dropped;
  for (std::size_t taken = 0; taken < kLingerBytes;) {
    const int code = ReceiveInto(dropped.data(), dropped.size());
    if (code > 0) {
      taken += static_cast<std::size_t>(code);
      continue;
    }
    if (code == 0) co_return;
    const bool again = co_await WaitFor(code);
    if (!again) co_return;
  }
}

void TlsStream::Cancel() {
  cancelled_ = true;
  boost::system::error_code ignored;
  socket_.cancel(ignored);
}

}  // namespace holdfast::server
