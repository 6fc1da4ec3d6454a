// SPDX-License-Identifier: Apache-2.0
#include "transport/coap/message.h"

#include <mbedtls/sha256.h>

#include <algorithm>

namespace holdfast::transport::coap {
namespace {

constexpr std::size_t kOptionBytesMax = 255;  // of a Uri-Path or a Uri-Query
// Path and query together; above this a list goes out as FETCH. Leaves room for a block.
constexpr std::size_t kTargetBytesMax = 600;
// Whoever asks for more than a day means "not now"; the agent looks again tomorrow.
constexpr std::int64_t kRetryAfterSecondsMax = 86400;
constexpr std::int64_t kDefaultMaxAgeSeconds = 60;

Error Invalid(const char* what) { return {Code::kInvalidArgument, Origin::kNone, 0, what}; }

// Delta and length of an option take 1 to 3 bytes here: no option of ours has a number above 292
// or more than 268 bytes.
constexpr std::size_t OptionBytes(std::string_view value) {
  return value.size() + (value.size() < 13 ? 1 : 2) + 1;
}

std::uint8_t CodeOf(const Request& request) {
  switch (request.method) {
    case Method::kList:
    case Method::kWatch:
    case Method::kFindUpload:
    case Method::kLookup: return kGet;
    case Method::kBulk:
    case Method::kBeginUpload:
    case Method::kInsert: return kPost;
    case Method::kUpdate: return kPatch;
    case Method::kAppendUpload:
    case Method::kReplace: return kPut;
    case Method::kDelete: return kDelete;
    case Method::kUndelete: return request.body.empty() ? kPatch : kPut;
  }
  return kGet;
}

// The success of these says the version only, unless asked for more: the row is known on this side.
bool NeedsRow(const Request& request) {
  if (request.want_row || request.method == Method::kUndelete) return true;
  return (request.method == Method::kUpdate || request.method == Method::kReplace) &&
         request.if_match.empty();
}

const char* HttpMethod(Method method) {
  return method == Method::kInsert ? "POST" : method == Method::kReplace ? "PUT" : "PATCH";
}

void PutCborHead(unsigned major, std::size_t value, TextWriter& out) {
  const unsigned type = major << 5;
  if (value < 24) {
    out.Put(char(type | value));
  } else if (value < 256) {
    out.Put(char(type | 24)).Put(char(value));
  } else if (value < 65536) {
    out.Put(char(type | 25)).Put(char(value >> 8)).Put(char(value & 255));
  } else {
    out.Put(char(type | 26)).Put(char(value >> 24)).Put(char(value >> 16 & 255));
    out.Put(char(value >> 8 & 255)).Put(char(value & 255));
  }
}

void PutCborText(std::string_view text, TextWriter& out) {
  PutCborHead(3, text.size(), out);
  out.Put(text);
}

}  // namespace

std::optional<Block> ParseBlock(std::string_view value) {
  if (value.size() > 3) return std::nullopt;
  std::uint32_t number = 0;
  for (const char c : value) number = number << 8 | static_cast<unsigned char>(c);
  const Block block{number >> 4, (number & 8) != 0, number & 7};
  if (block.szx > kLargestSzx) return std::nullopt;
  return block;
}

std::size_t PutBlock(const Block& block, std::span<std::uint8_t, 3> out) {
  const std::uint32_t value = block.number << 4 | (block.more ? 8u : 0u) | block.szx;
  const std::size_t size = value > 0xffff ? 3 : value > 0xff ? 2 : value > 0 ? 1 : 0;
  for (std::size_t i = 0; i < size; ++i) out[i] = std::uint8_t(value >> 8 * (size - 1 - i));
  return size;
}

Etag EtagOf(std::string_view version) {
  Etag tag;
  if (version.size() <= 8) {
    (void)tag.Assign(version).ok();
    return tag;
  }
  unsigned char digest[32];
  mbedtls_sha256(reinterpret_cast<const unsigned char*>(version.data()), version.size(), digest, 0);
  (void)tag.Assign({reinterpret_cast<const char*>(digest), 8}).ok();
  return tag;
}

Result<void> OutgoingRequest::Set(const ServerUrl& server, const Request& request) {
  path_count_ = query_count_ = option_bytes_ = fetch_bytes_ = decoded_bytes_ = 0;
  code_ = CodeOf(request);
  for (const unsigned char c : request.if_match) {
    if (c < 0x20 || c == 0x7f) return Invalid("a version with control characters");
  }
  // Of a large row that is read, it says what is here already.
  has_if_match_ = !request.if_match.empty() && request.method != Method::kLookup;
  if_match_ = EtagOf(request.if_match);
  HF_TRY_ASSIGN(const std::string_view url,
                BuildUrl(server, request, Capabilities::Protocol::k30, url_));
  std::string_view target = url.substr(server.origin.view().size());
  if (request.method == Method::kBeginUpload) return SetUpload(server, request, target);
  // Observing, the server tells each change; what is news is decided on this side.
  observe_ = request.method == Method::kWatch && request.wait.ns > 0;
  if (request.method == Method::kWatch) target = target.substr(0, target.find('?'));
  HF_TRY(Split(target));
  wants_row_ = NeedsRow(request);
  if (wants_row_) HF_TRY(AddQuery("return=representation"));
  option_bytes_ += has_if_match_ ? 9 : 0;
  bool fits = option_bytes_ <= kTargetBytesMax;
  for (const std::string_view argument : query()) fits = fits && argument.size() <= kOptionBytesMax;
  if (fits) return Ok();
  if (request.method == Method::kList) HF_TRY(PutFetchBody());
  if (option_bytes_ > kTargetBytesMax || code_ != kFetch) {
    return Invalid("the server's url is too long for CoAP");
  }
  return Ok();
}

// The upload is a resource of its own; which request it will be stands in a map.
Result<void> OutgoingRequest::SetUpload(const ServerUrl& server, const Request& request,
                                        std::string_view target) {
  const UploadPart& upload = request.upload;
  TextWriter out(fetch_body_);
  PutCborHead(5, has_if_match_ ? 6 : 5, out);
  PutCborText("m", out);
  PutCborText(HttpMethod(upload.method), out);
  PutCborText("p", out);
  PutCborText(target.substr(server.base.size()), out);
  if (has_if_match_) {
    PutCborText("i", out);
    PutCborText(request.if_match, out);
  }
  PutCborText("n", out);
  PutCborHead(0, std::size_t(upload.length), out);
  PutCborText("c", out);
  PutCborText("gzip", out);
  PutCborText("d", out);
  PutCborHead(2, upload.digest.size(), out);
  out.Put(upload.digest);
  if (out.full()) return Invalid("the server's url is too long for CoAP");
  fetch_bytes_ = out.view().size();
  has_if_match_ = wants_row_ = observe_ = false;
  HF_TRY(Split(server.base.view()));
  return AddPath("uploads");
}

Result<void> OutgoingRequest::Split(std::string_view target) {
  const std::size_t question = std::min(target.find('?'), target.size());
  std::string_view path = target.substr(0, question);
  while (!path.empty()) {
    path.remove_prefix(1);  // the slash
    const std::size_t end = std::min(path.find('/'), path.size());
    HF_TRY(AddPath(path.substr(0, end)));
    path.remove_prefix(end);
  }
  std::string_view query = target.substr(question);
  while (!query.empty()) {
    query.remove_prefix(1);  // '?' or '&'
    const std::size_t end = std::min(query.find('&'), query.size());
    if (end > 0) HF_TRY(AddQuery(query.substr(0, end)));
    query.remove_prefix(end);
  }
  return Ok();
}

Result<std::string_view> OutgoingRequest::Decode(std::string_view raw) {
  const auto text =
      DecodePercent(raw, std::span(decoded_).subspan(decoded_bytes_), /*plus_is_space=*/false);
  if (!text) return Invalid("the target is not well-formed");
  decoded_bytes_ += text->size();
  return *text;
}

Result<void> OutgoingRequest::AddPath(std::string_view raw) {
  HF_TRY_ASSIGN(const std::string_view text, Decode(raw));
  if (text.size() > kOptionBytesMax || path_count_ == path_.size()) {
    return Invalid("the path is too long for CoAP");
  }
  path_[path_count_++] = text;
  option_bytes_ += OptionBytes(text);
  return Ok();
}

Result<void> OutgoingRequest::AddQuery(std::string_view raw) {
  HF_TRY_ASSIGN(const std::string_view text, Decode(raw));
  if (query_count_ == query_.size()) return Invalid("a query with too many arguments");
  query_[query_count_++] = text;
  option_bytes_ += OptionBytes(text);
  return Ok();
}

// {"$filter": "..", "$top": "100"}: names and values as text (RFC 8132 leaves the form to us).
Result<void> OutgoingRequest::PutFetchBody() {
  TextWriter out(fetch_body_);
  PutCborHead(5, query_count_, out);
  for (const std::string_view argument : query()) {
    const std::size_t equals = std::min(argument.find('='), argument.size());
    PutCborText(argument.substr(0, equals), out);
    PutCborText(argument.substr(std::min(equals + 1, argument.size())), out);
    option_bytes_ -= OptionBytes(argument);
  }
  if (out.full()) return Invalid("the url is too long");
  fetch_bytes_ = out.view().size();
  query_count_ = 0;
  code_ = kFetch;
  return Ok();
}

Status StatusFromCoap(std::uint8_t code) {
  switch (Dotted(code)) {
    case 201: return Status::kCreated;
    case 202: return Status::kNoContent;
    case 204:
    case 205: return Status::kOk;
    case 401: return Status::kUnauthorized;
    case 403: return Status::kForbidden;
    case 404: return Status::kNotFound;
    case 405: return Status::kMethodNotAllowed;
    case 409: return Status::kConflict;
    case 410: return Status::kGone;
    case 412: return Status::kPreconditionFailed;
    case 413: return Status::kTooLarge;
    case 429: return Status::kThrottled;
    case 503:
    case 408: return Status::kUnavailable;
    default: break;
  }
  if (code >> 5 == 4) return Status::kBadRequest;
  if (code >> 5 == 5) return Status::kServerError;
  return Status::kOther;
}

int HttpStatusOf(std::uint8_t code) {
  switch (Dotted(code)) {
    case 202: return 204;
    case 203: return 304;
    case 204:
    case 205: return 200;
    default: return Dotted(code);
  }
}

hal::Duration RetryAfter(const IncomingAnswer& answer) {
  const int dotted = Dotted(answer.code);
  if (dotted != 429 && dotted != 503) return {-1};
  const std::int64_t seconds = answer.max_age_s < 0 ? kDefaultMaxAgeSeconds : answer.max_age_s;
  return hal::Duration::Seconds(std::min(seconds, kRetryAfterSecondsMax));
}

}  // namespace holdfast::transport::coap
