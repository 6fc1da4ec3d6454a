// SPDX-License-Identifier: Apache-2.0
// Operations on their way out: taking, loading, marking.
#include "store/sent.h"
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

// Memory for one parse: the store's own when it fits, else from SQLite's capped heap.
class ParseRoom {
 public:
  ParseRoom(Arena& own, std::size_t bytes)
      : large_(bytes > own.size_bytes() ? sqlite3_malloc64(bytes) : nullptr),
        large_arena_({static_cast<char*>(large_), large_ != nullptr ? bytes : 0}),
        arena_(bytes > own.size_bytes() ? large_arena_ : own) {
    own.Reset();
  }
  ~ParseRoom() { sqlite3_free(large_); }
  ParseRoom(const ParseRoom&) = delete;
  ParseRoom& operator=(const ParseRoom&) = delete;
  Arena& arena() { return arena_; }

 private:
  void* large_;
  Arena large_arena_;
  Arena& arena_;
};

}  // namespace

// The columns of next_operation_ and find_operation_. false: of a table that is not defined.
Result<bool> SqliteStore::Fill(Statement& statement, Operation& out) {
  SqliteTable* table = FindOwn(statement.Text(1));
  if (table == nullptr) return false;
  out = {};
  out.sequence = statement.Integer(0);
  out.table = table;
  HF_TRY(out.id.Assign(statement.Text(2)));
  out.kind = Kind(statement.Integer(3));
  out.state = State(statement.Integer(4));
  out.changes = statement.Integer(5);
  HF_TRY(out.base_version.Assign(statement.Text(6)));
  out.attempts = std::int32_t(statement.Integer(8));
  out.edited_unix_s = statement.Integer(9);
  if (statement.IsNull(7)) return true;

  out.follows_own = true;
  const std::int64_t previous = statement.Integer(7);
  {
    HF_TRY(Ready(operation_exists_));
    const Using use(operation_exists_);
    operation_exists_.Bind(1, previous);
    HF_TRY_ASSIGN(const bool queued, operation_exists_.Step());
    if (queued) out.previous = previous;
  }
  if (!out.base_version.empty() || out.kind == Kind::kInsert) return true;
  // The version that the outcome of the earlier one has left with the row, or with its shadow.
  HF_TRY(Ready(table->find));
  const Using use_row(table->find);
  table->find.Bind(1, out.id.view());
  HF_TRY_ASSIGN(const bool row, table->find.Step());
  if (row) {
    HF_TRY(out.base_version.Assign(table->find.Text(0)));
    return true;
  }
  HF_TRY(Ready(version_of_shadow_));
  const Using use_shadow(version_of_shadow_);
  version_of_shadow_.Bind(1, table->name());
  version_of_shadow_.Bind(2, out.id.view());
  HF_TRY_ASSIGN(const bool shadow, version_of_shadow_.Step());
  if (shadow) HF_TRY(out.base_version.Assign(version_of_shadow_.Text(0)));
  return true;
}

Result<bool> SqliteStore::Next(std::int64_t after_sequence, std::uint64_t tables, Operation& out) {
  HF_TRY(Ready(next_operation_));
  const Using use(next_operation_);
  next_operation_.Bind(1, after_sequence);
  for (;;) {
    auto more = next_operation_.Step();
    if (!more) return Explain(more.error());
    if (!*more) return false;
    const SqliteTable* table = FindOwn(next_operation_.Text(1));
    if (table == nullptr || (tables >> table->number() & 1) == 0) continue;
    return Fill(next_operation_, out);
  }
}

Result<bool> SqliteStore::Find(std::int64_t sequence, Operation& out) {
  HF_TRY(Ready(find_operation_));
  const Using use(find_operation_);
  find_operation_.Bind(1, sequence);
  auto found = find_operation_.Step();
  if (!found) return Explain(found.error());
  if (!*found) return false;
  return Fill(find_operation_, out);
}

Result<Content> SqliteStore::Load(Operation& operation, Extent extent, Arena& arena,
                                  RowFields& room) {
  HF_ASSERT(operation.table != nullptr);
  SqliteTable& table = Own(*operation.table);
  room.clear();
  HF_TRY(Ready(table.load));
  Statement& load = table.load;
  const Using use(load);
  load.Bind(1, operation.sequence);
  const LengthLimit limit(database_, kLoadBytes);
  auto found = load.Step();
  if (!found) return Explain(found.error());
  if (!*found) return Error{Code::kNotFound, Origin::kNone, 0, "the operation is gone"};
  operation.kind = Kind(load.Integer(kLoadKind));
  operation.state = State(load.Integer(kLoadState));
  operation.changes = load.Integer(kLoadChanges);
  operation.attempts = std::int32_t(load.Integer(kLoadAttempts));
  const bool frozen = !load.IsNull(kLoadItem);
  if (!frozen && load.Integer(kLoadFound) == 0) {
    return Error{Code::kNotFound, Origin::kNone, 0, "the row of a queued operation is gone"};
  }
  if (!load.IsNull(kLoadBaseVersion)) {
    HF_TRY(operation.base_version.Assign(load.Text(kLoadBaseVersion)));
  } else if (operation.follows_own && !load.IsNull(kLoadVersion)) {
    HF_TRY(operation.base_version.Assign(load.Text(kLoadVersion)));
  }

  const auto columns = table.columns();
  ContentValues frozen_values;
  if (frozen) {
    HF_TRY(ParseContent(load.Text(kLoadItem), table, arena, frozen_values));
  }
  const std::string_view base = load.Text(kLoadBase);
  const bool compare =
      extent == Extent::kChanged && operation.kind == Kind::kUpdate && !load.IsNull(kLoadBase);
  ParseRoom parse(scratch_arena_, base.size());
  if (compare) {
    HF_TRY(ParseContent(base, table, parse.arena(), content_));
  }
  // What is null in an insert, and what did not change in an update, is left out: but not when an
  // earlier attempt, whose outcome is unknown, may have given the server another value.
  std::uint64_t sent_before = 0;
  ForEachSent(load.Text(kLoadSent),
              [&](std::uint64_t mask, std::uint64_t) { sent_before |= mask; });
  Content content;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const std::uint64_t bit = std::uint64_t{1} << i;
    Value value;
    if (!frozen) {
      value = load.At(kLoadFirst + int(i));
    } else if ((frozen_values.present & bit) != 0) {
      value = frozen_values.values[i];
    }
    if (compare && (content_.present & bit) != 0 && (sent_before & bit) == 0 &&
        SameValue(columns[i].type, value, content_.values[i])) {
      continue;
    }
    if (extent == Extent::kChanged && operation.kind == Kind::kInsert && value.is_null() &&
        (sent_before & bit) == 0) {
      continue;
    }
    if (!frozen) {
      auto kept = CopyValue(value, arena);
      if (!kept) return Error{Code::kTooLarge, Origin::kNone, 0, "a row too long for memory"};
      value = *kept;
    }
    HF_TRY(room.Add(columns[i].name.view(), columns[i].type, value));
    content.mask |= bit;
  }
  content.fields = room.view();
  content.digest = DigestRow(table, content.fields, content.mask);
  return content;
}

Result<std::uint64_t> SqliteStore::CountSendable(std::uint64_t tables) {
  HF_TRY(Ready(count_sendable_));
  std::uint64_t count = 0;
  // A walk for each table costs less than to sort the queue by tables.
  for (const auto& table : tables_) {
    if ((tables >> table->number() & 1) == 0) continue;
    const Using use(count_sendable_);
    count_sendable_.Bind(1, table->name());
    auto found = count_sendable_.Step();
    if (!found) return Explain(found.error());
    count += std::uint64_t(count_sendable_.Integer(0));
  }
  return count;
}

Result<void> SqliteStore::BeginReading() {
  HF_ASSERT(open_ == Open::kNone);
  HF_TRY(RunReady(begin_reading_));
  open_ = Open::kReading;
  return Ok();
}

void SqliteStore::EndReading() {
  if (open_ != Open::kReading) return;
  open_ = Open::kNone;
  (void)RunReady(rollback_);
}

}  // namespace holdfast::store
