// SPDX-License-Identifier: Apache-2.0
// Many operations in one body and back, and everything that is not one.
#include <CppUTest/TestHarness.h>

#include <string>
#include <vector>

#include "hal/base/prng.h"
#include "transport/wire.h"
#include "transport/wire_bulk.h"
#include "transport/wire_moment.h"

using namespace holdfast;
using namespace holdfast::wire;

namespace {

constexpr BulkSender kSender = {"device", "first", 4, 3};
constexpr Encoding kBoth[] = {Encoding::kJson, Encoding::kCbor};
constexpr std::int64_t kMoment = kFirstMoment + 800;

char g_room[512 << 10];
char g_arena[512 << 10];

Field Cell(std::string_view name, Value value) { return {name, ColumnType::kAny, value}; }

const std::vector<std::string> all_sensors = [] {
  std::vector<std::string> names;
  for (int i = 0; i < 10; ++i) names.push_back("temperature-" + std::to_string(i));
  return names;
}();

// An operation that owns what it says.
struct Said {
  BulkKind kind = BulkKind::kInsert;
  std::string table = "readings", id, if_match;
  std::int64_t sequence = 0, changes = 0;
  std::vector<Field> fields;

  BulkOperation view() const { return {kind, table, id, if_match, sequence, changes, fields}; }
};

std::string Show(const BulkOperation& operation) {
  std::string text = std::to_string(operation.sequence) + "/" + std::to_string(operation.changes) +
                     " " + "iud"[int(operation.kind)] + " " + std::string(operation.table) + " " +
                     std::string(operation.id) + " '" + std::string(operation.if_match) + "' ";
  char room[16 << 10];
  TextWriter out(room);
  CHECK(EncodeRow(operation.fields, out).ok());
  return text + std::string(out.view());
}

std::string Write(const std::vector<Said>& all, Encoding encoding = Encoding::kJson) {
  BulkWriter writer(g_room, encoding);
  CHECK(writer.Begin(kSender).ok());
  for (const Said& said : all) {
    auto added = writer.Add(said.view());
    CHECK(added.ok() && *added);
  }
  auto body = writer.Finish();
  CHECK(body.ok());
  return std::string(*body);
}

// What a reader makes of it: the operations, a line each, or its complaint.
std::string Read(std::string_view body, Encoding encoding = Encoding::kJson,
                 std::size_t arena_bytes = sizeof g_arena) {
  Arena arena({g_arena, arena_bytes});
  BulkReader reader(body, encoding, arena);
  BulkSender sender;
  const auto complaint = [](const Error& error) {
    return "! " + std::string(error.what == nullptr ? "" : error.what);
  };
  if (auto begun = reader.Begin(sender); !begun) return complaint(begun.error());
  std::string text = std::string(sender.installation) + " " + std::string(sender.incarnation) +
                     " " + std::to_string(sender.acknowledged) + " " +
                     std::to_string(sender.applied) + "\n";
  for (;;) {
    BulkOperation operation;
    auto more = reader.Next(operation);
    if (!more) return complaint(more.error());
    if (!*more) return text;
    text += Show(operation) + "\n";
  }
}

std::string ReadAnswer(std::string_view body) {
  Arena arena(g_arena);
  BulkAnswerReader reader(body, arena);
  const auto complaint = [](const Error& error) {
    return "! " + std::string(error.what == nullptr ? "" : error.what);
  };
  if (auto begun = reader.Begin(); !begun) return complaint(begun.error());
  std::string text;
  for (;;) {
    BulkDone done;
    BulkRefusal refusal;
    auto next = reader.Next(done, refusal);
    if (!next) return complaint(next.error());
    if (*next == BulkAnswerReader::Outcome::kEnd) return text;
    if (*next == BulkAnswerReader::Outcome::kDone) {
      text += std::to_string(done.first) + "+" + std::to_string(done.count) + " at " +
              std::to_string(done.moment - kFirstMoment) + " " + std::to_string(done.changes);
    } else {
      text += std::to_string(refusal.sequence) + " " + std::to_string(refusal.status) + " " +
              std::string(FindText(refusal.row, kVersion)) + "'" + std::string(refusal.words) + "'";
    }
    text += "\n";
  }
}

std::vector<Said> Mixed() {
  return {
      {BulkKind::kInsert,
       "readings",
       "a",
       "",
       5,
       1,
       {Cell("x", Value::Integer(-1)), Cell("s", Value::Text("\"\n"))}},
      {BulkKind::kInsert,
       "readings",
       "b",
       "",
       6,
       1,
       {Cell("x", Value::Real(1)), Cell("s", Value::Null())}},
      {BulkKind::kInsert,
       "readings",
       "c",
       "",
       7,
       2,
       {Cell("x", Value::Boolean(true)), Cell("s", Value::Null())}},
      {BulkKind::kUpdate, "events", "d", "v1", 9, 1, {Cell("t", Value::Text("\xC3\xA4"))}},
      {BulkKind::kUpdate, "events", "e", "", 10, 1, {Cell("t", Value::Real(0.1))}},
      {BulkKind::kDelete, "events", "f", "v2", 11, 0, {}},
      {BulkKind::kInsert,
       "readings",
       "g",
       "",
       12,
       1,
       {Cell("x", Value::Integer(INT64_MIN)), Cell("s", Value::Text(""))}},
  };
}

}  // namespace

TEST_GROUP(WireBulk){};

TEST(WireBulk, ABodyNamesColumnsOnceAndJoinsWhatFollowsEachOther) {
  STRCMP_EQUAL(
      "[1,\"device\",\"first\",4,3,["
      "[[\"readings\",\"i\",[\"x\",\"s\"]],5,1,[[\"a\",-1,\"\\\"\\n\"],[\"b\",1.0,null]]],"
      "[0,7,2,[[\"c\",true,null]]],"
      "[[\"events\",\"u\",[\"t\"]],9,1,[[\"d\",\"v1\",\"\xC3\xA4\"],[\"e\",null,0.1]]],"
      "[[\"events\",\"d\",[]],11,0,[[\"f\",\"v2\"]]],"
      "[0,12,1,[[\"g\",-9223372036854775808,\"\"]]]]]",
      Write(Mixed()).c_str());
}

TEST(WireBulk, WhatIsWrittenIsRead) {
  std::string expected = "device first 4 3\n";
  for (const Said& said : Mixed()) expected += Show(said.view()) + "\n";
  for (const Encoding encoding : kBoth) {
    STRCMP_EQUAL(expected.c_str(), Read(Write(Mixed(), encoding), encoding).c_str());
  }
}

TEST(WireBulk, RandomBodiesComeBackAsTheyWere) {
  Prng dice(7);
  std::vector<std::string> texts;
  for (int i = 0; i < 40; ++i)
    texts.push_back(std::string(std::size_t(i % 30), 't') + std::to_string(i));
  for (int round = 0; round < 300; ++round) {
    std::vector<Said> all;
    std::vector<std::string> columns;
    for (std::uint64_t i = dice.Below(6); i > 0; --i) columns.push_back("c" + std::to_string(i));
    std::string expected = "device first 4 3\n";
    std::int64_t sequence = 0;
    for (std::uint64_t i = 1 + dice.Below(60); i > 0; --i) {
      Said said;
      said.kind = BulkKind(dice.Below(3));
      said.table = "t" + std::to_string(dice.Below(2));
      said.id = "id-" + std::to_string(dice.Below(1000));
      if (said.kind != BulkKind::kInsert && dice.Below(2) == 0) said.if_match = "v";
      said.sequence = sequence += 1 + std::int64_t(dice.Below(8) == 0);
      said.changes = std::int64_t(dice.Below(10) == 0);
      if (said.kind != BulkKind::kDelete) {
        for (const std::string& column : columns) {
          const Value values[] = {Value::Null(),
                                  Value::Integer(std::int64_t(dice.Next())),
                                  Value::Integer(std::int64_t(dice.Below(3))),
                                  Value::Real(double(dice.Below(1000)) / 8),
                                  Value::Real(double(dice.Below(100000)) / 1000),
                                  Value::Real(double(dice.Next()) / 3e15),
                                  Value::Text(texts[dice.Below(40)]),
                                  Value::Boolean(dice.Below(2) == 0)};
          said.fields.push_back(Cell(column, values[dice.Below(8)]));
        }
      }
      all.push_back(said);
    }
    for (const Said& said : all) expected += Show(said.view()) + "\n";
    for (const Encoding encoding : kBoth) {
      STRCMP_EQUAL(expected.c_str(), Read(Write(all, encoding), encoding).c_str());
    }
  }
}

TEST(WireBulk, ARoomThatIsFullLeavesABodyThatIsWhole) {
  const std::vector<Said> all = Mixed();
  for (std::size_t room = 0; room < 800; ++room) {
    const Encoding encoding = kBoth[room % 2];
    std::memset(g_room, '#', sizeof g_room);
    BulkWriter writer({g_room, room / 2}, encoding);
    if (!writer.Begin(kSender)) continue;
    std::size_t taken = 0;
    while (taken < all.size()) {
      auto added = writer.Add(all[taken].view());
      CHECK(added.ok());
      if (!*added) break;
      ++taken;
    }
    BYTES_EQUAL('#', g_room[room / 2]);
    if (taken == 0) continue;
    auto body = writer.Finish();
    CHECK(body.ok() && body->size() <= room / 2);
    BYTES_EQUAL('#', g_room[room / 2]);
    std::string expected = "device first 4 3\n";
    for (std::size_t i = 0; i < taken; ++i) expected += Show(all[i].view()) + "\n";
    STRCMP_EQUAL(expected.c_str(), Read(*body, encoding).c_str());
  }
}

TEST(WireBulk, TooManyHeadsAndBadTextsLeaveTheBodyAsItWas) {
  BulkWriter writer(g_room, Encoding::kJson);
  CHECK(writer.Begin(kSender).ok());
  std::vector<std::string> names;
  for (std::size_t i = 0; i <= kBulkHeads; ++i) names.push_back("t" + std::to_string(i));
  for (std::size_t i = 0; i < kBulkHeads; ++i) {
    const Said said{BulkKind::kInsert, names[i], "a", "", std::int64_t(i) + 1, 1, {}};
    auto added = writer.Add(said.view());
    CHECK(added.ok() && *added);
  }
  auto one_more = writer.Add(Said{BulkKind::kInsert, names.back(), "a", "", 90, 1, {}}.view());
  CHECK(one_more.ok() && !*one_more);
  auto bad = writer.Add(
      Said{BulkKind::kInsert, names[0], "a", "", 90, 1, {Cell("x", Value::Text("\xFF"))}}.view());
  CHECK(!bad.ok() || !*bad);
  auto bad_id = writer.Add(Said{BulkKind::kInsert, names[0], "\xFF", "", 90, 1, {}}.view());
  CHECK(!bad_id.ok() && bad_id.error().code == Code::kInvalidArgument);
  auto good = writer.Add(Said{BulkKind::kInsert, names[3], "z", "", 91, 1, {}}.view());
  CHECK(good.ok() && *good);
  auto body = writer.Finish();
  CHECK(body.ok());
  CHECK(Read(*body).ends_with("16/1 i t15 a '' {}\n91/1 i t3 z '' {}\n"));
}

TEST(WireBulk, WhatIsNoBulkIsRefusedWithAReason) {
  const std::string start = "[1,\"d\",\"i\",0,0,[";
  const std::string head = "[\"t\",\"i\",[\"x\"]]";
  const struct {
    std::string body;
    const char* why;
  } kCases[] = {
      {"", "! an array is expected"},
      {"{}", "! an array is expected"},
      {"[2,\"d\",\"i\",0,0,[]]", "! a bulk of another version"},
      {"[\"1\",\"d\",\"i\",0,0,[]]", "! the version of the bulk is expected"},
      {"[1,\"\",\"i\",0,0,[]]", "! a sender is named by 1 to 64 visible characters"},
      {"[1,\"a b\",\"i\",0,0,[]]", "! a sender is named by 1 to 64 visible characters"},
      {"[1,\"d\",\"" + std::string(65, 'x') + "\",0,0,[]]",
       "! a sender is named by 1 to 64 visible characters"},
      {"[1,\"d\",\"i\",-1,0,[]]", "! a sequence is not negative"},
      {"[1,\"d\",\"i\",0,1.5,[]]", "! the applied sequence is expected"},
      {"[1,\"d\",\"i\",0,0]", "! the runs are expected"},
      {start + "]", "! a comma or the end is expected"},
      {start + "],7]", "! something follows the runs"},
      {start + "]] 7", "! something follows the value"},
      {start + "7]]", "! a run is expected"},
      {start + "[0,1,1,[]]]]", "! no such head"},
      {start + "[[\"t\",\"x\",[]],1,1,[]]]]", "! a kind is i, u or d"},
      {start + "[[\"\",\"i\",[]],1,1,[]]]]", "! no name for a table"},
      {start + "[[\"t\",\"d\",[\"x\"]],1,1,[]]]]", "! a deletion has no columns"},
      {start + "[[\"t\",\"i\",[\"x\",\"X\"]],1,1,[]]]]", "! a column occurs twice"},
      {start + "[[\"t\",\"i\",[\"version\"]],1,1,[]]]]", "! a column that is the server's"},
      {start + "[[\"t\",\"i\",[7]],1,1,[]]]]", "! no name for a column"},
      {start + "[[\"t\",\"i\",[],7],1,1,[]]]]", "! something follows the columns"},
      {start + "[" + head + ",0,1,[]]]]", "! the sequences do not grow"},
      {start + "[" + head + ",9223372036854775807,1,[]]]]", "! no sequence is so high"},
      {start + "[" + head + ",1,-1,[]]]]", "! a number of changes is not negative"},
      {start + "[" + head + ",1,1,[[\"a\",1]]],[0,1,1,[[\"b\",1]]]]]",
       "! the sequences do not grow"},
      {start + "[" + head + ",1,1,[[\"a\"]]]]]", "! a row has fewer values than columns"},
      {start + "[" + head + ",1,1,[[\"a\",1,2]]]]]", "! a row has more values than columns"},
      {start + "[" + head + ",1,1,[[\"\",1]]]]]", "! an id has 1 to 255 bytes"},
      {start + "[" + head + ",1,1,[[\"" + std::string(256, 'x') + "\",1]]]]]",
       "! an id has 1 to 255 bytes"},
      {start + "[" + head + ",1,1,[[7,1]]]]]", "! an id is expected"},
      {start + "[" + head + ",1,1,[[\"a\",[1]]]]]]", "! a value is expected"},
      {start + "[" + head + ",1,1,[[\"a\",{}]]]]]", "! a value is expected"},
      {start + "[" + head + ",1,1,[],7]]]", "! something follows the rows"},
      {start + "[[\"t\",\"u\",[]],1,1,[[\"a\",7]]]]]", "! a version or null is expected"},
      {start + "[[\"t\",\"u\",[]],1,1,[[\"a\",\"" + std::string(129, 'v') + "\"]]]]]",
       "! the version is too long"},
  };
  for (const auto& test : kCases) {
    if (test.body == start + "]") continue;  // an empty bulk: see below
    STRCMP_EQUAL_TEXT(test.why, Read(test.body).c_str(), test.body.c_str());
  }
  STRCMP_EQUAL("d i 0 0\n", Read(start + "]]").c_str());
}

TEST(WireBulk, MoreOperationsThanABulkMayHave) {
  std::string rows;
  for (std::size_t i = 0; i <= limits::kBulkOperations; ++i)
    rows += i == 0 ? "[\"a\"]" : ",[\"a\"]";
  STRCMP_EQUAL("! more operations than a bulk may have",
               Read("[1,\"d\",\"i\",0,0,[[[\"t\",\"i\",[]],1,1,[" + rows + "]]]]").c_str());
}

TEST(WireBulk, NoPrefixAndNoChangedByteIsReadBeyondItsEnd) {
  for (const Encoding encoding : kBoth) {
    const std::string whole = Write(Mixed(), encoding);
    for (std::size_t size = 0; size < whole.size(); ++size) {
      const std::vector<char> cut(whole.begin(), whole.begin() + std::ptrdiff_t(size));
      CHECK(Read({cut.data(), cut.size()}, encoding).starts_with("!"));
    }
    for (std::size_t at = 0; at < whole.size(); ++at) {
      for (int byte = 0; byte < 256; ++byte) {
        std::vector<char> changed(whole.begin(), whole.end());
        changed[at] = char(byte);
        (void)Read({changed.data(), changed.size()}, encoding);
      }
    }
  }
}

TEST(WireBulk, APackedRowSaysWhatIsNew) {
  std::vector<Said> all;
  for (int i = 0; i < 1000; ++i) {
    char id[32];
    (void)std::snprintf(id, sizeof id, "0123456789ab-%08x", 1000 + i);
    all.push_back({BulkKind::kInsert,
                   "readings",
                   id,
                   "",
                   i + 1,
                   1,
                   {Cell("sensor", Value::Text(all_sensors[std::size_t(i % 10)])),
                    Cell("value", Value::Real(20 + double(i * 37 % 1000) / 100)),
                    Cell("ts", Value::Integer(1790000000000 + i * 100)),
                    Cell("quality", Value::Integer(0))}});
  }
  const std::string packed = Write(all, Encoding::kCbor);
  CHECK_TRUE_TEXT(packed.size() < 22'000, std::to_string(packed.size()).c_str());
  std::string expected = "device first 4 3\n";
  for (const Said& said : all) expected += Show(said.view()) + "\n";
  STRCMP_EQUAL(expected.c_str(), Read(packed, Encoding::kCbor).c_str());
}

TEST(WireBulk, PackedRowsThatReferToNothingAreRefused) {
  const std::string start(
      "\x9F\x01\x61"
      "d\x61"
      "i\x00\x00\x9F\x9F\x83\x61t\x61i\x81\x61x\x01\x01\x9F",
      21);
  const std::string end("\xFF\xFF\xFF\xFF", 4);
  const auto row = [&](const std::string& items, char count) {
    return Read(start + char(0x80 | count) + items + end, Encoding::kCbor);
  };
  STRCMP_EQUAL("d i 0 0\n1/1 i t a '' {\"x\":-5}\n", row(std::string("\x00\x61"
                                                                     "a\x24",
                                                                     4),
                                                         3)
                                                         .c_str());
  const struct {
    std::string items;
    const char* why;
  } kCases[] = {
      {std::string("\x01\x61"
                   "a\x01",
                   4),
       "! more than the id before has"},
      {std::string("\x00\x60\x01", 3), "! an id has 1 to 255 bytes"},
      {std::string("\x00\x61"
                   "a\xF7",
                   4),
       "! the first row has no row before it"},
      {std::string("\x00\x61"
                   "a\xD8\x19\x00",
                   6),
       "! no such text"},
      {std::string("\x00\x61"
                   "a\xD8\x19\x18\x18",
                   7),
       "! no number of a text"},
      {std::string("\x00\x61"
                   "a\xD8\x18\x00",
                   6),
       "! a tag"},
      {std::string("\x00\x61"
                   "a\xC4\x82\x26\x01",
                   7),
       "! no decimal fraction of ours"},
      {std::string("\x00\x61"
                   "a\xC4\x82\x00\x01",
                   7),
       "! no decimal fraction of ours"},
      {std::string("\x00\x61"
                   "a\xC4\x01",
                   5),
       "! a decimal fraction is an array"},
      {std::string("\x00\x61"
                   "a\xC4\x83\x20\x01\x01",
                   8),
       "! something follows the decimal fraction"},
      {std::string("\x00\x61"
                   "a\x7F\x61"
                   "b\xFF",
                   7),
       "! a string in pieces"},
      {std::string("\x00\x61"
                   "a\xA0",
                   4),
       "! a map or an array as a column's value"},
      {std::string("\x00\x61\xC3\x01", 4), "! not UTF-8"},
  };
  for (const auto& test : kCases) STRCMP_EQUAL(test.why, row(test.items, 3).c_str());
}

TEST(WireBulk, AnArenaThatIsTooSmallIsAnErrorAndNoCrash) {
  for (const Encoding encoding : kBoth) {
    const std::string whole = Write(Mixed(), encoding);
    std::size_t enough = 0;
    while (Read(whole, encoding, enough).starts_with("!")) {
      STRCMP_EQUAL("! a working buffer is full", Read(whole, encoding, enough).c_str());
      ++enough;
    }
    CHECK(enough > 20 && enough < 1000);
  }
}

TEST(WireBulk, AnswersJoinWhatFollowsEachOther) {
  BulkAnswerWriter writer(g_room);
  CHECK(writer.Done({5, 1, kMoment, -1}) && writer.Done({6, 1, kMoment + kMomentStep, -1}));
  CHECK(writer.Done({7, 1, kMoment + 3 * kMomentStep, -1}));
  CHECK(writer.Refused(8, 424, "an \"earlier\" one"));
  CHECK(writer.Done({9, 1, kMoment, 4}));
  CHECK(writer.RefusedRow(10, 412, R"({"id":"a","version":"v9","x":[1]})"));
  auto body = writer.Finish();
  CHECK(body.ok());
  STRCMP_EQUAL(
      "[[5,2,1577836800000800],[7,1,1577836800000824],[8,424,\"an \\\"earlier\\\" one\"],"
      "[9,1,1577836800000800,4],[10,412,{\"id\":\"a\",\"version\":\"v9\",\"x\":[1]}]]",
      std::string(*body).c_str());
  STRCMP_EQUAL(
      "5+2 at 800 -1\n7+1 at 824 -1\n8 424 'an \"earlier\" one'\n9+1 at 800 4\n10 412 v9''\n",
      ReadAnswer(*body).c_str());
}

TEST(WireBulk, AnAnswerInAnyRoomIsWholeOrRefused) {
  for (std::size_t room = 0; room < 160; ++room) {
    std::memset(g_room, '#', sizeof g_room);
    BulkAnswerWriter writer({g_room, room});
    bool all = writer.Done({1, 1, kMoment, -1});
    all = all && writer.Refused(2, 400, "no") && writer.Done({3, 1, kMoment, -1});
    auto body = writer.Finish();
    BYTES_EQUAL('#', g_room[room]);
    if (!all || !body) continue;
    STRCMP_EQUAL("1+1 at 800 -1\n2 400 'no'\n3+1 at 800 -1\n", ReadAnswer(*body).c_str());
  }
}

TEST(WireBulk, AnswersThatCannotBeAreRefusedWithAReason) {
  const struct {
    const char* body;
    const char* why;
  } kCases[] = {
      {"", "! the outcomes are expected"},
      {"{}", "! the outcomes are expected"},
      {"[", "! an array does not end"},
      {"[7]", "! an outcome is expected"},
      {"[[]]", "! a sequence is expected"},
      {"[[1]]", "! a number or a status is expected"},
      {"[[1,1]]", "! an outcome is expected"},
      {"[[0,1,1577836800000800]]", "! the sequences do not grow"},
      {"[[1,0,1577836800000800]]", "! a run of outcomes has 1 to 1000 of them"},
      {"[[1,1001,1577836800000800]]", "! a run of outcomes has 1 to 1000 of them"},
      {"[[1,9223372036854775807,1577836800000800]]", "! a run of outcomes has 1 to 1000 of them"},
      {"[[1,1,7]]", "! no moment of a change"},
      {"[[1,1,9223372036854775807]]", "! no moment of a change"},
      {"[[1,1,null]]", "! no moment of a change"},
      {"[[1,1,1577836800000800,-1]]", "! a number of changes is not negative"},
      {"[[1,1,1577836800000800,1,1]]", "! something follows an outcome"},
      {"[[1,2,1577836800000800],[2,1,1577836800000800]]", "! the sequences do not grow"},
      {"[[1,200,\"fine\"]]", "! no status of a refusal"},
      {"[[1,412,{\"id\":1,\"id\":2}]]", "! a member occurs twice"},
      {"[[1,412,{}],]", "! an outcome is expected"},
      {"[[9223372036854775807,2,1577836800000800]]", "! no sequence is so high"},
  };
  for (const auto& test : kCases)
    STRCMP_EQUAL_TEXT(test.why, ReadAnswer(test.body).c_str(), test.body);
}
