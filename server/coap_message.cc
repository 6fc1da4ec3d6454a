// SPDX-License-Identifier: Apache-2.0
#include "server/coap_message.h"

#include <array>
#include <memory>

#include "hal/base/arena.h"
#include "hal/base/text.h"
#include "server/target.h"
#include "transport/wire.h"
#include "transport/wire_cbor.h"

namespace holdfast::server {
namespace {

constexpr std::uint8_t kGet = 1, kPost = 2, kPut = 3, kDelete = 4, kFetch = 5, kPatch = 6,
                       kIpatch = 7;

// iPATCH means the same here: a merge that stands on a version can be repeated.
std::string_view MethodOf(std::uint8_t code) {
  switch (code) {
    case kGet:
    case kFetch: return "GET";
    case kPost: return "POST";
    case kPut: return "PUT";
    case kDelete: return "DELETE";
    case kPatch:
    case kIpatch: return "PATCH";
    default: return "";
  }
}

}  // namespace

std::string_view CoapTypeOf(int format) {
  switch (format) {
    case -1: return "";
    case kCoapJson: return "application/json";
    case kCoapMergePatch: return "application/merge-patch+json";
    case kCoapCbor: return "application/cbor";
    default: return "application/octet-stream";
  }
}

namespace {

// Tags as HTTP writes them. An empty one means any row that exists.
std::string TagList(const std::vector<std::string>& tags) {
  std::string list;
  for (const std::string& tag : tags) {
    if (tag.empty()) return "*";
    if (!list.empty()) list += ", ";
    list += '"';
    for (const char c : tag) {
      if (c == '"' || c == '\\') list += '\\';
      list += c;
    }
    list += '"';
  }
  return list;
}

// A FETCH has its query in the body: a map of text to text, or numbers where those are meant.
std::optional<std::vector<std::string>> QueryOfFetch(const CoapRequest& request) {
  const std::size_t room = 4096 + 8 * request.payload.size();
  const std::unique_ptr<char[]> memory(new char[room]);
  Arena arena({memory.get(), room});
  RowFields fields;
  const auto decoded = request.format == kCoapCbor
                           ? wire::DecodeRowCbor(request.payload, arena, fields)
                           : wire::DecodeRow(request.payload, arena, fields);
  if (!decoded) return std::nullopt;
  std::vector<std::string> query;
  for (const Field& field : fields.view()) {
    std::string argument = std::string(field.name) + "=";
    switch (field.value.type) {
      case ValueType::kText: argument += field.value.text; break;
      case ValueType::kInteger: argument += std::to_string(field.value.integer); break;
      case ValueType::kBoolean: argument += field.value.integer != 0 ? "true" : "false"; break;
      default: return std::nullopt;
    }
    query.push_back(std::move(argument));
  }
  return query;
}

int DottedOf(const CoapRequest& request, int status) {
  switch (status) {
    case 200: return request.code == kGet || request.code == kFetch ? 205 : 204;
    case 201: return 201;
    case 204: return request.code == kDelete ? 202 : 204;
    case 304: return 203;
    case 410: return 404;
    case 400:
    case 401:
    case 403:
    case 404:
    case 405:
    case 406:
    case 408:
    case 409:
    case 412:
    case 413:
    case 415:
    case 422:
    case 429:
    case 500:
    case 501:
    case 502:
    case 503:
    case 504: return status;
    default: return status / 100 * 100;
  }
}

}  // namespace

std::optional<CoapBlock> ParseCoapBlock(std::string_view value) {
  if (value.size() > 3) return std::nullopt;
  std::uint32_t number = 0;
  for (const char c : value) number = number << 8 | static_cast<unsigned char>(c);
  if ((number & 7) == 7) return std::nullopt;
  return CoapBlock{number >> 4, (number & 8) != 0, number & 7};
}

std::string CoapNumber(std::uint64_t value) {
  std::string bytes;
  for (; value != 0; value >>= 8) bytes.insert(bytes.begin(), static_cast<char>(value & 255));
  return bytes;
}

std::string CoapBlockValue(const CoapBlock& block) {
  return CoapNumber(block.number << 4 | (block.more ? 8u : 0u) | block.szx);
}

bool CoapRequest::repeatable() const { return code == kGet || code == kFetch; }

std::string CoapRequest::BodyKey() const {
  std::string key(1, static_cast<char>(code));
  const auto add = [&key](std::string_view text) {
    key += std::to_string(text.size()) + ":";
    key += text;
  };
  for (const auto& list : {path, query, if_match}) {
    for (const std::string& text : list) add(text);
    key += '/';
  }
  add(request_tag);
  return key + std::to_string(format) + "," + std::to_string(accept);
}

CoapReply CoapReply::Refuse(int dotted, std::string_view text) {
  Response response;
  response.Refuse(dotted, text);
  CoapReply reply;
  reply.code = CoapCode(dotted);
  reply.format = kCoapJson;
  reply.payload = response.body.view();
  return reply;
}

std::variant<CoapAsked, CoapReply> ReadCoapRequest(const CoapRequest& request) {
  CoapAsked asked;
  asked.method = MethodOf(request.code);
  if (asked.method.empty()) return CoapReply::Refuse(405, "no such method");
  std::vector<std::string> query = request.query;
  if (request.code == kFetch) {
    if (request.format != kCoapCbor && request.format != kCoapJson) {
      return CoapReply::Refuse(415, "a FETCH has its query as a CBOR map or a JSON object");
    }
    const auto fetched = QueryOfFetch(request);
    if (!fetched) return CoapReply::Refuse(400, "the query in this FETCH is no map of texts");
    query.insert(query.end(), fetched->begin(), fetched->end());
  }
  if (request.accept != -1 && request.accept != kCoapJson && request.accept != kCoapCbor) {
    return CoapReply::Refuse(406, "rows can be had as JSON (50) and CBOR (60)");
  }
  asked.head.version_only = true;
  std::string_view version = "3.0";
  for (const std::string& segment : request.path) asked.target += "/" + PercentEncoded(segment);
  char separator = '?';
  for (const std::string& argument : query) {
    if (argument == "v=2") version = "2.0";
    if (argument == "return=representation") asked.head.version_only = false;
    if (argument.starts_with("v=") || argument.starts_with("return=")) continue;
    const std::size_t equals = std::min(argument.find('='), argument.size());
    asked.target += separator + PercentEncoded(argument.substr(0, equals));
    if (equals < argument.size()) asked.target += "=" + PercentEncoded(argument.substr(equals + 1));
    separator = '&';
  }
  if (asked.target.empty()) asked.target = "/";
  asked.if_match = TagList(request.if_match);
  asked.if_none_match = request.if_none_match ? "*" : TagList(request.etags);
  asked.head.version = version;
  asked.head.cbor_answer = request.accept == kCoapCbor;
  return asked;
}

void Bind(CoapAsked& asked, const CoapRequest& request) {
  asked.head.method = asked.method;
  asked.head.target = asked.target;
  asked.head.if_match = asked.if_match;
  asked.head.if_none_match = asked.if_none_match;
  asked.head.content_type = request.code == kFetch ? "" : CoapTypeOf(request.format);
  asked.head.zumo_options = "nextLink=path";
}

CoapReply WriteCoapReply(const CoapRequest& request, Response& response) {
  CoapReply reply;
  reply.code = CoapCode(DottedOf(request, response.status));
  reply.etag = response.version;  // 8 bytes at most: limits::kOwnVersionBytes
  reply.payload = response.body.view();
  if (!reply.payload.empty()) {
    reply.format = response.type == BodyType::kCbor ? kCoapCbor : kCoapJson;
  }
  if (response.retry_after_s != 0) reply.max_age = response.retry_after_s;
  // The client knows where a row is that it has named itself.
  if (!response.location.empty() && response.id_chosen) {
    if (auto target = ParseTarget(response.location)) reply.location = std::move(target->segments);
  }
  return reply;
}

}  // namespace holdfast::server
