// SPDX-License-Identifier: Apache-2.0
// The engine and the store together: faults at every exchange and at every write, edits at the
// worst moment, on each kind of server.
#include <functional>

#include "tests/agent/sync/world.h"

using namespace holdfast;
using namespace holdfast::test;

namespace {

constexpr SimFlavour kFlavours[] = {SimFlavour::kHoldfast, SimFlavour::kNode, SimFlavour::kToolkit};

// Pushes until nothing is left; a fault may end one visit, never all of them.
agent::SessionResult Settle(World& world) {
  agent::SessionResult result;
  for (int visits = 0; visits < 20; ++visits) {
    world.ForgetRetryAfter();
    result = world.PushOnce();
    if (result.outcome.ok() && world.Operations() == 0) break;
  }
  return result;
}

// Two rounds with every kind of operation in them.
void FirstRound(World& world) {
  world.Put("a", 1);
  world.Put("b", 2);
  world.Put("c", 3);
}
void SecondRound(World& world) {
  world.Put("a", 11);
  world.Delete("b");
  world.Put("d", 4);
}

SimFault Fault(SimFault::Kind kind) {
  SimFault fault;
  fault.kind = kind;
  fault.bytes = 7;
  fault.answer.status = 200;
  fault.answer.is_json = false;
  fault.answer.body = "<html>Please log in</html>";
  return fault;
}

// The fault at the n-th exchange from now on.
void PlanAt(World& world, int n, SimFault::Kind kind) {
  for (int i = 0; i < n; ++i) world.transport.Plan({});
  world.transport.Plan(Fault(kind));
}

SimFault Instead(int status, const char* body, bool is_json = true) {
  SimFault fault;
  fault.kind = SimFault::Kind::kInstead;
  fault.answer.status = status;
  fault.answer.is_json = is_json;
  fault.answer.body = body;
  return fault;
}

}  // namespace

TEST_GROUP(Engine){};

TEST(Engine, EveryKindOfOperationArrivesOnEveryKindOfServer) {
  for (const SimFlavour flavour : kFlavours) {
    World world(flavour);
    FirstRound(world);
    CHECK(world.PushOnce().outcome.ok());
    world.CheckEqual("after inserts");
    SecondRound(world);
    const auto result = world.PushOnce();
    CHECK(result.outcome.ok());
    LONGS_EQUAL(3, long(result.push.pushed));
    LONGS_EQUAL(0, long(world.Operations()));
    world.CheckEqual("after an update, a delete and an insert");
  }
}

TEST(Engine, AFaultAtAnyExchangeAppliesEachOperationOnce) {
  constexpr SimFault::Kind kKinds[] = {SimFault::Kind::kNotSent, SimFault::Kind::kUnanswered,
                                       SimFault::Kind::kInstead, SimFault::Kind::kDisguised,
                                       SimFault::Kind::kTruncated};
  for (const SimFlavour flavour : kFlavours) {
    for (const SimFault::Kind kind : kKinds) {
      for (int n = 0; n < 4; ++n) {
        World world(flavour);
        FirstRound(world);
        PlanAt(world, n, kind);
        LONGS_EQUAL(0, long(Settle(world).push.conflicts));
        world.CheckEqual("first round");
        SecondRound(world);
        PlanAt(world, n, kind);
        LONGS_EQUAL(0, long(Settle(world).push.conflicts));
        LONGS_EQUAL(0, long(world.Operations()));
        world.CheckEqual("second round");
        world.CheckInsertedOnce("in the end");
      }
    }
  }
}

TEST(Engine, TheAnswerOfTheQuestionAfterAFaultMayBeLostAsWell) {
  for (const SimFlavour flavour : kFlavours) {
    for (int n = 0; n < 6; ++n) {
      World world(flavour);
      FirstRound(world);
      CHECK(Settle(world).outcome.ok());
      SecondRound(world);
      world.transport.Plan(Fault(SimFault::Kind::kUnanswered));
      PlanAt(world, n, SimFault::Kind::kUnanswered);
      LONGS_EQUAL(0, long(Settle(world).push.conflicts));
      world.CheckEqual("after two lost answers");
      world.CheckInsertedOnce("after two lost answers");
    }
  }
}

TEST(Engine, AnEditAfterALostAnswerIsNoConflictWithOurselves) {
  for (const SimFlavour flavour : kFlavours) {
    for (const bool in_first_round : {true, false}) {
      World world(flavour);
      world.Put("a", 1);
      if (!in_first_round) {
        CHECK(Settle(world).outcome.ok());
        world.Put("a", 2);
      }
      world.transport.Plan(Fault(SimFault::Kind::kUnanswered));
      CHECK_FALSE(world.PushOnce().outcome.ok());
      world.Put("a", 3);
      const auto result = Settle(world);
      LONGS_EQUAL(0, long(result.push.conflicts));
      world.CheckEqual("after the edit");
      world.CheckInsertedOnce("after the edit");
    }
  }
}

TEST(Engine, ADeleteAfterALostAnswerLeavesNoOrphan) {
  for (const SimFlavour flavour : kFlavours) {
    World world(flavour);
    world.Put("a", 1);
    world.transport.Plan(Fault(SimFault::Kind::kUnanswered));
    CHECK_FALSE(world.PushOnce().outcome.ok());
    CHECK(world.Delete("a"));
    LONGS_EQUAL(0, long(Settle(world).push.conflicts));
    LONGS_EQUAL(0, long(world.Operations()));
    world.CheckEqual("no orphan");
  }
}

// What a program may do to a row while its operation is on the way.
TEST(Engine, EditsWhileARequestIsUnderWayAreNeitherLostNorOverwritten) {
  const std::function<void(World&)> edits[] = {
      [](World& world) { world.Put("a", 99); },
      [](World& world) { world.Delete("a"); },
      [](World& world) { world.Delete("a"), world.Put("a", 98, "again"); },
      [](World& world) { world.Put("a", 97), world.Delete("a"); },
  };
  for (const SimFlavour flavour : kFlavours) {
    for (const auto& edit : edits) {
      for (const int kind : {0, 1, 2}) {  // insert, update, delete
        // The Toolkit raises a deleted row by a PUT of its own kind only; here it ends in a
        // conflict.
        if (flavour == SimFlavour::kToolkit && kind == 2) continue;
        World world(flavour);
        world.Put("a", 1);
        if (kind > 0) {
          CHECK(Settle(world).outcome.ok());
          if (kind == 1) world.Put("a", 2);
          if (kind == 2) world.Delete("a");
        }
        bool done = false;
        world.transport.set_fault_source([&](const transport::Request&) {
          if (!done) edit(world);
          done = true;
          return SimFault();
        });
        const auto result = Settle(world);
        CHECK_TRUE_TEXT(done, "the edit was never made");
        LONGS_EQUAL(0, long(result.push.conflicts));
        LONGS_EQUAL(0, long(world.Operations()));
        world.CheckEqual("edited on the way");
      }
    }
  }
}

TEST(Engine, APowerCutAtAnyWriteOfAPushLosesAndRepeatsNothing) {
  for (const SimFlavour flavour : {SimFlavour::kHoldfast, SimFlavour::kNode}) {
    bool reached_end = false;
    for (std::uint64_t n = 1; !reached_end; ++n) {
      World world(flavour);
      FirstRound(world);
      CHECK(Settle(world).outcome.ok());
      SecondRound(world);
      world.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = n});
      const auto result = world.PushOnce(2);
      reached_end = world.storage.powered();
      if (reached_end) CHECK(result.outcome.ok());
      world.PowerCycle();
      LONGS_EQUAL(0, long(Settle(world).push.conflicts));
      LONGS_EQUAL(0, long(world.Operations()));
      world.CheckEqual("after a power cut");
      world.CheckInsertedOnce("after a power cut");
      CHECK(n < 2000);
    }
  }
}

TEST(Engine, AWriteThatTheDiskRefusesEndsThePushAndLosesNothing) {
  for (const hal::SimEffect effect : {hal::SimEffect::kNoSpace, hal::SimEffect::kIo}) {
    bool reached_end = false;
    for (std::uint64_t n = 1; !reached_end; ++n) {
      World world;
      FirstRound(world);
      world.storage.Inject({.effect = effect, .at = n, .times = 3});
      world.PushOnce(2);
      reached_end = world.storage.faults_fired() == 0;
      world.storage.ClearFaults();
      LONGS_EQUAL(0, long(Settle(world).push.conflicts));
      LONGS_EQUAL(0, long(world.Operations()));
      world.CheckEqual("after a refused write");
      world.CheckInsertedOnce("after a refused write");
      CHECK(n < 2000);
    }
  }
}

TEST(Engine, AFailingServerOrLinkStopsThePushAndKeepsTheOrder) {
  struct Case {
    SimFault fault;
    Code code;
  };
  SimFault throttled = Instead(429, "{}");
  throttled.answer.retry_after = hal::Duration::Seconds(30);
  const Case cases[] = {
      {Instead(401, "{}"), Code::kUnauthorized},
      {Instead(500, "{}"), Code::kServerError},
      {Instead(503, "{}"), Code::kThrottled},
      {throttled, Code::kThrottled},
      {Instead(302, ""), Code::kBadAnswer},
      {Instead(200, "<html>", false), Code::kBadAnswer},
      {Instead(200, "{\"id\":"), Code::kBadAnswer},
      {Instead(403, "<html>", false), Code::kBadAnswer},
  };
  for (const Case& c : cases) {
    World world;
    FirstRound(world);
    world.transport.Plan({});
    world.transport.Plan(c.fault);
    const auto result = world.PushOnce();
    CHECK_FALSE(result.outcome.ok());
    STRCMP_EQUAL(std::string(CodeName(c.code)).c_str(),
                 std::string(CodeName(result.outcome.error().code)).c_str());
    LONGS_EQUAL(2, long(result.traffic.requests));
    LONGS_EQUAL(1, long(world.server.table("readings").size()));
    LONGS_EQUAL(2, long(world.Operations()));
    LONGS_EQUAL(0, long(result.push.parked + result.push.conflicts));
    CHECK(Settle(world).outcome.ok());
    world.CheckEqual("afterwards");
  }
}

TEST(Engine, NoRequestIsMadeWhileRetryAfterRunsNorAfterARebootIsItWaitedFor) {
  World world;
  world.Put("a", 1);
  SimFault throttled = Instead(429, "{}");
  throttled.answer.retry_after = hal::Duration::Seconds(30);
  world.transport.Plan(throttled);
  LONGS_EQUAL(1, long(world.PushOnce().traffic.requests));
  world.clock.Advance(hal::Duration::Seconds(20));
  const auto early = world.PushOnce();
  LONGS_EQUAL(0, long(early.traffic.requests));
  CHECK(early.outcome.error().code == Code::kThrottled);
  CHECK(early.retry_after <= hal::Duration::Seconds(10));
  world.clock.Advance(hal::Duration::Seconds(11));
  CHECK(world.PushOnce().outcome.ok());
}

TEST(Engine, NothingIsTriedWithoutALink) {
  World world;
  world.Put("a", 1);
  world.link.Set(hal::LinkState::kDown);
  const auto result = world.PushOnce();
  CHECK(result.outcome.error().code == Code::kOffline);
  LONGS_EQUAL(0, long(result.traffic.requests));
  LONGS_EQUAL(1, long(result.remaining));
}

TEST(Engine, ARefusedRowIsParkedAndTheOthersGo) {
  World world;
  FirstRound(world);
  world.transport.Plan({});
  world.transport.Plan(Instead(400, R"({"error":"value out of range"})"));
  const auto result = world.PushOnce();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(2, long(result.push.pushed));
  LONGS_EQUAL(1, long(result.push.parked));
  LONGS_EQUAL(0, long(world.PushOnce().traffic.requests));  // it waits for somebody
  world.Put("b", 20);                                       // who edits it
  CHECK(world.PushOnce().outcome.ok());
  LONGS_EQUAL(0, long(world.Operations()));
  world.CheckEqual("after the edit");
}

TEST(Engine, AConflictKeepsBothCopiesAndBlocksNobody) {
  for (const SimFlavour flavour : kFlavours) {
    World world(flavour);
    FirstRound(world);
    CHECK(Settle(world).outcome.ok());
    world.server.Put("readings", R"({"id":"a","sensor":"theirs","value":100})");
    world.Put("a", 200, "ours");
    world.Put("b", 20);
    const auto result = world.PushOnce();
    CHECK(result.outcome.ok());
    LONGS_EQUAL(1, long(result.push.conflicts));
    LONGS_EQUAL(1, long(result.push.pushed));
    STRCMP_EQUAL("ours 200.000000", world.Local()["a"].c_str());
    STRCMP_EQUAL("theirs 100.000000", world.Remote()["a"].c_str());
    class Sink : public store::ErrorSink {
     public:
      std::string local, server;
      Result<void> OnError(const store::ErrorRecord& record) override {
        local = record.local_row;
        server = record.server_words;
        return Ok();
      }
    } sink;
    char room[4096];
    Arena arena(room);
    CHECK(world.store->Errors(arena, sink).ok());
    CHECK(sink.local.find("ours") != std::string::npos);
    CHECK(sink.server.find("theirs") != std::string::npos);
  }
}

// Each way out of each kind of conflict ends with both sides equal.
TEST(Engine, AConflictThatIsResolvedEitherWayEndsEqual) {
  for (const bool deleted_there : {false, true}) {
    for (const bool deleted_here : {false, true}) {
      for (const auto keep : {store::Keep::kLocal, store::Keep::kServer}) {
        World world;
        world.Put("a", 1);
        CHECK(Settle(world).outcome.ok());
        if (deleted_there) {
          world.server.Delete("readings", "a");
        } else {
          world.server.Put("readings", R"({"id":"a","sensor":"theirs","value":100})");
        }
        if (deleted_here) {
          world.Delete("a");
        } else {
          world.Put("a", 200, "ours");
        }
        const bool agreed = deleted_there && deleted_here;
        LONGS_EQUAL(agreed ? 0 : 1, long(world.PushOnce().push.conflicts));
        if (agreed) continue;
        store::Operation operation;
        auto found = world.store->Next(0, ~std::uint64_t{0}, operation);
        CHECK(found.ok() && *found);
        const transport::SimRow* row = world.server.Find("readings", "a");
        char room[4096];
        Arena arena(room);
        RowFields fields;
        const std::string json = world.server.Json(*row);
        CHECK(wire::DecodeRow(json, arena, fields).ok());
        CHECK(world.store
                  ->Resolve(operation.sequence,
                            {.keep = keep, .rule = "person", .server_row = fields.view()})
                  .ok());
        LONGS_EQUAL(0, long(Settle(world).push.conflicts));
        LONGS_EQUAL(0, long(world.Operations()));
        world.CheckEqual("resolved");
        const bool alive = keep == store::Keep::kLocal ? !deleted_here : !deleted_there;
        LONGS_EQUAL(alive ? 1 : 0, long(world.Local().count("a")));
      }
    }
  }
}

TEST(Engine, OnlyTheColumnsThatChangedTravel) {
  World world;
  world.Put("a", 1);
  CHECK(Settle(world).outcome.ok());
  world.Put("a", 2);
  std::string body;
  world.transport.set_fault_source([&](const transport::Request& request) {
    body = request.body;
    return SimFault();
  });
  CHECK(world.PushOnce().outcome.ok());
  STRCMP_EQUAL(R"({"id":"a","value":2.0})", body.c_str());
}

TEST(Engine, AnEditThatIsTakenBackSendsNothing) {
  World world;
  world.Put("a", 1);
  CHECK(Settle(world).outcome.ok());
  world.Put("a", 2);
  world.Put("a", 1);
  const auto result = world.PushOnce();
  LONGS_EQUAL(0, long(result.traffic.requests));
  LONGS_EQUAL(0, long(world.Operations()));
}

TEST(Engine, AnIdThatWasDeletedHereAndComesBackLivesOnTheServerAgain) {
  for (const SimFlavour flavour : {SimFlavour::kHoldfast, SimFlavour::kNode}) {
    World world(flavour);
    world.Put("a", 1);
    CHECK(Settle(world).outcome.ok());
    world.Delete("a");
    world.transport.Plan(Fault(SimFault::Kind::kUnanswered));
    CHECK_FALSE(world.PushOnce().outcome.ok());
    world.Put("a", 5, "again");
    LONGS_EQUAL(0, long(Settle(world).push.conflicts));
    LONGS_EQUAL(0, long(world.Operations()));
    world.CheckEqual("raised again");
  }
}

TEST(Engine, APullBringsEverythingWhateverTheServerAndTheMoment) {
  for (const SimFlavour flavour : kFlavours) {
    World world(flavour);
    for (int i = 0; i < 500; ++i) {
      const std::string id = "row-" + std::to_string(i);
      world.server.Put("readings", "{\"id\":\"" + id + "\",\"sensor\":\"s\",\"value\":1}");
      if (i % 100 == 0) world.clock.Advance(hal::Duration::Milliseconds(3));
    }
    const auto first = world.PullOnce(60);
    CHECK(first.outcome.ok());
    LONGS_EQUAL(500, long(first.received));
    world.CheckEqual("the first pull");
    world.clock.Advance(hal::Duration::Seconds(1));
    world.server.Put("readings", R"({"id":"row-7","sensor":"new","value":7})");
    world.server.Delete("readings", "row-8");
    const auto second = world.PullOnce(60);
    LONGS_EQUAL(1, long(second.received));
    LONGS_EQUAL(1, long(second.deleted));
    world.CheckEqual("the second pull");
    LONGS_EQUAL(0, long(world.Operations()));
  }
}

TEST(Engine, APullThatIsCutAtAnyExchangeGoesOnWhereItWas) {
  for (const SimFlavour flavour : kFlavours) {
    World world(flavour);
    for (int i = 0; i < 300; ++i) {
      world.server.Put("readings",
                       "{\"id\":\"row-" + std::to_string(i) + "\",\"sensor\":\"s\",\"value\":1}");
      world.clock.Advance(hal::Duration::Milliseconds(1));
    }
    int exchange = 0, pulls = 0;
    world.transport.set_fault_source([&](const transport::Request&) {
      SimFault fault;
      if (++exchange % 2 == 0) {
        fault.kind = SimFault::Kind::kTruncated;
        fault.bytes = std::size_t(exchange) * 450;
      }
      return fault;
    });
    while (!world.PullOnce(50).outcome.ok()) CHECK(++pulls < 100);
    CHECK(pulls > 0);
    world.CheckEqual("after the cuts");
  }
}

TEST(Engine, ARowWithAQueuedOperationIsLeftAloneByAPull) {
  World world;
  FirstRound(world);
  CHECK(Settle(world).outcome.ok());
  world.server.Put("readings", R"({"id":"a","sensor":"theirs","value":100})");
  world.server.Put("readings", R"({"id":"b","sensor":"theirs","value":100})");
  world.Put("a", 5, "ours");
  world.Delete("b");
  const auto pulled = world.PullOnce();
  LONGS_EQUAL(2, long(pulled.skipped_pending));
  STRCMP_EQUAL("ours 5.000000", world.Local()["a"].c_str());
  LONGS_EQUAL(0, long(world.Local().count("b")));
}

// Random programs: local and remote work on rows of their own, faults of every kind, power cuts.
namespace {

// Settles what waits in favour of the device; only inserts over a deleted row may wait.
void KeepInserts(World& world, const std::string& when) {
  class Sink : public store::ErrorSink {
   public:
    std::vector<std::int64_t> sequences;
    std::string when;
    Result<void> OnError(const store::ErrorRecord& record) override {
      CHECK_TRUE_TEXT(record.operation_kind == store::Kind::kInsert, when.c_str());
      CHECK_TRUE_TEXT(record.server_words.find("\"deleted\":true") != std::string_view::npos,
                      when.c_str());
      sequences.push_back(record.sequence);
      return Ok();
    }
  } sink;
  sink.when = when;
  char room[8192];
  Arena arena(room);
  CHECK(world.store->Errors(arena, sink).ok());
  for (const std::int64_t sequence : sink.sequences) {
    CHECK(world.store->Resolve(sequence, {.keep = store::Keep::kLocal, .rule = "person"}).ok());
  }
}

}  // namespace

TEST(Engine, RandomProgramsWithRandomFaultsConverge) {
  for (std::uint64_t seed = 1; seed <= 400; ++seed) {
    Prng dice(seed);
    World world(kFlavours[seed % 3]);
    world.transport.set_fault_source([&](const transport::Request&) {
      SimFault fault;
      if (dice.Chance(15)) fault = Fault(SimFault::Kind(1 + dice.Below(5)));
      fault.bytes = std::size_t(dice.Below(200));
      return fault;
    });
    for (int step = 0; step < 40; ++step) {
      const std::string mine = "mine-" + std::to_string(dice.Below(6));
      const std::string theirs = "theirs-" + std::to_string(dice.Below(6));
      switch (dice.Below(8)) {
        case 0:
        case 1:
        case 2: world.Put(mine.c_str(), double(dice.Below(1000))); break;
        case 3: world.Delete(mine.c_str()); break;
        case 4:
          world.server.Put("readings", "{\"id\":\"" + theirs + "\",\"sensor\":\"x\",\"value\":" +
                                           std::to_string(dice.Below(1000)) + "}");
          break;
        case 5:
          world.ForgetRetryAfter();
          world.PushOnce(1 + dice.Below(4));
          break;
        case 6: world.PullOnce(50); break;
        case 7:
          if (dice.Chance(30)) {
            world.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = 1 + dice.Below(40)});
            world.ForgetRetryAfter();
            world.PushOnce(1 + dice.Below(4));
            world.PowerCycle();
          }
          break;
      }
      world.clock.Advance(hal::Duration::Milliseconds(std::int64_t(dice.Below(50))));
    }
    world.transport.set_fault_source(nullptr);
    const std::string when = "seed " + std::to_string(seed);
    Settle(world);
    // An id that was deleted and inserted again, by an insert whose answer was lost: nobody but a
    // person can tell the old row from the new one.
    KeepInserts(world, when);
    const auto result = Settle(world);
    LONGS_EQUAL_TEXT(0, long(result.push.conflicts), when.c_str());
    LONGS_EQUAL_TEXT(0, long(world.Operations()), when.c_str());
    CHECK_TRUE_TEXT(world.PullOnce(50).outcome.ok(), when.c_str());
    world.CheckEqual(when.c_str());
  }
}
