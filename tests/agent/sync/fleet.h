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
#include <cstddef>
#include <cstdlib>
#include <iterator>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "agent/sync/session.h"
#include "hal/base/prng.h"
#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_link.h"
#include "hal/sim/sim_random.h"
#include "hal/sim/sim_storage.h"
#include "transport/sim/sim_server.h"
#include "transport/sim/sim_transport.h"

namespace holdfast::test {

constexpr int kDevices = 3, kCells = 3;
constexpr const char* kTable = "rows";
constexpr const char* kCellNames[kCells] = {"c0", "c1", "c2"};
// Text, integer, text. All digits of a value are found in any text that shows it.
constexpr ColumnType kCellTypes[kCells] = {ColumnType::kText, ColumnType::kInteger,
                                           ColumnType::kText};
constexpr int kFirstValue = 1'000'000;  // so that all have seven digits; 0 is null

using Cells = std::array<int, kCells>;
using Copy = std::map<std::string, Cells>;  // living rows, by id

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
    std::string row;
    int writer = 0;             // a device; kDevices: somebody else, on the server
    bool acknowledged = false;  // else it may have happened or not
    bool discarded = false;     // by a forced purge
    std::set<int> over;         // what was written over it, knowingly
    std::set<int> unheard;      // of a deletion: inserts of the id that its writer had not heard of
  };

  void Note(int value, Kind kind, const std::string& row, int writer) {
    Entry& entry = entries_[value];
    entry.kind = kind;
    entry.row = row;
    entry.writer = writer;
  }
  void Overwrite(int old, int by) {
    if (old != 0 && old != by) entries_[old].over.insert(by);
  }
  void Unheard(int deletion, int insert) { entries_[deletion].unheard.insert(insert); }
  void Acknowledge(int value) { entries_[value].acknowledged = true; }
  void Discard(int value) { entries_[value].discarded = true; }
  bool Knows(int value) const { return entries_.contains(value); }
  const std::map<int, Entry>& entries() const { return entries_; }

  // Whether something that passes is `value`, or was written over it, or over that ...
  template <typename Test>
  bool Reaches(int value, const Test& passes) const {
    std::set<int> seen;
    std::vector<int> open{value};
    while (!open.empty()) {
      const int next = open.back();
      open.pop_back();
      const auto found = entries_.find(next);
      if (found == entries_.end() || !seen.insert(next).second) continue;
      if (passes(next, found->second)) return true;
      open.insert(open.end(), found->second.over.begin(), found->second.over.end());
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
  std::string row;
  std::string server_row;
};

struct Decided {  // an entry of the log of conflicts
  std::string row;
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
    auto defined = store_->DefineTable({.name = kTable, .columns = columns});
    if (!defined) return false;
    table_ = *defined;
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
  const store::Table& table() const { return *table_; }
  hal::SimClock& clock() { return clock_; }
  hal::SimStorage& storage() { return storage_; }
  hal::SimLink& link() { return link_; }
  transport::SimTransport& transport() { return *transport_; }

  // What the device shows: one row when `id` is given.
  Copy Read(std::string_view id = {}) {
    class Sink : public RowSink {
     public:
      Copy rows;
      Result<void> OnRow(RowView row) override {
        Cells cells{};
        for (std::size_t i = 0; i < kCells; ++i) {
          const Field* field = Find(row, kCellNames[i]);
          cells[i] = field == nullptr ? 0 : ValueOf(field->value);
        }
        rows[std::string(FindText(row, kId))] = cells;
        return Ok();
      }
    } sink;
    store::ReadQuery query;
    query.id = id;
    (void)store_->Read(*table_, query, sink).ok();
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
      const Value value =
          kCellTypes[i] == ColumnType::kText ? Value::Text(texts[i]) : Value::Integer(cells[i]);
      HF_ASSERT(row.Add(kCellNames[i], kCellTypes[i], value).ok());
    }
  }
  bool Put(const std::string& id, const Cells& cells) {
    std::array<std::string, kCells> texts;
    RowFields row;
    HF_ASSERT(row.Add(kId, ColumnType::kText, Value::Text(id)).ok());
    Fill(cells, texts, row);
    store::Id made;
    return store_->Put(*table_, row.view(), made).ok();
  }
  // True only when a row was deleted for certain.
  bool Delete(const std::string& id) {
    auto deleted = store_->Delete(*table_, id);
    return deleted.ok() && *deleted;
  }

  // The rows that have an operation in the queue.
  std::set<std::string> Queued() {
    std::set<std::string> rows;
    store::Operation operation;
    for (std::int64_t after = 0;; after = operation.sequence) {
      auto found = store_->Next(after, ~std::uint64_t{0}, operation);
      if (!found.ok() || !*found) return rows;
      rows.insert(std::string(operation.id.view()));
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
        waiting.row = std::string(record.id);
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
        all.push_back({std::string(record.id), record.operation_kind, std::string(record.local_row),
                       std::string(record.server_row), std::string(record.base_row)});
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
  const store::Table* table_ = nullptr;
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
  for (const auto& [id, row] : server.table(kTable)) {
    if (!row.deleted) copy[id] = CellsOf(row);
  }
  return copy;
}

// Somebody else's write of the columns whose cell is not 0.
inline void PutOnServer(transport::SimServer& server, const std::string& id, const Cells& cells) {
  std::string json = "{\"id\":\"" + id + "\"";
  for (std::size_t i = 0; i < kCells; ++i) {
    if (cells[i] == 0) continue;
    const char* quote = kCellTypes[i] == ColumnType::kText ? "\"" : "";
    json += std::string(",\"") + kCellNames[i] + "\":" + quote + std::to_string(cells[i]) + quote;
  }
  server.Put(kTable, json + "}");
}

// ---------------------------------------------------------------------------------- the programs

enum class Action : std::uint8_t {
  kEdit,      // of the columns in `mask`; inserts a row that is not there
  kEditBack,  // a column gets the value that it had before its last edit
  kDelete,
  kRemoteEdit,  // a deleted row lives again, with its other columns as they were
  kRemoteDelete,
  kPush,
  kPull,
  kFilteredPull,
  kFullPull,
  kResolve,
  kRetryParked,
  kPurge,
  kPurgeAll,
  kWait,
  kStepClock,
};
constexpr const char* kActionNames[] = {"edit",          "edit back", "delete",       "remote edit",
                                        "remote delete", "push",      "pull",         "filter pull",
                                        "full pull",     "resolve",   "retry parked", "purge",
                                        "purge all",     "wait",      "step clock"};

struct Step {
  int number = 0;  // names its values, also when other steps are left out
  Action action = Action::kWait;
  int device = 0;
  std::string row;
  int mask = 1;             // of columns
  std::uint64_t seed = 0;   // of what is random inside the step
  std::uint32_t fault = 0;  // percent of exchanges
  std::uint64_t cut = 0;    // the power goes at this write; 0: it stays
  bool edit_meanwhile = false;
  bool force = false;
};

struct Program {
  std::uint64_t seed = 0;
  transport::SimFlavour flavour = transport::SimFlavour::kHoldfast;
  bool bulk = false;  // kHoldfast: operations travel together
  agent::ConflictPolicy policy;
  int devices = kDevices;
  bool plain_settle = false;  // the end needs no full pull
  std::vector<Step> steps;
};

inline std::string Describe(const Step& step) {
  std::string text = "step " + std::to_string(step.number) + ": " + kActionNames[int(step.action)] +
                     " device " + std::to_string(step.device) + " row " + step.row + " mask " +
                     std::to_string(step.mask);
  if (step.fault > 0) text += " faults " + std::to_string(step.fault) + "%";
  if (step.cut > 0) text += " power cut at write " + std::to_string(step.cut);
  if (step.edit_meanwhile) text += " edit meanwhile";
  if (step.force) text += " force";
  return text;
}

inline std::string Describe(const Program& program) {
  constexpr const char* kFlavourNames[] = {"holdfast", "node", "toolkit"};
  std::string text = "seed " + std::to_string(program.seed) + ", server " +
                     kFlavourNames[int(program.flavour)] + (program.bulk ? " with bulks" : "");
  const agent::ConflictPolicy& policy = program.policy;
  text += ", policy " + std::string(RuleName(policy.rule));
  if (policy.rule == agent::Rule::kMerge) text += "/" + std::string(RuleName(policy.both_changed));
  text += program.plain_settle ? ", settled by plain pulls\n" : ", settled by full pulls\n";
  for (const Step& step : program.steps) text += "  " + Describe(step) + "\n";
  return text;
}

inline Program Generate(std::uint64_t seed) {
  constexpr Action kLikely[] = {
      Action::kEdit,       Action::kEdit,         Action::kEdit,         Action::kEdit,
      Action::kEdit,       Action::kEditBack,     Action::kDelete,       Action::kDelete,
      Action::kRemoteEdit, Action::kRemoteEdit,   Action::kRemoteDelete, Action::kRemoteEdit,
      Action::kPush,       Action::kPush,         Action::kPush,         Action::kPush,
      Action::kPush,       Action::kPull,         Action::kPull,         Action::kPull,
      Action::kPull,       Action::kFilteredPull, Action::kFullPull,     Action::kResolve,
      Action::kResolve,    Action::kResolve,      Action::kRetryParked,  Action::kPurge,
      Action::kPurgeAll,   Action::kWait,         Action::kWait,         Action::kStepClock};
  Prng dice(seed * 0x9E37 + 1);
  Program program;
  program.seed = seed;
  program.flavour = transport::SimFlavour(seed % 3);
  program.bulk = program.flavour == transport::SimFlavour::kHoldfast && seed % 2 == 1;
  constexpr agent::Rule kWhole[] = {agent::Rule::kAsk, agent::Rule::kServer, agent::Rule::kClient,
                                    agent::Rule::kNewest};
  if (dice.Chance(60)) {
    program.policy.rule = agent::Rule(dice.Below(5));
    program.policy.both_changed = kWhole[dice.Below(4)];
  }
  program.plain_settle = dice.Chance(50);
  const bool faults = dice.Chance(70), cuts = dice.Chance(40), purges = dice.Chance(30);
  program.devices = 1 + int(dice.Below(kDevices));
  const std::uint64_t rows = dice.Chance(50) ? 1 : 2 + dice.Below(2), count = 6 + dice.Below(22);
  for (std::uint64_t i = 0; i < count; ++i) {
    Step step;
    step.number = int(i) + 1;
    step.action = kLikely[dice.Below(std::size(kLikely))];
    step.device = int(dice.Below(std::uint64_t(program.devices)));
    step.row = std::string(1, char('a' + dice.Below(rows)));
    step.mask = dice.Chance(70) ? 1 << dice.Below(kCells) : 1 + int(dice.Below(7));
    step.seed = dice.Next();
    if (faults && dice.Chance(50)) step.fault = 30;
    if (cuts && dice.Chance(15)) step.cut = 1 + dice.Below(30);
    step.edit_meanwhile = dice.Chance(15);
    step.force = dice.Chance(60);
    const bool purge = step.action == Action::kPurge || step.action == Action::kPurgeAll;
    if (purge && !purges) step.action = Action::kEdit;
    // A purge of some rows leaves the delta tokens: only a full pull brings these rows back.
    if (step.action == Action::kPurge) program.plain_settle = false;
    program.steps.push_back(step);
  }
  return program;
}

// The ways in which an exchange goes wrong; some of them after the server has done what was asked.
inline transport::SimFault RandomFault(Prng& dice) {
  using transport::SimFault;
  constexpr SimFault::Kind kKinds[] = {SimFault::Kind::kNotSent, SimFault::Kind::kUnanswered,
                                       SimFault::Kind::kTruncated, SimFault::Kind::kDisguised,
                                       SimFault::Kind::kInstead};
  SimFault fault;
  fault.kind = kKinds[dice.Below(std::size(kKinds))];
  fault.bytes = std::size_t(dice.Below(120));
  fault.answer.status = 200;
  fault.answer.is_json = false;
  fault.answer.body = "<html>Please log in</html>";
  if (fault.kind == SimFault::Kind::kInstead) {
    constexpr int kStatus[] = {400, 403, 413, 500};
    fault.answer.status = kStatus[dice.Below(std::size(kStatus))];
    fault.answer.is_json = true;
    fault.answer.body = "{\"error\":\"refused\"}";
  }
  return fault;
}

// Leaves out what the failure does not need, one thing after the other, until nothing can go.
template <typename Fails>
Program Shrink(Program program, const Fails& fails) {
  for (bool shorter = true; shorter;) {
    shorter = false;
    const auto keep_if_failing = [&](const Program& tried) {
      if (!fails(tried)) return false;
      program = tried;
      return shorter = true;
    };
    for (std::size_t i = program.steps.size(); i-- > 0;) {
      Program tried = program;
      tried.steps.erase(tried.steps.begin() + std::ptrdiff_t(i));
      if (keep_if_failing(tried)) continue;
      for (const int what : {0, 1, 2, 3}) {
        tried = program;
        Step& step = tried.steps[i];
        if (what == 0 && step.fault > 0)
          step.fault = 0;
        else if (what == 1 && step.cut > 0)
          step.cut = 0;
        else if (what == 2 && step.edit_meanwhile)
          step.edit_meanwhile = false;
        else if (what == 3 && (step.mask & (step.mask - 1)) != 0)
          step.mask &= step.mask - 1;
        else
          continue;
        keep_if_failing(tried);
      }
    }
    if (program.policy.rule != agent::Rule::kAsk) {
      Program tried = program;
      tried.policy = {};
      keep_if_failing(tried);
    }
  }
  return program;
}

// A number from the environment.
inline long Number(const char* name, long otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::atol(text);
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_AGENT_SYNC_FLEET_H_
