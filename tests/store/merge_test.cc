// SPDX-License-Identifier: Apache-2.0
// What becomes of a queued operation when its row is written again, in each of its states.
#include "tests/store/store_fixture.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::store {

TEST_GROUP(StoreMerge) {
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
  void Insert() { f->Sql("INSERT INTO readings(id,sensor,value) VALUES('a','s',1)"); }
  void Update() { f->Sql("UPDATE readings SET value=value+1 WHERE id='a'"); }
  void Delete() { f->Sql("DELETE FROM readings WHERE id='a'"); }
  void Other() { f->Sql("INSERT INTO readings(id,value) VALUES('z'||hex(randomblob(2)),0)"); }
  // The row as the server has it, nothing queued.
  void Synced() {
    Insert();
    f->PushFirst("v1");
    Is("");
  }
  void Attempt() {
    Operation operation = f->First();
    f->Mark(operation);
  }
  void Fail(ErrorKind kind, const char* version = "v9") {
    Attempt();
    OperationError error;
    error.kind = kind;
    error.http_status = kind == ErrorKind::kConflict ? 412 : 400;
    error.server_words = "{}";
    if (kind == ErrorKind::kConflict) error.server_version = version;
    CHECK(f->store->Fail(f->First().sequence, error).ok());
  }
};

TEST(StoreMerge, AnInsertIsQueuedOnce) {
  Insert();
  Is("I1 a");
}

TEST(StoreMerge, InsertAndUpdateAreOneInsert) {
  Insert();
  Other();
  Update();
  STRCMP_EQUAL("I2 a", f->Queue().substr(0, 4).c_str());
}

TEST(StoreMerge, AnUpdateThatChangesNothingIsNotQueued) {
  Synced();
  f->Sql("UPDATE readings SET value=1, sensor='s'");
  Is("");
}

TEST(StoreMerge, UpdateAndUpdateAreOneUpdateOnTheFirstBase) {
  Synced();
  Update();
  Update();
  Is("U2 a v1");
  STRCMP_EQUAL("\"sensor\"='s',\"value\"=1.0", f->Get("SELECT base FROM __operations").c_str());
  Operation operation = f->First();
  STRCMP_EQUAL("value=3", RowText(f->LoadWhole(operation).fields).c_str());
  STRCMP_EQUAL("sensor=s,value=3", RowText(f->LoadWhole(operation, Extent::kWhole).fields).c_str());
}

TEST(StoreMerge, APendingInsertAndItsDeleteVanish) {
  Insert();
  Delete();
  Is("");
}

TEST(StoreMerge, ASequenceIsNeverUsedTwiceAlsoWhenTheQueueIsEmpty) {
  Insert();
  const std::string first = f->Get("SELECT sequence FROM __operations");
  Delete();
  Insert();
  STRCMP_EQUAL("2", f->Get("SELECT sequence FROM __operations").c_str());
  f->PushFirst("v1");
  Update();
  STRCMP_EQUAL("3", f->Get("SELECT sequence FROM __operations").c_str());
  f->PushFirst("v2");
  f->Reopen();
  f->DefineReadings();
  Update();
  STRCMP_EQUAL("4", f->Get("SELECT sequence FROM __operations").c_str());
}

TEST(StoreMerge, AnAttemptedInsertAndItsDeleteAreADeleteWithoutVersionAtTheEnd) {
  Insert();
  Attempt();
  f->Sql("INSERT INTO readings(id) VALUES('b')");
  Delete();
  Is("I1 b;D2 a");
  STRCMP_EQUAL("16|\"sensor\"='s',\"value\"=1.0",
               f->Get("SELECT length(sent),item FROM __operations WHERE kind=2").c_str());
}

TEST(StoreMerge, AnAttemptedInsertThatIsDeletedAndInsertedAgainIsAnAttemptedInsert) {
  Insert();
  Attempt();
  Delete();
  Insert();
  Is("I3*a");
}

TEST(StoreMerge, AnAttemptedInsertStaysAttemptedWhenItIsUpdated) {
  Insert();
  Attempt();
  Update();
  Is("I2*a");
}

TEST(StoreMerge, AParkedInsertIsSentAgainWhenItIsUpdated) {
  Insert();
  Fail(ErrorKind::kParked);
  Is("I1!a");
  Update();
  Is("I2 a");
  STRCMP_EQUAL("0", f->Get("SELECT count(*) FROM __errors").c_str());
}

TEST(StoreMerge, AParkedInsertOfSeveralAttemptsIsNotForgottenWhenItIsDeleted) {
  Insert();
  Attempt();  // this one may have arrived
  Fail(ErrorKind::kParked);
  Update();
  Is("I2*a");
  Delete();
  Is("D3 a");
}

TEST(StoreMerge, AParkedInsertAndItsDeleteAreADeleteWithoutVersion) {
  Insert();
  Fail(ErrorKind::kParked);
  Delete();
  Is("D2 a");
}

TEST(StoreMerge, AnInsertInConflictThatIsDeletedStaysAConflict) {
  Insert();
  Fail(ErrorKind::kConflict);
  Delete();
  Is("D2!a");
  STRCMP_EQUAL("2|2|v9", f->Get("SELECT id,operationKind,serverVersion FROM __errors").c_str());
  Insert();
  Is("I3*a");
  STRCMP_EQUAL("0", f->Get("SELECT count(*) FROM __errors").c_str());
}

TEST(StoreMerge, UpdateAndDeleteAreADeleteOfTheBaseVersionAtTheEnd) {
  Synced();
  Update();
  f->Sql("INSERT INTO readings(id) VALUES('b')");
  Delete();
  Is("I1 b;D2 a v1");
}

TEST(StoreMerge, AnAttemptedUpdateAndDeleteKeepWhatWasSent) {
  Synced();
  Update();
  Attempt();
  Operation operation = f->First();
  WireRow server;
  server.Text("id", "a").Text("sensor", "s").Real("value", 2).Text("version", "v2");
  Delete();
  Is("D2 a v1");
  operation = f->First();
  auto ours = f->store->WasSent(operation, server);
  CHECK(ours.ok() && *ours == Store::Sent::kWritten);
  WireRow theirs;
  theirs.Text("id", "a").Text("sensor", "s").Real("value", 7).Text("version", "v2");
  ours = f->store->WasSent(operation, theirs);
  CHECK(ours.ok() && *ours == Store::Sent::kNever);
}

TEST(StoreMerge, AnUpdateInConflictThatIsEditedIsSentAgainOnItsOldBase) {
  Synced();
  Update();
  Fail(ErrorKind::kConflict);
  Is("U1!a v1");
  Update();
  Is("U2 a v1");
}

TEST(StoreMerge, APendingDeleteAndInsertAreAnUpdateOfTheWholeRow) {
  Synced();
  Delete();
  Is("D1 a v1");
  f->Sql("INSERT INTO readings(id,value) VALUES('a',5)");
  Is("U2 a v1");
  STRCMP_EQUAL("v1", f->Get("SELECT version FROM readings").c_str());
  Operation operation = f->First();
  STRCMP_EQUAL("sensor=null,value=5", RowText(f->LoadWhole(operation).fields).c_str());
}

TEST(StoreMerge, AnAttemptedDeleteStaysBeforeTheInsert) {
  Synced();
  Delete();
  Attempt();
  Insert();
  Is("D1*a v1;I1 a<");
  Operation insert = f->Nth(2);
  LONGS_EQUAL(f->First().sequence, insert.previous);
  CHECK(insert.follows_own);
  f->PushFirst("");
  Is("I1 a<");
  insert = f->First();
  LONGS_EQUAL(0, insert.previous);
  CHECK(insert.follows_own);
  f->PushFirst("v2");
  Is("");
  STRCMP_EQUAL("a|v2|-", f->Get("SELECT id,version,__op FROM readings").c_str());
}

TEST(StoreMerge, AnAttemptedDeleteComesBackToLightWhenTheNewRowIsDeleted) {
  Synced();
  Delete();
  Attempt();
  Insert();
  Delete();
  Is("D1*a v1");
  f->PushFirst("");
  Is("");
  STRCMP_EQUAL("0", f->Get("SELECT count(*) FROM __shadows").c_str());
}

TEST(StoreMerge, AFailedDeleteWaitsBeforeTheInsert) {
  Synced();
  Delete();
  Fail(ErrorKind::kConflict);
  Insert();
  Is("D1!a v1;I1 a<");
}

// ---- edits between Load and Complete

TEST(StoreMerge, AnEditDuringTheExchangeLeavesAnUpdateOnTheNewVersion) {
  Insert();
  Operation operation = f->First();
  const Store::Attempt attempt = f->Mark(operation);
  Update();
  const Completion done = f->Done(operation, attempt, "v1");
  CHECK(f->store->Complete({&done, 1}).ok());
  Is("U2 a v1");
  STRCMP_EQUAL("v1|2.0", f->Get("SELECT version,value FROM readings").c_str());
}

TEST(StoreMerge, AnEditDuringTheExchangeIsNotOverwrittenByTheServersRow) {
  Synced();
  Update();
  Operation operation = f->First();
  const Store::Attempt attempt = f->Mark(operation);
  f->Sql("UPDATE readings SET sensor='mine'");
  WireRow server;
  server.Text("id", "a").Text("sensor", "server").Real("value", 2);
  Completion done = f->Done(operation, attempt, "v2");
  done.row = server;
  CHECK(f->store->Complete({&done, 1}).ok());
  Is("U2 a v2");
  STRCMP_EQUAL("mine|2.0", f->Get("SELECT sensor,value FROM readings").c_str());
  operation = f->First();
  STRCMP_EQUAL("sensor=mine", RowText(f->LoadWhole(operation).fields).c_str());
}

TEST(StoreMerge, WithoutAnEditTheServersRowIsStored) {
  Insert();
  Operation operation = f->First();
  const Store::Attempt attempt = f->Mark(operation);
  WireRow server;
  server.Text("id", "a").Text("sensor", "SERVER").Real("value", 1).Text("unknown", "x");
  Completion done = f->Done(operation, attempt, "v1");
  done.row = server;
  CHECK(f->store->Complete({&done, 1}).ok());
  Is("");
  STRCMP_EQUAL("SERVER|v1", f->Get("SELECT sensor,version FROM readings").c_str());
}

TEST(StoreMerge, ADeleteDuringTheExchangeGetsTheVersion) {
  Insert();
  Operation operation = f->First();
  const Store::Attempt attempt = f->Mark(operation);
  Delete();
  Is("D2 a");
  const Completion done = f->Done(operation, attempt, "v1");
  CHECK(f->store->Complete({&done, 1}).ok());
  Is("D2 a v1");
}

TEST(StoreMerge, ADeleteAndInsertDuringTheExchangeBecomeAnUpdateOnTheNewVersion) {
  Insert();
  Operation operation = f->First();
  const Store::Attempt attempt = f->Mark(operation);
  Delete();
  f->Sql("INSERT INTO readings(id,value) VALUES('a',9)");
  Is("I3*a");
  const Completion done = f->Done(operation, attempt, "v1");
  CHECK(f->store->Complete({&done, 1}).ok());
  Is("U3*a v1");
  operation = f->First();
  STRCMP_EQUAL("sensor=null,value=9", RowText(f->LoadWhole(operation).fields).c_str());
}

TEST(StoreMerge, WhatAnUnknownAttemptMayHaveChangedIsSentAgainAlsoWhenItWasEditedBack) {
  Synced();
  Update();
  Attempt();
  f->Sql("UPDATE readings SET value=1");
  Operation operation = f->First();
  STRCMP_EQUAL("value=1", RowText(f->LoadWhole(operation).fields).c_str());
}

TEST(StoreMerge, UnsentOperationsArePendingAgain) {
  Insert();
  Operation operation = f->First();
  const Store::Attempt attempt = f->Mark(operation);
  Is("I1*a");
  CHECK(f->store->UnmarkUnsent({&attempt, 1}).ok());
  Is("I1 a");
  Delete();
  Is("");
}

// ---- related rows

TEST_GROUP(StoreRelated) {
  StoreFixture* f = nullptr;
  void setup() override {
    f = new StoreFixture();
    f->Sql("CREATE TABLE node(id TEXT PRIMARY KEY, name TEXT, parent TEXT REFERENCES node(id))");
    f->Define("node", {}, true);
  }
  void teardown() override {
    STRCMP_EQUAL("", f->Broken("node").c_str());
    delete f;
  }
  void Is(const char* queue) { STRCMP_EQUAL(queue, f->Queue().c_str()); }
};

TEST(StoreRelated, ANewReferenceTravelsAfterTheRowItRefersTo) {
  f->Sql("INSERT INTO node(id,name) VALUES('a','A')");
  f->Sql("INSERT INTO node(id) VALUES('b')");
  f->Sql("UPDATE node SET parent='b',name='AA' WHERE id='a'");
  Is("I1 a;I1 b;U1 a<");
  Operation first = f->First(), second = f->Nth(3);
  STRCMP_EQUAL("name=A", RowText(f->LoadWhole(first).fields).c_str());
  STRCMP_EQUAL("name=AA,parent=b", RowText(f->LoadWhole(second).fields).c_str());
  LONGS_EQUAL(first.sequence, second.previous);
  f->PushFirst("v1");
  f->PushFirst("v2");
  second = f->First();
  STRCMP_EQUAL("v1", second.base_version.c_str());
  LONGS_EQUAL(0, second.previous);
  f->PushFirst("v3");
  Is("");
  STRCMP_EQUAL("v3", f->Get("SELECT version FROM node WHERE id='a'").c_str());
}

TEST(StoreRelated, OtherEditsOfARelatedRowAreMerged) {
  f->Sql("INSERT INTO node(id,name) VALUES('a','A'),('b','B')");
  f->Sql("UPDATE node SET name='AA' WHERE id='a'");
  f->Sql("UPDATE node SET parent=NULL WHERE id='a'");
  Is("I2 a;I1 b");
}

TEST(StoreRelated, ARowThatFollowsItselfAndIsDeletedKeepsItsVersion) {
  f->Sql("INSERT INTO node(id,name) VALUES('a','A'),('b','B')");
  f->Sql("UPDATE node SET parent='b' WHERE id='a'");
  f->Sql("DELETE FROM node WHERE id='a'");
  Is("I1 a;I1 b;D2 a<");
  f->PushFirst("v1");
  f->PushFirst("v2");
  STRCMP_EQUAL("v1", f->First().base_version.c_str());
}

}  // namespace holdfast::store
