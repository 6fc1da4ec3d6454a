// SPDX-License-Identifier: Apache-2.0
#include "server/commands.h"

#include <unistd.h>

#include <cstdio>
#include <filesystem>
#include <set>
#include <stdexcept>

#include "hal/base/timestamp.h"
#include "server/change_clock.h"
#include "server/credentials.h"
#include "server/devices.h"
#include "server/files.h"
#include "server/http_server.h"
#include "server/json.h"

namespace holdfast::server {
namespace {

constexpr mode_t kSecret = 0600;
constexpr mode_t kPublic = 0644;

std::string Today() {
  return std::string(FormatTimestamp(ChangeClock::SystemNow() * 10, 0).view());
}

// What a device finds in the folder, by the endings of its files.
constexpr const char* kDeviceFiles[] = {".crt", ".key", ".psk", ".token", ".conf", ".coap.conf"};

void CheckNames(const std::vector<std::string>& names) {
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (!IsDeviceName(name)) {
      throw std::runtime_error("'" + name +
                               "' cannot name a device: 1 to 64 letters, digits, '.', "
                               "'_' or '-', and not ca, server, devices or schema");
    }
    if (!seen.insert(name).second) throw std::runtime_error("'" + name + "' is given twice");
  }
}

void RefuseExisting(const std::string& data, const std::vector<std::string>& files) {
  for (const std::string& file : files) {
    if (FileExists(data + "/" + file)) {
      throw std::runtime_error(data + "/" + file + " is there already; nothing was changed");
    }
  }
}

std::vector<std::string> FilesOf(const std::vector<std::string>& devices) {
  std::vector<std::string> files;
  for (const std::string& name : devices) {
    for (const char* ending : kDeviceFiles) files.push_back(name + ending);
  }
  return files;
}

// A client that runs on this machine cannot connect to "any address".
std::string UrlOf(const std::string& scheme, const std::string& listener) {
  Endpoint endpoint = ParseEndpoint(listener);
  if (endpoint.host == "0.0.0.0") endpoint.host = "127.0.0.1";
  if (endpoint.host == "::") endpoint.host = "::1";
  const bool v6 = endpoint.host.find(':') != std::string::npos;
  return scheme + "://" + (v6 ? "[" + endpoint.host + "]" : endpoint.host) + ":" + endpoint.port;
}

// Where devices find this server.
struct Urls {
  std::string https, coap;
};

std::string ClientConfig(const std::string& base, const json::value& server) {
  const json::value config = {
      {"database", base + ".db"},
      {"server", server},
      {"tables",
       {{"readings",
         {{"columns",
           {{"sensor", "text"}, {"value", "real"}, {"ts", "integer"}, {"quality", "integer"}}},
          {"direction", "both"},
          {"conflict", "ask"}}}}}};
  return PrettyJson(config);
}

// The device's own files; what the server has to remember is the result.
Device MakeDevice(const std::string& data, const Credential& authority, const std::string& name,
                  const Urls& urls) {
  const Credential credential = MakeDeviceCredential(authority, name);
  const std::string psk = ToHex(RandomBytes(32));
  const std::string token = ToHex(RandomBytes(32));
  const std::string base = data + "/" + name;
  WriteNewFile(base + ".crt", credential.certificate, kPublic);
  WriteNewFile(base + ".key", credential.key, kSecret);
  WriteNewFile(base + ".psk", psk + "\n", kSecret);
  WriteNewFile(base + ".token", token + "\n", kSecret);
  const json::value by_https = {{"url", urls.https},
                                {"protocol", "auto"},
                                {"ca_file", data + "/ca.crt"},
                                {"cert_file", base + ".crt"},
                                {"key_file", base + ".key"}};
  const json::value by_coap = {
      {"url", urls.coap}, {"psk_identity", name}, {"psk_key_file", base + ".psk"}};
  WriteNewFile(base + ".conf", ClientConfig(base, by_https), kPublic);
  WriteNewFile(base + ".coap.conf", ClientConfig(base, by_coap), kPublic);
  Device device;
  device.name = name;
  device.certificate_sha256 = {Fingerprint(credential.certificate)};
  device.psk_identity = name;
  device.psk_hex = psk;
  device.token_sha256 = Sha256Hex(token);
  device.added = Today();
  return device;
}

std::vector<std::string> ServerNames(const std::string& listener) {
  std::vector<std::string> names = {"127.0.0.1", "::1", "localhost"};
  char host[256] = {};
  if (gethostname(host, sizeof host - 1) == 0 && host[0] != '\0') names.emplace_back(host);
  const std::string own = ParseEndpoint(listener).host;
  if (own != "0.0.0.0" && own != "::") names.push_back(own);
  std::vector<std::string> unique;
  std::set<std::string> seen;
  for (const std::string& name : names) {
    if (seen.insert(name).second) unique.push_back(name);
  }
  return unique;
}

std::string DevicePath(const std::string& data) { return data + "/devices.json"; }

std::string Absolute(const std::string& path) {
  std::string text = std::filesystem::absolute(path).lexically_normal().string();
  while (text.size() > 1 && text.back() == '/') text.pop_back();
  return text;
}

}  // namespace

void Init(const InitOptions& options) {
  std::vector<std::string> devices = options.devices;
  if (devices.empty()) devices = {"device1"};
  CheckNames(devices);
  for (const std::string& listener : {options.https, options.coap}) {
    if (ParseEndpoint(listener).port == "0") {
      throw std::runtime_error(listener + ": devices need a port that stays; 0 is for run --https");
    }
  }
  const std::string data = Absolute(options.data);
  std::vector<std::string> files = FilesOf(devices);
  for (const char* own : {"ca.crt", "ca.key", "server.crt", "server.key", "server.conf",
                          "devices.json", "server.db"}) {
    files.emplace_back(own);
  }
  RefuseExisting(data, files);
  StartCrypto();
  MakeDirectory(data);
  const Credential authority = MakeAuthority();
  const Credential server = MakeServerCredential(authority, ServerNames(options.https));
  WriteNewFile(data + "/ca.crt", authority.certificate, kPublic);
  WriteNewFile(data + "/ca.key", authority.key, kSecret);
  WriteNewFile(data + "/server.crt", server.certificate, kPublic);
  WriteNewFile(data + "/server.key", server.key, kSecret);
  WriteNewFile(
      data + "/server.conf",
      PrettyJson({{"https", json::array{options.https}}, {"coap", json::array{options.coap}}}),
      kPublic);
  Devices known;
  for (const std::string& name : devices) {
    known.Add(MakeDevice(data, authority, name,
                         {UrlOf("https", options.https), UrlOf("coaps", options.coap)}));
  }
  WriteNewFile(DevicePath(data), known.Text(), kSecret);
  for (const std::string& name : devices) {
    std::printf("%s/%s.conf\n", data.c_str(), name.c_str());
  }
}

void AddDevices(const std::string& given, const std::vector<std::string>& names) {
  const std::string data = Absolute(given);
  CheckNames(names);
  FolderLock lock(data + "/devices.lock");
  lock.Lock();
  Devices devices = Devices::Parse(ReadFile(DevicePath(data)), DevicePath(data));
  for (const std::string& name : names) {
    if (const Device* known = devices.ByName(name)) {
      throw std::runtime_error("device '" + name + "' is known already" +
                               (known->revoked ? ", and revoked; choose another name" : ""));
    }
  }
  RefuseExisting(data, FilesOf(names));
  const std::string settings = data + "/server.conf";
  const json::value document = ParseJson(ReadFile(settings), settings);
  const auto url = [&](const char* scheme, const char* carrier) {
    return UrlOf(scheme, std::string(AsView(document.at(carrier).at(0).as_string())));
  };
  const Urls urls = {url("https", "https"), url("coaps", "coap")};
  StartCrypto();
  const Credential authority{ReadFile(data + "/ca.crt"), ReadFile(data + "/ca.key")};
  for (const std::string& name : names) {
    devices.Add(MakeDevice(data, authority, name, urls));
  }
  ReplaceFile(DevicePath(data), devices.Text(), kSecret);
  for (const std::string& name : names) {
    std::printf("%s/%s.conf\n", data.c_str(), name.c_str());
  }
}

void RevokeDevices(const std::string& given, const std::vector<std::string>& names) {
  const std::string data = Absolute(given);
  FolderLock lock(data + "/devices.lock");
  lock.Lock();
  Devices devices = Devices::Parse(ReadFile(DevicePath(data)), DevicePath(data));
  for (const std::string& name : names) devices.Revoke(name);
  ReplaceFile(DevicePath(data), devices.Text(), kSecret);
}

void ListDevices(const std::string& data, bool as_json) {
  const Devices devices = Devices::Parse(ReadFile(DevicePath(data)), DevicePath(data));
  for (const auto& [name, device] : devices.all()) {
    if (as_json) {
      const json::value line = {
          {"name", name}, {"revoked", device.revoked}, {"added", device.added}};
      std::printf("%s\n", json::serialize(line).c_str());
    } else {
      std::printf("%-32s %-8s %s\n", name.c_str(), device.revoked ? "revoked" : "active",
                  device.added.c_str());
    }
  }
}

}  // namespace holdfast::server
