// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/answer.h"

#include <cstring>

namespace holdfast::agent {
namespace {

using transport::Method;
using transport::Status;

// The body of one row, and some slack for what a server adds to it.

Judgement Stop(Error error) { return {Verdict::kStop, error, {}, {}}; }

Judgement Odd(const Answer& answer, const char* what) {
  return Stop({Code::kBadAnswer, Origin::kHttp, answer.native_status(), what});
}

// A row of ours: right id. A server that says another row's id confuses us with somebody.
bool IsRow(RowView row, std::string_view id) { return FindText(row, kId) == id; }

// 200 or 201 with the row; or an empty body, which says nothing about version and content.
Judgement JudgeSuccess(Method method, std::string_view id, Answer& answer) {
  if (answer.body().empty()) {
    // A delete needs nothing else than a 204: there is no row to describe.
    if (method == Method::kDelete && answer.status() == Status::kNoContent) {
      return {Verdict::kDone, {}, {}, {}};
    }
    // A carrier that vouches for it: the row is as it was sent, and this is its version.
    if (answer.version_only()) return {Verdict::kDone, {}, {}, answer.etag()};
    return {Verdict::kLookUp, {}, {}, {}};
  }
  if (!answer.is_json()) return Odd(answer, "success without JSON: a portal or a proxy?");
  auto row = answer.Row();
  if (!row) return Stop(row.error());
  if (!IsRow(*row, id)) return Odd(answer, "success, but about another row");
  const std::string_view version = answer.RowVersion(*row);
  if (version.empty() && method != Method::kDelete) return {Verdict::kLookUp, {}, {}, {}};
  return {Verdict::kDone, {}, *row, version};
}

// 409, 412. The body is the server's row only when it carries a version that agrees with the ETag;
// the Node server echoes the request instead.
Judgement JudgeConflict(std::string_view id, Answer& answer) {
  if (answer.is_json() && !answer.body().empty()) {
    auto row = answer.Row();
    if (row && IsRow(*row, id)) {
      const std::string_view version = FindText(*row, kVersion);
      if (!version.empty() && version == answer.etag())
        return {Verdict::kExists, {}, *row, version};
    }
  }
  return {Verdict::kLookUp, {}, {}, {}};
}

}  // namespace

void Answer::Reset() {
  arena_.Reset();
  fields_.clear();
  body_bytes_ = 0;
  status_ = Status::kOther;
  native_ = 0;
  is_json_ = version_only_ = done_ = decoded_ = false;
  retry_after_ = {-1};
  etag_.clear();
  upload_.clear();
  upload_offset_ = -1;
  upload_complete_ = false;
  outcome_ = Ok();
}

Result<void> Answer::OnHead(const transport::ResponseHead& head) {
  status_ = head.status;
  native_ = head.native;
  is_json_ = head.is_json;
  version_only_ = head.version_only;
  retry_after_ = head.retry_after;
  upload_offset_ = head.upload_offset;
  upload_complete_ = head.upload_complete;
  HF_TRY(upload_.Assign(head.upload));
  return etag_.Assign(head.version);
}

Result<void> Answer::OnBody(std::string_view chunk) {
  if (chunk.size() > sizeof body_ - body_bytes_) {
    return Error{Code::kTooLarge, Origin::kNone, int(sizeof body_), "the answer is too long"};
  }
  std::memcpy(body_ + body_bytes_, chunk.data(), chunk.size());
  body_bytes_ += chunk.size();
  return Ok();
}

void Answer::OnDone(Result<void> outcome) {
  outcome_ = std::move(outcome);
  done_ = true;
}

bool Answer::looks_like_html() const {
  const std::size_t start = body().find_first_not_of(" \t\r\n");
  return !is_json_ && start != std::string_view::npos && body()[start] == '<';
}

Result<RowView> Answer::Row() {
  if (!decoded_) {
    HF_TRY(wire::DecodeRow(body(), arena_, fields_, {.keep_nested = true}));
    decoded_ = true;
  }
  return fields_.view();
}

namespace {

// Keeps the first row of a page as JSON: the reader's rows live during the call only.
class FirstRowSink : public RowSink {
 public:
  explicit FirstRowSink(TextWriter& out) : out_(out) {}
  Result<void> OnRow(RowView row) override {
    if (!out_.view().empty()) return Ok();
    return wire::EncodeRow(row, out_);
  }

 private:
  TextWriter& out_;
};

}  // namespace

Result<bool> Answer::FirstRow(RowView& row, std::span<char> room) {
  const std::size_t half = room.size() / 2;
  TextWriter first(room.first(half));
  FirstRowSink sink(first);
  wire::PageReader reader(room.subspan(half), arena_, sink);
  HF_TRY(reader.Feed(body()));
  HF_TRY(reader.Finish());
  if (reader.rows() == 0) return false;
  HF_TRY_ASSIGN(const std::string_view json, first.Finish());
  std::memcpy(body_, json.data(), json.size());
  body_bytes_ = json.size();
  arena_.Reset();
  HF_TRY_ASSIGN(row, Row());
  return true;
}

std::string_view Answer::RowVersion(RowView row) const {
  return etag_.empty() ? FindText(row, kVersion) : etag_.view();
}

std::string_view Answer::Words(std::span<char> out) {
  arena_.Reset();
  decoded_ = false;
  return wire::ErrorText(body(), is_json_, arena_, out);
}

Error StatusError(const Answer& answer) {
  const int native = answer.native_status();
  switch (answer.status()) {
    case Status::kUnauthorized:
      return {Code::kUnauthorized, Origin::kHttp, native, "the server refuses our credentials"};
    case Status::kThrottled:
    case Status::kUnavailable:
      return {Code::kThrottled, Origin::kHttp, native, "the server asks to come back later"};
    case Status::kServerError:
      return {Code::kServerError, Origin::kHttp, native, "the server failed"};
    case Status::kOk:
    case Status::kCreated:
    case Status::kNoContent:
    case Status::kOther:
      return {Code::kBadAnswer, Origin::kHttp, native, "not an answer of the table protocol"};
    case Status::kConflict:
    case Status::kPreconditionFailed:
      return {Code::kConflict, Origin::kHttp, native, "the row changed on the server"};
    case Status::kNotFound:
    case Status::kGone: return {Code::kGone, Origin::kHttp, native, "the row is not on the server"};
    case Status::kBadRequest:
    case Status::kForbidden:
    case Status::kMethodNotAllowed:
    case Status::kTooLarge:
      return {Code::kRefused, Origin::kHttp, native, "the server refuses the request"};
  }
  return {Code::kBadAnswer, Origin::kHttp, native, nullptr};
}

Judgement JudgeWrite(Method method, std::string_view id, Answer& answer) {
  if (!answer.outcome()) return Stop(answer.outcome().error());
  switch (answer.status()) {
    case Status::kOk:
    case Status::kCreated:
    case Status::kNoContent: return JudgeSuccess(method, id, answer);
    case Status::kConflict:
    case Status::kPreconditionFailed: return JudgeConflict(id, answer);
    case Status::kNotFound:
    case Status::kGone:
      // A page instead of a protocol's answer: the address is wrong, or something stands between.
      if (answer.looks_like_html()) return Odd(answer, "a web page instead of an answer");
      if (method == Method::kDelete) return {Verdict::kDone, {}, {}, {}};
      // No such table, for an insert: there is no row that could be missing.
      return {method == Method::kInsert ? Verdict::kRefused : Verdict::kGone,
              StatusError(answer),
              {},
              {}};
    case Status::kBadRequest:
    case Status::kForbidden:
    case Status::kMethodNotAllowed:
    case Status::kTooLarge:
      if (answer.looks_like_html()) return Odd(answer, "a web page instead of an answer");
      return {Verdict::kRefused, StatusError(answer), {}, {}};
    case Status::kUnauthorized:
    case Status::kThrottled:
    case Status::kServerError:
    case Status::kUnavailable:
    case Status::kOther: return Stop(StatusError(answer));
  }
  return Stop(StatusError(answer));
}

Judgement JudgeLookup(std::string_view id, Answer& answer) {
  if (!answer.outcome()) return Stop(answer.outcome().error());
  switch (answer.status()) {
    case Status::kOk: {
      if (!answer.is_json()) return Odd(answer, "a row without JSON: a portal or a proxy?");
      auto row = answer.Row();
      if (!row) return Stop(row.error());
      if (!IsRow(*row, id)) return Odd(answer, "asked for one row, got another");
      return {Verdict::kDone, {}, *row, answer.RowVersion(*row)};
    }
    case Status::kNotFound:
    case Status::kGone:
      if (answer.looks_like_html()) return Odd(answer, "a web page instead of an answer");
      return {Verdict::kGone, StatusError(answer), {}, {}};
    case Status::kBadRequest:
    case Status::kForbidden:
    case Status::kMethodNotAllowed:
    case Status::kTooLarge: return {Verdict::kRefused, StatusError(answer), {}, {}};
    default: return Stop(StatusError(answer));
  }
}

Judgement JudgeTombstone(std::string_view id, Answer& answer, std::span<char> room) {
  if (!answer.outcome()) return Stop(answer.outcome().error());
  switch (Classify(StatusError(answer))) {
    case Disposition::kResolve:
    case Disposition::kPark: return {Verdict::kRefused, StatusError(answer), {}, {}};
    default: break;
  }
  if (answer.status() != Status::kOk) return Stop(StatusError(answer));
  if (!answer.is_json()) return Odd(answer, "a list without JSON: a portal or a proxy?");
  RowView row;
  auto found = answer.FirstRow(row, room);
  if (!found) return Stop(found.error());
  if (!*found) return {Verdict::kGone, {}, {}, {}};
  if (!IsRow(row, id)) return Odd(answer, "asked for one row, got another");
  return {Verdict::kDone, {}, row, FindText(row, kVersion)};
}

}  // namespace holdfast::agent
