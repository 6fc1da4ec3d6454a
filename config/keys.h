// SPDX-License-Identifier: Apache-2.0
// config/keys.h - keys.inc as data.
#ifndef HOLDFAST_CONFIG_KEYS_H_
#define HOLDFAST_CONFIG_KEYS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "hal/base/limits.h"

namespace holdfast::config {

// SQLite's unix VFS takes paths of 512 bytes and appends "-journal" to that of the database.
inline constexpr std::size_t kPathBytes = 500;
inline constexpr std::size_t kPskIdentityBytes = 128;  // what RFC 4279 5.3 requires of all

enum class Kind : std::uint8_t {
  kText,
  kPath,
  kUrl,
  kChoice,
  kFlag,
  kCount,
  kDuration,
  kSize,
  // Keys with a shape of their own.
  kTables,
  kColumns,
  kSources,
};

struct Key {
  std::string_view section;  // "" at the top level; "tables.*" for keys of each table
  std::string_view name;
  Kind kind;
  bool reloadable;
  std::string_view unit;  // or the choices, "a|b|c"
  const char* fallback;   // the default as written in a file; nullptr: has to be given
  std::int64_t min;
  std::int64_t max;
  std::string_view help;
  // The member: std::string for texts, std::int64_t for numbers, bool for kFlag, the enum for
  // kChoice (as one byte). nullptr for keys with a shape of their own. `owner` is a Config, or a
  // TableConfig for keys of each table.
  void* (*member)(void* owner);

  std::string Path() const;  // "server.url", "tables.*.adopt"
  bool of_table() const { return section == kTableSection; }

  static constexpr std::string_view kTableSection = "tables.*";
};

std::span<const Key> Keys();
const Key* FindKey(std::string_view section, std::string_view name);

std::vector<std::string_view> Choices(const Key& key);

// The value as it stands in a file: "\"60 s\"", "64", "true".
std::string ValueText(const Key& key, const void* owner);
// A number of this key in its unit: "60 s", "64".
std::string NumberText(const Key& key, std::int64_t value);
// The ends of its range, in the unit that reads best: "1 s", "10 min".
std::string MinText(const Key& key);
std::string MaxText(const Key& key);

void SetDefaults(Config& config);
void SetDefaults(TableConfig& table);

}  // namespace holdfast::config

#endif  // HOLDFAST_CONFIG_KEYS_H_
