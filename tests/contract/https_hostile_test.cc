// SPDX-License-Identifier: Apache-2.0
// Answers that no honest server gives, and honest ones that look like them. Each row of the tables
// says which error or status must come out. None may hang or crash.
#include <CppUTest/TestHarness.h>

#include <chrono>
#include <string>
#include <vector>

#include "hal/linux/linux_clock.h"
#include "hal/sim/sim_clock.h"
#include "tests/contract/exchange.h"
#include "tests/contract/scripted_server.h"
#include "transport/https/https.h"

using namespace holdfast;
using namespace holdfast::testing;
using transport::HttpsTransport;
using transport::Status;

namespace {

// Patience of a test: everything ends within kTimeout and a bit.
constexpr hal::Duration kTimeout = hal::Duration::Seconds(4);

struct Expect {
  bool error = false;
  Code code = Code::kOffline;
  Code other = Code::kOffline;  // two are right where the outcome depends on the socket's timing
  Status status = Status::kOther;

  bool Met(const KeepingSink& sink) const {
    if (!sink.in_order) return false;
    return error ? sink.failed(code) || sink.failed(other) : sink.answered(status);
  }
};
Expect Fails(Code code) { return {true, code, code, Status::kOther}; }
Expect Fails(Code code, Code other) { return {true, code, other, Status::kOther}; }
Expect Says(Status status) { return {false, Code::kOffline, Code::kOffline, status}; }

struct Case {
  const char* name;
  std::string script;
  Expect expect;
  const char* listener = "good";
};

HttpsTransport::Options OptionsFor(const std::string& url, const std::string& ca) {
  HttpsTransport::Options options;
  options.url = url;
  options.ca_file = ca;
  options.protocol = transport::Capabilities::Protocol::k20;
  options.connect_timeout = hal::Duration::Seconds(2);
  options.stall_timeout = hal::Duration::Seconds(2);
  return options;
}

std::unique_ptr<HttpsTransport> Make(const HttpsTransport::Options& options, hal::Clock& clock) {
  auto made = HttpsTransport::Create(options, clock);
  if (!made) FAIL(made.error().what);
  return std::move(made).value();
}

}  // namespace

TEST_GROUP(HttpsHostile) {
  hal::LinuxClock clock;
  ScriptedServer& server = ScriptedServer::Get();

  KeepingSink Play(const Case& test, const transport::Request& wanted) {
    server.Clear();
    if (!test.script.empty()) server.Script(test.script);
    const std::string url = server.Url(test.listener), ca = server.File("ca.pem");
    auto client = Make(OptionsFor(url, ca), clock);
    transport::Request request = wanted;
    request.timeout = kTimeout;
    KeepingSink sink;
    sink.keep = false;
    const auto start = std::chrono::steady_clock::now();
    Run(*client, request, sink);
    const auto took = std::chrono::steady_clock::now() - start;
    if (took > std::chrono::seconds(8)) FAIL((std::string(test.name) + " took too long").c_str());
    return sink;
  }

  // All that is wrong is told at once, not only the first.
  void CheckAll(const std::vector<Case>& cases,
                const transport::Request& request = Lookup("readings", "r1")) {
    std::string wrong;
    for (const Case& test : cases) {
      const KeepingSink sink = Play(test, request);
      if (!test.expect.Met(sink)) wrong += std::string(test.name) + ": " + sink.Describe() + "\n";
    }
    if (!wrong.empty()) FAIL(wrong.c_str());
  }
};

TEST(HttpsHostile, StatusesThatAreNoAnswer) {
  CheckAll({
      {"302 to http", Answer("302 Found", "Location: http://portal.example/\r\n", "go"),
       Says(Status::kOther)},
      {"301", Answer("301 Moved", "Location: /elsewhere\r\n", ""), Says(Status::kOther)},
      {"307 to ourselves", Answer("307 Again", "Location: /tables/readings/r1\r\n", ""),
       Says(Status::kOther)},
      {"308", Answer("308 Again", "Location: http://127.0.0.1/\r\n", ""), Says(Status::kOther)},
      {"304 unasked", Send("HTTP/1.1 304 Not Modified\r\n\r\n"), Says(Status::kOther)},
      {"202", Answer("202 Accepted", kJson, kRow), Says(Status::kOther)},
      {"206", Answer("206 Partial", kJson, kRow), Says(Status::kOther)},
      {"511 of a portal", Answer("511 Login", "Content-Type: text/html\r\n", "<html>"),
       Says(Status::kServerError)},
      {"502 of a proxy", Answer("502 Bad Gateway", "Content-Type: text/html\r\n", "<html>"),
       Says(Status::kServerError)},
      {"status 999", Answer("999 What", kJson, kRow), Says(Status::kOther)},
      {"204 with a body after it", Send("HTTP/1.1 204 No\r\n\r\nsurprise"),
       Says(Status::kNoContent)},
      {"101 nobody asked for",
       Send("HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: upgrade\r\n\r\n") + "h",
       Fails(Code::kBadAnswer, Code::kTimeout)},
  });
}

TEST(HttpsHostile, CutsAndLengths) {
  CheckAll({
      {"closed before the answer", "c", Fails(Code::kOffline)},
      {"cut before the answer", "x", Fails(Code::kOffline)},
      {"reset before the answer", "r", Fails(Code::kOffline)},
      {"cut in the status line", Send("HTTP/1.1 20") + "x", Fails(Code::kOffline)},
      {"cut in the header", Send("HTTP/1.1 200 OK\r\nContent-Ty") + "x", Fails(Code::kBadAnswer)},
      {"cut after the header", Send("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n") + "x",
       Fails(Code::kBadAnswer)},
      {"cut in the body", Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":") + "c",
       Fails(Code::kBadAnswer)},
      {"cut in the body without a word",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":") + "x",
       Fails(Code::kBadAnswer)},
      {"reset in the body",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{\"id\":") + "w:100 r",
       Fails(Code::kBadAnswer, Code::kOffline)},
      {"cut in a chunk",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n10\r\nabc") + "x",
       Fails(Code::kBadAnswer)},
      {"cut between chunks",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n") + "c",
       Fails(Code::kBadAnswer)},
      {"chunk size of no number",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\nabc\r\n") + "c",
       Fails(Code::kBadAnswer)},
      {"chunk size beyond 64 bits",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\nabc\r\n") +
           "c",
       Fails(Code::kBadAnswer)},
      {"negative length", Send("HTTP/1.1 200 OK\r\nContent-Length: -5\r\n\r\nabc") + "c",
       Fails(Code::kBadAnswer)},
      {"length of no number", Send("HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\nabc") + "c",
       Fails(Code::kBadAnswer)},
      {"length beyond 64 bits",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 99999999999999999999\r\n\r\nabc") + "c",
       Fails(Code::kBadAnswer)},
      {"two lengths",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 4\r\n\r\nabcd") + "c",
       Fails(Code::kBadAnswer)},
      {"the same length twice",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\nContent-Length: 3\r\n\r\nabc"),
       Says(Status::kOk)},
      {"more than announced", Send("HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcdef"),
       Says(Status::kOk)},
      {"announced too large",
       Send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "
            "3000000\r\n\r\n{") +
           "h",
       Fails(Code::kTooLarge)},
      {"too large without an announcement",
       Send("HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: "
            "chunked\r\n\r\n") +
           Flood("10000\r\n" + std::string(0x10000, ' ') + "\r\n", 100, 0) + "h",
       Fails(Code::kTooLarge)},
      {"endless web page",
       Send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n") +
           Flood(std::string(4096, 'x'), 2000, 0) + "h",
       Fails(Code::kBadAnswer)},
      {"no length, and cut",
       Send("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}") + "x",
       Fails(Code::kBadAnswer)},
      {"no length, old style",
       Send("HTTP/1.0 200 OK\r\nContent-Type: application/json\r\n\r\n{}") + "c",
       Says(Status::kOk)},
  });
}

TEST(HttpsHostile, Headers) {
  const std::string many = [] {
    std::string text;
    for (int i = 0; i < 300; ++i) text += "X-" + std::to_string(i) + ": y\r\n";
    return text;
  }();
  CheckAll({
      {"endless headers",
       Send("HTTP/1.1 200 OK\r\n") +
           Flood("X-Fill: 0123456789012345678901234567890123456789\r\n", 100000, 0),
       Fails(Code::kBadAnswer)},
      {"300 headers", Answer("200 OK", many, "{}"), Fails(Code::kBadAnswer)},
      {"one header of 200 KB", Answer("200 OK", "X: " + std::string(200000, 'x') + "\r\n", "{}"),
       Fails(Code::kBadAnswer)},
      {"header without end",
       Send("HTTP/1.1 200 OK\r\nX: ") + Flood(std::string(1000, 'x'), 1000, 0),
       Fails(Code::kBadAnswer)},
      {"1xx without end", Flood("HTTP/1.1 103 Early\r\nLink: x\r\n\r\n", 100000, 0),
       Fails(Code::kBadAnswer)},
      {"100 and 103 first",
       Send("HTTP/1.1 100 Go\r\n\r\nHTTP/1.1 103 Early\r\nETag: \"x\"\r\n\r\n") +
           Answer("200 OK", kTag, kRow),
       Says(Status::kOk)},
      {"folded header", Answer("200 OK", "X: a\r\n  b\r\n", "{}"), Fails(Code::kBadAnswer)},
      {"NUL in a header", Answer("200 OK", std::string_view("X: a\0b\r\n", 8), "{}"),
       Fails(Code::kBadAnswer)},
      {"line without a colon", Answer("200 OK", "nonsense\r\n", "{}"), Fails(Code::kBadAnswer)},
      {"gzip nobody asked for",
       Answer("200 OK", "Content-Encoding: gzip\r\nContent-Type: application/json\r\n",
              "\x1f\x8b\x08"),
       Fails(Code::kBadAnswer)},
      {"gzip as transfer encoding",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n"),
       Fails(Code::kBadAnswer)},
      {"unknown transfer encoding",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: magic\r\n\r\nabc") + "c",
       Fails(Code::kBadAnswer)},
      {"a body and no header", Send("{\"id\":\"r1\"}") + "c", Fails(Code::kBadAnswer)},
      {"HTML and no header", Send("<html>welcome</html>\r\n\r\n") + "c", Fails(Code::kBadAnswer)},
      {"another protocol's status line", Send("ICY 200 OK\r\n\r\n{}") + "c",
       Fails(Code::kBadAnswer)},
      {"HTTP/7", Send("HTTP/7.3 200 OK\r\n\r\n{}") + "c", Fails(Code::kBadAnswer)},
      {"status of letters", Send("HTTP/1.1 abc OK\r\n\r\n{}") + "c", Fails(Code::kBadAnswer)},
      {"status of four digits", Send("HTTP/1.1 2000 OK\r\n\r\n{}") + "c", Fails(Code::kBadAnswer)},
      {"trailers",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\nETag: "
            "\"late\"\r\n\r\n"),
       Says(Status::kOk)},
      {"endless trailers",
       Send("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n") +
           Flood("X-Fill: 0123456789\r\n", 100000, 0),
       Fails(Code::kBadAnswer)},
      {"compliments before the answer", Send("\r\n\r\n") + Answer("200 OK", kTag, kRow),
       Fails(Code::kBadAnswer)},
  });
}

TEST(HttpsHostile, Slowness) {
  CheckAll({
      {"no answer", "h", Fails(Code::kTimeout)},
      {"header by drops", Flood("H", 100, 200), Fails(Code::kBadAnswer, Code::kTimeout)},
      {"good header by drops", Send("HTTP/1.1 200 OK\r\n") + Flood("X: y\r\n", 100, 500),
       Fails(Code::kTimeout)},
      {"body by drops",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n") + Flood(" ", 100, 200),
       Fails(Code::kTimeout)},
      {"body that stops", Send("HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n{") + "h",
       Fails(Code::kTimeout)},
      {"faster drops, but for ever",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n") + Flood("          ", 100, 100),
       Fails(Code::kTimeout)},
      {"silence instead of TLS", "", Fails(Code::kTimeout), "silent"},
  });
}

TEST(HttpsHostile, Tls) {
  CheckAll({
      {"expired", "", Fails(Code::kTlsExpired), "expired"},
      {"not yet valid", "", Fails(Code::kTlsExpired), "future"},
      {"another name", "", Fails(Code::kTlsUntrusted), "othername"},
      {"another CA", "", Fails(Code::kTlsUntrusted), "foreign"},
      {"signed by itself", "", Fails(Code::kTlsUntrusted), "self"},
      {"RSA of 1024 bits", "", Fails(Code::kTlsUntrusted), "weak"},
      {"SHA-1", "", Fails(Code::kTlsUntrusted), "sha1"},
      {"chain with a gap", "", Fails(Code::kTlsUntrusted), "orphan"},
      {"TLS 1.1", "", Fails(Code::kTlsUntrusted), "tls11"},
      {"wants a certificate, TLS 1.2", "", Fails(Code::kTlsUntrusted), "mutual12"},
      {"wants a certificate, TLS 1.3", "", Fails(Code::kTlsUntrusted), "mutual13"},
      {"TLS 1.2 will do", "", Says(Status::kOk), "tls12"},
      {"TLS 1.3 will do", "", Says(Status::kOk), "tls13"},
      {"another protocol", "", Fails(Code::kBadAnswer), "stranger"},
      {"plain HTTP on a TLS port", "", Fails(Code::kBadAnswer), "httponly"},
      {"TLS on a plain port", "", Fails(Code::kOffline), "cutter"},
      {"garbage beside TLS", "g:" + std::string(200, '4') + " h", Fails(Code::kBadAnswer)},
      {"garbage amid an answer",
       Send("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{") + "g:1603030010" +
           std::string(32, '0') + " h",
       Fails(Code::kBadAnswer)},
  });
}

TEST(HttpsHostile, WhileWriting) {
  const std::string body = "{\"id\":\"r1\",\"text\":\"" + std::string(900000, 'x') + "\"}";
  const auto insert = Write(transport::Method::kInsert, "readings", "", body);
  CheckAll(
      {
          Case{"413 before the body was read",
               "early " + Answer("413 Too Large", "Connection: close\r\n", "") + "w:300 c",
               Says(Status::kTooLarge)},
          Case{"cut while sending", "early x", Fails(Code::kOffline)},
          Case{"reset while sending", "early w:50 r", Fails(Code::kOffline)},
          Case{"nobody reads", "early w:7000 c", Fails(Code::kTimeout)},
          Case{"cut after all was sent", "x", Fails(Code::kOffline)},
      },
      insert);
}

TEST(HttpsHostile, PagesMayBeLongerThanRows) {
  const std::string page = "[" + std::string(3 << 20, ' ') + "]";
  CheckAll({{"a page", Answer("200 OK", kJson, page), Says(Status::kOk)}}, List("readings"));
  CheckAll({{"a row", Answer("200 OK", kJson, page), Fails(Code::kTooLarge)}});
}

TEST(HttpsHostile, WhatOddHeadersMean) {
  struct Odd {
    const char* name;
    const char* headers;
    const char* version;
    bool is_json;
    std::int64_t retry_s;
  };
  const Odd cases[] = {
      {"plain", "ETag: \"MQ==\"\r\nContent-Type: application/json; charset=utf-8\r\n", "MQ==", true,
       -1},
      {"upper case", "ETAG: \"MQ==\"\r\nCONTENT-TYPE: APPLICATION/JSON\r\n", "MQ==", true, -1},
      {"weak tag", "ETag: W/\"MQ==\"\r\n", "", false, -1},
      {"two tags", "ETag: \"a\"\r\nETag: \"b\"\r\n", "", false, -1},
      {"one tag twice", "ETag: \"a\"\r\nETag: \"a\"\r\n", "a", false, -1},
      {"bare tag", "ETag: MQ==\r\n", "MQ==", false, -1},
      {"quotes in a tag", "ETag: \"a\\\"b\"\r\n", "a\"b", false, -1},
      {"open tag", "ETag: \"abc\r\n", "", false, -1},
      {"empty tag", "ETag: \"\"\r\n", "", false, -1},
      {"control character in a tag",
       "ETag: \"a\x01"
       "b\"\r\n",
       "", false, -1},
      {"problem+json", "Content-Type: application/problem+json\r\n", "", true, -1},
      {"text/json", "Content-Type: text/json\r\n", "", false, -1},
      {"two types", "Content-Type: application/json\r\nContent-Type: text/html\r\n", "", false, -1},
      {"HTML", "Content-Type: text/html\r\n", "", false, -1},
      {"no type", "", "", false, -1},
      {"in two minutes", "Retry-After: 120\r\n", "", false, 120},
      {"in ten years", "Retry-After: 315360000\r\n", "", false, 86400},
      {"beyond numbers", "Retry-After: 99999999999999999999\r\n", "", false, 86400},
      {"before now", "Retry-After: -5\r\n", "", false, 0},
      {"at no time", "Retry-After: soon\r\n", "", false, -1},
      {"at two times", "Retry-After: 5\r\nRetry-After: 6\r\n", "", false, -1},
      {"at a date",
       "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sun, 06 Nov 1994 08:50:07 GMT\r\n", "",
       false, 30},
      {"at a past date",
       "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\nDate: Mon, 07 Nov 1994 08:49:37 GMT\r\n", "",
       false, 0},
      {"at a date in ten years",
       "Date: Sun, 06 Nov 1994 08:49:37 GMT\r\nRetry-After: Sat, 06 Nov 2004 08:49:37 GMT\r\n", "",
       false, 86400},
      {"at a date, today unknown", "Retry-After: Sun, 06 Nov 1994 08:49:37 GMT\r\n", "", false, -1},
  };
  for (const Odd& odd : cases) {
    const KeepingSink sink =
        Play({odd.name, Answer("503 Later", odd.headers, "{}"), Says(Status::kUnavailable)},
             Lookup("readings", "r1"));
    const bool as_expected =
        sink.answered(Status::kUnavailable) && sink.version == odd.version &&
        sink.is_json == odd.is_json &&
        sink.retry_after.ns / 1'000'000'000 == (odd.retry_s < 0 ? 0 : odd.retry_s) &&
        (sink.retry_after.ns < 0) == (odd.retry_s < 0);
    if (!as_expected) FAIL((std::string(odd.name) + ": " + sink.Describe()).c_str());
  }
}

TEST(HttpsHostile, LinksThatLeadAwayAreNone) {
  const std::string here = server.Url("good"), port = std::to_string(server.Port("good"));
  const std::string rest = "/tables/readings?$skip=50&$top=50";
  const std::pair<std::string, bool> cases[] = {
      {here + rest + "; rel=next", true},
      {"<" + here + rest + ">; rel=\"next\"", true},
      {"https://127.0.0.1:1" + rest + "; rel=next", false},
      {"http://127.0.0.1:" + port + rest + "; rel=next", false},
      {"https://evil.example:" + port + rest + "; rel=next", false},
      {"https://127.0.0.1:" + port + "@evil.example" + rest + "; rel=next", false},
      {"//evil.example" + rest + "; rel=next", false},
      {here + "/tables/secrets?$skip=50; rel=next", false},
      {here + "/tables/readings/../secrets?$skip=50; rel=next", false},
      {"http://127.0.0.1/?%24top=3&%24skip=3; rel=next", false},  // azure-mobile-apps 4.0.2
      {here + rest + "; rel=prev", false},
      {here + rest, false},
      {here + "/tables/readings?" + std::string(9000, 'x') + "; rel=next", false},
  };
  for (const auto& [link, usable] : cases) {
    const KeepingSink sink =
        Play({"link", Answer("200 OK", std::string(kJson) + "Link: " + link + "\r\n", "[]"),
              Says(Status::kOk)},
             List("readings"));
    if (!sink.answered(Status::kOk) || sink.continuation.empty() == usable) FAIL(link.c_str());
  }
}

TEST(HttpsHostile, NobodyThere) {
  const std::string ca = server.File("ca.pem");
  for (const char* url : {"https://127.0.0.1:1", "https://no-such-host.invalid:8443"}) {
    auto client = Make(OptionsFor(url, ca), clock);
    KeepingSink sink;
    Run(*client, Lookup("readings", "r1"), sink);
    if (!sink.failed(Code::kOffline)) FAIL((url + (": " + sink.Describe())).c_str());
  }
}

TEST(HttpsHostile, Proxies) {
  const std::string ca = server.File("ca.pem"), proxy = server.Url("plain");
  const std::string url = server.Url("othername", "other.example");
  const std::pair<std::string, Expect> cases[] = {
      {Send("HTTP/1.1 200 Connected\r\n\r\n") + "t:" + std::to_string(server.Port("othername")),
       Says(Status::kOk)},
      {Send("HTTP/1.1 200 Connected\r\n\r\n") + "t:" + std::to_string(server.Port("good")),
       Fails(Code::kTlsUntrusted)},
      {Send("HTTP/1.1 407 Who are you\r\nContent-Length: 0\r\n\r\n") + "c", Fails(Code::kOffline)},
      {Send("HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n") + "c", Fails(Code::kOffline)},
      {Send("HTTP/1.1 200 OK\r\nContent-Type: text/html\r\n\r\n<html>pay</html>") + "c",
       Fails(Code::kOffline, Code::kBadAnswer)},
      {"c", Fails(Code::kOffline)},
      {"h", Fails(Code::kTimeout)},
  };
  std::string wrong;
  for (const auto& [script, expect] : cases) {
    server.Clear();
    server.Script(script);
    auto options = OptionsFor(url, ca);
    options.proxy = proxy;
    auto client = Make(options, clock);
    KeepingSink sink;
    Run(*client, Lookup("readings", "r1"), sink);
    if (!expect.Met(sink)) wrong += script + ": " + sink.Describe() + "\n";
  }
  if (!wrong.empty()) FAIL(wrong.c_str());
}

TEST(HttpsHostile, WithoutADateNoCertificateIsCalledExpired) {
  hal::SimClock no_date;
  no_date.UnsetWall();
  const std::string url = server.Url("expired"), ca = server.File("ca.pem");
  auto client = Make(OptionsFor(url, ca), no_date);
  KeepingSink sink;
  Run(*client, Lookup("readings", "r1"), sink);
  if (!sink.failed(Code::kClockUnset)) FAIL(sink.Describe().c_str());
}
