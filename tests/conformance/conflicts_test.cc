// SPDX-License-Identifier: Apache-2.0
// Settling conflicts (README.md here: 13, D.3, D.7 67 to 70, D.8 83).
#include "tests/conformance/scene.h"

namespace holdfast::test {

// clang-format off
TEST_GROUP(Conflicts) {
  Scene scene;
  Device& d = scene.device();
  std::string a = scene.S("a"), b = scene.S("b");

  // Their sensor, our value.
  Device::Waiting Update() {
    d.Put(a, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    scene.TheyPut(a, R"("sensor":"theirs","value":1)");
    d.Put(a, R"("value":2)");
    LONGS_EQUAL(1, long(d.Push().push.conflicts));
    return d.Errors().at(0);
  }
  void EndsWith(const char* sensor, const char* value) {
    d.Settle();
    STRCMP_EQUAL("", d.Queue().c_str());
    LONGS_EQUAL(0, long(d.Errors().size()));
    scene.CheckEqual(d);
    STRCMP_EQUAL(sensor, d.Get(a, "sensor").c_str());
    if (value != nullptr) STRCMP_EQUAL(value, d.Get(a, "value").c_str());
  }
};
// clang-format on

TEST(Conflicts, BothCopiesAndTheBaseSurviveARestart) {
  Update();
  d.PowerCycle();
  const Device::Waiting waiting = d.Errors().at(0);
  CHECK(waiting.local.find(R"("value":2)") != std::string::npos);
  CHECK(waiting.server.find("theirs") != std::string::npos);
  CHECK(waiting.base.find(R"("value"=1)") != std::string::npos);
}

TEST(Conflicts, KeepServer_TakesTheServersRowAndDropsTheOperation) {
  CHECK(d.Resolve(Update(), Keep::kServer).ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  STRCMP_EQUAL("theirs", d.Get(a, "sensor").c_str());
  EndsWith("theirs", "1");
}

TEST(Conflicts, KeepLocal_IsSentOnTheServersVersion) {
  if (scene.bulk()) return;
  const Device::Waiting waiting = Update();
  CHECK(d.Resolve(waiting, Keep::kLocal).ok());
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL(waiting.version.c_str(), d.wire->exchanges.at(0).if_match.c_str());
  EndsWith("s", "2");
}

TEST(Conflicts, Merge_IsTheServersRowWithOurColumnsOnTop) {
  CHECK(d.Resolve(Update(), Keep::kMerged, R"("value":9)").ok());
  EndsWith("theirs", "9");
}

TEST(Conflicts, Merge_ThatSaysWhatTheServerSaysSendsNothing) {
  CHECK(d.Resolve(Update(), Keep::kMerged, R"("value":1)").ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  EndsWith("theirs", "1");
}

TEST(Conflicts, Discard_LeavesTheServersRow) {
  CHECK(d.Resolve(Update(), Keep::kNeither).ok());
  EndsWith("theirs", "1");
}

TEST(Conflicts, EveryDecisionIsLoggedWithBothCopies) {
  CHECK(d.Resolve(Update(), Keep::kServer).ok());
  const Device::Decided decided = d.Log().at(0);
  STRCMP_EQUAL("person", decided.rule.c_str());
  CHECK(decided.local.find(R"("value":2)") != std::string::npos);
  CHECK(decided.server.find("theirs") != std::string::npos);
  d.PowerCycle();
  LONGS_EQUAL(1, long(d.Log().size()));
}

TEST(Conflicts, AnErrorThatIsNoMoreCannotBeResolved) {
  const Device::Waiting waiting = Update();
  CHECK(d.Resolve(waiting, Keep::kServer).ok());
  auto again = d.Resolve(waiting, Keep::kLocal);
  CHECK(!again.ok() && again.error().code == Code::kNotFound);
}

TEST(Conflicts, ADecisionAboutAnOlderEditIsRefused) {
  const Device::Waiting waiting = Update();
  const std::int64_t seen = d.Operations().at(0).changes;
  d.Put(a, R"("value":3)");
  store::Resolution stale{.keep = Keep::kServer, .rule = "person", .changes = seen};
  auto done = d.store->Resolve(waiting.sequence, stale);
  CHECK(!done.ok() && done.error().code == Code::kBusy);
  STRCMP_EQUAL("3", d.Get(a, "value").c_str());
}

TEST(Conflicts, AnEditOfARowInConflictIsKeptAndMeetsItAgain) {
  Update();
  d.Put(a, R"("value":3)");
  STRCMP_EQUAL("3", d.Get(a, "value").c_str());
  LONGS_EQUAL(1, long(d.Push().push.conflicts));
  CHECK(d.Errors().at(0).local.find(R"("value":3)") != std::string::npos);
  CHECK(d.Resolve(d.Errors()[0], Keep::kLocal).ok());
  EndsWith("s", "3");
}

TEST(Conflicts, OneConflictInTheMiddleBlocksNobody) {
  for (const char* name : {"a", "b", "c"}) d.Put(scene.S(name), R"("value":1)");
  CHECK(d.Push().outcome.ok());
  scene.TheyPut(b, R"("value":100)");
  for (const char* name : {"a", "b", "c"}) d.Put(scene.S(name), R"("value":2)");
  const auto result = d.Push();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(2, long(result.push.pushed));
  LONGS_EQUAL(1, long(result.push.conflicts));
  STRCMP_EQUAL("2", scene.Remote(scene.S("c"), "value").c_str());
}

TEST(Conflicts, ARowInConflictIsNotSentAgainByItself) {
  Update();
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(0, long(d.wire->exchanges.size()));
  LONGS_EQUAL(1, long(d.Errors().size()));
}

TEST(Conflicts, APullLeavesARowInConflictAlone) {
  Update();
  CHECK(d.Pull().skipped_pending >= 1);
  STRCMP_EQUAL("2", d.Get(a, "value").c_str());
  CHECK(d.Resolve(d.Errors().at(0), Keep::kServer).ok());
  EndsWith("theirs", "1");
}

TEST(Conflicts, TheSameChangeOnBothSidesIsNoConflict) {
  d.Put(a, R"("sensor":"s","value":1)");
  CHECK(d.Push().outcome.ok());
  scene.TheyPut(a, R"("sensor":"s","value":2)");
  d.Put(a, R"("value":2)");
  const auto result = d.Push();
  LONGS_EQUAL(0, long(result.push.conflicts));
  EndsWith("s", "2");
}

// ---------------------------------------------------------------------------- each pair of kinds

TEST(Conflicts, InsertInsert_EachWayOut) {
  for (const Keep keep : {Keep::kLocal, Keep::kServer, Keep::kMerged, Keep::kNeither}) {
    a = scene.S("a" + std::to_string(int(keep)));
    scene.TheyPut(a, R"("sensor":"theirs","value":7)");
    d.Put(a, R"("sensor":"ours","value":1)");
    LONGS_EQUAL(1, long(d.Push().push.conflicts));
    CHECK(d.Resolve(d.Errors().at(0), keep, keep == Keep::kMerged ? R"("value":9)" : "").ok());
    const bool ours = keep == Keep::kLocal;
    EndsWith(ours ? "ours" : "theirs", ours ? "1" : keep == Keep::kMerged ? "9" : "7");
  }
}

TEST(Conflicts, UpdateDelete_EachWayOut) {
  for (const Keep keep : {Keep::kLocal, Keep::kServer, Keep::kMerged, Keep::kNeither}) {
    a = scene.S("a" + std::to_string(int(keep)));
    d.Put(a, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    scene.TheyDelete(a);
    d.Put(a, R"("value":2)");
    LONGS_EQUAL(1, long(d.Push().push.conflicts));
    CHECK(d.Resolve(d.Errors().at(0), keep, keep == Keep::kMerged ? R"("value":9)" : "").ok());
    const bool lives = keep == Keep::kLocal || keep == Keep::kMerged;
    EndsWith(lives ? "s" : "no such row", lives ? (keep == Keep::kMerged ? "9" : "2") : nullptr);
  }
}

TEST(Conflicts, DeleteUpdate_EachWayOut) {
  for (const Keep keep : {Keep::kLocal, Keep::kServer, Keep::kMerged, Keep::kNeither}) {
    a = scene.S("a" + std::to_string(int(keep)));
    d.Put(a, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    scene.TheyPut(a, R"("sensor":"theirs","value":1)");
    CHECK(d.Delete(a));
    LONGS_EQUAL(1, long(d.Push().push.conflicts));
    CHECK(d.Resolve(d.Errors().at(0), keep, keep == Keep::kMerged ? R"("value":9)" : "").ok());
    const bool lives = keep != Keep::kLocal;
    EndsWith(lives ? "theirs" : "no such row",
             lives ? (keep == Keep::kMerged ? "9" : "1") : nullptr);
  }
}

TEST(Conflicts, DeleteDelete_IsNoConflict) {
  d.Put(a, R"("value":1)");
  CHECK(d.Push().outcome.ok());
  scene.TheyDelete(a);
  CHECK(d.Delete(a));
  LONGS_EQUAL(0, long(d.Push().push.conflicts));
  EndsWith("no such row", nullptr);
}

TEST(Conflicts, Undelete_AnIdThatWasDeletedLivesAgain) {
  d.Put(a, R"("sensor":"s","value":1)");
  CHECK(d.Push().outcome.ok());
  CHECK(d.Delete(a));
  CHECK(d.Push().outcome.ok());
  d.Put(a, R"("sensor":"again")");
  CHECK(d.Push().outcome.ok());
  EndsWith("again", "");
}

TEST(Conflicts, Undelete_OfARowThatSomebodyDeletedAndRaisedAgain) {
  d.Put(a, R"("sensor":"s","value":1)");
  CHECK(d.Push().outcome.ok());
  scene.TheyDelete(a);
  CHECK(d.Pull().outcome.ok());
  scene.TheyPut(a, R"("sensor":"raised","value":5)");
  CHECK(d.Pull().outcome.ok());
  EndsWith("raised", "5");
}

// --------------------------------------------------------------------------------------- policies

TEST(Conflicts, Policies_EachRuleEachPair) {
  const struct {
    const char* name;
    Rule rule, both_changed;
    bool deleted_here, deleted_there;
    const char *sensor, *value;
  } cases[] = {
      {"server", Rule::kServer, Rule::kAsk, false, false, "theirs", "1"},
      {"server, deleted here", Rule::kServer, Rule::kAsk, true, false, "theirs", "1"},
      {"server, deleted there", Rule::kServer, Rule::kAsk, false, true, "no such row", nullptr},
      {"client", Rule::kClient, Rule::kAsk, false, false, "s", "2"},
      {"client, deleted here", Rule::kClient, Rule::kAsk, true, false, "no such row", nullptr},
      {"client, deleted there", Rule::kClient, Rule::kAsk, false, true, "s", "2"},
      {"merge", Rule::kMerge, Rule::kAsk, false, false, "theirs", "2"},
      {"merge, deleted here", Rule::kMerge, Rule::kServer, true, false, "theirs", "1"},
      {"merge, deleted there", Rule::kMerge, Rule::kClient, false, true, "s", "2"},
  };
  int number = 0;
  for (const auto& c : cases) {
    a = scene.S("a" + std::to_string(++number));
    d.Put(a, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    if (c.deleted_there) {
      scene.TheyDelete(a);
    } else {
      scene.TheyPut(a, R"("sensor":"theirs","value":1)");
    }
    if (c.deleted_here) {
      CHECK(d.Delete(a));
    } else {
      d.Put(a, R"("value":2)");
    }
    d.options.push_options.policies[0] = {c.rule, c.both_changed};
    const auto result = d.Push();
    CHECK_TRUE_TEXT(result.outcome.ok(), c.name);
    LONGS_EQUAL_TEXT(1, long(result.push.resolved), c.name);
    LONGS_EQUAL_TEXT(0, long(result.push.conflicts), c.name);
    LONGS_EQUAL_TEXT(number, long(d.Log().size()), c.name);
    EndsWith(c.sensor, c.value);
  }
}

TEST(Conflicts, Policy_MergeOfTheSameColumnAsks) {
  d.Put(a, R"("sensor":"s","value":1)");
  CHECK(d.Push().outcome.ok());
  scene.TheyPut(a, R"("sensor":"s","value":100)");
  d.Put(a, R"("value":2)");
  d.options.push_options.policies[0] = {Rule::kMerge, Rule::kAsk};
  LONGS_EQUAL(1, long(d.Push().push.conflicts));
  LONGS_EQUAL(0, long(d.Log().size()));
}

TEST(Conflicts, Policy_NewestComparesTheTimeOfTheEditWithTheServers) {
  // The later edit is theirs here: the clocks of both sides are this machine's, or the
  // simulation's.
  d.Put(a, R"("sensor":"s","value":1)");
  CHECK(d.Push().outcome.ok());
  d.Put(a, R"("value":2)");
  scene.Later(60);
  scene.TheyPut(a, R"("sensor":"theirs","value":1)");
  d.options.push_options.policies[0] = {Rule::kNewest, Rule::kAsk};
  LONGS_EQUAL(1, long(d.Push().push.resolved));
  EndsWith("theirs", "1");
}

TEST(Conflicts, Policy_AFastHandOnTheServerDoesNotHoldUpThePush) {
  d.Put(a, R"("sensor":"s","value":1)");
  CHECK(d.Push().outcome.ok());
  d.Put(a, R"("value":2)");
  d.Put(b, R"("value":2)");
  d.options.push_options.policies[0] = {Rule::kClient, Rule::kAsk};
  int theirs = 0;
  d.wire->on_request = [&](const transport::Request& request, int) {
    const bool write = request.method == Method::kUpdate || request.method == Method::kReplace;
    if (write && request.id == a) {
      scene.TheyPut(a, "\"sensor\":\"theirs" + std::to_string(++theirs) + "\",\"value\":1");
    }
    return Fate();
  };
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  CHECK(theirs < 20);
  STRCMP_EQUAL("2", scene.Remote(b, "value").c_str());
  d.wire->on_request = nullptr;
  EndsWith("s", "2");
}

}  // namespace holdfast::test
