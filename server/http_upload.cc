// SPDX-License-Identifier: Apache-2.0
// Uploads over HTTPS (draft-ietf-httpbis-resumable-upload-12), and ranges of rows that come down.
#include <algorithm>
#include <boost/beast/http/field.hpp>

#include "hal/base/log.h"
#include "hal/base/text.h"
#include "server/http_fields.h"
#include "server/http_request.h"
#include "server/http_session.h"

namespace holdfast::server {

namespace asio = boost::asio;
namespace http = boost::beast::http;

namespace {

constexpr std::string_view kUploads = "/uploads/";
constexpr std::string_view kProblems = "https://iana.org/assignments/http-problem-types#";
constexpr std::chrono::seconds kApplying{120};
constexpr std::size_t kDropBytes = 256u << 10;  // of a body that is not wanted
constexpr std::size_t kWorthResuming = 64u << 10;
constexpr auto kUploadBytes = static_cast<std::int64_t>(limits::kUploadBytes);

template <typename Request>
UploadHead UploadHeadOf(const Request& request, const std::string& device) {
  const auto header = [&](const char* name) { return std::string(View(request[name])); };
  UploadHead head;
  head.device = device;
  head.method = View(request.method_string());
  head.target = View(request.target());
  head.version = header("ZUMO-API-VERSION");
  head.if_match = Joined(request, "If-Match");
  head.if_none_match = Joined(request, "If-None-Match");
  head.if_unmodified_since = header("If-Unmodified-Since");
  head.content_type = header("Content-Type");
  head.coding = header("Content-Encoding");
  if (EqualsIgnoreCase(head.coding, "identity")) head.coding.clear();
  if (EqualsIgnoreCase(head.coding, "gzip")) head.coding = "gzip";
  head.options = Joined(request, "X-ZUMO-Options");
  head.version_only = Prefers(Joined(request, "Prefer"), "return=minimal");
  return head;
}

// What an append says of itself.
struct AppendHead {
  std::optional<std::int64_t> offset, length;
  bool complete = false, typed = false;
  std::optional<std::uint64_t> bytes;  // of its body; nullopt: it will show
};

template <typename Request>
AppendHead AppendHeadOf(const Request& request) {
  AppendHead head;
  head.offset = ParseCountItem(Joined(request, "Upload-Offset"));
  head.length = ParseCountItem(Joined(request, "Upload-Length"));
  head.complete = ParseFlagItem(Joined(request, "Upload-Complete")).value_or(false);
  const std::string_view type = MediaTypeOf(View(request[http::field::content_type]));
  // Drafts before that type was there had none of their own.
  const auto draft = ParseCountItem(Joined(request, "Upload-Draft-Interop-Version"));
  head.typed = EqualsIgnoreCase(type, "application/partial-upload") || draft.value_or(6) < 6;
  return head;
}

void RefuseProblem(Response& response, int status, std::string_view problem,
                   const std::string& members, std::string_view text) {
  response.Refuse(status, text);
  const std::string error(response.body.view().substr(1));
  response.type = BodyType::kProblem;
  response.body.Truncate(0);
  response.body.Append("{\"type\":\"");
  response.body.Append(kProblems);
  response.body.Append(problem);
  response.body.Append("\"," + members + error);
}

void RefuseLength(Response& response, std::string_view text) {
  RefuseProblem(response, 400, "inconsistent-upload-length", "", text);
}

// Why an append cannot be taken, as far as its head says that. True: it can.
bool AppendFits(const AppendHead& head, const Upload& upload, std::int64_t offset,
                Response& response) {
  if (!head.typed) {
    response.Refuse(415, "an append has the type application/partial-upload");
  } else if (!head.offset) {
    response.Refuse(400, "Upload-Offset says where an append belongs");
  } else if (*head.offset != offset) {
    RefuseProblem(response, 409, "mismatching-upload-offset",
                  "\"expected-offset\":" + std::to_string(offset) +
                      ",\"provided-offset\":" + std::to_string(*head.offset) + ",",
                  "the upload goes on somewhere else");
  } else {
    const std::int64_t length = upload.length >= 0 ? upload.length : head.length.value_or(-1);
    const std::uint64_t most = static_cast<std::uint64_t>(length >= 0 ? length : kUploadBytes);
    const std::uint64_t end = static_cast<std::uint64_t>(offset) + head.bytes.value_or(0);
    if (head.length.value_or(0) > kUploadBytes || (length < 0 && end > most)) {
      response.Refuse(413, "the body is too long, also in pieces");
    } else if ((head.length && *head.length != length) || end > most) {
      RefuseLength(response, "the upload's length was another");
    } else if (head.complete && head.bytes && length >= 0 && end != most) {
      RefuseLength(response, "the upload would end before its length");
    } else {
      return true;
    }
  }
  return false;
}

}  // namespace

// Its body is no request by itself: it goes into a file as it arrives.
bool HttpSession::IsForUpload(const Request& request) {
  if (PathOf(request).starts_with(kUploads)) return true;
  const http::verb method = request.method();
  const bool writes =
      method == http::verb::post || method == http::verb::patch || method == http::verb::put;
  return writes && ParseFlagItem(Joined(request, "Upload-Complete")) == false;
}

asio::awaitable<bool> HttpSession::ServeUpload(Parser& parser) {
  const auto started = Clock::now();
  const Request& request = parser.get();
  bool good = false, failed = false;
  try {
    if (!Admit(request)) {
      good = co_await DropBody(parser);
    } else if (PathOf(request).starts_with(kUploads)) {
      good = co_await GoOnWithUpload(parser);
    } else {
      good = co_await BeginUpload(parser);
    }
  } catch (const StorageError& error) {
    Log(LogLevel::kError, "uploads: %s", error.what());
    failed = true;
  }
  if (failed) {
    response_.Clear();
    response_.retry_after_s = 5;
    response_.Refuse(503, "the server cannot store uploads at the moment");
    good = co_await DropBody(parser);
  }
  if (good || refused_) {
    host_.log.Request(device_, View(request.method_string()), PathOf(request), response_.status,
                      response_.body.size(), Clock::now() - started);
  }
  co_return good;
}

// The request of a row, whose body is to follow: nothing is written yet.
asio::awaitable<bool> HttpSession::BeginUpload(Parser& parser) {
  const Request& request = parser.get();
  UploadHead head = UploadHeadOf(request, device_);
  const auto digest = ParseReprDigest(Joined(request, "Repr-Digest"));
  const std::int64_t length =
      ParseCountItem(Joined(request, "Upload-Length")).value_or(std::int64_t{-1});
  Upload upload;
  bool made = false;
  if (!digest) {
    response_.Refuse(400, "Repr-Digest has no SHA-256 that could be checked");
  } else {
    head.digest = *digest;
    made = host_.uploads.Create(head, length, response_, upload);
  }
  if (!made) {
    if (response_.status == 413) TellLimit(host_.uploads.idle_seconds());
    const bool dropped = co_await DropBody(parser);
    co_return dropped;
  }
  UploadService::Hold hold = co_await TakeUpload(upload.id);
  if (!hold) co_return false;
  const bool fresh = hold.offset() == 0;
  if (!parser.is_done() && fresh) {
    const std::int64_t most = length >= 0 ? length : kUploadBytes;
    const Taken taken = co_await TakeBody(parser, hold, most);
    // Without its place nobody can go on with it, and it would count.
    const bool lost = taken == Taken::kBroken && head.digest.empty();
    if (taken != Taken::kAll) {
      Response ignored;
      if (lost) host_.uploads.Remove(hold, ignored);
      const bool good = co_await EndAppend(taken, hold);
      co_return good;
    }
  }
  response_.location.insert(0, OriginOf(request));
  TellUpload(hold, false);
  TellLimit(hold.seconds_left());
  response_.AddHeader("Cache-Control", "no-store");
  const bool dropped = co_await DropBody(parser);
  co_return dropped;
}

// For this request alone, with all that has come on the medium. GCC 12 destroys a temporary
// argument of what is awaited twice, so arguments have names.
asio::awaitable<UploadService::Hold> HttpSession::TakeUpload(const std::string& id) {
  UploadService::Stop stop = [weak = weak_from_this()] {
    if (const auto session = weak.lock()) session->EndNow();
  };
  UploadService::Hold hold = co_await host_.uploads.Take(id, device_, stop);
  if (hold) co_await host_.uploads.Flush(hold);
  if (hold && hold.gone()) hold = UploadService::Hold();
  co_return hold;
}

asio::awaitable<bool> HttpSession::GoOnWithUpload(Parser& parser) {
  const Request& request = parser.get();
  const std::string_view method = View(request.method_string());
  response_.AddHeader("Cache-Control", "no-store");
  const std::string id(PathOf(request).substr(kUploads.size()));
  UploadService::Hold hold = co_await TakeUpload(id);
  if (!hold) {
    response_.Refuse(404, "there is no such upload, or no longer");
  } else if (method == "PATCH") {
    const bool good = co_await AppendToUpload(parser, hold);
    co_return good;
  } else if (method == "HEAD" || method == "GET") {
    response_.status = 204;
    TellUpload(hold, hold.upload().complete());
    if (hold.upload().length >= 0) {
      response_.AddHeader("Upload-Length", std::to_string(hold.upload().length));
    }
    TellLimit(hold.seconds_left());
  } else if (method == "DELETE") {
    TellUpload(hold, hold.upload().complete());
    if (host_.uploads.Remove(hold, response_)) response_.status = 204;
  } else {
    const bool asks = method == "OPTIONS";
    if (asks) response_.status = 204;
    if (!asks) response_.Refuse(405, "this method does not work here");
    response_.AddHeader("Allow", "GET, HEAD, PATCH, DELETE, OPTIONS");
    TellUpload(hold, hold.upload().complete());
    if (asks) TellLimit(hold.seconds_left());
  }
  const bool dropped = co_await DropBody(parser);
  co_return dropped;
}

asio::awaitable<bool> HttpSession::AppendToUpload(Parser& parser, UploadService::Hold& hold) {
  const Request& request = parser.get();
  AppendHead head = AppendHeadOf(request);
  if (parser.is_done()) {
    head.bytes = 0;
  } else if (parser.content_length()) {
    head.bytes = *parser.content_length();
  }
  const std::int64_t start = hold.offset();
  const bool fits = AppendFits(head, hold.upload(), start, response_) &&
                    (!head.length || host_.uploads.SetLength(hold, *head.length));
  if (!fits) {
    if (response_.status == 200) response_.Refuse(503, "the server cannot store uploads");
    if (response_.status == 413) TellLimit(hold.seconds_left());
    TellUpload(hold, false);
    const bool dropped = co_await DropBody(parser);
    co_return dropped;
  }
  const std::int64_t length = hold.upload().length;
  const Taken taken =
      co_await TakeBody(parser, hold, (length >= 0 ? length : kUploadBytes) - start);
  if (taken != Taken::kAll) {
    const bool good = co_await EndAppend(taken, hold);
    co_return good;
  }
  if (!head.complete) {
    response_.status = 204;
    TellUpload(hold, hold.upload().complete());
  } else if (length >= 0 && hold.offset() != length) {
    RefuseLength(response_, "the upload would end before its length");
    TellUpload(hold, false);
  } else {
    response_.headers.clear();
    co_await CompleteUpload(request, hold);
  }
  co_return true;
}

// The body into the upload, while it arrives. What has come counts, whatever ends it.
asio::awaitable<HttpSession::Taken> HttpSession::TakeBody(Parser& parser, UploadService::Hold& hold,
                                                          std::int64_t most) {
  Taken taken = Taken::kAll;
  Allow(limits_.body, parser.content_length().value_or(limits::kUploadBytes));
  bool going = parser.is_done();
  if (!going) going = co_await Continue(parser);
  if (!going) taken = Taken::kBroken;
  while (going) {
    if (buffer_.size() != 0 && !parser.is_done()) going = Feed(parser);
    std::string& body = parser.get().body();
    const auto size = static_cast<std::int64_t>(body.size());
    if (size > most) {
      taken = Taken::kTooLong;
      break;
    }
    most -= size;
    bool kept = true;
    if (!body.empty()) kept = co_await host_.uploads.Append(hold, body);
    body.clear();
    if (!kept) taken = Taken::kNotStored;
    if (going && parser.is_done()) break;
    if (kept && going && !hold.stopped()) going = co_await ReadMore(16384);
    if (kept && going && !hold.stopped()) continue;
    if (kept) taken = Taken::kBroken;
    break;
  }
  const bool flushed = co_await host_.uploads.Flush(hold);
  if (!flushed && taken == Taken::kAll) taken = Taken::kNotStored;
  co_return taken;
}

// An append that did not come to its end. The rest of its body is not read.
asio::awaitable<bool> HttpSession::EndAppend(Taken taken, UploadService::Hold& hold) {
  if (taken == Taken::kTooLong) {
    RefuseLength(response_, "more came than belongs to the upload");
  } else if (taken == Taken::kNotStored && hold.gone()) {
    response_.Refuse(404, "there is no such upload, or no longer");
  } else if (taken == Taken::kNotStored) {
    response_.retry_after_s = 5;
    response_.Refuse(503, "the server cannot store uploads at the moment");
  }
  if (taken != Taken::kBroken) refused_ = true;
  if (refused_) TellUpload(hold, false);
  co_return false;
}

asio::awaitable<void> HttpSession::CompleteUpload(const Request& request,
                                                  UploadService::Hold& hold) {
  Allow(kApplying);
  const TablesService::Form form{OriginOf(request)};
  co_await host_.uploads.Complete(hold, form, response_);
  if (!response_.location.empty()) response_.location.insert(0, form.origin);
  if (hold.upload().head.version_only && response_.status < 300) {
    response_.AddHeader("Preference-Applied", "return=minimal");
  }
  response_.AddHeader("Cache-Control", "no-cache");
  TellUpload(hold, hold.upload().complete());
}

// The rest of a body that is not wanted, so that the connection stays; unless that would take long,
// or the peer waits to be told to send it.
asio::awaitable<bool> HttpSession::DropBody(Parser& parser) {
  if (parser.is_done()) co_return true;
  const bool waits = !parser.get()[http::field::expect].empty();
  if (waits || parser.content_length().value_or(0) > kDropBytes) {
    refused_ = true;
    co_return false;
  }
  parser.body_limit(kDropBytes);
  Allow(limits_.body, kDropBytes);
  while (true) {
    if (buffer_.size() != 0 && !Feed(parser)) co_return false;
    parser.get().body().clear();
    if (parser.is_done()) co_return true;
    const bool more = co_await ReadMore(16384);
    if (!more) co_return false;
  }
}

// Every answer on an upload says how far it is: clients of the draft's older versions want that.
void HttpSession::TellUpload(const UploadService::Hold& hold, bool complete) {
  response_.AddHeader("Upload-Offset", std::to_string(hold.offset()));
  response_.AddHeader("Upload-Complete", complete ? "?1" : "?0");
}

void HttpSession::TellLimit(std::int64_t seconds_left) {
  if (response_.headers.find("Upload-Limit: ") != std::string::npos) return;
  response_.AddHeader("Upload-Limit", UploadService::LimitHeader(seconds_left));
}

// A request that says that its body is all of it is an ordinary one, if that is so.
bool HttpSession::SaysTrueLength(const Request& request) {
  if (ParseFlagItem(Joined(request, "Upload-Complete")) != true) return true;
  const auto length = ParseCountItem(Joined(request, "Upload-Length"));
  if (!length || *length == static_cast<std::int64_t>(request.body().size())) return true;
  RefuseLength(response_, "the body is not as long as Upload-Length says");
  return false;
}

void HttpSession::EndTables(const Request& request) {
  const http::verb method = request.method();
  if (method == http::verb::get) return CutToRange(request);
  if (method == http::verb::options && response_.status == 204) {
    TellLimit(host_.uploads.idle_seconds());
  }
  const bool writes =
      method == http::verb::post || method == http::verb::patch || method == http::verb::put;
  if (writes && ParseFlagItem(Joined(request, "Upload-Complete")) == true) {
    response_.AddHeader("Upload-Complete", "?1");
  }
}

// A large row that comes down goes on where it ended. A row has more members at its end when its
// table has grown, without being another version: who has come so far that this could matter gets
// the whole row again.
void HttpSession::CutToRange(const Request& request) {
  if (response_.status != 200 || response_.lasting == 0) return;
  const std::size_t size = response_.body.size();
  const auto range = ParseRange(Joined(request, "Range"));
  if (range || size > kWorthResuming) response_.AddHeader("Accept-Ranges", "bytes");
  const std::string_view condition = View(request["If-Range"]);
  if (!range || (!condition.empty() && condition != "\"" + response_.version + "\"")) return;
  if (range->first >= size) {
    response_.Clear();
    response_.AddHeader("Content-Range", "bytes */" + std::to_string(size));
    return response_.Refuse(416, "the row ends before that range begins");
  }
  if (range->first > response_.lasting) return;
  const std::size_t end = std::min<std::uint64_t>(range->last.value_or(size), size - 1) + 1;
  response_.body.Truncate(end);
  body_from_ = range->first;
  response_.status = 206;
  response_.AddHeader("Content-Range", "bytes " + std::to_string(range->first) + "-" +
                                           std::to_string(end - 1) + "/" + std::to_string(size));
}

}  // namespace holdfast::server
