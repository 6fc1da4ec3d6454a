// SPDX-License-Identifier: Apache-2.0
// hal/base/fixed_string.h - a string of at most N bytes, stored inside its owner.
//
// Purpose: names, ids and versions live in structs without allocation. What does not fit is an
//          error, never a silent cut: a cut id would be another row.
// Owner:   value type.
#ifndef HOLDFAST_HAL_BASE_FIXED_STRING_H_
#define HOLDFAST_HAL_BASE_FIXED_STRING_H_

#include <cstring>
#include <string_view>

#include "hal/base/result.h"

namespace holdfast {

template <std::size_t N>
class FixedString {
 public:
  FixedString() = default;

  // kTooLarge: `text` does not fit; the old content stays.
  Result<void> Assign(std::string_view text) {
    if (text.size() > N) return Error{Code::kTooLarge, Origin::kNone, int(N), "text too long"};
    if (!text.empty()) std::memmove(data_, text.data(), text.size());
    size_ = text.size();
    data_[size_] = '\0';
    return Ok();
  }
  Result<void> Append(std::string_view text) {
    if (text.size() > N - size_) {
      return Error{Code::kTooLarge, Origin::kNone, int(N), "text too long"};
    }
    if (!text.empty()) std::memcpy(data_ + size_, text.data(), text.size());
    size_ += text.size();
    data_[size_] = '\0';
    return Ok();
  }
  void clear() { size_ = 0, data_[0] = '\0'; }

  bool empty() const { return size_ == 0; }
  std::size_t size() const { return size_; }
  const char* c_str() const { return data_; }
  std::string_view view() const { return {data_, size_}; }
  static constexpr std::size_t capacity() { return N; }

  friend bool operator==(const FixedString& a, const FixedString& b) {
    return a.view() == b.view();
  }
  friend bool operator==(const FixedString& a, std::string_view b) { return a.view() == b; }

 private:
  std::size_t size_ = 0;
  char data_[N + 1] = {};
};

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_FIXED_STRING_H_
