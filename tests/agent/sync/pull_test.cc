// SPDX-License-Identifier: Apache-2.0
// What a pull alone cannot see: rows it passed over, rows that are gone, rows that left the filter;
// and purge, which a pull has to make good.
#include <vector>

#include "tests/agent/sync/world.h"

namespace holdfast::test {
namespace {

using agent::PullResult;
using agent::SessionOptions;

PullResult Pull(World& world, std::string_view filter = {}, bool full = false) {
  SessionOptions options;
  options.push = false;
  options.pull_tables = 1;
  options.pull_options.filter = filter;
  options.pull_options.full = full;
  const auto result = world.Visit(options);
  CHECK(result.outcome.ok());
  return result.pulls[0];
}

void RemotePut(World& world, const char* id, int value, const char* sensor = "theirs") {
  world.clock.Advance(hal::Duration::Seconds(10));
  world.server.Put("readings", "{\"id\":\"" + std::string(id) + "\",\"sensor\":\"" + sensor +
                                   "\",\"value\":" + std::to_string(value) + "}");
}

std::unique_ptr<World> Hard() {
  return std::make_unique<World>(transport::SimServer::Options{.soft_delete = false});
}

bool Next(World& world, std::int64_t after, store::Operation& operation) {
  auto found = world.store->Next(after, ~std::uint64_t{0}, operation);
  CHECK(found.ok());
  return *found;
}

store::Purged Purge(World& world, const char* filter = nullptr, bool force = false) {
  query::ParsedFilter parsed;
  query::QueryError problem;
  char room[1024];
  Arena arena(room);
  if (filter != nullptr) CHECK(query::ParseFilter(filter, arena, parsed, problem).ok());
  auto purged = world.store->Purge(*world.table, filter == nullptr ? nullptr : &parsed, force);
  CHECK(purged.ok());
  return *purged;
}

}  // namespace

TEST_GROUP(PullExtras){};

// The pull passes over the row, its token moves on, and then the edit comes to nothing.
TEST(PullExtras, ARowThatWasPassedOverComesWhenTheEditIsTakenBack) {
  World world;
  world.Put("a", 1);
  CHECK(world.PushOnce().outcome.ok());
  world.Put("a", 2);
  RemotePut(world, "a", 100);
  RemotePut(world, "later", 1);
  LONGS_EQUAL(1, long(Pull(world).skipped_pending));
  world.Put("a", 1);
  CHECK(world.PushOnce().outcome.ok());
  LONGS_EQUAL(0, long(world.Operations()));
  STRCMP_EQUAL("t 1.000000", world.Local()["a"].c_str());
  Pull(world);
  world.CheckEqual("looked up");
}

TEST(PullExtras, ARowThatWasPassedOverComesWhenTheInsertVanishes) {
  World world;
  world.Put("a", 1);
  RemotePut(world, "a", 100);
  RemotePut(world, "later", 1);
  LONGS_EQUAL(1, long(Pull(world).skipped_pending));
  world.Delete("a");
  LONGS_EQUAL(0, long(world.Operations()));
  Pull(world);
  world.CheckEqual("looked up");
}

TEST(PullExtras, WhatIsDoubtfulSurvivesAPowerCut) {
  World world;
  world.Put("a", 1);
  RemotePut(world, "a", 100);
  RemotePut(world, "later", 1);
  Pull(world);
  world.Delete("a");
  world.PowerCycle();
  Pull(world);
  world.CheckEqual("looked up after a power cut");
}

TEST(PullExtras, NothingIsLookedUpWithoutNeed) {
  World world;
  RemotePut(world, "a", 1);
  Pull(world);
  const auto before = world.transport.traffic().requests;
  Pull(world);
  LONGS_EQUAL(1, long(world.transport.traffic().requests - before));
}

TEST(PullExtras, AFullPullFindsWhatAServerHasForgotten) {
  auto world = Hard();
  for (int i = 0; i < 600; ++i) {
    char id[8];
    std::snprintf(id, sizeof id, "r%04d", i);
    RemotePut(*world, id, i);
  }
  Pull(*world);
  for (const char* id : {"r0000", "r0001", "r0249", "r0250", "r0333", "r0598", "r0599"}) {
    world->server.Delete("readings", id);
  }
  world->Put("mine", 1);
  LONGS_EQUAL(0, long(Pull(*world).deleted));
  LONGS_EQUAL(7, long(Pull(*world, {}, true).deleted));
  CHECK(world->PushOnce().outcome.ok());
  world->CheckEqual("after a full pull");
}

TEST(PullExtras, AFullPullOfNothingEmptiesTheTable) {
  auto world = Hard();
  RemotePut(*world, "a", 1);
  RemotePut(*world, "b", 1);
  Pull(*world);
  world->server.Delete("readings", "a");
  world->server.Delete("readings", "b");
  LONGS_EQUAL(2, long(Pull(*world, {}, true).deleted));
  world->CheckEqual("empty");
}

TEST(PullExtras, RowsThatLeftTheFilterAreSeenByAFullPull) {
  World world;
  RemotePut(world, "in", 1);
  RemotePut(world, "leaves", 2);
  RemotePut(world, "gone", 3);
  const char* filter = "value lt 10";
  LONGS_EQUAL(3, long(Pull(world, filter).received));
  RemotePut(world, "leaves", 50);
  RemotePut(world, "never", 60);
  world.server.Delete("readings", "gone");
  Pull(world, filter);
  Pull(world, filter, true);
  STRCMP_EQUAL("theirs 50.000000", world.Local()["leaves"].c_str());
  LONGS_EQUAL(0, long(world.Local().count("gone")));
  LONGS_EQUAL(0, long(world.Local().count("never")));
  LONGS_EQUAL(2, long(world.Local().size()));
}

TEST(PullExtras, IdsWithQuotesAndNoAsciiAreLookedUp) {
  auto world = Hard();
  for (const char* id : {"it's", "a''b", "\xC3\xA4\xC3\xB6", "x y"}) RemotePut(*world, id, 1);
  Pull(*world);
  for (const char* id : {"it's", "\xC3\xA4\xC3\xB6"}) world->server.Delete("readings", id);
  LONGS_EQUAL(2, long(Pull(*world, {}, true).deleted));
  world->CheckEqual("odd ids");
}

// A change that is committed behind the token is seen by the pull that looks back.
TEST(PullExtras, APullLooksBackOnServersThatCommitOutOfOrder) {
  World world(SimFlavour::kNode);
  RemotePut(world, "early", 1);
  RemotePut(world, "a", 1);
  Pull(world);
  world.server.Put("readings", R"({"id":"late","sensor":"theirs","value":2})");
  world.server.Backdate("readings", "late", hal::Duration::Milliseconds(1500));
  Pull(world);
  world.CheckEqual("looked back");
  // And it does not slip back for ever: what it asks for stays the same.
  const auto received = Pull(world).unchanged;
  LONGS_EQUAL(long(received), long(Pull(world).unchanged));
}

// ---------------------------------------------------------------------------------------- purge

TEST(PullExtras, APurgedTableComesBackAndTheServerHearsNothing) {
  World world;
  world.Put("a", 1);
  CHECK(world.PushOnce().outcome.ok());
  RemotePut(world, "b", 1);
  Pull(world);
  const auto requests = world.transport.traffic().requests;
  LONGS_EQUAL(2, long(Purge(world).rows));
  LONGS_EQUAL(0, long(world.Operations()));
  LONGS_EQUAL(long(requests), long(world.transport.traffic().requests));
  LONGS_EQUAL(0, long(world.Local().size()));
  LONGS_EQUAL(0, long(world.PushOnce().push.pushed));
  LONGS_EQUAL(2, long(Pull(world).received));
  world.CheckEqual("came back");
}

TEST(PullExtras, APurgeByFilterIsForGoodUntilAFullPull) {
  World world;
  RemotePut(world, "old", 1);
  RemotePut(world, "new", 100);
  Pull(world);
  LONGS_EQUAL(1, long(Purge(world, "value lt 10").rows));
  Pull(world);
  LONGS_EQUAL(1, long(world.Local().size()));
  Pull(world, {}, true);
  world.CheckEqual("a full pull");
}

TEST(PullExtras, APurgeRefusesWhileOperationsWait) {
  World world;
  RemotePut(world, "a", 1);
  RemotePut(world, "b", 50);
  Pull(world);
  world.Put("a", 2);
  auto refused = world.store->Purge(*world.table, nullptr, false);
  CHECK(!refused.ok() && refused.error().code == Code::kPending);
  LONGS_EQUAL(2, long(world.Local().size()));
  // Rows that nothing waits for may go.
  LONGS_EQUAL(1, long(Purge(world, "value gt 10").rows));
  const store::Purged purged = Purge(world, nullptr, true);
  LONGS_EQUAL(1, long(purged.rows));
  LONGS_EQUAL(1, long(purged.operations));
  LONGS_EQUAL(0, long(world.PushOnce().push.pushed));
  Pull(world);
  world.CheckEqual("what was discarded is the server's again");
}

TEST(PullExtras, AForcedPurgeTakesDeletesErrorsAndSequencesAlong) {
  World world;
  world.Put("a", 1);
  world.Put("b", 1);
  CHECK(world.PushOnce().outcome.ok());
  world.Delete("a");
  RemotePut(world, "b", 7);
  world.Put("b", 2);
  LONGS_EQUAL(1, long(world.PushOnce().push.conflicts));
  world.Delete("b");
  store::Operation last;
  while (Next(world, last.sequence, last)) {
  }
  Purge(world, nullptr, true);
  auto stats = world.store->Stats();
  CHECK(stats.ok() && stats->operations == 0 && stats->conflicts == 0);
  world.Put("c", 1);
  store::Operation next;
  CHECK(Next(world, 0, next));
  CHECK(next.sequence > last.sequence);
  CHECK(world.PushOnce().outcome.ok());
  Pull(world);
  world.CheckEqual("after a forced purge");
}

TEST(PullExtras, APurgeThatFailsChangesNothing) {
  for (std::uint64_t failing = 1; failing < 200; ++failing) {
    World world;
    RemotePut(world, "a", 1);
    Pull(world);
    world.Put("b", 2);
    world.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = failing});
    auto purged = world.store->Purge(*world.table, nullptr, true);
    world.PowerCycle();
    const std::size_t rows = world.Local().size();
    CHECK_TRUE_TEXT(purged.ok() ? rows == 0 : rows == 2 || rows == 0, "half a purge");
    LONGS_EQUAL(rows == 0 ? 0 : 1, long(world.Operations()));
    if (purged.ok()) return;
  }
  FAIL("the purge never succeeds");
}

}  // namespace holdfast::test
