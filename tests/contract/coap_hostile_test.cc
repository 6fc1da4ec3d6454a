// SPDX-License-Identifier: Apache-2.0
// Messages and answers that no honest CoAP server sends, and honest ones that look like them. Each
// row of the tables says which error or status must come out. None may hang or crash.
#include "tests/contract/coap_play.h"

using namespace holdfast;
using namespace holdfast::testing;
using transport::Method;
using transport::Status;

namespace {

const std::string kGood = R"({"code":205,"format":50,"text":"{\"id\":\"r1\"}","etag":"v1"})";

std::string Steps(const std::string& before) { return "[[" + before + "," + kGood + "]]"; }

}  // namespace

TEST_GROUP_BASE(CoapMessages, CoapPlay){};

TEST(CoapMessages, NobodyThere) {
  Connect(peer.Nobody());
  for (int i = 0; i < 2; ++i) {
    const auto start = std::chrono::steady_clock::now();
    const KeepingSink sink = Ask(Lookup("readings", "r1"));
    const auto took = std::chrono::steady_clock::now() - start;
    if (!sink.failed(Code::kOffline)) FAIL(sink.Describe().c_str());
    CHECK(took < std::chrono::milliseconds(ack_timeout.milliseconds()));
  }
}

TEST(CoapMessages, Silence) {
  ack_timeout = hal::Duration::Milliseconds(50);
  stall_timeout = hal::Duration::Seconds(6);
  Start("[]");
  const KeepingSink sink = Ask(Lookup("readings", "r1"));
  if (!sink.failed(Code::kTimeout)) FAIL(sink.Describe().c_str());
  const auto seen = peer.See();
  LONGS_EQUAL_TEXT(5, seen.messages.size(), seen.All().c_str());
  std::vector<int> at;
  for (const std::string& message : seen.messages) {
    STRCMP_EQUAL(seen.messages[0].substr(0, seen.messages[0].find(" at=")).c_str(),
                 message.substr(0, message.find(" at=")).c_str());
    at.push_back(std::stoi(message.substr(message.find(" at=") + 4)));
  }
  // Twice as long each time, from 50 to 75 ms on, of which libcoap makes 1/64ths of a second; later
  // where the machine is busy.
  for (std::size_t i = 1; i < at.size(); ++i) {
    CHECK_TEXT(at[i] >= 46 * ((1 << i) - 1) - 20, seen.All().c_str());
  }
}

TEST(CoapMessages, StallsAreShorterThanTheLastCopy) {
  ack_timeout = hal::Duration::Seconds(1);
  stall_timeout = hal::Duration::Milliseconds(300);
  Start("[]");
  const KeepingSink sink = Ask(Lookup("readings", "r1"));
  if (!sink.failed(Code::kTimeout)) FAIL(sink.Describe().c_str());
  LONGS_EQUAL(1, peer.See().messages.size());
}

TEST(CoapMessages, LostOnes) {
  ack_timeout = hal::Duration::Milliseconds(50);
  Start(Steps(R"({"copies":3})"));
  const KeepingSink sink = Ask(Lookup("readings", "r1"));
  if (!sink.answered(Status::kOk)) FAIL(sink.Describe().c_str());
  LONGS_EQUAL(3, peer.See().messages.size());
  STRCMP_EQUAL("v1", sink.version.c_str());
}

TEST(CoapMessages, AnswersThatComeSeparately) {
  const std::string separate = R"({"code":205,"format":50,"type":"con","text":"{}","etag":"v1"})";
  for (const char* before :
       {R"({"ack":1},)", R"({"ack":1},{"wait":700},)", R"({"wait":50},)", ""}) {
    Start("[[" + std::string(before) + separate + "]]");
    const KeepingSink sink = Ask(Lookup("readings", "r1"));
    if (!sink.answered(Status::kOk)) FAIL((before + sink.Describe()).c_str());
    const auto seen = peer.See();
    // The request once, and the acknowledgement of the answer.
    LONGS_EQUAL_TEXT(1, seen.Count("CON "), seen.All().c_str());
    LONGS_EQUAL_TEXT(1, seen.Count("ACK 0.00 mid=7001 "), seen.All().c_str());
    LONGS_EQUAL_TEXT(2, seen.messages.size(), seen.All().c_str());
  }
  Start(R"([[{"ack":1},{"code":205,"format":50,"type":"non","text":"{}"}]])");
  CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  LONGS_EQUAL(1, peer.See().messages.size());
}

TEST(CoapMessages, ManySeparateAnswersOneAfterTheOther) {
  Start(R"([[{"ack":1},{"code":205,"format":50,"type":"con","text":"{}"}],"..."])");
  for (int i = 0; i < 20; ++i) CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  const auto seen = peer.See();
  LONGS_EQUAL(20, seen.Count("CON 0.01"));
  LONGS_EQUAL(20, seen.Count("ACK 0.00"));
  LONGS_EQUAL(40, seen.messages.size());
}

TEST(CoapMessages, PromisedAndNeverSent) {
  stall_timeout = hal::Duration::Milliseconds(600);
  Start(R"([{"ack":1}])");
  const KeepingSink sink = Ask(Lookup("readings", "r1"));
  if (!sink.failed(Code::kTimeout)) FAIL(sink.Describe().c_str());
  LONGS_EQUAL(1, peer.See().messages.size());
}

TEST(CoapMessages, WhatIsNoAnswer) {
  ack_timeout = hal::Duration::Milliseconds(100);
  stall_timeout = hal::Duration::Milliseconds(800);
  CheckAll({
      {"reset", R"([{"rst":1}])", Fails(Code::kOffline)},
      {"another token", R"([{"code":205,"format":50,"text":"{}","token":"aabb"}])",
       Fails(Code::kTimeout)},
      {"no token", R"([{"code":205,"format":50,"text":"{}","token":""}])", Fails(Code::kTimeout)},
      {"another token, separately", R"([[{"ack":1},{"code":205,"type":"con","token":"aabb"}]])",
       Fails(Code::kTimeout)},
      {"an option nobody may pass over", R"([{"code":205,"options":[[9,"01"]]}])",
       Fails(Code::kBadAnswer)},
      {"another one", R"([{"code":205,"options":[[65001,"0102"]],"text":"{}"}])",
       Fails(Code::kBadAnswer)},
      // It is reset, as RFC 7252 5.4.1 wants, and a better one may still come.
      {"one in a separate answer",
       R"([[{"ack":1},{"code":205,"type":"con","options":[[65001,"01"]]}]])",
       Fails(Code::kTimeout)},
      {"a request as acknowledgement", R"([{"code":1}])", Fails(Code::kBadAnswer)},
      {"a code of class 1", R"([{"code":105}])", Fails(Code::kBadAnswer)},
      {"a code of class 7", R"([{"code":701}])", Fails(Code::kBadAnswer)},
      {"a code of class 3", R"([{"code":305}])", Says(Status::kOther)},
      {"2.06", R"([{"code":206,"text":"{}"}])", Says(Status::kOther)},
      {"2.03 nobody asked for", R"([{"code":203}])", Says(Status::kOther)},
  });
}

TEST(CoapMessages, WhatMayBePassedOver) {
  ack_timeout = hal::Duration::Milliseconds(200);
  const std::string other = R"("code":404,"format":50,"text":"no")";
  CheckAll({
      {"an answer to somebody else", Steps("{" + other + R"(,"token":"aabb","type":"non"})"),
       Says(Status::kOk)},
      {"the same, to be acknowledged", Steps("{" + other + R"(,"token":"aabb","type":"con"})"),
       Says(Status::kOk)},
      {"an acknowledgement of another message", Steps("{" + other + R"(,"token":"aa","mid":1})"),
       Says(Status::kOk)},
      {"our token in an acknowledgement of another message", Steps("{" + other + R"(,"mid":1})"),
       Says(Status::kOk)},
      {"an empty acknowledgement first", Steps(R"({"ack":1})"), Says(Status::kOk)},
      {"a reset of another message", Steps(R"({"rst":1,"mid":9})"), Says(Status::kOk)},
      {"a ping", Steps(R"({"ping":1})"), Says(Status::kOk)},
      {"a request of the server's", Steps(R"({"code":1,"type":"con","options":[[11,"61"]]})"),
       Says(Status::kOk)},
      {"an option anybody may pass over",
       R"([{"code":205,"format":50,"text":"{}","options":[[10,"01"],[65000,"0102"],[2048,""]]}])",
       Says(Status::kOk)},
      {"noise", Steps(R"({"garbage":1})"), Says(Status::kOk)},
      {"an empty datagram", Steps(R"({"raw":""})"), Says(Status::kOk)},
      {"a version of tomorrow", Steps(R"({"raw":"a0450001"})"), Says(Status::kOk)},
      {"a token of 9 bytes", Steps(R"({"raw":"6945000100000000000000000000"})"), Says(Status::kOk)},
      {"a code of a request, without a token", Steps(R"({"raw":"50010001"})"), Says(Status::kOk)},
  });
}

// Neither may be counted, and none may be taken for the answer to the next request.
TEST(CoapMessages, Duplicates) {
  for (const char* type : {"ack", "con", "non"}) {
    std::string script = "[";
    for (int i = 0; i < 5; ++i) {
      script += std::string(i > 0 ? "," : "") + R"([{"code":205,"format":50,"times":3,"type":")" +
                type + R"(","text":")" + std::to_string(i) + R"("}])";
    }
    Start(script + "]");
    for (int i = 0; i < 5; ++i) {
      const KeepingSink sink = Ask(Lookup("readings", "r1"));
      if (!sink.answered(Status::kOk)) FAIL((type + sink.Describe()).c_str());
      STRCMP_EQUAL_TEXT(std::to_string(i).c_str(), sink.body.c_str(), type);
    }
    LONGS_EQUAL_TEXT(5, peer.See().Count("CON 0.01"), type);
  }
}

TEST(CoapMessages, OptionsThatCannotBe) {
  ack_timeout = hal::Duration::Milliseconds(50);
  stall_timeout = hal::Duration::Milliseconds(500);
  CheckAll({
      {"block of a reserved size", R"([{"code":205,"options":[[23,"07"]],"text":"{}"}])",
       Fails(Code::kBadAnswer)},
      {"block1 of a reserved size", R"([{"code":205,"options":[[27,"0f"]],"text":"{}"}])",
       Fails(Code::kBadAnswer)},
      {"two tags", R"([{"code":205,"options":[[4,"61"],[4,"62"]],"text":"{}"}])",
       Fails(Code::kBadAnswer)},
      // libcoap takes these for noise.
      {"block of 4 bytes", R"([{"code":205,"options":[[23,"00000006"]],"text":"{}"}])",
       Fails(Code::kTimeout)},
      {"tag of 9 bytes", R"([{"code":205,"options":[[4,"313233343536373839"]],"text":"{}"}])",
       Fails(Code::kTimeout)},
      {"size of 5 bytes", R"([{"code":205,"options":[[28,"0000000001"]],"text":"{}"}])",
       Fails(Code::kTimeout)},
      {"format of 3 bytes", R"([{"code":205,"options":[[12,"000032"]],"text":"{}"}])",
       Fails(Code::kTimeout)},
  });
}

TEST(CoapMessages, WhatAnAnswerIsTakenFor) {
  const struct {
    const char* name;
    const char* script;
    Status status;
    bool is_json;
    const char* version;
    int retry_s;
  } cases[] = {
      {"plain", R"([{"code":205,"format":50,"text":"{}","etag":"v1"}])", Status::kOk, true, "v1",
       -1},
      {"2.05 without payload", R"([{"code":205,"etag":"v1"}])", Status::kOk, false, "v1", -1},
      {"2.05 of nothing at all", R"([{"code":205}])", Status::kOk, false, "", -1},
      {"text", R"([{"code":205,"format":0,"text":"hello"}])", Status::kOk, false, "", -1},
      {"no format", R"([{"code":205,"text":"{}"}])", Status::kOk, false, "", -1},
      {"HTML", R"([{"code":205,"format":40,"text":"<html>"}])", Status::kOk, false, "", -1},
      {"4.29", R"([{"code":429}])", Status::kThrottled, false, "", 60},
      {"4.29, soon", R"([{"code":429,"max_age":3}])", Status::kThrottled, false, "", 3},
      {"4.29, at once", R"([{"code":429,"max_age":0}])", Status::kThrottled, false, "", 0},
      {"4.29, in 136 years", R"([{"code":429,"max_age":4294967295}])", Status::kThrottled, false,
       "", 86400},
      {"5.03", R"([{"code":503}])", Status::kUnavailable, false, "", 60},
      {"5.03, soon", R"([{"code":503,"max_age":7,"text":"later"}])", Status::kUnavailable, false,
       "", 7},
      {"5.00", R"([{"code":500,"max_age":7}])", Status::kServerError, false, "", -1},
      {"4.01", R"([{"code":401}])", Status::kUnauthorized, false, "", -1},
      {"4.04", R"([{"code":404}])", Status::kNotFound, false, "", -1},
      {"4.06 in the end", R"([{"code":406},{"code":406}])", Status::kBadRequest, false, "", -1},
      {"4.08 to a single message", R"([{"code":408}])", Status::kUnavailable, false, "", -1},
  };
  for (const auto& test : cases) {
    Start(test.script);
    const KeepingSink sink = Ask(Lookup("readings", "r1"));
    const bool as_expected =
        sink.answered(test.status) && sink.is_json == test.is_json &&
        sink.version == test.version &&
        (test.retry_s < 0 ? sink.retry_after.ns < 0
                          : sink.retry_after == hal::Duration::Seconds(test.retry_s));
    if (!as_expected) FAIL((std::string(test.name) + ": " + sink.Describe()).c_str());
  }
}

// More than a datagram of ours is told to hold: it may be refused, but never cut without a word.
TEST(CoapMessages, LargeDatagrams) {
  ack_timeout = hal::Duration::Milliseconds(50);
  stall_timeout = hal::Duration::Milliseconds(300);
  for (const int size : {1024, 1152, 1300, 1450, 1467, 1500, 4000, 60000}) {
    Start(R"([{"code":205,"format":50,"fill":)" + std::to_string(size) + "}]");
    const KeepingSink sink = Ask(List("readings"));
    if (sink.answered(Status::kOk) && sink.size != std::size_t(size)) {
      FAIL((std::to_string(size) + " bytes became " + std::to_string(sink.size)).c_str());
    }
  }
}

TEST_GROUP_BASE(CoapSessions, CoapPlay){};

TEST(CoapSessions, AFailedExchangeIsForgotten) {
  ack_timeout = hal::Duration::Milliseconds(50);
  stall_timeout = hal::Duration::Milliseconds(400);
  for (const char* bad : {R"({"rst":1})", R"({"ack":1})", R"({"code":205,"options":[[9,"01"]]})",
                          R"({"code":205,"token":"aabb"})", R"({"code":231})",
                          R"({"code":205,"format":60,"text":"nonsense"})",
                          R"({"code":205,"b2":[3,0,6],"text":"x"})"}) {
    Start("[" + std::string(bad) + "," + kGood + "]");
    CHECK_TEXT(!Ask(Lookup("readings", "r1")).outcome.ok(), bad);
    const KeepingSink sink = Ask(Lookup("readings", "r2"));
    if (!sink.answered(Status::kOk)) FAIL((bad + sink.Describe()).c_str());
    LONGS_EQUAL_TEXT(1, peer.See().Count("/r2"), bad);
  }
}

TEST(CoapSessions, OneIsKept) {
  Start("[" + kGood + R"(,"..."])");
  for (int i = 0; i < 50; ++i) CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  LONGS_EQUAL(1, client->traffic().connections);
  LONGS_EQUAL(50, client->traffic().requests);
  CHECK(client->ReloadCredentials().ok());
  CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
}

TEST(CoapSessions, BytesAreCounted) {
  ack_timeout = hal::Duration::Milliseconds(100);
  Start("[" + kGood + R"(,
      [{"copies":2},{"code":205,"format":50,"text":"{}"}],
      [{"ack":1},{"code":205,"format":50,"type":"con","text":"{}"}],
      [{"code":205,"format":50,"b2":[0,1,2],"fill":64}],
      [{"code":205,"format":50,"b2":[1,0,2],"fill":10}],
      [{"code":231,"b1":[0,1,6]}], [{"code":204,"b1":[1,0,6],"etag":"v2"}],
      [{"garbage":1},{"code":205,"format":50,"text":"{}"}]])");
  const std::string body = R"({"text":")" + std::string(1500, 'x') + "\"}";
  for (int i = 0; i < 4; ++i) CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  CHECK(Ask(Write(Method::kUpdate, "readings", "r1", body, "v1")).answered(Status::kOk));
  CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  const auto seen = peer.See();
  LONGS_EQUAL_TEXT(seen.received, client->traffic().bytes_sent, seen.All().c_str());
  LONGS_EQUAL_TEXT(seen.sent, client->traffic().bytes_received, seen.All().c_str());
}

TEST(CoapSessions, FailuresAreCountedToo) {
  ack_timeout = hal::Duration::Milliseconds(20);
  Start("[[{\"copies\":9}]," + kGood + "]");
  CHECK(Ask(Lookup("readings", "r1")).failed(Code::kTimeout));
  CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  const auto seen = peer.See();
  LONGS_EQUAL(6, seen.messages.size());
  LONGS_EQUAL(seen.received, client->traffic().bytes_sent);
  LONGS_EQUAL(seen.sent, client->traffic().bytes_received);
}

namespace {

// Ends the exchange, and may begin the next one while it is told so.
struct StoppingSink : KeepingSink {
  Result<void> OnHead(const transport::ResponseHead& head) override {
    auto result = KeepingSink::OnHead(head);
    if (in_head != nullptr) in_head->Cancel();
    return result;
  }
  Result<void> OnBody(std::string_view chunk) override {
    auto result = KeepingSink::OnBody(chunk);
    if (in_body != nullptr) in_body->Cancel();
    return result;
  }
  transport::Transport *in_head = nullptr, *in_body = nullptr;
};

}  // namespace

TEST(CoapSessions, CancelledBeforeAnythingWasSent) {
  Start("[" + kGood + R"(,"..."])");
  KeepingSink sink;
  CHECK(client->Begin(Lookup("readings", "r1"), sink).ok());
  client->Cancel();
  CHECK(sink.failed(Code::kCancelled) && !client->Pump({0}));
  LONGS_EQUAL(0, peer.See().messages.size());
  client->Cancel();  // of nothing
  CHECK(Ask(Lookup("readings", "r2")).answered(Status::kOk));
  LONGS_EQUAL(1, peer.See().messages.size());
}

TEST(CoapSessions, CancelledWhileWaiting) {
  ack_timeout = hal::Duration::Milliseconds(50);
  for (const char* first : {R"({"copies":9})", R"({"ack":1})"}) {
    Start("[[" + std::string(first) + "]," + kGood + "]");
    KeepingSink sink;
    CHECK(client->Begin(Lookup("readings", "r1"), sink).ok());
    for (int i = 0; i < 2; ++i) client->Pump(hal::Duration::Milliseconds(20));
    client->Cancel();
    CHECK(sink.failed(Code::kCancelled));
    const std::size_t before = peer.See().messages.size();
    CHECK(before > 0);
    CHECK(!client->Pump(hal::Duration::Milliseconds(300)));
    LONGS_EQUAL(0, peer.See().messages.size());
    CHECK(Ask(Lookup("readings", "r2")).answered(Status::kOk));
    const auto seen = peer.See();
    LONGS_EQUAL_TEXT(1, seen.messages.size(), seen.All().c_str());
    LONGS_EQUAL_TEXT(1, seen.Count("/r2"), seen.All().c_str());
  }
}

TEST(CoapSessions, CancelledAmidAnUpload) {
  ack_timeout = hal::Duration::Milliseconds(50);
  const std::string body = R"({"text":")" + std::string(40'000, 'x') + "\"}";
  Start(R"([{"code":231,"b1":[0,1,6]},{"code":231,"b1":[1,1,6]},[{"copies":9}],)" + kGood + "]");
  KeepingSink sink;
  CHECK(client->Begin(Write(Method::kInsert, "readings", "", body), sink).ok());
  while (peer.See().Count("b1=2/") == 0) client->Pump(hal::Duration::Milliseconds(10));
  client->Cancel();
  CHECK(sink.failed(Code::kCancelled));
  (void)peer.See();
  client->Pump(hal::Duration::Milliseconds(300));
  LONGS_EQUAL(0, peer.See().messages.size());
  CHECK(Ask(Lookup("readings", "r2")).answered(Status::kOk));
  LONGS_EQUAL(1, peer.See().messages.size());
}

TEST(CoapSessions, CancelledByTheSink) {
  const std::string endless = R"({"code":205,"format":50,"b2":[null,1,6],"fill":1024})";
  for (const bool in_head : {true, false}) {
    Start("[" + endless + "," + kGood + "]");
    StoppingSink sink;
    (in_head ? sink.in_head : sink.in_body) = client.get();
    CHECK(client->Begin(List("readings"), sink).ok());
    while (client->Pump(hal::Duration::Milliseconds(50))) {
    }
    CHECK(sink.failed(Code::kCancelled) && sink.in_order);
    LONGS_EQUAL(in_head ? 0 : 1, sink.chunks);
    LONGS_EQUAL(1, peer.See().messages.size());
    CHECK(Ask(Lookup("readings", "r2")).answered(Status::kOk));
    LONGS_EQUAL(1, peer.See().messages.size());
  }
}

TEST(CoapSessions, ASinkThatSaysNo) {
  const std::string endless = R"({"code":205,"format":50,"b2":[null,1,6],"fill":1024})";
  for (const bool in_head : {true, false}) {
    Start("[" + endless + "," + kGood + "]");
    KeepingSink sink;
    (in_head ? sink.head_error : sink.body_error) = Error{Code::kNoSpace};
    Run(*client, List("readings"), sink);
    CHECK(sink.failed(Code::kNoSpace));
    CHECK(Ask(Lookup("readings", "r2")).answered(Status::kOk));
    LONGS_EQUAL(2, peer.See().messages.size());
  }
}
