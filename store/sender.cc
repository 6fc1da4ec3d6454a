// SPDX-License-Identifier: Apache-2.0
// Who this database is to the server, and what happens when one of the two has lost its memory.
#include "hal/base/log.h"
#include "hal/base/text.h"
#include "store/migrate.h"
#include "store/schema.h"
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

constexpr std::string_view kIncarnation = "incarnation";
constexpr std::string_view kApplied = "applied";

}  // namespace

Result<void> SqliteStore::LoadNames() {
  HF_TRY(Ready(get_config_));
  const Using use(get_config_);
  for (auto [key, target] :
       {std::pair{"installation", &installation_}, {"idPrefix", &id_prefix_}}) {
    get_config_.Reset();
    get_config_.Bind(1, std::string_view(key));
    HF_TRY_ASSIGN(const bool found, get_config_.Step());
    if (!found) return Error{Code::kCorrupt, Origin::kNone, 0, "__config has no installation"};
    HF_TRY(target->Assign(get_config_.Text(0)));
  }
  return Ok();
}

Result<Sender> SqliteStore::LoadSender() {
  Sender sender;
  HF_TRY(Ready(get_config_));
  for (const std::string_view key : {kIncarnation, kApplied}) {
    const Using use(get_config_);
    get_config_.Bind(1, key);
    HF_TRY_ASSIGN(const bool found, get_config_.Step());
    if (key == kApplied) {
      if (found) sender.applied = ParseInteger(get_config_.Text(0)).value_or(0);
      continue;
    }
    if (!found) return Error{Code::kCorrupt, Origin::kNone, 0, "__config has no incarnation"};
    HF_TRY(sender.incarnation.Assign(get_config_.Text(0)));
  }
  // Sequences only grow, so all below the first one in the queue have left it.
  Statement& bound = first_operation_;
  {
    HF_TRY(Ready(bound));
    const Using use(bound);
    HF_TRY_ASSIGN(const bool queued, bound.Step());
    if (queued) {
      sender.acknowledged = bound.Integer(0) - 1;
      return sender;
    }
  }
  HF_TRY(Ready(last_sequence_));
  const Using use(last_sequence_);
  HF_TRY_ASSIGN(const bool there, last_sequence_.Step());
  if (there) sender.acknowledged = last_sequence_.Integer(0);
  return sender;
}

Result<void> SqliteStore::NoteApplied(std::int64_t sequence) {
  HF_TRY_ASSIGN(const Sender sender, LoadSender());
  if (sender.applied >= sequence) return Ok();
  char room[24];
  TextWriter number(room);
  number.PutInteger(sequence);
  HF_TRY(Ready(set_config_));
  set_config_.Bind(1, kApplied);
  set_config_.Bind(2, number.view());
  return RunReady(set_config_);
}

Result<void> SqliteStore::BeginIncarnation() {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  if (auto renewed = RenewIncarnation(database_, *random_); !renewed)
    return Explain(renewed.error());
  HF_TRY(transaction.Commit());
  return LoadNames();
}

Result<std::uint64_t> SqliteStore::Requeue(const Table& table, std::string_view date) {
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  const std::string name = QuoteName(std::string(table.name()));
  Statement next("SELECT id,version FROM " + name +
                 " WHERE id>?1 AND __op IS NULL AND version IS NOT NULL AND (?2='' OR "
                 "updatedAt>?2) ORDER BY id LIMIT 1");
  Statement queue(
      "INSERT INTO __operations(sequence,tableName,itemId,kind,state,changes,attempts,queuedAt,"
      "baseVersion) VALUES(?1,?2,?3,0,0,1,0," HOLDFAST_NOW_SECONDS ",?4)");
  Statement point("UPDATE " + name + " SET __op=?2 WHERE id=?1");
  for (Statement* statement : {&next, &queue, &point, &next_sequence_}) HF_TRY(Ready(*statement));
  HF_TRY(next_sequence_.Step());
  std::int64_t sequence = next_sequence_.Integer(0);
  next_sequence_.Reset();
  Id id;
  Version version;
  for (std::uint64_t count = 0;; ++count, ++sequence) {
    {
      const Using use(next);
      next.Bind(1, id.view());
      next.Bind(2, date);
      HF_TRY_ASSIGN(const bool more, next.Step());
      if (!more) {
        HF_TRY(transaction.Commit());
        return count;
      }
      HF_TRY(id.Assign(next.Text(0)));
      HF_TRY(version.Assign(next.Text(1)));
    }
    queue.Bind(1, sequence);
    queue.Bind(2, table.name());
    queue.Bind(3, id.view());
    queue.Bind(4, version.view());
    HF_TRY(RunReady(queue));
    point.Bind(1, id.view());
    point.Bind(2, sequence);
    HF_TRY(RunReady(point));
  }
}

}  // namespace holdfast::store
