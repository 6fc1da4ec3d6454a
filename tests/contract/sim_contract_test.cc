// SPDX-License-Identifier: Apache-2.0
// The contract on SimTransport, and its own faults.
#include "hal/sim/sim_clock.h"
#include "tests/contract/transport_contract.h"
#include "transport/sim/sim_transport.h"
#include "transport/two_carriers.h"

using namespace holdfast;
using namespace holdfast::transport;
using namespace holdfast::testing;

TEST_GROUP(SimContract) {
  hal::SimClock clock;
  SimServer server{clock, {}};

  std::unique_ptr<Transport> NewLink() {
    auto link = std::make_unique<SimTransport>(server, clock);
    link->set_wait([this](hal::Duration wait) { clock.Advance(wait); });
    return link;
  }
  contract::World NewWorld() {
    contract::World world;
    world.transport = NewLink();
    world.other = NewLink();
    world.names_are_known = false;
    world.prefix = "c-";
    return world;
  }
};

#define CHECK_HERE(name) \
  TEST(SimContract, name) { contract::name(NewWorld()); }
HOLDFAST_TRANSPORT_CONTRACT(CHECK_HERE)

TEST_GROUP(SimFaults) {
  hal::SimClock clock;
  SimServer server{clock, {}};
  SimTransport link{server, clock};

  KeepingSink Insert(const std::string& id) {
    const std::string body = "{\"id\":\"" + id + "\",\"value\":1}";
    KeepingSink sink;
    Run(link, Write(Method::kInsert, "readings", "", body), sink);
    return sink;
  }
};

TEST(SimFaults, NotSentIsNotApplied) {
  SimFault fault;
  fault.kind = SimFault::Kind::kNotSent;
  link.Plan(fault);
  CHECK(Insert("a").failed(Code::kOffline));
  CHECK(server.Find("readings", "a") == nullptr);
  CHECK(Insert("a").answered(Status::kCreated));
}

TEST(SimFaults, UnansweredIsApplied) {
  SimFault fault;
  fault.kind = SimFault::Kind::kUnanswered;
  fault.error = Error{Code::kTimeout};
  link.Plan(fault);
  const KeepingSink sink = Insert("a");
  CHECK(sink.failed(Code::kTimeout));
  LONGS_EQUAL(0, sink.heads);
  CHECK(server.Find("readings", "a") != nullptr);
  CHECK(Insert("a").answered(Status::kConflict));
}

TEST(SimFaults, Truncated) {
  SimFault fault;
  fault.kind = SimFault::Kind::kTruncated;
  fault.bytes = 10;
  link.Plan(fault);
  const KeepingSink sink = Insert("a");
  CHECK(sink.failed(Code::kBadAnswer));
  LONGS_EQUAL(10, sink.size);
  CHECK(server.Find("readings", "a") != nullptr);
}

TEST(SimFaults, AnotherAnswerInsteadOrInDisguise) {
  SimFault fault;
  fault.kind = SimFault::Kind::kInstead;
  fault.answer.body = "<html>pay</html>";
  fault.answer.is_json = false;
  link.Plan(fault);
  const KeepingSink sink = Insert("a");
  CHECK(sink.answered(Status::kOk));
  CHECK(!sink.is_json);
  CHECK(server.Find("readings", "a") == nullptr);
  fault.kind = SimFault::Kind::kDisguised;
  fault.answer.status = 502;
  link.Plan(fault);
  CHECK(Insert("a").answered(Status::kServerError));
  CHECK(server.Find("readings", "a") != nullptr);
}

TEST(SimFaults, DelaysAndTimeouts) {
  link.set_wait([this](hal::Duration time) { clock.Advance(time); });
  SimFault slow;
  slow.before = slow.after = hal::Duration::Seconds(20);
  link.Plan(slow);
  const hal::Instant start = clock.Now();
  CHECK(Insert("slow").answered(Status::kCreated));
  LONGS_EQUAL(40, (clock.Now() - start).seconds());
  slow.before = hal::Duration::Seconds(70);
  link.Plan(slow);
  CHECK(Insert("never").failed(Code::kTimeout));
  CHECK(server.Find("readings", "never") == nullptr);
  slow.before = {0};
  slow.after = hal::Duration::Seconds(70);
  link.Plan(slow);
  CHECK(Insert("unheard").failed(Code::kTimeout));
  CHECK(server.Find("readings", "unheard") != nullptr);
}

TEST(SimFaults, WithoutAWaiterPumpReturns) {
  SimFault slow;
  slow.before = hal::Duration::Seconds(1);
  link.Plan(slow);
  KeepingSink sink;
  CHECK(link.Begin(List("readings"), sink).ok());
  CHECK(link.Pump(hal::Duration::Seconds(9)));
  clock.Advance(hal::Duration::Seconds(1));
  CHECK(!link.Pump({0}));
  CHECK(sink.answered(Status::kOk));
}

TEST_GROUP(SimServers) {
  hal::SimClock clock;
  KeepingSink Do(SimServer & server, const Request& request) {
    SimTransport link(server, clock);
    KeepingSink sink;
    Run(link, request, sink);
    return sink;
  }
};

TEST(SimServers, NodeEchoesWhatItRefuses) {
  SimServer server(clock, {.flavour = SimFlavour::kNode});
  server.Put("readings", R"({"id":"a","value":1})");
  const KeepingSink sink =
      Do(server, Write(Method::kInsert, "readings", "", R"({"id":"a","value":2})"));
  CHECK(sink.answered(Status::kConflict));
  STRCMP_EQUAL(R"({"id":"a","value":2})", sink.body.c_str());
  CHECK(sink.version.empty());
  server.Delete("readings", "a");
  CHECK(Do(server, Lookup("readings", "a")).answered(Status::kNotFound));
  const KeepingSink put = Do(server, Write(Method::kReplace, "readings", "a", "{}"));
  CHECK(put.answered(Status::kNotFound));
  CHECK(!put.is_json);
}

TEST(SimServers, ToolkitReplacesAndPages) {
  SimServer server(clock, {.flavour = SimFlavour::kToolkit, .page_rows = 2});
  for (const char* id : {"a", "b", "c"}) {
    server.Put("readings", std::string("{\"id\":\"") + id + "\",\"value\":1,\"sensor\":\"s\"}");
  }
  CHECK(Do(server, Write(Method::kUpdate, "readings", "a", "{}"))
            .answered(Status::kMethodNotAllowed));
  const KeepingSink replaced =
      Do(server, Write(Method::kReplace, "readings", "a", R"({"id":"a","value":2})"));
  CHECK(replaced.answered(Status::kOk));
  CHECK(replaced.body.find("sensor") == std::string::npos);
  const KeepingSink page = Do(server, List("readings"));
  CHECK(page.body.find("{\"items\":[") == 0);
  CHECK(page.body.find("\"nextLink\":\"page=1\"") != std::string::npos);
  Request next = List("readings");
  next.list.continuation = "page=1";
  const KeepingSink last = Do(server, next);
  CHECK(last.body.find("\"id\":\"c\"") != std::string::npos);
  CHECK(last.body.find("\"nextLink\":null") != std::string::npos);
  server.Delete("readings", "a");
  CHECK(Do(server, Write(Method::kDelete, "readings", "a")).answered(Status::kGone));
  CHECK(Do(server, Write(Method::kDelete, "readings", "b")).answered(Status::kNoContent));
}

TEST(SimServers, ChangesAreStrictlyOrderedWhateverTheClockDoes) {
  SimServer server(clock, {});
  Ticks last = 0;
  for (int i = 0; i < 20; ++i) {
    if (i == 10) clock.StepWall(hal::Duration::Seconds(-3600));
    const std::string id = std::to_string(i);
    server.Put("readings", std::string("{\"id\":\"") + id + "\"}");
    const SimRow* row = server.Find("readings", id);
    CHECK(row->updated_at > last);
    last = row->updated_at;
  }
  LONGS_EQUAL(20, server.writes());
}

TEST_GROUP(TwoCarriersTest) {
  hal::SimClock clock;
  SimServer server{clock, {}};
  SimTransport* small = nullptr;
  SimTransport* large = nullptr;
  std::unique_ptr<TwoCarriers> both;

  void setup() override {
    auto one = std::make_unique<SimTransport>(server, clock);
    auto other = std::make_unique<SimTransport>(server, clock);
    small = one.get();
    large = other.get();
    both = std::make_unique<TwoCarriers>(std::move(one), std::move(other));
  }
  void Insert(const std::string& id, std::size_t bytes) {
    std::string body = "{\"id\":\"" + id + "\",\"sensor\":\"";
    body += std::string(bytes - body.size() - 2, 'x') + "\"}";
    KeepingSink sink;
    Run(*both, Write(Method::kInsert, "readings", "", body), sink);
    CHECK(sink.answered(Status::kCreated));
  }
};

TEST(TwoCarriersTest, BodiesOverTheLimitTakeTheOtherWay) {
  Insert("a", 200);
  Insert("b", TwoCarriers::kLargeBodyBytes);
  LONGS_EQUAL(2, small->traffic().requests);
  LONGS_EQUAL(0, large->traffic().requests);
  Insert("c", TwoCarriers::kLargeBodyBytes + 1);
  LONGS_EQUAL(2, small->traffic().requests);
  LONGS_EQUAL(1, large->traffic().requests);
  KeepingSink sink;
  Run(*both, Lookup("readings", "c"), sink);
  CHECK(sink.answered(Status::kOk));
  LONGS_EQUAL(3, small->traffic().requests);
}

TEST(TwoCarriersTest, TrafficIsThatOfBoth) {
  Insert("a", 200);
  Insert("b", TwoCarriers::kLargeBodyBytes + 1);
  LONGS_EQUAL(2, both->traffic().requests);
  LONGS_EQUAL(2, both->traffic().connections);
  CHECK(both->traffic().bytes_sent > TwoCarriers::kLargeBodyBytes);
}

TEST(TwoCarriersTest, ACancelReachesTheOneThatIsAtWork) {
  KeepingSink sink;
  const std::string body(TwoCarriers::kLargeBodyBytes + 1, ' ');
  CHECK(both->Begin(Write(Method::kInsert, "readings", "", body), sink).ok());
  auto busy = both->ReloadCredentials();
  CHECK(!busy && busy.error().code == Code::kBusy);
  both->Cancel();
  CHECK(sink.failed(Code::kCancelled));
  CHECK(both->ReloadCredentials().ok());
}
