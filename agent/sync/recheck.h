// SPDX-License-Identifier: Apache-2.0
// agent/sync/recheck.h - rows that a pull alone cannot get right.
//
// Purpose: a pull sees what changed since its token. It does not see a row that it passed over
//          because an edit was queued which then came to nothing; nor, on servers that forget what
//          they delete, that a row is gone; nor that a row has left the pull's filter. The first
//          kind the store notes (Store::Missed). The others a full pull finds by walking over the
//          server's ids beside ours, in the order of ids. Each doubtful row is then asked for by
//          its id, and stored, or removed when the server has none. Rows
//          too long for memory come here as well: a list has only their sizes.
// Owner:   borrows all; belongs to a Pull.
// Threads: one.
// Document: agent/README.md, "Pulling without holes".
#ifndef HOLDFAST_AGENT_SYNC_RECHECK_H_
#define HOLDFAST_AGENT_SYNC_RECHECK_H_

#include <array>
#include <optional>
#include <string_view>

#include "agent/sync/large_row.h"
#include "agent/sync/page.h"
#include "hal/base/query.h"

namespace holdfast::agent {

class Recheck : private PageTaker {
 public:
  // `rows`: takes what is found, as the pull does.
  Recheck(store::Store& store, transport::Transport& transport, const store::Table& table,
          hal::Duration timeout, PageTaker& rows, Workspace& workspace);

  // `walk`: compare all ids that pass `filter` first. Then looks up what is doubtful.
  Result<void> Begin(bool walk, std::string_view filter);
  // One bounded step. true: it is over.
  Result<bool> Step(hal::Duration wait);

  const Answer& refusal() const {
    return phase_ == Phase::kLarge ? large_row_->refusal() : page_.refusal();
  }

 private:
  enum class Phase : std::uint8_t { kWalk, kLookup, kLarge, kDone };
  // Ids in one request: their filter stays well below limits::kFilterBytes.
  static constexpr std::size_t kBatch = 8;
  static constexpr std::uint32_t kWalkRows = 250;

  Result<void> OnPageRow(RowView row, Arena& arena) override;
  Result<void> AskIds();
  Result<void> AskRows();
  Result<void> EndIds();
  Result<void> EndRows();
  Result<void> NextLarge();
  Result<void> EndLarge();
  Result<void> Remove(std::string_view id);

  store::Store& store_;
  transport::Transport& transport_;
  const store::Table& table_;
  hal::Duration timeout_;
  PageTaker& rows_;
  Workspace& workspace_;
  Page page_;
  Phase phase_ = Phase::kDone;

  std::string_view filter_;
  std::optional<query::ParsedFilter> parsed_;
  Arena parsed_arena_, ids_arena_;
  std::array<std::string_view, kWalkRows> ids_;  // of the server's page, or of the batch
  std::array<bool, kBatch> seen_{}, large_{};
  std::optional<LargeRow> large_row_;
  std::size_t next_large_ = 0;
  std::size_t id_count_ = 0;
  store::Id after_;
  bool ascending_ = true;
  FixedString<limits::kFilterBytes> ids_filter_;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_RECHECK_H_
