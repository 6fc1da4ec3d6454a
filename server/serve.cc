// SPDX-License-Identifier: Apache-2.0
#include "server/serve.h"

#include <sys/resource.h>

#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <cstdio>
#include <optional>
#include <stdexcept>

#include "hal/base/log.h"
#include "server/coap_server.h"
#include "server/credentials.h"
#include "server/files.h"
#include "server/http_server.h"
#include "server/json.h"
#include "server/sqlite_rows.h"

namespace holdfast::server {
namespace {

constexpr std::chrono::seconds kDrain{10};

// The listeners that `init` was told; run --https and --coap take their place.
std::vector<std::string> ConfiguredListeners(const std::string& data, const char* carrier) {
  const std::string path = data + "/server.conf";
  if (!FileExists(path)) return {};
  const json::value document = ParseJson(ReadFile(path), path);
  const json::value* list =
      document.is_object() ? document.get_object().if_contains(carrier) : nullptr;
  if (list == nullptr) return {};
  const std::string where = path + ": '" + carrier + "' must be a list of ADDRESS:PORT";
  if (!list->is_array()) throw std::runtime_error(where);
  std::vector<std::string> listeners;
  for (const json::value& value : list->get_array()) {
    if (!value.is_string()) throw std::runtime_error(where);
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
  std::vector<std::string> https = options.https, coap = options.coap;
  // Who names a listener means these and no others.
  if (https.empty() && coap.empty()) {
    https = ConfiguredListeners(options.data, "https");
    coap = ConfiguredListeners(options.data, "coap");
  }
  if (https.empty() && coap.empty()) {
    throw std::runtime_error("nothing to listen on: give --https or --coap ADDRESS:PORT");
  }

  StartCrypto();
  boost::asio::io_context io(1);
  const std::string certificate = Or(options.certificate, options.data + "/server.crt");
  const std::string key = Or(options.key, options.data + "/server.key");
  const std::string authority = Or(options.client_authority, options.data + "/ca.crt");
  TlsContext tls({certificate, key, authority});
  DeviceFile devices(Or(options.devices, options.data + "/devices.json"));
  SqliteRows rows(options.data + "/server.db", LoadSchema(options));
  GroupWriter writer(rows, io.get_executor());
  ProtocolLimits pages;
  if (options.page_rows != 0) pages.page_rows = pages.most_rows = options.page_rows;
  Changes changes(io.get_executor(), rows.Newest());
  TablesService tables(rows, writer, changes, pages);
  BulkService bulks(rows, changes);
  const auto upload_files = MakeUploadFiles(options.data + "/uploads");
  Uploads upload_records(rows.database(), *upload_files);
  UploadService uploads(upload_records, tables, io.get_executor());
  RequestLog log(options.json_log);
  auto packer = wire::GzipPacker::Create();
  if (!packer) throw std::runtime_error("no memory");
  Host host{tables, bulks, uploads, devices, changes, log, **packer, options.allow_anonymous,
            false};
  HttpServer server(io, tls, host, options.limits, options.max_connections);
  std::vector<std::string> places;
  for (const std::string& text : https) places.push_back(server.Listen(ParseEndpoint(text)));
  std::optional<CoapServer> coap_server;
  if (!coap.empty()) {
    coap_server.emplace(io, host, CoapFiles{certificate, key, authority}, CoapLimits{});
  }
  for (std::string text : coap) {
    const bool dtls = !text.starts_with("coap://");
    if (!dtls) text.erase(0, 7);
    places.push_back(coap_server->Listen(ParseEndpoint(text), dtls));
  }
  const bool loopback = server.only_loopback() && (!coap_server || coap_server->only_loopback());
  if (options.allow_anonymous && !loopback) {
    throw std::runtime_error("--allow-anonymous is for loopback addresses only");
  }

  boost::asio::signal_set signals(io, SIGTERM, SIGINT);
  signals.async_wait([&](const boost::system::error_code& error, int) {
    if (error) return;
    log.Event("draining", "");
    server.Drain(kDrain);
    changes.Release();
    if (coap_server) coap_server->Drain();
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
