// SPDX-License-Identifier: Apache-2.0
// The copies of a row that an operation stands for: the device's, and what it was before.
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

Result<void> AddContent(const Table& table, const ContentValues& content, RowFields& out) {
  const auto columns = table.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if ((content.present >> i & 1) == 0) continue;
    HF_TRY(out.Add(columns[i].name.view(), columns[i].type, content.values[i]));
  }
  return Ok();
}

}  // namespace

// A large row is not copied: nothing is written for it, and it is in its table.
Result<void> SqliteStore::LocalJson(const Operation& operation, SqlText& out) {
  const LengthLimit limit(database_, kLoadBytes);
  auto written = WriteLocal(operation, out);
  if (!written && written.error().code == Code::kTooLarge) return Ok();
  return written;
}

Result<void> SqliteStore::WriteLocal(const Operation& operation, SqlText& out) {
  SqliteTable& table = Own(*operation.table);
  HF_TRY(Ready(op_changes_));
  const Using use(op_changes_);
  op_changes_.Bind(1, operation.sequence);
  HF_TRY(op_changes_.Step());
  RowFields& row = row_;
  row.clear();
  if (op_changes_.Integer(4) != 0) {
    const std::string_view item = op_changes_.Text(6);
    struct Room {
      explicit Room(std::size_t bytes) : memory(sqlite3_malloc64(bytes)) {}
      ~Room() { sqlite3_free(memory); }
      Room(const Room&) = delete;
      Room& operator=(const Room&) = delete;
      void* memory;
    } const room(item.size() + 1);
    if (room.memory == nullptr) return SqlError(SQLITE_NOMEM);
    Arena arena({static_cast<char*>(room.memory), item.size() + 1});
    HF_TRY(ParseContent(item, table, arena, content_));
    HF_TRY(AddContent(table, content_, row));
    WriteJson(operation.id.view(), row.view(), out);
    return Ok();
  }
  HF_TRY(Ready(table.columns_of));
  const Using use_columns(table.columns_of);
  table.columns_of.Bind(1, operation.id.view());
  HF_TRY_ASSIGN(const bool there, table.columns_of.Step());
  const auto columns = table.columns();
  for (std::size_t i = 0; there && i < columns.size(); ++i) {
    HF_TRY(row.Add(columns[i].name.view(), columns[i].type, table.columns_of.At(int(i) + 1)));
  }
  WriteJson(operation.id.view(), row.view(), out);
  return Ok();
}

Result<Store::Copies> SqliteStore::LoadCopies(std::int64_t sequence, Arena& arena, RowFields& local,
                                              RowFields& base) {
  local.clear();
  base.clear();
  Operation operation;
  HF_TRY_ASSIGN(const bool found, Find(sequence, operation));
  if (!found) return Error{Code::kNotFound, Origin::kNone, 0, "the operation is gone"};
  SqliteTable& table = Own(*operation.table);
  Copies copies;
  copies.changes = operation.changes;
  if (operation.kind == Kind::kDelete) return copies;
  HF_TRY(Ready(table.load));
  Statement& load = table.load;
  const Using use(load);
  load.Bind(1, sequence);
  HF_TRY_ASSIGN(const bool loaded, load.Step());
  if (!loaded) return Error{Code::kNotFound, Origin::kNone, 0, "the operation is gone"};
  const auto columns = table.columns();
  if (!load.IsNull(kLoadItem)) {
    HF_TRY(ParseContent(load.Text(kLoadItem), table, arena, content_));
    HF_TRY(AddContent(table, content_, local));
  } else {
    for (std::size_t i = 0; i < columns.size(); ++i) {
      HF_TRY_ASSIGN(const Value value, CopyValue(load.At(kLoadFirst + int(i)), arena));
      HF_TRY(local.Add(columns[i].name.view(), columns[i].type, value));
    }
  }
  if (!load.IsNull(kLoadBase)) {
    HF_TRY(ParseContent(load.Text(kLoadBase), table, arena, content_));
    HF_TRY(AddContent(table, content_, base));
  }
  copies.local = local.view();
  copies.base = base.view();
  return copies;
}

}  // namespace holdfast::store
