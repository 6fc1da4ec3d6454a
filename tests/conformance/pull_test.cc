// SPDX-License-Identifier: Apache-2.0
// Pulls (README.md here: 11.2, D.4, D.7 71 and 72, D.8 84 and 87) and purges (12, D.5, D.7 75).
#include <algorithm>

#include "tests/conformance/scene.h"

namespace holdfast::test {

// clang-format off
TEST_GROUP(Pulls) {
  Scene scene;
  Device& d = scene.device();
  std::string a = scene.S("a"), b = scene.S("b"), c = scene.S("c");

  std::string Number(int n) const {
    char text[16];
    std::snprintf(text, sizeof text, "r%04d", n);
    return scene.S(text);
  }
  // Many rows at once, by another device.
  void TheyInsert(int from, int to) {
    Device& other = scene.device("writer");
    for (int n = from; n < to; ++n) other.Put(Number(n), "\"value\":" + std::to_string(n));
    CHECK(other.Push().outcome.ok());
  }
  // On servers that keep rows of earlier tests, a filter names this test's.
  int Requests() const { return int(d.wire->exchanges.size()); }
};
// clang-format on

TEST(Pulls, NothingOnePageSeveralPagesAndExactlyOnePage) {
  for (const int count : {0, 1, 49, 50, 51, 120}) {
    Scene fresh;
    Device& writer = fresh.device("writer");
    for (int n = 0; n < count; ++n) {
      writer.Put(fresh.S(std::to_string(n)), "\"value\":" + std::to_string(n));
    }
    CHECK(writer.Push().outcome.ok());
    Device& reader = fresh.device("reader");
    CHECK(reader.Pull({}, false, 50).outcome.ok());
    fresh.CheckEqual(reader);
    CHECK(reader.Pull({}, false, 50).outcome.ok());
    fresh.CheckEqual(reader);
  }
}

TEST(Pulls, ATinyPageSizeBringsAllRowsToo) {
  TheyInsert(0, 23);
  CHECK(d.Pull({}, false, 2).outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, OnlyChangesComeTheSecondTime) {
  TheyInsert(0, 60);
  CHECK(d.Pull().outcome.ok());
  scene.Later();
  scene.TheyPut(Number(7), R"("value":700)");
  scene.TheyDelete(Number(8));
  const auto pulled = d.Pull();
  LONGS_EQUAL(1, long(pulled.received));
  LONGS_EQUAL(1, long(pulled.deleted));
  scene.CheckEqual(d);
}

TEST(Pulls, DeletionsOfRowsThatAreNotHereAreNothing) {
  scene.TheyPut(a, R"("value":1)");
  scene.TheyDelete(a);
  const auto pulled = d.Pull();
  CHECK(pulled.outcome.ok());
  LONGS_EQUAL(0, long(pulled.received + pulled.deleted));
}

TEST(Pulls, ARowThatIsDeletedAndRaisedAgainComesBack) {
  scene.TheyPut(a, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  scene.TheyDelete(a);
  CHECK(d.Pull().outcome.ok());
  LONGS_EQUAL(0, long(d.Local().count(a)));
  scene.TheyPut(a, R"("value":2)");
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("2", d.Get(a, "value").c_str());
}

TEST(Pulls, ATokenSurvivesARestart) {
  TheyInsert(0, 60);
  CHECK(d.Pull().outcome.ok());
  d.Restart();
  d.wire->Forget();
  CHECK(d.Pull().outcome.ok());
  CHECK(!d.wire->exchanges.at(0).since.empty());
  d.PowerCycle();
  d.wire->Forget();
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, ATokenNeverFollowsAChangedFilterOrAnotherQuery) {
  scene.TheyPut(a, R"("value":1)");
  scene.TheyPut(b, R"("value":100)");
  CHECK(d.Pull("value gt 10").outcome.ok());
  d.wire->Forget();
  const auto other = d.Pull("value lt 10");
  STRCMP_EQUAL("", d.wire->exchanges.at(0).since.c_str());
  CHECK(other.received >= 1);
  d.wire->Forget();
  CHECK(d.Pull("value lt 10", false, 100, "mine").outcome.ok());
  STRCMP_EQUAL("", d.wire->exchanges.at(0).since.c_str());
  d.wire->Forget();
  CHECK(d.Pull("value lt 10", false, 100, "mine").outcome.ok());
  CHECK(!d.wire->exchanges.at(0).since.empty());
  scene.CheckEqual(d);
}

TEST(Pulls, ABadQueryIdIsRefused) {
  auto pulled = d.Pull({}, false, 100, "a|b");
  CHECK(pulled.outcome.error().code == Code::kInvalidArgument);
  pulled = d.Pull({}, false, 100, std::string(300, 'x'));
  CHECK(pulled.outcome.error().code == Code::kInvalidArgument);
}

TEST(Pulls, ACutAtEachRequestGoesOnWhereItWas) {
  TheyInsert(0, 130);
  for (int cut = 1; cut < 6; ++cut) {
    Device& reader = scene.device(("reader" + std::to_string(cut)).c_str());
    reader.wire->on_request = [&](const transport::Request&, int number) {
      return Fate{.kind = number == cut ? Fate::Kind::kNotSent : Fate::Kind::kPass};
    };
    (void)reader.Pull({}, false, 50);
    reader.wire->on_request = nullptr;
    reader.PowerCycle();
    CHECK(reader.Pull({}, false, 50).outcome.ok());
    scene.CheckEqual(reader);
  }
}

TEST(Pulls, ACutInTheMiddleOfAPageKeepsWhatCameAndRepeatsTheRest) {
  TheyInsert(0, 40);
  for (const std::size_t bytes :
       {std::size_t{0}, std::size_t{1}, std::size_t{500}, std::size_t{2000}, std::size_t{4000}}) {
    Device& reader = scene.device(("reader" + std::to_string(bytes)).c_str());
    reader.wire->on_request = [&](const transport::Request&, int number) {
      Fate fate;
      if (number == 1) fate = {.kind = Fate::Kind::kCut, .bytes = bytes};
      return fate;
    };
    CHECK(!reader.Pull().outcome.ok());
    CHECK(reader.Pull().outcome.ok());
    scene.CheckEqual(reader);
  }
}

TEST(Pulls, RowsThatChangeWhilePagingAreNotJumpedOver) {
  TheyInsert(0, 140);
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    // A row that was read moves to the end: with $skip, an unread one would move out of sight.
    if (number <= 2) {
      fate.meanwhile = [this, number] { scene.TheyPut(Number(number), R"("value":9000)"); };
    }
    return fate;
  };
  CHECK(d.Pull({}, false, 50).outcome.ok());
  d.wire->on_request = nullptr;
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, RowsThatAreDeletedWhilePagingAreNotKept) {
  TheyInsert(0, 140);
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    if (number == 1) fate.meanwhile = [this] { scene.TheyDelete(Number(3)); };
    return fate;
  };
  CHECK(d.Pull({}, false, 50).outcome.ok());
  d.wire->on_request = nullptr;
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, ManyRowsOfOneMomentComeWholeAndOnce) {
  transport::SimServer* const sim = scene.simulated();
  if (sim == nullptr) return;  // no real server can be made to do this
  for (int n = 0; n < 230; ++n) {
    const std::string id = Number(n);
    sim->Put("readings", "{\"id\":\"" + id + "\",\"value\":1}");
    sim->Backdate("readings", id, hal::Duration::Milliseconds(n));
  }
  for (int cut = 0; cut < 8; ++cut) {
    Device& reader = scene.device(("reader" + std::to_string(cut)).c_str());
    reader.wire->on_request = [&](const transport::Request&, int number) {
      return Fate{.kind = number == cut ? Fate::Kind::kNotSent : Fate::Kind::kPass};
    };
    (void)reader.Pull({}, false, 50);
    reader.wire->on_request = nullptr;
    CHECK(reader.Pull({}, false, 50).outcome.ok());
    scene.CheckEqual(reader);
  }
}

// A Link that is right, absent, or leads nowhere: rows are asked for by key whatever it says.
TEST(Pulls, ALinkHeaderIsNoMoreThanAWordThatThereIsMore) {
  TheyInsert(0, 120);
  int number = 0;
  for (const char* link : {"", "https://elsewhere.example/tables/readings?$skip=7", "page=99",
                           "?$skip=1000000&$top=1"}) {
    Device& reader = scene.device(("reader" + std::to_string(++number)).c_str());
    reader.wire->on_request = [&](const transport::Request&, int request) {
      Fate fate;
      // On each page, or never: a server that always promises more ends all the same.
      if (request < 100) fate.link = link;
      return fate;
    };
    CHECK(reader.Pull({}, false, 50).outcome.ok());
    scene.CheckEqual(reader);
    CHECK(reader.wire->exchanges.size() < 100);
  }
}

// The same of 3.0, in the body: absolute, a path, a query alone, or nonsense.
TEST(Pulls, ANextLinkOfAnyFormIsNoMoreThanAWordThatThereIsMore) {
  int number = 0;
  for (const char* link :
       {R"("https://host/tables/readings?$skip=1")", R"("/tables/readings?$skip=1")",
        R"("$skip=1")", R"("?$skip=1")", R"("")", "null"}) {
    Device& reader = scene.device(("reader" + std::to_string(++number)).c_str());
    const bool more = std::string(link).size() > 4;
    reader.wire->on_request = [&](const transport::Request& request, int asked) {
      const bool first = asked == 1;
      CHECK(request.list.continuation.empty());
      if (!first) CHECK(!request.list.since.empty());
      const std::string id = first ? a : b;
      const std::string body = "{\"items\":[{\"id\":\"" + id +
                               "\",\"value\":1,\"version\":\"v\",\"updatedAt\":\"2026-01-0" +
                               (first ? "1" : "2") +
                               "T00:00:00Z\"}],\"nextLink\":" + (first ? link : "null") + "}";
      return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = body};
    };
    CHECK(reader.Pull().outcome.ok());
    LONGS_EQUAL_TEXT(more ? 2 : 1, long(reader.Local().size()), link);
  }
}

TEST(Pulls, ALocalEditIsLeftAlone) {
  scene.TheyPut(a, R"("sensor":"s","value":1)");
  CHECK(d.Pull().outcome.ok());
  d.Put(a, R"("value":2)");
  scene.TheyPut(a, R"("sensor":"theirs","value":1)");
  const auto pulled = d.Pull();
  CHECK(pulled.skipped_pending >= 1);
  STRCMP_EQUAL("2", d.Get(a, "value").c_str());
  STRCMP_EQUAL("s", d.Get(a, "sensor").c_str());
}

TEST(Pulls, ARowThatWasPassedOverIsNotLostWhenTheEditIsTakenBack) {
  scene.TheyPut(a, R"("sensor":"s","value":1)");
  CHECK(d.Pull().outcome.ok());
  d.Put(a, R"("value":2)");
  scene.TheyPut(a, R"("sensor":"theirs","value":1)");
  scene.TheyPut(b, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  d.Put(a, R"("value":1)");
  CHECK(d.Push().outcome.ok());
  scene.Later();
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("theirs", d.Get(a, "sensor").c_str());
  scene.CheckEqual(d);
}

TEST(Pulls, ARowThatTheServerDoesNotReturnStays) {
  scene.TheyPut(a, R"("value":1)");
  scene.TheyPut(b, R"("value":100)");
  CHECK(d.Pull().outcome.ok());
  CHECK(d.Pull("value gt 10").outcome.ok());
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
}

TEST(Pulls, ARowThatLeftTheFilterIsBroughtUpToDateByAFullPull) {
  scene.TheyPut(a, R"("sensor":"s","value":1)");
  CHECK(d.Pull("value lt 10").outcome.ok());
  scene.TheyPut(a, R"("sensor":"s","value":50)");
  CHECK(d.Pull("value lt 10").outcome.ok());
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
  CHECK(d.Pull("value lt 10", true).outcome.ok());
  STRCMP_EQUAL("50", d.Get(a, "value").c_str());
}

TEST(Pulls, UnknownColumnsAreIgnoredAndMissingOnesStay) {
  const std::string page = "[{\"id\":\"" + a +
                           "\",\"value\":5,\"nobody\":{\"deep\":[1]},\"updatedAt\":"
                           "\"2026-01-01T00:00:00.000Z\",\"version\":\"v\",\"deleted\":false}]";
  d.wire->on_request = [&](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = page};
  };
  d.Put(b, R"("sensor":"s")");
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("5", d.Get(a, "value").c_str());
  STRCMP_EQUAL("", d.Get(a, "sensor").c_str());
}

TEST(Pulls, RowsOfOnePageMayHaveDifferentColumns) {
  const std::string page = "[{\"id\":\"" + a +
                           "\",\"value\":5,\"updatedAt\":\"2026-01-01T00:00:00.000Z\","
                           "\"version\":\"v\"},{\"id\":\"" +
                           b +
                           "\",\"sensor\":\"s\",\"quality\":3,\"updatedAt\":"
                           "\"2026-01-01T00:00:00.001Z\",\"version\":\"v\"}]";
  d.wire->on_request = [&](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = page};
  };
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("5", d.Get(a, "value").c_str());
  STRCMP_EQUAL("s", d.Get(b, "sensor").c_str());
  STRCMP_EQUAL("3", d.Get(b, "quality").c_str());
}

TEST(Pulls, ARowWithoutIdIsPassedOver) {
  const std::string page = "[{\"value\":5},{\"id\":\"" + a + "\",\"value\":6,\"version\":\"v\"}]";
  d.wire->on_request = [&](const transport::Request&, int number) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = number == 1 ? page : "[]"};
  };
  const auto pulled = d.Pull();
  LONGS_EQUAL(1, long(pulled.ignored));
  LONGS_EQUAL(1, long(pulled.received));
}

TEST(Pulls, WhatIsNoPageFailsThePullAndKeepsTheToken) {
  scene.TheyPut(a, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  for (const char* body : {"", "null", "{}", "[{\"id\":\"x\"", "<html>", "{\"items\":5}"}) {
    d.wire->on_request = [&](const transport::Request&, int) {
      return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = body};
    };
    CHECK_TRUE_TEXT(!d.Pull().outcome.ok(), body);
  }
  d.wire->on_request = nullptr;
  scene.TheyPut(b, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, ThePushGoesFirstAndItsFailureIsThePulls) {
  d.Put(a, R"("value":1)");
  SessionOptions both = d.options;
  both.pull_tables = 1;
  d.wire->Forget();
  CHECK(d.Visit(both).outcome.ok());
  CHECK(d.wire->exchanges.at(0).method == Method::kInsert);
  CHECK(d.wire->exchanges.back().method == Method::kList);
  d.Put(b, R"("value":1)");
  d.wire->Forget();
  d.wire->on_request = [](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kNotSent};
  };
  CHECK(!d.Visit(both).outcome.ok());
  LONGS_EQUAL(1, Requests());
}

TEST(Pulls, AConflictDoesNotKeepAPullFromGoingOn) {
  scene.TheyPut(a, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  scene.TheyPut(a, R"("value":100)");
  scene.TheyPut(b, R"("value":100)");
  d.Put(a, R"("value":2)");
  SessionOptions both = d.options;
  both.pull_tables = 1;
  const auto result = d.Visit(both);
  CHECK(result.outcome.ok());
  LONGS_EQUAL(1, long(result.push.conflicts));
  STRCMP_EQUAL("100", d.Get(b, "value").c_str());
}

TEST(Pulls, ACleanDeviceMakesNoPushRequest) {
  SessionOptions both = d.options;
  both.pull_tables = 1;
  CHECK(d.Visit(both).outcome.ok());
  LONGS_EQUAL(0, d.wire->writes());
}

TEST(Pulls, CancelledBeforeTheFirstPageStoresNothing) {
  scene.TheyPut(a, R"("value":1)");
  agent::Pull pull(*d.store, *d.wire, *d.table, {}, TheWorkspace());
  pull.Cancel();
  CHECK(pull.Step(hal::Duration()));
  CHECK(pull.result().outcome.error().code == Code::kCancelled);
  LONGS_EQUAL(0, long(d.Local().size()));
}

TEST(Pulls, TombstonesAreAskedForAndTheOrderIsTotal) {
  scene.TheyPut(a, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  CHECK(d.wire->exchanges.at(0).include_deleted);
  STRCMP_EQUAL("updatedAt,id", d.wire->exchanges.at(0).order_by.c_str());
  LONGS_EQUAL(0, long(d.wire->exchanges.at(0).skip));
}

// A device with a slow clock, a fast clock or none pulls the same: only the server's times count.
TEST(Pulls, TheDevicesClockDoesNotMatter) {
  transport::SimServer* const sim = scene.simulated();
  if (sim == nullptr) return;
  TheyInsert(0, 10);
  CHECK(d.Pull().outcome.ok());
  static_cast<hal::SimClock&>(scene.clock()).StepWall(hal::Duration::Seconds(-86400));
  scene.TheyPut(Number(3), R"("value":33)");
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, ATokenKeepsAllDigitsOfTheServer) {
  const std::string page = "[{\"id\":\"" + a +
                           "\",\"value\":5,\"updatedAt\":\"2026-01-01T00:00:00.1234567+07:00\","
                           "\"version\":\"v\"}]";
  d.options.pull_options.look_back = hal::Duration();
  d.wire->on_request = [&](const transport::Request&, int number) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = number == 1 ? page : "[]"};
  };
  CHECK(d.Pull().outcome.ok());
  d.wire->Forget();
  d.wire->on_request = [&](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = "[]"};
  };
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("2026-01-01T00:00:00.1234567+07:00", d.wire->exchanges.at(0).since.c_str());
}

TEST(Pulls, AnEarlierMomentInALaterTimeZoneDoesNotMoveTheToken) {
  const std::string page = "[{\"id\":\"" + a +
                           "\",\"updatedAt\":\"2001-02-03T00:00:00Z\",\"version\":\"v\"},"
                           "{\"id\":\"" +
                           b + "\",\"updatedAt\":\"2001-02-03T00:03:00+07:00\",\"version\":\"v\"}]";
  d.options.pull_options.look_back = hal::Duration();
  d.wire->on_request = [&](const transport::Request&, int number) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 200, .body = number == 1 ? page : "[]"};
  };
  CHECK(d.Pull().outcome.ok());
  d.wire->Forget();
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("2001-02-03T00:00:00Z", d.wire->exchanges.at(0).since.c_str());
}

// ----------------------------------------------------------------------------------------- purges

TEST(Pulls, Purge_CleanTableSendsNothingAndTheNextPullBringsAll) {
  scene.TheyPut(a, R"("value":1)");
  scene.TheyPut(b, R"("value":2)");
  CHECK(d.Pull().outcome.ok());
  d.wire->Forget();
  auto purged = d.Purge();
  CHECK(purged.ok());
  CHECK(purged->rows >= 2);
  LONGS_EQUAL(0, long(d.Local().size()));
  STRCMP_EQUAL("", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(0, Requests());
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, Purge_DirtyTableIsRefused) {
  scene.TheyPut(a, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  d.Put(b, R"("value":2)");
  auto purged = d.Purge();
  CHECK(!purged.ok() && purged.error().code == Code::kPending);
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
  STRCMP_EQUAL("I b 1", d.Queue().c_str());
}

TEST(Pulls, Purge_ForcedDiscardsOperationsAndSaysHowMany) {
  scene.TheyPut(a, R"("value":1)");
  CHECK(d.Pull().outcome.ok());
  d.Put(a, R"("value":9)");
  d.Put(b, R"("value":2)");
  auto purged = d.Purge(nullptr, true);
  CHECK(purged.ok());
  LONGS_EQUAL(2, long(purged->operations));
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(0, Requests());
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
  STRCMP_EQUAL("1", d.Get(a, "value").c_str());
}

TEST(Pulls, Purge_ForcedTakesConflictsAlong) {
  scene.TheyPut(a, R"("value":1)");
  d.Put(a, R"("value":2)");
  LONGS_EQUAL(1, long(d.Push().push.conflicts));
  CHECK(d.Purge(nullptr, true).ok());
  LONGS_EQUAL(0, long(d.Errors().size()));
  CHECK(d.Pull().outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, Purge_ByFilterLeavesTheOthersAndIsNotADelete) {
  scene.TheyPut(a, R"("value":1)");
  scene.TheyPut(b, R"("value":100)");
  CHECK(d.Pull().outcome.ok());
  auto purged = d.Purge("value lt 10");
  CHECK(purged.ok() && purged->rows == 1);
  CHECK(d.Push().outcome.ok());
  CHECK(scene.Alive(a));
  CHECK(d.Pull().outcome.ok());
  STRCMP_EQUAL("100", d.Get(b, "value").c_str());
  CHECK(d.Pull({}, true).outcome.ok());
  scene.CheckEqual(d);
}

TEST(Pulls, Purge_ForcedByFilterDiscardsOnlyThoseRows) {
  d.Put(a, R"("value":1)");
  d.Put(b, R"("value":100)");
  auto purged = d.Purge("value lt 10", true);
  CHECK(purged.ok() && purged->operations == 1 && purged->rows == 1);
  STRCMP_EQUAL("I b 1", d.Queue().c_str());
}

TEST(Pulls, Purge_ABadFilterIsRefused) {
  auto parsed = std::make_unique<query::ParsedFilter>();
  query::QueryError problem;
  char room[256];
  Arena arena(room);
  CHECK(query::ParseFilter("nobody eq 1", arena, *parsed, problem).ok());
  auto purged = d.store->Purge(*d.table, parsed.get(), true);
  CHECK(!purged.ok() && purged.error().code == Code::kInvalidArgument);
}

}  // namespace holdfast::test
