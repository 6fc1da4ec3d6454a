// SPDX-License-Identifier: Apache-2.0
// Settling what waits in __errors: one copy is kept, in one transaction, and nothing happens
// silently.
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

bool IsDeleted(RowView row) {
  const Field* deleted = Find(row, kDeleted);
  return deleted != nullptr && !deleted->value.is_null() && deleted->value.integer != 0;
}

}  // namespace

Result<void> SqliteStore::Resolve(std::int64_t sequence, Copy keep, RowView server_row) {
  HF_TRY(Begin());
  Operation operation;
  auto found = Find(sequence, operation);
  Result<void> done;
  if (!found) {
    done = found.error();
  } else if (!*found) {
    done = Error{Code::kNotFound, Origin::kNone, 0, "no operation waits under that number"};
  } else if (keep == Copy::kLocal) {
    done = KeepLocal(operation, server_row);
  } else {
    done = KeepServer(operation, server_row);
  }
  if (done) done = Commit();
  if (!done) Rollback();
  return done;
}

Result<void> SqliteStore::KeepLocal(const Operation& operation, RowView server_row) {
  const bool on_server = !server_row.empty() && !IsDeleted(server_row);
  if (on_server) return Rebase(operation.sequence, FindText(server_row, kVersion), server_row);
  if (operation.kind == Kind::kDelete) return Drop(operation.sequence, operation.changes);
  if (!server_row.empty() || operation.kind == Kind::kInsert) {
    return ChangeKind(operation.sequence, Kind::kInsert, {});
  }
  return Rebase(operation.sequence, operation.base_version.view(), {});
}

Result<void> SqliteStore::KeepServer(const Operation& operation, RowView server_row) {
  HF_TRY(Drop(operation.sequence, operation.changes));
  RowFields gone;
  if (server_row.empty()) {
    HF_TRY(gone.Add(kId, ColumnType::kText, Value::Text(operation.id.view())));
    HF_TRY(gone.Add(kDeleted, ColumnType::kBoolean, Value::Boolean(true)));
    server_row = gone.view();
  }
  HF_TRY_ASSIGN(const Applied applied, ApplyRemote(*operation.table, server_row));
  // A later operation of the row stands on the one that left; it has to be settled first.
  if (applied == Applied::kSkippedPending) {
    return Error{Code::kBusy, Origin::kNone, 0, "a later edit of the row waits as well"};
  }
  return Ok();
}

}  // namespace holdfast::store
