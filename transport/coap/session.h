// SPDX-License-Identifier: Apache-2.0
// transport/coap/session.h - one DTLS session with the server, and one message at a time in it.
//
// Purpose: all that knows libcoap on this side: contexts, sessions, PDUs, callbacks. What comes
// back
//          is copied into a value and read after libcoap has returned, so that nobody's code runs
//          inside its callbacks.
// Owner:   the transport; the credentials outlive it.
// Threads: one.
// Errors:  kOffline: nothing listens, nothing is reachable; kTimeout: no answer to any of the five
//          copies of a message; kTlsUntrusted, kTlsExpired, kClockUnset: the handshake was refused;
//          kBadAnswer: a reset, or an answer that breaks the rules.
// Standard: RFC 7252 4 (messages), RFC 6347 (DTLS 1.2), RFC 9146 (connection ids, where the server
//          has them).
#ifndef HOLDFAST_TRANSPORT_COAP_SESSION_H_
#define HOLDFAST_TRANSPORT_COAP_SESSION_H_

#include <coap3/coap.h>

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "hal/base/result.h"
#include "hal/clock.h"
#include "transport/coap/datagram_meter.h"
#include "transport/coap/message.h"
#include "transport/coap/resolver.h"
#include "transport/tls/credentials.h"

namespace holdfast::transport::coap {

// One message of a request: the options of the whole, and the blocks of this one.
struct OutgoingMessage {
  const OutgoingRequest* request = nullptr;
  std::string_view payload;
  int format = kNoFormat;  // of the body
  int accept = kNoFormat;
  std::optional<Block> block1, block2;
  std::size_t size1 = 0;          // of the whole body; 0: not said
  std::uint32_t request_tag = 0;  // keeps the blocks of one body together; 0: none
  std::string_view upload_tag;    // the same, of an upload
};

class Session {
 public:
  Session() = default;
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;
  ~Session() { Close(); }

  struct Settings {
    const tls::Credentials* credentials = nullptr;  // nullptr: coap://, nothing is protected
    const char* host = nullptr;                     // the name that the certificate has to be for
    hal::Duration ack_timeout;
  };
  // Begins a handshake. What was open is closed.
  Result<void> Open(const Settings& settings, const Address& server);
  void Close();

  bool open() const { return session_ != nullptr; }
  bool established() const { return established_; }
  // Set when the session is of no use any more.
  const std::optional<Error>& failure() const { return failure_; }

  // How long a payload may be beside the options of `request`: a block size, as szx.
  unsigned LargestSzx(const OutgoingRequest& request) const;

  // Sends; one answer is awaited. REQUIRES: established, and none is awaited.
  Result<void> Send(const OutgoingMessage& message);
  bool waiting() const { return waiting_; }
  // After an answer: another message with the same token may come, a notification.
  void KeepWaiting() {
    waiting_ = true;
    has_answer_ = false;
  }
  // What still comes with that token is reset, which tells the server that nobody listens.
  void Forget() { waiting_ = has_answer_ = false; }

  // Lets libcoap work, for at most `wait`.
  void Work(hal::Duration wait);

  // The answer, when there is one; it lives until the next Send().
  const IncomingAnswer* answer() const { return has_answer_ ? &answer_ : nullptr; }

  const DatagramMeter& meter() const { return meter_; }
  std::uint64_t messages_sent() const { return messages_; }

 private:
  friend struct Callbacks;

  Result<void> MakeContext();
  void SetPki(coap_dtls_pki_t& pki);
  coap_pdu_t* MakePdu(const OutgoingMessage& message);
  void OnAnswer(const coap_pdu_t& received);
  void TakeAnnouncement(std::string_view value);
  void TakeOptions(const coap_pdu_t& received);
  void OnNack(coap_nack_reason_t reason);
  void OnEvent(coap_event_t event);
  bool JudgeCertificate(const std::uint8_t* der, std::size_t size, unsigned depth);
  Error HandshakeError() const;

  Settings settings_;
  coap_context_t* context_ = nullptr;
  coap_session_t* session_ = nullptr;
  bool established_ = false, waiting_ = false, has_answer_ = false;
  std::optional<Error> failure_;
  std::uint32_t verify_flags_ = 0;
  int message_id_ = -1;  // of the message under way
  std::uint64_t next_token_ = 1, messages_ = 0;
  std::array<std::uint8_t, 8> token_{};
  std::size_t token_bytes_ = 0;
  IncomingAnswer answer_;
  std::array<char, 1500> payload_;
  DatagramMeter meter_;
};

}  // namespace holdfast::transport::coap

#endif  // HOLDFAST_TRANSPORT_COAP_SESSION_H_
