// SPDX-License-Identifier: Apache-2.0
// server/coap_peer.h - what the server remembers of one CoAP session: answers, and bodies in
// blocks.
//
// Purpose: a request that comes again because its answer was lost gets the same answer, without
//          being done again (RFC 7252 4.5; libcoap leaves that to its user). Bodies are put
//          together and cut up here, because libcoap's own way has no limits. Values, without
//          libcoap.
// Owner:   the connection. All peers share one budget for bodies.
// Threads: one.
// Errors:  as replies: 4.00 a block that lies, 4.08 a block out of turn, 4.13 too long, with the
//          length that would do, 5.03 too much is under way.
// Standard: RFC 7252 4.5, RFC 7959 2.5 and 2.9, RFC 9175 3.
#ifndef HOLDFAST_SERVER_COAP_PEER_H_
#define HOLDFAST_SERVER_COAP_PEER_H_

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "hal/base/limits.h"
#include "server/coap_message.h"

namespace holdfast::server {

// Bytes of all bodies under way, of all peers.
struct BodyBudget {
  std::size_t used = 0, most = 64u << 20;
};

class CoapPeer {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr std::size_t kRecent = 8;
  // EXCHANGE_LIFETIME: after that nobody asks for the rest of a body any more.
  static constexpr std::chrono::seconds kBodyLife{247};

  CoapPeer(BodyBudget& budget, std::size_t body_bytes) : budget_(budget), most_(body_bytes) {}
  CoapPeer(const CoapPeer&) = delete;
  CoapPeer& operator=(const CoapPeer&) = delete;
  ~CoapPeer();

  // The message has been here before: whether its answer is known yet.
  struct Recent {
    std::uint16_t id = 0;
    std::string token;
    bool used = false;
    std::optional<CoapReply> reply;
  };
  Recent* Find(std::uint16_t id, std::string_view token);
  void Remember(std::uint16_t id, std::string_view token);
  void Answered(std::uint16_t id, std::string_view token, const CoapReply& reply);

  // What blocks alone decide: NextBlock() or TakeBlock(). nullopt: the request is to be served.
  std::optional<CoapReply> Blocks(CoapRequest& request);
  // A block of a body. nullopt: that was the last, and the payload is now the body.
  std::optional<CoapReply> TakeBlock(CoapRequest& request);
  // The part of an answer that this request may have; the rest is kept for those that follow.
  CoapReply Cut(const CoapRequest& request, CoapReply whole);
  // A request for a block of an answer that was cut. nullopt: there is no such answer.
  std::optional<CoapReply> NextBlock(const CoapRequest& request);

  // Bodies that nobody has asked about for long.
  void Forget(Clock::time_point now);

 private:
  struct Upload {
    std::string key, data;
    std::size_t last_block = 0;  // bytes
    Clock::time_point touched;
  };
  struct Download {
    std::string key;
    CoapReply whole;
    Clock::time_point touched;
  };
  bool Claim(std::size_t bytes);
  void Release(std::size_t bytes) { budget_.used -= bytes; }
  void EndUpload();
  void EndDownload();
  CoapReply Slice(const CoapRequest& request, const CoapReply& whole, bool& more) const;

  BodyBudget& budget_;
  std::size_t most_;
  std::array<Recent, kRecent> recent_;
  std::size_t next_ = 0;
  std::optional<Upload> upload_;
  std::optional<Download> download_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_COAP_PEER_H_
