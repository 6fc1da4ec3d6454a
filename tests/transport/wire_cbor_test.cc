// SPDX-License-Identifier: Apache-2.0
// Rows as CBOR and back: the examples of RFC 8949, and what nobody should send.
#include <CppUTest/TestHarness.h>
#include <sys/mman.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "hal/base/prng.h"
#include "transport/wire.h"
#include "transport/wire_cbor.h"

using namespace holdfast;
using namespace holdfast::wire;

namespace {

using Double = std::numeric_limits<double>;
constexpr std::size_t kFields = limits::kColumns + 5;

char g_room[2 << 20];
char g_conform_room[4096];
char g_wire_room[limits::kRowBytes];
const std::string g_long(300, 'x');

// A row with every kind of value, lengths in one byte, in two and in three among them.
const Field kRow[] = {
    {"id", ColumnType::kText, Value::Text("a\xC3\xA4\xF0\x9F\x98\x80")},
    {"half", ColumnType::kReal, Value::Real(-1.5)},
    {"single", ColumnType::kReal, Value::Real(100000)},
    {"double", ColumnType::kReal, Value::Real(1.1)},
    {"small", ColumnType::kInteger, Value::Integer(-3)},
    {"large", ColumnType::kInteger, Value::Integer(INT64_MIN)},
    {"yes", ColumnType::kBoolean, Value::Integer(1)},
    {"no", ColumnType::kAny, Value::Boolean(false)},
    {"none", ColumnType::kText, Value::Null()},
    {"blob", ColumnType::kBlob, Value::Blob(std::string_view("\0\xFF\xC3", 3))},
    {"empty", ColumnType::kText, Value::Text("")},
    {"createdAt", ColumnType::kDatetime, Value::Text("2026-11-23T06:11:29.123Z")},
    {"long", ColumnType::kText, Value::Text(g_long)},
};
// One with a tag in front and everything of indefinite length.
constexpr std::string_view kChunkedRow =
    "d9d9f7bf7f61616162ff7f62c3a460ff61785f42010241ffff6179fb3ff199999999999aff";

std::string Bytes(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += char(digit(hex[i]) << 4 | digit(hex[i + 1]));
  }
  return bytes;
}

std::string Hex(std::string_view bytes) {
  std::string room(bytes.size() * 2, '.');
  TextWriter out(room);
  return std::string(out.PutHex(bytes).view());
}

std::string Repeat(std::string_view text, std::size_t times) {
  std::string all;
  while (times-- > 0) all += text;
  return all;
}

// A copy that ends where the address space does: a single byte read beyond it is a crash, also in a
// library that was built without a sanitizer.
std::string_view Fenced(std::string_view bytes) {
  constexpr std::size_t kBytes = 2 << 20;  // whole pages, whatever their size
  static char* const end = [] {
    void* const place =
        mmap(nullptr, 2 * kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    HF_ASSERT(place != MAP_FAILED);
    HF_ASSERT(mprotect(static_cast<char*>(place) + kBytes, kBytes, PROT_NONE) == 0);
    return static_cast<char*>(place) + kBytes;
  }();
  HF_ASSERT(bytes.size() <= kBytes);
  bytes.copy(end - bytes.size(), bytes.size());
  return {end - bytes.size(), bytes.size()};
}

std::string Show(const Value& value) {
  char room[64];
  TextWriter out(room);
  switch (value.type) {
    case ValueType::kNull: return "null";
    case ValueType::kBoolean: return value.integer != 0 ? "true" : "false";
    case ValueType::kInteger: out.Put('i').PutInteger(value.integer); break;
    case ValueType::kReal: out.Put('r').PutReal(value.real); break;
    case ValueType::kText: return "<" + std::string(value.text) + ">";
    case ValueType::kBlob: return "h'" + Hex(value.text) + "'";
  }
  return std::string(out.view());
}

bool IsIdentical(const Value& a, const Value& b) {
  if (a.type != b.type) return false;
  if (a.type == ValueType::kReal) {
    return std::bit_cast<std::uint64_t>(a.real) == std::bit_cast<std::uint64_t>(b.real);
  }
  return a.integer == b.integer && a.text == b.text;
}

bool IsIdentical(RowView a, RowView b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(), [](const Field& x, const Field& y) {
    return x.name == y.name && IsIdentical(x.value, y.value);
  });
}

}  // namespace

TEST_GROUP(WireCbor) {
  Arena arena{g_room};
  RowFields row;

  std::string Encode(RowView fields) {
    TextWriter out(g_wire_room);
    const auto encoded = EncodeRowCbor(fields, out);
    CHECK(encoded.ok() || out.view().empty());
    return std::string(encoded ? out.view() : CodeName(encoded.error().code));
  }
  // What stands for the value of a row's only member, whose name is "a".
  std::string Item(ColumnType type, const Value& value) {
    const Field field = {"a", type, value};
    const std::string hex = Hex(Encode({&field, 1}));
    CHECK(hex.starts_with("a16161"));
    return hex.substr(6);
  }
  // The row in a form to compare: a=i1 b=r2.5; or the error and its offset.
  std::string Decode(std::string_view cbor) {
    arena.Reset();
    const std::string_view before = *arena.Copy("before");
    const auto decoded = DecodeRowCbor(Fenced(cbor), arena, row);
    CHECK(before == "before");
    if (!decoded) {
      LONGS_EQUAL(0, row.size());
      LONGS_EQUAL(before.size(), arena.Mark());
      const Error& error = decoded.error();
      CHECK(error.what != nullptr);
      CHECK(error.native >= 0);
      CHECK(error.code != Code::kBadAnswer || std::size_t(error.native) <= cbor.size());
      return std::string(CodeName(error.code)) + " " + std::to_string(error.native);
    }
    std::string text;
    for (const Field& field : row.view()) {
      CHECK(field.type == ColumnType::kAny);
      text += std::string(field.name) + "=" + Show(field.value) + " ";
    }
    if (!text.empty()) text.pop_back();
    return text;
  }
  std::string DecodeItem(std::string_view hex) {
    const std::string text = Decode(Bytes("a16161") + Bytes(hex));
    return text.starts_with("a=") ? text.substr(2) : text;
  }
  // Whatever it is, it is a row that is written and read again as itself, or it is refused.
  void Judge(std::string_view cbor) {
    if (Decode(cbor).starts_with("bad_answer") && row.size() == 0) return;
    const std::string again = Encode(row.view());
    RowFields same;
    CHECK(DecodeRowCbor(again, arena, same).ok() && IsIdentical(row.view(), same.view()));
  }
  static std::vector<std::string> Words(std::string_view text) {
    std::vector<std::string> words(1);
    for (const char c : text) {
      if (c == ' ') words.emplace_back();
      if (c != ' ') words.back() += c;
    }
    return words;
  }
  // "hex=value" each: the value of these bytes, and the bytes of that value.
  void BothWays(std::string_view examples) {
    for (const std::string& example : Words(examples)) {
      const std::string hex = example.substr(0, example.find('='));
      STRCMP_EQUAL(example.c_str(), (hex + "=" + DecodeItem(hex)).c_str());
      STRCMP_EQUAL(hex.c_str(), Item(ColumnType::kAny, row.view()[0].value).c_str());
    }
  }
  void ItemsAre(const std::string& value, std::string_view items) {
    for (const std::string& hex : Words(items)) {
      STRCMP_EQUAL((hex + "=" + value).c_str(), (hex + "=" + DecodeItem(hex)).c_str());
    }
  }
  void Refuses(std::size_t offset, std::string_view maps) {
    for (const std::string& hex : Words(maps)) {
      STRCMP_EQUAL_TEXT(Refusal(offset).c_str(), Decode(Bytes(hex)).c_str(), hex.c_str());
    }
  }
  // The offset counts from the item's first byte.
  void RefusesItems(std::size_t at, std::string_view items) { ItemsAre(Refusal(3 + at), items); }
  static std::string Refusal(std::size_t offset) { return "bad_answer " + std::to_string(offset); }
};

#define ENCODES(hex, type, value) STRCMP_EQUAL(hex, Item(ColumnType::type, Value::value).c_str())
#define DECODES(hex, fields) STRCMP_EQUAL(fields, Decode(Bytes(hex)).c_str())

TEST(WireCbor, IntegersOfTheStandard) {
  BothWays("00=i0 01=i1 0a=i10 17=i23 1818=i24 1819=i25 1864=i100 1903e8=i1000");
  BothWays("1a000f4240=i1000000 1b000000e8d4a51000=i1000000000000");
  BothWays("20=i-1 29=i-10 3863=i-100 3903e7=i-1000");
}

TEST(WireCbor, IntegersAtTheirEdges) {
  BothWays("18ff=i255 190100=i256 19ffff=i65535 1a00010000=i65536");
  BothWays("1affffffff=i4294967295 1b0000000100000000=i4294967296");
  BothWays("37=i-24 3818=i-25 38ff=i-256 390100=i-257 39ffff=i-65536 3a00010000=i-65537");
  BothWays("1b7fffffffffffffff=i9223372036854775807 3b7fffffffffffffff=i-9223372036854775808");
}

TEST(WireCbor, IntegersBeyond64BitsAreTheNearestReal) {
  ItemsAre("r1.8446744073709552e+19", "1bffffffffffffffff");
  ItemsAre("r9.223372036854776e+18", "1b8000000000000000");
  ItemsAre("r-1.8446744073709552e+19", "3bffffffffffffffff");
  // -1 - 0x80000000000003FF is half way between two doubles, -1 - 0x8000000000000400 beyond it.
  ItemsAre("r-9.223372036854776e+18", "3b8000000000000000 3b80000000000003ff");
  ItemsAre("r-9.223372036854778e+18", "3b8000000000000400");
}

TEST(WireCbor, RealsOfTheStandard) {
  BothWays("f90000=r0 f98000=r-0 f93c00=r1 fb3ff199999999999a=r1.1 f93e00=r1.5 f97bff=r65504");
  BothWays("fa47c35000=r100000 fa7f7fffff=r3.4028234663852886e+38 fb7e37e43c8800759c=r1e+300");
  BothWays("f90001=r5.9604644775390625e-08 f90400=r6.103515625e-05");
  BothWays("f9c400=r-4 fbc010666666666666=r-4.1");
}

TEST(WireCbor, TheShortestRealThatIsExact) {
  ENCODES("fa477fe100", kReal, Real(65505.0));           // one digit too many
  ENCODES("fa47800000", kReal, Real(65536.0));           // one exponent too many
  ENCODES("f903ff", kReal, Real(0x3FFp-24));             // the largest subnormal
  ENCODES("fa387fe000", kReal, Real(0x7FFp-25));         // half a step beside one
  ENCODES("fa33000000", kReal, Real(0x1p-25));           // below the smallest
  ENCODES("fa00000001", kReal, Real(0x1p-149));          // a float's smallest
  ENCODES("fb3690000000000000", kReal, Real(0x1p-150));  // below it
  ENCODES("fb47efffffe1000000", kReal, Real(0x1.fffffe1p127));
  ENCODES("fb47f0000000000000", kReal, Real(0x1p128));  // above a float's largest
  ENCODES("fb7fefffffffffffff", kReal, Real(Double::max()));
  ENCODES("fb0000000000000001", kReal, Real(0x1p-1074));
}

TEST(WireCbor, EveryBinary16ComesBackAsItself) {
  for (unsigned bits = 0; bits < 0x10000; ++bits) {
    const char head[] = {char(0xF9), char(bits >> 8), char(bits & 255)};
    const std::string hex = Hex({head, sizeof head});
    const bool is_finite = (bits & 0x7C00) != 0x7C00;
    LONGS_EQUAL(is_finite, DecodeItem(hex) != "null");
    CHECK(Item(ColumnType::kReal, row.view()[0].value) == (is_finite ? hex : "f6"));
  }
}

TEST(WireCbor, EveryRealComesBackToTheBit) {
  Prng random(8);
  for (int i = 0; i < 100000; ++i) {
    const std::uint64_t noise = random.Next();
    double real = std::bit_cast<double>(noise);
    if (i % 3 == 1) real = double(std::bit_cast<float>(std::uint32_t(noise)));
    if (i % 3 == 2) real = double(std::int64_t(noise) >> (noise & 63)) / 1024;
    if (!std::isfinite(real)) continue;
    DecodeItem(Item(ColumnType::kReal, Value::Real(real)));
    CHECK(IsIdentical(row.view()[0].value, Value::Real(real)));
  }
}

TEST(WireCbor, RealsThatAreNotFiniteAreNull) {
  ENCODES("f6", kReal, Real(Double::infinity()));
  ENCODES("f6", kAny, Real(-Double::infinity()));
  ENCODES("f6", kInteger, Real(Double::quiet_NaN()));
  ItemsAre("null", "f97c00 f97e00 f9fc00 fa7f800000 fa7fc00000 faff800000");
  ItemsAre("null", "fb7ff0000000000000 fb7ff8000000000000 fbfff0000000000000");
}

TEST(WireCbor, SimpleValuesAndBooleansByTheColumn) {
  BothWays("f4=false f5=true f6=null");
  ENCODES("f5", kBoolean, Integer(1));
  ENCODES("f5", kBoolean, Integer(7));
  ENCODES("f4", kBoolean, Integer(0));
  ENCODES("f5", kInteger, Boolean(true));
  ItemsAre("null", "f7");
  RefusesItems(0, "e0 f0 f3 f800 f814 f818 f81f f820 f8ff ff");
}

TEST(WireCbor, WholeRealsGoByTheColumnAsInJson) {
  ENCODES("f94200", kReal, Real(3));
  ENCODES("f94200", kAny, Real(3));
  ENCODES("03", kInteger, Real(3));
  ENCODES("00", kInteger, Real(-0.0));
  ENCODES("f93e00", kInteger, Real(1.5));
  ENCODES("3b7fffffffffffffff", kInteger, Real(-9223372036854775808.0));
  ENCODES("fa5f000000", kInteger, Real(9223372036854775808.0));
}

TEST(WireCbor, TextsAndBlobsOfTheStandard) {
  BothWays("60=<> 6161=<a> 6449455446=<IETF> 62225c=<\"\\> 62c3bc=<\xC3\xBC>");
  BothWays("63e6b0b4=<\xE6\xB0\xB4> 64f0908591=<\xF0\x90\x85\x91>");
  BothWays("40=h'' 4401020304=h'01020304' 42c3ff=h'c3ff' 4100=h'00'");
  ENCODES("6100", kText, Text(std::string_view("\0", 1)));
  ENCODES("6a323032362d31312d3233", kDatetime, Text("2026-11-23"));
  ENCODES("60", kText, Text(std::string_view()));
  ENCODES("40", kBlob, Blob(std::string_view()));
}

TEST(WireCbor, LengthsOfTextsAreShortest) {
  const std::pair<std::size_t, const char*> cases[] = {{23, "77"},        {24, "7818"},
                                                       {255, "78ff"},     {256, "790100"},
                                                       {65535, "79ffff"}, {65536, "7a00010000"}};
  for (const auto& [size, head] : cases) {
    const std::string text(size, 'x');
    const std::string hex = Item(ColumnType::kText, Value::Text(text));
    CHECK_TEXT(hex == head + Repeat("78", size), head);
    CHECK_TEXT(DecodeItem(hex) == "<" + text + ">", head);
  }
}

TEST(WireCbor, MapsKeepTheOrder) {
  DECODES("a0", "");
  STRCMP_EQUAL("a0", Hex(Encode({})).c_str());
  const Field fields[] = {{"b", ColumnType::kInteger, Value::Integer(1)},
                          {"a", ColumnType::kText, Value::Text("A")}};
  STRCMP_EQUAL("a261620161616141", Hex(Encode(fields)).c_str());
  DECODES("a261620161616141", "b=i1 a=<A>");
}

TEST(WireCbor, LengthsNeedNotBeShortestToBeRead) {
  DECODES("b80161611800", "a=i0");
  DECODES("b90001780161190000", "a=i0");
  DECODES("ba00000001790001611a00000000", "a=i0");
  DECODES("bb00000000000000017b0000000000000001613b0000000000000000", "a=i-1");
  ItemsAre("r1.5", "fa3fc00000 fb3ff8000000000000");
}

TEST(WireCbor, IndefiniteLengthsAreRead) {
  DECODES("bfff", "");
  DECODES("bf6346756ef563416d7421ff", "Fun=true Amt=i-2");
  DECODES("bf7f61616162ff7f6163ff7f6164ff5f41ffffff", "ab=<c> d=h'ff'");
  ItemsAre("<streaming>", "7f657374726561646d696e67ff");
  ItemsAre("h'0102030405'", "5f42010243030405ff");
  ItemsAre("<>", "7fff 7f60ff 7f6060ff");
  ItemsAre("h''", "5fff 5f40ff");
  ItemsAre("<a>", "7f60616160ff 7f6161ff");
}

TEST(WireCbor, OnlyChunkedStringsTakeTheArena) {
  const std::string cbor = Bytes("a2616161787f6162ff7f6179617aff");
  arena.Reset();
  CHECK(DecodeRowCbor(cbor, arena, row).ok());
  LONGS_EQUAL(3, arena.Mark());
  POINTERS_EQUAL(cbor.data() + 2, row.view()[0].name.data());
  POINTERS_EQUAL(g_room, row.view()[1].name.data());
  CHECK(FindText(row.view(), "b") == "yz");
}

TEST(WireCbor, BrokenIndefiniteLengthsAreRefused) {
  Refuses(1, "a1ff");
  Refuses(3, "bf6161ff a16161ff");
  Refuses(4, "bf616101 a1616101ff");
  Refuses(5, "bf616101ffff");
  RefusesItems(0, "1f 3f 1fff df00ff");
  RefusesItems(1, "7f 7f4161ff 5f6161ff 7f00ff 7f7f6161ffff 5f5f4161ffff 7fc06161ff 7f62c3");
  RefusesItems(3, "7f6161 5f4161 7f61614161ff");
}

TEST(WireCbor, ReservedHeadsAreRefused) {
  for (unsigned major = 0; major < 8; ++major) {
    for (unsigned info = 28; info < 31; ++info) {
      const char head = char(major << 5 | info);
      RefusesItems(0, Hex({&head, 1}) + "0000000000000000");
      Refuses(0, Hex({&head, 1}) + "0000000000000000");
    }
  }
}

TEST(WireCbor, WhatIsNoMapIsRefused) {
  Refuses(0, "00 20 40 60 80 f4 f6 f93c00 ff 9fff 81a0 7b226122 c0a0");
  STRCMP_EQUAL("bad_answer 0", Decode("").c_str());
  CHECK(DecodeRowCbor({}, arena, row).error().code == Code::kBadAnswer);
  Refuses(1, "a000 a0a0");
  Refuses(4, "a161610100");
}

TEST(WireCbor, TagsAreRefusedButForSelfDescription) {
  DECODES("d9d9f7a1616101", "a=i1");
  DECODES("d9d9f7bf616101ff", "a=i1");
  DECODES("da0000d9f7a0", "");
  Refuses(3, "d9d9f7 d9d9f701 d9d9f7d9d9f7a0 d9d9f7ff");
  Refuses(0, "d9d9f6a0 c1a0 d9d9");
  Refuses(1, "a1c0616101");
  RefusesItems(0, "c11a514b67b0 d9d9f700 c249010000000000000000");
  CHECK(Decode(Repeat(Bytes("d9d9f7"), 100000)) == Refusal(3));
}

TEST(WireCbor, NestedValuesAreRefusedAtAnyDepth) {
  Refuses(6, "a26161016162820203");
  RefusesItems(0, "80 a0 9fff bfff 8101 a1616101");
  for (const char* opening : {"81", "9f", "a1", "bf", "a16161", "bf6161", "c0", "7f", "5f"}) {
    const std::string deep = Repeat(Bytes(opening), 300000);
    CHECK_TEXT(Decode(deep).starts_with("bad_answer"), opening);
    CHECK_TEXT(Decode(Bytes("a16161") + deep).starts_with("bad_answer"), opening);
  }
}

TEST(WireCbor, NamesAreText) {
  Refuses(1, "a201020304 a1416101 a1f501 a1f601 a1f93c0001 a120616100 a18001 a1a001 bf5f4161ff01");
  DECODES("a16001", "=i1");
}

TEST(WireCbor, AMemberThatOccursTwiceIsRefused) {
  Refuses(4, "a2616101616101 a2616101614101 bf6161017f6141ff01ff a261610178016101");
  Refuses(7, "a3616101616201614101");
  DECODES("a262c3a40162c38401", "\xC3\xA4=i1 \xC3\x84=i1");  // beyond ASCII, as in SQLite
}

TEST(WireCbor, TextIsUtf8InEveryChunk) {
  RefusesItems(1, "61ff 62c328 61c3 62c080 63eda080 64f4908080 6180");
  RefusesItems(3, "647879c3ff");
  Refuses(2, "a161ff01");
  ItemsAre("<\xC3\xBC>", "7f62c3bcff");
  RefusesItems(2, "7f61c361bcff");
  RefusesItems(4, "7f616161ffff");
}

TEST(WireCbor, DeclaredLengthsThatLieAreRefused) {
  for (const std::string& length :
       Words("18ff 19ffff 1a7fffffff 1a80000000 1affffffff 1b00000001000000ff 1b7fffffffffffffff "
             "1bffffffffffffffff")) {
    for (const unsigned major : {2u, 3u, 4u, 5u}) {
      std::string head = Bytes(length);
      head[0] = char(head[0] | char(major << 5));
      for (const std::string& cbor :
           {head, head + Bytes("616101"), Bytes("a16161") + head, '\xA1' + head + "x",
            Bytes("a161617f") + head + Bytes("6161ff")}) {
        CHECK_TEXT(Decode(cbor).starts_with("bad_answer"), Hex(cbor).c_str());
      }
    }
  }
}

TEST(WireCbor, FieldsHaveALimit) {
  std::string members;
  for (std::size_t i = 100; i < 100 + kFields; ++i) members += "dc" + std::to_string(i) + '\1';
  const std::string exact = Bytes("b8") + char(kFields) + members;
  CHECK(Decode(exact).ends_with("c168=i1"));
  CHECK(Decode('\xBF' + members + '\xFF').ends_with("c168=i1"));
  const std::string more = members + Bytes("617801");
  CHECK(Decode(Bytes("b8") + char(kFields + 1) + more) == Refusal(2 + members.size()));
  CHECK(Decode('\xBF' + more + '\xFF') == Refusal(1 + members.size()));
}

TEST(WireCbor, SizeHasALimit) {
  std::string cbor = Bytes("a161617a000ffff8");
  cbor.resize(limits::kRowBytes, 'x');
  CHECK(Decode(cbor).starts_with("a=<xxx"));
  STRCMP_EQUAL("too_large 1048576", Decode(cbor + "x").c_str());
}

TEST(WireCbor, NoTruncationIsARow) {
  for (const std::string& cbor : {Encode(kRow), Bytes(kChunkedRow)}) {
    for (std::size_t n = 0; n < cbor.size(); ++n) {
      CHECK(Decode(cbor.substr(0, n)).starts_with("bad_answer"));
    }
    CHECK(!Decode(cbor).starts_with("bad_answer"));
  }
}

TEST(WireCbor, NoCorruptByteDoesHarm) {
  for (const std::string& whole : {Encode(kRow), Bytes(kChunkedRow)}) {
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::string cbor = whole;
      for (unsigned byte = 0; byte < 256; ++byte) {
        cbor[at] = char(byte);
        Judge(cbor);
      }
    }
  }
}

TEST(WireCbor, NoMutationDoesHarm) {
  const std::string whole[] = {Encode(kRow), Bytes(kChunkedRow), Bytes("bf6178")};
  Prng random(9);
  for (int i = 0; i < 100000; ++i) {
    std::string cbor = whole[random.Below(3)];
    for (std::uint64_t k = 0; k <= random.Below(4); ++k) {
      const std::size_t at = random.Below(cbor.size());
      if (random.Chance(30)) {
        cbor.erase(at, random.Below(8));
        cbor += char(random.Next());
      } else if (random.Chance(30)) {
        cbor.insert(at, 1 + random.Below(8), char(random.Next()));
      } else {
        cbor[at] = char(random.Next());
      }
    }
    Judge(cbor);
  }
}

TEST(WireCbor, AFullArenaIsAnErrorAtEverySize) {
  const std::string cbor = Bytes("a27f61616162ff7f6463646566ff61785f42010241ffff");
  constexpr std::size_t kNeeded = 2 + 4 + 3;
  for (std::size_t size = 0; size <= 3 + kNeeded; ++size) {
    std::string some(size, '.');
    Arena small(some);
    const std::size_t mark = size < 3 ? 0 : small.Copy("xyz")->size();
    const auto decoded = DecodeRowCbor(cbor, small, row);
    LONGS_EQUAL(size == 3 + kNeeded, decoded.ok());
    LONGS_EQUAL(decoded.ok() ? 2 : 0, row.size());
    LONGS_EQUAL(decoded.ok() ? size : mark, small.Mark());
    CHECK(decoded.ok() || decoded.error().code == Code::kNoMemory);
  }
}

TEST(WireCbor, EveryRoomIsRespected) {
  const std::string whole = Encode(kRow);
  for (std::size_t size = 0; size <= whole.size() + 3; ++size) {
    std::vector<char> some(size);
    TextWriter out(some);
    if (size >= 3) out.Put("xyz");
    const auto encoded = EncodeRowCbor(kRow, out);
    LONGS_EQUAL(size == whole.size() + 3, encoded.ok());
    CHECK(encoded.ok() || encoded.error().code == Code::kTooLarge);
    CHECK(out.view() == (encoded.ok() ? "xyz" + whole : size >= 3 ? "xyz" : ""));
    CHECK(!out.full());
  }
}

TEST(WireCbor, AWriterThatWasFullStaysSo) {
  char room[8];
  TextWriter out(room);
  out.Put("too much for it");
  CHECK(EncodeRowCbor({}, out).error().code == Code::kTooLarge);
  CHECK(out.full());
}

TEST(WireCbor, WhatIsNotUtf8IsNotWritten) {
  const Field text[] = {{"a", ColumnType::kInteger, Value::Integer(1)},
                        {"b", ColumnType::kText, Value::Text("\xFF")}};
  const Field name[] = {{"a", ColumnType::kInteger, Value::Integer(1)},
                        {"\xFF", ColumnType::kText, Value::Text("b")}};
  STRCMP_EQUAL("invalid_argument", Encode(text).c_str());
  STRCMP_EQUAL("invalid_argument", Encode(name).c_str());
}

TEST_GROUP(WireCborAndJson) {
  std::string texts[3];

  std::vector<Field> Build(Prng & random) {
    for (std::string& text : texts) {
      text.clear();
      for (std::uint64_t n = random.Below(40); n > 0; --n) {
        text += random.Chance(80) ? char(random.Below(128)) : char(0xC3);
        if (text.back() == char(0xC3)) text += char(0x80 + random.Below(64));
      }
    }
    texts[2] += char(random.Next());
    double real = std::bit_cast<double>(random.Next());
    if (!std::isfinite(real) || random.Chance(50))
      real = double(std::int64_t(random.Next()) >> random.Below(64)) / 8;
    const auto integer = std::int64_t(random.Next()) >> random.Below(64);
    return {{"id", ColumnType::kText, Value::Text(texts[0])},
            {"any", ColumnType::kAny, Value::Text(texts[1])},
            {"blob", ColumnType::kBlob, Value::Blob(texts[2])},
            {"real", ColumnType::kReal, Value::Real(real)},
            {"anyreal", ColumnType::kAny, Value::Real(real)},
            {"wholereal", ColumnType::kInteger, Value::Real(real)},
            {"integer", ColumnType::kInteger, Value::Integer(integer)},
            {"flag", ColumnType::kBoolean, Value::Integer(integer & 1)},
            {"json", ColumnType::kAny, Value::Boolean(random.Chance(50))},
            {"none", ColumnType::kReal, Value::Null()},
            {"at", ColumnType::kDatetime, Value::Text("2026-11-23T06:11:29.123Z")}};
  }
};

TEST(WireCborAndJson, ARowIsTheSameOnBothWays) {
  Prng random(10);
  for (int i = 0; i < 20000; ++i) {
    const std::vector<Field> sent = Build(random);
    TextWriter json({g_wire_room, 4096});
    TextWriter cbor({g_wire_room + 4096, 4096});
    CHECK(EncodeRow(sent, json).ok() && EncodeRowCbor(sent, cbor).ok());
    CHECK(cbor.view().size() < json.view().size());
    Arena arena(g_room);
    Arena conform(g_conform_room);
    RowFields by_json, by_cbor;
    CHECK(DecodeRow(json.view(), arena, by_json).ok());
    CHECK(DecodeRowCbor(cbor.view(), arena, by_cbor).ok());
    CHECK(by_json.size() == sent.size() && by_cbor.size() == sent.size());
    for (std::size_t k = 0; k < sent.size(); ++k) {
      const Field& was = sent[k];
      Value a = by_json.view()[k].value;
      Value b = by_cbor.view()[k].value;
      CHECK(Conform(was.type, conform, a).ok() && Conform(was.type, conform, b).ok());
      CHECK(was.name == by_cbor.view()[k].name);
      CHECK_TEXT(IsIdentical(a, b), std::string(was.name).c_str());
      CHECK(SameValue(was.type, was.value, b));
    }
  }
}
