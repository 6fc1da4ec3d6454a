// SPDX-License-Identifier: Apache-2.0
// agent/sync/cursor.h - which page of changes to ask for next.
//
// Purpose: walks a table in the order (updatedAt, id) without $skip, so that rows which change
//          meanwhile never push unread ones out of sight, and resumes at any row. A token is the
//          updatedAt of the last row that was stored, with all its digits; asking again uses `ge`,
//          because rows may share a moment and a server may print fewer digits than it compares.
//          When one moment holds more than a page, that moment is swept by id. Only a server
//          without dates or without order is walked by $skip.
// Owner:   value type without I/O; Pull feeds it.
// Units:   Ticks (hal/base/timestamp.h).
// Standard: semantics.md 11.2, traps 7 and 8 of its list are what this avoids (agent/README.md).
#ifndef HOLDFAST_AGENT_SYNC_CURSOR_H_
#define HOLDFAST_AGENT_SYNC_CURSOR_H_

#include <cstdint>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/timestamp.h"
#include "transport/transport.h"

namespace holdfast::agent {

class Cursor {
 public:
  // Page sizes that servers are known to cap at begin here: a page shorter than this, and shorter
  // than what was asked for, is the last.
  static constexpr std::uint32_t kSmallestServerPage = 50;

  // `token`: empty for all rows. `exact_pages`: the server sends full pages or the last one.
  Cursor(std::string_view token, std::uint32_t page_rows, bool exact_pages);

  // Fills the paging fields of `list`; the views live as long as the cursor is not moved.
  void Ask(transport::ListQuery& list) const;

  // One row of the answer, in order.
  void Row(std::string_view id, std::string_view updated_at);

  // The page is over. `more`: the server says that there is another. Returns false at the end.
  bool EndPage(bool more);

  // What may be stored together with the rows seen so far: all rows up to this moment have been
  // seen. Empty: nothing may.
  std::string_view token() const { return ordered_ ? token_.view() : std::string_view(); }

  // At the very end also when the server did not keep the order.
  std::string_view final_token() const { return newest_.view(); }
  // Whether any row had a date: else the token stays as it was.
  bool saw_dates() const { return saw_dates_; }

  // The server takes smaller pages only. false: it is as small as it gets.
  bool Shrink();

 private:
  enum class Mode : std::uint8_t {
    kForward,  // updatedAt ge since
    kSweep,    // one moment, by id
    kSkip,     // the server gives no dates or keeps no order: $skip is all that is left
  };

  std::uint32_t page_rows_;
  bool exact_pages_;
  Mode mode_ = Mode::kForward;
  bool ordered_ = true;
  bool saw_dates_ = false;
  TimestampText since_, before_;  // what is asked
  TimestampText token_, newest_;
  Ticks since_ticks_ = INT64_MIN, last_ticks_ = INT64_MIN, newest_ticks_ = INT64_MIN;
  FixedString<limits::kIdBytes> after_id_, last_id_;
  std::uint32_t rows_in_page_ = 0, skip_ = 0;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_CURSOR_H_
