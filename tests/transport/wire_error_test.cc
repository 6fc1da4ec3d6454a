// SPDX-License-Identifier: Apache-2.0
// The words of servers that refuse.
#include <CppUTest/TestHarness.h>

#include <string>

#include "transport/wire.h"

using namespace holdfast;
using namespace holdfast::wire;

TEST_GROUP(WireError) {
  char room[8192];
  char out[200];
  Arena arena{room};

  std::string Json(std::string_view body) {
    const std::string text(ErrorText(body, true, arena, out));
    LONGS_EQUAL(0, arena.Mark());
    return text;
  }
  std::string Plain(std::string_view body) {
    return std::string(ErrorText(body, false, arena, out));
  }
};

TEST(WireError, MembersThatServersUse) {
  STRCMP_EQUAL("The item does not exist", Json(R"({"error":"The item does not exist"})").c_str());
  STRCMP_EQUAL("no", Json(R"({"name":"JsonWebTokenError","message":"no"})").c_str());
  STRCMP_EQUAL("no", Json(R"({"Message":"no"})").c_str());
  STRCMP_EQUAL("no", Json(R"({"description":"no","title":"x"})").c_str());
  STRCMP_EQUAL("no", Json(R"({"title":"Bad Request","detail":"no"})").c_str());
  STRCMP_EQUAL("Bad Request", Json(R"({"title":"Bad Request","status":400})").c_str());
  STRCMP_EQUAL("no", Json(R"({"error":{"code":"x","message":"no"}})").c_str());
  STRCMP_EQUAL("no", Json(R"({"error":{"message":{"lang":"en","value":"no"}}})").c_str());
}

TEST(WireError, AJsonStringIsTheText) { STRCMP_EQUAL("no \"x\"", Json(R"( "no \"x\"" )").c_str()); }

TEST(WireError, OtherBodiesAreTheirOwnText) {
  STRCMP_EQUAL("[{\"a\":1}]", Json(R"([{"a":1}])").c_str());
  STRCMP_EQUAL("{\"error\":", Json(R"({"error":)").c_str());
  STRCMP_EQUAL("{\"error\":null}", Json(R"({"error":null})").c_str());
  STRCMP_EQUAL("", Json("").c_str());
  STRCMP_EQUAL("Method insert is not allowed", Plain("Method insert is not allowed").c_str());
}

TEST(WireError, TagsAreCut) {
  STRCMP_EQUAL("Error Cannot PUT /x",
               Plain("<!DOCTYPE html>\n<html><head><style>b{c:d}</style>\n<title>Error</title>"
                     "</head><body>\n<pre>Cannot PUT /x</pre>\n</body></html>\n")
                   .c_str());
  STRCMP_EQUAL("a < b", Plain("a < b").c_str());
  STRCMP_EQUAL("x", Plain("x<script>1").c_str());
}

TEST(WireError, TheTextIsOneLineOfUtf8) {
  STRCMP_EQUAL("a b c?", Plain("\t a\r\n\x01 b \n c\xFF \n").c_str());
}

TEST(WireError, TheTextIsCutBetweenCharacters) {
  char small[4];
  CHECK(ErrorText("ab\xC3\xA4\xC3\xA4", false, arena, small) == "ab\xC3\xA4");
  CHECK(ErrorText("abc\xC3\xA4", false, arena, small) == "abc");
  CHECK(ErrorText("abc", false, arena, {}).empty());
}

TEST(WireError, HostileBodiesDoNoHarm) {
  STRCMP_EQUAL(std::string(200, '[').c_str(), Json(std::string(100000, '[')).c_str());
  const std::string deep = std::string(10000, '[') + std::string(10000, ']');
  STRCMP_EQUAL(deep.substr(0, 200).c_str(), Json(deep).c_str());
  std::string wide = "[1";
  for (int i = 0; i < 1000000; ++i) wide += ",1";
  CHECK(Json(wide + "]").starts_with("[1,1,"));
  CHECK(Json(std::string("{\"error\":\"").append(3 << 20, 'x') + "\"}")
            .starts_with("{\"error\":\"xxx"));
}

TEST(WireError, AFullArenaLeavesTheBodyItself) {
  const std::string_view body = R"({"code":1.5,"error":{"message":"no"}})";
  bool enough = false;
  for (std::size_t size = 0; size < 2048; size += 8) {
    std::string some(size, '.');
    Arena small(some);
    const std::string_view text = ErrorText(body, true, small, out);
    CHECK(text == "no" || (!enough && text == body));
    enough = text == "no";
    LONGS_EQUAL(0, small.Mark());
  }
  CHECK(enough);
}
