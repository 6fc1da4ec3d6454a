// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/page.h"

#include <algorithm>
#include <cstring>

namespace holdfast::agent {
Page::Page(store::Store& store, transport::Transport& transport, const store::Table& table,
           PageTaker& taker, Workspace& workspace)
    : store_(store),
      transport_(transport),
      table_(table),
      taker_(taker),
      refusal_(workspace.answer),
      room_(workspace.pull),
      arena_(room_.arena) {}

Result<void> Page::Ask(const transport::Request& request) {
  done_ = is_rows_ = more_ = false;
  outcome_ = Ok();
  chunk_bytes_ = 0;
  refusal_.Reset();
  arena_.Reset();
  reader_.emplace(room_.row, arena_, static_cast<RowSink&>(*this));
  return transport_.Begin(request, *this);
}

bool Page::Pump(hal::Duration wait) {
  if (!done_) transport_.Pump(wait);
  return done_;
}

Result<void> Page::OnHead(const transport::ResponseHead& head) {
  is_rows_ = head.status == transport::Status::kOk && head.is_json;
  more_ = !head.continuation.empty();
  return refusal_.OnHead(head);
}

Result<void> Page::OnBody(std::string_view chunk) {
  if (!is_rows_) return refusal_.OnBody(chunk);
  while (!chunk.empty()) {
    const std::size_t part = std::min(chunk.size(), sizeof room_.chunk - chunk_bytes_);
    std::memcpy(room_.chunk + chunk_bytes_, chunk.data(), part);
    chunk_bytes_ += part;
    chunk.remove_prefix(part);
    if (chunk_bytes_ == sizeof room_.chunk) HF_TRY(Drain());
  }
  return Ok();
}

void Page::OnDone(Result<void> outcome) {
  outcome_ = std::move(outcome);
  done_ = true;
}

// Stores the rows of the chunk and the token that belongs to them, in one transaction that does not
// wait for the network.
Result<void> Page::Drain() {
  HF_TRY(store_.BeginPage());
  const std::string_view chunk{room_.chunk, chunk_bytes_};
  chunk_bytes_ = 0;
  auto fed = reader_->Feed(chunk);
  // Rows before a bad byte are good rows; the token covers exactly them.
  HF_TRY(store_.EndPage(table_, taker_.QueryId(), taker_.Token()));
  return fed;
}

Result<void> Page::End() {
  // What arrived before a cut is kept.
  if (is_rows_ && chunk_bytes_ > 0) HF_TRY(Drain());
  HF_TRY(outcome_);
  if (!is_rows_) {
    refusal_.OnDone(Ok());
    return StatusError(refusal_);
  }
  HF_TRY(reader_->Finish());
  more_ = more_ || !reader_->next_link().empty();
  return Ok();
}

}  // namespace holdfast::agent
