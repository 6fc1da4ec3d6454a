// SPDX-License-Identifier: Apache-2.0
// transport/two_carriers.h - small bodies over CoAP, large ones over HTTPS.
//
// Purpose: a message of CoAP carries a kilobyte and waits for its answer, so a row of a megabyte
//          takes a thousand round trips and a fifth more bytes; HTTPS asks for a longer handshake
//          and longer headers with each row. Where a server has both, each does what it is good at.
// Owner:   owns both.
// Threads: one.
// Errors:  those of the carrier that has the exchange.
#ifndef HOLDFAST_TRANSPORT_TWO_CARRIERS_H_
#define HOLDFAST_TRANSPORT_TWO_CARRIERS_H_

#include <cstddef>
#include <memory>

#include "transport/transport.h"

namespace holdfast::transport {

class TwoCarriers : public Transport {
 public:
  // Bodies longer than this are large.
  static constexpr std::size_t kLargeBodyBytes = 64 << 10;

  TwoCarriers(std::unique_ptr<Transport> small, std::unique_ptr<Transport> large);

  Result<void> Begin(const Request& request, ResponseSink& sink) override;
  bool Pump(hal::Duration wait) override { return current_->Pump(wait); }
  void Cancel() override { current_->Cancel(); }
  Result<void> ReloadCredentials() override;
  const Capabilities& capabilities() const override;
  void Recall(const Capabilities& known) override { small_->Recall(known); }
  const Traffic& traffic() const override;

 private:
  std::unique_ptr<Transport> small_, large_;
  Transport* current_;
  mutable Traffic sum_;
  mutable Capabilities both_;
};

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_TWO_CARRIERS_H_
