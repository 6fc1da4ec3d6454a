// SPDX-License-Identifier: Apache-2.0
#include "tests/conformance/scene.h"

#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "agent/sync/answer.h"
#include "agent/sync/conform.h"
#include "hal/linux/linux_clock.h"
#include "transport/coap/coap.h"
#include "transport/https/https.h"
#include "transport/sim/sim_transport.h"

namespace holdfast::test {
namespace {

const char* Environment(const char* name, const char* otherwise) {
  const char* const value = std::getenv(name);
  return value != nullptr ? value : otherwise;
}

// The servers keep rows of earlier tests, and of earlier runs.
std::string NextPrefix() {
  static int tests = 0;
  static const std::int64_t start = hal::LinuxClock().Wall().unix_ms;
  char text[40];
  std::snprintf(text, sizeof text, "-%llx-%d", static_cast<unsigned long long>(start), ++tests);
  return text;
}

std::string TextOf(const Value& value) {
  switch (value.type) {
    case ValueType::kNull: return "";
    case ValueType::kInteger:
    case ValueType::kBoolean: return std::to_string(value.integer);
    case ValueType::kReal: {
      char text[40];
      std::snprintf(text, sizeof text, "%.15g", value.real);
      return text;
    }
    case ValueType::kText:
    case ValueType::kBlob: return std::string(value.text);
  }
  return "";
}

Row RowOf(RowView fields) {
  Row row;
  for (const Field& field : fields) row[std::string(field.name)] = TextOf(field.value);
  return row;
}

}  // namespace

transport::Status Wiretap::StatusOf(int status) {
  using transport::Status;
  switch (status) {
    case 200: return Status::kOk;
    case 201: return Status::kCreated;
    case 204: return Status::kNoContent;
    case 401: return Status::kUnauthorized;
    case 403: return Status::kForbidden;
    case 404: return Status::kNotFound;
    case 409: return Status::kConflict;
    case 410: return Status::kGone;
    case 412: return Status::kPreconditionFailed;
    case 413: return Status::kTooLarge;
    case 429: return Status::kThrottled;
    case 500: return Status::kServerError;
    case 503: return Status::kUnavailable;
    default: return Status::kBadRequest;
  }
}

// --------------------------------------------------------------------------------------- devices

bool Scene::bulk() const {
  return std::string(Environment("HOLDFAST_CONFORMANCE_BULK", "")) == "1";
}

Device::Device(Scene& scene, const char* name)
    : storage({.seed = std::hash<std::string>()(name), .clock = &scene.clock()}),
      scene_(scene),
      random_(std::hash<std::string>()(scene.S(name))) {
  wire = std::make_unique<Wiretap>(scene.Connect());
  if (!scene.bulk()) options.push_options.bulk_operations = 1;
  CHECK(Open());
}

bool Device::Open() {
  auto opened = store::Store::Open({.path = "device.db"}, storage, scene_.clock(), random_);
  if (!opened) return false;
  store = std::move(opened).value();
  const std::pair<const char*, ColumnType> names[] = {{"sensor", ColumnType::kText},
                                                      {"value", ColumnType::kReal},
                                                      {"quality", ColumnType::kInteger}};
  std::vector<store::Column> columns;
  for (const auto& [column_name, type] : names) {
    columns.emplace_back();
    HF_ASSERT(columns.back().name.Assign(column_name).ok());
    columns.back().type = type;
  }
  auto defined = store->DefineTable({.name = "readings", .columns = columns});
  if (!defined) return false;
  table = *defined;
  return true;
}

void Device::Restart() {
  store.reset();
  CHECK(Open());
}

void Device::PowerCycle() {
  if (storage.powered()) storage.PowerCut();
  store.reset();
  storage.PowerOn();
  storage.ClearFaults();
  CHECK(Open());
}

RowView Device::Parse(const std::string& id, const std::string& columns, Arena& arena,
                      RowFields& raw, RowFields& row) {
  const std::string json = "{\"id\":\"" + id + "\"" + (columns.empty() ? "" : ",") + columns + "}";
  CHECK_TRUE_TEXT(wire::DecodeRow(json, arena, raw).ok(), json.c_str());
  CHECK(agent::ConformRow(*table, raw.view(), arena, row).ok());
  return row.view();
}

bool Device::TryPut(const std::string& id, const std::string& columns) {
  std::vector<char> room(64 << 10);
  Arena arena(room);
  RowFields raw, row;
  store::Id made;
  return store->Put(*table, Parse(id, columns, arena, raw, row), made).ok();
}

void Device::Put(const std::string& id, const std::string& columns) {
  CHECK_TRUE_TEXT(TryPut(id, columns), columns.c_str());
}

bool Device::Delete(const std::string& id) {
  auto deleted = store->Delete(*table, id);
  return deleted.ok() && *deleted;
}

Rows Device::Local() {
  class Sink : public RowSink {
   public:
    Rows rows;
    Result<void> OnRow(RowView row) override {
      rows[std::string(FindText(row, kId))] = RowOf(row);
      return Ok();
    }
  } sink;
  CHECK(store->Read(*table, {}, sink).ok());
  return sink.rows;
}

std::string Device::Get(const std::string& id, const char* column) {
  const Rows rows = Local();
  const auto found = rows.find(id);
  if (found == rows.end()) return "no such row";
  const auto value = found->second.find(column);
  return value == found->second.end() ? "" : value->second;
}

SessionResult Device::Visit(const SessionOptions& wanted, Obey obey) {
  if (obey == Obey::kNothing) (void)store->SetFact(agent::kFactRetryAfter, "");
  agent::Session session(*store, *wire, scene_.clock(), link_, TheWorkspace(), wanted);
  int steps = 0;
  while (!session.Step(hal::Duration::Milliseconds(100))) {
    CHECK_TRUE_TEXT(++steps < 100000, "the session does not end");
  }
  return session.result();
}

SessionResult Device::Push() {
  options.pull_tables = 0;
  options.push = true;
  return Visit(options);
}

agent::PullResult Device::Pull(std::string_view filter, bool full, std::uint32_t page_rows,
                               std::string_view query_id) {
  SessionOptions wanted = options;
  wanted.push = false;
  wanted.pull_tables = 1;
  wanted.pull_options.filter = filter;
  wanted.pull_options.full = full;
  wanted.pull_options.page_rows = page_rows;
  wanted.pull_options.query_id = query_id;
  return Visit(wanted).pulls[0];
}

void Device::Settle() {
  for (int i = 0; i < 3; ++i) {
    CHECK(Push().outcome.ok());
    CHECK(Pull().outcome.ok());
  }
}

std::vector<store::Operation> Device::Operations() {
  std::vector<store::Operation> operations;
  store::Operation operation;
  for (;;) {
    auto found = store->Next(operation.sequence, ~std::uint64_t{0}, operation);
    CHECK(found.ok());
    if (!*found) return operations;
    operations.push_back(operation);
  }
}

std::string Device::Queue() {
  std::string text;
  for (const store::Operation& operation : Operations()) {
    if (!text.empty()) text += ", ";
    text += "IUD"[int(operation.kind)];
    text += " " + scene_.Plain(std::string(operation.id.view())) + " " +
            std::to_string(operation.changes);
  }
  return text;
}

std::vector<Device::Waiting> Device::Errors() {
  class Sink : public store::ErrorSink {
   public:
    std::vector<Waiting> all;
    Result<void> OnError(const store::ErrorRecord& record) override {
      all.push_back({record.sequence, record.kind, record.http_status, std::string(record.id),
                     std::string(record.local_row), std::string(record.base_row),
                     std::string(record.server_words), std::string(record.server_version)});
      return Ok();
    }
  } sink;
  std::vector<char> room(1 << 20);
  Arena arena(room);
  CHECK(store->Errors(arena, sink).ok());
  return sink.all;
}

std::vector<Device::Decided> Device::Log() {
  class Sink : public store::ResolutionSink {
   public:
    std::vector<Decided> all;
    Result<void> OnResolution(const store::ResolutionRecord& record) override {
      all.push_back({std::string(record.rule), std::string(record.local_row),
                     std::string(record.server_row), record.keep});
      return Ok();
    }
  } sink;
  std::vector<char> room(1 << 20);
  Arena arena(room);
  CHECK(store->Resolutions(arena, sink).ok());
  return sink.all;
}

Result<void> Device::Resolve(const Waiting& waiting, Keep keep, const std::string& merged) {
  std::vector<char> room(256 << 10);
  Arena arena(room);
  RowFields raw, server, merged_raw, merged_row;
  if (waiting.kind == store::ErrorKind::kConflict && !waiting.server.empty()) {
    CHECK(wire::DecodeRow(waiting.server, arena, raw, {.keep_nested = true}).ok());
    CHECK(agent::ConformRow(*table, raw.view(), arena, server).ok());
  }
  store::Resolution resolution{.keep = keep, .rule = "person", .server_row = server.view()};
  if (!merged.empty()) {
    resolution.merged = Parse(waiting.id, merged, arena, merged_raw, merged_row);
  }
  return store->Resolve(waiting.sequence, resolution);
}

Result<store::Purged> Device::Purge(const char* filter, bool force) {
  auto parsed = std::make_unique<query::ParsedFilter>();
  query::QueryError problem;
  char room[1024];
  Arena arena(room);
  if (filter != nullptr) CHECK(query::ParseFilter(filter, arena, *parsed, problem).ok());
  return store->Purge(*table, filter == nullptr ? nullptr : parsed.get(), force);
}

// ----------------------------------------------------------------------------------------- scene

struct Scene::Parts {
  std::string name = Environment("HOLDFAST_CONFORMANCE_SERVER", "sim");
  hal::SimClock sim_clock;
  hal::LinuxClock linux_clock;
  std::unique_ptr<transport::SimServer> sim;
  std::unique_ptr<transport::Transport> theirs;

  // One exchange of somebody else.
  agent::Answer answer;
  void Ask(const transport::Request& request) {
    answer.Reset();
    CHECK(theirs->Begin(request, answer).ok());
    while (!answer.done()) theirs->Pump(hal::Duration::Milliseconds(100));
    CHECK_TRUE_TEXT(answer.outcome().ok(), "somebody else cannot reach the server");
  }
};

Scene::Scene() : parts_(std::make_unique<Parts>()), prefix_(NextPrefix()) {
  transport::SimServer::Options sim;
  bool simulated = true;
  if (parts_->name == "sim-node") {
    sim.flavour = transport::SimFlavour::kNode;
  } else if (parts_->name == "sim-toolkit") {
    sim.flavour = transport::SimFlavour::kToolkit;
  } else if (parts_->name == "sim") {
    sim.bulk = bulk();
  } else {
    simulated = false;
  }
  if (simulated) parts_->sim = std::make_unique<transport::SimServer>(parts_->sim_clock, sim);
  parts_->theirs = Connect();
}

Scene::~Scene() {
  // What this test leaves behind on a real server must not be in the next test's pulls.
  if (parts_->sim != nullptr) return;
  for (const auto& [id, row] : Remote()) {
    if (row.at("deleted") != "1") TheyDelete(id);
  }
}

std::unique_ptr<transport::Transport> Scene::Connect() {
  if (parts_->sim != nullptr) {
    auto made = std::make_unique<transport::SimTransport>(*parts_->sim, parts_->sim_clock);
    made->set_wait([this](hal::Duration wait) { parts_->sim_clock.Advance(wait); });
    return made;
  }
  if (parts_->name == "coap") return ConnectCoap();
  transport::HttpsTransport::Options options;
  options.url = Environment("HOLDFAST_CONFORMANCE_URL", "");
  options.ca_file = Environment("HOLDFAST_CONFORMANCE_CA", "");
  options.cert_file = Environment("HOLDFAST_CONFORMANCE_CERT", "");
  options.key_file = Environment("HOLDFAST_CONFORMANCE_KEY", "");
  auto made = transport::HttpsTransport::Create(options, parts_->linux_clock);
  CHECK_TRUE_TEXT(made.ok(), options.url.data());
  return std::move(made).value();
}

std::unique_ptr<transport::Transport> Scene::ConnectCoap() {
  transport::CoapTransport::Options options;
  options.url = Environment("HOLDFAST_CONFORMANCE_URL", "");
  options.psk_identity = Environment("HOLDFAST_CONFORMANCE_IDENTITY", "");
  options.psk_key_file = Environment("HOLDFAST_CONFORMANCE_PSK", "");
  auto made = transport::CoapTransport::Create(options, parts_->linux_clock);
  CHECK_TRUE_TEXT(made.ok(), options.url.data());
  return std::move(made).value();
}

Device& Scene::device(const char* name) {
  auto& device = devices_[name];
  if (device == nullptr) device = std::make_unique<Device>(*this, name);
  return *device;
}

void Scene::TheyPut(const std::string& id, const std::string& columns) {
  Later();
  const std::string body = "{\"id\":\"" + id + "\"," + columns + "}";
  transport::Request request;
  request.table = "readings";
  request.body = body;
  request.method = Method::kInsert;
  parts_->Ask(request);
  if (parts_->answer.status() == transport::Status::kCreated) return;
  LONGS_EQUAL_TEXT(409, parts_->answer.native_status(), "somebody else's insert");
  const auto& server = parts_->theirs->capabilities();
  const bool replaces =
      server.protocol == transport::Capabilities::Protocol::k30 && !server.holdfast;
  if (replaces && simulated() != nullptr) {
    simulated()->Put("readings", body);
    return;
  }
  request.id = id;
  request.method = Method::kUpdate;
  parts_->Ask(request);
  if (parts_->answer.status() == transport::Status::kOk) return;
  transport::Request raise;  // the row is deleted
  raise.table = "readings";
  raise.id = id;
  raise.method = Method::kUndelete;
  parts_->Ask(raise);
  parts_->Ask(request);
  LONGS_EQUAL_TEXT(200, parts_->answer.native_status(), "somebody else's update");
}

void Scene::TheyDelete(const std::string& id) {
  Later();
  transport::Request request;
  request.table = "readings";
  request.id = id;
  request.method = Method::kDelete;
  parts_->Ask(request);
  CHECK(parts_->answer.native_status() < 300);
}

Rows Scene::Remote() {
  class Sink : public RowSink {
   public:
    std::string prefix;
    Rows rows;
    Result<void> OnRow(RowView row) override {
      const std::string id(FindText(row, kId));
      const bool ours = id.size() >= prefix.size() &&
                        id.compare(id.size() - prefix.size(), prefix.size(), prefix) == 0;
      if (ours) rows[id] = RowOf(row);
      return Ok();
    }
  } sink;
  sink.prefix = prefix_;
  std::string after;
  for (;;) {
    transport::Request request;
    request.table = "readings";
    request.list.order_by = "id";
    request.list.after_id = after;
    request.list.top = 50;
    request.list.include_deleted = true;
    parts_->Ask(request);
    if (parts_->answer.status() == transport::Status::kNotFound) return {};  // no table yet
    LONGS_EQUAL(200, parts_->answer.native_status());
    class All : public RowSink {
     public:
      All(RowSink& next, std::string& last) : next_(next), last_(last) {}
      Result<void> OnRow(RowView row) override {
        last_ = FindText(row, kId);
        return next_.OnRow(row);
      }

     private:
      RowSink& next_;
      std::string& last_;
    } all(sink, after);
    std::vector<char> room(1 << 16), memory(1 << 20);
    Arena arena(memory);
    wire::PageReader reader(room, arena, all);
    CHECK(reader.Feed(parts_->answer.body()).ok());
    if (reader.rows() == 0) return sink.rows;
  }
}

std::string Scene::Remote(const std::string& id, const char* column) {
  const Rows rows = Remote();
  const auto found = rows.find(id);
  if (found == rows.end() || found->second.at("deleted") == "1") return "no such row";
  const auto value = found->second.find(column);
  return value == found->second.end() ? "" : value->second;
}

bool Scene::Alive(const std::string& id) { return Remote(id, "deleted") == "0"; }

void Scene::CheckEqual(Device& device) {
  const Rows local = device.Local();
  Rows remote = Remote();
  std::erase_if(remote, [](const auto& row) { return row.second.at("deleted") == "1"; });
  for (const auto& [id, row] : local) {
    CHECK_TRUE_TEXT(remote.count(id) == 1, ("only on the device: " + id).c_str());
    for (const char* column : {"sensor", "value", "quality"}) {
      const auto there = remote[id].find(column);
      STRCMP_EQUAL_TEXT(row.at(column).c_str(),
                        there == remote[id].end() ? "" : there->second.c_str(), id.c_str());
    }
  }
  for (const auto& [id, row] : remote) {
    CHECK_TRUE_TEXT(local.count(id) == 1, ("only on the server: " + id).c_str());
  }
}

void Scene::Later(int seconds) {
  if (parts_->sim != nullptr) parts_->sim_clock.Advance(hal::Duration::Seconds(seconds));
}

hal::Clock& Scene::clock() {
  if (parts_->sim != nullptr) return parts_->sim_clock;
  return parts_->linux_clock;
}

const char* Scene::server() const { return parts_->name.c_str(); }

transport::SimServer* Scene::simulated() { return parts_->sim.get(); }

}  // namespace holdfast::test
