// SPDX-License-Identifier: Apache-2.0
// Who wins: every rule against every kind of dispute, as lines of a table.
#include <CppUTest/TestHarness.h>

#include <string>

#include "agent/sync/policy.h"
#include "hal/base/timestamp.h"

namespace holdfast::test {
namespace {

using agent::ConflictPolicy;
using agent::Decide;
using agent::Decision;
using agent::Dispute;
using agent::Rule;
using store::Keep;
using store::Kind;

constexpr std::int64_t kNoon = 1'795'435'200;  // 2026-11-23T12:00:00Z

// A row of two columns; -1: the column is null, -2: it is absent.
struct Row {
  RowFields fields;
  Row(int a, int b) {
    Add("a", a);
    Add("b", b);
  }
  void Add(const char* name, int value) {
    if (value == -2) return;
    CHECK(
        fields.Add(name, ColumnType::kInteger, value == -1 ? Value::Null() : Value::Integer(value))
            .ok());
  }
  Row& At(const char* updated_at) {
    CHECK(fields.Add(kUpdatedAt, ColumnType::kText, Value::Text(updated_at)).ok());
    return *this;
  }
  Row& Deleted() {
    CHECK(fields.Add(kDeleted, ColumnType::kBoolean, Value::Boolean(true)).ok());
    return *this;
  }
};

std::string Text(const Decision& decision, RowView merged) {
  if (decision.ask) return "ask";
  std::string text;
  switch (decision.keep) {
    case Keep::kLocal: text = "local"; break;
    case Keep::kServer: text = "server"; break;
    case Keep::kNeither: text = "neither"; break;
    case Keep::kMerged:
      text = "merged";
      for (const Field& field : merged) {
        text += " " + std::string(field.name) + "=" +
                (field.value.is_null() ? "null" : std::to_string(field.value.integer));
      }
  }
  return text + " by " + std::string(RuleName(decision.by));
}

std::string Decided(ConflictPolicy policy, const Dispute& dispute) {
  RowFields merged;
  auto decision = Decide(policy, dispute, merged);
  CHECK(decision.ok());
  return Text(*decision, merged.view());
}

// An update of a row {1, 2} to `local`, while the server has `server`.
std::string Merge(Rule both_changed, Row local, Row server) {
  const Row base(1, 2);
  Dispute dispute;
  dispute.local = local.fields.view();
  dispute.base = base.fields.view();
  dispute.server = server.fields.view();
  dispute.edited_unix_s = kNoon;
  return Decided({Rule::kMerge, both_changed}, dispute);
}

}  // namespace

TEST_GROUP(Policy){};

TEST(Policy, WholeRowRules) {
  Row local(3, 2), server(1, 4);
  server.At("2026-11-23T11:59:59.000Z");
  Dispute dispute;
  dispute.local = local.fields.view();
  dispute.server = server.fields.view();
  dispute.edited_unix_s = kNoon;
  STRCMP_EQUAL("ask", Decided({Rule::kAsk, Rule::kAsk}, dispute).c_str());
  STRCMP_EQUAL("server by server", Decided({Rule::kServer, Rule::kAsk}, dispute).c_str());
  STRCMP_EQUAL("local by client", Decided({Rule::kClient, Rule::kAsk}, dispute).c_str());
  STRCMP_EQUAL("local by newest", Decided({Rule::kNewest, Rule::kAsk}, dispute).c_str());
}

TEST(Policy, NewestComparesClocksAndATieIsTheServers) {
  const struct {
    const char* server;
    std::int64_t edited;
    const char* decision;
  } cases[] = {
      {"2026-11-23T12:00:01.000Z", kNoon, "server by newest"},
      {"2026-11-23T12:00:00.000Z", kNoon, "server by newest"},
      {"2026-11-23T11:59:59.9999999+00:00", kNoon, "local by newest"},
      {"2026-11-23T13:59:59.000+02:00", kNoon, "local by newest"},
      // A clock that was never set, and a server that gives no date, decide nothing.
      {"2026-11-23T11:00:00.000Z", 3600, "ask"},
      {"2026-11-23T11:00:00.000Z", 0, "ask"},
      {"yesterday", kNoon, "ask"},
  };
  for (const auto& c : cases) {
    Row local(3, 2), server(1, 4);
    server.At(c.server);
    Dispute dispute;
    dispute.local = local.fields.view();
    dispute.server = server.fields.view();
    dispute.edited_unix_s = c.edited;
    STRCMP_EQUAL_TEXT(c.decision, Decided({Rule::kNewest, Rule::kAsk}, dispute).c_str(), c.server);
  }
  // A row that is gone without a trace has no date either.
  Dispute gone;
  gone.edited_unix_s = kNoon;
  STRCMP_EQUAL("ask", Decided({Rule::kNewest, Rule::kAsk}, gone).c_str());
}

TEST(Policy, MergeTakesEachSidesColumns) {
  STRCMP_EQUAL("merged a=3 by merge", Merge(Rule::kAsk, {3, 2}, {1, 4}).c_str());
  STRCMP_EQUAL("merged a=null by merge", Merge(Rule::kAsk, {-1, 2}, {1, 4}).c_str());
  STRCMP_EQUAL("merged by merge", Merge(Rule::kAsk, {1, 2}, {3, 4}).c_str());
  // The same change on both sides is no collision.
  STRCMP_EQUAL("merged a=3 b=5 by merge", Merge(Rule::kAsk, {3, 5}, {3, 2}).c_str());
  // A column that the server does not keep cannot have changed there.
  STRCMP_EQUAL("merged b=5 by merge", Merge(Rule::kAsk, {1, 5}, {7, -2}).c_str());
}

TEST(Policy, MergeAsksTheNamedRuleOfColumnsThatBothChanged) {
  STRCMP_EQUAL("ask", Merge(Rule::kAsk, {3, 5}, {4, 2}).c_str());
  STRCMP_EQUAL("merged b=5 by merge", Merge(Rule::kServer, {3, 5}, {4, 2}).c_str());
  STRCMP_EQUAL("merged a=3 b=5 by merge", Merge(Rule::kClient, {3, 5}, {4, 2}).c_str());
  STRCMP_EQUAL("merged a=3 b=5 by merge",
               Merge(Rule::kNewest, {3, 5}, Row(4, 2).At("2026-11-23T11:00:00Z")).c_str());
  STRCMP_EQUAL("merged b=5 by merge",
               Merge(Rule::kNewest, {3, 5}, Row(4, 2).At("2026-11-23T13:00:00Z")).c_str());
  STRCMP_EQUAL("ask", Merge(Rule::kNewest, {3, 5}, {4, 2}).c_str());
}

TEST(Policy, DeletionsHaveNoColumnsToMerge) {
  STRCMP_EQUAL("ask", Merge(Rule::kAsk, {3, 2}, Row(1, 2).Deleted()).c_str());
  STRCMP_EQUAL("server by server", Merge(Rule::kServer, {3, 2}, Row(1, 2).Deleted()).c_str());
  STRCMP_EQUAL("local by client", Merge(Rule::kClient, {3, 2}, Row(1, 2).Deleted()).c_str());
  Dispute deleted_here;
  const Row server(1, 4);
  deleted_here.kind = Kind::kDelete;
  deleted_here.server = server.fields.view();
  STRCMP_EQUAL("ask", Decided({Rule::kMerge, Rule::kAsk}, deleted_here).c_str());
  STRCMP_EQUAL("local by client", Decided({Rule::kMerge, Rule::kClient}, deleted_here).c_str());
  STRCMP_EQUAL("server by server", Decided({Rule::kMerge, Rule::kServer}, deleted_here).c_str());
}

TEST(Policy, TwoInsertsOfOneIdMergeWithoutBase) {
  const Row local(3, -1), server(-1, 4);
  Dispute dispute;
  dispute.kind = Kind::kInsert;
  dispute.local = local.fields.view();
  dispute.server = server.fields.view();
  STRCMP_EQUAL("merged a=3 by merge", Decided({Rule::kMerge, Rule::kAsk}, dispute).c_str());
  const Row other(9, 4);
  dispute.server = other.fields.view();
  STRCMP_EQUAL("ask", Decided({Rule::kMerge, Rule::kAsk}, dispute).c_str());
}

TEST(Policy, AnUpdateWithoutBaseIsNotGuessed) {
  const Row local(3, 2), server(1, 4);
  Dispute dispute;
  dispute.local = local.fields.view();
  dispute.server = server.fields.view();
  STRCMP_EQUAL("ask", Decided({Rule::kMerge, Rule::kAsk}, dispute).c_str());
  STRCMP_EQUAL("server by server", Decided({Rule::kMerge, Rule::kServer}, dispute).c_str());
}

}  // namespace holdfast::test
