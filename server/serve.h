// SPDX-License-Identifier: Apache-2.0
// server/serve.h - the command `run`: puts the parts together and serves until a signal.
#ifndef HOLDFAST_SERVER_SERVE_H_
#define HOLDFAST_SERVER_SERVE_H_

#include <string>
#include <vector>

#include "server/http_session.h"

namespace holdfast::server {

struct ServeOptions {
  std::string data;
  std::vector<std::string> https;
  std::vector<std::string> coap;  // "coap://ADDRESS:PORT" is without DTLS
  std::string certificate, key, client_authority, devices, schema;  // "": from `data`
  bool json_log = false;
  bool allow_anonymous = false;
  std::uint32_t page_rows = 0;  // 0: as ProtocolLimits has it
  std::size_t max_connections = 4096;
  HttpLimits limits;
};

// The exit code. Throws std::runtime_error for what is wrong before it serves.
int Serve(const ServeOptions& options);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_SERVE_H_
