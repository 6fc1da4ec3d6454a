// SPDX-License-Identifier: Apache-2.0
// Plain SQL of every kind, as any program may write it.
#include "hal/base/text.h"
#include "tests/store/store_fixture.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::store {

TEST_GROUP(StoreStatements) {
  StoreFixture* f = nullptr;
  void setup() override {
    f = new StoreFixture();
    f->DefineReadings();
  }
  void teardown() override {
    STRCMP_EQUAL("", f->Broken().c_str());
    delete f;
  }
  void Is(const char* queue) { STRCMP_EQUAL(queue, f->Queue().c_str()); }
  void Synced() {
    f->Sql("INSERT INTO readings(id,sensor,value) VALUES('a','s',1),('b','s',2)");
    f->PushAll();
  }
};

TEST(StoreStatements, AMultiRowInsertQueuesEachRow) {
  f->Sql("INSERT INTO readings(id,value) VALUES('a',1),('b',2),('c',3)");
  Is("I1 a;I1 b;I1 c");
}

TEST(StoreStatements, AnInsertThatFailsLeavesNothing) {
  f->Sql("INSERT INTO readings(id) VALUES('b')");
  CHECK(f->Try("INSERT INTO readings(id) VALUES('a'),('b'),('c')") != SQLITE_OK);
  Is("I1 b");
}

TEST(StoreStatements, InsertOrFailKeepsTheRowsBeforeTheFailure) {
  f->Sql("INSERT INTO readings(id) VALUES('b')");
  CHECK(f->Try("INSERT OR FAIL INTO readings(id) VALUES('a'),('b'),('c')") != SQLITE_OK);
  Is("I1 b;I1 a");
}

TEST(StoreStatements, InsertOrIgnoreQueuesOnlyNewRows) {
  f->Sql("INSERT INTO readings(id,value) VALUES('b',1)");
  f->Sql("INSERT OR IGNORE INTO readings(id,value) VALUES('a',1),('b',2),('c',3)");
  Is("I1 b;I1 a;I1 c");
  STRCMP_EQUAL("1.0", f->Get("SELECT value FROM readings WHERE id='b'").c_str());
}

TEST(StoreStatements, InsertOrRollbackLeavesNothingOfTheTransaction) {
  f->Sql("INSERT INTO readings(id) VALUES('b')");
  f->Sql("BEGIN");
  f->Sql("INSERT INTO readings(id) VALUES('a')");
  CHECK(f->Try("INSERT OR ROLLBACK INTO readings(id) VALUES('b')") != SQLITE_OK);
  Is("I1 b");
}

TEST(StoreStatements, InsertOrReplaceOfASyncedRowIsAnUpdateOnItsVersion) {
  Synced();
  f->Sql("INSERT OR REPLACE INTO readings(id,sensor,value) VALUES('a','s',5)");
  Is("U1 a v1");
  STRCMP_EQUAL("v1|5.0", f->Get("SELECT version,value FROM readings WHERE id='a'").c_str());
  Operation operation = f->First();
  STRCMP_EQUAL("value=5", RowText(f->LoadWhole(operation).fields).c_str());
}

TEST(StoreStatements, InsertOrReplaceOfTheSameContentIsNotQueued) {
  Synced();
  f->Sql("INSERT OR REPLACE INTO readings(id,sensor,value) VALUES('a','s',1)");
  Is("");
  STRCMP_EQUAL("v1|-", f->Get("SELECT version,__op FROM readings WHERE id='a'").c_str());
}

TEST(StoreStatements, InsertOrReplaceOfAPendingRowIsMerged) {
  f->Sql("INSERT INTO readings(id,value) VALUES('a',1)");
  f->Sql("REPLACE INTO readings(id,value) VALUES('a',2),('a',3)");
  Is("I3 a");
}

TEST(StoreStatements, InsertOrReplaceWithRecursiveTriggersLosesNothing) {
  Synced();
  f->Sql("PRAGMA recursive_triggers=ON");
  f->Sql("INSERT OR REPLACE INTO readings(id,value) VALUES('a',5)");
  Is("U2 a v1");
  f->Sql("INSERT OR REPLACE INTO readings(id,value) VALUES('n',5)");
  f->Sql("INSERT OR REPLACE INTO readings(id,value) VALUES('n',6)");
  Is("U2 a v1;I1 n");
  f->Sql("UPDATE readings SET version='x', value=7 WHERE id='n'");
  f->Sql("UPDATE readings SET version='x'");
  Is("U2 a v1;I2 n");
  STRCMP_EQUAL("v1", f->Get("SELECT version FROM readings WHERE id='a'").c_str());
}

TEST(StoreStatements, AReplacedRowidIsRefused) {
  Synced();
  CHECK(f->Try("INSERT OR REPLACE INTO readings(rowid,id) SELECT rowid,'other' FROM readings") !=
        SQLITE_OK);
  CHECK(f->Try("UPDATE OR REPLACE readings SET rowid=(SELECT max(rowid) FROM readings)") !=
        SQLITE_OK);
  STRCMP_EQUAL("a;b", f->Get("SELECT id FROM readings ORDER BY id").c_str());
}

TEST(StoreStatements, UpsertUpdatesOrInserts) {
  Synced();
  const char* upsert =
      "INSERT INTO readings(id,value) VALUES('a',7),('n',8) ON CONFLICT(id) DO UPDATE SET "
      "value=excluded.value";
  f->Sql(upsert);
  Is("U1 a v1;I1 n");
  f->Sql(upsert);
  Is("U1 a v1;I1 n");
  f->Sql("INSERT INTO readings(id,value) VALUES('a',9) ON CONFLICT DO NOTHING");
  Is("U1 a v1;I1 n");
  f->Sql("DELETE FROM readings");
  f->Sql("INSERT INTO readings(id,value) VALUES('n',1)");
  Is("D2 a v1;D1 b v2;I1 n");
}

TEST(StoreStatements, WhatAnIgnoredInsertLeavesBehindIsHarmlessAfterAPull) {
  Synced();
  f->Sql("INSERT OR IGNORE INTO readings(id,value) VALUES('a',9)");
  CHECK(f->store->BeginPage().ok());
  WireRow gone;
  gone.Text("id", "a").Integer("deleted", 1);
  auto applied = f->store->ApplyRemote(*f->store->FindTable("readings"), gone);
  CHECK(applied.ok() && *applied == Applied::kDeleted);
  CHECK(f->store->EndPage(*f->store->FindTable("readings"), "q", "").ok());
  f->Sql("INSERT INTO readings(id,value) VALUES('a',9)");
  Is("I1 a");
}

TEST(StoreStatements, TheIdOfASyncedRowCannotChange) {
  Synced();
  CHECK(f->Try("UPDATE readings SET id='c' WHERE id='a'") != SQLITE_OK);
  STRCMP_EQUAL(
      "holdfast: the id of a synced row cannot change; insert a new row and delete this one",
      sqlite3_errmsg(f->program));
  f->Sql("UPDATE readings SET id='a' WHERE id='a'");
  Is("");
}

TEST(StoreStatements, SystemColumnsThatAProgramWritesAreIgnored) {
  Synced();
  f->Sql("UPDATE readings SET createdAt='x',updatedAt='y',version='z',deleted=1 WHERE id='a'");
  STRCMP_EQUAL(
      "-|-|v1|-",
      f->Get("SELECT createdAt,updatedAt,version,deleted FROM readings WHERE id='a'").c_str());
  Is("");
  f->Sql("INSERT INTO readings VALUES('c','s',1,'x','y','z',1,77)");
  STRCMP_EQUAL("-|-|-|-", f->Get("SELECT createdAt,updatedAt,version,deleted FROM readings WHERE "
                                 "id='c'")
                              .c_str());
  Is("I1 c");
}

TEST(StoreStatements, RowsWrittenBackAsTheyWereReadAreTracked) {
  Synced();
  f->Sql("CREATE TEMP TABLE copy AS SELECT * FROM readings");
  f->Sql("UPDATE readings SET value=9 WHERE id='a'");
  f->Sql("UPDATE readings SET __op=NULL,version=NULL,value=10 WHERE id='a'");
  Is("U2 a v1");
  f->Sql("UPDATE readings SET __op=NULL,version=NULL,value=value WHERE id='a'");
  STRCMP_EQUAL("", f->Broken().c_str());
  f->Sql("DELETE FROM readings");
  f->Sql("INSERT INTO readings SELECT * FROM copy");
  Is("U5 a v1;U2 b v2");
}

TEST(StoreStatements, DeleteWithoutWhereQueuesEveryRow) {
  Synced();
  f->Sql("DELETE FROM readings");
  Is("D1 a v1;D1 b v2");
}

TEST(StoreStatements, RolledBackTransactionsAndSavepointsLeaveNothing) {
  f->Sql("BEGIN; INSERT INTO readings(id) VALUES('a'); ROLLBACK");
  Is("");
  f->Sql(
      "BEGIN; INSERT INTO readings(id) VALUES('a'); SAVEPOINT s;"
      "DELETE FROM readings; INSERT INTO readings(id) VALUES('b'); ROLLBACK TO s; COMMIT");
  Is("I1 a");
}

TEST(StoreStatements, VacuumInBetweenChangesNothing) {
  f->Sql("INSERT INTO readings(id,value) VALUES('x',0),('a',1),('b',2)");
  f->Sql("DELETE FROM readings WHERE id='x'");
  f->Sql("VACUUM");
  f->Sql("UPDATE readings SET value=3 WHERE id='b'");
  Is("I1 a;I2 b");
  f->PushAll();
  STRCMP_EQUAL("3.0|-", f->Get("SELECT value,__op FROM readings WHERE id='b'").c_str());
}

TEST(StoreStatements, InsertFromSelectIsTracked) {
  Synced();
  f->Sql("INSERT INTO readings(id,sensor,value) SELECT id||'2',sensor,value FROM readings");
  Is("I1 a2;I1 b2");
}

TEST(StoreStatements, AnIdIsMadeWhenThereIsNone) {
  f->Sql("INSERT INTO readings(sensor,value) VALUES('s',1),('t',2)");
  const std::string ids = f->Get("SELECT id FROM readings");
  CHECK(ids.size() == 2 * 21 + 1);
  STRCMP_EQUAL("-00000001", ids.substr(12, 9).c_str());
  STRCMP_EQUAL("-00000002", ids.substr(34, 9).c_str());
  CHECK(ids.substr(0, 12) == ids.substr(22, 12));
}

TEST(StoreStatements, AnIdThatNoServerTakesIsRefused) {
  CHECK(f->Try("INSERT INTO readings(id) VALUES(x'0102')") != SQLITE_OK);
  CHECK(f->Try("INSERT INTO readings(id) VALUES('')") != SQLITE_OK);
  CHECK(f->Try("INSERT INTO readings(id) VALUES(hex(zeroblob(128)))") != SQLITE_OK);
  f->Sql("INSERT INTO readings(id) VALUES(substr(hex(zeroblob(128)),1,255))");
  STRCMP_EQUAL("1", f->Get("SELECT count(*) FROM __operations").c_str());
}

TEST(StoreStatements, OddNamesAreQuoted) {
  f->Sql(
      "CREATE TABLE \"it's \"\"odd\"\"\"(id TEXT PRIMARY KEY, \"a \"\"b\"\", c\" TEXT, \"select\" "
      "BLOB, \"rowid\" INTEGER, \"x'y\" REAL)");
  f->Define("it's \"odd\"", {}, true);
  f->Sql(
      "INSERT INTO \"it's \"\"odd\"\"\"(id,\"a \"\"b\"\", c\",\"select\") "
      "VALUES('a','q''t\"',x'00ff')");
  f->PushAll();
  f->Sql("UPDATE \"it's \"\"odd\"\"\" SET \"x'y\"=0.1,\"a \"\"b\"\", c\"='n'");
  Operation operation = f->First();
  STRCMP_EQUAL("a \"b\", c=n,x'y=0.1", RowText(f->LoadWhole(operation).fields).c_str());
  f->Sql("INSERT OR REPLACE INTO \"it's \"\"odd\"\"\"(id) VALUES('a')");
  f->Sql("DELETE FROM \"it's \"\"odd\"\"\"");
  Is("D3 a v1");
}

TEST(StoreStatements, EveryDigitAndByteOfTheBaseIsKept) {
  f->Sql("INSERT INTO readings(id,sensor,value) VALUES('a','x''y'||char(10)||'é',0.1+0.2)");
  f->PushAll();
  f->Sql("UPDATE readings SET sensor='new'");
  f->Sql("UPDATE readings SET sensor='x''y'||char(10)||'é'");
  Operation operation = f->First();
  LONGS_EQUAL(0, f->LoadWhole(operation).mask);
}

TEST(StoreStatements, SixtyFourColumnsAreTracked) {
  std::vector<std::string> names;
  std::vector<std::pair<const char*, ColumnType>> columns;
  for (int i = 0; i < 64; ++i) names.push_back("column" + std::to_string(i));
  for (const std::string& name : names) columns.push_back({name.c_str(), ColumnType::kInteger});
  f->Define("wide", columns);
  f->Sql("INSERT INTO wide(id,column0,column63) VALUES('a',1,2)");
  f->Sql("UPDATE wide SET column63=3");
  f->Sql("DELETE FROM wide");
  Is("");
  f->Sql("INSERT INTO wide(id,column0,column63) VALUES('a',1,2)");
  f->PushAll();
  f->Sql("UPDATE wide SET column63=3");
  Operation operation = f->First();
  CHECK(f->LoadWhole(operation).mask == std::uint64_t{1} << 63);
}

}  // namespace holdfast::store
