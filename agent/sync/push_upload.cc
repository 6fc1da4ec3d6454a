// SPDX-License-Identifier: Apache-2.0
// Large rows: their body is made once, kept in the database, and goes up in pieces, where the
// server takes that. What it has of it, it keeps; what is left goes when there is a link again.
#include <algorithm>

#include "agent/sync/push.h"
#include "hal/base/log.h"

namespace holdfast::agent {
namespace {

using store::Kind;
using transport::Method;
using transport::Status;

constexpr std::size_t kSmallestAppend = 4 << 10;
constexpr std::size_t kBlockBytes = 1 << 10;
// The server has lost what it had, or wants another offset: again, but not for ever.
constexpr int kUploadRetriesMax = 4;

std::size_t TextBytes(RowView row) {
  std::size_t bytes = 0;
  for (const Field& field : row) bytes += field.value.text.size();
  return bytes;
}

// No other row would fare like that.
bool IsAboutRow(const Error& error) {
  return Classify(error) == Disposition::kPark || error.code == Code::kUnsupported ||
         error.code == Code::kInvalidArgument;
}

}  // namespace

// true: the row goes up in pieces, or is dealt with otherwise. false: in one request, as others do.
Result<bool> Push::GoesInPieces(bool too_long) {
  const bool large = too_long || TextBytes(current_.content.fields) > limits::kPieceRowBytes;
  if (!large || (current_.changed_by_handler && !too_long)) return false;
  if (transport_.capabilities().upload_bytes == 0) {
    const bool may_say_so =
        too_long || transport_.capabilities().holdfast || transport_.traffic().requests == 0;
    if (!asked_for_uploads_ && may_say_so) {
      HF_TRY(AskForUploads());
      return true;
    }
    if (!too_long) return false;
    HF_TRY(Park({Code::kTooLarge, Origin::kNone, 0,
                 "a row of more than 1 MiB, and the server does not take rows in pieces"}));
    return true;
  }
  HF_TRY(BeginLarge());
  return true;
}

// A small request that any server answers; ours says with it what it takes.
Result<void> Push::AskForUploads() {
  asked_for_uploads_ = true;
  if (options_.handler != nullptr) asked_ = current_.operation.sequence;
  transport::Request request;
  request.method = Method::kList;
  request.table = current_.operation.table->name();
  request.list.top = 1;
  request.list.ids_only = true;
  request.large = true;
  return Send(request, Phase::kAsk);
}

Result<void> Push::OnAsked() {
  if (!answer_.outcome()) return answer_.outcome();
  if (answer_.status() == Status::kOk) return Prepare();
  const Error error = StatusError(answer_);
  result_.retry_after = answer_.retry_after();
  return Classify(error) == Disposition::kPark ? Prepare() : error;
}

Result<void> Push::BeginLarge() {
  ++current_.tries;
  const store::Operation& operation = current_.operation;
  if (auto valid = CheckId(operation.id.view()); !valid) return Park(valid.error());
  const std::size_t most = std::min(transport_.capabilities().upload_bytes, limits::kUploadBytes);
  if (auto begun = large_.Begin(operation, most); !begun) {
    return IsAboutRow(begun.error()) ? Park(begun.error()) : begun;
  }
  if (current_.content.fields.empty()) {
    current_.content.fields = large_.short_fields();
    HF_TRY_ASSIGN(const bool wanted, AskHandler());
    if (!wanted) return Ok();
    if (current_.changed_by_handler) {
      return Park({Code::kUnsupported, Origin::kNone, 0,
                   "the program's handler changes a row of more than 1 MiB"});
    }
    current_.content = {};
  }
  phase_ = Phase::kReadLarge;
  return Ok();
}

Result<void> Push::ReadLarge() {
  auto whole = large_.Step();
  if (!whole) {
    if (whole.error().code == Code::kBusy && whole.error().origin == Origin::kNone) {
      return SendAgain();
    }
    return IsAboutRow(whole.error()) ? Park(whole.error()) : whole.error();
  }
  if (!*whole) return Ok();
  upload_ = large_.upload();
  upload_retries_ = 0;
  window_[window_next_].changes = upload_.changes;
  // It was marked before the row was read; between two tries of a conflict it was not.
  if (current_.decided) HF_TRY(store_.MarkAttempted({&window_[window_next_], 1}));
  return BeginUpload();
}

// What an earlier push has begun is brought to its end, with the bytes that it began with.
Result<bool> Push::ResumeUpload() {
  const store::Operation& operation = current_.operation;
  HF_TRY_ASSIGN(const bool found, store_.FindUpload(operation.sequence, upload_));
  if (!found) return false;
  const bool begun = !upload_.resource.empty();
  const bool stands = upload_.bytes > 0 && upload_.kind == operation.kind &&
                      upload_.base_version == operation.base_version.view() &&
                      (begun || upload_.changes == operation.changes);
  if (stands && transport_.capabilities().upload_bytes == 0 && !asked_for_uploads_) {
    HF_TRY(AskForUploads());
    return true;
  }
  if (!stands || transport_.capabilities().upload_bytes == 0) {
    HF_TRY(store_.DropUpload(operation.sequence));
    return false;
  }
  ++current_.tries;
  upload_retries_ = 0;
  current_.method = operation.kind == Kind::kInsert ? Method::kInsert : Method::kUpdate;
  window_[window_next_].changes = upload_.changes;
  HF_TRY(begun ? FindUpload() : BeginUpload());
  return true;
}

Result<void> Push::BeginUpload() {
  const store::Operation& operation = current_.operation;
  transport::Request request;
  request.method = Method::kBeginUpload;
  request.table = operation.table->name();
  request.id = operation.id.view();
  if (operation.kind != Kind::kInsert) request.if_match = operation.base_version.view();
  request.upload.method = current_.method;
  request.upload.length = upload_.bytes;
  request.upload.digest = upload_.digest.view();
  return Send(request, Phase::kBeginUpload);
}

Result<void> Push::OnUploadBegun() {
  if (!answer_.outcome()) return answer_.outcome();
  if (answer_.status() == Status::kCreated && !answer_.upload().empty()) {
    // Its name is durable before the first byte goes: after a power cut, nothing goes twice.
    HF_TRY(upload_.resource.Assign(answer_.upload()));
    HF_TRY(store_.NoteUpload(upload_));
    upload_offset_ = std::uint64_t(std::max<std::int64_t>(0, answer_.upload_offset()));
    return Append();
  }
  const Judgement judgement = JudgeWrite(current_.method, current_.operation.id.view(), answer_);
  return OnUploadRefused(judgement);
}

// Refused before any of it went.
Result<void> Push::OnUploadRefused(const Judgement& judgement) {
  switch (judgement.verdict) {
    case Verdict::kExists: return OnServerRow(judgement.row, judgement.version);
    case Verdict::kLookUp:
    case Verdict::kGone: return BeginLookup();
    case Verdict::kRefused:
      if (transport_.capabilities().upload_bytes == 0) return SendAgain();
      return Park(judgement.error);
    case Verdict::kStop: result_.retry_after = answer_.retry_after(); return judgement.error;
    case Verdict::kDone: break;
  }
  return Error{Code::kBadAnswer, Origin::kHttp, answer_.native_status(),
               "an upload was begun, and the server says that it is done"};
}

Result<void> Push::FindUpload() {
  transport::Request request;
  request.method = Method::kFindUpload;
  request.upload.resource = upload_.resource.view();
  return Send(request, Phase::kFindUpload);
}

Result<void> Push::OnUploadFound() {
  if (!answer_.outcome()) return answer_.outcome();
  const Status status = answer_.status();
  if (status == Status::kNotFound || status == Status::kGone) return OnUploadLost();
  const bool told = (status == Status::kOk || status == Status::kNoContent) &&
                    answer_.upload_offset() >= 0 &&
                    std::uint64_t(answer_.upload_offset()) <= upload_.bytes;
  if (!told) {
    result_.retry_after = answer_.retry_after();
    return StatusError(answer_);
  }
  upload_offset_ = std::uint64_t(answer_.upload_offset());
  return Append();
}

// The next piece; after the last one, an empty one asks for the answer that was lost.
Result<void> Push::Append() {
  const transport::Capabilities& server = transport_.capabilities();
  const std::uint64_t left = upload_.bytes - upload_offset_;
  // Ends where a block ends, for carriers that have such.
  std::size_t size = append_bytes_;
  if (server.bulk.bytes > 0) size = std::min(size, server.bulk.bytes);
  size -= std::size_t(upload_offset_ % kBlockBytes);
  size = std::size_t(std::min<std::uint64_t>(size, left));
  auto read = store_.ReadUpload(upload_.sequence, upload_offset_, {room_.body, size});
  if (!read) {
    if (read.error().code != Code::kCorrupt || read.error().origin == Origin::kSqlite) return read;
    HF_TRY(store_.DropUpload(upload_.sequence));
    return SendAgain();
  }
  transport::Request request;
  request.method = Method::kAppendUpload;
  request.upload.resource = upload_.resource.view();
  request.upload.offset = upload_offset_;
  request.upload.length = upload_.bytes;
  request.body = {room_.body, size};
  return Send(request, Phase::kAppend);
}

Result<void> Push::OnAppended() {
  if (!answer_.outcome()) {
    if (answer_.outcome().error().code == Code::kTimeout) {
      append_bytes_ = std::max(append_bytes_ / 2, kSmallestAppend);
    }
    return answer_.outcome();
  }
  if (answer_.upload_complete()) return OnAnswer();
  const std::int64_t told = answer_.upload_offset();
  const bool possible = told >= 0 && std::uint64_t(told) <= upload_.bytes;
  switch (answer_.status()) {
    case Status::kOk:
    case Status::kNoContent:
    case Status::kConflict: {
      const bool forward = possible && std::uint64_t(told) > upload_offset_;
      if (!possible || (!forward && ++upload_retries_ > kUploadRetriesMax)) break;
      upload_offset_ = std::uint64_t(told);
      return Append();
    }
    case Status::kNotFound:
    case Status::kGone:
    case Status::kBadRequest:
    case Status::kTooLarge: return OnUploadLost();
    default: break;
  }
  result_.retry_after = answer_.retry_after();
  return StatusError(answer_);
}

Result<void> Push::OnUploadLost() {
  if (++upload_retries_ > kUploadRetriesMax) return Park(StatusError(answer_));
  upload_.resource.clear();
  HF_TRY(store_.NoteUpload(upload_));
  return BeginUpload();
}

// The server's row is longer than what we look at: all that is known of it is its version.
Result<void> Push::OnUnseenRow(std::string_view version) {
  const store::Operation& operation = current_.operation;
  if (version.empty()) {
    return Park({Code::kTooLarge, Origin::kHttp, answer_.native_status(),
                 "the server's row is too large to be looked at"});
  }
  if (options_.policies[std::size_t(operation.table->number())].rule == Rule::kClient) {
    ++result_.resolved;
    current_.decided = true;
    HF_TRY(store_.Rebase(operation.sequence, version, {}));
    return SendAgain();
  }
  transport::Version kept;
  HF_TRY(kept.Assign(version));
  RowFields row;
  HF_TRY(row.Add(kId, ColumnType::kText, Value::Text(operation.id.view())));
  HF_TRY(row.Add(kVersion, ColumnType::kText, Value::Text(kept.view())));
  // Whoever takes this copy gets it with the next pull.
  HF_TRY(row.Add(kBytesOfRow, ColumnType::kInteger, Value::Integer(0)));
  return KeepConflict(row.view(), kept.view());
}

}  // namespace holdfast::agent
