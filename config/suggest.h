// SPDX-License-Identifier: Apache-2.0
// config/suggest.h - "did you mean".
#ifndef HOLDFAST_CONFIG_SUGGEST_H_
#define HOLDFAST_CONFIG_SUGGEST_H_

#include <span>
#include <string_view>

namespace holdfast::config {

// The candidate that is closest to what was written; empty when none is close enough to be meant.
std::string_view Closest(std::string_view written, std::span<const std::string_view> candidates);

}  // namespace holdfast::config

#endif  // HOLDFAST_CONFIG_SUGGEST_H_
