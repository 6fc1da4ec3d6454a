// SPDX-License-Identifier: Apache-2.0
#include "config/units.h"

#include <limits>
#include <span>

#include "hal/base/text.h"

namespace holdfast::config {
namespace {

struct Unit {
  std::string_view name;
  std::int64_t factor;
};
// Smallest first.
constexpr Unit kDurations[] = {
    {"ms", 1}, {"s", 1000}, {"min", 60'000}, {"h", 3'600'000}, {"d", 86'400'000}};
constexpr Unit kSizes[] = {{"B", 1}, {"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}};

// What people write for them; only used to suggest the right one.
struct Alias {
  std::string_view written;
  std::string_view meant;
};
constexpr Alias kAliases[] = {
    {"m", "min"},   {"mins", "min"}, {"minute", "min"}, {"minutes", "min"}, {"sec", "s"},
    {"secs", "s"},  {"second", "s"}, {"seconds", "s"},  {"msec", "ms"},     {"millis", "ms"},
    {"hour", "h"},  {"hours", "h"},  {"hr", "h"},       {"day", "d"},       {"days", "d"},
    {"bytes", "B"}, {"byte", "B"},   {"k", "KiB"},      {"kb", "KiB"},      {"kib", "KiB"},
    {"m", "MiB"},   {"mb", "MiB"},   {"mib", "MiB"},    {"g", "GiB"},       {"gb", "GiB"},
    {"gib", "GiB"}, {"ms", "ms"},    {"s", "s"},        {"min", "min"},     {"h", "h"},
    {"d", "d"},     {"b", "B"}};

std::span<const Unit> Units(Dimension dimension) {
  if (dimension == Dimension::kDuration) return kDurations;
  return kSizes;
}

const Unit* FindUnit(Dimension dimension, std::string_view name) {
  for (const Unit& unit : Units(dimension)) {
    if (unit.name == name) return &unit;
  }
  return nullptr;
}

std::string_view Meant(Dimension dimension, std::string_view written) {
  for (const Alias& alias : kAliases) {
    if (EqualsIgnoreCase(alias.written, written) && FindUnit(dimension, alias.meant) != nullptr) {
      return alias.meant;
    }
  }
  return {};
}

}  // namespace

Quantity ParseQuantity(Dimension dimension, std::string_view text) {
  Quantity result;
  const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
  result.number = text.substr(0, digits);
  std::string_view unit = text.substr(digits);
  if (unit.starts_with(' ')) unit.remove_prefix(1);
  result.unit = unit;
  if (digits == 0 || unit.starts_with('.') || unit.starts_with(',')) {
    result.error = UnitError::kNotANumber;
    return result;
  }
  if (unit.empty()) {
    result.error = UnitError::kNoUnit;
    return result;
  }
  const Unit* known = FindUnit(dimension, unit);
  if (known == nullptr) {
    result.error = UnitError::kUnknownUnit;
    result.unit = Meant(dimension, unit);
    return result;
  }
  const auto number = ParseInteger(result.number);
  if (!number || *number > std::numeric_limits<std::int64_t>::max() / known->factor) {
    result.error = UnitError::kTooLarge;
    return result;
  }
  result.value = *number * known->factor;
  return result;
}

std::string FormatQuantity(Dimension dimension, std::int64_t value, std::string_view unit) {
  const Unit* best = FindUnit(dimension, unit);
  if (best == nullptr || value % best->factor != 0) {
    best = &Units(dimension).front();
    for (const Unit& candidate : Units(dimension)) {
      if (value % candidate.factor == 0) best = &candidate;
    }
  }
  return std::to_string(value / best->factor) + " " + std::string(best->name);
}

std::string_view UnitNames(Dimension dimension) {
  return dimension == Dimension::kDuration ? "ms, s, min, h or d" : "B, KiB, MiB or GiB";
}

}  // namespace holdfast::config
