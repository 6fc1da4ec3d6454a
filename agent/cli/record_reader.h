// SPDX-License-Identifier: Apache-2.0
// agent/cli/record_reader.h - splits a file or a pipe into records, in memory of one fixed size.
//
// Purpose: `record` and `put` take what other programs print, for days. A record is a line, or with
//          Shape::kCsv a row that may hold newlines inside quotes. Gathering comes apart from
//          taking, so that no transaction is open while nothing arrives.
// Owner:   borrows the file descriptor; records borrow from the reader until the next call.
// Threads: one.
// Errors:  kIo from Gather(): the input cannot be read. What is wrong with a record is data (Got).
#ifndef HOLDFAST_AGENT_CLI_RECORD_READER_H_
#define HOLDFAST_AGENT_CLI_RECORD_READER_H_

#include <cstdint>
#include <memory>
#include <span>

#include "hal/base/result.h"
#include "hal/clock.h"

namespace holdfast::agent {

class RecordReader {
 public:
  enum class Shape : std::uint8_t { kLines, kCsv };
  enum class Got : std::uint8_t {
    kRecord,
    kMore,       // no whole record is here: Gather()
    kEnd,        // the input is over
    kTooLong,    // a record over the limit; it was skipped
    kBadQuotes,  // CSV: a quote that is never closed, or text after one; its first line was skipped
  };

  // `record_bytes_max`: without the line end.
  RecordReader(int fd, Shape shape, std::size_t record_bytes_max, hal::Clock& clock);

  // Reads until about `records` are there, the buffer is full, the input ends, `window` has passed
  // since the first of them began to arrive (a pipe or terminal only), or a signal came.
  Result<void> Gather(std::size_t records, hal::Duration window);

  // The next record, writable, without its line end (LF or CRLF).
  Got Next(std::span<char>& record);

  std::uint64_t line() const { return record_line_; }  // where that record began, from 1
  std::uint64_t bytes_read() const { return bytes_read_; }

 private:
  enum class Csv : std::uint8_t { kFieldStart, kPlain, kQuoted, kQuoteInQuoted, kBad };
  enum class Scan : std::uint8_t { kFound, kNotYet, kBroken };

  Result<void> Read();
  Result<bool> Wait(hal::Duration at_most);
  Scan FindLine(std::size_t& end);
  Scan FindCsv(std::size_t& end);
  Got Take(std::size_t end, std::size_t next, std::span<char>& record);
  Got Broken();
  Got Incomplete(std::span<char>& record);
  void Consume(std::size_t next);
  bool SkipRest();

  int fd_;
  Shape shape_;
  std::size_t record_bytes_max_, capacity_;
  hal::Clock& clock_;
  bool waits_;  // not a regular file
  std::unique_ptr<char[]> buffer_;
  std::size_t begin_ = 0, end_ = 0;  // unread bytes
  std::size_t scanned_ = 0;          // begin_ to here holds no end of a record
  std::size_t line_ends_ = 0;        // in the unread bytes
  Csv csv_ = Csv::kFieldStart;
  bool eof_ = false, need_more_ = true, skipping_ = false, first_ = true;
  std::uint64_t line_ = 1, record_line_ = 1, bytes_read_ = 0;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_RECORD_READER_H_
