// SPDX-License-Identifier: Apache-2.0
// What the table of keys prints: values in effect, the list of keys, the sample file.
#include <algorithm>

#include "config/config.h"
#include "config/json.h"
#include "config/keys.h"

namespace holdfast::config {
namespace {

constexpr std::size_t kHelpColumns = 96;

std::string ColumnsText(const TableConfig& table) {
  std::string text = "{";
  for (const ColumnConfig& column : table.columns) {
    text += text.size() > 1 ? ", " : " ";
    text += QuoteJson(column.name) + ": " + QuoteJson(ColumnTypeName(column.type));
  }
  return text + (table.columns.empty() ? "}" : " }");
}

std::string TableText(const TableConfig& table) {
  std::string text = "{";
  for (const Key& key : Keys()) {
    if (!key.of_table()) continue;
    // Columns and adopt exclude each other, and only one of them may be written.
    if (key.kind == Kind::kColumns ? table.adopt : key.kind == Kind::kFlag && !table.adopt)
      continue;
    text += text.size() > 1 ? ",\n      " : "\n      ";
    text += QuoteJson(key.name) + ": ";
    text += key.kind == Kind::kColumns ? ColumnsText(table) : ValueText(key, &table);
  }
  return text + "\n    }";
}

std::string TablesText(const Config& config) {
  std::string text = "{";
  for (const TableConfig& table : config.tables) {
    text += text.size() > 1 ? ",\n    " : "\n    ";
    text += QuoteJson(table.name) + ": " + TableText(table);
  }
  return text + (config.tables.empty() ? "}" : "\n  }");
}

std::string Text(const Key& key, const Config& config) {
  if (key.kind == Kind::kTables) return TablesText(config);
  if (key.kind == Kind::kSources) return "[]";
  return ValueText(key, &config);
}

std::string_view TypeName(Kind kind) {
  switch (kind) {
    case Kind::kText: return "text";
    case Kind::kPath: return "file";
    case Kind::kUrl: return "url";
    case Kind::kChoice: return "choice";
    case Kind::kFlag: return "boolean";
    case Kind::kCount: return "number";
    case Kind::kDuration: return "duration";
    case Kind::kSize: return "size";
    case Kind::kTables: return "tables";
    case Kind::kColumns: return "columns";
    case Kind::kSources: return "list";
  }
  return "";
}

bool HasRange(const Key& key) {
  return key.kind == Kind::kCount || key.kind == Kind::kDuration || key.kind == Kind::kSize;
}

// "1 s .. 10 min", "ask server client newest merge", or "".
std::string RangeText(const Key& key) {
  if (HasRange(key)) return MinText(key) + " .. " + MaxText(key);
  std::string text;
  for (const std::string_view choice : Choices(key)) {
    if (!text.empty()) text += ' ';
    text += choice;
  }
  return text;
}

std::string DefaultText(const Key& key) {
  if (key.member == nullptr) return key.kind == Kind::kSources ? "[]" : "";
  if (key.fallback == nullptr) return "(required)";
  return key.fallback[0] == '\0' ? "\"\"" : key.fallback;
}

void Pad(std::string& line, std::size_t column) {
  line += ' ';
  while (line.size() < column) line += ' ';
}

// `text` in lines of `prefix` and at most kHelpColumns characters; all but the first one hang.
std::string Wrapped(std::string_view text, std::string prefix, const char* hang = "") {
  std::string out;
  while (!text.empty()) {
    const std::size_t room = kHelpColumns - prefix.size();
    std::size_t end = text.size();
    if (end > room) {
      end = text.rfind(' ', room);
      if (end == std::string_view::npos) end = std::min(text.find(' '), text.size());
    }
    out += prefix;
    out += text.substr(0, end);
    out += '\n';
    if (out.size() == prefix.size() + end + 1) prefix += hang;
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return out;
}

// Writes all keys of a Config, section by section; `before` says what stands in front of each.
std::string WriteFile(const Config& config, std::string (*before)(const Key&, const std::string&)) {
  std::string text = "{\n";
  std::string_view section;
  bool first = true;
  for (const Key& key : Keys()) {
    if (key.of_table()) continue;
    if (key.section != section) {
      if (!section.empty()) text += "\n  }";
      if (!key.section.empty()) text += ",\n\n  " + QuoteJson(key.section) + ": {";
      section = key.section;
      first = !section.empty();
    }
    const std::string indent = section.empty() ? "  " : "    ";
    if (!first) text += ',';
    if (text.size() > 2) text += key.member == nullptr ? "\n\n" : "\n";
    text += before(key, indent) + indent + QuoteJson(key.name) + ": " + Text(key, config);
    first = false;
  }
  return text + (section.empty() ? "\n}\n" : "\n  }\n}\n");
}

std::string SampleComment(const Key& key, const std::string& indent) {
  std::string text = Wrapped(key.help, indent + "// ");
  if (HasRange(key))
    text += Wrapped("From " + MinText(key) + " to " + MaxText(key) + ".", indent + "// ");
  if (key.kind == Kind::kTables) {
    for (const Key& inner : Keys()) {
      if (!inner.of_table()) continue;
      const std::string name = "  " + std::string(inner.name) + ": ";
      text += Wrapped(name + std::string(inner.help), indent + "// ", "    ");
    }
  }
  return text;
}

std::string KeyJson(const Key& key) {
  std::string text =
      "{\"key\":" + QuoteJson(key.Path()) + ",\"type\":" + QuoteJson(TypeName(key.kind));
  text += ",\"required\":" + std::string(key.fallback == nullptr ? "true" : "false");
  if (key.member != nullptr && key.fallback != nullptr) {
    const bool bare = key.kind == Kind::kFlag || key.kind == Kind::kCount;
    text += ",\"default\":" + (bare ? std::string(key.fallback) : QuoteJson(key.fallback));
  }
  if (HasRange(key)) {
    const auto bound = [&](const std::string& number) {
      return key.kind == Kind::kCount ? number : QuoteJson(number);
    };
    text += ",\"min\":" + bound(MinText(key)) + ",\"max\":" + bound(MaxText(key));
  }
  if (key.kind == Kind::kChoice) {
    text += ",\"choices\":[";
    for (const std::string_view choice : Choices(key)) {
      if (!text.ends_with('[')) text += ',';
      text += QuoteJson(choice);
    }
    text += ']';
  }
  text += std::string(",\"reloadable\":") + (key.reloadable ? "true" : "false");
  return text + ",\"help\":" + QuoteJson(key.help) + "}";
}

}  // namespace

std::string PrintEffective(const Config& config) {
  return WriteFile(config, [](const Key&, const std::string&) { return std::string(); });
}

std::string PrintKeys(bool json) {
  std::string text = json ? "[\n" : "";
  for (const Key& key : Keys()) {
    if (json) {
      if (text.size() > 2) text += ",\n";
      text += KeyJson(key);
      continue;
    }
    std::string line = key.Path();
    Pad(line, 27);
    line += TypeName(key.kind);
    Pad(line, 36);
    line += DefaultText(key);
    if (const std::string range = RangeText(key); !range.empty()) {
      Pad(line, 48);
      line += "[" + range + "]";
    }
    text += line + (key.reloadable ? " (reloadable)" : "") + "\n" + Wrapped(key.help, "    ");
  }
  return json ? text + "\n]\n" : text;
}

std::string SampleFile() {
  Config config = Defaults();
  config.server.url = "https://sync.example.com";
  TableConfig readings;
  SetDefaults(readings);
  readings.name = "readings";
  readings.columns = {{"sensor", ColumnType::kText},
                      {"value", ColumnType::kReal},
                      {"ts", ColumnType::kInteger},
                      {"quality", ColumnType::kInteger}};
  config.tables.push_back(std::move(readings));
  return "// holdfast.conf - settings of holdfast. JSON with comments, read strictly:\n"
         "// `holdfast config check` names all problems in one run. Every key but server.url may "
         "be\n"
         "// left out; the values here are the defaults. Durations and sizes have a unit: ms s min "
         "h\n"
         "// d, B KiB MiB GiB. Relative paths are relative to the folder of this file.\n" +
         WriteFile(config, SampleComment);
}

std::vector<std::string> NeedRestart(const Config& before, const Config& after) {
  std::vector<std::string> keys;
  for (const Key& key : Keys()) {
    if (key.reloadable || key.of_table()) continue;
    if (Text(key, before) != Text(key, after)) keys.push_back(key.Path());
  }
  return keys;
}

namespace {

std::string_view NameOf(std::string_view section, std::string_view name, std::size_t value) {
  return Choices(*FindKey(section, name))[value];
}

}  // namespace

std::string_view ProtocolName(Protocol protocol) {
  return NameOf("server", "protocol", std::size_t(protocol));
}
std::string_view DirectionName(Direction direction) {
  return NameOf(Key::kTableSection, "direction", std::size_t(direction));
}
std::string_view ConflictName(Conflict conflict) {
  return NameOf(Key::kTableSection, "conflict", std::size_t(conflict));
}

}  // namespace holdfast::config
