// SPDX-License-Identifier: Apache-2.0
// server/request_log.h - with --json-log, one JSON object a line on stderr: what the server did.
//
// Purpose: for log collectors. Never bodies, tokens or query texts: those may hold people's data.
// Shapes:  {"ts":"2026-..Z","event":"request","device":"device1","method":"POST",
//           "path":"/tables/readings","status":201,"bytes":180,"ms":1.234}
#ifndef HOLDFAST_SERVER_REQUEST_LOG_H_
#define HOLDFAST_SERVER_REQUEST_LOG_H_

#include <chrono>
#include <string_view>

namespace holdfast::server {

class RequestLog {
 public:
  explicit RequestLog(bool on) : on_(on) {}
  void Request(std::string_view device, std::string_view method, std::string_view path, int status,
               std::size_t bytes, std::chrono::steady_clock::duration time);
  void Event(std::string_view event, std::string_view detail);

 private:
  bool on_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_REQUEST_LOG_H_
