// SPDX-License-Identifier: Apache-2.0
// agent/sync/pull.h - brings what changed on the server into one table.
//
// Purpose: one pull of one table from beginning to end, in bounded steps and with memory that does
//          not grow with the answer. Rows are stored in chunks, each with the delta token that
//          belongs to it in one transaction, so that a cut at any byte costs one chunk. A row that
//          has a queued operation is left alone: the push meets the server's copy.
// Owner:   borrows store, transport; make a new Pull for every pull.
// Threads: one.
// Errors:  as data, in PullResult.
#ifndef HOLDFAST_AGENT_SYNC_PULL_H_
#define HOLDFAST_AGENT_SYNC_PULL_H_

#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/sync/answer.h"
#include "agent/sync/cursor.h"
#include "agent/sync/handler.h"
#include "agent/sync/page.h"
#include "agent/sync/recheck.h"
#include "hal/clock.h"
#include "store/store.h"
#include "transport/transport.h"

namespace holdfast::agent {

struct PullOptions {
  std::string_view filter;    // borrowed; already checked
  std::string_view query_id;  // names the delta token; empty: "default"
  bool full = false;          // all rows, and what the server does not have leaves
  std::uint32_t page_rows = limits::kPageRows;
  hal::Duration timeout = hal::Duration::Seconds(60);
  // How far behind its token a pull begins on a server that may commit changes out of the order of
  // their dates. Ours does not.
  hal::Duration look_back = hal::Duration::Seconds(2);
  SyncHandler* handler = nullptr;  // borrowed; may be missing
};

struct PullResult {
  Result<void> outcome;
  hal::Duration retry_after{-1};
  std::uint64_t received = 0;  // rows stored that were not here in that version
  std::uint64_t deleted = 0;   // rows removed
  std::uint64_t unchanged = 0;
  std::uint64_t skipped_pending = 0;  // rows with a queued operation
  std::uint64_t ignored = 0;          // without an id, or not storable
  std::uint64_t pages = 0;
};

class Pull : private PageTaker {
 public:
  Pull(store::Store& store, transport::Transport& transport, const store::Table& table,
       const PullOptions& options, Workspace& workspace);

  bool Step(hal::Duration wait);
  void Cancel() { cancelled_ = true; }
  const PullResult& result() const { return result_; }
  const store::Table& table() const { return table_; }

 private:
  enum class Phase : std::uint8_t { kBegin, kPage, kRecheck, kDone };

  Result<void> OnPageRow(RowView row, Arena& arena) override;
  void OnLargeRow(std::string_view id, store::Applied applied) override;
  void Count(store::Applied applied);
  std::string_view QueryId() const override { return query_id_.view(); }
  std::string_view Token() const override { return cursor_.token(); }

  Result<void> Start();
  Result<void> Ask();
  Result<void> EndPage();
  Result<void> EndChanges();
  Result<void> Check(hal::Duration wait);
  Result<void> StoreToken(std::string_view token);
  void Finish(Result<void> outcome);

  store::Store& store_;
  transport::Transport& transport_;
  const store::Table& table_;
  PullOptions options_;
  PullResult result_;
  Phase phase_ = Phase::kBegin;
  bool cancelled_ = false;
  bool asked_for_sizes_ = false;  // of large rows, instead of the rows
  FixedString<limits::kIdBytes + 32> query_id_;
  Cursor cursor_{"", 0, false};
  Workspace& workspace_;
  Page page_;
  std::optional<Recheck> recheck_;  // when there is something to look up
};

// The name under which a delta token is kept: a token never follows a changed filter.
Result<void> QueryKey(std::string_view query_id, std::string_view filter,
                      FixedString<limits::kIdBytes + 32>& key);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_PULL_H_
