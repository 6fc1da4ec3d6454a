// SPDX-License-Identifier: Apache-2.0
#include "server/schema.h"

#include <stdexcept>

#include "hal/base/limits.h"
#include "hal/base/text.h"
#include "server/json.h"

namespace holdfast::server {
namespace {

[[noreturn]] void Fail(const std::string& what) { throw std::runtime_error("schema: " + what); }

void CheckKeys(const json::object& object, std::initializer_list<std::string_view> known,
               const std::string& where) {
  for (const auto& member : object) {
    bool found = false;
    for (const std::string_view name : known) found = found || name == member.key();
    if (!found) Fail(where + ": unknown key '" + std::string(member.key()) + "'");
  }
}

bool Flag(const json::object& object, std::string_view key, bool otherwise,
          const std::string& where) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return otherwise;
  if (!value->is_bool()) Fail(where + "." + std::string(key) + " must be true or false");
  return value->get_bool();
}

Column ParseColumn(std::string_view name, const json::value& value, const std::string& where) {
  if (!CheckName(name) || IsSystemColumn(name)) {
    Fail(where + ": '" + std::string(name) + "' cannot name a column");
  }
  const std::optional<ColumnType> type =
      value.is_string() ? ColumnTypeFromName(AsView(value.get_string())) : std::nullopt;
  if (!type) {
    Fail(where + "." + std::string(name) +
         " must be text, integer, real, boolean, datetime or blob");
  }
  return {std::string(name), *type, true};
}

TableSchema ParseTable(std::string_view name, const json::value& value) {
  const std::string where = "tables." + std::string(name);
  if (!CheckName(name)) Fail("'" + std::string(name) + "' cannot name a table");
  if (!value.is_object()) Fail(where + " must be an object");
  const json::object& object = value.get_object();
  CheckKeys(object, {"columns", "hard_delete", "grow"}, where);
  TableSchema table;
  table.name = name;
  table.hard_delete = Flag(object, "hard_delete", false, where);
  table.grow = Flag(object, "grow", true, where);
  const json::value* columns = object.if_contains("columns");
  if (columns == nullptr) return table;
  if (!columns->is_object()) Fail(where + ".columns must be an object");
  for (const auto& member : columns->get_object()) {
    if (table.IndexOf(AsView(member.key())) >= 0) {
      Fail(where + ".columns: '" + std::string(member.key()) + "' stands there twice");
    }
    table.columns.push_back(ParseColumn(AsView(member.key()), member.value(), where + ".columns"));
  }
  if (table.columns.size() > limits::kColumns) Fail(where + ": too many columns");
  return table;
}

}  // namespace

int TableSchema::IndexOf(std::string_view column, std::size_t hint) const {
  if (hint < columns.size() && columns[hint].name == column) return static_cast<int>(hint);
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (EqualsIgnoreCase(columns[i].name, column)) return static_cast<int>(i);
  }
  return -1;
}

SchemaFile ParseSchema(std::string_view text) {
  const json::value document = ParseJson(text, "schema");
  if (!document.is_object()) Fail("must be an object");
  const json::object& object = document.get_object();
  CheckKeys(object, {"grow", "tables"}, "schema");
  SchemaFile schema;
  schema.grow = Flag(object, "grow", true, "schema");
  const json::value* tables = object.if_contains("tables");
  if (tables == nullptr) return schema;
  if (!tables->is_object()) Fail("tables must be an object");
  for (const auto& member : tables->get_object()) {
    schema.tables.push_back(ParseTable(AsView(member.key()), member.value()));
  }
  if (schema.tables.size() > limits::kTables) Fail("too many tables");
  return schema;
}

std::string LowerCase(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

}  // namespace holdfast::server
