// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/scripted_coap.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace holdfast::testing {
namespace {

[[noreturn]] void Die(const std::string& what) {
  std::fprintf(stderr, "scripted CoAP: %s\n", what.c_str());
  std::exit(2);
}

}  // namespace

ScriptedCoap& ScriptedCoap::Get() {
  static ScriptedCoap peer;
  return peer;
}

ScriptedCoap::ScriptedCoap() : process_({HOLDFAST_PYTHON, HOLDFAST_SCRIPTED_COAP}) {}

std::string ScriptedCoap::Ask(const std::string& line) {
  process_.Write(line);
  return process_.Line();
}

int ScriptedCoap::Port(const std::string& line) {
  const std::string answer = Ask(line);
  if (answer.substr(0, 5) != "port ") Die(answer);
  return std::stoi(answer.substr(5));
}

int ScriptedCoap::Script(const std::string& json) {
  std::string line = "script " + json;
  std::replace(line.begin(), line.end(), '\n', ' ');
  return Port(line);
}
int ScriptedCoap::Nobody() { return Port("nobody"); }
int ScriptedCoap::Garbage() { return Port("garbage"); }

ScriptedCoap::Seen ScriptedCoap::See() {
  std::istringstream fields(Ask("seen"));
  std::string field, word;
  std::getline(fields, field, '\t');
  Seen seen;
  std::istringstream(field) >> word >> seen.sent >> word >> seen.received;
  while (std::getline(fields, field, '\t')) seen.messages.push_back(field);
  return seen;
}

std::string ScriptedCoap::Body() {
  const std::string hex = Ask("body").substr(5);
  std::string out;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    out += char(std::stoi(hex.substr(i, 2), nullptr, 16));
  }
  return out;
}

int ScriptedCoap::Seen::Count(std::string_view text) const {
  return int(std::count_if(messages.begin(), messages.end(), [&](const std::string& message) {
    return message.find(text) != std::string::npos;
  }));
}

std::string ScriptedCoap::Seen::All() const {
  std::string all;
  for (const std::string& message : messages) all += message + "\n";
  return all;
}

void ScriptedCoap::MakeCertificates(const std::string& folder) {
  ChildProcess maker({HOLDFAST_PYTHON, "-B", HOLDFAST_SCRIPTED_COAP, "certificates", folder});
  if (maker.Wait() != 0) Die("no certificates");
}

}  // namespace holdfast::testing
