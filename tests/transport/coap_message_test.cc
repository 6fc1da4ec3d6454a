// SPDX-License-Identifier: Apache-2.0
// What CoAP says of a request and of an answer, as tables; and how fast it may be said.
#include <CppUTest/TestHarness.h>

#include <deque>
#include <string>
#include <vector>

#include "hal/base/arena.h"
#include "hal/base/row.h"
#include "transport/coap/message.h"
#include "transport/coap/pacer.h"
#include "transport/wire_cbor.h"

using namespace holdfast;
using namespace holdfast::transport;
using namespace holdfast::transport::coap;

namespace {

constexpr const char* kServer = "coaps://hub.example:5684";

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::string Bytes(std::string_view hex) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += char(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  }
  return bytes;
}

std::string Said(const Block& block) {
  std::uint8_t out[3] = {0xee, 0xee, 0xee};
  const std::size_t size = PutBlock(block, out);
  return {reinterpret_cast<const char*>(out), size};
}

Request Ask(Method method, std::string_view id = {}, std::string_view body = {},
            std::string_view if_match = {}) {
  Request request;
  request.method = method;
  request.table = "readings";
  request.id = id;
  request.body = body;
  request.if_match = if_match;
  return request;
}

// One line: code, path, query; or why not.
std::string Say(const Request& request, const char* server = kServer) {
  auto parsed = ParseServerUrl(server, kCoapSchemes);
  if (!parsed) return std::string("server: ") + parsed.error().what;
  static OutgoingRequest out;
  if (auto set = out.Set(*parsed, request); !set) {
    return std::string("error: ") + (set.error().code == holdfast::Code::kInvalidArgument
                                         ? set.error().what
                                         : "another code");
  }
  std::string line = std::to_string(int(out.code()));
  for (const auto segment : out.path()) line.append(" /").append(segment);
  for (const auto argument : out.query()) line.append(" ?").append(argument);
  if (out.has_if_match()) line += " if=" + Hex(out.if_match());
  if (out.observe()) line += " observe";
  if (out.wants_row()) line += " row";
  if (!out.fetch_body().empty()) line += " body";
  return line;
}

#define EXPECT_TEXT(expected, actual) STRCMP_EQUAL(expected, std::string(actual).c_str())

}  // namespace

TEST_GROUP(CoapOptions){};

TEST(CoapOptions, BlocksThatCanBe) {
  const struct {
    const char* hex;
    Block block;
  } cases[] = {
      {"", {0, false, 0}},         {"06", {0, false, 6}},          {"08", {0, true, 0}},
      {"0e", {0, true, 6}},        {"10", {1, false, 0}},          {"f6", {15, false, 6}},
      {"0100", {16, false, 0}},    {"fffe", {4095, true, 6}},      {"010006", {4096, false, 6}},
      {"01000e", {4096, true, 6}}, {"fffffe", {0xfffff, true, 6}}, {"fffff0", {0xfffff, false, 0}},
  };
  for (const auto& test : cases) {
    const auto block = ParseBlock(Bytes(test.hex));
    CHECK_TEXT(block.has_value(), test.hex);
    LONGS_EQUAL_TEXT(test.block.number, block->number, test.hex);
    CHECK_TEXT(test.block.more == block->more && test.block.szx == block->szx, test.hex);
    EXPECT_TEXT(test.hex, Hex(Said(test.block)));
  }
  // Zeroes in front are unusual, and mean nothing.
  CHECK(ParseBlock(Bytes("000016"))->number == 1);
  CHECK(ParseBlock(Bytes("0000"))->szx == 0);
  LONGS_EQUAL(0xfffff * 1024ll, (Block{0xfffff, false, 6}).offset());
}

TEST(CoapOptions, BlocksThatCannotBe) {
  for (const char* hex :
       {"07", "0f", "17", "ffff", "ffffff", "00000000", "00000006", "0102030405"}) {
    CHECK_TEXT(!ParseBlock(Bytes(hex)), hex);
  }
}

TEST(CoapOptions, EveryBlockComesBack) {
  for (const std::uint32_t number : {0u, 1u, 15u, 16u, 4095u, 4096u, 65535u, 0xffffeu, 0xfffffu}) {
    for (unsigned szx = 0; szx <= kLargestSzx; ++szx) {
      for (const bool more : {false, true}) {
        const auto back = ParseBlock(Said({number, more, szx}));
        CHECK(back && back->number == number && back->more == more && back->szx == szx);
      }
    }
  }
}

TEST(CoapOptions, TagsOfVersions) {
  const std::string eight = "12345678", binary("\0\xff\x80", 3);
  for (std::size_t size = 0; size <= 8; ++size) {
    EXPECT_TEXT(eight.substr(0, size).c_str(), EtagOf(eight.substr(0, size)).view());
  }
  CHECK(EtagOf(binary) == binary);
  // FIPS 180-2, appendix B.2.
  EXPECT_TEXT("248d6a61d20638b8",
              Hex(EtagOf("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq").view()));
  // SHA-256("123456789")
  EXPECT_TEXT("15e2b0d3c33891eb", Hex(EtagOf("123456789").view()));
  LONGS_EQUAL(8, EtagOf(std::string(limits::kVersionBytes, 'v')).size());
  CHECK(!(EtagOf("123456789") == EtagOf("123456780")));
}

TEST_GROUP(CoapRequest){};

TEST(CoapRequest, EveryMethod) {
  auto list = Ask(Method::kList);
  EXPECT_TEXT("1 /tables /readings", Say(list));
  list.list.top = 50;
  list.list.skip = 100;
  list.list.order_by = "updatedAt,id";
  list.list.include_deleted = true;
  list.list.ids_only = true;
  list.list.filter = "value gt 3 and text eq 'a&b=c+d%20'";
  EXPECT_TEXT(
      "1 /tables /readings ?$filter=(value gt 3 and text eq 'a&b=c+d%20') "
      "?$orderby=updatedAt,id ?$select=id ?$skip=100 ?$top=50 ?__includedeleted=true",
      Say(list));
  EXPECT_TEXT("1 /tables /readings /r1 ?__includedeleted=true", Say(Ask(Method::kLookup, "r1")));
  EXPECT_TEXT("2 /tables /readings", Say(Ask(Method::kInsert, "", "{}")));
  EXPECT_TEXT("6 /tables /readings /r1 ?return=representation row",
              Say(Ask(Method::kUpdate, "r1", "{}")));
  EXPECT_TEXT("6 /tables /readings /r1 if=7631", Say(Ask(Method::kUpdate, "r1", "{}", "v1")));
  EXPECT_TEXT("3 /tables /readings /r1 ?return=representation row",
              Say(Ask(Method::kReplace, "r1", "{}")));
  EXPECT_TEXT("3 /tables /readings /r1 if=7631", Say(Ask(Method::kReplace, "r1", "{}", "v1")));
  EXPECT_TEXT("4 /tables /readings /r1", Say(Ask(Method::kDelete, "r1")));
  EXPECT_TEXT("4 /tables /readings /r1 if=15e2b0d3c33891eb",
              Say(Ask(Method::kDelete, "r1", "", "123456789")));
  EXPECT_TEXT("6 /tables /readings /r1 ?return=representation if=7631 row",
              Say(Ask(Method::kUndelete, "r1", "", "v1")));
  EXPECT_TEXT("3 /tables /readings /r1 ?__includedeleted=true ?return=representation row",
              Say(Ask(Method::kUndelete, "r1", "{}")));
  auto watch = Ask(Method::kWatch);
  watch.list.since = "2026-11-23T06:11:29.123Z";
  EXPECT_TEXT("1 /changes", Say(watch));
  watch.wait = hal::Duration::Seconds(30);
  EXPECT_TEXT("1 /changes observe", Say(watch));
}

TEST(CoapRequest, ARowThatIsWanted) {
  auto request = Ask(Method::kInsert, "", "{}");
  request.want_row = true;
  EXPECT_TEXT("2 /tables /readings ?return=representation row", Say(request));
  request = Ask(Method::kUpdate, "r1", "{}", "v1");
  request.want_row = true;
  EXPECT_TEXT("6 /tables /readings /r1 ?return=representation if=7631 row", Say(request));
  // What the last request had is not in the next one.
  EXPECT_TEXT("1 /tables /readings", Say(Ask(Method::kList)));
}

TEST(CoapRequest, OddIds) {
  const std::string longest(limits::kIdBytes, 'x'), odd(limits::kIdBytes, '%');
  for (const std::string& id :
       {std::string("a/b"), std::string("a b"), std::string("a%20b"), std::string("a?b&c=d#e"),
        std::string("+"), std::string("..."), std::string(".a"),
        std::string("\xc3\xa4\xe2\x82\xac"), std::string("\x01\x7f"), std::string("a\0b", 3),
        std::string("\xff\xfe"), longest, odd}) {
    auto parsed = ParseServerUrl(kServer, kCoapSchemes);
    OutgoingRequest out;
    const auto request = Ask(Method::kDelete, id);
    CHECK_TEXT(out.Set(*parsed, request).ok(), Hex(id).c_str());
    LONGS_EQUAL(3, out.path().size());
    CHECK_TEXT(out.path()[2] == id, Hex(id).c_str());
  }
  for (const std::string& id :
       {std::string(), std::string("."), std::string(".."), longest + "x"}) {
    CHECK_TEXT(Say(Ask(Method::kLookup, id)).substr(0, 6) == "error:", Hex(id).c_str());
  }
}

TEST(CoapRequest, AFolderInFrontOfTheTables) {
  EXPECT_TEXT("1 /v2 /my app /tables /readings /r1 ?__includedeleted=true",
              Say(Ask(Method::kLookup, "r1"), "coaps://hub.example/v2/my%20app/"));
  EXPECT_TEXT("1 /a /tables /readings", Say(Ask(Method::kList), "coap://[::1]:61616/a///"));
  EXPECT_TEXT("1 /a /changes", Say(Ask(Method::kWatch), "coap://localhost/a"));
  EXPECT_TEXT("error: the target is not well-formed", Say(Ask(Method::kList), "coaps://h/%zz"));
  EXPECT_TEXT("error: the target is not well-formed", Say(Ask(Method::kList), "coaps://h/a%2"));
  const std::string segment(255, 's');
  EXPECT_TEXT(("1 /" + segment + " /tables /readings").c_str(),
              Say(Ask(Method::kList), ("coaps://h/" + segment).c_str()));
  EXPECT_TEXT("error: the path is too long for CoAP",
              Say(Ask(Method::kList), ("coaps://h/" + segment + "s").c_str()));
  EXPECT_TEXT("error: the path is too long for CoAP",
              Say(Ask(Method::kList), "coaps://h/1/2/3/4/5/6/7/8/9/a/b"));
  EXPECT_TEXT("1 /1 /2 /3 /4 /5 /6 /7 /8 /9 /a /tables /readings",
              Say(Ask(Method::kList), "coaps://h/1/2/3/4/5/6/7/8/9/a"));
}

// What cannot be sent has to be told here: later it looks like a lack of memory.
TEST(CoapRequest, APathThatLeavesNoRoom) {
  const std::string segment(250, 's');
  const std::string server = "coaps://h/" + segment + "/" + segment + "/" + segment + "/" + segment;
  for (const Request& request : {Ask(Method::kList), Ask(Method::kLookup, "r1"),
                                 Ask(Method::kInsert, "", "{}"), Ask(Method::kWatch)}) {
    EXPECT_TEXT("error: the server's url is too long for CoAP", Say(request, server.c_str()));
  }
}

TEST(CoapRequest, VersionsThatNoTagCanBe) {
  for (const std::string& version :
       {std::string("a\x1f"), std::string("\x7f"), std::string("a\0b", 3), std::string("\r\n")}) {
    CHECK_TEXT(Say(Ask(Method::kDelete, "r1", "", version)).substr(0, 6) == "error:",
               Hex(version).c_str());
  }
  EXPECT_TEXT("4 /tables /readings /r1 if=222a5c20", Say(Ask(Method::kDelete, "r1", "", "\"*\\ ")));
  // A tag is bytes. What is no ASCII may not depend on whether the processor's char has a sign.
  EXPECT_TEXT("4 /tables /readings /r1 if=c3a4ff",
              Say(Ask(Method::kDelete, "r1", "", "\xc3\xa4\xff")));
}

TEST(CoapRequest, WhatOptionsCannotSayGoesAsAMap) {
  auto server = ParseServerUrl(kServer, kCoapSchemes);
  OutgoingRequest out;
  static char room[64 << 10];
  for (const std::size_t size : {100u, 244u, 246u, 254u, 255u, 256u, 300u, 1000u, 2000u, 4000u}) {
    const std::string filter = "text eq '" + std::string(size, 'x') + "'";
    auto request = Ask(Method::kList);
    request.list.filter = filter;
    request.list.order_by = "updatedAt,id";
    request.list.top = 7;
    CHECK(out.Set(*server, request).ok());
    const std::string wanted = "(" + filter + ")";
    if (std::string("$filter=" + wanted).size() <= 255) {
      LONGS_EQUAL(kGet, out.code());
      CHECK(out.fetch_body().empty() && out.query()[0] == "$filter=" + wanted);
      continue;
    }
    LONGS_EQUAL(kFetch, out.code());
    LONGS_EQUAL(0, out.query().size());
    LONGS_EQUAL(2, out.path().size());
    CHECK(out.option_bytes() < 40);
    Arena arena(room);
    RowFields fields;
    CHECK(wire::DecodeRowCbor(out.fetch_body(), arena, fields).ok());
    const RowView row = fields.view();
    LONGS_EQUAL(3, row.size());
    EXPECT_TEXT(wanted.c_str(), FindText(row, "$filter"));
    EXPECT_TEXT("updatedAt,id", FindText(row, "$orderby"));
    EXPECT_TEXT("7", FindText(row, "$top"));
  }
}

// No argument is too long by itself, but there are many.
TEST(CoapRequest, ManyArgumentsGoAsAMapToo) {
  std::string link = "?$top=5";
  for (char c = 'a'; c < 'a' + 4; ++c) link += std::string("&") + c + "=" + std::string(200, c);
  auto request = Ask(Method::kList);
  request.list.continuation = link;
  EXPECT_TEXT("5 /tables /readings body", Say(request));
  link = "?$top=5";
  for (int i = 0; i < 15; ++i) link += "&a" + std::to_string(i) + "=1";
  request.list.continuation = link;
  LONGS_EQUAL('1', Say(request)[0]);
  link += "&more=1";
  request.list.continuation = link;
  EXPECT_TEXT("error: a query with too many arguments", Say(request));
}

TEST(CoapRequest, NextLinks) {
  const struct {
    const char* link;
    const char* said;
  } cases[] = {
      {"coaps://hub.example:5684/tables/readings?$skip=50&$top=50",
       "1 /tables /readings ?$skip=50 ?$top=50"},
      {"coaps://HUB.example/tables/readings?$skip=50", "1 /tables /readings ?$skip=50"},
      {"/tables/readings?$skip=50", "1 /tables /readings ?$skip=50"},
      {"?%24skip=50&$filter=a%20eq%20'b%26c'", "1 /tables /readings ?$skip=50 ?$filter=a eq 'b&c'"},
      {"?$filter=a eq \"b\"", "1 /tables /readings ?$filter=a eq \"b\""},
      {"?$skip=50&&$top=1&", "1 /tables /readings ?$skip=50 ?$top=1"},
      {"?novalue", "1 /tables /readings ?novalue"},
      {"?a=%zz", "error: the target is not well-formed"},
      {"https://hub.example:5684/tables/readings?$skip=50",
       "error: the next link leads away from the list it came with"},
      {"coap://hub.example:5684/tables/readings?$skip=50",
       "error: the next link leads away from the list it came with"},
      {"coaps://evil.example:5684/tables/readings?$skip=50",
       "error: the next link leads away from the list it came with"},
      {"coaps://hub.example:5685/tables/readings?$skip=50",
       "error: the next link leads away from the list it came with"},
      {"/tables/secrets?$skip=50", "error: the next link leads away from the list it came with"},
      {"?a=\n", "error: the next link leads away from the list it came with"},
  };
  for (const auto& test : cases) {
    auto request = Ask(Method::kList);
    request.list.continuation = test.link;
    EXPECT_TEXT(test.said, Say(request));
  }
  const std::string endless = "?a=" + std::string(limits::kUrlBytes, 'x');
  auto request = Ask(Method::kList);
  request.list.continuation = endless;
  EXPECT_TEXT("error: the url is too long", Say(request));
}

TEST(CoapRequest, TooLongAtAll) {
  auto request = Ask(Method::kList);
  const std::string filter(limits::kUrlBytes, 'x'), blanks(3000, ' ');
  request.list.filter = filter;
  EXPECT_TEXT("error: the url is too long", Say(request));
  request.list.filter = blanks;  // three characters each, in a url
  EXPECT_TEXT("error: the url is too long", Say(request));
  request.list.filter = {};
  request.table = {};
  EXPECT_TEXT("error: a request needs a table", Say(request));
}

TEST_GROUP(CoapAnswer){};

TEST(CoapAnswer, Codes) {
  const struct {
    int dotted;
    Status status;
    int http;
  } cases[] = {
      {201, Status::kCreated, 201},
      {202, Status::kNoContent, 204},
      {203, Status::kOther, 304},
      {204, Status::kOk, 200},
      {205, Status::kOk, 200},
      {200, Status::kOther, 200},
      {206, Status::kOther, 206},
      {231, Status::kOther, 231},
      {400, Status::kBadRequest, 400},
      {401, Status::kUnauthorized, 401},
      {402, Status::kBadRequest, 402},
      {403, Status::kForbidden, 403},
      {404, Status::kNotFound, 404},
      {405, Status::kMethodNotAllowed, 405},
      {406, Status::kBadRequest, 406},
      {408, Status::kUnavailable, 408},
      {409, Status::kConflict, 409},
      {410, Status::kGone, 410},
      {412, Status::kPreconditionFailed, 412},
      {413, Status::kTooLarge, 413},
      {415, Status::kBadRequest, 415},
      {422, Status::kBadRequest, 422},
      {429, Status::kThrottled, 429},
      {431, Status::kBadRequest, 431},
      {500, Status::kServerError, 500},
      {501, Status::kServerError, 501},
      {502, Status::kServerError, 502},
      {503, Status::kUnavailable, 503},
      {504, Status::kServerError, 504},
      {505, Status::kServerError, 505},
      {508, Status::kServerError, 508},
      {531, Status::kServerError, 531},
      {0, Status::kOther, 0},
      {1, Status::kOther, 1},
      {100, Status::kOther, 100},
      {301, Status::kOther, 301},
      {600, Status::kOther, 600},
      {701, Status::kOther, 701},
  };
  for (const auto& test : cases) {
    const std::string name = std::to_string(test.dotted);
    const std::uint8_t code = coap::Code(test.dotted);
    LONGS_EQUAL_TEXT(test.dotted, Dotted(code), name.c_str());
    LONGS_EQUAL_TEXT(int(test.status), int(StatusFromCoap(code)), name.c_str());
    LONGS_EQUAL_TEXT(test.http, HttpStatusOf(code), name.c_str());
  }
  for (int code = 0; code < 256; ++code) {
    // Success is what says so, and nothing else.
    const Status status = StatusFromCoap(std::uint8_t(code));
    const bool success =
        status == Status::kOk || status == Status::kCreated || status == Status::kNoContent;
    CHECK(!success || code >> 5 == 2);
  }
}

TEST(CoapAnswer, WhenToComeBack) {
  const struct {
    int dotted;
    std::int64_t max_age_s, seconds;
  } cases[] = {
      {429, 5, 5},   {429, 0, 0},   {429, -1, 60},       {429, 0xffffffff, 86400},
      {503, 30, 30}, {503, -1, 60}, {503, 86401, 86400}, {503, 86400, 86400},
      {205, 30, -1}, {400, 30, -1}, {500, 30, -1},       {408, 30, -1},
  };
  for (const auto& test : cases) {
    IncomingAnswer answer;
    answer.code = coap::Code(test.dotted);
    answer.max_age_s = test.max_age_s;
    const hal::Duration wait = RetryAfter(answer);
    if (test.seconds < 0) {
      CHECK(wait.ns < 0);
    } else {
      LONGS_EQUAL(test.seconds, wait.ns / 1'000'000'000);
    }
  }
}

TEST_GROUP(CoapPacer) {
  static constexpr std::size_t kMost = std::size_t(Pacer::kGroup * Pacer::kGroups);
  static constexpr std::size_t kIds = 65536;

  // Sends as soon as both the pattern and the pacer allow it; returns the busiest 247 seconds.
  template <typename Pattern>
  static std::size_t Busiest(Pattern pattern, std::size_t count) {
    Pacer pacer;
    std::deque<std::int64_t> recent;
    std::size_t busiest = 0;
    std::int64_t now = 1'000'000'000;
    for (std::size_t i = 0; i < count; ++i) {
      now += pattern(i);
      while (!recent.empty() && recent.front() <= now - Pacer::kLifetime.ns) recent.pop_front();
      const hal::Duration wait = pacer.Wait({now});
      // Nothing is held back while ids are left, nor for longer than the oldest of them lives.
      if (wait.ns > 0) {
        CHECK(recent.size() >= kMost);
        CHECK(wait.ns <= Pacer::kLifetime.ns);
        now += wait.ns;
        LONGS_EQUAL(0, pacer.Wait({now}).ns);
        while (!recent.empty() && recent.front() <= now - Pacer::kLifetime.ns) recent.pop_front();
      }
      pacer.Sent({now});
      recent.push_back(now);
      busiest = std::max(busiest, recent.size());
    }
    return busiest;
  }
};

TEST(CoapPacer, NoIdComesBackTooSoon) {
  constexpr std::int64_t kMs = 1'000'000, kSecond = 1'000'000'000;
  const std::size_t count = 300'000;
  CHECK(Busiest([](std::size_t) { return 0 * kMs; }, count) <= kMost);
  CHECK(Busiest([](std::size_t) { return 1 * kMs; }, count) <= kMost);
  CHECK(Busiest([](std::size_t) { return 4 * kMs + 3000; }, count) <= kMost);
  CHECK(Busiest([](std::size_t) { return 10 * kMs; }, count) < 25'000);
  CHECK(Busiest([](std::size_t i) { return i % 1000 == 0 ? 30 * kSecond : 0; }, count) <= kMost);
  CHECK(Busiest([](std::size_t i) { return i % 61'696 == 0 ? 248 * kSecond : 0; }, count) <= kMost);
}

// A group counts from its first message. Even when the rest of it comes as late as can be, the ids
// are not used up.
TEST(CoapPacer, AGroupThatTakesItsTime) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  for (const std::size_t first : {1u, 100u, 255u, 256u, 257u}) {
    const std::size_t busiest = Busiest(
        [first](std::size_t i) { return i % 61'696 == first ? 246 * kSecond : 0; }, 300'000);
    CHECK(busiest < kMost + Pacer::kGroup);
    CHECK(busiest < kIds);
  }
}

TEST(CoapPacer, BurstsThatBeginAmidAGroup) {
  constexpr std::int64_t kSecond = 1'000'000'000;
  for (const std::size_t burst : {1000u, 61'440u, 61'441u, 61'700u, 70'000u}) {
    const std::size_t busiest =
        Busiest([burst](std::size_t i) { return i % burst == 0 ? 200 * kSecond : 0; }, 300'000);
    CHECK(busiest < kMost + Pacer::kGroup);
  }
}

TEST(CoapPacer, ABacklogIsNotHeldBack) {
  Pacer pacer;
  for (std::size_t i = 0; i < kMost; ++i) {
    LONGS_EQUAL(0, pacer.Wait({5}).ns);
    pacer.Sent({5});
  }
  LONGS_EQUAL(Pacer::kLifetime.ns, pacer.Wait({5}).ns);
  LONGS_EQUAL(1, pacer.Wait({Pacer::kLifetime.ns + 4}).ns);
  LONGS_EQUAL(0, pacer.Wait({Pacer::kLifetime.ns + 5}).ns);
}
