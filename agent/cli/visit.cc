// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/visit.h"

#include <algorithm>
#include <cstdio>

#include "agent/cli/advice.h"
#include "agent/cli/signals.h"

namespace holdfast::agent {
namespace {

constexpr hal::Duration kStepWait = hal::Duration::Milliseconds(200);

// What scripts see as "status".
std::string_view StatusName(const Result<void>& outcome) {
  return outcome.ok() ? std::string_view("complete") : CodeName(outcome.error().code);
}

struct Totals {
  std::uint64_t received = 0, deleted = 0, skipped = 0;
};

Totals AddUp(const SessionResult& result) {
  Totals totals;
  for (std::size_t i = 0; i < result.pulls.size(); ++i) {
    if ((result.pulled_tables >> i & 1) == 0) continue;
    totals.received += result.pulls[i].received;
    totals.deleted += result.pulls[i].deleted;
    totals.skipped += result.pulls[i].skipped_pending;
  }
  return totals;
}

const char* VerbName(Visit::Verb verb) {
  switch (verb) {
    case Visit::Verb::kPush: return "push";
    case Visit::Verb::kPull: return "pull";
    case Visit::Verb::kPurge: return "purge";
  }
  return "?";
}

bool IsInterruption(const Result<void>& outcome) {
  return !outcome.ok() && outcome.error().code == Code::kCancelled;
}

}  // namespace

void Visit::ShowProgress(Session& session, const transport::Transport& transport,
                         ProgressLine& progress) {
  if (!progress.Due()) return;
  ProgressFacts facts;
  std::string what;
  if (const PushResult* push = session.pushing()) {
    facts.what = "pushed";
    facts.rows = push->pushed;
    // Rows that were put in conflict or parked are dealt with as well.
    facts.rows_total = std::max(to_push_, push->pushed);
    facts.part_done = to_push_ == 0 ? -1
                                    : double(push->pushed + push->conflicts + push->parked) /
                                          double(std::max<std::uint64_t>(to_push_, 1));
    facts.bytes = transport.traffic().bytes_sent;
  } else if (const PullResult* pull = session.pulling()) {
    what = std::string(session.pulling_table()->name()) + ": received";
    facts.what = what;
    facts.rows = pull->received + pull->deleted + pull->unchanged;
    facts.bytes = transport.traffic().bytes_received;
  } else {
    return;
  }
  progress.Draw(facts);
}

void Visit::Work(Session& session, const transport::Transport& transport, std::uint64_t tables) {
  if (auto count = place_.store().CountSendable(tables)) to_push_ = *count;
  ProgressLine progress(context_.platform.clock(), !json_ && !context_.quiet);
  while (!session.Step(kStepWait)) {
    if (Interrupted()) session.Cancel();
    ShowProgress(session, transport, progress);
  }
}

// Whether this visit is the only one; if not, why not is the outcome.
bool Visit::Begin() {
  result_.outcome = lock_.Take(place_.config().database, context_.quiet);
  if (auto count = place_.store().CountSendable(~std::uint64_t{0})) result_.remaining = *count;
  return result_.outcome.ok();
}

// false: there is no transport, and that has been said.
bool Visit::Go(const SessionOptions& options, Exit& exit) {
  auto link = context_.platform.MakeLink(place_.config());
  auto way = place_.MakeWay();
  if (!way) {
    exit = FailTransport(way.error());
    return false;
  }
  Session session(place_.store(), *way->transport, context_.platform.clock(), *link,
                  *way->workspace, options);
  Work(session, *way->transport, options.push ? options.push_options.tables : 0);
  result_ = session.result();
  return true;
}

Exit Visit::Run(const SessionOptions& options) {
  Exit exit = Exit::kDone;
  return !Begin() || Go(options, exit) ? Close() : exit;
}

Exit Visit::RunPurge(const SessionOptions& options, const PurgePlan& plan) {
  if (!Begin()) return Close();
  Exit exit = Exit::kDone;
  if (options.push && !Go(options, exit)) return exit;
  if (IsInterruption(result_.outcome)) return Close();
  auto purged = place_.store().Purge(*plan.table, plan.filter, plan.force);
  if (purged) {
    if (!result_.outcome) {
      char words[256];
      Complain("purge: the push before it ended early: %s",
               Describe(result_.outcome.error(), words, sizeof words).data());
    }
    result_.outcome = Ok();
    purged_ = *purged;
  } else if (result_.outcome.ok()) {
    result_.outcome = purged.error();
  }
  if (auto count = place_.store().CountSendable(~std::uint64_t{0})) result_.remaining = *count;
  return Close();
}

// Says what became of it.
Exit Visit::Close() {
  if (auto stats = place_.store().Stats()) {
    waiting_conflicts_ = stats->conflicts;
    waiting_parked_ = stats->parked;
  }
  if (json_) {
    PrintJson();
  } else if (!context_.quiet && (result_.outcome.ok() || result_.traffic.requests > 0)) {
    PrintSummary();
  }
  if (!result_.outcome) {
    PrintError();
    return ExitFor(result_.outcome.error());
  }
  return waiting_conflicts_ + waiting_parked_ > 0 ? Exit::kWaiting : Exit::kDone;
}

void Visit::PrintTables(JsonWriter& json) {
  const SessionResult& result = result_;
  json.Open("tables");
  const auto tables = place_.store().tables();
  for (std::size_t i = 0; i < tables.size(); ++i) {
    if ((result.pulled_tables >> i & 1) == 0) continue;
    const PullResult& pull = result.pulls[i];
    json.Open(tables[i]->name()).Text("status", StatusName(pull.outcome));
    json.Number("received", pull.received).Number("deleted", pull.deleted);
    json.Number("skipped_pending", pull.skipped_pending).Number("unchanged", pull.unchanged);
    json.Number("ignored", pull.ignored).Number("pages", pull.pages).Close();
  }
  json.Close();
}

void Visit::PrintJson() {
  const SessionResult& result = result_;
  JsonWriter json(context_.out);
  json.Text("status", StatusName(result.outcome));
  if (verb_ == Verb::kPull) {
    const Totals totals = AddUp(result);
    PrintTables(json);
    json.Number("received", totals.received).Number("deleted", totals.deleted);
    json.Number("skipped_pending", totals.skipped);
  }
  if (purged_) {
    json.Number("removed", purged_->rows).Number("discarded", purged_->operations);
  }
  json.Number("pushed", result.push.pushed).Number("recognised", result.push.recognised);
  json.Number("resolved", result.push.resolved);
  json.Number("conflicts", result.push.conflicts).Number("parked", result.push.parked);
  json.Number("blocked", result.push.blocked).Number("remaining", result.remaining);
  json.Number("conflicts_waiting", waiting_conflicts_).Number("parked_waiting", waiting_parked_);
  json.Number("requests", result.traffic.requests);
  json.Number("bytes_sent", result.traffic.bytes_sent);
  json.Number("bytes_received", result.traffic.bytes_received);
  json.Number("connections", result.traffic.connections);
  json.Seconds("seconds", result.elapsed.seconds());
  if (!result.outcome) {
    const Error& error = result.outcome.error();
    char words[256];
    json.Open("error").Text("code", CodeName(error.code));
    json.Text("text", Describe(error, words, sizeof words));
    json.Text("disposition", DispositionName(Classify(error)));
    if (result.retry_after.ns >= 0) {
      json.Seconds("retry_after_seconds", result.retry_after.seconds());
    }
    json.Close();
  }
  json.End();
}

// "pushed 42 rows, received 7 rows in 1.2 s (12 requests, 8.1 KiB sent, 3.2 KiB received)"
void Visit::PrintSummary() {
  const SessionResult& result = result_;
  std::string text = "pushed " + FormatRows(result.push.pushed);
  if (result.push.recognised > 0) {
    text += " (" + FormatCount(result.push.recognised) + " had arrived before)";
  }
  if (result.push.resolved > 0) {
    text += ", settled " + FormatCount(result.push.resolved) + " conflicts by policy";
  }
  if (verb_ == Verb::kPull) {
    const Totals totals = AddUp(result);
    text += ", received " + FormatRows(totals.received);
    if (totals.deleted > 0) text += ", deleted " + FormatRows(totals.deleted);
    if (totals.skipped > 0)
      text += ", left alone " + FormatRows(totals.skipped) + " with local edits";
  }
  text += " in " + FormatSpan(result.elapsed) + " (" + FormatCount(result.traffic.requests) +
          (result.traffic.requests == 1 ? " request, " : " requests, ") +
          FormatBytes(result.traffic.bytes_sent) + " sent, " +
          FormatBytes(result.traffic.bytes_received) + " received)\n";
  context_.out.Put(text);
  if (purged_) {
    text = "removed " + FormatRows(purged_->rows) + " from this device";
    if (purged_->operations > 0) {
      text += " and discarded " + FormatCount(purged_->operations) +
              (purged_->operations == 1 ? " operation" : " operations") + " that waited";
    }
    context_.out.Put(text + "\n");
  }
  if (waiting_conflicts_ + waiting_parked_ > 0) {
    context_.out.Put("waiting for a decision: " + FormatCount(waiting_conflicts_) +
                     " in conflict, " + FormatCount(waiting_parked_) +
                     " refused by the server (table __errors)\n");
  } else if (result.outcome.ok() && result.remaining > 0) {
    context_.out.Put(FormatRows(result.remaining) + " still queued\n");
  }
}

// What went wrong, what became of the rows, and what to do.
void Visit::PrintError() {
  const SessionResult& result = result_;
  const Error& error = result.outcome.error();
  char words[256];
  Describe(error, words, sizeof words);
  Complain("%s: %s", VerbName(verb_), words);
  std::string text = FormatRows(result.remaining) + (result.remaining == 1 ? " waits" : " wait") +
                     " in the queue, nothing is lost.";
  if (result.retry_after.ns > 0) {
    text += " The server wants to be left alone for " + FormatSpan(result.retry_after) + ".";
  }
  if (const std::string_view advice = Advice(error.code); !advice.empty())
    text.append(" ").append(advice);
  std::fprintf(stderr, "%s\n", text.c_str());
}

}  // namespace holdfast::agent
