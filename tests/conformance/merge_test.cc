// SPDX-License-Identifier: Apache-2.0
// The merge matrix: a local edit of a row that has an operation queued already (README.md
// here: 4.1, 4.3, D.2, D.7 61).
#include "tests/conformance/scene.h"

namespace holdfast::test {
namespace {

// The operation of "a" was sent; its outcome is unknown or bad.
void Attempted(Device& device) {
  device.wire->on_request = [](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kNotSent};
  };
  CHECK(!device.Push().outcome.ok());
  device.wire->on_request = nullptr;
  CHECK(device.Operations().at(0).state == store::State::kAttempted);
}

void Failed(Device& device) {
  device.wire->on_request = [](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kInstead, .status = 403, .body = R"({"error":"no"})"};
  };
  LONGS_EQUAL(1, long(device.Push().push.parked));
  device.wire->on_request = nullptr;
}

}  // namespace

// clang-format off
TEST_GROUP(Merge) {
  Scene scene;
  Device& d = scene.device();
  std::string a = scene.S("a"), b = scene.S("b");

  // The row is on both sides and nothing is queued.
  void Synced() {
    d.Put(a, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    STRCMP_EQUAL("", d.Queue().c_str());
    d.wire->Forget();
  }
};
// clang-format on

TEST(Merge, InsertPending_Insert_IsRefused) {
  d.Put(a, R"("value":1)");
  RowFields row;
  CHECK(row.Add(kId, ColumnType::kText, Value::Text(a)).ok());
  store::Id id;
  CHECK(!d.store->Insert(*d.table, row.view(), id).ok());
  STRCMP_EQUAL("I a 1", d.Queue().c_str());
}

TEST(Merge, InsertPending_Update_KeepsItsPlaceAndSendsTheLastValue) {
  d.Put(a, R"("value":1)");
  d.Put(b, R"("value":1)");
  d.Put(a, R"("value":2)");
  STRCMP_EQUAL("I a 2, I b 1", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(2, d.wire->writes());
  CHECK(d.wire->exchanges[0].body.find(R"("value":2)") != std::string::npos);
  scene.CheckEqual(d);
}

TEST(Merge, InsertPending_Delete_BothVanishAndNothingIsSent) {
  d.Put(a, R"("value":1)");
  CHECK(d.Delete(a));
  STRCMP_EQUAL("", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(0, long(d.wire->exchanges.size()));
}

TEST(Merge, InsertAttempted_Insert_IsRefused) {
  d.Put(a, R"("value":1)");
  Attempted(d);
  RowFields row;
  CHECK(row.Add(kId, ColumnType::kText, Value::Text(a)).ok());
  store::Id id;
  CHECK(!d.store->Insert(*d.table, row.view(), id).ok());
  STRCMP_EQUAL("I a 1", d.Queue().c_str());
}

TEST(Merge, InsertAttempted_Update_IsSentWithTheLastValue) {
  d.Put(a, R"("value":1)");
  Attempted(d);
  d.Put(a, R"("value":2)");
  STRCMP_EQUAL("I a 2", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  scene.CheckEqual(d);
  STRCMP_EQUAL("2", scene.Remote(a, "value").c_str());
}

// The old clients refuse this delete, or leave an orphan on the server.
TEST(Merge, InsertAttempted_Delete_LeavesNoOrphan) {
  d.Put(a, R"("value":1)");
  d.wire->on_request = [](const transport::Request&, int) {
    return Fate{.kind = Fate::Kind::kUnanswered};
  };
  CHECK(!d.Push().outcome.ok());
  d.wire->on_request = nullptr;
  CHECK(scene.Alive(a));
  CHECK(d.Delete(a));
  STRCMP_EQUAL("D a 2", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  CHECK(!scene.Alive(a));
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Merge, InsertAttempted_Delete_OfARowThatNeverArrivedEndsWell) {
  d.Put(a, R"("value":1)");
  Attempted(d);
  CHECK(d.Delete(a));
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
  CHECK(!scene.Alive(a));
}

TEST(Merge, InsertFailed_Insert_IsRefused) {
  d.Put(a, R"("value":1)");
  Failed(d);
  RowFields row;
  CHECK(row.Add(kId, ColumnType::kText, Value::Text(a)).ok());
  store::Id id;
  CHECK(!d.store->Insert(*d.table, row.view(), id).ok());
  LONGS_EQUAL(1, long(d.Errors().size()));
}

TEST(Merge, InsertFailed_Update_IsANewTryAndItsErrorIsGone) {
  d.Put(a, R"("value":1)");
  Failed(d);
  LONGS_EQUAL(1, long(d.Errors().size()));
  d.Put(a, R"("value":2)");
  LONGS_EQUAL(0, long(d.Errors().size()));
  LONGS_EQUAL(1, long(d.Push().push.pushed));
  scene.CheckEqual(d);
}

TEST(Merge, InsertFailed_Delete_IsADeleteWithoutVersion) {
  d.Put(a, R"("value":1)");
  Failed(d);
  CHECK(d.Delete(a));
  LONGS_EQUAL(0, long(d.Errors().size()));
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  STRCMP_EQUAL("", d.Queue().c_str());
  for (const Exchange& exchange : d.wire->exchanges) STRCMP_EQUAL("", exchange.if_match.c_str());
}

TEST(Merge, Update_Insert_IsRefused) {
  Synced();
  d.Put(a, R"("value":2)");
  RowFields row;
  CHECK(row.Add(kId, ColumnType::kText, Value::Text(a)).ok());
  store::Id id;
  CHECK(!d.store->Insert(*d.table, row.view(), id).ok());
  STRCMP_EQUAL("U a 1", d.Queue().c_str());
}

TEST(Merge, Update_Update_KeepsItsPlaceAndLeavesOneUpdate) {
  if (scene.bulk()) return;
  Synced();
  d.Put(a, R"("value":2)");
  d.Put(b, R"("value":1)");
  d.Put(a, R"("value":3,"quality":7)");
  STRCMP_EQUAL("U a 2, I b 1", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(2, d.wire->writes());
  scene.CheckEqual(d);
}

TEST(Merge, Update_Delete_IsOneDeleteAtTheEnd) {
  if (scene.bulk()) return;
  Synced();
  d.Put(a, R"("value":2)");
  d.Put(b, R"("value":1)");
  CHECK(d.Delete(a));
  STRCMP_EQUAL("I b 1, D a 2", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(2, d.wire->writes());
  CHECK(!scene.Alive(a));
}

TEST(Merge, UpdateFailed_Update_IsANewTry) {
  Synced();
  d.Put(a, R"("value":2)");
  Failed(d);
  d.Put(a, R"("value":3)");
  LONGS_EQUAL(0, long(d.Errors().size()));
  LONGS_EQUAL(1, long(d.Push().push.pushed));
  STRCMP_EQUAL("3", scene.Remote(a, "value").c_str());
}

TEST(Merge, UpdateFailed_Delete_ReplacesTheErrorToo) {
  Synced();
  d.Put(a, R"("value":2)");
  Failed(d);
  CHECK(d.Delete(a));
  LONGS_EQUAL(0, long(d.Errors().size()));
  CHECK(d.Push().outcome.ok());
  CHECK(!scene.Alive(a));
}

// The old clients refuse to use an id again before the delete was pushed.
TEST(Merge, Delete_Insert_IsAnUpdateOfTheWholeRow) {
  Synced();
  CHECK(d.Delete(a));
  d.Put(a, R"("value":5)");
  STRCMP_EQUAL("U a 2", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  scene.CheckEqual(d);
  STRCMP_EQUAL("", scene.Remote(a, "sensor").c_str());
  STRCMP_EQUAL("5", scene.Remote(a, "value").c_str());
}

TEST(Merge, DeleteAttempted_Insert_FollowsTheDelete) {
  for (const auto kind : {Fate::Kind::kNotSent, Fate::Kind::kUnanswered}) {
    const std::string id = scene.S(kind == Fate::Kind::kNotSent ? "n" : "u");
    d.Put(id, R"("sensor":"s","value":1)");
    CHECK(d.Push().outcome.ok());
    CHECK(d.Delete(id));
    d.wire->on_request = [&](const transport::Request&, int) { return Fate{.kind = kind}; };
    CHECK(!d.Push().outcome.ok());
    d.wire->on_request = nullptr;
    d.Put(id, R"("value":9)");
    LONGS_EQUAL(2, long(d.Operations().size()));
    d.Settle();
    STRCMP_EQUAL("9", scene.Remote(id, "value").c_str());
    scene.CheckEqual(d);
  }
}

TEST(Merge, Delete_UpdateOrDelete_ChangeNothing) {
  Synced();
  CHECK(d.Delete(a));
  CHECK(!d.Delete(a));
  STRCMP_EQUAL("D a 1", d.Queue().c_str());
}

TEST(Merge, Nothing_AnyEdit_IsQueued) {
  Synced();
  d.Put(b, R"("value":1)");
  d.Put(a, R"("value":2)");
  STRCMP_EQUAL("I b 1, U a 1", d.Queue().c_str());
  CHECK(d.Push().outcome.ok());
  CHECK(d.Delete(a));
  STRCMP_EQUAL("D a 1", d.Queue().c_str());
}

TEST(Merge, AnEditThatIsTakenBackSendsNothing) {
  Synced();
  d.Put(a, R"("value":2)");
  d.Put(a, R"("value":1)");
  CHECK(d.Push().outcome.ok());
  LONGS_EQUAL(0, long(d.wire->exchanges.size()));
  STRCMP_EQUAL("", d.Queue().c_str());
}

// In flight: the edit is made between the request and its answer.
TEST(Merge, InsertInFlight_Update_IsSentAfterIt) {
  d.Put(a, R"("value":1)");
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    if (number == 1) fate.meanwhile = [&] { d.Put(a, R"("value":2)"); };
    return fate;
  };
  CHECK(d.Push().outcome.ok());
  d.Settle();
  STRCMP_EQUAL("2", d.Get(a, "value").c_str());
  scene.CheckEqual(d);
}

TEST(Merge, InsertInFlight_Delete_LeavesNoOrphan) {
  d.Put(a, R"("value":1)");
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    if (number == 1) fate.meanwhile = [&] { CHECK(d.Delete(a)); };
    return fate;
  };
  CHECK(d.Push().outcome.ok());
  d.Settle();
  CHECK(!scene.Alive(a));
  STRCMP_EQUAL("", d.Queue().c_str());
}

TEST(Merge, UpdateInFlight_Update_IsNotOverwrittenByTheAnswer) {
  Synced();
  d.Put(a, R"("value":2)");
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    if (number == 1) fate.meanwhile = [&] { d.Put(a, R"("value":3)"); };
    return fate;
  };
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  d.Settle();
  STRCMP_EQUAL("3", d.Get(a, "value").c_str());
  STRCMP_EQUAL("3", scene.Remote(a, "value").c_str());
  LONGS_EQUAL(0, long(d.Errors().size()));
}

TEST(Merge, UpdateInFlight_Delete_CarriesTheNewVersion) {
  Synced();
  d.Put(a, R"("value":2)");
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    if (number == 1) fate.meanwhile = [&] { CHECK(d.Delete(a)); };
    return fate;
  };
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  d.Settle();
  CHECK(!scene.Alive(a));
  LONGS_EQUAL(0, long(d.Errors().size()));
}

TEST(Merge, DeleteInFlight_Insert_LivesInTheEnd) {
  Synced();
  CHECK(d.Delete(a));
  d.wire->on_request = [&](const transport::Request&, int number) {
    Fate fate;
    if (number == 1) fate.meanwhile = [&] { d.Put(a, R"("value":9)"); };
    return fate;
  };
  d.wire->Forget();
  CHECK(d.Push().outcome.ok());
  d.Settle();
  STRCMP_EQUAL("9", scene.Remote(a, "value").c_str());
  scene.CheckEqual(d);
}

}  // namespace holdfast::test
