// SPDX-License-Identifier: Apache-2.0
#include "agent/platform/linux_parts.h"

#include <unistd.h>

#include "hal/linux/linux_link.h"
#include "transport/https/https.h"

namespace holdfast::agent::platform {
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

}  // namespace

std::unique_ptr<hal::Link> MakeLink(const config::Config& config) {
  hal::LinuxLinkOptions options;
  options.server_on_loopback = config.server.on_loopback;
  return std::make_unique<hal::LinuxLink>(options);
}

Result<std::unique_ptr<transport::Transport>> MakeTransport(const config::Config& config,
                                                            std::string_view installation_id,
                                                            std::string_view user_agent,
                                                            hal::Clock& clock) {
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
  options.user_agent = user_agent;
  options.connect_timeout = hal::Duration::Milliseconds(config.sync.connect_timeout_ms);
  options.stall_timeout = hal::Duration::Milliseconds(config.sync.timeout_ms);
  HF_TRY_ASSIGN(std::unique_ptr<transport::Transport> transport,
                transport::HttpsTransport::Create(options, clock));
  return transport;
}

}  // namespace holdfast::agent::platform
