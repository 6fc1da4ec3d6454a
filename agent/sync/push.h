// SPDX-License-Identifier: Apache-2.0
// agent/sync/push.h - sends the operations queue to the server, in order, each once in effect.
//
// Purpose: one push from beginning to end, in bounded steps. For each operation: durably
//          `attempted` before its first byte leaves; one request, or a place in one with others
//          where the server takes bulks; the outcome stored in the transaction that removes the
//          operation. An answer that was lost is recognised by
//          comparing the server's row with the digests of what was sent. A row that the server
//          refuses never stops the others; the link or the server stop the push, never the
//          recording.
// Owner:   borrows store, transport and clock; make a new Push for every push.
// Threads: one.
// Errors:  as data, in PushResult: why the push ended early, and what became of each row.
#ifndef HOLDFAST_AGENT_SYNC_PUSH_H_
#define HOLDFAST_AGENT_SYNC_PUSH_H_

#include <array>
#include <cstdint>

#include "agent/sync/handler.h"
#include "agent/sync/large_body.h"
#include "agent/sync/policy.h"
#include "agent/sync/workspace.h"
#include "hal/clock.h"
#include "store/store.h"
#include "transport/transport.h"

namespace holdfast::agent {

struct PushOptions {
  std::uint64_t tables = ~std::uint64_t{0};  // bit n: Store::tables()[n]
  std::size_t window_rows = limits::kPushWindowRows;
  hal::Duration write_back_interval = hal::Duration::Milliseconds(200);
  hal::Duration timeout = hal::Duration::Seconds(60);
  // Of one bulk: operations at most (1: one request an operation, whatever the server takes), and
  // bytes of its body before it is packed.
  std::size_t bulk_operations = limits::kBulkOperations;
  std::size_t bulk_bytes = limits::kBulkBytes / 2;
  std::array<ConflictPolicy, limits::kTables> policies{};  // by Table::number()
  SyncHandler* handler = nullptr;                          // borrowed; may be missing
};

struct PushResult {
  Result<void> outcome;           // ok: every sendable operation was dealt with
  hal::Duration retry_after{-1};  // the server's wish, when it said so
  std::uint64_t pushed = 0;       // operations that left the queue with the server's consent
  std::uint64_t recognised = 0;   // of these: the server had them already, its answer was lost
  std::uint64_t conflicts = 0, parked = 0;  // that wait for somebody
  std::uint64_t resolved = 0;               // conflicts that a policy or the handler has settled
  std::uint64_t skipped = 0;                // the handler did not want them sent now
  std::uint64_t blocked = 0;                // wait for an earlier operation of the same row
};

class Push {
 public:
  Push(store::Store& store, transport::Transport& transport, hal::Clock& clock,
       const PushOptions& options, Workspace& workspace);

  // Does one bounded piece of work, waiting at most `wait` for the network. true: the push is over.
  bool Step(hal::Duration wait);

  // Ends the push at the next Step: what was sent is waited for no longer, what was acknowledged is
  // written back.
  void Cancel() { cancelled_ = true; }

  const PushResult& result() const { return result_; }

 private:
  // The same row again on a new base, within one push: more is somebody else's fast hand.
  static constexpr int kTriesMax = 4;

  enum class Phase : std::uint8_t {
    kStart,
    kTake,
    kSend,
    kAnswer,
    kLookup,
    kTombstone,
    kBulk,
    kAsk,          // whether the server takes large rows
    kReadLarge,    // the body of a large row is made
    kBeginUpload,  // the server gives it a name
    kFindUpload,   // how much it has of one that was begun earlier
    kAppend,
    kDone
  };

  // The operation that is being sent.
  struct Current {
    store::Operation operation;
    store::Content content;
    transport::Method method = transport::Method::kInsert;
    int tries = 0;
    bool decided = false;  // a conflict was settled: what is sent now is a new attempt
    bool changed_by_handler = false;
    bool raised_whole = false;     // a deleted row is raised by replacing all of it
    transport::Version tombstone;  // the version of the deleted row
  };

  Result<void> OnExchange();
  Result<void> Start();
  Result<void> Take();
  Result<void> TakeWindow(std::size_t most);
  Result<bool> Mark(std::span<const store::Store::Attempt> attempts);
  Result<bool> Admit(store::Operation& operation, store::Store::Attempt& attempt,
                     store::Content& content);
  Result<void> SendNext();
  Result<void> Prepare();
  Result<bool> AskHandler();
  Result<SyncHandler::Before> Ask(const store::Operation& operation, RowView content);
  Result<void> Remark();
  Result<void> Send(const transport::Request& request, Phase next);
  Result<void> EncodeBody(TextWriter& body);
  Result<void> BeginWrite();
  Result<void> BeginLookup();
  Result<void> BeginTombstone();
  Result<void> OnAnswer();
  Result<void> OnLookup();
  Result<void> OnTombstone();
  Result<void> OnDone(const Judgement& judgement, bool recognised);
  Result<void> OnServerRow(RowView row, std::string_view version);
  Result<void> OnMissing();
  // push_bulk.cc
  bool TakesBulk() const;
  Result<bool> TakeBulk();
  enum class Place : std::uint8_t { kTaken, kPassed, kAlone };
  Result<Place> PlaceInBulk(store::Operation& operation, wire::BulkWriter& writer);
  Result<bool> MayGoInBulk(const store::Operation& operation, const store::Content& content,
                           bool& passed);
  Result<void> TakeRefused();
  Result<void> OnBulk();
  Result<void> OnBulkOutcomes();
  Result<void> OnBulkRefused(const Error& error);
  Result<void> OnSenderRefused();
  Result<void> TakeAgain();
  // push_upload.cc
  Result<bool> GoesInPieces(bool too_long);
  Result<bool> ResumeUpload();
  Result<void> AskForUploads();
  Result<void> OnAsked();
  Result<void> BeginLarge();
  Result<void> ReadLarge();
  Result<void> BeginUpload();
  Result<void> OnUploadBegun();
  Result<void> FindUpload();
  Result<void> OnUploadFound();
  Result<void> Append();
  Result<void> OnAppended();
  Result<void> OnUploadLost();
  Result<void> OnUploadRefused(const Judgement& judgement);
  Result<void> OnUnseenRow(std::string_view version);
  // push_settle.cc
  Result<void> RaiseTombstone(RowView tombstone);
  Result<void> OnUndeleteRefused();
  Result<void> Conflict(RowView row, std::string_view version);
  Result<bool> Settle(RowView server_row);
  Result<void> KeepConflict(RowView row, std::string_view version);
  Result<void> Park(const Error& error);

  Result<void> SendAgain();
  Result<void> WriteBack();
  bool WriteBackDue() const;
  void NextOperation();
  void Finish(Result<void> outcome);
  bool SameAsSent(RowView server_row) const;
  bool IsOlderThanOurs(std::string_view version) const;
  bool TakesReplace() const;
  bool IsReplaceOnly() const;

  store::Store& store_;
  transport::Transport& transport_;
  hal::Clock& clock_;
  PushOptions options_;
  PushResult result_;
  Phase phase_ = Phase::kStart;
  bool cancelled_ = false;

  std::int64_t cursor_ = 0;  // the last sequence that was looked at in this pass
  int passes_left_ = 3;      // for rows that were edited while they were sent
  bool edited_meanwhile_ = false;

  std::array<store::Store::Attempt, limits::kPushWindowRows> window_;
  std::size_t window_count_ = 0, window_next_ = 0;
  std::array<store::Completion, limits::kPushWindowRows> completions_;
  std::size_t completion_count_ = 0;
  hal::Instant first_completion_;

  BulkWindow& bulk_;
  std::size_t bulk_bytes_;  // of the next body: adapts to the link
  int bulk_refusals_ = 0;   // whole bodies that this server did not take, in this push
  int new_beginnings_ = 0;  // as another incarnation
  std::int64_t asked_ = 0;  // the operation that the handler gave `sent_fields_` for

  LargeBody large_;
  store::Upload upload_;
  std::uint64_t upload_offset_ = 0;
  std::size_t append_bytes_;        // of the next piece: adapts to the link
  int upload_retries_ = 0;          // of this row, in this push
  bool asked_for_uploads_ = false;  // the server has had an occasion to say so

  Current current_;
  Answer& answer_;
  Workspace::OfPush& room_;
  FixedString<2 * limits::kIdBytes + 16> tombstone_filter_;  // a request borrows it
  Arena content_arena_;
  RowFields content_fields_, sent_fields_;
  RowFields server_fields_;  // the server's row in the types of the table
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_PUSH_H_
