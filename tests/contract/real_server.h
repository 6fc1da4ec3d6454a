// SPDX-License-Identifier: Apache-2.0
// tests/contract/real_server.h - holdfast-server, started once for a test program.
#ifndef HOLDFAST_TESTS_CONTRACT_REAL_SERVER_H_
#define HOLDFAST_TESTS_CONTRACT_REAL_SERVER_H_

#include <CppUTest/TestHarness.h>

#include <memory>
#include <string>
#include <vector>

#include "tests/contract/child_process.h"

namespace holdfast::testing {

class RealServer {
 public:
  // `listeners`: "--https", "127.0.0.1:0" and so on; `init`: more devices.
  explicit RealServer(const std::vector<std::string>& listeners) : data_(folder_.path() + "/data") {
    ChildProcess init(
        {HOLDFAST_SERVER_PROGRAM, "init", data_, "--device", "dev", "--device", "two"});
    if (init.Wait() != 0) FAIL("holdfast-server init");
    std::vector<std::string> words = {HOLDFAST_SERVER_PROGRAM, "run", "--data", data_};
    words.insert(words.end(), listeners.begin(), listeners.end());
    process_ = std::make_unique<ChildProcess>(words);
    for (const std::string& word : listeners) {
      if (word.find(":0") == std::string::npos) continue;
      const std::string line = process_->Line();
      if (line.substr(0, 10) != "listening ") FAIL(line.c_str());
      urls_.push_back(line.substr(10));
    }
  }

  // Of the listener that speaks this: "https", "coaps".
  std::string url(const std::string& scheme) const {
    for (const std::string& url : urls_) {
      if (url.substr(0, scheme.size() + 1) == scheme + ":") return url;
    }
    return "";
  }
  std::string File(const std::string& name) const { return data_ + "/" + name; }

 private:
  TemporaryFolder folder_;
  std::string data_;
  std::vector<std::string> urls_;
  std::unique_ptr<ChildProcess> process_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTRACT_REAL_SERVER_H_
