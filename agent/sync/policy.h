// SPDX-License-Identifier: Apache-2.0
// agent/sync/policy.h - who wins when both sides changed a row.
//
// Purpose: one pure function from the three copies of a row to a decision, so that every case can
//          be a line of a table in a test. It never guesses: without what a rule needs (a clock
//          that was set, a base, a row on each side) the decision is to ask a person.
// Owner:   values; rows are borrowed.
// Threads: any; no state.
// Units:   times in seconds since 1970, by the clock of the side that wrote them.
#ifndef HOLDFAST_AGENT_SYNC_POLICY_H_
#define HOLDFAST_AGENT_SYNC_POLICY_H_

#include <cstdint>

#include "store/store.h"

namespace holdfast::agent {

enum class Rule : std::uint8_t {
  kAsk,     // keep both until a person decides
  kServer,  // the server's copy wins
  kClient,  // the device's copy wins
  kNewest,  // the later of both; a tie goes to the server, an unset clock asks
  kMerge,   // three-way, by column; what both sides changed falls to `both_changed`
};

struct ConflictPolicy {
  Rule rule = Rule::kAsk;
  Rule both_changed = Rule::kAsk;  // for kMerge; never kMerge
};

std::string_view RuleName(Rule rule);

struct Dispute {
  const store::Table* table = nullptr;
  store::Kind kind = store::Kind::kUpdate;  // of the local operation
  RowView local;                            // user's columns; empty for a delete
  RowView base;                             // what the edit stood on; empty: unknown
  RowView server;                           // empty: the server has no such row
  std::int64_t edited_unix_s = 0;           // by the device's clock; 0: unknown
};

struct Decision {
  bool ask = true;
  store::Keep keep = store::Keep::kLocal;
  Rule by = Rule::kAsk;  // the rule that decided
};

// `merged` gets the columns for Keep::kMerged; their values are borrowed from `dispute`.
Result<Decision> Decide(const ConflictPolicy& policy, const Dispute& dispute, RowFields& merged);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_POLICY_H_
