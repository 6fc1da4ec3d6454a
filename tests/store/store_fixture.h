// SPDX-License-Identifier: Apache-2.0
// A store on a real file, and beside it a program that writes plain SQL through its own connection.
#ifndef HOLDFAST_TESTS_STORE_STORE_FIXTURE_H_
#define HOLDFAST_TESTS_STORE_STORE_FIXTURE_H_

#include <sqlite3.h>

#include <memory>
#include <string>
#include <vector>

#include "hal/linux/linux_storage.h"
#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_random.h"
#include "store/store.h"

namespace holdfast::store {

class StoreFixture {
 public:
  StoreFixture();
  ~StoreFixture();

  // The table `readings` with sensor text, value real.
  const Table& DefineReadings();
  const Table* Define(const char* name, std::vector<std::pair<const char*, ColumnType>> columns,
                      bool adopt = false);
  void Reopen();

  // The program's side.
  int Try(const std::string& sql);  // SQLite's extended code
  void Sql(const std::string& sql);
  std::string Get(const std::string& sql);  // rows by ';', columns by '|', NULL as '-'
  // "I1 a", "U2* b v1": kind, changes, '*' attempted, '!' failed, id, base version, '<' follows.
  std::string Queue();
  // What is wrong between rows, operations and shadows; "" when nothing is.
  std::string Broken(const std::string& table = "readings");

  // The engine's side.
  Operation First();
  Operation Nth(int n);  // counts from 1
  Content LoadWhole(Operation& operation, Extent extent = Extent::kChanged);
  Store::Attempt Mark(Operation& operation);  // loads and marks what is loaded
  Completion Done(const Operation& operation, const Store::Attempt& attempt, const char* version);
  // Marks the first operation and completes it.
  void PushFirst(const char* version);
  void PushAll(const char* version_prefix = "v");

  std::string folder, path;
  hal::LinuxStorage storage;
  hal::SimClock clock;
  hal::SimRandom random;
  std::unique_ptr<Store> store;
  sqlite3* program = nullptr;
  std::unique_ptr<char[]> bytes;
  Arena arena;
  RowFields room;
};

std::string RowText(RowView row);
// A row of text and numbers: Fields({{"id", "a"}, {"value", 1.5}}) as the wire would bring it.
class WireRow {
 public:
  WireRow& Text(const char* name, std::string value);
  WireRow& Real(const char* name, double value);
  WireRow& Integer(const char* name, std::int64_t value);
  WireRow& Null(const char* name);
  operator RowView() const { return fields_; }

 private:
  std::vector<std::unique_ptr<std::string>> texts_;
  std::vector<Field> fields_;
};

}  // namespace holdfast::store

#endif  // HOLDFAST_TESTS_STORE_STORE_FIXTURE_H_
