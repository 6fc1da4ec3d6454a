// SPDX-License-Identifier: Apache-2.0
// transport/coap/download.h - an answer that comes in blocks, on its way to the sink.
//
// Purpose: checks that the blocks belong together and follow each other, and hands their bytes on
//          without ever holding a body as a whole. The one exception is a row in CBOR, which has to
//          be whole to become JSON: it has fixed room, and what does not fit is asked for in JSON.
// Owner:   the transport. Its sink may be taken away (Cancel) during any call of it.
// Threads: one.
// Errors:  kBadAnswer with Origin::kCoap: blocks that lie, an ETag that changes, CBOR that is none;
//          kTooLarge; those of the sink.
// Standard: RFC 7959 2.4: blocks of one body have one ETag.
#ifndef HOLDFAST_TRANSPORT_COAP_DOWNLOAD_H_
#define HOLDFAST_TRANSPORT_COAP_DOWNLOAD_H_

#include <array>
#include <cstdint>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/result.h"
#include "transport/coap/message.h"
#include "transport/transport.h"

namespace holdfast::transport::coap {

// Room for one row in CBOR; larger rows travel as JSON, in either direction.
inline constexpr std::size_t kCborBytes = 16 << 10;

// Fixed room to turn one row from JSON into CBOR and back.
class RowConverter {
 public:
  RowConverter() : arena_(arena_bytes_) {}
  // Both: the views live until the next call. An error: keep it as it is.
  Result<std::string_view> ToCbor(std::string_view json);
  struct Row {
    std::string_view json, version;
  };
  Result<Row> ToJson(std::string_view cbor);
  // The version of a row in JSON; empty when it is none, or has none.
  std::string_view VersionOf(std::string_view json);

 private:
  std::array<char, 3 *kCborBytes> arena_bytes_ = {}, out_ = {};
  Arena arena_;
};

class Download {
 public:
  // `sink` is null once the exchange was cancelled.
  Download(RowConverter& converter, ResponseSink*& sink) : converter_(converter), sink_(sink) {}

  // Before the first block of an answer to a request of this kind.
  // The sink may end this exchange, and begin another, from inside any call.
  void Reset(Method method);
  // Of a row that may be large, as JSON; the first `have_bytes` of it at `version` are not wanted.
  void ExpectLarge(std::uint64_t have_bytes, std::string_view version);

  enum class Step : std::uint8_t {
    kNext,        // next() has to be asked for
    kDone,        // that was the last
    kAskForJson,  // too large for this room; nothing was handed on yet
    kFromStart,   // it is another version than that of which we have a part
  };
  Result<Step> Take(const IncomingAnswer& answer);

  // What comes is the answer to the whole of an upload.
  void set_completes_upload() { completes_upload_ = true; }

  bool begun() const { return blocks_ > 0; }
  // Where the first block is to begin.
  std::optional<Block> first() const {
    if (from_ == 0) return std::nullopt;
    return Block{std::uint32_t(from_ / BlockBytes(kLargestSzx)), false, kLargestSzx};
  }
  Block next() const { return {std::uint32_t(bytes_ >> (szx_ + 4)), false, szx_}; }

 private:
  Result<void> CheckFirst(const IncomingAnswer& answer);
  Result<void> CheckBlockLength(const IncomingAnswer& answer) const;
  Result<void> CheckNext(const IncomingAnswer& answer) const;
  Result<void> CheckLength() const;
  Result<void> Begin(const IncomingAnswer& answer);
  Result<Step> Keep(std::string_view block, std::size_t offset, bool last);
  Result<Step> HandOnRow();
  ResponseHead MakeHead() const;
  Version VersionFor(std::string_view row_version) const;

  RowConverter& converter_;
  ResponseSink*& sink_;
  Method method_ = Method::kList;
  bool Still(std::uint64_t answer) const { return sink_ != nullptr && answer == answers_; }

  std::uint64_t answers_ = 0;  // counts them
  std::size_t bytes_ = 0, blocks_ = 0;
  unsigned szx_ = kLargestSzx;
  IncomingAnswer first_;  // without its payload
  Version version_, wanted_;
  std::size_t from_ = 0, begins_at_ = 0;
  bool large_ = false;
  bool completes_upload_ = false;
  bool left_out_ = false;  // a row that is of no use to anybody here: too large
  std::array<char, kCborBytes> cbor_;
};

}  // namespace holdfast::transport::coap

#endif  // HOLDFAST_TRANSPORT_COAP_DOWNLOAD_H_
