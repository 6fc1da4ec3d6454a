// SPDX-License-Identifier: Apache-2.0
// agent/cli/platform.h - what the commands get from the program, and what they share.
//
// Purpose: main.cc and platform/ alone name concrete classes; commands see interfaces, so that
// tests can run
//          them on others.
// Owner:   the program makes one Platform; it outlives all that it makes.
// Threads: one.
// Errors:  MakeTransport(), MakeWay(): kUnsupported: this build lacks the carrier;
// kInvalidArgument: credentials
//          that cannot be used.
#ifndef HOLDFAST_AGENT_CLI_PLATFORM_H_
#define HOLDFAST_AGENT_CLI_PLATFORM_H_

#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "agent/cli/arguments.h"
#include "agent/cli/output.h"
#include "agent/settings/settings.h"
#include "agent/sync/workspace.h"
#include "config/config.h"
#include "hal/clock.h"
#include "hal/link.h"
#include "hal/random.h"
#include "hal/storage.h"
#include "store/store.h"
#include "transport/transport.h"

namespace holdfast::agent {

inline constexpr const char* kDefaultConfigPath = "/etc/holdfast/holdfast.conf";

struct Library {
  const char* name;  // as in JSON: "sqlite"
  const char* version;
};

class Platform {
 public:
  virtual ~Platform() = default;
  virtual hal::Clock& clock() = 0;
  virtual hal::Random& random() = 0;
  virtual hal::Storage& storage() = 0;
  virtual std::unique_ptr<hal::Link> MakeLink(const config::Config& config) = 0;
  virtual Result<std::unique_ptr<transport::Transport>> MakeTransport(
      const config::Config& config, std::string_view installation_id) = 0;
  virtual const char* version() const = 0;  // of the program
  virtual std::span<const Library> libraries() const = 0;
};

struct Context {
  Platform& platform;
  Output& out;
  std::string config_path = kDefaultConfigPath;
  bool quiet = false;
};

// What most commands begin with: the configuration, and the store with its tables.
class Workplace {
 public:
  explicit Workplace(Context& context) : context_(context) {}

  // Each prints what is wrong and returns the exit code; kDone: go on.
  // `with_server`: the files that the configuration names are checked as well.
  Exit LoadConfig(bool with_server);
  Exit OpenStore();
  Exit DefineTables();
  Exit Open(bool with_server);  // all three

  // nullptr, after saying which tables there are.
  const store::Table* FindTable(std::string_view name) const;
  const config::TableConfig* FindTableConfig(std::string_view name) const;

  const config::Config& config() const { return loaded_.config; }
  store::Store& store() { return *store_; }
  // What a visit to the server needs.
  struct Way {
    std::unique_ptr<transport::Transport> transport;
    std::unique_ptr<Workspace> workspace;
  };
  Result<Way> MakeWay();
  hal::Duration exchange_timeout() const { return ExchangeTimeout(loaded_.config); }
  std::span<const store::Table* const> store_tables() const { return store_->tables(); }

 private:
  Context& context_;
  config::Loaded loaded_;
  std::unique_ptr<store::Store> store_;
};

// Prints "WHAT: error: the store's words" and returns kFailed, or kTryLater for the way to the
// server.
Exit Fail(const char* what, const Error& error, std::string_view why = {});

// The exit code that belongs to an error.
Exit ExitFor(const Error& error);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_PLATFORM_H_
