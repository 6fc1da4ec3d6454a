// SPDX-License-Identifier: Apache-2.0
#include "server/http_server.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/v6_only.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <stdexcept>

#include "hal/base/log.h"
#include "hal/base/text.h"

namespace holdfast::server {

namespace asio = boost::asio;
using asio::ip::tcp;

namespace {
constexpr std::chrono::milliseconds kRound{250};
constexpr std::chrono::seconds kRefresh{2};
}  // namespace

Endpoint ParseEndpoint(const std::string& text) {
  const std::size_t colon = text.rfind(':');
  Endpoint endpoint;
  if (colon != std::string::npos) {
    endpoint = {text.substr(0, colon), text.substr(colon + 1)};
    if (endpoint.host.size() > 2 && endpoint.host.front() == '[' && endpoint.host.back() == ']') {
      endpoint.host = endpoint.host.substr(1, endpoint.host.size() - 2);
    } else if (endpoint.host.find(':') != std::string::npos) {
      endpoint.host.clear();  // an IPv6 address without its brackets: where does it end?
    }
  }
  const auto port = ParseInteger(endpoint.port);
  if (endpoint.host.empty() || !port || *port < 0 || *port > 65535) {
    throw std::runtime_error("'" + text + "' is not ADDRESS:PORT, as in 127.0.0.1:8443 or [::1]:0");
  }
  return endpoint;
}

HttpServer::HttpServer(asio::io_context& io, TlsContext& tls, Host& host, const HttpLimits& limits,
                       std::size_t max_connections)
    : io_(io),
      tls_(tls),
      host_(host),
      limits_(limits),
      max_connections_(max_connections),
      timer_(io) {
  asio::co_spawn(io_, Rounds(), asio::detached);
}

std::string HttpServer::Listen(const Endpoint& endpoint) {
  try {
    tcp::resolver resolver(io_);
    const auto found = resolver.resolve(endpoint.host, endpoint.port,
                                        tcp::resolver::passive | tcp::resolver::numeric_service);
    const tcp::endpoint address = found.begin()->endpoint();
    tcp::acceptor& acceptor = acceptors_.emplace_back(io_, address.protocol());
    acceptor.set_option(tcp::acceptor::reuse_address(true));
    if (address.address().is_v6()) acceptor.set_option(asio::ip::v6_only(true));
    acceptor.bind(address);
    acceptor.listen(1024);
    only_loopback_ = only_loopback_ && address.address().is_loopback();
    asio::co_spawn(io_, Accept(acceptor), asio::detached);
    const std::string text = address.address().to_string();
    return "https://" + (address.address().is_v6() ? "[" + text + "]" : text) + ":" +
           std::to_string(acceptor.local_endpoint().port());
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error("cannot listen on " + endpoint.host + ":" + endpoint.port + ": " +
                             error.code().message());
  }
}

asio::awaitable<void> HttpServer::Accept(tcp::acceptor& acceptor) {
  asio::steady_timer pause(io_);
  while (acceptor.is_open()) {
    boost::system::error_code error;
    tcp::socket socket =
        co_await acceptor.async_accept(asio::redirect_error(asio::use_awaitable, error));
    if (error == asio::error::operation_aborted || !acceptor.is_open()) co_return;
    if (error) {  // out of descriptors, most likely: let some connections end
      Log(LogLevel::kWarning, "accept: %s", error.message().c_str());
      pause.expires_after(std::chrono::milliseconds(100));
      co_await pause.async_wait(asio::redirect_error(asio::use_awaitable, error));
      continue;
    }
    if (sessions_.size() < max_connections_ || MakeRoom()) Start(std::move(socket));
  }
}

// Ends the connection that has been idle longest.
bool HttpServer::MakeRoom() {
  HttpSession* oldest = nullptr;
  for (const auto& session : sessions_) {
    if (session->idle() && (!oldest || session->deadline() < oldest->deadline())) {
      oldest = session.get();
    }
  }
  if (oldest != nullptr) oldest->EndNow();
  return oldest != nullptr;
}

void HttpServer::Start(tcp::socket socket) {
  const auto session = std::make_shared<HttpSession>(std::move(socket), tls_, host_, limits_);
  const auto place = sessions_.insert(sessions_.end(), session);
  asio::co_spawn(io_, session->Run(), [this, place](std::exception_ptr failure) {
    sessions_.erase(place);
    if (!failure) return;
    try {
      std::rethrow_exception(failure);
    } catch (const std::exception& error) {
      Log(LogLevel::kError, "a connection ended: %s", error.what());
    }
  });
}

asio::awaitable<void> HttpServer::Rounds() {
  while (!host_.draining || !sessions_.empty()) {
    boost::system::error_code error;
    timer_.expires_after(kRound);
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    LookAround();
  }
}

void HttpServer::LookAround() {
  const auto now = HttpSession::Clock::now();
  for (const auto& session : sessions_) {
    if (session->deadline() < now) session->TimeOut();
    if (host_.draining && (session->idle() || drain_until_ < now)) session->EndNow();
  }
  if (now >= next_refresh_) {
    next_refresh_ = now + kRefresh;
    host_.devices.Refresh();
    host_.uploads.LookAround();
  }
}

void HttpServer::Drain(std::chrono::milliseconds limit) {
  host_.draining = true;
  drain_until_ = HttpSession::Clock::now() + limit;
  boost::system::error_code ignored;
  for (tcp::acceptor& acceptor : acceptors_) acceptor.close(ignored);
  timer_.cancel();
}

}  // namespace holdfast::server
