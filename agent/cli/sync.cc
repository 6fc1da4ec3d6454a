// SPDX-License-Identifier: Apache-2.0
// agent/cli/sync.cc - push, pull and purge: what a visit to the server shall do.
#include "agent/cli/commands.h"
#include "agent/cli/filter.h"
#include "agent/cli/visit.h"

namespace holdfast::agent {
namespace {

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
  SessionOptions options = MakeSessionOptions(place.config(), place.store_tables());
  if (!ChooseTables(place, arguments.All("--table"), config::Direction::kPull, "push",
                    options.push_options.tables)) {
    return Exit::kUsage;
  }
  options.retry_parked = arguments.Has("--retry-parked");
  return Visit(context, place, arguments, Visit::Verb::kPush).Run(options);
}

Exit RunPull(Context& context, const Arguments& arguments) {
  const std::string_view query_id = arguments.Text("--query-id");
  if (!CheckQueryId(query_id)) return Exit::kUsage;
  Workplace place(context);
  if (const Exit exit = place.Open(true); exit != Exit::kDone) return exit;
  SessionOptions options = MakeSessionOptions(place.config(), place.store_tables());
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
  if (!ChooseTables(place, {}, config::Direction::kPull, "push", options.push_options.tables)) {
    return Exit::kUsage;
  }
  options.push = !arguments.Has("--no-push");
  options.pull_options.filter = filter;
  options.pull_options.query_id = query_id;
  options.pull_options.full = arguments.Has("--full");
  return Visit(context, place, arguments, Visit::Verb::kPull).Run(options);
}

Exit RunPurge(Context& context, const Arguments& arguments) {
  Workplace place(context);
  if (const Exit exit = place.Open(true); exit != Exit::kDone) return exit;
  PurgePlan plan;
  plan.table = place.FindTable(arguments.positionals[0]);
  if (plan.table == nullptr) return Exit::kUsage;
  plan.force = arguments.Has("--force");
  CheckedFilter checked;
  if (arguments.Has("--where")) {
    if (!checked.CheckWhere(arguments.Text("--where"), *plan.table, false)) return Exit::kUsage;
    plan.filter = &checked.filter();
  }
  SessionOptions options = MakeSessionOptions(place.config(), place.store_tables());
  options.push_options.tables = Bit(*plan.table);
  const config::TableConfig* table = place.FindTableConfig(plan.table->name());
  auto queued = place.store().CountSendable(Bit(*plan.table));
  if (!queued) return Fail("purge", queued.error(), place.store().why());
  // With nothing to send, nobody has to be asked.
  options.push =
      *queued > 0 && !arguments.Has("--no-push") && table->direction != config::Direction::kPull;
  return Visit(context, place, arguments, Visit::Verb::kPurge).RunPurge(options, plan);
}

}  // namespace holdfast::agent
