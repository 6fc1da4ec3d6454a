// SPDX-License-Identifier: Apache-2.0
// agent/cli/setup.cc - init, config, version: what somebody runs once.
#include <unistd.h>

#include <optional>

#include "agent/cli/commands.h"

namespace holdfast::agent {
namespace {

struct TableChange {
  std::string_view name;
  const char* action = "";
  std::size_t columns = 0;
};

// What a step did is told from what it wrote: one that finds all in place writes nothing.
class Watch {
 public:
  Watch(hal::Storage& storage, bool is_new)
      : storage_(storage), before_(storage.bytes_written()), is_new_(is_new) {}
  const char* Action() const {
    if (is_new_) return "created";
    return storage_.bytes_written() == before_ ? "unchanged" : "updated";
  }

 private:
  hal::Storage& storage_;
  std::uint64_t before_;
  bool is_new_;
};

std::optional<TableChange> Define(store::Store& store, const config::TableConfig& config,
                                  const Watch& watch) {
  std::vector<store::Column> columns;
  auto defined = store.DefineTable(MakeTableSpec(config, columns));
  if (defined) return TableChange{config.name, watch.Action(), (*defined)->columns().size()};
  const std::string what = "table " + config.name;
  Fail(what.c_str(), defined.error(), store.why());
  return std::nullopt;
}

void Print(Context& context, const std::string& database, const char* action,
           std::span<const TableChange> changes) {
  context.out.Print("%s: %s\n", database.c_str(), action);
  for (const TableChange& change : changes) {
    context.out.Print("  %.*s: %s, %zu columns\n", int(change.name.size()), change.name.data(),
                      change.action, change.columns);
  }
}

void PrintJson(Context& context, const std::string& database, const char* action,
               std::span<const TableChange> changes) {
  JsonWriter json(context.out);
  json.Text("status", "complete").Text("database", database).Text("action", action);
  json.Open("tables");
  for (const TableChange& change : changes) {
    json.Open(change.name).Text("action", change.action);
    json.Number("columns", change.columns).Close();
  }
  json.Close().End();
}

}  // namespace

Exit RunInit(Context& context, const Arguments& arguments) {
  Workplace place(context);
  if (const Exit exit = place.LoadConfig(false); exit != Exit::kDone) return exit;
  const std::string& database = place.config().database;
  const bool is_new = access(database.c_str(), F_OK) != 0;
  hal::Storage& storage = context.platform.storage();
  const Watch opening(storage, is_new);
  if (const Exit exit = place.OpenStore(); exit != Exit::kDone) return exit;
  const char* action = opening.Action();
  std::vector<TableChange> changes;
  bool failed = false;
  for (const config::TableConfig& table : place.config().tables) {
    const Watch watch(storage, is_new);
    if (const auto change = Define(place.store(), table, watch)) {
      changes.push_back(*change);
    } else {
      failed = true;
    }
  }
  if (failed) return Exit::kUsage;  // the configuration asks for what the database cannot be
  if (arguments.Has("--json")) {
    PrintJson(context, database, action, changes);
  } else {
    Print(context, database, action, changes);
  }
  return Exit::kDone;
}

Exit RunConfigCheck(Context& context, const Arguments&) {
  Workplace place(context);
  if (const Exit exit = place.LoadConfig(true); exit != Exit::kDone) return exit;
  context.out.Print("%s: no problems\n", context.config_path.c_str());
  return Exit::kDone;
}

Exit RunConfigPrint(Context& context, const Arguments&) {
  Workplace place(context);
  if (const Exit exit = place.LoadConfig(false); exit != Exit::kDone) return exit;
  context.out.Put(config::PrintEffective(place.config()));
  return Exit::kDone;
}

Exit RunConfigKeys(Context& context, const Arguments& arguments) {
  context.out.Put(config::PrintKeys(arguments.Has("--json")));
  return Exit::kDone;
}

Exit RunConfigSample(Context& context, const Arguments&) {
  context.out.Put(config::SampleFile());
  return Exit::kDone;
}

Exit RunVersion(Context& context, const Arguments& arguments) {
  Platform& platform = context.platform;
  if (arguments.Has("--json")) {
    JsonWriter json(context.out);
    json.Text("program", platform.version()).Text("protocol", "2.0, 3.0").Open("libraries");
    for (const Library& library : platform.libraries()) json.Text(library.name, library.version);
    json.Close().End();
    return Exit::kDone;
  }
  context.out.Print("holdfast %s\nprotocol 2.0, 3.0\n", platform.version());
  for (const Library& library : platform.libraries()) {
    context.out.Print("%s %s\n", library.name, library.version);
  }
  return Exit::kDone;
}

}  // namespace holdfast::agent
