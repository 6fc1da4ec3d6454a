// SPDX-License-Identifier: Apache-2.0
// The Nth write, sync or allocation fails, or the power goes there; then everything that was
// reported as done is still there, and rows and queue belong together.
#include <sqlite3.h>

#include <set>
#include <string>

#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_random.h"
#include "hal/sim/sim_storage.h"
#include "store/store.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::store {
namespace {

constexpr std::size_t kArenaBytes = 256 << 10;

// SQLite's own allocator, that fails at the Nth call from now on.
sqlite3_mem_methods g_memory;
long g_fail_at = 0;

bool Refused() { return g_fail_at > 0 && --g_fail_at == 0; }
void* Allocate(int size) { return Refused() ? nullptr : g_memory.xMalloc(size); }
void* Reallocate(void* old, int size) { return Refused() ? nullptr : g_memory.xRealloc(old, size); }

void InstallAllocator() {
  static bool installed = false;
  if (installed) return;
  installed = true;
  sqlite3_shutdown();
  sqlite3_config(SQLITE_CONFIG_GETMALLOC, &g_memory);
  sqlite3_mem_methods failing = g_memory;
  failing.xMalloc = Allocate;
  failing.xRealloc = Reallocate;
  sqlite3_config(SQLITE_CONFIG_MALLOC, &failing);
  sqlite3_initialize();
}

// A device: inserts, edits, deletes, pushes and pulls, and remembers what was reported as done.
class Device {
 public:
  explicit Device(hal::SimStorage& storage)
      : storage_(storage), bytes_(new char[kArenaBytes]), arena_({bytes_.get(), kArenaBytes}) {}

  bool Open() {
    Options options;
    options.path = "/a.db";
    auto opened = Store::Open(options, storage_, clock_, random_);
    if (!opened) return false;
    store_ = std::move(opened).value();
    Column columns[2];
    CHECK(columns[0].name.Assign("a").ok());
    CHECK(columns[1].name.Assign("b").ok());
    columns[1].type = ColumnType::kInteger;
    TableSpec spec;
    spec.name = "t";
    spec.columns = columns;
    auto defined = store_->DefineTable(spec);
    if (!defined) return false;
    table_ = *defined;
    return true;
  }
  void Close() { store_.reset(); }

  // One round of everything; goes on after errors, as a device does.
  void Work(int round) {
    for (int i = 0; i < 4; ++i) {
      const std::string id = "k" + std::to_string(round) + "-" + std::to_string(i);
      Field row[2];
      row[0] = {"id", ColumnType::kText, Value::Text(id)};
      row[1] = {"b", ColumnType::kInteger, Value::Integer(i)};
      Id made;
      if (store_->Insert(*table_, row, made)) {
        there_.insert(id);
      } else {
        unknown_.insert(id);
      }
      row[1].value = Value::Integer(i + 1);
      if (i % 2 == 0) (void)store_->Put(*table_, row, made).ok();
      if (i == 3) {
        unknown_.insert(id);
        (void)store_->Delete(*table_, id).ok();
      }
    }
    Operation operation;
    std::int64_t cursor = 0;
    RowFields room;
    for (int i = 0; i < 2; ++i) {
      auto found = store_->Next(cursor, ~std::uint64_t{0}, operation);
      if (!found || !*found) return;
      cursor = operation.sequence;
      Store::Attempt attempt{operation.sequence, operation.changes, 0, 0, true};
      if (operation.kind != Kind::kDelete) {
        arena_.Reset();
        auto content = store_->Load(operation, Extent::kChanged, arena_, room);
        if (!content) continue;
        attempt.mask = content->mask;
        attempt.digest = content->digest;
      }
      if (!store_->MarkAttempted({&attempt, 1})) continue;
      Completion completion;
      completion.table = table_;
      completion.sequence = operation.sequence;
      completion.changes = operation.changes;
      completion.id = operation.id;
      CHECK(completion.version.Assign("v1").ok());
      (void)store_->Complete({&completion, 1}).ok();
    }
    if (store_->BeginPage()) {
      Field row[3];
      const std::string id = "r" + std::to_string(round);
      row[0] = {"id", ColumnType::kText, Value::Text(id)};
      row[1] = {"version", ColumnType::kText, Value::Text("v1")};
      row[2] = {"b", ColumnType::kInteger, Value::Integer(round)};
      bool applied = store_->ApplyRemote(*table_, row).ok();
      if (applied) {
        (void)store_->EndPage(*table_, "q", std::to_string(round)).ok();
      } else {
        store_->AbortPage();
      }
    }
    (void)store_->Checkpoint().ok();
  }

  // After a restart: the promises.
  void Check(const std::string& where) {
    sqlite3* raw = nullptr;
    LONGS_EQUAL(SQLITE_OK,
                sqlite3_open_v2("/a.db", &raw, SQLITE_OPEN_READWRITE, storage_.vfs_name()));
    const char* checks[] = {
        "SELECT integrity_check FROM pragma_integrity_check WHERE integrity_check<>'ok'",
        "SELECT 'row points nowhere' FROM t r WHERE __op IS NOT NULL AND NOT EXISTS(SELECT 1 FROM "
        "__operations WHERE sequence=__op AND itemId=r.id AND kind<2)",
        "SELECT 'operation without row' FROM __operations o WHERE kind<2 AND NOT EXISTS(SELECT 1 "
        "FROM t WHERE id=o.itemId AND __op=o.sequence)",
        "SELECT 'delete without shadow' FROM __operations o WHERE kind=2 AND NOT EXISTS(SELECT 1 "
        "FROM __shadows WHERE itemId=o.itemId AND op=o.sequence)",
        "SELECT 'never sent and not queued' FROM t WHERE version IS NULL AND __op IS NULL",
        "SELECT 'applying' FROM __tracking WHERE applying<>0",
        "SELECT 'pulled without token' FROM t WHERE id LIKE 'r%' AND NOT EXISTS(SELECT 1 FROM "
        "__config WHERE id='deltaToken|t|q' AND CAST(value AS INTEGER)>=t.b)",
    };
    for (const char* sql : checks) {
      const std::string wrong = One(raw, sql);
      if (!wrong.empty()) FAIL((where + ": " + wrong).c_str());
    }
    for (const std::string& id : there_) {
      if (unknown_.contains(id)) continue;
      if (One(raw, "SELECT 'there' FROM t WHERE id='" + id + "'").empty()) {
        FAIL((where + ": lost " + id).c_str());
      }
    }
    sqlite3_close(raw);
  }

 private:
  static std::string One(sqlite3* raw, const std::string& sql) {
    sqlite3_stmt* statement = nullptr;
    LONGS_EQUAL(SQLITE_OK, sqlite3_prepare_v2(raw, sql.c_str(), -1, &statement, nullptr));
    std::string text;
    if (sqlite3_step(statement) == SQLITE_ROW) {
      text = reinterpret_cast<const char*>(sqlite3_column_text(statement, 0));
    }
    sqlite3_finalize(statement);
    return text;
  }

  hal::SimStorage& storage_;
  hal::SimClock clock_;
  hal::SimRandom random_;
  std::unique_ptr<char[]> bytes_;
  Arena arena_;
  std::unique_ptr<Store> store_;
  const Table* table_ = nullptr;
  std::set<std::string> there_, unknown_;
};

// Returns whether the fault was met.
bool FaultAt(const hal::SimFault& fault, std::uint64_t seed) {
  hal::SimStorage storage({.seed = seed});
  Device device(storage);
  const std::string where = "effect " + std::to_string(int(fault.effect)) + " call " +
                            std::to_string(int(fault.on)) + " at " + std::to_string(fault.at);
  // From the making of the schema on.
  storage.Inject(fault);
  if (device.Open()) {
    for (int round = 0; round < 3; ++round) device.Work(round);
  }
  device.Close();
  const bool fired = storage.faults_fired() > 0;
  storage.ClearFaults();
  if (!storage.powered()) storage.PowerOn();
  if (!device.Open()) FAIL((where + ": does not open any more").c_str());
  device.Check(where);
  device.Work(9);
  device.Check(where + ", and on");
  device.Close();
  return fired;
}

void Sweep(hal::SimEffect effect, hal::SimCall call, std::uint64_t times) {
  for (std::uint64_t at = 1;; at += at < 200 ? 1 : 7) {
    if (!FaultAt({.effect = effect, .on = call, .at = at, .times = times}, at)) return;
  }
}

}  // namespace

TEST_GROUP(StoreFaults){};

TEST(StoreFaults, APowerCutAtAnyWriteLosesNothingThatWasDone) {
  Sweep(hal::SimEffect::kPowerCut, hal::SimCall::kWrite, 1);
}

TEST(StoreFaults, APowerCutAtAnySyncLosesNothingThatWasDone) {
  Sweep(hal::SimEffect::kPowerCut, hal::SimCall::kSync, 1);
}

TEST(StoreFaults, AFullDiskAtAnyWriteLosesNothingThatWasDone) {
  Sweep(hal::SimEffect::kNoSpace, hal::SimCall::kWrite, 1);
  Sweep(hal::SimEffect::kNoSpace, hal::SimCall::kWrite, 10);
}

TEST(StoreFaults, AnErrorAtAnyWriteLosesNothingThatWasDone) {
  Sweep(hal::SimEffect::kIo, hal::SimCall::kWrite, 1);
}

TEST(StoreFaults, AnErrorAtAnySyncLosesNothingThatWasDone) {
  Sweep(hal::SimEffect::kIo, hal::SimCall::kSync, 1);
}

TEST(StoreFaults, AFailedAllocationAtAnyPlaceLosesNothingThatWasDone) {
  InstallAllocator();
  for (long at = 1;; at += at < 500 ? 3 : 41) {
    hal::SimStorage storage({.seed = std::uint64_t(at)});
    Device device(storage);
    g_fail_at = at;
    if (device.Open()) {
      for (int round = 0; round < 2; ++round) device.Work(round);
    }
    const bool fired = g_fail_at <= 0;
    g_fail_at = 0;
    device.Close();
    const std::string where = "allocation " + std::to_string(at);
    if (!device.Open()) FAIL((where + ": does not open any more").c_str());
    device.Check(where);
    device.Close();
    if (!fired) return;
  }
}

}  // namespace holdfast::store
