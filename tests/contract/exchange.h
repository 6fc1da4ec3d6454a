// SPDX-License-Identifier: Apache-2.0
// tests/contract/exchange.h - one exchange, pumped to its end, and all that came of it.
#ifndef HOLDFAST_TESTS_CONTRACT_EXCHANGE_H_
#define HOLDFAST_TESTS_CONTRACT_EXCHANGE_H_

#include <optional>
#include <string>
#include <string_view>

#include "transport/transport.h"

namespace holdfast::testing {

// Keeps an answer, and checks the order of the calls.
class KeepingSink : public transport::ResponseSink {
 public:
  Result<void> OnHead(const transport::ResponseHead& head) override {
    in_order = in_order && heads == 0 && dones == 0;
    ++heads;
    status = head.status;
    native = head.native;
    is_json = head.is_json;
    version = head.version;
    continuation = head.continuation;
    retry_after = head.retry_after;
    body_bytes = head.body_bytes;
    if (head_error) return *head_error;
    return Ok();
  }
  Result<void> OnBody(std::string_view chunk) override {
    in_order = in_order && heads == 1 && dones == 0;
    ++chunks;
    if (keep) body += chunk;
    size += chunk.size();
    if (body_error) return *body_error;
    return Ok();
  }
  void OnDone(Result<void> result) override {
    in_order = in_order && dones == 0;
    ++dones;
    outcome = std::move(result);
  }

  bool failed(Code code) const { return dones == 1 && !outcome && outcome.error().code == code; }
  bool answered(transport::Status wanted) const {
    return dones == 1 && outcome && heads == 1 && status == wanted;
  }
  std::string Describe() const {
    if (dones != 1) return "OnDone was called " + std::to_string(dones) + " times";
    if (outcome) return "status " + std::to_string(native) + ", " + std::to_string(size) + " bytes";
    char text[300];
    return std::string(holdfast::Describe(outcome.error(), text, sizeof text));
  }

  // Faults of the sink itself.
  std::optional<Error> head_error, body_error;
  bool keep = true;

  int heads = 0, chunks = 0, dones = 0;
  bool in_order = true;
  transport::Status status = transport::Status::kOther;
  int native = 0;
  bool is_json = false;
  std::string version, continuation, body;
  std::size_t size = 0;
  hal::Duration retry_after{-1};
  std::int64_t body_bytes = -1;
  Result<void> outcome;
};

inline void Run(transport::Transport& transport, const transport::Request& request,
                KeepingSink& sink) {
  auto begun = transport.Begin(request, sink);
  if (!begun) {
    sink.dones = 1;
    sink.outcome = begun;
    return;
  }
  while (transport.Pump(hal::Duration::Milliseconds(100))) {
  }
}

inline transport::Request Lookup(std::string_view table, std::string_view id) {
  transport::Request request;
  request.method = transport::Method::kLookup;
  request.table = table;
  request.id = id;
  return request;
}

inline transport::Request List(std::string_view table) {
  transport::Request request;
  request.table = table;
  return request;
}

inline transport::Request Write(transport::Method method, std::string_view table,
                                std::string_view id, std::string_view body = {},
                                std::string_view if_match = {}) {
  transport::Request request;
  request.method = method;
  request.table = table;
  request.id = id;
  request.body = body;
  request.if_match = if_match;
  return request;
}

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTRACT_EXCHANGE_H_
