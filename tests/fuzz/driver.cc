// SPDX-License-Identifier: Apache-2.0
// tests/fuzz/driver.cc - runs a fuzz target where there is no libFuzzer.
//
//   fuzz_NAME [--runs N] [--seed N] [FILE...]
//
// Files are replayed as they are. Without any, the target's own seeds are mutated N times. An input
// that ends the program can be made again from the seed: the run's number is in the last line.
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "tests/fuzz/target.h"

namespace {

std::string Mutated(const std::vector<std::string>& seeds, std::mt19937_64& dice) {
  const auto below = [&](std::size_t n) { return n == 0 ? 0 : dice() % n; };
  std::string text = seeds[below(seeds.size())];
  for (std::size_t changes = 1 + below(6); changes > 0; --changes) {
    const std::size_t at = below(text.size() + 1);
    switch (below(6)) {
      case 0: text.insert(at, 1, static_cast<char>(dice())); break;
      case 1: text.erase(at, 1 + below(8)); break;
      case 2:
        if (at < text.size()) text[at] = static_cast<char>(dice());
        break;
      case 3:
        if (at < text.size()) text[at] = static_cast<char>(text[at] ^ (1 << below(8)));
        break;
      case 4: text.resize(at); break;
      default: {
        const std::string& other = seeds[below(seeds.size())];
        text += other.substr(below(other.size()));
      }
    }
  }
  return text;
}

std::string Content(const std::string& path) {
  std::string text;
  FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) {
    std::perror(path.c_str());
    std::exit(2);
  }
  char chunk[4096];
  while (const std::size_t got = std::fread(chunk, 1, sizeof chunk, file)) text.append(chunk, got);
  std::fclose(file);
  return text;
}

void Feed(const std::string& text) {
  // A copy of its own size, so that AddressSanitizer sees each byte too far.
  std::vector<std::uint8_t> exact(text.begin(), text.end());
  LLVMFuzzerTestOneInput(exact.data(), exact.size());
}

}  // namespace

int main(int argc, char** argv) {
  std::uint64_t runs = 100000, seed = 1;
  std::vector<std::string> files;
  for (int i = 1; i < argc; ++i) {
    if (std::strcmp(argv[i], "--runs") == 0 && i + 1 < argc) {
      runs = std::strtoull(argv[++i], nullptr, 10);
    } else if (std::strcmp(argv[i], "--seed") == 0 && i + 1 < argc) {
      seed = std::strtoull(argv[++i], nullptr, 10);
    } else {
      files.emplace_back(argv[i]);
    }
  }
  for (const std::string& file : files) {
    Feed(Content(file));
  }
  if (!files.empty()) return 0;
  const std::vector<std::string> seeds = FuzzSeeds();
  for (const std::string& text : seeds) Feed(text);
  std::mt19937_64 dice(seed);
  for (std::uint64_t run = 0; run < runs; ++run) Feed(Mutated(seeds, dice));
  std::printf("%llu inputs, seed %llu\n", static_cast<unsigned long long>(runs),
              static_cast<unsigned long long>(seed));
  return 0;
}
