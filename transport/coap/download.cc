// SPDX-License-Identifier: Apache-2.0
#include "transport/coap/download.h"

#include <algorithm>
#include <cstring>

#include "transport/wire.h"
#include "transport/wire_cbor.h"

namespace holdfast::transport::coap {
namespace {

// A row as a server prints it may be somewhat longer than as we sent it.
constexpr std::size_t kRowBodyBytes = limits::kRowBytes + (64 << 10);
// What is not a row is for people to read.
constexpr std::size_t kTextBodyBytes = 16 << 10;

Error BadAnswer(const char* what) { return {Code::kBadAnswer, Origin::kCoap, 0, what}; }

bool IsJson(int format) { return format == kJson || format == kMergePatch; }

// Visible characters only: a digest has hardly ever eight of them.
bool IsText(std::string_view tag) {
  for (const char c : tag) {
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return !tag.empty();
}

}  // namespace

Result<std::string_view> RowConverter::ToCbor(std::string_view json) {
  arena_.Reset();
  RowFields fields;
  HF_TRY(wire::DecodeRow(json, arena_, fields));
  TextWriter out(std::span<char>(out_).first(kCborBytes));
  HF_TRY(wire::EncodeRowCbor(fields.view(), out));
  return out.Finish();
}

Result<RowConverter::Row> RowConverter::ToJson(std::string_view cbor) {
  arena_.Reset();
  RowFields fields;
  HF_TRY(wire::DecodeRowCbor(cbor, arena_, fields));
  TextWriter out(out_);
  HF_TRY(wire::EncodeRow(fields.view(), out));
  HF_TRY_ASSIGN(const std::string_view json, out.Finish());
  return Row{json, FindText(fields.view(), kVersion)};
}

std::string_view RowConverter::VersionOf(std::string_view json) {
  arena_.Reset();
  RowFields fields;
  if (!wire::DecodeRow(json, arena_, fields, {.keep_nested = true})) return {};
  return FindText(fields.view(), kVersion);
}

void Download::Reset(Method method) {
  method_ = method;
  ++answers_;
  bytes_ = blocks_ = 0;
  szx_ = kLargestSzx;
  first_ = {};
  version_.clear();
  left_out_ = completes_upload_ = large_ = false;
  from_ = begins_at_ = 0;
}

void Download::ExpectLarge(std::uint64_t have_bytes, std::string_view version) {
  large_ = true;
  from_ = std::size_t(have_bytes) / BlockBytes(kLargestSzx) * BlockBytes(kLargestSzx);
  if (!wanted_.Assign(version)) from_ = 0;
}

Result<Download::Step> Download::Take(const IncomingAnswer& answer) {
  if (answer.bad_option) return BadAnswer("an answer with an option that cannot be");
  const bool last = !answer.block2 || !answer.block2->more;
  if (blocks_ == 0) {
    const bool in_middle = from_ > 0 && answer.block2 && answer.block2->number > 0;
    if (in_middle && !(answer.has_etag && answer.etag == EtagOf(wanted_.view()))) {
      return Step::kFromStart;
    }
    bytes_ = begins_at_ = in_middle ? from_ : 0;
    HF_TRY(CheckFirst(answer));
  } else {
    HF_TRY(CheckNext(answer));
  }
  if (answer.block2) szx_ = answer.block2->szx;
  ++blocks_;
  const std::size_t before = bytes_;
  bytes_ += answer.payload.size();
  HF_TRY(CheckLength());
  if (first_.format == kCbor) return Keep(answer.payload, before, last);
  const std::uint64_t this_answer = answers_;
  if (blocks_ == 1) HF_TRY(Begin(answer));
  if (Still(this_answer) && !answer.payload.empty()) HF_TRY(sink_->OnBody(answer.payload));
  return last ? Step::kDone : Step::kNext;
}

Result<void> Download::CheckFirst(const IncomingAnswer& answer) {
  first_ = answer;
  first_.payload = {};
  if (!answer.block2) return Ok();
  if (answer.block2->offset() != bytes_) return BadAnswer("an answer that begins in its middle");
  return CheckBlockLength(answer);
}

Result<void> Download::CheckBlockLength(const IncomingAnswer& answer) const {
  const std::size_t size = BlockBytes(answer.block2->szx);
  if (answer.block2->more ? answer.payload.size() == size : answer.payload.size() <= size) {
    return Ok();
  }
  return BadAnswer("a block that is not as long as it says");
}

Result<void> Download::CheckNext(const IncomingAnswer& answer) const {
  if (answer.code != first_.code) {
    return Error{Code::kServerError, Origin::kCoap, Dotted(answer.code),
                 "the server failed in the middle of an answer"};
  }
  if (answer.has_etag != first_.has_etag || !(answer.etag == first_.etag)) {
    return BadAnswer("what is being read has changed meanwhile: it will be read again");
  }
  if (!answer.block2 || answer.block2->offset() != bytes_ || answer.format != first_.format) {
    return BadAnswer("a block that is not the one that was asked for");
  }
  return CheckBlockLength(answer);
}

Result<void> Download::CheckLength() const {
  const bool is_row = IsJson(first_.format) || first_.format == kCbor;
  const bool page = method_ == Method::kList && first_.code == Code(205) && is_row;
  const std::size_t limit = page      ? limits::kPageBytes
                            : !is_row ? kTextBodyBytes
                            : large_  ? limits::kUploadBytes
                                      : kRowBodyBytes;
  const std::size_t declared = first_.size2 < 0 ? 0 : std::size_t(first_.size2);
  if (std::max(bytes_, declared) <= limit) return Ok();
  if (!is_row) return BadAnswer("a long text instead of an answer");
  return Error{Code::kTooLarge, Origin::kCoap, int(limit), "the answer is too long"};
}

// A tag that stands for a longer version is not the version: that one is in the row.
Version Download::VersionFor(std::string_view row_version) const {
  Version version;
  if (!first_.has_etag) return version;
  if (row_version.size() > 8 && EtagOf(row_version) == first_.etag) {
    (void)version.Assign(row_version).ok();
  } else if (IsText(first_.etag.view())) {
    (void)version.Assign(first_.etag.view()).ok();
  }
  return version;
}

ResponseHead Download::MakeHead() const {
  ResponseHead head;
  head.status = StatusFromCoap(first_.code);
  head.native = HttpStatusOf(first_.code);
  head.is_json = IsJson(first_.format);
  head.version = version_.view();
  head.retry_after = RetryAfter(first_);
  head.upload_complete = completes_upload_;
  head.body_from = std::int64_t(begins_at_);
  return head;
}

Result<void> Download::Begin(const IncomingAnswer& answer) {
  const bool whole = !answer.block2 || !answer.block2->more;
  const bool row = IsJson(first_.format) && method_ != Method::kList && whole;
  version_ = VersionFor(row && first_.etag.size() == 8 ? converter_.VersionOf(answer.payload)
                                                       : std::string_view());
  ResponseHead head = MakeHead();
  head.body_bytes = whole              ? std::int64_t(answer.payload.size())
                    : first_.size2 < 0 ? -1
                                       : first_.size2 - std::int64_t(begins_at_);
  const bool written = first_.code == Code(204) || first_.code == Code(201);
  head.version_only = written && whole && answer.payload.empty() && !version_.empty();
  return sink_->OnHead(head);
}

Result<Download::Step> Download::Keep(std::string_view block, std::size_t offset, bool last) {
  const std::size_t declared = first_.size2 < 0 ? 0 : std::size_t(first_.size2);
  left_out_ = std::max(bytes_, declared) > cbor_.size();
  if (left_out_ && method_ == Method::kLookup) return Step::kAskForJson;
  if (!left_out_ && !block.empty()) std::memcpy(cbor_.data() + offset, block.data(), block.size());
  // The rest of a row that nobody can use is not worth its bytes.
  if (!last && !left_out_) return Step::kNext;
  return HandOnRow();
}

Result<Download::Step> Download::HandOnRow() {
  RowConverter::Row row;
  if (!left_out_) {
    auto converted = converter_.ToJson({cbor_.data(), bytes_});
    const bool too_large = !converted && converted.error().code == Code::kTooLarge;
    if (too_large && method_ == Method::kLookup) return Step::kAskForJson;
    if (!converted && !too_large) return converted.error();
    left_out_ = too_large;
    if (converted) row = *converted;
  }
  version_ = VersionFor(row.version);
  ResponseHead head = MakeHead();
  head.is_json = !left_out_;
  head.body_bytes = std::int64_t(row.json.size());
  const std::uint64_t this_answer = answers_;
  HF_TRY(sink_->OnHead(head));
  if (Still(this_answer) && !row.json.empty()) HF_TRY(sink_->OnBody(row.json));
  return Step::kDone;
}

}  // namespace holdfast::transport::coap
