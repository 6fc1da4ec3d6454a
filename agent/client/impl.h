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

// The row in the types of the table, in memory of its own.
class Conformed {
 public:
  Result<void> Make(const store::Table& table, RowView row);
  RowView view() const { return fields_.view(); }

 private:
  std::unique_ptr<char[]> bytes_;
  RowFields fields_;
};

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
  // The engine borrows from them.
  Row sent_, merged_;
  Conformed sent_values_, merged_values_;
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
  std::unique_ptr<agent::Workspace> workspace;
  std::unique_ptr<agent::Remote> remote;
  std::map<std::string, std::unique_ptr<Table>, std::less<>> local_tables, remote_tables;

  EventsHandler handler;
  std::function<void(const Progress&)> progress;
  std::atomic<bool> cancelled{false};
  static_assert(std::atomic<bool>::is_always_lock_free);  // a signal handler sets it
  bool exchanging = false;  // the transport is in use; it takes one exchange at a time
  // By the configuration's "direction"; bit n: Store::tables()[n].
  std::uint64_t pushable = ~std::uint64_t{0}, pullable = ~std::uint64_t{0};
  std::string why;

  store::Store& store() { return *parts.store; }
  Result<void> MakeTables();
  agent::SessionResult Run(const agent::SessionOptions& wanted);
  // Keeps the words of the last error.
  Error Explain(const Error& error, std::string_view words = {});
};

// The transport, for as long as this lives. False: somebody has it, and that has been explained.
class Exchanging {
 public:
  explicit Exchanging(Client::Impl& client) : client_(client), ours_(!client.exchanging) {
    client_.exchanging = true;
  }
  ~Exchanging() {
    if (ours_) client_.exchanging = false;
  }
  Exchanging(const Exchanging&) = delete;
  Exchanging& operator=(const Exchanging&) = delete;
  Result<void> Check() const;

 private:
  Client::Impl& client_;
  bool ours_;
};

// What `merged` says of the table's own columns. kInvalidArgument: it says something else than the
// server of a column that only the server has, which nobody here could send.
Result<void> MergedColumns(const store::Table& table, RowView merged, RowView server,
                           RowFields& columns);

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
