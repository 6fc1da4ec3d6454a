// SPDX-License-Identifier: Apache-2.0
#include <CppUTest/TestHarness.h>

#include <string>
#include <vector>

#include "hal/base/prng.h"
#include "transport/wire_gzip.h"

using namespace holdfast;
using namespace holdfast::wire;

namespace {

std::string Rows(int count) {
  std::string text;
  for (int i = 0; i < count; ++i)
    text += "[\"a-0000" + std::to_string(i) + "\",20." + std::to_string(i % 7) + "],";
  return text;
}

std::string Noise(std::size_t size) {
  Prng dice(3);
  std::string text(size, '\0');
  for (char& c : text) c = char(dice.Next());
  return text;
}

}  // namespace

TEST_GROUP(WireGzip) {
  std::unique_ptr<GzipPacker> packer;
  std::vector<char> room = std::vector<char>(300'000);
  std::vector<char> out = std::vector<char>(300'000);
  void setup() override {
    auto made = GzipPacker::Create();
    CHECK(made.ok());
    packer = std::move(made).value();
  }
  Error Refusal(std::string_view gzip, std::size_t size) {
    auto text = Unpack(gzip, {out.data(), size});
    CHECK(!text.ok());
    return text.error();
  }
};

TEST(WireGzip, WhatIsPackedComesBackAndTheSameTextGivesTheSameBytes) {
  for (const std::string& text : {std::string(), std::string("x"), Rows(5000), Noise(100'000)}) {
    auto packed = packer->Pack(text, room);
    CHECK(packed.ok());
    const std::string first(*packed);
    auto again = packer->Pack(text, room);
    CHECK(again.ok() && first == *again);
    auto back = Unpack(first, out);
    CHECK(back.ok() && *back == text);
  }
}

TEST(WireGzip, RowsGetSmallAndNoiseDoesNot) {
  const std::string rows = Rows(5000), noise = Noise(1000);
  auto packed = packer->Pack(rows, room);
  CHECK(packed.ok() && packed->size() * 4 < rows.size());
  auto too_small = packer->Pack(noise, {room.data(), 1000});
  CHECK(!too_small.ok() && too_small.error().code == Code::kTooLarge);
  CHECK(packer->Pack(rows, room).ok());  // it works on after that
}

TEST(WireGzip, ABombCostsNoMoreThanItsRoom) {
  auto packed = packer->Pack(std::string(280'000, 'a'), room);
  CHECK(packed.ok() && packed->size() < 1000);
  CHECK(Refusal(*packed, 279'999).code == Code::kTooLarge);
  CHECK(Refusal(*packed, 0).code == Code::kTooLarge);
  CHECK(Unpack(*packed, {out.data(), 280'000}).ok());
}

TEST(WireGzip, DamageTruncationAndWhatFollowsAreRefused) {
  const std::string whole(*packer->Pack(Rows(20), room));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    const std::vector<char> cut(whole.begin(), whole.begin() + std::ptrdiff_t(size));
    CHECK(Refusal({cut.data(), cut.size()}, out.size()).code == Code::kBadAnswer);
  }
  CHECK(Refusal(whole + "x", out.size()).code == Code::kBadAnswer);
  CHECK(Refusal(whole + whole, out.size()).code == Code::kBadAnswer);
  for (std::size_t at = 0; at < whole.size(); ++at) {
    std::string changed = whole;
    changed[at] = char(changed[at] ^ 0x55);
    (void)Unpack(changed, out);
  }
}
