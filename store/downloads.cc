// SPDX-License-Identifier: Apache-2.0
// Large rows on their way down: kept as they come, then written value by value.
#include <algorithm>

#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

// Pieces of uploads have the places from 0 on: these go the other way.
constexpr std::int64_t kFirstPlace = -1;

}  // namespace

Result<bool> SqliteStore::FindDownload(const Table& table, std::string_view id, Version& version,
                                       std::uint64_t& bytes) {
  HF_TRY(Ready(find_download_));
  const Using use(find_download_);
  find_download_.Bind(1, table.name());
  find_download_.Bind(2, id);
  auto found = find_download_.Step();
  if (!found) return Explain(found.error());
  if (!*found) return false;
  HF_TRY(version.Assign(find_download_.Text(0)));
  bytes = std::uint64_t(find_download_.Integer(1));
  return true;
}

Result<void> SqliteStore::NoteDownload(const Table& table, std::string_view id,
                                       std::string_view version, std::uint64_t bytes) {
  HF_TRY(As(Writer::kHoldfast));
  HF_TRY(Ready(put_download_));
  put_download_.Bind(1, table.name());
  put_download_.Bind(2, id);
  put_download_.Bind(3, version);
  put_download_.Bind(4, std::int64_t(bytes));
  return RunReady(put_download_);
}

Result<void> SqliteStore::PutDownload(std::uint64_t offset, std::string_view piece) {
  HF_ASSERT(offset % kUploadPiece == 0 && piece.size() <= kUploadPiece);
  HF_TRY(As(Writer::kHoldfast));
  return PutPiece(kFirstPlace - std::int64_t(offset / kUploadPiece), piece);
}

Result<void> SqliteStore::ReadDownload(std::uint64_t offset, std::span<char> out) {
  return ReadPieces(kFirstPlace, -1, offset, out);
}

Result<void> SqliteStore::DropDownload() {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  HF_TRY(Raw("DELETE FROM __download"));
  HF_TRY(Raw("DELETE FROM __pieces WHERE place<0"));
  return transaction.Commit();
}

Result<Applied> SqliteStore::ApplyLong(const Table& table, RowView server_row,
                                       std::span<const LongPlace> places) {
  SqliteTable& own = Own(table);
  if (own.shape.row_key.empty()) {
    return Refuse(Code::kUnsupported, "a row this large cannot be written WITHOUT ROWID",
                  own.name());
  }
  RowFields row;
  for (const Field& field : server_row) HF_TRY(row.Add(field.name, field.type, field.value));
  // Short for the moment, and of the right kind: the room is made below, once for all.
  for (const LongPlace& place : places) {
    const Column& column = table.columns()[std::size_t(place.column)];
    const Value empty = place.type == ValueType::kBlob ? Value::Blob("") : Value::Text("");
    HF_TRY(row.Add(column.name.view(), column.type, empty));
  }
  HF_TRY_ASSIGN(const Applied applied, ApplyRemote(table, row.view()));
  if (applied != Applied::kStored || places.empty()) return applied;
  HF_TRY(MakeRoom(own, FindText(server_row, kId), places));
  return applied;
}

Result<void> SqliteStore::WriteLong(const Table& table, std::string_view id, int column,
                                    std::uint64_t offset, std::string_view bytes) {
  HF_ASSERT(open_ == Open::kPage);
  HF_TRY(OpenLong(table, id, column, true));
  if (auto written = long_value_.Write(offset, bytes); !written) return Explain(written.error());
  return Ok();
}

}  // namespace holdfast::store
