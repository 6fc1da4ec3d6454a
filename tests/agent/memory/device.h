// SPDX-License-Identifier: Apache-2.0
// tests/agent/memory/device.h - a device made of the real parts, whose failures are for others to
// judge.
#ifndef HOLDFAST_TESTS_AGENT_MEMORY_DEVICE_H_
#define HOLDFAST_TESTS_AGENT_MEMORY_DEVICE_H_

#include <memory>
#include <string>

#include "agent/sync/session.h"
#include "hal/linux/linux_clock.h"
#include "hal/linux/linux_random.h"
#include "hal/linux/linux_storage.h"
#include "transport/coap/coap.h"
#include "transport/https/https.h"

namespace holdfast::test {

class AlwaysUp final : public hal::Link {
 public:
  hal::LinkStatus Status() override { return {hal::LinkState::kUp, hal::LinkCost::kFree, 1}; }
};

struct Place {
  std::string carrier, url, database;
  std::string ca, cert, key, psk;  // files; a PSK's identity is "dev"
};

// A device and its way to the server; what fails is returned, not looked at.
class Device {
 public:
  Device(const Place& place, std::string table) : place_(place), table_name_(std::move(table)) {}

  Result<void> Open() {
    HF_TRY_ASSIGN(workspace_, agent::Workspace::Create());
    store::Options options;
    options.path = place_.database.c_str();
    HF_TRY_ASSIGN(store_, store::Store::Open(options, storage_, clock_, random_));
    store::Column columns[2];
    HF_TRY(columns[0].name.Assign("words"));
    HF_TRY(columns[1].name.Assign("number"));
    columns[1].type = ColumnType::kInteger;
    store::TableSpec spec;
    spec.name = table_name_;
    spec.columns = columns;
    HF_TRY_ASSIGN(table_, store_->DefineTable(spec));
    return Ok();
  }

  Result<void> Insert(std::string_view id, std::string_view words) {
    RowFields row;
    HF_TRY(row.Add("id", ColumnType::kText, Value::Text(id)));
    HF_TRY(row.Add("words", ColumnType::kText, Value::Text(words)));
    store::Id made;
    return store_->Insert(*table_, row.view(), made);
  }

  Result<void> Sync() {
    if (!transport_) HF_TRY(Connect());
    agent::SessionOptions options;
    options.pull_tables = 1;
    options.push_options.timeout = options.pull_options.timeout = hal::Duration::Seconds(5);
    agent::Session session(*store_, *transport_, clock_, link_, *workspace_, options);
    while (!session.Step(hal::Duration::Milliseconds(100))) {
    }
    const agent::SessionResult& result = session.result();
    if (result.outcome && result.push.conflicts + result.push.parked > 0) {
      return Error{Code::kConflict, Origin::kNone, 0, "rows wait for somebody"};
    }
    return result.outcome;
  }

  Result<void> Read(RowSink& sink, std::string_view order_by = {}) {
    store::ReadQuery query;
    query.order_by = order_by;
    return store_->Read(*table_, query, sink);
  }

  store::Store& store() { return *store_; }
  Result<std::uint64_t> Operations() {
    HF_TRY_ASSIGN(const store::QueueStats stats, store_->Stats());
    return stats.operations;
  }

 private:
  Result<void> Connect() {
    if (place_.carrier == "https") {
      transport::HttpsTransport::Options options;
      options.url = place_.url;
      options.ca_file = place_.ca;
      options.cert_file = place_.cert;
      options.key_file = place_.key;
      HF_TRY_ASSIGN(transport_, transport::HttpsTransport::Create(options, clock_));
      return Ok();
    }
    transport::CoapTransport::Options options;
    options.url = place_.url;
    options.psk_identity = "dev";
    options.psk_key_file = place_.psk;
    options.ack_timeout = hal::Duration::Milliseconds(50);
    options.stall_timeout = options.connect_timeout = hal::Duration::Seconds(2);
    HF_TRY_ASSIGN(transport_, transport::CoapTransport::Create(options, clock_));
    return Ok();
  }

  Place place_;
  std::string table_name_;
  hal::LinuxClock clock_;
  hal::LinuxRandom random_;
  hal::LinuxStorage storage_;
  AlwaysUp link_;
  std::unique_ptr<agent::Workspace> workspace_;
  std::unique_ptr<store::Store> store_;
  const store::Table* table_ = nullptr;
  std::unique_ptr<transport::Transport> transport_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_AGENT_MEMORY_DEVICE_H_
