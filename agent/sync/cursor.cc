// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/cursor.h"

#include <algorithm>
#include <utility>

namespace holdfast::agent {
namespace {

// The start of the millisecond after `ticks`: servers that print milliseconds may store finer.
Ticks NextMillisecond(Ticks ticks) {
  const Ticks rest = ((ticks % kTicksPerMillisecond) + kTicksPerMillisecond) % kTicksPerMillisecond;
  return ticks - rest + kTicksPerMillisecond;
}

}  // namespace

Cursor::Cursor(std::string_view token, std::uint32_t page_rows, bool exact_pages)
    : page_rows_(page_rows), exact_pages_(exact_pages) {
  if (const auto ticks = ParseTimestamp(token); ticks && since_.Assign(token)) {
    since_ticks_ = newest_ticks_ = *ticks;
    token_ = newest_ = since_;
  }
}

void Cursor::Ask(transport::ListQuery& list) const {
  list.since = since_.view();
  list.before = mode_ == Mode::kSweep ? before_.view() : std::string_view();
  list.after_id = mode_ == Mode::kSweep ? after_id_.view() : std::string_view();
  list.order_by = mode_ == Mode::kSweep ? "id" : "updatedAt,id";
  list.top = page_rows_;
  list.skip = skip_;
  list.include_deleted = true;
}

void Cursor::Row(std::string_view id, std::string_view updated_at) {
  ++rows_in_page_;
  // An id that does not fit cannot be stored either; the sweep then stays where it is, and ends.
  if (!last_id_.Assign(id)) return;
  const auto ticks = ParseTimestamp(updated_at);
  if (!ticks) return;  // a row without a date moves nothing
  saw_dates_ = true;
  if (*ticks >= newest_ticks_ && newest_.Assign(updated_at)) newest_ticks_ = *ticks;
  if (mode_ == Mode::kSweep) return;
  if (*ticks < last_ticks_) ordered_ = false;
  last_ticks_ = *ticks;
  if (ordered_) token_ = newest_;
}

bool Cursor::EndPage(bool more) {
  const std::uint32_t rows = std::exchange(rows_in_page_, 0);
  last_ticks_ = INT64_MIN;
  const bool short_page =
      exact_pages_ ? rows < page_rows_ : rows < std::min(page_rows_, kSmallestServerPage);
  const bool last = rows == 0 || (short_page && !more);
  if (mode_ == Mode::kSweep) {
    if (!last) {
      after_id_ = last_id_;
      return true;
    }
    mode_ = Mode::kForward;
    since_ = before_;
    since_ticks_ = *ParseTimestamp(before_.view());
    return true;
  }
  if (last) return false;
  if (!ordered_ || newest_ticks_ == INT64_MIN) {
    mode_ = Mode::kSkip;
    skip_ += rows;
    return true;
  }
  if (newest_ticks_ > since_ticks_) {
    mode_ = Mode::kForward;
    skip_ = 0;
    since_ = newest_;
    since_ticks_ = newest_ticks_;
    return true;
  }
  // A whole page within one moment: walk that moment by id.
  mode_ = Mode::kSweep;
  before_ = FormatTimestamp(NextMillisecond(since_ticks_), 7);
  after_id_.clear();
  return true;
}

bool Cursor::Shrink() {
  if (page_rows_ <= kSmallestServerPage) return false;
  page_rows_ = kSmallestServerPage;
  return true;
}

}  // namespace holdfast::agent
