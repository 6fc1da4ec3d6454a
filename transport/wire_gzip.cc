// SPDX-License-Identifier: Apache-2.0
#include "transport/wire_gzip.h"

#include <zlib.h>

#include <new>

#include "hal/base/memory.h"

namespace holdfast::wire {
namespace {

constexpr int kWindowBits = 15;
constexpr int kGzip = 16;  // added to the window: a gzip header, not zlib's
constexpr int kMemoryLevel = 7;
constexpr int kLevel = 6;

Bytef* In(std::string_view text) {
  return reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
}

void* Allocate(void*, uInt count, uInt bytes) {
  return memory::Allocate(memory::Pool::kGzip, std::size_t(count) * bytes);
}
void Free(void*, void* block) { memory::Free(block); }

z_stream NewStream() {
  z_stream stream{};
  stream.zalloc = Allocate;
  stream.zfree = Free;
  return stream;
}

Error NoMemory() { return {Code::kNoMemory, Origin::kNone, 0, "zlib has no memory"}; }

}  // namespace

struct GzipPacker::State {
  z_stream stream = NewStream();
  bool ready = false;
  ~State() {
    if (ready) deflateEnd(&stream);
  }
};

GzipPacker::GzipPacker() = default;
GzipPacker::~GzipPacker() = default;

Result<std::unique_ptr<GzipPacker>> GzipPacker::Create() {
  std::unique_ptr<GzipPacker> packer(new (std::nothrow) GzipPacker);
  if (!packer) return NoMemory();
  packer->state_.reset(new (std::nothrow) State);
  if (!packer->state_) return NoMemory();
  const int code = deflateInit2(&packer->state_->stream, kLevel, Z_DEFLATED, kWindowBits + kGzip,
                                kMemoryLevel, Z_DEFAULT_STRATEGY);
  if (code != Z_OK) return NoMemory();
  packer->state_->ready = true;
  return packer;
}

Result<std::string_view> GzipPacker::Pack(std::string_view text, std::span<char> out) {
  z_stream& stream = state_->stream;
  HF_ASSERT(deflateReset(&stream) == Z_OK);
  stream.next_in = In(text);
  stream.avail_in = uInt(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  if (deflate(&stream, Z_FINISH) != Z_STREAM_END) {
    return Error{Code::kTooLarge, Origin::kNone, int(out.size()), "it does not get small enough"};
  }
  return std::string_view(out.data(), out.size() - stream.avail_out);
}

void GzipPacker::Begin() { HF_ASSERT(deflateReset(&state_->stream) == Z_OK); }

std::size_t GzipPacker::Feed(std::string_view& text, bool last, std::span<char> out) {
  z_stream& stream = state_->stream;
  stream.next_in = In(text);
  stream.avail_in = uInt(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  const int code = deflate(&stream, last ? Z_FINISH : Z_NO_FLUSH);
  HF_ASSERT(code == Z_OK || code == Z_STREAM_END || code == Z_BUF_ERROR);
  text.remove_prefix(text.size() - stream.avail_in);
  return out.size() - stream.avail_out;
}

Result<std::string_view> Unpack(std::string_view gzip, std::span<char> out) {
  z_stream stream = NewStream();
  if (inflateInit2(&stream, kWindowBits + kGzip) != Z_OK) return NoMemory();
  stream.next_in = In(gzip);
  stream.avail_in = uInt(gzip.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = uInt(out.size());
  const int code = inflate(&stream, Z_FINISH);
  const bool left_over = stream.avail_in > 0, full = stream.avail_out == 0;
  const std::size_t size = out.size() - stream.avail_out;
  inflateEnd(&stream);
  if (code == Z_STREAM_END && !left_over) return std::string_view(out.data(), size);
  if (code == Z_STREAM_END) {
    return Error{Code::kBadAnswer, Origin::kNone, code, "something follows the packed body"};
  }
  if (code == Z_BUF_ERROR && full) {
    return Error{Code::kTooLarge, Origin::kNone, int(out.size()), "unpacked, the body is too long"};
  }
  if (code == Z_MEM_ERROR) return NoMemory();
  return Error{Code::kBadAnswer, Origin::kNone, code, "the body is not gzip, or damaged"};
}

}  // namespace holdfast::wire
