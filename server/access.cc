// SPDX-License-Identifier: Apache-2.0
#include "server/access.h"

#include "hal/base/text.h"

namespace holdfast::server {
namespace {

std::string_view TokenOf(std::string_view header) {
  constexpr std::string_view kBearer = "bearer ";
  if (header.size() >= kBearer.size() &&
      EqualsIgnoreCase(header.substr(0, kBearer.size()), kBearer)) {
    header.remove_prefix(kBearer.size());
  }
  while (!header.empty() && header.front() == ' ') header.remove_prefix(1);
  return header;
}

}  // namespace

Access Authorize(const Devices& devices, const PeerIdentity& peer, std::string_view zumo_auth,
                 std::string_view authorization, bool allow_anonymous) {
  const std::string_view token = TokenOf(zumo_auth.empty() ? authorization : zumo_auth);
  std::string name;
  if (!peer.empty()) {
    const bool psk = !peer.psk_identity.empty();
    const Device* device =
        psk ? devices.ByPskIdentity(peer.psk_identity) : devices.ByCertificate(peer);
    if (device == nullptr) {
      return {false, "",
              psk ? "this PSK identity is not, or no longer, accepted"
                  : "this certificate is not, or no longer, accepted"};
    }
    name = device->name;
  }
  if (!token.empty()) {
    const Device* device = devices.ByToken(token);
    if (device == nullptr) return {false, "", "this token is not, or no longer, accepted"};
    if (!name.empty() && name != device->name) {
      return {false, "", "the certificate and the token belong to different devices"};
    }
    name = device->name;
  }
  if (name.empty() && !allow_anonymous) {
    return {false, "", "a client certificate or a token is needed"};
  }
  return {true, name, nullptr};
}

}  // namespace holdfast::server
