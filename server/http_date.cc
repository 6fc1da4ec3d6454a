// SPDX-License-Identifier: Apache-2.0
#include "server/http_date.h"

#include <time.h>  // POSIX: strptime, timegm

namespace holdfast::server {

std::string FormatHttpDate(Ticks ticks) {
  const auto seconds = static_cast<time_t>(
      (ticks - ((ticks % kTicksPerSecond) + kTicksPerSecond) % kTicksPerSecond) / kTicksPerSecond);
  tm parts{};
  gmtime_r(&seconds, &parts);
  char text[64];
  const std::size_t size = strftime(text, sizeof text, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return {text, size};
}

std::optional<Ticks> ParseHttpDate(std::string_view text) {
  static constexpr const char* kForms[] = {"%a, %d %b %Y %H:%M:%S GMT", "%A, %d-%b-%y %H:%M:%S GMT",
                                           "%a %b %e %H:%M:%S %Y"};
  if (text.size() > 40) return std::nullopt;
  const std::string whole(text);
  for (const char* form : kForms) {
    tm parts{};
    const char* end = strptime(whole.c_str(), form, &parts);
    if (end == nullptr || *end != '\0') continue;
    return static_cast<Ticks>(timegm(&parts)) * kTicksPerSecond;
  }
  return std::nullopt;
}

}  // namespace holdfast::server
