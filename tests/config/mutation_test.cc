// SPDX-License-Identifier: Apache-2.0
// Broken files: whatever is in them, the parser ends, stays in bounds, and either finds a problem
// or gives a configuration that prints and reads back as itself.
#include <string>

#include "config/config.h"
#include "config/json.h"
#include "hal/base/prng.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::config {

namespace {

void Survives(const std::string& text) {
  const Loaded loaded = Parse(text, "/etc/holdfast");
  for (const auto& problem : loaded.problems) {
    CHECK(problem.line >= 0 && !Format(problem, "f").empty());
  }
  if (!loaded.ok()) return;
  const std::string printed = PrintEffective(loaded.config);
  STRCMP_EQUAL(printed.c_str(), PrintEffective(Parse(printed, "/").config).c_str());
}

// One to four small accidents: a byte changed, removed or doubled, a piece moved, a token put in.
std::string Mutate(std::string text, Prng& prng) {
  constexpr const char* kTokens[] = {
      "{",     "}", "[",  "]",  ",", ":",    "\"",   "\\u00", "//",       "/*",   "*/",     "null",
      "1e999", "-", "\n", "\\", "0", "9999", "true", "\xFF",  "\xC3\xA9", "\x01", "\"id\"", "\"\""};
  for (std::uint64_t n = 1 + prng.Below(4); n > 0 && !text.empty(); --n) {
    const std::size_t at = prng.Below(text.size());
    const std::size_t size = prng.Below(std::min<std::size_t>(40, text.size() - at));
    switch (prng.Below(5)) {
      case 0: text[at] = char(prng.Below(256)); break;
      case 1: text.erase(at, size); break;
      case 2: text.insert(at, text.substr(at, size)); break;
      case 3: text.insert(prng.Below(text.size()), text.substr(at, size)); break;
      default: text.insert(at, kTokens[prng.Below(std::size(kTokens))]); break;
    }
  }
  return text;
}

}  // namespace

TEST_GROUP(ConfigMutation){};

TEST(ConfigMutation, EveryTruncationOfTheSample) {
  const std::string sample = SampleFile();
  for (std::size_t size = 0; size < sample.size(); ++size) {
    const Loaded loaded = Parse(std::string_view(sample).substr(0, size), "/etc/holdfast");
    // Only white space may be missing from a file that is still complete.
    CHECK(!loaded.ok() || sample.find_first_not_of('\n', size) == std::string::npos);
  }
}

TEST(ConfigMutation, TenThousandSeededMutations) {
  const std::string commented = SampleFile();
  // Without comments, most accidents hit something that matters.
  const std::string plain = PrintEffective(Parse(commented, "/etc/holdfast").config);
  for (std::uint64_t seed = 0; seed < 10'000; ++seed) {
    Prng prng(seed);
    Survives(Mutate(seed % 4 == 0 ? commented : plain, prng));
  }
}

TEST(ConfigMutation, DeepAndWideNonsense) {
  Survives(std::string(200'000, '['));
  Survives(std::string(200'000, '{'));
  Survives("{\"a\":" + std::string(200'000, '9') + "}");
  Survives("{\"" + std::string(200'000, 'k') + "\":1}");
  Survives("{" + std::string(100'000, ',') + "}");
  Survives(std::string("{\"a\0b\":1}", 9));
}

}  // namespace holdfast::config
