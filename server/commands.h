// SPDX-License-Identifier: Apache-2.0
// server/commands.h - the commands that write credentials: init, device add, revoke and list.
//
// Promise: nothing is overwritten: a file that is there already is an error, before anything is
//          written.
// Errors:  std::runtime_error, one sentence.
#ifndef HOLDFAST_SERVER_COMMANDS_H_
#define HOLDFAST_SERVER_COMMANDS_H_

#include <string>
#include <vector>

namespace holdfast::server {

struct InitOptions {
  std::string data;
  std::vector<std::string> devices;  // none: device1
  std::string https = "127.0.0.1:8443";
  std::string coap = "127.0.0.1:5684";
};

void Init(const InitOptions& options);
void AddDevices(const std::string& data, const std::vector<std::string>& names);
void RevokeDevices(const std::string& data, const std::vector<std::string>& names);
void ListDevices(const std::string& data, bool as_json);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_COMMANDS_H_
