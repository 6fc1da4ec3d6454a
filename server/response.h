// SPDX-License-Identifier: Apache-2.0
// server/response.h - an answer on its way out: a status, headers, and a body that grows.
#ifndef HOLDFAST_SERVER_RESPONSE_H_
#define HOLDFAST_SERVER_RESPONSE_H_

#include <cstdint>
#include <cstring>
#include <memory>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::server {

// Bytes that grow without being zeroed first; kept by a connection and used again.
class Buffer {
 public:
  void Reserve(std::size_t more) {
    if (capacity_ - size_ >= more) return;
    std::size_t capacity = capacity_ < 4096 ? 4096 : capacity_;
    while (capacity - size_ < more) capacity *= 2;
    auto bigger = std::unique_ptr<char[]>(new char[capacity]);
    if (size_ != 0) std::memcpy(bigger.get(), data_.get(), size_);
    data_ = std::move(bigger);
    capacity_ = capacity;
  }
  void Append(std::string_view text) {
    Reserve(text.size());
    if (!text.empty()) std::memcpy(data_.get() + size_, text.data(), text.size());
    size_ += text.size();
  }
  std::span<char> Free() { return {data_.get() + size_, capacity_ - size_}; }
  void Grow(std::size_t written) { size_ += written; }
  void Truncate(std::size_t size) { size_ = size; }
  // Gives a large buffer back, so that an idle connection does not hold on to it.
  void Clear() {
    size_ = 0;
    if (capacity_ > (64u << 10)) {
      data_.reset();
      capacity_ = 0;
    }
  }
  std::size_t size() const { return size_; }
  std::string_view view() const { return {data_.get(), size_}; }

 private:
  std::unique_ptr<char[]> data_;
  std::size_t size_ = 0, capacity_ = 0;
};

enum class BodyType : std::uint8_t { kJson, kCbor, kText, kProblem };

// What an answer says, before a carrier says it in its own way.
struct Response {
  int status = 200;        // of HTTP
  std::string version;     // of the one row that this is about; its ETag
  std::string location;    // "/tables/readings/r1", percent-encoded: where the new row is
  bool id_chosen = false;  // that row came without an id
  int retry_after_s = 0;   // with 503 and 429
  std::string headers;     // lines that only HTTP has, each with its CRLF
  std::string row;         // "/tables/readings/r1": the one whose state the body is
  // So many bytes at the start of the body are the same as long as `version` is.
  std::size_t lasting = 0;
  Buffer body;
  BodyType type = BodyType::kJson;

  void AddHeader(std::string_view name, std::string_view value) {
    headers.append(name).append(": ").append(value).append("\r\n");
  }
  void Clear() {
    status = 200;
    version.clear();
    location.clear();
    id_chosen = false;
    retry_after_s = 0;
    type = BodyType::kJson;
    headers.clear();
    row.clear();
    lasting = 0;
    body.Clear();
  }
  // {"error":"..."}; `text` is ours, or has been checked to be UTF-8.
  void Refuse(int code, std::string_view text);
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_RESPONSE_H_
