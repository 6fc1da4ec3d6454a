// SPDX-License-Identifier: Apache-2.0
// Settling what waits in __errors, or is about to: one copy is kept, or a merged one, in the
// transaction that logs what was overwritten.
#include <memory>

#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

bool IsDeleted(RowView row) {
  const Field* deleted = Find(row, kDeleted);
  return deleted != nullptr && !deleted->value.is_null() && deleted->value.integer != 0;
}

Error LaterEditWaits() {
  return {Code::kBusy, Origin::kNone, 0, "a later edit of the row waits as well"};
}

// Whether the columns of `merged` say what `server_row` says.
bool SaysTheSame(RowView merged, RowView server_row, const Table& table) {
  for (const Field& field : merged) {
    if (IsSystemColumn(field.name)) continue;
    const Field* there = Find(server_row, field.name);
    const auto column = table.Lookup(field.name);
    const Value value = there != nullptr ? there->value : Value::Null();
    if (!SameValue(column ? column->type : field.type, field.value, value)) return false;
  }
  return true;
}

}  // namespace

Result<void> SqliteStore::Resolve(std::int64_t sequence, const Resolution& resolution) {
  HF_TRY(Begin());
  Operation operation;
  auto found = Find(sequence, operation);
  Result<void> done;
  if (!found) {
    done = found.error();
  } else if (!*found) {
    done = Error{Code::kNotFound, Origin::kNone, 0, "no operation waits under that number"};
  } else if (resolution.changes != 0 && resolution.changes != operation.changes) {
    done = Error{Code::kBusy, Origin::kNone, 0, "the row was edited meanwhile"};
  } else {
    done = LogResolution(operation, resolution);
    if (done) done = Settle(operation, resolution);
  }
  if (done) done = Commit();
  if (!done) Rollback();
  return done;
}

Result<void> SqliteStore::Settle(const Operation& operation, const Resolution& resolution) {
  HF_TRY_ASSIGN(const bool parked, IsParked(operation.sequence));
  if (!parked) {
    // A decision looks forward: attempts that were made before it say nothing of what comes now.
    HF_TRY(Ready(fail_state_));
    fail_state_.Bind(1, operation.sequence);
    HF_TRY(RunReady(fail_state_));
  }
  switch (resolution.keep) {
    case Keep::kLocal: return KeepLocal(operation, resolution.server_row, parked);
    case Keep::kServer: return KeepServer(operation, resolution.server_row);
    case Keep::kMerged:
      // The server has said nothing of its row: a merged one is an edit like any other.
      if (parked) return PutMerged(operation, resolution.merged);
      return KeepMerged(operation, resolution.server_row, resolution.merged);
    case Keep::kNeither:
      return parked ? GiveUp(operation) : KeepServer(operation, resolution.server_row);
  }
  return Ok();
}

Result<bool> SqliteStore::IsParked(std::int64_t sequence) {
  HF_TRY(Ready(error_kind_));
  const Using use(error_kind_);
  error_kind_.Bind(1, sequence);
  HF_TRY_ASSIGN(const bool found, error_kind_.Step());
  return found && ErrorKind(error_kind_.Integer(0)) == ErrorKind::kParked;
}

Result<void> SqliteStore::KeepLocal(const Operation& operation, RowView server_row, bool parked) {
  if (parked) {
    HF_TRY(Ready(send_again_));
    send_again_.Bind(1, operation.sequence);
    HF_TRY(RunReady(send_again_));
    return DropError(operation.sequence);
  }
  const bool on_server = !server_row.empty() && !IsDeleted(server_row);
  if (on_server) return Rebase(operation.sequence, FindText(server_row, kVersion), server_row);
  if (operation.kind == Kind::kDelete) return Drop(operation.sequence, operation.changes);
  return ChangeKind(operation.sequence, Kind::kInsert, {});
}

// A column that the server does not show, it does not keep; giving the edit up gives it back the
// value that it had before.
Result<void> SqliteStore::FillFromBase(const Operation& operation, RowView server_row, Arena& arena,
                                       RowFields& base, RowFields& row) {
  RowFields local;
  HF_TRY_ASSIGN(const Copies copies, LoadCopies(operation.sequence, arena, local, base));
  for (const Field& field : server_row) {
    if (operation.table->Lookup(field.name)) HF_TRY(row.Add(field.name, field.type, field.value));
  }
  if (copies.base.empty() && operation.kind != Kind::kInsert) return Ok();
  for (const Column& column : operation.table->columns()) {
    if (holdfast::Find(server_row, column.name.view()) != nullptr) continue;
    const Field* before = holdfast::Find(copies.base, column.name.view());
    HF_TRY(row.Add(column.name.view(), column.type,
                   before != nullptr ? before->value : Value::Null()));
  }
  return Ok();
}

Result<void> SqliteStore::KeepServer(const Operation& operation, RowView server_row) {
  RowFields base, whole;
  Arena arena({copies_.get(), kCopiesBytes});
  // Of a large row only the size is known; it comes with the next pull.
  const bool unseen = holdfast::Find(server_row, kBytesOfRow) != nullptr;
  if (operation.kind != Kind::kDelete && !server_row.empty() && !IsDeleted(server_row) && !unseen) {
    HF_TRY(FillFromBase(operation, server_row, arena, base, whole));
    server_row = whole.view();
  }
  HF_TRY(Drop(operation.sequence, operation.changes));
  // Whatever version the row stood on, its content is not that version's.
  SqliteTable& table = Own(*operation.table);
  HF_TRY(Ready(table.complete));
  table.complete.Bind(1, operation.id.view());
  for (int column = 2; column <= 4; ++column) table.complete.BindNull(column);
  table.complete.Bind(5, std::int64_t{0});
  HF_TRY(RunOnRow(table.complete, table, operation.id.view()));
  RowFields gone;
  if (server_row.empty()) {
    HF_TRY(gone.Add(kId, ColumnType::kText, Value::Text(operation.id.view())));
    HF_TRY(gone.Add(kDeleted, ColumnType::kBoolean, Value::Boolean(true)));
    server_row = gone.view();
  }
  HF_TRY_ASSIGN(const Applied applied, ApplyRemote(*operation.table, server_row));
  // A later operation of the row stands on the one that left; it has to be settled first.
  if (applied == Applied::kSkippedPending) return LaterEditWaits();
  // The copy that was decided on may be older than what a pull has passed over since.
  return Miss(table, operation.id.view());
}

Result<void> SqliteStore::KeepMerged(const Operation& operation, RowView server_row,
                                     RowView merged) {
  SqliteTable& table = Own(*operation.table);
  HF_TRY(ProgramColumns(table, merged));  // a column that the table does not have
  const bool on_server = !server_row.empty() && !IsDeleted(server_row);
  if (on_server && SaysTheSame(merged, server_row, table)) return KeepServer(operation, server_row);
  if (operation.kind == Kind::kDelete) {
    HF_TRY(KeepServer(operation, server_row));
    return PutMerged(operation, merged);
  }
  // The operation stays where it is in the queue; the row under it becomes the merged one.
  RowFields row;
  for (const Column& column : table.columns()) {
    const Field* field = holdfast::Find(merged, column.name.view());
    if (field == nullptr && on_server) field = holdfast::Find(server_row, column.name.view());
    if (field != nullptr) HF_TRY(row.Add(column.name.view(), column.type, field->value));
  }
  HF_TRY(on_server ? Rebase(operation.sequence, FindText(server_row, kVersion), server_row)
                   : ChangeKind(operation.sequence, Kind::kInsert, {}));
  Completion values;
  values.table = operation.table;
  values.sequence = operation.sequence;
  values.id = operation.id;
  values.row = row.view();
  {
    HF_TRY(Ready(table.find));
    const Using use(table.find);
    table.find.Bind(1, operation.id.view());
    HF_TRY_ASSIGN(const bool there, table.find.Step());
    if (!there || table.find.Integer(1) != operation.sequence) return LaterEditWaits();
  }
  return WriteServerRow(table, values);
}

Result<void> SqliteStore::PutMerged(const Operation& operation, RowView merged) {
  RowFields row;
  HF_TRY(row.Add(kId, ColumnType::kText, Value::Text(operation.id.view())));
  for (const Field& field : merged) {
    if (!IsSystemColumn(field.name)) HF_TRY(row.Add(field.name, field.type, field.value));
  }
  Id id;
  return Put(*operation.table, row.view(), id);
}

// Nothing of the server's is known: the row becomes what it was before the edit, and the next pull
// looks after it.
Result<void> SqliteStore::GiveUp(const Operation& operation) {
  SqliteTable& table = Own(*operation.table);
  // What the row was, copied: dropping the operation takes it along.
  SqlText text;
  {
    HF_TRY(Ready(op_changes_));
    const Using use(op_changes_);
    op_changes_.Bind(1, operation.sequence);
    HF_TRY(op_changes_.Step());
    const bool was_here = operation.kind == Kind::kUpdate || !operation.base_version.empty();
    if (was_here) text.Put(op_changes_.Text(operation.kind == Kind::kDelete ? 6 : 5));
  }
  HF_TRY_ASSIGN(const std::string_view before, text.Finish());
  void* const room = sqlite3_malloc64(before.size() + 1);
  if (room == nullptr) return SqlError(SQLITE_NOMEM);
  const struct Free {
    void* memory;
    ~Free() { sqlite3_free(memory); }
  } free_room{room};
  Arena arena({static_cast<char*>(room), before.size() + 1});
  RowFields row;
  HF_TRY(row.Add(kId, ColumnType::kText, Value::Text(operation.id.view())));
  if (before.empty()) {
    HF_TRY(row.Add(kDeleted, ColumnType::kBoolean, Value::Boolean(true)));
  } else {
    ContentValues values;
    HF_TRY(ParseContent(before, table, arena, values));
    const auto columns = table.columns();
    for (std::size_t i = 0; i < columns.size(); ++i) {
      if ((values.present >> i & 1) == 0) continue;
      HF_TRY(row.Add(columns[i].name.view(), columns[i].type, values.values[i]));
    }
    HF_TRY(row.Add(kVersion, ColumnType::kText, Value::Text(operation.base_version.view())));
  }
  HF_TRY(KeepServer(operation, row.view()));
  return Miss(table, operation.id.view());
}

Result<void> SqliteStore::LogResolution(const Operation& operation, const Resolution& resolution) {
  HF_TRY(As(Writer::kHoldfast));
  SqlText local, server;
  HF_TRY(LocalJson(operation, local));
  HF_TRY_ASSIGN(const std::string_view local_text, local.Finish());
  if (!resolution.server_row.empty()) {
    RowFields& row = row_;
    row.clear();
    for (const Field& field : resolution.server_row) {
      if (field.name != kId) HF_TRY(row.Add(field.name, field.type, field.value));
    }
    WriteJson(operation.id.view(), row.view(), server);
  }
  HF_TRY_ASSIGN(const std::string_view server_text, server.Finish());
  {
    HF_TRY(Ready(op_changes_));
    const Using use(op_changes_);
    op_changes_.Bind(1, operation.sequence);
    HF_TRY(op_changes_.Step());
    HF_TRY(Ready(log_resolution_));
    log_resolution_.Bind(1, resolution.rule);
    log_resolution_.Bind(2, std::int64_t(resolution.keep));
    log_resolution_.Bind(3, std::int64_t(operation.kind));
    log_resolution_.Bind(4, operation.table->name());
    log_resolution_.Bind(5, operation.id.view());
    log_resolution_.Bind(6, local_text);
    log_resolution_.BindOptional(7, op_changes_.Text(5));
    log_resolution_.BindOptional(8, server_text);
    HF_TRY(RunReady(log_resolution_));
  }
  HF_TRY(Ready(trim_resolutions_));
  trim_resolutions_.Bind(1, std::int64_t(limits::kResolutionsKept));
  return RunReady(trim_resolutions_);
}

// One record at a time, so that no read transaction is open while the sink works.
Result<void> SqliteStore::Resolutions(Arena& arena, ResolutionSink& sink) {
  std::int64_t after = 0;
  for (;;) {
    const std::size_t mark = arena.Mark();
    ResolutionRecord record;
    {
      HF_TRY(Ready(resolutions_));
      const Using use(resolutions_);
      resolutions_.Bind(1, after);
      auto more = resolutions_.Step();
      if (!more) return Explain(more.error());
      if (!*more) return Ok();
      record.number = after = resolutions_.Integer(0);
      record.decided_unix_s = resolutions_.Integer(1);
      record.keep = Keep(resolutions_.Integer(2));
      record.operation_kind = Kind(resolutions_.Integer(3));
      int column = 4;
      for (std::string_view* text : {&record.table, &record.id, &record.rule, &record.local_row,
                                     &record.server_row, &record.base_row}) {
        HF_TRY_ASSIGN(*text, arena.Copy(resolutions_.Text(column++)));
      }
    }
    HF_TRY(sink.OnResolution(record));
    arena.ResetTo(mark);
  }
}

Result<std::uint64_t> SqliteStore::RetryParked(std::uint64_t tables) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  std::uint64_t count = 0;
  Statement again(
      "UPDATE __operations SET state=attempts>1 WHERE state=2 AND sequence IN(SELECT id FROM "
      "__errors WHERE kind=1 AND tableName=?1)");
  Statement forget("DELETE FROM __errors WHERE kind=1 AND tableName=?1");
  HF_TRY(Ready(again));
  HF_TRY(Ready(forget));
  for (const auto& table : tables_) {
    if ((tables >> table->number() & 1) == 0) continue;
    again.Bind(1, table->name());
    HF_TRY(RunReady(again));
    count += std::uint64_t(sqlite3_changes(database_));
    forget.Bind(1, table->name());
    HF_TRY(RunReady(forget));
  }
  HF_TRY(transaction.Commit());
  return count;
}

}  // namespace holdfast::store
