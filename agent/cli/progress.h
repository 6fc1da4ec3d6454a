// SPDX-License-Identifier: Apache-2.0
// agent/cli/progress.h - numbers for people, and the one line that long work redraws.
//
// Purpose: on a terminal, long work shows rows, rows per second, bytes and time left. Anywhere else
//          it shows nothing: a log needs the summary, not the way there.
// Owner:   a command makes one ProgressLine; it clears itself at the end.
// Threads: one.
#ifndef HOLDFAST_AGENT_CLI_PROGRESS_H_
#define HOLDFAST_AGENT_CLI_PROGRESS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "hal/clock.h"

namespace holdfast::agent {

std::string FormatCount(std::uint64_t n);      // 1,234,567
std::string FormatRows(std::uint64_t n);       // "1 row", "2,000 rows"
std::string FormatBytes(std::uint64_t bytes);  // 812 B, 1.5 KiB, 12.3 MiB
std::string FormatSpan(hal::Duration span);    // 0.2 s, 17 s, 2 min 5 s, 3 h 4 min, 5 d 2 h

struct ProgressFacts {
  std::string_view what;  // "pushed", "readings: received"
  std::uint64_t rows = 0;
  std::uint64_t rows_total = 0;  // 0: not known
  std::uint64_t bytes = 0;
  double part_done = -1;  // 0 to 1, when something better than rows tells; negative: rows do
  hal::Duration elapsed;
};

// "pushed 1,200 of 10,000 rows, 600 rows/s, 1.2 MiB, 15 s left", cut to `width`.
std::string FormatProgress(const ProgressFacts& facts, std::size_t width);

class ProgressLine {
 public:
  // `wanted`: the user did not ask for silence; it also takes a terminal on stderr.
  ProgressLine(hal::Clock& clock, bool wanted);
  ~ProgressLine() { Clear(); }
  ProgressLine(const ProgressLine&) = delete;
  ProgressLine& operator=(const ProgressLine&) = delete;

  // Whether it is time to draw again: at most 5 times a second, and not in the first moment.
  bool Due();
  void Draw(ProgressFacts facts);
  void Clear();
  bool shown() const { return shown_; }

 private:
  hal::Clock& clock_;
  bool enabled_;
  bool shown_ = false;
  hal::Instant started_, next_;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_PROGRESS_H_
