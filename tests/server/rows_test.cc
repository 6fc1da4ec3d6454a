// SPDX-License-Identifier: Apache-2.0
// Rows on SQLite: outcomes, the order of changes, growth of tables, groups of writes, restarts.
#include "server/rows.h"

#include <CppUTest/TestHarness.h>
#include <stdlib.h>

#include <filesystem>
#include <memory>

#include "server/change_clock.h"
#include "server/sqlite_rows.h"

using namespace holdfast;
using namespace holdfast::server;

namespace {

std::int64_t g_now = 0;
std::int64_t TestNow() { return g_now; }

// The last row it was given, and the ids of all.
struct Keep : RowSink {
  std::string id, version, updated, created, sensor, ids;
  double value = 0;
  bool deleted = false;
  int rows = 0;
  Result<void> OnRow(RowView row) override {
    id = FindText(row, kId);
    version = FindText(row, kVersion);
    updated = FindText(row, kUpdatedAt);
    created = FindText(row, kCreatedAt);
    sensor = FindText(row, "sensor");
    const Field* number = Find(row, "value");
    value = number == nullptr                           ? -1
            : number->value.type == ValueType::kInteger ? double(number->value.integer)
                                                        : number->value.real;
    const Field* flag = Find(row, kDeleted);
    deleted = flag != nullptr && flag->value.integer != 0;
    ids += id + " ";
    ++rows;
    return Ok();
  }
};

struct Change1 {
  RowFields fields;
  Write write;
  Keep keep;
  Change1(Change change, const char* id, const char* table = "readings") {
    write.change = change;
    write.table = table;
    write.id = id;
    write.sink = &keep;
  }
  Change1& With(const char* name, const Value& value) {
    CHECK(fields.Add(name, ColumnType::kAny, value).ok());
    return *this;
  }
  Change1& IfMatch(const std::string& version) {
    write.conditions.match.given = true;
    write.conditions.match.versions = {version};
    return *this;
  }
  Outcome Run(Rows& rows) {
    write.fields = fields.view();
    Write* one = &write;
    rows.Apply({&one, 1});
    return write.outcome;
  }
};

}  // namespace

TEST_GROUP(Rows) {
  char folder[32] = "/tmp/holdfast-rows-XXXXXX";
  std::unique_ptr<SqliteRows> rows;

  void setup() override {
    CHECK(mkdtemp(folder) != nullptr);
    g_now = 1700000000000000;
    Open();
  }
  void teardown() override {
    rows.reset();
    std::filesystem::remove_all(folder);
  }
  void Open(const char* schema = "{}") {
    rows.reset();
    rows = std::make_unique<SqliteRows>(std::string(folder) + "/server.db", ParseSchema(schema),
                                        &TestNow);
  }
  Keep Insert(const char* id, double value = 1) {
    Change1 insert(Change::kInsert, id);
    insert.With("value", Value::Real(value));
    CHECK(insert.Run(*rows) == Outcome::kDone);
    return insert.keep;
  }
  ListResult List(Keep & keep, const char* filter = "", const char* order = "",
                  std::uint32_t top = 100, std::uint64_t skip = 0) {
    ListQuery query;
    query.table = "readings";
    query.filter = filter;
    query.order = order;
    query.top = top;
    query.skip = skip;
    query.count = true;
    return rows->List(query, keep);
  }
};

TEST(Rows, ALifeOfARow) {
  const Keep first = Insert("a", 1.5);
  LONGS_EQUAL(8, first.version.size());
  STRCMP_EQUAL(first.created.c_str(), first.updated.c_str());

  Change1 again(Change::kInsert, "a");
  CHECK(again.With("value", Value::Real(9)).Run(*rows) == Outcome::kExists);
  DOUBLES_EQUAL(1.5, again.keep.value, 0);
  STRCMP_EQUAL(first.version.c_str(), again.keep.version.c_str());

  Change1 stale(Change::kUpdate, "a");
  CHECK(stale.With("value", Value::Real(2)).IfMatch("x").Run(*rows) == Outcome::kStale);
  DOUBLES_EQUAL(1.5, stale.keep.value, 0);

  Change1 update(Change::kUpdate, "a");
  update.With("sensor", Value::Text("t")).IfMatch(first.version);
  CHECK(update.Run(*rows) == Outcome::kDone);
  DOUBLES_EQUAL(1.5, update.keep.value, 0);
  STRCMP_EQUAL("t", update.keep.sensor.c_str());
  CHECK(update.keep.updated > first.updated);

  Change1 replace(Change::kReplace, "a");
  CHECK(replace.With("sensor", Value::Text("r")).Run(*rows) == Outcome::kDone);
  Keep keep;
  LONGS_EQUAL(1, List(keep, "value eq null and sensor eq 'r'").count);

  Change1 remove(Change::kDelete, "a");
  CHECK(remove.Run(*rows) == Outcome::kDone);
  CHECK(remove.keep.deleted);
  CHECK(Change1(Change::kDelete, "a").Run(*rows) == Outcome::kGone);
  CHECK(Change1(Change::kUpdate, "a").Run(*rows) == Outcome::kGone);
  CHECK(Change1(Change::kDelete, "b").Run(*rows) == Outcome::kMissing);
  CHECK(rows->Lookup("readings", "a", false, keep) == Outcome::kGone);
  CHECK(rows->Lookup("READINGS", "a", true, keep) == Outcome::kDone);
  CHECK(rows->Lookup("readings", "b", true, keep) == Outcome::kMissing);
  CHECK(Change1(Change::kInsert, "a").Run(*rows) == Outcome::kExists);

  Change1 undelete(Change::kUndelete, "a");
  CHECK(undelete.Run(*rows) == Outcome::kDone);
  CHECK_FALSE(undelete.keep.deleted);
}

TEST(Rows, AnEmptyUpdateChangesNothing) {
  const Keep first = Insert("a");
  Change1 empty(Change::kUpdate, "a");
  CHECK(empty.Run(*rows) == Outcome::kDone);
  STRCMP_EQUAL(first.version.c_str(), empty.keep.version.c_str());
}

TEST(Rows, MomentsGrowAlthoughTheClockJumpsBackAndTheServerRestarts) {
  std::string last, last_version;
  for (int i = 0; i < 20; ++i) {
    g_now -= 1000000;
    if (i % 5 == 4) Open();
    const Keep keep = Insert(("r" + std::to_string(i)).c_str());
    CHECK(keep.updated > last);
    CHECK(keep.version != last_version);
    last = keep.updated;
    last_version = keep.version;
  }
  STRCMP_EQUAL("2023-11-14T22:13:1", last.substr(0, 18).c_str());
}

TEST(Rows, MomentsGrowAfterAHardDeleteOfTheNewestRow) {
  Open("{\"tables\":{\"readings\":{\"hard_delete\":true}}}");
  const Keep first = Insert("a");
  CHECK(Change1(Change::kDelete, "a").Run(*rows) == Outcome::kDone);
  CHECK(Change1(Change::kDelete, "a").Run(*rows) == Outcome::kMissing);
  g_now -= 5000000;
  Open();
  CHECK(Insert("a").updated > first.updated);
}

TEST(Rows, AGroupOfWritesEachWithItsOwnOutcome) {
  Insert("taken");
  Change1 a(Change::kInsert, "a"), bad(Change::kInsert, "bad"), taken(Change::kInsert, "taken"),
      b(Change::kInsert, "b");
  a.With("value", Value::Integer(1));
  bad.With("new_column", Value::Integer(1)).With("__bad", Value::Integer(1));
  b.With("other", Value::Boolean(true));
  Write* writes[] = {&a.write, &bad.write, &taken.write, &b.write};
  for (Change1* change : {&a, &bad, &taken, &b}) change->write.fields = change->fields.view();
  rows->Apply(writes);
  CHECK(a.write.outcome == Outcome::kDone);
  CHECK(bad.write.outcome == Outcome::kRefused);
  CHECK(taken.write.outcome == Outcome::kExists);
  CHECK(b.write.outcome == Outcome::kDone);
  CHECK(b.keep.updated > a.keep.updated);
  // The column of the refused row has not stayed.
  Keep keep;
  CHECK(List(keep, "new_column eq 1").outcome == Outcome::kRefused);
  LONGS_EQUAL(1, List(keep, "other eq true").count);
}

TEST(Rows, NumbersStayWhatTheyWere) {
  Change1 big(Change::kInsert, "big");
  big.With("value", Value::Integer(9007199254740993)).With("sensor", Value::Text("a"));
  CHECK(big.Run(*rows) == Outcome::kDone);
  Keep keep;
  LONGS_EQUAL(1, List(keep, "value eq 9007199254740993").count);
  LONGS_EQUAL(0, List(keep, "value eq 9007199254740992").count);
}

TEST(Rows, PagesInATotalOrder) {
  for (const char* id : {"c", "a", "b", "e", "d"}) Insert(id, id[0] == 'a' ? 2 : 1);
  Keep all;
  const ListResult whole = List(all);
  STRCMP_EQUAL("c a b e d ", all.ids.c_str());
  LONGS_EQUAL(5, whole.count);
  CHECK_FALSE(whole.more);
  Keep page;
  CHECK(List(page, "value eq 1", "value desc,id", 2, 1).more);
  STRCMP_EQUAL("c d ", page.ids.c_str());
  Keep none;
  const ListResult zero = List(none, "", "", 0);
  LONGS_EQUAL(0, zero.rows);
  LONGS_EQUAL(5, zero.count);
}

TEST(Rows, APageThatBeginsAfterAMomentPassesNoRowOver) {
  for (const char* id : {"a", "b", "c", "d"}) Insert(id);
  for (const char* order : {"", "updatedAt", "updatedAt asc,id"}) {
    Keep first, rest;
    const ListResult page = List(first, "value ge 0", order, 2);
    STRCMP_EQUAL(first.updated.c_str(), page.last.c_str());
    // What was seen changes, so that only two rows are left where there were four to skip two of.
    const std::string seen = first.ids.substr(0, 1);
    Change1 change(Change::kUpdate, seen.c_str());
    CHECK(change.With("value", Value::Real(2)).Run(*rows) == Outcome::kDone);
    ListQuery query;
    query.table = "readings";
    query.filter = "value ge 0";
    query.order = order;
    query.top = 100;
    query.skip = 2;
    query.after = page.last;
    query.count = true;
    const ListResult more = rows->List(query, rest);
    LONGS_EQUAL(3, more.rows);
    LONGS_EQUAL_TEXT(4, more.count, "the count is that of the whole list");
    STRCMP_EQUAL(seen.c_str(), rest.id.c_str());
  }
  // In another order a moment says nothing, and $skip counts.
  for (const char* order : {"value", "updatedAt desc", "id,updatedAt"}) {
    Keep keep;
    const ListResult page = List(keep, "", order, 2);
    STRCMP_EQUAL("", page.last.c_str());
  }
}

TEST(Rows, APreconditionOnTheMomentOrOnAnyRow) {
  const Keep first = Insert("a");
  const auto moment = ParseTimestamp(first.updated);
  const auto run = [&](const Conditions& conditions) {
    Change1 change(Change::kUpdate, "a");
    change.write.conditions = conditions;
    return change.Run(*rows);
  };
  Conditions conditions;
  conditions.unmodified_since = *moment - 1;
  CHECK(run(conditions) == Outcome::kStale);
  conditions.unmodified_since = *moment;
  CHECK(run(conditions) == Outcome::kDone);
  conditions.none_match.given = conditions.none_match.any = true;
  CHECK(run(conditions) == Outcome::kStale);
}

TEST(Rows, IncrementalFilterOnUpdatedAt) {
  const Keep first = Insert("a"), second = Insert("b");
  Keep keep;
  const std::string after = "updatedAt gt datetimeoffset'" + first.updated + "'";
  List(keep, after.c_str(), "updatedAt");
  STRCMP_EQUAL("b ", keep.ids.c_str());
  Keep both;
  const std::string from = "(updatedAt ge datetimeoffset'" + first.updated + "')";
  LONGS_EQUAL(2, List(both, from.c_str(), "updatedAt").count);
  Keep v3;
  const std::string cast = "updatedAt gt cast(" + first.updated + ",Edm.DateTimeOffset)";
  LONGS_EQUAL(1, List(v3, cast.c_str(), "updatedAt").count);
}

TEST(Rows, BadQueriesAreRefusedWithAReason) {
  Insert("a");
  for (const char* filter : {"value eq", "nosuch eq 1", "value eq 'x", "1; drop table readings",
                             "frobnicate(value) eq 1"}) {
    Keep keep;
    const ListResult result = List(keep, filter);
    CHECK_TEXT(result.outcome == Outcome::kRefused, filter);
    CHECK_TEXT(!result.reason.empty(), filter);
  }
  Keep keep;
  CHECK(List(keep, "", "nosuch").outcome == Outcome::kRefused);
  ListQuery query;
  query.table = "readings";
  query.select = "id,nosuch";
  query.top = 1;
  CHECK(rows->List(query, keep).outcome == Outcome::kRefused);
}

TEST(Rows, ATableThatNobodyHasWrittenToIsEmpty) {
  Keep keep;
  const ListResult result = List(keep, "whatever eq 1");
  CHECK(result.outcome == Outcome::kDone);
  LONGS_EQUAL(0, result.count);
  CHECK(List(keep, "whatever eq").outcome == Outcome::kRefused);
  CHECK(Change1(Change::kUpdate, "a").Run(*rows) == Outcome::kNoTable);
}

TEST(Rows, DeclaredTables) {
  Open(
      "{\"grow\":false,\"tables\":{\"readings\":{\"grow\":false,\"columns\":"
      "{\"value\":\"integer\",\"at\":\"datetime\",\"raw\":\"blob\",\"ok\":\"boolean\"}}}}");
  Change1 good(Change::kInsert, "a");
  good.With("value", Value::Real(2.0))
      .With("at", Value::Text("2026-01-02T03:04:05+02:00"))
      .With("raw", Value::Text("AAEC"))
      .With("ok", Value::Boolean(true));
  CHECK(good.Run(*rows) == Outcome::kDone);
  Keep keep;
  LONGS_EQUAL(1,
              List(keep, "at eq datetime'2026-01-02T01:04:05.000Z' and value eq 2 and ok").count);
  const struct {
    const char* name;
    Value value;
  } kBad[] = {{"value", Value::Text("x")},  {"value", Value::Real(2.5)},
              {"at", Value::Text("later")}, {"raw", Value::Text("!")},
              {"ok", Value::Integer(7)},    {"unknown", Value::Integer(1)}};
  for (const auto& bad : kBad) {
    Change1 change(Change::kInsert, "b");
    CHECK_TEXT(change.With(bad.name, bad.value).Run(*rows) == Outcome::kRefused, bad.name);
    CHECK_TEXT(!change.write.reason.empty(), bad.name);
  }
  CHECK(Change1(Change::kInsert, "x", "other").Run(*rows) == Outcome::kNoTable);
  CHECK(rows->Lookup("other", "x", false, keep) == Outcome::kNoTable);
}

TEST(Rows, TablesAndColumnsHaveACeiling) {
  Change1 wide(Change::kInsert, "a");
  for (std::size_t i = 0; i < limits::kColumns; ++i) {
    static std::string names[limits::kColumns];
    names[i] = "c" + std::to_string(i);
    wide.With(names[i].c_str(), Value::Integer(1));
  }
  CHECK(wide.Run(*rows) == Outcome::kDone);
  Change1 wider(Change::kInsert, "b");
  CHECK(wider.With("one_more", Value::Integer(1)).Run(*rows) == Outcome::kRefused);
  for (std::size_t i = 1; i < limits::kTables; ++i) {
    const std::string table = "t" + std::to_string(i);
    CHECK(Change1(Change::kInsert, "a", table.c_str()).Run(*rows) == Outcome::kDone);
  }
  CHECK(Change1(Change::kInsert, "a", "one_more").Run(*rows) == Outcome::kRefused);
}
