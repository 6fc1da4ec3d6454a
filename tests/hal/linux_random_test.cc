// SPDX-License-Identifier: Apache-2.0
#include "hal/linux/linux_random.h"

#include <algorithm>
#include <array>

#include <CppUTest/TestHarness.h>

namespace holdfast::hal {

TEST_GROUP(LinuxRandom){};

TEST(LinuxRandom, FillsEverythingAndNeverTheSame) {
  LinuxRandom random;
  std::array<std::byte, 4096> a{};
  std::array<std::byte, 4096> b{};
  CHECK(random.Fill(a).ok());
  CHECK(random.Fill(b).ok());
  CHECK(a != b);
  // The last byte was reached too: 64 zero bytes at the end do not happen by chance.
  CHECK(std::ranges::any_of(std::span(a).last(64), [](std::byte x) { return x != std::byte{0}; }));
}

TEST(LinuxRandom, NothingIsFilledAtOnce) {
  LinuxRandom random;
  CHECK(random.Fill({}).ok());
}

}  // namespace holdfast::hal
