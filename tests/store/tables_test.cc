// SPDX-License-Identifier: Apache-2.0
// Making, adopting and extending tables; pulls, tokens, facts, errors, local rows.
#include "hal/base/query.h"
#include "tests/store/store_fixture.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::store {
namespace {

class Rows : public RowSink {
 public:
  Result<void> OnRow(RowView row) override {
    text += (text.empty() ? "" : ";") + RowText(row);
    return Ok();
  }
  std::string text;
};

class Records : public ErrorSink {
 public:
  Result<void> OnError(const ErrorRecord& record) override {
    text += std::to_string(int(record.kind)) + "|" + std::string(record.id) + "|" +
            std::string(record.local_row) + "|" + std::string(record.base_row) + "|" +
            std::string(record.server_version);
    return Ok();
  }
  std::string text;
};

}  // namespace

TEST_GROUP(StoreTables) {
  StoreFixture* f = nullptr;
  void setup() override { f = new StoreFixture(); }
  void teardown() override { delete f; }
  void Refused(const char* name, Code code) {
    TableSpec spec;
    spec.name = name;
    spec.adopt = true;
    auto defined = f->store->DefineTable(spec);
    CHECK(!defined.ok());
    LONGS_EQUAL(int(code), int(defined.error().code));
  }
  WireRow Remote(const char* id, const char* version, double value) {
    WireRow row;
    row.Text("id", id).Text("version", version).Real("value", value);
    row.Text("createdAt", "2026-01-01T00:00:00Z").Text("updatedAt", "2026-01-02T00:00:00.1234567Z");
    return row;
  }
  Applied Apply(const Table& table, RowView row) {
    auto applied = f->store->ApplyRemote(table, row);
    CHECK(applied.ok());
    return *applied;
  }
};

TEST(StoreTables, DefiningATableTwiceChangesNothing) {
  f->DefineReadings();
  const std::string before = f->Get("SELECT name,sql FROM sqlite_master ORDER BY name");
  const std::string version = f->Get("PRAGMA schema_version");
  f->Reopen();
  f->DefineReadings();
  STRCMP_EQUAL(before.c_str(), f->Get("SELECT name,sql FROM sqlite_master ORDER BY name").c_str());
  STRCMP_EQUAL(version.c_str(), f->Get("PRAGMA schema_version").c_str());
}

TEST(StoreTables, ANewColumnComesLastAndIsTracked) {
  f->DefineReadings();
  f->Sql("INSERT INTO readings(id,value) VALUES('a',1)");
  f->PushAll();
  const Table* table = f->Define("readings", {{"first", ColumnType::kBoolean},
                                              {"value", ColumnType::kReal},
                                              {"sensor", ColumnType::kText}});
  LONGS_EQUAL(3, table->columns().size());
  STRCMP_EQUAL("first", table->columns()[2].name.c_str());
  f->Sql("UPDATE readings SET first=1");
  STRCMP_EQUAL("U1 a v1", f->Queue().c_str());
  Operation operation = f->First();
  STRCMP_EQUAL("first=1", RowText(f->LoadWhole(operation).fields).c_str());
}

TEST(StoreTables, AColumnsTypeCannotChange) {
  f->DefineReadings();
  Column column;
  CHECK(column.name.Assign("value").ok());
  column.type = ColumnType::kText;
  TableSpec spec;
  spec.name = "readings";
  spec.columns = {&column, 1};
  CHECK(!f->store->DefineTable(spec).ok());
  STRCMP_CONTAINS("value", std::string(f->store->why()).c_str());
}

TEST(StoreTables, AnAdoptedTableQueuesTheRowsItHas) {
  f->Sql(
      "CREATE TABLE old(n INTEGER PRIMARY KEY, id VARCHAR(40) UNIQUE, ok BOOLEAN, at TIMESTAMP, "
      "size BIGINT, raw BLOB, note CLOB, x DECIMAL(5,2))");
  f->Sql("INSERT INTO old(id,size) VALUES('a',1),(NULL,2),('b',3)");
  const Table* table = f->Define("old", {}, true);
  std::string types;
  for (const Column& column : table->columns()) {
    types += std::string(column.name.view()) + ":" + std::string(ColumnTypeName(column.type)) + " ";
  }
  STRCMP_EQUAL("n:integer ok:boolean at:datetime size:integer raw:blob note:text x:real ",
               types.c_str());
  STRCMP_EQUAL("3", f->Get("SELECT count(*) FROM __operations WHERE kind=0").c_str());
  STRCMP_EQUAL("", f->Broken("old").c_str());
  f->Define("old", {}, true);
  STRCMP_EQUAL("3", f->Get("SELECT count(*) FROM __operations").c_str());
  CHECK(f->Try("INSERT OR REPLACE INTO old(n,id) VALUES(1,'other')") != SQLITE_OK);
  CHECK(f->Try("UPDATE OR REPLACE old SET n=2 WHERE n=1") != SQLITE_OK);
  f->Sql("UPDATE old SET n=9 WHERE n=1");
  f->Sql("INSERT OR REPLACE INTO old(n,id) VALUES(9,'a')");
  STRCMP_EQUAL("", f->Broken("old").c_str());
  STRCMP_EQUAL("3", f->Get("SELECT count(*) FROM __operations").c_str());
}

TEST(StoreTables, TablesThatCannotBeTrackedAreRefused) {
  f->Sql("CREATE TABLE a(id INTEGER PRIMARY KEY, x)");
  f->Sql("CREATE TABLE b(x TEXT PRIMARY KEY)");
  f->Sql("CREATE TABLE c(id TEXT PRIMARY KEY, x UNIQUE)");
  f->Sql("CREATE TABLE d(id TEXT PRIMARY KEY, x); CREATE UNIQUE INDEX dx ON d(x)");
  f->Sql("CREATE TABLE e(id TEXT PRIMARY KEY COLLATE NOCASE)");
  f->Sql("CREATE TABLE g(id TEXT, x)");
  f->Sql("CREATE VIEW v AS SELECT * FROM d");
  f->Sql("CREATE TABLE h(id TEXT PRIMARY KEY); INSERT INTO h VALUES(x'00')");
  for (const char* name :
       {"a", "b", "c", "d", "e", "g", "v", "h", "__operations", "sqlite_master"}) {
    Refused(name, Code::kInvalidArgument);
  }
  Refused("missing", Code::kNotFound);
  STRCMP_EQUAL("0",
               f->Get("SELECT count(*) FROM pragma_table_info('h') WHERE name='__op'").c_str());
}

TEST(StoreTables, ALaterSchemaIsRefusedAndLeftAlone) {
  f->Sql("UPDATE __config SET value='99' WHERE id='schemaVersion'");
  f->store.reset();
  Options options;
  options.path = f->path.c_str();
  auto opened = Store::Open(options, f->storage, f->clock, f->random);
  CHECK(!opened.ok());
  LONGS_EQUAL(int(Code::kTooNew), int(opened.error().code));
}

TEST(StoreTables, AHalfMadeSchemaIsCompleted) {
  f->Sql(
      "DROP TABLE __errors; DROP TRIGGER __operations_keep_sequence; DELETE FROM __config WHERE "
      "id='incarnation'; UPDATE __tracking SET applying=1");
  const std::string installation(f->store->installation_id());
  f->Reopen();
  f->DefineReadings();
  STRCMP_EQUAL(installation.c_str(), std::string(f->store->installation_id()).c_str());
  f->Sql("INSERT INTO readings(id) VALUES('a')");
  STRCMP_EQUAL("", f->Broken().c_str());
}

TEST(StoreTables, APulledRowIsNotQueued) {
  const Table& table = f->DefineReadings();
  CHECK(f->store->BeginPage().ok());
  CHECK(Apply(table, Remote("a", "v1", 1)) == Applied::kStored);
  CHECK(Apply(table, Remote("a", "v1", 1)) == Applied::kUnchanged);
  CHECK(Apply(table, Remote("a", "v2", 2)) == Applied::kStored);
  CHECK(f->store->EndPage(table, "q", "2026-01-02T00:00:00.1234567Z").ok());
  STRCMP_EQUAL("", f->Queue().c_str());
  STRCMP_EQUAL("a|2.0|v2|2026-01-02T00:00:00.1234567Z|-",
               f->Get("SELECT id,value,version,updatedAt,__op FROM readings").c_str());
  auto token = f->store->DeltaToken(table, "q");
  CHECK(token.ok());
  STRCMP_EQUAL("2026-01-02T00:00:00.1234567Z", token->c_str());
  CHECK(f->store->ForgetDeltaTokens(table).ok());
  token = f->store->DeltaToken(table, "q");
  CHECK(token.ok() && token->empty());
}

TEST(StoreTables, DatesOfARowThatAPushAnsweredWithItsVersionAloneComeWithAPull) {
  const Table& table = f->DefineReadings();
  f->Sql("INSERT INTO readings(id,value) VALUES('a',1)");
  f->PushAll();
  const std::string version = f->Get("SELECT version FROM readings");
  CHECK(f->store->BeginPage().ok());
  CHECK(Apply(table, Remote("a", version.c_str(), 1)) == Applied::kStored);
  CHECK(Apply(table, Remote("a", version.c_str(), 1)) == Applied::kUnchanged);
  CHECK(f->store->EndPage(table, "q", "").ok());
  STRCMP_EQUAL("2026-01-01T00:00:00Z|2026-01-02T00:00:00.1234567Z",
               f->Get("SELECT createdAt,updatedAt FROM readings").c_str());
}

TEST(StoreTables, EveryRowOfAPageKeepsItsOwnColumns) {
  const Table& table = f->DefineReadings();
  CHECK(f->store->BeginPage().ok());
  WireRow sensor;
  sensor.Text("id", "a").Text("version", "v2").Text("sensor", "s").Text("unknown", "u");
  Apply(table, Remote("a", "v1", 1));
  CHECK(Apply(table, sensor) == Applied::kStored);
  CHECK(f->store->EndPage(table, "q", "").ok());
  STRCMP_EQUAL("s|1.0|v2|2026-01-01T00:00:00Z",
               f->Get("SELECT sensor,value,version,createdAt FROM readings").c_str());
}

TEST(StoreTables, RowsWithAQueuedOperationAreSkipped) {
  const Table& table = f->DefineReadings();
  f->Sql("INSERT INTO readings(id,value) VALUES('a',1),('b',2)");
  f->PushAll();
  f->Sql("UPDATE readings SET value=5 WHERE id='a'; DELETE FROM readings WHERE id='b'");
  CHECK(f->store->BeginPage().ok());
  CHECK(Apply(table, Remote("a", "v9", 9)) == Applied::kSkippedPending);
  CHECK(Apply(table, Remote("b", "v9", 9)) == Applied::kSkippedPending);
  WireRow gone;
  gone.Text("id", "a").Integer("deleted", 1);
  CHECK(Apply(table, gone) == Applied::kSkippedPending);
  f->store->AbortPage();
  STRCMP_EQUAL("a|5.0", f->Get("SELECT id,value FROM readings").c_str());
}

TEST(StoreTables, AnAbortedPageLeavesNothing) {
  const Table& table = f->DefineReadings();
  CHECK(f->store->BeginPage().ok());
  Apply(table, Remote("a", "v1", 1));
  f->store->AbortPage();
  STRCMP_EQUAL("0", f->Get("SELECT count(*) FROM readings").c_str());
}

TEST(StoreTables, LocalRowsAreTrackedAndTheirIdsPredicted) {
  const Table& table = f->DefineReadings();
  WireRow row;
  row.Text("sensor", "s").Real("value", 1);
  Id first, second;
  CHECK(f->store->Insert(table, row, first).ok());
  CHECK(f->store->Begin().ok());
  for (int i = 0; i < 3; ++i) CHECK(f->store->Insert(table, row, second).ok());
  CHECK(f->store->Commit().ok());
  STRCMP_EQUAL("-00000004", second.c_str() + 12);
  f->Sql("INSERT INTO readings(value) VALUES(2)");
  CHECK(f->store->Insert(table, row, second).ok());
  STRCMP_EQUAL("-00000006", second.c_str() + 12);
  STRCMP_EQUAL("6",
               f->Get("SELECT count(*) FROM __operations o JOIN readings r ON r.id=o.itemId AND "
                      "o.itemId LIKE '%-'||printf('%08x',sequence)")
                   .c_str());
  row.Text("id", first.c_str());
  auto again = f->store->Insert(table, row, second);
  CHECK(!again.ok());
  LONGS_EQUAL(int(Code::kExists), int(again.error().code));
  WireRow other;
  other.Text("id", first.c_str()).Real("value", 8);
  CHECK(f->store->Put(table, other, second).ok());
  STRCMP_EQUAL("s|8.0", f->Get("SELECT sensor,value FROM readings WHERE id='" +
                               std::string(first.view()) + "'")
                            .c_str());
  WireRow wrong;
  wrong.Text("nosuch", "x");
  CHECK(!f->store->Insert(table, wrong, second).ok());
  STRCMP_CONTAINS("nosuch", std::string(f->store->why()).c_str());
  auto removed = f->store->Delete(table, first.view());
  CHECK(removed.ok() && *removed);
  STRCMP_EQUAL("", f->Broken().c_str());
}

TEST(StoreTables, RowsAreReadWithAFilterAndAnOrder) {
  const Table& table = f->DefineReadings();
  f->Sql("INSERT INTO readings(id,sensor,value) VALUES('a','x',1),('b','y',2),('c','x',3)");
  query::ParsedFilter filter;
  query::QueryError problem;
  CHECK(query::ParseFilter("sensor eq 'x'", f->arena, filter, problem).ok());
  Rows rows;
  ReadQuery query;
  query.filter = &filter;
  query.order_by = "value desc";
  CHECK(f->store->Read(table, query, rows).ok());
  STRCMP_EQUAL(
      "id=c,sensor=x,value=3,createdAt=null,updatedAt=null,version=null;"
      "id=a,sensor=x,value=1,createdAt=null,updatedAt=null,version=null",
      rows.text.c_str());
  rows.text.clear();
  query = {};
  query.top = 1;
  query.skip = 1;
  CHECK(f->store->Read(table, query, rows).ok());
  STRCMP_CONTAINS("id=b", rows.text.c_str());
  query.order_by = "nosuch";
  CHECK(!f->store->Read(table, query, rows).ok());
}

TEST(StoreTables, AFailedOperationKeepsBothCopiesAndWaits) {
  const Table& table = f->DefineReadings();
  f->Sql("INSERT INTO readings(id,sensor,value) VALUES('a','q\"',1)");
  f->PushAll();
  f->Sql("UPDATE readings SET value=2");
  Operation operation = f->First();
  f->Mark(operation);
  OperationError error;
  error.kind = ErrorKind::kConflict;
  error.http_status = 412;
  error.server_words = "{\"value\":7}";
  error.server_version = "v9";
  CHECK(f->store->Fail(operation.sequence, error).ok());
  Records records;
  CHECK(f->store->Errors(f->arena, records).ok());
  STRCMP_EQUAL(
      "0|a|{\"id\":\"a\",\"sensor\":\"q\\\"\",\"value\":2}|\"sensor\"='q\"',\"value\"=1.0|v9",
      records.text.c_str());
  auto sendable = f->store->CountSendable(~std::uint64_t{0});
  CHECK(sendable.ok() && *sendable == 0);
  auto stats = f->store->Stats();
  CHECK(stats.ok() && stats->failed == 1 && stats->conflicts == 1 && stats->operations == 1);
  CHECK(stats->oldest_unix_s > 1'700'000'000);
  // Ours shall win: on the server's version, with what the server has as the base.
  CHECK(f->store->Rebase(operation.sequence, "v9", Remote("a", "v9", 7)).ok());
  STRCMP_EQUAL("U1 a v9", f->Queue().c_str());
  operation = f->First();
  STRCMP_EQUAL("sensor=q\",value=2", RowText(f->LoadWhole(operation).fields).c_str());
  // Theirs shall win.
  CHECK(f->store->Drop(operation.sequence, operation.changes).ok());
  CHECK(f->store->BeginPage().ok());
  CHECK(Apply(table, Remote("a", "v9", 7)) == Applied::kStored);
  CHECK(f->store->EndPage(table, "q", "").ok());
  STRCMP_EQUAL("", f->Queue().c_str());
  STRCMP_EQUAL("", f->Broken().c_str());
}

TEST(StoreTables, AMovedOperationIsNotDropped) {
  f->DefineReadings();
  f->Sql("INSERT INTO readings(id,value) VALUES('a',1)");
  const Operation operation = f->First();
  f->Sql("UPDATE readings SET value=2");
  CHECK(f->store->Drop(operation.sequence, operation.changes).ok());
  STRCMP_EQUAL("I2 a", f->Queue().c_str());
}

TEST(StoreTables, NextSelectsTables) {
  f->DefineReadings();
  f->Define("events", {{"x", ColumnType::kText}});
  f->Sql(
      "INSERT INTO readings(id) VALUES('a'); INSERT INTO events(id) VALUES('e'); INSERT INTO "
      "readings(id) VALUES('b')");
  Operation operation;
  auto found = f->store->Next(0, 2, operation);
  CHECK(found.ok() && *found);
  STRCMP_EQUAL("e", operation.id.c_str());
  found = f->store->Next(operation.sequence, 2, operation);
  CHECK(found.ok() && !*found);
}

TEST(StoreTables, FactsAreKept) {
  CHECK(f->store->SetFact("lastSuccess", "now").ok());
  f->Reopen();
  FixedString<512> value;
  auto found = f->store->Fact("lastSuccess", value);
  CHECK(found.ok() && *found);
  STRCMP_EQUAL("now", value.c_str());
  found = f->store->Fact("nothing", value);
  CHECK(found.ok() && !*found);
}

TEST(StoreTables, TheWalDoesNotGrowWithoutBound) {
  const Table& table = f->DefineReadings();
  WireRow row;
  row.Text("sensor", std::string(500, 's')).Real("value", 1);
  for (int i = 0; i < 6000; ++i) {
    Id id;
    CHECK(f->store->Insert(table, row, id).ok());
  }
  auto stats = f->store->Stats();
  CHECK(stats.ok() && stats->wal_bytes < (5 << 20) && stats->database_bytes > (3 << 20));
  CHECK(f->store->Checkpoint().ok());
}

}  // namespace holdfast::store
