// SPDX-License-Identifier: Apache-2.0
// agent/settings/settings.h - the configuration in the engine's terms.
//
// Purpose: the command line and the library read one configuration in one way.
// Owner:   values; what is made borrows from the configuration.
// Threads: any; no state.
#ifndef HOLDFAST_AGENT_SETTINGS_SETTINGS_H_
#define HOLDFAST_AGENT_SETTINGS_SETTINGS_H_

#include <vector>

#include "agent/sync/session.h"
#include "config/config.h"
#include "store/store.h"

namespace holdfast::agent {

// One table of the configuration; `columns` keeps the room for its columns.
store::TableSpec MakeTableSpec(const config::TableConfig& table,
                               std::vector<store::Column>& columns);

// nullptr: there is no table of that name.
const config::TableConfig* FindTableConfig(const config::Config& config, std::string_view name);

// Windows, times and the policies of all tables; what to push and pull is left to the caller.
SessionOptions MakeSessionOptions(const config::Config& config,
                                  std::span<const store::Table* const> tables);

// For the whole of an exchange. The configured time is that without progress, which the transport
// watches; a long page on a slow link may take several of them.
hal::Duration ExchangeTimeout(const config::Config& config);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SETTINGS_SETTINGS_H_
