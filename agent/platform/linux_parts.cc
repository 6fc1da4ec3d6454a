// SPDX-License-Identifier: Apache-2.0
#include "agent/platform/linux_parts.h"

#include <unistd.h>

#include <utility>

#include "hal/linux/linux_link.h"
#include "transport/coap/coap.h"
#include "transport/https/https.h"
#include "transport/two_carriers.h"

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

using Made = Result<std::unique_ptr<transport::Transport>>;

Made MakeHttps(const config::Config& config, std::string_view url, std::string_view installation_id,
               std::string_view user_agent, hal::Clock& clock) {
  const config::ServerConfig& server = config.server;
  transport::HttpsTransport::Options options;
  options.url = url;
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

Made MakeCoap(const config::Config& config, hal::Clock& clock) {
  const config::ServerConfig& server = config.server;
  transport::CoapTransport::Options options;
  options.url = server.url;
  options.psk_identity = server.psk_identity;
  options.psk_key_file = server.psk_key_file;
  // With a key of its own, a device has no use for certificates; the others may be those of HTTPS.
  if (server.psk_key_file.empty()) {
    options.ca_file = server.ca_file.empty() ? SystemCaFile() : server.ca_file;
    options.cert_file = server.cert_file;
    options.key_file = server.key_file;
  }
  options.connect_timeout = hal::Duration::Milliseconds(config.sync.connect_timeout_ms);
  options.stall_timeout = hal::Duration::Milliseconds(config.sync.timeout_ms);
  options.ack_timeout = hal::Duration::Milliseconds(config.sync.ack_timeout_ms);
  HF_TRY_ASSIGN(std::unique_ptr<transport::Transport> transport,
                transport::CoapTransport::Create(options, clock));
  return transport;
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
  const bool coap =
      server.scheme == config::Scheme::kCoaps || server.scheme == config::Scheme::kCoap;
  if (!coap) return MakeHttps(config, server.url, installation_id, user_agent, clock);
  HF_TRY_ASSIGN(auto small, MakeCoap(config, clock));
  if (server.large_rows_url.empty()) return small;
  HF_TRY_ASSIGN(auto large,
                MakeHttps(config, server.large_rows_url, installation_id, user_agent, clock));
  return std::unique_ptr<transport::Transport>(
      std::make_unique<transport::TwoCarriers>(std::move(small), std::move(large)));
}

}  // namespace holdfast::agent::platform
