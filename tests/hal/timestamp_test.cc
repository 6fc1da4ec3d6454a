// SPDX-License-Identifier: Apache-2.0
// Moments as servers write them, and as they must not be.
#include "hal/base/timestamp.h"

#include <CppUTest/TestHarness.h>

#include <string>

#include "hal/base/prng.h"

using namespace holdfast;

namespace {

std::string Utc(std::string_view text, int decimals = 7) {
  const auto ticks = ParseTimestamp(text);
  return ticks ? std::string(FormatTimestamp(*ticks, decimals).view()) : "none";
}

}  // namespace

TEST_GROUP(Timestamp){};

TEST(Timestamp, TheEpochIsZero) {
  LONGS_EQUAL(0, ParseTimestamp("1970-01-01T00:00:00Z").value());
  STRCMP_EQUAL("1970-01-01T00:00:00.000Z", FormatTimestamp(0).c_str());
}

TEST(Timestamp, KnownMomentsHaveKnownSeconds) {
  CHECK(ParseTimestamp("2001-09-09T01:46:40Z").value() == 1'000'000'000LL * kTicksPerSecond);
  CHECK(ParseTimestamp("1969-12-31T23:59:59Z").value() == -kTicksPerSecond);
  CHECK(ParseTimestamp("0001-01-01T00:00:00").value() == -62135596800LL * kTicksPerSecond);
}

TEST(Timestamp, SevenDecimalsAreKept) {
  STRCMP_EQUAL("2026-11-23T06:11:29.1234567Z", Utc("2026-11-23T06:11:29.1234567+00:00").c_str());
}

TEST(Timestamp, FewerDecimalsAreFilledWithZeros) {
  STRCMP_EQUAL("2026-11-23T06:11:29.1000000Z", Utc("2026-11-23T06:11:29.1Z").c_str());
  STRCMP_EQUAL("2026-11-23T06:11:29.0120000Z", Utc("2026-11-23T06:11:29.012Z").c_str());
}

TEST(Timestamp, NineDecimalsAreCutToSevenAndTenAreGarbage) {
  STRCMP_EQUAL("2026-11-23T06:11:29.1234567Z", Utc("2026-11-23T06:11:29.123456789Z").c_str());
  STRCMP_EQUAL("none", Utc("2026-11-23T06:11:29.1234567890Z").c_str());
}

TEST(Timestamp, PrintingCutsAndNeverRounds) {
  const Ticks ticks = ParseTimestamp("1969-12-31T23:59:59.9999999Z").value();
  STRCMP_EQUAL("1969-12-31T23:59:59.999Z", FormatTimestamp(ticks, 3).c_str());
  STRCMP_EQUAL("1969-12-31T23:59:59.999999Z", FormatTimestamp(ticks, 6).c_str());
  STRCMP_EQUAL("1969-12-31T23:59:59Z", FormatTimestamp(ticks, 0).c_str());
}

TEST(Timestamp, OffsetsAreTakenToUtc) {
  STRCMP_EQUAL("2026-11-23T04:11:29.1230000Z", Utc("2026-11-23T06:11:29.123+02:00").c_str());
  STRCMP_EQUAL("2026-11-23T11:41:29.0000000Z", Utc("2026-11-23T06:11:29-05:30").c_str());
  STRCMP_EQUAL("2025-12-31T23:00:00.0000000Z", Utc("2026-01-01T00:00:00+01:00").c_str());
}

TEST(Timestamp, NoOffsetMeansUtcAndABlankMayStandForT) {
  STRCMP_EQUAL("2026-11-23T06:11:29.0000000Z", Utc("2026-11-23T06:11:29").c_str());
  STRCMP_EQUAL("2026-11-23T06:11:29.0000000Z", Utc("2026-11-23 06:11:29Z").c_str());
}

TEST(Timestamp, LeapDaysAreThoseOfTheGregorianCalendar) {
  STRCMP_EQUAL("2024-02-29T00:00:00.0000000Z", Utc("2024-02-29T00:00:00Z").c_str());
  STRCMP_EQUAL("2000-02-29T00:00:00.0000000Z", Utc("2000-02-29T00:00:00Z").c_str());
  STRCMP_EQUAL("none", Utc("2023-02-29T00:00:00Z").c_str());
  STRCMP_EQUAL("none", Utc("1900-02-29T00:00:00Z").c_str());
  STRCMP_EQUAL("none", Utc("2100-02-29T00:00:00Z").c_str());
}

TEST(Timestamp, YearsReachFromOneTo9999) {
  STRCMP_EQUAL("0001-01-01T00:00:00.0000000Z", Utc("0001-01-01T00:00:00Z").c_str());
  STRCMP_EQUAL("9999-12-31T23:59:59.9999999Z", Utc("9999-12-31T23:59:59.9999999Z").c_str());
  STRCMP_EQUAL("none", Utc("0000-12-31T23:59:59Z").c_str());
  STRCMP_EQUAL("none", Utc("0001-01-01T00:00:00+00:01").c_str());
  STRCMP_EQUAL("none", Utc("9999-12-31T23:59:59-00:01").c_str());
}

TEST(Timestamp, TicksBeyondTheYearsArePrintedAsTheLastOrFirst) {
  STRCMP_EQUAL("9999-12-31T23:59:59.999Z", FormatTimestamp(INT64_MAX).c_str());
  STRCMP_EQUAL("0001-01-01T00:00:00.000Z", FormatTimestamp(INT64_MIN).c_str());
}

TEST(Timestamp, GarbageIsNoDate) {
  for (const char* text : {"",
                           "2026",
                           "2026-11-23",
                           "2026-11-23T",
                           "2026-11-23T06:11",
                           "2026-11-23T06:11:29.Z",
                           "2026-13-01T00:00:00Z",
                           "2026-00-01T00:00:00Z",
                           "2026-01-00T00:00:00Z",
                           "2026-04-31T00:00:00Z",
                           "2026-11-23T24:00:00Z",
                           "2026-11-23T23:60:00Z",
                           "2026-11-23T23:59:60Z",
                           "2026-11-23T06:11:29+",
                           "2026-11-23T06:11:29+2",
                           "a",
                           "2026-11-23T06:11:29+02",
                           "2026-11-23T06:11:29+24:00",
                           "2026-11-23T06:11:29+02:60",
                           "2026-11-23T06:11:29Zx",
                           "2026-11-23T06:11:29 Z",
                           " 2026-11-23T06:11:29Z",
                           "2026-1-23T06:11:29Z",
                           "-026-11-23T06:11:29Z",
                           "2026/11/23T06:11:29Z",
                           "2026-11-23X06:11:29Z",
                           "20261123T061129Z",
                           "12026-11-23T06:11:29Z"}) {
    STRCMP_EQUAL_TEXT("none", Utc(text).c_str(), text);
  }
  STRCMP_EQUAL("none", Utc(std::string_view("2026-11-23T06:11:29\0", 20)).c_str());
}

TEST(Timestamp, EveryTruncationIsNoDateOrAnother) {
  const std::string_view whole = "2026-11-23T06:11:29.1234567+02:00";
  for (std::size_t n = 0; n < 19; ++n) CHECK_FALSE(ParseTimestamp(whole.substr(0, n)));
  for (std::size_t n = 28; n < whole.size(); ++n) {
    // 28 and more bytes: the offset is cut, and half an offset is none.
    CHECK_FALSE(ParseTimestamp(whole.substr(0, n)));
  }
}

TEST(Timestamp, EveryDayOfAnEraComesBack) {
  constexpr Ticks kDay = 86400 * kTicksPerSecond;
  Ticks day = ParseTimestamp("1600-01-01T00:00:00Z").value();
  std::string before;
  for (int i = 0; i < 146097; ++i, day += kDay) {
    const TimestampText text = FormatTimestamp(day, 7);
    CHECK(ParseTimestamp(text.view()) == day);
    CHECK(before < text.view());
    before = text.view();
  }
  STRCMP_EQUAL("2000-01-01T00:00:00Z", FormatTimestamp(day, 0).c_str());
}

TEST(Timestamp, WhatIsPrintedReadsBackTheSame) {
  Prng random(1);
  const Ticks first = ParseTimestamp("0001-01-01T00:00:00Z").value();
  const Ticks last = ParseTimestamp("9999-12-31T23:59:59.9999999Z").value();
  for (int i = 0; i < 100000; ++i) {
    const Ticks ticks = first + Ticks(random.Below(std::uint64_t(last - first)));
    CHECK(ParseTimestamp(FormatTimestamp(ticks, 7).view()) == ticks);
  }
}
