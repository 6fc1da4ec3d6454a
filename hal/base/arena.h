// SPDX-License-Identifier: Apache-2.0
// hal/base/arena.h - memory that is taken from one buffer and given back all at once.
//
// Purpose: rows, JSON trees and request texts of one exchange come from a buffer that the owner of
//          the exchange holds, and vanish together with Reset(). Running out is kNoMemory, an
//          ordinary error, so a peer cannot make us grow.
// Owner:   the arena borrows its buffer; views into it live until Reset() or the arena's end.
// Threads: one.
#ifndef HOLDFAST_HAL_BASE_ARENA_H_
#define HOLDFAST_HAL_BASE_ARENA_H_

#include <cstddef>
#include <cstring>
#include <span>
#include <string_view>

#include "hal/base/result.h"

namespace holdfast {

class Arena {
 public:
  explicit Arena(std::span<char> buffer) : buffer_(buffer) {}
  Arena(const Arena&) = delete;
  Arena& operator=(const Arena&) = delete;

  // Aligned for any type. nullptr when full.
  void* Allocate(std::size_t bytes) {
    const std::size_t start =
        (used_ + alignof(std::max_align_t) - 1) & ~(alignof(std::max_align_t) - 1);
    if (start > buffer_.size() || bytes > buffer_.size() - start) return nullptr;
    used_ = start + bytes;
    if (used_ > high_water_) high_water_ = used_;
    return buffer_.data() + start;
  }

  // A copy of `text` inside the arena.
  Result<std::string_view> Copy(std::string_view text) {
    char* place = static_cast<char*>(AllocateBytes(text.size()));
    if (place == nullptr) return Full();
    if (!text.empty()) std::memcpy(place, text.data(), text.size());
    return std::string_view(place, text.size());
  }

  // Unaligned bytes. nullptr when full.
  void* AllocateBytes(std::size_t bytes) {
    if (bytes > buffer_.size() - used_) return nullptr;
    void* place = buffer_.data() + used_;
    used_ += bytes;
    if (used_ > high_water_) high_water_ = used_;
    return place;
  }

  // Marks a point to go back to: everything taken after it is given back.
  std::size_t Mark() const { return used_; }
  void ResetTo(std::size_t mark) {
    HF_ASSERT(mark <= used_);
    used_ = mark;
  }
  void Reset() { used_ = 0; }

  std::size_t free_bytes() const { return buffer_.size() - used_; }
  std::size_t size_bytes() const { return buffer_.size(); }
  std::size_t high_water_bytes() const { return high_water_; }

  static Error Full() { return {Code::kNoMemory, Origin::kNone, 0, "a working buffer is full"}; }

 private:
  std::span<char> buffer_;
  std::size_t used_ = 0;
  std::size_t high_water_ = 0;
};

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_ARENA_H_
