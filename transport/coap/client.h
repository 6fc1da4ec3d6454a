// SPDX-License-Identifier: Apache-2.0
// transport/coap/client.h - exchanges, one after the other, in a session that is kept; private to
// coap/.
//
// Purpose: the object behind CoapTransport::Create(): finds the server, opens a session, sends a
//          body block by block, and lets a Download take the answer.
// Owner:   CoapTransport::Create() makes it.
// Threads: one; the sink is called inside Pump() and Cancel() only, never from libcoap.
#ifndef HOLDFAST_TRANSPORT_COAP_CLIENT_H_
#define HOLDFAST_TRANSPORT_COAP_CLIENT_H_

#include <memory>
#include <optional>
#include <string_view>

#include "transport/coap/coap.h"
#include "transport/coap/download.h"
#include "transport/coap/message.h"
#include "transport/coap/pacer.h"
#include "transport/coap/resolver.h"
#include "transport/coap/session.h"
#include "transport/tls/credentials.h"
#include "transport/url.h"

namespace holdfast::transport::coap {

class Client final : public CoapTransport {
 public:
  explicit Client(hal::Clock& clock) : clock_(clock), download_(converter_, sink_) {}

  Result<void> Start(const Options& options);

  Result<void> Begin(const Request& request, ResponseSink& sink) override;
  bool Pump(hal::Duration wait) override;
  void Cancel() override;
  Result<void> ReloadCredentials() override;
  const Capabilities& capabilities() const override { return capabilities_; }
  void Recall(const Capabilities& known) override {
    capabilities_.bulk = known.bulk;
    capabilities_.gzip = known.gzip;
    capabilities_.sizes = known.sizes;
  }
  const Traffic& traffic() const override { return traffic_; }
  std::int64_t certificate_end_unix_s() const override {
    return credentials_ ? credentials_->OwnCertificateEnd() : 0;
  }

 private:
  enum class Phase : std::uint8_t {
    kIdle,
    kFind,       // the server's address is looked up
    kHandshake,  // the session is being opened
    kReady,      // the next message may go
    kAwait,      // its answer may come
    kWatch,      // nothing is under way; the server may tell of a change
  };

  Result<void> LoadCredentials();
  void Work(hal::Duration wait);
  void WorkFind(hal::Duration wait);
  void WorkHandshake(hal::Duration wait);
  void WorkReady(hal::Duration wait);
  void WorkAwait(hal::Duration wait);
  void WorkWatch(hal::Duration wait);
  bool GiveUpInTime();

  void PrepareBody();
  OutgoingMessage NextMessage();
  void OnAnswer(const IncomingAnswer& answer);
  bool OnUploadAnswer(const IncomingAnswer& answer);
  void OnContinue(const IncomingAnswer& answer);
  bool OnCborRefused(const IncomingAnswer& answer);
  void LearnBulk(const IncomingAnswer& answer);
  // upload.cc
  OutgoingMessage NextPart();
  bool OnPartAnswer(const IncomingAnswer& answer);
  bool OnUploadBegun(const IncomingAnswer& answer);
  void FinishUpload(const ResponseHead& head);
  void OnFinalAnswer(const IncomingAnswer& answer);
  bool OnNoNews(const IncomingAnswer& answer);
  void StartOver();

  void Fail(Error error);
  void Finish(const Result<void>& outcome);
  void CountTraffic();
  Error WithCircumstances(Error error) const;

  hal::Clock& clock_;
  ServerUrl server_;
  FixedString<300> host_;  // without brackets
  tls::CredentialFiles files_;
  std::unique_ptr<tls::Credentials> credentials_;  // null for coap://
  hal::Duration connect_timeout_, stall_timeout_, ack_timeout_;

  Resolver resolver_;
  Session session_;
  Pacer pacer_;
  hal::Instant last_used_;                              // of the session
  bool bulk_refused_ = false, upload_refused_ = false;  // whatever the server announces
  bool cbor_works_ = true;                              // until the server refuses it
  std::uint32_t next_tag_ = 1;

  // The exchange under way.
  Phase phase_ = Phase::kIdle;
  std::uint64_t exchange_ = 0;  // counts them
  Request request_;
  ResponseSink* sink_ = nullptr;
  OutgoingRequest outgoing_;
  std::string_view body_;  // as it goes out
  int body_format_ = kNoFormat, accept_ = kNoFormat;
  std::size_t upload_offset_ = 0;
  bool upload_more_ = false;    // the block under way is not the last
  bool upload_blocks_ = false;  // the body goes in more than one
  unsigned upload_szx_ = kLargestSzx;
  std::uint32_t request_tag_ = 0;
  int restarts_ = 0;
  hal::Instant watch_until_, renew_at_;  // of a watch
  hal::Instant deadline_, since_;        // `since_`: this phase began, or this message went out

  RowConverter converter_;  // outgoing body; then, when that has arrived, the answer
  Download download_;
  Capabilities capabilities_;
  Traffic traffic_;
};

}  // namespace holdfast::transport::coap

#endif  // HOLDFAST_TRANSPORT_COAP_CLIENT_H_
