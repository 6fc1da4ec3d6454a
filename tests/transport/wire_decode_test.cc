// SPDX-License-Identifier: Apache-2.0
// JSON as rows: what servers send, and what nobody should.
#include <CppUTest/TestHarness.h>

#include <bit>
#include <cmath>
#include <string>

#include "hal/base/prng.h"
#include "transport/wire.h"

using namespace holdfast;
using namespace holdfast::wire;

namespace {

char g_room[2 << 20];
char g_conform_room[1024];

Value Conformed(ColumnType type, Value value) {
  static Arena arena{g_conform_room};
  arena.Reset();
  CHECK(Conform(type, arena, value).ok());
  return value;
}

}  // namespace

TEST_GROUP(WireDecode) {
  Arena arena{g_room};
  RowFields row;

  // The row in a form to compare: a=i1 b=r2.5 c=<text> d=true e=null; or the error.
  std::string Decode(std::string_view json, bool keep_nested = false) {
    arena.Reset();
    const auto decoded = DecodeRow(json, arena, row, {.keep_nested = keep_nested});
    if (!decoded) {
      LONGS_EQUAL(0, row.size());
      LONGS_EQUAL(0, arena.Mark());
      return std::string(CodeName(decoded.error().code)) + " " +
             std::to_string(decoded.error().native);
    }
    std::string text;
    for (const Field& field : row.view()) text += Show(field) + " ";
    if (!text.empty()) text.pop_back();
    return text;
  }
  static std::string Show(const Field& field) {
    char number[64];
    TextWriter out(number);
    const std::string name = std::string(field.name) + "=";
    switch (field.value.type) {
      case ValueType::kNull: return name + "null";
      case ValueType::kBoolean: return name + (field.value.integer != 0 ? "true" : "false");
      case ValueType::kInteger: out.Put('i').PutInteger(field.value.integer); break;
      case ValueType::kReal: out.Put('r').PutReal(field.value.real); break;
      case ValueType::kText: return name + "<" + std::string(field.value.text) + ">";
      case ValueType::kBlob: return name + "blob";
    }
    return name + std::string(out.view());
  }
};

#define DECODES(json, fields) STRCMP_EQUAL(fields, Decode(json).c_str())

TEST(WireDecode, ScalarsOfAllKinds) {
  DECODES(R"({"id":"a1","v":21.5,"n":-3,"q":null,"ok":true,"no":false})",
          "id=<a1> v=r21.5 n=i-3 q=null ok=true no=false");
  DECODES(" { \"a\" : 1 , \"b\" : \"\" }\r\n\t ", "a=i1 b=<>");
  DECODES("{}", "");
}

TEST(WireDecode, IntegersKeepAllOf64Bits) {
  DECODES(R"({"a":9007199254740993,"b":9223372036854775807,"c":-9223372036854775808})",
          "a=i9007199254740993 b=i9223372036854775807 c=i-9223372036854775808");
}

TEST(WireDecode, OtherNumbersAreReals) {
  DECODES(R"({"a":9223372036854775808,"b":1.0,"c":1e3,"d":1E-2,"e":-0.5e+1,"f":0,"g":-0})",
          "a=r9.223372036854776e+18 b=r1 c=r1000 d=r0.01 e=r-5 f=i0 g=i0");
}

TEST(WireDecode, NumbersBeyondADoubleAreNullAndBelowItZero) {
  DECODES(
      R"({"a":1e400,"b":-1e400,"c":1e999999999999999999999,"d":1e-400,"e":1.7976931348623157e308})",
      "a=null b=null c=null d=r0 e=r1.7976931348623157e+308");
  DECODES(std::string("{\"a\":1").append(500, '0') + "}", "a=null");
  DECODES(std::string("{\"a\":0.").append(5000, '0') + "1}", "a=r0");
}

TEST(WireDecode, EscapesAreUndone) {
  DECODES(R"({"a":"\"\\\/\b\f\n\r\t","b":"\u0041\u00e4\u20AC\ud83d\ude00"})",
          "a=<\"\\/\b\f\n\r\t> b=<A\xC3\xA4\xE2\x82\xAC\xF0\x9F\x98\x80>");
  Decode(R"({"a":"x\u0000y"})");
  CHECK(row.view()[0].value.text == std::string_view("x\0y", 3));
}

TEST(WireDecode, AByteOrderMarkIsSteppedOver) { DECODES("\xEF\xBB\xBF{\"a\":1}", "a=i1"); }

TEST(WireDecode, MistakesHaveTheirOffset) {
  DECODES("", "bad_answer 0");
  DECODES("[]", "bad_answer 0");
  DECODES("{", "bad_answer 1");
  DECODES("{\"a\"}", "bad_answer 4");
  DECODES("{\"a\":}", "bad_answer 5");
  DECODES("{\"a\":1,}", "bad_answer 7");
  DECODES("{\"a\":1 \"b\":2}", "bad_answer 7");
  DECODES("{\"a\":1}x", "bad_answer 7");
  DECODES("{\"a\":1}{}", "bad_answer 7");
  DECODES("{'a':1}", "bad_answer 1");
  DECODES("{a:1}", "bad_answer 1");
  DECODES("{\"a\":\"\xFF\"}", "bad_answer 6");
  DECODES("{\"a\":\"x\ny\"}", "bad_answer 7");
  DECODES("\xEF\xBB{}", "bad_answer 0");
  DECODES("\xEF\xBB\xBF\xEF\xBB\xBF{}", "bad_answer 3");
}

TEST(WireDecode, WhatIsNoJsonIsRefused) {
  for (const char* value :
       {"NaN",       "Infinity",    "-Infinity", "nan",   "-",   "+1",   "01",
        "-01",       ".5",          "1.",        "1e",    "1e+", "0x1",  "True",
        "nul",       "tru",         "undefined", "'x'",   "\"x", "\"\\", "\"\\x\"",
        "\"\\u12\"", "\"\\u12G4\"", "1 2",       "1/**/", "--1", "1.e5"}) {
    const std::string json = std::string("{\"a\":") + value + "}";
    CHECK_TEXT(Decode(json, true).starts_with("bad_answer"), value);
  }
}

TEST(WireDecode, HalfACharacterIsRefused) {
  for (const char* text : {"\\ud83d", "\\ude00", "\\ud83dx", "\\ud83d\\n", "\\ud83d\\u0041",
                           "\\ud83d\\ud83d", "\\ude00\\ud83d", "\\uD800\\uDBFF"}) {
    const std::string json = std::string("{\"a\":\"") + text + "\"}";
    CHECK_TEXT(Decode(json).starts_with("bad_answer"), text);
  }
}

TEST(WireDecode, AMemberThatOccursTwiceIsRefused) {
  DECODES(R"({"a":1,"a":1})", "bad_answer 10");
  DECODES(R"({"a":1,"b":1,"A":1})", "bad_answer 16");
  DECODES(R"({"a":1,"\u0061":1})", "bad_answer 15");
}

TEST(WireDecode, NestedValuesAreRefusedOrKeptAsText) {
  const std::string json = R"({"a": { "x" : [ 1, "b \" c" , {} ] } ,"b":[],"c":1})";
  DECODES(json, "bad_answer 6");
  STRCMP_EQUAL(R"(a=<{"x":[1,"b \" c",{}]}> b=<[]> c=i1)", Decode(json, true).c_str());
}

TEST(WireDecode, BrokenNestedValuesAreRefused) {
  for (const char* value : {"[", "[1", "[1,", "[1,]", "[,1]", "[1 2]", "{\"x\"}", "{\"x\":}",
                            "{\"x\":1,}", "{x:1}", "[}", "{]", "[\"\\q\"]", "[tru]", "[01]"}) {
    const std::string json = std::string("{\"a\":") + value + "}";
    CHECK_TEXT(Decode(json, true).starts_with("bad_answer"), value);
  }
}

TEST(WireDecode, DepthHasALimit) {
  const auto nested = [](std::size_t depth) {
    return std::string("{\"a\":").append(depth, '[') + std::string(depth, ']') + "}";
  };
  STRCMP_EQUAL("a=<[[[[[[[]]]]]]]>", Decode(nested(limits::kJsonDepth - 1), true).c_str());
  STRCMP_EQUAL("too_large 8", Decode(nested(limits::kJsonDepth), true).c_str());
  STRCMP_EQUAL("too_large 8", Decode(nested(10000), true).c_str());
  STRCMP_EQUAL("too_large 8", Decode(std::string("{\"a\":").append(10000, '['), true).c_str());
}

TEST(WireDecode, NodesHaveALimit) {
  std::string list = "{\"a\":[1";
  for (int i = 0; i < 100000; ++i) list += ",1";
  STRCMP_EQUAL("too_large 4096", Decode(list + "]}", true).c_str());
}

TEST(WireDecode, SizeHasALimit) {
  std::string json = "{\"a\":\"";
  json += std::string(limits::kRowBytes - json.size() - 2, 'x') + "\"}";
  CHECK(Decode(json).starts_with("a=<xxx"));
  STRCMP_EQUAL("too_large 1048576", Decode(json + " ").c_str());
}

TEST(WireDecode, ColumnsHaveALimit) {
  std::string json = "{\"c0\":1";
  for (std::size_t i = 1; i < limits::kColumns + 5; ++i)
    json += ",\"c" + std::to_string(i) + "\":1";
  CHECK(Decode(json + "}").ends_with("c68=i1"));
  STRCMP_EQUAL("too_large 69", Decode(json + ",\"d\":1}").c_str());
}

TEST(WireDecode, NoTruncationIsARow) {
  const std::string json =
      R"({"id":"a\u00e4\ud83d\ude00","v":-21.5e1,"ok":true,"n":null,"x":{"y":[1,"z"]}})";
  for (std::size_t n = 0; n < json.size(); ++n) {
    CHECK(Decode(std::string(json, 0, n), true).starts_with("bad_answer"));
  }
  CHECK(Decode(json, true).starts_with("id=<"));
}

TEST(WireDecode, AFullArenaIsAnErrorAtEverySize) {
  const std::string json =
      R"({"id":"a1","text":"with \"escapes\"","v":[1, 2],"long":"0123456789"})";
  bool enough = false;
  for (std::size_t size = 0; size < 128; ++size) {
    std::string some(size, '.');
    Arena small(some);
    const auto decoded = DecodeRow(json, small, row, {.keep_nested = true});
    CHECK(decoded.ok() || (!enough && decoded.error().code == Code::kNoMemory));
    enough = decoded.ok();
  }
  CHECK(enough);
}

TEST(WireDecode, RowsDoNotBorrowTheirText) {
  std::string json = R"({"id":"a1","x":{"y":1}})";
  Decode(json, true);
  json.assign(json.size(), '#');
  CHECK(FindText(row.view(), "id") == "a1");
  CHECK(FindText(row.view(), "x") == "{\"y\":1}");
}

TEST(WireDecode, NoMutationDoesHarm) {
  const std::string whole =
      R"({"id":"a\u00e4\ud83d\ude00","v":-21.5e1,"ok":true,"n":null,"x":{"y":[1,"z"]}})";
  Prng random(6);
  for (int i = 0; i < 200000; ++i) {
    std::string json = whole;
    for (std::uint64_t k = 0; k <= random.Below(4); ++k) {
      const std::size_t at = random.Below(json.size());
      if (random.Chance(30)) {
        json.erase(at, random.Below(8) + 1);
        json += ' ';
      } else {
        json[at] = random.Chance(50) ? whole[random.Below(whole.size())] : char(random.Next());
      }
    }
    Decode(json, true);
  }
}

// Whatever a row holds comes back from the wire as the same values.
TEST(WireDecode, EveryEncodedRowComesBack) {
  Prng random(7);
  for (int i = 0; i < 20000; ++i) {
    std::string texts[4];
    RowFields sent;
    for (std::string& text : texts) {
      for (std::uint64_t n = random.Below(30); n > 0; --n) {
        text += random.Chance(80) ? char(random.Below(128)) : char(0xC3);
        if (text.back() == char(0xC3)) text += char(0x80 + random.Below(64));
      }
    }
    double real = std::bit_cast<double>(random.Next());
    if (!std::isfinite(real)) real = 0.5;
    CHECK(sent.Add("t", ColumnType::kText, Value::Text(texts[0])).ok());
    CHECK(sent.Add("r", ColumnType::kReal, Value::Real(real)).ok());
    CHECK(sent.Add("i", ColumnType::kInteger, Value::Integer(std::int64_t(random.Next()))).ok());
    CHECK(sent.Add("b", ColumnType::kBoolean, Value::Boolean(random.Chance(50))).ok());
    CHECK(sent.Add("z", ColumnType::kBlob, Value::Blob(texts[1])).ok());
    CHECK(sent.Add("n", ColumnType::kText, Value::Null()).ok());
    char room[1024];
    TextWriter out(room);
    CHECK(EncodeRow(sent.view(), out).ok());
    arena.Reset();
    CHECK(DecodeRow(out.view(), arena, row).ok());
    LONGS_EQUAL(sent.size(), row.size());
    for (std::size_t k = 0; k < sent.size(); ++k) {
      const Field& was = sent.view()[k];
      const Value is = Conformed(was.type, row.view()[k].value);
      CHECK(row.view()[k].name == was.name);
      CHECK(is.type == was.value.type);
      CHECK(SameValue(was.type, is, was.value));
    }
  }
}

TEST_GROUP(WireConform){};

TEST(WireConform, TextsBecomeBlobsAndDates) {
  CHECK(Conformed(ColumnType::kBlob, Value::Text("Zm9v")).type == ValueType::kBlob);
  CHECK(Conformed(ColumnType::kBlob, Value::Text("Zm9v")).text == "foo");
  CHECK(Conformed(ColumnType::kDatetime, Value::Text("2026-11-23T08:11:29.1239999+02:00")).text ==
        "2026-11-23T06:11:29.123Z");
}

TEST(WireConform, NumbersAndBooleansBecomeWhatTheColumnHolds) {
  CHECK(Conformed(ColumnType::kInteger, Value::Real(1)).type == ValueType::kInteger);
  CHECK(Conformed(ColumnType::kInteger, Value::Boolean(true)).integer == 1);
  CHECK(Conformed(ColumnType::kReal, Value::Integer(3)).type == ValueType::kReal);
  CHECK(Conformed(ColumnType::kBoolean, Value::Integer(1)).type == ValueType::kBoolean);
  CHECK(Conformed(ColumnType::kBoolean, Value::Real(0)).type == ValueType::kBoolean);
}

TEST(WireConform, WhatCannotBeIsLeftAsItIs) {
  CHECK(Conformed(ColumnType::kBlob, Value::Text("Zm9")).type == ValueType::kText);
  CHECK(Conformed(ColumnType::kDatetime, Value::Text("soon")).text == "soon");
  CHECK(Conformed(ColumnType::kInteger, Value::Real(1.5)).type == ValueType::kReal);
  CHECK(Conformed(ColumnType::kInteger, Value::Real(1e30)).type == ValueType::kReal);
  CHECK(Conformed(ColumnType::kInteger, Value::Text("1")).type == ValueType::kText);
  CHECK(Conformed(ColumnType::kBoolean, Value::Integer(7)).type == ValueType::kInteger);
  CHECK(Conformed(ColumnType::kReal, Value::Integer(9007199254740993)).type == ValueType::kInteger);
  CHECK(Conformed(ColumnType::kReal, Value::Integer(INT64_MIN)).type == ValueType::kInteger);
  CHECK(Conformed(ColumnType::kText, Value::Integer(1)).type == ValueType::kInteger);
  for (const ColumnType type : {ColumnType::kInteger, ColumnType::kBlob, ColumnType::kDatetime}) {
    CHECK(Conformed(type, Value::Null()).is_null());
  }
}

TEST(WireConform, AFullArenaIsAnError) {
  Arena none({});
  Value value = Value::Text("Zm9v");
  CHECK(Conform(ColumnType::kBlob, none, value).error().code == Code::kNoMemory);
  value = Value::Text("2026-11-23T08:11:29+02:00");
  CHECK(Conform(ColumnType::kDatetime, none, value).error().code == Code::kNoMemory);
}
