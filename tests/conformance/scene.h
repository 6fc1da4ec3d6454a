// SPDX-License-Identifier: Apache-2.0
// tests/conformance/scene.h - devices, and the server under test.
//
// Purpose: a conformance case reads like the sentence that it proves, and runs against each server:
//          the simulated one in this process, holdfast-server, and Node's azure-mobile-apps. The
//          device is the real store and the real engine; its disk is simulated, so that its power
//          can be cut.
// Owner:   a Scene owns its devices; each test makes one.
// Shapes:  rows are {sensor text, value real, quality integer}; ids are made unique for each test,
// as
//          the real servers keep what earlier tests have left: S("a") is this test's "a".
#ifndef HOLDFAST_TESTS_CONFORMANCE_SCENE_H_
#define HOLDFAST_TESTS_CONFORMANCE_SCENE_H_

#include <CppUTest/TestHarness.h>

#include <map>
#include <memory>
#include <string>
#include <vector>

#include "agent/sync/session.h"
#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_link.h"
#include "hal/sim/sim_random.h"
#include "hal/sim/sim_storage.h"
#include "tests/agent/sync/the_workspace.h"
#include "tests/conformance/wiretap.h"
#include "transport/sim/sim_server.h"

namespace holdfast::test {

using agent::Rule;
using agent::SessionOptions;
using agent::SessionResult;
using store::Keep;
using store::Kind;
using transport::Method;

// Columns by name, as text: "value" -> "2.5", "" for null; with "version" and "deleted" of the
// server's rows.
using Row = std::map<std::string, std::string>;
using Rows = std::map<std::string, Row>;

class Scene;

class Device {
 public:
  Device(Scene& scene, const char* name);

  // Local writes, as any program's. `columns` is JSON without the id: R"("value":2)".
  void Put(const std::string& id, const std::string& columns);
  bool TryPut(const std::string& id, const std::string& columns);
  bool Delete(const std::string& id);
  Rows Local();
  std::string Get(const std::string& id, const char* column);

  // Most cases begin where a server's wish to be left alone is over.
  enum class Obey : std::uint8_t { kNothing, kRetryAfter };
  SessionResult Visit(const SessionOptions& options, Obey obey = Obey::kNothing);
  SessionResult Push();
  agent::PullResult Pull(std::string_view filter = {}, bool full = false,
                         std::uint32_t page_rows = 100, std::string_view query_id = {});
  // Push and pull until nothing moves.
  void Settle();

  // "I a 1, U b 2": kinds, ids (as given to S) and changes, in order.
  std::string Queue();
  std::vector<store::Operation> Operations();
  struct Waiting {
    std::int64_t sequence = 0;
    store::ErrorKind kind = store::ErrorKind::kConflict;
    int status = 0;
    std::string id, local, base, server, version;
  };
  std::vector<Waiting> Errors();
  struct Decided {
    std::string rule, local, server;
    Keep keep = Keep::kLocal;
  };
  std::vector<Decided> Log();
  Result<void> Resolve(const Waiting& waiting, Keep keep, const std::string& merged = {});
  Result<store::Purged> Purge(const char* filter = nullptr, bool force = false);

  void Restart();     // the program ends and begins again
  void PowerCycle();  // and its disk forgets what was not synced

  SessionOptions options;  // for Push() and Pull(): policies, handler, window
  hal::SimStorage storage;
  std::unique_ptr<store::Store> store;
  const store::Table* table = nullptr;
  std::unique_ptr<Wiretap> wire;

 private:
  bool Open();
  RowView Parse(const std::string& id, const std::string& columns, Arena& arena, RowFields& raw,
                RowFields& row);

  Scene& scene_;
  hal::SimRandom random_;
  hal::SimLink link_;
};

class Scene {
 public:
  Scene();
  ~Scene();
  Device& device(const char* name = "one");
  // This test's id of that name.
  std::string S(const std::string& name) const { return name + prefix_; }
  std::string Plain(const std::string& id) const {
    return id.substr(0, id.size() - prefix_.size());
  }

  // Somebody else's writes on the server.
  void TheyPut(const std::string& id, const std::string& columns);
  void TheyDelete(const std::string& id);
  // All rows of this test on the server, deleted ones included.
  Rows Remote();
  std::string Remote(const std::string& id, const char* column);
  bool Alive(const std::string& id);
  // Each living row is the same on both sides.
  void CheckEqual(Device& device);

  void Later(int seconds = 10);  // on the simulated server; elsewhere time passes by itself
  hal::Clock& clock();
  const char* server() const;
  // Whether many operations share a request; what then looks at single ones has nothing to see.
  bool bulk() const;
  std::unique_ptr<transport::Transport> Connect();
  transport::SimServer* simulated();  // nullptr: it is a real one

 private:
  struct Parts;
  std::unique_ptr<transport::Transport> ConnectCoap();

  std::unique_ptr<Parts> parts_;
  std::string prefix_;
  std::map<std::string, std::unique_ptr<Device>> devices_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_CONFORMANCE_SCENE_H_
