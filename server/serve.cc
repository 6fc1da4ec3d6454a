// SPDX-License-Identifier: Apache-2.0
#include "server/serve.h"

#include <sys/resource.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <stdexcept>

#include "hal/base/log.h"
#include "server/credentials.h"
#include "server/files.h"
#include "server/http_server.h"
#include "server/json.h"
#include "server/sqlite_rows.h"

namespace holdfast::server {
namespace {

constexpr std::chrono::seconds kDrain{10};

// The listeners that `init` was told; run --https takes their place.
std::vector<std::string> ConfiguredListeners(const std::string& data) {
  const std::string path = data + "/server.conf";
  if (!FileExists(path)) return {};
  const json::value document = ParseJson(ReadFile(path), path);
  const json::value* list =
      document.is_object() ? document.get_object().if_contains("https") : nullptr;
  if (list == nullptr || !list->is_array()) {
    throw std::runtime_error(path + ": 'https' must be a list of ADDRESS:PORT");
  }
  std::vector<std::string> listeners;
  for (const json::value& value : list->get_array()) {
    if (!value.is_string()) throw std::runtime_error(path + ": 'https' must hold strings");
    listeners.emplace_back(AsView(value.get_string()));
  }
  return listeners;
}

SchemaFile LoadSchema(const ServeOptions& options) {
  const std::string path = options.schema.empty() ? options.data + "/schema.json" : options.schema;
  if (options.schema.empty() && !FileExists(path)) return {};
  return ParseSchema(ReadFile(path));
}

void RaiseDescriptorLimit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) != 0) return;
  limit.rlim_cur = limit.rlim_max;
  if (setrlimit(RLIMIT_NOFILE, &limit) != 0) Log(LogLevel::kInfo, "descriptors: limit stays");
}

std::string Or(const std::string& given, const std::string& otherwise) {
  return given.empty() ? otherwise : given;
}

}  // namespace

int Serve(const ServeOptions& options) {
  std::signal(SIGPIPE, SIG_IGN);
  RaiseDescriptorLimit();
  FolderLock lock(options.data + "/server.lock");
  if (!lock.TryLock()) {
    throw std::runtime_error(options.data + ": another holdfast-server is using this folder");
  }
  std::vector<std::string> listeners = options.https;
  if (listeners.empty()) listeners = ConfiguredListeners(options.data);
  if (listeners.empty())
    throw std::runtime_error("nothing to listen on: give --https ADDRESS:PORT");

  StartCrypto();
  boost::asio::io_context io(1);
  TlsContext tls({Or(options.certificate, options.data + "/server.crt"),
                  Or(options.key, options.data + "/server.key"),
                  Or(options.client_authority, options.data + "/ca.crt")});
  DeviceFile devices(Or(options.devices, options.data + "/devices.json"));
  SqliteRows rows(options.data + "/server.db", LoadSchema(options));
  GroupWriter writer(rows, io.get_executor());
  ProtocolLimits pages;
  if (options.page_rows != 0) pages.page_rows = pages.most_rows = options.page_rows;
  TablesService tables(rows, writer, pages);
  RequestLog log(options.json_log);
  HttpHost host{tables, devices, log, options.limits, options.allow_anonymous, false};
  HttpServer server(io, tls, host, options.max_connections);
  std::vector<std::string> places;
  for (const std::string& text : listeners) places.push_back(server.Listen(ParseEndpoint(text)));
  if (options.allow_anonymous && !server.only_loopback()) {
    throw std::runtime_error("--allow-anonymous is for loopback addresses only");
  }

  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    log.Event("draining", "");
    server.Drain(kDrain);
  });
  for (const std::string& place : places) {
    std::printf("listening %s\n", place.c_str());
    log.Event("listening", place);
  }
  std::fflush(stdout);
  io.run();
  log.Event("stopped", "");
  return 0;
}

}  // namespace holdfast::server
