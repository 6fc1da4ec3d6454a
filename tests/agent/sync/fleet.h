// SPDX-License-Identifier: Apache-2.0
// tests/agent/sync/fleet.h - several devices and one server, and a ledger of every value written.
//
// Purpose: what a model test needs that compares a whole fleet with what was promised: all copies
//          equal in the end, and every edit visible, knowingly overwritten, logged or given up.
// Model:   every value that is written is a number that occurs once in a program, so that wherever
//          it turns up it names the edit that made it. Where a value is written over another, the
//          writer's copy showed the other: it was overwritten knowingly. A deletion is such a value
//          too, over all columns of the row. An edit is followed along these steps; it has to end
//          somewhere. What the store does in between is not modelled at all: copies are read.
// Threads: one.
#ifndef HOLDFAST_TESTS_AGENT_SYNC_FLEET_H_
#define HOLDFAST_TESTS_AGENT_SYNC_FLEET_H_

#include <array>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/sync/session.h"
#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_link.h"
#include "hal/sim/sim_random.h"
#include "hal/sim/sim_storage.h"
#include "transport/sim/sim_server.h"
#include "transport/sim/sim_transport.h"

namespace holdfast::test {

constexpr int kDevices = 3, kTables = 2, kCells = 3;
constexpr const char* kTableNames[kTables] = {"first", "second"};
constexpr const char* kCellNames[kCells] = {"c0", "c1", "c2"};
// Text, integer, text. All digits of a value are found in any text that shows it.
constexpr ColumnType kCellTypes[kCells] = {ColumnType::kText, ColumnType::kInteger,
                                           ColumnType::kText};
constexpr int kFirstValue = 1'000'000;  // so that all have seven digits; 0 is null

struct RowKey {
  int table = 0;
  std::string id;
  auto operator<=>(const RowKey&) const = default;
};
using Cells = std::array<int, kCells>;
using Copy = std::map<RowKey, Cells>;  // living rows

inline std::string Show(const RowKey& key) {
  return std::string(kTableNames[key.table]) + "/" + key.id;
}
inline std::string Show(const Cells& cells) {
  std::string text;
  for (const int cell : cells) text += " " + (cell == 0 ? "-" : std::to_string(cell - kFirstValue));
  return text;
}

// ------------------------------------------------------------------------------------ the ledger

class Ledger {
 public:
  enum class Kind : std::uint8_t { kValue, kInsert, kDelete };
  struct Entry {
    Kind kind = Kind::kValue;
    RowKey row;
    int writer = 0;             // a device; kDevices: somebody else, on the server
    bool acknowledged = false;  // else it may have happened or not
    bool discarded = false;     // by a forced purge
    std::set<int> over;         // what was written over it, knowingly
  };

  void Note(int value, Kind kind, const RowKey& row, int writer) {
    Entry& entry = entries_[value];
    entry.kind = kind;
    entry.row = row;
    entry.writer = writer;
  }
  void Overwrite(int old, int by) {
    if (old != 0 && old != by) entries_[old].over.insert(by);
  }
  void Acknowledge(int value) { entries_[value].acknowledged = true; }
  void Discard(int value) { entries_[value].discarded = true; }
  bool Knows(int value) const { return entries_.contains(value); }
  const std::map<int, Entry>& entries() const { return entries_; }

  // Whether something that passes is `value`, or was written over it, or over that ...
  template <typename Test>
  bool Reaches(int value, const Test& passes) const {
    std::set<int> seen;
    std::vector<int> todo{value};
    while (!todo.empty()) {
      const int next = todo.back();
      todo.pop_back();
      const auto found = entries_.find(next);
      if (found == entries_.end() || !seen.insert(next).second) continue;
      if (passes(next, found->second)) return true;
      todo.insert(todo.end(), found->second.over.begin(), found->second.over.end());
    }
    return false;
  }

 private:
  std::map<int, Entry> entries_;
};

// ----------------------------------------------------------------------------------- one device

struct Waiting {  // an entry of __errors
  std::int64_t sequence = 0;
  store::ErrorKind kind = store::ErrorKind::kParked;
  RowKey row;
  std::string server_row;
};

struct Decided {  // an entry of the log of conflicts
  RowKey row;
  store::Kind kind = store::Kind::kInsert;
  std::string local, server, base;
  bool Shows(int value) const {
    const std::string digits = std::to_string(value);
    for (const std::string* text : {&local, &server, &base}) {
      if (text->find(digits) != text->npos) return true;
    }
    return false;
  }
  bool ServerHadNone() const {
    return server.empty() || server.find("\"deleted\":true") != server.npos;
  }
};

inline int TableIndex(std::string_view name) { return name == kTableNames[0] ? 0 : 1; }

class Device {
 public:
  Device(int number, std::uint64_t seed, transport::SimServer& server)
      : number_(number),
        clock_(seed + std::uint64_t(number)),
        storage_({.seed = seed * 8 + std::uint64_t(number), .clock = &clock_}),
        random_(77 + std::uint64_t(number)),
        server_(server) {
    // Making the tables costs more than a short program; each device has its own, made once.
    static std::array<hal::SimImage, kDevices> made;
    hal::SimImage& image = made[std::size_t(number)];
    if (image.empty()) {
      HF_ASSERT(Open());
      store_.reset();
      image = storage_.Image();
    }
    storage_.Restore(image);
    HF_ASSERT(Open());
  }

  bool Open() {
    auto opened = store::Store::Open({.path = "device.db"}, storage_, clock_, random_);
    if (!opened) return false;
    store_ = std::move(opened).value();
    store::Column columns[kCells];
    for (int i = 0; i < kCells; ++i) {
      HF_ASSERT(columns[i].name.Assign(kCellNames[i]).ok());
      columns[i].type = kCellTypes[i];
    }
    for (int i = 0; i < kTables; ++i) {
      auto defined = store_->DefineTable({.name = kTableNames[i], .columns = columns});
      if (!defined) return false;
      tables_[std::size_t(i)] = *defined;
    }
    transport_ = std::make_unique<transport::SimTransport>(server_, clock_);
    return true;
  }

  // A new boot: what the agent had in memory is gone. False: the store does not open.
  bool PowerCycle() {
    if (storage_.powered()) storage_.PowerCut();
    store_.reset();
    storage_.PowerOn();
    storage_.ClearFaults();
    clock_.Reboot();
    return Open();
  }

  int number() const { return number_; }
  store::Store& store() { return *store_; }
  const store::Table& table(int index) const { return *tables_[std::size_t(index)]; }
  hal::SimClock& clock() { return clock_; }
  hal::SimStorage& storage() { return storage_; }
  hal::SimLink& link() { return link_; }
  transport::SimTransport& transport() { return *transport_; }

  // What the device shows: one row when `id` is given.
  Copy Read(int table, std::string_view id = {}) {
    class Sink : public RowSink {
     public:
      Copy rows;
      int table = 0;
      Result<void> OnRow(RowView row) override {
        Cells cells{};
        for (std::size_t i = 0; i < kCells; ++i) {
          const Field* field = Find(row, kCellNames[i]);
          cells[i] = field == nullptr ? 0 : ValueOf(field->value);
        }
        rows[{table, std::string(FindText(row, kId))}] = cells;
        return Ok();
      }
    } sink;
    sink.table = table;
    store::ReadQuery query;
    query.id = id;
    (void)store_->Read(this->table(table), query, sink).ok();
    return std::move(sink.rows);
  }

  static int ValueOf(const Value& value) {
    if (value.type == ValueType::kInteger) return int(value.integer);
    if (value.type == ValueType::kText) return std::atoi(std::string(value.text).c_str());
    return 0;
  }

  // The columns whose cell is not 0. `texts` outlives the call.
  static void Fill(const Cells& cells, std::array<std::string, kCells>& texts, RowFields& row) {
    for (std::size_t i = 0; i < kCells; ++i) {
      if (cells[i] == 0) continue;
      texts[i] = std::to_string(cells[i]);
      const Value value = kCellTypes[i] == ColumnType::kText ? Value::Text(texts[i])
                                                             : Value::Integer(cells[i]);
      HF_ASSERT(row.Add(kCellNames[i], kCellTypes[i], value).ok());
    }
  }
  bool Put(const RowKey& key, const Cells& cells) {
    std::array<std::string, kCells> texts;
    RowFields row;
    HF_ASSERT(row.Add(kId, ColumnType::kText, Value::Text(key.id)).ok());
    Fill(cells, texts, row);
    store::Id made;
    return store_->Put(table(key.table), row.view(), made).ok();
  }
  // True only when a row was deleted for certain.
  bool Delete(const RowKey& key) {
    auto deleted = store_->Delete(table(key.table), key.id);
    return deleted.ok() && *deleted;
  }

  // The rows that have an operation in the queue.
  std::set<RowKey> Queued() {
    std::set<RowKey> rows;
    store::Operation operation;
    for (std::int64_t after = 0;; after = operation.sequence) {
      auto found = store_->Next(after, ~std::uint64_t{0}, operation);
      if (!found.ok() || !*found) return rows;
      rows.insert({operation.table->number(), std::string(operation.id.view())});
    }
  }
  std::vector<Waiting> Errors() {
    class Sink : public store::ErrorSink {
     public:
      std::vector<Waiting> all;
      Result<void> OnError(const store::ErrorRecord& record) override {
        Waiting waiting;
        waiting.sequence = record.sequence;
        waiting.kind = record.kind;
        waiting.row = {TableIndex(record.table), std::string(record.id)};
        if (record.kind == store::ErrorKind::kConflict) waiting.server_row = record.server_words;
        all.push_back(waiting);
        return Ok();
      }
    } sink;
    std::vector<char> room(1 << 14);
    Arena arena(room);
    (void)store_->Errors(arena, sink).ok();
    return std::move(sink.all);
  }
  std::vector<Decided> Log() {
    class Sink : public store::ResolutionSink {
     public:
      std::vector<Decided> all;
      Result<void> OnResolution(const store::ResolutionRecord& record) override {
        all.push_back({{TableIndex(record.table), std::string(record.id)},
                       record.operation_kind,
                       std::string(record.local_row),
                       std::string(record.server_row),
                       std::string(record.base_row)});
        return Ok();
      }
    } sink;
    std::vector<char> room(1 << 14);
    Arena arena(room);
    (void)store_->Resolutions(arena, sink).ok();
    return std::move(sink.all);
  }

 private:
  int number_;
  hal::SimClock clock_;
  hal::SimStorage storage_;
  hal::SimRandom random_;
  hal::SimLink link_;
  transport::SimServer& server_;
  std::unique_ptr<transport::SimTransport> transport_;
  std::unique_ptr<store::Store> store_;
  std::array<const store::Table*, kTables> tables_{};
};

// ------------------------------------------------------------------------------------ the server

inline Cells CellsOf(const transport::SimRow& row) {
  Cells cells{};
  for (std::size_t i = 0; i < kCells; ++i) {
    const transport::SimValue* value = row.Find(kCellNames[i]);
    cells[i] = value == nullptr ? 0 : Device::ValueOf(value->view());
  }
  return cells;
}

inline Copy ReadServer(const transport::SimServer& server) {
  Copy copy;
  for (int table = 0; table < kTables; ++table) {
    for (const auto& [id, row] : server.table(kTableNames[table])) {
      if (!row.deleted) copy[{table, id}] = CellsOf(row);
    }
  }
  return copy;
}

// Somebody else's write of the columns whose cell is not 0.
inline void PutOnServer(transport::SimServer& server, const RowKey& key, const Cells& cells) {
  std::string json = "{\"id\":\"" + key.id + "\"";
  for (std::size_t i = 0; i < kCells; ++i) {
    if (cells[i] == 0) continue;
    const char* quote = kCellTypes[i] == ColumnType::kText ? "\"" : "";
    json += std::string(",\"") + kCellNames[i] + "\":" + quote + std::to_string(cells[i]) + quote;
  }
  server.Put(kTableNames[key.table], json + "}");
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_AGENT_SYNC_FLEET_H_
