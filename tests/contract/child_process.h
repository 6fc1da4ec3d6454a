// SPDX-License-Identifier: Apache-2.0
// tests/contract/child_process.h - a program with pipes to its stdin and from its stdout.
//
// Owner: whoever made it; the program ends with it (end of stdin, then SIGTERM).
#ifndef HOLDFAST_TESTS_CONTRACT_CHILD_PROCESS_H_
#define HOLDFAST_TESTS_CONTRACT_CHILD_PROCESS_H_

#include <sys/types.h>

#include <cstdio>
#include <string>
#include <vector>

namespace holdfast::testing {

// A folder of its own under the temporary folder, gone at the end.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

class ChildProcess {
 public:
  explicit ChildProcess(const std::vector<std::string>& command);
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  std::string Line();  // of its output; the test program ends when there is none
  void Write(const std::string& line);
  int Wait();  // closes its stdin; its exit status

 private:
  std::string name_;
  pid_t pid_ = -1;
  FILE *to_ = nullptr, *from_ = nullptr;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTRACT_CHILD_PROCESS_H_
