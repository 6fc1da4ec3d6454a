// SPDX-License-Identifier: Apache-2.0
#include "hal/base/zeros.h"

#include <sys/mman.h>

namespace holdfast {

Zeros::Zeros(std::size_t bytes) {
  if (bytes == 0) return;
  void* place = mmap(nullptr, bytes, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (place != MAP_FAILED) bytes_ = {static_cast<const char*>(place), bytes};
}

Zeros::~Zeros() {
  if (!bytes_.empty()) munmap(const_cast<char*>(bytes_.data()), bytes_.size());
}

}  // namespace holdfast
