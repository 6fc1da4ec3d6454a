// SPDX-License-Identifier: Apache-2.0
// agent/cli/output.h - answers on stdout, diagnostics on stderr.
//
// Purpose: one buffer for the answer, written when full or when it has to be seen; a write that
//          fails is remembered, so that a full disk behind `> file` is no silent success.
// Owner:   main() makes one Output; JsonWriter borrows it.
// Threads: one.
// Errors:  kIo from Flush(): stdout cannot be written; native is errno (EPIPE: the reader left).
#ifndef HOLDFAST_AGENT_CLI_OUTPUT_H_
#define HOLDFAST_AGENT_CLI_OUTPUT_H_

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "hal/base/result.h"

namespace holdfast::agent {

class Output {
 public:
  explicit Output(int fd);
  Output(const Output&) = delete;
  Output& operator=(const Output&) = delete;

  Output& Put(std::string_view text);
  [[gnu::format(printf, 2, 3)]] Output& Print(const char* format, ...);
  Result<void> Flush();
  int error() const { return errno_; }

 private:
  void Write(std::string_view text);

  int fd_;
  int errno_ = 0;  // of the first write that failed; nothing is written after it
  std::unique_ptr<char[]> buffer_;
  std::size_t used_ = 0;
};

// One JSON object on one line. Keys are a contract with scripts: add, never rename.
class JsonWriter {
 public:
  explicit JsonWriter(Output& out) : out_(out) { Raw("{"); }

  JsonWriter& Open(std::string_view key);  // "key":{
  JsonWriter& Close();                     // }
  JsonWriter& Text(std::string_view key, std::string_view value);
  JsonWriter& Number(std::string_view key, std::uint64_t value);
  JsonWriter& Signed(std::string_view key, std::int64_t value);
  JsonWriter& Seconds(std::string_view key, double value);  // 3 decimals
  JsonWriter& Bool(std::string_view key, bool value);
  JsonWriter& Null(std::string_view key);
  void End() { Raw("}\n"); }

 private:
  void Key(std::string_view key);
  void Raw(std::string_view text) { out_.Put(text); }
  void String(std::string_view text);

  Output& out_;
  bool first_ = true;
};

// "holdfast: ..." with a newline, on stderr: what went wrong, for a person.
[[gnu::format(printf, 1, 2)]] void Complain(const char* format, ...);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_OUTPUT_H_
