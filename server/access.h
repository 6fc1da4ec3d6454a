// SPDX-License-Identifier: Apache-2.0
// server/access.h - who is asking: one decision, for each request anew.
#ifndef HOLDFAST_SERVER_ACCESS_H_
#define HOLDFAST_SERVER_ACCESS_H_

#include <string>
#include <string_view>

#include "server/devices.h"

namespace holdfast::server {

struct Access {
  bool allowed = false;
  std::string device;         // "" when anonymous
  const char* why = nullptr;  // not allowed: for the answer
};

// A certificate or a token that is shown has to be good, also where nobody has to show one.
// `zumo_auth` and `authorization` are headers; a leading "Bearer " is taken off either.
Access Authorize(const Devices& devices, const PeerIdentity& peer, std::string_view zumo_auth,
                 std::string_view authorization, bool allow_anonymous);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_ACCESS_H_
