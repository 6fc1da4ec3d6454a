// SPDX-License-Identifier: Apache-2.0
// Large rows: read piece by piece, and kept as a body that goes up in pieces.
#include <algorithm>

#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

// Pieces of one upload have places of their own: more than its largest body has.
constexpr std::int64_t kPlaces = 1024;
static_assert(limits::kUploadBytes / Store::kUploadPiece < kPlaces);

Error Gone() {
  return {Code::kNotFound, Origin::kNone, 0, "the row of a queued operation is gone"};
}

}  // namespace

Result<void> SqliteStore::LoadLong(Operation& operation, std::size_t longest_short, Arena& arena,
                                   LongRow& row) {
  SqliteTable& table = Own(*operation.table);
  row.fields.clear();
  row.long_bytes.fill(0);
  row.mask = 0;
  Statement& load = table.load_long;
  HF_TRY(Ready(load));
  const Using use(load);
  load.Bind(1, operation.sequence);
  load.Bind(2, std::int64_t(longest_short));
  auto found = load.Step();
  if (!found) return Explain(found.error());
  if (!*found) return Gone();
  if (load.Integer(kLongFrozen) != 0) {
    return Error{Code::kUnsupported, Origin::kNone, 0, "a large row was replaced before it went"};
  }
  if (load.Integer(kLongFound) == 0) return Gone();
  if (table.shape.row_key.empty()) {
    return Error{Code::kUnsupported, Origin::kNone, 0,
                 "a row this large cannot be read from a table WITHOUT ROWID"};
  }
  operation.changes = load.Integer(kLongChanges);
  operation.kind = Kind(load.Integer(kLongKind));
  if (!load.IsNull(kLongBaseVersion)) {
    HF_TRY(operation.base_version.Assign(load.Text(kLongBaseVersion)));
  } else if (operation.follows_own && !load.IsNull(kLongVersion)) {
    HF_TRY(operation.base_version.Assign(load.Text(kLongVersion)));
  }
  const auto columns = table.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    const int at = kLongFirst + 3 * int(i);
    const auto bytes = std::uint64_t(load.Integer(at + 1));
    const bool is_long = bytes > longest_short;
    Value value = load.At(at);
    if (is_long) value = load.Text(at + 2) == "blob" ? Value::Blob({}) : Value::Text({});
    if (value.is_null() && operation.kind == Kind::kInsert) continue;
    if (!is_long) {
      HF_TRY_ASSIGN(value, CopyValue(value, arena));
    }
    const std::size_t field = row.fields.size();
    HF_TRY(row.fields.Add(columns[i].name.view(), columns[i].type, value));
    row.long_bytes[field] = is_long ? bytes : 0;
    row.columns[field] = std::uint8_t(i);
    row.mask |= std::uint64_t{1} << i;
  }
  return Ok();
}

Result<void> SqliteStore::ReadLong(const Operation& operation, int column, std::uint64_t offset,
                                   std::span<char> out) {
  HF_ASSERT(open_ == Open::kProgram);
  HF_TRY(OpenLong(*operation.table, operation.id.view(), column, false));
  if (auto read = long_value_.Read(offset, out); !read) return Explain(read.error());
  return Ok();
}

// The handle is closed when the transaction ends.
Result<void> SqliteStore::OpenLong(const Table& of, std::string_view id, int column, bool write) {
  SqliteTable& table = Own(of);
  std::int64_t row = 0;
  {
    HF_TRY(Ready(table.key_of));
    const Using use(table.key_of);
    table.key_of.Bind(1, id);
    HF_TRY_ASSIGN(const bool found, table.key_of.Step());
    if (!found) return Gone();
    row = table.key_of.Integer(0);
  }
  const auto& name = table.columns()[std::size_t(column)].name;
  if (long_value_.Is(name.view(), row)) return Ok();
  auto opened = long_value_.Open(database_, table.shape.name.c_str(), name.c_str(), row, write);
  if (!opened) return Explain(opened.error());
  return Ok();
}

Result<void> SqliteStore::BeginUpload(std::int64_t sequence) {
  any_upload_ = true;
  return DropUpload(sequence);
}

Result<void> SqliteStore::AppendUpload(std::int64_t sequence, std::uint64_t offset,
                                       std::string_view piece) {
  HF_ASSERT(offset % kUploadPiece == 0 && piece.size() <= kUploadPiece);
  HF_TRY(As(Writer::kHoldfast));
  return PutPiece(sequence * kPlaces + std::int64_t(offset / kUploadPiece), piece);
}

Result<void> SqliteStore::PutPiece(std::int64_t place, std::string_view piece) {
  HF_TRY(Ready(put_piece_));
  put_piece_.Bind(1, place);
  put_piece_.BindBlob(2, piece);
  return RunReady(put_piece_);
}

Result<void> SqliteStore::NoteUpload(const Upload& upload) {
  HF_TRY(As(Writer::kHoldfast));
  HF_TRY(Ready(put_upload_));
  put_upload_.Bind(1, upload.sequence);
  put_upload_.Bind(2, upload.changes);
  put_upload_.Bind(3, std::int64_t(upload.kind));
  put_upload_.BindOptional(4, upload.base_version.view());
  put_upload_.Bind(5, std::int64_t(upload.mask));
  put_upload_.Bind(6, std::int64_t(upload.bytes));
  put_upload_.BindBlob(7, upload.digest.view());
  put_upload_.BindOptional(8, upload.resource.view());
  return RunReady(put_upload_);
}

Result<bool> SqliteStore::FindUpload(std::int64_t sequence, Upload& upload) {
  if (!any_upload_) return false;
  HF_TRY(Ready(find_upload_));
  const Using use(find_upload_);
  find_upload_.Bind(1, sequence);
  auto found = find_upload_.Step();
  if (!found) return Explain(found.error());
  if (!*found) return false;
  upload = {};
  upload.sequence = sequence;
  upload.changes = find_upload_.Integer(0);
  upload.kind = Kind(find_upload_.Integer(1));
  HF_TRY(upload.base_version.Assign(find_upload_.Text(2)));
  upload.mask = std::uint64_t(find_upload_.Integer(3));
  upload.bytes = std::uint64_t(find_upload_.Integer(4));
  HF_TRY(upload.digest.Assign(find_upload_.At(5).text));
  HF_TRY(upload.resource.Assign(find_upload_.Text(6)));
  return true;
}

Result<void> SqliteStore::ReadUpload(std::int64_t sequence, std::uint64_t offset,
                                     std::span<char> out) {
  return ReadPieces(sequence * kPlaces, 1, offset, out);
}

Result<void> SqliteStore::ReadPieces(std::int64_t first_place, int step, std::uint64_t offset,
                                     std::span<char> out) {
  while (!out.empty()) {
    HF_TRY(Ready(get_piece_));
    const Using use(get_piece_);
    get_piece_.Bind(1, first_place + step * std::int64_t(offset / kUploadPiece));
    auto found = get_piece_.Step();
    if (!found) return Explain(found.error());
    const std::string_view piece = *found ? get_piece_.At(0).text : std::string_view();
    const std::size_t skip = offset % kUploadPiece;
    if (piece.size() <= skip) {
      return Error{Code::kCorrupt, Origin::kNone, 0, "a piece of a large row is missing"};
    }
    const std::size_t size = std::min(out.size(), piece.size() - skip);
    std::copy_n(piece.data() + skip, size, out.data());
    out = out.subspan(size);
    offset += size;
  }
  return Ok();
}

Result<void> SqliteStore::DropUpload(std::int64_t sequence) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  HF_TRY(RemoveUpload(sequence));
  return transaction.Commit();
}

Result<void> SqliteStore::RemoveUpload(std::int64_t sequence) {
  if (!any_upload_) return Ok();
  HF_TRY(Ready(remove_upload_));
  remove_upload_.Bind(1, sequence);
  HF_TRY(RunReady(remove_upload_));
  return RemovePieces(sequence * kPlaces, (sequence + 1) * kPlaces);
}

Result<void> SqliteStore::RemovePieces(std::int64_t from, std::int64_t to) {
  HF_TRY(Ready(remove_pieces_));
  remove_pieces_.Bind(1, from);
  remove_pieces_.Bind(2, to);
  return RunReady(remove_pieces_);
}

Result<void> SqliteStore::DropStrayUploads() {
  Statement any;
  HF_TRY(any.Open(database_,
                  "SELECT EXISTS(SELECT 1 FROM __uploads) OR EXISTS(SELECT 1 FROM __pieces WHERE "
                  "place>=0)"));
  HF_TRY(any.Step());
  any_upload_ = any.Integer(0) != 0;
  any.Reset();
  if (!any_upload_) return Ok();
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  HF_TRY(Raw("DELETE FROM __uploads WHERE sequence NOT IN (SELECT sequence FROM __operations)"));
  HF_TRY(
      Raw("DELETE FROM __pieces WHERE place>=0 AND place/1024 NOT IN (SELECT sequence FROM "
          "__uploads)"));
  return transaction.Commit();
}

}  // namespace holdfast::store
