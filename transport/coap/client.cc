// SPDX-License-Identifier: Apache-2.0
#include "transport/coap/client.h"

#include <algorithm>
#include <utility>

namespace holdfast::transport::coap {
namespace {

// Routers forget where an idle session comes from, and servers let it go after five minutes.
// A body that is lost goes again whole: at most 32 blocks.
constexpr std::int64_t kBulkBytesMost = 32 << 10;
constexpr hal::Duration kIdleMax = hal::Duration::Seconds(240);
constexpr std::string_view kUndelete = R"({"deleted":false})";
// A server may lose the blocks it has (4.08), or refuse a format: the whole again, but not for
// ever.
constexpr int kRestartsMax = 3;
constexpr std::int64_t kDefaultMaxAgeSeconds = 60;  // RFC 7252 5.10.5

Error Invalid(const char* what) { return {Code::kInvalidArgument, Origin::kNone, 0, what}; }
Error BadAnswer(int dotted, const char* what) {
  return {Code::kBadAnswer, Origin::kCoap, dotted, what};
}

bool HasBody(Method method) {
  return method == Method::kInsert || method == Method::kUpdate || method == Method::kReplace ||
         method == Method::kUndelete;
}

}  // namespace

// ---- making it

Result<void> Client::Start(const Options& options) {
  HF_TRY_ASSIGN(server_, ParseServerUrl(options.url, kCoapSchemes));
  std::string_view host = server_.host.view();
  if (host.front() == '[') host = host.substr(1, host.size() - 2);
  HF_TRY(host_.Assign(host));
  if (!files_.ca.Assign(options.ca_file) || !files_.cert.Assign(options.cert_file) ||
      !files_.key.Assign(options.key_file) || !files_.psk.Assign(options.psk_key_file) ||
      !files_.psk_identity.Assign(options.psk_identity)) {
    return Invalid("the path of a credential file is too long");
  }
  if (options.ack_timeout < hal::Duration::Milliseconds(1) ||
      options.ack_timeout > hal::Duration::Seconds(60)) {
    return Invalid("the first acknowledgement may be waited for from 1 ms to 60 s");
  }
  connect_timeout_ = options.connect_timeout;
  stall_timeout_ = options.stall_timeout;
  ack_timeout_ = options.ack_timeout;
  // The mapping to CoAP is holdfast's own, and says what protocol 3.0 says.
  capabilities_.protocol = Capabilities::Protocol::k30;
  capabilities_.holdfast = true;
  (void)capabilities_.server.Assign("CoAP").ok();
  return LoadCredentials();
}

Result<void> Client::LoadCredentials() {
  if (!server_.tls) return Ok();
  HF_TRY_ASSIGN(auto fresh, tls::Credentials::Load(files_));
  if (!fresh->has_psk() && !fresh->has_ca()) {
    return Invalid("coaps:// needs psk_identity and psk_key_file, or a ca_file");
  }
  session_.Close();  // it borrows the old ones
  credentials_ = std::move(fresh);
  return Ok();
}

Result<void> Client::ReloadCredentials() {
  if (phase_ != Phase::kIdle)
    return Error{Code::kBusy, Origin::kNone, 0, "an exchange is under way"};
  return LoadCredentials();
}

// ---- one exchange

Result<void> Client::Begin(const Request& request, ResponseSink& sink) {
  HF_ASSERT(phase_ == Phase::kIdle);
  HF_TRY(outgoing_.Set(server_, request));
  request_ = request;
  sink_ = &sink;
  ++exchange_;
  restarts_ = 0;
  upload_szx_ = kLargestSzx;
  since_ = clock_.Now();
  deadline_ = since_ + request.timeout;
  watch_until_ = since_ + request.wait;
  StartOver();
  const bool usable =
      session_.established() && !session_.failure() && since_ - last_used_ < kIdleMax;
  if (!usable) session_.Close();
  phase_ = usable ? Phase::kReady : Phase::kFind;
  return Ok();
}

// From the first block, as if nothing had been sent.
void Client::StartOver() {
  PrepareBody();
  upload_offset_ = 0;
  upload_more_ = upload_blocks_ = false;
  request_tag_ = 0;
  download_.Reset(request_.method);
  if (request_.large && request_.method == Method::kLookup) {
    download_.ExpectLarge(request_.have_bytes, request_.if_match);
  }
}

void Client::PrepareBody() {
  body_ = {};
  body_format_ = accept_ = kNoFormat;
  if (request_.method == Method::kBulk) {
    body_ = request_.body;
    body_format_ = kCbor;
    return;
  }
  if (request_.method == Method::kAppendUpload) {
    body_ = request_.body;
    return;
  }
  const bool wants_row = request_.method == Method::kLookup || outgoing_.wants_row();
  if (wants_row && cbor_works_) accept_ = request_.large ? kJson : kCbor;
  if (!outgoing_.fetch_body().empty()) {
    body_ = outgoing_.fetch_body();
    body_format_ = kCbor;
  } else if (HasBody(request_.method)) {
    const bool undelete = request_.method == Method::kUndelete && request_.body.empty();
    body_ = undelete ? kUndelete : request_.body;
    body_format_ = kJson;
    if (!cbor_works_ || body_.size() > kCborBytes) return;
    if (auto cbor = converter_.ToCbor(body_)) {
      body_ = *cbor;
      body_format_ = kCbor;
    }
  }
}

bool Client::Pump(hal::Duration wait) {
  if (phase_ == Phase::kIdle) return false;
  Work({0});
  if (phase_ != Phase::kIdle && wait.ns > 0) Work(wait);
  return phase_ != Phase::kIdle;
}

void Client::Work(hal::Duration wait) {
  if (GiveUpInTime()) return;
  if (phase_ == Phase::kFind) WorkFind(wait);
  if (phase_ == Phase::kHandshake) WorkHandshake(wait);
  if (phase_ == Phase::kReady) WorkReady(wait);
  if (phase_ == Phase::kAwait) WorkAwait(wait);
  if (phase_ == Phase::kWatch) WorkWatch(wait);
  CountTraffic();
}

bool Client::GiveUpInTime() {
  const hal::Instant now = clock_.Now();
  const bool connecting = phase_ == Phase::kFind || phase_ == Phase::kHandshake;
  const bool late = now >= deadline_;
  if (connecting && (late || now - since_ >= connect_timeout_)) {
    Fail({Code::kOffline, Origin::kCoap, 0, "no session with the server in time"});
  } else if (late || (phase_ == Phase::kAwait && now - since_ >= stall_timeout_)) {
    Fail({Code::kTimeout, Origin::kCoap, 0, "no answer from the server in time"});
  }
  return phase_ == Phase::kIdle;
}

void Client::WorkFind(hal::Duration wait) {
  if (!resolver_.started()) {
    if (auto started = resolver_.Start(host_.view(), server_.port); !started) {
      return Fail(started.error());
    }
  }
  auto found = resolver_.Poll(wait);
  if (!found) return;
  resolver_.GiveUp();
  if (!*found) return Fail(found->error());
  const Session::Settings settings{credentials_.get(), host_.c_str(), ack_timeout_};
  if (auto opened = session_.Open(settings, **found); !opened) return Fail(opened.error());
  pacer_ = Pacer();  // a new socket has message ids of its own
  phase_ = Phase::kHandshake;
}

void Client::WorkHandshake(hal::Duration wait) {
  if (!session_.established()) session_.Work(wait);
  if (session_.failure()) return Fail(*session_.failure());
  if (!session_.established()) return;
  ++traffic_.connections;
  phase_ = Phase::kReady;
}

void Client::WorkReady(hal::Duration wait) {
  const hal::Instant now = clock_.Now();
  const hal::Duration pause = pacer_.Wait(now);
  if (pause.ns > 0) return session_.Work(std::min(pause, wait));
  if (upload_offset_ == 0 && !download_.begun()) ++traffic_.requests;
  if (auto sent = session_.Send(NextMessage()); !sent) return Fail(sent.error());
  pacer_.Sent(now);
  since_ = now;
  phase_ = Phase::kAwait;
}

void Client::WorkAwait(hal::Duration wait) {
  if (session_.answer() == nullptr && !session_.failure()) session_.Work(wait);
  if (session_.failure()) return Fail(*session_.failure());
  const IncomingAnswer* answer = session_.answer();
  if (answer == nullptr) return;
  last_used_ = clock_.Now();
  phase_ = Phase::kReady;  // unless the answer decides otherwise
  OnAnswer(*answer);
}

// A notification comes with the token of the request. After Max-Age the server may have forgotten
// us.
void Client::WorkWatch(hal::Duration wait) {
  const hal::Instant now = clock_.Now();
  const hal::Duration left = std::min(watch_until_, renew_at_) - now;
  if (left.ns > 0) session_.Work(std::min(wait, left));
  if (session_.failure()) return Fail(*session_.failure());
  if (const IncomingAnswer* answer = session_.answer()) {
    last_used_ = clock_.Now();
    phase_ = Phase::kReady;
    return OnAnswer(*answer);
  }
  const hal::Instant then = clock_.Now();
  if (then >= watch_until_) {
    session_.Forget();
    ResponseHead nothing;
    nothing.status = Status::kNoContent;
    nothing.native = 204;
    const auto taken = sink_->OnHead(nothing);
    return Finish(taken);
  }
  if (then >= renew_at_) {
    session_.Forget();
    phase_ = Phase::kReady;
  }
}

// The block under way, or the whole when it fits one.
OutgoingMessage Client::NextMessage() {
  OutgoingMessage message;
  message.request = &outgoing_;
  message.format = body_format_;
  message.accept = accept_;
  if (request_.method == Method::kAppendUpload && !download_.begun()) return NextPart();
  if (download_.begun()) {
    message.block2 = download_.next();
    if (outgoing_.code() != kFetch) message.format = kNoFormat;
    return message;
  }
  message.block2 = download_.first();
  if (upload_offset_ == 0) upload_szx_ = std::min(upload_szx_, session_.LargestSzx(outgoing_));
  const std::size_t size = BlockBytes(upload_szx_);
  message.payload = body_.substr(upload_offset_, size);
  if (body_.size() <= size && upload_offset_ == 0) return message;
  upload_more_ = upload_offset_ + message.payload.size() < body_.size();
  upload_blocks_ = true;
  message.block1 = Block{std::uint32_t(upload_offset_ / size), upload_more_, upload_szx_};
  if (upload_offset_ == 0) {
    message.size1 = body_.size();
    request_tag_ = next_tag_++;
  }
  message.request_tag = request_tag_;
  return message;
}

void Client::OnAnswer(const IncomingAnswer& answer) {
  if (answer.bad_option) return Fail(BadAnswer(Dotted(answer.code), "an option that cannot be"));
  if (OnPartAnswer(answer) || OnUploadBegun(answer)) return;
  if (OnUploadAnswer(answer) || OnCborRefused(answer) || OnNoNews(answer)) return;
  OnFinalAnswer(answer);
}

// True: the upload goes on, or has failed.
bool Client::OnUploadAnswer(const IncomingAnswer& answer) {
  const bool smaller = answer.block1 && answer.block1->szx < upload_szx_;
  switch (Dotted(answer.code)) {
    case 231: OnContinue(answer); return true;
    case 408:
      // Once it was answered, a body is never sent again for the sake of the answer's rest.
      if (download_.begun() || !upload_blocks_ || restarts_++ >= kRestartsMax) return false;
      StartOver();
      return true;
    case 413:
      // Too large a block, not too large a body (RFC 7959 2.9.3).
      if (download_.begun() || body_.empty() || upload_offset_ != 0 || !smaller ||
          restarts_++ >= kRestartsMax) {
        return false;
      }
      StartOver();
      upload_szx_ = answer.block1->szx;
      return true;
    default: break;
  }
  if (!upload_more_ || answer.code >> 5 != 2) return false;
  Fail(BadAnswer(Dotted(answer.code), "success before the body was complete"));
  return true;
}

void Client::OnContinue(const IncomingAnswer& answer) {
  if (!upload_more_) return Fail(BadAnswer(231, "'continue' after the last block"));
  const std::size_t number = upload_offset_ / BlockBytes(upload_szx_);
  if (!answer.block1 || answer.block1->number != number) {
    return Fail(BadAnswer(231, "another block was acknowledged than was sent"));
  }
  upload_offset_ += BlockBytes(upload_szx_);
  if (answer.block1->szx < upload_szx_) upload_szx_ = answer.block1->szx;
}

// A server that does not read or write CBOR gets JSON from then on; nothing was applied.
bool Client::OnCborRefused(const IncomingAnswer& answer) {
  const int dotted = Dotted(answer.code);
  const bool used = body_format_ == kCbor && outgoing_.code() != kFetch;
  const bool refused = (dotted == 406 && accept_ == kCbor) || (dotted == 415 && used);
  if (!cbor_works_ || !refused || request_.method == Method::kBulk || download_.begun())
    return false;
  cbor_works_ = false;
  StartOver();
  return true;
}

// True: what a watch was told is known already, and it goes on.
bool Client::OnNoNews(const IncomingAnswer& answer) {
  if (request_.method != Method::kWatch || answer.code != Code(205)) return false;
  if (answer.payload > request_.list.since) {
    session_.Forget();
    return false;
  }
  const std::int64_t seconds = answer.max_age_s < 0 ? kDefaultMaxAgeSeconds : answer.max_age_s;
  renew_at_ = clock_.Now() + hal::Duration::Seconds(std::max<std::int64_t>(seconds, 1));
  session_.KeepWaiting();
  phase_ = Phase::kWatch;
  return true;
}

// What it announces; and what it then refuses all the same, it is not asked for again.
void Client::LearnBulk(const IncomingAnswer& answer) {
  if (answer.bulk_operations > 0) {
    capabilities_.bulk.operations =
        std::size_t(std::min<std::int64_t>(answer.bulk_operations, limits::kBulkOperations));
    capabilities_.bulk.bytes =
        std::size_t(std::min<std::int64_t>(answer.bulk_bytes, kBulkBytesMost));
    capabilities_.bulk.encoding = wire::Encoding::kCbor;
  }
  if (answer.upload_bytes > 0) {
    capabilities_.upload_bytes =
        std::size_t(std::min<std::int64_t>(answer.upload_bytes, limits::kUploadBytes));
    capabilities_.sizes = true;
  }
  const int dotted = Dotted(answer.code);
  const bool unknown = dotted == 404 || dotted == 405 || dotted == 415 || dotted == 501;
  if (request_.method == Method::kBulk && unknown) bulk_refused_ = true;
  if (request_.method == Method::kBeginUpload && unknown) upload_refused_ = true;
  if (bulk_refused_) capabilities_.bulk.operations = 0;
  if (upload_refused_) capabilities_.upload_bytes = 0;
}

void Client::OnFinalAnswer(const IncomingAnswer& answer) {
  upload_more_ = false;
  LearnBulk(answer);
  const std::uint64_t exchange = exchange_;
  auto step = download_.Take(answer);
  if (sink_ == nullptr || exchange != exchange_) return;  // cancelled by the sink
  if (!step) return Finish(step.error());
  switch (*step) {
    case Download::Step::kNext: return;
    case Download::Step::kDone: return Finish(Ok());
    case Download::Step::kFromStart: request_.have_bytes = 0; return StartOver();
    case Download::Step::kAskForJson:
      if (restarts_++ >= kRestartsMax)
        return Fail(BadAnswer(0, "CBOR instead of the JSON asked for"));
      StartOver();
      accept_ = kJson;
      return;
  }
}

// ---- the end of it

// Whatever went wrong on the way, the session is not to be trusted with the next exchange.
void Client::Fail(Error error) {
  error = WithCircumstances(error);
  resolver_.GiveUp();
  CountTraffic();
  session_.Close();
  Finish(error);
}

Error Client::WithCircumstances(Error error) const {
  if (error.code == Code::kTlsExpired && clock_.Wall().quality == hal::WallQuality::kUnset) {
    return {Code::kClockUnset, error.origin, error.native,
            "certificates cannot be judged before the date is known"};
  }
  const bool refused =
      error.code == Code::kTlsUntrusted && credentials_ && !credentials_->has_psk();
  if (refused && credentials_->OwnCertificateExpired()) {
    return {Code::kTlsExpired, error.origin, error.native, "our certificate is outside its dates"};
  }
  return error;
}

void Client::Finish(const Result<void>& outcome) {
  phase_ = Phase::kIdle;
  ResponseSink* sink = std::exchange(sink_, nullptr);
  if (sink != nullptr) sink->OnDone(outcome);
}

void Client::Cancel() {
  if (phase_ == Phase::kIdle) return;
  resolver_.GiveUp();
  // A message under way would be sent again and again; between two answers there is none.
  const bool under_way = phase_ == Phase::kAwait || phase_ == Phase::kHandshake;
  if (phase_ == Phase::kWatch) session_.Forget();
  if (under_way) session_.Close();
  Finish(Error{Code::kCancelled, Origin::kNone, 0, "stopped on request"});
}

void Client::CountTraffic() {
  traffic_.bytes_sent = session_.meter().bytes_sent;
  traffic_.bytes_received = session_.meter().bytes_received;
}

}  // namespace holdfast::transport::coap

namespace holdfast::transport {

Result<std::unique_ptr<CoapTransport>> CoapTransport::Create(const Options& options,
                                                             hal::Clock& clock) {
  auto client = std::make_unique<coap::Client>(clock);
  HF_TRY(client->Start(options));
  return std::unique_ptr<CoapTransport>(std::move(client));
}

}  // namespace holdfast::transport
