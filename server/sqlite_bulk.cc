// SPDX-License-Identifier: Apache-2.0
// Many operations of one device in one transaction, each known again when it comes a second time.
#include <cstring>

#include "hal/base/log.h"
#include "server/sqlite_rows.h"

namespace holdfast::server {
namespace {

// The one that was used longest ago makes room.
constexpr std::int64_t kSendersOfADevice = 1000;
constexpr std::size_t kDigestBytes = 4;
// A run lies within one body, so that one which covers a sequence begins this far before at most.
constexpr std::int64_t kLongestRun = limits::kBulkOperations;

void Finish(Statement& statement, const Database& database) {
  const int code = statement.Step();
  statement.Reset();
  if (code != SQLITE_DONE) throw StorageError(code, database.message());
}

// Whether the statement found a row.
bool Found(Statement& statement, const Database& database) {
  const int code = statement.Step();
  if (code != SQLITE_ROW && code != SQLITE_DONE) throw StorageError(code, database.message());
  return code == SQLITE_ROW;
}

}  // namespace

void SqliteRows::PrepareBulk() {
  find_sender_ = database_.Prepare(
      "SELECT id,acknowledged,told_applied,applied,used FROM __senders WHERE device=?1 AND "
      "installation=?2 AND incarnation=?3");
  add_sender_ = database_.Prepare(
      "INSERT INTO __senders(device,installation,incarnation,acknowledged,told_applied,applied,"
      "used) VALUES(?1,?2,?3,0,0,0,?4)");
  note_sender_ = database_.Prepare(
      "UPDATE __senders SET acknowledged=?2,told_applied=?3,applied=?4,used=?5 WHERE id=?1");
  drop_senders_ = database_.Prepare(
      "DELETE FROM __senders WHERE id IN(SELECT id FROM __senders WHERE device=?1 ORDER BY used "
      "DESC,id DESC LIMIT -1 OFFSET ?2)");
  drop_told_ = database_.Prepare(
      "DELETE FROM __outcomes WHERE sender IN(SELECT id FROM __senders WHERE device=?1 ORDER BY "
      "used DESC,id DESC LIMIT -1 OFFSET ?2)");
  find_told_ = database_.Prepare(
      "SELECT first,changes,moment,digests FROM __outcomes WHERE sender=?1 AND first<=?2 AND "
      "first>?2-?4 AND first+count>?2 ORDER BY changes=?3 DESC, moment DESC LIMIT 1");
  keep_told_ = database_.Prepare("INSERT OR REPLACE INTO __outcomes VALUES(?1,?2,?3,?4,?5,?6)");
  forget_told_ = database_.Prepare(
      "DELETE FROM __outcomes WHERE sender=?1 AND first<=?2 AND first+count-1<=?2");
}

BulkOutcome SqliteRows::ApplyBulk(const Sender& sender, Bulk& bulk) {
  BulkOutcome outcome = BulkOutcome::kFailed;
  together_ = false;
  try {
    outcome = ApplyBulkInTransaction(sender, bulk);
  } catch (const StorageError& error) {
    Log(LogLevel::kError, "storage: %s", error.what());
  } catch (...) {
    Undo();
    throw;
  }
  together_ = false;
  if (outcome != BulkOutcome::kDone) Undo();
  return outcome;
}

// Whatever the storage makes of it: what is not committed is gone when it is opened again.
void SqliteRows::Undo() {
  together_ = false;
  try {
    if (database_.in_transaction()) database_.Run("ROLLBACK");
    if (catalog_changed_) LoadCatalog();
  } catch (const StorageError& error) {
    Log(LogLevel::kError, "storage: %s", error.what());
  }
}

BulkOutcome SqliteRows::ApplyBulkInTransaction(const Sender& sender, Bulk& bulk) {
  Finish(begin_, database_);
  hard_deleted_ = false;
  KnownSender known;
  const bool is_known = FindSender(sender, known);
  if (sender.applied > known.applied) {
    bulk.OnRestored(known.used);
    return BulkOutcome::kRestored;
  }
  if (sender.acknowledged < known.acknowledged || sender.applied < known.told_applied) {
    return BulkOutcome::kRewound;
  }
  if (!is_known) NoteSender(sender, known);
  Told told;
  while (Operated* operated = bulk.Next()) {
    Earlier earlier;
    if (operated->sequence <= known.applied && FindEarlier(known, *operated, earlier)) {
      const bool same = earlier.changes == operated->changes;
      if (same && earlier.digest != operated->digest) return BulkOutcome::kRewound;
      bulk.OnApplied(*operated, earlier.moment, same ? -1 : earlier.changes);
      continue;
    }
    ApplyOperated(*operated);
    if (operated->write.outcome != Outcome::kDone) {
      bulk.OnRefused(*operated);
      continue;
    }
    together_ = true;
    Tell(known, *operated, clock_.last(), told);
    if (operated->sequence > known.applied) known.applied = operated->sequence;
    bulk.OnApplied(*operated, clock_.last(), -1);
  }
  KeepTold(known, told);
  known.acknowledged = sender.acknowledged;
  known.told_applied = sender.applied;
  NoteSender(sender, known);
  if (hard_deleted_) {
    database_.Run("INSERT OR REPLACE INTO __meta VALUES('last_moment'," +
                  std::to_string(clock_.last()) + ")");
  }
  Finish(commit_, database_);
  catalog_changed_ = false;
  return BulkOutcome::kDone;
}

bool SqliteRows::FindSender(const Sender& sender, KnownSender& known) {
  ResetAtEnd reset(find_sender_);
  find_sender_.Bind(1, sender.device);
  find_sender_.Bind(2, sender.installation);
  find_sender_.Bind(3, sender.incarnation);
  if (!Found(find_sender_, database_)) return false;
  known = {find_sender_.Integer(0), find_sender_.Integer(1), find_sender_.Integer(2),
           find_sender_.Integer(3), find_sender_.Integer(4)};
  return true;
}

// Adds it, or writes down what is known by now; and forgets what nobody will ask for.
void SqliteRows::NoteSender(const Sender& sender, KnownSender& known) {
  if (known.id == 0) {
    add_sender_.Bind(1, sender.device);
    add_sender_.Bind(2, sender.installation);
    add_sender_.Bind(3, sender.incarnation);
    add_sender_.Bind(4, clock_.last());
    Finish(add_sender_, database_);
    known.id = database_.last_row_id();
    for (Statement* drop : {&drop_told_, &drop_senders_}) {
      drop->Bind(1, sender.device);
      drop->Bind(2, kSendersOfADevice);
      Finish(*drop, database_);
    }
    return;
  }
  note_sender_.Bind(1, known.id);
  note_sender_.Bind(2, known.acknowledged);
  note_sender_.Bind(3, known.told_applied);
  note_sender_.Bind(4, known.applied);
  note_sender_.Bind(5, clock_.last());
  Finish(note_sender_, database_);
  forget_told_.Bind(1, known.id);
  forget_told_.Bind(2, known.acknowledged);
  Finish(forget_told_, database_);
}

// What the sender was told when this operation came before. Not when it says more than it did then:
// it stands on the version that it got, or on a later one.
bool SqliteRows::FindEarlier(const KnownSender& sender, const Operated& operated,
                             Earlier& earlier) {
  ResetAtEnd reset(find_told_);
  find_told_.Bind(1, sender.id);
  find_told_.Bind(2, operated.sequence);
  find_told_.Bind(3, operated.changes);
  find_told_.Bind(4, kLongestRun);
  if (!Found(find_told_, database_)) return false;
  const auto at = static_cast<std::size_t>(operated.sequence - find_told_.Integer(0));
  const std::string_view digests = find_told_.Text(3);
  if (digests.size() < (at + 1) * kDigestBytes) return false;
  earlier.changes = find_told_.Integer(1);
  earlier.moment = find_told_.Integer(2) + static_cast<std::int64_t>(at) * ChangeClock::kStep;
  std::memcpy(&earlier.digest, digests.data() + at * kDigestBytes, kDigestBytes);
  if (earlier.changes == operated.changes) return true;
  const std::vector<std::string>& versions = operated.write.conditions.match.versions;
  return versions.empty() || wire::MomentOfVersion(versions[0]) < earlier.moment;
}

// Whether applying it may change the catalog.
bool SqliteRows::MayGrow(const Write& write) {
  const Table* table = Find(write.table);
  if (table == nullptr) return true;
  std::size_t hint = 0;
  for (const Field& field : write.fields) {
    const int index = table->schema.IndexOf(field.name, hint);
    if (index < 0) return true;
    hint = static_cast<std::size_t>(index) + 1;
    const Column& column = table->schema.columns[static_cast<std::size_t>(index)];
    if (column.type == ColumnType::kAny && !column.declared) return true;
  }
  return false;
}

// A savepoint costs as much as the insert: only where there may be something to take back. A quiet
// insert cannot turn out to be too large once it is done.
void SqliteRows::ApplyOperated(Operated& operated) {
  Write& write = operated.write;
  const bool simple = write.change == Change::kInsert && write.quiet && !MayGrow(write);
  if (!simple) Finish(savepoint_, database_);
  ApplyOne(write);
  if (simple) return;
  if (write.outcome != Outcome::kDone) {
    database_.Run("ROLLBACK TO one");
    if (catalog_changed_) LoadCatalog();
  }
  Finish(release_, database_);
}

void SqliteRows::Tell(const KnownSender& sender, const Operated& operated, std::int64_t moment,
                      Told& told) {
  const bool follows = told.count > 0 && operated.sequence == told.first + told.count &&
                       operated.changes == told.changes &&
                       moment == told.moment + told.count * ChangeClock::kStep;
  if (!follows) {
    KeepTold(sender, told);
    told = {operated.sequence, 0, operated.changes, moment, ""};
  }
  ++told.count;
  char digest[kDigestBytes];
  std::memcpy(digest, &operated.digest, kDigestBytes);
  told.digests.append(digest, kDigestBytes);
}

void SqliteRows::KeepTold(const KnownSender& sender, Told& told) {
  if (told.count == 0) return;
  keep_told_.Bind(1, sender.id);
  keep_told_.Bind(2, told.first);
  keep_told_.Bind(3, told.changes);
  keep_told_.Bind(4, told.count);
  keep_told_.Bind(5, told.moment);
  keep_told_.Bind(6, Value::Blob(told.digests));
  Finish(keep_told_, database_);
  told.count = 0;
}

}  // namespace holdfast::server
