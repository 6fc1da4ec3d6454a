// SPDX-License-Identifier: Apache-2.0
// What HttpsTransport puts on the wire, how it finds out which protocol a server speaks, what it
// does with connections and credentials.
#include <CppUTest/TestHarness.h>
#include <sys/stat.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "hal/linux/linux_clock.h"
#include "tests/contract/exchange.h"
#include "tests/contract/scripted_server.h"
#include "transport/https/https.h"

using namespace holdfast;
using namespace holdfast::testing;
using namespace holdfast::transport;
using Protocol = Capabilities::Protocol;

namespace {

// The first line, and whether a header line is there.
std::string FirstLine(const std::string& request) {
  return request.substr(0, request.find("\r\n"));
}
bool Has(const std::string& request, const std::string& line) {
  return request.find("\r\n" + line + "\r\n") != std::string::npos;
}
bool HasHeader(const std::string& request, const std::string& name) {
  return request.find("\r\n" + name + ":") < request.find("\r\n\r\n");
}
std::string BodyOf(const std::string& request) {
  return request.substr(request.find("\r\n\r\n") + 4);
}

const std::string kVersionRefused =
    Answer("400 Bad Request", kJson, R"({"error":"An invalid API version was specified"})");

}  // namespace

TEST_GROUP(HttpsExchange) {
  hal::LinuxClock clock;
  ScriptedServer& server = ScriptedServer::Get();
  std::string url, ca, token_file;
  HttpsTransport::Options options;

  void setup() override {
    server.Clear();
    url = server.Url("good");
    ca = server.File("ca.pem");
    options.url = url;
    options.ca_file = ca;
    options.connect_timeout = hal::Duration::Seconds(3);
  }

  std::unique_ptr<HttpsTransport> Make() {
    auto made = HttpsTransport::Create(options, clock);
    if (!made) FAIL(made.error().what);
    return std::move(made).value();
  }

  KeepingSink Do(Transport & client, const Request& request) {
    KeepingSink sink;
    Run(client, request, sink);
    CHECK(sink.in_order);
    return sink;
  }

  // What one request looks like on the wire.
  std::string Sent(const Request& request) {
    server.Requests();
    auto client = Make();
    Do(*client, request);
    const auto requests = server.Requests();
    return requests.empty() ? "" : requests[0];
  }

  std::string Write_(const std::string& name, const std::string& text, int mode) {
    const std::string path = server.File(name);
    std::ofstream(path) << text;
    chmod(path.c_str(), mode_t(mode));
    return path;
  }

  void Refused(const char* part) {
    auto made = HttpsTransport::Create(options, clock);
    if (made) FAIL(part);
    CHECK(made.error().code == Code::kInvalidArgument);
    if (std::string(made.error().what).find(part) == std::string::npos) FAIL(made.error().what);
  }
};

TEST(HttpsExchange, MethodsOf20) {
  options.protocol = Protocol::k20;
  const std::string insert = Sent(Write(Method::kInsert, "readings", "", "{\"id\":\"a\"}"));
  STRCMP_EQUAL("POST /tables/readings HTTP/1.1", FirstLine(insert).c_str());
  CHECK(Has(insert, "ZUMO-API-VERSION: 2.0.0"));
  CHECK(Has(insert, "Content-Type: application/json"));
  CHECK(Has(insert, "Accept: application/json"));
  CHECK(Has(insert, "Content-Length: 10"));
  CHECK(Has(insert, "User-Agent: holdfast"));
  CHECK(!HasHeader(insert, "Expect"));
  CHECK(!HasHeader(insert, "Accept-Encoding"));
  CHECK(!HasHeader(insert, "If-Match"));
  CHECK(!HasHeader(insert, "X-ZUMO-AUTH"));
  STRCMP_EQUAL("{\"id\":\"a\"}", BodyOf(insert).c_str());

  const std::string update = Sent(Write(Method::kUpdate, "readings", "a b", "{}", "x\"y"));
  STRCMP_EQUAL("PATCH /tables/readings/a%20b HTTP/1.1", FirstLine(update).c_str());
  CHECK(Has(update, "If-Match: \"x\\\"y\""));
  const std::string replace = Sent(Write(Method::kReplace, "readings", "a", "{}"));
  STRCMP_EQUAL("PUT /tables/readings/a HTTP/1.1", FirstLine(replace).c_str());
  const std::string remove = Sent(Write(Method::kDelete, "readings", "a", "", "MQ=="));
  STRCMP_EQUAL("DELETE /tables/readings/a HTTP/1.1", FirstLine(remove).c_str());
  CHECK(Has(remove, "If-Match: \"MQ==\""));
  CHECK(BodyOf(remove).empty());
  const std::string undelete = Sent(Write(Method::kUndelete, "readings", "a"));
  STRCMP_EQUAL("POST /tables/readings/a HTTP/1.1", FirstLine(undelete).c_str());
  CHECK(Has(undelete, "Content-Length: 0"));
  CHECK(!HasHeader(undelete, "Content-Type"));
}

TEST(HttpsExchange, MethodsOf30) {
  options.protocol = Protocol::k30;
  const std::string undelete = Sent(Write(Method::kUndelete, "readings", "a", "", "v"));
  STRCMP_EQUAL("PATCH /tables/readings/a HTTP/1.1", FirstLine(undelete).c_str());
  CHECK(Has(undelete, "ZUMO-API-VERSION: 3.0.0"));
  CHECK(Has(undelete, "Content-Type: application/json"));
  STRCMP_EQUAL("{\"deleted\":false}", BodyOf(undelete).c_str());
  const std::string list = Sent(List("readings"));
  STRCMP_EQUAL("GET /tables/readings HTTP/1.1", FirstLine(list).c_str());
}

TEST(HttpsExchange, WhoWeAre) {
  token_file = Write_("token", "  abc.def.ghi\r\n", 0600);
  options.token_file = token_file;
  options.installation_id = "11112222-3333";
  options.user_agent = "holdfast/0.1";
  const std::string request = Sent(List("readings"));
  CHECK(Has(request, "X-ZUMO-AUTH: abc.def.ghi"));
  CHECK(Has(request, "X-ZUMO-INSTALLATION-ID: 11112222-3333"));
  CHECK(Has(request, "User-Agent: holdfast/0.1"));
}

TEST(HttpsExchange, NothingOfOneRequestStaysForTheNext) {
  auto client = Make();
  Do(*client, Write(Method::kUpdate, "readings", "a", "{\"x\":1}", "v"));
  Do(*client, List("readings"));
  Do(*client, Write(Method::kDelete, "readings", "a"));
  Do(*client, Write(Method::kInsert, "readings", "", "{}"));
  const auto requests = server.Requests();
  LONGS_EQUAL(4, requests.size());
  CHECK(!HasHeader(requests[1], "If-Match"));
  CHECK(!HasHeader(requests[1], "Content-Length"));
  STRCMP_EQUAL("DELETE /tables/readings/a HTTP/1.1", FirstLine(requests[2]).c_str());
  CHECK(!HasHeader(requests[2], "If-Match"));
  STRCMP_EQUAL("{}", BodyOf(requests[3]).c_str());
}

TEST(HttpsExchange, RequestsThatDoNotFit) {
  auto client = Make();
  KeepingSink sink;
  const std::string long_filter(9000, 'x');
  Request list = List("readings");
  list.list.filter = long_filter;
  CHECK(!client->Begin(list, sink).ok());
  CHECK(!client->Begin(Lookup("readings", ".."), sink).ok());
  CHECK(!client->Begin(Write(Method::kDelete, "readings", "a", "", "v\r\nX: y"), sink).ok());
  LONGS_EQUAL(0, sink.dones);
  CHECK(!client->Pump({0}));
  CHECK(Do(*client, List("readings")).answered(Status::kOk));
  LONGS_EQUAL(1, server.Requests().size());
}

// ---- which protocol

TEST(HttpsExchange, ArrayMeans20) {
  auto client = Make();
  CHECK(client->capabilities().protocol == Protocol::kUnknown);
  Do(*client, List("readings"));
  CHECK(client->capabilities().protocol == Protocol::k20);
}

TEST(HttpsExchange, ItemsMean30) {
  auto client = Make();
  server.Script(Answer("200 OK", kJson, R"( {"items":[],"nextLink":null})"));
  CHECK(Do(*client, List("readings")).answered(Status::kOk));
  CHECK(client->capabilities().protocol == Protocol::k30);
  server.Requests();
  Do(*client, List("readings"));
  CHECK(Has(server.Requests()[0], "ZUMO-API-VERSION: 3.0.0"));
}

TEST(HttpsExchange, AServerThatWants30IsAskedAgain) {
  auto client = Make();
  server.Script(kVersionRefused);
  server.Script(Answer("201 Created", kTag, kRow));
  const KeepingSink sink = Do(*client, Write(Method::kInsert, "readings", "", "{\"a\":1}"));
  CHECK(sink.answered(Status::kCreated));
  CHECK(client->capabilities().protocol == Protocol::k30);
  const auto requests = server.Requests();
  LONGS_EQUAL(2, requests.size());
  CHECK(Has(requests[1], "ZUMO-API-VERSION: 3.0.0"));
  STRCMP_EQUAL("{\"a\":1}", BodyOf(requests[1]).c_str());
  LONGS_EQUAL(2, client->traffic().requests);
}

TEST(HttpsExchange, ARefusalOfA20ServerComesOutAsItWas) {
  auto client = Make();
  const std::string refusal = Answer("400 Bad Request", kJson, R"({"error":"reserved"})");
  server.Script(refusal);
  server.Script(kVersionRefused);
  server.Script(refusal);
  KeepingSink sink = Do(*client, Write(Method::kInsert, "readings", "", "{}"));
  CHECK(sink.answered(Status::kBadRequest));
  STRCMP_EQUAL(R"({"error":"reserved"})", sink.body.c_str());
  CHECK(client->capabilities().protocol == Protocol::k20);
  server.Script(refusal);  // and never again
  sink = Do(*client, Write(Method::kInsert, "readings", "", "{}"));
  CHECK(sink.answered(Status::kBadRequest));
  LONGS_EQUAL(4, server.Requests().size());
}

TEST(HttpsExchange, ADisabledUpdateOfA20ServerDoesNotMakeIt30) {
  auto client = Make();
  const std::string disabled =
      Answer("405 Not Allowed", "Content-Type: text/html\r\n", "Method update is not allowed");
  server.Script(disabled);
  server.Script(kVersionRefused);
  server.Script(disabled);
  CHECK(Do(*client, Write(Method::kUpdate, "readings", "a", "{}"))
            .answered(Status::kMethodNotAllowed));
  CHECK(client->capabilities().protocol == Protocol::k20);
}

TEST(HttpsExchange, AToolkitServerHasNoPatch) {
  auto client = Make();
  server.Script(Answer("405 Not Allowed", "", ""));
  server.Script(Answer("405 Not Allowed", "", ""));
  CHECK(Do(*client, Write(Method::kUpdate, "readings", "a", "{}"))
            .answered(Status::kMethodNotAllowed));
  CHECK(client->capabilities().protocol == Protocol::k30);
}

TEST(HttpsExchange, ABadRowProvesNothing) {
  auto client = Make();
  server.Script(Answer("400 Bad Request", kJson, "[1]"));
  server.Script(Answer("400 Bad Request", kJson, std::string(5000, ' ') + "[2]"));
  const KeepingSink sink = Do(*client, Write(Method::kInsert, "readings", "", "{}"));
  CHECK(sink.answered(Status::kBadRequest));
  LONGS_EQUAL(5003, sink.size);
  CHECK(client->capabilities().protocol == Protocol::kUnknown);
}

TEST(HttpsExchange, AFixedProtocolIsNotQuestioned) {
  options.protocol = Protocol::k20;
  auto client = Make();
  server.Script(kVersionRefused);
  CHECK(Do(*client, List("readings")).answered(Status::kBadRequest));
  LONGS_EQUAL(1, server.Requests().size());
}

TEST(HttpsExchange, TheServerSaysWhatItIs) {
  auto client = Make();
  server.Script(Answer(
      "200 OK", std::string(kJson) + "Holdfast: 1\r\nx-zumo-server-version: node-4.0.2\r\n", "[]"));
  Do(*client, List("readings"));
  CHECK(client->capabilities().holdfast);
  STRCMP_EQUAL("node-4.0.2", client->capabilities().server.c_str());
}

// ---- connections

TEST(HttpsExchange, OneConnectionForAll) {
  auto client = Make();
  const int before = server.Connections();
  for (int i = 0; i < 50; ++i) CHECK(Do(*client, List("readings")).answered(Status::kOk));
  LONGS_EQUAL(1, server.Connections() - before);
  LONGS_EQUAL(1, client->traffic().connections);
  LONGS_EQUAL(50, client->traffic().requests);
}

TEST(HttpsExchange, EveryByteIsCounted) {
  auto client = Make();
  Do(*client, List("readings"));
  const Traffic first = client->traffic();
  CHECK(first.bytes_sent > 300);      // a handshake and a request
  CHECK(first.bytes_received > 700);  // a certificate and an answer
  const std::string body(100000, 'x');
  Do(*client, Write(Method::kInsert, "readings", "", body));
  const Traffic second = client->traffic();
  CHECK(second.bytes_sent - first.bytes_sent > 100000);
  CHECK(second.bytes_sent - first.bytes_sent < 110000);
  CHECK(second.bytes_received - first.bytes_received < 1000);
  server.Script("x");
  Do(*client, Write(Method::kInsert, "readings", "", body));  // fails, and was sent all the same
  CHECK(client->traffic().bytes_sent - second.bytes_sent > 100000);
}

TEST(HttpsExchange, AConnectionThatEndedWhileIdleIsNoError) {
  for (const char* end : {"c", "x", "r"}) {
    auto client = Make();
    server.Script(Answer("200 OK", kJson, "[]") + end);
    CHECK(Do(*client, List("readings")).answered(Status::kOk));
    CHECK(!client->Pump(hal::Duration::Milliseconds(1)));
    struct timespec pause = {0, 50'000'000};
    nanosleep(&pause, nullptr);
    const KeepingSink sink = Do(*client, Write(Method::kInsert, "readings", "", "{}"));
    if (!sink.answered(Status::kOk)) FAIL((std::string(end) + ": " + sink.Describe()).c_str());
    LONGS_EQUAL(2, client->traffic().connections);
  }
}

// libcurl repeats a request when a used connection ends without a byte of an answer. That the first
// one may have been applied is nothing new for the engine: it recognises its own rows.
TEST(HttpsExchange, AConnectionThatEndsUnderARequestIsTriedOnceMore) {
  for (const char* end : {"c", "x"}) {
    auto client = Make();
    Do(*client, List("readings"));
    server.Script(end);
    const KeepingSink sink = Do(*client, List("readings"));
    if (!sink.answered(Status::kOk)) FAIL((std::string(end) + ": " + sink.Describe()).c_str());
  }
}

// A ticket of the first connection spares certificates and signatures on the next.
TEST(HttpsExchange, TheSecondHandshakeIsShort) {
  for (const char* listener : {"tls12", "tls13"}) {
    url = server.Url(listener);
    options.url = url;
    auto client = Make();
    std::uint64_t bytes[2];
    for (std::uint64_t& each : bytes) {
      const Traffic before = client->traffic();
      server.Script(Answer("200 OK", kJson, "[]") + "c");
      CHECK(Do(*client, List("readings")).answered(Status::kOk));
      struct timespec pause = {0, 50'000'000};
      nanosleep(&pause, nullptr);
      const Traffic after = client->traffic();
      each = after.bytes_sent - before.bytes_sent + after.bytes_received - before.bytes_received;
    }
    UT_PRINT((std::to_string(bytes[0]) + " bytes, then " + std::to_string(bytes[1])).c_str());
    LONGS_EQUAL(2, client->traffic().connections);
    CHECK(bytes[1] < bytes[0]);
  }
}

// ---- ends of exchanges

TEST(HttpsExchange, CancelBeforeAndAmidst) {
  auto client = Make();
  client->Cancel();  // nothing to cancel
  KeepingSink first;
  CHECK(client->Begin(List("readings"), first).ok());
  client->Cancel();
  CHECK(first.failed(Code::kCancelled));
  LONGS_EQUAL(0, server.Requests().size());

  server.Script("h");
  KeepingSink second;
  CHECK(client->Begin(List("readings"), second).ok());
  for (int i = 0; i < 10; ++i) CHECK(client->Pump(hal::Duration::Milliseconds(20)));
  client->Cancel();
  CHECK(second.failed(Code::kCancelled));
  CHECK(!client->Pump({0}));
  CHECK(Do(*client, List("readings")).answered(Status::kOk));
  LONGS_EQUAL(1, second.dones);
}

namespace {
struct CancellingSink final : KeepingSink {
  Transport* client = nullptr;
  bool in_head = false;
  Result<void> OnHead(const ResponseHead& head) override {
    (void)KeepingSink::OnHead(head).ok();
    if (in_head) client->Cancel();
    return Ok();
  }
  Result<void> OnBody(std::string_view chunk) override {
    (void)KeepingSink::OnBody(chunk).ok();
    if (!in_head) client->Cancel();
    return Ok();
  }
};
struct ChainingSink final : KeepingSink {
  Transport* client = nullptr;
  ResponseSink* next = nullptr;
  void OnDone(Result<void> result) override {
    KeepingSink::OnDone(std::move(result));
    (void)client->Begin(List("second"), *next).ok();
  }
};
}  // namespace

TEST(HttpsExchange, CancelFromInsideTheSink) {
  auto client = Make();
  for (const bool in_head : {true, false}) {
    CancellingSink sink;
    sink.client = client.get();
    sink.in_head = in_head;
    Run(*client, List("readings"), sink);
    CHECK(sink.failed(Code::kCancelled));
    CHECK(sink.in_order);
    CHECK(Do(*client, List("readings")).answered(Status::kOk));
  }
}

TEST(HttpsExchange, BeginFromInsideOnDone) {
  auto client = Make();
  KeepingSink second;
  ChainingSink first;
  first.client = client.get();
  first.next = &second;
  Run(*client, List("readings"), first);
  CHECK(first.answered(Status::kOk));
  CHECK(second.answered(Status::kOk));
}

TEST(HttpsExchange, ErrorsOfTheSinkComeBack) {
  auto client = Make();
  for (const bool in_head : {true, false}) {
    KeepingSink sink;
    (in_head ? sink.head_error : sink.body_error) = Error{Code::kNoSpace, Origin::kSqlite, 13};
    Run(*client, List("readings"), sink);
    CHECK(sink.failed(Code::kNoSpace));
    CHECK(sink.outcome.error().origin == Origin::kSqlite);
    CHECK(Do(*client, List("readings")).answered(Status::kOk));
  }
}

TEST(HttpsExchange, DestroyedAmidst) {
  server.Script("h");
  KeepingSink sink;
  {
    auto client = Make();
    CHECK(client->Begin(List("readings"), sink).ok());
    client->Pump(hal::Duration::Milliseconds(50));
  }
  LONGS_EQUAL(0, sink.heads);
}

// ---- credentials

TEST(HttpsExchange, ClientCertificates) {
  const std::string cert = server.File("device.pem"), key = server.File("device.key");
  options.cert_file = cert;
  options.key_file = key;
  for (const char* listener : {"mutual12", "mutual13"}) {
    url = server.Url(listener);
    options.url = url;
    auto client = Make();
    const KeepingSink sink = Do(*client, List("readings"));
    if (!sink.answered(Status::kOk)) FAIL(sink.Describe().c_str());
    LONGS_EQUAL(2524607999, client->certificate_end_unix_s());  // 2049-12-31
  }
}

TEST(HttpsExchange, OurOwnCertificateExpired) {
  const std::string cert = server.File("olddevice.pem"), key = server.File("olddevice.key");
  options.cert_file = cert;
  options.key_file = key;
  for (const char* listener : {"mutual12", "mutual13"}) {
    url = server.Url(listener);
    options.url = url;
    auto client = Make();
    const KeepingSink sink = Do(*client, List("readings"));
    if (!sink.failed(Code::kTlsExpired)) FAIL(sink.Describe().c_str());
  }
}

TEST(HttpsExchange, FilesThatAreWrong) {
  const std::string cert = server.File("device.pem"), key = server.File("device.key");
  const std::string other_key = server.File("good.key"), missing = server.File("missing");
  const std::string garbage = Write_("garbage", "-----BEGIN NOTHING-----\n", 0600);
  const std::string empty = Write_("empty", "\n \n", 0600);
  const std::string folder = server.File("");
  options.ca_file = missing;
  Refused("the CA file cannot be read");
  options.ca_file = folder;
  Refused("the CA file cannot be read");
  options.ca_file = garbage;
  Refused("the CA file holds no certificate");
  options.ca_file = ca;
  options.cert_file = cert;
  Refused("needs its key file");
  options.key_file = other_key;
  Refused("do not belong together");
  options.key_file = garbage;
  Refused("holds no usable key");
  options.key_file = missing;
  Refused("the private key file cannot be read");
  for (const int mode : {0640, 0604, 0644, 0620}) {
    chmod(key.c_str(), mode_t(mode));
    options.key_file = key;
    Refused("others may read the private key file");
  }
  chmod(key.c_str(), 0600);
  options.cert_file = garbage;
  Refused("the client certificate file holds no valid certificate");
  options.cert_file = options.key_file = {};
  options.token_file = empty;
  Refused("the token file holds no token");
  options.token_file = garbage;
  Refused("bytes that no token has");
}

TEST(HttpsExchange, OptionsThatAreWrong) {
  options.url = "http://example.com";
  Refused("http:// is for this machine only");
  options.url = url;
  options.proxy = "socks5://x";
  Refused("a proxy is given as");
  options.proxy = "";
  options.installation_id = "a\r\nX-Evil: b";
  Refused("control character");
}

TEST(HttpsExchange, WithoutACaNobodyIsTrusted) {
  options.ca_file = "";
  auto client = Make();
  CHECK(Do(*client, List("readings")).failed(Code::kTlsUntrusted));
}

TEST(HttpsExchange, ReloadReadsTheFilesAnew) {
  token_file = Write_("token", "first", 0600);
  options.token_file = token_file;
  auto client = Make();
  Do(*client, List("readings"));
  Write_("token", "second", 0600);
  Do(*client, List("readings"));
  CHECK(client->ReloadCredentials().ok());
  Do(*client, List("readings"));
  Write_("token", "", 0600);
  CHECK(!client->ReloadCredentials().ok());  // and goes on with what it has
  Do(*client, List("readings"));
  const auto requests = server.Requests();
  LONGS_EQUAL(4, requests.size());
  CHECK(Has(requests[0], "X-ZUMO-AUTH: first"));
  CHECK(Has(requests[1], "X-ZUMO-AUTH: first"));
  CHECK(Has(requests[2], "X-ZUMO-AUTH: second"));
  CHECK(Has(requests[3], "X-ZUMO-AUTH: second"));
  LONGS_EQUAL(2, client->traffic().connections);
}
