// SPDX-License-Identifier: Apache-2.0
#include "server/coap_peer.h"

#include <algorithm>
#include <utility>

namespace holdfast::server {
namespace {

constexpr std::int64_t kBusySeconds = 5;

// What tells one body from another where no version does: four bytes of FNV-1a.
std::string DigestTag(std::string_view body) {
  std::uint32_t digest = 2166136261u;
  for (const char c : body) digest = (digest ^ static_cast<unsigned char>(c)) * 16777619u;
  std::string tag(4, '\0');
  for (std::size_t i = 0; i < tag.size(); ++i) tag[i] = static_cast<char>(digest >> 8 * i);
  return tag;
}

}  // namespace

CoapPeer::~CoapPeer() {
  EndUpload();
  EndDownload();
}

CoapPeer::Recent* CoapPeer::Find(std::uint16_t id, std::string_view token) {
  for (Recent& recent : recent_) {
    if (recent.used && recent.id == id && recent.token == token) return &recent;
  }
  return nullptr;
}

void CoapPeer::Remember(std::uint16_t id, std::string_view token) {
  recent_[next_++ % kRecent] = {id, std::string(token), true, std::nullopt};
}

void CoapPeer::Answered(std::uint16_t id, std::string_view token, const CoapReply& reply) {
  if (Recent* recent = Find(id, token)) recent->reply = reply;
}

bool CoapPeer::Claim(std::size_t bytes) {
  if (bytes > budget_.most - std::min(budget_.used, budget_.most)) return false;
  budget_.used += bytes;
  return true;
}

void CoapPeer::EndUpload() {
  if (upload_) Release(upload_->data.size());
  upload_.reset();
}

void CoapPeer::EndDownload() {
  if (download_) Release(download_->whole.payload.size());
  download_.reset();
}

std::optional<CoapReply> CoapPeer::Blocks(CoapRequest& request) {
  if (request.block2 && request.block2->number != 0) {
    auto reply = NextBlock(request);
    // A read is made anew; a write is never done again for the sake of its answer's rest.
    if (reply || request.repeatable()) return reply;
    return CoapReply::Refuse(408, "that answer is gone");
  }
  if (request.block1) return TakeBlock(request);
  return std::nullopt;
}

std::optional<CoapReply> CoapPeer::TakeBlock(CoapRequest& request) {
  const CoapBlock block = *request.block1;
  const std::size_t size = request.payload.size();
  if (block.more ? size != block.bytes() : size > block.bytes()) {
    return CoapReply::Refuse(400, "a block that is not as long as it says");
  }
  const auto too_long = [&] {
    CoapReply reply = CoapReply::Refuse(413, "the body is too long");
    reply.size1 = static_cast<std::int64_t>(most_);
    EndUpload();
    return reply;
  };
  if (request.size1 > static_cast<std::int64_t>(most_)) return too_long();
  std::string key = request.BodyKey();
  if (block.number == 0) {
    EndUpload();
    upload_ = Upload{key, {}, 0, {}};
  }
  CoapReply go_on;
  go_on.code = CoapCode(231);
  go_on.block1 = CoapBlock{block.number, true, block.szx};
  const std::size_t have = upload_ ? upload_->data.size() : 0;
  const bool known = upload_ && upload_->key == key;
  // A block whose acknowledgement was lost, from a client that gave its message a new id.
  const bool again = known && block.more && have != 0 && upload_->last_block == size &&
                     block.offset() + size == have;
  if (again) return go_on;
  if (!known || block.offset() != have) {
    return CoapReply::Refuse(408, "not the block that comes next; begin again with the first");
  }
  if (have + size > most_) return too_long();
  if (!Claim(size)) {
    CoapReply reply = CoapReply::Refuse(503, "too many bodies are under way");
    reply.max_age = kBusySeconds;
    return reply;
  }
  upload_->data += request.payload;
  upload_->last_block = size;
  upload_->touched = Clock::now();
  if (block.more) return go_on;
  request.payload = upload_->data;
  EndUpload();
  return std::nullopt;
}

CoapReply CoapPeer::Slice(const CoapRequest& request, const CoapReply& whole, bool& more) const {
  CoapBlock block = request.block2.value_or(CoapBlock{});
  const std::size_t offset = block.offset();
  more = false;
  if (offset != 0 && offset >= whole.payload.size()) {
    return CoapReply::Refuse(400, "there is no such block");
  }
  CoapReply reply = whole;
  reply.payload = whole.payload.substr(offset, block.bytes());
  more = offset + reply.payload.size() < whole.payload.size();
  block.more = more;
  if (request.block2 || more) reply.block2 = block;
  if (more && offset == 0) reply.size2 = static_cast<std::int64_t>(whole.payload.size());
  return reply;
}

CoapReply CoapPeer::Cut(const CoapRequest& request, CoapReply whole) {
  EndDownload();
  bool more = false;
  const std::size_t first = request.block2 ? request.block2->bytes() : CoapBlock{}.bytes();
  if (whole.payload.size() > first && whole.etag.empty()) whole.etag = DigestTag(whole.payload);
  CoapReply reply = Slice(request, whole, more);
  // Without room to keep it, the next request makes the answer anew.
  if (more && Claim(whole.payload.size())) {
    whole.block1.reset();
    download_ = Download{request.BodyKey(), std::move(whole), Clock::now()};
  }
  return reply;
}

std::optional<CoapReply> CoapPeer::NextBlock(const CoapRequest& request) {
  if (!download_ || download_->key != request.BodyKey()) return std::nullopt;
  bool more = false;
  CoapReply reply = Slice(request, download_->whole, more);
  download_->touched = Clock::now();
  if (!more && reply.block2) EndDownload();
  return reply;
}

void CoapPeer::Forget(Clock::time_point now) {
  if (upload_ && now - upload_->touched > kBodyLife) EndUpload();
  if (download_ && now - download_->touched > kBodyLife) EndDownload();
}

}  // namespace holdfast::server
