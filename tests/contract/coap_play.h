// SPDX-License-Identifier: Apache-2.0
// tests/contract/coap_play.h - an exchange with a scripted CoAP peer, and what has to come of it.
#ifndef HOLDFAST_TESTS_CONTRACT_COAP_PLAY_H_
#define HOLDFAST_TESTS_CONTRACT_COAP_PLAY_H_

#include <CppUTest/TestHarness.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "hal/linux/linux_clock.h"
#include "tests/contract/exchange.h"
#include "tests/contract/scripted_coap.h"
#include "transport/coap/coap.h"

namespace holdfast::testing {

struct Expect {
  bool error = false;
  Code code = Code::kOffline;
  transport::Status status = transport::Status::kOther;

  bool Met(const KeepingSink& sink) const {
    return sink.in_order && (error ? sink.failed(code) : sink.answered(status));
  }
};
inline Expect Fails(Code code) { return {true, code, transport::Status::kOther}; }
inline Expect Says(transport::Status status) { return {false, Code::kOffline, status}; }

struct CoapCase {
  const char* name;
  std::string script;
  Expect expect;
};

// Times are short where silence is expected, and long enough for a slow machine everywhere else.
TEST_BASE(CoapPlay) {
  hal::LinuxClock clock;
  ScriptedCoap& peer = ScriptedCoap::Get();
  std::unique_ptr<transport::CoapTransport> client;
  hal::Duration ack_timeout = hal::Duration::Milliseconds(400);
  hal::Duration stall_timeout = hal::Duration::Milliseconds(2500);

  void Connect(int port) {
    const std::string url = "coap://127.0.0.1:" + std::to_string(port);
    transport::CoapTransport::Options options;
    options.url = url;
    options.connect_timeout = hal::Duration::Seconds(2);
    options.stall_timeout = stall_timeout;
    options.ack_timeout = ack_timeout;
    auto made = transport::CoapTransport::Create(options, clock);
    if (!made) FAIL(made.error().what);
    client = std::move(made).value();
  }
  void Start(const std::string& script) { Connect(peer.Script(script)); }

  KeepingSink Ask(const transport::Request& wanted) {
    transport::Request request = wanted;
    request.timeout = hal::Duration::Seconds(8);
    KeepingSink sink;
    Run(*client, request, sink);
    return sink;
  }

  // All that is wrong is told at once, not only the first.
  void CheckAll(const std::vector<CoapCase>& cases,
                const transport::Request& request = Lookup("readings", "r1")) {
    std::string wrong;
    for (const CoapCase& test : cases) {
      Start(test.script);
      const auto start = std::chrono::steady_clock::now();
      const KeepingSink sink = Ask(request);
      const auto took = std::chrono::steady_clock::now() - start;
      if (!test.expect.Met(sink)) wrong += std::string(test.name) + ": " + sink.Describe() + "\n";
      if (took > std::chrono::seconds(7)) wrong += std::string(test.name) + ": too long\n";
    }
    if (!wrong.empty()) FAIL(wrong.c_str());
  }
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTRACT_COAP_PLAY_H_
