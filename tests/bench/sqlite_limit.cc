// SPDX-License-Identifier: Apache-2.0
// The bare SQLite C API inserting sensor rows: the limit that `record` and the triggers are
// measured against. The same library, settings, rows and commit size; only the tracking differs.
//
// usage: bench_sqlite_limit DATABASE ROWS PER_COMMIT [ID_PREFIX]
//   The table `readings` is used as it stands (tracked when holdfast made it), else created bare.
//   Prints seconds.
#include <sqlite3.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "hal/base/prng.h"

namespace {

sqlite3* g_database = nullptr;

void Check(int code, int wanted, const char* what) {
  if (code == wanted) return;
  std::fprintf(stderr, "bench_sqlite_limit: %s: %s\n", what, sqlite3_errmsg(g_database));
  std::exit(1);
}

void Run(const char* sql) {
  Check(sqlite3_exec(g_database, sql, nullptr, nullptr, nullptr), SQLITE_OK, sql);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc < 4) {
    std::fprintf(stderr, "usage: bench_sqlite_limit DATABASE ROWS PER_COMMIT [ID_PREFIX]\n");
    return 2;
  }
  const long rows = std::atol(argv[2]), per_commit = std::atol(argv[3]);
  const char* prefix = argc > 4 ? argv[4] : nullptr;  // none: random UUIDs
  Check(sqlite3_open(argv[1], &g_database), SQLITE_OK, "open");
  Run("PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA cache_size=-1024");
  Run("CREATE TABLE IF NOT EXISTS readings(id TEXT PRIMARY KEY, sensor TEXT, value REAL, "
      "ts INTEGER, quality INTEGER, createdAt TEXT, updatedAt TEXT, version TEXT, deleted "
      "INTEGER)");
  sqlite3_stmt* insert = nullptr;
  Check(sqlite3_prepare_v2(g_database,
                           "INSERT INTO readings(id,sensor,value,ts,quality) VALUES(?,?,?,?,?)", -1,
                           &insert, nullptr),
        SQLITE_OK, "prepare");
  holdfast::Prng random(20261123);
  const auto start = std::chrono::steady_clock::now();
  for (long i = 0; i < rows; ++i) {
    if (i % per_commit == 0) Run("BEGIN IMMEDIATE");
    char id[64], sensor[32];
    if (prefix != nullptr) {
      std::snprintf(id, sizeof id, "%s-%08lx", prefix, i);
    } else {
      const unsigned long long a = random.Next(), b = random.Next();
      std::snprintf(id, sizeof id, "%08llx-%04llx-4%03llx-8%03llx-%012llx", a >> 32,
                    a >> 16 & 0xffff, a & 0xfff, b >> 52, b & 0xffffffffffffULL);
    }
    std::snprintf(sensor, sizeof sensor, "temperature-%ld", i % 10);
    sqlite3_bind_text(insert, 1, id, -1, SQLITE_STATIC);
    sqlite3_bind_text(insert, 2, sensor, -1, SQLITE_STATIC);
    sqlite3_bind_double(insert, 3, 20 + double(random.Below(1000)) / 100);
    sqlite3_bind_int64(insert, 4, 1'790'000'000'000LL + i * 100);
    sqlite3_bind_int(insert, 5, 0);
    Check(sqlite3_step(insert), SQLITE_DONE, "insert");
    sqlite3_reset(insert);
    if (i % per_commit == per_commit - 1 || i == rows - 1) Run("COMMIT");
  }
  const std::chrono::duration<double> seconds = std::chrono::steady_clock::now() - start;
  std::printf("%.6f\n", seconds.count());
  sqlite3_finalize(insert);
  sqlite3_close(g_database);
  return 0;
}
