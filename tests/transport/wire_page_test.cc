// SPDX-License-Identifier: Apache-2.0
// Pages in all their shapes, cut at every byte.
#include <CppUTest/TestHarness.h>

#include <string>

#include "hal/base/prng.h"
#include "transport/wire.h"

using namespace holdfast;
using namespace holdfast::wire;

namespace {

struct Ids : RowSink {
  std::string ids;
  std::string nested;
  int refuse_after = -1;
  Result<void> OnRow(RowView row) override {
    if (refuse_after == 0) return Error{Code::kNoSpace};
    if (refuse_after > 0) --refuse_after;
    ids += FindText(row, kId);
    ids += ' ';
    nested += FindText(row, "nested");
    return Ok();
  }
};

constexpr std::string_view kArray = R"( [ {"id":"a","s":"]}\"[{"} , {"id":"b","nested":[1,{}]} ] )";
constexpr std::string_view kResults =
    R"({"count":7, "results" : [{"id":"a"},{"id":"b"}], "other":{"x":[1,"]"]}} )";
constexpr std::string_view kItems =
    R"({"items":[{"id":"a"}, {"id":"b"}],"count":7,"nextLink":"$skip=2\u0026$top=2"})";
constexpr std::string_view kObject = R"({ "id" : "a", "count" : 3, "nested" : {"x":"}"} } )";

}  // namespace

TEST_GROUP(WirePage) {
  char room[4096];
  char buffer[512];

  // Everything that was read, in one text; pieces of `step` bytes.
  std::string Read(std::string_view body, std::size_t step = 1) {
    Ids sink;
    Arena arena{room};
    PageReader page(buffer, arena, sink);
    for (std::size_t at = 0; at < body.size(); at += step) {
      if (const auto fed = page.Feed(body.substr(at, step)); !fed) {
        CHECK(page.Feed(" ").error() == fed.error());
        CHECK(page.Finish().error() == fed.error());
        return Show(fed.error());
      }
    }
    if (const auto finished = page.Finish(); !finished) return Show(finished.error());
    LONGS_EQUAL(0, arena.Mark());
    return std::to_string(page.rows()) + ": " + sink.ids + sink.nested + " " +
           std::to_string(page.count()) + " " + std::string(page.next_link());
  }
  static std::string Show(const Error& error) {
    return std::string(CodeName(error.code)) + " " + std::to_string(error.native);
  }
};

TEST(WirePage, EveryShapeInPiecesOfEverySize) {
  for (std::size_t step = 1; step < 100; ++step) {
    STRCMP_EQUAL("2: a b [1,{}] -1 ", Read(kArray, step).c_str());
    STRCMP_EQUAL("2: a b  7 ", Read(kResults, step).c_str());
    STRCMP_EQUAL("2: a b  7 $skip=2&$top=2", Read(kItems, step).c_str());
    STRCMP_EQUAL("1: a {\"x\":\"}\"} -1 ", Read(kObject, step).c_str());
  }
}

TEST(WirePage, EmptyLists) {
  STRCMP_EQUAL("0:  -1 ", Read("[]").c_str());
  STRCMP_EQUAL("0:  -1 ", Read(" [ ] ").c_str());
  STRCMP_EQUAL("0:  0 ", Read(R"({"results":[],"count":0})").c_str());
  STRCMP_EQUAL("0:  -1 ", Read(R"({"items":[],"count":null,"nextLink":null})").c_str());
}

TEST(WirePage, AByteOrderMarkIsSteppedOver) {
  STRCMP_EQUAL("0:  -1 ", Read("\xEF\xBB\xBF[]").c_str());
  STRCMP_EQUAL("0:  -1 ", Read("\xEF\xBB\xBF []", 2).c_str());
  STRCMP_EQUAL("bad_answer 2", Read("\xEF\xBB[]").c_str());
  STRCMP_EQUAL("bad_answer 1", Read(" \xEF\xBB\xBF[]").c_str());
}

TEST(WirePage, EveryTruncationIsAnError) {
  for (const std::string_view body : {kArray, kResults, kItems, kObject}) {
    const std::size_t end = body.find_last_not_of(' ');
    for (std::size_t n = 0; n <= end; ++n) {
      const std::string read = Read(body.substr(0, n), 7);
      STRCMP_EQUAL(std::string("bad_answer ").append(std::to_string(n)).c_str(), read.c_str());
    }
    CHECK(Read(body.substr(0, end + 1)).find("bad_answer") == std::string::npos);
  }
}

TEST(WirePage, MistakesHaveTheirOffset) {
  STRCMP_EQUAL("bad_answer 0", Read("<html>").c_str());
  STRCMP_EQUAL("bad_answer 0", Read("1").c_str());
  STRCMP_EQUAL("bad_answer 1", Read("[1]").c_str());
  STRCMP_EQUAL("bad_answer 1", Read("[,]").c_str());
  STRCMP_EQUAL("bad_answer 4", Read("[{} {}]").c_str());
  STRCMP_EQUAL("bad_answer 4", Read("[{},]").c_str());
  STRCMP_EQUAL("bad_answer 2", Read("[]]").c_str());
  STRCMP_EQUAL("bad_answer 16", Read(R"([{"a":1},{"a":1 2}])").c_str());
  STRCMP_EQUAL("bad_answer 16", Read(R"([{"a":1},{"a":1 2}])", 100).c_str());
  STRCMP_EQUAL("bad_answer 14", Read(R"({"results":[],})").c_str());
  STRCMP_EQUAL("bad_answer 24", Read(R"({"results":[],"results":[]})").c_str());
  STRCMP_EQUAL("bad_answer 1", Read(R"({1:2})").c_str());
}

TEST(WirePage, BrokenMembersAroundTheListAreErrors) {
  for (const char* member :
       {"\"count\":", "\"count\":x", "\"count\" 1", "\"x\":[1", "\"x\":{\"y\"}", "\"x\":tru",
        "\"nextLink\":\"\\q\"", "\"\\q\":1", "\"x\":]"}) {
    CHECK_TEXT(Read(std::string(R"({"items":[],)") + member + "}").starts_with("bad_answer"),
               member);
    CHECK_TEXT(Read(std::string("{") + member + R"(,"items":[]})").starts_with("bad_answer"),
               member);
  }
}

TEST(WirePage, ARowLongerThanTheBufferIsAnError) {
  const auto row = [](std::size_t size, const char* before = "", const char* after = "") {
    std::string text = before;
    return text.append(R"({"id":")").append(size - 9, 'x').append("\"}").append(after);
  };
  CHECK(Read(row(512, "[", "]")).starts_with("1: xxx"));
  STRCMP_EQUAL("too_large 512", Read(row(513, "[", "]")).c_str());
  STRCMP_EQUAL("too_large 512", Read(row(513, "[", "]"), 1000).c_str());
  CHECK(Read(row(512)).starts_with("1: xxx"));
  STRCMP_EQUAL("too_large 512", Read(row(513)).c_str());
  STRCMP_EQUAL("too_large 512", Read(std::string("[{\"a\":").append(1000000, '['), 1000).c_str());
}

TEST(WirePage, ManyRowsNeedTheMemoryOfOne) {
  std::string body = R"([{"id":"a"})";
  for (int i = 0; i < 10000; ++i) body += R"(,{"id":"a"})";
  CHECK(Read(body + "]", 4096).starts_with("10001: a a "));
}

TEST(WirePage, AnErrorOfTheSinkEndsTheReading) {
  Ids sink;
  sink.refuse_after = 1;
  Arena arena{room};
  PageReader page(buffer, arena, sink);
  CHECK(page.Feed(kArray).error().code == Code::kNoSpace);
  CHECK(page.Feed("]").error().code == Code::kNoSpace);
  CHECK(page.Finish().error().code == Code::kNoSpace);
  STRCMP_EQUAL("a ", sink.ids.c_str());
}

TEST(WirePage, AFullArenaIsAnErrorAtEverySize) {
  bool enough = false;
  for (std::size_t size = 0; size < 128; ++size) {
    Ids sink;
    std::string some(size, '.');
    Arena arena(some);
    PageReader page(buffer, arena, sink);
    const auto fed = page.Feed(kItems);
    CHECK(fed.ok() || (!enough && fed.error().code == Code::kNoMemory));
    enough = fed.ok();
  }
  CHECK(enough);
}

TEST(WirePage, APageHasALimit) {
  Ids sink;
  Arena arena{room};
  PageReader page(buffer, arena, sink);
  const std::string blanks(1 << 20, ' ');
  for (std::size_t n = 0; n < limits::kPageBytes; n += blanks.size()) CHECK(page.Feed(blanks).ok());
  CHECK(page.Feed(" ").error().code == Code::kTooLarge);
}

TEST(WirePage, NextLinksHaveALimit) {
  char large[20000];
  Ids sink;
  Arena arena{large};
  char big_buffer[10000];
  PageReader page(big_buffer, arena, sink);
  CHECK(page.Feed(std::string(R"({"items":[],"nextLink":")").append(9000, 'x').append("\"}"))
            .error()
            .code == Code::kTooLarge);
}

TEST(WirePage, NoMutationDoesHarmAndPiecesDoNotMatter) {
  Prng random(8);
  for (int i = 0; i < 100000; ++i) {
    const std::string_view bodies[] = {kArray, kResults, kItems, kObject};
    std::string body(bodies[random.Below(4)]);
    for (std::uint64_t k = 0; k <= random.Below(3); ++k) {
      const std::size_t at = random.Below(body.size());
      body[at] = random.Chance(70) ? body[random.Below(body.size())] : char(random.Next());
    }
    const std::string whole = Read(body, body.size());
    STRCMP_EQUAL(whole.c_str(), Read(body, 1 + random.Below(20)).c_str());
  }
}
