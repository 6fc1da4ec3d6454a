// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/pull.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstring>

namespace holdfast::agent {
namespace {

// Rows are stored when this much of a page has arrived: one commit per chunk, none while waiting.
constexpr std::size_t kChunkBytes = 128 << 10;
constexpr std::size_t kArenaBytes = limits::kRowBytes + (128 << 10);

}  // namespace

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

Pull::Pull(store::Store& store, transport::Transport& transport, const store::Table& table,
           const PullOptions& options)
    : store_(store),
      transport_(transport),
      table_(table),
      options_(options),
      chunk_(new char[kChunkBytes]),
      row_(new char[limits::kRowBytes]),
      arena_bytes_(new char[kArenaBytes]),
      arena_({arena_bytes_.get(), kArenaBytes}) {}

bool Pull::Step(hal::Duration wait) {
  if (phase_ == Phase::kDone) return true;
  if (cancelled_) {
    transport_.Cancel();
    Finish(Error{Code::kCancelled, Origin::kNone, 0, "stopped on request"});
    return true;
  }
  Result<void> step;
  if (phase_ == Phase::kBegin) {
    step = Start();
  } else {
    transport_.Pump(wait);
    if (!page_done_) return false;
    step = EndPage();
  }
  if (!step) Finish(step);
  return phase_ == Phase::kDone;
}

Result<void> Pull::Start() {
  HF_TRY(QueryKey(options_.query_id, options_.filter, query_id_));
  TimestampText token;  // a full pull asks for everything, and moves the old token as it goes
  if (!options_.full) {
    HF_TRY_ASSIGN(token, store_.DeltaToken(table_, query_id_.view()));
  }
  cursor_ = Cursor(token.view(), options_.page_rows, transport_.capabilities().holdfast);
  return Ask();
}

Result<void> Pull::Ask() {
  transport::Request request;
  request.method = transport::Method::kList;
  request.table = table_.name();
  request.list.filter = options_.filter;
  cursor_.Ask(request.list);
  request.timeout = options_.timeout;
  page_done_ = page_is_rows_ = false;
  page_outcome_ = Ok();
  link_.clear();
  chunk_bytes_ = 0;
  refusal_.Reset();
  arena_.Reset();
  reader_.emplace(std::span<char>(row_.get(), limits::kRowBytes), arena_,
                  static_cast<RowSink&>(*this));
  phase_ = Phase::kPage;
  return transport_.Begin(request, *this);
}

Result<void> Pull::OnHead(const transport::ResponseHead& head) {
  page_is_rows_ = head.status == transport::Status::kOk && head.is_json;
  HF_TRY(link_.Assign(head.continuation));
  return refusal_.OnHead(head);
}

Result<void> Pull::OnBody(std::string_view chunk) {
  if (!page_is_rows_) return refusal_.OnBody(chunk);
  while (!chunk.empty()) {
    const std::size_t part = std::min(chunk.size(), kChunkBytes - chunk_bytes_);
    std::memcpy(chunk_.get() + chunk_bytes_, chunk.data(), part);
    chunk_bytes_ += part;
    chunk.remove_prefix(part);
    if (chunk_bytes_ == kChunkBytes) HF_TRY(Drain());
  }
  return Ok();
}

void Pull::OnDone(Result<void> outcome) {
  page_outcome_ = std::move(outcome);
  page_done_ = true;
}

// Stores the rows of the chunk and the token that belongs to them, in one transaction that does not
// wait for the network.
Result<void> Pull::Drain() {
  HF_TRY(store_.BeginPage());
  const std::string_view chunk{chunk_.get(), chunk_bytes_};
  chunk_bytes_ = 0;
  auto fed = reader_->Feed(chunk);
  if (!fed) {
    // Rows before the bad byte are good rows; the token covers exactly them.
    HF_TRY(store_.EndPage(table_, query_id_.view(), cursor_.token()));
    return fed;
  }
  return store_.EndPage(table_, query_id_.view(), cursor_.token());
}

Result<void> Pull::OnRow(RowView row) {
  const std::string_view id = FindText(row, kId);
  if (id.empty() || id.size() > limits::kIdBytes) {
    ++result_.ignored;
    cursor_.Row(id, "");
    return Ok();
  }
  RowFields conformed;
  for (const Field& field : row) {
    Value value = field.value;
    const auto column = table_.Lookup(field.name);
    const ColumnType type = column ? column->type : ColumnType::kAny;
    if (column && !IsSystemColumn(field.name)) HF_TRY(wire::Conform(type, arena_, value));
    HF_TRY(conformed.Add(field.name, type, value));
  }
  HF_TRY_ASSIGN(const store::Applied applied, store_.ApplyRemote(table_, conformed.view()));
  switch (applied) {
    case store::Applied::kStored: ++result_.received; break;
    case store::Applied::kDeleted: ++result_.deleted; break;
    case store::Applied::kUnchanged:
    case store::Applied::kAbsent: ++result_.unchanged; break;
    case store::Applied::kSkippedPending: ++result_.skipped_pending; break;
  }
  cursor_.Row(id, FindText(row, kUpdatedAt));
  return Ok();
}

Result<void> Pull::EndPage() {
  // What arrived before a cut is kept.
  if (page_is_rows_ && chunk_bytes_ > 0) HF_TRY(Drain());
  HF_TRY(page_outcome_);
  if (!page_is_rows_) return Refused();
  HF_TRY(reader_->Finish());
  ++result_.pages;
  const bool more = !link_.empty() || !reader_->next_link().empty();
  if (cursor_.EndPage(more)) return Ask();
  HF_TRY(StoreToken(cursor_.final_token()));
  Finish(Ok());
  return Ok();
}

Result<void> Pull::StoreToken(std::string_view token) {
  HF_TRY(store_.BeginPage());
  return store_.EndPage(table_, query_id_.view(), token);
}

// The server did not send a page. One reason can be mended here: it takes smaller pages only.
Result<void> Pull::Refused() {
  refusal_.OnDone(Ok());
  if (refusal_.status() == transport::Status::kBadRequest && cursor_.Shrink()) return Ask();
  result_.retry_after = refusal_.retry_after();
  return StatusError(refusal_);
}

void Pull::Finish(Result<void> outcome) {
  store_.AbortPage();
  result_.outcome = std::move(outcome);
  phase_ = Phase::kDone;
}

}  // namespace holdfast::agent
