// SPDX-License-Identifier: Apache-2.0
// agent/cli/filter.h - --where and --order, checked before anything is asked.
//
// Purpose: a bad filter is shown with a caret under the place, the same for a local and a remote
//          table; a server would answer with an empty list, or with 500.
// Owner:   borrows the texts; ParsedFilter lives as long as the CheckedFilter.
// Threads: one.
// Errors:  printed here; the caller exits with 2.
#ifndef HOLDFAST_AGENT_CLI_FILTER_H_
#define HOLDFAST_AGENT_CLI_FILTER_H_

#include <memory>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/query.h"
#include "store/store.h"

namespace holdfast::agent {

class CheckedFilter {
 public:
  CheckedFilter();

  // `any_columns`: a name that the table does not have may be one of the server's.
  bool CheckWhere(std::string_view text, const store::Table& table, bool any_columns);
  bool CheckOrder(std::string_view text, const store::Table& table, bool any_columns);

  // What CheckWhere() has read.
  const query::ParsedFilter& filter() const { return room_->filter; }

 private:
  struct Room {
    query::ParsedFilter filter;
    query::Parameters parameters;
    char arena[limits::kFilterBytes + 4096];
    char sql[16 * limits::kFilterBytes];
  };

  std::unique_ptr<Room> room_;
  Arena arena_;
  std::unique_ptr<char[]> scratch_bytes_;
};

// "holdfast: --where: column 7: expected ')'", the text and a caret under the place. Apart, so that
// it can be tested.
void PrintQueryError(const char* option, std::string_view text, const query::QueryError& error);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_FILTER_H_
