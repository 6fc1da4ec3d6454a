// SPDX-License-Identifier: Apache-2.0
// holdfast-server: reads its command line and calls the command.
//
// Exit codes: 0 done; 1 failed; 2 the command line was wrong.
#include <cstdio>
#include <cstring>
#include <exception>

#include <mbedtls/version.h>
#include <sqlite3.h>

#include "hal/base/log.h"
#include "server/arguments.h"
#include "server/commands.h"
#include "server/serve.h"

namespace holdfast::server {
namespace {

constexpr const char* kHelp =
    R"(holdfast-server - keeps the rows that holdfast devices send

  holdfast-server init DIR         make a trial set-up: credentials, devices, settings
  holdfast-server run --data DIR   serve
  holdfast-server device ...       add, revoke or list devices
  holdfast-server version

Each command says more with --help. Exit codes: 0 done, 1 failed, 2 wrong usage.
)";

constexpr const char* kInitHelp =
    R"(holdfast-server init DIR [--device NAME]... [--https ADDR:PORT] [--coap ADDR:PORT]

Makes in DIR: an authority (ca.crt, ca.key), the server's certificate and key, the device file, and
for each device a certificate, a key, a PSK, a token, and two client configurations that work as they
are, for the same database: NAME.conf (HTTPS) and NAME.coap.conf. Prints the paths of the former.
Never overwrites anything.

  --device NAME       a device to make credentials for; may be repeated (default: device1)
  --https ADDR:PORT   where `run` will listen (default 127.0.0.1:8443)
  --coap ADDR:PORT    likewise for CoAP over DTLS (default 127.0.0.1:5684)
)";

constexpr const char* kRunHelp =
    R"(holdfast-server run --data DIR [options]

Serves until SIGTERM or SIGINT; then finishes the requests under way and exits with 0. Prints one line
`listening https://ADDR:PORT` for each listener when it accepts connections.

  --data DIR            the folder that init made; rows are in DIR/server.db
  --https ADDR:PORT     listen here (port 0: any free one); may be repeated
  --coap ADDR:PORT      likewise for CoAP over DTLS; coap://ADDR:PORT is without DTLS, for loopback
                        (default for both, when neither is given: DIR/server.conf)
  --cert F --key F      the server's certificate chain and key (default: DIR/server.crt, .key)
  --client-ca F         who signs device certificates (default: DIR/ca.crt)
  --devices F           the device file (default: DIR/devices.json)
  --schema F            declares tables (default: DIR/schema.json, if there is one)
  --allow-anonymous     no credentials needed; only with loopback listeners
  --json-log            one JSON line a request on stderr
  --page-size N         at most N rows in a page (default: $top, or else 100; never above 1000)
  --max-connections N   (default 4096)
  --idle-timeout S      seconds that a connection may wait for its next request (default 75)
  --header-timeout S    seconds for a request's header (default 15)
  --body-timeout S      seconds for a body, on top of its size at 8 KiB/s (default 30)
)";

constexpr const char* kDeviceHelp =
    R"(holdfast-server device add|revoke --data DIR NAME...
holdfast-server device list --data DIR [--json]

A running server takes the change over within a few seconds.
)";

using Words = std::span<const std::string>;

bool WantsHelp(Words words) {
  for (const std::string& word : words) {
    if (word == "--help" || word == "-h") return true;
  }
  return false;
}

std::string Data(const Arguments& arguments) {
  const std::string data = arguments.One("--data");
  if (data.empty()) throw UsageError("--data DIR is needed");
  return data;
}

int RunInit(Words words) {
  static constexpr OptionSpec kOptions[] = {
      {"--device", true}, {"--https", true}, {"--coap", true}};
  const Arguments arguments(words, kOptions);
  if (arguments.rest().size() != 1) throw UsageError("one folder is needed: init DIR");
  InitOptions options;
  options.data = arguments.rest().front();
  options.devices = arguments.All("--device");
  options.https = arguments.One("--https", options.https);
  options.coap = arguments.One("--coap", options.coap);
  Init(options);
  return 0;
}

int RunServe(Words words) {
  static constexpr OptionSpec kOptions[] = {{"--data", true},
                                            {"--https", true},
                                            {"--coap", true},
                                            {"--cert", true},
                                            {"--key", true},
                                            {"--client-ca", true},
                                            {"--devices", true},
                                            {"--schema", true},
                                            {"--json-log", false},
                                            {"--page-size", true},
                                            {"--max-connections", true},
                                            {"--allow-anonymous", false},
                                            {"--idle-timeout", true},
                                            {"--header-timeout", true},
                                            {"--body-timeout", true}};
  const Arguments arguments(words, kOptions);
  if (!arguments.rest().empty()) throw UsageError("'" + arguments.rest().front() + "'?");
  ServeOptions options;
  options.data = Data(arguments);
  options.https = arguments.All("--https");
  options.coap = arguments.All("--coap");
  options.certificate = arguments.One("--cert");
  options.key = arguments.One("--key");
  options.client_authority = arguments.One("--client-ca");
  options.devices = arguments.One("--devices");
  options.schema = arguments.One("--schema");
  options.json_log = arguments.Has("--json-log");
  options.allow_anonymous = arguments.Has("--allow-anonymous");
  options.page_rows =
      static_cast<std::uint32_t>(arguments.Number("--page-size", 0, limits::kPageRows));
  options.max_connections = arguments.Number("--max-connections", options.max_connections, 1 << 20);
  const auto seconds = [&](const char* name, std::chrono::milliseconds& value) {
    value = std::chrono::seconds(
        arguments.Number(name, static_cast<std::uint64_t>(value.count()) / 1000, 86400));
  };
  seconds("--idle-timeout", options.limits.idle);
  seconds("--header-timeout", options.limits.header);
  seconds("--body-timeout", options.limits.body);
  return Serve(options);
}

int RunDevice(Words words) {
  static constexpr OptionSpec kOptions[] = {{"--data", true}, {"--json", false}};
  const Arguments arguments(words, kOptions);
  std::vector<std::string> names = arguments.rest();
  if (names.empty()) throw UsageError("device add, device revoke or device list");
  const std::string what = names.front();
  names.erase(names.begin());
  const std::string data = Data(arguments);
  if (what == "list") {
    if (!names.empty()) throw UsageError("device list takes no names");
    ListDevices(data, arguments.Has("--json"));
    return 0;
  }
  if (what != "add" && what != "revoke") throw UsageError("device " + what + "?");
  if (names.empty()) throw UsageError("which device?");
  what == "add" ? AddDevices(data, names) : RevokeDevices(data, names);
  return 0;
}

int RunVersion(Words) {
  char tls[32] = {};
  mbedtls_version_get_string_full(tls);
  std::printf("holdfast-server %s\nprotocol 2.0, 3.0\nSQLite %s\n%s\nBoost %d.%d\n",
              HOLDFAST_VERSION, sqlite3_libversion(), tls, BOOST_VERSION / 100000,
              BOOST_VERSION / 100 % 1000);
  return 0;
}

struct Command {
  const char* name;
  int (*run)(Words);
  const char* help;
};
constexpr Command kCommands[] = {{"init", RunInit, kInitHelp},
                                 {"run", RunServe, kRunHelp},
                                 {"device", RunDevice, kDeviceHelp},
                                 {"version", RunVersion, "holdfast-server version\n"}};

int Run(Words words) {
  if (words.empty()) throw UsageError("a command is needed");
  if (words.front() == "--help" || words.front() == "-h" || words.front() == "help") {
    std::fputs(kHelp, stdout);
    return 0;
  }
  if (words.front() == "--version") return RunVersion(words);
  for (const Command& command : kCommands) {
    if (words.front() != command.name) continue;
    if (WantsHelp(words)) {
      std::fputs(command.help, stdout);
      return 0;
    }
    return command.run(words.subspan(1));
  }
  throw UsageError("unknown command '" + words.front() + "'");
}

}  // namespace
}  // namespace holdfast::server

int main(int argc, char** argv) {
  using holdfast::server::UsageError;
  holdfast::LogOptions log;
  log.program = "holdfast-server";
  holdfast::SetLogOptions(log);
  const std::vector<std::string> words(argv + 1, argv + argc);
  try {
    return holdfast::server::Run(words);
  } catch (const UsageError& error) {
    std::fprintf(stderr, "holdfast-server: %s; see holdfast-server --help\n", error.what());
    return 2;
  } catch (const std::exception& error) {
    std::fprintf(stderr, "holdfast-server: %s\n", error.what());
    return 1;
  }
}
