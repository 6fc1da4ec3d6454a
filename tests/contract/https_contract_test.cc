// SPDX-License-Identifier: Apache-2.0
// The contract on HttpsTransport, in front of a real holdfast-server: known by certificate, in
// protocol 2.0 and 3.0, and by token.
#include "hal/linux/linux_clock.h"
#include "tests/contract/real_server.h"
#include "tests/contract/transport_contract.h"
#include "transport/https/https.h"

using namespace holdfast;
using namespace holdfast::testing;
using namespace holdfast::transport;
using Protocol = Capabilities::Protocol;

namespace {

RealServer& TheServer() {
  static RealServer server({"--https", "127.0.0.1:0"});
  return server;
}

int worlds = 0;

}  // namespace

TEST_BASE(RealServerTest) {
  hal::LinuxClock clock;
  RealServer& server = TheServer();
  std::string url = server.url("https");

  std::unique_ptr<HttpsTransport> Make(const std::string& device, Protocol protocol,
                                       bool by_token = false) {
    const std::string ca = server.File("ca.crt"), cert = server.File(device + ".crt");
    const std::string key = server.File(device + ".key"), token = server.File(device + ".token");
    HttpsTransport::Options options;
    options.url = url;
    options.ca_file = ca;
    if (by_token) {
      options.token_file = token;
    } else {
      options.cert_file = cert;
      options.key_file = key;
    }
    options.protocol = protocol;
    auto made = HttpsTransport::Create(options, clock);
    if (!made) FAIL(made.error().what);
    return std::move(made).value();
  }
  contract::World NewWorld(Protocol protocol, bool by_token = false) {
    contract::World world;
    world.transport = Make("dev", protocol, by_token);
    world.other = Make("two", protocol);
    world.prefix = std::to_string(1000 + ++worlds) + "-";
    return world;
  }
};

TEST_GROUP_BASE(HttpsContract, RealServerTest){};
TEST_GROUP_BASE(HttpsContract30, RealServerTest){};
TEST_GROUP_BASE(HttpsIdentity, RealServerTest){};

#define CHECK_HERE(name) \
  TEST(HttpsContract, name) { contract::name(NewWorld(Protocol::kUnknown)); }
HOLDFAST_TRANSPORT_CONTRACT(CHECK_HERE)

#define CHECK_HERE_30(name) \
  TEST(HttpsContract30, name) { contract::name(NewWorld(Protocol::k30)); }
HOLDFAST_TRANSPORT_CONTRACT(CHECK_HERE_30)

TEST(HttpsIdentity, ByToken) {
  contract::InsertIsAnsweredWithTheRow(NewWorld(Protocol::k20, true));
}

TEST(HttpsIdentity, NobodyIsRefused) {
  const std::string ca = server.File("ca.crt");
  HttpsTransport::Options options;
  options.url = url;
  options.ca_file = ca;
  auto made = HttpsTransport::Create(options, clock);
  KeepingSink sink;
  Run(**made, List("readings"), sink);
  CHECK_TEXT(sink.answered(Status::kUnauthorized), sink.Describe().c_str());
}

TEST(HttpsIdentity, TheServerIsOurs) {
  auto world = NewWorld(Protocol::kUnknown);
  world.Do(List("readings"));
  CHECK(world.transport->capabilities().holdfast);
}

// A row's way in bytes, TLS included: 450 up and 350 down are the limits for single rows.
TEST(HttpsIdentity, BytesOfASingleRow) {
  auto world = NewWorld(Protocol::k20);
  world.Insert(world.Id("first"));
  const Traffic before = world.transport->traffic();
  for (int i = 0; i < 100; ++i) {
    const std::string id = world.Id(std::to_string(i));
    world.Insert(id, R"("sensor":"t1","ts":1732345678901,"value":21.5,"quality":1)");
  }
  const Traffic after = world.transport->traffic();
  const auto up = (after.bytes_sent - before.bytes_sent) / 100;
  const auto down = (after.bytes_received - before.bytes_received) / 100;
  UT_PRINT((std::to_string(up) + " bytes up, " + std::to_string(down) + " down a row").c_str());
  CHECK(up <= 450);
}
