// SPDX-License-Identifier: Apache-2.0
// server/coap_server.h - CoAP over DTLS, for the same devices and the same tables as HTTPS.
//
// Purpose: everything that knows libcoap on this side. libcoap does datagrams, DTLS, retransmission
//          and its own answers to pings and unknown options; requests are read here, answered by
//          TablesService, and answered late: the acknowledgement waits for the commit and carries
//          the answer, so that a write costs one message each way.
// Owner:   libcoap's context lives as long as this.
// Threads: one; libcoap's descriptor is watched by the executor that serves HTTPS too.
// Errors:  std::runtime_error when it cannot start; a bad request is answered or dropped.
// Standard: RFC 7252, 7641 (Observe), 7959, 8132, 6690 (/.well-known/core).
#ifndef HOLDFAST_SERVER_COAP_SERVER_H_
#define HOLDFAST_SERVER_COAP_SERVER_H_

#include <coap3/coap.h>

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <memory>
#include <optional>
#include <string>
#include <unordered_map>

#include "server/access.h"
#include "server/coap_peer.h"
#include "server/host.h"
#include "server/http_server.h"

namespace holdfast::server {

struct CoapLimits {
  unsigned idle_sessions = 4096;  // the one that has been idle longest makes room
  unsigned handshakes = 256;      // under way at once; more are not answered
  unsigned session_idle_s = 300;
  std::size_t body_bytes = limits::kRowBytes;
  std::size_t bodies_bytes = 64u << 20;  // of all bodies under way together
  std::size_t page_bytes = 48u << 10;    // a page of a list ends early above this
};

struct CoapFiles {
  std::string certificate, key, client_authority;
};

// Options and payload of a request that libcoap has parsed.
CoapRequest ReadCoapPdu(const coap_pdu_t& pdu);

class CoapServer {
 public:
  CoapServer(boost::asio::io_context& io, Host& host, const CoapFiles& files,
             const CoapLimits& limits);
  ~CoapServer();
  CoapServer(const CoapServer&) = delete;
  CoapServer& operator=(const CoapServer&) = delete;

  // With `dtls` "coaps://127.0.0.1:43211"; without, "coap://..", which is for loopback only.
  // Throws std::runtime_error.
  std::string Listen(const Endpoint& endpoint, bool dtls);
  bool only_loopback() const { return only_loopback_; }

  // No new requests; those under way are finished by the time the executor has nothing to do.
  void Drain();

 private:
  friend struct CoapCallbacks;

  // One session of libcoap. Outlives it while a request of it is being answered.
  struct Connection {
    Connection(coap_session_t* s, BodyBudget& budget, std::size_t body_bytes)
        : session(s), peer(budget, body_bytes) {}
    coap_session_t* session;  // null when it is gone
    CoapPeer peer;
    PeerIdentity identity;
    bool identified = false;
    bool announced = false;
    // Who watches /changes, and what it was told last.
    std::string watch_token, told;
    bool watching = false;
    std::uint32_t watch_sequence = 0;
  };
  using ConnectionPointer = std::shared_ptr<Connection>;
  // Where an answer goes.
  struct Exchange {
    ConnectionPointer connection;
    std::uint16_t id = 0;
    std::string token;
    bool confirmable = false;
  };

  void SetUpDtls();
  void SetUpResources();
  void Watch();
  boost::asio::awaitable<void> Rounds();

  ConnectionPointer Of(coap_session_t* session);
  void Gone(coap_session_t* session);
  void OnRequest(coap_session_t* session, const coap_pdu_t& request);
  boost::asio::awaitable<void> Answer(Exchange exchange, CoapRequest request);
  std::optional<CoapReply> Refuse(const CoapRequest& request, const Access& access) const;
  std::optional<CoapReply> AnswerHere(Exchange& exchange, const std::string& device,
                                      const CoapRequest& request);
  boost::asio::awaitable<CoapReply> Serve(const std::string& device, const CoapRequest& request);
  CoapReply WatchChanges(Exchange& exchange, const std::string& device, const CoapRequest& request);
  CoapReply ServeBulk(const std::string& device, const CoapRequest& request);
  CoapReply Discover() const;

  // coap_upload.cc
  boost::asio::awaitable<CoapReply> ServeUpload(const std::string& device,
                                                const CoapRequest& request);
  boost::asio::awaitable<CoapReply> BeginUpload(const std::string& device,
                                                const CoapRequest& request);
  boost::asio::awaitable<CoapReply> GoOnWithUpload(const std::string& device,
                                                   const CoapRequest& request);
  boost::asio::awaitable<CoapReply> PutBlock(UploadService::Hold& hold, const CoapRequest& request);
  boost::asio::awaitable<CoapReply> CompleteUpload(UploadService::Hold& hold,
                                                   const CoapRequest& request);

  const PeerIdentity& IdentityOf(Connection& connection);
  void Send(const Exchange& exchange, const CoapReply& reply);
  coap_pdu_t* MakePdu(coap_session_t* session, coap_pdu_type_t type, std::uint16_t id,
                      const std::string& token, const CoapReply& reply);

  void NotifySoon();
  void Notify();
  const Device* DeviceOfPsk(const coap_bin_const_t& identity) const;

  boost::asio::io_context& io_;
  Host& host_;
  CoapFiles files_;
  CoapLimits limits_;
  coap_context_t* context_ = nullptr;
  boost::asio::posix::stream_descriptor descriptor_;
  boost::asio::steady_timer timer_, notify_timer_;
  bool notify_pending_ = false, only_loopback_ = true;
  std::chrono::steady_clock::time_point last_notified_;
  BodyBudget budget_;
  std::unordered_map<coap_session_t*, ConnectionPointer> connections_;
  coap_bin_const_t psk_ = {};  // what libcoap is shown of a device's key; it copies
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_COAP_SERVER_H_
