// SPDX-License-Identifier: Apache-2.0
// Numbers as people read them.
#include <string>

#include "agent/cli/progress.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::agent {
namespace {

using hal::Duration;

TEST_GROUP(Progress){};

TEST(Progress, Counts) {
  STRCMP_EQUAL("0", FormatCount(0).c_str());
  STRCMP_EQUAL("999", FormatCount(999).c_str());
  STRCMP_EQUAL("1,000", FormatCount(1000).c_str());
  STRCMP_EQUAL("12,345", FormatCount(12345).c_str());
  STRCMP_EQUAL("1,234,567", FormatCount(1234567).c_str());
  STRCMP_EQUAL("18,446,744,073,709,551,615", FormatCount(UINT64_MAX).c_str());
  STRCMP_EQUAL("1 row", FormatRows(1).c_str());
  STRCMP_EQUAL("0 rows", FormatRows(0).c_str());
}

TEST(Progress, Bytes) {
  STRCMP_EQUAL("0 B", FormatBytes(0).c_str());
  STRCMP_EQUAL("1023 B", FormatBytes(1023).c_str());
  STRCMP_EQUAL("1.0 KiB", FormatBytes(1024).c_str());
  STRCMP_EQUAL("1.5 KiB", FormatBytes(1536).c_str());
  STRCMP_EQUAL("1.0 MiB", FormatBytes((1 << 20) - 1).c_str());
  STRCMP_EQUAL("12.3 MiB", FormatBytes(12897485).c_str());
  STRCMP_EQUAL("16777216.0 TiB", FormatBytes(UINT64_MAX).c_str());
}

TEST(Progress, Spans) {
  STRCMP_EQUAL("0.0 s", FormatSpan({-5}).c_str());
  STRCMP_EQUAL("0.2 s", FormatSpan(Duration::Milliseconds(200)).c_str());
  STRCMP_EQUAL("17 s", FormatSpan(Duration::Milliseconds(17'900)).c_str());
  STRCMP_EQUAL("1 min", FormatSpan(Duration::Seconds(60)).c_str());
  STRCMP_EQUAL("2 min 5 s", FormatSpan(Duration::Seconds(125)).c_str());
  STRCMP_EQUAL("3 h 4 min", FormatSpan(Duration::Seconds(3 * 3600 + 4 * 60 + 59)).c_str());
  STRCMP_EQUAL("5 d 2 h", FormatSpan(Duration::Seconds(5 * 86400 + 2 * 3600)).c_str());
}

TEST(Progress, LineWithTotalTellsTimeLeft) {
  ProgressFacts facts;
  facts.what = "pushed";
  facts.rows = 1200;
  facts.rows_total = 10000;
  facts.bytes = 1 << 20;
  facts.elapsed = Duration::Seconds(2);
  STRCMP_EQUAL("pushed 1,200 of 10,000 rows, 600 rows/s, 1.0 MiB, 14 s left",
               FormatProgress(facts, 79).c_str());
}

TEST(Progress, LineWithoutTotalMakesNoGuess) {
  ProgressFacts facts;
  facts.what = "readings: received";
  facts.rows = 10;
  facts.elapsed = Duration::Seconds(1);
  STRCMP_EQUAL("readings: received 10 rows, 10 rows/s, 0 B", FormatProgress(facts, 79).c_str());
}

TEST(Progress, NothingIsDividedByZero) {
  ProgressFacts facts;
  facts.what = "pushed";
  facts.rows_total = 5;
  STRCMP_EQUAL("pushed 0 of 5 rows, 0 B", FormatProgress(facts, 79).c_str());
}

TEST(Progress, PartOfAFileCountsBeforeRows) {
  ProgressFacts facts;
  facts.what = "stored";
  facts.rows = 300;
  facts.part_done = 0.25;
  facts.elapsed = Duration::Seconds(10);
  STRCMP_EQUAL("stored 300 rows, 30 rows/s, 0 B, 30 s left", FormatProgress(facts, 79).c_str());
}

TEST(Progress, LineNeverWraps) {
  ProgressFacts facts;
  facts.what = "pushed";
  facts.rows = 1200;
  CHECK_EQUAL(10u, FormatProgress(facts, 10).size());
}

}  // namespace
}  // namespace holdfast::agent
