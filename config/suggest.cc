// SPDX-License-Identifier: Apache-2.0
#include "config/suggest.h"

#include <algorithm>
#include <array>
#include <utility>

#include "hal/base/text.h"

namespace holdfast::config {
namespace {

// No key is longer; what somebody wrote may be, and then it is not close to any.
constexpr std::size_t kWordBytes = 32;

// Letters to insert, remove, replace or swap with their neighbour (optimal string alignment).
std::size_t Distance(std::string_view a, std::string_view b) {
  std::array<std::array<std::size_t, kWordBytes + 1>, kWordBytes + 1> d;
  for (std::size_t i = 0; i <= a.size(); ++i) {
    for (std::size_t j = 0; j <= b.size(); ++j) {
      if (i == 0 || j == 0) {
        d[i][j] = i + j;
        continue;
      }
      const std::size_t replace = d[i - 1][j - 1] + (a[i - 1] == b[j - 1] ? 0 : 1);
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, replace});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
      }
    }
  }
  return d[a.size()][b.size()];
}

}  // namespace

std::string_view Closest(std::string_view written, std::span<const std::string_view> candidates) {
  std::string_view best;
  if (written.empty() || written.size() > kWordBytes) return best;
  std::size_t best_distance = 1 + std::max<std::size_t>(1, written.size() / 3);
  for (const std::string_view candidate : candidates) {
    if (candidate.size() > kWordBytes) continue;
    if (EqualsIgnoreCase(written, candidate)) return candidate;
    // The beginning of a word is a better hint than a few changed letters: "warn", "datetime2".
    const bool prefix =
        written.size() >= 2 && (candidate.starts_with(written) || written.starts_with(candidate));
    const std::size_t distance = prefix ? 1 : Distance(written, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

}  // namespace holdfast::config
