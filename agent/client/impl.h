// SPDX-License-Identifier: Apache-2.0
// agent/client/impl.h - what stands behind holdfast::Client.
//
// Owner:   the Client; parts are destroyed in the reverse order of their use.
// Threads: as the Client; `cancelled` from any.
#ifndef HOLDFAST_AGENT_CLIENT_IMPL_H_
#define HOLDFAST_AGENT_CLIENT_IMPL_H_

#include <atomic>
#include <map>
#include <memory>
#include <string>

#include "agent/sync/remote.h"
#include "agent/sync/session.h"
#include "config/config.h"
#include "hal/linux/linux_clock.h"
#include "hal/linux/linux_random.h"
#include "hal/linux/linux_storage.h"
#include "holdfast/holdfast.h"
#include "store/store.h"
#include "transport/transport.h"

namespace holdfast {

// The Events of a program as the engine's handler.
class EventsHandler final : public agent::SyncHandler {
 public:
  Events* events = nullptr;

  Before BeforeSend(const store::Operation& operation, RowView content,
                    RowFields& changed) override;
  bool OnConflict(const store::Operation& operation, const store::Store::Copies& copies,
                  RowView server_row, store::Keep& keep, RowFields& merged) override;
  Refused OnRefused(const store::Operation& operation, const Error& error) override;
  void OnPulled(const store::Table& table, RowView server_row, store::Applied applied) override;

 private:
  Row sent_, merged_;  // the engine borrows from them
};

struct Client::Impl {
  // When the Client was opened from a configuration.
  struct Machine {
    config::Config config;
    hal::LinuxClock clock;
    hal::LinuxRandom random;
    hal::LinuxStorage storage;
    std::unique_ptr<hal::Link> link;
  };
  std::unique_ptr<Machine> machine;
  Client::Parts parts;
  agent::SessionOptions options;
  std::unique_ptr<agent::Remote> remote;
  std::map<std::string, std::unique_ptr<Table>, std::less<>> local_tables, remote_tables;

  EventsHandler handler;
  std::function<void(const Progress&)> progress;
  std::atomic<bool> cancelled{false};
  std::string why;

  store::Store& store() { return *parts.store; }
  void MakeTables();
  agent::SessionResult Run(const agent::SessionOptions& wanted);
  // Keeps the words of the last error.
  Error Explain(const Error& error, std::string_view words = {});
};

PushReport ReportOf(const agent::SessionResult& result);
Operation OperationOf(const store::Operation& operation);

std::unique_ptr<Table> MakeLocalTable(Client::Impl& client, const store::Table& table);
std::unique_ptr<Table> MakeRemoteTable(Client::Impl& client, const store::Table& table);

// A filter in memory of its own; `why` says where it is wrong.
class Filter {
 public:
  Result<void> Parse(const std::string& text, std::string& why);
  const query::ParsedFilter* get() const { return text_.empty() ? nullptr : parsed_.get(); }

 private:
  std::string text_;
  std::unique_ptr<char[]> bytes_;
  std::unique_ptr<Arena> arena_;
  std::unique_ptr<query::ParsedFilter> parsed_;
};

}  // namespace holdfast

#endif  // HOLDFAST_AGENT_CLIENT_IMPL_H_
