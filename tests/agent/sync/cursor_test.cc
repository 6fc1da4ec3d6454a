// SPDX-License-Identifier: Apache-2.0
// The cursor against tables of every nasty kind: equal moments, hidden digits, caps, missing dates,
// rows that change while they are read.
#include "agent/sync/cursor.h"

#include <CppUTest/TestHarness.h>

#include <algorithm>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "hal/base/prng.h"

using namespace holdfast;
using agent::Cursor;

namespace {

struct Row {
  std::string id;
  Ticks updated_at = 0;  // what the server compares
  bool has_date = true;
};

// A server as the cursor sees it: filter, order, cap; prints fewer digits than it stores.
struct ModelServer {
  std::vector<Row> rows;
  int printed_decimals = 3;
  std::uint32_t cap = 1000000;
  bool keeps_order = true;
  bool says_more = false;

  std::string Print(const Row& row) const {
    if (!row.has_date) return "";
    const Ticks step = printed_decimals == 3 ? kTicksPerMillisecond : 1;
    return std::string(FormatTimestamp(row.updated_at / step * step, printed_decimals).view());
  }

  std::vector<Row> Page(const transport::ListQuery& query, bool* more) const {
    std::vector<Row> found;
    const auto since = ParseTimestamp(query.since), before = ParseTimestamp(query.before);
    for (const Row& row : rows) {
      if (since && (!row.has_date || row.updated_at < *since)) continue;
      if (before && (!row.has_date || row.updated_at >= *before)) continue;
      if (!query.after_id.empty() && row.id <= query.after_id) continue;
      found.push_back(row);
    }
    if (keeps_order) {
      const bool by_id = query.order_by == "id";
      std::stable_sort(found.begin(), found.end(), [by_id](const Row& a, const Row& b) {
        if (by_id) return a.id < b.id;
        const Ticks x = a.has_date ? a.updated_at : INT64_MIN,
                    y = b.has_date ? b.updated_at : INT64_MIN;
        return x != y ? x < y : a.id < b.id;
      });
    }
    found.erase(found.begin(), found.begin() + std::min<std::size_t>(query.skip, found.size()));
    const std::size_t top = std::min<std::size_t>(query.top, cap);
    *more = says_more && found.size() > top;
    if (found.size() > top) found.resize(top);
    return found;
  }
};

struct Walk {
  std::multiset<std::string> seen;
  int pages = 0;
  std::string token;
};

// Reads everything; `between` runs after each page, to change the server meanwhile.
template <typename Between>
Walk WalkAll(ModelServer& server, std::string_view token, std::uint32_t page_rows,
             Between between) {
  Walk walk;
  Cursor cursor(token, page_rows, false);
  for (;;) {
    transport::ListQuery query;
    cursor.Ask(query);
    bool more = false;
    for (const Row& row : server.Page(query, &more)) {
      cursor.Row(row.id, server.Print(row));
      walk.seen.insert(row.id);
    }
    ++walk.pages;
    CHECK_TRUE_TEXT(walk.pages < 10000, "the walk does not end");
    if (!cursor.EndPage(more)) break;
    between(walk.pages);
  }
  walk.token = cursor.final_token();
  return walk;
}

Walk WalkAll(ModelServer& server, std::string_view token, std::uint32_t page_rows) {
  return WalkAll(server, token, page_rows, [](int) {});
}

std::string Id(int n) {
  char text[16];
  std::snprintf(text, sizeof text, "row-%05d", n);
  return text;
}

constexpr Ticks kStart = 17'000'000'000'000'000;

ModelServer Filled(int count, Ticks step) {
  ModelServer server;
  for (int i = 0; i < count; ++i) server.rows.push_back({Id(i), kStart + i * step, true});
  return server;
}

void CheckAllSeen(const ModelServer& server, const Walk& walk) {
  for (const Row& row : server.rows) {
    if (walk.seen.count(row.id) == 0) FAIL(("never seen: " + row.id).c_str());
  }
}

}  // namespace

TEST_GROUP(Cursor){};

TEST(Cursor, AnEmptyTableTakesOneRequest) {
  ModelServer server;
  const Walk walk = WalkAll(server, "", 100);
  LONGS_EQUAL(1, walk.pages);
  STRCMP_EQUAL("", walk.token.c_str());
}

TEST(Cursor, AShortPageIsTheLastOne) {
  ModelServer server = Filled(7, kTicksPerSecond);
  const Walk walk = WalkAll(server, "", 100);
  LONGS_EQUAL(1, walk.pages);
  LONGS_EQUAL(7, long(walk.seen.size()));
  STRCMP_EQUAL(server.Print(server.rows.back()).c_str(), walk.token.c_str());
}

TEST(Cursor, ManyPagesSeeEveryRowOfDistinctMomentsAndRepeatOnlyEdges) {
  ModelServer server = Filled(1000, kTicksPerMillisecond);
  const Walk walk = WalkAll(server, "", 100);
  CheckAllSeen(server, walk);
  CHECK(walk.seen.size() < 1000 + 20);
}

TEST(Cursor, MoreRowsInOneMomentThanAPageAreSweptById) {
  ModelServer server = Filled(1234, 0);
  for (int i = 0; i < 10; ++i)
    server.rows.push_back({Id(5000 + i), kStart + kTicksPerSecond, true});
  const Walk walk = WalkAll(server, "", 100);
  CheckAllSeen(server, walk);
}

TEST(Cursor, DigitsThatTheServerDoesNotPrintLoseNothing) {
  // 100 ns apart, printed as milliseconds: 10,000 rows share each printed moment.
  ModelServer server = Filled(3000, 1);
  const Walk walk = WalkAll(server, "", 64);
  CheckAllSeen(server, walk);
}

TEST(Cursor, AServerThatCapsPagesIsReadToTheEnd) {
  ModelServer server = Filled(777, kTicksPerMillisecond);
  server.cap = 50;
  CheckAllSeen(server, WalkAll(server, "", 1000));
}

TEST(Cursor, ASmallCapIsReadToTheEndWhenTheServerSaysThatThereIsMore) {
  ModelServer server = Filled(100, kTicksPerMillisecond);
  server.cap = 3;
  server.says_more = true;
  CheckAllSeen(server, WalkAll(server, "", 1000));
}

TEST(Cursor, RowsWithoutDatesAreReadBySkip) {
  ModelServer server;
  for (int i = 0; i < 500; ++i) server.rows.push_back({Id(i), 0, false});
  for (int i = 500; i < 700; ++i)
    server.rows.push_back({Id(i), kStart + i * kTicksPerSecond, true});
  CheckAllSeen(server, WalkAll(server, "", 100));
}

TEST(Cursor, AServerThatKeepsNoOrderIsReadBySkipAndGivesNoTokenBeforeTheEnd) {
  ModelServer server = Filled(500, kTicksPerSecond);
  std::reverse(server.rows.begin(), server.rows.end());
  server.keeps_order = false;
  const Walk walk = WalkAll(server, "", 100);
  CheckAllSeen(server, walk);
  Cursor cursor("", 100, false);
  cursor.Row("b", "2026-01-02T00:00:00.000Z");
  cursor.Row("a", "2026-01-01T00:00:00.000Z");
  // Only what came before the disorder is safe, and the next page is not asked by date.
  CHECK(cursor.token() != cursor.final_token() || cursor.token().empty());
}

TEST(Cursor, NothingIsMissedWhileRowsChangeBetweenPages) {
  for (std::uint64_t seed = 1; seed <= 200; ++seed) {
    Prng random(seed);
    ModelServer server = Filled(400, Ticks(random.Below(3)) * 3000);
    server.printed_decimals = random.Chance(50) ? 3 : 7;
    Ticks now = kStart + kTicksPerSecond * 100;
    const Walk walk = WalkAll(server, "", std::uint32_t(50 + random.Below(60)), [&](int page) {
      if (page > 40) return;
      for (int n = 0; n < 5; ++n) {
        Row& row = server.rows[random.Below(server.rows.size())];
        row.updated_at = now += Ticks(random.Below(20000));
      }
    });
    CheckAllSeen(server, walk);
    // The token lets the next pull see all later changes and little else.
    const Walk again = WalkAll(server, walk.token, 100);
    CHECK(again.seen.size() <= 400);
  }
}

TEST(Cursor, ATokenResumesWithTheRowsOfItsMoment) {
  ModelServer server = Filled(300, kTicksPerMillisecond);
  const std::string token = server.Print(server.rows[199]);
  const Walk walk = WalkAll(server, token, 1000);
  // 101 rows, and the last one again: a page of 101 may be a capped one.
  LONGS_EQUAL(102, long(walk.seen.size()));
  LONGS_EQUAL(1, long(walk.seen.count(server.rows[199].id)));
  LONGS_EQUAL(0, long(walk.seen.count(server.rows[198].id)));
}

TEST(Cursor, OffsetsAreComparedAsInstants) {
  Cursor cursor("2001-02-03T00:00:00.0000000+00:00", 100, false);
  cursor.Row("a", "2001-02-03T00:03:00+07:00");  // earlier than the token
  STRCMP_EQUAL("2001-02-03T00:00:00.0000000+00:00", std::string(cursor.final_token()).c_str());
}

TEST(Cursor, ShrinksToWhatSmallServersTakeOnce) {
  Cursor cursor("", 1000, false);
  CHECK(cursor.Shrink());
  transport::ListQuery query;
  cursor.Ask(query);
  LONGS_EQUAL(50, query.top);
  CHECK_FALSE(cursor.Shrink());
}
