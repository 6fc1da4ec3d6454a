// SPDX-License-Identifier: Apache-2.0
// agent/cli/visit.h - one visit to the server, watched by a person or a script.
//
// Purpose: push, pull and purge are the same visit with other options: wait for the lock, work,
//          show progress, say what became of it in words or as one JSON object.
// Owner:   borrows context and workplace; holds the lock until it ends.
// Threads: one.
// Errors:  printed here, with what to do next; the exit code says the rest.
#ifndef HOLDFAST_AGENT_CLI_VISIT_H_
#define HOLDFAST_AGENT_CLI_VISIT_H_

#include <optional>

#include "agent/cli/lock.h"
#include "agent/cli/platform.h"
#include "agent/cli/progress.h"
#include "agent/sync/session.h"

namespace holdfast::agent {

// What to remove from this device when the push is over.
struct PurgePlan {
  const store::Table* table = nullptr;
  const query::ParsedFilter* filter = nullptr;  // nullptr: all rows
  bool force = false;
};

class Visit {
 public:
  enum class Verb : std::uint8_t { kPush, kPull, kPurge };

  Visit(Context& context, Workplace& place, const Arguments& arguments, Verb verb)
      : context_(context), place_(place), json_(arguments.Has("--json")), verb_(verb) {}

  Exit Run(const SessionOptions& options);
  Exit RunPurge(const SessionOptions& options, const PurgePlan& plan);

 private:
  bool Begin();
  bool Go(const SessionOptions& options, Exit& exit);
  void Work(Session& session, const transport::Transport& transport, std::uint64_t tables);
  void ShowProgress(Session& session, const transport::Transport& transport,
                    ProgressLine& progress);
  void PrintJson();
  void PrintTables(JsonWriter& json);
  void PrintSummary();
  void PrintError();
  Exit Close();

  Context& context_;
  Workplace& place_;
  bool json_;
  Verb verb_;
  SyncLock lock_;
  SessionResult result_;
  std::optional<store::Purged> purged_;
  std::uint64_t to_push_ = 0;
  std::uint64_t waiting_conflicts_ = 0, waiting_parked_ = 0;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_VISIT_H_
