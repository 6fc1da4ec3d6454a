// SPDX-License-Identifier: Apache-2.0
// transport/coap/message.h - requests as CoAP says them, and answers as the engine reads them.
//
// Purpose: the mapping, as pure functions and values without libcoap, table-tested. A request asks
//          for the same target as on HTTPS, in protocol 3.0: its path and query become options.
// Owner:   an OutgoingRequest owns its room; its views live until the next Set().
// Threads: one.
// Errors:  kInvalidArgument: what no option can carry.
// Standard: RFC 7252 5.10 and 12.1.2 (options and codes), 7959 (blocks), 8132 (FETCH and PATCH).
#ifndef HOLDFAST_TRANSPORT_COAP_MESSAGE_H_
#define HOLDFAST_TRANSPORT_COAP_MESSAGE_H_

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "transport/transport.h"
#include "transport/url.h"

namespace holdfast::transport::coap {

// class * 32 + detail, as on the wire.
constexpr std::uint8_t Code(int dotted) { return std::uint8_t(dotted / 100 * 32 + dotted % 100); }
// 4.12 -> 412
constexpr int Dotted(std::uint8_t code) { return (code >> 5) * 100 + (code & 31); }

inline constexpr std::uint8_t kGet = 1, kPost = 2, kPut = 3, kDelete = 4, kFetch = 5, kPatch = 6;
inline constexpr int kJson = 50, kCbor = 60, kMergePatch = 52, kNoFormat = -1;

// "1000,262144,25165824": the operations and bytes that one bulk may have, and the bytes of a row
// that goes up in pieces. Elective, and from the range that
// RFC 7252 12.2 keeps for experiments: nobody else has to know it. Once a session.
inline constexpr unsigned kBulkOption = 65000;

// Blocks of 1 KiB: what fits one datagram on nearly every path.
inline constexpr unsigned kLargestSzx = 6;
constexpr std::size_t BlockBytes(unsigned szx) { return std::size_t{16} << szx; }

// A block option (RFC 7959 2.2).
struct Block {
  std::uint32_t number = 0;
  bool more = false;
  unsigned szx = kLargestSzx;

  std::size_t offset() const { return std::size_t{number} << (szx + 4); }
};
// nullopt: longer than 3 bytes, or the reserved size.
std::optional<Block> ParseBlock(std::string_view value);
// How many bytes of `out` are used, 0 to 3.
std::size_t PutBlock(const Block& block, std::span<std::uint8_t, 3> out);

// The tag that stands for a version: its bytes when they fit, else the first 8 of its SHA-256.
using Etag = FixedString<8>;
Etag EtagOf(std::string_view version);

// A request, said in options; without its body's blocks.
class OutgoingRequest {
 public:
  // Sends nothing. kInvalidArgument: no table, an id or a tag that no option can carry, too long.
  Result<void> Set(const ServerUrl& server, const Request& request);

  std::uint8_t code() const { return code_; }
  std::span<const std::string_view> path() const { return {path_.data(), path_count_}; }
  std::span<const std::string_view> query() const { return {query_.data(), query_count_}; }
  // Its success is to bring the row, which this side cannot know.
  bool wants_row() const { return wants_row_; }
  bool observe() const { return observe_; }
  bool has_if_match() const { return has_if_match_; }
  std::string_view if_match() const { return if_match_.view(); }
  // Of a FETCH: the query as a CBOR map, because it does not fit options. Of an upload that begins:
  // what it shall be.
  std::string_view fetch_body() const { return {fetch_body_.data(), fetch_bytes_}; }
  // What path, query and If-Match take in a message, at most.
  std::size_t option_bytes() const { return option_bytes_; }

 private:
  Result<void> Split(std::string_view target);
  Result<void> AddPath(std::string_view raw);
  Result<void> AddQuery(std::string_view raw);
  Result<std::string_view> Decode(std::string_view raw);
  Result<void> PutFetchBody();
  Result<void> SetUpload(const ServerUrl& server, const Request& request, std::string_view target);

  std::uint8_t code_ = kGet;
  bool has_if_match_ = false, wants_row_ = false, observe_ = false;
  Etag if_match_;
  std::array<std::string_view, 12> path_;
  std::array<std::string_view, 16> query_;
  std::size_t path_count_ = 0, query_count_ = 0, option_bytes_ = 0, fetch_bytes_ = 0;
  std::array<char, limits::kUrlBytes + 1> url_, decoded_;
  std::array<char, limits::kUrlBytes + 64> fetch_body_;
  std::size_t decoded_bytes_ = 0;
};

// An answer, or one block of it, as it came.
struct IncomingAnswer {
  std::uint8_t code = 0;
  bool has_etag = false;
  Etag etag;
  int format = kNoFormat;
  std::optional<Block> block1, block2;
  bool bad_option = false;  // a block option or a tag that cannot be
  std::int64_t max_age_s = -1, size1 = -1, size2 = -1;
  std::int64_t bulk_operations = 0, bulk_bytes = 0, upload_bytes = 0;  // what kBulkOption says
  FixedString<64> location;                                            // the last segment of it
  std::string_view payload;
};

Status StatusFromCoap(std::uint8_t code);
// The number of the HTTP status that means the same (RFC 8075 7, the other way round).
int HttpStatusOf(std::uint8_t code);
// 4.29 and 5.03: Max-Age, or the 60 s that its absence means (RFC 7252 5.10.5).
hal::Duration RetryAfter(const IncomingAnswer& answer);

}  // namespace holdfast::transport::coap

#endif  // HOLDFAST_TRANSPORT_COAP_MESSAGE_H_
