// SPDX-License-Identifier: Apache-2.0
// transport/sim/sim_transport.h - a Transport without a network.
//
// Purpose: the engine meets every fault of a link at every place, as often and as exactly as a test
//          wants, in no time. Answers go through the same ResponseSink, in pieces, as bytes of
//          JSON.
// Owner:   the test; server and clock outlive it.
// Threads: one.
// Faults:  by value, one an exchange (SimFault).
// Sim:     waits on a hal::Clock that somebody else advances, or through set_wait().
#ifndef HOLDFAST_TRANSPORT_SIM_SIM_TRANSPORT_H_
#define HOLDFAST_TRANSPORT_SIM_SIM_TRANSPORT_H_

#include <deque>
#include <functional>
#include <optional>
#include <string>

#include "transport/sim/sim_server.h"
#include "transport/transport.h"

namespace holdfast::transport {

struct SimFault {
  enum class Kind : std::uint8_t {
    kNone,
    kNotSent,     // the server never sees the request
    kUnanswered,  // the server applies it; nobody hears the answer
    kInstead,     // somebody in between answers `answer`; the server never sees the request
    kDisguised,   // the server applies it; `answer` comes instead of its own
    kTruncated,   // the server applies it; the answer ends after `bytes` of its body
  };
  Kind kind = Kind::kNone;
  Error error{Code::kOffline, Origin::kNone, 0, "a simulated fault"};  // kNotSent, kUnanswered
  SimAnswer answer;
  std::size_t bytes = 0;
  hal::Duration before{0};  // on the way to the server
  hal::Duration after{0};   // on the way back
};

class SimTransport final : public Transport {
 public:
  SimTransport(SimServer& server, hal::Clock& clock);

  // Faults of the exchanges to come, in order.
  void Plan(SimFault fault) { planned_.push_back(std::move(fault)); }
  // Asked when nothing is planned.
  void set_fault_source(std::function<SimFault(const Request&)> source) {
    source_ = std::move(source);
  }
  // How time passes while an exchange waits: SimClock::Advance, usually. Without it Pump() returns
  // at once, and whoever owns the clock moves it.
  void set_wait(std::function<void(hal::Duration)> wait) { wait_ = std::move(wait); }
  // The largest piece that a body arrives in.
  void set_chunk_bytes(std::size_t bytes) { chunk_bytes_ = bytes == 0 ? 1 : bytes; }

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

 private:
  enum class Phase : std::uint8_t { kIdle, kGoing, kComing };

  void Arrive();
  void Answer();
  Result<void> Deliver(std::size_t bytes);
  void Finish(const Result<void>& outcome);
  void Learn();

  SimServer& server_;
  hal::Clock& clock_;
  std::deque<SimFault> planned_;
  std::function<SimFault(const Request&)> source_;
  std::function<void(hal::Duration)> wait_;
  std::size_t chunk_bytes_ = 1000;

  Phase phase_ = Phase::kIdle;
  std::uint64_t exchange_ = 0;
  Request request_;
  ResponseSink* sink_ = nullptr;
  SimFault fault_;
  SimAnswer answer_;
  hal::Instant due_, deadline_, watch_until_;
  bool connected_ = false;
  Capabilities capabilities_;
  Traffic traffic_;
};

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_SIM_SIM_TRANSPORT_H_
