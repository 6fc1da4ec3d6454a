// SPDX-License-Identifier: Apache-2.0
// agent/sync/conform.h - a server's row in the types of the local table.
//
// Purpose: JSON has no blobs, no dates and one kind of number; what is stored here has the types of
//          the columns. Columns that the table does not have pass through.
// Owner:   `out` borrows from `row` and the arena.
// Threads: any; no state.
// Errors:  kNoMemory: the arena is full.
#ifndef HOLDFAST_AGENT_SYNC_CONFORM_H_
#define HOLDFAST_AGENT_SYNC_CONFORM_H_

#include "hal/base/arena.h"
#include "hal/base/row.h"
#include "store/store.h"

namespace holdfast::agent {

Result<void> ConformRow(const store::Table& table, RowView row, Arena& arena, RowFields& out);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_CONFORM_H_
