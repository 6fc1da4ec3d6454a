// SPDX-License-Identifier: Apache-2.0
// server/http_session.h - one connection: requests come in one after the other, answers go out.
//
// Purpose: HTTP/1.1 framing by Boost.Beast's parser, with a ceiling on everything: header and body
//          bytes, and the time that each of handshake, header, body and answer may take.
// Owner:   keeps itself alive while it runs; the server's list only borrows it.
// Threads: one.
// Errors:  a fault of the peer is answered with a 4xx where that is possible, and ends at most this
//          connection.
#ifndef HOLDFAST_SERVER_HTTP_SESSION_H_
#define HOLDFAST_SERVER_HTTP_SESSION_H_

#include <boost/asio/awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/string_body.hpp>
#include <chrono>
#include <memory>
#include <string>

#include "server/access.h"
#include "server/host.h"
#include "server/response.h"
#include "server/tls_stream.h"
#include "server/upload_service.h"

namespace holdfast::server {

struct HttpLimits {
  std::chrono::milliseconds handshake{10000}, header{15000}, body{30000}, answer{30000},
      idle{75000};
  std::chrono::milliseconds longest_watch{300000};  // of /changes
  std::size_t bytes_per_second = 8192;  // slower than this, a body or an answer is given up
  std::size_t header_bytes = 16384;
  std::size_t body_bytes = limits::kRowBytes;
};

class HttpSession : public std::enable_shared_from_this<HttpSession> {
 public:
  using Clock = std::chrono::steady_clock;
  HttpSession(boost::asio::ip::tcp::socket socket, TlsContext& tls, Host& host,
              const HttpLimits& limits);

  boost::asio::awaitable<void> Run();

  // For the server's rounds.
  bool idle() const { return idle_; }
  Clock::time_point deadline() const { return deadline_; }
  void EndNow();  // whatever is under way
  void TimeOut();

 private:
  using Parser = boost::beast::http::request_parser<boost::beast::http::string_body>;
  using Request = Parser::value_type;

  boost::asio::awaitable<bool> ServeOne();
  boost::asio::awaitable<bool> ReadHeader(Parser& parser);
  boost::asio::awaitable<bool> ReadBody(Parser& parser);
  boost::asio::awaitable<bool> ReadMore(std::size_t most);
  bool Feed(Parser& parser);
  bool Admit(const Request& request);
  boost::asio::awaitable<bool> Continue(Parser& parser);
  boost::asio::awaitable<void> Answer(const Request& request);
  boost::asio::awaitable<void> AnswerTables(const Request& request);
  static std::string OriginOf(const Request& request);
  boost::asio::awaitable<bool> Send(const Request* request, bool keep_alive);
  void Pack(std::string_view accepted);
  void Describe();
  boost::asio::awaitable<void> TellChanges(std::string_view method, std::string_view target);
  void Allow(std::chrono::milliseconds time, std::size_t bytes = 0);
  void Refuse(int status, const char* text);

  // http_upload.cc
  enum class Taken : std::uint8_t { kAll, kBroken, kTooLong, kNotStored };
  static bool IsForUpload(const Request& request);
  boost::asio::awaitable<bool> ServeUpload(Parser& parser);
  boost::asio::awaitable<bool> BeginUpload(Parser& parser);
  boost::asio::awaitable<bool> GoOnWithUpload(Parser& parser);
  boost::asio::awaitable<bool> AppendToUpload(Parser& parser, UploadService::Hold& hold);
  boost::asio::awaitable<UploadService::Hold> TakeUpload(const std::string& id);
  boost::asio::awaitable<Taken> TakeBody(Parser& parser, UploadService::Hold& hold,
                                         std::int64_t most);
  boost::asio::awaitable<bool> EndAppend(Taken taken, UploadService::Hold& hold);
  boost::asio::awaitable<void> CompleteUpload(const Request& request, UploadService::Hold& hold);
  boost::asio::awaitable<bool> DropBody(Parser& parser);
  bool SaysTrueLength(const Request& request);
  void EndTables(const Request& request);
  void CutToRange(const Request& request);
  void TellUpload(const UploadService::Hold& hold, bool complete);
  void TellLimit(std::int64_t seconds_left);

  Host& host_;
  const HttpLimits& limits_;
  TlsStream stream_;
  boost::beast::flat_buffer buffer_;
  Response response_;
  Buffer out_;
  std::string device_;
  Clock::time_point deadline_;
  bool idle_ = true;
  bool announced_ = false;
  bool timed_out_ = false;
  bool refused_ = false;       // the request could not be read; response_ says why
  bool last_ = false;          // the peer is not to be trusted with another request
  std::size_t body_from_ = 0;  // the answer's body begins here: a range of it was asked for
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_HTTP_SESSION_H_
