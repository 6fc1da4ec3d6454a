// SPDX-License-Identifier: Apache-2.0
// Lines and CSV out of files and pipes: what is good comes out whole, what is bad alone is lost.
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <string>
#include <thread>
#include <vector>

#include "agent/cli/csv.h"
#include "agent/cli/record_reader.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::agent {
namespace {

// Goes on by itself, so that a wait on it ends.
class TickingClock : public hal::Clock {
 public:
  hal::Instant Now() const override { return {now_ += 1'000'000}; }
  hal::WallTime Wall() const override { return {}; }
  std::uint64_t BootId() const override { return 1; }

 private:
  mutable std::int64_t now_ = 0;
};

using Shape = RecordReader::Shape;
using Got = RecordReader::Got;

// Everything that comes out, as "line:text" or "line!long", "line!quotes".
std::vector<std::string> Drain(RecordReader& reader, std::size_t batch = 3) {
  std::vector<std::string> out;
  while (true) {
    CHECK(reader.Gather(batch, hal::Duration::Seconds(1)).ok());
    while (true) {
      std::span<char> record;
      const Got got = reader.Next(record);
      const std::string line = std::to_string(reader.line());
      if (got == Got::kMore) break;
      if (got == Got::kEnd) return out;
      if (got == Got::kTooLong) out.push_back(line + "!long");
      if (got == Got::kBadQuotes) out.push_back(line + "!quotes");
      if (got == Got::kRecord)
        out.push_back(line + ":" + std::string(record.data(), record.size()));
    }
  }
}

std::string Join(const std::vector<std::string>& parts) {
  std::string all;
  for (const std::string& part : parts) all += part + "|";
  return all;
}

class File {
 public:
  explicit File(std::string_view text) : fd_(memfd_create("input", 0)) {
    CHECK(write(fd_, text.data(), text.size()) == ssize_t(text.size()));
    lseek(fd_, 0, SEEK_SET);
  }
  ~File() { close(fd_); }
  int fd() const { return fd_; }

 private:
  int fd_;
};

std::string ReadFile(std::string_view text, Shape shape, std::size_t limit = 100) {
  File file(text);
  TickingClock clock;
  RecordReader reader(file.fd(), shape, limit, clock);
  return Join(Drain(reader));
}

// The same bytes one by one through a pipe.
std::string ReadPipe(std::string_view text, Shape shape, std::size_t limit = 100) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  std::thread writer([&] {
    for (const char c : text) CHECK(write(ends[1], &c, 1) == 1);
    close(ends[1]);
  });
  TickingClock clock;
  RecordReader reader(ends[0], shape, limit, clock);
  const std::string out = Join(Drain(reader));
  writer.join();
  close(ends[0]);
  return out;
}

void CheckBoth(const char* expected, std::string_view text, Shape shape, std::size_t limit = 100) {
  STRCMP_EQUAL(expected, ReadFile(text, shape, limit).c_str());
  STRCMP_EQUAL(expected, ReadPipe(text, shape, limit).c_str());
}

TEST_GROUP(RecordReader){};

TEST(RecordReader, Lines) {
  CheckBoth("1:a|2:b|3:|4:c|", "a\nb\r\n\nc\n", Shape::kLines);
  CheckBoth("1:no end of line|", "no end of line", Shape::kLines);
  CheckBoth("", "", Shape::kLines);
  CheckBoth("1:|", "\n", Shape::kLines);
}

TEST(RecordReader, ByteOrderMarkIsNoText) {
  CheckBoth("1:a|2:b|",
            "\xEF\xBB\xBF"
            "a\nb\n",
            Shape::kLines);
}

TEST(RecordReader, ALineOfTheLimitPassesAndALongerOneIsSkipped) {
  CheckBoth("1:12345|2!long|3:12345|", "12345\n123456\n12345\n", Shape::kLines, 5);
  CheckBoth("1:12345|2!long|", "12345\n1234567", Shape::kLines, 5);
}

TEST(RecordReader, AnEndlessLineTakesNoMemory) {
  std::string text = "first\n" + std::string(1 << 20, 'x') + "\nlast\n";
  STRCMP_EQUAL("1:first|2!long|3:last|", ReadFile(text, Shape::kLines, 1000).c_str());
  STRCMP_EQUAL("1:first|2!long|3:last|", ReadFile(text, Shape::kCsv, 1000).c_str());
}

TEST(RecordReader, ManyLinesThroughASmallBuffer) {
  std::string text;
  for (int i = 0; i < 50000; ++i) text += std::to_string(i) + "\n";
  File file(text);
  TickingClock clock;
  RecordReader reader(file.fd(), Shape::kLines, 100, clock);
  const auto lines = Drain(reader, 100);
  CHECK_EQUAL(50000u, lines.size());
  STRCMP_EQUAL("50000:49999", lines.back().c_str());
  UNSIGNED_LONGS_EQUAL(text.size(), reader.bytes_read());
}

TEST(RecordReader, CsvRecordsHoldNewlinesInQuotes) {
  CheckBoth("1:a,b|2:1,\"x\ny\"|4:2,z|", "a,b\n1,\"x\ny\"\n2,z\n", Shape::kCsv);
  CheckBoth("1:\"x\r\n\"\"y\"|3:z|", "\"x\r\n\"\"y\"\r\nz\r\n", Shape::kCsv);
}

TEST(RecordReader, AnUnclosedQuoteCostsItsLineOnly) {
  CheckBoth("1:a|2!quotes|3:b|4:c|", "a\n\"open\nb\nc\n", Shape::kCsv);
  CheckBoth("1!quotes|", "\"open", Shape::kCsv);
}

TEST(RecordReader, TextAfterAClosingQuoteCostsItsLineOnly) {
  CheckBoth("1!quotes|2:b|", "\"a\"x,1\nb\n", Shape::kCsv);
  CheckBoth("1!quotes|2:b\"c|3:d|", "\"a\nb\"c\nd\n", Shape::kCsv);
}

TEST(RecordReader, AQuoteInsideAPlainFieldIsAPlainCharacter) {
  CheckBoth("1:5\" disk,x|2:b|", "5\" disk,x\nb\n", Shape::kCsv);
}

TEST(RecordReader, GatherEndsWithItsWindow) {
  int ends[2];
  CHECK(pipe(ends) == 0);
  CHECK(write(ends[1], "a\n", 2) == 2);
  TickingClock clock;
  RecordReader reader(ends[0], Shape::kLines, 100, clock);
  CHECK(reader.Gather(100, hal::Duration::Milliseconds(5)).ok());
  std::span<char> record;
  CHECK(reader.Next(record) == Got::kRecord);
  CHECK(reader.Next(record) == Got::kMore);
  close(ends[0]);
  close(ends[1]);
}

TEST(RecordReader, WhatCannotBeReadIsAnError) {
  const int folder = open("/", O_RDONLY | O_DIRECTORY);
  TickingClock clock;
  RecordReader reader(folder, Shape::kLines, 100, clock);
  const auto gathered = reader.Gather(1, hal::Duration::Seconds(1));
  CHECK(!gathered.ok());
  CHECK(gathered.error().code == Code::kIo);
  close(folder);
}

std::string Split(std::string text) {
  CsvField fields[4];
  auto count = SplitCsv(text, fields);
  if (!count) return std::string("error: ") + count.error().what;
  std::string out;
  for (std::size_t i = 0; i < *count; ++i) {
    out += std::string(fields[i].text) + (fields[i].quoted ? "'" : "") + "|";
  }
  return out;
}

TEST_GROUP(Csv){};

TEST(Csv, Fields) {
  STRCMP_EQUAL("a|b|c|", Split("a,b,c").c_str());
  STRCMP_EQUAL("||", Split(",").c_str());
  STRCMP_EQUAL("|", Split("").c_str());
  STRCMP_EQUAL(" a |b|", Split(" a ,b").c_str());
}

TEST(Csv, Quotes) {
  STRCMP_EQUAL("a,b'|c|", Split("\"a,b\",c").c_str());
  STRCMP_EQUAL("say \"hi\"'|", Split("\"say \"\"hi\"\"\"").c_str());
  STRCMP_EQUAL("'|'|", Split("\"\",\"\"").c_str());
  STRCMP_EQUAL("\"'|", Split("\"\"\"\"").c_str());
  STRCMP_EQUAL("x\ny'|z|", Split("\"x\ny\",z").c_str());
  STRCMP_EQUAL("5\" disk|", Split("5\" disk").c_str());
}

TEST(Csv, BadRows) {
  STRCMP_EQUAL("error: a quote is not closed", Split("a,\"b").c_str());
  STRCMP_EQUAL("error: text after a closing quote", Split("\"a\"b").c_str());
  STRCMP_EQUAL("error: too many fields", Split("1,2,3,4,5").c_str());
}

TEST(Csv, ValuesByColumnType) {
  CHECK(CsvValue(ColumnType::kInteger, {"42"})->integer == 42);
  DOUBLES_EQUAL(1.5, CsvValue(ColumnType::kReal, {"1.5"})->real, 0);
  CHECK(CsvValue(ColumnType::kBoolean, {"TRUE"})->integer == 1);
  CHECK(CsvValue(ColumnType::kBoolean, {"0"})->integer == 0);
  CHECK(CsvValue(ColumnType::kText, {"42"})->text == "42");
  CHECK(!CsvValue(ColumnType::kInteger, {"4.2"}).ok());
  CHECK(!CsvValue(ColumnType::kReal, {"nan"}).ok());
  CHECK(!CsvValue(ColumnType::kBoolean, {"yes"}).ok());
}

TEST(Csv, EmptyIsNull) {
  for (const ColumnType type : {ColumnType::kText, ColumnType::kInteger, ColumnType::kReal,
                                ColumnType::kBoolean, ColumnType::kDatetime, ColumnType::kBlob}) {
    CHECK(CsvValue(type, {""})->is_null());
  }
  CHECK(CsvValue(ColumnType::kText, {"", true})->type == ValueType::kText);
  CHECK(CsvValue(ColumnType::kInteger, {"", true})->is_null());
}

}  // namespace
}  // namespace holdfast::agent
