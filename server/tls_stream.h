// SPDX-License-Identifier: Apache-2.0
// server/tls_stream.h - one TLS connection as coroutines: Mbed TLS over a non-blocking socket.
//
// Owner:   the stream owns its socket; it borrows the context.
// Threads: one.
// Errors:  Read() and Write() end with false; Cancel() makes a pending one end so.
#ifndef HOLDFAST_SERVER_TLS_STREAM_H_
#define HOLDFAST_SERVER_TLS_STREAM_H_

#include <mbedtls/ssl.h>

#include <array>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <span>
#include <string_view>

#include "server/devices.h"
#include "server/tls_context.h"

namespace holdfast::server {

class TlsStream {
 public:
  TlsStream(boost::asio::ip::tcp::socket socket, TlsContext& context);
  ~TlsStream();
  TlsStream(const TlsStream&) = delete;
  TlsStream& operator=(const TlsStream&) = delete;

  boost::asio::awaitable<bool> Handshake();
  // The number of bytes read, at least 1; 0: the connection has ended, or was cancelled.
  boost::asio::awaitable<std::size_t> Read(std::span<char> out);
  boost::asio::awaitable<bool> Write(std::string_view data);
  // Says goodbye, then takes and drops what the peer still sends, so that it gets to read our
  // answer instead of a reset.
  boost::asio::awaitable<void> Linger();
  void SayGoodbye();

  void Cancel();
  const PeerIdentity& peer() const { return peer_; }
  boost::asio::ip::tcp::socket& socket() { return socket_; }

 private:
  static int Send(void* context, const unsigned char* data, std::size_t size);
  static int Receive(void* context, unsigned char* out, std::size_t size);
  int ReceiveInto(unsigned char* out, std::size_t size);
  // After Mbed TLS answered `code`: waits for what it wants. False: it was a real error.
  boost::asio::awaitable<bool> WaitFor(int code);

  boost::asio::ip::tcp::socket socket_;
  TlsContext& context_;
  mbedtls_ssl_context ssl_;
  TlsHandshake handshake_;
  PeerIdentity peer_;
  bool cancelled_ = false;
  // Mbed TLS asks for a record's head and its body one after the other; one system call is enough.
  std::array<unsigned char, 4096> pending_;
  std::size_t pending_start_ = 0, pending_end_ = 0;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_TLS_STREAM_H_
