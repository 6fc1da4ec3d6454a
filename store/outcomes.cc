// SPDX-License-Identifier: Apache-2.0
// Outcomes: an operation leaves the queue only in the transaction that stores what became of it.
#include <sys/stat.h>

#include <algorithm>

#include "store/sqlite_store.h"

namespace holdfast::store {

// ------------------------------------------------------------------------------------- completion

Result<std::size_t> Store::Complete(std::span<const Completion> completions) {
  class Listed : public CompletionSource {
   public:
    explicit Listed(std::span<const Completion> list) : list_(list) {}
    Result<bool> Next(Completion& completion) override {
      if (at_ == list_.size()) return false;
      completion = list_[at_++];
      return true;
    }

   private:
    std::span<const Completion> list_;
    std::size_t at_ = 0;
  } listed(completions);
  return Complete(listed);
}

Result<std::size_t> SqliteStore::Complete(CompletionSource& completions) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  bool errors = false;
  {
    HF_TRY(Ready(any_error_));
    const Using use(any_error_);
    HF_TRY_ASSIGN(errors, any_error_.Step());
  }
  Tally tally;
  Completion completion;
  for (;;) {
    HF_TRY_ASSIGN(const bool more, completions.Next(completion));
    if (!more) break;
    HF_TRY(CompleteOne(completion, tally));
    if (errors) HF_TRY(DropError(completion.sequence));
    if (completion.identified) tally.applied = std::max(tally.applied, completion.sequence);
  }
  if (tally.highest > 0) HF_TRY(KeepSequence(tally.highest));
  if (tally.applied > 0) HF_TRY(NoteApplied(tally.applied));
  HF_TRY(transaction.Commit());
  return tally.stay;
}

Result<void> SqliteStore::CompleteOne(const Completion& completion, Tally& tally) {
  SqliteTable& table = Own(*completion.table);
  HF_TRY(RemoveUpload(completion.sequence));
  HF_TRY(Ready(remove_unchanged_));
  remove_unchanged_.Bind(1, completion.sequence);
  remove_unchanged_.Bind(2, completion.changes);
  HF_TRY(RunReady(remove_unchanged_));
  std::int64_t taken_off = 0;
  if (sqlite3_changes(database_) > 0) {
    tally.highest = std::max(tally.highest, completion.sequence);
    if (!completion.row.empty()) HF_TRY(WriteServerRow(table, completion));
    taken_off = completion.sequence;
  } else {
    HF_TRY(Ready(op_facts_));
    bool found = false, is_delete = false;
    {
      const Using use(op_facts_);
      op_facts_.Bind(1, completion.sequence);
      HF_TRY_ASSIGN(found, op_facts_.Step());
      is_delete = found && Kind(op_facts_.Integer(1)) == Kind::kDelete;
    }
    if (!found) return HandOver(completion, table);
    if (is_delete) {
      tally.highest = std::max(tally.highest, completion.sequence);
      HF_TRY(Ready(remove_operation_));
      remove_operation_.Bind(1, completion.sequence);
      HF_TRY(RunReady(remove_operation_));
      HF_TRY(Ready(remove_shadow_of_));
      remove_shadow_of_.Bind(1, table.name());
      remove_shadow_of_.Bind(2, completion.id.view());
      remove_shadow_of_.Bind(3, completion.sequence);
      return RunReady(remove_shadow_of_);
    }
    // Edited while it was on its way: what is left is an update on the new version.
    ++tally.stay;
    if (!completion.row.empty()) {
      Operation operation;
      HF_TRY_ASSIGN(const bool there, Find(completion.sequence, operation));
      bool ours = true;
      if (there) {
        HF_TRY_ASSIGN(ours, TakeTheirs(operation, completion.row, completion.recognised));
      }
      if (!ours) return Ok();  // on its old version it meets the server's row again
    }
    SqlText base;
    WriteContent(completion.row, table, base);
    HF_TRY_ASSIGN(const std::string_view text, base.Finish());
    HF_TRY(Ready(moved_));
    moved_.Bind(1, completion.sequence);
    moved_.BindOptional(2, completion.version.view());
    moved_.BindOptional(3, text);
    HF_TRY(RunReady(moved_));
  }
  HF_TRY(Ready(table.complete));
  table.complete.Bind(1, completion.id.view());
  table.complete.BindOptional(2, completion.version.view());
  table.complete.BindOptional(3, completion.created_at.view());
  table.complete.BindOptional(4, completion.updated_at.view());
  table.complete.Bind(5, taken_off);
  HF_TRY(RunOnRow(table.complete, table, completion.id.view()));
  if (sqlite3_changes(database_) > 0) return Ok();
  return HandOver(completion, table);
}

// The row was deleted, or deleted and inserted again, while its write was on its way: the operation
// that stands for it now gets the version that the server gave. One that follows an earlier one
// reads it from the row or the shadow when its turn comes.
Result<void> SqliteStore::HandOver(const Completion& completion, SqliteTable& table) {
  if (completion.version.empty()) return Ok();
  std::int64_t heir = 0;
  {
    HF_TRY(Ready(table.find));
    const Using use(table.find);
    table.find.Bind(1, completion.id.view());
    HF_TRY_ASSIGN(const bool row, table.find.Step());
    if (row && table.find.Integer(2) != 0) heir = table.find.Integer(1);
  }
  if (heir != 0) {
    HF_TRY(Ready(table.complete));
    table.complete.Bind(1, completion.id.view());
    table.complete.Bind(2, completion.version.view());
    table.complete.BindOptional(3, completion.created_at.view());
    table.complete.BindOptional(4, completion.updated_at.view());
    table.complete.Bind(5, std::int64_t{0});
    HF_TRY(RunOnRow(table.complete, table, completion.id.view()));
  } else {
    HF_TRY(Ready(shadow_delete_));
    {
      const Using use(shadow_delete_);
      shadow_delete_.Bind(1, table.name());
      shadow_delete_.Bind(2, completion.id.view());
      HF_TRY_ASSIGN(const bool shadow, shadow_delete_.Step());
      if (!shadow) return Ok();
      heir = shadow_delete_.Integer(0);
    }
    HF_TRY(Ready(shadow_version_));
    shadow_version_.Bind(1, table.name());
    shadow_version_.Bind(2, completion.id.view());
    shadow_version_.Bind(3, completion.version.view());
    HF_TRY(RunReady(shadow_version_));
  }
  HF_TRY(Ready(hand_over_));
  hand_over_.Bind(1, heir);
  hand_over_.Bind(2, completion.version.view());
  return RunReady(hand_over_);
}

// The server's values, unless a newer edit of the row is queued.
Result<void> SqliteStore::WriteServerRow(SqliteTable& table, const Completion& completion) {
  {
    HF_TRY(Ready(table.find));
    const Using use(table.find);
    table.find.Bind(1, completion.id.view());
    HF_TRY_ASSIGN(const bool row, table.find.Step());
    if (!row || (!table.find.IsNull(1) && table.find.Integer(1) != completion.sequence))
      return Ok();
  }
  std::uint64_t mask = 0;
  for (const Field& field : completion.row) {
    if (IsSystemColumn(field.name)) continue;
    const int index = IndexOf(table, field.name);
    if (index >= 0) mask |= std::uint64_t{1} << index;
  }
  if (mask == 0) return Ok();
  HF_TRY_ASSIGN(Statement * statement, ForColumns(table, ColumnsStatement::Use::kComplete, mask));
  Statement& write = *statement;
  write.Bind(1, completion.id.view());
  int next = 2;
  HF_TRY(BindColumns(write, table, completion.row, mask, next));
  return RunOnRow(write, table, completion.id.view(), mask);
}

// A sequence is never used twice, also when the highest one leaves.
Result<void> SqliteStore::KeepSequence(std::int64_t removed) {
  HF_TRY(Ready(keep_sequence_));
  keep_sequence_.Bind(1, removed);
  return RunReady(keep_sequence_);
}

Result<void> SqliteStore::RemoveOperation(std::int64_t sequence) {
  HF_TRY(Ready(remove_operation_));
  remove_operation_.Bind(1, sequence);
  HF_TRY(RunReady(remove_operation_));
  return KeepSequence(sequence);
}

Result<void> SqliteStore::DropError(std::int64_t sequence) {
  HF_TRY(Ready(drop_error_));
  drop_error_.Bind(1, sequence);
  return RunReady(drop_error_);
}

// ---------------------------------------------------------------------------------- other outcomes

Result<void> SqliteStore::Rebase(std::int64_t sequence, std::string_view version,
                                 RowView server_row) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  Operation operation;
  HF_TRY_ASSIGN(const bool found, Find(sequence, operation));
  if (!found) return Ok();
  HF_TRY(RemoveUpload(sequence));
  SqlText base;
  WriteContent(server_row, *operation.table, base);
  HF_TRY_ASSIGN(const std::string_view text, base.Finish());
  HF_TRY(Ready(rebase_));
  rebase_.Bind(1, sequence);
  rebase_.BindOptional(2, version);
  rebase_.BindOptional(3, text);
  HF_TRY(RunReady(rebase_));
  HF_TRY(DropError(sequence));
  return transaction.Commit();
}

Result<void> SqliteStore::ChangeKind(std::int64_t sequence, Kind kind, std::string_view version) {
  HF_ASSERT(kind != Kind::kDelete);
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  HF_TRY(RemoveUpload(sequence));
  HF_TRY(Ready(change_kind_));
  change_kind_.Bind(1, sequence);
  change_kind_.Bind(2, std::int64_t(kind));
  change_kind_.BindOptional(3, version);
  HF_TRY(RunReady(change_kind_));
  HF_TRY(DropError(sequence));
  return transaction.Commit();
}

Result<void> SqliteStore::Fail(std::int64_t sequence, const OperationError& error) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  Operation operation;
  HF_TRY_ASSIGN(const bool found, Find(sequence, operation));
  if (!found) return Ok();
  SqliteTable& table = Own(*operation.table);
  HF_TRY(RemoveUpload(sequence));

  SqlText local;
  HF_TRY(LocalJson(operation, local));
  HF_TRY_ASSIGN(const std::string_view local_text, local.Finish());
  HF_TRY(Ready(op_facts_));
  const Using use(op_facts_);
  op_facts_.Bind(1, sequence);
  op_facts_.Bind(2, std::int64_t(kLoadBytes));
  HF_TRY(op_facts_.Step());

  HF_TRY(Ready(fail_state_));
  fail_state_.Bind(1, sequence);
  HF_TRY(RunReady(fail_state_));
  HF_TRY(Ready(fail_));
  fail_.Bind(1, sequence);
  fail_.Bind(2, std::int64_t(error.kind));
  fail_.Bind(3, std::int64_t{error.http_status});
  fail_.Bind(4, op_facts_.Integer(0));
  fail_.Bind(5, std::int64_t(operation.kind));
  fail_.Bind(6, table.name());
  fail_.Bind(7, operation.id.view());
  fail_.Bind(8, local_text);
  fail_.BindOptional(9, op_facts_.Text(2));
  fail_.Bind(10, error.server_words);
  fail_.BindOptional(11, error.server_version);
  HF_TRY(RunReady(fail_));
  return transaction.Commit();
}

Result<void> SqliteStore::Drop(std::int64_t sequence, std::int64_t changes) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  Operation operation;
  HF_TRY_ASSIGN(const bool found, Find(sequence, operation));
  if (!found || operation.changes != changes) return Ok();
  SqliteTable& table = Own(*operation.table);
  HF_TRY(RemoveOperation(sequence));
  HF_TRY(DropError(sequence));
  HF_TRY(Ready(table.take_off));
  table.take_off.Bind(1, operation.id.view());
  table.take_off.Bind(2, sequence);
  HF_TRY(RunOnRow(table.take_off, table, operation.id.view()));
  HF_TRY(Ready(remove_shadow_of_));
  remove_shadow_of_.Bind(1, table.name());
  remove_shadow_of_.Bind(2, operation.id.view());
  remove_shadow_of_.Bind(3, sequence);
  HF_TRY(RunReady(remove_shadow_of_));
  return transaction.Commit();
}

// ---------------------------------------------------------------------------------------- reading

// One record at a time, so that no read transaction is open while the sink works.
Result<void> SqliteStore::Errors(Arena& arena, ErrorSink& sink) {
  std::int64_t after = 0;
  for (;;) {
    const std::size_t mark = arena.Mark();
    ErrorRecord record;
    {
      HF_TRY(Ready(errors_));
      const Using use(errors_);
      errors_.Bind(1, after);
      auto more = errors_.Step();
      if (!more) return Explain(more.error());
      if (!*more) return Ok();
      record.sequence = after = errors_.Integer(0);
      record.kind = ErrorKind(errors_.Integer(1));
      record.http_status = int(errors_.Integer(2));
      record.operation_kind = Kind(errors_.Integer(3));
      int column = 4;
      for (std::string_view* text : {&record.table, &record.id, &record.local_row, &record.base_row,
                                     &record.server_words, &record.server_version}) {
        HF_TRY_ASSIGN(*text, arena.Copy(errors_.Text(column++)));
      }
      record.attempts = std::int32_t(errors_.Integer(column));
    }
    HF_TRY(sink.OnError(record));
    arena.ResetTo(mark);
  }
}

Result<QueueStats> SqliteStore::Stats() {
  QueueStats stats;
  // One pass that keeps nothing: a GROUP BY would sort a million operations in memory.
  Statement states(
      "SELECT count(*),ifnull(sum(state=0),0),ifnull(sum(state=1),0),ifnull(sum(state=2),0) FROM "
      "__operations");
  HF_TRY(Ready(states));
  auto counted = states.Step();
  if (!counted) return Explain(counted.error());
  stats.operations = std::uint64_t(states.Integer(0));
  stats.pending = std::uint64_t(states.Integer(1));
  stats.attempted = std::uint64_t(states.Integer(2));
  stats.failed = std::uint64_t(states.Integer(3));
  static_assert(int(State::kPending) == 0 && int(State::kAttempted) == 1 &&
                int(State::kFailed) == 2);
  Statement others(
      "SELECT (SELECT count(*) FROM __errors WHERE kind=0),(SELECT count(*) FROM __errors WHERE "
      "kind=1),(SELECT queuedAt FROM __operations ORDER BY sequence LIMIT 1),(SELECT page_count "
      "FROM "
      "pragma_page_count)*(SELECT page_size FROM pragma_page_size)");
  HF_TRY(Ready(others));
  auto row = others.Step();
  if (!row) return Explain(row.error());
  stats.conflicts = std::uint64_t(others.Integer(0));
  stats.parked = std::uint64_t(others.Integer(1));
  stats.oldest_unix_s = others.Integer(2);
  stats.database_bytes = std::uint64_t(others.Integer(3));
  struct stat wal {};
  if (stat((path_ + "-wal").c_str(), &wal) == 0) stats.wal_bytes = std::uint64_t(wal.st_size);
  return stats;
}

}  // namespace holdfast::store
