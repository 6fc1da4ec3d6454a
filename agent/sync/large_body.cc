// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/large_body.h"

#include <algorithm>

#include "transport/wire.h"

namespace holdfast::agent {
namespace {

const unsigned char* Bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

// Up to which byte `text` has whole characters only, if it is UTF-8.
std::size_t WholeCharacters(std::string_view text) {
  std::size_t start = text.size();
  while (start > 0 && text.size() - start < 4) {
    const auto byte = static_cast<unsigned char>(text[--start]);
    if ((byte & 0xC0) == 0x80) continue;
    return Utf8Length(text.substr(start)) == 0 ? start : text.size();
  }
  return text.size();
}

}  // namespace

LargeBody::LargeBody(store::Store& store, Workspace& workspace)
    : store_(store), packer_(*workspace.packer), room_(workspace.large_body), arena_(room_.values) {
  mbedtls_sha256_init(&digest_);
}

LargeBody::~LargeBody() { mbedtls_sha256_free(&digest_); }

Result<void> LargeBody::Begin(const store::Operation& operation, std::size_t most_bytes) {
  operation_ = operation;
  most_bytes_ = most_bytes;
  arena_.Reset();
  HF_TRY(store_.LoadLong(operation_, Workspace::OfLargeBody::kLongestShort, arena_, row_));
  std::uint64_t bytes = 0;
  short_.clear();
  for (std::size_t i = 0; i < row_.fields.size(); ++i) {
    const Field& field = row_.fields.view()[i];
    bytes += row_.long_bytes[i] + field.value.text.size();
    if (row_.long_bytes[i] == 0) HF_TRY(short_.Add(field.name, field.type, field.value));
  }
  if (bytes > limits::kLargeRowBytes) {
    return Error{Code::kTooLarge, Origin::kNone, 0, "a row of more than 16 MiB"};
  }
  upload_ = {};
  upload_.sequence = operation_.sequence;
  upload_.changes = operation_.changes;
  upload_.kind = operation_.kind;
  upload_.base_version = operation_.base_version;
  upload_.mask = row_.mask;
  field_ = piece_used_ = 0;
  offset_ = packed_ = 0;
  begun_ = written_ = false;
  packer_.Begin();
  mbedtls_sha256_starts(&digest_, 0);
  return store_.BeginUpload(operation_.sequence);
}

Result<bool> LargeBody::Step() {
  HF_TRY(store_.Begin());
  auto worked = Work();
  if (worked) worked = store_.Commit();
  if (!worked) {
    store_.Rollback();
    return worked.error();
  }
  return upload_.bytes > 0;
}

Result<void> LargeBody::Work() {
  store::Operation now;
  HF_TRY_ASSIGN(const bool there, store_.Find(operation_.sequence, now));
  if (!there || now.changes != operation_.changes) {
    return Error{Code::kBusy, Origin::kNone, 0, "the row was edited while it was read"};
  }
  for (std::size_t done = 0; done < kStepBytes && !written_;) {
    TextWriter text(room_.text);
    HF_TRY(NextText(text));
    HF_TRY_ASSIGN(const std::string_view json, text.Finish());
    HF_TRY(Pack(json, written_));
    done += json.size();
  }
  return written_ ? Seal() : Ok();
}

// The next part of the JSON: a bracket, a short value, or a part of a long one.
Result<void> LargeBody::NextText(TextWriter& text) {
  if (!begun_) {
    begun_ = true;
    text.Put("{\"id\":");
    wire::EncodeString(operation_.id.view(), text);
    return Ok();
  }
  if (field_ == row_.fields.size()) {
    text.Put('}');
    written_ = true;
    return Ok();
  }
  return row_.long_bytes[field_] == 0 ? PutShort(text) : PutLongPart(text);
}

Result<void> LargeBody::PutShort(TextWriter& text) {
  const Field& field = row_.fields.view()[field_++];
  text.Put(',');
  wire::EncodeString(field.name, text);
  text.Put(':');
  return wire::EncodeScalar(field, text);
}

Result<void> LargeBody::PutLongPart(TextWriter& text) {
  const Field& field = row_.fields.view()[field_];
  const std::uint64_t left = row_.long_bytes[field_] - offset_;
  const bool is_blob = field.value.type == ValueType::kBlob;
  if (offset_ == 0) {
    text.Put(',');
    wire::EncodeString(field.name, text);
    text.Put(":\"");
  }
  std::size_t size = std::size_t(std::min<std::uint64_t>(sizeof room_.read, left));
  if (!is_blob) size = std::min(size, Workspace::OfLargeBody::kPartBytes / 6);
  HF_TRY(store_.ReadLong(operation_, row_.columns[field_], offset_, {room_.read, size}));
  std::string_view part(room_.read, size);
  if (is_blob) {
    text.PutBase64(part);
  } else {
    if (size < left) part = part.substr(0, WholeCharacters(part));
    HF_TRY(wire::EncodeTextPart(part, text));
  }
  offset_ += part.size();
  if (offset_ == row_.long_bytes[field_]) {
    text.Put('"');
    offset_ = 0;
    ++field_;
  }
  return Ok();
}

Result<void> LargeBody::Pack(std::string_view text, bool last) {
  for (;;) {
    const std::size_t room = store::Store::kUploadPiece - piece_used_;
    const std::size_t used = packer_.Feed(text, last, {room_.piece + piece_used_, room});
    piece_used_ += used;
    if (used < room) return Ok();
    HF_TRY(StorePiece());
  }
}

Result<void> LargeBody::StorePiece() {
  const std::string_view piece(room_.piece, piece_used_);
  if (packed_ + piece.size() > most_bytes_) {
    return Error{Code::kTooLarge, Origin::kNone, 0, "a row that is longer than the server takes"};
  }
  mbedtls_sha256_update(&digest_, Bytes(piece), piece.size());
  HF_TRY(store_.AppendUpload(operation_.sequence, packed_, piece));
  packed_ += piece.size();
  piece_used_ = 0;
  return Ok();
}

Result<void> LargeBody::Seal() {
  if (piece_used_ > 0) HF_TRY(StorePiece());
  std::array<char, 32> digest;
  mbedtls_sha256_finish(&digest_, reinterpret_cast<unsigned char*>(digest.data()));
  HF_TRY(upload_.digest.Assign({digest.data(), digest.size()}));
  upload_.bytes = packed_;
  return store_.NoteUpload(upload_);
}

}  // namespace holdfast::agent
