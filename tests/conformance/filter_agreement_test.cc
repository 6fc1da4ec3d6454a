// SPDX-License-Identifier: Apache-2.0
// Filters mean the same to the store and to somebody who only reads them; and for others
// (filter_remote_test.py) this program prints the corpus.
#include <CppUTest/TestHarness.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <set>

#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_random.h"
#include "hal/sim/sim_storage.h"
#include "store/store.h"
#include "tests/conformance/filter_agreement.h"

namespace holdfast::agreement {
namespace {

using Ids = std::set<std::string>;

constexpr std::uint64_t kSeed = 20;
constexpr int kFilters = 10000;

std::string Listed(const Ids& ids) {
  std::string text;
  for (const std::string& id : ids) text += " " + id;
  return text.empty() ? " none" : text;
}

class IdSink : public RowSink {
 public:
  Ids ids;
  Result<void> OnRow(RowView row) override {
    ids.emplace(FindText(row, kId));
    return Ok();
  }
};

ColumnType ColumnTypeOf(Type type) {
  switch (type) {
    case Type::kBoolean: return ColumnType::kBoolean;
    case Type::kInteger: return ColumnType::kInteger;
    case Type::kReal: return ColumnType::kReal;
    case Type::kDate: return ColumnType::kDatetime;
    case Type::kText:
    case Type::kNull: break;
  }
  return ColumnType::kText;
}

Value ValueOf(const Cell& cell) {
  switch (cell.type) {
    case Type::kNull: break;
    case Type::kBoolean: return Value::Boolean(cell.integer != 0);
    case Type::kInteger: return Value::Integer(cell.integer);
    case Type::kReal: return Value::Real(cell.real);
    case Type::kText:
    case Type::kDate: return Value::Text(cell.text);
  }
  return Value::Null();
}

Ids Meant(const Expression& filter, const std::vector<Row>& rows) {
  Ids ids;
  for (const Row& row : rows) {
    if (IsTrue(Evaluate(filter, row))) ids.insert(row.id);
  }
  return ids;
}

}  // namespace

TEST_GROUP(FilterAgreement) {
  hal::SimClock clock;
  hal::SimStorage storage{{.clock = &clock}};
  hal::SimRandom random;
  std::unique_ptr<store::Store> store;
  const store::Table* table = nullptr;
  std::vector<Row> rows = AwkwardRows();
  std::unique_ptr<query::ParsedFilter> parsed = std::make_unique<query::ParsedFilter>();
  std::unique_ptr<query::Parameters> parameters = std::make_unique<query::Parameters>();
  std::vector<char> room = std::vector<char>(16 << 10);
  query::QueryError error;

  void setup() override {
    auto opened = store::Store::Open({.path = "device.db"}, storage, clock, random);
    CHECK(opened.ok());
    store = std::move(opened).value();
    std::vector<store::Column> columns;
    for (const ColumnSpec& spec : kColumns) {
      store::Column column;
      CHECK(column.name.Assign(spec.name).ok());
      column.type = ColumnTypeOf(spec.type);
      columns.push_back(column);
    }
    auto defined = store->DefineTable({.name = "corpus", .columns = columns});
    CHECK(defined.ok());
    table = *defined;
  }

  // Rows with system columns come as from a server, the others as from a program.
  void PutRows() {
    CHECK(store->BeginPage().ok());
    for (const Row& row : rows) {
      if (row.cells.count("version") != 0) PutRow(row, true);
    }
    CHECK(store->EndPage(*table, "", "").ok());
    for (const Row& row : rows) {
      if (row.cells.count("version") == 0) PutRow(row, false);
    }
  }
  void PutRow(const Row& row, bool is_pulled) {
    RowFields fields;
    for (const auto& [name, cell] : row.cells) {
      if (name == kDeleted) continue;
      const auto info = table->Lookup(name);
      CHECK_TRUE_TEXT(info.has_value(), name.c_str());
      CHECK(fields.Add(name, info->type, ValueOf(cell)).ok());
    }
    store::Id id;
    const bool done = is_pulled ? store->ApplyRemote(*table, fields.view()).ok()
                                : store->Put(*table, fields.view(), id).ok();
    CHECK_TRUE_TEXT(done, row.id.c_str());
  }

  Ids Here(const std::string& text) {
    Arena arena(room);
    if (!query::ParseFilter(text, arena, *parsed, error)) {
      FAIL((text + "\n\tcolumn " + std::to_string(error.column) + ": " + error.what).c_str());
    }
    IdSink sink;
    store::ReadQuery query;
    query.filter = parsed.get();
    const auto read = store->Read(*table, query, sink);
    CHECK_TRUE_TEXT(read.ok(), (text + "\n\t" + std::string(store->why())).c_str());
    return sink.ids;
  }

  // "5: no such column"; empty: the filter is right.
  std::string Mistake(const std::string& text) {
    Arena arena(room);
    std::vector<char> bytes(64 << 10);
    TextWriter sql(bytes);
    if (query::ParseFilter(text, arena, *parsed, error) &&
        query::AppendWhere(*parsed, *table, arena, sql, *parameters, error)) {
      return "";
    }
    return std::to_string(error.column) + ": " + (error.what == nullptr ? "?" : error.what);
  }
};

TEST(FilterAgreement, TheStoreChoosesWhatTheFilterMeans) {
  PutRows();
  Corpus corpus({.seed = kSeed});
  int choosing = 0, differing = 0;
  std::string first;
  for (int i = 0; i < kFilters; ++i) {
    const Expression filter = corpus.Next();
    const std::string text = TextOf(filter);
    const Ids meant = Meant(filter, rows), here = Here(text);
    choosing += int(!meant.empty() && meant.size() < rows.size());
    if (meant == here) continue;
    if (++differing > 10) continue;
    first += "\n" + text + "\n\tmeant:" + Listed(meant) + "\n\tstore:" + Listed(here);
  }
  CHECK_TRUE_TEXT(differing == 0, (std::to_string(differing) + " differ" + first).c_str());
  // A corpus that chooses all or nothing would prove little.
  CHECK_TRUE_TEXT(choosing * 2 > kFilters, std::to_string(choosing).c_str());
}

// SQLite's own % would cut both to 64 bits first.
TEST(FilterAgreement, ASumThatLeaves64BitsHasTheRemainderOfAReal) {
  PutRows();
  LONGS_EQUAL(rows.size(), Here("(9223372036854775807 add 1) mod 4096 eq 0").size());
  LONGS_EQUAL(rows.size(), Here("4096 mod (9223372036854775807 mul 2) eq 4096").size());
  LONGS_EQUAL(rows.size(), Here("9223372036854775807 mod 4096 eq 4095").size());
}

// Texts are compared byte by byte, so it matters how a date is written beside one.
TEST(FilterAgreement, BesideATextADateWithoutTimeStaysOne) {
  PutRows();
  Ids meant;
  for (const Row& row : rows) {
    if (row.cells.at("s").text == "2025-01-01") meant.insert(row.id);
  }
  CHECK(!meant.empty());
  CHECK(Here("s eq cast(2025-01-01,Edm.Date)") == meant);
  CHECK(Here("s in (2025-01-01)") == meant);
  CHECK(Here("s eq datetime'2025-01-01T00:00:00Z'").empty());
}

TEST(FilterAgreement, TheCorpusHoldsTheWholeLanguage) {
  Corpus corpus({.seed = kSeed});
  std::string all;
  for (int i = 0; i < kFilters; ++i) all += TextOf(corpus.Next()) + "\n";
  for (const char* const word : {" or ",
                                 " and ",
                                 "not ",
                                 "not(",
                                 " eq ",
                                 " ne ",
                                 " gt ",
                                 " ge ",
                                 " lt ",
                                 " le ",
                                 " in (",
                                 " add ",
                                 " sub ",
                                 " mul ",
                                 " div ",
                                 " mod ",
                                 "-(",
                                 "- 5",
                                 "--",
                                 "(-",
                                 "year(",
                                 "month(",
                                 "day(",
                                 "hour(",
                                 "minute(",
                                 "second(",
                                 "floor(",
                                 "ceiling(",
                                 "round(",
                                 "tolower(",
                                 "toupper(",
                                 "length(",
                                 "trim(",
                                 "substringof(",
                                 "contains(",
                                 "startswith(",
                                 "endswith(",
                                 "concat(",
                                 "indexof(",
                                 "replace(",
                                 "substring(",
                                 "null",
                                 "true",
                                 "false",
                                 "''",
                                 "7L",
                                 "7l",
                                 ".5M",
                                 ".5d",
                                 ".5f",
                                 "1e3",
                                 "1.5E-3",
                                 "2d",
                                 "guid'",
                                 "datetime'",
                                 "datetimeoffset'",
                                 "+02:00'",
                                 "+00:00'",
                                 "9999Z'",
                                 ",Edm.Date)",
                                 ",Edm.DateTimeOffset)",
                                 "Edm.DateTime ",
                                 ",Edm.Int64)",
                                 ",Edm.Int32)",
                                 ",Edm.Int16)",
                                 ",Edm.Byte)",
                                 ",Edm.SByte)",
                                 ",Edm.Double)",
                                 ",Edm.Single)",
                                 ",Edm.Decimal)",
                                 ",Edm.Boolean)",
                                 ",Edm.Guid)",
                                 ",Edm.String)",
                                 ",Edm.TimeOfDay)",
                                 " 2025-01-01T00:00:00.000Z",
                                 "deleted",
                                 "createdAt",
                                 "updatedAt",
                                 "version",
                                 "id ",
                                 "\t",
                                 "9223372036854775807",
                                 "-9223372036854775808",
                                 "9007199254740993",
                                 "4.9406564584124654e-324"}) {
    CHECK_TRUE_TEXT(all.find(word) != std::string::npos, word);
  }
}

// Each at its edge: the last that is good, and the first that is not.
TEST(FilterAgreement, LimitsAreMetWhereTheyStand) {
  const auto times = [](int count, const std::string& part) {
    std::string text;
    for (int i = 0; i < count; ++i) text += part;
    return text;
  };
  const struct {
    std::string good, bad;
    const char* mistake;
  } cases[] = {
      {times(32, "(") + "b" + times(32, ")"), times(33, "(") + "b" + times(33, ")"),
       "34: too deeply nested"},
      {times(31, "not ") + "b", times(32, "not ") + "b", "1: too deeply nested"},
      {"i" + times(30, " add 1") + " eq 1", "i" + times(31, " add 1") + " eq 1",
       "189: too deeply nested"},
      {times(10, "floor(") + "r" + times(10, ")") + " eq 1",
       times(11, "floor(") + "r" + times(11, ")") + " eq 1", "1: too deeply nested"},
      {"i in (1" + times(253, ",1") + ")", "i in (1" + times(254, ",1") + ")",
       "515: a filter has at most 256 values and operators"},
      {"b" + times(254, " or b"), "b" + times(255, " or b"),
       "1276: a filter has at most 256 values and operators"},
      {"s eq '" + std::string(4089, 'x') + "'", "s eq '" + std::string(4090, 'x') + "'",
       "4097: a filter has at most 4096 bytes"},
  };
  for (const auto& one : cases) {
    STRCMP_EQUAL_TEXT("", Mistake(one.good).c_str(), one.good.c_str());
    STRCMP_CONTAINS_TEXT(one.mistake, Mistake(one.bad).c_str(), one.bad.c_str());
    Here(one.good);
  }
}

// JSON lines: the rows, then filters with what they mean. Only on request.
TEST(FilterAgreement, PrintsTheCorpusForOthers) {
  const char* const wanted = std::getenv("HOLDFAST_PRINT_CORPUS");
  if (wanted == nullptr) return;
  std::printf("\n");
  for (const Row& row : rows) std::printf("{\"row\":%s}\n", JsonOf(row).c_str());
  Corpus corpus({.seed = kSeed + 1, .system_columns = false});
  for (int i = std::atoi(wanted); i > 0; --i) {
    const Expression filter = corpus.Next();
    std::string ids;
    for (const std::string& id : Meant(filter, rows)) ids += (ids.empty() ? "" : ",") + JsonOf(id);
    std::printf("{\"filter\":%s,\"ids\":[%s]}\n", JsonOf(TextOf(filter)).c_str(), ids.c_str());
  }
}

}  // namespace holdfast::agreement
