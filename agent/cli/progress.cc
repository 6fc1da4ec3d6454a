// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cinttypes>
#include <cmath>
#include <cstdio>

namespace holdfast::agent {
namespace {

constexpr hal::Duration kInterval = hal::Duration::Milliseconds(200);

std::size_t TerminalWidth() {
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) != 0 || size.ws_col < 20) return 79;
  return size.ws_col - 1u;
}

std::string Pair(std::int64_t high, const char* high_unit, std::int64_t low, const char* low_unit) {
  char text[64];
  if (low == 0) {
    std::snprintf(text, sizeof text, "%" PRId64 " %s", high, high_unit);
  } else {
    std::snprintf(text, sizeof text, "%" PRId64 " %s %" PRId64 " %s", high, high_unit, low,
                  low_unit);
  }
  return text;
}

}  // namespace

std::string FormatCount(std::uint64_t n) {
  const std::string digits = std::to_string(n);
  std::string text;
  for (std::size_t i = 0; i < digits.size(); ++i) {
    if (i > 0 && (digits.size() - i) % 3 == 0) text.push_back(',');
    text.push_back(digits[i]);
  }
  return text;
}

std::string FormatRows(std::uint64_t n) { return FormatCount(n) + (n == 1 ? " row" : " rows"); }

std::string FormatBytes(std::uint64_t bytes) {
  if (bytes < 1024) return std::to_string(bytes) + " B";
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB"};
  double value = double(bytes) / 1024;
  std::size_t unit = 0;
  // 1023.95 would print as 1024.0.
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) value /= 1024, ++unit;
  char text[32];
  std::snprintf(text, sizeof text, "%.1f %s", value, kUnits[unit]);
  return text;
}

std::string FormatSpan(hal::Duration span) {
  if (span.ns < 0) span.ns = 0;
  const std::int64_t s = span.ns / 1'000'000'000;
  if (s < 10) {
    char text[32];
    std::snprintf(text, sizeof text, "%.1f s", span.seconds());
    return text;
  }
  if (s < 60) return Pair(s, "s", 0, "");
  if (s < 3600) return Pair(s / 60, "min", s % 60, "s");
  if (s < 86400) return Pair(s / 3600, "h", s % 3600 / 60, "min");
  return Pair(s / 86400, "d", s % 86400 / 3600, "h");
}

std::string FormatProgress(const ProgressFacts& facts, std::size_t width) {
  std::string text(facts.what);
  text.append(" ").append(FormatCount(facts.rows));
  if (facts.rows_total >= facts.rows && facts.rows_total != 0) {
    text.append(" of ").append(FormatCount(facts.rows_total));
  }
  text.append(" rows");
  const double seconds = facts.elapsed.seconds();
  if (seconds > 0) {
    text.append(", ").append(
        FormatCount(std::uint64_t(std::llround(double(facts.rows) / seconds))));
    text.append(" rows/s");
  }
  text.append(", ").append(FormatBytes(facts.bytes));
  double part = facts.part_done;
  if (part < 0 && facts.rows_total != 0) part = double(facts.rows) / double(facts.rows_total);
  if (part > 0 && part <= 1 && seconds > 0) {
    const double left = seconds / part - seconds;
    // Nobody waits for a guess of weeks.
    if (left < 1e6)
      text.append(", ").append(FormatSpan({std::int64_t(left * 1e9)})).append(" left");
  }
  if (text.size() > width) text.resize(width);
  return text;
}

ProgressLine::ProgressLine(hal::Clock& clock, bool wanted)
    : clock_(clock), enabled_(wanted && isatty(STDERR_FILENO) == 1) {
  if (!enabled_) return;
  started_ = clock_.Now();
  next_ = started_ + kInterval;
}

bool ProgressLine::Due() { return enabled_ && clock_.Now() >= next_; }

void ProgressLine::Draw(ProgressFacts facts) {
  if (!enabled_) return;
  const hal::Instant now = clock_.Now();
  next_ = now + kInterval;
  facts.elapsed = now - started_;
  std::fprintf(stderr, "\r\033[K%s", FormatProgress(facts, TerminalWidth()).c_str());
  std::fflush(stderr);
  shown_ = true;
}

void ProgressLine::Clear() {
  if (!shown_) return;
  std::fputs("\r\033[K", stderr);
  std::fflush(stderr);
  shown_ = false;
}

}  // namespace holdfast::agent
