// SPDX-License-Identifier: Apache-2.0
// tests/config/files.h - whole files in and out, for tests.
#ifndef HOLDFAST_TESTS_CONFIG_FILES_H_
#define HOLDFAST_TESTS_CONFIG_FILES_H_

#include <cstdio>
#include <string>

namespace holdfast::test {

inline std::string ReadFile(const std::string& path) {
  std::string text;
  std::FILE* file = std::fopen(path.c_str(), "rb");
  if (file == nullptr) return "cannot read " + path;
  char buffer[4096];
  for (std::size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
  std::fclose(file);
  return text;
}

inline bool WriteFile(const std::string& path, const std::string& text) {
  std::FILE* file = std::fopen(path.c_str(), "wb");
  if (file == nullptr) return false;
  const bool written = std::fwrite(text.data(), 1, text.size(), file) == text.size();
  return (std::fclose(file) == 0) && written;
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_CONFIG_FILES_H_
