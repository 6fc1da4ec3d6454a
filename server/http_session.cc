// SPDX-License-Identifier: Apache-2.0
#include "server/http_session.h"

#include <boost/beast/http/field.hpp>
#include <boost/beast/http/status.hpp>
#include <ctime>

#include "hal/base/text.h"
#include "server/http_date.h"
#include "server/http_request.h"
#include "server/target.h"

namespace holdfast::server {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

namespace {

constexpr std::size_t kBufferBytes = 64u << 10;
constexpr std::string_view kAnnouncement = ", bulk=1000, bytes=262144, enc=(gzip), upload=25165824";
static_assert(limits::kBulkOperations == 1000 && limits::kBulkBytes == 262144 &&
              limits::kUploadBytes == 25165824);
constexpr std::size_t kWorthPacking = 1024;
constexpr std::size_t kOneRecord = 12u << 10;  // head and body leave together up to this

// Made once a second.
const std::string& DateHeader() {
  static std::time_t made = 0;
  static std::string text;
  const std::time_t now = std::time(nullptr);
  if (now != made) {
    text = "Date: " + FormatHttpDate(std::int64_t{now} * kTicksPerSecond) + "\r\n";
    made = now;
  }
  return text;
}

const char* TypeName(BodyType type) {
  switch (type) {
    case BodyType::kJson: break;
    case BodyType::kCbor: return "application/cbor";
    case BodyType::kText: return "text/plain";
    case BodyType::kProblem: return "application/problem+json";
  }
  return "application/json; charset=utf-8";
}

// gzip among the codings, and not with a weight of zero.
bool AcceptsGzip(std::string_view accepted) {
  while (!accepted.empty()) {
    std::string_view one = accepted.substr(0, accepted.find(','));
    accepted.remove_prefix(std::min(one.size() + 1, accepted.size()));
    while (!one.empty() && one.front() == ' ') one.remove_prefix(1);
    std::string_view name = one.substr(0, one.find_first_of("; "));
    const std::size_t weight = one.find("q=");
    const bool none = weight != one.npos && ParseReal(one.substr(weight + 2)).value_or(1) == 0;
    if (EqualsIgnoreCase(name, "gzip")) return !none;
  }
  return false;
}

bool IsHost(std::string_view text) {
  if (text.empty() || text.size() > 255) return false;
  for (const char c : text) {
    const bool good = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '.' || c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
    if (!good) return false;
  }
  return true;
}

}  // namespace

HttpSession::HttpSession(asio::ip::tcp::socket socket, TlsContext& tls, Host& host,
                         const HttpLimits& limits)
    : host_(host), limits_(limits), stream_(std::move(socket), tls), buffer_(kBufferBytes) {
  Allow(limits_.handshake);
}

void HttpSession::Allow(std::chrono::milliseconds time, std::size_t bytes) {
  deadline_ = Clock::now() + time + std::chrono::seconds(bytes / limits_.bytes_per_second);
}

void HttpSession::EndNow() { stream_.Cancel(); }

void HttpSession::TimeOut() {
  timed_out_ = true;
  stream_.Cancel();
}

asio::awaitable<void> HttpSession::Run() {
  const auto self = shared_from_this();
  const bool spoken = co_await stream_.Handshake();
  if (!spoken) co_return;
  while (true) {
    const bool more = co_await ServeOne();
    if (!more) break;
  }
  if (refused_) {
    Allow(std::chrono::seconds(2));
    co_await stream_.Linger();
  } else {
    stream_.SayGoodbye();
  }
}

// True: the connection may carry another request.
asio::awaitable<bool> HttpSession::ServeOne() {
  response_.Clear();
  device_.clear();
  body_from_ = 0;
  Parser parser;
  parser.header_limit(static_cast<std::uint32_t>(limits_.header_bytes));
  parser.body_limit(boost::none);  // judged when it is known what the body is for
  bool good = co_await ReadHeader(parser);
  const Request& request = parser.get();
  if (good && IsForUpload(request)) {
    good = co_await ServeUpload(parser);
  } else if (good) {
    good = co_await ReadBody(parser);
    if (good) co_await Answer(request);
  }
  if (!good) {
    if (refused_) {
      if (response_.status == 413) TellLimit(host_.uploads.idle_seconds());
      Allow(limits_.answer);
      co_await Send(nullptr, false);
    }
    co_return false;
  }
  Pack(Joined(request, "Accept-Encoding"));
  const bool keep_alive = request.keep_alive() && !host_.draining && !last_;
  Allow(limits_.answer, response_.body.size());
  const bool sent = co_await Send(&request, keep_alive);
  co_return sent&& keep_alive;
}

asio::awaitable<bool> HttpSession::ReadHeader(Parser& parser) {
  idle_ = buffer_.size() == 0;
  Allow(idle_ ? limits_.idle : limits_.header);
  if (idle_ && host_.draining) co_return false;
  while (true) {
    if (buffer_.size() != 0 && !Feed(parser)) co_return false;
    if (parser.is_header_done()) break;
    const bool more = co_await ReadMore(4096);
    if (!more) co_return false;
    if (idle_) {
      idle_ = false;
      Allow(limits_.header);
    }
  }
  idle_ = false;
  parser.eager(true);
  co_return true;
}

asio::awaitable<bool> HttpSession::ReadBody(Parser& parser) {
  if (parser.is_done()) co_return true;
  Allow(limits_.body, parser.content_length().value_or(limits_.body_bytes));
  parser.body_limit(limits_.body_bytes);
  if (parser.content_length().value_or(0) > limits_.body_bytes) {
    Refuse(413, "the body is too long");
    co_return false;
  }
  const bool going = co_await Continue(parser);
  if (!going) co_return false;
  while (true) {
    if (buffer_.size() != 0 && !Feed(parser)) co_return false;
    if (parser.is_done()) co_return true;
    const bool more = co_await ReadMore(16384);
    if (!more) co_return false;
  }
}

// Some bytes more into buffer_. False: none will come.
asio::awaitable<bool> HttpSession::ReadMore(std::size_t most) {
  const auto room = buffer_.prepare(std::min(buffer_.max_size() - buffer_.size(), most));
  const std::size_t got = co_await stream_.Read({static_cast<char*>(room.data()), room.size()});
  if (got == 0) {
    if (timed_out_ && !idle_) Refuse(408, "the request did not arrive in time");
    co_return false;
  }
  buffer_.commit(got);
  co_return true;
}

// Hands what has arrived to the parser. False: this is no request; refused_ is set.
bool HttpSession::Feed(Parser& parser) {
  beast::error_code error;
  const bool only_header = !parser.is_header_done();
  while (buffer_.size() != 0 && !parser.is_done()) {
    if (only_header && parser.is_header_done()) break;
    const std::size_t used = parser.put(buffer_.data(), error);
    buffer_.consume(used);
    if (error == http::error::need_more) break;
    if (!error) continue;
    if (error == http::error::header_limit) {
      Refuse(431, "the header is too long");
    } else if (error == http::error::body_limit) {
      Refuse(413, "the body is too long");
    } else {
      Refuse(400, "this is not a well-formed HTTP request");
    }
    return false;
  }
  if (!parser.is_header_done() && buffer_.size() >= limits_.header_bytes) {
    Refuse(431, "the header is too long");
    return false;
  }
  return true;
}

asio::awaitable<bool> HttpSession::Continue(Parser& parser) {
  const std::string_view expect = View(parser.get()[http::field::expect]);
  if (expect.empty()) co_return true;
  if (!EqualsIgnoreCase(expect, "100-continue")) {
    Refuse(417, "this expectation cannot be met");
    co_return false;
  }
  const bool sent = co_await stream_.Write("HTTP/1.1 100 Continue\r\n\r\n");
  co_return sent;
}

void HttpSession::Refuse(int status, const char* text) {
  refused_ = true;
  response_.Clear();
  response_.Refuse(status, text);
}

asio::awaitable<void> HttpSession::Answer(const Request& request) {
  const auto started = Clock::now();
  const auto header = [&](beast::string_view name) { return View(request[name]); };
  const std::string_view target = View(request.target());
  const std::string_view path = PathOf(request);
  if (Admit(request)) {
    if (path == "/.well-known/holdfast") {
      Describe();
    } else if (path == "/bulk") {
      host_.bulks.Serve({device_, View(request.method_string()), header("Content-Type"),
                         header("Content-Encoding")},
                        request.body(), response_);
      response_.AddHeader("Cache-Control", "no-store");
    } else if (path == "/changes") {
      co_await TellChanges(View(request.method_string()), target);
    } else {
      co_await AnswerTables(request);
    }
  }
  host_.log.Request(device_, View(request.method_string()), path, response_.status,
                    response_.body.size(), Clock::now() - started);
}

// Whether this may be asked, and by whom. If not, the response says why.
bool HttpSession::Admit(const Request& request) {
  const std::string_view host = View(request[http::field::host]);
  if (request.count(http::field::host) > 1 || (host.empty() && request.version() >= 11) ||
      (!host.empty() && !IsHost(host))) {
    response_.Refuse(400, "a Host header is needed, and only one");
    last_ = true;
    return false;
  }
  if (PathOf(request) == "/.well-known/holdfast") return true;
  const Access access =
      Authorize(host_.devices.devices(), stream_.peer(), View(request["X-ZUMO-AUTH"]),
                View(request["Authorization"]), host_.allow_anonymous);
  device_ = access.device;
  if (access.allowed) return true;
  response_.AddHeader("WWW-Authenticate", "Bearer");
  response_.Refuse(401, access.why);
  return false;
}

asio::awaitable<void> HttpSession::AnswerTables(const Request& request) {
  const auto header = [&](beast::string_view name) { return View(request[name]); };
  const std::string match = Joined(request, "If-Match");
  const std::string none_match = Joined(request, "If-None-Match");
  const std::string options = Joined(request, "X-ZUMO-Options");
  RequestHead head;
  head.method = View(request.method_string());
  head.target = View(request.target());
  head.version = header("ZUMO-API-VERSION");
  head.if_match = match;
  head.if_none_match = none_match;
  head.if_modified_since = header("If-Modified-Since");
  head.if_unmodified_since = header("If-Unmodified-Since");
  head.content_type = header("Content-Type");
  head.content_encoding = header("Content-Encoding");
  head.zumo_options = options;
  head.device = device_;
  const TablesService::Form form{OriginOf(request)};
  const bool whole = SaysTrueLength(request);
  if (whole) co_await host_.tables.Serve(head, request.body(), form, response_);
  if (!response_.location.empty()) response_.location.insert(0, form.origin);
  response_.AddHeader("Cache-Control", "no-cache");
  EndTables(request);
}

std::string HttpSession::OriginOf(const Request& request) {
  return "https://" + std::string(View(request[http::field::host]));
}

// Long bodies that are no single row: a row's tag stands for its bytes.
void HttpSession::Pack(std::string_view accepted) {
  if (response_.body.size() < kWorthPacking || !response_.version.empty()) return;
  response_.AddHeader("Vary", "Accept-Encoding");
  if (!AcceptsGzip(accepted)) return;
  out_.Truncate(0);
  out_.Reserve(response_.body.size());
  auto packed = host_.packer.Pack(response_.body.view(), out_.Free().first(response_.body.size()));
  if (packed) {
    response_.body.Truncate(0);
    response_.body.Append(*packed);
    response_.AddHeader("Content-Encoding", "gzip");
  }
  out_.Clear();
}

void HttpSession::Describe() {
  response_.body.Append(
      "{\"v\":1,\"server\":\"holdfast-" HOLDFAST_VERSION
      "\",\"protocols\":[\"2.0\",\"3.0\"],\"tables\":\"/tables\",\"changes\":\"/"
      "changes\",\"limits\":{\"row_bytes\":" +
      std::to_string(limits::kRowBytes) + ",\"page_rows\":" + std::to_string(limits::kPageRows) +
      ",\"id_bytes\":" + std::to_string(limits::kIdBytes) + ",\"columns\":" +
      std::to_string(limits::kColumns) + ",\"tables\":" + std::to_string(limits::kTables) +
      "},\"bulk\":{\"path\":\"/bulk\",\"operations\":" + std::to_string(limits::kBulkOperations) +
      ",\"bytes\":" + std::to_string(limits::kBulkBytes) +
      ",\"codings\":[\"gzip\"]},\"upload\":{\"path\":\"/uploads\",\"bytes\":" +
      std::to_string(limits::kUploadBytes) +
      ",\"seconds\":" + std::to_string(host_.uploads.idle_seconds()) + "}}");
  response_.AddHeader("Cache-Control", "max-age=3600");
}

// A long poll: what Observe is for those who speak HTTP.
asio::awaitable<void> HttpSession::TellChanges(std::string_view method, std::string_view target) {
  const auto asked = ParseTarget(target);
  std::int64_t wait_ms = 0;
  if (asked && asked->Find("wait_ms") != nullptr) {
    wait_ms = ParseInteger(*asked->Find("wait_ms")).value_or(-1);
  }
  if (method != "GET") {
    response_.AddHeader("Allow", "GET");
    response_.Refuse(405, "GET it");
    co_return;
  }
  if (!asked || wait_ms < 0 || wait_ms > limits_.longest_watch.count()) {
    response_.Refuse(400, "wait_ms is a number of milliseconds, at most " +
                              std::to_string(limits_.longest_watch.count()));
    co_return;
  }
  const std::string* given = asked->Find("since");
  const std::string since = given == nullptr ? std::string() : *given;
  const std::chrono::milliseconds wait(wait_ms);
  Allow(limits_.answer + wait);
  const bool news = co_await host_.changes.Wait(device_, since, Clock::now() + wait);
  response_.AddHeader("Cache-Control", "no-cache");
  if (!news) {
    response_.status = 204;
    co_return;
  }
  response_.type = BodyType::kText;
  response_.body.Append(host_.changes.NewestFor(device_));
}

asio::awaitable<bool> HttpSession::Send(const Request* request, bool keep_alive) {
  const int status = response_.status;
  const bool no_body = status == 204 || status == 304;
  const bool head = request != nullptr && request->method() == http::verb::head;
  const std::string_view content = response_.body.view().substr(body_from_);
  std::string lines = "HTTP/1.1 " + std::to_string(status) + " ";
  lines += View(http::obsolete_reason(static_cast<http::status>(status)));
  lines += "\r\nHoldfast: v=1";
  // What this server takes is said once a connection: devices pay for each byte.
  if (!announced_) lines += kAnnouncement;
  announced_ = true;
  lines += "\r\nx-zumo-server-version: holdfast-" HOLDFAST_VERSION "\r\n";
  lines += DateHeader();
  if (!response_.version.empty()) lines += "ETag: \"" + response_.version + "\"\r\n";
  if (!response_.location.empty()) lines += "Location: " + response_.location + "\r\n";
  if (response_.retry_after_s != 0) {
    lines += "Retry-After: " + std::to_string(response_.retry_after_s) + "\r\n";
  }
  lines += response_.headers;
  if (!no_body) {
    lines.append("Content-Type: ").append(TypeName(response_.type));
    lines.append("\r\nContent-Length: ").append(std::to_string(content.size()));
    lines += "\r\n";
  }
  if (!keep_alive) {
    lines += "Connection: close\r\n";
  } else if (request != nullptr && request->version() < 11) {
    lines += "Connection: keep-alive\r\n";
  }
  lines += "\r\n";
  const std::string_view body = no_body || head ? std::string_view() : content;
  if (body.size() > kOneRecord) {
    const bool sent = co_await stream_.Write(lines);
    if (!sent) co_return false;
    const bool rest = co_await stream_.Write(body);
    co_return rest;
  }
  out_.Truncate(0);
  out_.Append(lines);
  out_.Append(body);
  const bool sent = co_await stream_.Write(out_.view());
  co_return sent;
}

}  // namespace holdfast::server
