// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/session.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "agent/sync/known_server.h"
#include "hal/base/log.h"
#include "hal/base/memory.h"

namespace holdfast::agent {

Session::Session(store::Store& store, transport::Transport& transport, hal::Clock& clock,
                 hal::Link& link, Workspace& workspace, const SessionOptions& options)
    : store_(store),
      transport_(transport),
      clock_(clock),
      link_(link),
      workspace_(workspace),
      options_(options) {}

bool Session::Step(hal::Duration wait) {
  switch (phase_) {
    case Phase::kStart:
      if (auto started = Start(); !started) Finish(started);
      break;
    case Phase::kPush:
      if (push_->Step(wait)) EndPush();
      break;
    case Phase::kPull:
      if (pull_->Step(wait)) EndPull();
      break;
    case Phase::kDone: break;
  }
  return phase_ == Phase::kDone;
}

void Session::Cancel() {
  if (push_) push_->Cancel();
  if (pull_) pull_->Cancel();
}

Result<void> Session::Start() {
  started_ = clock_.Now();
  traffic_before_ = transport_.traffic();
  if (link_.Status().state == hal::LinkState::kDown) {
    return Error{Code::kOffline, Origin::kNone, 0, "no network: no interface is up"};
  }
  FixedString<512> fact;
  HF_TRY_ASSIGN(const bool told, store_.Fact(kFactRetryAfter, fact));
  if (told) {
    std::uint64_t boot = 0;
    std::int64_t until = 0;
    const bool valid = std::sscanf(fact.c_str(), "%" SCNu64 " %" SCNd64, &boot, &until) == 2;
    const hal::Duration left{until - clock_.Now().ns_since_boot};
    if (valid && boot == clock_.BootId() && left.ns > 0) {
      result_.retry_after = left;
      return Error{Code::kThrottled, Origin::kNone, 0, "the server asked to come back later"};
    }
  }
  HF_TRY(RecallServer());
  if (options_.retry_parked) HF_TRY(store_.RetryParked(options_.push_options.tables));
  if (options_.push) {
    push_.emplace(store_, transport_, clock_, options_.push_options, workspace_);
    phase_ = Phase::kPush;
  } else {
    NextPull();
  }
  return Ok();
}

// Before the first exchange of this process.
Result<void> Session::RecallServer() {
  if (options_.server_url.empty() || traffic_before_.requests > 0) return Ok();
  HF_TRY_ASSIGN(const KnownServer known, ReadKnownServer(store_, clock_, options_.server_url));
  if (!known.fresh) return Ok();
  transport::Capabilities recalled;
  recalled.bulk = known.bulk;
  recalled.gzip = known.gzip;
  recalled.sizes = known.upload_bytes > 0;
  transport_.Recall(recalled);
  return Ok();
}

void Session::EndPush() {
  result_.push = push_->result();
  if (!result_.push.outcome) {
    result_.retry_after = result_.push.retry_after;
    Finish(result_.push.outcome);
    return;
  }
  push_.reset();
  NextPull();
}

void Session::NextPull() {
  const auto tables = store_.tables();
  for (; next_table_ < int(tables.size()); ++next_table_) {
    if ((options_.pull_tables >> next_table_ & 1) == 0) continue;
    pull_.emplace(store_, transport_, *tables[std::size_t(next_table_)], options_.pull_options,
                  workspace_);
    phase_ = Phase::kPull;
    return;
  }
  Finish(Ok());
}

void Session::EndPull() {
  const PullResult& pulled = pull_->result();
  result_.pulls[std::size_t(next_table_)] = pulled;
  result_.pulled_tables |= std::uint64_t{1} << next_table_;
  if (!pulled.outcome) {
    result_.retry_after = pulled.retry_after;
    Finish(pulled.outcome);
    return;
  }
  pull_.reset();
  ++next_table_;
  NextPull();
}

void Session::Finish(Result<void> outcome) {
  result_.outcome = std::move(outcome);
  result_.elapsed = clock_.Now() - started_;
  const transport::Traffic& now = transport_.traffic();
  result_.traffic.requests = now.requests - traffic_before_.requests;
  result_.traffic.bytes_sent = now.bytes_sent - traffic_before_.bytes_sent;
  result_.traffic.bytes_received = now.bytes_received - traffic_before_.bytes_received;
  result_.traffic.connections = now.connections - traffic_before_.connections;
  // Also after a failure: what was refused is not tried again by the next process.
  if (!options_.server_url.empty() && result_.traffic.requests > 0) {
    auto noted = NoteKnownServer(store_, clock_, options_.server_url, transport_.capabilities());
    if (!noted && result_.outcome.ok()) result_.outcome = noted;
  }
  auto left = store_.CountSendable(~std::uint64_t{0});
  if (left) result_.remaining = *left;
  if (auto facts = LeaveFacts(); !facts && result_.outcome.ok()) result_.outcome = facts;
  phase_ = Phase::kDone;
}

// Another server, or another version of it, may take what this one refused.
Result<void> Session::NoteServer() {
  const std::string_view now = transport_.capabilities().server.view();
  FixedString<512> before;
  HF_TRY_ASSIGN(const bool known, store_.Fact(kFactServer, before));
  if (now.empty() || (known && before.view() == now)) return Ok();
  HF_TRY(store_.SetFact(kFactServer, now));
  if (!known || before.empty()) return Ok();
  HF_TRY_ASSIGN(const std::uint64_t count, store_.RetryParked(~std::uint64_t{0}));
  if (count > 0) Log(LogLevel::kInfo, "the server changed: refused rows will be sent again");
  return Ok();
}

// For `status`, which is another process. Written when it says something new.
Result<void> Session::NoteMemory() {
  if (memory::Total().most == 0) return Ok();  // nobody counts it
  FixedString<512> before, now;
  bool is_news = false;
  HF_TRY(store_.Fact(kFactMemory, before));
  const char* at = before.c_str();
  for (std::size_t pool = 0; pool < memory::kPools; ++pool) {
    char* end = nullptr;
    const std::size_t noted = std::strtoull(at, &end, 10);
    const std::size_t most = memory::UseOf(memory::Pool(pool)).most;
    is_news = is_news || end == at || most > noted + noted / 8;
    at = end;
    char number[24];
    std::snprintf(number, sizeof number, "%zu ", std::max(most, noted));
    HF_TRY(now.Append(number));
  }
  return is_news ? store_.SetFact(kFactMemory, now.view()) : Ok();
}

Result<void> Session::LeaveFacts() {
  HF_TRY(NoteMemory());
  char text[480];
  const hal::WallTime wall = clock_.Wall();
  const std::int64_t now_ms = wall.quality == hal::WallQuality::kUnset ? 0 : wall.unix_ms;
  if (result_.outcome.ok()) {
    std::snprintf(text, sizeof text, "%" PRId64, now_ms);
    HF_TRY(store_.SetFact(kFactLastSuccess, text));
    HF_TRY(NoteServer());
    return store_.SetFact(kFactRetryAfter, "");
  }
  const Error& error = result_.outcome.error();
  char words[256];
  Describe(error, words, sizeof words);
  const std::string_view disposition = DispositionName(Classify(error));
  std::snprintf(text, sizeof text, "%" PRId64 " %.*s %s", now_ms, int(disposition.size()),
                disposition.data(), words);
  HF_TRY(store_.SetFact(kFactLastError, text));
  if (result_.retry_after.ns <= 0 || error.origin == Origin::kNone) return Ok();
  std::snprintf(text, sizeof text, "%" PRIu64 " %" PRId64, clock_.BootId(),
                (clock_.Now() + result_.retry_after).ns_since_boot);
  return store_.SetFact(kFactRetryAfter, text);
}

}  // namespace holdfast::agent
