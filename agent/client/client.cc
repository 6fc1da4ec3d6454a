// SPDX-License-Identifier: Apache-2.0
#include "agent/client/impl.h"
#include "agent/platform/linux_parts.h"
#include "agent/settings/settings.h"
#include "agent/sync/conform.h"
#include "transport/wire.h"

namespace holdfast {
namespace {

constexpr hal::Duration kStepWait = hal::Duration::Milliseconds(100);
constexpr std::size_t kCopiesBytes = 4 * limits::kRowBytes;

std::uint64_t Bit(const store::Table& table) { return std::uint64_t{1} << table.number(); }

bool RuleNamed(std::string_view name, agent::Rule& rule) {
  using agent::Rule;
  for (const Rule candidate :
       {Rule::kAsk, Rule::kServer, Rule::kClient, Rule::kNewest, Rule::kMerge}) {
    if (agent::RuleName(candidate) != name) continue;
    rule = candidate;
    return true;
  }
  return false;
}

// "merge:server" -> the two rules.
bool PolicyNamed(std::string_view text, agent::ConflictPolicy& policy) {
  const std::size_t colon = text.find(':');
  if (!RuleNamed(text.substr(0, colon), policy.rule)) return false;
  if (colon == std::string_view::npos) return true;
  return policy.rule == agent::Rule::kMerge &&
         RuleNamed(text.substr(colon + 1), policy.both_changed) &&
         policy.both_changed != agent::Rule::kMerge;
}

Error AgainstDirection(const char* words) {
  return {Code::kInvalidArgument, Origin::kNone, 0, words};
}

Row FromJsonText(std::string_view json) {
  if (json.empty()) return {};
  auto row = Row::FromJson(json);
  return row ? std::move(row).value() : Row();
}

}  // namespace

// ------------------------------------------------------------------------------------------ making

Result<std::unique_ptr<Client>> Client::Open(const std::string& config_path,
                                             std::string* problems) {
  auto impl = std::make_unique<Impl>();
  impl->machine = std::make_unique<Impl::Machine>();
  Impl::Machine& machine = *impl->machine;
  const auto say = [&](const std::string& line) {
    if (problems != nullptr) *problems += line + "\n";
  };

  config::Loaded loaded = config::LoadFile(config_path.c_str());
  std::vector<config::Diagnostic> wrong = loaded.problems;
  if (loaded.ok()) wrong = config::CheckFiles(loaded);
  for (const config::Diagnostic& problem : wrong) say(config::Format(problem, config_path));
  if (!wrong.empty()) {
    return Error{Code::kInvalidArgument, Origin::kNone, int(wrong.size()),
                 "the configuration is wrong"};
  }
  machine.config = std::move(loaded.config);

  store::Options options;
  options.path = machine.config.database.c_str();
  auto opened = store::Store::Open(options, machine.storage, machine.clock, machine.random);
  if (!opened) {
    say(machine.config.database + ": " + std::string(CodeName(opened.error().code)));
    return opened.error();
  }
  impl->parts.store = std::move(opened).value();
  std::vector<store::Column> columns;
  for (const config::TableConfig& table : machine.config.tables) {
    auto defined = impl->store().DefineTable(agent::MakeTableSpec(table, columns));
    if (defined) continue;
    say("table " + table.name + ": " + std::string(impl->store().why()));
    return defined.error();
  }
  auto transport = agent::platform::MakeTransport(machine.config, impl->store().installation_id(),
                                                  "libholdfast", machine.clock);
  if (!transport) {
    say(machine.config.server.url + ": " +
        (transport.error().what != nullptr ? transport.error().what : "cannot be used"));
    return transport.error();
  }
  impl->parts.transport = std::move(transport).value();
  machine.link = agent::platform::MakeLink(machine.config);
  impl->parts.clock = &machine.clock;
  impl->parts.link = machine.link.get();
  impl->parts.random = &machine.random;
  impl->options = agent::MakeSessionOptions(machine.config, impl->store().tables());
  impl->pushable = impl->pullable = 0;
  for (const store::Table* table : impl->store().tables()) {
    const config::TableConfig* found = agent::FindTableConfig(machine.config, table->name());
    if (found == nullptr) continue;
    if (found->direction != config::Direction::kPull) impl->pushable |= Bit(*table);
    if (found->direction != config::Direction::kPush) impl->pullable |= Bit(*table);
  }
  HF_TRY(impl->MakeTables());
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Result<std::unique_ptr<Client>> Client::Open(Parts parts) {
  if (parts.store == nullptr || parts.transport == nullptr || parts.clock == nullptr ||
      parts.link == nullptr || parts.random == nullptr) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0, "a part is missing"};
  }
  auto impl = std::make_unique<Impl>();
  impl->parts = std::move(parts);
  for (const auto& [name, policy] : impl->parts.policies) {
    const store::Table* table = impl->store().FindTable(name);
    if (table == nullptr ||
        !PolicyNamed(policy, impl->options.push_options.policies[std::size_t(table->number())])) {
      return Error{Code::kInvalidArgument, Origin::kNone, 0, "no such table, or no such policy"};
    }
  }
  HF_TRY(impl->MakeTables());
  return std::unique_ptr<Client>(new Client(std::move(impl)));
}

Client::Client(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
Client::~Client() = default;

Result<void> Client::Impl::MakeTables() {
  HF_TRY_ASSIGN(workspace, agent::Workspace::Create());
  remote = std::make_unique<agent::Remote>(*parts.transport, *parts.random, *workspace,
                                           options.push_options.timeout,
                                           [this] { return cancelled.exchange(false); });
  for (const store::Table* table : store().tables()) {
    local_tables.emplace(table->name(), MakeLocalTable(*this, *table));
    remote_tables.emplace(table->name(), MakeRemoteTable(*this, *table));
  }
  return Ok();
}

Error Client::Impl::Explain(const Error& error, std::string_view words) {
  char room[256];
  why = Describe(error, room, sizeof room);
  if (!words.empty()) why += ": " + std::string(words);
  return error;
}

Result<void> Exchanging::Check() const {
  if (ours_) return Ok();
  return client_.Explain(
      {Code::kBusy, Origin::kNone, 0,
       "the way to the server is in use by the call that this one is made from"});
}

// The store finds names as SQLite does, without case.
Table* Client::sync_table(std::string_view name) {
  const store::Table* table = impl_->store().FindTable(name);
  const auto found = impl_->local_tables.find(table != nullptr ? table->name() : name);
  return found == impl_->local_tables.end() ? nullptr : found->second.get();
}

Table* Client::table(std::string_view name) {
  const store::Table* table = impl_->store().FindTable(name);
  const auto found = impl_->remote_tables.find(table != nullptr ? table->name() : name);
  return found == impl_->remote_tables.end() ? nullptr : found->second.get();
}

void Client::set_events(Events* events) { impl_->handler.events = events; }
void Client::set_progress(std::function<void(const Progress&)> progress) {
  impl_->progress = std::move(progress);
}
void Client::Cancel() { impl_->cancelled.store(true); }
const std::string& Client::why() const { return impl_->why; }

// -------------------------------------------------------------------------------------------- sync

agent::SessionResult Client::Impl::Run(const agent::SessionOptions& wanted) {
  const Exchanging ours(*this);
  if (auto free = ours.Check(); !free) {
    agent::SessionResult busy;
    busy.outcome = free;
    return busy;
  }
  agent::SessionOptions session_options = wanted;
  session_options.push_options.handler = session_options.pull_options.handler = &handler;
  agent::Session session(store(), *parts.transport, *parts.clock, *parts.link, *workspace,
                         session_options);
  const transport::Traffic before = parts.transport->traffic();
  bool stop = false;
  while (!session.Step(kStepWait)) {
    stop = stop || cancelled.exchange(false);
    if (stop) session.Cancel();
    if (!progress) continue;
    Progress now;
    if (session.pulling_table() != nullptr) now.table = session.pulling_table()->name();
    if (session.pushing() != nullptr) now.pushed = session.pushing()->pushed;
    if (session.pulling() != nullptr) now.received = session.pulling()->received;
    now.bytes_sent = parts.transport->traffic().bytes_sent - before.bytes_sent;
    now.bytes_received = parts.transport->traffic().bytes_received - before.bytes_received;
    progress(now);
  }
  cancelled.store(false);  // it was about this sync
  const agent::SessionResult& result = session.result();
  if (!result.outcome) Explain(result.outcome.error());
  if (wanted.push && handler.events != nullptr) handler.events->AfterPush(ReportOf(result));
  return result;
}

PushReport ReportOf(const agent::SessionResult& result) {
  PushReport report;
  report.outcome = result.outcome;
  if (result.retry_after.ns >= 0) report.retry_after_s = result.retry_after.seconds();
  report.pushed = result.push.pushed;
  report.recognised = result.push.recognised;
  report.resolved = result.push.resolved;
  report.conflicts = result.push.conflicts;
  report.parked = result.push.parked;
  report.skipped = result.push.skipped;
  report.remaining = result.remaining;
  report.requests = result.traffic.requests;
  report.bytes_sent = result.traffic.bytes_sent;
  report.bytes_received = result.traffic.bytes_received;
  return report;
}

PushReport Client::Push(const std::vector<std::string>& tables, bool retry_parked) {
  agent::SessionOptions options = impl_->options;
  options.retry_parked = retry_parked;
  options.push_options.tables = tables.empty() ? impl_->pushable : 0;
  PushReport report;
  for (const std::string& name : tables) {
    const store::Table* table = impl_->store().FindTable(name);
    if (table == nullptr) {
      report.outcome = impl_->Explain({Code::kNotFound, Origin::kNone, 0, "no such table"}, name);
      return report;
    }
    if ((impl_->pushable & Bit(*table)) == 0) {
      report.outcome = impl_->Explain(AgainstDirection("\"direction\": \"pull\""), name);
      return report;
    }
    options.push_options.tables |= Bit(*table);
  }
  return ReportOf(impl_->Run(options));
}

PullReport Client::Pull(std::string_view name, const PullRequest& request) {
  PullReport report;
  const store::Table* table = impl_->store().FindTable(name);
  if (table == nullptr) {
    report.outcome = impl_->Explain({Code::kNotFound, Origin::kNone, 0, "no such table"}, name);
    return report;
  }
  if ((impl_->pullable & Bit(*table)) == 0) {
    report.outcome = impl_->Explain(AgainstDirection("\"direction\": \"push\""), name);
    return report;
  }
  Filter filter;
  if (auto parsed = filter.Parse(request.where, impl_->why); !parsed) {
    report.outcome = parsed;
    return report;
  }
  agent::SessionOptions options = impl_->options;
  options.push = request.push_first;
  options.push_options.tables = impl_->pushable;
  options.pull_tables = Bit(*table);
  options.pull_options.filter = request.where;
  options.pull_options.query_id = request.query_id;
  options.pull_options.full = request.full;
  const agent::SessionResult result = impl_->Run(options);
  report.push = ReportOf(result);
  report.outcome = result.outcome;
  const agent::PullResult& pulled = result.pulls[std::size_t(table->number())];
  report.received = pulled.received;
  report.deleted = pulled.deleted;
  report.unchanged = pulled.unchanged;
  report.skipped_pending = pulled.skipped_pending;
  return report;
}

Result<PurgeReport> Client::Purge(std::string_view name, std::string_view where, bool force) {
  const store::Table* table = impl_->store().FindTable(name);
  if (table == nullptr) {
    return impl_->Explain({Code::kNotFound, Origin::kNone, 0, "no such table"}, name);
  }
  Filter filter;
  HF_TRY(filter.Parse(std::string(where), impl_->why));
  auto purged = impl_->store().Purge(*table, filter.get(), force);
  if (!purged) return impl_->Explain(purged.error(), impl_->store().why());
  return PurgeReport{purged->rows, purged->operations};
}

// --------------------------------------------------------------------------------------- conflicts

namespace {

class Collect : public store::ErrorSink {
 public:
  std::vector<Waiting> all;
  Result<void> OnError(const store::ErrorRecord& record) override {
    Waiting waiting;
    waiting.number = record.sequence;
    waiting.conflict = record.kind == store::ErrorKind::kConflict;
    waiting.http_status = record.http_status;
    waiting.operation.table = record.table;
    waiting.operation.id = record.id;
    waiting.operation.action = Action(record.operation_kind);
    waiting.local = FromJsonText(record.local_row);
    if (waiting.conflict) {
      waiting.server = FromJsonText(record.server_words);
    } else {
      waiting.server_words = record.server_words;
    }
    all.push_back(std::move(waiting));
    return Ok();
  }
};

}  // namespace

static_assert(int(Action::kInsert) == int(store::Kind::kInsert) &&
              int(Action::kUpdate) == int(store::Kind::kUpdate) &&
              int(Action::kDelete) == int(store::Kind::kDelete));

Result<std::vector<Waiting>> Client::Conflicts() {
  std::unique_ptr<char[]> room(new char[kCopiesBytes]);
  Arena arena({room.get(), kCopiesBytes});
  Collect sink;
  if (auto listed = impl_->store().Errors(arena, sink); !listed) {
    return impl_->Explain(listed.error(), impl_->store().why());
  }
  return std::move(sink.all);
}

Result<void> Client::Resolve(std::int64_t number, Settle settle, const Row& merged) {
  HF_TRY_ASSIGN(const std::vector<Waiting> all, Conflicts());
  for (const Waiting& waiting : all) {
    if (waiting.number != number) continue;
    const store::Table* table = impl_->store().FindTable(waiting.operation.table);
    if (table == nullptr) break;
    if (settle == Settle::kServer && !waiting.conflict) {
      return impl_->Explain({Code::kInvalidArgument, Origin::kNone, 0,
                             "the server refused the row and gave no copy of its own"});
    }
    std::unique_ptr<char[]> room(new char[kCopiesBytes]);
    Arena arena({room.get(), kCopiesBytes});
    RowFields server_raw, server, merged_raw, merged_all, merged_fields;
    HF_TRY(waiting.server.AppendTo(server_raw));
    HF_TRY(agent::ConformRow(*table, server_raw.view(), arena, server));
    HF_TRY(merged.AppendTo(merged_raw));
    HF_TRY(agent::ConformRow(*table, merged_raw.view(), arena, merged_all));
    if (settle == Settle::kMerged) {
      auto made = MergedColumns(*table, merged_all.view(), server.view(), merged_fields);
      if (!made) return impl_->Explain(made.error());
    }
    store::Resolution resolution;
    switch (settle) {
      case Settle::kLocal: resolution.keep = store::Keep::kLocal; break;
      case Settle::kServer: resolution.keep = store::Keep::kServer; break;
      case Settle::kMerged: resolution.keep = store::Keep::kMerged; break;
      case Settle::kDiscard: resolution.keep = store::Keep::kNeither; break;
    }
    resolution.rule = "program";
    resolution.server_row = server.view();
    resolution.merged = merged_fields.view();
    auto done = impl_->store().Resolve(number, resolution);
    return done ? done : Result<void>(impl_->Explain(done.error(), impl_->store().why()));
  }
  return impl_->Explain({Code::kNotFound, Origin::kNone, 0, "nothing waits under that number"});
}

Result<std::uint64_t> Client::CountQueued() {
  auto stats = impl_->store().Stats();
  if (!stats) return impl_->Explain(stats.error(), impl_->store().why());
  return stats->operations;
}

Result<QueueState> Client::Queue() {
  auto stats = impl_->store().Stats();
  if (!stats) return impl_->Explain(stats.error(), impl_->store().why());
  auto sendable = impl_->store().CountSendable(impl_->pushable);
  if (!sendable) return impl_->Explain(sendable.error(), impl_->store().why());
  QueueState state;
  state.queued = stats->operations;
  state.sendable = *sendable;
  state.attempted = stats->attempted;
  state.conflicts = stats->conflicts;
  state.parked = stats->parked;
  state.oldest_unix_s = stats->oldest_unix_s;
  state.database_bytes = stats->database_bytes;
  state.wal_bytes = stats->wal_bytes;
  return state;
}

}  // namespace holdfast
