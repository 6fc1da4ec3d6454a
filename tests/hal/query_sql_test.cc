// SPDX-License-Identifier: Apache-2.0
// What filters and orders select, by SQLite itself.
#include <CppUTest/TestHarness.h>
#include <sqlite3.h>

#include <string>

#include "hal/base/prng.h"
#include "hal/base/query.h"

using namespace holdfast;
using namespace holdfast::query;

namespace {

// Row n is null everywhere but in id. x and y are the names the generator uses inside.
constexpr const char* kTable = R"(
CREATE TABLE t(id TEXT PRIMARY KEY, s TEXT COLLATE NOCASE, i INTEGER, r REAL, b INTEGER, d TEXT,
               m TEXT, z BLOB, v, x REAL, y TEXT);
INSERT INTO t VALUES
 ('a','Apple',  5,  2.5, 1,'2024-02-29T23:59:59.999Z','2024-02-29T23:59:59.999999Z',X'666F6F',
  1, 7.5, 'le'),
 ('b','banana',-7, -2.5, 0,'2025-01-02T03:04:05.678Z','2025-01-02T03:04:05.678000Z',X'00',
  'text', -7.5, ''),
 ('c','100%_x', 0,  1e17,1,'1999-12-31T00:00:00.000Z','1999-12-31T00:00:00.000001Z',NULL,
  2.5, 3, 'x'),
 ('n',NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL,NULL);
)";

class TestColumns : public Columns {
 public:
  std::optional<ColumnInfo> Lookup(std::string_view name) const override {
    if (name == "id" || name == "s" || name == "y") return ColumnInfo{ColumnType::kText, 3};
    if (name == "i") return ColumnInfo{ColumnType::kInteger, 3};
    if (name == "r" || name == "x") return ColumnInfo{ColumnType::kReal, 3};
    if (name == "b") return ColumnInfo{ColumnType::kBoolean, 3};
    if (name == "d") return ColumnInfo{ColumnType::kDatetime, 3};
    if (name == "m") return ColumnInfo{ColumnType::kDatetime, 6};
    if (name == "z") return ColumnInfo{ColumnType::kBlob, 3};
    if (name == "v") return ColumnInfo{ColumnType::kAny, 3};
    return std::nullopt;
  }
};

void Bind(sqlite3_stmt* statement, int at, const Value& value) {
  const int size = int(value.text.size());
  switch (value.type) {
    case ValueType::kNull: sqlite3_bind_null(statement, at); break;
    case ValueType::kInteger:
    case ValueType::kBoolean: sqlite3_bind_int64(statement, at, value.integer); break;
    case ValueType::kReal: sqlite3_bind_double(statement, at, value.real); break;
    case ValueType::kText:
      sqlite3_bind_text(statement, at, value.text.data(), size, SQLITE_TRANSIENT);
      break;
    case ValueType::kBlob:
      sqlite3_bind_blob(statement, at, value.text.data(), size, SQLITE_TRANSIENT);
      break;
  }
}

}  // namespace

TEST_GROUP(QuerySql) {
  sqlite3* db = nullptr;
  char room[16384];
  char text[65536];
  Arena arena{room};
  ParsedFilter filter;
  Parameters parameters;
  QueryError error;
  TestColumns columns;

  void setup() override {
    LONGS_EQUAL(SQLITE_OK, sqlite3_open(":memory:", &db));
    LONGS_EQUAL(SQLITE_OK, sqlite3_exec(db, kTable, nullptr, nullptr, nullptr));
  }
  void teardown() override { sqlite3_close(db); }

  // The filter as SQL, or "column: what".
  std::string Sql(std::string_view where) {
    arena.Reset();
    TextWriter sql(text);
    Result<void> done = ParseFilter(where, arena, filter, error);
    if (done) done = AppendWhere(filter, columns, arena, sql, parameters, error);
    if (!done && error.what == nullptr) return std::string(CodeName(done.error().code));
    if (!done) return std::to_string(error.column) + ": " + error.what;
    return std::string(sql.view());
  }
  std::string Run(const std::string& sql, bool plan = false) {
    sqlite3_stmt* statement = nullptr;
    if (sqlite3_prepare_v2(db, sql.c_str(), -1, &statement, nullptr) != SQLITE_OK) {
      return std::string(sqlite3_errmsg(db)) + " in " + sql;
    }
    LONGS_EQUAL(int(parameters.count), sqlite3_bind_parameter_count(statement));
    for (std::size_t i = 0; i < parameters.count; ++i) {
      Bind(statement, int(i) + 1, parameters.values[i]);
    }
    std::string found;
    while (sqlite3_step(statement) == SQLITE_ROW) {
      found += reinterpret_cast<const char*>(sqlite3_column_text(statement, plan ? 3 : 0));
    }
    sqlite3_finalize(statement);
    return found;
  }
  // The ids of the rows that pass, in order; or what is wrong with the filter.
  std::string Select(std::string_view where) {
    const std::string sql = Sql(where);
    if (error.what != nullptr) return sql;
    return Run("SELECT id FROM t WHERE " + (sql.empty() ? "1" : sql) + " ORDER BY id");
  }
  std::string Order(std::string_view order) {
    TextWriter sql(text);
    parameters.count = 0;
    if (!AppendOrderBy(order, columns, sql, error)) {
      return std::to_string(error.column) + ": " + error.what;
    }
    return std::string(sql.view());
  }
};

#define SELECTS(where, ids) STRCMP_EQUAL(ids, Select(where).c_str())

TEST(QuerySql, TheEmptyFilterSelectsAll) { SELECTS("", "abcn"); }

TEST(QuerySql, ValuesAreBoundAndNamesQuoted) {
  STRCMP_EQUAL("(\"i\" IS ?)", Sql("i eq 5").c_str());
  STRCMP_EQUAL("(\"i\" IS NOT NULL)", Sql("i ne null").c_str());
}

TEST(QuerySql, NullIsEqualToNullOnly) {
  SELECTS("i eq null", "n");
  SELECTS("i ne null", "abc");
  SELECTS("null eq i", "n");
  SELECTS("i eq 5", "a");
  SELECTS("i ne 5", "bcn");
  SELECTS("i gt 0 or i le 0", "abc");
  SELECTS("i gt null", "");
  SELECTS("s eq y", "n");
}

TEST(QuerySql, NullsDoNotLeakThroughNot) {
  SELECTS("not(i gt 0)", "bcn");
  SELECTS("not(i eq 5)", "bcn");
  SELECTS("not(i gt 0 and b)", "bcn");
  SELECTS("not(startswith(s,'A'))", "bcn");
  SELECTS("not b", "bn");
  SELECTS("not not b", "ac");
  SELECTS("not(b eq null)", "abc");
  SELECTS("(i gt 0) eq false", "bcn");
  SELECTS("(i gt 0) ne true", "bcn");
  SELECTS("(i gt 0) eq null", "");
  SELECTS("not(i in (5,0))", "bn");
}

TEST(QuerySql, BooleansAreOneAndZero) {
  SELECTS("b", "ac");
  SELECTS("b eq true", "ac");
  SELECTS("b eq false", "b");
  SELECTS("b ne true", "bn");
  SELECTS("b eq 1", "ac");
  SELECTS("true", "abcn");
  SELECTS("false", "");
  SELECTS("(i gt 0) eq b", "ab");
}

TEST(QuerySql, NumbersAreComparedByValue) {
  SELECTS("r eq 2.5", "a");
  SELECTS("r gt -3 and r lt 3", "ab");
  SELECTS("i ge -7L and i le 0", "bc");
  SELECTS("r gt i", "bc");
  SELECTS("v eq 1", "a");
  SELECTS("v eq 'text'", "b");
}

TEST(QuerySql, Arithmetic) {
  SELECTS("i add 1 eq 6", "a");
  SELECTS("i sub 1 eq -8", "b");
  SELECTS("i mul 2 eq -14", "b");
  SELECTS("i div 2 eq 2", "a");
  SELECTS("i div 2 eq -3", "b");
  SELECTS("i div 2.0 eq 2.5", "a");
  SELECTS("r div 2 eq 1.25", "a");
  SELECTS("-i eq 7", "b");
  SELECTS("-(-i) eq 5", "a");
  SELECTS("i mod 3 eq 2", "a");
  SELECTS("i mod 3 eq -1", "b");
  SELECTS("x mod 2 eq 1.5", "a");
  SELECTS("x mod 2 eq -1.5", "b");
  SELECTS("x mod 2 eq 1", "c");
  SELECTS("x mod 2 mod 1 eq 0.5", "a");
  SELECTS("v mod 2 eq 0.5", "c");
  SELECTS("i div 0 eq null", "abcn");
  SELECTS("i add null eq null", "abcn");
}

TEST(QuerySql, Rounding) {
  SELECTS("floor(r) eq 2", "a");
  SELECTS("floor(r) eq -3", "b");
  SELECTS("ceiling(r) eq 3", "a");
  SELECTS("ceiling(r) eq -2", "b");
  SELECTS("round(r) eq 3", "a");
  SELECTS("round(r) eq -3", "b");
  SELECTS("floor(r) eq r", "cn");
  SELECTS("floor(x) eq 7", "a");
  SELECTS("floor(i) eq 5", "a");
  SELECTS("floor(r) div 4 eq 0.5", "a");
}

TEST(QuerySql, PartsOfDates) {
  SELECTS("year(d) eq 2024", "a");
  SELECTS("month(d) eq 1", "b");
  SELECTS("day(d) eq 29", "a");
  SELECTS("hour(d) eq 23", "a");
  SELECTS("minute(d) eq 4", "b");
  SELECTS("second(d) eq 59", "a");
  SELECTS("day(m) eq 29 and second(m) eq 59", "a");
  SELECTS("year(d) eq null", "n");
  SELECTS("year(datetime'2012-05-03T00:06:00Z') eq 2012", "abcn");
  SELECTS("hour('2012-05-03T00:06:00+02:00') eq 22", "abcn");
}

TEST(QuerySql, DatesTakeTheFormOfTheirColumn) {
  SELECTS("d eq datetime'2025-01-02T03:04:05.678Z'", "b");
  SELECTS("d eq datetimeoffset'2025-01-02T05:04:05.6780000+02:00'", "b");
  SELECTS("m eq datetime'2025-01-02T03:04:05.678Z'", "b");
  SELECTS("m gt cast(2024-02-29T23:59:59.999Z,Edm.DateTimeOffset)", "ab");
  SELECTS("d gt cast(2024-02-29T23:59:59.999Z,Edm.DateTimeOffset)", "b");
  SELECTS("m ge datetimeoffset'2024-02-29T23:59:59.9999990Z'", "ab");
  SELECTS("m gt datetimeoffset'2024-02-29T23:59:59.9999990Z'", "b");
  SELECTS("d lt cast(2000-01-01,Edm.Date)", "c");
  SELECTS("d eq '1999-12-31T00:00:00Z'", "c");
  SELECTS("datetime'2025-01-02T03:04:05.678Z' eq m", "b");
  SELECTS("d in (datetime'2025-01-02T03:04:05.678Z',null)", "bn");
  SELECTS("y lt cast(2000-01-01,Edm.Date)", "b");
}

TEST(QuerySql, DatesOfDifferentFormsAreComparedToTheLesserPrecision) {
  SELECTS("d eq m", "abcn");
  SELECTS("m eq d", "abcn");
  SELECTS("d ge m", "abc");
  SELECTS("m gt d", "");
}

TEST(QuerySql, TextsAreComparedByTheirBytes) {
  SELECTS("s eq 'apple'", "");
  SELECTS("s eq 'Apple'", "a");
  SELECTS("'Apple' eq s", "a");
  SELECTS("'apple' eq s", "");
  SELECTS("s gt 'Z'", "b");
  SELECTS("s in ('apple','banana')", "b");
  SELECTS("s eq 'x'' or 1=1 --'", "");
}

TEST(QuerySql, FunctionsOfTexts) {
  SELECTS("tolower(s) eq 'apple'", "a");
  SELECTS("toupper(s) eq 'BANANA'", "b");
  SELECTS("length(s) eq 6", "bc");
  SELECTS("trim(concat(' ',s)) eq 'Apple'", "a");
  SELECTS("concat(s,y) eq 'Applele'", "a");
  SELECTS("indexof(s,'n') eq 2", "b");
  SELECTS("indexof(s,'q') eq -1", "abc");
  SELECTS("replace(s,'an','') eq 'ba'", "b");
  SELECTS("substring(s,1) eq 'pple'", "a");
  SELECTS("substring(s,1,2) eq 'an'", "b");
  SELECTS("substring(s,-3,3) eq 'ban'", "b");
  SELECTS("substring(s,2,-1) eq ''", "abc");
  SELECTS("substring(s,99) eq ''", "abc");
}

TEST(QuerySql, WildcardsOfLikeAreOrdinaryCharacters) {
  SELECTS("substringof('%',s)", "c");
  SELECTS("contains(s,'%_')", "c");
  SELECTS("startswith(s,'1_0')", "");
  SELECTS("startswith(s,'100%')", "c");
  SELECTS("endswith(s,'_x')", "c");
  SELECTS("endswith(s,'%')", "");
}

TEST(QuerySql, PartsOfTextsAreFoundByTheirBytes) {
  SELECTS("startswith(s,'app')", "");
  SELECTS("startswith(s,'an')", "");
  SELECTS("endswith(s,'na')", "b");
  SELECTS("endswith(s,'NA')", "");
  SELECTS("endswith(s,'xxxxxxxxxxxxbanana')", "");
  SELECTS("endswith(s,y)", "abc");
  SELECTS("endswith(y,s)", "");
  SELECTS("endswith(s,'')", "abc");
  SELECTS("startswith(s,'')", "abc");
  SELECTS("contains(s,'')", "abc");
  SELECTS("endswith(x gt 1,'')", "12: expected a text");
}

TEST(QuerySql, BlobsAreComparedWithBase64) {
  SELECTS("z eq 'Zm9v'", "a");
  SELECTS("'AA==' eq z", "b");
  SELECTS("z eq null", "cn");
  SELECTS("z in ('Zm9v','AA==')", "ab");
  SELECTS("z eq 'x'", "6: expected base64");
}

TEST(QuerySql, ListsMayHoldNull) {
  SELECTS("i in (5,-7)", "ab");
  SELECTS("i in (5,null)", "an");
  SELECTS("i in (null)", "n");
  SELECTS("not(i in (null))", "abc");
  SELECTS("not(i in (5,null))", "bc");
  SELECTS("b in (true)", "ac");
}

TEST(QuerySql, UnknownColumnIsAnErrorAtItsPosition) {
  SELECTS("nope eq 1", "1: no such column");
  SELECTS("i eq 1 and (nope eq 1)", "13: no such column");
  SELECTS("s/x eq 1", "1: no such column");
  SELECTS("tolower(nope) eq 'a'", "9: no such column");
}

TEST(QuerySql, OperandsOfTheWrongTypeAreErrorsAtTheirPosition) {
  SELECTS("i", "1: expected a condition");
  SELECTS("b and s", "7: expected a condition");
  SELECTS("not i", "5: expected a condition");
  SELECTS("s add 1 eq 2", "1: expected a number");
  SELECTS("i add 'x' eq 2", "7: expected a number");
  SELECTS("-s eq 1", "2: expected a number");
  SELECTS("i eq 'x'", "6: a value of another type is expected");
  SELECTS("s gt 1", "6: a value of another type is expected");
  SELECTS("s in ('a',1)", "11: a value of another type is expected");
  SELECTS("d gt 5", "6: a value of another type is expected");
  SELECTS("d gt 'yesterday'", "6: expected a date like 2026-11-23T06:11:29.123Z");
  SELECTS("floor(s) eq 1", "7: expected a number");
  SELECTS("length(i) eq 1", "8: expected a text");
  SELECTS("year(i) eq 1", "6: expected a date");
  SELECTS("substring(s,'1') eq 'x'", "13: expected a number");
  SELECTS("substring(1,1) eq 'x'", "11: expected a text");
  SELECTS("contains(z,'x')", "10: expected a text");
}

TEST(QuerySql, TheLongestAndDeepestFiltersAreGoodSql) {
  std::string sum = "i";
  for (int i = 0; i < 30; ++i) sum += " add 1";
  SELECTS(sum + " eq 35", "a");
  std::string mods = "v";
  std::string floors = "r";
  for (int i = 0; i < 10; ++i) {
    mods = std::string("(").append(mods).append(i == 9 ? " mod 2 eq 1)" : " mod 2)");
    if (i < 9) floors = std::string("floor(").append(floors).append(")");
  }
  SELECTS(mods, "a");
  SELECTS(floors + " eq 2", "a");
  std::string places = "i";
  for (int i = 0; i < 14; ++i) {
    places = std::string("indexof(substring(y,").append(places).append("),y)");
  }
  SELECTS(places + " eq 0 or true", "abcn");
  std::string searches = "b";
  std::string negations = "i eq 5";
  for (int i = 0; i < 30; ++i) {
    searches =
        std::string("(").append(searches).append(i == 0 ? " in (true,null))" : " in (true))");
    if (i < 16) negations = std::string("not(").append(negations).append(")");
  }
  SELECTS(searches, "acn");
  SELECTS(negations, "a");
  std::string chain = "i eq 5";
  for (int i = 0; i < 63; ++i) chain += " or i eq 5";
  SELECTS(chain, "a");
}

// Expressions of random shape and fitting types: what the generator accepts, SQLite has to.
class RandomFilter {
 public:
  explicit RandomFilter(std::uint64_t seed) : random_(seed) {}

  std::string Condition(int depth) {
    if (depth == 0) return Pick({"b", "true", "not b", "v"});
    switch (random_.Below(7)) {
      case 0: return Join("(", Condition(depth - 1), Pick({" and ", " or "}), Condition(0), ")");
      case 1: return Join("not(", Condition(depth - 1), ")");
      case 2: return Join("(", Number(depth - 1), Pick({" gt ", " eq ", " ne "}), Number(0), ")");
      case 3: return Join("(", Text(depth - 1), " in ('a',null,'b'))");
      case 4: return Join("(", Condition(depth - 1), Pick({" eq ", " lt "}), Condition(0), ")");
      case 5: return Join(Pick({"endswith(", "contains("}), Text(depth - 1), ",", Text(0), ")");
      default: return Join("(", Condition(depth - 1), " in (true,null))");
    }
  }

 private:
  std::string Number(int depth) {
    if (depth == 0) return Pick({"i", "r", "v", "1", "-2.5", "null", "year(d)"});
    switch (random_.Below(6)) {
      case 0: return Join("(", Number(depth - 1), Pick({" add ", " div ", " mul "}), "i)");
      case 1: return Join("(", Number(depth - 1), " mod ", Number(0), ")");
      case 2: return Join(Pick({"floor(", "ceiling(", "round("}), Number(depth - 1), ")");
      case 3: return Join("-(", Number(depth - 1), ")");
      case 4: return Join("indexof(", Text(depth - 1), ",s)");
      default: return Join("length(", Text(depth - 1), ")");
    }
  }
  std::string Text(int depth) {
    if (depth == 0) return Pick({"s", "y", "id", "'it''s'", "v"});
    switch (random_.Below(4)) {
      case 0: return Join("concat(", Text(depth - 1), ",", Text(0), ")");
      case 1: return Join("substring(s,", Number(depth - 1), ",", Number(0), ")");
      case 2: return Join("replace(", Text(0), ",", Text(depth - 1), ",'x')");
      default: return Join(Pick({"trim(", "tolower("}), Text(depth - 1), ")");
    }
  }
  std::string Pick(std::initializer_list<const char*> words) {
    return *(words.begin() + random_.Below(words.size()));
  }
  template <typename... Parts>
  static std::string Join(const Parts&... parts) {
    std::string text;
    (text.append(parts), ...);
    return text;
  }

  Prng random_;
};

TEST(QuerySql, WhatIsAcceptedIsGoodSql) {
  int accepted = 0;
  for (std::uint64_t seed = 0; seed < 5000; ++seed) {
    const std::string where = RandomFilter(seed).Condition(int(seed % 34));
    const std::string sql = Sql(where);
    if (error.what != nullptr) {
      CHECK_TEXT(sql.ends_with("too deeply nested"), (where + "\n" + sql).c_str());
      continue;
    }
    ++accepted;
    sqlite3_stmt* statement = nullptr;
    const std::string select = "SELECT id FROM t WHERE b IS 1 AND " + sql;
    sqlite3_prepare_v2(db, select.c_str(), -1, &statement, nullptr);
    CHECK_TEXT(statement != nullptr, (where + "\n" + sqlite3_errmsg(db)).c_str());
    sqlite3_finalize(statement);
  }
  CHECK(accepted > 1000);
}

TEST(QuerySql, IndexesAreUsed) {
  const std::string sql = Sql("id eq 'a'");
  const std::string plan = Run("EXPLAIN QUERY PLAN SELECT * FROM t WHERE " + sql, true);
  CHECK_TEXT(plan.find("SEARCH t USING INDEX") != std::string::npos, plan.c_str());
}

TEST(QuerySql, EveryRoomIsRespected) {
  const std::string_view where =
      "not(startswith(s,'it''s') and i add 1 ge 2) or d gt datetime'2024-01-02T00:00:00Z' or "
      "z eq 'Zm9v' or x mod 2 eq 1";
  const std::size_t whole = Sql(where).size();
  CHECK(ParseFilter(where, arena, filter, error).ok());
  for (std::size_t size = 0; size <= whole; ++size) {
    std::string some(size, '.');
    TextWriter sql(some);
    const auto done = AppendWhere(filter, columns, arena, sql, parameters, error);
    CHECK(done.ok() == (size == whole));
    if (!done) CHECK(done.error().code == Code::kTooLarge);
    arena.Reset();
  }
  for (std::size_t size = 0; size < 64; ++size) {
    std::string some(size, '.');
    Arena small(some);
    TextWriter sql(text);
    Result<void> done = ParseFilter(where, small, filter, error);
    if (done) done = AppendWhere(filter, columns, small, sql, parameters, error);
    if (!done) CHECK(done.error().code == Code::kNoMemory);
  }
}

TEST(QuerySql, OrdersAreColumnsWithADirection) {
  STRCMP_EQUAL("", Order("").c_str());
  STRCMP_EQUAL("\"s\" ASC,\"i\" DESC", Order("s, i desc").c_str());
  STRCMP_EQUAL("\"s\" ASC", Order(" s  asc ").c_str());
  STRCMP_EQUAL("bacn", Run("SELECT id FROM t ORDER BY i IS NULL, " + Order("b,i desc")).c_str());
}

TEST(QuerySql, MistakesInOrdersAreFoundWhereTheyAre) {
  STRCMP_EQUAL("1: no such column", Order("nope").c_str());
  STRCMP_EQUAL("4: no such column", Order("s, nope").c_str());
  STRCMP_EQUAL("3: expected asc, desc or ','", Order("s down").c_str());
  STRCMP_EQUAL("8: expected ','", Order("s desc i").c_str());
  STRCMP_EQUAL("3: expected a column", Order("s,").c_str());
  STRCMP_EQUAL("1: expected a column", Order(",s").c_str());
  STRCMP_EQUAL("3: expected a column", Order("s,,i").c_str());
  STRCMP_EQUAL("1: no such column", Order("\"s\"").c_str());
  char room4[4];
  TextWriter sql(room4);
  CHECK(AppendOrderBy("s", columns, sql, error).error().code == Code::kTooLarge);
}
