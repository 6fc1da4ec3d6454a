// SPDX-License-Identifier: Apache-2.0
// What each outcome of one operation does (README.md here: 8), and what is written back (9).
#include "tests/conformance/scene.h"

namespace holdfast::test {
namespace {

Fate Answered(int status, const char* body = R"({"error":"as the test says"})") {
  return {.kind = Fate::Kind::kInstead, .status = status, .body = body};
}

}  // namespace

// clang-format off
TEST_GROUP(Outcomes) {
  Scene scene;
  Device& d = scene.device();
  std::string a = scene.S("a"), b = scene.S("b"), c = scene.S("c");

  void Synced(const std::string& id) {
    d.Put(id, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    d.wire->Forget();
  }
  // The first write is answered so; then the line is clear again.
  SessionResult PushAnswered(Fate fate) {
    d.wire->Forget();
    d.wire->on_request = [fate](const transport::Request&, int number) {
      return number == 1 ? fate : Fate();
    };
    SessionResult result = d.Push();
    d.wire->on_request = nullptr;
    return result;
  }
  // Stops the push: order is kept, nothing else is tried, nothing is lost.
  void StopsThePush(Fate fate, Code code) {
    d.Put(a, R"("value":1)");
    d.Put(b, R"("value":2)");
    const SessionResult result = PushAnswered(fate);
    CHECK_TRUE_TEXT(!result.outcome.ok() && result.outcome.error().code == code,
                    result.outcome.ok() ? "the push went on" : result.outcome.error().what);
    LONGS_EQUAL(1, long(d.wire->exchanges.size()));
    STRCMP_EQUAL("I a 1, I b 1", d.Queue().c_str());
    LONGS_EQUAL(0, long(d.Errors().size()));
    CHECK(d.Push().outcome.ok());
    scene.CheckEqual(d);
  }
  // Parks the row with the server's words; the others go, and it is not tried again by itself.
  void Parks(int status) {
    d.Put(a, R"("value":1)");
    d.Put(b, R"("value":2)");
    const SessionResult result = PushAnswered(Answered(status));
    CHECK(result.outcome.ok());
    LONGS_EQUAL(1, long(result.push.parked));
    LONGS_EQUAL(1, long(result.push.pushed));
    LONGS_EQUAL(1, long(d.Errors().size()));
    LONGS_EQUAL(status, d.Errors()[0].status);
    STRCMP_EQUAL("as the test says", d.Errors()[0].server.c_str());
    d.wire->Forget();
    CHECK(d.Push().outcome.ok());
    LONGS_EQUAL(0, long(d.wire->exchanges.size()));
    d.Restart();
    LONGS_EQUAL(1, long(d.Errors().size()));
    d.options.retry_parked = true;
    LONGS_EQUAL(1, long(d.Push().push.pushed));
    scene.CheckEqual(d);
  }
};
// clang-format on

TEST(Outcomes, Success_StoresTheVersionAndRemovesTheOperation) {
  Synced(a);
  STRCMP_EQUAL("", d.Queue().c_str());
  STRCMP_EQUAL(scene.Remote(a, "version").c_str(), d.Get(a, "version").c_str());
  // Over CoAP an answer to a write says the version alone; the dates come with the next pull.
  if (std::strcmp(scene.server(), "coap") == 0) CHECK(d.Pull().outcome.ok());
  CHECK(!d.Get(a, "updatedAt").empty());
}

TEST(Outcomes, SuccessWithoutBody_ReadsTheVersionSoThatTheNextEditMeetsNoConflict) {
  d.Put(a, R"("value":1)");
  CHECK(PushAnswered({.kind = Fate::Kind::kDisguised, .status = 200, .body = ""}).outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  d.Put(a, R"("value":2)");
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(0, long(d.Errors().size()));
  scene.CheckEqual(d);
}

TEST(Outcomes, SuccessWithoutVersion_ReadsItToo) {
  d.Put(a, R"("value":1)");
  const std::string body = "{\"id\":\"" + a + "\",\"value\":1}";
  CHECK(PushAnswered({.kind = Fate::Kind::kDisguised, .status = 201, .body = body}).outcome.ok());
  STRCMP_EQUAL(scene.Remote(a, "version").c_str(), d.Get(a, "version").c_str());
}

TEST(Outcomes, SuccessAboutAnotherRow_IsNoSuccess) {
  d.Put(a, R"("value":1)");
  const auto result = PushAnswered(Answered(201, R"({"id":"somebody else's","version":"v"})"));
  CHECK(result.outcome.error().code == Code::kBadAnswer);
  STRCMP_EQUAL("I a 1", d.Queue().c_str());
}

TEST(Outcomes, SuccessOfAPortal_IsNoSuccess) {
  d.Put(a, R"("value":1)");
  Fate portal = Answered(200, "<html>Welcome to our hotel</html>");
  portal.is_json = false;
  CHECK(PushAnswered(portal).outcome.error().code == Code::kBadAnswer);
  STRCMP_EQUAL("I a 1", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Outcomes, Delete_204) {
  Synced(a);
  CHECK(d.Delete(a));
  LONGS_EQUAL(1, long(d.Push().push.pushed));
  CHECK(!scene.Alive(a));
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Outcomes, Delete_404IsSuccess) {
  Synced(a);
  CHECK(d.Delete(a));
  CHECK(PushAnswered(Answered(404)).outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
}

TEST(Outcomes, Delete_410IsSuccess) {
  if (scene.bulk()) return;
  Synced(a);
  CHECK(d.Delete(a));
  CHECK(PushAnswered(Answered(410)).outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Outcomes, Delete_OfARowThatSomebodyDeleted) {
  Synced(a);
  scene.TheyDelete(a);
  CHECK(d.Delete(a));
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
}

TEST(Outcomes, Update_404IsAConflictWithARowThatIsGone) {
  Synced(a);
  Synced(b);
  scene.TheyDelete(a);
  d.Put(a, R"("value":2)");
  d.Put(b, R"("value":2)");
  const auto result = d.Push();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(1, long(result.push.conflicts));
  LONGS_EQUAL(1, long(result.push.pushed));
  CHECK(d.Errors()[0].kind == store::ErrorKind::kConflict);
  STRCMP_EQUAL("2", d.Get(a, "value").c_str());
}

TEST(Outcomes, Insert_409IsAConflictWithBothCopies) {
  scene.TheyPut(a, R"("sensor":"theirs","value":7)");
  d.Put(a, R"("sensor":"ours","value":1)");
  LONGS_EQUAL(1, long(d.Push().push.conflicts));
  const Device::Waiting waiting = d.Errors().at(0);
  CHECK(waiting.local.find("ours") != std::string::npos);
  CHECK(waiting.server.find("theirs") != std::string::npos);
  STRCMP_EQUAL(scene.Remote(a, "version").c_str(), waiting.version.c_str());
}

TEST(Outcomes, Insert_409OfOurOwnInsertIsSuccess) {
  d.Put(a, R"("value":1)");
  CHECK(!PushAnswered({.kind = Fate::Kind::kUnanswered}).outcome.ok());
  const auto result = d.Push();
  LONGS_EQUAL(1, long(result.push.recognised));
  STRCMP_EQUAL("", d.Queue().c_str());
  scene.CheckEqual(d);
}

TEST(Outcomes, Update_412IsAConflictWithBothCopiesAndTheBase) {
  Synced(a);
  scene.TheyPut(a, R"("sensor":"theirs")");
  d.Put(a, R"("value":2)");
  LONGS_EQUAL(1, long(d.Push().push.conflicts));
  const Device::Waiting waiting = d.Errors().at(0);
  CHECK(waiting.local.find(R"("value":2)") != std::string::npos);
  CHECK(waiting.server.find("theirs") != std::string::npos);
  CHECK(waiting.base.find(R"("value"=1)") != std::string::npos);
  STRCMP_EQUAL("theirs", scene.Remote(a, "sensor").c_str());
}

TEST(Outcomes, Update_412OfOurOwnUpdateIsSuccess) {
  Synced(a);
  d.Put(a, R"("value":2)");
  CHECK(!PushAnswered({.kind = Fate::Kind::kUnanswered}).outcome.ok());
  LONGS_EQUAL(scene.bulk() ? 0 : 1, long(d.Push().push.recognised));
  LONGS_EQUAL(0, long(d.Errors().size()));
  scene.CheckEqual(d);
}

TEST(Outcomes, Delete_412IsAConflictAndTheRowLives) {
  Synced(a);
  scene.TheyPut(a, R"("sensor":"theirs")");
  CHECK(d.Delete(a));
  LONGS_EQUAL(1, long(d.Push().push.conflicts));
  CHECK(scene.Alive(a));
}

TEST(Outcomes, Refused_400Parks) { Parks(400); }
TEST(Outcomes, Refused_403Parks) { Parks(403); }
TEST(Outcomes, Refused_405Parks) { Parks(405); }
TEST(Outcomes, Refused_413Parks) { Parks(413); }
TEST(Outcomes, Refused_428Parks) { Parks(428); }
TEST(Outcomes, Refused_422Parks) { Parks(422); }

TEST(Outcomes, Refused_IsSentAgainWhenTheRowChanges) {
  d.Put(a, R"("value":1)");
  LONGS_EQUAL(1, long(PushAnswered(Answered(400)).push.parked));
  d.Put(a, R"("value":2)");
  LONGS_EQUAL(1, long(d.Push().push.pushed));
  scene.CheckEqual(d);
}

TEST(Outcomes, Stopped_401) { StopsThePush(Answered(401), Code::kUnauthorized); }
TEST(Outcomes, Stopped_429) { StopsThePush(Answered(429), Code::kThrottled); }
TEST(Outcomes, Stopped_500) { StopsThePush(Answered(500), Code::kServerError); }
TEST(Outcomes, Stopped_503) { StopsThePush(Answered(503), Code::kThrottled); }
TEST(Outcomes, Stopped_NetworkBeforeTheServer) {
  StopsThePush({.kind = Fate::Kind::kNotSent}, Code::kOffline);
}
TEST(Outcomes, Stopped_NetworkAfterTheServer) {
  StopsThePush({.kind = Fate::Kind::kUnanswered}, Code::kOffline);
}
TEST(Outcomes, Stopped_InTheMiddleOfAnAnswer) {
  StopsThePush({.kind = Fate::Kind::kCut, .bytes = 5}, Code::kOffline);
}

TEST(Outcomes, RetryAfter_IsObeyedByTheNextVisit) {
  d.Put(a, R"("value":1)");
  Fate later = Answered(503);
  later.retry_after = hal::Duration::Seconds(30);
  const auto result = PushAnswered(later);
  CHECK_EQUAL(30.0, result.retry_after.seconds());
  d.wire->Forget();
  const auto refused = d.Visit(d.options, Device::Obey::kRetryAfter);
  CHECK(refused.outcome.error().code == Code::kThrottled);
  LONGS_EQUAL(0, long(d.wire->exchanges.size()));
  if (scene.simulated() == nullptr) return;
  scene.Later(31);
  CHECK(d.Visit(d.options, Device::Obey::kRetryAfter).outcome.ok());
  scene.CheckEqual(d);
}

TEST(Outcomes, AttemptsAreCounted) {
  d.Put(a, R"("value":1)");
  for (int i = 0; i < 3; ++i) CHECK(!PushAnswered({.kind = Fate::Kind::kNotSent}).outcome.ok());
  LONGS_EQUAL(3, d.Operations()[0].attempts);
  d.Restart();
  LONGS_EQUAL(3, d.Operations()[0].attempts);
}

TEST(Outcomes, Cancelled_WhatTheServerHasIsRecognisedLater) {
  d.Put(a, R"("value":1)");
  agent::Push push(*d.store, *d.wire, scene.clock(), {}, TheWorkspace());
  d.wire->on_request = [&](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kPass, .meanwhile = [&] { push.Cancel(); }};
  };
  while (!push.Step(hal::Duration::Milliseconds(100))) {
  }
  d.wire->on_request = nullptr;
  CHECK(push.result().outcome.error().code == Code::kCancelled);
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
  scene.CheckEqual(d);
}

TEST(Outcomes, CrashAfterTheServersCommit_EachKind) {
  for (const char kind : {'I', 'U', 'D'}) {
    const std::string id = scene.S(std::string(1, kind));
    d.Put(id, R"("value":1)");
    if (kind != 'I') CHECK(d.Push().outcome.ok());
    if (kind == 'U') d.Put(id, R"("value":2)");
    if (kind == 'D') CHECK(d.Delete(id));
    CHECK(!PushAnswered({.kind = Fate::Kind::kUnanswered}).outcome.ok());
    d.PowerCycle();
    CHECK(d.Push().outcome.ok());
    STRCMP_EQUAL("", d.Queue().c_str());
    LONGS_EQUAL(0, long(d.Errors().size()));
    scene.CheckEqual(d);
  }
}

// ---------------------------------------------------------------------------- what is written back

TEST(Outcomes, WrittenBack_TheServersValueOfAColumnThatItChanged) {
  d.Put(a, R"("sensor":"s","value":1)");
  const std::string body =
      "{\"id\":\"" + a + "\",\"sensor\":\"S\",\"value\":1,\"version\":\"v\",\"other\":true}";
  CHECK(PushAnswered(Answered(201, body.c_str())).outcome.ok());
  STRCMP_EQUAL("S", d.Get(a, "sensor").c_str());
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
  STRCMP_EQUAL("v", d.Get(a, "version").c_str());
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Outcomes, WrittenBack_ColumnsThatTheServerDoesNotSendStay) {
  d.Put(a, R"("sensor":"s","value":1)");
  const std::string body = "{\"id\":\"" + a + "\",\"value\":1,\"version\":\"v\"}";
  CHECK(PushAnswered(Answered(201, body.c_str())).outcome.ok());
  STRCMP_EQUAL("s", d.Get(a, "sensor").c_str());
}

TEST(Outcomes, WrittenBack_NotOverAnEditThatWasMadeMeanwhile) {
  d.Put(a, R"("sensor":"s","value":1)");
  Fate fate;
  fate.meanwhile = [&] { d.Put(a, R"("value":5)"); };
  CHECK(PushAnswered(fate).outcome.ok());
  STRCMP_EQUAL("5", d.Get(a, "value").c_str());
  d.Settle();
  STRCMP_EQUAL("5", scene.Remote(a, "value").c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
}

TEST(Outcomes, WrittenBack_AnUpdateSendsOnlyWhatChanged) {
  Synced(a);
  d.Put(a, R"("value":2)");
  CHECK(d.Push().outcome.ok());
  const std::string& body = d.wire->exchanges.at(0).body;
  const bool replaces = d.wire->exchanges[0].method == Method::kReplace ||
                        d.wire->exchanges.size() > 1;  // some servers of 3.0 cannot merge
  if (!replaces) CHECK(body.find("sensor") == std::string::npos);
  scene.CheckEqual(d);
}

TEST(Outcomes, WrittenBack_TextThatLooksLikeADateIsNotTouched) {
  d.Put(a, R"("sensor":"2026-11-23T12:00:00+02:00","value":1)");
  d.Settle();
  STRCMP_EQUAL("2026-11-23T12:00:00+02:00", d.Get(a, "sensor").c_str());
  Device& other = scene.device("two");
  other.Pull();
  STRCMP_EQUAL("2026-11-23T12:00:00+02:00", other.Get(a, "sensor").c_str());
}

}  // namespace holdfast::test
