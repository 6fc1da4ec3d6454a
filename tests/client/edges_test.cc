// SPDX-License-Identifier: Apache-2.0
// The library where its two sides, its callbacks and its configuration could say different things.
#include <CppUTest/TestHarness.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <fstream>

#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_link.h"
#include "hal/sim/sim_random.h"
#include "hal/sim/sim_storage.h"
#include "holdfast/holdfast.h"
#include "store/store.h"
#include "transport/sim/sim_server.h"
#include "transport/sim/sim_transport.h"

namespace holdfast::test {
namespace {

const std::string kBytes("\x00\xff\x10", 3);  // AP8Q

class Says : public Events {
 public:
  std::function<void(const Operation&, Row&)> before;
  std::function<void(const Row& server, Row& merged)> merge;

  Send BeforeSend(const Operation& operation, Row& row) override {
    if (before) before(operation, row);
    return Send::kSend;
  }
  bool OnConflict(const Operation&, const Row&, const Row& server, Settle& settle,
                  Row& merged) override {
    if (!merge) return false;
    settle = Settle::kMerged;
    merge(server, merged);
    return true;
  }
};

}  // namespace

// clang-format off
TEST_GROUP(LibraryEdges) {
  hal::SimClock clock;
  hal::SimStorage storage{{.clock = &clock}};
  hal::SimRandom random;
  hal::SimLink link;
  transport::SimServer server{clock, {}};
  transport::SimTransport* wire = nullptr;
  std::unique_ptr<Client> client;
  Says says;

  std::unique_ptr<Client> Make() {
    auto store = store::Store::Open({.path = "device.db"}, storage, clock, random);
    CHECK(store.ok());
    const std::pair<const char*, ColumnType> all[] = {
        {"sensor", ColumnType::kText}, {"value", ColumnType::kReal}, {"n", ColumnType::kInteger},
        {"flag", ColumnType::kBoolean}, {"at", ColumnType::kDatetime}, {"bytes", ColumnType::kBlob}};
    store::Column columns[std::size(all)];
    for (std::size_t i = 0; i < std::size(all); ++i) {
      CHECK(columns[i].name.Assign(all[i].first).ok());
      columns[i].type = all[i].second;
    }
    CHECK((*store)->DefineTable({.name = "readings", .columns = columns}).ok());
    auto simulated = std::make_unique<transport::SimTransport>(server, clock);
    simulated->set_wait([this](hal::Duration wait) { clock.Advance(wait); });
    wire = simulated.get();
    Client::Parts parts;
    parts.store = std::move(*store);
    parts.transport = std::move(simulated);
    parts.clock = &clock;
    parts.link = &link;
    parts.random = &random;
    auto opened = Client::Open(std::move(parts));
    CHECK(opened.ok());
    return std::move(*opened);
  }
  void setup() override { client = Make(); }
  Table& here() { return *client->sync_table("readings"); }
  Table& there() { return *client->table("readings"); }
  // Row a: their sensor, our value.
  void Dispute() {
    CHECK(here().Insert(Row("a").Set("value", 1.0)).ok());
    CHECK(client->Push().outcome.ok());
    CHECK(there().Update(Row("a").Set("sensor", "theirs")).ok());
    CHECK(here().Update(Row("a").Set("value", 2.0)).ok());
  }
};
// clang-format on

TEST(LibraryEdges, ValuesHaveOneTypeOnBothSides) {
  for (Table* table : {&here(), &there()}) {
    Row row("typed");
    row.Set("flag", true).Set("n", 7u).Set("value", 2).Set("at", "2026-11-23T08:11:29+02:00");
    CHECK(table->Insert(row.SetBlob("bytes", kBytes)).ok());
    auto json = Row::FromJson(R"({"id":"json","bytes":"AP8Q","flag":true})");
    CHECK(json.ok() && table->Insert(*json).ok());
    for (const char* id : {"typed", "json"}) {
      auto read = table->Lookup(id);
      CHECK(read.ok());
      CHECK(read->Text("bytes") == kBytes);
      CHECK(read->Flag("flag"));
    }
    STRCMP_EQUAL("2026-11-23T06:11:29.000Z", table->Lookup("typed")->Text("at").c_str());
    auto all = table->ReadAll({.where = "flag eq true"});
    CHECK(all.ok() && all->size() == 2 && (*all)[0].Text("bytes") == kBytes);
  }
}

TEST(LibraryEdges, ARowIsReadChangedAndWrittenBackOnBothSides) {
  for (Table* table : {&here(), &there()}) {
    CHECK(table->Insert(Row("a").Set("sensor", "s").SetBlob("bytes", kBytes)).ok());
    auto row = table->Lookup("a");
    CHECK(row.ok());
    CHECK(table->Update(row->Set("value", 2.0)).ok());
    DOUBLES_EQUAL(2.0, table->Lookup("a")->Real("value"), 0);
    CHECK(table->Lookup("a")->Text("bytes") == kBytes);
  }
}

TEST(LibraryEdges, WhatTheEventsChangeIsStoredInTheTypesOfTheTable) {
  says.before = [](const Operation&, Row& row) {
    row = *Row::FromJson(R"({"bytes":"AP8Q","value":3})");
  };
  client->set_events(&says);
  CHECK(here().Insert(Row("a").Set("sensor", "s")).ok());
  CHECK(client->Push().outcome.ok());
  for (Table* table : {&here(), &there()}) {
    CHECK(table->Lookup("a")->Text("bytes") == kBytes);
    DOUBLES_EQUAL(3, table->Lookup("a")->Real("value"), 0);
  }
}

// A server's table may have columns that others brought.
TEST(LibraryEdges, AMergedRowMayBeginAsTheServersCopy) {
  says.merge = [](const Row& row, Row& merged) { (merged = row).Set("value", 42.0); };
  client->set_events(&says);
  Dispute();
  server.Put("readings", R"({"id":"a","sensor":"theirs","value":1.0,"not_here":5})");
  const PushReport report = client->Push();
  CHECK(report.outcome.ok());
  LONGS_EQUAL(1, long(report.resolved));
  auto row = there().Lookup("a");
  CHECK(row.ok());
  DOUBLES_EQUAL(42, row->Real("value"), 0);
  LONGS_EQUAL(5, long(row->Integer("not_here")));
}

TEST(LibraryEdges, AMergedRowThatCannotBeSentHoldsUpNoOtherRow) {
  says.merge = [](const Row& row, Row& merged) { (merged = row).Set("not_here", 1); };
  client->set_events(&says);
  Dispute();
  CHECK(here().Insert(Row("z").Set("value", 1.0)).ok());
  const PushReport report = client->Push();
  CHECK(report.outcome.ok());
  LONGS_EQUAL(1, long(report.conflicts));
  LONGS_EQUAL(1, long(report.pushed));
  auto waiting = client->Conflicts();
  CHECK(waiting.ok() && waiting->size() == 1);
  Row merged = waiting->front().server;
  merged.Set("not_here", 1);
  CHECK(client->Resolve(waiting->front().number, Settle::kMerged, merged).error().code ==
        Code::kInvalidArgument);
  merged = waiting->front().server;
  CHECK(client->Resolve(waiting->front().number, Settle::kMerged, merged.Set("value", 7)).ok());
  CHECK(client->Push().outcome.ok());
  DOUBLES_EQUAL(7, there().Lookup("a")->Real("value"), 0);
}

TEST(LibraryEdges, TheWayToTheServerTakesOneCallAtATime) {
  for (int i = 0; i < 3; ++i) CHECK(there().Insert(Row().Set("n", i)).ok());
  int busy = 0, rows = 0;
  const auto inside = [&](const Row& row) {
    ++rows;
    CHECK(here().Insert(Row().Set("n", row.Integer("n"))).ok());  // the device's table is free
    busy += there().Lookup(row.id()).error().code == Code::kBusy;
    busy += there().Delete(row.id()).error().code == Code::kBusy;
    busy += client->Push().outcome.error().code == Code::kBusy;
    CHECK(client->why().find("in use") != std::string::npos);
    return true;
  };
  CHECK(there().Read({}, inside).ok());
  LONGS_EQUAL(3, rows);
  LONGS_EQUAL(9, busy);
  says.before = [&](const Operation& operation, Row&) {
    busy += there().Lookup(operation.id).error().code == Code::kBusy;
  };
  client->set_events(&says);
  CHECK(client->Push().outcome.ok());
  LONGS_EQUAL(12, busy);
  CHECK(there().ReadAll().ok());
}

TEST(LibraryEdges, EveryErrorHasWordsOfItsOwn) {
  CHECK(!here().Lookup("nobody").ok());
  Row wide("w");
  for (int i = 0; i < 100; ++i) wide.Set("c" + std::to_string(i), i);
  for (Table* table : {&here(), &there()}) {
    CHECK(table->Insert(wide).error().code == Code::kTooLarge);
    CHECK(client->why().find("too many columns") != std::string::npos);
    CHECK(!table->Update(Row().Set("n", 1)).ok());
    CHECK(client->why().find("too many columns") == std::string::npos);
  }
}

TEST(LibraryEdges, TableNamesIgnoreCaseAsInSqlite) {
  POINTERS_EQUAL(client->sync_table("readings"), client->sync_table("READINGS"));
  POINTERS_EQUAL(client->table("readings"), client->table("Readings"));
}

TEST(LibraryEdges, NumbersOfAllKindsAndTextsAreTold) {
  char text[] = "t";
  Row row;
  row.Set("a", 1u).Set("b", 2LL).Set("c", 3UL).Set("d", std::uint8_t{4}).Set("e", 1.5F);
  row.Set("f", false).Set("g", text).Set("h", std::string("s"));
  STRCMP_EQUAL(R"({"a":1,"b":2,"c":3,"d":4,"e":1.5,"f":false,"g":"t","h":"s"})",
               row.Json().c_str());
}

TEST(LibraryEdges, TheQueueIsToldWithoutAskingAnybody) {
  CHECK(here().Insert(Row("bad").Set("n", 1)).ok());
  wire->set_fault_source([](const transport::Request&) {
    transport::SimFault fault;
    fault.kind = transport::SimFault::Kind::kInstead;
    fault.answer.status = 400;
    fault.answer.body = "{}";
    return fault;
  });
  LONGS_EQUAL(1, long(client->Push().parked));
  wire->set_fault_source({});
  CHECK(here().Insert(Row("good").Set("n", 2)).ok());
  auto queue = client->Queue();
  CHECK(queue.ok());
  LONGS_EQUAL(2, long(queue->queued));
  LONGS_EQUAL(1, long(queue->sendable));
  LONGS_EQUAL(1, long(queue->parked));
  LONGS_EQUAL(0, long(queue->conflicts));
  CHECK(queue->oldest_unix_s > 0 && queue->database_bytes > 0);
}

TEST(LibraryEdges, TheServersWishToWaitComesBackAndIsObeyed) {
  CHECK(here().Insert(Row("a").Set("n", 1)).ok());
  transport::SimFault fault;
  fault.kind = transport::SimFault::Kind::kInstead;
  fault.answer.status = 503;
  fault.answer.retry_after = hal::Duration::Seconds(17);
  wire->Plan(fault);
  PushReport report = client->Push();
  CHECK(!report.outcome.ok());
  DOUBLES_EQUAL(17, report.retry_after_s, 0.01);
  LONGS_EQUAL(1, long(report.remaining));
  report = client->Push();
  CHECK(!report.outcome.ok());
  LONGS_EQUAL(0, long(report.requests));
  clock.Advance(hal::Duration::Seconds(18));
  LONGS_EQUAL(1, long(client->Push().pushed));
}

// Two programs push the same rows at once: each row arrives once in effect.
TEST(LibraryEdges, TwoClientsOfOneDatabaseMayPushAtOnce) {
  std::unique_ptr<Client> other = Make();
  for (int i = 0; i < 5; ++i) CHECK(here().Insert(Row().Set("n", i)).ok());
  bool once = false;
  says.before = [&](const Operation&, Row&) {
    if (!once) CHECK(other->Push().outcome.ok());
    once = true;
  };
  client->set_events(&says);
  CHECK(client->Push().outcome.ok());
  LONGS_EQUAL(0, long(client->Queue()->queued));
  LONGS_EQUAL(5, long(server.table("readings").size()));
  for (const auto& [id, row] : server.table("readings")) LONGS_EQUAL(1, long(row.inserts));
  other.reset();
}

TEST(LibraryEdges, TheDirectionOfATableIsKept) {
  std::string folder = (std::filesystem::temp_directory_path() / "holdfast-client-XXXXXX").string();
  CHECK(mkdtemp(folder.data()) != nullptr);
  const std::string path = folder + "/holdfast.conf";
  // Nobody listens there: whoever asks, fails.
  std::ofstream(path) << R"({"database": "d.db", "server": {"url": "http://127.0.0.1:1"},
    "tables": {"down": {"columns": {"n": "integer"}, "direction": "pull"},
               "up": {"columns": {"n": "integer"}, "direction": "push"}}})";
  std::string problems;
  auto opened = Client::Open(path, &problems);
  CHECK_TRUE_TEXT(opened.ok(), problems.c_str());
  Client& both = **opened;
  CHECK(both.sync_table("down")->Insert(Row().Set("n", 1)).ok());
  const PushReport pushed = both.Push();
  CHECK(pushed.outcome.ok());
  LONGS_EQUAL(0, long(pushed.pushed));
  LONGS_EQUAL(0, long(both.Queue()->sendable));
  CHECK(both.Push({"down"}).outcome.error().code == Code::kInvalidArgument);
  CHECK(both.Pull("up").outcome.error().code == Code::kInvalidArgument);
  CHECK(both.why().find("direction") != std::string::npos);
  CHECK(both.sync_table("up")->Insert(Row().Set("n", 1)).ok());
  CHECK(both.Push({"up"}).outcome.error().code == Code::kOffline);
  LONGS_EQUAL(1, long(both.Queue()->sendable));
  opened = Error{Code::kCancelled};  // closes it
  std::filesystem::remove_all(folder);
}

}  // namespace holdfast::test
