// SPDX-License-Identifier: Apache-2.0
// Random programs against an oracle. The same statements run on a plain table without triggers; a
// map stands for the server, takes the queue as the engine would send it, and loses answers. At the
// end, plain table, synced table and server must hold the same rows, and no statement may have
// broken what must hold between rows and queue.
#include <cstdlib>
#include <map>

#include "hal/base/prng.h"
#include "tests/store/store_fixture.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::store {
namespace {

struct ServerRow {
  std::string a = "\x01";  // this is NULL
  bool b_null = true;
  std::int64_t b = 0;
  std::string version;
};

class Model : public StoreFixture {
 public:
  explicit Model(std::uint64_t seed, const char* create = nullptr) : prng_(seed) {
    if (create != nullptr) {
      Sql(create);
      table_ = Define("t", {}, true);
      made_ids_ = std::string(create).find("WITHOUT ROWID") == std::string::npos;
    } else {
      table_ = Define("t", {{"a", ColumnType::kText}, {"b", ColumnType::kInteger}});
    }
    Sql("CREATE TABLE plain(id TEXT PRIMARY KEY, a TEXT, b INTEGER, createdAt TEXT, version TEXT, "
        "__op INTEGER)");
  }

  std::string log;  // the statements since the last check, for a failure

  void Step() {
    const std::uint64_t dice = prng_.Below(100);
    if (dice < 70) {
      Program();
    } else if (dice < 90) {
      PushSome();
    } else if (dice < 96) {
      Remote();
    } else if (dice < 98) {
      Sql(prng_.Chance(50) ? "PRAGMA recursive_triggers=ON" : "PRAGMA recursive_triggers=OFF");
    } else if (dice < 99) {
      Sql("VACUUM");
    } else {
      CHECK(store->Checkpoint().ok());
    }
    const std::string broken = Broken("t");
    if (!broken.empty()) FAIL((log + "\n" + broken + Queue()).c_str());
    const std::string mine = Get("SELECT id,a,b FROM t ORDER BY id");
    STRCMP_EQUAL_TEXT(Get("SELECT id,a,b FROM plain ORDER BY id").c_str(), mine.c_str(),
                      log.c_str());
    if (log.size() > 40000) log.erase(0, log.size() - 20000);
  }

  void Finish() {
    for (int i = 0; i < 2000 && !Queue().empty(); ++i) PushSome();
    STRCMP_EQUAL_TEXT("", Queue().c_str(), log.c_str());
    std::string server;
    for (const auto& [id, row] : server_) {
      server += (server.empty() ? "" : ";") + id + "|" + (row.a == "\x01" ? "-" : row.a) + "|" +
                (row.b_null ? "-" : std::to_string(row.b));
    }
    STRCMP_EQUAL_TEXT(server.c_str(), Get("SELECT id,a,b FROM t ORDER BY id").c_str(), log.c_str());
  }

 private:
  std::string Id() { return "'k" + std::to_string(prng_.Below(8)) + "'"; }
  std::string A() {
    return prng_.Chance(10) ? "NULL" : "'it''s " + std::to_string(prng_.Below(4)) + "'";
  }
  std::string B() { return prng_.Chance(10) ? "NULL" : std::to_string(prng_.Below(4)); }

  std::string OneStatement() {
    const std::string values = "(" + Id() + "," + A() + "," + B() + ")";
    switch (prng_.Below(24)) {
      case 0:
      case 1:
      case 2: return "INSERT INTO T(id,a,b) VALUES" + values;
      case 3:
      case 4: return "INSERT OR REPLACE INTO T(id,a,b) VALUES" + values;
      case 5: return "INSERT OR IGNORE INTO T(id,a,b) VALUES" + values + ",(" + Id() + ",'x',9)";
      case 6:
        return "INSERT INTO T(id,a,b) VALUES" + values +
               " ON CONFLICT(id) DO UPDATE SET a=excluded.a";
      case 7: return "INSERT INTO T(id,a,b) VALUES" + values + " ON CONFLICT DO NOTHING";
      case 8: return "INSERT OR FAIL INTO T(id,a,b) VALUES" + values + ",(" + Id() + ",'y',8)";
      case 9: return "INSERT OR REPLACE INTO T(id,a,b) SELECT id,a,b+1 FROM T WHERE b>1";
      case 10:
        return "INSERT OR REPLACE INTO T(id,a,b,createdAt,version,__op) SELECT "
               "id,a,b,createdAt,version,__op FROM T";
      case 11:
      case 12:
      case 13: return "UPDATE T SET a=" + A() + " WHERE id=" + Id();
      case 14: return "UPDATE T SET b=" + B() + ",version='mine' WHERE id=" + Id();
      case 15: return "UPDATE T SET createdAt='then',version=NULL,__op=NULL,a=a WHERE id=" + Id();
      case 16: return "UPDATE OR REPLACE T SET a=a||'' , b=b+1 WHERE b<3";
      case 17: return "UPDATE OR IGNORE T SET b=" + B();
      case 18:
      case 19:
      case 20: return "DELETE FROM T WHERE id=" + Id();
      case 21: return prng_.Chance(20) ? "DELETE FROM T" : "DELETE FROM T WHERE b=2";
      case 22: return "UPDATE T SET id=id||'x' WHERE id=" + Id();
      default: return "INSERT OR ROLLBACK INTO T(id,a,b) VALUES" + values;
    }
  }

  // Runs on both tables; what the synced one refuses must not happen to the other.
  void Both(const std::string& sql) {
    std::string synced = sql, plain = sql;
    for (std::string* text : {&synced, &plain}) {
      for (std::size_t at = 0; (at = text->find(" T", at)) != std::string::npos; ++at) {
        const char next = at + 2 < text->size() ? (*text)[at + 2] : ' ';
        if (next == ' ' || next == '(') text->replace(at, 2, text == &synced ? " t" : " plain");
      }
    }
    log += synced;
    const bool within = sqlite3_get_autocommit(program) == 0;
    const int code = Try(synced);
    log += " -> " + std::to_string(code) + "\n";
    if (code == SQLITE_OK) {
      Sql(plain);
    } else if (within && sqlite3_get_autocommit(program) != 0) {
      log += "rolled back\n";
    } else if (sql.find("UPDATE T SET id") == std::string::npos) {
      const int same = Try(plain);
      LONGS_EQUAL_TEXT(code, same, sqlite3_errmsg(program));
    }
  }

  void Program() {
    if (made_ids_ && prng_.Chance(8)) {
      log += "no id\n";
      Sql("INSERT INTO t(a,b) VALUES('made',1)");
      Sql("INSERT INTO plain(id,a,b) SELECT id,a,b FROM t WHERE id NOT IN(SELECT id FROM plain)");
      return;
    }
    if (!prng_.Chance(30)) return Both(OneStatement());
    log += "BEGIN\n";
    Sql("BEGIN IMMEDIATE");
    for (std::uint64_t i = prng_.Below(4); i-- > 0 && sqlite3_get_autocommit(program) == 0;) {
      const bool savepoint = prng_.Chance(40);
      if (savepoint) Sql("SAVEPOINT s");
      Both(OneStatement());
      if (!savepoint || sqlite3_get_autocommit(program) != 0) continue;
      const bool undo = prng_.Chance(50);
      log += undo ? "ROLLBACK TO\n" : "RELEASE\n";
      if (undo) Sql("ROLLBACK TO s");
      Sql("RELEASE s");
    }
    if (sqlite3_get_autocommit(program) != 0) return;
    const bool undo = prng_.Chance(30);
    log += undo ? "ROLLBACK\n" : "COMMIT\n";
    Sql(undo ? "ROLLBACK" : "COMMIT");
  }

  WireRow Wire(const std::string& id, const ServerRow& row) {
    WireRow wire;
    wire.Text("id", id).Text("version", row.version).Text("updatedAt", "2026-01-01T00:00:00.000Z");
    if (row.a == "\x01") {
      wire.Null("a");
    } else {
      wire.Text("a", row.a);
    }
    if (row.b_null) {
      wire.Null("b");
    } else {
      wire.Integer("b", row.b);
    }
    return wire;
  }

  void Write(ServerRow& row, RowView fields) {
    for (const Field& field : fields) {
      if (field.name == "a") row.a = field.value.is_null() ? "\x01" : std::string(field.value.text);
      if (field.name == "b") {
        row.b_null = field.value.is_null();
        row.b = row.b_null ? 0 : field.value.integer;
      }
    }
    row.version = "v" + std::to_string(++version_);
  }

  void PushSome() {
    Operation operation;
    std::int64_t cursor = 0;
    for (std::uint64_t n = 1 + prng_.Below(6); n-- > 0;) {
      auto found = store->Next(cursor, ~std::uint64_t{0}, operation);
      CHECK(found.ok());
      if (!*found) return;
      cursor = operation.sequence;
      if (operation.previous != 0 || operation.state == State::kFailed) continue;
      PushOne(operation);
    }
  }

  void PushOne(Operation operation) {
    for (int tries = 0; tries < 10; ++tries) {
      Content content;
      if (operation.kind != Kind::kDelete) {
        arena.Reset();
        auto loaded = store->Load(operation, Extent::kChanged, arena, room);
        if (!loaded) FAIL((log + "cannot load").c_str());
        content = *loaded;
        if (operation.kind == Kind::kUpdate && content.mask == 0) {
          if (operation.state == State::kPending) {
            log += "drop\n";
            CHECK(store->Drop(operation.sequence, operation.changes).ok());
            return;
          }
          content = LoadWhole(operation, Extent::kWhole);
        }
      }
      Store::Attempt attempt{operation.sequence, operation.changes, content.mask, content.digest,
                             operation.state == State::kPending};
      CHECK(store->MarkAttempted({&attempt, 1}).ok());
      if (prng_.Chance(5)) {
        CHECK(store->UnmarkUnsent({&attempt, 1}).ok());
        log += "not sent after all: " + std::string(operation.id.view()) +
               (attempt.was_pending ? ", was pending\n" : "\n");
        return;
      }
      const std::string id(operation.id.view());
      log += Get("SELECT hex(sent) FROM __operations WHERE sequence=" +
                 std::to_string(operation.sequence)) +
             "\n";
      log += "send " + std::string(1, "IUD"[int(operation.kind)]) + " " + id + " base " +
             std::string(operation.base_version.view()) + " " + RowText(content.fields) + "\n";
      auto at = server_.find(id);
      const bool there = at != server_.end();
      bool accepted = false;
      switch (operation.kind) {
        case Kind::kInsert: accepted = !there; break;
        case Kind::kUpdate:
          accepted = there && (operation.base_version.empty() ||
                               operation.base_version == at->second.version);
          break;
        case Kind::kDelete:
          accepted = !there || operation.base_version.empty() ||
                     operation.base_version == at->second.version;
          break;
      }
      std::string version;
      if (accepted) {
        if (operation.kind == Kind::kDelete) {
          server_.erase(id);
        } else {
          Write(server_[id], content.fields);
          version = server_[id].version;
        }
      } else {
        if (!there) FAIL((log + "update of a row that is not there\n").c_str());
        const WireRow row = Wire(id, at->second);
        const bool same = operation.kind != Kind::kDelete &&
                          DigestRow(*table_, row, content.mask) == content.digest;
        if (same) {
          version = at->second.version;
        } else {
          auto sent = store->WasSent(operation, row);
          CHECK(sent.ok());
          if (*sent == Store::Sent::kNever) {
            FAIL((log + "a false conflict: the server has " + RowText(row) + "\n" +
                  Get("SELECT itemId,hex(sent) FROM __operations WHERE sequence=" +
                      std::to_string(operation.sequence)) +
                  "\n" + Queue())
                     .c_str());
          }
          log += "rebase " + at->second.version + "\n";
          CHECK(store->Rebase(operation.sequence, at->second.version, row).ok());
          auto again = store->Find(operation.sequence, operation);
          CHECK(again.ok() && *again);
          continue;
        }
      }
      if (prng_.Chance(25)) {
        log += "answer lost\n";
        return;
      }
      // The program does not wait for us.
      while (prng_.Chance(35)) Program();
      log += "done " + version + "\n";
      Completion completion = Done(operation, attempt, version.c_str());
      if (operation.kind != Kind::kDelete && prng_.Chance(30)) {
        const WireRow row = Wire(id, server_[id]);
        completion.row = row;
        CHECK(store->Complete({&completion, 1}).ok());
      } else {
        CHECK(store->Complete({&completion, 1}).ok());
      }
      return;
    }
    FAIL((log + "sent ten times\n").c_str());
  }

  // Somebody else changes rows that we have nothing queued for, and we pull everything.
  void Remote() {
    log += "pull\n";
    for (std::uint64_t n = prng_.Below(3); n-- > 0;) {
      const std::string id = "k" + std::to_string(prng_.Below(8));
      if (Get("SELECT 1 FROM __operations WHERE itemId='" + id + "'") != "") continue;
      if (prng_.Chance(30)) {
        server_.erase(id);
      } else {
        ServerRow& row = server_[id];
        row.a = "remote " + std::to_string(prng_.Below(9));
        row.version = "v" + std::to_string(++version_);
      }
    }
    CHECK(store->BeginPage().ok());
    std::map<std::string, bool> ids;
    for (int i = 0; i < 8; ++i) ids["k" + std::to_string(i)] = true;
    for (const auto& [id, unused] : ids) {
      const auto at = server_.find(id);
      Result<Applied> applied = Applied::kAbsent;
      if (at == server_.end()) {
        WireRow gone;
        gone.Text("id", id).Integer("deleted", 1).Text("version", "x");
        applied = store->ApplyRemote(*table_, gone);
      } else {
        applied = store->ApplyRemote(*table_, Wire(id, at->second));
      }
      CHECK(applied.ok());
      applied_.push_back({id, *applied});
    }
    CHECK(store->EndPage(*table_, "all", "2026-01-01T00:00:00.000Z").ok());
    for (const auto& [id, what] : applied_) {
      if (what == Applied::kSkippedPending) continue;
      Sql("DELETE FROM plain WHERE id='" + id + "'");
      const auto at = server_.find(id);
      if (at == server_.end()) continue;
      const ServerRow& row = at->second;
      std::string quoted;
      for (const char c : row.a) quoted += c == '\'' ? std::string("''") : std::string(1, c);
      Sql("INSERT INTO plain(id,a,b) VALUES('" + id + "'," +
          (row.a == "\x01" ? "NULL" : "'" + quoted + "'") + "," +
          (row.b_null ? "NULL" : std::to_string(row.b)) + ")");
    }
    applied_.clear();
  }

  Prng prng_;
  bool made_ids_ = true;  // not without rowid: the key cannot be NULL there
  const Table* table_ = nullptr;
  std::map<std::string, ServerRow> server_;
  std::vector<std::pair<std::string, Applied>> applied_;
  int version_ = 0;
};

std::uint64_t Seed() {
  const char* seed = std::getenv("HOLDFAST_SEED");
  return seed != nullptr ? std::strtoull(seed, nullptr, 10) : 1;
}

void Run(std::uint64_t seed, int steps, const char* create = nullptr) {
  for (int round = 0; round < steps / 500; ++round) {
    Model model(seed * 1000 + std::uint64_t(round), create);
    for (int i = 0; i < 500; ++i) model.Step();
    model.Finish();
  }
}

}  // namespace

TEST_GROUP(StoreModel){};

TEST(StoreModel, RandomProgramsLostAnswersAndPullsEndWithEqualRows) { Run(Seed(), 20000); }

TEST(StoreModel, TheSameForARelatedTable) {
  Run(Seed() + 1, 5000, "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT REFERENCES t(id), b INTEGER)");
}

TEST(StoreModel, TheSameForATableWithoutRowid) {
  Run(Seed() + 2, 5000, "CREATE TABLE t(id TEXT PRIMARY KEY, a TEXT, b INTEGER) WITHOUT ROWID");
}

}  // namespace holdfast::store
