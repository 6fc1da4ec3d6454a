// SPDX-License-Identifier: Apache-2.0
// An answer in blocks, of which any may lie, on its way to a sink.
#include <CppUTest/TestHarness.h>

#include <memory>
#include <optional>
#include <string>

#include "tests/contract/exchange.h"
#include "transport/coap/download.h"
#include "transport/wire.h"
#include "transport/wire_cbor.h"

using namespace holdfast;
using namespace holdfast::transport;
using namespace holdfast::transport::coap;
using holdfast::testing::KeepingSink;
using Step = Download::Step;

namespace {

struct WatchingSink : KeepingSink {
  Result<void> OnHead(const ResponseHead& head) override {
    version_only = head.version_only;
    auto result = KeepingSink::OnHead(head);
    if (gone != nullptr) *gone = nullptr;
    return result;
  }
  bool version_only = false;
  ResponseSink** gone = nullptr;  // the exchange is cancelled while the head is looked at
};

// What a step, or an error, is called in the tables.
std::string NameOf(const Result<Step>& step) {
  if (!step) return std::string(CodeName(step.error().code));
  return step.value() == Step::kNext ? "next" : step.value() == Step::kDone ? "done" : "json";
}

IncomingAnswer Plain(int dotted, std::string_view payload, int format = kJson) {
  IncomingAnswer answer;
  answer.code = coap::Code(dotted);
  answer.payload = payload;
  answer.format = format;
  return answer;
}

IncomingAnswer Tagged(IncomingAnswer answer, std::string_view tag) {
  answer.has_etag = answer.etag.Assign(tag).ok();
  return answer;
}

const std::string g_block(1024, 'b');

IncomingAnswer Part(std::uint32_t number, bool more, unsigned szx, std::string_view payload,
                    int format = kJson) {
  IncomingAnswer answer = Plain(205, payload, format);
  answer.block2 = Block{number, more, szx};
  return answer;
}
// Full, and not the last.
IncomingAnswer Full(std::uint32_t number, unsigned szx = kLargestSzx, int format = kJson) {
  return Part(number, true, szx, std::string_view(g_block).substr(0, BlockBytes(szx)), format);
}
IncomingAnswer With(IncomingAnswer answer, void (*change)(IncomingAnswer&)) {
  change(answer);
  return answer;
}

}  // namespace

TEST_BASE(DownloadTest) {
  std::unique_ptr<RowConverter> converter{new RowConverter()};
  WatchingSink sink;
  ResponseSink* to = &sink;
  std::unique_ptr<Download> download{new Download(*converter, to)};

  void Restart(Method method = Method::kList) {
    sink = WatchingSink();
    to = &sink;
    download->Reset(method);
  }
  std::string Take(const IncomingAnswer& answer) { return NameOf(download->Take(answer)); }
  void Expect(const char* name, const char* wanted, const IncomingAnswer& answer) {
    const std::string got = Take(answer);
    if (got != wanted) FAIL((std::string(name) + ": " + got + " instead of " + wanted).c_str());
  }
  // Long enough for several blocks; every byte is different from its neighbours.
  static std::string Text(std::size_t size) {
    std::string text;
    for (std::size_t i = 0; i < size; ++i) text += char('a' + i * 7 % 26);
    return text;
  }
  static std::string Cbor(std::string_view json) {
    static RowConverter converter;
    auto cbor = converter.ToCbor(json);
    return cbor ? std::string(*cbor) : "";
  }
};

TEST_GROUP_BASE(CoapDownload, DownloadTest){};

TEST(CoapDownload, OneMessage) {
  Restart();
  Expect("whole", "done", Plain(205, "[]"));
  CHECK(sink.heads == 1 && sink.body == "[]" && sink.is_json && sink.body_bytes == 2);
  CHECK(sink.status == Status::kOk && sink.native == 200);
  Restart();
  Expect("block 0 and no more", "done", Part(0, false, 6, "[]"));
  CHECK(sink.heads == 1 && sink.body == "[]");
  Restart();
  Expect("nothing", "done", Plain(205, "", kNoFormat));
  CHECK(sink.heads == 1 && sink.chunks == 0 && !sink.is_json && !sink.version_only);
}

TEST(CoapDownload, BlocksInOrder) {
  for (unsigned szx = 0; szx <= kLargestSzx; ++szx) {
    const std::size_t size = BlockBytes(szx);
    for (const std::size_t total : {size + 1, 2 * size, 3 * size - 1, 5 * size + size / 2}) {
      Restart();
      const std::string text = Text(total);
      for (std::size_t at = 0; at < total; at += size) {
        const bool more = at + size < total;
        const auto number = std::uint32_t(at / size);
        if (at > 0) {
          LONGS_EQUAL(number, download->next().number);
          LONGS_EQUAL(szx, download->next().szx);
        }
        auto part = Part(number, more, szx, std::string_view(text).substr(at, size));
        part.size2 = std::int64_t(total);
        Expect("in order", more ? "next" : "done", Tagged(part, "t"));
      }
      CHECK(sink.body == text && sink.heads == 1 && sink.in_order);
      LONGS_EQUAL(total, sink.body_bytes);
    }
  }
}

TEST(CoapDownload, AServerMayMakeItsBlocksSmallerOrLarger) {
  Restart();
  Expect("first", "next", Full(0));
  Expect("smaller", "next", Full(16, 2));  // 16 * 64
  LONGS_EQUAL(17, download->next().number);
  LONGS_EQUAL(2, download->next().szx);
  Expect("smaller", "next", Full(17, 2));
  Expect("smaller still", "next", Full(72, 0));  // 72 * 16 = 1152
  Expect("larger than asked for", "next", Full(73, 0));
  Expect("last", "done", Part(74, false, 0, "end"));
  LONGS_EQUAL(1024 + 64 + 64 + 16 + 16 + 3, sink.body.size());
  Restart();
  Expect("first", "next", Full(0, 5));
  Expect("second", "next", Full(1, 5));
  Expect("larger, at the right place", "next", Full(1, 6));
  LONGS_EQUAL(2, download->next().number);
  Expect("last", "done", Part(2, false, 6, ""));
  LONGS_EQUAL(2048, sink.body.size());
}

TEST(CoapDownload, FirstBlocksThatLie) {
  const struct {
    const char* name;
    IncomingAnswer answer;
  } cases[] = {
      {"the second one", Full(1)},
      {"one from far away", Full(0xfffff)},
      {"the second and last", Part(1, false, 6, "end")},
      {"short, and more to come", Part(0, true, 6, "short")},
      {"empty, and more to come", Part(0, true, 6, "")},
      {"longer than it says, and more to come", Part(0, true, 5, g_block)},
      {"one byte too short", Part(0, true, 6, std::string_view(g_block).substr(1))},
      {"longer than it says, and the last", Part(0, false, 0, g_block)},
      {"an option that cannot be", With(Full(0), [](IncomingAnswer& a) { a.bad_option = true; })},
  };
  for (const auto& test : cases) {
    Restart();
    Expect(test.name, "bad_answer", test.answer);
    CHECK_TEXT(sink.heads == 0 && sink.chunks == 0, test.name);
  }
}

TEST(CoapDownload, LaterBlocksThatLie) {
  const struct {
    const char* name;
    IncomingAnswer answer;
    const char* error;
  } cases[] = {
      {"the first again", Full(0), "bad_answer"},
      {"one left out", Full(2), "bad_answer"},
      {"no block any more", Plain(205, "end"), "bad_answer"},
      {"the right number of another size", Full(1, 5), "bad_answer"},
      {"short, and more to come", Part(1, true, 6, "short"), "bad_answer"},
      {"empty, and more to come", Part(1, true, 6, ""), "bad_answer"},
      {"too long for its size", Part(32, true, 1, g_block), "bad_answer"},
      {"too long for its size, and the last", Part(32, false, 1, g_block), "bad_answer"},
      {"a tag from now on", Tagged(Full(1), "t"), "bad_answer"},
      {"another format", Full(1, 6, kMergePatch), "bad_answer"},
      {"no format", Full(1, 6, kNoFormat), "bad_answer"},
      {"CBOR", Full(1, 6, kCbor), "bad_answer"},
      {"created", With(Full(1), [](IncomingAnswer& a) { a.code = coap::Code(201); }),
       "server_error"},
      {"a failure", Plain(500, "sorry", kNoFormat), "server_error"},
      {"gone", Plain(404, "", kNoFormat), "server_error"},
      {"an option that cannot be", With(Full(1), [](IncomingAnswer& a) { a.bad_option = true; }),
       "bad_answer"},
  };
  for (const auto& test : cases) {
    Restart();
    Expect("first", "next", Full(0));
    Expect(test.name, test.error, test.answer);
    CHECK_TEXT(sink.heads == 1 && sink.chunks == 1, test.name);
  }
}

TEST(CoapDownload, TagsOfBlocks) {
  const struct {
    const char* name;
    IncomingAnswer first, second;
    const char* wanted;
  } cases[] = {
      {"the same", Tagged(Full(0), "t1"), Tagged(Full(1), "t1"), "next"},
      {"another", Tagged(Full(0), "t1"), Tagged(Full(1), "t2"), "bad_answer"},
      {"a longer one", Tagged(Full(0), "t1"), Tagged(Full(1), "t11"), "bad_answer"},
      {"none any more", Tagged(Full(0), "t1"), Full(1), "bad_answer"},
      {"one that was not there", Full(0), Tagged(Full(1), "t1"), "bad_answer"},
      {"an empty one that was not there", Full(0), Tagged(Full(1), ""), "bad_answer"},
  };
  for (const auto& test : cases) {
    Restart();
    Expect(test.name, "next", test.first);
    Expect(test.name, test.wanted, test.second);
  }
  Restart();  // nothing stays of the last exchange
  Expect("afterwards", "next", Full(0));
}

TEST(CoapDownload, Lengths) {
  const auto sized = [](IncomingAnswer answer, std::int64_t size2) {
    answer.size2 = size2;
    return answer;
  };
  const std::int64_t page = limits::kPageBytes, row = limits::kRowBytes + (64 << 10);
  const struct {
    const char* name;
    Method method;
    IncomingAnswer answer;
    const char* wanted;
  } cases[] = {
      {"the longest page", Method::kList, sized(Full(0), page), "next"},
      {"a longer page", Method::kList, sized(Full(0), page + 1), "too_large"},
      {"the longest row", Method::kLookup, sized(Full(0), row), "next"},
      {"a longer row", Method::kLookup, sized(Full(0), row + 1), "too_large"},
      {"4 GiB", Method::kList, sized(Full(0), 0xffffffff), "too_large"},
      {"text", Method::kList, sized(Full(0, 6, 0), 16 << 10), "next"},
      {"long text", Method::kList, sized(Full(0, 6, 0), (16 << 10) + 1), "bad_answer"},
      {"long text of no format", Method::kLookup, sized(Full(0, 6, kNoFormat), 1 << 20),
       "bad_answer"},
  };
  for (const auto& test : cases) {
    Restart(test.method);
    Expect(test.name, test.wanted, test.answer);
  }
  Restart();
  Expect("more than it said", "next", sized(Full(0), 5));
  LONGS_EQUAL(5, sink.body_bytes);
  Expect("more than it said", "done", Part(1, false, 6, "end"));
  LONGS_EQUAL(1027, sink.size);
}

TEST(CoapDownload, WhatNeverEndsEnds) {
  Restart(Method::kLookup);
  sink.keep = false;
  std::string step = "next";
  std::uint32_t number = 0;
  while (step == "next" && number < 5000) step = Take(Full(number++));
  STRCMP_EQUAL("too_large", step.c_str());
  LONGS_EQUAL((limits::kRowBytes + (64 << 10)) / 1024 + 1, number);
  Restart();
  number = 0;
  step = "next";
  while (step == "next" && number < 5000) step = Take(Full(number++, 6, 0));
  STRCMP_EQUAL("bad_answer", step.c_str());
  LONGS_EQUAL(17, number);
}

TEST(CoapDownload, SinksThatSayNo) {
  const Error full{holdfast::Code::kNoSpace};
  Restart();
  sink.head_error = full;
  Expect("head", "no_space", Plain(205, "[]"));
  CHECK(sink.heads == 1 && sink.chunks == 0);
  Restart();
  sink.body_error = full;
  Expect("body", "no_space", Full(0));
  Restart(Method::kLookup);
  sink.body_error = full;
  Expect("row", "no_space", Plain(205, Cbor(R"({"id":"r1"})"), kCbor));
  Restart(Method::kLookup);
  sink.head_error = full;
  Expect("head of a row", "no_space", Plain(205, Cbor(R"({"id":"r1"})"), kCbor));
  CHECK(sink.heads == 1 && sink.chunks == 0);
}

TEST(CoapDownload, ASinkThatIsTakenAway) {
  Restart();
  sink.gone = &to;
  Expect("text", "next", Full(0));
  CHECK(sink.heads == 1 && sink.chunks == 0);
  Restart(Method::kLookup);
  sink.gone = &to;
  Expect("row", "done", Plain(205, Cbor(R"({"id":"r1"})"), kCbor));
  CHECK(sink.heads == 1 && sink.chunks == 0);
}

TEST_GROUP_BASE(CoapRows, DownloadTest){};

TEST(CoapRows, BecomeJson) {
  const std::string json = R"({"id":"r1","value":3,"version":"v1"})", cbor = Cbor(json);
  CHECK(!cbor.empty());
  Restart(Method::kLookup);
  Expect("one message", "done", Tagged(Plain(205, cbor, kCbor), "v1"));
  CHECK(sink.body == json && sink.is_json && sink.version == "v1" && !sink.version_only);
  LONGS_EQUAL(json.size(), sink.body_bytes);
  Restart(Method::kLookup);
  for (std::size_t at = 0; at < cbor.size(); at += 16) {
    const bool more = at + 16 < cbor.size();
    Expect("blocks", more ? "next" : "done",
           Part(std::uint32_t(at / 16), more, 0, std::string_view(cbor).substr(at, 16), kCbor));
    LONGS_EQUAL(more ? 0 : 1, sink.heads);
  }
  CHECK(sink.body == json);
  // What a refusal carries is a row too.
  Restart(Method::kUpdate);
  Expect("refusal", "done", Tagged(Plain(412, cbor, kCbor), "v1"));
  CHECK(sink.status == Status::kPreconditionFailed && sink.body == json && sink.version == "v1");
}

TEST(CoapRows, GarbageIsNoRow) {
  const std::string good = Cbor(R"({"id":"r1","value":3})");
  for (const std::string& garbage :
       {std::string(), std::string("\xff"), std::string("\x80"), std::string("{}"),
        std::string("\xa1"), good + "x", good.substr(0, good.size() - 1), std::string(1000, '\xa1'),
        std::string("\xbb\xff\xff\xff\xff\xff\xff\xff\xff"), std::string("\xa1\x01\x02"),
        std::string("\xa1\x61\x61\xa0"), std::string("\xa1\x61\xff\x01")}) {
    Restart(Method::kLookup);
    Expect("garbage", "bad_answer", Plain(205, garbage, kCbor));
    CHECK(sink.heads == 0);
  }
}

TEST(CoapRows, TooLargeForTheRoom) {
  const std::string_view part(g_block);
  const auto until_it_ends = [&](Method method, int dotted) {
    Restart(method);
    std::string step = "next";
    std::uint32_t number = 0;
    while (step == "next" && number < 100) {
      auto block = Tagged(Part(number++, true, 6, part, kCbor), "v1");
      block.code = coap::Code(dotted);
      step = Take(block);
    }
    LONGS_EQUAL(kCborBytes / 1024 + 1, number);
    return step;
  };
  STRCMP_EQUAL("json", until_it_ends(Method::kLookup, 205).c_str());
  LONGS_EQUAL(0, sink.heads);
  for (const int dotted : {204, 201, 412}) {
    STRCMP_EQUAL("done", until_it_ends(Method::kUpdate, dotted).c_str());
    CHECK(sink.heads == 1 && sink.chunks == 0 && !sink.is_json && sink.version == "v1");
    CHECK(!sink.version_only);
  }
  // As soon as it is known.
  for (const Method method : {Method::kLookup, Method::kInsert}) {
    Restart(method);
    auto block = Tagged(Part(0, true, 6, part, kCbor), "v1");
    block.size2 = kCborBytes + 1;
    Expect("declared", method == Method::kLookup ? "json" : "done", block);
    LONGS_EQUAL(method == Method::kLookup ? 0 : 1, sink.heads);
  }
}

// Small as CBOR, large as JSON: every control character has six bytes there.
TEST(CoapRows, TooLargeOnceItIsJson) {
  // id and text, by hand: our own converter does not take so much JSON either.
  std::string cbor = "\xa2\x62id\x62r1\x64text\x79";
  const std::size_t size = 12'000;
  cbor += char(size >> 8);
  cbor += char(size & 255);
  cbor += std::string(size, '\x01');
  const auto take = [&](Method method) {
    Restart(method);
    std::string step = "next";
    for (std::size_t at = 0; step == "next"; at += 1024) {
      step = Take(Tagged(Part(std::uint32_t(at / 1024), at + 1024 < cbor.size(), 6,
                              std::string_view(cbor).substr(at, 1024), kCbor),
                         "v1"));
    }
    return step;
  };
  STRCMP_EQUAL("json", take(Method::kLookup).c_str());
  LONGS_EQUAL(0, sink.heads);
  STRCMP_EQUAL("done", take(Method::kUpdate).c_str());
  CHECK(sink.heads == 1 && sink.chunks == 0 && !sink.is_json);
}

TEST(CoapRows, VersionsThatNoTagCanHold) {
  const std::string version = "AAAAAAAAB9E=", json = R"({"id":"r1","version":"AAAAAAAAB9E="})";
  const std::string digest(EtagOf(version).view()), cbor = Cbor(json);
  const struct {
    const char* name;
    IncomingAnswer answer;
    std::string version;
  } cases[] = {
      {"JSON", Tagged(Plain(205, json), digest), version},
      {"CBOR", Tagged(Plain(205, cbor, kCbor), digest), version},
      {"a digest of something else", Tagged(Plain(205, json), "\x80\x81\x82\x83\x84\x85\x86\x87"),
       ""},
      {"the same as CBOR", Tagged(Plain(205, cbor, kCbor), "\x80\x81\x82\x83\x84\x85\x86\x87"), ""},
      {"a tag that is a version of its own", Tagged(Plain(205, json), "v1"), "v1"},
      {"no tag", Plain(205, json), ""},
      {"no tag, CBOR", Plain(205, cbor, kCbor), ""},
      {"bytes", Tagged(Plain(205, json), "\x01\x02"), ""},
      {"an empty tag", Tagged(Plain(205, json), ""), ""},
      {"a blank", Tagged(Plain(205, json), "a b"), ""},
      {"no row", Tagged(Plain(205, "[]"), digest), ""},
      {"no JSON", Tagged(Plain(205, json, 0), digest), ""},
  };
  for (const auto& test : cases) {
    Restart(Method::kLookup);
    Expect(test.name, "done", test.answer);
    STRCMP_EQUAL_TEXT(test.version.c_str(), sink.version.c_str(), test.name);
  }
}

TEST(CoapRows, OnlyAWriteIsSaidByItsVersion) {
  const struct {
    const char* name;
    Method method;
    IncomingAnswer answer;
    bool version_only;
  } cases[] = {
      {"insert", Method::kInsert, Tagged(Plain(201, "", kNoFormat), "v1"), true},
      {"update", Method::kUpdate, Tagged(Plain(204, "", kNoFormat), "v1"), true},
      {"without a tag", Method::kUpdate, Plain(204, "", kNoFormat), false},
      {"with a tag that is no text", Method::kUpdate, Tagged(Plain(204, "", kNoFormat), "\x80\x81"),
       false},
      {"with a body", Method::kUpdate, Tagged(Plain(204, "{}"), "v1"), false},
      {"deleted", Method::kDelete, Tagged(Plain(202, "", kNoFormat), "v1"), false},
      {"refused", Method::kUpdate, Tagged(Plain(412, "", kNoFormat), "v1"), false},
      {"a row of nothing", Method::kLookup, Tagged(Plain(205, "", kNoFormat), "v1"), false},
      {"a page of nothing", Method::kList, Tagged(Plain(205, "", kNoFormat), "v1"), false},
  };
  for (const auto& test : cases) {
    Restart(test.method);
    Expect(test.name, "done", test.answer);
    CHECK_TEXT(test.version_only == sink.version_only, test.name);
  }
}

TEST(CoapRows, ThereAndBack) {
  const char* const rows[] = {
      R"({"id":"r1"})",
      R"({"id":"r1","n":-3,"r":1.5,"yes":true,"no":false,"none":null,"t":"\u0001\"\\ü"})",
      R"({"big":9223372036854775807,"small":-9223372036854775808,"e":1e300})",
  };
  for (const char* row : rows) {
    const std::string cbor = Cbor(row);
    auto json = converter->ToJson(cbor);
    CHECK_TEXT(json.ok(), row);
    CHECK_TEXT(Cbor(json->json) == cbor, row);
  }
  for (const char* none : {"", "[]", "3", "{", R"({"a":{"b":1}})", R"({"a":[1]})"}) {
    CHECK_TEXT(!converter->ToCbor(none).ok(), none);
  }
  CHECK(converter->VersionOf(R"({"version":"v1","nested":{"a":[1]}})") == "v1");
  CHECK(converter->VersionOf("nonsense").empty());
  CHECK(converter->VersionOf(R"({"version":3})").empty());
  // The room is the same every time.
  const std::string large = R"({"text":")" + std::string(kCborBytes - 100, 'x') + "\"}";
  for (int i = 0; i < 100; ++i) CHECK(converter->ToCbor(large).ok());
  CHECK(!converter->ToCbor(R"({"text":")" + std::string(kCborBytes, 'x') + "\"}").ok());
}
