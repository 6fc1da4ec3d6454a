// SPDX-License-Identifier: Apache-2.0
// agent/sync/workspace.h - the memory of a visit to the server.
//
// Purpose: every buffer of push, pull and remote tables, allocated once, before the first visit;
//          after that the engine allocates nothing. One exchange is under way at a time, and a
//          push ends before a pull begins: they share.
// Owner:   whoever runs visits has one, and lends it to one at a time. Never on a stack: it is
//          some 6 MiB, of which small rows touch a part.
// Threads: one.
// Errors:  Create(): kNoMemory.
#ifndef HOLDFAST_AGENT_SYNC_WORKSPACE_H_
#define HOLDFAST_AGENT_SYNC_WORKSPACE_H_

#include <memory>

#include "agent/sync/answer.h"
#include "agent/sync/bulk_window.h"
#include "hal/base/limits.h"
#include "store/store.h"
#include "transport/wire_gzip.h"
#include "transport/wire_long.h"

namespace holdfast::agent {

struct Workspace {
  struct OfPush {
    // One row, and the arena's share for its fields.
    char content[limits::kRowBytes + (64 << 10)];
    // JSON escapes and base64 make a row longer than it is.
    char body[2 * limits::kRowBytes];
  };

  // A large row on its way up.
  struct OfLargeBody {
    static constexpr std::size_t kLongestShort = 8 << 10;
    static constexpr std::size_t kPartBytes = 64 << 10;  // a control character becomes six bytes
    char piece[store::Store::kUploadPiece];
    char read[12 << 10];  // a multiple of 3, for base64
    char text[2 * kPartBytes];
    char values[limits::kColumns * kLongestShort];
  };

  // A page, and what comes after it: a filter and ids to look up, a large row on its way down.
  struct OfPull {
    // Rows are stored when this much of a page has arrived: one commit per chunk, none while
    // waiting.
    char chunk[128 << 10];
    char row[limits::kRowBytes];
    char arena[limits::kRowBytes + (128 << 10)];
    char filter[limits::kFilterBytes + 4096];
    char ids[2 * 250 * (limits::kIdBytes + 16)];
    char piece[store::Store::kUploadPiece];
    char text[2 * (12 << 10)];  // halves that are a multiple of 4, for base64
  };
  static_assert(sizeof OfPull::arena >=
                    (limits::kColumns + 5) * wire::LongRowReader::kShortBytes * 2,
                "the short values of a large row, as they come and as the table has them");

  static Result<std::unique_ptr<Workspace>> Create();

  Answer answer;
  BulkWindow bulk;
  union {
    OfPush push;
    OfPull pull;
  };
  OfLargeBody large_body;
  std::unique_ptr<wire::GzipPacker> packer;  // of a large body

 private:
  Workspace() {}  // not "= default": megabytes would be set to zero, and so be in use
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_WORKSPACE_H_
