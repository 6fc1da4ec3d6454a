// SPDX-License-Identifier: Apache-2.0
// The contract on CoapTransport, in front of a real holdfast-server: known by a pre-shared key, by
// certificate, and without DTLS on loopback.
#include "hal/linux/linux_clock.h"
#include "tests/contract/real_server.h"
#include "tests/contract/transport_contract.h"
#include "transport/coap/coap.h"

using namespace holdfast;
using namespace holdfast::testing;
using namespace holdfast::transport;

namespace {

RealServer& Secured() {
  static RealServer server({"--coap", "127.0.0.1:0"});
  return server;
}
RealServer& Plain() {
  static RealServer server({"--coap", "coap://127.0.0.1:0", "--allow-anonymous"});
  return server;
}

int worlds = 0;

}  // namespace

// Paths and texts of the options, for as long as a Create() takes.
struct CoapFiles {
  std::string url, identity, psk, ca, cert, key;
  CoapTransport::Options options() const {
    CoapTransport::Options result;
    result.url = url;
    result.psk_identity = identity;
    result.psk_key_file = psk;
    result.ca_file = ca;
    result.cert_file = cert;
    result.key_file = key;
    result.connect_timeout = hal::Duration::Seconds(5);
    return result;
  }
};

TEST_BASE(CoapTest) {
  hal::LinuxClock clock;

  static CoapFiles Psk(const std::string& device = "dev") {
    CoapFiles files;
    files.url = Secured().url("coaps");
    files.identity = device;
    files.psk = Secured().File(device + ".psk");
    return files;
  }
  static CoapFiles Certificate() {
    CoapFiles files;
    files.url = Secured().url("coaps");
    files.ca = Secured().File("ca.crt");
    files.cert = Secured().File("dev.crt");
    files.key = Secured().File("dev.key");
    return files;
  }
  static CoapFiles Unprotected() {
    CoapFiles files;
    files.url = Plain().url("coap");
    return files;
  }
  std::unique_ptr<CoapTransport> Make(const CoapFiles& files) {
    auto made = CoapTransport::Create(files.options(), clock);
    if (!made) FAIL(made.error().what);
    return std::move(made).value();
  }
  contract::World NewWorld(const CoapFiles& files) {
    contract::World world;
    world.transport = Make(files);
    world.names_are_known = files.url.substr(0, 6) == "coaps:";
    world.other = Make(world.names_are_known ? Psk("two") : files);
    world.prefix = std::to_string(1000 + ++worlds) + "-";
    return world;
  }
};

TEST_GROUP_BASE(CoapPskContract, CoapTest){};
TEST_GROUP_BASE(CoapCertificateContract, CoapTest){};
TEST_GROUP_BASE(CoapPlainContract, CoapTest){};

#define CHECK_PSK(name) \
  TEST(CoapPskContract, name) { contract::name(NewWorld(Psk())); }
HOLDFAST_TRANSPORT_CONTRACT(CHECK_PSK)

#define CHECK_CERTIFICATE(name) \
  TEST(CoapCertificateContract, name) { contract::name(NewWorld(Certificate())); }
HOLDFAST_TRANSPORT_CONTRACT(CHECK_CERTIFICATE)

#define CHECK_PLAIN(name) \
  TEST(CoapPlainContract, name) { contract::name(NewWorld(Unprotected())); }
HOLDFAST_TRANSPORT_CONTRACT(CHECK_PLAIN)
