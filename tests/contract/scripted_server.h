// SPDX-License-Identifier: Apache-2.0
// tests/contract/scripted_server.h - scripted_server.py as a C++ object.
//
// Purpose: a table of byte-exact answers and what must come of each.
// Owner:   one process per test program, started on first use and gone with the program.
#ifndef HOLDFAST_TESTS_CONTRACT_SCRIPTED_SERVER_H_
#define HOLDFAST_TESTS_CONTRACT_SCRIPTED_SERVER_H_

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "tests/contract/child_process.h"

namespace holdfast::testing {

class ScriptedServer {
 public:
  static ScriptedServer& Get();

  // https://127.0.0.1:PORT of a listener of scripted_server.py; http:// for "plain".
  std::string Url(const std::string& listener, const std::string& host = "127.0.0.1") const;
  int Port(const std::string& listener) const;
  std::string File(const std::string& name) const { return folder_.path() + "/" + name; }

  void Script(const std::string& steps);
  void Clear();
  std::vector<std::string> Requests();  // since the last time
  int Connections();

 private:
  ScriptedServer();
  std::string Ask(const std::string& line);

  TemporaryFolder folder_;
  ChildProcess process_;
  std::map<std::string, int> ports_;
};

// Steps of a script.
std::string Send(std::string_view bytes);
std::string Flood(std::string_view bytes, int count, int pause_ms);
// "HTTP/1.1 200 OK", header lines each with its CRLF, and a body; Content-Length is added.
std::string Answer(std::string_view status, std::string_view headers, std::string_view body);

inline constexpr std::string_view kJson = "Content-Type: application/json\r\n";
inline constexpr std::string_view kRow = R"({"id":"r1","version":"MQ=="})";
inline constexpr std::string_view kTag = "Content-Type: application/json\r\nETag: \"MQ==\"\r\n";

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTRACT_SCRIPTED_SERVER_H_
