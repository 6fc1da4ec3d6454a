// SPDX-License-Identifier: Apache-2.0
#include "transport/sim/sim_transport.h"

#include <algorithm>
#include <utility>

namespace holdfast::transport {
namespace {

// Roughly what HTTP adds to a body; the same every time.
constexpr std::uint64_t kRequestBytes = 300;
constexpr std::uint64_t kAnswerBytes = 250;
constexpr std::uint64_t kHandshakeBytes = 1200;
constexpr hal::Duration kWatchStep = hal::Duration::Milliseconds(100);

Error Invalid(const char* what) { return {Code::kInvalidArgument, Origin::kNone, 0, what}; }

Status StatusOf(int native) {
  switch (native) {
    case 200: return Status::kOk;
    case 201: return Status::kCreated;
    case 204: return Status::kNoContent;
    case 401: return Status::kUnauthorized;
    case 403: return Status::kForbidden;
    case 404: return Status::kNotFound;
    case 405: return Status::kMethodNotAllowed;
    case 409: return Status::kConflict;
    case 410: return Status::kGone;
    case 412: return Status::kPreconditionFailed;
    case 413: return Status::kTooLarge;
    case 429: return Status::kThrottled;
    case 503: return Status::kUnavailable;
    default: break;
  }
  if (native >= 400 && native < 500) return Status::kBadRequest;
  return native >= 500 && native < 600 ? Status::kServerError : Status::kOther;
}

// What no carrier could say either.
Result<void> CheckFits(const Request& request) {
  const bool no_row = request.method == Method::kWatch || request.method == Method::kBulk ||
                      request.method == Method::kAppendUpload ||
                      request.method == Method::kFindUpload;
  if (no_row) return Ok();
  if (request.table.empty()) return Invalid("a request needs a table");
  const bool begins = request.method == Method::kBeginUpload;
  const Method method = begins ? request.upload.method : request.method;
  if (method != Method::kList && method != Method::kInsert) {
    if (request.id.empty() || request.id == "." || request.id == "..") {
      return Invalid("this id cannot be named in a url");
    }
    if (request.id.size() > limits::kIdBytes) return Invalid("the id is too long for a url");
  }
  for (const char c : request.if_match) {
    if (c < 0x20 || c == 0x7f) return Invalid("a version no header can carry");
  }
  const ListQuery& list = request.list;
  if (list.filter.size() + list.after_id.size() + list.continuation.size() > limits::kUrlBytes) {
    return Invalid("the url is too long");
  }
  return Ok();
}

}  // namespace

SimTransport::SimTransport(SimServer& server, hal::Clock& clock) : server_(server), clock_(clock) {}

Result<void> SimTransport::Begin(const Request& request, ResponseSink& sink) {
  HF_ASSERT(phase_ == Phase::kIdle);
  HF_TRY(CheckFits(request));
  fault_ = {};
  if (!planned_.empty()) {
    fault_ = std::move(planned_.front());
    planned_.pop_front();
  } else if (source_) {
    fault_ = source_(request);
  }
  ++exchange_;
  request_ = request;
  sink_ = &sink;
  phase_ = Phase::kGoing;
  due_ = clock_.Now() + fault_.before;
  deadline_ = clock_.Now() + request.timeout;
  watch_until_ = clock_.Now() + request.wait;
  return Ok();
}

bool SimTransport::Pump(hal::Duration wait) {
  if (phase_ == Phase::kIdle) return false;
  const hal::Instant next = std::min(due_, deadline_);
  if (clock_.Now() < next && wait_ && wait.ns > 0) wait_(std::min(wait, next - clock_.Now()));
  // Both steps in one call when nothing delays them.
  for (int step = 0; step < 2 && phase_ != Phase::kIdle; ++step) {
    if (clock_.Now() >= deadline_ && due_ > deadline_) {
      connected_ = false;
      Finish(Error{Code::kTimeout, Origin::kNone, 0, "no whole answer in time"});
    } else if (clock_.Now() < due_) {
      break;
    } else if (phase_ == Phase::kGoing) {
      Arrive();
    } else {
      Answer();
    }
  }
  return phase_ != Phase::kIdle;
}

// The request is at the server, or lost on its way.
void SimTransport::Arrive() {
  if (!connected_) {
    ++traffic_.connections;
    traffic_.bytes_sent += kHandshakeBytes;
    traffic_.bytes_received += kHandshakeBytes;
  }
  connected_ = true;
  ++traffic_.requests;
  traffic_.bytes_sent += kRequestBytes + request_.body.size();
  switch (fault_.kind) {
    case SimFault::Kind::kNotSent: connected_ = false; return Finish(fault_.error);
    case SimFault::Kind::kInstead: answer_ = fault_.answer; break;
    case SimFault::Kind::kDisguised:
      (void)server_.Handle(request_);
      answer_ = fault_.answer;
      break;
    case SimFault::Kind::kUnanswered:
    case SimFault::Kind::kTruncated:
    case SimFault::Kind::kNone: answer_ = server_.Handle(request_); break;
  }
  // The server holds its answer: it is asked again a little later.
  if (request_.method == Method::kWatch && answer_.status == 204 && clock_.Now() < watch_until_) {
    due_ = std::min(clock_.Now() + kWatchStep, watch_until_);
    return;
  }
  phase_ = Phase::kComing;
  due_ = clock_.Now() + fault_.after;
}

void SimTransport::Answer() {
  if (fault_.kind == SimFault::Kind::kUnanswered) {
    connected_ = false;
    return Finish(fault_.error);
  }
  const bool truncated = fault_.kind == SimFault::Kind::kTruncated;
  const std::size_t bytes =
      truncated ? std::min(fault_.bytes, answer_.body.size()) : answer_.body.size();
  traffic_.bytes_received += kAnswerBytes + bytes;
  if (fault_.kind == SimFault::Kind::kNone) Learn();
  const std::uint64_t exchange = exchange_;
  auto delivered = Deliver(bytes);
  if (phase_ == Phase::kIdle || exchange != exchange_) return;  // the sink has cancelled
  if (delivered && !truncated) return Finish(Ok());
  connected_ = false;
  Finish(delivered ? Error{Code::kBadAnswer, Origin::kNone, 0, "the answer was cut short"}
                   : delivered.error());
}

Result<void> SimTransport::Deliver(std::size_t bytes) {
  ResponseHead head;
  head.status = StatusOf(answer_.status);
  head.native = answer_.status;
  head.is_json = answer_.is_json;
  head.version = answer_.version;
  head.continuation = answer_.continuation;
  head.retry_after = answer_.retry_after;
  head.body_bytes = std::int64_t(answer_.body.size());
  head.body_from = answer_.body_from;
  head.upload = answer_.upload;
  head.upload_offset = answer_.upload_offset;
  head.upload_complete = answer_.upload_complete;
  head.version_only = answer_.version_only;
  const std::uint64_t exchange = exchange_;
  HF_TRY(sink_->OnHead(head));
  for (std::size_t at = 0; at < bytes; at += chunk_bytes_) {
    if (phase_ == Phase::kIdle || exchange != exchange_) break;
    const std::string_view body = std::string_view(answer_.body).substr(0, bytes);
    HF_TRY(sink_->OnBody(body.substr(at, chunk_bytes_)));
  }
  return Ok();
}

void SimTransport::Finish(const Result<void>& outcome) {
  phase_ = Phase::kIdle;
  ResponseSink* sink = std::exchange(sink_, nullptr);
  sink->OnDone(outcome);
}

void SimTransport::Cancel() {
  if (phase_ == Phase::kIdle) return;
  connected_ = false;
  Finish(Error{Code::kCancelled, Origin::kNone, 0, "stopped on request"});
}

Result<void> SimTransport::ReloadCredentials() {
  if (phase_ != Phase::kIdle) {
    return Error{Code::kBusy, Origin::kNone, 0, "an exchange is under way"};
  }
  connected_ = false;
  return Ok();
}

// As a carrier learns it: from answers, never by asking.
void SimTransport::Learn() {
  using Protocol = Capabilities::Protocol;
  const SimFlavour flavour = server_.options().flavour;
  capabilities_.protocol = flavour == SimFlavour::kToolkit ? Protocol::k30 : Protocol::k20;
  capabilities_.holdfast = flavour == SimFlavour::kHoldfast;
  (void)capabilities_.server.Assign("sim").ok();
  if (server_.options().uploads) {
    capabilities_.upload_bytes = limits::kUploadBytes;
    capabilities_.sizes = true;
  }
  const int status = answer_.status;
  const bool unknown = status == 404 || status == 405 || status == 415 || status == 501;
  if (request_.method == Method::kBulk && unknown) capabilities_.bulk.operations = 0;
  if (server_.options().bulk) capabilities_.bulk = {limits::kBulkOperations, limits::kBulkBytes};
}

}  // namespace holdfast::transport
