// SPDX-License-Identifier: Apache-2.0
#include "tests/store/store_fixture.h"

#include <dirent.h>
#include <stdlib.h>
#include <unistd.h>

#include <cstdio>

#include <CppUTest/TestHarness.h>

namespace holdfast::store {
namespace {

constexpr std::size_t kArenaBytes = 4 << 20;

std::string Describe(const Error& error) {
  char text[200];
  return std::string(holdfast::Describe(error, text, sizeof text));
}

}  // namespace

StoreFixture::StoreFixture() : bytes(new char[kArenaBytes]), arena({bytes.get(), kArenaBytes}) {
  char name[] = "/tmp/holdfast-store-XXXXXX";
  CHECK(mkdtemp(name) != nullptr);
  folder = name;
  path = folder + "/a.db";
  Reopen();
}

StoreFixture::~StoreFixture() {
  store.reset();
  sqlite3_close(program);
  if (DIR* entries = opendir(folder.c_str())) {
    while (const dirent* entry = readdir(entries)) unlink((folder + "/" + entry->d_name).c_str());
    closedir(entries);
  }
  rmdir(folder.c_str());
}

void StoreFixture::Reopen() {
  store.reset();
  sqlite3_close(program);
  Options options;
  options.path = path.c_str();
  options.busy_timeout = hal::Duration::Milliseconds(2000);
  auto opened = Store::Open(options, storage, clock, random);
  if (!opened) FAIL(Describe(opened.error()).c_str());
  store = std::move(opened).value();
  LONGS_EQUAL(SQLITE_OK, sqlite3_open_v2(path.c_str(), &program,
                                         SQLITE_OPEN_READWRITE | SQLITE_OPEN_EXRESCODE, nullptr));
  sqlite3_busy_timeout(program, 2000);
  Sql("PRAGMA synchronous=OFF");
}

const Table* StoreFixture::Define(const char* name,
                                  std::vector<std::pair<const char*, ColumnType>> columns,
                                  bool adopt) {
  std::vector<Column> list;
  for (const auto& [column, type] : columns) {
    list.emplace_back();
    CHECK(list.back().name.Assign(column).ok());
    list.back().type = type;
  }
  TableSpec spec;
  spec.name = name;
  spec.columns = list;
  spec.adopt = adopt;
  auto table = store->DefineTable(spec);
  if (!table) FAIL((Describe(table.error()) + " " + std::string(store->why())).c_str());
  return *table;
}

const Table& StoreFixture::DefineReadings() {
  return *Define("readings", {{"sensor", ColumnType::kText}, {"value", ColumnType::kReal}});
}

int StoreFixture::Try(const std::string& sql) {
  return sqlite3_exec(program, sql.c_str(), nullptr, nullptr, nullptr);
}

void StoreFixture::Sql(const std::string& sql) {
  if (Try(sql) != SQLITE_OK) FAIL((sql + ": " + sqlite3_errmsg(program)).c_str());
}

std::string StoreFixture::Get(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  if (sqlite3_prepare_v2(program, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
    FAIL((sql + ": " + sqlite3_errmsg(program)).c_str());
  }
  std::string all;
  int code = SQLITE_ROW;
  while ((code = sqlite3_step(statement)) == SQLITE_ROW) {
    if (!all.empty()) all += ";";
    for (int i = 0; i < sqlite3_column_count(statement); ++i) {
      const auto* text = reinterpret_cast<const char*>(sqlite3_column_text(statement, i));
      all += (i > 0 ? "|" : "") + std::string(text != nullptr ? text : "-");
    }
  }
  if (code != SQLITE_DONE) all += std::string("error ") + sqlite3_errmsg(program);
  sqlite3_finalize(statement);
  return all;
}

std::string StoreFixture::Queue() {
  return Get(
      "SELECT substr('IUD',kind+1,1)||changes||substr(' *!',state+1,1)||itemId||ifnull(' '||"
      "baseVersion,'')||CASE WHEN previous IS NULL THEN '' ELSE '<' END FROM __operations ORDER BY "
      "sequence");
}

std::string StoreFixture::Broken(const std::string& table) {
  const std::string text = "'" + table + "'", name = "\"" + table + "\"";
  const std::string checks[] = {
      "SELECT 'row points nowhere',id,__op FROM " + name +
          " r WHERE __op IS NOT NULL AND NOT EXISTS(SELECT 1 FROM __operations WHERE sequence=__op "
          "AND itemId=r.id AND tableName=" +
          text + " AND kind<2 AND item IS NULL)",
      "SELECT 'operation without row',sequence FROM __operations o WHERE tableName=" + text +
          " AND kind<2 AND item IS NULL AND NOT EXISTS(SELECT 1 FROM " + name +
          " WHERE id=o.itemId AND __op=o.sequence)",
      "SELECT 'delete without shadow or follower',sequence FROM __operations o WHERE tableName=" +
          text + " AND kind=2 AND NOT EXISTS(SELECT 1 FROM __shadows WHERE tableName=" + text +
          " AND itemId=o.itemId AND op=o.sequence AND content IS NULL) AND NOT EXISTS(SELECT 1 "
          "FROM "
          "__operations WHERE previous=o.sequence)",
      "SELECT 'delete without item',sequence FROM __operations WHERE kind=2 AND item IS NULL",
      "SELECT 'delete of a row that is there',sequence FROM __operations o WHERE tableName=" +
          text + " AND kind=2 AND EXISTS(SELECT 1 FROM " + name +
          " WHERE id=o.itemId) AND NOT EXISTS("
          "SELECT 1 FROM __operations WHERE previous=o.sequence)",
      "SELECT 'frozen without follower',sequence FROM __operations o WHERE kind<2 AND item IS NOT "
      "NULL AND NOT EXISTS(SELECT 1 FROM __operations WHERE previous=o.sequence)",
      "SELECT 'shadow without delete',itemId FROM __shadows s WHERE content IS NULL AND NOT EXISTS("
      "SELECT 1 FROM __operations WHERE sequence=s.op AND kind=2 AND itemId=s.itemId)",
      "SELECT 'shadow of a row that is there',itemId FROM __shadows s WHERE content IS NULL AND "
      "tableName=" +
          text + " AND EXISTS(SELECT 1 FROM " + name + " WHERE id=s.itemId)",
      "SELECT 'a replaced row that is gone',itemId FROM __shadows s WHERE content IS NOT NULL AND "
      "tableName=" +
          text + " AND NOT EXISTS(SELECT 1 FROM " + name + " WHERE id=s.itemId)",
      "SELECT 'applying' FROM __tracking WHERE applying<>0",
      "SELECT 'two tails',itemId FROM __operations o WHERE NOT EXISTS(SELECT 1 FROM __operations "
      "WHERE previous=o.sequence) GROUP BY tableName,itemId HAVING count(*)>1",
      "SELECT 'error without failed operation',id FROM __errors e WHERE NOT EXISTS(SELECT 1 FROM "
      "__operations WHERE sequence=e.id AND state=2 AND itemId=e.itemId)",
      "SELECT 'failed without error',sequence FROM __operations WHERE state=2 AND sequence NOT IN("
      "SELECT id FROM __errors)",
  };
  std::string broken;
  for (const std::string& check : checks) {
    const std::string found = Get(check);
    if (!found.empty()) broken += found + "\n";
  }
  return broken;
}

Operation StoreFixture::First() { return Nth(1); }

Operation StoreFixture::Nth(int n) {
  Operation operation;
  for (int i = 0; i < n; ++i) {
    auto found = store->Next(operation.sequence, ~std::uint64_t{0}, operation);
    CHECK(found.ok() && *found);
  }
  return operation;
}

Content StoreFixture::LoadWhole(Operation& operation, Extent extent) {
  arena.Reset();
  auto content = store->Load(operation, extent, arena, room);
  if (!content) FAIL(Describe(content.error()).c_str());
  return *content;
}

Store::Attempt StoreFixture::Mark(Operation& operation) {
  Store::Attempt attempt{operation.sequence, operation.changes, 0, 0,
                         operation.state == State::kPending};
  if (operation.kind != Kind::kDelete) {
    const Content content = LoadWhole(operation);
    attempt.changes = operation.changes;
    attempt.mask = content.mask;
    attempt.digest = content.digest;
  }
  CHECK(store->MarkAttempted({&attempt, 1}).ok());
  return attempt;
}

Completion StoreFixture::Done(const Operation& operation, const Store::Attempt& attempt,
                              const char* version) {
  Completion completion;
  completion.table = operation.table;
  completion.sequence = operation.sequence;
  completion.changes = attempt.changes;
  completion.id = operation.id;
  CHECK(completion.version.Assign(version).ok());
  return completion;
}

void StoreFixture::PushFirst(const char* version) {
  Operation operation = First();
  const Store::Attempt attempt = Mark(operation);
  const Completion completion = Done(operation, attempt, version);
  CHECK(store->Complete({&completion, 1}).ok());
}

void StoreFixture::PushAll(const char* version_prefix) {
  for (int i = 1; !Queue().empty(); ++i) {
    PushFirst((version_prefix + std::to_string(i)).c_str());
    CHECK(i < 10000);
  }
}

std::string RowText(RowView row) {
  std::string text;
  for (const Field& field : row) {
    text += (text.empty() ? "" : ",") + std::string(field.name) + "=";
    char number[40];
    switch (field.value.type) {
      case ValueType::kNull: text += "null"; break;
      case ValueType::kInteger:
      case ValueType::kBoolean: text += std::to_string(field.value.integer); break;
      case ValueType::kReal:
        (void)std::snprintf(number, sizeof number, "%g", field.value.real);
        text += number;
        break;
      case ValueType::kText:
      case ValueType::kBlob: text += field.value.text; break;
    }
  }
  return text;
}

WireRow& WireRow::Text(const char* name, std::string value) {
  texts_.push_back(std::make_unique<std::string>(std::move(value)));
  fields_.push_back({name, ColumnType::kAny, Value::Text(*texts_.back())});
  return *this;
}
WireRow& WireRow::Real(const char* name, double value) {
  fields_.push_back({name, ColumnType::kAny, Value::Real(value)});
  return *this;
}
WireRow& WireRow::Integer(const char* name, std::int64_t value) {
  fields_.push_back({name, ColumnType::kAny, Value::Integer(value)});
  return *this;
}
WireRow& WireRow::Null(const char* name) {
  fields_.push_back({name, ColumnType::kAny, Value::Null()});
  return *this;
}

}  // namespace holdfast::store
