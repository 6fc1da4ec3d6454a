// SPDX-License-Identifier: Apache-2.0
// server/schema.h - tables and columns as the server knows them, and the file that declares them.
//
// Shapes:  {"grow": true,                       // tables that are not named here may appear
//           "tables": {"readings": {
//              "columns": {"sensor": "text", "value": "real"},   // contract.md 3
//              "hard_delete": false,            // true: a delete leaves no tombstone
//              "grow": true}}}                  // columns that are not named here may appear
// Errors:  std::runtime_error with the place and the fault; the server then does not start.
#ifndef HOLDFAST_SERVER_SCHEMA_H_
#define HOLDFAST_SERVER_SCHEMA_H_

#include <string>
#include <string_view>
#include <vector>

#include "hal/base/row.h"

namespace holdfast::server {

struct Column {
  std::string name;
  ColumnType type = ColumnType::kAny;
  bool declared = false;  // values of another type are refused
};

struct TableSchema {
  std::string name;
  bool hard_delete = false;
  bool grow = true;
  std::vector<Column> columns;  // without the system columns

  // -1: none. Names compare without case. `hint` is tried first.
  int IndexOf(std::string_view column, std::size_t hint = 0) const;
};

struct SchemaFile {
  bool grow = true;
  std::vector<TableSchema> tables;
};

SchemaFile ParseSchema(std::string_view text);

// The name by which a table is known: names compare without case.
std::string LowerCase(std::string_view text);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_SCHEMA_H_
