// SPDX-License-Identifier: Apache-2.0
// server/http_date.h - dates as HTTP writes them: "Sun, 06 Nov 1994 08:49:37 GMT", whole seconds.
//
// Threads: any; pure functions.
#ifndef HOLDFAST_SERVER_HTTP_DATE_H_
#define HOLDFAST_SERVER_HTTP_DATE_H_

#include <optional>
#include <string>
#include <string_view>

#include "hal/base/timestamp.h"

namespace holdfast::server {

// Parts of a second are dropped.
std::string FormatHttpDate(Ticks ticks);

// The form above and the two old ones that a server has to understand (RFC 9110, 5.6.7). nullopt:
// no date; whoever asked for something "since" it has then asked for nothing.
std::optional<Ticks> ParseHttpDate(std::string_view text);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_HTTP_DATE_H_
