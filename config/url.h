// SPDX-License-Identifier: Apache-2.0
// config/url.h - scheme, host and port of a server or a proxy.
#ifndef HOLDFAST_CONFIG_URL_H_
#define HOLDFAST_CONFIG_URL_H_

#include <string>
#include <string_view>

#include "config/config.h"

namespace holdfast::config {

struct ParsedUrl {
  std::string problem;  // empty: the rest is valid
  Scheme scheme{};
  std::string host;
  std::uint16_t port = 0;
  bool on_loopback = false;
};

// scheme://host[:port] with an optional '/' at the end; nothing else, so that nothing is ignored.
ParsedUrl ParseUrl(std::string_view text);

// localhost, 127.x.x.x and ::1.
bool IsLoopback(std::string_view host);

}  // namespace holdfast::config

#endif  // HOLDFAST_CONFIG_URL_H_
