// SPDX-License-Identifier: Apache-2.0
// hal/base/prng.h - a seeded generator for jitter and simulation; never for ids or keys.
#ifndef HOLDFAST_HAL_BASE_PRNG_H_
#define HOLDFAST_HAL_BASE_PRNG_H_

#include <cstdint>

namespace holdfast {

// SplitMix64 (Steele, Lea, Flood: Fast splittable pseudorandom number generators, 2014).
class Prng {
 public:
  explicit Prng(std::uint64_t seed) : state_(seed) {}

  std::uint64_t Next() {
    std::uint64_t z = (state_ += 0x9E3779B97F4A7C15ULL);
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9ULL;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBULL;
    return z ^ (z >> 31);
  }
  // 0 <= result < bound; bound 0 gives 0.
  std::uint64_t Below(std::uint64_t bound) { return bound == 0 ? 0 : Next() % bound; }
  bool Chance(std::uint32_t percent) { return Below(100) < percent; }

 private:
  std::uint64_t state_;
};

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_PRNG_H_
