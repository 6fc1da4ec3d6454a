// SPDX-License-Identifier: Apache-2.0
#include "hal/linux/linux_storage.h"

#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

namespace {

sqlite3* Open(const std::string& path, const char* vfs) {
  sqlite3* db = nullptr;
  const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE;
  LONGS_EQUAL(SQLITE_OK, sqlite3_open_v2(path.c_str(), &db, flags, vfs));
  return db;
}

int Exec(sqlite3* db, const char* sql) { return sqlite3_exec(db, sql, nullptr, nullptr, nullptr); }

int Number(sqlite3* db, const char* sql) {
  sqlite3_stmt* statement = nullptr;
  LONGS_EQUAL(SQLITE_OK, sqlite3_prepare_v2(db, sql, -1, &statement, nullptr));
  const int number = sqlite3_step(statement) == SQLITE_ROW ? sqlite3_column_int(statement, 0) : -1;
  sqlite3_finalize(statement);
  return number;
}

std::uint64_t FileSize(const std::string& path) {
  struct stat facts {};
  return stat(path.c_str(), &facts) == 0 ? std::uint64_t(facts.st_size) : 0;
}

}  // namespace

TEST_GROUP(LinuxStorage) {
  std::string folder;
  std::string path;
  void setup() override {
    char name[] = "/tmp/holdfast-storage-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    folder = name;
    path = folder + "/a.db";
  }
  void teardown() override {
    for (const char* suffix : {"", "-wal", "-shm", "-journal"}) unlink((path + suffix).c_str());
    rmdir(folder.c_str());
    folder = path = std::string();
  }
};

TEST(LinuxStorage, CountsWhatIsWrittenAndSynced) {
  LinuxStorage storage;
  sqlite3* db = Open(path, storage.vfs_name());
  LONGS_EQUAL(SQLITE_OK, Exec(db,
                              "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
                              "PRAGMA wal_autocheckpoint=0; CREATE TABLE t(a)"));
  const std::uint64_t bytes = storage.bytes_written();
  const std::uint64_t syncs = storage.syncs();
  const std::uint64_t wal = FileSize(path + "-wal");
  for (int i = 0; i < 10; ++i) LONGS_EQUAL(SQLITE_OK, Exec(db, "INSERT INTO t VALUES(1)"));
  LONGS_EQUAL(10, storage.syncs() - syncs);
  CHECK(storage.bytes_written() - bytes == FileSize(path + "-wal") - wal);
  sqlite3_close(db);
}

TEST(LinuxStorage, OtherProgramsShareTheDatabase) {
  LinuxStorage storage;
  sqlite3* ours = Open(path, storage.vfs_name());
  sqlite3* theirs = Open(path, "unix");
  LONGS_EQUAL(SQLITE_OK, Exec(ours, "PRAGMA journal_mode=WAL; CREATE TABLE t(a)"));
  const std::uint64_t before = storage.bytes_written();
  LONGS_EQUAL(SQLITE_OK, Exec(theirs, "INSERT INTO t VALUES(1)"));
  CHECK(storage.bytes_written() == before);  // not written by us
  LONGS_EQUAL(1, Number(ours, "SELECT count(*) FROM t"));
  LONGS_EQUAL(SQLITE_OK, Exec(ours, "BEGIN IMMEDIATE"));
  LONGS_EQUAL(SQLITE_BUSY, Exec(theirs, "BEGIN IMMEDIATE"));
  LONGS_EQUAL(SQLITE_OK, Exec(ours, "INSERT INTO t VALUES(2); COMMIT"));
  LONGS_EQUAL(2, Number(theirs, "SELECT count(*) FROM t"));
  sqlite3_close(theirs);
  sqlite3_close(ours);
}

TEST(LinuxStorage, SeveralStoragesDoNotMeet) {
  LinuxStorage one;
  LinuxStorage two;
  STRCMP_CONTAINS("holdfast-", one.vfs_name());
  sqlite3* db = Open(path, two.vfs_name());
  LONGS_EQUAL(SQLITE_OK, Exec(db, "CREATE TABLE t(a)"));
  sqlite3_close(db);
  CHECK(one.bytes_written() == 0);
  CHECK(two.bytes_written() > 0);
}

TEST(LinuxStorage, AFileThatCannotBeOpenedIsAnOrdinaryError) {
  LinuxStorage storage;
  sqlite3* db = nullptr;
  LONGS_EQUAL(SQLITE_CANTOPEN, sqlite3_open_v2((folder + "/none/a.db").c_str(), &db,
                                               SQLITE_OPEN_READWRITE, storage.vfs_name()));
  sqlite3_close(db);
}

TEST(LinuxStorage, SpaceIsThatOfTheFileSystem) {
  LinuxStorage storage;
  const auto space = storage.Space(path.c_str());  // does not exist yet
  CHECK(space.ok());
  CHECK(space.value().total_bytes > 0);
  CHECK(space.value().free_bytes <= space.value().total_bytes);
  CHECK(storage.Space("a-file-of-this-folder").ok());
  CHECK(storage.Space("/a-file-of-the-root").ok());
  const auto missing = storage.Space((folder + "/no/such/folder").c_str());
  CHECK(!missing.ok());
  CHECK(missing.error().code == Code::kNotFound);
}

}  // namespace holdfast::hal
