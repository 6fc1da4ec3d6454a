// SPDX-License-Identifier: Apache-2.0
// server/devices.h - who may speak to this server, and how each is recognised.
//
// Purpose: the device file. Only the commands `init` and `device` write it, whole and atomically; a
//          running server looks at it every few seconds and takes over what changed, so a revoked
//          device is out within seconds, on open connections too (each request asks here).
// Shapes:  {"devices": [{"name": "device1", "certificate_sha256": ["<hex>"], "psk_identity": "..",
//           "psk": "<hex>", "token_sha256": "<hex>", "revoked": false, "added": "2026-.."}]}
// Errors:  std::runtime_error naming the file and the fault.
// Threads: one.
#ifndef HOLDFAST_SERVER_DEVICES_H_
#define HOLDFAST_SERVER_DEVICES_H_

#include <map>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace holdfast::server {

struct Device {
  std::string name;
  std::vector<std::string> certificate_sha256;
  std::string psk_identity, psk_hex, psk, token_sha256, added;  // psk: the bytes of psk_hex
  bool revoked = false;
};

// What a connection proved, with its certificate or with a pre-shared key; empty when with neither.
struct PeerIdentity {
  std::string name = {};          // the certificate's common name
  std::string fingerprint = {};   // of the whole certificate
  std::string psk_identity = {};  // whose key it had
  bool empty() const { return name.empty() && psk_identity.empty(); }
};

class Devices {
 public:
  static Devices Parse(std::string_view text, const std::string& where);
  std::string Text() const;

  // nullptr: unknown, or revoked. The certificate has already been verified against our authority.
  const Device* ByCertificate(const PeerIdentity& peer) const;
  const Device* ByToken(std::string_view token) const;
  const Device* ByPskIdentity(std::string_view identity) const;
  const Device* ByName(std::string_view name) const;  // revoked ones too

  void Add(Device device);
  void Revoke(const std::string& name);
  const std::map<std::string, Device, std::less<>>& all() const { return devices_; }

 private:
  std::map<std::string, Device, std::less<>> devices_;
  std::unordered_map<std::string, std::string> by_token_;  // digest -> name
  std::unordered_map<std::string, std::string> by_psk_;    // identity -> name
};

// 1 to 64 letters, digits, '.', '_' and '-', beginning with a letter or digit, and none of the
// names of our own files.
bool IsDeviceName(std::string_view name);

// The file, read again when it has changed.
class DeviceFile {
 public:
  explicit DeviceFile(std::string path);
  // Keeps what was known when the new content cannot be read, and says so in the log.
  void Refresh();
  const Devices& devices() const { return devices_; }

 private:
  struct Stamp {
    long long seconds = 0, nanoseconds = 0, size = -1;
    unsigned long long inode = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  Stamp Look() const;

  std::string path_;
  Stamp stamp_;
  Devices devices_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_DEVICES_H_
