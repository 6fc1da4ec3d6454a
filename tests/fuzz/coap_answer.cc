// SPDX-License-Identifier: Apache-2.0
// Answers on their way through the client: the first byte says what was asked, the rest is a series
// of blocks, each with its code, options and bytes.
#include <cstdlib>

#include "tests/fuzz/target.h"
#include "transport/coap/download.h"

using namespace holdfast;
using namespace holdfast::transport;
using namespace holdfast::transport::coap;

namespace {

void Require(bool holds) {
  if (!holds) std::abort();
}

// Whatever comes, the sink is called in its order.
class OrderSink final : public ResponseSink {
 public:
  Result<void> OnHead(const ResponseHead& head) override {
    Require(heads_++ == 0);
    Require(!head.version_only || !head.version.empty());
    return Ok();
  }
  Result<void> OnBody(std::string_view chunk) override {
    Require(heads_ == 1 && !chunk.empty());
    return Ok();
  }
  void OnDone(Result<void>) override { std::abort(); }  // the client's to say

 private:
  int heads_ = 0;
};

// Bytes from the front; zeros when there are none left.
class Reader {
 public:
  Reader(const std::uint8_t* data, std::size_t size) : data_(data), size_(size) {}
  bool empty() const { return size_ == 0; }
  std::uint8_t Byte() {
    if (size_ == 0) return 0;
    --size_;
    return *data_++;
  }
  std::string_view Text(std::size_t length) {
    length = length < size_ ? length : size_;
    const std::string_view text(reinterpret_cast<const char*>(data_), length);
    data_ += length;
    size_ -= length;
    return text;
  }

 private:
  const std::uint8_t* data_;
  std::size_t size_;
};

IncomingAnswer NextAnswer(Reader& in) {
  IncomingAnswer answer;
  answer.code = in.Byte();
  const std::uint8_t flags = in.Byte();
  answer.has_etag = (flags & 1) != 0;
  if (answer.has_etag) (void)answer.etag.Assign(in.Text(in.Byte() % 9)).ok();
  if ((flags & 2) != 0) answer.format = in.Byte();
  if ((flags & 4) != 0) {
    answer.block2 = ParseBlock(in.Text(in.Byte() % 5));
    answer.bad_option = !answer.block2;
  }
  if ((flags & 8) != 0) answer.size2 = in.Byte() << 8 | in.Byte();
  if ((flags & 16) != 0) answer.max_age_s = in.Byte();
  const std::size_t length = in.Byte();
  answer.payload = in.Text(length >= 0xf0 ? BlockBytes(length & 7) : length);
  return answer;
}

}  // namespace

std::vector<std::string> FuzzSeeds() {
  const std::string cbor = "\xa2\x62id\x62r1\x67version\x68VERSION1";
  const std::string row = std::string("\x01\x45\x03\x08VERSION1\x3c") + char(cbor.size()) + cbor;
  const std::string written = "\x02\x41\x01\x08VERSION1";
  const std::string block(16, ' ');
  std::string list(1, '\0');
  list += std::string("\x45\x06\x32\x01\x08\x10") + block +
          std::string("\x45\x06\x32\x01\x10\x04", 6) + "[{}]";
  return {row, written, list};
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static RowConverter converter;
  OrderSink sink;
  ResponseSink* at = &sink;
  static ResponseSink* current = nullptr;
  static Download download(converter, current);
  current = at;
  Reader in(data, size);
  download.Reset(Method(in.Byte() % 8));
  while (!in.empty()) {
    auto step = download.Take(NextAnswer(in));
    if (!step || *step != Download::Step::kNext) break;
  }
  return 0;
}
