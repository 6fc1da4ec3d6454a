// SPDX-License-Identifier: Apache-2.0
// tests/contract/transport_contract.h - what every Transport has to do, whatever its carrier.
//
// Purpose: one suite of named checks. A carrier's test includes this file, defines how to make a
//          Transport in front of a server that knows the table `readings`, and lists the checks:
//
//            #define CHECK_HERE(name) TEST(Https, name) { contract::name(NewWorld()); }
//            HOLDFAST_TRANSPORT_CONTRACT(CHECK_HERE)
//
//          Ids are unique to each World, so a server may serve many checks one after the other.
#ifndef HOLDFAST_TESTS_CONTRACT_TRANSPORT_CONTRACT_H_
#define HOLDFAST_TESTS_CONTRACT_TRANSPORT_CONTRACT_H_

#include <CppUTest/TestHarness.h>

#include <memory>
#include <string>

#include "tests/contract/exchange.h"
#include "transport/transport.h"

namespace holdfast::contract {

using testing::KeepingSink;
using testing::List;
using testing::Lookup;
using testing::Run;
using testing::Write;
using transport::Method;
using transport::Request;
using transport::Status;

struct World {
  std::unique_ptr<transport::Transport> transport;
  // Somebody else, who is known by another name where the server knows names.
  std::unique_ptr<transport::Transport> other;
  bool names_are_known = true;
  std::string prefix;  // of ids, unique to this world
  std::string table = "readings";

  std::string Id(const std::string& name) const { return prefix + name; }

  KeepingSink Do(const Request& request) {
    KeepingSink sink;
    Run(*transport, request, sink);
    CHECK_TEXT(sink.in_order, "OnHead once, then OnBody, then OnDone once");
    LONGS_EQUAL(1, sink.dones);
    return sink;
  }
  // REQUIRES: succeeds. Returns the version.
  std::string Insert(const std::string& id, const std::string& members = "\"value\":1") {
    const std::string body = "{\"id\":\"" + id + "\"," + members + "}";
    const KeepingSink sink = Do(Write(Method::kInsert, table, "", body));
    if (!sink.answered(Status::kCreated)) FAIL(("insert: " + sink.Describe()).c_str());
    CHECK_TEXT(!sink.version.empty(), "an insert is answered with a version");
    return sink.version;
  }
  KeepingSink Update(const std::string& id, const std::string& body, const std::string& version) {
    return Do(Write(Method::kUpdate, table, id, body, version));
  }
};

inline bool Says(const KeepingSink& sink, const std::string& text) {
  return sink.body.find(text) != std::string::npos;
}
inline void Expect(Status status, const KeepingSink& sink) {
  if (!sink.answered(status)) FAIL(sink.Describe().c_str());
}
inline std::size_t Rows(const KeepingSink& list) {
  const std::string mark = "\"updatedAt\"";
  std::size_t count = 0;
  for (std::size_t at = 0; (at = list.body.find(mark, at)) != std::string::npos;
       at += mark.size()) {
    ++count;
  }
  return count;
}
// What follows "name":" up to the next quote.
inline std::string Member(const KeepingSink& sink, const std::string& name) {
  const std::string start = "\"" + name + "\":\"";
  const std::size_t at = sink.body.find(start);
  if (at == std::string::npos) return "";
  return sink.body.substr(at + start.size(),
                          sink.body.find('"', at + start.size()) - at - start.size());
}

// ---- rows

inline void InsertIsAnsweredWithTheRow(World world) {
  const std::string id = world.Id("a");
  const std::string body = "{\"id\":\"" + id + "\",\"value\":1.5}";
  Request insert = Write(Method::kInsert, world.table, "", body);
  insert.want_row = true;
  const KeepingSink sink = world.Do(insert);
  Expect(Status::kCreated, sink);
  CHECK(sink.is_json);
  CHECK(!sink.version.empty());
  CHECK(Says(sink, "\"id\":\"" + id + "\""));
  CHECK(Says(sink, "\"updatedAt\":"));
  CHECK(Says(sink, "1.5"));
}

inline void InsertOfAnIdThatExistsConflicts(World world) {
  const std::string id = world.Id("a");
  world.Insert(id);
  Expect(Status::kConflict,
         world.Do(Write(Method::kInsert, world.table, "", "{\"id\":\"" + id + "\",\"value\":2}")));
}

inline void LookupFindsTheRowAndItsVersion(World world) {
  const std::string id = world.Id("a"), version = world.Insert(id);
  const KeepingSink sink = world.Do(Lookup(world.table, id));
  Expect(Status::kOk, sink);
  CHECK(sink.is_json);
  STRCMP_EQUAL(version.c_str(), sink.version.c_str());
  CHECK(Says(sink, "\"id\":\"" + id + "\""));
}

inline void LookupOfNothingIsNotFound(World world) {
  world.Insert(world.Id("a"));
  Expect(Status::kNotFound, world.Do(Lookup(world.table, world.Id("none"))));
}

inline void UpdateOnItsVersionChangesIt(World world) {
  const std::string id = world.Id("a"), version = world.Insert(id, "\"value\":1,\"sensor\":\"s\"");
  Request update = Write(Method::kUpdate, world.table, id, R"({"value":2})", version);
  update.want_row = true;
  const KeepingSink sink = world.Do(update);
  Expect(Status::kOk, sink);
  CHECK(!sink.version.empty());
  CHECK(sink.version != version);
  CHECK(Says(sink, "\"sensor\":\"s\""));  // what was not said stays
}

inline void UpdateOnAnOldVersionFailsWithTheRow(World world) {
  const std::string id = world.Id("a"), first = world.Insert(id);
  const std::string second = world.Update(id, R"({"value":2})", first).version;
  const KeepingSink sink = world.Update(id, R"({"value":3})", first);
  Expect(Status::kPreconditionFailed, sink);
  STRCMP_EQUAL(second.c_str(), sink.version.c_str());
  CHECK(Says(sink, "\"id\":\"" + id + "\""));
  STRCMP_EQUAL(second.c_str(), world.Do(Lookup(world.table, id)).version.c_str());
}

inline void UpdateWithoutAVersionIsUnconditional(World world) {
  const std::string id = world.Id("a");
  world.Insert(id);
  Expect(Status::kOk, world.Update(id, R"({"value":2})", ""));
  Expect(Status::kOk, world.Update(id, R"({"value":3})", ""));
}

inline void UpdateOfNothingIsNotFound(World world) {
  Expect(Status::kNotFound, world.Update(world.Id("none"), R"({"value":2})", ""));
}

inline void DeleteOnAnOldVersionFails(World world) {
  const std::string id = world.Id("a"), first = world.Insert(id);
  world.Update(id, R"({"value":2})", first);
  Expect(Status::kPreconditionFailed, world.Do(Write(Method::kDelete, world.table, id, "", first)));
}

inline void DeleteTwiceIsGone(World world) {
  const std::string id = world.Id("a"), version = world.Insert(id);
  const KeepingSink first = world.Do(Write(Method::kDelete, world.table, id, "", version));
  CHECK(first.answered(Status::kOk) || first.answered(Status::kNoContent));
  const KeepingSink second = world.Do(Write(Method::kDelete, world.table, id));
  CHECK(second.answered(Status::kNotFound) || second.answered(Status::kGone));
}

inline void UndeleteBringsTheRowBack(World world) {
  const std::string id = world.Id("a"), version = world.Insert(id, "\"value\":77");
  world.Do(Write(Method::kDelete, world.table, id, "", version));
  const KeepingSink sink = world.Do(Write(Method::kUndelete, world.table, id));
  CHECK(sink.answered(Status::kOk) || sink.answered(Status::kCreated));
  const KeepingSink row = world.Do(Lookup(world.table, id));
  Expect(Status::kOk, row);
  CHECK(Says(row, "77"));
  CHECK(Says(row, "\"deleted\":false"));
}

// Letters that mean something to one carrier or the other.
inline void IdsOfEveryKind(World world) {
  for (const char* tail : {"a b", "50%", "a&b=c", "#1", "a:b|c", "o'neil", "(x)", "a,b;c", "~tilde",
                           "\xc3\xbc\xe4\xb8\x96", "..", "a%2Fb"}) {
    const std::string id = world.Id(tail), version = world.Insert(id);
    const KeepingSink found = world.Do(Lookup(world.table, id));
    if (!found.answered(Status::kOk)) FAIL((id + ": " + found.Describe()).c_str());
    CHECK(Says(found, id));
    Expect(Status::kOk, world.Update(id, R"({"value":2})", version));
  }
}

inline void TheLongestId(World world) {
  const std::string id = world.prefix + std::string(limits::kIdBytes - world.prefix.size(), 'x');
  world.Insert(id);
  Expect(Status::kOk, world.Do(Lookup(world.table, id)));
}

inline void LargeRowsGoUpAndComeDown(World world) {
  for (const std::size_t bytes :
       {std::size_t{1}, std::size_t{16384}, std::size_t{100000}, std::size_t{900000}}) {
    const std::string id = world.Id(std::to_string(bytes)), text(bytes, 'y');
    world.Insert(id, "\"sensor\":\"" + text + "\"");
    const KeepingSink row = world.Do(Lookup(world.table, id));
    Expect(Status::kOk, row);
    CHECK(Says(row, "\"" + text + "\""));
  }
}

// ---- lists

inline std::string Three(World& world) {
  for (const char* name : {"1", "2", "3"})
    world.Insert(world.Id(name), std::string("\"value\":") + name);
  return world.prefix;
}

inline void ListByIdsInOrder(World world) {
  Three(world);
  const std::string after = world.prefix;
  Request request = List(world.table);
  request.list.after_id = after;
  request.list.order_by = "id";
  request.list.top = 3;
  const KeepingSink sink = world.Do(request);
  Expect(Status::kOk, sink);
  CHECK(sink.is_json);
  std::size_t last = 0;
  for (const char* name : {"1", "2", "3"}) {
    const std::size_t at = sink.body.find("\"id\":\"" + world.Id(name) + "\"");
    CHECK(at != std::string::npos && at > last);
    last = at;
  }
}

inline void ListTakesTopAndSkip(World world) {
  Three(world);
  const std::string after = world.prefix, filter = "id lt '" + world.prefix + "9'";
  Request request = List(world.table);
  request.list.after_id = after;
  request.list.filter = filter;
  request.list.order_by = "id";
  request.list.top = 1;
  request.list.skip = 1;
  const KeepingSink sink = world.Do(request);
  Expect(Status::kOk, sink);
  LONGS_EQUAL(1, Rows(sink));
  CHECK(Says(sink, world.Id("2")));
}

inline void ListFilters(World world) {
  Three(world);
  const std::string filter =
      "value ge 2 and (id gt '" + world.prefix + "' and id lt '" + world.prefix + "9')";
  Request request = List(world.table);
  request.list.filter = filter;
  const KeepingSink sink = world.Do(request);
  Expect(Status::kOk, sink);
  LONGS_EQUAL(2, Rows(sink));
}

inline void ListSinceAndBefore(World world) {
  Three(world);
  const KeepingSink second = world.Do(Lookup(world.table, world.Id("2")));
  const std::string moment = Member(second, "updatedAt"), filter = "id lt '" + world.prefix + "9'";
  const std::string after = world.prefix;
  Request request = List(world.table);
  request.list.after_id = after;
  request.list.filter = filter;
  request.list.since = moment;
  request.list.order_by = "updatedAt,id";
  const KeepingSink since = world.Do(request);
  Expect(Status::kOk, since);
  CHECK(Says(since, world.Id("2")) && Says(since, world.Id("3")));
  const std::string future = "2100-01-01T00:00:00.0000000+00:00";
  request.list.since = future;
  LONGS_EQUAL(0, Rows(world.Do(request)));
  request.list.since = {};
  request.list.before = moment;
  const KeepingSink before = world.Do(request);
  CHECK(Says(before, world.Id("1")) && !Says(before, world.Id("3")));
}

inline void ListShowsTheDeletedWhenAsked(World world) {
  const std::string id = world.Id("a"), version = world.Insert(id), after = world.prefix;
  const std::string filter = "id lt '" + world.prefix + "b'";
  world.Do(Write(Method::kDelete, world.table, id, "", version));
  Request request = List(world.table);
  request.list.after_id = after;
  request.list.filter = filter;
  CHECK(!Says(world.Do(request), id));
  request.list.include_deleted = true;
  const KeepingSink sink = world.Do(request);
  CHECK(Says(sink, id));
  CHECK(Says(sink, "\"deleted\":true"));
}

inline void PagesFollowTheirLinks(World world) {
  for (int i = 0; i < 7; ++i) world.Insert(world.Id(std::to_string(i)));
  const std::string after = world.prefix, filter = "id lt '" + world.prefix + "9'";
  Request request = List(world.table);
  request.list.after_id = after;
  request.list.filter = filter;
  request.list.order_by = "id";
  request.list.top = 3;
  std::size_t rows = 0, pages = 0;
  std::string link;
  while (pages < 10) {
    const KeepingSink sink = world.Do(request);
    Expect(Status::kOk, sink);
    rows += Rows(sink);
    ++pages;
    link = sink.continuation.empty() ? Member(sink, "nextLink") : sink.continuation;
    if (link.empty()) break;  // a server need not have any
    request.list = {};
    request.list.continuation = link;
  }
  if (pages > 1) LONGS_EQUAL(7, rows);
}

inline void AnEmptyListIsAnAnswer(World world) {
  const std::string after = "zzzz" + world.prefix;
  Request request = List(world.table);
  request.list.after_id = after;
  const KeepingSink sink = world.Do(request);
  Expect(Status::kOk, sink);
  LONGS_EQUAL(0, Rows(sink));
}

// ---- exchanges

inline void WhatDoesNotFitIsRefusedAtOnce(World world) {
  KeepingSink sink;
  const std::string long_filter(2 * limits::kUrlBytes, 'x'), long_id(limits::kIdBytes + 1, 'x');
  Request list = List(world.table);
  list.list.filter = long_filter;
  for (const Request& request :
       {list, Lookup(world.table, ""), Lookup(world.table, long_id), Lookup("", "a"),
        Write(Method::kDelete, world.table, "a", "", "v\r\nX: y")}) {
    auto begun = world.transport->Begin(request, sink);
    CHECK(!begun);
    CHECK(begun.error().code == Code::kInvalidArgument);
  }
  LONGS_EQUAL(0, sink.dones);
  CHECK(!world.transport->Pump({0}));
  world.Insert(world.Id("a"));  // and it still works
}

inline void CancelEndsAnExchange(World world) {
  world.transport->Cancel();
  KeepingSink sink;
  CHECK(world.transport->Begin(Lookup(world.table, world.Id("a")), sink).ok());
  world.transport->Cancel();
  CHECK(sink.failed(Code::kCancelled));
  LONGS_EQUAL(0, sink.heads);
  CHECK(!world.transport->Pump({0}));
  world.transport->Cancel();
  LONGS_EQUAL(1, sink.dones);
  world.Insert(world.Id("a"));
}

inline void BeginSendsNothing(World world) {
  const auto before = world.transport->traffic().requests;
  const std::string id = world.Id("a"), body = "{\"id\":\"" + id + "\"}";
  KeepingSink sink;
  CHECK(world.transport->Begin(Write(Method::kInsert, world.table, "", body), sink).ok());
  world.transport->Cancel();
  LONGS_EQUAL(before, world.transport->traffic().requests);
  Expect(Status::kNotFound, world.Do(Lookup(world.table, id)));
}

inline void ErrorsOfTheSinkComeBack(World world) {
  const std::string id = world.Id("a");
  world.Insert(id);
  for (const bool in_head : {true, false}) {
    KeepingSink sink;
    (in_head ? sink.head_error : sink.body_error) = Error{Code::kNoSpace, Origin::kSqlite, 13};
    Run(*world.transport, Lookup(world.table, id), sink);
    CHECK(sink.failed(Code::kNoSpace));
    CHECK(sink.outcome.error().origin == Origin::kSqlite);
    LONGS_EQUAL(in_head ? 0 : 1, sink.chunks);
    Expect(Status::kOk, world.Do(Lookup(world.table, id)));
  }
}

struct ChainingSink final : KeepingSink {
  transport::Transport* transport = nullptr;
  const Request* then = nullptr;
  KeepingSink* next = nullptr;
  void OnDone(Result<void> result) override {
    KeepingSink::OnDone(std::move(result));
    CHECK(transport->Begin(*then, *next).ok());
  }
};

inline void TheNextMayBeginWhenOneEnds(World world) {
  const std::string id = world.Id("a");
  world.Insert(id);
  const Request request = Lookup(world.table, id);
  KeepingSink second;
  ChainingSink first;
  first.transport = world.transport.get();
  first.then = &request;
  first.next = &second;
  Run(*world.transport, request, first);
  CHECK(first.answered(Status::kOk));
  CHECK(second.answered(Status::kOk));
}

struct CancellingSink final : KeepingSink {
  transport::Transport* transport = nullptr;
  Result<void> OnHead(const transport::ResponseHead& head) override {
    (void)KeepingSink::OnHead(head).ok();
    transport->Cancel();
    return Ok();
  }
};

inline void ASinkMayCancel(World world) {
  const std::string id = world.Id("a");
  world.Insert(id);
  CancellingSink sink;
  sink.transport = world.transport.get();
  Run(*world.transport, Lookup(world.table, id), sink);
  CHECK(sink.failed(Code::kCancelled));
  CHECK(sink.in_order);
  LONGS_EQUAL(0, sink.chunks);
  Expect(Status::kOk, world.Do(Lookup(world.table, id)));
}

inline void TrafficIsCounted(World world) {
  world.Insert(world.Id("a"));
  const transport::Traffic before = world.transport->traffic();
  CHECK(before.requests >= 1 && before.bytes_sent > 0 && before.bytes_received > 0);
  world.Insert(world.Id("b"), "\"sensor\":\"" + std::string(50000, 'x') + "\"");
  const transport::Traffic after = world.transport->traffic();
  LONGS_EQUAL(before.requests + 1, after.requests);
  CHECK(after.bytes_sent - before.bytes_sent > 50000);
}

inline void OneConnectionServesMany(World world) {
  world.Insert(world.Id("a"));
  const auto before = world.transport->traffic().connections;
  for (int i = 0; i < 20; ++i) world.Do(Lookup(world.table, world.Id("a")));
  LONGS_EQUAL(before, world.transport->traffic().connections);
}

inline void ItWorksAfterNewCredentials(World world) {
  world.Insert(world.Id("a"));
  KeepingSink sink;
  CHECK(world.transport->Begin(Lookup(world.table, world.Id("a")), sink).ok());
  auto busy = world.transport->ReloadCredentials();
  CHECK(!busy && busy.error().code == Code::kBusy);
  world.transport->Cancel();
  CHECK(world.transport->ReloadCredentials().ok());
  Expect(Status::kOk, world.Do(Lookup(world.table, world.Id("a"))));
}

inline void TheServerIsKnownAfterAnAnswer(World world) {
  world.Do(List(world.table));
  CHECK(world.transport->capabilities().protocol != transport::Capabilities::Protocol::kUnknown);
}

// ---- watching

inline Request Watch(std::string_view since, hal::Duration wait) {
  Request request;
  request.method = Method::kWatch;
  request.list.since = since;
  request.wait = wait;
  request.timeout = wait + hal::Duration::Seconds(20);
  return request;
}
inline void SomebodyElseInserts(World& world, const std::string& name) {
  const std::string body = "{\"id\":\"" + world.Id(name) + "\",\"value\":1}";
  KeepingSink sink;
  Run(*world.other, Write(Method::kInsert, world.table, "", body), sink);
  Expect(Status::kCreated, sink);
}

inline void WatchTellsWhatIsNewer(World world) {
  SomebodyElseInserts(world, "a");
  const KeepingSink first = world.Do(Watch("", {0}));
  Expect(Status::kOk, first);
  CHECK(first.body.size() >= 20 && first.body.substr(0, 2) == "20");
  Expect(Status::kNoContent, world.Do(Watch(first.body, {0})));
  SomebodyElseInserts(world, "b");
  const KeepingSink second = world.Do(Watch(first.body, hal::Duration::Seconds(5)));
  Expect(Status::kOk, second);
  CHECK(second.body > first.body);
}

inline void WatchHearsOfAChangeWhileItWaits(World world) {
  SomebodyElseInserts(world, "a");
  const std::string known = world.Do(Watch("", {0})).body;
  KeepingSink sink;
  const Request request = Watch(known, hal::Duration::Seconds(15));
  CHECK(world.transport->Begin(request, sink).ok());
  for (int i = 0; i < 3; ++i) CHECK(world.transport->Pump(hal::Duration::Milliseconds(100)));
  LONGS_EQUAL(0, sink.dones);
  SomebodyElseInserts(world, "b");
  while (world.transport->Pump(hal::Duration::Milliseconds(100))) {
  }
  Expect(Status::kOk, sink);
  CHECK(sink.body > known);
  world.Insert(world.Id("c"));  // and it still works
}

inline void WatchEndsWhenNothingHappens(World world) {
  SomebodyElseInserts(world, "a");
  const std::string known = world.Do(Watch("", {0})).body;
  Expect(Status::kNoContent, world.Do(Watch(known, hal::Duration::Milliseconds(300))));
  world.Insert(world.Id("b"));
}

inline void OwnChangesAreNoNews(World world) {
  if (!world.names_are_known) return;
  SomebodyElseInserts(world, "a");
  const std::string known = world.Do(Watch("", {0})).body;
  world.Insert(world.Id("b"));
  Expect(Status::kNoContent, world.Do(Watch(known, hal::Duration::Milliseconds(300))));
}

inline void AWatchMayBeCancelled(World world) {
  SomebodyElseInserts(world, "a");
  const std::string known = world.Do(Watch("", {0})).body;
  KeepingSink sink;
  const Request request = Watch(known, hal::Duration::Seconds(15));
  CHECK(world.transport->Begin(request, sink).ok());
  for (int i = 0; i < 3; ++i) CHECK(world.transport->Pump(hal::Duration::Milliseconds(50)));
  world.transport->Cancel();
  CHECK(sink.failed(Code::kCancelled));
  SomebodyElseInserts(world, "b");  // a notification of this finds nobody
  world.Insert(world.Id("c"));
}

#define HOLDFAST_TRANSPORT_CONTRACT(X)    \
  X(WatchTellsWhatIsNewer)                \
  X(WatchHearsOfAChangeWhileItWaits)      \
  X(WatchEndsWhenNothingHappens)          \
  X(OwnChangesAreNoNews)                  \
  X(AWatchMayBeCancelled)                 \
  X(InsertIsAnsweredWithTheRow)           \
  X(InsertOfAnIdThatExistsConflicts)      \
  X(LookupFindsTheRowAndItsVersion)       \
  X(LookupOfNothingIsNotFound)            \
  X(UpdateOnItsVersionChangesIt)          \
  X(UpdateOnAnOldVersionFailsWithTheRow)  \
  X(UpdateWithoutAVersionIsUnconditional) \
  X(UpdateOfNothingIsNotFound)            \
  X(DeleteOnAnOldVersionFails)            \
  X(DeleteTwiceIsGone)                    \
  X(UndeleteBringsTheRowBack)             \
  X(IdsOfEveryKind)                       \
  X(TheLongestId)                         \
  X(LargeRowsGoUpAndComeDown)             \
  X(ListByIdsInOrder)                     \
  X(ListTakesTopAndSkip)                  \
  X(ListFilters)                          \
  X(ListSinceAndBefore)                   \
  X(ListShowsTheDeletedWhenAsked)         \
  X(PagesFollowTheirLinks)                \
  X(AnEmptyListIsAnAnswer)                \
  X(WhatDoesNotFitIsRefusedAtOnce)        \
  X(CancelEndsAnExchange)                 \
  X(BeginSendsNothing)                    \
  X(ErrorsOfTheSinkComeBack)              \
  X(TheNextMayBeginWhenOneEnds)           \
  X(ASinkMayCancel)                       \
  X(TrafficIsCounted)                     \
  X(OneConnectionServesMany)              \
  X(ItWorksAfterNewCredentials)           \
  X(TheServerIsKnownAfterAnAnswer)

}  // namespace holdfast::contract

#endif  // HOLDFAST_TESTS_CONTRACT_TRANSPORT_CONTRACT_H_
