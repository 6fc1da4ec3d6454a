// SPDX-License-Identifier: Apache-2.0
// Requests on a device, answers on a server.
#include "transport/wire.h"
#include "transport/wire_bulk.h"
#include "transport/wire_moment.h"

namespace holdfast::wire {
namespace {

// What closes a body at any place: a row list, a run, the runs, the body.
constexpr std::string_view kTail = "]]]]";
constexpr std::size_t kAnswerTailBytes = 1;

std::string_view KindName(BulkKind kind) {
  switch (kind) {
    case BulkKind::kUpdate: return "u";
    case BulkKind::kDelete: return "d";
    default: return "i";
  }
}

}  // namespace

BulkWriter::BulkWriter(std::span<char> room, Encoding encoding)
    : out_(room.first(room.size() > kTail.size() ? room.size() - kTail.size() : 0)) {
  HF_ASSERT(encoding == Encoding::kJson);
}

Result<void> BulkWriter::Begin(const BulkSender& sender) {
  out_.Put("[1,");
  EncodeString(sender.installation, out_);
  out_.Put(',');
  EncodeString(sender.incarnation, out_);
  out_.Put(',').PutInteger(sender.acknowledged).Put(',').PutInteger(sender.applied).Put(",[");
  if (auto text = out_.Finish(); !text) return text.error();
  return Ok();
}

Result<bool> BulkWriter::Add(const BulkOperation& operation) {
  const std::size_t before = out_.view().size();
  const std::size_t heads_before = head_count_, head_before = head_;
  auto put = Put(operation);
  if (put && *put && !out_.full()) {
    changes_ = operation.changes;
    last_sequence_ = operation.sequence;
    return true;
  }
  out_.Rewind(before);
  head_count_ = heads_before;
  head_ = head_before;
  if (!put && put.error().code != Code::kTooLarge) return put.error();
  return false;
}

// Into the run that is open when it goes on there, else into a new one.
Result<bool> BulkWriter::Put(const BulkOperation& operation) {
  const bool open = head_ != kBulkHeads;
  const std::size_t start = out_.view().size();
  if (open) out_.Put("]],");
  out_.Put('[');
  const std::size_t head_at = out_.view().size();
  HF_TRY(PutHead(operation));
  if (out_.full()) return false;
  const std::string_view text = out_.view().substr(head_at);
  std::size_t known = 0;
  while (known < head_count_ && out_.view().substr(heads_[known].at, heads_[known].bytes) != text) {
    ++known;
  }
  const bool goes_on = open && known == head_ && operation.changes == changes_ &&
                       operation.sequence == last_sequence_ + 1;
  if (goes_on) {
    out_.Rewind(start);
    out_.Put(',');
  } else {
    if (known == kBulkHeads) return false;
    if (known < head_count_) {
      out_.Rewind(head_at);
      out_.PutInteger(std::int64_t(known));
    } else {
      heads_[head_count_++] = {head_at, text.size()};
    }
    head_ = known;
    out_.Put(',').PutInteger(operation.sequence).Put(',').PutInteger(operation.changes).Put(",[");
  }
  HF_TRY(PutRow(operation));
  return true;
}

Result<void> BulkWriter::PutHead(const BulkOperation& operation) {
  out_.Put('[');
  EncodeString(operation.table, out_);
  out_.Put(",\"").Put(KindName(operation.kind)).Put("\",[");
  char before = '\0';
  for (const Field& field : operation.fields) {
    if (before != '\0') out_.Put(before);
    before = ',';
    EncodeString(field.name, out_);
  }
  out_.Put("]]");
  return Ok();
}

Result<void> BulkWriter::PutRow(const BulkOperation& operation) {
  out_.Put('[');
  if (!IsUtf8(operation.id)) {
    return Error{Code::kInvalidArgument, Origin::kJson, 0, "an id that is not UTF-8"};
  }
  EncodeString(operation.id, out_);
  if (operation.kind != BulkKind::kInsert) {
    out_.Put(',');
    if (operation.if_match.empty()) {
      out_.Put("null");
    } else {
      EncodeString(operation.if_match, out_);
    }
  }
  for (const Field& field : operation.fields) {
    out_.Put(',');
    HF_TRY(EncodeScalar(field, out_));
  }
  out_.Put(']');
  return Ok();
}

Result<std::string_view> BulkWriter::Finish() {
  HF_ASSERT(head_ != kBulkHeads && !out_.full());
  // The room behind was kept free for this.
  char* const end = const_cast<char*>(out_.view().data()) + out_.view().size();
  kTail.copy(end, kTail.size());
  return std::string_view(out_.view().data(), out_.view().size() + kTail.size());
}

// ---- answers

BulkAnswerWriter::BulkAnswerWriter(std::span<char> room, Encoding encoding)
    : out_(room.first(room.size() > kAnswerTailBytes ? room.size() - kAnswerTailBytes : 0)) {
  HF_ASSERT(encoding == Encoding::kJson);
  out_.Put('[');
}

void BulkAnswerWriter::Next() {
  if (out_.view().size() > 1) out_.Put(',');
}

bool BulkAnswerWriter::Flush() {
  if (pending_.count == 0) return true;
  const std::size_t before = out_.view().size();
  Next();
  out_.Put('[').PutInteger(pending_.first).Put(',').PutInteger(pending_.count).Put(',');
  out_.PutInteger(pending_.moment);
  if (pending_.changes >= 0) out_.Put(',').PutInteger(pending_.changes);
  out_.Put(']');
  if (out_.full()) {
    out_.Rewind(before);
    return false;
  }
  pending_.count = 0;
  return true;
}

bool BulkAnswerWriter::Done(const BulkDone& done) {
  const bool follows = pending_.count > 0 && done.first == pending_.first + pending_.count &&
                       done.moment == pending_.moment + pending_.count * kMomentStep &&
                       done.changes == pending_.changes;
  if (follows) {
    pending_.count += done.count;
    return true;
  }
  if (!Flush()) return false;
  pending_ = done;
  return true;
}

bool BulkAnswerWriter::Refused(std::int64_t sequence, int status, std::string_view words) {
  return Refuse(sequence, status, words, {});
}

bool BulkAnswerWriter::RefusedRow(std::int64_t sequence, int status, std::string_view row) {
  return Refuse(sequence, status, {}, row);
}

bool BulkAnswerWriter::Refuse(std::int64_t sequence, int status, std::string_view words,
                              std::string_view row) {
  if (!Flush()) return false;
  const std::size_t before = out_.view().size();
  Next();
  out_.Put('[').PutInteger(sequence).Put(',').PutInteger(status).Put(',');
  if (row.empty()) {
    EncodeString(words, out_);
  } else {
    out_.Put(row);
  }
  out_.Put(']');
  if (!out_.full()) return true;
  out_.Rewind(before);
  return false;
}

Result<std::string_view> BulkAnswerWriter::Finish() {
  if (!Flush() || out_.full()) {
    return Error{Code::kTooLarge, Origin::kNone, 0, "the answer has no room"};
  }
  char* const end = const_cast<char*>(out_.view().data()) + out_.view().size();
  *end = ']';
  return std::string_view(out_.view().data(), out_.view().size() + 1);
}

}  // namespace holdfast::wire
