// SPDX-License-Identifier: Apache-2.0
// What comes back: headers, the shape of a list, lengths, and the body on its way to the sink.
#include "transport/https/client.h"

namespace holdfast::transport::https {
namespace {

// A row as a server prints it may be somewhat longer than as we sent it.
constexpr std::int64_t kRowBodyBytes = limits::kRowBytes + (64 << 10);
// What is not JSON is for people to read; no server has more to say than this.
constexpr std::int64_t kTextBodyBytes = 256 << 10;
// How far into a list its shape must show.
constexpr std::size_t kShapeBytes = 64;

Error BadAnswer(int status, const char* what) {
  return {Code::kBadAnswer, Origin::kHttp, status, what};
}

}  // namespace

bool Client::Fail(const Error& error) {
  if (!failure_) failure_ = error;
  return false;
}

std::size_t Client::HeaderCallback(char* data, std::size_t size, std::size_t count, void* self) {
  auto* client = static_cast<Client*>(self);
  client->in_callback_ = true;
  const bool go_on = client->OnHeaderLine({data, size * count}) && client->sink_ != nullptr;
  client->in_callback_ = false;
  return go_on ? size * count : CURL_WRITEFUNC_ERROR;
}

bool Client::OnHeaderLine(std::string_view line) {
  if (auto taken = head_.Line(line); !taken) return Fail(taken.error());
  if (head_done_) return true;  // trailers
  if (line.find_first_not_of("\r\n") != std::string_view::npos || head_.interim()) return true;
  head_done_ = true;
  if (auto complete = OnHeadComplete(); !complete) return Fail(complete.error());
  return true;
}

Result<void> Client::OnHeadComplete() {
  const int status = head_.status();
  LearnFromHead(status);
  if (MayBeAboutVersion(status)) {
    holding_ = true;
    return Ok();
  }
  return DeliverHead();
}

bool Client::MayBeAboutVersion(int status) const {
  const bool about_rows =
      request_.method != Method::kBulk && request_.method != Method::kBeginUpload &&
      request_.method != Method::kAppendUpload && request_.method != Method::kFindUpload;
  if (capabilities_.protocol != Protocol::kUnknown || !about_rows) return false;
  if (probe_ == Probe::kSpeaks30) return status == 400 || status == 405;
  return probe_ == Probe::kNone && (status == 400 || status == 405);
}

// What it announces; and what it then refuses all the same, it is not asked for again.
void Client::LearnBulk(int status) {
  const Announcement& told = head_.announcement();
  if (told.bulk_operations > 0) {
    capabilities_.bulk.operations = std::min(told.bulk_operations, limits::kBulkOperations);
    capabilities_.bulk.bytes = std::min(told.bulk_bytes, limits::kBulkBytes);
    capabilities_.gzip = told.gzip;
  }
  if (request_.method == Method::kBulk) {
    if (status == 415 && packed_body_) {
      gzip_refused_ = true;
    } else if (status == 404 || status == 405 || status == 415 || status == 501) {
      bulk_refused_ = true;
    }
  }
  if (bulk_refused_) capabilities_.bulk.operations = 0;
  if (gzip_refused_) capabilities_.gzip = false;
}

void Client::LearnUpload(int status) {
  const Announcement& told = head_.announcement();
  if (told.upload_bytes > 0) {
    capabilities_.upload_bytes = std::min(told.upload_bytes, limits::kUploadBytes);
    capabilities_.sizes = true;
  }
  const bool unknown = status == 404 || status == 405 || status == 415 || status == 501;
  // It has answered as if there were no such thing.
  const bool plain = status == 200 || (status == 201 && head_.Head().upload.empty());
  if (request_.method == Method::kBeginUpload && (unknown || plain)) upload_refused_ = true;
  if (upload_refused_) capabilities_.upload_bytes = 0;
}

void Client::LearnFromHead(int status) {
  LearnBulk(status);
  LearnUpload(status);
  if (head_.holdfast()) capabilities_.holdfast = true;
  if (!head_.server().empty()) (void)capabilities_.server.Assign(head_.server()).ok();
  if (capabilities_.protocol != Protocol::kUnknown || status < 200 || status > 299) return;
  if (probe_ == Probe::kSpeaks30) {
    capabilities_.protocol = Protocol::k30;
  } else if (request_.method == Method::kUpdate || head_.holdfast()) {
    capabilities_.protocol = Protocol::k20;  // our own server speaks both
  }
}

// A toolkit server takes 2.0 requests for 3.0 ones without a word; the shape of a list tells.
void Client::LearnFromList(std::string_view start) {
  if (capabilities_.protocol != Protocol::kUnknown || request_.method != Method::kList) return;
  if (head_.status() != 200) return;
  const std::size_t first = start.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return;
  start = start.substr(first, kShapeBytes);
  if (start[0] == '[' || start.find("\"results\"") != std::string_view::npos) {
    capabilities_.protocol = Protocol::k20;
  } else if (start.substr(0, 8) == "{\"items\"") {
    capabilities_.protocol = Protocol::k30;
  }
}

Result<void> Client::CheckLength(std::int64_t bytes) const {
  const ResponseHead head = head_.Head();
  const bool page = request_.method == Method::kList && head.status == Status::kOk && head.is_json;
  const std::int64_t limit = page             ? std::int64_t(limits::kPageBytes)
                             : request_.large ? std::int64_t(limits::kUploadBytes)
                             : head.is_json   ? kRowBodyBytes
                                              : kTextBodyBytes;
  if (bytes <= limit) return Ok();
  if (!head.is_json) return BadAnswer(head.native, "a long text instead of an answer");
  return Error{Code::kTooLarge, Origin::kHttp, std::int32_t(limit), "the answer is too long"};
}

Result<void> Client::DeliverHead() {
  ResponseHead head = head_.Head();
  if (head.native == 206 && request_.have_bytes > 0 && head.body_from >= 0) {
    head.status = Status::kOk;
  }
  // As it was asked for: of a large row that is written, the version is all there is to say.
  head.version_only = request_.method == Method::kAppendUpload && head.upload_complete &&
                      head.native < 300 && head.body_bytes == 0 && !head.version.empty();
  char path[2048];  // base, table
  TextWriter path_text(path);
  if (request_.method == Method::kList && !head_.link().empty() &&
      PutPath(server_, request_, path_text)) {
    if (const auto next = NextOfLinkHeader(head_.link())) {
      head.continuation =
          ContinuationQuery(server_, path_text.view(), *next).value_or(std::string_view());
    }
  }
  // A row that is too long for us has a version all the same.
  head_delivered_ = true;
  HF_TRY(sink_->OnHead(head));
  return sink_ == nullptr ? Ok() : CheckLength(head.body_bytes);
}

std::size_t Client::BodyCallback(char* data, std::size_t size, std::size_t count, void* self) {
  auto* client = static_cast<Client*>(self);
  client->in_callback_ = true;
  const bool go_on = client->OnBodyBytes({data, size * count}) && client->sink_ != nullptr;
  client->in_callback_ = false;
  return go_on ? size * count : CURL_WRITEFUNC_ERROR;
}

bool Client::OnBodyBytes(std::string_view bytes) {
  if (!head_done_) return Fail(BadAnswer(0, "a body without a header"));
  if (body_bytes_ == 0) LearnFromList(bytes);
  body_bytes_ += std::int64_t(bytes.size());
  if (holding_) {
    if (bytes.size() <= sizeof held_ - held_bytes_) {
      std::memcpy(held_ + held_bytes_, bytes.data(), bytes.size());
      held_bytes_ += bytes.size();
      return true;
    }
    if (auto delivered = DeliverHeld(); !delivered) return Fail(delivered.error());
    if (sink_ == nullptr) return false;
  }
  if (auto delivered = DeliverBody(bytes); !delivered) return Fail(delivered.error());
  return true;
}

Result<void> Client::DeliverBody(std::string_view bytes) {
  HF_TRY(CheckLength(body_bytes_));
  return sink_->OnBody(bytes);
}

// The refusal is not about the version after all: the sink gets what was kept from it.
Result<void> Client::DeliverHeld() {
  holding_ = false;
  HF_TRY(DeliverHead());
  if (held_bytes_ == 0 || sink_ == nullptr) return Ok();
  return sink_->OnBody({held_, held_bytes_});
}

}  // namespace holdfast::transport::https
