// SPDX-License-Identifier: Apache-2.0
// tests/conformance/wiretap.h - what travels between a device and any server, written down and
// disturbed.
//
// Purpose: the same faults on the simulated server, on ours and on Node's: a request that is lost,
//          an answer that is lost or cut or replaced, an edit that is made while a request is on
//          its way.
// Owner:   owns the transport that it wraps.
#ifndef HOLDFAST_TESTS_CONFORMANCE_WIRETAP_H_
#define HOLDFAST_TESTS_CONFORMANCE_WIRETAP_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "transport/transport.h"

namespace holdfast::test {

struct Exchange {
  transport::Method method = transport::Method::kList;
  std::string table, id, if_match, body, filter, since, order_by;
  std::uint32_t top = 0, skip = 0;
  bool include_deleted = false, ids_only = false;
  int status = 0;  // 0: no answer was heard
};

// What happens to one request.
struct Fate {
  enum class Kind : std::uint8_t {
    kPass,
    kNotSent,     // the server never sees it
    kUnanswered,  // the server applies it; nobody hears the answer
    kInstead,     // the server never sees it; somebody answers `status` and `body`
    kDisguised,   // the server applies it; that answer comes instead of its own
    kCut,         // the server applies it; the body ends after `bytes`
  };
  Kind kind = Kind::kPass;
  int status = 503;
  std::string body = {};
  bool is_json = true;
  hal::Duration retry_after{-1};
  std::size_t bytes = 0;
  std::optional<std::string> link = {};  // kPass: instead of the server's own
  std::function<void()> meanwhile = {};  // after it was sent, before its answer is heard
};

class Wiretap final : public transport::Transport, private transport::ResponseSink {
 public:
  explicit Wiretap(std::unique_ptr<transport::Transport> inner) : inner_(std::move(inner)) {}

  // Decides about each request; `number` counts from 1.
  std::function<Fate(const transport::Request& request, int number)> on_request;
  std::vector<Exchange> exchanges;
  void Forget() { exchanges.clear(); }
  // The requests that write.
  int writes() const {
    int count = 0;
    for (const Exchange& exchange : exchanges) {
      count += exchange.method != transport::Method::kList &&
               exchange.method != transport::Method::kLookup;
    }
    return count;
  }

  Result<void> Begin(const transport::Request& request, transport::ResponseSink& sink) override {
    Exchange exchange;
    exchange.method = request.method;
    exchange.table = request.table;
    exchange.id = request.id;
    exchange.if_match = request.if_match;
    exchange.body = request.body;
    exchange.filter = request.list.filter;
    exchange.since = request.list.since;
    exchange.order_by = request.list.order_by;
    exchange.top = request.list.top;
    exchange.skip = request.list.skip;
    exchange.include_deleted = request.list.include_deleted;
    exchange.ids_only = request.list.ids_only;
    exchanges.push_back(exchange);
    fate_ = on_request ? on_request(request, int(exchanges.size())) : Fate();
    sink_ = &sink;
    passed_ = 0;
    sent_ = fate_.kind != Fate::Kind::kNotSent && fate_.kind != Fate::Kind::kInstead;
    return sent_ ? inner_->Begin(request, *this) : Ok();
  }

  bool Pump(hal::Duration wait) override {
    if (sink_ == nullptr) return false;
    if (sent_) {
      inner_->Pump(wait);
    } else {
      Answer(Ok());
    }
    return sink_ != nullptr;
  }

  void Cancel() override {
    if (sink_ == nullptr) return;
    if (sent_) {
      inner_->Cancel();
    } else {
      Done(Error{Code::kCancelled, Origin::kNone, 0, "cancelled"});
    }
  }
  Result<void> ReloadCredentials() override { return inner_->ReloadCredentials(); }
  const transport::Capabilities& capabilities() const override { return inner_->capabilities(); }
  const transport::Traffic& traffic() const override { return inner_->traffic(); }

 private:
  Result<void> OnHead(const transport::ResponseHead& head) override {
    if (Hidden()) return Ok();
    exchanges.back().status = head.native;
    if (!fate_.link) return sink_->OnHead(head);
    transport::ResponseHead changed = head;
    changed.continuation = *fate_.link;
    return sink_->OnHead(changed);
  }
  Result<void> OnBody(std::string_view chunk) override {
    if (Hidden()) return Ok();
    if (fate_.kind != Fate::Kind::kCut) return sink_->OnBody(chunk);
    const std::size_t left = fate_.bytes - passed_;
    passed_ += std::min(left, chunk.size());
    return sink_->OnBody(chunk.substr(0, left));
  }
  void OnDone(Result<void> outcome) override {
    if (fate_.meanwhile) fate_.meanwhile();
    Answer(std::move(outcome));
  }
  bool Hidden() const {
    return fate_.kind == Fate::Kind::kUnanswered || fate_.kind == Fate::Kind::kDisguised;
  }

  void Answer(Result<void> outcome) {
    switch (fate_.kind) {
      case Fate::Kind::kPass: break;
      case Fate::Kind::kNotSent:
      case Fate::Kind::kUnanswered:
      case Fate::Kind::kCut:
        outcome = Error{Code::kOffline, Origin::kNone, 0, "the test cut the line"};
        break;
      case Fate::Kind::kInstead:
      case Fate::Kind::kDisguised: outcome = Pretend(); break;
    }
    Done(std::move(outcome));
  }
  Result<void> Pretend() {
    transport::ResponseHead head;
    head.native = fate_.status;
    head.status = StatusOf(fate_.status);
    head.is_json = fate_.is_json;
    head.retry_after = fate_.retry_after;
    exchanges.back().status = fate_.status;
    HF_TRY(sink_->OnHead(head));
    return fate_.body.empty() ? Ok() : sink_->OnBody(fate_.body);
  }
  void Done(Result<void> outcome) {
    transport::ResponseSink* const sink = std::exchange(sink_, nullptr);
    sink->OnDone(std::move(outcome));
  }
  static transport::Status StatusOf(int status);

  std::unique_ptr<transport::Transport> inner_;
  transport::ResponseSink* sink_ = nullptr;
  Fate fate_;
  bool sent_ = false;
  std::size_t passed_ = 0;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_CONFORMANCE_WIRETAP_H_
