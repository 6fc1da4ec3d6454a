// SPDX-License-Identifier: Apache-2.0
// The library, on simulated hardware and with a transport of the test's own.
#include <CppUTest/TestHarness.h>

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

// A transport as a user would write one: counts, and hands on.
class Counting final : public transport::Transport {
 public:
  Counting(std::unique_ptr<transport::Transport> inner, int& requests)
      : inner_(std::move(inner)), requests_(requests) {}
  Result<void> Begin(const transport::Request& request, transport::ResponseSink& sink) override {
    ++requests_;
    return inner_->Begin(request, sink);
  }
  bool Pump(hal::Duration wait) override { return inner_->Pump(wait); }
  void Cancel() override { inner_->Cancel(); }
  Result<void> ReloadCredentials() override { return inner_->ReloadCredentials(); }
  const transport::Capabilities& capabilities() const override { return inner_->capabilities(); }
  const transport::Traffic& traffic() const override { return inner_->traffic(); }

 private:
  std::unique_ptr<transport::Transport> inner_;
  int& requests_;
};

}  // namespace

// clang-format off
TEST_GROUP(Library) {
  hal::SimClock clock;
  hal::SimStorage storage{{.clock = &clock}};
  hal::SimRandom random;
  hal::SimLink link;
  transport::SimServer server{clock, {}};
  transport::SimTransport* wire = nullptr;
  int requests = 0;
  std::unique_ptr<Client> client;

  void Open(const char* policy = "ask") {
    auto store = store::Store::Open({.path = "device.db"}, storage, clock, random);
    CHECK(store.ok());
    store::Column columns[2];
    CHECK(columns[0].name.Assign("sensor").ok() && columns[1].name.Assign("value").ok());
    columns[0].type = ColumnType::kText;
    columns[1].type = ColumnType::kReal;
    CHECK((*store)->DefineTable({.name = "readings", .columns = columns}).ok());
    auto simulated = std::make_unique<transport::SimTransport>(server, clock);
    simulated->set_wait([this](hal::Duration wait) { clock.Advance(wait); });
    wire = simulated.get();
    Client::Parts parts;
    parts.store = std::move(*store);
    parts.transport = std::make_unique<Counting>(std::move(simulated), requests);
    parts.clock = &clock;
    parts.link = &link;
    parts.random = &random;
    parts.policies = {{"readings", policy}};
    auto opened = Client::Open(std::move(parts));
    CHECK(opened.ok());
    client = std::move(*opened);
  }
  Table& here() { return *client->sync_table("readings"); }
  Table& there() { return *client->table("readings"); }
  std::string Insert(double value, const char* sensor = "t") {
    auto id = here().Insert(Row().Set("sensor", sensor).Set("value", value));
    CHECK(id.ok());
    return *id;
  }
  // Their sensor, our value.
  std::string Dispute() {
    const std::string id = Insert(1);
    CHECK(client->Push().outcome.ok());
    CHECK(there().Update(Row(id).Set("sensor", "theirs")).ok());
    CHECK(here().Update(Row(id).Set("value", 2.0)).ok());
    return id;
  }
};
// clang-format on

// The same code on both tables.
TEST(Library, BothTablesTakeTheSameWords) {
  Open();
  for (Table* table : {&here(), &there()}) {
    auto id = table->Insert(Row("a").Set("sensor", "it's").Set("value", 1.5));
    CHECK(id.ok());
    STRCMP_EQUAL("a", id->c_str());
    CHECK(table->Insert(Row("a").Set("value", 2.0)).error().code == Code::kExists);
    auto made = table->Insert(Row().Set("value", 7));
    CHECK(made.ok() && made->size() > 8);
    CHECK(table->Update(Row("a").Set("value", 3.0)).ok());
    CHECK(table->Update(Row("nobody").Set("value", 3.0)).error().code == Code::kNotFound);
    auto row = table->Lookup("a");
    CHECK(row.ok());
    STRCMP_EQUAL("it's", row->Text("sensor").c_str());
    DOUBLES_EQUAL(3.0, row->Real("value"), 0);
    auto rows = table->ReadAll({.where = "value gt 2", .order_by = "value desc", .top = 1});
    CHECK(rows.ok() && rows->size() == 1 && (*rows)[0].Integer("value") == 7);
    int seen = 0;
    CHECK(table->Read({}, [&](const Row&) { return ++seen < 1; }).ok());
    LONGS_EQUAL(1, seen);
    CHECK(table->ReadAll({.where = "value gt"}).error().code == Code::kInvalidArgument);
    CHECK(client->why().find("column") != std::string::npos);
    CHECK(table->Delete("a").ok());
    CHECK(table->Lookup("a").error().code == Code::kNotFound);
    CHECK(table->Delete("a").error().code == Code::kNotFound);
  }
  CHECK(client->sync_table("nothing") == nullptr && client->table("nothing") == nullptr);
}

TEST(Library, PushPullAndPurgeReportWhatTheyDid) {
  Open();
  const std::string id = Insert(1);
  LONGS_EQUAL(1, long(*client->CountQueued()));
  const PushReport pushed = client->Push();
  CHECK(pushed.outcome.ok());
  LONGS_EQUAL(1, long(pushed.pushed));
  LONGS_EQUAL(1, requests);
  CHECK(there().Insert(Row("theirs").Set("value", 50)).ok());
  const PullReport pulled = client->Pull("readings");
  CHECK(pulled.outcome.ok());
  LONGS_EQUAL(1, long(pulled.received));
  auto purged = client->Purge("readings", "value gt 10");
  CHECK(purged.ok() && purged->removed == 1);
  CHECK(here().Update(Row(id).Set("value", 9)).ok());
  CHECK(client->Purge("readings").error().code == Code::kPending);
  purged = client->Purge("readings", {}, true);
  CHECK(purged.ok() && purged->removed == 1 && purged->discarded == 1);
  LONGS_EQUAL(2, long(client->Pull("readings").received));
  CHECK(client->Pull("nothing").outcome.error().code == Code::kNotFound);
  CHECK(client->Push({"nothing"}).outcome.error().code == Code::kNotFound);
}

TEST(Library, RemoteUpdatesStandOnTheVersionThatTheyWereReadWith) {
  Open();
  CHECK(there().Insert(Row("a").Set("value", 1)).ok());
  auto row = there().Lookup("a");
  CHECK(row.ok() && !row->version().empty());
  CHECK(there().Update(Row("a").Set("value", 2)).ok());
  row->Set("value", 3);
  CHECK(there().Update(*row).error().code == Code::kConflict);
}

TEST(Library, AConflictIsListedWithBothCopiesAndSettled) {
  for (const Settle settle : {Settle::kLocal, Settle::kServer, Settle::kMerged, Settle::kDiscard}) {
    Open();
    const std::string id = Dispute();
    LONGS_EQUAL(1, long(client->Push().conflicts));
    auto waiting = client->Conflicts();
    CHECK(waiting.ok() && waiting->size() == 1);
    const Waiting& one = waiting->front();
    CHECK(one.conflict);
    DOUBLES_EQUAL(2, one.local.Real("value"), 0);
    STRCMP_EQUAL("theirs", one.server.Text("sensor").c_str());
    CHECK(client->Resolve(one.number + 1000, settle).error().code == Code::kNotFound);
    CHECK(client->Resolve(one.number, settle, Row().Set("value", 5.0)).ok());
    CHECK(client->Pull("readings").outcome.ok());
    auto local = here().Lookup(id), remote = there().Lookup(id);
    CHECK(local.ok() && remote.ok());
    const bool ours = settle == Settle::kLocal;
    STRCMP_EQUAL(ours ? "t" : "theirs", remote->Text("sensor").c_str());
    DOUBLES_EQUAL(ours ? 2 : settle == Settle::kMerged ? 5 : 1, remote->Real("value"), 0);
    DOUBLES_EQUAL(remote->Real("value"), local->Real("value"), 0);
  }
}

TEST(Library, PoliciesSettleByThemselves) {
  Open("merge");
  const std::string id = Dispute();
  LONGS_EQUAL(1, long(client->Push().resolved));
  auto remote = there().Lookup(id);
  CHECK(remote.ok());
  STRCMP_EQUAL("theirs", remote->Text("sensor").c_str());
  DOUBLES_EQUAL(2, remote->Real("value"), 0);
}

TEST(Library, APolicyThatIsNoneIsRefused) {
  Open();
  Client::Parts parts;
  CHECK(Client::Open(std::move(parts)).error().code == Code::kInvalidArgument);
}

namespace {

class Says : public Events {
 public:
  Send send = Send::kSend;
  Refused refused = Refused::kPark;
  bool change = false, decide = false;
  int before = 0, after = 0, pulled = 0, conflicts = 0;
  std::string words;

  Send BeforeSend(const Operation& operation, Row& row) override {
    ++before;
    STRCMP_EQUAL("readings", operation.table.c_str());
    if (change) row.Set("sensor", "changed");
    return send;
  }
  bool OnConflict(const Operation&, const Row&, const Row&, Settle& settle, Row& merged) override {
    ++conflicts;
    settle = Settle::kMerged;
    merged.Set("value", 42.0);
    return decide;
  }
  Refused OnRefused(const Operation&, const Error&) override { return refused; }
  void AfterPush(const PushReport&) override { ++after; }
  void OnPulled(std::string_view, const Row& row, bool deleted) override {
    ++pulled;
    words = (deleted ? "deleted " : "stored ") + row.id();
  }
};

}  // namespace

TEST(Library, EventsChangeSkipAbortRetryAndDecide) {
  Open();
  Says says;
  client->set_events(&says);
  says.change = true;
  const std::string id = Insert(1);
  CHECK(client->Push().outcome.ok());
  LONGS_EQUAL(1, says.after);
  STRCMP_EQUAL("changed", there().Lookup(id)->Text("sensor").c_str());
  STRCMP_EQUAL("changed", here().Lookup(id)->Text("sensor").c_str());

  says.change = false;
  says.send = Events::Send::kSkip;
  Insert(2);
  LONGS_EQUAL(1, long(client->Push().skipped));
  LONGS_EQUAL(1, long(*client->CountQueued()));
  says.send = Events::Send::kAbort;
  CHECK(client->Push().outcome.error().code == Code::kCancelled);
  says.send = Events::Send::kSend;
  LONGS_EQUAL(1, long(client->Push().pushed));

  says.decide = true;
  const std::string disputed = Dispute();
  LONGS_EQUAL(1, long(client->Push().resolved));
  LONGS_EQUAL(1, says.conflicts);
  DOUBLES_EQUAL(42, there().Lookup(disputed)->Real("value"), 0);

  int refusals = 0;
  wire->set_fault_source([&](const transport::Request&) {
    transport::SimFault fault;
    if (refusals++ > 0) return fault;
    fault.kind = transport::SimFault::Kind::kInstead;
    fault.answer.status = 403;
    fault.answer.body = "{}";
    return fault;
  });
  says.refused = Events::Refused::kRetry;
  Insert(3);
  LONGS_EQUAL(1, long(client->Push().pushed));
  wire->set_fault_source({});

  CHECK(there().Insert(Row("theirs").Set("value", 1)).ok());
  CHECK(client->Pull("readings").outcome.ok());
  STRCMP_EQUAL("stored theirs", says.words.c_str());
  CHECK(there().Delete("theirs").ok());
  CHECK(client->Pull("readings").outcome.ok());
  STRCMP_EQUAL("deleted theirs", says.words.c_str());
}

TEST(Library, ARefusedRowIsListedWithTheServersWords) {
  Open();
  const std::string id = Insert(1);
  wire->set_fault_source([](const transport::Request&) {
    transport::SimFault fault;
    fault.kind = transport::SimFault::Kind::kInstead;
    fault.answer.status = 400;
    fault.answer.body = R"({"error":"value: too small"})";
    return fault;
  });
  LONGS_EQUAL(1, long(client->Push().parked));
  wire->set_fault_source({});
  auto waiting = client->Conflicts();
  CHECK(waiting.ok() && waiting->size() == 1 && !waiting->front().conflict);
  STRCMP_EQUAL("value: too small", waiting->front().server_words.c_str());
  CHECK(client->Resolve(waiting->front().number, Settle::kServer).error().code ==
        Code::kInvalidArgument);
  LONGS_EQUAL(0, long(client->Push().pushed));
  LONGS_EQUAL(1, long(client->Push({}, true).pushed));
  CHECK(there().Lookup(id).ok());
}

TEST(Library, ASyncCanBeStoppedAndTellsHowFarItIs) {
  Open();
  for (int i = 0; i < 10; ++i) Insert(i);
  std::uint64_t pushed = 0;
  client->set_progress([&](const Progress& now) {
    pushed = std::max(pushed, now.pushed);
    if (now.pushed == 3) client->Cancel();
  });
  CHECK(client->Push().outcome.error().code == Code::kCancelled);
  CHECK(pushed >= 3 && pushed < 10);
  client->set_progress(nullptr);
  CHECK(client->Push().outcome.ok());
  LONGS_EQUAL(0, long(*client->CountQueued()));
  LONGS_EQUAL(10, long(there().ReadAll()->size()));
}

TEST(Library, RowsKeepTheirTypesAndReadAsJson) {
  Row row("x");
  row.Set("text", "a\"b").Set("real", 1.5).Set("whole", 7).Set("yes", true).SetNull("none");
  row.SetBlob("bytes", std::string_view("\x00\xff", 2));
  STRCMP_EQUAL(
      R"({"id":"x","text":"a\"b","real":1.5,"whole":7,"yes":true,"none":null,"bytes":"AP8="})",
      row.Json().c_str());
  auto read = Row::FromJson(row.Json());
  CHECK(read.ok());
  STRCMP_EQUAL("a\"b", read->Text("TEXT").c_str());
  DOUBLES_EQUAL(1.5, read->Real("real"), 0);
  DOUBLES_EQUAL(7, read->Real("whole"), 0);
  LONGS_EQUAL(1, long(read->Integer("real")));
  CHECK(read->Flag("yes") && read->IsNull("none") && read->IsNull("nobody"));
  LONGS_EQUAL(5, long(read->Integer("text", 5)));
  row.Set("text", 3);
  LONGS_EQUAL(3, long(row.Integer("text")));
  CHECK(!Row::FromJson("[1]").ok() && !Row::FromJson("{").ok() && !Row::FromJson("").ok());
}

TEST(Library, AWrongConfigurationIsToldLineByLine) {
  std::string problems;
  auto opened = Client::Open("/nowhere/holdfast.conf", &problems);
  CHECK(opened.error().code == Code::kInvalidArgument);
  CHECK(problems.find("/nowhere/holdfast.conf") != std::string::npos);
}

}  // namespace holdfast::test
