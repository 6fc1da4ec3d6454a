// SPDX-License-Identifier: Apache-2.0
#include "config/keys.h"

#include <type_traits>

#include "config/json.h"
#include "config/units.h"
#include "hal/base/text.h"

namespace holdfast::config {
namespace {

// Stops a row of keys.inc whose kind does not fit its member.
template <Kind kind, typename T>
constexpr bool Fits() {
  switch (kind) {
    case Kind::kText:
    case Kind::kPath:
    case Kind::kUrl: return std::is_same_v<T, std::string>;
    case Kind::kCount:
    case Kind::kDuration:
    case Kind::kSize: return std::is_same_v<T, std::int64_t>;
    case Kind::kFlag: return std::is_same_v<T, bool>;
    case Kind::kChoice: return std::is_enum_v<T> && sizeof(T) == 1;
    default: return false;
  }
}

template <Kind kind, typename T>
void* Member(T& member) {
  static_assert(Fits<kind, T>(), "keys.inc: the kind does not fit the member");
  return &member;
}

constexpr const char* kNone = nullptr;
constexpr bool kReload = true;
constexpr bool kRestart = false;
constexpr std::string_view kTable = Key::kTableSection;

// In the order of keys.inc, which is that of the sample file.
constexpr Key kKeys[] = {
// clang-format off
#define HF_KEY(section, name, kind, member, unit, fallback, min, max, reload, help) \
  {section, #name, Kind::kind, reload, unit, fallback, min, max, help,              \
   [](void* owner) { return Member<Kind::kind>(static_cast<Config*>(owner)->member); }},
#define HF_TABLE_KEY(name, kind, member, unit, fallback, min, max, reload, help) \
  {kTable, #name, Kind::kind, reload, unit, fallback, min, max, help,            \
   [](void* owner) { return Member<Kind::kind>(static_cast<TableConfig*>(owner)->member); }},
#define HF_GROUP(name, kind, reload, help) \
  {"", #name, Kind::kind, reload, "", "", 0, 0, help, nullptr},
#define HF_TABLE_GROUP(name, kind, reload, help) \
  {kTable, #name, Kind::kind, reload, "", "", 0, 0, help, nullptr},
// clang-format on
#include "config/keys.inc"
#undef HF_KEY
#undef HF_TABLE_KEY
#undef HF_GROUP
#undef HF_TABLE_GROUP
};

// REQUIRES: the default of the key is well-formed; a test goes through all of them.
void SetDefault(const Key& key, void* owner) {
  if (key.member == nullptr || key.fallback == nullptr) return;
  void* member = key.member(owner);
  const std::string_view text = key.fallback;
  switch (key.kind) {
    case Kind::kText:
    case Kind::kPath:
    case Kind::kUrl: *static_cast<std::string*>(member) = text; break;
    case Kind::kFlag: *static_cast<bool*>(member) = text == "true"; break;
    case Kind::kCount: *static_cast<std::int64_t*>(member) = ParseInteger(text).value_or(0); break;
    case Kind::kDuration:
      *static_cast<std::int64_t*>(member) = ParseQuantity(Dimension::kDuration, text).value;
      break;
    case Kind::kSize:
      *static_cast<std::int64_t*>(member) = ParseQuantity(Dimension::kSize, text).value;
      break;
    case Kind::kChoice: {
      const auto choices = Choices(key);
      for (std::size_t i = 0; i < choices.size(); ++i) {
        if (choices[i] == text)
          *static_cast<unsigned char*>(member) = static_cast<unsigned char>(i);
      }
      break;
    }
    case Kind::kTables:
    case Kind::kColumns:
    case Kind::kSources: break;
  }
}

std::string InUnit(const Key& key, std::int64_t value, std::string_view unit) {
  switch (key.kind) {
    case Kind::kDuration: return FormatQuantity(Dimension::kDuration, value, unit);
    case Kind::kSize: return FormatQuantity(Dimension::kSize, value, unit);
    default: return std::to_string(value);
  }
}

}  // namespace

std::string Key::Path() const {
  std::string path(section);
  if (!path.empty()) path += '.';
  return path += name;
}

std::span<const Key> Keys() { return kKeys; }

const Key* FindKey(std::string_view section, std::string_view name) {
  for (const Key& key : kKeys) {
    if (key.section == section && key.name == name) return &key;
  }
  return nullptr;
}

std::vector<std::string_view> Choices(const Key& key) {
  std::vector<std::string_view> choices;
  if (key.kind != Kind::kChoice) return choices;
  std::string_view rest = key.unit;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('|'), rest.size());
    choices.push_back(rest.substr(0, end));
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  return choices;
}

std::string NumberText(const Key& key, std::int64_t value) { return InUnit(key, value, key.unit); }

std::string MinText(const Key& key) { return InUnit(key, key.min, key.min == 0 ? key.unit : ""); }
std::string MaxText(const Key& key) { return InUnit(key, key.max, ""); }

std::string ValueText(const Key& key, const void* owner) {
  // Members are only read here; the table has one accessor for both uses.
  const void* member = key.member(const_cast<void*>(owner));
  switch (key.kind) {
    case Kind::kText:
    case Kind::kPath:
    case Kind::kUrl: return QuoteJson(*static_cast<const std::string*>(member));
    case Kind::kFlag: return *static_cast<const bool*>(member) ? "true" : "false";
    case Kind::kCount: return std::to_string(*static_cast<const std::int64_t*>(member));
    case Kind::kDuration:
    case Kind::kSize: return QuoteJson(NumberText(key, *static_cast<const std::int64_t*>(member)));
    case Kind::kChoice: return QuoteJson(Choices(key)[*static_cast<const unsigned char*>(member)]);
    case Kind::kTables:
    case Kind::kColumns:
    case Kind::kSources: break;
  }
  return "null";
}

void SetDefaults(Config& config) {
  for (const Key& key : kKeys) {
    if (!key.of_table()) SetDefault(key, &config);
  }
}

void SetDefaults(TableConfig& table) {
  for (const Key& key : kKeys) {
    if (key.of_table()) SetDefault(key, &table);
  }
}

}  // namespace holdfast::config
