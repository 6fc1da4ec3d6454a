// SPDX-License-Identifier: Apache-2.0
// agent/sync/session.h - one visit to the server: push, then pull.
//
// Purpose: what `holdfast push` and `holdfast pull` run, and what the daemon runs when it decides
//          to. It asks the link first, obeys a Retry-After that an earlier visit was given, pushes,
//          pulls the tables asked for, and leaves facts for `status`. A later visit is a new
//          Session.
// Owner:   borrows everything; lives for one visit.
// Threads: one; Step() does bounded work and never sleeps longer than it is told to.
#ifndef HOLDFAST_AGENT_SYNC_SESSION_H_
#define HOLDFAST_AGENT_SYNC_SESSION_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "agent/sync/pull.h"
#include "agent/sync/push.h"
#include "hal/link.h"

namespace holdfast::agent {

struct SessionOptions {
  bool push = true;
  std::uint64_t pull_tables = 0;  // bit n: Store::tables()[n]
  bool retry_parked = false;      // send rows again that the server has refused
  std::string_view server_url;    // borrowed; by this name it is remembered. Empty: it is not
  PushOptions push_options;
  PullOptions pull_options;
};

struct SessionResult {
  Result<void> outcome;  // the first thing that went wrong
  hal::Duration retry_after{-1};
  PushResult push;
  std::array<PullResult, limits::kTables> pulls;
  std::uint64_t pulled_tables = 0;  // whose entry in `pulls` counts
  std::uint64_t remaining = 0;      // operations still queued
  hal::Duration elapsed;
  transport::Traffic traffic;  // of this visit
};

class Session {
 public:
  Session(store::Store& store, transport::Transport& transport, hal::Clock& clock, hal::Link& link,
          Workspace& workspace, const SessionOptions& options);

  bool Step(hal::Duration wait);
  void Cancel();

  const SessionResult& result() const { return result_; }
  // For progress while it runs.
  const PushResult* pushing() const { return push_ ? &push_->result() : nullptr; }
  const PullResult* pulling() const { return pull_ ? &pull_->result() : nullptr; }
  const store::Table* pulling_table() const { return pull_ ? &pull_->table() : nullptr; }

 private:
  enum class Phase : std::uint8_t { kStart, kPush, kPull, kDone };

  Result<void> Start();
  void EndPush();
  void EndPull();
  void NextPull();
  void Finish(Result<void> outcome);
  Result<void> RecallServer();
  Result<void> NoteServer();
  Result<void> LeaveFacts();
  Result<void> NoteMemory();

  store::Store& store_;
  transport::Transport& transport_;
  hal::Clock& clock_;
  hal::Link& link_;
  Workspace& workspace_;
  SessionOptions options_;
  SessionResult result_;
  Phase phase_ = Phase::kStart;
  hal::Instant started_;
  transport::Traffic traffic_before_;
  int next_table_ = 0;
  std::optional<Push> push_;
  std::optional<Pull> pull_;
};

// Facts that a session leaves in the store (store::Store::Fact), for `status` and for the next one.
inline constexpr std::string_view kFactRetryAfter = "retryAfter";    // "<boot id> <ns since boot>"
inline constexpr std::string_view kFactLastSuccess = "lastSuccess";  // unix ms, or "unknown"
inline constexpr std::string_view kFactLastError = "lastError";  // "<unix ms> <disposition> <text>"
inline constexpr std::string_view kFactServer = "server";        // as it names itself
inline constexpr std::string_view kFactMemory =
    "memory";  // most bytes of each pool, in their order

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_SESSION_H_
