// SPDX-License-Identifier: Apache-2.0
// server/rows.h - what the server keeps: rows with versions, a change order and tombstones.
//
// Purpose: the one seam between the protocol and a database. sqlite_rows.h implements it; another
//          database implements the same and nothing above it changes.
// Promise: Apply() returns after everything it calls done is durable. Moments of change (updatedAt)
//          grow strictly over all tables, in the order in which the changes become visible, also
//          across restarts and clocks that jump back: a reader that asks for what is newer than the
//          newest it has seen misses nothing. A version is never used twice for a row.
// Owner:   a Write borrows its fields and its sink; both stay valid until Apply() has returned.
// Threads: one.
// Errors:  outcomes, not exceptions. kFailed is the only one that is the server's fault.
#ifndef HOLDFAST_SERVER_ROWS_H_
#define HOLDFAST_SERVER_ROWS_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/row.h"
#include "hal/base/timestamp.h"

namespace holdfast::server {

enum class Change : std::uint8_t { kInsert, kUpdate, kReplace, kDelete, kUndelete };

enum class Outcome : std::uint8_t {
  kDone,      // the sink got the row as it now is (after a hard delete: as it was)
  kExists,    // insert of an id that is taken; the sink got the row that has it
  kStale,     // the precondition does not hold; the sink got the row as it is
  kMissing,   // no such row
  kGone,      // the row is soft-deleted
  kNoTable,   // no such table, and this one may not be made
  kRefused,   // the input is wrong; `reason` says how
  kTooLarge,  // the row would be larger than it may be
  kFailed,    // the storage could not; nothing was changed
};

// The tags of an If-Match or If-None-Match.
struct Precondition {
  bool given = false;
  bool any = false;  // "*": any row that exists
  std::vector<std::string> versions;

  bool Names(std::string_view version) const {
    if (any) return true;
    for (const std::string& wanted : versions) {
      if (wanted == version) return true;
    }
    return false;
  }
  // As an If-Match. Not given: every version will do.
  bool Holds(std::string_view version) const { return !given || Names(version); }
};

// What a request expects of the row that it finds (RFC 9110, 13.2.2). A moment counts only where
// the tags of its kind are absent, and is compared with every digit of updatedAt: a row may change
// twice within the second that an HTTP date can say.
struct Conditions {
  Precondition match, none_match;
  std::optional<Ticks> unmodified_since, modified_since;

  // If-Match, If-Unmodified-Since. False: 412.
  bool Met(std::string_view version, std::string_view updated_at) const {
    if (match.given) return match.Holds(version);
    if (!unmodified_since) return true;
    const auto moment = ParseTimestamp(updated_at);
    return moment && *moment <= *unmodified_since;
  }
  // If-None-Match, If-Modified-Since: the client has this row. A read is then 304, a write 412.
  bool Known(std::string_view version, std::string_view updated_at) const {
    if (none_match.given) return none_match.Names(version);
    if (!modified_since) return false;
    const auto moment = ParseTimestamp(updated_at);
    return moment && *moment <= *modified_since;
  }
};

// Called when a write is done, inside its transaction: what it stores is there if and only if the
// row is. Throws StorageError: nothing is changed.
class WriteWitness {
 public:
  virtual ~WriteWitness() = default;
  virtual void OnDone() = 0;
};

struct Write {
  Change change = Change::kInsert;
  std::string table;
  std::string id;
  RowView fields;  // system columns in it are ignored
  Conditions conditions;
  bool revive = false;  // kUpdate, kReplace: a soft-deleted row comes back, instead of kGone
  RowSink* sink = nullptr;
  // kInsert: the row is known to be small enough, and of a row that is made the sink hears nothing.
  bool quiet = false;
  // The row may be longer than limits::kRowBytes: it came as an upload. Set by Apply() where the
  // row that the sink gets is so long already; the sink has the last word.
  bool large = false;
  WriteWitness* witness = nullptr;

  // Set by Apply().
  Outcome outcome = Outcome::kFailed;
  std::string reason;
};

struct ListQuery {
  std::string table;
  std::string filter, order, select;  // texts of protocol.md 6; "" is none
  std::uint64_t skip = 0;
  std::string after;  // only rows that changed later than this moment; the count takes no notice
  std::uint32_t top = 0;
  bool include_deleted = false;
  bool count = false;
};

struct ListResult {
  Outcome outcome = Outcome::kDone;  // kDone, kNoTable, kRefused, kFailed
  std::uint32_t rows = 0;            // that the sink took
  bool more = false;                 // rows are left behind the last one
  std::int64_t count = -1;           // all that match, when asked for
  std::string last;                  // updatedAt of the last row; only where that is the order
  std::string reason;
};

// Who sends a bulk, and what it says of itself (transport/wire_bulk.h).
struct Sender {
  std::string device;  // by the transport; "" for anybody
  std::string installation, incarnation;
  std::int64_t acknowledged = 0, applied = 0;
};

// An operation of a bulk: a write with a name by which it is known when it comes again.
struct Operated {
  Write write;
  std::int64_t sequence = 0, changes = 0;
  std::uint32_t digest = 0;  // of all that it says: the same operation has the same one
};

// The operations of one bulk, one at a time, and what becomes of each.
class Bulk {
 public:
  virtual ~Bulk() = default;
  // Null: there are no more. Throws MalformedBulk: nothing of the bulk is then applied.
  virtual Operated* Next() = 0;
  // It is applied. `earlier`: not negative when that was done before, with those `changes`.
  virtual void OnApplied(const Operated& operated, std::int64_t moment, std::int64_t earlier) = 0;
  // By write.outcome, for write.reason; the write's sink got the row when there is one to show.
  virtual void OnRefused(const Operated& operated) = 0;
  // Before kRestored: all that this sender was told of up to that moment is still here; 0: nothing
  // that we know of. Not the newest change there is: others may have made theirs since we forgot.
  virtual void OnRestored(std::int64_t moment) = 0;
};

enum class BulkOutcome : std::uint8_t {
  kDone,      // each operation has its own outcome
  kRewound,   // the sender has forgotten what it knew: an old image, or a copy of another device
  kRestored,  // we have forgotten what the sender knows: an old backup, or another server
  kFailed,    // the storage could not; nothing was changed
};

class Rows {
 public:
  virtual ~Rows() = default;

  // All in one durable transaction; each succeeds or fails alone.
  virtual void Apply(std::span<Write* const> writes) = 0;

  // All that succeed in one durable transaction, together with the record by which an operation is
  // known when it comes again: it is then not applied a second time, and has the moment that it
  // had.
  virtual BulkOutcome ApplyBulk(const Sender& sender, Bulk& bulk) = 0;

  // kDone, kMissing, kGone (a soft-deleted row, and not asked for), kNoTable, kFailed.
  virtual Outcome Lookup(std::string_view table, std::string_view id, bool include_deleted,
                         RowSink& sink) = 0;

  // Whether a row can be inserted into that table, made for it if need be; or, with `make` false,
  // whether there is such a table.
  virtual bool Takes(std::string_view table, bool make) = 0;

  // updatedAt of the newest change there ever was; "" when there was none.
  virtual std::string Newest() const = 0;

  // A sink that answers kCancelled ends the page before that row; `more` is then true.
  virtual ListResult List(const ListQuery& query, RowSink& sink) = 0;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_ROWS_H_
