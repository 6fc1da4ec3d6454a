// SPDX-License-Identifier: Apache-2.0
// agent/sync/answer.h - one whole answer of a single-row exchange, and what it says.
//
// Purpose: an answer counts only with the expected status AND the declared type AND a body that
//          parses AND the right id; a captive portal's 200 is none. Judge() is the one place that
//          decides; it is a pure function of the answer.
// Owner:   a Workspace has one, 2.3 MiB with its buffers; rows borrow from it until the next
// Reset(). Threads: one. Errors:  as data: Verdict::kStop with the error that ends the push.
// Standard: the outcomes of the table protocol; what its clients make of them: see agent/README.md.
#ifndef HOLDFAST_AGENT_SYNC_ANSWER_H_
#define HOLDFAST_AGENT_SYNC_ANSWER_H_

#include <span>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/limits.h"
#include "hal/base/row.h"
#include "transport/transport.h"
#include "transport/wire.h"

namespace holdfast::agent {

class Answer : public transport::ResponseSink {
 public:
  Answer() : arena_({arena_bytes_, sizeof arena_bytes_}) {}

  // Forget the last exchange. REQUIRES: none is under way.
  void Reset();

  Result<void> OnHead(const transport::ResponseHead& head) override;
  Result<void> OnBody(std::string_view chunk) override;
  void OnDone(Result<void> outcome) override;

  bool done() const { return done_; }
  const Result<void>& outcome() const { return outcome_; }
  transport::Status status() const { return status_; }
  int native_status() const { return native_; }
  bool is_json() const { return is_json_; }
  bool version_only() const { return version_only_; }
  std::string_view body() const { return {body_, body_bytes_}; }
  hal::Duration retry_after() const { return retry_after_; }
  std::string_view etag() const { return etag_.view(); }
  // Of an upload: see transport::ResponseHead.
  std::string_view upload() const { return upload_.view(); }
  std::int64_t upload_offset() const { return upload_offset_; }
  bool upload_complete() const { return upload_complete_; }
  bool looks_like_html() const;

  // The row in the body. kBadAnswer: there is none.
  Result<RowView> Row();
  // The first row of the list in the body. false: the list is empty. kBadAnswer: there is no list.
  // `room`: 2 * kRowBytes, needed during the call.
  Result<bool> FirstRow(RowView& row, std::span<char> room);
  // Room that lives as long as the row.
  Arena& arena() { return arena_; }
  // The ETag's version, else the body's.
  std::string_view RowVersion(RowView row) const;
  // The server's own words, for people.
  std::string_view Words(std::span<char> out);

 private:
  char body_[limits::kRowBytes + (64 << 10)];
  char arena_bytes_[limits::kRowBytes + (256 << 10)];
  Arena arena_;
  RowFields fields_;
  std::size_t body_bytes_ = 0;
  transport::Status status_ = transport::Status::kOther;
  int native_ = 0;
  bool is_json_ = false, version_only_ = false, done_ = false, decoded_ = false;
  hal::Duration retry_after_{-1};
  transport::Version etag_;
  FixedString<64> upload_;
  std::int64_t upload_offset_ = -1;
  bool upload_complete_ = false;
  Result<void> outcome_;
};

enum class Verdict : std::uint8_t {
  kDone,     // the server has it
  kLookUp,   // the server may have it: read the row and compare
  kExists,   // refused because of the server's row, which is `row`
  kGone,     // refused because the server's row is not there (any more)
  kRefused,  // this row is refused for what it is
  kStop,     // no row can be pushed now
};

struct Judgement {
  Verdict verdict = Verdict::kStop;
  Error error{Code::kBadAnswer};
  RowView row;               // kDone (may be empty), kExists
  std::string_view version;  // of that row
};

// The answer to a write of row `id`.
Judgement JudgeWrite(transport::Method method, std::string_view id, Answer& answer);

// The answer to a lookup of row `id`: kDone with the row, kGone, kRefused or kStop.
Judgement JudgeLookup(std::string_view id, Answer& answer);

// The answer to a list of at most the row `id`, deleted ones included: as JudgeLookup. `room`: see
// Answer::FirstRow.
Judgement JudgeTombstone(std::string_view id, Answer& answer, std::span<char> room);

// What a status that no row can answer for means: the error that stops a push or a pull.
Error StatusError(const Answer& answer);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_ANSWER_H_
