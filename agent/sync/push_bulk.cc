// SPDX-License-Identifier: Apache-2.0
// Many operations in one exchange, with a server that has shown that it takes them.
#include <algorithm>

#include "agent/sync/push.h"
#include "hal/base/log.h"

namespace holdfast::agent {
namespace {

using store::Kind;
using transport::Method;
using transport::Status;

// Content from here on travels alone, where it can resume.
constexpr std::size_t kLargeRowBytes = 48 << 10;
// A body that is not taken is halved down to here; then rows go one by one.
constexpr std::size_t kSmallestBulk = 4 << 10;
constexpr int kBulkRefusalsMax = 8;
constexpr int kNewBeginningsMax = 2;

std::size_t TextBytes(RowView row) {
  std::size_t bytes = 0;
  for (const Field& field : row) bytes += field.value.text.size();
  return bytes;
}

wire::BulkKind WireKind(Kind kind) {
  switch (kind) {
    case Kind::kUpdate: return wire::BulkKind::kUpdate;
    case Kind::kDelete: return wire::BulkKind::kDelete;
    default: return wire::BulkKind::kInsert;
  }
}

}  // namespace

bool Push::TakesBulk() const {
  return options_.bulk_operations > 1 && transport_.capabilities().bulk.operations > 1 &&
         bulk_refusals_ < kBulkRefusalsMax && bulk_bytes_ >= kSmallestBulk;
}

// Fills one body with the next operations, makes them durably `attempted` in one commit, and sends
// it. false: nothing was sent, because the next operation has to go alone or there is none.
Result<bool> Push::TakeBulk() {
  const transport::Capabilities::Bulk& server = transport_.capabilities().bulk;
  const std::size_t most = std::min(options_.bulk_operations, server.operations);
  wire::BulkWriter writer({room_.body, std::min(bulk_bytes_, server.bytes)}, server.encoding);
  HF_TRY_ASSIGN(const store::Sender sender, store_.LoadSender());
  HF_TRY(writer.Begin(
      {store_.installation_id(), sender.incarnation.view(), sender.acknowledged, sender.applied}));
  bulk_.Clear();
  store::Store::Reading reading(store_);
  HF_TRY(reading.Begin());
  for (;;) {
    store::Operation operation;
    HF_TRY_ASSIGN(const bool found, store_.Next(cursor_, options_.tables, operation));
    if (!found || !bulk_.HasRoom(most, operation.id.size())) break;
    // An operation that stands on an earlier one of this very body has to wait for its outcome.
    if (operation.previous != 0 && !bulk_.empty() &&
        operation.previous >= bulk_.attempts()[0].sequence) {
      break;
    }
    HF_TRY_ASSIGN(const Place place, PlaceInBulk(operation, writer));
    if (place == Place::kAlone) break;
    cursor_ = operation.sequence;
  }
  if (bulk_.empty()) return false;
  HF_TRY_ASSIGN(const std::string_view body, writer.Finish());
  HF_TRY_ASSIGN(const bool marked, Mark(bulk_.attempts()));
  if (!marked) {
    bulk_.Clear();
    return true;  // read again with the next step
  }
  transport::Request request;
  request.method = Method::kBulk;
  request.body = body;
  HF_TRY(Send(request, Phase::kBulk));
  return true;
}

Result<Push::Place> Push::PlaceInBulk(store::Operation& operation, wire::BulkWriter& writer) {
  store::Store::Attempt attempt;
  store::Content content;
  HF_TRY_ASSIGN(const bool admitted, Admit(operation, attempt, content));
  if (!admitted) return Place::kPassed;
  bool passed = false;
  HF_TRY_ASSIGN(const bool may, MayGoInBulk(operation, content, passed));
  if (passed) return Place::kPassed;
  if (!may) return Place::kAlone;
  wire::BulkOperation out;
  out.kind = WireKind(operation.kind);
  out.table = operation.table->name();
  out.id = operation.id.view();
  if (operation.kind != Kind::kInsert) out.if_match = operation.base_version.view();
  out.sequence = operation.sequence;
  out.changes = operation.changes;
  out.fields = content.fields;
  auto added = writer.Add(out);
  // What cannot be said is refused where it is said alone, with words for it.
  if (!added || !*added) return Place::kAlone;
  bulk_.Add(operation, attempt);
  return Place::kTaken;
}

// `passed`: the program does not want it sent now.
Result<bool> Push::MayGoInBulk(const store::Operation& operation, const store::Content& content,
                               bool& passed) {
  if (!CheckId(operation.id.view()) || content.too_long) return false;
  if (TextBytes(content.fields) > kLargeRowBytes) return false;
  // Nothing differs, but an earlier attempt may have changed the server's row.
  if (operation.kind == Kind::kUpdate && content.mask == 0) return false;
  // It stands in the place of a write that may have arrived: what is there has to be seen first.
  if (operation.kind == Kind::kDelete && operation.base_version.empty() && operation.attempts > 0) {
    return false;
  }
  if (options_.handler == nullptr) return true;
  if (asked_ == operation.sequence) return false;
  HF_TRY_ASSIGN(const SyncHandler::Before wish, Ask(operation, content.fields));
  switch (wish) {
    case SyncHandler::Before::kSend: break;
    case SyncHandler::Before::kSkip:
      ++result_.skipped;
      passed = true;
      return false;
    case SyncHandler::Before::kAbort:
      return Error{Code::kCancelled, Origin::kNone, 0, "stopped by the program's handler"};
  }
  // With other values than the row's it goes alone: they are stored here once the server has them.
  if (sent_fields_.size() > 0) asked_ = operation.sequence;
  return sent_fields_.size() == 0;
}

Result<void> Push::OnBulk() {
  if (!answer_.outcome()) {
    // A link that did not carry this much in time may carry less.
    if (answer_.outcome().error().code == Code::kTimeout) bulk_bytes_ /= 2;
    return answer_.outcome().error();
  }
  if (answer_.status() == Status::kOk && answer_.is_json()) return OnBulkOutcomes();
  if (answer_.status() == Status::kConflict && answer_.is_json()) return OnSenderRefused();
  const Error error = StatusError(answer_);
  const bool about_bulk = Classify(error) == Disposition::kPark || answer_.native_status() == 501 ||
                          answer_.status() == Status::kNotFound ||
                          answer_.status() == Status::kGone;
  if (about_bulk && !answer_.looks_like_html()) return OnBulkRefused(error);
  result_.retry_after = answer_.retry_after();
  return error;
}

Result<void> Push::OnBulkOutcomes() {
  answer_.arena().Reset();
  wire::BulkAnswerReader reader(answer_.body(), answer_.arena());
  HF_TRY(reader.Begin());
  for (;;) {
    wire::BulkDone done;
    wire::BulkRefusal refusal;
    HF_TRY_ASSIGN(const wire::BulkAnswerReader::Outcome next, reader.Next(done, refusal));
    if (next == wire::BulkAnswerReader::Outcome::kEnd) break;
    if (next == wire::BulkAnswerReader::Outcome::kDone) {
      HF_TRY(bulk_.Note(done));
    } else {
      HF_TRY(bulk_.Note(refusal));
    }
  }
  HF_TRY(bulk_.NoteEnd());
  HF_TRY_ASSIGN(const std::size_t stay, store_.Complete(bulk_));
  edited_meanwhile_ = edited_meanwhile_ || stay > 0;
  result_.pushed += bulk_.applied();
  bulk_bytes_ = std::min(bulk_bytes_ + bulk_bytes_ / 8, options_.bulk_bytes);
  phase_ = Phase::kTake;
  return Ok();
}

// Each goes again alone, where there is room for what the server has to say about it.
Result<void> Push::TakeRefused() {
  while (bulk_.refused_left() > 0 && window_count_ < options_.window_rows) {
    window_[window_count_++] = bulk_.TakeRefused();
  }
  phase_ = Phase::kSend;
  return Ok();
}

// The server does not take the body as a whole, and has applied nothing.
Result<void> Push::OnBulkRefused(const Error& error) {
  char words[256];
  const std::string_view said = answer_.Words(words);
  Log(LogLevel::kInfo, "push: a bulk of %zu operations is refused (%d): %.*s", bulk_.size(),
      int(error.native), int(said.size()), said.data());
  // Less of it may do; of anything else it has had enough. A coding that it refuses is given up by
  // the transport.
  const bool size = answer_.status() == Status::kTooLarge, coding = answer_.native_status() == 415;
  bulk_refusals_ += size || coding ? 1 : kBulkRefusalsMax;
  if (size) bulk_bytes_ /= 2;
  return TakeAgain();
}

// One of the two has lost its memory; or this is a copy of a device that goes on elsewhere.
Result<void> Push::OnSenderRefused() {
  auto row = answer_.Row();
  if (!row) return row.error();
  const bool restored = FindText(*row, "reason") == "restored";
  if (!restored && FindText(*row, "reason") != "rewound") return StatusError(answer_);
  if (++new_beginnings_ > kNewBeginningsMax) {
    return Error{Code::kBadAnswer, Origin::kNone, 0, "the server does not know who we are"};
  }
  HF_TRY(store_.BeginIncarnation());
  std::uint64_t again = 0;
  for (const store::Table* table : store_.tables()) {
    if (!restored) break;
    HF_TRY_ASSIGN(const std::uint64_t count, store_.Requeue(*table, FindText(*row, "newest")));
    HF_TRY(store_.ForgetDeltaTokens(*table));
    again += count;
  }
  if (restored) {
    Log(LogLevel::kWarning,
        "push: the server has forgotten this device (restored from a backup, or another server); "
        "%llu rows that it may have lost are sent again",
        static_cast<unsigned long long>(again));
  } else {
    Log(LogLevel::kWarning,
        "push: the server knows more of this device than the device itself (restored from an "
        "image, or cloned); it goes on as a new one");
  }
  return TakeAgain();
}

// Nothing of the bulk was applied: from its first operation on, once more.
Result<void> Push::TakeAgain() {
  HF_TRY(store_.UnmarkUnsent(bulk_.attempts()));
  cursor_ = bulk_.attempts()[0].sequence - 1;
  if (new_beginnings_ > 0) cursor_ = 0;
  bulk_.Clear();
  phase_ = Phase::kTake;
  return Ok();
}

}  // namespace holdfast::agent
