// SPDX-License-Identifier: Apache-2.0
// Changes to rows that are long. To change a word of a row, SQLite reads the whole row, and makes
// the new one beside it. Here the long values are put aside first, piece by piece, and come back
// into a row that has room for them, which is made once.
#include <algorithm>

#include "hal/base/memory.h"
#include "hal/base/zeros.h"
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

// Longer rows are changed in this way: it writes them three times instead of once.
constexpr std::size_t kPlainBytes = Store::kLoadBytes + (64 << 10);
constexpr std::size_t kLongestShort = 8 << 10;
// Of values that are aside: they are there during one transaction. Uploads and downloads have
// their places elsewhere.
constexpr std::int64_t kFirstAside = -1'000'000;

// "UPDATE table SET a=?2,b=?3 WHERE id=?1", or "... a='',b='' ...".
void PutUpdate(const SqliteTable& table, std::span<const LongPlace> places, bool to_parameters,
               TextWriter& sql) {
  sql.Put("UPDATE ").Put(table.quoted_name).Put(" SET ");
  for (std::size_t i = 0; i < places.size(); ++i) {
    if (i > 0) sql.Put(',');
    PutName(table.columns()[std::size_t(places[i].column)].name.view(), sql);
    if (to_parameters) {
      sql.Put("=?").PutInteger(std::int64_t(i) + 2);
    } else {
      sql.Put("=''");
    }
  }
  sql.Put(" WHERE id=?1");
}

}  // namespace

// The row is made once in memory, of zeros that take none themselves. (zeroblob() would be made in
// full as well: it is not the last value of the row.)
Result<void> SqliteStore::MakeRoom(const SqliteTable& table, std::string_view id,
                                   std::span<const LongPlace> places) {
  char text[kSqlBytes];
  TextWriter sql(text);
  PutUpdate(table, places, true, sql);
  HF_TRY(sql.Finish());
  std::uint64_t longest = 0;
  for (const LongPlace& place : places) longest = std::max(longest, place.bytes);
  const Zeros zeros{std::size_t(longest)};
  if (zeros.view().size() < longest) {
    return Error{Code::kNoMemory, Origin::kNone, 0, "no addresses for a long value"};
  }
  Statement update;
  HF_TRY(update.Open(database_, sql.view()));
  update.Bind(1, id);
  for (std::size_t i = 0; i < places.size(); ++i) {
    const std::string_view room = zeros.view().substr(0, std::size_t(places[i].bytes));
    update.Bind(int(i) + 2,
                places[i].type == ValueType::kBlob ? Value::Blob(room) : Value::Text(room));
  }
  // What the page cache has is not needed now, and the room is.
  HF_TRY(Raw("PRAGMA cache_size=-64"));
  (void)sqlite3_db_cacheflush(database_);
  (void)sqlite3_db_release_memory(database_);
  memory::ReturnUnused();
  auto done = update.Run();
  HF_TRY(Raw(cache_size_.c_str()));
  if (!done) return Explain(done.error());
  return Ok();
}

Result<void> SqliteStore::RunOnRow(Statement& update, SqliteTable& table, std::string_view id,
                                   std::uint64_t changes) {
  {
    const LengthLimit limit(database_, kPlainBytes);
    auto done = RunReady(update);
    if (done || done.error().code != Code::kTooLarge) return done;
  }
  std::array<LongPlace, limits::kColumns> found;
  HF_TRY_ASSIGN(const std::size_t count, FindLongValues(table, id, changes, found));
  const std::span<const LongPlace> places(found.data(), count);
  HF_TRY_ASSIGN(const bool may_be_short, MayBeShort(table, places));
  return may_be_short ? RunOnLongRow(update, table, id, places) : RunReady(update);
}

// A table of somebody else's can have rules about its values (CHECK, an index): what is aside for a
// moment would break them. Such a row is changed in the plain way, with the memory that it takes.
Result<bool> SqliteStore::MayBeShort(const SqliteTable& table, std::span<const LongPlace> places) {
  if (places.empty() || table.shape.row_key.empty()) return false;
  Statement rules;
  HF_TRY(rules.Open(
      database_,
      "SELECT EXISTS(SELECT 1 FROM sqlite_schema WHERE type='table' AND tbl_name=?1 COLLATE NOCASE "
      "AND sql LIKE '%check%') OR EXISTS(SELECT 1 FROM sqlite_schema i, pragma_index_info(i.name) "
      "c "
      "WHERE i.type='index' AND i.tbl_name=?1 COLLATE NOCASE AND (c.name IS NULL OR c.name=?2 "
      "COLLATE NOCASE))"));
  for (const LongPlace& place : places) {
    const Using use(rules);
    rules.Bind(1, std::string_view(table.shape.name));
    rules.Bind(2, table.columns()[std::size_t(place.column)].name.view());
    auto found = rules.Step();
    if (!found) return Explain(found.error());
    if (rules.Integer(0) != 0) return false;
  }
  return true;
}

Result<void> SqliteStore::RunOnLongRow(Statement& update, SqliteTable& table, std::string_view id,
                                       std::span<const LongPlace> places) {
  std::int64_t aside = kFirstAside;
  for (const LongPlace& place : places) HF_TRY(MoveLong(table, id, place, aside, false));
  char text[kSqlBytes];
  TextWriter shorten(text);
  PutUpdate(table, places, false, shorten);
  HF_TRY(shorten.Finish());
  {
    Statement shortened;
    HF_TRY(shortened.Open(database_, shorten.view()));
    shortened.Bind(1, id);
    if (auto done = shortened.Run(); !done) return Explain(done.error());
  }
  HF_TRY(RunReady(update));
  HF_TRY(MakeRoom(table, id, places));
  aside = kFirstAside;
  for (const LongPlace& place : places) HF_TRY(MoveLong(table, id, place, aside, true));
  return RemovePieces(aside + 1, kFirstAside + 1);
}

// The long values that a statement does not replace (`changes`: by column).
Result<std::size_t> SqliteStore::FindLongValues(SqliteTable& table, std::string_view id,
                                                std::uint64_t changes,
                                                std::span<LongPlace> places) {
  HF_TRY(Ready(table.sizes));
  const Using use(table.sizes);
  table.sizes.Bind(1, id);
  HF_TRY_ASSIGN(const bool there, table.sizes.Step());
  std::size_t count = 0;
  for (std::size_t i = 0; there && i < table.columns().size(); ++i) {
    const auto bytes = std::uint64_t(table.sizes.Integer(2 * int(i)));
    if (bytes <= kLongestShort || (changes >> i & 1) != 0) continue;
    const bool is_blob = table.sizes.Text(2 * int(i) + 1) == "blob";
    places[count++] = {int(i), is_blob ? ValueType::kBlob : ValueType::kText, bytes};
  }
  return count;
}

// From its row into pieces from the place `aside` on (which moves on), or back.
Result<void> SqliteStore::MoveLong(SqliteTable& table, std::string_view id, const LongPlace& place,
                                   std::int64_t& aside, bool back) {
  const std::span<char> piece(scratch_.get(), kUploadPiece);
  HF_TRY(OpenLong(table, id, place.column, back));
  const std::int64_t first = aside;
  for (std::uint64_t offset = 0; offset < place.bytes; offset += kUploadPiece) {
    const auto part =
        piece.first(std::size_t(std::min<std::uint64_t>(piece.size(), place.bytes - offset)));
    Result<void> moved;
    if (back) {
      moved = ReadPieces(first, -1, offset, part);
      if (moved) moved = long_value_.Write(offset, {part.data(), part.size()});
    } else {
      moved = long_value_.Read(offset, part);
      if (moved) moved = PutPiece(aside, {part.data(), part.size()});
    }
    if (!moved) return Explain(moved.error());
    --aside;
  }
  long_value_.Close();
  return Ok();
}

}  // namespace holdfast::store
