// SPDX-License-Identifier: Apache-2.0
// agent/sync/handler.h - what a program may say while a visit to the server goes on.
//
// Purpose: see every operation before it is sent and change, skip or refuse it; decide conflicts
//          and refusals as they happen; hear of rows that a pull changed. The command line uses
//          none of it; the library's users do.
// Owner:   the program; it outlives the Session that was given it.
// Threads: the session's; no call nests in another. No transaction is open except in OnPulled(),
//          which must not use the store.
// Errors:  kAbort ends the visit with kCancelled; what was acknowledged is kept.
#ifndef HOLDFAST_AGENT_SYNC_HANDLER_H_
#define HOLDFAST_AGENT_SYNC_HANDLER_H_

#include <cstdint>
#include <string_view>

#include "store/store.h"

namespace holdfast::agent {

struct PushResult;

class SyncHandler {
 public:
  virtual ~SyncHandler() = default;

  enum class Before : std::uint8_t {
    kSend,
    kSkip,   // not in this push; the operation stays queued
    kAbort,  // end the push
  };
  // `content`: the user's columns that are about to be sent; empty for a delete. A handler that
  // wants other values puts them into `changed`: they are sent, and stored here once the server has
  // them. Their texts live until the operation is done. Of a row that is too long for memory
  // (limits::kRowBytes), `content` has the short values only, and nothing can be changed.
  virtual Before BeforeSend(const store::Operation& operation, RowView content,
                            RowFields& changed) {
    (void)operation, (void)content, (void)changed;
    return Before::kSend;
  }

  // The row changed on the server. `server_row` is empty when it is gone there. Fill `merged` for
  // kMerged. Returning false leaves it to the table's policy.
  virtual bool OnConflict(const store::Operation& operation, const store::Store::Copies& copies,
                          RowView server_row, store::Keep& keep, RowFields& merged) {
    (void)operation, (void)copies, (void)server_row, (void)keep, (void)merged;
    return false;
  }

  enum class Refused : std::uint8_t {
    kPark,   // keep it with the server's words until the row changes
    kRetry,  // send it again now; a few times at most
    kAbort,
  };
  virtual Refused OnRefused(const store::Operation& operation, const Error& error) {
    (void)operation, (void)error;
    return Refused::kPark;
  }

  // The push is over.
  virtual void AfterPush(const PushResult& result) { (void)result; }

  // A pull has stored or removed a row. It is not yet committed.
  virtual void OnPulled(const store::Table& table, RowView server_row, store::Applied applied) {
    (void)table, (void)server_row, (void)applied;
  }
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_HANDLER_H_
