// SPDX-License-Identifier: Apache-2.0
// server/coap_message.h - requests and answers between CoAP's words and ours.
//
// Purpose: a CoAP request becomes the same RequestHead that HTTP makes, and an outcome the same
//          status in CoAP's numbers, so that everything behind is one code path. Values and pure
//          functions, without libcoap.
// Shapes:  transport/README.md has the mapping.
// Standard: RFC 7252 5.10 and 12.1.2, RFC 7959, RFC 8132, RFC 8075 (which status is which code).
#ifndef HOLDFAST_SERVER_COAP_MESSAGE_H_
#define HOLDFAST_SERVER_COAP_MESSAGE_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "server/protocol.h"
#include "server/response.h"

namespace holdfast::server {

// class * 32 + detail, as on the wire; written as people do: CoapCode(412).
constexpr std::uint8_t CoapCode(int dotted) {
  return static_cast<std::uint8_t>(dotted / 100 * 32 + dotted % 100);
}

// Elective; see transport/coap/message.h.
inline constexpr unsigned kCoapBulkOption = 65000;
inline constexpr int kCoapText = 0, kCoapLinkFormat = 40, kCoapJson = 50, kCoapMergePatch = 52,
                     kCoapCbor = 60;

struct CoapBlock {
  std::uint32_t number = 0;
  bool more = false;
  unsigned szx = 6;
  std::size_t offset() const { return std::size_t{number} << (szx + 4); }
  std::size_t bytes() const { return std::size_t{16} << szx; }
};
// nullopt: longer than 3 bytes, or the reserved size.
std::optional<CoapBlock> ParseCoapBlock(std::string_view value);
std::string CoapBlockValue(const CoapBlock& block);
std::string CoapNumber(std::uint64_t value);  // big-endian, without leading zeros

// Options of a request, as they came.
struct CoapRequest {
  std::uint8_t code = 0;
  std::vector<std::string> path, query;
  std::vector<std::string> if_match, etags;
  bool if_none_match = false;
  int format = -1, accept = -1;
  std::optional<CoapBlock> block1, block2;
  std::int64_t size1 = -1, observe = -1;
  std::string request_tag;
  std::string payload;
  const char* fault = nullptr;  // an option that cannot be

  bool repeatable() const;  // GET and FETCH
  // The same for all blocks of one body, and of no other (RFC 9175 3.3; ours sit in one session).
  std::string BodyKey() const;
};

struct CoapReply {
  std::uint8_t code = 0;
  std::string etag;
  int format = -1;  // none
  std::vector<std::string> location;
  std::int64_t max_age = -1, size1 = -1, size2 = -1, observe = -1;
  std::optional<CoapBlock> block1, block2;
  bool announces = false;  // what this server takes: once a session
  std::string payload;

  static CoapReply Refuse(int dotted, std::string_view text);
};

// "" when there is none.
std::string_view CoapTypeOf(int format);

// What TablesService is asked. Owns what the views of `head` show.
struct CoapAsked {
  RequestHead head;
  std::string target, if_match, if_none_match;
  std::string_view method;
};
// A refusal: its query or its content cannot be read.
std::variant<CoapAsked, CoapReply> ReadCoapRequest(const CoapRequest& request);
// CoapAsked's views, after it has been moved.
void Bind(CoapAsked& asked, const CoapRequest& request);

// The whole answer; its payload may be longer than a block.
CoapReply WriteCoapReply(const CoapRequest& request, Response& response);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_COAP_MESSAGE_H_
