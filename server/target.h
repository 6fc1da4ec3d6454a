// SPDX-License-Identifier: Apache-2.0
// server/target.h - a request target taken apart: path segments and query options, percent-decoded.
//
// Errors: std::nullopt: a bad escape, or bytes that are not UTF-8.
#ifndef HOLDFAST_SERVER_TARGET_H_
#define HOLDFAST_SERVER_TARGET_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::server {

struct Option {
  std::string name, value;
  std::string_view raw;  // "name=value" as it came; borrows the target
};

struct Target {
  std::string_view path;              // as it came, without the query; borrows the target
  std::vector<std::string> segments;  // decoded one by one: a %2F stays inside its segment
  std::vector<Option> options;

  // Names compare without case. nullptr: not given. The first wins.
  const std::string* Find(std::string_view name) const;
};

std::optional<Target> ParseTarget(std::string_view target);

// The same path and options, except that $skip, $top and __after are replaced; top 0 leaves $top
// out, and an empty `after` leaves that out.
std::string NextTarget(const Target& target, std::uint64_t skip, std::uint64_t top,
                       std::string_view after = {});

std::string PercentEncoded(std::string_view text);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_TARGET_H_
