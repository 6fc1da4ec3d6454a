// SPDX-License-Identifier: Apache-2.0
// hal/base/zeros.h - many bytes of zero that take no memory.
//
// Purpose: SQLite makes room for a long text only by copying one; this is one to copy.
// Owner:   the mapping is the object's.
// Threads: any.
// Errors:  an empty view: the system gives no addresses.
#ifndef HOLDFAST_HAL_BASE_ZEROS_H_
#define HOLDFAST_HAL_BASE_ZEROS_H_

#include <cstddef>
#include <string_view>

namespace holdfast {

// Pages that are read and never written are all the system's one page of zeros.
class Zeros {
 public:
  explicit Zeros(std::size_t bytes);
  ~Zeros();
  Zeros(const Zeros&) = delete;
  Zeros& operator=(const Zeros&) = delete;

  std::string_view view() const { return bytes_; }

 private:
  std::string_view bytes_;
};

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_ZEROS_H_
