// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/pull.h"

#include <cinttypes>
#include <cstdio>

#include "agent/sync/conform.h"

namespace holdfast::agent {
Result<void> QueryKey(std::string_view query_id, std::string_view filter,
                      FixedString<limits::kIdBytes + 32>& key) {
  if (query_id.empty()) query_id = "default";
  if (query_id.find('|') != std::string_view::npos || query_id.size() > limits::kIdBytes) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0,
                 "a query id has at most 255 bytes and no '|'"};
  }
  HF_TRY(key.Assign(query_id));
  if (filter.empty()) return Ok();
  char hash[20];
  const std::uint64_t digest = DigestValue(kDigestStart, ColumnType::kText, Value::Text(filter));
  std::snprintf(hash, sizeof hash, "#%016" PRIx64, digest);
  return key.Append(hash);
}

namespace {

// A little earlier than the token; as it is when it cannot be read.
TimestampText Before(const TimestampText& token, hal::Duration look_back) {
  const auto ticks = ParseTimestamp(token.view());
  if (!ticks || look_back.ns <= 0) return token;
  return FormatTimestamp(*ticks - look_back.milliseconds() * kTicksPerMillisecond, 7);
}

}  // namespace

Pull::Pull(store::Store& store, transport::Transport& transport, const store::Table& table,
           const PullOptions& options, Workspace& workspace)
    : store_(store),
      transport_(transport),
      table_(table),
      options_(options),
      workspace_(workspace),
      page_(store, transport, table, *this, workspace) {}

bool Pull::Step(hal::Duration wait) {
  if (phase_ == Phase::kDone) return true;
  if (cancelled_) {
    transport_.Cancel();
    Finish(Error{Code::kCancelled, Origin::kNone, 0, "stopped on request"});
    return true;
  }
  Result<void> step;
  switch (phase_) {
    case Phase::kBegin: step = Start(); break;
    case Phase::kPage:
      if (!page_.Pump(wait)) return false;
      step = EndPage();
      break;
    case Phase::kRecheck: step = Check(wait); break;
    case Phase::kDone: break;
  }
  if (!step) Finish(step);
  return phase_ == Phase::kDone;
}

Result<void> Pull::Start() {
  HF_TRY(QueryKey(options_.query_id, options_.filter, query_id_));
  TimestampText token;  // a full pull asks for everything, and moves the old token as it goes
  const bool ours = transport_.capabilities().holdfast;
  if (!options_.full) {
    HF_TRY_ASSIGN(token, store_.DeltaToken(table_, query_id_.view()));
  }
  cursor_ = Cursor(token.view(), options_.page_rows, ours);
  return Ask();
}

Result<void> Pull::Ask() {
  transport::Request request;
  request.method = transport::Method::kList;
  request.table = table_.name();
  request.list.filter = options_.filter;
  cursor_.Ask(request.list);
  if (transport_.capabilities().sizes) request.list.longest_row = limits::kPieceRowBytes;
  asked_for_sizes_ = request.list.longest_row > 0;
  request.timeout = options_.timeout;
  phase_ = Phase::kPage;
  return page_.Ask(request);
}

Result<void> Pull::OnPageRow(RowView row, Arena& arena) {
  const std::string_view id = FindText(row, kId);
  if (id.empty() || id.size() > limits::kIdBytes) {
    ++result_.ignored;
    cursor_.Row(id, "");
    return Ok();
  }
  RowFields conformed;
  HF_TRY(ConformRow(table_, row, arena, conformed));
  HF_TRY_ASSIGN(const store::Applied applied, store_.ApplyRemote(table_, conformed.view()));
  Count(applied);
  const bool changed = applied == store::Applied::kStored || applied == store::Applied::kDeleted;
  if (changed && options_.handler != nullptr) {
    options_.handler->OnPulled(table_, conformed.view(), applied);
  }
  // Rows that are looked up by id say nothing of how far the pull came.
  if (phase_ == Phase::kPage) cursor_.Row(id, FindText(row, kUpdatedAt));
  return Ok();
}

void Pull::Count(store::Applied applied) {
  switch (applied) {
    case store::Applied::kStored: ++result_.received; break;
    case store::Applied::kDeleted: ++result_.deleted; break;
    case store::Applied::kUnchanged:
    case store::Applied::kAbsent: ++result_.unchanged; break;
    case store::Applied::kSkippedPending: ++result_.skipped_pending; break;
    case store::Applied::kLarge: break;  // comes by itself, when the changes are through
  }
}

// The program's handler sees its id: the row is in the store.
void Pull::OnLargeRow(std::string_view id, store::Applied applied) {
  Count(applied);
  if (applied != store::Applied::kStored || options_.handler == nullptr) return;
  RowFields row;
  HF_ASSERT(row.Add(kId, ColumnType::kText, Value::Text(id)).ok());
  options_.handler->OnPulled(table_, row.view(), applied);
}

Result<void> Pull::EndPage() {
  auto ended = page_.End();
  if (!ended) {
    // One reason can be mended here: the server takes smaller pages only.
    const bool too_many = page_.refusal().status() == transport::Status::kBadRequest;
    if (ended.error().origin == Origin::kHttp && too_many && cursor_.Shrink()) return Ask();
    // The first answer of a server says what it can do, and may have a large row in it all the
    // same.
    const bool knows_sizes = transport_.capabilities().sizes && !asked_for_sizes_;
    if (ended.error().code == Code::kTooLarge && knows_sizes) return Start();
    result_.retry_after = page_.refusal().retry_after();
    return ended;
  }
  ++result_.pages;
  return cursor_.EndPage(page_.more()) ? Ask() : EndChanges();
}

Result<void> Pull::EndChanges() {
  // A pull that was cut goes on exactly where it was; only one that has ended looks back.
  TimestampText token;
  HF_TRY(token.Assign(cursor_.final_token()));
  if (!transport_.capabilities().holdfast) token = Before(token, options_.look_back);
  HF_TRY(StoreToken(cursor_.saw_dates() ? token.view() : std::string_view()));
  // Looked at once more when there is something doubtful; its buffers cost memory until then.
  class Any : public RowSink {
    Result<void> OnRow(RowView) override { return Ok(); }
  } any;
  char room[2 * limits::kIdBytes];
  Arena arena(room);
  std::size_t missed = 0;
  if (!options_.full) {
    HF_TRY_ASSIGN(missed, store_.Missed(table_, 1, arena, any));
    if (missed == 0) {
      Finish(Ok());
      return Ok();
    }
  }
  phase_ = Phase::kRecheck;
  PageTaker& rows = *this;
  recheck_.emplace(store_, transport_, table_, options_.timeout, rows, workspace_);
  return recheck_->Begin(options_.full, options_.filter);
}

Result<void> Pull::Check(hal::Duration wait) {
  auto done = recheck_->Step(wait);
  if (!done) {
    result_.retry_after = recheck_->refusal().retry_after();
    return done.error();
  }
  if (*done) Finish(Ok());
  return Ok();
}

Result<void> Pull::StoreToken(std::string_view token) {
  HF_TRY(store_.BeginPage());
  return store_.EndPage(table_, query_id_.view(), token);
}

void Pull::Finish(Result<void> outcome) {
  store_.AbortPage();
  result_.outcome = std::move(outcome);
  phase_ = Phase::kDone;
}

}  // namespace holdfast::agent
