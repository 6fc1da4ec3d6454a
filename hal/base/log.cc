// SPDX-License-Identifier: Apache-2.0
#include "hal/base/log.h"

#include <cstdio>

#include "hal/base/limits.h"

namespace holdfast {
namespace {

LogOptions g_options;

const char* LevelName(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return "error: ";
    case LogLevel::kWarning: return "warning: ";
    case LogLevel::kInfo: return "";
    case LogLevel::kDebug: return "debug: ";
  }
  return "";
}

// syslog(3): error 3, warning 4, info 6, debug 7.
int Priority(LogLevel level) {
  switch (level) {
    case LogLevel::kError: return 3;
    case LogLevel::kWarning: return 4;
    case LogLevel::kInfo: return 6;
    case LogLevel::kDebug: return 7;
  }
  return 6;
}

}  // namespace

void SetLogOptions(const LogOptions& options) { g_options = options; }

bool LogEnabled(LogLevel level) { return level <= g_options.level; }

void Log(LogLevel level, const char* format, ...) {
  if (!LogEnabled(level)) return;
  char line[limits::kLogLineBytes];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(line, sizeof line, format, arguments);
  va_end(arguments);
  if (g_options.priorities) {
    std::fprintf(stderr, "<%d>%s%s\n", Priority(level), LevelName(level), line);
  } else {
    std::fprintf(stderr, "%s: %s%s\n", g_options.program, LevelName(level), line);
  }
}

}  // namespace holdfast
