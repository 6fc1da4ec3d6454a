// SPDX-License-Identifier: Apache-2.0
// Large rows: an upload is a resource that takes blocks from any offset, in any session (RFC 7959
// 2.5 lets a server do that for resources that belong to one client).
#include <algorithm>

#include "transport/coap/client.h"
#include "transport/wire_cbor.h"

namespace holdfast::transport::coap {
namespace {

constexpr std::size_t kTagBytes = 8;

// {"o": 4096, ..}: how much of the upload the server has; -1: it does not say.
std::int64_t OffsetIn(const IncomingAnswer& answer) {
  if (answer.format != kCbor) return -1;
  char room[256];
  Arena arena(room);
  RowFields fields;
  if (!wire::DecodeRowCbor(answer.payload, arena, fields)) return -1;
  const Field* offset = Find(fields.view(), "o");
  const bool number = offset != nullptr && offset->value.type == ValueType::kInteger;
  return number ? offset->value.integer : -1;
}

}  // namespace

// The next block of this part. An offset that another carrier has left is reached in small steps.
OutgoingMessage Client::NextPart() {
  const UploadPart& part = request_.upload;
  const std::uint64_t offset = part.offset + upload_offset_;
  OutgoingMessage message;
  message.request = &outgoing_;
  message.upload_tag = part.resource.substr(0, kTagBytes);
  if (body_.empty()) return message;  // all of it is there, and its answer was lost
  unsigned szx = session_.LargestSzx(outgoing_);
  if (upload_offset_ > 0) szx = std::min(szx, upload_szx_);
  while (szx > 0 && offset % BlockBytes(szx) != 0) --szx;
  message.payload = body_.substr(upload_offset_, BlockBytes(szx));
  upload_more_ = offset + message.payload.size() < part.length;
  message.block1 = Block{std::uint32_t(offset / BlockBytes(szx)), upload_more_, szx};
  return message;
}

void Client::FinishUpload(const ResponseHead& head) {
  upload_more_ = false;
  const std::uint64_t exchange = exchange_;
  auto taken = sink_->OnHead(head);
  if (sink_ != nullptr && exchange == exchange_) Finish(taken);
}

// True: the answer is about a block, not about the row.
bool Client::OnPartAnswer(const IncomingAnswer& answer) {
  if (request_.method != Method::kAppendUpload || download_.begun()) return false;
  const UploadPart& part = request_.upload;
  LearnBulk(answer);
  ResponseHead head;
  switch (Dotted(answer.code)) {
    case 231:
      if (!upload_more_ || !answer.block1) {
        Fail({Code::kBadAnswer, Origin::kCoap, 231, "'continue' after the last block"});
        return true;
      }
      upload_szx_ = answer.block1->szx;
      upload_offset_ = std::size_t(answer.block1->offset() + BlockBytes(upload_szx_) - part.offset);
      if (answer.block1->offset() + BlockBytes(upload_szx_) <= part.offset ||
          upload_offset_ > body_.size()) {
        Fail(
            {Code::kBadAnswer, Origin::kCoap, 231, "another block was acknowledged than was sent"});
        return true;
      }
      if (upload_offset_ < body_.size()) return true;  // and the next block goes
      head.status = Status::kNoContent;
      head.native = 204;
      head.upload_offset = std::int64_t(part.offset + body_.size());
      FinishUpload(head);
      return true;
    case 408:
      head.status = Status::kConflict;
      head.native = 409;
      head.upload_offset = OffsetIn(answer);
      FinishUpload(head);
      return true;
    default: break;
  }
  const bool lost = answer.code == Code(404) && upload_offset_ == 0;
  if (!upload_more_ && !lost) download_.set_completes_upload();
  upload_more_ = false;
  return false;
}

// True: the answer tells of an upload. Refusals are read as all others are.
bool Client::OnUploadBegun(const IncomingAnswer& answer) {
  const bool begun = request_.method == Method::kBeginUpload && answer.code == Code(201);
  const bool found = request_.method == Method::kFindUpload && answer.code == Code(205);
  if (!begun && !found) return false;
  LearnBulk(answer);
  ResponseHead head;
  head.status = begun ? Status::kCreated : Status::kOk;
  head.native = begun ? 201 : 200;
  head.upload = begun ? answer.location.view() : std::string_view();
  head.upload_offset = OffsetIn(answer);
  FinishUpload(head);
  return true;
}

}  // namespace holdfast::transport::coap
