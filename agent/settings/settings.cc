// SPDX-License-Identifier: Apache-2.0
#include "agent/settings/settings.h"

#include "hal/base/text.h"

namespace holdfast::agent {
namespace {

Rule RuleOf(config::Conflict conflict) {
  switch (conflict) {
    case config::Conflict::kAsk: return Rule::kAsk;
    case config::Conflict::kServer: return Rule::kServer;
    case config::Conflict::kClient: return Rule::kClient;
    case config::Conflict::kNewest: return Rule::kNewest;
    case config::Conflict::kMerge: return Rule::kMerge;
  }
  return Rule::kAsk;
}

}  // namespace

store::TableSpec MakeTableSpec(const config::TableConfig& table,
                               std::vector<store::Column>& columns) {
  columns.clear();
  for (const config::ColumnConfig& column : table.columns) {
    store::Column made;
    // The configuration refuses names that are too long.
    HF_ASSERT(made.name.Assign(column.name).ok());
    made.type = column.type;
    columns.push_back(made);
  }
  return {table.name, columns, table.adopt};
}

const config::TableConfig* FindTableConfig(const config::Config& config, std::string_view name) {
  for (const config::TableConfig& table : config.tables) {
    if (EqualsIgnoreCase(table.name, name)) return &table;
  }
  return nullptr;
}

SessionOptions MakeSessionOptions(const config::Config& config,
                                  std::span<const store::Table* const> tables) {
  SessionOptions options;
  options.server_url = config.server.url;
  options.push_options.window_rows = std::size_t(config.sync.push_window_rows);
  options.push_options.bulk_operations = std::size_t(config.sync.bulk_rows);
  options.push_options.write_back_interval =
      hal::Duration::Milliseconds(config.sync.write_back_interval_ms);
  options.push_options.timeout = ExchangeTimeout(config);
  for (const store::Table* table : tables) {
    const config::TableConfig* found = FindTableConfig(config, table->name());
    if (found == nullptr) continue;
    options.push_options.policies[std::size_t(table->number())] = {RuleOf(found->conflict),
                                                                   RuleOf(found->both_changed)};
  }
  options.pull_options.page_rows = std::uint32_t(config.sync.page_rows);
  options.pull_options.look_back = hal::Duration::Milliseconds(config.sync.look_back_ms);
  options.pull_options.timeout = ExchangeTimeout(config);
  return options;
}

hal::Duration ExchangeTimeout(const config::Config& config) {
  return hal::Duration::Milliseconds(10 * config.sync.timeout_ms);
}

}  // namespace holdfast::agent
