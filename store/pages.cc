// SPDX-License-Identifier: Apache-2.0
// Pulled rows and delta tokens.
#include "hal/base/text.h"
#include "store/sqlite_store.h"

namespace holdfast::store {
namespace {

using Key = FixedString<limits::kTableNameBytes + 2 * limits::kIdBytes>;

Result<Key> TokenKey(const Table& table, std::string_view query_id) {
  Key key;
  for (const std::string_view part :
       {std::string_view("deltaToken|"), table.name(), std::string_view("|"), query_id}) {
    HF_TRY(key.Append(part));
  }
  return key;
}

bool IsTrue(const Field* field) {
  if (field == nullptr) return false;
  const Value& value = field->value;
  return (value.type == ValueType::kInteger || value.type == ValueType::kBoolean) &&
         value.integer != 0;
}

}  // namespace

// A page that a power cut takes back is pulled again, as its token goes with it; so its commit need
// not wait for the disk. A later commit with FULL syncs the whole WAL, this page included, so
// nobody's durable commit can stand on one that is lost.
Result<void> SqliteStore::BeginPage() {
  HF_ASSERT(open_ == Open::kNone);
  HF_TRY(As(Writer::kHoldfast));
  HF_TRY(Raw("PRAGMA synchronous=NORMAL"));
  relaxed_ = true;
  if (auto begun = RunReady(begin_); !begun) {
    (void)Strict();
    return begun;
  }
  open_ = Open::kPage;
  return Ok();
}

void SqliteStore::AbortPage() {
  if (open_ != Open::kPage) return;
  Rollback();
  (void)Strict();
}

Result<void> SqliteStore::EndPage(const Table& table, std::string_view query_id,
                                  std::string_view token) {
  HF_ASSERT(open_ == Open::kPage);
  Result<void> done;
  if (!token.empty()) {
    Result<Key> key = TokenKey(table, query_id);
    done = key ? Ready(set_config_) : key.error();
    if (done) {
      set_config_.Bind(1, key->view());
      set_config_.Bind(2, token);
      done = RunReady(set_config_);
    }
  }
  long_value_.Close();
  if (done) done = RunReady(commit_);
  if (!done) {
    AbortPage();
    return done;
  }
  open_ = Open::kNone;
  // When this fails, the page is stored all the same: the next transaction tries again or fails.
  (void)Strict();
  return Ok();
}

Result<void> SqliteStore::Strict() {
  if (!relaxed_) return Ok();
  HF_TRY(Raw("PRAGMA synchronous=FULL"));
  relaxed_ = false;
  return Ok();
}

Result<Applied> SqliteStore::ApplyRemote(const Table& table, RowView server_row) {
  SqliteTable& own = Own(table);
  HF_TRY(As(Writer::kHoldfast));
  const std::string_view id = FindText(server_row, kId);
  if (id.empty()) return Refuse(Code::kInvalidArgument, "a row without id", own.name());
  if (id.size() > limits::kIdBytes) return Refuse(Code::kTooLarge, "an id is too long", id);
  const std::string_view version = FindText(server_row, kVersion);
  const bool deleted = IsTrue(holdfast::Find(server_row, kDeleted));

  bool there = false;
  {
    HF_TRY(Ready(own.find));
    const Using use(own.find);
    own.find.Bind(1, id);
    auto found = own.find.Step();
    if (!found) return Explain(found.error());
    there = *found;
    if (there) {
      if (own.find.Integer(2) != 0) {
        HF_TRY(Miss(own, id));
        return Applied::kSkippedPending;
      }
      // A carrier that answers a push with the version alone leaves the date to the next pull.
      const std::string_view date = FindText(server_row, kUpdatedAt);
      const bool dated = date.empty() || SameValue(ColumnType::kDatetime, Value::Text(date),
                                                   Value::Text(own.find.Text(3)));
      if (!deleted && !version.empty() && own.find.Text(0) == version && dated) {
        HF_TRY(Met(own, id));
        return Applied::kUnchanged;
      }
    }
  }
  if (!there) {
    HF_TRY(Ready(shadow_delete_));
    const Using use(shadow_delete_);
    shadow_delete_.Bind(1, own.name());
    shadow_delete_.Bind(2, id);
    auto pending = shadow_delete_.Step();
    if (!pending) return Explain(pending.error());
    if (*pending) {
      HF_TRY(Miss(own, id));
      return Applied::kSkippedPending;
    }
    if (deleted) {
      HF_TRY(Met(own, id));
      return Applied::kAbsent;
    }
  }
  if (holdfast::Find(server_row, kBytesOfRow) != nullptr) {
    HF_TRY(Miss(own, id));
    return Applied::kLarge;
  }
  HF_TRY(Met(own, id));
  // Whatever a shadow said of this id before, it is over.
  HF_TRY(Ready(remove_shadow_));
  remove_shadow_.Bind(1, own.name());
  remove_shadow_.Bind(2, id);
  HF_TRY(RunReady(remove_shadow_));
  if (deleted) {
    HF_TRY(Ready(own.remove));
    own.remove.Bind(1, id);
    HF_TRY(RunReady(own.remove));
    return Applied::kDeleted;
  }

  std::uint64_t mask = 0;
  for (const Field& field : server_row) {
    if (IsSystemColumn(field.name)) continue;
    const int index = IndexOf(own, field.name);
    if (index >= 0) mask |= std::uint64_t{1} << index;
  }
  using Use = ColumnsStatement::Use;
  HF_TRY_ASSIGN(Statement * statement,
                ForColumns(own, there ? Use::kRemoteUpdate : Use::kRemoteInsert, mask));
  Statement& write = *statement;
  write.Bind(1, id);
  int next = 2;
  HF_TRY(BindColumns(write, own, server_row, mask, next));
  write.BindOptional(next, version);
  write.BindOptional(next + 1, FindText(server_row, kCreatedAt));
  write.BindOptional(next + 2, FindText(server_row, kUpdatedAt));
  HF_TRY(there ? RunOnRow(write, own, id, mask) : RunReady(write));
  return Applied::kStored;
}

Result<TimestampText> SqliteStore::DeltaToken(const Table& table, std::string_view query_id) {
  HF_TRY_ASSIGN(const Key key, TokenKey(table, query_id));
  TimestampText token;
  HF_TRY(Ready(get_config_));
  const Using use(get_config_);
  get_config_.Bind(1, key.view());
  HF_TRY_ASSIGN(const bool found, get_config_.Step());
  if (found) HF_TRY(token.Assign(get_config_.Text(0)));
  return token;
}

Result<void> SqliteStore::ForgetDeltaTokens(const Table& table) {
  HF_TRY_ASSIGN(const Key from, TokenKey(table, ""));
  const std::string to = "deltaToken|" + std::string(table.name()) + "}";
  HF_TRY(Ready(remove_config_));
  remove_config_.Bind(1, from.view());
  remove_config_.Bind(2, to);
  return RunReady(remove_config_);
}

// A pull passes over a row with a queued operation, and its token moves on. Usually the push then
// meets the server's copy; but an edit may be taken back, given up or merged away. What was passed
// over is noted, and looked up when nothing is queued any more.
Result<void> SqliteStore::Miss(const SqliteTable& table, std::string_view id) {
  HF_TRY(Ready(add_missed_));
  add_missed_.Bind(1, table.name());
  add_missed_.Bind(2, id);
  any_missed_ = true;
  return RunReady(add_missed_);
}

Result<void> SqliteStore::Met(const SqliteTable& table, std::string_view id) {
  if (!any_missed_) return Ok();
  HF_TRY(Ready(remove_missed_));
  remove_missed_.Bind(1, table.name());
  remove_missed_.Bind(2, id);
  return RunReady(remove_missed_);
}

Result<std::size_t> SqliteStore::Missed(const Table& table, std::size_t most, Arena& arena,
                                        RowSink& sink) {
  std::size_t count = 0;
  if (!any_missed_) return count;
  SqliteTable& own = Own(table);
  std::string_view after;
  while (count < most) {
    bool queued = false;
    {
      HF_TRY(Ready(missed_));
      const Using use(missed_);
      missed_.Bind(1, own.name());
      missed_.Bind(2, after);
      HF_TRY_ASSIGN(const bool more, missed_.Step());
      if (!more) return count;
      HF_TRY_ASSIGN(after, arena.Copy(missed_.Text(0)));
    }
    {
      HF_TRY(Ready(own.find));
      const Using use(own.find);
      own.find.Bind(1, after);
      HF_TRY_ASSIGN(const bool row, own.find.Step());
      queued = row && own.find.Integer(2) != 0;
    }
    {
      HF_TRY(Ready(shadow_delete_));
      const Using use(shadow_delete_);
      shadow_delete_.Bind(1, own.name());
      shadow_delete_.Bind(2, after);
      HF_TRY_ASSIGN(const bool deleted_here, shadow_delete_.Step());
      queued = queued || deleted_here;
    }
    if (queued) continue;
    ++count;
    RowFields row;
    HF_TRY(row.Add(kId, ColumnType::kText, Value::Text(after)));
    HF_TRY(sink.OnRow(row.view()));
  }
  return count;
}

Result<void> SqliteStore::NoteMissed(const Table& table, std::span<const std::string_view> ids) {
  if (ids.empty()) return Ok();
  Transaction transaction(*this);
  HF_TRY(transaction.Start(Writer::kHoldfast));
  for (const std::string_view id : ids) HF_TRY(Miss(Own(table), id));
  return transaction.Commit();
}

Result<std::size_t> SqliteStore::SyncedIds(const Table& table, std::string_view after,
                                           std::string_view last, const query::ParsedFilter* filter,
                                           std::size_t most, RowSink& sink) {
  const SqliteTable& own = Own(table);
  std::string where;
  query::Parameters parameters;
  HF_TRY(Where(filter, table, where, parameters));
  Statement select("SELECT id FROM " + own.quoted_name + " AS t WHERE id>? AND (?='' OR id<=?)" +
                   (where.empty() ? "" : " AND " + where) +
                   " AND version IS NOT NULL AND NOT EXISTS(SELECT 1 FROM __operations o WHERE "
                   "o.sequence=t.__op AND o.itemId=t.id) ORDER BY id LIMIT ?");
  HF_TRY(Ready(select));
  int next = 1;
  for (const std::string_view text : {after, last, last}) select.Bind(next++, text);
  for (std::size_t i = 0; i < parameters.count; ++i) select.Bind(next++, parameters.values[i]);
  select.Bind(next, std::int64_t(most));
  for (std::size_t count = 0;; ++count) {
    auto more = select.Step();
    if (!more) return Explain(more.error());
    if (!*more) return count;
    RowFields row;
    HF_TRY(row.Add(kId, ColumnType::kText, select.At(0)));
    HF_TRY(sink.OnRow(row.view()));
  }
}

}  // namespace holdfast::store
