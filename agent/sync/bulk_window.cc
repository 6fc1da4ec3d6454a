// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/bulk_window.h"

#include <cstring>

#include "transport/wire_moment.h"

namespace holdfast::agent {
namespace {

Error Odd(const char* what) { return {Code::kBadAnswer, Origin::kNone, 0, what}; }

}  // namespace

void BulkWindow::Clear() {
  count_ = ids_used_ = noted_ = applied_ = handed_out_ = refused_left_ = refused_next_ = 0;
}

bool BulkWindow::HasRoom(std::size_t most, std::size_t id_bytes) const {
  return count_ < most && count_ < entries_.size() && id_bytes <= kIdRoom - ids_used_;
}

void BulkWindow::Add(const store::Operation& operation, const store::Store::Attempt& attempt) {
  const std::string_view id = operation.id.view();
  HF_ASSERT(HasRoom(entries_.size(), id.size()));
  std::memcpy(ids_.data() + ids_used_, id.data(), id.size());
  attempts_[count_] = attempt;
  Entry& entry = entries_[count_++];
  entry = {};
  entry.table = operation.table;
  entry.changes = attempt.changes;
  entry.kind = operation.kind;
  entry.id_at = std::uint32_t(ids_used_);
  entry.id_bytes = std::uint8_t(id.size());
  ids_used_ += id.size();
}

Result<void> BulkWindow::Note(const wire::BulkDone& done) {
  for (std::int64_t i = 0; i < done.count; ++i, ++noted_) {
    if (noted_ == count_ || attempts_[noted_].sequence != done.first + i) {
      return Odd("the outcome of another operation");
    }
    Entry& entry = entries_[noted_];
    entry.moment = done.moment + i * wire::kMomentStep;
    const bool earlier = done.changes >= 0 && done.changes != entry.changes;
    entry.outcome = earlier ? Outcome::kAppliedEarlier : Outcome::kApplied;
    if (earlier) entry.changes = done.changes;
    applied_ += earlier ? 0 : 1;
  }
  return Ok();
}

Result<void> BulkWindow::Note(const wire::BulkRefusal& refusal) {
  if (noted_ == count_ || attempts_[noted_].sequence != refusal.sequence) {
    return Odd("the outcome of another operation");
  }
  entries_[noted_++].outcome = Outcome::kRefused;
  ++refused_left_;
  return Ok();
}

Result<void> BulkWindow::NoteEnd() const {
  return noted_ == count_ ? Ok() : Result<void>(Odd("an operation has no outcome"));
}

Result<bool> BulkWindow::Next(store::Completion& completion) {
  while (handed_out_ < count_ && entries_[handed_out_].outcome == Outcome::kRefused) ++handed_out_;
  if (handed_out_ == count_) return false;
  const Entry& entry = entries_[handed_out_];
  completion = {};
  completion.table = entry.table;
  completion.sequence = attempts_[handed_out_].sequence;
  completion.changes = entry.changes;
  completion.identified = true;
  HF_TRY(completion.id.Assign({ids_.data() + entry.id_at, entry.id_bytes}));
  ++handed_out_;
  if (entry.kind == store::Kind::kDelete) return true;
  const wire::MomentVersion version = wire::VersionOfMoment(entry.moment);
  HF_TRY(completion.version.Assign({version.data(), version.size()}));
  completion.updated_at = wire::DateOfMoment(entry.moment);
  if (entry.kind == store::Kind::kInsert) completion.created_at = completion.updated_at;
  return true;
}

const store::Store::Attempt& BulkWindow::TakeRefused() {
  HF_ASSERT(refused_left_ > 0);
  while (entries_[refused_next_].outcome != Outcome::kRefused) ++refused_next_;
  --refused_left_;
  return attempts_[refused_next_++];
}

}  // namespace holdfast::agent
