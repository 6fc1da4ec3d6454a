// SPDX-License-Identifier: Apache-2.0
#include "tests/contract/scripted_server.h"

#include <cstdio>
#include <cstdlib>
#include <sstream>

namespace holdfast::testing {
namespace {

std::string Hex(std::string_view bytes) {
  constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (const unsigned char c : bytes) {
    out += kDigits[c >> 4];
    out += kDigits[c & 15];
  }
  return out;
}

std::string Unhex(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out += char(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return out;
}

[[noreturn]] void Die(const char* what) {
  std::fprintf(stderr, "scripted server: %s\n", what);
  std::exit(2);
}

}  // namespace

ScriptedServer& ScriptedServer::Get() {
  static ScriptedServer server;
  return server;
}

ScriptedServer::ScriptedServer()
    : process_({HOLDFAST_PYTHON, "-W", "ignore", HOLDFAST_SCRIPTED_SERVER, folder_.path()}) {
  std::istringstream words(process_.Line());
  std::string word;
  words >> word;
  if (word != "ready") Die("did not start");
  while (words >> word) {
    const std::size_t equals = word.find('=');
    ports_[word.substr(0, equals)] = std::stoi(word.substr(equals + 1));
  }
}

int ScriptedServer::Port(const std::string& listener) const {
  const auto found = ports_.find(listener);
  if (found == ports_.end()) Die("no such listener");
  return found->second;
}

std::string ScriptedServer::Url(const std::string& listener, const std::string& host) const {
  return (listener == "plain" ? "http://" : "https://") + host + ":" +
         std::to_string(Port(listener));
}

std::string ScriptedServer::Ask(const std::string& line) {
  process_.Write(line);
  return process_.Line();
}

void ScriptedServer::Script(const std::string& steps) {
  if (Ask("script " + steps) != "ok") Die("refused a script");
}

void ScriptedServer::Clear() { Ask("clear"); }

std::vector<std::string> ScriptedServer::Requests() {
  std::istringstream words(Ask("requests"));
  std::vector<std::string> requests;
  std::string word;
  words >> word;
  while (words >> word) requests.push_back(Unhex(word));
  return requests;
}

int ScriptedServer::Connections() { return std::stoi(Ask("connections").substr(12)); }

std::string Send(std::string_view bytes) { return "s:" + Hex(bytes) + " "; }

std::string Flood(std::string_view bytes, int count, int pause_ms) {
  return "f:" + Hex(bytes) + ":" + std::to_string(count) + ":" + std::to_string(pause_ms) + " ";
}

std::string Answer(std::string_view status, std::string_view headers, std::string_view body) {
  std::string text = "HTTP/1.1 ";
  text.append(status).append("\r\n").append(headers);
  text += "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  text += body;
  return Send(text);
}

}  // namespace holdfast::testing
