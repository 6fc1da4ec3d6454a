// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/recheck.h"

#include <algorithm>

#include "hal/base/log.h"

namespace holdfast::agent {
namespace {

// A page of ids of the server's, and one of ours.
constexpr std::size_t kIdsBytes = 250 * (limits::kIdBytes + 16);

// Copies ids as they come.
class IdSink : public RowSink {
 public:
  IdSink(std::span<std::string_view> ids, Arena& arena) : ids_(ids), arena_(arena) {}
  Result<void> OnRow(RowView row) override {
    if (count_ == ids_.size()) return Error{Code::kTooLarge, Origin::kNone, 0, "too many ids"};
    HF_TRY_ASSIGN(ids_[count_], arena_.Copy(FindText(row, kId)));
    ++count_;
    return Ok();
  }
  std::span<const std::string_view> ids() const { return ids_.first(count_); }

 private:
  std::span<std::string_view> ids_;
  Arena& arena_;
  std::size_t count_ = 0;
};

}  // namespace

Recheck::Recheck(store::Store& store, transport::Transport& transport, const store::Table& table,
                 hal::Duration timeout, PageTaker& rows, Workspace& workspace)
    : store_(store),
      transport_(transport),
      table_(table),
      timeout_(timeout),
      rows_(rows),
      workspace_(workspace),
      page_(store, transport, table, *this, workspace),
      parsed_arena_(workspace.pull.filter),
      ids_arena_(workspace.pull.ids) {}

Result<void> Recheck::Begin(bool walk, std::string_view filter) {
  after_.clear();
  ascending_ = true;
  filter_ = filter;
  if (walk && !filter.empty()) {
    // A filter may name columns that only the server has: then nobody can say which rows here
    // belong to it.
    parsed_.emplace();
    query::QueryError problem;
    IdSink nobody({}, ids_arena_);
    walk = query::ParseFilter(filter, parsed_arena_, *parsed_, problem).ok() &&
           store_.SyncedIds(table_, {}, {}, parsed_ ? &*parsed_ : nullptr, 0, nobody).ok();
    if (!walk) Log(LogLevel::kInfo, "pull: the filter has columns of the server: ids not compared");
  }
  return walk ? AskIds() : AskRows();
}

Result<bool> Recheck::Step(hal::Duration wait) {
  if (phase_ == Phase::kDone) return true;
  if (phase_ == Phase::kLarge ? !large_row_->Pump(wait) : !page_.Pump(wait)) return false;
  if (phase_ == Phase::kLarge) {
    HF_TRY(EndLarge());
  } else if (phase_ == Phase::kWalk) {
    HF_TRY(EndIds());
  } else {
    HF_TRY(EndRows());
  }
  return phase_ == Phase::kDone;
}

// ---- the walk over ids

Result<void> Recheck::AskIds() {
  phase_ = Phase::kWalk;
  ids_arena_.Reset();
  id_count_ = 0;
  transport::Request request;
  request.method = transport::Method::kList;
  request.table = table_.name();
  request.list.filter = filter_;
  request.list.after_id = after_.view();
  request.list.order_by = "id";
  request.list.top = kWalkRows;
  request.list.ids_only = true;
  request.timeout = timeout_;
  return page_.Ask(request);
}

Result<void> Recheck::OnPageRow(RowView row, Arena& arena) {
  const std::string_view id = FindText(row, kId);
  if (phase_ == Phase::kLookup) {
    for (std::size_t i = 0; i < id_count_; ++i) {
      if (ids_[i] != id) continue;
      seen_[i] = true;
      large_[i] = Find(row, kBytesOfRow) != nullptr;
    }
    return rows_.OnPageRow(row, arena);
  }
  if (id_count_ == ids_.size()) return Ok();  // more than was asked for: the walk comes back
  HF_TRY_ASSIGN(ids_[id_count_], ids_arena_.Copy(id));
  if (id_count_ > 0 && ids_[id_count_] <= ids_[id_count_ - 1]) ascending_ = false;
  ++id_count_;
  return Ok();
}

// Ours between the last page and this one's end that are not on it are doubtful.
Result<void> Recheck::EndIds() {
  HF_TRY(page_.End());
  if (!ascending_ || (id_count_ > 0 && ids_[0] <= after_.view())) {
    Log(LogLevel::kWarning, "pull: the server orders ids in its own way: ids not compared");
    return AskRows();
  }
  const std::span<const std::string_view> theirs(ids_.data(), id_count_);
  const bool at_end = theirs.empty();
  const std::string_view last = at_end ? std::string_view() : theirs.back();
  std::array<std::string_view, kWalkRows> room;
  store::Id from = after_;
  const std::size_t mark = ids_arena_.Mark();
  for (;;) {
    ids_arena_.ResetTo(mark);
    IdSink ours(room, ids_arena_);
    HF_TRY_ASSIGN(const std::size_t count,
                  store_.SyncedIds(table_, from.view(), last, parsed_ ? &*parsed_ : nullptr,
                                   room.size(), ours));
    if (count == 0) break;
    HF_TRY(from.Assign(room[count - 1]));
    const auto doubtful = std::remove_if(room.begin(), room.begin() + count, [&](auto id) {
      return std::binary_search(theirs.begin(), theirs.end(), id);
    });
    HF_TRY(store_.NoteMissed(table_, {room.data(), std::size_t(doubtful - room.begin())}));
  }
  if (at_end) return AskRows();
  HF_TRY(after_.Assign(last));
  return AskIds();
}

// ---- doubtful rows, by id

Result<void> Recheck::AskRows() {
  phase_ = Phase::kLookup;
  ids_arena_.Reset();
  IdSink missed({ids_.data(), kBatch}, ids_arena_);
  HF_TRY_ASSIGN(id_count_, store_.Missed(table_, kBatch, ids_arena_, missed));
  if (id_count_ == 0) {
    phase_ = Phase::kDone;
    return Ok();
  }
  seen_.fill(false);
  large_.fill(false);
  next_large_ = 0;
  ids_filter_.clear();
  for (std::size_t i = 0; i < id_count_; ++i) {
    HF_TRY(ids_filter_.Append(i == 0 ? "id eq '" : " or id eq '"));
    for (const char c : ids_[i]) {
      HF_TRY(ids_filter_.Append(c == '\'' ? "''" : std::string_view(&c, 1)));
    }
    HF_TRY(ids_filter_.Append("'"));
  }
  transport::Request request;
  request.method = transport::Method::kList;
  request.table = table_.name();
  request.list.filter = ids_filter_.view();
  request.list.top = kBatch;
  request.list.include_deleted = true;
  if (transport_.capabilities().sizes) request.list.longest_row = limits::kPieceRowBytes;
  request.timeout = timeout_;
  return page_.Ask(request);
}

// What the server does not show at all is gone.
Result<void> Recheck::EndRows() {
  HF_TRY(page_.End());
  for (std::size_t i = 0; i < id_count_; ++i) {
    if (!seen_[i]) HF_TRY(Remove(ids_[i]));
  }
  return NextLarge();
}

Result<void> Recheck::Remove(std::string_view id) {
  HF_TRY(store_.BeginPage());
  RowFields gone;
  auto done = gone.Add(kId, ColumnType::kText, Value::Text(id));
  if (done) done = gone.Add(kDeleted, ColumnType::kBoolean, Value::Boolean(true));
  if (done) done = rows_.OnPageRow(gone.view(), ids_arena_);
  if (!done) {
    store_.AbortPage();
    return done;
  }
  return store_.EndPage(table_, {}, {});
}

// ---- rows too long for memory, one by one

Result<void> Recheck::NextLarge() {
  while (next_large_ < id_count_ && !large_[next_large_]) ++next_large_;
  if (next_large_ == id_count_) return AskRows();
  if (!large_row_) {
    large_row_.emplace(store_, transport_, table_, timeout_, workspace_);
  }
  phase_ = Phase::kLarge;
  return large_row_->Ask(ids_[next_large_]);
}

Result<void> Recheck::EndLarge() {
  HF_TRY_ASSIGN(const LargeRow::Outcome outcome, large_row_->End());
  if (outcome.gone) {
    HF_TRY(Remove(ids_[next_large_]));
  } else {
    rows_.OnLargeRow(ids_[next_large_], outcome.applied);
  }
  ++next_large_;
  return NextLarge();
}

}  // namespace holdfast::agent
