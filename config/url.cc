// SPDX-License-Identifier: Apache-2.0
#include "config/url.h"

#include <algorithm>

#include "hal/base/text.h"

namespace holdfast::config {
namespace {

struct SchemeName {
  std::string_view prefix;
  Scheme scheme;
  std::uint16_t port;
};
constexpr SchemeName kSchemes[] = {{"https://", Scheme::kHttps, 443},
                                   {"http://", Scheme::kHttp, 80},
                                   {"coaps://", Scheme::kCoaps, 5684},
                                   {"coap://", Scheme::kCoap, 5683}};

bool IsOneOf(char c, std::string_view others) {
  return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
         others.find(c) != std::string_view::npos;
}

// Splits "host:port" and "[v6]:port". False: brackets do not match.
bool SplitHost(std::string_view authority, std::string_view& host, std::string_view& port) {
  std::size_t colon = authority.find(':');
  host = authority.substr(0, colon);
  if (authority.starts_with('[')) {
    const std::size_t close = authority.find(']');
    if (close == std::string_view::npos) return false;
    host = authority.substr(1, close - 1);
    colon = close + 1 < authority.size() ? close + 1 : std::string_view::npos;
    if (colon != std::string_view::npos && authority[colon] != ':') return false;
  }
  port = colon == std::string_view::npos ? std::string_view() : authority.substr(colon);
  return true;
}

}  // namespace

bool IsLoopback(std::string_view host) {
  if (EqualsIgnoreCase(host, "localhost") || host == "::1") return true;
  const bool numeric = host.find_first_not_of("0123456789.") == std::string_view::npos;
  return numeric && host.starts_with("127.");
}

ParsedUrl ParseUrl(std::string_view text) {
  ParsedUrl url;
  const auto* known = std::ranges::find_if(
      kSchemes, [&](const SchemeName& scheme) { return text.starts_with(scheme.prefix); });
  if (known == std::end(kSchemes)) {
    url.problem = "does not begin with https:// or coaps://";
    return url;
  }
  url.scheme = known->scheme;
  text.remove_prefix(known->prefix.size());
  if (text.ends_with('/')) text.remove_suffix(1);
  if (text.find('@') != std::string_view::npos) {
    url.problem = "a name or password has no place here; use token_file or a certificate";
    return url;
  }
  if (text.find_first_of("/?#") != std::string_view::npos) {
    url.problem = "only scheme, host and port; no path";
    return url;
  }

  std::string_view host;
  std::string_view port;
  const bool split = SplitHost(text, host, port);
  const bool v6 = text.starts_with('[');
  if (!split || host.empty() ||
      !std::ranges::all_of(host, [&](char c) { return IsOneOf(c, v6 ? ":.%" : "-._"); })) {
    url.problem = "is not a valid host name or address";
    return url;
  }
  url.host = host;
  url.on_loopback = IsLoopback(host);
  url.port = known->port;
  if (!port.empty()) {
    const bool digits = port.substr(1).find_first_not_of("0123456789") == std::string_view::npos;
    const auto number = digits ? ParseInteger(port.substr(1)) : std::nullopt;
    if (!number || *number < 1 || *number > 65535) {
      url.problem = "the port is not a number from 1 to 65535";
      return url;
    }
    url.port = std::uint16_t(*number);
  }
  return url;
}

}  // namespace holdfast::config
