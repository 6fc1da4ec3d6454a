// SPDX-License-Identifier: Apache-2.0
// Many operations in one exchange: faults at every place, edits meanwhile, and sides that have lost
// their memory.
#include "agent/sync/bulk_window.h"
#include "agent/sync/known_server.h"
#include "tests/agent/sync/world.h"

using namespace holdfast;
using namespace holdfast::test;

namespace {

using transport::Method;

constexpr transport::SimServer::Options kTakesBulks = {.flavour = SimFlavour::kHoldfast,
                                                       .bulk = true};

agent::SessionResult Settle(World& world) {
  agent::SessionResult result;
  for (int visits = 0; visits < 20; ++visits) {
    world.ForgetRetryAfter();
    result = world.PushOnce();
    if (result.outcome.ok() && world.Operations() == 0) break;
  }
  return result;
}

void Numbered(World& world, int first, int last) {
  for (int i = first; i <= last; ++i) CHECK(world.Put(("r" + std::to_string(i)).c_str(), i));
}

// The server has been met: what it takes is known.
void Meet(World& world) {
  CHECK(world.Put("met", 1));
  CHECK(world.PushOnce().outcome.ok());
}

void Edits(World& world) {
  Numbered(world, 1, 3);
  CHECK(world.Put("r2", 22));
  CHECK(world.Put("met", 2));
}

SimFault Instead(int status, const char* body, bool is_json = true) {
  SimFault fault;
  fault.kind = SimFault::Kind::kInstead;
  fault.answer.status = status;
  fault.answer.is_json = is_json;
  fault.answer.body = body;
  return fault;
}

void EndsEqual(World& world, const char* when) {
  CHECK_TRUE_TEXT(Settle(world).outcome.ok(), when);
  LONGS_EQUAL_TEXT(0, long(world.Operations()), when);
  world.CheckEqual(when);
  world.CheckInsertedOnce(when);
}

}  // namespace

TEST_GROUP(Bulk){};

TEST(Bulk, ThousandsOfRowsAreAFewExchanges) {
  World world(kTakesBulks);
  Numbered(world, 1, 2501);
  const auto result = world.PushOnce();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(2501, long(result.push.pushed));
  LONGS_EQUAL(4, long(result.traffic.requests));  // one alone: it tells what the server takes
  LONGS_EQUAL(3, long(world.server.bulks()));
  world.CheckEqual("at the end");
}

TEST(Bulk, WhatAServerTakesIsRememberedForADayAtItsUrl) {
  World world(kTakesBulks);
  Numbered(world, 1, 2);
  const auto visit = [&world](std::string_view url) {
    // A program that has just started.
    transport::SimTransport transport(world.server, world.clock);
    agent::SessionOptions options;
    options.server_url = url;
    agent::Session session(*world.store, transport, world.clock, world.link, TheWorkspace(),
                           options);
    while (!session.Step(hal::Duration::Milliseconds(100))) {
    }
    CHECK(session.result().outcome.ok());
    return session.result().traffic.requests;
  };
  LONGS_EQUAL(2, long(visit("https://a")));  // the first row alone: it tells what the server takes
  Numbered(world, 3, 9);
  LONGS_EQUAL(1, long(visit("https://a")));
  Numbered(world, 10, 19);
  LONGS_EQUAL(2, long(visit("https://b")));
  world.clock.Advance(hal::Duration::Seconds(25 * 3600));
  Numbered(world, 20, 29);
  LONGS_EQUAL(2, long(visit("https://b")));
  Numbered(world, 30, 39);
  LONGS_EQUAL(1, long(visit("https://b")));
  world.CheckEqual("at the end");
}

TEST(Bulk, ARememberedServerThatHasBecomeAPlainOneIsAskedInThePlainWay) {
  World world(kTakesBulks);
  Numbered(world, 1, 9);
  transport::Capabilities showed;
  showed.bulk = {limits::kBulkOperations, limits::kBulkBytes};
  CHECK(agent::NoteKnownServer(*world.store, world.clock, "https://a", showed).ok());
  transport::SimServer plain(world.clock, {.flavour = SimFlavour::kNode});
  transport::SimTransport transport(plain, world.clock);
  agent::SessionOptions options;
  options.server_url = "https://a";
  for (int visit = 0; visit < 2; ++visit) {
    agent::Session session(*world.store, transport, world.clock, world.link, TheWorkspace(),
                           options);
    while (!session.Step(hal::Duration::Milliseconds(100))) {
    }
    CHECK(session.result().outcome.ok());
  }
  LONGS_EQUAL(9, long(plain.table("readings").size()));
  LONGS_EQUAL(0, long(world.Operations()));
  auto known = agent::ReadKnownServer(*world.store, world.clock, "https://a");
  CHECK(known.ok());
  LONGS_EQUAL(0, long(known->bulk.operations));
}

TEST(Bulk, APlainServerNeverSeesOneNorDoesAStranger) {
  for (const SimFlavour flavour :
       {SimFlavour::kNode, SimFlavour::kToolkit, SimFlavour::kHoldfast}) {
    World world(transport::SimServer::Options{.flavour = flavour,
                                              .bulk = flavour == SimFlavour::kHoldfast});
    int requests = 0, bulks = 0;
    world.transport.set_fault_source([&](const transport::Request& request) {
      CHECK(++requests > 1 || request.method == Method::kInsert);
      bulks += request.method == Method::kBulk ? 1 : 0;
      return SimFault();
    });
    Meet(world);
    Edits(world);
    CHECK(world.PushOnce().outcome.ok());
    CHECK((bulks > 0) == (flavour == SimFlavour::kHoldfast));
  }
}

TEST(Bulk, OneRowARequestWhereThatIsWished) {
  World world(kTakesBulks);
  Numbered(world, 1, 10);
  agent::SessionOptions options;
  options.push_options.bulk_operations = 1;
  CHECK(world.Visit(options).outcome.ok());
  LONGS_EQUAL(0, long(world.server.bulks()));
}

TEST(Bulk, AFaultAtAnyExchangeAppliesEachOperationOnceWhateverIsEditedThen) {
  using Kind = SimFault::Kind;
  for (const Kind kind :
       {Kind::kNotSent, Kind::kUnanswered, Kind::kInstead, Kind::kDisguised, Kind::kTruncated}) {
    for (int edit = 0; edit < 4; ++edit) {
      for (int n = 0; n < 3; ++n) {
        World world(kTakesBulks);
        Meet(world);
        Edits(world);
        SimFault fault = Instead(200, "<html>Please log in</html>", false);
        fault.kind = kind;
        fault.bytes = 9;
        for (int i = 0; i < n; ++i) world.transport.Plan({});
        world.transport.Plan(fault);
        (void)world.PushOnce();
        if (edit == 1) CHECK(world.Put("r1", 111));
        if (edit == 2) CHECK(world.Delete("r1") && world.Put("met", 3));
        if (edit == 3) CHECK(world.Delete("r1") && world.Put("r1", 5) && world.Delete("met"));
        const std::string when = "kind " + std::to_string(int(kind)) + " edit " +
                                 std::to_string(edit) + " at " + std::to_string(n);
        const auto result = Settle(world);
        CHECK_TRUE_TEXT(result.outcome.ok(), when.c_str());
        LONGS_EQUAL_TEXT(0, long(result.push.conflicts), when.c_str());
        world.CheckEqual(when.c_str());
        if (edit != 3) world.CheckInsertedOnce(when.c_str());
      }
    }
  }
}

TEST(Bulk, AnAnswerThatIsNotAboutTheseOperationsIsNone) {
  const char* kAnswers[] = {"",
                            "[]",
                            "{}",
                            "[[1,1,1577836800000800]]",
                            "[[2,1,1577836800000800]]",
                            "[[2,4,1577836800000800]]",
                            "[[2,2,1577836800000800],[5,1,1577836800000800]]",
                            "[[2,3,1577836800000800]",
                            "[[2,1,1577836800000800],[3,200,\"fine\"],[4,1,1577836800000800]]"};
  for (const char* answer : kAnswers) {
    World world(kTakesBulks);
    Meet(world);
    Numbered(world, 1, 3);
    world.transport.Plan(Instead(200, answer));
    CHECK_TRUE_TEXT(!world.PushOnce().outcome.ok(), answer);
    LONGS_EQUAL_TEXT(3, long(world.Operations()), answer);
    EndsEqual(world, answer);
  }
}

TEST(Bulk, WhatAServerRefusesAsAWholeGoesInSmallerPartsOrAlone) {
  for (const int status : {400, 403, 404, 405, 410, 413, 415, 501}) {
    World world(kTakesBulks);
    Meet(world);
    Numbered(world, 1, 100);
    int refused = 0;
    world.transport.set_fault_source([&](const transport::Request& request) {
      if (request.method != Method::kBulk) return SimFault();
      ++refused;
      return Instead(status, R"({"error":"no"})");
    });
    const std::string when = std::to_string(status);
    const auto result = world.PushOnce();
    CHECK_TRUE_TEXT(result.outcome.ok(), when.c_str());
    LONGS_EQUAL_TEXT(100, long(result.push.pushed), when.c_str());
    CHECK_TRUE_TEXT(refused >= 1 && refused <= 10, when.c_str());
    world.CheckEqual(when.c_str());
  }
}

TEST(Bulk, AServerThatFailsStopsThePushAndNothingIsLost) {
  for (const int status : {401, 429, 500, 503}) {
    World world(kTakesBulks);
    Meet(world);
    Numbered(world, 1, 10);
    world.transport.Plan(Instead(status, R"({"error":"no"})"));
    CHECK(!world.PushOnce().outcome.ok());
    LONGS_EQUAL(10, long(world.Operations()));
    EndsEqual(world, "after the failure");
  }
}

TEST(Bulk, EditsWhileItIsUnderWayFollowIt) {
  World world(kTakesBulks);
  Meet(world);
  Numbered(world, 1, 3);
  SimFault slow;
  slow.after = hal::Duration::Seconds(5);
  world.transport.Plan(slow);
  bool edited = false;
  world.transport.set_wait([&](hal::Duration wait) {
    world.clock.Advance(wait);
    if (edited || world.server.bulks() == 0) return;
    edited = true;
    CHECK(world.Put("r1", 100) && world.Delete("r2") && world.Put("r9", 9));
  });
  CHECK(world.PushOnce().outcome.ok());
  CHECK(edited);
  EndsEqual(world, "after the edits");
  STRCMP_EQUAL("t 100.000000", world.Remote()["r1"].c_str());
  LONGS_EQUAL(0, long(world.Remote().count("r2")));
}

TEST(Bulk, APowerCutAtAnyWriteLosesAndRepeatsNothing) {
  for (std::uint64_t write = 1; write < 200; ++write) {
    World world(kTakesBulks);
    Meet(world);
    Edits(world);
    world.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = write});
    (void)world.PushOnce();
    if (world.storage.powered()) return;  // there was no such write
    world.PowerCycle();
    EndsEqual(world, ("write " + std::to_string(write)).c_str());
  }
  FAIL("the push never ends");
}

TEST(Bulk, ARowThatIsRefusedOrInConflictKeepsNobodyElse) {
  World world(kTakesBulks);
  Meet(world);
  Numbered(world, 1, 4);
  CHECK(world.PushOnce().outcome.ok());
  world.server.Put("readings", R"({"id":"r2","sensor":"theirs","value":7})");
  CHECK(world.Put("r2", 22) && world.Put("r3", 33) && world.Put("r4", 44));
  CHECK(world.Put("bad", 1, "\xFF\xFE"));  // no JSON can say that
  CHECK(world.Put("r5", 5));
  const auto result = world.PushOnce();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(1, long(result.push.conflicts));
  LONGS_EQUAL(1, long(result.push.parked));
  STRCMP_EQUAL("theirs 7.000000", world.Remote()["r2"].c_str());
  STRCMP_EQUAL("t 33.000000", world.Remote()["r3"].c_str());
  STRCMP_EQUAL("t 5.000000", world.Remote()["r5"].c_str());
  LONGS_EQUAL(2, long(world.Operations()));
}

TEST(Bulk, ALargeRowGoesAloneAndInItsPlace) {
  World world(kTakesBulks);
  Meet(world);
  const std::string large(200 << 10, 'x');
  CHECK(world.Put("r1", 1) && world.Put("r2", 2, large.c_str()) && world.Put("r3", 3));
  CHECK(world.PushOnce().outcome.ok());
  const auto version = [&](const char* id) { return world.server.Find("readings", id)->version; };
  CHECK(version("r1") < version("r2") && version("r2") < version("r3"));
  LONGS_EQUAL(2, long(world.server.bulks()));
}

TEST(Bulk, AServerThatWasRestoredGetsBackWhatItLost) {
  World world(kTakesBulks);
  Meet(world);
  Numbered(world, 1, 5);
  CHECK(world.PushOnce().outcome.ok());
  world.server.Remember();
  world.clock.Advance(hal::Duration::Seconds(60));
  Numbered(world, 6, 9);
  CHECK(world.Put("r1", 100));
  CHECK(world.PushOnce().outcome.ok());
  world.server.GoBack();
  LONGS_EQUAL(6, long(world.Remote().size()));
  world.clock.Advance(hal::Duration::Seconds(60));
  Numbered(world, 10, 10);
  EndsEqual(world, "after the server came back");
  LONGS_EQUAL(11, long(world.Remote().size()));
  STRCMP_EQUAL("t 100.000000", world.Remote()["r1"].c_str());
}

TEST(Bulk, AServerThatKnowsNobodyGetsEverything) {
  World world(kTakesBulks);
  world.server.Remember();  // an empty one
  Meet(world);
  Numbered(world, 1, 5);
  CHECK(world.PushOnce().outcome.ok());
  world.server.GoBack();
  Numbered(world, 6, 6);
  EndsEqual(world, "on the new server");
  LONGS_EQUAL(7, long(world.Remote().size()));
}

// Two cards from one image: the same installation, the same incarnation, the same next sequence.
TEST(Bulk, AClonedDeviceGoesOnAsAnotherAndNobodyLosesARow) {
  World one(kTakesBulks);
  Meet(one);
  World image(kTakesBulks);  // made by the same random numbers, so it bears the same names
  transport::SimTransport transport(one.server, image.clock);
  const std::string name(one.store->installation_id());
  STRCMP_EQUAL(name.c_str(), std::string(image.store->installation_id()).c_str());
  const auto push = [&](store::Store& store, transport::Transport& way) {
    agent::Session session(store, way, one.clock, one.link, TheWorkspace(), {});
    while (!session.Step(hal::Duration::Milliseconds(100))) {
    }
    return session.result();
  };
  CHECK(image.Put("met", 1));
  CHECK(push(*image.store, transport).outcome.ok());
  auto before = image.store->LoadSender();
  for (int round = 0; round < 3; ++round) {
    Numbered(one, 10 * round, 10 * round + 4);
    for (int i = 0; i < 5; ++i) {
      CHECK(image.Put(("i" + std::to_string(10 * round + i)).c_str(), i));
    }
    CHECK(one.PushOnce().outcome.ok());
    CHECK(push(*image.store, transport).outcome.ok());
  }
  LONGS_EQUAL(31, long(one.Remote().size()));
  auto after = image.store->LoadSender(), other = one.store->LoadSender();
  CHECK(before.ok() && after.ok() && other.ok());
  CHECK(after->incarnation.view() != other->incarnation.view());
  // Ids that the two make from now on differ.
  store::Id first, second;
  RowFields row;
  CHECK(row.Add("value", ColumnType::kReal, Value::Real(1)).ok());
  CHECK(one.store->Insert(*one.table, row.view(), first).ok());
  CHECK(image.store->Insert(*image.table, row.view(), second).ok());
  CHECK(first.view().substr(0, 12) != second.view().substr(0, 12));
}

TEST(Bulk, AServerThatNeverKnowsUsIsGivenUp) {
  World world(kTakesBulks);
  Meet(world);
  Numbered(world, 1, 2);
  int asked = 0;
  world.transport.set_fault_source([&](const transport::Request& request) {
    if (request.method != Method::kBulk) return SimFault();
    ++asked;
    return Instead(409, R"({"error":"?","reason":"rewound","newest":""})");
  });
  CHECK(!world.PushOnce().outcome.ok());
  LONGS_EQUAL(3, asked);
  world.transport.set_fault_source(nullptr);
  EndsEqual(world, "when it knows us again");
}

// Between the moment when a bulk is read and the one when its operations are marked, a program may
// delete a row that never left: its operation is gone, and nobody would tell the server later.
TEST(Bulk, ARowDeletedBeforeItIsMarkedIsNotSent) {
  for (const std::size_t together : {limits::kBulkOperations, std::size_t{1}}) {
    World world(kTakesBulks);
    Meet(world);
    Numbered(world, 1, 5);
    class Deleter final : public agent::SyncHandler {
     public:
      explicit Deleter(World& world) : world_(world) {}
      Before BeforeSend(const store::Operation& operation, RowView, RowFields&) override {
        if (operation.id == "r4" && !done_) done_ = world_.Delete("r2") && world_.Delete("r4");
        return Before::kSend;
      }

     private:
      World& world_;
      bool done_ = false;
    } deleter(world);
    agent::SessionOptions options;
    options.push_options.handler = &deleter;
    options.push_options.bulk_operations = together;
    CHECK(world.Visit(options).outcome.ok());
    EndsEqual(world, "after the deletions");
    LONGS_EQUAL(4, long(world.Local().size()));
  }
}
