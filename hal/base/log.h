// SPDX-License-Identifier: Apache-2.0
// hal/base/log.h - what the program says while it works: one bounded line at a time, on stderr.
//
// Purpose: diagnostics for people. Answers of commands go to stdout and never through here. Bodies
//          of rows and secrets are never logged.
// Threads: one.
// Shapes:  "holdfast: warning: push: server_error (http 503), next try in 30 s"; under a service
//          manager each line is preceded by its priority, <4>, as sd-daemon(3) has it.
#ifndef HOLDFAST_HAL_BASE_LOG_H_
#define HOLDFAST_HAL_BASE_LOG_H_

#include <cstdarg>
#include <cstdint>

namespace holdfast {

enum class LogLevel : std::uint8_t { kError, kWarning, kInfo, kDebug };

struct LogOptions {
  LogLevel level = LogLevel::kWarning;
  const char* program = "holdfast";
  bool priorities = false;  // a service manager reads stderr
};

void SetLogOptions(const LogOptions& options);
bool LogEnabled(LogLevel level);
[[gnu::format(printf, 2, 3)]] void Log(LogLevel level, const char* format, ...);

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_LOG_H_
