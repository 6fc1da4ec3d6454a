// SPDX-License-Identifier: Apache-2.0
// Other programs in other languages write the same file at the same time, and are killed at it.
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

#include "tests/store/store_fixture.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::store {
namespace {

bool Has(const char* program) {
  return system((std::string("command -v ") + program + " >/dev/null 2>&1").c_str()) == 0;
}

pid_t Start(const std::vector<std::string>& words) {
  const pid_t child = fork();
  if (child != 0) return child;
  std::vector<char*> arguments;
  for (const std::string& word : words) arguments.push_back(const_cast<char*>(word.c_str()));
  arguments.push_back(nullptr);
  execvp(arguments[0], arguments.data());
  _exit(127);
}

int Wait(pid_t child) {
  int status = 0;
  CHECK(waitpid(child, &status, 0) == child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

constexpr const char* kPythonWriter = R"py(
import sqlite3, sys, random
database, name, rows = sys.argv[1], sys.argv[2], int(sys.argv[3])
connection = sqlite3.connect(database, timeout=60, isolation_level=None)
random.seed(name)
for i in range(rows):
    connection.execute("BEGIN IMMEDIATE")
    connection.execute("INSERT INTO readings(id,sensor,value) VALUES(?,?,?)", (f"{name}-{i}", name, i))
    if i % 3 == 0:
        connection.execute("UPDATE readings SET value=value+1 WHERE id=?", (f"{name}-{random.randrange(i+1)}",))
    if i % 7 == 6:
        connection.execute("DELETE FROM readings WHERE id=?", (f"{name}-{random.randrange(i)}",))
    if i % 5 == 4:
        connection.execute("INSERT OR REPLACE INTO readings(id,value) VALUES(?,?)", (f"{name}-{random.randrange(i)}", i))
    connection.execute("COMMIT")
)py";

}  // namespace

TEST_GROUP(StoreProcesses) {
  StoreFixture* f = nullptr;
  void setup() override {
    f = new StoreFixture();
    f->DefineReadings();
  }
  void teardown() override {
    STRCMP_EQUAL("", f->Broken().c_str());
    delete f;
  }
  // Pushes what there is while `children` run; `version` keeps counting.
  void PushWhile(std::vector<pid_t> children, int& version) {
    while (!children.empty()) {
      for (std::size_t i = 0; i < children.size();) {
        int status = 0;
        if (waitpid(children[i], &status, WNOHANG) == children[i]) {
          LONGS_EQUAL(0, status);
          children.erase(children.begin() + long(i));
        } else {
          ++i;
        }
      }
      Operation operation;
      auto found = f->store->Next(0, ~std::uint64_t{0}, operation);
      CHECK(found.ok());
      if (!*found || operation.previous != 0) {
        usleep(500);
        continue;
      }
      Store::Attempt attempt{operation.sequence, operation.changes, 0, 0, true};
      if (operation.kind != Kind::kDelete) {
        f->arena.Reset();
        auto content = f->store->Load(operation, Extent::kChanged, f->arena, f->room);
        if (!content) continue;  // merged away between the two
        attempt.changes = operation.changes;
        attempt.mask = content->mask;
        attempt.digest = content->digest;
      }
      if (auto marked = f->store->MarkAttempted({&attempt, 1}); !marked) {
        CHECK(marked.error().code == Code::kBusy && marked.error().origin == Origin::kNone);
        continue;  // its row was deleted between the two
      }
      const Completion done =
          f->Done(operation, attempt, ("v" + std::to_string(++version)).c_str());
      CHECK(f->store->Complete({&done, 1}).ok());
    }
  }
};

TEST(StoreProcesses, PythonAndTheCommandLineWriteWhileTheStorePushes) {
  if (!Has("python3") || !Has("sqlite3")) return;
  int version = 0;
  PushWhile(
      {Start({"python3", "-c", kPythonWriter, f->path, "p", "300"}),
       Start({"python3", "-c", kPythonWriter, f->path, "q", "300"}),
       Start({"sqlite3", "-cmd", ".timeout 60000", f->path,
              "WITH RECURSIVE n(i) AS(VALUES(1) UNION ALL SELECT i+1 FROM n WHERE i<500) INSERT "
              "INTO readings(sensor,value) SELECT 'shell',i FROM n"})},
      version);
  STRCMP_EQUAL("", f->Broken().c_str());
  f->PushAll("w");
  STRCMP_EQUAL(
      "0",
      f->Get("SELECT count(*) FROM readings WHERE version IS NULL OR __op IS NOT NULL").c_str());
  STRCMP_EQUAL("500", f->Get("SELECT count(*) FROM readings WHERE sensor='shell'").c_str());
}

TEST(StoreProcesses, AWriterKilledInMidTransactionLeavesNothingHalf) {
  if (!Has("python3")) return;
  for (int i = 0; i < 12; ++i) {
    const std::string name = "k" + std::to_string(i);
    const pid_t child = Start({"python3", "-c", kPythonWriter, f->path, name, "100000"});
    usleep(useconds_t(60000 + 9000 * i));
    kill(child, SIGKILL);
    LONGS_EQUAL(-SIGKILL, Wait(child));
    STRCMP_EQUAL("", f->Broken().c_str());
    STRCMP_EQUAL("ok", f->Get("PRAGMA integrity_check").c_str());
  }
  // Each row that is there is queued.
  STRCMP_EQUAL("0", f->Get("SELECT count(*) FROM readings WHERE __op IS NULL").c_str());
}

}  // namespace holdfast::store
