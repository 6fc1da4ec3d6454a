// SPDX-License-Identifier: Apache-2.0
// The queue and its order (README.md here: 6, D.1, D.5, D.6), the gaps that no client's tests cover
// (D.9) and the traps (E) that have no case of their own elsewhere.
#include "tests/conformance/scene.h"

namespace holdfast::test {

// clang-format off
TEST_GROUP(Pushes) {
  Scene scene;
  Device& d = scene.device();
  std::string a = scene.S("a"), b = scene.S("b"), c = scene.S("c");

  void Synced(const std::string& id) {
    d.Put(id, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    d.wire->Forget();
  }
};
// clang-format on

TEST(Pushes, OperationsAreSentInTheOrderOfQueueing) {
  if (scene.bulk()) return;
  Synced(a);
  Synced(b);
  d.Put(c, R"("value":1)");
  CHECK(d.Delete(b));
  d.Put(a, R"("value":2)");
  STRCMP_EQUAL("I c 1, D b 1, U a 1", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  std::vector<Method> writes;
  for (const Exchange& exchange : d.wire->exchanges) writes.push_back(exchange.method);
  CHECK(writes.at(0) == Method::kInsert && writes.at(1) == Method::kDelete);
  scene.CheckEqual(d);
}

TEST(Pushes, TheOrderSurvivesARestart) {
  for (const char* name : {"z", "m", "a"}) d.Put(scene.S(name), R"("value":1)");
  d.PowerCycle();
  STRCMP_EQUAL("I z 1, I m 1, I a 1", d.Queue().c_str());
}

TEST(Pushes, InsertCarriesNoVersionUpdateAndDeleteTheirs) {
  if (scene.bulk()) return;
  Synced(a);
  const std::string version = d.Get(a, "version");
  d.Put(a, R"("value":2)");
  d.Put(b, R"("value":1)");
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL(version.c_str(), d.wire->exchanges.at(0).if_match.c_str());
  STRCMP_EQUAL("", d.wire->exchanges.back().if_match.c_str());
  d.wire->Forget();
  const std::string next = d.Get(a, "version");
  CHECK(d.Delete(a));
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL(next.c_str(), d.wire->exchanges.at(0).if_match.c_str());
}

TEST(Pushes, TablesMayBeChosen) {
  d.Put(a, R"("value":1)");
  SessionOptions none = d.options;
  none.push_options.tables = 0;
  CHECK(d.Visit(none).outcome.ok());
  STRCMP_EQUAL("I a 1", d.Queue().c_str());
  SessionOptions one = d.options;
  one.push_options.tables = 1;
  CHECK(d.Visit(one).outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Pushes, WritesDuringAPushLoseNothing) {
  for (int n = 0; n < 20; ++n) d.Put(scene.S("r" + std::to_string(n)), R"("value":1)");
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    fate.meanwhile = [this, number] {
      d.Put(scene.S("r" + std::to_string(number % 20)), R"("value":2)");
      if (number < 20) d.Put(scene.S("n" + std::to_string(number)), R"("value":3)");
      if (number == 7) CHECK(d.Delete(scene.S("r11")));
    };
    return number < 60 ? fate : Fate();
  };
  CHECK(d.Push().outcome.ok());
  d.wire->on_request = nullptr;
  d.Settle();
  STRCMP_EQUAL("", d.Queue().c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
  scene.CheckEqual(d);
}

TEST(Pushes, AllTypesComeBackAsTheyWere) {
  const char* const values[] = {
      R"("sensor":"","value":0,"quality":0)",
      R"("sensor":"it's \"quoted\" \\ \u00e4\u20ac\ud83d\ude00","value":-1.5e-7,"quality":-42)",
      R"("sensor":"line\nbreak\ttab","value":1e15,"quality":9007199254740991)",
      R"("sensor":null,"value":null,"quality":null)",
      R"("sensor":"0123","value":0.1,"quality":1)",
  };
  int number = 0;
  for (const char* columns : values) d.Put(scene.S(std::to_string(++number)), columns);
  const Rows before = d.Local();
  d.Settle();
  Device& other = scene.device("two");
  CHECK(other.Pull().outcome.ok());
  for (const auto& [id, row] : before) {
    for (const char* column : {"sensor", "value", "quality"}) {
      STRCMP_EQUAL(row.at(column).c_str(), d.Get(id, column).c_str());
      STRCMP_EQUAL(row.at(column).c_str(), other.Get(id, column).c_str());
    }
  }
}

TEST(Pushes, ALongLifeOfARow) {
  d.Put(a, R"("value":1)");
  d.Settle();
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
  d.Put(a, R"("value":2)");
  d.Settle();
  STRCMP_EQUAL("2", scene.Remote(a, "value").c_str());
  CHECK(d.Delete(a));
  STRCMP_EQUAL("no such row", d.Get(a, "value").c_str());
  d.Settle();
  CHECK(!scene.Alive(a));
  CHECK(d.Purge().ok());
  d.Settle();
  STRCMP_EQUAL("no such row", d.Get(a, "value").c_str());
}

// ------------------------------------------------------------------------------- D.9: the gaps

TEST(Pushes, GapC_InsertThatFailedThenDeleted) {
  d.Put(a, R"("value":1)");
  d.wire->on_request = [](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 400, .body = "{}"};
  };
  LONGS_EQUAL(1, long(d.Push().push.parked));
  d.wire->on_request = nullptr;
  CHECK(d.Delete(a));
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
}

TEST(Pushes, GapH_503InTheMiddleStopsThereAndKeepsTheOrder) {
  if (scene.bulk()) return;
  for (const char* name : {"a", "b", "c", "d"}) d.Put(scene.S(name), R"("value":1)");
  d.wire->on_request = [](const transport::Request&, int number) {
    Fate busy{.kind = Fate::Kind::kInstead, .status = 503, .body = "{}"};
    return number == 3 ? busy : Fate();
  };
  const auto result = d.Push();
  CHECK(!result.outcome.ok());
  LONGS_EQUAL(2, long(result.push.pushed));
  LONGS_EQUAL(3, long(d.wire->exchanges.size()));
  STRCMP_EQUAL("I c 1, I d 1", d.Queue().c_str());
  d.wire->on_request = nullptr;
  CHECK(d.Push().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pushes, GapI_CancelledBetweenTheAnswerAndItsRecording) {
  for (const char* name : {"a", "b", "c"}) d.Put(scene.S(name), R"("value":1)");
  agent::PushOptions options;
  options.write_back_interval = hal::Duration::Seconds(100);  // outcomes are gathered meanwhile
  agent::Push push(*d.store, *d.wire, scene.clock(), options, TheWorkspace());
  while (d.wire->exchanges.size() < 2) push.Step(hal::Duration::Milliseconds(100));
  push.Cancel();
  while (!push.Step(hal::Duration::Milliseconds(100))) {
  }
  const auto left = d.Operations().size();
  CHECK(left >= 1 && left <= 2);  // what was acknowledged is recorded
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(0, long(d.Errors().size()));
  scene.CheckEqual(d);
}

TEST(Pushes, GapO_2xxWithAnEmptyBodyForEachKind) {
  for (const char kind : {'I', 'U', 'D'}) {
    const std::string id = scene.S(std::string(1, kind));
    d.Put(id, R"("value":1)");
    if (kind != 'I') CHECK(d.Push().outcome.ok());
    if (kind == 'U') d.Put(id, R"("value":2)");
    if (kind == 'D') CHECK(d.Delete(id));
    d.wire->Forget();
    d.wire->on_request = [](const transport::Request&, int number) {
      Fate empty{.kind = Fate::Kind::kDisguised, .status = 204, .body = ""};
      return number == 1 ? empty : Fate();
    };
    // Of many operations nothing at all tells nothing; they go again, under the same names.
    const bool done = d.Push().outcome.ok();
    CHECK(done || (scene.bulk() && d.Push().outcome.ok()));
    d.wire->on_request = nullptr;
    STRCMP_EQUAL("", d.Queue().c_str());
    if (kind != 'D') {
      STRCMP_EQUAL(scene.Remote(id, "version").c_str(), d.Get(id, "version").c_str());
    }
    scene.CheckEqual(d);
  }
}

TEST(Pushes, GapP_ARowThatVanishedWithoutATraceDoesNotPoisonTheQueue) {
  Synced(a);
  d.Put(a, R"("value":2)");
  d.Put(b, R"("value":1)");
  // Somebody who knows how to go past the triggers: our own purge of the row, operation left.
  d.store.reset();
  {
    sqlite3* database = nullptr;
    CHECK(sqlite3_open_v2("device.db", &database, SQLITE_OPEN_READWRITE, d.storage.vfs_name()) ==
          SQLITE_OK);
    CHECK(sqlite3_db_config(database, SQLITE_DBCONFIG_ENABLE_TRIGGER, 0, nullptr) == SQLITE_OK);
    const std::string sql = "DELETE FROM readings WHERE id='" + a + "'";
    CHECK(sqlite3_exec(database, sql.c_str(), nullptr, nullptr, nullptr) == SQLITE_OK);
    sqlite3_close(database);
  }
  d.Restart();
  const auto result = d.Push();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(1, long(result.push.pushed));
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Pushes, GapL_TwoTablesWithTheSameQueryIdAndTheSameRowId) {
  transport::SimServer* const sim = scene.simulated();
  if (sim == nullptr) return;  // the real servers have one table for this suite
  store::Column column;
  CHECK(column.name.Assign("value").ok());
  column.type = ColumnType::kReal;
  CHECK(d.store->DefineTable({.name = "places", .columns = {&column, 1}}).ok());
  SessionOptions options;
  options.push = false;
  options.pull_options.query_id = "same";
  scene.TheyPut(a, R"("value":1)");
  options.pull_tables = 1;
  CHECK(d.Visit(options).outcome.ok());
  sim->Put("places", "{\"id\":\"" + a + "\",\"value\":2}");
  sim->Backdate("places", a, hal::Duration::Seconds(1000));  // behind the other table's token
  options.pull_tables = 2;
  LONGS_EQUAL(1, long(d.Visit(options).pulls[1].received));
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
  d.Put(a, R"("value":5)");
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(1, long(sim->table("places").size()));
  scene.CheckEqual(d);
}

TEST(Pushes, GapQ_AChildGoesAfterItsParentAlsoWhenThatWasRefusedFirst) {
  d.Put(a, R"("sensor":"parent")");
  d.Put(b, "\"sensor\":\"child of " + a + "\"");
  d.wire->on_request = [&](const transport::Request& request, int) {
    // The server takes no child without its parent.
    const bool parent = request.body.find("parent") != std::string_view::npos;
    const bool orphan = !parent && !scene.Alive(a);
    Fate refuse{.kind = Fate::Kind::kInstead, .status = 400, .body = "{}"};
    const bool first_time = parent && d.wire->exchanges.size() == 1;
    return first_time || orphan ? refuse : Fate();
  };
  LONGS_EQUAL(2, long(d.Push().push.parked));
  d.options.retry_parked = true;
  LONGS_EQUAL(2, long(d.Push().push.pushed));
  scene.CheckEqual(d);
}

TEST(Pushes, GapR_PurgeThenIncrementalPullBringsTheRowsBack) {
  Synced(a);
  CHECK(d.Pull().outcome.ok());
  CHECK(d.Purge().ok());
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
}

TEST(Pushes, GapS_ADiskThatIsFullAtAnyWriteLosesNothing) {
  for (std::uint64_t n = 1; n < 60; n += 3) {
    const std::string id = scene.S("r" + std::to_string(n));
    d.Put(id, R"("value":1)");
    d.storage.Inject({.effect = hal::SimEffect::kNoSpace, .at = n, .times = 2});
    (void)d.Push();
    (void)d.Pull();
    d.storage.ClearFaults();
    CHECK(d.Push().outcome.ok());
    STRCMP_EQUAL("", d.Queue().c_str());
    LONGS_EQUAL(0, long(d.Errors().size()));
  }
  d.Settle();
  scene.CheckEqual(d);
}

TEST(Pushes, GapS_APowerCutAtAnyWriteLosesNothing) {
  for (std::uint64_t n = 1; n < 60; n += 3) {
    const std::string id = scene.S("r" + std::to_string(n));
    d.Put(id, R"("value":1)");
    d.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = n});
    (void)d.Push();
    d.PowerCycle();
    CHECK(d.Push().outcome.ok());
    STRCMP_EQUAL("", d.Queue().c_str());
    LONGS_EQUAL(0, long(d.Errors().size()));
  }
  d.Settle();
  scene.CheckEqual(d);
}

TEST(Pushes, GapM_AChangeThatIsCommittedLateIsNotLost) {
  // Ours dates a change when it commits it, and Node's commits one change after the other: only a
  // simulated one can be late.
  transport::SimServer* const sim = scene.simulated();
  if (sim == nullptr || std::string(scene.server()) == "sim") return;
  scene.TheyPut(a, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  sim->Put("readings", "{\"id\":\"" + b + "\",\"value\":2}");
  sim->Backdate("readings", b, hal::Duration::Milliseconds(1500));
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

// --------------------------------------------------------------------------------- E: the traps

TEST(Pushes, Trap1_ARowAndItsOperationAreOneTransaction) {
  for (std::uint64_t n = 1; n < 30; ++n) {
    const std::string id = scene.S("r" + std::to_string(n));
    d.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = n});
    const bool done = d.TryPut(id, R"("value":1)");
    d.PowerCycle();
    const bool row = d.Local().count(id) == 1;
    CHECK(row || !done);
    LONGS_EQUAL(row ? 1 : 0, long(d.Operations().size()));
    CHECK(d.Push().outcome.ok());
  }
  scene.CheckEqual(d);
}

TEST(Pushes, Trap16_AServerInTroubleIsAskedOnceAndNotOncePerRow) {
  for (int n = 0; n < 30; ++n) d.Put(scene.S(std::to_string(n)), R"("value":1)");
  d.wire->on_request = [](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 500, .body = "{}"};
  };
  CHECK(!d.Push().outcome.ok());
  LONGS_EQUAL(1, long(d.wire->exchanges.size()));
  LONGS_EQUAL(30, long(d.Operations().size()));
}

TEST(Pushes, Trap19_TheServersRowComesBackAfterADeleteThatLost) {
  Synced(a);
  scene.TheyPut(a, R"("sensor":"theirs","value":1)");
  CHECK(d.Delete(a));
  d.options.push_options.policies[0] = {Rule::kServer, Rule::kAsk};
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL("theirs", d.Get(a, "sensor").c_str());
  scene.CheckEqual(d);
}

TEST(Pushes, Trap20_AnEchoInsteadOfTheServersRowIsNotTakenForIt) {
  scene.TheyPut(a, R"("sensor":"theirs","value":7)");
  d.Put(a, R"("sensor":"ours","value":1)");
  d.wire->on_request = [&](const transport::Request& request, int number) {
    Fate echo{.kind = Fate::Kind::kInstead, .status = 409, .body = std::string(request.body)};
    return number == 1 ? echo : Fate();
  };
  LONGS_EQUAL(1, long(d.Push().push.conflicts));
  CHECK(d.Errors().at(0).server.find("theirs") != std::string::npos);
}

// ------------------------------------------------------------------------------------- handlers

namespace {

class Aborts : public agent::SyncHandler {
 public:
  int sent = 0, after = 0;
  Before BeforeSend(const store::Operation&, RowView, RowFields&) override {
    return ++sent == 2 ? Before::kAbort : Before::kSend;
  }
  void AfterPush(const agent::PushResult&) override { ++after; }
};

}  // namespace

TEST(Pushes, Handler_AbortsAndTheRestIsUntouched) {
  Aborts handler;
  for (const char* name : {"a", "b", "c"}) d.Put(scene.S(name), R"("value":1)");
  d.options.push_options.handler = &handler;
  CHECK(d.Push().outcome.error().code == Code::kCancelled);
  LONGS_EQUAL(1, handler.after);
  STRCMP_EQUAL("I b 1, I c 1", d.Queue().c_str());
  d.options.push_options.handler = nullptr;
  CHECK(d.Push().outcome.ok());
  scene.CheckEqual(d);
}

// ---------------------------------------------------------------------------------------- store

TEST(Pushes, Store_AnUnknownColumnIsRefusedHere) {
  CHECK(!d.TryPut(a, R"("nobody":1)"));
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Pushes, Store_AColumnInAnotherCaseIsTheSame) {
  d.Put(a, R"("VALUE":1)");
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
}

TEST(Pushes, Store_AnUnchangedServerVersionIsNoEvent) {
  class Counts : public agent::SyncHandler {
   public:
    int stored = 0;
    void OnPulled(const store::Table&, RowView, store::Applied) override { ++stored; }
  } handler;
  scene.TheyPut(a, R"("value":1)");
  d.options.pull_options.handler = &handler;
  CHECK(d.Pull().outcome.ok());
  const int first = handler.stored;
  CHECK(first >= 1);
  CHECK(d.Pull().outcome.ok());
  LONGS_EQUAL(first, handler.stored);
}

}  // namespace holdfast::test
