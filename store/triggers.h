// SPDX-License-Identifier: Apache-2.0
// store/triggers.h - writes the SQL of a table's triggers.
//
// Purpose: the triggers are the tracking: whoever writes the table, in whatever language, runs
//          them in his own transaction. They use nothing that a SQLite since 3.37 could lack.
// Threads: any; pure functions.
// Shapes:  see store/README.md, "What the triggers do".
#ifndef HOLDFAST_STORE_TRIGGERS_H_
#define HOLDFAST_STORE_TRIGGERS_H_

#include <string>
#include <vector>

namespace holdfast::store {

// What the generator has to know of a table.
struct TriggerTable {
  std::string name;
  std::vector<std::string> columns;    // the user's
  std::vector<std::string> relations;  // of these, the ones that refer to other rows
  std::string row_key;                 // "rowid" or another of its names; empty: WITHOUT ROWID
  std::string integer_key;             // a user's INTEGER PRIMARY KEY, which is the rowid
};

struct Trigger {
  std::string name;
  std::string sql;
};

std::vector<Trigger> TriggersOf(const TriggerTable& table);

// An SQL expression for the columns of `row` (NEW, OLD, a table) as text: "a"=1,"b"='x'.
std::string ContentExpression(const TriggerTable& table, const std::string& row);

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_TRIGGERS_H_
