// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/policy.h"

#include "hal/base/timestamp.h"

namespace holdfast::agent {
namespace {

using store::Keep;
using store::Kind;

// A device without a battery for its clock begins in 1970; nobody edits rows before this.
constexpr std::int64_t kClockWasSetAfter = 1'577'836'800;  // 2020-01-01

bool IsGone(RowView server) {
  const Field* deleted = Find(server, kDeleted);
  return server.empty() ||
         (deleted != nullptr && !deleted->value.is_null() && deleted->value.integer != 0);
}

Value ValueOf(RowView row, std::string_view name) {
  const Field* field = Find(row, name);
  return field == nullptr ? Value::Null() : field->value;
}

Decision Ask() { return {}; }

Decision Newest(const Dispute& dispute) {
  const auto server = ParseTimestamp(FindText(dispute.server, kUpdatedAt));
  if (!server || dispute.edited_unix_s < kClockWasSetAfter) return Ask();
  const std::int64_t server_s = *server / kTicksPerSecond;
  return {false, dispute.edited_unix_s > server_s ? Keep::kLocal : Keep::kServer, Rule::kNewest};
}

// A rule that looks at rows as a whole.
Decision ByWholeRow(Rule rule, const Dispute& dispute) {
  switch (rule) {
    case Rule::kServer: return {false, Keep::kServer, rule};
    case Rule::kClient: return {false, Keep::kLocal, rule};
    case Rule::kNewest: return Newest(dispute);
    case Rule::kAsk:
    case Rule::kMerge: break;
  }
  return Ask();
}

// Column by column. A column that only one side changed takes that side's value; one that both
// changed to different values is a collision, and `both_changed` decides for all of them at once.
// Without a base, an insert has changed each column that it fills.
Result<Decision> Merge(Rule both_changed, const Dispute& dispute, RowFields& merged) {
  if (dispute.kind == Kind::kDelete || IsGone(dispute.server)) {
    return ByWholeRow(both_changed, dispute);  // a deletion has no columns to join
  }
  if (dispute.base.empty() && dispute.kind != Kind::kInsert) {
    return ByWholeRow(both_changed, dispute);
  }
  Decision collision;
  bool collided = false;
  for (const Field& local : dispute.local) {
    const Value base = ValueOf(dispute.base, local.name);
    if (SameValue(local.type, local.value, base)) continue;  // not ours
    const Field* server = Find(dispute.server, local.name);  // absent: it does not keep the column
    const bool theirs = server != nullptr && !SameValue(local.type, server->value, base) &&
                        !SameValue(local.type, server->value, local.value);
    if (theirs && !collided) {
      collided = true;
      collision = ByWholeRow(both_changed, dispute);
      if (collision.ask) return collision;
    }
    if (theirs && collision.keep == Keep::kServer) continue;
    HF_TRY(merged.Add(local.name, local.type, local.value));
  }
  return Decision{false, Keep::kMerged, Rule::kMerge};
}

}  // namespace

std::string_view RuleName(Rule rule) {
  switch (rule) {
    case Rule::kAsk: return "ask";
    case Rule::kServer: return "server";
    case Rule::kClient: return "client";
    case Rule::kNewest: return "newest";
    case Rule::kMerge: return "merge";
  }
  return "?";
}

Result<Decision> Decide(const ConflictPolicy& policy, const Dispute& dispute, RowFields& merged) {
  merged.clear();
  if (policy.rule == Rule::kMerge) return Merge(policy.both_changed, dispute, merged);
  return ByWholeRow(policy.rule, dispute);
}

}  // namespace holdfast::agent
