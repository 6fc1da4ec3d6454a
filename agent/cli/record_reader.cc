// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/record_reader.h"

#include <errno.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "agent/cli/signals.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kReadBytes = 64 << 10;
// A signal that comes between the look at it and poll() is seen after this long.
constexpr hal::Duration kWaitMax = hal::Duration::Milliseconds(250);

bool IsRegularFile(int fd) {
  struct stat info {};
  return fstat(fd, &info) == 0 && S_ISREG(info.st_mode);
}

std::size_t CountLineEnds(const char* from, const char* to) {
  return std::size_t(std::count(from, to, '\n'));
}

}  // namespace

RecordReader::RecordReader(int fd, Shape shape, std::size_t record_bytes_max, hal::Clock& clock)
    : fd_(fd),
      shape_(shape),
      record_bytes_max_(record_bytes_max),
      capacity_(record_bytes_max + kReadBytes),
      clock_(clock),
      waits_(!IsRegularFile(fd)),
      buffer_(new char[capacity_]) {}

Result<bool> RecordReader::Wait(hal::Duration at_most) {
  pollfd poll_fd{fd_, POLLIN, 0};
  const hal::Duration wait = std::min(at_most, kWaitMax);
  const int ready = poll(&poll_fd, 1, int((wait.ns + 999'999) / 1'000'000));
  if (ready >= 0) return ready > 0;
  if (errno == EINTR) return false;
  return Error{Code::kIo, Origin::kErrno, errno, "cannot wait for input"};
}

Result<void> RecordReader::Read() {
  if (begin_ == end_) {
    begin_ = end_ = scanned_ = 0;
  } else if (capacity_ - end_ < kReadBytes && begin_ > 0) {
    std::memmove(buffer_.get(), buffer_.get() + begin_, end_ - begin_);
    end_ -= begin_;
    scanned_ -= begin_;
    begin_ = 0;
  }
  const std::size_t room = std::min(capacity_ - end_, kReadBytes);
  char* place = buffer_.get() + end_;
  const ssize_t n = read(fd_, place, room);
  if (n < 0) {
    if (errno == EINTR || errno == EAGAIN) return Ok();
    return Error{Code::kIo, Origin::kErrno, errno, "the input cannot be read"};
  }
  if (n == 0) eof_ = true;
  line_ends_ += CountLineEnds(place, place + n);
  end_ += std::size_t(n);
  bytes_read_ += std::uint64_t(n);
  // What spreadsheets put before the first byte.
  if (first_ && end_ >= 3) {
    first_ = false;
    if (std::memcmp(buffer_.get(), "\xEF\xBB\xBF", 3) == 0) begin_ = scanned_ = 3;
  }
  return Ok();
}

Result<void> RecordReader::Gather(std::size_t records, hal::Duration window) {
  bool must_read = need_more_;
  need_more_ = false;
  bool pending = end_ > begin_;
  hal::Instant deadline = clock_.Now() + window;
  while (!eof_ && (must_read || line_ends_ < records) && end_ - begin_ < capacity_) {
    if (Interrupted()) break;
    if (waits_) {
      const hal::Duration left = pending ? deadline - clock_.Now() : kWaitMax;
      if (left.ns <= 0) break;
      HF_TRY_ASSIGN(const bool ready, Wait(left));
      if (!ready) continue;
    }
    HF_TRY(Read());
    if (!pending) deadline = clock_.Now() + window;
    pending = end_ > begin_;
    must_read = false;
  }
  return Ok();
}

RecordReader::Scan RecordReader::FindLine(std::size_t& end) {
  const void* found = std::memchr(buffer_.get() + scanned_, '\n', end_ - scanned_);
  if (found == nullptr) {
    scanned_ = end_;
    return Scan::kNotYet;
  }
  end = std::size_t(static_cast<const char*>(found) - buffer_.get());
  return Scan::kFound;
}

// RFC 4180: a field that begins with a quote ends with the next single one; "" inside is a quote.
RecordReader::Scan RecordReader::FindCsv(std::size_t& end) {
  for (; scanned_ < end_ && csv_ != Csv::kBad; ++scanned_) {
    const char c = buffer_[scanned_];
    if (csv_ == Csv::kQuoted) {
      if (c == '"') csv_ = Csv::kQuoteInQuoted;
      continue;
    }
    if (c == '\n') {
      end = scanned_;
      return Scan::kFound;
    }
    if (c == '"' && csv_ == Csv::kFieldStart) {
      csv_ = Csv::kQuoted;
    } else if (c == '"' && csv_ == Csv::kQuoteInQuoted) {
      csv_ = Csv::kQuoted;
    } else if (c == ',') {
      csv_ = Csv::kFieldStart;
    } else if (csv_ == Csv::kQuoteInQuoted && c != '\r') {
      csv_ = Csv::kBad;
    } else if (csv_ == Csv::kFieldStart) {
      csv_ = Csv::kPlain;
    }
  }
  return csv_ == Csv::kBad ? Scan::kBroken : Scan::kNotYet;
}

void RecordReader::Consume(std::size_t next) {
  const std::size_t lines = CountLineEnds(buffer_.get() + begin_, buffer_.get() + next);
  line_ += lines;
  line_ends_ -= lines;
  begin_ = scanned_ = next;
  csv_ = Csv::kFieldStart;
}

RecordReader::Got RecordReader::Take(std::size_t end, std::size_t next, std::span<char>& record) {
  char* from = buffer_.get() + begin_;
  std::size_t size = end - begin_;
  if (size > 0 && from[size - 1] == '\r') --size;
  Consume(next);
  record = {from, size};
  return size > record_bytes_max_ ? Got::kTooLong : Got::kRecord;
}

// The quoting is wrong: gives up the first line only, for the next one is most likely good.
RecordReader::Got RecordReader::Broken() {
  const char* from = buffer_.get() + begin_;
  const void* found = std::memchr(from, '\n', end_ - begin_);
  if (found != nullptr) {
    Consume(std::size_t(static_cast<const char*>(found) - buffer_.get()) + 1);
    return Got::kBadQuotes;
  }
  if (!eof_ && end_ - begin_ <= record_bytes_max_) {
    need_more_ = true;
    return Got::kMore;
  }
  Consume(end_);
  skipping_ = !eof_;
  return Got::kBadQuotes;
}

RecordReader::Got RecordReader::Incomplete(std::span<char>& record) {
  if (shape_ == Shape::kCsv && csv_ == Csv::kQuoted &&
      (eof_ || end_ - begin_ > record_bytes_max_)) {
    return Broken();
  }
  if (eof_) return begin_ == end_ ? Got::kEnd : Take(end_, end_, record);
  if (end_ - begin_ <= record_bytes_max_) {
    need_more_ = true;
    return Got::kMore;
  }
  Consume(end_);
  skipping_ = true;
  return Got::kTooLong;
}

// Drops what is left of a line that was refused. False: its end has not arrived.
bool RecordReader::SkipRest() {
  std::size_t end = 0;
  scanned_ = begin_;
  const bool found = FindLine(end) == Scan::kFound;
  Consume(found ? end + 1 : end_);
  skipping_ = !found && !eof_;
  return !skipping_;
}

RecordReader::Got RecordReader::Next(std::span<char>& record) {
  if (skipping_ && !SkipRest()) {
    need_more_ = true;
    return Got::kMore;
  }
  record_line_ = line_;
  std::size_t end = 0;
  switch (shape_ == Shape::kCsv ? FindCsv(end) : FindLine(end)) {
    case Scan::kFound: return Take(end, end + 1, record);
    case Scan::kBroken: return Broken();
    case Scan::kNotYet: return Incomplete(record);
  }
  return Got::kEnd;
}

}  // namespace holdfast::agent
