// SPDX-License-Identifier: Apache-2.0
// Conflicts and refusals that are settled: by policy, by a handler, by a person, by purge.
#include <vector>

#include "tests/agent/sync/world.h"

namespace holdfast::test {
namespace {

using agent::ConflictPolicy;
using agent::Rule;
using agent::SessionOptions;
using agent::SyncHandler;
using store::Keep;

// Push and pull until nothing moves.
agent::SessionResult Settle(World& world, const SessionOptions& wanted = {}) {
  agent::SessionResult result;
  for (int i = 0; i < 4; ++i) {
    SessionOptions options = wanted;
    options.pull_tables = 1;
    result = world.Visit(options);
    CHECK(result.outcome.ok());
  }
  return result;
}

SessionOptions With(ConflictPolicy policy, SyncHandler* handler = nullptr) {
  SessionOptions options;
  options.push_options.policies[0] = policy;
  options.push_options.handler = handler;
  return options;
}

// What was decided, a line each: "rule kept local | server".
std::string Decisions(World& world) {
  class Sink : public store::ResolutionSink {
   public:
    std::string text;
    Result<void> OnResolution(const store::ResolutionRecord& record) override {
      text += std::string(record.rule) + " " + std::to_string(int(record.keep)) + " " +
              std::string(record.local_row) + " | " + std::string(record.server_row) + "\n";
      return Ok();
    }
  } sink;
  std::vector<char> room(1 << 16);
  Arena arena(room);
  CHECK(world.store->Resolutions(arena, sink).ok());
  return sink.text;
}

store::Operation First(World& world) {
  store::Operation operation;
  auto found = world.store->Next(0, ~std::uint64_t{0}, operation);
  CHECK(found.ok() && *found);
  return operation;
}

SimFault Refuse(int status, const char* body) {
  SimFault fault;
  fault.kind = SimFault::Kind::kInstead;
  fault.answer.status = status;
  fault.answer.body = body;
  return fault;
}

// The row {t, 1} is changed on both sides.
void Dispute(World& world, bool deleted_here, bool deleted_there) {
  world.Put("a", 1);
  CHECK(Settle(world).outcome.ok());
  world.clock.Advance(hal::Duration::Seconds(10));
  if (deleted_there) {
    world.server.Delete("readings", "a");
  } else {
    world.server.Put("readings", R"({"id":"a","sensor":"theirs","value":1})");
  }
  if (deleted_here) {
    world.Delete("a");
  } else {
    world.Put("a", 200);
  }
}

}  // namespace

TEST_GROUP(Settling){};

TEST(Settling, EachPolicyEndsEqualAndLogsWhatItOverwrote) {
  const struct {
    ConflictPolicy policy;
    bool deleted_here, deleted_there;
    const char* row;  // what both sides hold in the end; "": nothing
    const char* decided;
  } cases[] = {
      {{Rule::kServer, Rule::kAsk}, false, false, "theirs 1.000000", "server 1"},
      {{Rule::kServer, Rule::kAsk}, true, false, "theirs 1.000000", "server 1"},
      {{Rule::kServer, Rule::kAsk}, false, true, "", "server 1"},
      {{Rule::kClient, Rule::kAsk}, false, false, "t 200.000000", "client 0"},
      {{Rule::kClient, Rule::kAsk}, true, false, "", "client 0"},
      {{Rule::kClient, Rule::kAsk}, false, true, "t 200.000000", "client 0"},
      {{Rule::kMerge, Rule::kAsk}, false, false, "theirs 200.000000", "merge 2"},
      {{Rule::kMerge, Rule::kClient}, true, false, "", "client 0"},
      {{Rule::kMerge, Rule::kServer}, false, true, "", "server 1"},
      {{Rule::kMerge, Rule::kClient}, false, true, "t 200.000000", "client 0"},
  };
  for (const SimFlavour flavour : {SimFlavour::kHoldfast, SimFlavour::kNode}) {
    for (const auto& c : cases) {
      World world(flavour);
      Dispute(world, c.deleted_here, c.deleted_there);
      const auto pushed = world.Visit(With(c.policy));
      CHECK(pushed.outcome.ok());
      LONGS_EQUAL_TEXT(0, long(pushed.push.conflicts), c.decided);
      LONGS_EQUAL_TEXT(1, long(pushed.push.resolved), c.decided);
      Settle(world, With(c.policy));
      world.CheckEqual(c.decided);
      STRCMP_EQUAL_TEXT(c.row, world.Local()["a"].c_str(), c.decided);
      const std::string log = Decisions(world);
      STRCMP_EQUAL(c.decided, log.substr(0, std::string(c.decided).size()).c_str());
      CHECK_EQUAL(!c.deleted_there, log.find("theirs") != std::string::npos);
      LONGS_EQUAL(0, long(world.Operations()));
    }
  }
}

TEST(Settling, TwoInsertsOfOneIdAreSettledByPolicy) {
  for (const Rule rule : {Rule::kServer, Rule::kClient}) {
    World world;
    world.server.Put("readings", R"({"id":"a","sensor":"theirs","value":1})");
    world.Put("a", 2, "ours");
    Settle(world, With({rule, Rule::kAsk}));
    world.CheckEqual("inserted twice");
    STRCMP_EQUAL(rule == Rule::kServer ? "theirs 1.000000" : "ours 2.000000",
                 world.Local()["a"].c_str());
  }
}

TEST(Settling, TheNewestWinsAndAClockThatWasNeverSetAsks) {
  for (const int ours_after_s : {-20, 20}) {
    for (const bool clock_set : {true, false}) {
      World world;
      world.Put("a", 1);
      Settle(world);
      const auto edit = [&] {
        if (!clock_set) world.clock.SetWall(5000, hal::WallQuality::kUnset);
        world.Put("a", 200);
        if (!clock_set) world.clock.SetWall(hal::SimClock::kStartUnixMs);
      };
      if (ours_after_s < 0) edit();
      world.clock.Advance(hal::Duration::Seconds(20));
      world.server.Put("readings", R"({"id":"a","sensor":"theirs","value":1})");
      world.clock.Advance(hal::Duration::Seconds(20));
      if (ours_after_s > 0) edit();
      const auto pushed = world.Visit(With({Rule::kNewest, Rule::kAsk}));
      LONGS_EQUAL(clock_set ? 0 : 1, long(pushed.push.conflicts));
      if (!clock_set) continue;
      Settle(world);
      world.CheckEqual("newest");
      STRCMP_EQUAL(ours_after_s > 0 ? "t 200.000000" : "theirs 1.000000",
                   world.Local()["a"].c_str());
    }
  }
}

TEST(Settling, APolicyThatCannotDecideKeepsBothCopies) {
  World world;
  world.Put("a", 1);
  Settle(world);
  world.server.Put("readings", R"({"id":"a","sensor":"t","value":100})");
  world.Put("a", 200);
  const auto pushed = world.Visit(With({Rule::kMerge, Rule::kAsk}));
  LONGS_EQUAL(1, long(pushed.push.conflicts));
  LONGS_EQUAL(0, long(pushed.push.resolved));
  STRCMP_EQUAL("", Decisions(world).c_str());
}

TEST(Settling, ALostAnswerAfterADecisionIsRecognised) {
  World world;
  Dispute(world, false, false);
  int writes = 0;
  world.transport.set_fault_source([&](const transport::Request& request) {
    SimFault fault;
    const bool write = request.method == transport::Method::kUpdate;
    if (write && ++writes == 2) fault.kind = SimFault::Kind::kUnanswered;
    return fault;
  });
  CHECK(!world.Visit(With({Rule::kClient, Rule::kAsk})).outcome.ok());
  world.transport.set_fault_source({});
  const auto again = world.Visit(With({Rule::kAsk, Rule::kAsk}));
  CHECK(again.outcome.ok());
  LONGS_EQUAL(0, long(again.push.conflicts));
  LONGS_EQUAL(1, long(again.push.recognised));
  world.CheckEqual("recognised");
}

TEST(Settling, ADeletedIdThatIsInsertedAgainLivesOnEveryServer) {
  for (const SimFlavour flavour :
       {SimFlavour::kHoldfast, SimFlavour::kNode, SimFlavour::kToolkit}) {
    World world(flavour);
    world.Put("a", 1);
    Settle(world);
    world.Delete("a");
    Settle(world);
    world.Put("a", 2, "again");
    LONGS_EQUAL(0, long(Settle(world).push.conflicts));
    world.CheckEqual("inserted again");
    STRCMP_EQUAL("again 2.000000", world.Remote()["a"].c_str());
  }
}

TEST(Settling, APersonMergesOrGivesUp) {
  for (const bool deleted_here : {false, true}) {
    for (const bool deleted_there : {false, true}) {
      for (const Keep keep : {Keep::kMerged, Keep::kNeither}) {
        World world;
        Dispute(world, deleted_here, deleted_there);
        if (deleted_here && deleted_there) continue;
        LONGS_EQUAL(1, long(world.PushOnce().push.conflicts));
        char room[4096];
        Arena arena(room);
        RowFields server, merged;
        const std::string json = world.server.Json(*world.server.Find("readings", "a"));
        CHECK(wire::DecodeRow(json, arena, server).ok());
        CHECK(merged.Add("value", ColumnType::kReal, Value::Real(77)).ok());
        store::Resolution resolution{.keep = keep, .rule = "person", .server_row = server.view()};
        if (keep == Keep::kMerged) resolution.merged = merged.view();
        CHECK(world.store->Resolve(First(world).sequence, resolution).ok());
        Settle(world);
        world.CheckEqual("settled by a person");
        const std::string row = world.Local()["a"];
        if (keep == Keep::kNeither) {
          STRCMP_EQUAL(deleted_there ? "" : "theirs 1.000000", row.c_str());
        } else {
          STRCMP_EQUAL(deleted_there ? "t 77.000000" : "theirs 77.000000", row.c_str());
        }
        CHECK(Decisions(world).rfind("person", 0) == 0);
      }
    }
  }
}

// A server shows only the columns that it keeps.
TEST(Settling, AnEditOfAColumnThatTheServerDoesNotShowIsTakenBackWithTheOthers) {
  for (const Keep keep : {Keep::kServer, Keep::kNeither}) {
    World world;
    world.server.Put("readings", R"({"id":"a","value":1})");
    Settle(world);
    world.server.Put("readings", R"({"id":"a","value":100})");
    world.Put("a", 2, "ours");
    LONGS_EQUAL(1, long(world.PushOnce().push.conflicts));
    char room[4096];
    Arena arena(room);
    RowFields server;
    const std::string json = world.server.Json(*world.server.Find("readings", "a"));
    CHECK(json.find("sensor") == std::string::npos);
    CHECK(wire::DecodeRow(json, arena, server).ok());
    CHECK(world.store
              ->Resolve(First(world).sequence,
                        {.keep = keep, .rule = "person", .server_row = server.view()})
              .ok());
    STRCMP_EQUAL(" 100.000000", world.Local()["a"].c_str());
    Settle(world);
    world.CheckEqual("taken back");
  }
}

TEST(Settling, ARefusedEditThatIsGivenUpLeavesTheRowAsItWas) {
  World world;
  world.Put("a", 1);
  world.Put("gone", 1);
  Settle(world);
  world.Put("a", 2);
  world.Put("new", 3);
  world.Delete("gone");
  world.transport.set_fault_source([](const transport::Request& request) {
    const bool write = request.method != transport::Method::kList;
    return write ? Refuse(403, R"({"error":"no"})") : SimFault();
  });
  LONGS_EQUAL(3, long(world.PushOnce().push.parked));
  world.transport.set_fault_source({});
  for (int i = 0; i < 3; ++i) {
    CHECK(world.store->Resolve(First(world).sequence, {.keep = Keep::kNeither, .rule = "person"})
              .ok());
  }
  LONGS_EQUAL(0, long(world.Operations()));
  STRCMP_EQUAL("t 1.000000", world.Local()["a"].c_str());
  STRCMP_EQUAL("t 1.000000", world.Local()["gone"].c_str());
  LONGS_EQUAL(0, long(world.Local().count("new")));
  Settle(world);
  world.CheckEqual("given up");
  // The row still knows its version: an edit now meets no conflict.
  world.Put("a", 5);
  LONGS_EQUAL(0, long(Settle(world).push.conflicts));
  world.CheckEqual("edited again");
}

TEST(Settling, RefusedRowsAreSentAgainOnRequestOnly) {
  World world;
  world.Put("a", 1);
  int requests = 0;
  bool refuse = true;
  world.transport.set_fault_source([&](const transport::Request&) {
    ++requests;
    return refuse ? Refuse(400, R"({"error":"value: too small"})") : SimFault();
  });
  LONGS_EQUAL(1, long(world.PushOnce().push.parked));
  refuse = false;
  LONGS_EQUAL(0, long(world.PushOnce().push.pushed));
  LONGS_EQUAL(1, requests);
  SessionOptions options;
  options.retry_parked = true;
  LONGS_EQUAL(1, long(world.Visit(options).push.pushed));
  world.CheckEqual("sent again");
}

// ------------------------------------------------------------------------------------- handlers

namespace {

class Handler : public SyncHandler {
 public:
  Before before = Before::kSend;
  Refused refused = Refused::kPark;
  bool change = false, decide = false;
  int seen = 0, refusals = 0, pushes = 0, conflicts = 0;

  Before BeforeSend(const store::Operation&, RowView, RowFields& changed) override {
    ++seen;
    if (change) {
      CHECK(changed.Add("sensor", ColumnType::kText, Value::Text("handled")).ok());
    }
    return before;
  }
  bool OnConflict(const store::Operation&, const store::Store::Copies& copies, RowView server_row,
                  Keep& keep, RowFields&) override {
    ++conflicts;
    CHECK(!copies.local.empty() && !copies.base.empty() && !server_row.empty());
    keep = Keep::kServer;
    return decide;
  }
  Refused OnRefused(const store::Operation&, const Error& error) override {
    ++refusals;
    LONGS_EQUAL(403, error.native);
    return refused;
  }
  void AfterPush(const agent::PushResult&) override { ++pushes; }
};

}  // namespace

TEST(Settling, AHandlerChangesWhatIsSent) {
  World world;
  Handler handler;
  handler.change = true;
  world.Put("a", 1);
  CHECK(world.Visit(With({}, &handler)).outcome.ok());
  LONGS_EQUAL(1, handler.seen);
  LONGS_EQUAL(1, handler.pushes);
  STRCMP_EQUAL("handled 1.000000", world.Remote()["a"].c_str());
  world.CheckEqual("changed by the handler");
}

TEST(Settling, AHandlerSkipsAborts) {
  World world;
  Handler handler;
  handler.before = SyncHandler::Before::kSkip;
  world.Put("a", 1);
  world.Put("b", 1);
  const auto skipped = world.Visit(With({}, &handler));
  CHECK(skipped.outcome.ok());
  LONGS_EQUAL(2, long(skipped.push.skipped));
  LONGS_EQUAL(0, long(skipped.traffic.requests));
  CHECK(First(world).state == store::State::kPending);
  LONGS_EQUAL(0, long(First(world).attempts));

  handler.before = SyncHandler::Before::kAbort;
  const auto aborted = world.Visit(With({}, &handler));
  CHECK(aborted.outcome.error().code == Code::kCancelled);
  LONGS_EQUAL(0, long(aborted.traffic.requests));
  LONGS_EQUAL(2, long(world.Operations()));
}

TEST(Settling, AHandlerDecidesConflictsBeforeThePolicyDoes) {
  World world;
  Dispute(world, false, false);
  Handler handler;
  handler.decide = true;
  const auto pushed = world.Visit(With({Rule::kClient, Rule::kAsk}, &handler));
  LONGS_EQUAL(1, long(pushed.push.resolved));
  STRCMP_EQUAL("theirs 1.000000", world.Local()["a"].c_str());
  CHECK(Decisions(world).rfind("handler 1", 0) == 0);
}

TEST(Settling, AHandlerRetriesParksOrAbortsWhatIsRefused) {
  for (const auto wish :
       {SyncHandler::Refused::kPark, SyncHandler::Refused::kRetry, SyncHandler::Refused::kAbort}) {
    World world;
    Handler handler;
    handler.refused = wish;
    world.Put("a", 1);
    int requests = 0;
    world.transport.set_fault_source([&](const transport::Request&) {
      return ++requests == 1 ? Refuse(403, "{}") : SimFault();
    });
    const auto pushed = world.Visit(With({}, &handler));
    LONGS_EQUAL(1, handler.refusals);
    LONGS_EQUAL(wish == SyncHandler::Refused::kPark ? 1 : 0, long(pushed.push.parked));
    LONGS_EQUAL(wish == SyncHandler::Refused::kRetry ? 1 : 0, long(pushed.push.pushed));
    CHECK_EQUAL(wish != SyncHandler::Refused::kAbort, pushed.outcome.ok());
  }
}

}  // namespace holdfast::test
