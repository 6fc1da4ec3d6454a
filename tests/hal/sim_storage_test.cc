// SPDX-License-Identifier: Apache-2.0
// The simulated disk has to be believed before anything is believed that was tested on it: it keeps
// what a disk keeps, loses what a disk loses, and finds the classic mistake (synchronous=NORMAL).
#include "hal/sim/sim_storage.h"

#include <string>

#include "hal/sim/sim_clock.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

namespace {

constexpr const char* kWalFull = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL";
constexpr const char* kWalNormal = "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL";
constexpr const char* kTruncateFull = "PRAGMA journal_mode=TRUNCATE; PRAGMA synchronous=FULL";

// A connection that may find its disk dead.
class Connection {
 public:
  explicit Connection(const SimStorage& storage, const char* path = "/a.db") {
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
    opened_ = sqlite3_open_v2(path, &db_, flags, storage.vfs_name());
  }
  ~Connection() { LONGS_EQUAL(SQLITE_OK, sqlite3_close(db_)); }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  int opened() const { return opened_; }
  int Exec(const std::string& sql) {
    return sqlite3_exec(db_, sql.c_str(), nullptr, nullptr, nullptr);
  }
  // First column of the first row; "" when there is none.
  std::string Ask(const char* sql) {
    std::string answer;
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db_, sql, -1, &statement, nullptr) == SQLITE_OK &&
        sqlite3_step(statement) == SQLITE_ROW && sqlite3_column_text(statement, 0) != nullptr) {
      answer =
          static_cast<const char*>(static_cast<const void*>(sqlite3_column_text(statement, 0)));
    }
    sqlite3_finalize(statement);
    return answer;
  }

 private:
  sqlite3* db_ = nullptr;
  int opened_;
};

// Inserts up to `rows` rows, one commit each, until one fails; returns how many were acknowledged.
int Work(const SimStorage& storage, const char* mode, int rows) {
  Connection db(storage);
  if (db.Exec(mode) != SQLITE_OK) return 0;
  if (db.Exec("PRAGMA wal_autocheckpoint=20; CREATE TABLE IF NOT EXISTS t(a INTEGER, b)") !=
      SQLITE_OK) {
    return 0;
  }
  int acknowledged = 0;
  while (acknowledged < rows) {
    const std::string sql =
        "INSERT INTO t VALUES(" + std::to_string(acknowledged + 1) + ", zeroblob(300))";
    if (db.Exec(sql) != SQLITE_OK) break;
    ++acknowledged;
  }
  return acknowledged;
}

struct CutResult {
  int runs = 0;
  int lost = 0;     // runs after which an acknowledged row was gone
  int corrupt = 0;  // runs after which the database was damaged
};

// Cuts the power at every write and at every sync of a run, each with several seeds.
CutResult CutEverywhere(const char* mode, int rows) {
  CutResult result;
  for (const SimCall call :
       {SimCall::kWrite, SimCall::kSync, SimCall::kTruncate, SimCall::kDelete}) {
    for (std::uint64_t at = 1;; ++at) {
      bool fired = false;
      for (std::uint64_t seed = 1; seed <= 3; ++seed) {
        SimStorage storage({.seed = seed * 1000 + at});
        storage.Inject({.effect = SimEffect::kPowerCut, .on = call, .at = at});
        const int acknowledged = Work(storage, mode, rows);
        if (storage.powered()) break;
        fired = true;
        storage.PowerOn();
        Connection db(storage);
        ++result.runs;
        if (db.Ask("PRAGMA integrity_check") != "ok") ++result.corrupt;
        const std::string count = db.Ask("SELECT count(*) FROM t");
        if (acknowledged > 0 && (count.empty() || std::stoi(count) < acknowledged)) ++result.lost;
      }
      if (!fired) break;
    }
  }
  return result;
}

}  // namespace

TEST_GROUP(SimStorage){};

TEST(SimStorage, SameSeedSameTrace) {
  std::uint64_t traces[3];
  for (int i = 0; i < 3; ++i) {
    SimStorage storage({.seed = i < 2 ? 7u : 8u});
    LONGS_EQUAL(20, Work(storage, kWalFull, 20));
    traces[i] = storage.trace();
  }
  CHECK(traces[0] == traces[1]);
  CHECK(traces[0] != traces[2]);
}

TEST(SimStorage, SqlitesOwnRandomNumbersFollowTheSeed) {
  std::string first;
  for (int i = 0; i < 2; ++i) {
    SimStorage storage({.seed = 7});
    Connection db(storage);
    const std::string number = db.Ask("SELECT hex(randomblob(16))");
    LONGS_EQUAL(32, number.size());
    if (i == 0) first = number;
    STRCMP_EQUAL(first.c_str(), number.c_str());
  }
}

TEST(SimStorage, SeveralConnectionsShareAWalDatabase) {
  SimStorage storage;
  Connection a(storage);
  Connection b(storage);
  LONGS_EQUAL(SQLITE_OK, a.Exec(kWalFull));
  LONGS_EQUAL(SQLITE_OK, a.Exec("CREATE TABLE t(a); INSERT INTO t VALUES(1)"));
  STRCMP_EQUAL("wal", b.Ask("PRAGMA journal_mode").c_str());
  // A reader keeps its snapshot while the other one writes.
  LONGS_EQUAL(SQLITE_OK, b.Exec("BEGIN"));
  STRCMP_EQUAL("1", b.Ask("SELECT count(*) FROM t").c_str());
  LONGS_EQUAL(SQLITE_OK, a.Exec("INSERT INTO t VALUES(2)"));
  STRCMP_EQUAL("1", b.Ask("SELECT count(*) FROM t").c_str());
  LONGS_EQUAL(SQLITE_BUSY_SNAPSHOT & 0xFF, b.Exec("INSERT INTO t VALUES(3)"));
  LONGS_EQUAL(SQLITE_OK, b.Exec("COMMIT"));
  STRCMP_EQUAL("2", b.Ask("SELECT count(*) FROM t").c_str());
  // One writer at a time.
  LONGS_EQUAL(SQLITE_OK, a.Exec("BEGIN IMMEDIATE"));
  LONGS_EQUAL(SQLITE_BUSY, b.Exec("BEGIN IMMEDIATE"));
  LONGS_EQUAL(SQLITE_OK, a.Exec("COMMIT"));
  LONGS_EQUAL(SQLITE_OK, b.Exec("BEGIN IMMEDIATE; INSERT INTO t VALUES(4); COMMIT"));
  LONGS_EQUAL(SQLITE_OK, a.Exec("PRAGMA wal_checkpoint(TRUNCATE)"));
  STRCMP_EQUAL("3", a.Ask("SELECT count(*) FROM t").c_str());
}

TEST(SimStorage, SeveralConnectionsShareAJournalDatabase) {
  SimStorage storage;
  Connection a(storage);
  Connection b(storage);
  LONGS_EQUAL(SQLITE_OK, a.Exec("CREATE TABLE t(a); INSERT INTO t VALUES(1)"));
  LONGS_EQUAL(SQLITE_OK, b.Exec("BEGIN"));
  STRCMP_EQUAL("1", b.Ask("SELECT count(*) FROM t").c_str());
  LONGS_EQUAL(SQLITE_OK, a.Exec("BEGIN IMMEDIATE; INSERT INTO t VALUES(2)"));
  LONGS_EQUAL(SQLITE_BUSY, a.Exec("COMMIT"));  // a reader is in there
  LONGS_EQUAL(SQLITE_OK, b.Exec("COMMIT"));
  LONGS_EQUAL(SQLITE_OK, a.Exec("COMMIT"));
  STRCMP_EQUAL("2", b.Ask("SELECT count(*) FROM t").c_str());
}

TEST(SimStorage, NoCutLosesWhatWasSynced) {
  for (const char* mode : {kWalFull, kTruncateFull}) {
    const CutResult result = CutEverywhere(mode, 12);
    CHECK_TRUE_TEXT(result.runs > 100, mode);
    LONGS_EQUAL_TEXT(0, result.corrupt, mode);
    LONGS_EQUAL_TEXT(0, result.lost, mode);
  }
}

TEST(SimStorage, TheClassicMistakeIsFound) {
  const CutResult result = CutEverywhere(kWalNormal, 12);
  LONGS_EQUAL(0, result.corrupt);
  CHECK(result.lost > result.runs / 3);
}

TEST(SimStorage, ADeadDiskAnswersNothingUntilThePowerIsBack) {
  SimStorage storage;
  LONGS_EQUAL(3, Work(storage, kWalFull, 3));
  {
    Connection db(storage);
    STRCMP_EQUAL("3", db.Ask("SELECT count(*) FROM t").c_str());
    storage.PowerCut();
    STRCMP_EQUAL("", db.Ask("SELECT count(*) FROM t").c_str());
    CHECK(db.Exec("INSERT INTO t VALUES(1, 1)") != SQLITE_OK);
    Connection late(storage);
    CHECK(late.opened() != SQLITE_OK || late.Exec("SELECT * FROM t") != SQLITE_OK);
  }
  storage.PowerOn();
  Connection db(storage);
  STRCMP_EQUAL("3", db.Ask("SELECT count(*) FROM t").c_str());
}

TEST(SimStorage, EveryNthFailureLeavesASoundDatabaseThatWritesAgain) {
  for (const SimEffect effect : {SimEffect::kNoSpace, SimEffect::kIo}) {
    for (const SimCall call :
         {SimCall::kWrite, SimCall::kSync, SimCall::kRead, SimCall::kTruncate}) {
      std::uint64_t at = 0;
      bool fired = true;
      while (fired) {
        SimStorage storage;
        LONGS_EQUAL(2, Work(storage, kWalFull, 2));
        storage.Inject({.effect = effect, .on = call, .at = ++at});
        const int more = Work(storage, kWalFull, 6);
        fired = storage.faults_fired() > 0;
        storage.ClearFaults();
        Connection db(storage);
        STRCMP_EQUAL("ok", db.Ask("PRAGMA integrity_check").c_str());
        CHECK(std::stoi(db.Ask("SELECT count(*) FROM t")) >= 2 + more);
        LONGS_EQUAL(SQLITE_OK, db.Exec("INSERT INTO t VALUES(99, 99)"));
      }
      CHECK(at > 1);  // at least one call was there to fail
    }
  }
}

TEST(SimStorage, AFaultHasAPlaceAndALength) {
  SimStorage storage;
  LONGS_EQUAL(1, Work(storage, kWalFull, 1));
  Connection db(storage);
  LONGS_EQUAL(SQLITE_OK, db.Exec(kWalFull));
  storage.Inject(
      {.effect = SimEffect::kNoSpace, .on = SimCall::kWrite, .times = 2, .file = "-wal"});
  LONGS_EQUAL(SQLITE_FULL, db.Exec("INSERT INTO t VALUES(2, 2)"));
  LONGS_EQUAL(SQLITE_FULL, db.Exec("INSERT INTO t VALUES(2, 2)"));
  LONGS_EQUAL(SQLITE_OK, db.Exec("INSERT INTO t VALUES(2, 2)"));
  LONGS_EQUAL(2, storage.faults_fired());
}

TEST(SimStorage, AFullDiskIsFullUntilThereIsRoom) {
  SimStorage storage;
  LONGS_EQUAL(1, Work(storage, kWalFull, 1));
  Connection db(storage);
  const auto before = storage.Space("/a.db");
  CHECK(before.ok());
  storage.set_capacity_bytes(storage.used_bytes() + 1000);
  CHECK(storage.Space("/a.db").value().free_bytes == 1000);
  LONGS_EQUAL(SQLITE_FULL, db.Exec("INSERT INTO t VALUES(2, zeroblob(100000))"));
  STRCMP_EQUAL("1", db.Ask("SELECT count(*) FROM t").c_str());
  storage.set_capacity_bytes(1 << 30);
  LONGS_EQUAL(SQLITE_OK, db.Exec("INSERT INTO t VALUES(2, zeroblob(100000))"));
}

TEST(SimStorage, AReadOnlyDiskCanBeRead) {
  SimStorage storage;
  LONGS_EQUAL(1, Work(storage, kTruncateFull, 1));
  storage.set_read_only(true);
  {
    Connection db(storage);
    STRCMP_EQUAL("1", db.Ask("SELECT count(*) FROM t").c_str());
    LONGS_EQUAL(SQLITE_READONLY, db.Exec("INSERT INTO t VALUES(2, 2)"));
    Connection other(storage, "/new.db");
    CHECK(other.opened() != SQLITE_OK || other.Exec("CREATE TABLE x(a)") != SQLITE_OK);
  }
  storage.set_read_only(false);
  {
    Connection db(storage);
    LONGS_EQUAL(SQLITE_OK, db.Exec(kWalFull));
    LONGS_EQUAL(SQLITE_OK, db.Exec("INSERT INTO t VALUES(2, 2)"));
    storage.set_read_only(true);  // while it is open: the kernel gave the file system up
    LONGS_EQUAL(SQLITE_IOERR, db.Exec("INSERT INTO t VALUES(3, 3)"));
    storage.set_read_only(false);
  }
}

TEST(SimStorage, AnImageBringsADiskBack) {
  SimStorage storage;
  LONGS_EQUAL(2, Work(storage, kWalFull, 2));
  const SimImage image = storage.Image();
  LONGS_EQUAL(3, Work(storage, kWalFull, 3));
  storage.Restore(image);
  Connection db(storage);
  STRCMP_EQUAL("2", db.Ask("SELECT count(*) FROM t").c_str());
  SimStorage clone({.seed = 2});
  clone.Restore(image);
  Connection other(clone);
  STRCMP_EQUAL("2", other.Ask("SELECT count(*) FROM t").c_str());
}

TEST(SimStorage, ABitRots) {
  SimStorage storage;
  LONGS_EQUAL(30, Work(storage, kTruncateFull, 30));
  CHECK(storage.FlipBits("/a.db", 0, 0xFF));
  CHECK(!storage.FlipBits("/a.db", 1 << 30, 1));
  CHECK(!storage.FlipBits("/none.db", 0, 1));
  Connection db(storage);
  LONGS_EQUAL(SQLITE_NOTADB, db.Exec("SELECT count(*) FROM t"));
}

TEST(SimStorage, SqlsNowIsTheClocks) {
  SimClock clock;
  SimStorage storage({.clock = &clock});
  Connection db(storage);
  STRCMP_EQUAL("2027-01-01 00:00:00", db.Ask("SELECT datetime('now')").c_str());
  clock.Advance(Duration::Seconds(61));
  STRCMP_EQUAL("2027-01-01 00:01:01", db.Ask("SELECT datetime('now')").c_str());
}

TEST(SimStorage, WearIsCounted) {
  SimStorage storage;
  LONGS_EQUAL(1, Work(storage, kWalFull, 1));
  CHECK(storage.bytes_written() > 4096);
  CHECK(storage.syncs() > 0);
  CHECK(storage.calls(SimCall::kWrite) > storage.syncs());
}

}  // namespace holdfast::hal
