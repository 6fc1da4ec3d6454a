// SPDX-License-Identifier: Apache-2.0
// Random programs on three devices and a server: edits on all sides, faults, power cuts, conflicts
// that are settled in every way, purges. In the end all copies are equal, and no edit is lost.
//
// HOLDFAST_FLEET_SEED=N runs one program and tells what happens; HOLDFAST_FLEET_PROGRAMS=N runs the
// first N.
#include "tests/agent/sync/fleet.h"

#include <CppUTest/TestHarness.h>

#include <algorithm>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <tuple>

#include "hal/base/prng.h"
#include "hal/base/query.h"
#include "tests/agent/sync/the_workspace.h"
#include "transport/wire.h"

namespace holdfast::test {
namespace {

using store::Keep;
using transport::Method;
using transport::SimFault;
using transport::SimFlavour;

#if defined(__SANITIZE_ADDRESS__)
constexpr int kPrograms = 600;
#else
constexpr int kPrograms = 10'000;
#endif
constexpr int kRoundsMax = 40;  // until everything is settled
// The simulated server shows only columns that somebody has written; what a server does not show is
// left alone on a device. Servers with a schema show nulls. So rows begin with all columns here.
constexpr bool kSparseRows = false;

// ------------------------------------------------------------------------------------ one run

class Run {
 public:
  Run(const Program& program, bool verbose)
      : program_(program),
        verbose_(verbose),
        server_(clock_, {.flavour = program.flavour, .page_rows = 3, .bulk = program.bulk}) {
    for (int i = 0; i < program.devices; ++i) {
      devices_.push_back(std::make_unique<Device>(i, program.seed, server_));
      Connect(*devices_.back());
    }
  }

  // What went wrong; empty: nothing.
  std::string Go() {
    for (const Step& step : program_.steps) {
      Do(step);
      if (!failure_.empty()) return failure_;
    }
    Settle();
    if (failure_.empty()) CheckEqual();
    if (failure_.empty()) CheckAccounts();
    return failure_;
  }

 private:
  void Fail(const std::string& why) {
    if (failure_.empty()) failure_ = why;
    Say("FAILED: %s", why.c_str());
  }
  __attribute__((format(printf, 2, 3))) void Say(const char* format, ...) const {
    if (!verbose_) return;
    va_list arguments;
    va_start(arguments, format);
    std::vprintf(format, arguments);
    va_end(arguments);
    std::putchar('\n');
  }
  void Advance(hal::Duration time) {
    clock_.Advance(time);
    for (auto& device : devices_) device->clock().Advance(time);
  }
  void Connect(Device& device) {
    device.transport().set_wait([this](hal::Duration wait) { Advance(wait); });
    device.transport().set_fault_source(
        [this, &device](const transport::Request& request) { return OnRequest(device, request); });
  }
  int ValueOf(int place) const { return kFirstValue + step_.number * 10 + place; }

  // ---- edits, and what they overwrote

  bool Edit(Device& device, const std::string& row, int mask, int place, bool back) {
    const Copy before = device.Read(row);
    const bool there = before.contains(row);
    if (!there && !kSparseRows) mask = 7;
    const Cells old = there ? before.at(row) : Cells{};
    Cells cells{};
    for (int i = 0; i < kCells; ++i) {
      if ((mask >> i & 1) == 0) continue;
      int& cell = cells[std::size_t(i)];
      cell = ValueOf(place + i);
      if (!back) continue;
      const auto previous = previous_.find({device.number(), row, i});
      if (!there || previous == previous_.end() || previous->second == 0) return true;
      cell = previous->second;
    }
    if (there) {
      for (std::size_t i = 0; i < kCells; ++i) {
        if (cells[i] == 0) continue;
        if (!back) ledger_.Note(cells[i], Ledger::Kind::kValue, row, device.number());
        ledger_.Overwrite(old[i], cells[i]);
      }
    } else {
      NoteInsert(row, cells, place, device.number());
    }
    const bool done = device.Put(row, cells);
    Say("    device %d %s: %s%s ->%s%s", device.number(), there ? "updates" : "inserts",
        row.c_str(), Show(old).c_str(), Show(cells).c_str(), done ? "" : " (refused)");
    if (!done) return false;
    blocked_.erase({device.number(), row});
    for (std::size_t i = 0; i < kCells; ++i) {
      if (cells[i] == 0) continue;
      if (!back) ledger_.Acknowledge(cells[i]);
      previous_[{device.number(), row, int(i)}] = old[i];
    }
    return true;
  }

  void NoteInsert(const std::string& row, const Cells& cells, int place, int writer) {
    const int insert = ValueOf(place + 3) + 3;
    ledger_.Note(insert, Ledger::Kind::kInsert, row, writer);
    inserts_[row].push_back(insert);
    for (const int cell : cells) {
      if (cell == 0) continue;
      ledger_.Note(cell, Ledger::Kind::kValue, row, writer);
      ledger_.Overwrite(insert, cell);
      for (const int deletion : deletes_[row]) {
        if (ledger_.entries().at(deletion).writer == writer) ledger_.Overwrite(deletion, cell);
      }
    }
  }

  bool Delete(Device& device, const std::string& row, int place) {
    const Copy before = device.Read(row);
    if (!before.contains(row)) return true;
    const int deletion = ValueOf(place);
    NoteDelete(row, before.at(row), deletion, device.number());
    const bool done = device.Delete(row);
    Say("    device %d deletes %s%s%s", device.number(), row.c_str(), Show(before.at(row)).c_str(),
        done ? "" : " (refused)");
    if (!done) return false;
    blocked_.erase({device.number(), row});
    ledger_.Acknowledge(deletion);
    return true;
  }
  void NoteDelete(const std::string& row, const Cells& cells, int deletion, int writer) {
    ledger_.Note(deletion, Ledger::Kind::kDelete, row, writer);
    deletes_[row].push_back(deletion);
    for (const int cell : cells) ledger_.Overwrite(cell, deletion);
    for (const int insert : inserts_[row]) {
      const auto is_this = [&](int value, const Ledger::Entry&) { return value == deletion; };
      if (!ledger_.Reaches(insert, is_this)) ledger_.Unheard(deletion, insert);
    }
  }

  void RemoteEdit(const std::string& row, int mask, int place) {
    const transport::SimRow* there = server_.Find(kTable, row);
    const Cells old = there == nullptr ? Cells{} : CellsOf(*there);
    if (there == nullptr && !kSparseRows) mask = 7;
    Cells cells{};
    for (int i = 0; i < kCells; ++i) {
      if ((mask >> i & 1) != 0) cells[std::size_t(i)] = ValueOf(place + i);
    }
    if (there == nullptr || there->deleted) {
      NoteInsert(row, cells, place, kDevices);
      OverwriteDeletions(row, cells);
    }
    for (std::size_t i = 0; i < kCells; ++i) {
      if (cells[i] == 0) continue;
      ledger_.Note(cells[i], Ledger::Kind::kValue, row, kDevices);
      ledger_.Overwrite(old[i], cells[i]);
      ledger_.Acknowledge(cells[i]);
    }
    PutOnServer(server_, row, cells);
    Say("    on the server: %s%s ->%s", row.c_str(), Show(old).c_str(), Show(cells).c_str());
  }
  void OverwriteDeletions(const std::string& row, const Cells& cells) {
    for (const int deletion : deletes_[row]) {
      for (const int cell : cells) {
        if (cell != 0) ledger_.Overwrite(deletion, cell);
      }
    }
  }
  void RemoteDelete(const std::string& row, int place) {
    const transport::SimRow* there = server_.Find(kTable, row);
    if (there == nullptr || there->deleted) return;
    const int deletion = ValueOf(place);
    NoteDelete(row, CellsOf(*there), deletion, kDevices);
    ledger_.Acknowledge(deletion);
    server_.Delete(kTable, row);
    Say("    on the server: %s deleted", row.c_str());
  }

  // ---- exchanges

  SimFault OnRequest(Device& device, const transport::Request& request) {
    CheckWatched();
    const int dice_fault = int(dice_.Below(100));
    if (step_.edit_meanwhile && dice_.Chance(25)) {
      step_.edit_meanwhile = false;
      if (dice_.Chance(40)) {
        RemoteEdit(step_.row, step_.mask, 0);
      } else if (dice_.Chance(30)) {
        (void)Delete(device, step_.row, 3);
      } else {
        (void)Edit(device, step_.row, step_.mask, 0, false);
      }
    }
    SimFault fault;
    if (dice_fault < int(step_.fault)) fault = RandomFault(dice_);
    const bool write = request.method != Method::kList && request.method != Method::kLookup;
    const std::string row(request.id);
    Say("      device %d: method %d %s if-match '%s' %s, fault %d/%d", device.number(),
        int(request.method), row.c_str(), std::string(request.if_match).c_str(),
        std::string(request.body).c_str(), int(fault.kind), fault.answer.status);
    if (!write) return fault;
    if (blocked_.contains({device.number(), row})) {
      Fail("a request for " + row + ", which waits for a decision on device " +
           std::to_string(device.number()));
    }
    const transport::SimRow* there = server_.Find(request.table, request.id);
    watched_ = there != nullptr && !there->deleted;
    if (watched_) {
      watched_row_ = row;
      watched_cells_ = CellsOf(*there);
      watched_device_ = device.number();
    }
    return fault;
  }

  // What a device's write has just taken from the server had been seen by somebody who wrote over
  // it, or it is in a log.
  void CheckWatched() {
    // Without power its log cannot be read; it is looked at after the reboot.
    if (!devices_[std::size_t(watched_device_)]->storage().powered()) return;
    if (!std::exchange(watched_, false)) return;
    const transport::SimRow* row = server_.Find(kTable, watched_row_);
    const Cells now = row->deleted ? Cells{} : CellsOf(*row);
    for (std::size_t i = 0; i < kCells; ++i) {
      const int old = watched_cells_[i];
      if (old == 0 || old == now[i]) continue;
      const bool known = ledger_.Reaches(old, [&](int value, const Ledger::Entry& entry) {
        return value == now[i] || entry.discarded || entry.kind == Ledger::Kind::kDelete;
      });
      if (known || InLog(old)) continue;
      Fail("device " + std::to_string(watched_device_) + " has overwritten " +
           std::to_string(old - kFirstValue) + " of " + watched_row_ +
           " on the server without having seen or logged it");
    }
    for (const auto& [id, other] : server_.table(kTable)) {
      if (other.inserts > 1) Fail(watched_row_ + " was inserted twice");
    }
  }
  bool InLog(int value) {
    for (auto& device : devices_) {
      for (const Decided& decided : device->Log()) {
        if (decided.Shows(value)) return true;
      }
    }
    return false;
  }

  agent::SessionResult Visit(Device& device, const agent::SessionOptions& options) {
    (void)device.store().SetFact(agent::kFactRetryAfter, "").ok();
    for (const Waiting& waiting : device.Errors()) {
      if (waiting.kind == store::ErrorKind::kParked && options.retry_parked) continue;
      blocked_.insert({device.number(), waiting.row});
    }
    agent::Session session(device.store(), device.transport(), device.clock(), device.link(),
                           TheWorkspace(), options);
    int steps = 0;
    while (!session.Step(hal::Duration::Milliseconds(100))) {
      if (++steps < 50'000) continue;
      Fail("the session does not end");
      break;
    }
    CheckWatched();
    blocked_.clear();
    const agent::SessionResult& result = session.result();
    Say("    device %d: %s, pushed %d recognised %d conflicts %d parked %d resolved %d, %d left",
        device.number(), result.outcome.ok() ? "ok" : result.outcome.error().what,
        int(result.push.pushed), int(result.push.recognised), int(result.push.conflicts),
        int(result.push.parked), int(result.push.resolved), int(result.remaining));
    return result;
  }
  agent::SessionResult Push(Device& device, bool retry_parked) {
    agent::SessionOptions options;
    options.retry_parked = retry_parked;
    options.push_options.window_rows = 1 + std::size_t(dice_.Below(4));
    options.push_options.policies[0] = program_.policy;
    return Visit(device, options);
  }
  agent::SessionResult Pull(Device& device, bool full, const std::string& filter) {
    agent::SessionOptions options;
    options.push = false;
    options.pull_tables = 1;
    options.pull_options.full = full;
    options.pull_options.page_rows = 2 + std::uint32_t(dice_.Below(3));
    if (!filter.empty()) options.pull_options.query_id = "some";
    options.pull_options.filter = filter;
    return Visit(device, options);
  }

  // ---- people

  // Settles the entry that `pick` chooses. False: nothing waits.
  bool Resolve(Device& device, std::uint64_t pick, bool may_fail) {
    const std::vector<Waiting> errors = device.Errors();
    if (errors.empty()) return false;
    const Waiting& waiting = errors[pick % errors.size()];
    const bool parked = waiting.kind == store::ErrorKind::kParked;
    constexpr Keep kWays[] = {Keep::kLocal, Keep::kMerged, Keep::kNeither, Keep::kServer};
    store::Resolution resolution;
    resolution.rule = "person";
    resolution.keep = kWays[dice_.Below(parked ? 3 : 4)];
    std::vector<char> room(1 << 13);
    Arena arena(room);
    RowFields server_row, merged;
    if (!waiting.server_row.empty()) {
      HF_ASSERT(wire::DecodeRow(waiting.server_row, arena, server_row).ok());
    }
    resolution.server_row = server_row.view();
    const Copy local = device.Read(waiting.row);
    const Cells ours = local.contains(waiting.row) ? local.at(waiting.row) : Cells{};
    Cells cells{};
    std::array<std::string, kCells> texts;
    if (resolution.keep == Keep::kMerged) {
      for (std::size_t i = 0; i < kCells; ++i) {
        if (!dice_.Chance(60)) continue;
        cells[i] = ours[i];
        if (ours[i] != 0 && dice_.Chance(50)) continue;
        cells[i] = ValueOf(int(i));
        ledger_.Note(cells[i], Ledger::Kind::kValue, waiting.row, device.number());
        ledger_.Overwrite(ours[i], cells[i]);
        if (const Field* theirs = Find(server_row.view(), kCellNames[i])) {
          ledger_.Overwrite(Device::ValueOf(theirs->value), cells[i]);
        }
      }
      Device::Fill(cells, texts, merged);
      resolution.merged = merged.view();
    }
    const auto done = device.store().Resolve(waiting.sequence, resolution);
    Say("    device %d resolves %s (%s): keep %d, local%s, server %s, merged%s: %s",
        device.number(), waiting.row.c_str(), parked ? "parked" : "conflict", int(resolution.keep),
        Show(ours).c_str(), waiting.server_row.c_str(), Show(cells).c_str(),
        done.ok() ? "ok" : done.error().what);
    if (done.ok()) {
      for (const int cell : cells) {
        if (cell >= ValueOf(0)) ledger_.Acknowledge(cell);
      }
    } else if (!may_fail && done.error().code != Code::kBusy) {
      Fail("a conflict cannot be settled: " + std::string(done.error().what));
    }
    return true;
  }

  void Purge(Device& device, const std::string& row, bool all, bool force) {
    std::set<std::string> queued = device.Queued();
    const Copy copy = device.Read();
    std::vector<char> room(1 << 12);
    Arena arena(room);
    query::ParsedFilter filter;
    query::QueryError problem;
    const std::string text = "id eq '" + row + "'";
    HF_ASSERT(query::ParseFilter(text, arena, filter, problem).ok());
    auto purged = device.store().Purge(device.table(), all ? nullptr : &filter, force);
    Say("    device %d purges: %d rows, %d operations", device.number(),
        purged.ok() ? int(purged->rows) : -1, purged.ok() ? int(purged->operations) : -1);
    if (!force) return;
    for (const std::string& key : queued) {
      if (!all && key != row) continue;
      for (const auto& [value, entry] : ledger_.entries()) {
        if (entry.row != key || entry.writer != device.number()) continue;
        // Of a row that is here, what it shows; of one that is not, its deletion.
        const auto shown = copy.find(key);
        const bool here = shown != copy.end();
        const bool visible = here && std::find(shown->second.begin(), shown->second.end(), value) !=
                                         shown->second.end();
        const bool deletion = entry.kind == Ledger::Kind::kDelete && (all || here);
        if (visible || deletion) ledger_.Discard(value);
      }
    }
  }

  // ---- the program

  void Do(const Step& step) {
    step_ = step;
    dice_ = Prng(step.seed);
    Say("%s", Describe(step).c_str());
    Device& device = *devices_[std::size_t(step.device)];
    if (step.cut > 0) {
      device.storage().Inject({.effect = hal::SimEffect::kPowerCut, .at = step.cut});
    }
    const std::string filter = "c1 ge " + std::to_string(kFirstValue + dice_.Below(300));
    switch (step.action) {
      case Action::kEdit: (void)Edit(device, step.row, step.mask, 0, false); break;
      case Action::kEditBack: (void)Edit(device, step.row, step.mask, 0, true); break;
      case Action::kDelete: (void)Delete(device, step.row, 0); break;
      case Action::kRemoteEdit: RemoteEdit(step.row, step.mask, 0); break;
      case Action::kRemoteDelete: RemoteDelete(step.row, 0); break;
      case Action::kPush: Push(device, false); break;
      case Action::kRetryParked: Push(device, true); break;
      case Action::kPull: Pull(device, false, ""); break;
      case Action::kFilteredPull: Pull(device, step.force, filter); break;
      case Action::kFullPull: Pull(device, true, ""); break;
      case Action::kResolve: Resolve(device, dice_.Next(), step.cut > 0); break;
      case Action::kPurge: Purge(device, step.row, false, step.force); break;
      case Action::kPurgeAll: Purge(device, step.row, true, step.force); break;
      case Action::kWait:
        Advance(hal::Duration::Milliseconds(std::int64_t(dice_.Below(20'000))));
        break;
      case Action::kStepClock:
        device.clock().StepWall(hal::Duration::Seconds(std::int64_t(dice_.Below(61)) - 30));
        break;
    }
    if (step.cut > 0) PowerCycle(device);
    Advance(hal::Duration::Milliseconds(std::int64_t(dice_.Below(700))));
  }
  void PowerCycle(Device& device) {
    Say("    device %d: the power goes", device.number());
    if (!device.PowerCycle()) Fail("the store does not open after a power cut");
    Connect(device);
    CheckWatched();
  }

  // Pushes, decides and pulls until nothing moves any more.
  void Settle() {
    int number = 1000;
    for (int round = 0; round < kRoundsMax; ++round) {
      Say("settling, round %d", round + 1);
      const std::uint64_t writes = server_.writes();
      bool quiet = true;
      for (auto& device : devices_) {
        step_ = {};
        step_.number = ++number;
        dice_ = Prng(program_.seed * 1000 + std::uint64_t(number));
        const auto pushed = Push(*device, true);
        while (failure_.empty() && !device->Errors().empty()) {
          step_.number = ++number;
          const std::size_t waiting = device->Errors().size();
          Resolve(*device, 0, false);
          quiet = false;
          if (device->Errors().size() >= waiting && round > kRoundsMax / 2) break;
          if (number % 100 == 99) break;
        }
        number += 100 - number % 100;
        const auto pulled = Pull(*device, !program_.plain_settle, "");
        if (!pushed.outcome.ok()) return Fail("a push without faults: " + Words(pushed.outcome));
        if (!pulled.outcome.ok()) return Fail("a pull without faults: " + Words(pulled.outcome));
        if (!failure_.empty()) return;
        quiet = quiet && device->Queued().empty();
        Advance(hal::Duration::Milliseconds(500));
      }
      if (quiet && server_.writes() == writes) return;
    }
    Fail("it does not come to rest");
  }
  static std::string Words(const Result<void>& outcome) { return outcome.error().what; }

  // ---- what must hold in the end

  void CheckEqual() {
    const Copy server = ReadServer(server_);
    for (auto& device : devices_) {
      const std::string name = "device " + std::to_string(device->number());
      Copy local = device->Read();
      for (const auto& [row, cells] : server) {
        if (!local.contains(row)) return Fail(name + " does not have " + row);
        if (local[row] != cells) {
          return Fail(name + " has" + Show(local[row]) + " in " + row + ", the server" +
                      Show(cells));
        }
      }
      for (const auto& [row, cells] : local) {
        if (!server.contains(row)) return Fail(name + " has " + row + ", the server not");
      }
    }
  }

  void CheckAccounts() {
    const Copy final = ReadServer(server_);
    std::vector<std::vector<Decided>> logs;
    for (auto& device : devices_) logs.push_back(device->Log());
    const auto deletion_stands = [&](int deletion, const Ledger::Entry& entry) {
      if (!final.contains(entry.row) || entry.discarded) return true;
      for (const auto& log : logs) {
        for (const Decided& decided : log) {
          if (decided.row != entry.row) continue;
          if (decided.kind == store::Kind::kDelete || decided.ServerHadNone()) return true;
        }
      }
      // Whoever inserts an id wants it to live, whatever was deleted under it elsewhere.
      for (const int insert : inserts_[entry.row]) {
        if (insert > deletion || entry.unheard.contains(insert)) return true;
      }
      return false;
    };
    const auto accounted = [&](int value, const Ledger::Entry& entry) {
      if (entry.kind == Ledger::Kind::kDelete) return deletion_stands(value, entry);
      if (entry.kind == Ledger::Kind::kInsert) return false;
      if (entry.discarded) return true;
      const auto row = final.find(entry.row);
      if (row != final.end() &&
          std::find(row->second.begin(), row->second.end(), value) != row->second.end()) {
        return true;
      }
      for (const auto& log : logs) {
        for (const Decided& decided : log) {
          if (decided.Shows(value)) return true;
        }
      }
      return false;
    };
    for (const auto& [value, entry] : ledger_.entries()) {
      if (!entry.acknowledged || ledger_.Reaches(value, accounted)) continue;
      return Fail(
          std::string(entry.kind == Ledger::Kind::kDelete ? "the deletion " : "the value ") +
          std::to_string(value - kFirstValue) + " of " + entry.row + ", made by " +
          (entry.writer == kDevices ? std::string("others")
                                    : "device " + std::to_string(entry.writer)) +
          ", is LOST");
    }
  }

  const Program& program_;
  bool verbose_;
  std::string failure_;
  hal::SimClock clock_;  // of the server
  transport::SimServer server_;
  std::vector<std::unique_ptr<Device>> devices_;
  Ledger ledger_;
  std::map<std::string, std::vector<int>> inserts_, deletes_;
  std::map<std::tuple<int, std::string, int>, int> previous_;  // of device, row, column
  std::set<std::pair<int, std::string>> blocked_;              // rows that wait for a decision
  Step step_;
  Prng dice_{1};

  bool watched_ = false;
  std::string watched_row_;
  Cells watched_cells_{};
  int watched_device_ = 0;
};

std::string RunOnce(const Program& program, bool verbose = false) {
  return std::make_unique<Run>(program, verbose)->Go();
}

void RunSeed(std::uint64_t seed, bool verbose) {
  const Program program = Generate(seed);
  const std::string failure = RunOnce(program);
  if (failure.empty()) {
    if (verbose) RunOnce(program, true);
    return;
  }
  const Program shortest =
      Shrink(program, [](const Program& tried) { return !RunOnce(tried).empty(); });
  std::printf("\n%s\n%s\nthe shortest that fails:\n", failure.c_str(), Describe(program).c_str());
  std::printf("%s", Describe(shortest).c_str());
  const std::string last = RunOnce(shortest, true);
  std::printf("replay: HOLDFAST_FLEET_SEED=%llu\n", static_cast<unsigned long long>(seed));
  FAIL_TEST(last.c_str());
}

}  // namespace

TEST_GROUP(Fleet){};

TEST(Fleet, RandomProgramsEndEqualAndLoseNoEdit) {
  if (const long seed = Number("HOLDFAST_FLEET_SEED", 0); seed > 0) {
    RunSeed(std::uint64_t(seed), true);
    return;
  }
  const long programs = Number("HOLDFAST_FLEET_PROGRAMS", kPrograms);
  for (long seed = 1; seed <= programs; ++seed) {
    RunSeed(std::uint64_t(seed), false);
  }
}

}  // namespace holdfast::test
