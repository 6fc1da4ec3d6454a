// SPDX-License-Identifier: Apache-2.0
// tests/agent/sync/world.h - one device and one server in one process, on simulated hardware.
//
// Purpose: the real store and the real engine against the simulated disk, clock, link and server:
//          faults at any call, in no time, the same each time.
#ifndef HOLDFAST_TESTS_AGENT_SYNC_WORLD_H_
#define HOLDFAST_TESTS_AGENT_SYNC_WORLD_H_

#include <CppUTest/TestHarness.h>

#include <map>
#include <memory>
#include <string>

#include "agent/sync/session.h"
#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_link.h"
#include "hal/sim/sim_random.h"
#include "hal/sim/sim_storage.h"
#include "tests/agent/sync/the_workspace.h"
#include "transport/sim/sim_server.h"
#include "transport/sim/sim_transport.h"

namespace holdfast::test {

using transport::SimAnswer;
using transport::SimFault;
using transport::SimFlavour;

class World {
 public:
  explicit World(SimFlavour flavour = SimFlavour::kHoldfast)
      : World(transport::SimServer::Options{.flavour = flavour}) {}
  explicit World(const transport::SimServer::Options& options)
      : storage({.clock = &clock}), server(clock, options), transport(server, clock) {
    transport.set_wait([this](hal::Duration wait) { clock.Advance(wait); });
    OpenStore();
  }

  // False when the disk refuses.
  bool OpenStore() {
    auto opened = store::Store::Open({.path = "device.db"}, storage, clock, random);
    if (!opened) return false;
    store = std::move(opened).value();
    store::Column columns[2];
    HF_ASSERT(columns[0].name.Assign("sensor").ok());
    HF_ASSERT(columns[1].name.Assign("value").ok());
    columns[0].type = ColumnType::kText;
    columns[1].type = ColumnType::kReal;
    auto defined = store->DefineTable({.name = "readings", .columns = columns});
    if (!defined) return false;
    table = *defined;
    return true;
  }

  void PowerCycle() {
    if (storage.powered()) storage.PowerCut();
    store.reset();
    storage.PowerOn();
    storage.ClearFaults();
    CHECK_TRUE_TEXT(OpenStore(), "the store does not open after a power cut");
  }

  bool Put(const char* id, double value, const char* sensor = "t") {
    RowFields row;
    HF_ASSERT(row.Add("id", ColumnType::kText, Value::Text(id)).ok());
    HF_ASSERT(row.Add("sensor", ColumnType::kText, Value::Text(sensor)).ok());
    HF_ASSERT(row.Add("value", ColumnType::kReal, Value::Real(value)).ok());
    store::Id made;
    return store->Put(*table, row.view(), made).ok();
  }
  bool Delete(const char* id) {
    auto deleted = store->Delete(*table, id);
    return deleted.ok() && *deleted;
  }

  agent::SessionResult Visit(const agent::SessionOptions& options) {
    agent::Session session(*store, transport, clock, link, TheWorkspace(), options);
    int steps = 0;
    while (!session.Step(hal::Duration::Milliseconds(100))) {
      CHECK_TRUE_TEXT(++steps < 200000, "the session does not end");
    }
    return session.result();
  }
  agent::SessionResult PushOnce(std::size_t window = limits::kPushWindowRows) {
    agent::SessionOptions options;
    options.push_options.window_rows = window;
    return Visit(options);
  }
  agent::PullResult PullOnce(std::uint32_t page_rows = 100) {
    agent::SessionOptions options;
    options.push = false;
    options.pull_tables = 1;
    options.pull_options.page_rows = page_rows;
    return Visit(options).pulls[0];
  }
  // The disk may refuse; then the next visit makes no request.
  void ForgetRetryAfter() { (void)store->SetFact(agent::kFactRetryAfter, "").ok(); }

  std::uint64_t Operations() {
    auto stats = store->Stats();
    CHECK(stats.ok());
    return stats->operations;
  }

  // id -> "sensor value" of every living row.
  using Rows = std::map<std::string, std::string>;
  Rows Local() {
    class Sink : public RowSink {
     public:
      Rows rows;
      Result<void> OnRow(RowView row) override {
        const Field* value = Find(row, "value");
        rows[std::string(FindText(row, "id"))] =
            Text(FindText(row, "sensor"), value->value.is_null() ? 0 : Number(value->value));
        return Ok();
      }
    } sink;
    CHECK(store->Read(*table, {}, sink).ok());
    return sink.rows;
  }
  Rows Remote() {
    Rows rows;
    for (const auto& [id, row] : server.table("readings")) {
      if (row.deleted) continue;
      const auto* sensor = row.Find("sensor");
      const auto* value = row.Find("value");
      rows[id] =
          Text(sensor == nullptr ? "" : sensor->text,
               value == nullptr || value->type == ValueType::kNull ? 0 : Number(value->view()));
    }
    return rows;
  }
  void CheckEqual(const char* when) {
    const Rows local = Local(), remote = Remote();
    for (const auto& [id, text] : local) {
      const auto found = remote.find(id);
      STRCMP_EQUAL_TEXT(text.c_str(), found == remote.end() ? "missing" : found->second.c_str(),
                        when);
    }
    LONGS_EQUAL_TEXT(long(local.size()), long(remote.size()), when);
  }
  // No insert of ours was applied twice.
  void CheckInsertedOnce(const char* when) {
    for (const auto& [id, row] : server.table("readings")) {
      CHECK_TRUE_TEXT(row.inserts <= 1, (std::string(when) + ": inserted twice: " + id).c_str());
    }
  }

  hal::SimClock clock;
  hal::SimStorage storage;
  hal::SimRandom random;
  hal::SimLink link;
  transport::SimServer server;
  transport::SimTransport transport;
  std::unique_ptr<store::Store> store;
  const store::Table* table = nullptr;

 private:
  static double Number(const Value& value) {
    return value.type == ValueType::kReal ? value.real : double(value.integer);
  }
  static std::string Text(std::string_view sensor, double value) {
    return std::string(sensor) + " " + std::to_string(value);
  }
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_AGENT_SYNC_WORLD_H_
