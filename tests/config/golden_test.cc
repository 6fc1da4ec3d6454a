// SPDX-License-Identifier: Apache-2.0
// Every message of the configuration, word for word: golden/NAME.conf gives golden/NAME.expected.
// HOLDFAST_UPDATE_GOLDEN=1 writes the expected files (and config/holdfast.conf) instead; read the
// difference before you keep it.
#include <algorithm>
#include <cstdlib>
#include <string>
#include <vector>

#include <dirent.h>

#include "config/config.h"
#include "tests/config/files.h"

#include <CppUTest/TestHarness.h>

namespace {

const std::string kSource = HOLDFAST_SOURCE_DIR;
const std::string kGolden = kSource + "/tests/config/golden/";

bool Updating() { return std::getenv("HOLDFAST_UPDATE_GOLDEN") != nullptr; }

std::vector<std::string> Names() {
  std::vector<std::string> names;
  DIR* folder = opendir(kGolden.c_str());
  if (folder == nullptr) return names;
  while (const dirent* entry = readdir(folder)) {
    const std::string name = entry->d_name;
    if (name.ends_with(".conf")) names.push_back(name.substr(0, name.size() - 5));
  }
  closedir(folder);
  std::ranges::sort(names);
  return names;
}

std::string Messages(const std::string& name) {
  const holdfast::config::Loaded loaded =
      holdfast::config::Parse(holdfast::test::ReadFile(kGolden + name + ".conf"), "/etc/holdfast");
  std::string text;
  for (const auto& problem : loaded.problems) {
    text += holdfast::config::Format(problem, name + ".conf") + "\n";
  }
  return text.empty() ? "ok\n" : text;
}

}  // namespace

TEST_GROUP(ConfigGolden){};

TEST(ConfigGolden, EveryFileGivesItsMessages) {
  const auto names = Names();
  CHECK(names.size() > 50);
  for (const std::string& name : names) {
    const std::string messages = Messages(name);
    const std::string path = kGolden + name + ".expected";
    if (Updating()) CHECK(holdfast::test::WriteFile(path, messages));
    STRCMP_EQUAL_TEXT(holdfast::test::ReadFile(path).c_str(), messages.c_str(), name.c_str());
  }
}

TEST(ConfigGolden, TheSampleFileIsWhatTheTableOfKeysSays) {
  const std::string path = kSource + "/config/holdfast.conf";
  const std::string sample = holdfast::config::SampleFile();
  if (Updating()) CHECK(holdfast::test::WriteFile(path, sample));
  STRCMP_EQUAL(sample.c_str(), holdfast::test::ReadFile(path).c_str());
}
