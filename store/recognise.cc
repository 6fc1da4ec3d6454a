// SPDX-License-Identifier: Apache-2.0
// Attempts: what was sent, so that our own write is known when its answer was lost.
#include <cstring>

#include "store/sent.h"
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

void PutBigEndian(std::uint64_t value, char* out) {
  for (int i = 0; i < 8; ++i) out[i] = char(value >> (56 - 8 * i) & 0xff);
}

}  // namespace

// The first attempt of an operation, which most are. false: there was one before.
Result<bool> SqliteStore::MarkFirst(const Attempt& attempt) {
  char record[kSentRecordBytes];
  PutBigEndian(attempt.mask, record);
  PutBigEndian(attempt.digest, record + 8);
  HF_TRY(Ready(mark_first_));
  mark_first_.Bind(1, attempt.sequence);
  if (attempt.mask != 0 || attempt.digest != 0) {
    mark_first_.BindBlob(2, {record, sizeof record});
  } else {
    mark_first_.BindNull(2);
  }
  HF_TRY(RunReady(mark_first_));
  return sqlite3_changes(database_) > 0;
}

// Adds the attempt to the operation's `sent`, or takes it off, and writes the state. false: the
// operation is gone.
Result<bool> SqliteStore::SentAfter(std::int64_t sequence, const Attempt& attempt, bool add) {
  char records[kSentRecordBytes * (kSentRecords + 1)];
  std::size_t size = 0;
  {
    HF_TRY(Ready(sent_));
    const Using use(sent_);
    sent_.Bind(1, sequence);
    auto found = sent_.Step();
    if (!found) return Explain(found.error());
    if (!*found) return false;
    std::string_view sent = sent_.Text(0);
    const std::size_t most = kSentRecordBytes * kSentRecords;
    if (sent.size() > most) sent.remove_prefix(sent.size() - most);
    if (!sent.empty()) std::memcpy(records, sent.data(), sent.size());
    size = sent.size();
  }
  char record[kSentRecordBytes];
  PutBigEndian(attempt.mask, record);
  PutBigEndian(attempt.digest, record + 8);
  const bool last = size >= kSentRecordBytes &&
                    std::memcmp(records + size - kSentRecordBytes, record, kSentRecordBytes) == 0;
  std::string_view sent(records, size);
  // A delete carries nothing; an insert of nulls has a digest.
  if (add && (attempt.mask != 0 || attempt.digest != 0) && !last) {
    std::memcpy(records + size, record, kSentRecordBytes);
    sent = {records, size + kSentRecordBytes};
    if (sent.size() > kSentRecordBytes * kSentRecords) sent.remove_prefix(kSentRecordBytes);
  } else if (!add && attempt.was_pending && last) {
    sent.remove_suffix(kSentRecordBytes);
  }
  Statement& write = add ? mark_ : unmark_;
  HF_TRY(Ready(write));
  write.Bind(1, sequence);
  if (sent.empty()) {
    write.BindNull(2);
  } else {
    write.BindBlob(2, sent);
  }
  if (!add) write.Bind(3, std::int64_t{attempt.was_pending});
  HF_TRY(RunReady(write));
  return true;
}

Result<void> SqliteStore::MarkAttempted(std::span<const Attempt> attempts) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  for (const Attempt& attempt : attempts) {
    HF_TRY_ASSIGN(const bool first, MarkFirst(attempt));
    if (first) continue;
    HF_TRY_ASSIGN(const bool there, SentAfter(attempt.sequence, attempt, true));
    if (!there) return Error{Code::kBusy, Origin::kNone, 0, "a row was deleted before it was sent"};
  }
  return transaction.Commit();
}

Result<void> SqliteStore::UnmarkUnsent(std::span<const Attempt> attempts) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  for (const Attempt& attempt : attempts) {
    HF_TRY_ASSIGN(const bool there, SentAfter(attempt.sequence, attempt, false));
    (void)there;
  }
  return transaction.Commit();
}

Result<Store::Sent> SqliteStore::WasSent(const Operation& operation, RowView server_row) {
  HF_TRY(Ready(sent_));
  const Using use(sent_);
  sent_.Bind(1, operation.sequence);
  auto found = sent_.Step();
  if (!found) return Explain(found.error());
  if (!*found) return Sent::kNever;
  const std::string_view sent = sent_.Text(0);
  Sent best = Sent::kNever;
  ForEachSent(sent, [&](std::uint64_t mask, std::uint64_t digest) {
    const bool raised = mask == kRaised;
    if (mask == 0) {  // an insert of nulls only: any other row of that id is not ours
      mask = ~mask;
      digest = DigestRow(*operation.table, {}, mask);
    }
    if (DigestRow(*operation.table, server_row, mask) != digest) return;
    if (best != Sent::kRaised) best = raised ? Sent::kRaised : Sent::kWritten;
  });
  return best;
}

// The columns of `server_row` that an attempt of this operation has written.
Result<std::uint64_t> SqliteStore::WrittenColumns(const Operation& operation, RowView server_row) {
  HF_TRY(Ready(sent_));
  const Using use(sent_);
  sent_.Bind(1, operation.sequence);
  HF_TRY_ASSIGN(const bool found, sent_.Step());
  std::uint64_t written = 0;
  ForEachSent(found ? sent_.Text(0) : std::string_view(), [&](std::uint64_t mask,
                                                              std::uint64_t digest) {
    const bool ours = mask != kRaised && DigestRow(*operation.table, server_row, mask) == digest;
    if (ours) written |= mask;
  });
  return written;
}

// Whether nobody else has changed the row that is deleted here: the server's differs from what it
// was before our first edit in nothing that we have not written ourselves. An insert began with
// nothing.
Result<bool> SqliteStore::IsUntouched(const Operation& operation, RowView server_row) {
  SqliteTable& table = Own(*operation.table);
  HF_TRY_ASSIGN(const std::uint64_t written, WrittenColumns(operation, server_row));
  HF_TRY(Ready(op_changes_));
  const Using use(op_changes_);
  op_changes_.Bind(1, operation.sequence);
  HF_TRY(op_changes_.Step());
  const bool known = !op_changes_.IsNull(5);
  if (!known && !operation.base_version.empty()) return true;  // nobody can tell
  const std::string_view text = op_changes_.Text(5);
  if (text.size() >= kCopiesBytes) return true;  // nor here
  Arena arena({copies_.get(), kCopiesBytes});
  ContentValues before;
  if (known) HF_TRY(ParseContent(text, table, arena, before));
  const auto columns = table.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if ((written >> i & 1) != 0) continue;
    const Field* there = holdfast::Find(server_row, columns[i].name.view());
    const Value old = (before.present >> i & 1) != 0 ? before.values[i] : Value::Null();
    if (there != nullptr && !SameValue(columns[i].type, there->value, old)) return false;
  }
  return true;
}

// The server's row stands on a write of ours: columns that nobody here has changed since take its
// values. `by_others`: they may be somebody else's; false then, when both sides have changed a
// column. Else they are what the server made of our own write, and a newer edit goes on top.
Result<bool> SqliteStore::TakeTheirs(const Operation& operation, RowView server_row,
                                     bool by_others) {
  if (operation.kind == Kind::kDelete) return IsUntouched(operation, server_row);
  SqliteTable& table = Own(*operation.table);
  HF_TRY_ASSIGN(const std::uint64_t written, WrittenColumns(operation, server_row));
  Arena arena({copies_.get(), kCopiesBytes});
  RowFields local, base, theirs;
  HF_TRY_ASSIGN(const Copies copies, LoadCopies(operation.sequence, arena, local, base));
  if (copies.base.empty() && operation.kind == Kind::kUpdate) return true;  // nobody can tell
  const auto columns = table.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if ((written >> i & 1) != 0) continue;
    const std::string_view name = columns[i].name.view();
    const ColumnType type = columns[i].type;
    const Field* ours = holdfast::Find(copies.local, name);
    const Field* before = holdfast::Find(copies.base, name);
    const Field* there = holdfast::Find(server_row, name);
    if (ours == nullptr || there == nullptr) continue;
    const Value old = before == nullptr ? Value::Null() : before->value;
    if (SameValue(type, there->value, old) || SameValue(type, there->value, ours->value)) continue;
    if (!SameValue(type, ours->value, old)) {
      if (by_others) return false;
      continue;
    }
    HF_TRY(theirs.Add(name, type, there->value));
  }
  if (theirs.size() == 0) return true;
  Completion values;
  values.table = operation.table;
  values.sequence = operation.sequence;
  values.id = operation.id;
  values.row = theirs.view();
  HF_TRY(WriteServerRow(table, values));
  return true;
}

Result<bool> SqliteStore::Recognise(std::int64_t sequence, std::string_view version,
                                    RowView server_row) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  Operation operation;
  HF_TRY_ASSIGN(const bool found, Find(sequence, operation));
  if (!found) return true;
  HF_TRY_ASSIGN(const bool ours, TakeTheirs(operation, server_row, true));
  if (!ours) return false;
  HF_TRY(Rebase(sequence, version, server_row));
  HF_TRY(transaction.Commit());
  return true;
}

}  // namespace holdfast::store
