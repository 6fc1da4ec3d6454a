// SPDX-License-Identifier: Apache-2.0
// agent/sync/remote.h - the server's table, row by row, without the local one.
//
// Purpose: `get`, `put` and `delete` with --remote, and the library's remote tables: the same words
//          for both. Nothing here touches the store, and nothing is queued: what fails has not
//          happened.
// Owner:   borrows all.
// Threads: one; waits for the network in Pump(), `interrupted` ends the wait.
// Errors:  those of the transport, and what a refusal means: kNotFound, kConflict, kRefused,
//          kUnauthorized, kThrottled, kServerError, kBadAnswer. words() has the server's own.
#ifndef HOLDFAST_AGENT_SYNC_REMOTE_H_
#define HOLDFAST_AGENT_SYNC_REMOTE_H_

#include <cstdint>
#include <functional>
#include <string_view>

#include "agent/sync/workspace.h"
#include "hal/random.h"
#include "store/store.h"
#include "transport/transport.h"

namespace holdfast::agent {

struct RemoteQuery {
  std::string_view filter, order_by;
  std::uint64_t top = UINT64_MAX, skip = 0;
  std::uint32_t page_rows = limits::kPageRows;
};

class Remote {
 public:
  // `interrupted`: whether somebody has asked to stop.
  Remote(transport::Transport& transport, hal::Random& random, Workspace& workspace,
         hal::Duration timeout, std::function<bool()> interrupted);

  Result<void> Lookup(std::string_view table, std::string_view id, RowSink& sink);
  // Page after page until `top` or the end. Rows reach the sink while they arrive.
  Result<void> List(std::string_view table, const RemoteQuery& query, RowSink& sink);
  // kExists: the server has a row of that id. A row without an id gets one.
  Result<void> Insert(std::string_view table, RowView row, store::Id& id);
  // The columns given; only on `version`, when it is given. kNotFound: there is no such row.
  Result<void> Update(std::string_view table, RowView row, std::string_view version);
  // Update, or Insert() when there is no such row.
  Result<void> Put(std::string_view table, RowView row, std::string_view version, store::Id& id);
  Result<void> Delete(std::string_view table, std::string_view id);

  std::string_view words() const { return words_; }

 private:
  class Page;

  Result<void> Exchange(transport::Request& request);
  Result<void> Write(transport::Method method, std::string_view table, std::string_view id,
                     std::string_view version, Verdict& verdict);
  Result<void> SetBody(RowView row, store::Id& id);
  Result<void> Refusal(const Error& error);
  Result<void> MakeId(store::Id& id);

  transport::Transport& transport_;
  hal::Random& random_;
  hal::Duration timeout_;
  std::function<bool()> interrupted_;
  Workspace& workspace_;
  Answer& answer_;
  std::string_view body_text_;
  char words_room_[512];
  std::string_view words_;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_REMOTE_H_
