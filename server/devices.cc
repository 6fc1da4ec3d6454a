// SPDX-License-Identifier: Apache-2.0
#include "server/devices.h"

#include <sys/stat.h>

#include <algorithm>
#include <stdexcept>

#include "hal/base/log.h"
#include "server/credentials.h"
#include "server/files.h"
#include "server/json.h"

namespace holdfast::server {
namespace {

std::string Member(const json::object& object, const char* key, const std::string& where) {
  const json::value* value = object.if_contains(key);
  if (value == nullptr) return "";
  if (!value->is_string()) throw std::runtime_error(where + ": '" + key + "' must be a string");
  return std::string(AsView(value->get_string()));
}

std::string FromHex(std::string_view text, const std::string& where) {
  static constexpr std::string_view kDigits = "0123456789abcdef";
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    const auto high = kDigits.find(text[i]), low = kDigits.find(text[i + 1]);
    if (high == kDigits.npos || low == kDigits.npos) break;
    bytes += static_cast<char>(high * 16 + low);
  }
  if (bytes.size() * 2 != text.size()) {
    throw std::runtime_error(where + ": 'psk' must be lower-case hex");
  }
  return bytes;
}

Device ParseDevice(const json::value& value, const std::string& where) {
  if (!value.is_object()) throw std::runtime_error(where + ": a device must be an object");
  const json::object& object = value.get_object();
  Device device;
  device.name = Member(object, "name", where);
  device.psk_identity = Member(object, "psk_identity", where);
  device.psk_hex = Member(object, "psk", where);
  device.token_sha256 = Member(object, "token_sha256", where);
  device.added = Member(object, "added", where);
  if (const json::value* revoked = object.if_contains("revoked")) {
    // Anything but a plain false keeps the device out.
    device.revoked = !revoked->is_bool() || revoked->get_bool();
  }
  const json::value* certificates = object.if_contains("certificate_sha256");
  if (certificates != nullptr && certificates->is_array()) {
    for (const json::value& digest : certificates->get_array()) {
      if (digest.is_string()) device.certificate_sha256.emplace_back(AsView(digest.get_string()));
    }
  }
  if (device.name.empty()) throw std::runtime_error(where + ": a device has no name");
  if (!device.psk_hex.empty()) device.psk = FromHex(device.psk_hex, where + ": " + device.name);
  return device;
}

}  // namespace

Devices Devices::Parse(std::string_view text, const std::string& where) {
  const json::value document = ParseJson(text, where);
  const json::value* list =
      document.is_object() ? document.get_object().if_contains("devices") : nullptr;
  if (list == nullptr || !list->is_array()) {
    throw std::runtime_error(where + ": must be an object with a list 'devices'");
  }
  Devices devices;
  for (const json::value& value : list->get_array()) devices.Add(ParseDevice(value, where));
  return devices;
}

std::string Devices::Text() const {
  json::array list;
  for (const auto& [name, device] : devices_) {
    json::array certificates;
    for (const std::string& digest : device.certificate_sha256) certificates.emplace_back(digest);
    list.push_back({{"name", device.name},
                    {"certificate_sha256", certificates},
                    {"psk_identity", device.psk_identity},
                    {"psk", device.psk_hex},
                    {"token_sha256", device.token_sha256},
                    {"revoked", device.revoked},
                    {"added", device.added}});
  }
  return PrettyJson(json::value{{"devices", list}});
}

const Device* Devices::ByName(std::string_view name) const {
  const auto found = devices_.find(name);
  return found == devices_.end() ? nullptr : &found->second;
}

const Device* Devices::ByCertificate(const PeerIdentity& peer) const {
  const Device* device = ByName(peer.name);
  if (device == nullptr || device->revoked) return nullptr;
  const auto& known = device->certificate_sha256;
  return std::find(known.begin(), known.end(), peer.fingerprint) == known.end() ? nullptr : device;
}

const Device* Devices::ByPskIdentity(std::string_view identity) const {
  const auto found = by_psk_.find(std::string(identity));
  if (found == by_psk_.end()) return nullptr;
  const Device* device = ByName(found->second);
  return device == nullptr || device->revoked ? nullptr : device;
}

// By digest: finding it takes as long for a near miss as for a far one.
const Device* Devices::ByToken(std::string_view token) const {
  if (token.empty()) return nullptr;
  const auto found = by_token_.find(Sha256Hex(token));
  if (found == by_token_.end()) return nullptr;
  const Device* device = ByName(found->second);
  return device == nullptr || device->revoked ? nullptr : device;
}

void Devices::Add(Device device) {
  if (!device.psk_identity.empty()) by_psk_[device.psk_identity] = device.name;
  if (!device.token_sha256.empty()) by_token_[device.token_sha256] = device.name;
  devices_[device.name] = std::move(device);
}

void Devices::Revoke(const std::string& name) {
  const auto found = devices_.find(name);
  if (found == devices_.end()) throw std::runtime_error("there is no device '" + name + "'");
  found->second.revoked = true;
}

bool IsDeviceName(std::string_view name) {
  if (name.empty() || name.size() > 64) return false;
  for (const std::string_view taken : {"ca", "server", "devices", "schema"}) {
    if (name == taken) return false;
  }
  for (std::size_t i = 0; i < name.size(); ++i) {
    const char c = name[i];
    const bool alphanumeric =
        (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (!alphanumeric && (i == 0 || (c != '.' && c != '_' && c != '-'))) return false;
  }
  return true;
}

DeviceFile::DeviceFile(std::string path) : path_(std::move(path)), stamp_(Look()) {
  devices_ = Devices::Parse(ReadFile(path_), path_);
}

DeviceFile::Stamp DeviceFile::Look() const {
  struct stat state;
  if (stat(path_.c_str(), &state) != 0) return {};
  return {state.st_mtim.tv_sec, state.st_mtim.tv_nsec, state.st_size, state.st_ino};
}

void DeviceFile::Refresh() {
  const Stamp now = Look();
  if (now == stamp_) return;
  stamp_ = now;
  try {
    devices_ = Devices::Parse(ReadFile(path_), path_);
  } catch (const std::exception& error) {
    Log(LogLevel::kError, "devices: %s; going on with those known before", error.what());
  }
}

}  // namespace holdfast::server
