// SPDX-License-Identifier: Apache-2.0
// server/http_server.h - listening, the list of connections, their deadlines, and the way out.
//
// Purpose: one timer looks at all connections four times a second, instead of one timer each. When
//          there are too many connections, the one that has been idle longest makes room.
// Threads: one.
#ifndef HOLDFAST_SERVER_HTTP_SERVER_H_
#define HOLDFAST_SERVER_HTTP_SERVER_H_

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/steady_timer.hpp>
#include <functional>
#include <list>
#include <string>
#include <vector>

#include "server/http_session.h"

namespace holdfast::server {

struct Endpoint {
  std::string host;
  std::string port;
};
// "127.0.0.1:8443", "[::1]:8443", "localhost:0". Throws std::runtime_error.
Endpoint ParseEndpoint(const std::string& text);

class HttpServer {
 public:
  HttpServer(boost::asio::io_context& io, TlsContext& tls, Host& host, const HttpLimits& limits,
             std::size_t max_connections);

  // Returns "https://127.0.0.1:43211". Throws std::runtime_error.
  std::string Listen(const Endpoint& endpoint);
  bool only_loopback() const { return only_loopback_; }

  // Requests under way are finished, idle connections closed; after `limit` the rest is cut.
  void Drain(std::chrono::milliseconds limit);

 private:
  using Sessions = std::list<std::shared_ptr<HttpSession>>;

  boost::asio::awaitable<void> Accept(boost::asio::ip::tcp::acceptor& acceptor);
  void Start(boost::asio::ip::tcp::socket socket);
  bool MakeRoom();
  boost::asio::awaitable<void> Rounds();
  void LookAround();

  boost::asio::io_context& io_;
  TlsContext& tls_;
  Host& host_;
  HttpLimits limits_;
  std::size_t max_connections_;
  std::list<boost::asio::ip::tcp::acceptor> acceptors_;
  Sessions sessions_;
  boost::asio::steady_timer timer_;
  HttpSession::Clock::time_point next_refresh_, drain_until_;
  bool only_loopback_ = true;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_HTTP_SERVER_H_
