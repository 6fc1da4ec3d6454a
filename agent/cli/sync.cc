// SPDX-License-Identifier: Apache-2.0
// agent/cli/sync.cc - push and pull: one visit to the server, watched by a person or a script.
#include <algorithm>
#include <cstdio>

#include "agent/cli/advice.h"
#include "agent/cli/commands.h"
#include "agent/cli/filter.h"
#include "agent/cli/lock.h"
#include "agent/cli/progress.h"
#include "agent/cli/signals.h"
#include "agent/sync/session.h"

namespace holdfast::agent {
namespace {

constexpr hal::Duration kStepWait = hal::Duration::Milliseconds(200);

std::uint64_t Bit(const store::Table& table) { return std::uint64_t{1} << table.number(); }

// The tables of the configuration that may go this way, or those named. False: a name is wrong, and
// that has been said.
bool ChooseTables(const Workplace& place, std::span<const std::string_view> names,
                  config::Direction never, const char* verb, std::uint64_t& tables) {
  tables = 0;
  for (const std::string_view name : names) {
    const store::Table* table = place.FindTable(name);
    if (table == nullptr) return false;
    if (place.FindTableConfig(name)->direction == never) {
      const std::string_view direction = config::DirectionName(never);
      Complain("%s: the configuration says \"direction\": \"%.*s\" for %.*s", verb,
               int(direction.size()), direction.data(), int(name.size()), name.data());
      return false;
    }
    tables |= Bit(*table);
  }
  if (!names.empty()) return true;
  for (const store::Table* table : place.store_tables()) {
    const config::TableConfig* config = place.FindTableConfig(table->name());
    if (config != nullptr && config->direction != never) tables |= Bit(*table);
  }
  return true;
}

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

class Visit {
 public:
  Visit(Context& context, Workplace& place, const Arguments& arguments, bool is_pull)
      : context_(context), place_(place), json_(arguments.Has("--json")), is_pull_(is_pull) {}

  Exit Run(const SessionOptions& options);

 private:
  void Work(Session& session, const transport::Transport& transport, std::uint64_t tables);
  void ShowProgress(Session& session, const transport::Transport& transport,
                    ProgressLine& progress);
  void PrintJson(const SessionResult& result);
  void PrintTables(JsonWriter& json, const SessionResult& result);
  void PrintSummary(const SessionResult& result);
  void PrintError(const SessionResult& result);
  Exit ExitOf(const SessionResult& result) const;
  Exit FailEarly(const Error& error);

  Context& context_;
  Workplace& place_;
  bool json_, is_pull_;
  std::uint64_t to_push_ = 0;
  std::uint64_t waiting_conflicts_ = 0, waiting_parked_ = 0;
};

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

Exit Visit::FailEarly(const Error& error) {
  SessionResult result;
  result.outcome = error;
  if (auto count = place_.store().CountSendable(~std::uint64_t{0})) result.remaining = *count;
  if (json_) PrintJson(result);
  PrintError(result);
  return ExitFor(error);
}

Exit Visit::Run(const SessionOptions& options) {
  SyncLock lock;
  if (auto taken = lock.Take(place_.config().database, context_.quiet); !taken) {
    return FailEarly(taken.error());
  }
  auto link = context_.platform.MakeLink(place_.config());
  auto transport = place_.MakeTransport();
  if (!transport) return FailTransport(transport.error());
  Session session(place_.store(), **transport, context_.platform.clock(), *link, options);
  Work(session, **transport, options.push ? options.push_options.tables : 0);
  const SessionResult& result = session.result();
  if (auto stats = place_.store().Stats()) {
    waiting_conflicts_ = stats->conflicts;
    waiting_parked_ = stats->parked;
  }
  if (json_) {
    PrintJson(result);
  } else if (!context_.quiet) {
    PrintSummary(result);
  }
  if (!result.outcome) PrintError(result);
  return ExitOf(result);
}

Exit Visit::ExitOf(const SessionResult& result) const {
  if (!result.outcome) return ExitFor(result.outcome.error());
  return waiting_conflicts_ + waiting_parked_ > 0 ? Exit::kWaiting : Exit::kDone;
}

void Visit::PrintTables(JsonWriter& json, const SessionResult& result) {
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

void Visit::PrintJson(const SessionResult& result) {
  JsonWriter json(context_.out);
  json.Text("status", StatusName(result.outcome));
  if (is_pull_) {
    const Totals totals = AddUp(result);
    PrintTables(json, result);
    json.Number("received", totals.received).Number("deleted", totals.deleted);
    json.Number("skipped_pending", totals.skipped);
  }
  json.Number("pushed", result.push.pushed).Number("recognised", result.push.recognised);
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
void Visit::PrintSummary(const SessionResult& result) {
  std::string text = "pushed " + FormatRows(result.push.pushed);
  if (result.push.recognised > 0) {
    text += " (" + FormatCount(result.push.recognised) + " had arrived before)";
  }
  if (is_pull_) {
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
  if (waiting_conflicts_ + waiting_parked_ > 0) {
    context_.out.Put("waiting for a decision: " + FormatCount(waiting_conflicts_) +
                     " in conflict, " + FormatCount(waiting_parked_) +
                     " refused by the server (table __errors)\n");
  } else if (result.outcome.ok() && result.remaining > 0) {
    context_.out.Put(FormatRows(result.remaining) + " still queued\n");
  }
}

// What went wrong, what became of the rows, and what to do.
void Visit::PrintError(const SessionResult& result) {
  const Error& error = result.outcome.error();
  char words[256];
  Describe(error, words, sizeof words);
  Complain("%s: %s", is_pull_ ? "pull" : "push", words);
  std::string text = FormatRows(result.remaining) + (result.remaining == 1 ? " waits" : " wait") +
                     " in the queue, nothing is lost.";
  if (result.retry_after.ns > 0) {
    text += " The server wants to be left alone for " + FormatSpan(result.retry_after) + ".";
  }
  if (const std::string_view advice = Advice(error.code); !advice.empty())
    text.append(" ").append(advice);
  std::fprintf(stderr, "%s\n", text.c_str());
}

PushOptions MakePushOptions(const Workplace& place, std::uint64_t tables) {
  const config::SyncConfig& sync = place.config().sync;
  PushOptions options;
  options.tables = tables;
  options.window_rows = std::size_t(sync.push_window_rows);
  options.write_back_interval = hal::Duration::Milliseconds(sync.write_back_interval_ms);
  options.timeout = place.exchange_timeout();
  return options;
}

// A token is stored under the name; the database sets these limits.
bool CheckQueryId(std::string_view id) {
  FixedString<limits::kIdBytes + 32> key;
  auto checked = QueryKey(id, {}, key);
  if (!checked) Complain("pull: --query-id: %s", checked.error().what);
  return checked.ok();
}

}  // namespace

Exit RunPush(Context& context, const Arguments& arguments) {
  Workplace place(context);
  if (const Exit exit = place.Open(true); exit != Exit::kDone) return exit;
  SessionOptions options;
  std::uint64_t tables = 0;
  if (!ChooseTables(place, arguments.All("--table"), config::Direction::kPull, "push", tables)) {
    return Exit::kUsage;
  }
  options.push_options = MakePushOptions(place, tables);
  return Visit(context, place, arguments, false).Run(options);
}

Exit RunPull(Context& context, const Arguments& arguments) {
  const std::string_view query_id = arguments.Text("--query-id");
  if (!CheckQueryId(query_id)) return Exit::kUsage;
  Workplace place(context);
  if (const Exit exit = place.Open(true); exit != Exit::kDone) return exit;
  SessionOptions options;
  if (!ChooseTables(place, arguments.positionals, config::Direction::kPush, "pull",
                    options.pull_tables)) {
    return Exit::kUsage;
  }
  CheckedFilter checked;
  const std::string_view filter = arguments.Text("--where");
  for (const store::Table* table : place.store_tables()) {
    if (filter.empty() || (options.pull_tables & Bit(*table)) == 0) continue;
    if (!checked.CheckWhere(filter, *table, true)) return Exit::kUsage;
  }
  const config::SyncConfig& sync = place.config().sync;
  std::uint64_t pushed_tables = 0;
  if (!ChooseTables(place, {}, config::Direction::kPull, "push", pushed_tables)) {
    return Exit::kUsage;
  }
  options.push = !arguments.Has("--no-push");
  options.push_options = MakePushOptions(place, pushed_tables);
  options.pull_options.filter = filter;
  options.pull_options.query_id = query_id;
  options.pull_options.full = arguments.Has("--full");
  options.pull_options.page_rows = std::uint32_t(sync.page_rows);
  options.pull_options.timeout = place.exchange_timeout();
  return Visit(context, place, arguments, true).Run(options);
}

}  // namespace holdfast::agent
