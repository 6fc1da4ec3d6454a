// SPDX-License-Identifier: Apache-2.0
// Handshakes that have to fail in front of a real holdfast-server, and what a person is told then.
#include <sys/stat.h>

#include <cstdio>
#include <fstream>
#include <map>

#include "hal/sim/sim_clock.h"
#include "tests/contract/coap_play.h"
#include "tests/contract/real_server.h"

using namespace holdfast;
using namespace holdfast::testing;
using transport::CoapTransport;
using transport::Status;

namespace {

// One folder of certificates for all, made once.
const std::string& Folder() {
  static const TemporaryFolder folder;
  static const bool made = (ScriptedCoap::MakeCertificates(folder.path()), true);
  (void)made;
  return folder.path();
}
std::string Made(const std::string& name) { return Folder() + "/" + name; }

RealServer& Server() {
  static RealServer server({"--coap", "127.0.0.1:0"});
  return server;
}
// Servers with a certificate of the other folder's.
RealServer& ServerWith(const char* certificate) {
  static std::map<std::string, std::unique_ptr<RealServer>> servers;
  auto& server = servers[certificate];
  if (!server) {
    server = std::make_unique<RealServer>(std::vector<std::string>{
        "--coap", "127.0.0.1:0", "--cert", Made(std::string(certificate) + ".pem"), "--key",
        Made(std::string(certificate) + ".key"), "--client-ca", Made("ca.pem")});
  }
  return *server;
}

std::string Write(const std::string& name, const std::string& text, mode_t mode = 0600) {
  const std::string path = Folder() + "/" + name;
  std::remove(path.c_str());
  std::ofstream(path) << text;
  chmod(path.c_str(), mode);
  return path;
}

std::string Read(const std::string& path) {
  std::ifstream file(path);
  std::string text;
  std::getline(file, text);
  return text;
}

struct Who {
  std::string url, identity, psk, ca, cert, key;
};

}  // namespace

TEST_GROUP(CoapRefusals) {
  hal::LinuxClock linux_clock;
  hal::Clock* clock = &linux_clock;
  hal::Duration connect_timeout = hal::Duration::Seconds(3);

  Result<std::unique_ptr<CoapTransport>> Create(const Who& who) {
    CoapTransport::Options options;
    options.url = who.url;
    options.psk_identity = who.identity;
    options.psk_key_file = who.psk;
    options.ca_file = who.ca;
    options.cert_file = who.cert;
    options.key_file = who.key;
    options.connect_timeout = connect_timeout;
    options.stall_timeout = hal::Duration::Seconds(2);
    options.ack_timeout = hal::Duration::Milliseconds(200);
    return CoapTransport::Create(options, *clock);
  }
  // The error as people see it, and how long it took.
  void Expect(const char* name, const Who& who, Code code, const char* words,
              std::int64_t most_ms = 1500, int times = 2) {
    auto client = Create(who);
    if (!client) FAIL((std::string(name) + ": " + client.error().what).c_str());
    for (int i = 0; i < times; ++i) {  // nothing of the first attempt makes the second one better
      KeepingSink sink;
      const auto start = std::chrono::steady_clock::now();
      Run(**client, Lookup("readings", "r1"), sink);
      const auto took = std::chrono::duration_cast<std::chrono::milliseconds>(
                            std::chrono::steady_clock::now() - start)
                            .count();
      const std::string found = sink.Describe();
      const bool as_expected =
          sink.failed(code) && found.find(words) != std::string::npos && took <= most_ms;
      if (!as_expected) {
        FAIL(
            (std::string(name) + ": " + found + ", after " + std::to_string(took) + " ms").c_str());
      }
    }
  }
  static Who Device(const std::string& name = "dev") {
    return {Server().url("coaps"), name, Server().File(name + ".psk"), "", "", ""};
  }
  static Who Certified() {
    return {Server().url("coaps"),   "", "", Server().File("ca.crt"), Server().File("dev.crt"),
            Server().File("dev.key")};
  }
  // A server of the other folder; `host` as it is called.
  static Who At(const char* certificate, const std::string& host = "127.0.0.1") {
    const std::string url = ServerWith(certificate).url("coaps");
    return {"coaps://" + host + url.substr(url.rfind(':')),
            "",
            "",
            Made("ca.pem"),
            Made("device.pem"),
            Made("device.key")};
  }
};

TEST(CoapRefusals, BothWaysWorkOtherwise) {
  for (const Who& who : {Device(), Certified()}) {
    auto client = Create(who);
    CHECK(client.ok());
    KeepingSink sink;
    Run(**client, Lookup("readings", "r1"), sink);
    if (!sink.answered(Status::kNotFound)) FAIL(sink.Describe().c_str());
  }
}

TEST(CoapRefusals, WrongKey) {
  Who who = Device();
  who.psk = Write("other.psk", std::string(64, '5') + "\n");
  Expect("wrong key", who, Code::kTlsUntrusted, "refuses our PSK");
}

TEST(CoapRefusals, UnknownIdentity) {
  Who who = Device();
  who.identity = "nobody";
  Expect("unknown identity", who, Code::kTlsUntrusted, "refuses our PSK");
}

TEST(CoapRefusals, SomebodyElsesKey) {
  Who who = Device();
  who.psk = Server().File("two.psk");
  Expect("key of another device", who, Code::kTlsUntrusted, "refuses our PSK");
}

TEST(CoapRefusals, CaOfSomebodyElse) {
  Who who = Certified();
  who.ca = Made("otherca.pem");
  Expect("wrong CA", who, Code::kTlsUntrusted, "is ca_file the right one?");
}

TEST(CoapRefusals, WithoutACertificate) {
  Who who = Certified();
  who.cert = who.key = "";
  Expect("no certificate", who, Code::kTlsUntrusted, "refuses our certificate");
}

TEST(CoapRefusals, ACertificateOfAnotherAuthority) {
  Who who = Certified();
  who.cert = Made("device.pem");
  who.key = Made("device.key");
  Expect("foreign certificate", who, Code::kTlsUntrusted, "refuses our certificate");
}

TEST(CoapRefusals, CertificatesOfTheServer) {
  Expect("another name", At("othername"), Code::kTlsUntrusted, "is for another name");
  Expect("another name, by name", At("othername", "localhost"), Code::kTlsUntrusted,
         "is for another name");
  Expect("expired", At("expired"), Code::kTlsExpired, "server's certificate is outside its dates");
  Expect("not yet valid", At("future"), Code::kTlsExpired,
         "server's certificate is outside its dates");
  Expect("another authority", At("foreign"), Code::kTlsUntrusted, "is ca_file the right one?");
  Expect("a chain with a gap", At("orphan"), Code::kTlsUntrusted, "is ca_file the right one?");
  Expect("signed by itself", At("self"), Code::kTlsUntrusted, "is ca_file the right one?");
  Expect("RSA of 1024 bits", At("weak"), Code::kTlsUntrusted, "certificate");
  Expect("SHA-1", At("sha1"), Code::kTlsUntrusted, "certificate");
}

TEST(CoapRefusals, OurOwnCertificateHasEnded) {
  Who who = At("good");
  who.cert = Made("olddevice.pem");
  who.key = Made("olddevice.key");
  Expect("ours has ended", who, Code::kTlsExpired, "our certificate is outside its dates");
}

TEST(CoapRefusals, WithoutADateNoCertificateIsCalledExpired) {
  hal::SimClock no_date;
  no_date.UnsetWall();
  clock = &no_date;
  auto client = Create(At("expired"));
  KeepingSink sink;
  Run(**client, Lookup("readings", "r1"), sink);
  if (!sink.failed(Code::kClockUnset)) FAIL(sink.Describe().c_str());
}

TEST(CoapRefusals, ARevokedDevice) {
  ChildProcess revoke(
      {HOLDFAST_SERVER_PROGRAM, "device", "revoke", "--data", Server().File("."), "two"});
  LONGS_EQUAL(0, revoke.Wait());
  // A running server looks at its devices every few seconds.
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(15);
  bool known = true;
  while (known && std::chrono::steady_clock::now() < until) {
    auto client = Create(Device("two"));
    KeepingSink sink;
    Run(**client, Lookup("readings", "r1"), sink);
    known = sink.answered(Status::kNotFound);
  }
  Expect("revoked", Device("two"), Code::kTlsUntrusted, "refuses our PSK");
  Who who = Certified();
  who.cert = Server().File("two.crt");
  who.key = Server().File("two.key");
  // Its certificate is as good as ever; who it belongs to is looked at afterwards.
  auto client = Create(who);
  KeepingSink sink;
  Run(**client, Lookup("readings", "r1"), sink);
  if (!sink.answered(Status::kUnauthorized)) FAIL(sink.Describe().c_str());
}

TEST(CoapRefusals, FilesThatAreWrong) {
  const std::string good = Read(Server().File("dev.psk")), half = good.substr(0, good.size() / 2);
  const struct {
    const char* name;
    std::string path;
    const char* words;
  } cases[] = {
      {"too short", Write("short.psk", std::string(30, 'a') + "\n"), "32 to 128 hex digits"},
      {"too long", Write("long.psk", std::string(130, 'a')), "32 to 128 hex digits"},
      {"odd", Write("odd.psk", good.substr(1)), "32 to 128 hex digits"},
      {"no hex", Write("nohex.psk", std::string(32, 'g')), "32 to 128 hex digits"},
      {"two lines", Write("two.psk", half + "\n" + half + "\n"), "32 to 128 hex digits"},
      {"empty", Write("empty.psk", ""), "32 to 128 hex digits"},
      {"huge", Write("huge.psk", std::string(100'000, 'a')), "too large"},
      {"readable by the group", Write("group.psk", good, 0640), "chmod 600"},
      {"readable by all", Write("all.psk", good, 0604), "chmod 600"},
      {"not there", Made("no.psk"), "cannot be read"},
      {"a folder", Folder(), "cannot be read"},
  };
  std::string wrong;
  for (const auto& test : cases) {
    Who who = Device();
    who.psk = test.path;
    auto client = Create(who);
    const std::string found = client ? "accepted" : client.error().what;
    if (client || client.error().code != Code::kInvalidArgument ||
        found.find(test.words) == std::string::npos) {
      wrong += std::string(test.name) + ": " + found + "\n";
    }
  }
  if (!wrong.empty()) FAIL(wrong.c_str());
}

TEST(CoapRefusals, OptionsThatAreWrong) {
  const Who device = Device(), certified = Certified();
  const auto changed = [](Who who, std::string Who::*member, const std::string& to) {
    who.*member = to;
    return who;
  };
  const struct {
    const char* name;
    Who who;
    const char* words;
  } cases[] = {
      {"nothing to trust", changed(certified, &Who::ca, ""), "needs psk_identity and psk_key_file"},
      {"an identity without a key", changed(device, &Who::psk, ""), "needs its key file"},
      {"a key without an identity", changed(device, &Who::identity, ""), "its identity"},
      {"an identity of 65 bytes", changed(device, &Who::identity, std::string(65, 'i')),
       "64 bytes"},
      {"an identity of 1000 bytes", changed(device, &Who::identity, std::string(1000, 'i')),
       "too long"},
      {"a certificate without its key", changed(certified, &Who::key, ""), "needs its key file"},
      {"a key of another certificate", changed(certified, &Who::key, Server().File("two.key")),
       "do not belong together"},
      {"a CA that is none", changed(certified, &Who::ca, Write("no.pem", "nothing")),
       "holds no certificate"},
      {"another scheme", changed(device, &Who::url, "https://127.0.0.1"), "coaps://"},
      {"unprotected to elsewhere", changed(device, &Who::url, "coap://192.0.2.1"), "use coaps://"},
  };
  std::string wrong;
  for (const auto& test : cases) {
    auto client = Create(test.who);
    const std::string found = client ? "accepted" : client.error().what;
    if (client || found.find(test.words) == std::string::npos) {
      wrong += std::string(test.name) + ": " + found + "\n";
    }
  }
  if (!wrong.empty()) FAIL(wrong.c_str());
  auto longest = Create(changed(device, &Who::identity, std::string(64, 'i')));
  CHECK(longest.ok());
}

TEST(CoapRefusals, CredentialsThatGoBadAreNotTaken) {
  Who who = Device();
  who.psk = Write("changing.psk", Read(Server().File("dev.psk")));
  auto client = Create(who);
  CHECK(client.ok());
  KeepingSink sink;
  Run(**client, Lookup("readings", "r1"), sink);
  CHECK(sink.answered(Status::kNotFound));
  Write("changing.psk", "nonsense");
  CHECK(!(*client)->ReloadCredentials().ok());
  KeepingSink again;
  Run(**client, Lookup("readings", "r1"), again);
  if (!again.answered(Status::kNotFound)) FAIL(again.Describe().c_str());
  Write("changing.psk", std::string(64, '5'));
  CHECK((*client)->ReloadCredentials().ok());
  KeepingSink refused;
  Run(**client, Lookup("readings", "r1"), refused);
  if (!refused.failed(Code::kTlsUntrusted)) FAIL(refused.Describe().c_str());
}

TEST(CoapRefusals, NoHandshakeAtAll) {
  ScriptedCoap& peer = ScriptedCoap::Get();
  connect_timeout = hal::Duration::Milliseconds(1200);
  for (Who who : {Device(), Certified()}) {
    const auto at = [](int port) { return "coaps://127.0.0.1:" + std::to_string(port); };
    who.url = at(peer.Nobody());
    Expect("nobody", who, Code::kOffline, "nothing answers", 500);
    who.url = at(peer.Script("[]"));
    Expect("silence", who, Code::kOffline, "no session with the server in time", 2000, 1);
    CHECK(peer.See().messages.size() >= 1);
    who.url = at(peer.Garbage());
    Expect("noise", who, Code::kOffline, "no session with the server in time", 2000, 1);
    CHECK(peer.See().messages.size() < 50);
  }
}

TEST(CoapRefusals, CancelledAmidAHandshake) {
  ScriptedCoap& peer = ScriptedCoap::Get();
  Who who = Device();
  who.url = "coaps://127.0.0.1:" + std::to_string(peer.Script("[]"));
  auto client = Create(who);
  KeepingSink sink;
  CHECK((*client)->Begin(Lookup("readings", "r1"), sink).ok());
  (*client)->Pump(hal::Duration::Milliseconds(50));
  (*client)->Cancel();
  CHECK(sink.failed(Code::kCancelled));
  CHECK(peer.See().messages.size() >= 1);
  CHECK(!(*client)->Pump(hal::Duration::Milliseconds(100)));
  LONGS_EQUAL(0, peer.See().messages.size());
}

TEST(CoapRefusals, ANameThatNobodyKnows) {
  Who who = Device();
  who.url = "coaps://no-such-host.invalid";
  auto client = Create(who);
  KeepingSink sink;
  Run(**client, Lookup("readings", "r1"), sink);
  if (!sink.failed(Code::kOffline)) FAIL(sink.Describe().c_str());
}
