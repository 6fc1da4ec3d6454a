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
#include <memory>
#include <optional>
#include <string_view>

#include "agent/sync/answer.h"
#include "agent/sync/cursor.h"
#include "hal/clock.h"
#include "store/store.h"
#include "transport/transport.h"
#include "transport/wire.h"

namespace holdfast::agent {

struct PullOptions {
  std::string_view filter;    // borrowed; already checked
  std::string_view query_id;  // names the delta token; empty: "default"
  bool full = false;          // forget the token first
  std::uint32_t page_rows = limits::kPageRows;
  hal::Duration timeout = hal::Duration::Seconds(60);
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

class Pull : private transport::ResponseSink, private RowSink {
 public:
  Pull(store::Store& store, transport::Transport& transport, const store::Table& table,
       const PullOptions& options);

  bool Step(hal::Duration wait);
  void Cancel() { cancelled_ = true; }
  const PullResult& result() const { return result_; }
  const store::Table& table() const { return table_; }

 private:
  enum class Phase : std::uint8_t { kBegin, kPage, kDone };

  Result<void> OnHead(const transport::ResponseHead& head) override;
  Result<void> OnBody(std::string_view chunk) override;
  void OnDone(Result<void> outcome) override;
  Result<void> OnRow(RowView row) override;

  Result<void> Start();
  Result<void> Ask();
  Result<void> EndPage();
  Result<void> Drain();
  Result<void> StoreToken(std::string_view token);
  Result<void> Refused();
  void Finish(Result<void> outcome);

  store::Store& store_;
  transport::Transport& transport_;
  const store::Table& table_;
  PullOptions options_;
  PullResult result_;
  Phase phase_ = Phase::kBegin;
  bool cancelled_ = false;
  FixedString<limits::kIdBytes + 32> query_id_;
  Cursor cursor_{"", 0, false};

  // The page under way.
  bool page_done_ = false, page_is_rows_ = false;
  Result<void> page_outcome_;
  Answer refusal_;  // its body, when it is no page
  FixedString<limits::kUrlBytes> link_;
  std::unique_ptr<char[]> chunk_, row_, arena_bytes_;
  std::size_t chunk_bytes_ = 0;
  Arena arena_;
  std::optional<wire::PageReader> reader_;
};

// The name under which a delta token is kept: a token never follows a changed filter.
Result<void> QueryKey(std::string_view query_id, std::string_view filter,
                      FixedString<limits::kIdBytes + 32>& key);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_PULL_H_
