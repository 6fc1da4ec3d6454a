// SPDX-License-Identifier: Apache-2.0
// agent/sync/page.h - one page of rows on its way into the store.
//
// Purpose: a list request whose answer is stored in chunks as it arrives, each chunk in a
//          transaction of its own that does not wait for the network. Memory is three buffers of
//          fixed size, whatever the page holds; a cut at any byte costs one chunk.
// Owner:   borrows all; made once for many pages.
// Threads: one.
// Errors:  End() returns why the page did not come whole; for an answer that is no page, what its
//          status means (StatusError), and refusal() has its words.
#ifndef HOLDFAST_AGENT_SYNC_PAGE_H_
#define HOLDFAST_AGENT_SYNC_PAGE_H_

#include <optional>
#include <string_view>

#include "agent/sync/workspace.h"
#include "store/store.h"
#include "transport/transport.h"
#include "transport/wire.h"

namespace holdfast::agent {

// Who takes the rows.
class PageTaker {
 public:
  virtual ~PageTaker() = default;
  // Within the chunk's transaction; texts made in `arena` live as long as the row.
  virtual Result<void> OnPageRow(RowView row, Arena& arena) = 0;
  // A row that was too long to be shown has been stored.
  virtual void OnLargeRow(std::string_view id, store::Applied applied) { (void)id, (void)applied; }
  // What belongs to the rows so far: see Store::EndPage.
  virtual std::string_view QueryId() const { return {}; }
  virtual std::string_view Token() const { return {}; }
};

class Page : private transport::ResponseSink, private RowSink {
 public:
  Page(store::Store& store, transport::Transport& transport, const store::Table& table,
       PageTaker& taker, Workspace& workspace);

  // REQUIRES: none is under way. `request` is borrowed until the page has ended.
  Result<void> Ask(const transport::Request& request);
  // Works and waits; true: the page has ended.
  bool Pump(hal::Duration wait);
  // Stores what has arrived, and says what came. REQUIRES: Pump() was true.
  Result<void> End();

  // Of a page that has ended well: the server says that there is another.
  bool more() const { return more_; }
  // The answer, when it was no page.
  const Answer& refusal() const { return refusal_; }

 private:
  Result<void> OnHead(const transport::ResponseHead& head) override;
  Result<void> OnBody(std::string_view chunk) override;
  void OnDone(Result<void> outcome) override;
  Result<void> OnRow(RowView row) override { return taker_.OnPageRow(row, arena_); }
  Result<void> Drain();

  store::Store& store_;
  transport::Transport& transport_;
  const store::Table& table_;
  PageTaker& taker_;
  bool done_ = false, is_rows_ = false, more_ = false;
  Result<void> outcome_;
  Answer& refusal_;  // its body, when it is no page
  Workspace::OfPull& room_;
  std::size_t chunk_bytes_ = 0;
  Arena arena_;
  std::optional<wire::PageReader> reader_;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_PAGE_H_
