// SPDX-License-Identifier: Apache-2.0
// Bulks on SQLite: one transaction, each operation alone, the record by which it is known again.
#include <CppUTest/TestHarness.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>

#include <deque>
#include <filesystem>
#include <memory>
#include <stdexcept>

#include "hal/base/limits.h"
#include "server/change_clock.h"
#include "server/sqlite_rows.h"

using namespace holdfast;
using namespace holdfast::server;

namespace {

std::int64_t g_now = 0;
// Jumps about, as clocks do.
std::int64_t TestNow() { return g_now += g_now % 3 == 0 ? -70 : 1000; }

struct Malformed : std::runtime_error {
  Malformed() : std::runtime_error("malformed") {}
};

struct Told {
  std::int64_t sequence, moment, earlier;
  Outcome outcome;
};

// A body that is written down in the test, and what it was told.
class TestBulk : public Bulk, public RowSink {
 public:
  Operated& Add(std::int64_t sequence, Change change, const char* id) {
    Operated& added = operations_.emplace_back();
    added.sequence = sequence;
    added.digest = static_cast<std::uint32_t>(sequence) * 77;
    added.write.change = change;
    added.write.table = "readings";
    added.write.id = id;
    added.write.sink = this;
    added.write.quiet = true;
    return added;
  }
  Operated& Insert(std::int64_t sequence, const char* id, const char* column = "value") {
    Operated& added = Add(sequence, Change::kInsert, id);
    RowFields& fields = fields_.emplace_back();
    CHECK(fields.Add(column, ColumnType::kAny, Value::Integer(sequence)).ok());
    added.write.fields = fields.view();
    return added;
  }
  void Break() { broken_ = true; }

  Operated* Next() override {
    if (next_ < operations_.size()) return &operations_[next_++];
    if (broken_) throw Malformed();
    return nullptr;
  }
  void OnApplied(const Operated& operated, std::int64_t moment, std::int64_t earlier) override {
    told.push_back({operated.sequence, moment, earlier, Outcome::kDone});
  }
  void OnRefused(const Operated& operated) override {
    told.push_back({operated.sequence, 0, -1, operated.write.outcome});
  }
  void OnRestored(std::int64_t moment) override { known_until = moment; }
  Result<void> OnRow(RowView row) override {
    ++rows;
    text_bytes = FindText(row, "text").size();
    return text_bytes > limits::kRowBytes ? Result<void>(Error{Code::kTooLarge}) : Ok();
  }

  std::vector<Told> told;
  std::int64_t known_until = -1;
  int rows = 0;
  std::size_t text_bytes = 0;

 private:
  std::deque<Operated> operations_;
  std::deque<RowFields> fields_;
  std::size_t next_ = 0;
  bool broken_ = false;
};

// As long as it lives, no file grows any more.
class FullDisk {
 public:
  FullDisk() {
    previous_ = signal(SIGXFSZ, SIG_IGN);
    LONGS_EQUAL(0, getrlimit(RLIMIT_FSIZE, &limit_));
    const rlimit none{0, limit_.rlim_max};
    LONGS_EQUAL(0, setrlimit(RLIMIT_FSIZE, &none));
  }
  ~FullDisk() {
    setrlimit(RLIMIT_FSIZE, &limit_);
    signal(SIGXFSZ, previous_);
  }
  FullDisk(const FullDisk&) = delete;
  FullDisk& operator=(const FullDisk&) = delete;

 private:
  void (*previous_)(int) = nullptr;
  rlimit limit_{};
};

}  // namespace

TEST_GROUP(RowsBulk) {
  char folder[32] = "/tmp/holdfast-rows-XXXXXX";
  std::unique_ptr<SqliteRows> rows;
  Sender sender{"device", "installation", "incarnation", 0, 0};

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
  bool Has(const char* id) {
    TestBulk nobody;
    return rows->Lookup("readings", id, true, nobody) == Outcome::kDone;
  }
};

TEST(RowsBulk, MomentsOfOneBulkFollowEachOther) {
  TestBulk bulk;
  for (int i = 1; i <= 50; ++i) bulk.Insert(i, ("r" + std::to_string(i)).c_str());
  CHECK(rows->ApplyBulk(sender, bulk) == BulkOutcome::kDone);
  LONGS_EQUAL(50, bulk.told.size());
  for (std::size_t i = 0; i < 50; ++i) {
    LONGS_EQUAL(bulk.told[0].moment + std::int64_t(i) * ChangeClock::kStep, bulk.told[i].moment);
  }
  STRCMP_EQUAL(ChangeClock::TextOf(bulk.told[49].moment).c_str(), rows->Newest().c_str());
  LONGS_EQUAL_TEXT(0, bulk.rows, "nobody wants to see what he has just sent");
  TestBulk later;
  later.Insert(51, "r51");
  CHECK(rows->ApplyBulk(sender, later) == BulkOutcome::kDone);
  CHECK(later.told[0].moment > bulk.told[49].moment);
}

TEST(RowsBulk, ABodyThatIsNotWholeHasNoEffect) {
  TestBulk bulk;
  bulk.Insert(1, "a");
  bulk.Insert(2, "b", "other");
  bulk.Break();
  CHECK_THROWS(Malformed, rows->ApplyBulk(sender, bulk));
  CHECK(!Has("a") && !Has("b"));
  TestBulk again;
  again.Insert(1, "a");
  CHECK(rows->ApplyBulk(sender, again) == BulkOutcome::kDone);
  CHECK(again.told[0].outcome == Outcome::kDone && again.told[0].earlier == -1);
}

TEST(RowsBulk, WhatIsRefusedLeavesNothingBehind) {
  TestBulk bulk;
  bulk.Insert(1, "a");
  RowFields fields;
  CHECK(fields.Add("grown", ColumnType::kAny, Value::Integer(1)).ok());
  CHECK(fields.Add("__bad", ColumnType::kAny, Value::Integer(1)).ok());
  bulk.Add(2, Change::kInsert, "b").write.fields = fields.view();
  bulk.Insert(3, "a");
  bulk.Insert(4, "c");
  CHECK(rows->ApplyBulk(sender, bulk) == BulkOutcome::kDone);
  CHECK(bulk.told[1].outcome == Outcome::kRefused);
  CHECK(bulk.told[2].outcome == Outcome::kExists);
  CHECK(Has("c") && !Has("b"));
  ListQuery query;
  query.table = "readings";
  query.filter = "grown eq 1";
  query.top = 1;
  CHECK_TEXT(rows->List(query, bulk).outcome == Outcome::kRefused, "its column has not stayed");
}

TEST(RowsBulk, ARowThatTurnsOutTooLargeIsTakenBack) {
  const std::string large(limits::kRowBytes + 1, 'x');
  RowFields fields;
  CHECK(fields.Add("text", ColumnType::kAny, Value::Text(large)).ok());
  for (const char* round : {"the column grows", "the column is there"}) {
    TestBulk bulk;
    Operated& insert = bulk.Add(1, Change::kInsert, "a");
    insert.write.fields = fields.view();
    insert.write.quiet = false;
    TestBulk other;
    other.Insert(2, "b", "text");
    CHECK_TEXT(rows->ApplyBulk(sender, bulk) == BulkOutcome::kDone, round);
    CHECK_TEXT(bulk.told[0].outcome == Outcome::kTooLarge, round);
    CHECK_TEXT(!Has("a"), round);
    CHECK_TEXT(rows->ApplyBulk(sender, other) == BulkOutcome::kDone, round);
  }
}

TEST(RowsBulk, AHardDeleteIsKnownAgain) {
  Open("{\"tables\":{\"readings\":{\"hard_delete\":true}}}");
  std::int64_t moment = 0;
  for (int round = 0; round < 3; ++round) {
    TestBulk bulk;
    bulk.Insert(1, "a");
    bulk.Add(2, Change::kDelete, "a");
    CHECK(rows->ApplyBulk(sender, bulk) == BulkOutcome::kDone);
    LONGS_EQUAL(2, bulk.told.size());
    CHECK(bulk.told[0].outcome == Outcome::kDone && bulk.told[1].outcome == Outcome::kDone);
    if (round > 0) LONGS_EQUAL(moment, bulk.told[1].moment);
    moment = bulk.told[1].moment;
    CHECK(!Has("a"));
    Open("{\"tables\":{\"readings\":{\"hard_delete\":true}}}");
  }
}

TEST(RowsBulk, AFullDiskTakesNothingAndLaterAllOfIt) {
  TestBulk before;
  before.Insert(1, "a");
  CHECK(rows->ApplyBulk(sender, before) == BulkOutcome::kDone);
  const std::string newest = rows->Newest();
  for (int round = 0; round < 2; ++round) {
    FullDisk full;
    TestBulk bulk;
    bulk.Insert(2, "b");
    bulk.Insert(3, "c", "grown");
    CHECK(rows->ApplyBulk(sender, bulk) == BulkOutcome::kFailed);
  }
  CHECK(!Has("b") && Has("a"));
  TestBulk bulk;
  bulk.Insert(1, "a");
  bulk.Insert(2, "b");
  bulk.Insert(3, "c", "grown");
  CHECK(rows->ApplyBulk(sender, bulk) == BulkOutcome::kDone);
  LONGS_EQUAL(before.told[0].moment, bulk.told[0].moment);
  CHECK(bulk.told[1].moment > before.told[0].moment && Has("b") && Has("c"));
  Open();
  CHECK(Has("c") && rows->Newest() > newest);
}

TEST(RowsBulk, RefusedSendersApplyNothing) {
  TestBulk first;
  first.Insert(1, "a");
  first.Insert(2, "b");
  CHECK(rows->ApplyBulk(sender, first) == BulkOutcome::kDone);
  const auto refused = [&](std::int64_t acknowledged, std::int64_t applied) {
    sender.acknowledged = acknowledged;
    sender.applied = applied;
    TestBulk bulk;
    bulk.Insert(3, "never");
    const BulkOutcome outcome = rows->ApplyBulk(sender, bulk);
    CHECK(bulk.told.empty() && !Has("never"));
    if (outcome == BulkOutcome::kRestored) LONGS_EQUAL(first.told[1].moment, bulk.known_until);
    return outcome;
  };
  CHECK(refused(2, 3) == BulkOutcome::kRestored);
  sender.acknowledged = sender.applied = 2;
  TestBulk nothing;
  CHECK(rows->ApplyBulk(sender, nothing) == BulkOutcome::kDone);
  CHECK(refused(1, 2) == BulkOutcome::kRewound);
  CHECK(refused(2, 1) == BulkOutcome::kRewound);
  CHECK(refused(2, 3) == BulkOutcome::kRestored);
}

TEST(RowsBulk, TheDigestTellsACopyFromARetry) {
  TestBulk first;
  first.Insert(1, "a");
  CHECK(rows->ApplyBulk(sender, first) == BulkOutcome::kDone);
  TestBulk copy;
  copy.Insert(1, "a").digest = 1;
  copy.Insert(2, "never");
  CHECK(rows->ApplyBulk(sender, copy) == BulkOutcome::kRewound);
  CHECK(!Has("never"));
  TestBulk grown;  // it says more than it did: of that the digest is no witness
  Operated& again = grown.Insert(1, "a");
  again.changes = 1;
  again.digest = 1;
  CHECK(rows->ApplyBulk(sender, grown) == BulkOutcome::kDone);
  LONGS_EQUAL(0, grown.told[0].earlier);
  LONGS_EQUAL(first.told[0].moment, grown.told[0].moment);
}
