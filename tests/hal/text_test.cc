// SPDX-License-Identifier: Apache-2.0
// Conversions of text: what fits, what comes back, and what is refused.
#include "hal/base/text.h"

#include <CppUTest/TestHarness.h>

#include <bit>
#include <charconv>
#include <cmath>
#include <limits>
#include <string>

#include "hal/base/limits.h"
#include "hal/base/prng.h"

using namespace holdfast;

namespace {

std::string Real(double value, bool keep_real = false) {
  char room[40];
  TextWriter out(room);
  out.PutReal(value, keep_real);
  return std::string(out.view());
}

std::string Base64(std::string_view bytes) {
  char room[400];
  TextWriter out(room);
  return std::string(out.PutBase64(bytes).view());
}

std::string FromBase64(std::string_view text) {
  char room[300];
  const auto bytes = DecodeBase64(text, room);
  return bytes ? std::string(*bytes) : "none";
}

std::string FromPercent(std::string_view text, bool plus_is_space = false) {
  char room[300];
  const auto bytes = DecodePercent(text, room, plus_is_space);
  return bytes ? std::string(*bytes) : "none";
}

std::string RandomBytes(Prng& random, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += char(random.Next());
  return bytes;
}

}  // namespace

TEST_GROUP(TextWriter){};

TEST(TextWriter, WhatDoesNotFitIsLeftOutAndSaidOnceAndForAll) {
  char room[4];
  TextWriter out(room);
  out.Put("abc").Put("de").Put("f");
  CHECK(out.full());
  CHECK(out.view() == "abc");
  CHECK(out.Finish().error().code == Code::kTooLarge);
  out.Rewind(1);
  out.Put("xyz");
  CHECK(out.Finish().ok());
  CHECK(out.view() == "axyz");
}

TEST(TextWriter, EveryRoomIsRespected) {
  const std::string text(16, 'x');
  for (std::size_t size = 0; size < 64; ++size) {
    std::string room(size, '.');
    TextWriter out(room);
    out.Put("ab").PutInteger(INT64_MIN).PutReal(-1.5e-300).PutHex("\xAB").PutBase64(text);
    out.PutPercentEncoded("a b");
    CHECK(out.full() == (out.view().size() < 2 + 20 + 9 + 2 + 24 + 5));
  }
}

TEST(TextWriter, IntegersKeepAllOf64Bits) {
  char room[64];
  TextWriter out(room);
  out.PutInteger(INT64_MIN).Put(' ').PutInteger(INT64_MAX).Put(' ').PutInteger(0);
  CHECK(out.view() == "-9223372036854775808 9223372036854775807 0");
}

TEST(TextWriter, RealsHaveTheShortestDigits) {
  STRCMP_EQUAL("0.1", Real(0.1).c_str());
  STRCMP_EQUAL("1", Real(1).c_str());
  STRCMP_EQUAL("1.0", Real(1, true).c_str());
  STRCMP_EQUAL("-0.0", Real(-0.0, true).c_str());
  STRCMP_EQUAL("21.5", Real(21.5, true).c_str());
  STRCMP_EQUAL("1e+300", Real(1e300, true).c_str());
  STRCMP_EQUAL("5e-324", Real(5e-324).c_str());
  STRCMP_EQUAL("100000", Real(1e5).c_str());
  STRCMP_EQUAL("0.30000000000000004", Real(0.1 + 0.2).c_str());
  STRCMP_EQUAL("1.7976931348623157e+308", Real(1.7976931348623157e308).c_str());
  STRCMP_EQUAL("9007199254740992.0", Real(9007199254740992.0, true).c_str());
}

TEST(TextWriter, WhatIsNotFiniteBecomesNull) {
  STRCMP_EQUAL("null", Real(std::numeric_limits<double>::infinity()).c_str());
  STRCMP_EQUAL("null", Real(std::numeric_limits<double>::quiet_NaN(), true).c_str());
}

TEST(TextWriter, DecimalsOfSensorsAreWrittenAsTheyWere) {
  Prng random(9);
  for (int i = 0; i < 200000; ++i) {
    char room[40];
    TextWriter out(room);
    const std::uint64_t decimals = random.Below(10);
    std::uint64_t divisor = 1;
    for (std::uint64_t k = 0; k < decimals; ++k) divisor *= 10;
    const std::uint64_t whole = random.Below(divisor * 100000);
    std::string fraction = std::to_string(divisor + whole % divisor).substr(1);
    while (fraction.ends_with('0')) fraction.pop_back();
    out.PutInteger(std::int64_t(whole / divisor));
    if (!fraction.empty()) out.Put('.').Put(fraction);
    CHECK(Real(ParseReal(out.view()).value()) == out.view());
  }
}

TEST(TextWriter, RealsNeedNoMoreDigitsThanToChars) {
  Prng random(10);
  for (int i = 0; i < 100000; ++i) {
    const double value = std::bit_cast<double>(random.Next());
    if (!std::isfinite(value)) continue;
    char room[40];
    const auto end = std::to_chars(room, room + sizeof room, value, std::chars_format::scientific);
    const auto digits = [](std::string_view text) {
      text = text.substr(0, text.find('e'));
      std::size_t count = 0;
      for (const char c : text) count += c >= '0' && c <= '9' ? 1 : 0;
      return count;
    };
    CHECK(digits(Real(value)) == digits({room, std::size_t(end.ptr - room)}) || value == 0 ||
          (std::fabs(value) < 1e18 && std::fabs(value) > 1e-10));
  }
}

TEST(TextWriter, EveryRealReadsBackTheSame) {
  Prng random(2);
  for (int i = 0; i < 200000; ++i) {
    const double value = std::bit_cast<double>(random.Next());
    if (!std::isfinite(value)) continue;
    const auto back = ParseReal(Real(value, i % 2 == 0));
    CHECK(back && std::bit_cast<std::uint64_t>(*back) == std::bit_cast<std::uint64_t>(value));
  }
}

TEST(TextWriter, HexAndPercentCoding) {
  char room[64];
  TextWriter out(room);
  out.PutHex(std::string_view("\x00\x7F\xFF", 3)).Put(' ').PutPercentEncoded("aZ9-._~ +/\xC3\xA4");
  CHECK(out.view() == "007fff aZ9-._~%20%2B%2F%C3%A4");
}

TEST_GROUP(Text){};

TEST(Text, Base64OfRfc4648) {
  STRCMP_EQUAL("", Base64("").c_str());
  STRCMP_EQUAL("Zg==", Base64("f").c_str());
  STRCMP_EQUAL("Zm8=", Base64("fo").c_str());
  STRCMP_EQUAL("Zm9v", Base64("foo").c_str());
  STRCMP_EQUAL("Zm9vYg==", Base64("foob").c_str());
  STRCMP_EQUAL("foobar", FromBase64("Zm9vYmFy").c_str());
  STRCMP_EQUAL("fooba", FromBase64("Zm9vYmE=").c_str());
}

TEST(Text, Base64OfEveryLengthComesBack) {
  Prng random(3);
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string bytes = RandomBytes(random, size);
    CHECK(FromBase64(Base64(bytes)) == bytes);
  }
}

TEST(Text, WhatIsNotBase64IsRefused) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "=Zg=", "Z===", "====", "Zm9v====", "Zm 9",
                           "Zm9v\n", "Zm9-", "Zm9_", "Zg==Zg==", "Zh==", "Zm9="}) {
    STRCMP_EQUAL_TEXT("none", FromBase64(text).c_str(), text);
  }
}

TEST(Text, Base64ThatDoesNotFitIsRefused) {
  char room[2];
  CHECK_FALSE(DecodeBase64("Zm9v", room));
  CHECK(DecodeBase64("Zm8=", room) == std::string_view("fo"));
}

TEST(Text, PercentEscapesAreDecoded) {
  STRCMP_EQUAL("a b/ä", FromPercent("a%20b%2F%c3%A4").c_str());
  STRCMP_EQUAL("a+b", FromPercent("a+b").c_str());
  STRCMP_EQUAL("a b", FromPercent("a+b", true).c_str());
  STRCMP_EQUAL("a+b", FromPercent("a%2Bb", true).c_str());
}

TEST(Text, BadPercentEscapesAreRefused) {
  for (const char* text : {"%", "%2", "a%", "%zz", "%2g", "%%20"}) {
    STRCMP_EQUAL_TEXT("none", FromPercent(text).c_str(), text);
  }
  char room[1];
  CHECK_FALSE(DecodePercent("ab", room, false));
  CHECK(DecodePercent("%41", room, false) == std::string_view("A"));
}

TEST(Text, PercentCodingOfAllBytesComesBack) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += char(i);
  char room[800];
  TextWriter out(room);
  STRCMP_EQUAL(all.substr(1).c_str(), FromPercent(out.PutPercentEncoded(all).view()).c_str() + 1);
}

TEST(Text, IntegersAreReadWholeAndInRange) {
  CHECK(ParseInteger("-9223372036854775808") == INT64_MIN);
  CHECK(ParseInteger("9223372036854775807") == INT64_MAX);
  for (const char* text : {"", "-", "+1", " 1", "1 ", "1.0", "9223372036854775808", "0x1"}) {
    CHECK_FALSE_TEXT(ParseInteger(text), text);
  }
}

TEST(Text, RealsAreReadWholeAndFinite) {
  DOUBLES_EQUAL(1.5, ParseReal("1.5").value(), 0);
  DOUBLES_EQUAL(-1500, ParseReal("-1.5e+3").value(), 0);
  for (const char* text : {"", "-", ".", "inf", "-inf", "nan", "infinity", "1e400", "-1e400", "1x",
                           " 1", "1e", "0x10", "1e999999999999999999999"}) {
    CHECK_FALSE_TEXT(ParseReal(text), text);
  }
}

TEST(Text, RealsTooSmallForADoubleAreZero) {
  DOUBLES_EQUAL(0, ParseReal("1e-400").value(), 0);
  DOUBLES_EQUAL(0, ParseReal("0.0000001e-999999999999999999999").value(), 0);
  CHECK(std::signbit(ParseReal("-1e-400").value()));
  const std::string long_one = "1" + std::string(400, '0') + "e-800";
  DOUBLES_EQUAL(0, ParseReal(long_one).value(), 0);
  CHECK_FALSE(ParseReal("0." + std::string(50, '0') + "1e+400"));
}

TEST(Text, CaseOfAsciiOnlyIsIgnored) {
  CHECK(EqualsIgnoreCase("updatedAt", "UPDATEDAT"));
  CHECK_FALSE(EqualsIgnoreCase("a", "ab"));
  CHECK_FALSE(EqualsIgnoreCase("[", "{"));
  CHECK_FALSE(EqualsIgnoreCase("\xC3\xA4", "\xC3\x84"));
}

TEST(Text, WellFormedUtf8IsAccepted) {
  CHECK(IsUtf8(""));
  CHECK(IsUtf8("plain text that is longer than eight bytes"));
  CHECK(IsUtf8("\xC2\x80 \xDF\xBF \xE0\xA0\x80 \xED\x9F\xBF \xEE\x80\x80 \xEF\xBF\xBF"));
  CHECK(IsUtf8("\xF0\x90\x80\x80 \xF4\x8F\xBF\xBF"));
}

TEST(Text, IllFormedUtf8IsRefusedWhereverItStands) {
  for (const char* bad :
       {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xE0\x9F\xBF", "\xE2\x82", "\xED\xA0\x80",
        "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xC3(",
        "\xE2(\xA1", "\xF0\x9F\x98"}) {
    for (std::size_t before = 0; before < 20; ++before) {
      CHECK_FALSE(IsUtf8(std::string(before, 'a') + bad));
      CHECK_FALSE(IsUtf8(std::string(before, 'a') + bad + "aaaaaaaaaaaa"));
    }
  }
}

TEST(Text, IdsOfTheProtocolAreAccepted) {
  for (const char* id : {"a", "0f8fad5b-d9cb-469f-a165-70867728950e", "...", "a b", "\xC3\xA4",
                         "a|b:c", "\xC2\xA0"}) {
    CHECK_TEXT(CheckId(id).ok(), id);
  }
  CHECK(CheckId(std::string(limits::kIdBytes, 'a')).ok());
}

TEST(Text, IdsThatNoServerTakesAreRefused) {
  for (const char* id : {"", ".", "..", "a/b", "a\\b", "a+b", "a?b", "a\"b", "a`b", "a\nb", "\x7F",
                         "\xC2\x80", "a\xC2\x9F", "\xFF", "\xC2"}) {
    const auto checked = CheckId(id);
    CHECK_FALSE_TEXT(checked.ok(), id);
    CHECK(checked.error().what != nullptr);
  }
  CHECK_FALSE(CheckId(std::string(limits::kIdBytes + 1, 'a')).ok());
  CHECK_FALSE(CheckId(std::string_view("a\0b", 3)).ok());
}

TEST(Text, NamesAreOfLettersDigitsAndUnderscores) {
  for (const char* name : {"a", "Readings_2", "sqlite", "Z9"})
    CHECK_TEXT(CheckName(name).ok(), name);
  CHECK(CheckName(std::string(limits::kTableNameBytes, 'a')).ok());
  for (const char* name :
       {"", "1a", "_a", "__a", "a b", "a-b", "a.b", "a\"b", "sqlite_a", "SQLite_b", "\xC3\xA4"}) {
    CHECK_FALSE_TEXT(CheckName(name).ok(), name);
  }
  CHECK_FALSE(CheckName(std::string(limits::kTableNameBytes + 1, 'a')).ok());
}
