// SPDX-License-Identifier: Apache-2.0
// holdfast: makes the concrete classes and hands the rest to the command line.
#include <cjson/cJSON.h>
#include <curl/curl.h>
#include <mbedtls/version.h>
#include <sqlite3.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <memory>

#include "agent/cli/commands.h"
#include "agent/cli/signals.h"
#include "hal/linux/linux_clock.h"
#include "hal/linux/linux_link.h"
#include "hal/linux/linux_random.h"
#include "hal/linux/linux_storage.h"
#include "transport/https/https.h"

namespace holdfast::agent {
namespace {

// Where Debian, Fedora, OpenWrt and Yocto images keep the authorities of the system.
constexpr const char* kSystemCaFiles[] = {
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/cert.pem",
};

std::string_view SystemCaFile() {
  for (const char* path : kSystemCaFiles) {
    if (access(path, R_OK) == 0) return path;
  }
  return {};
}

transport::Capabilities::Protocol MapProtocol(config::Protocol protocol) {
  using transport::Capabilities;
  switch (protocol) {
    case config::Protocol::kAuto: return Capabilities::Protocol::kUnknown;
    case config::Protocol::k2: return Capabilities::Protocol::k20;
    case config::Protocol::k3: return Capabilities::Protocol::k30;
  }
  return Capabilities::Protocol::kUnknown;
}

class LinuxPlatform : public Platform {
 public:
  LinuxPlatform() {
    mbedtls_version_get_string(mbedtls_version_);
    const curl_version_info_data* curl = curl_version_info(CURLVERSION_NOW);
    libraries_ = {{{"sqlite", sqlite3_libversion()},
                   {"mbedtls", mbedtls_version_},
                   {"libcurl", curl->version},
                   {"cjson", cJSON_Version()},
                   {"zlib", curl->libz_version != nullptr ? curl->libz_version : "none"}}};
  }

  hal::Clock& clock() override { return clock_; }
  hal::Random& random() override { return random_; }
  hal::Storage& storage() override { return storage_; }
  const char* version() const override { return HOLDFAST_VERSION; }
  std::span<const Library> libraries() const override { return libraries_; }

  std::unique_ptr<hal::Link> MakeLink(const config::Config& config) override {
    hal::LinuxLinkOptions options;
    options.server_on_loopback = config.server.on_loopback;
    return std::make_unique<hal::LinuxLink>(options);
  }

  Result<std::unique_ptr<transport::Transport>> MakeTransport(
      const config::Config& config, std::string_view installation_id) override {
    const config::ServerConfig& server = config.server;
    if (server.scheme != config::Scheme::kHttps && server.scheme != config::Scheme::kHttp) {
      return Error{Code::kUnsupported, Origin::kNone, 0, "this build has no CoAP, only HTTPS"};
    }
    transport::HttpsTransport::Options options;
    options.url = server.url;
    options.protocol = MapProtocol(server.protocol);
    options.ca_file = server.ca_file.empty() ? SystemCaFile() : server.ca_file;
    options.cert_file = server.cert_file;
    options.key_file = server.key_file;
    options.token_file = server.token_file;
    options.proxy = server.proxy;
    options.installation_id = installation_id;
    options.user_agent = "holdfast/" HOLDFAST_VERSION;
    options.connect_timeout = hal::Duration::Milliseconds(config.sync.connect_timeout_ms);
    options.stall_timeout = hal::Duration::Milliseconds(config.sync.timeout_ms);
    HF_TRY_ASSIGN(std::unique_ptr<transport::Transport> transport,
                  transport::HttpsTransport::Create(options, clock_));
    return transport;
  }

 private:
  hal::LinuxClock clock_;
  hal::LinuxRandom random_;
  hal::LinuxStorage storage_;
  char mbedtls_version_[16] = {};
  std::array<Library, 5> libraries_;
};

int Main(int argc, char** argv) {
  CatchSignals();
  LinuxPlatform platform;
  const std::span<const char* const> words(argv + (argc > 0 ? 1 : 0),
                                           std::size_t(argc > 0 ? argc - 1 : 0));
  return int(RunProgram(platform, words));
}

}  // namespace
}  // namespace holdfast::agent

int main(int argc, char** argv) { return holdfast::agent::Main(argc, argv); }
