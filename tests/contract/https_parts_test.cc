// SPDX-License-Identifier: Apache-2.0
// The pure functions of transport/https, as tables.
#include <CppUTest/TestHarness.h>
#include <curl/curl.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509.h>

#include <string>

#include "transport/https/curl_error.h"
#include "transport/https/head.h"
#include "transport/url.h"

using namespace holdfast;
using namespace holdfast::transport;
using namespace holdfast::transport::https;

namespace {

std::string Url(const char* server, const Request& request, Protocol protocol) {
  auto parsed = ParseServerUrl(server, kHttpSchemes);
  if (!parsed) return std::string("server: ") + parsed.error().what;
  char buffer[limits::kUrlBytes + 1];
  auto url = BuildUrl(*parsed, request, protocol, buffer);
  return url ? std::string(*url) : std::string("error: ") + url.error().what;
}

Request ListOf(const ListQuery& list) {
  Request request;
  request.table = "readings";
  request.list = list;
  return request;
}

Request Row(Method method, std::string_view id) {
  Request request;
  request.method = method;
  request.table = "readings";
  request.id = id;
  return request;
}

// Readable again.
std::string Decoded(const std::string& text) {
  std::string out(text.size(), '\0');
  auto decoded = DecodePercent(text, out, false);
  return decoded ? std::string(*decoded) : "not percent-encoded";
}

#define EXPECT_TEXT(expected, actual) STRCMP_EQUAL(expected, std::string(actual).c_str())

}  // namespace

TEST_GROUP(HttpsUrl){};

TEST(HttpsUrl, WhereAServerMayBe) {
  const struct {
    const char* url;
    bool fits;
  } cases[] = {
      {"https://example.com", true},
      {"https://example.com:8443/base/path", true},
      {"HTTPS://Example.COM/", true},
      {"https://[2001:db8::1]:443", true},
      {"https://192.0.2.7", true},
      {"http://localhost:3000", true},
      {"http://127.0.0.1", true},
      {"http://127.255.0.9:80/x", true},
      {"http://[::1]:8080", true},
      {"http://example.com", false},
      {"http://128.0.0.1", false},
      {"http://127.0.0.1.example.com", false},
      {"http://localhost.example.com", false},
      {"http://127.0.0.256", false},
      {"http://127.1", false},
      {"http://0.0.0.0", false},
      {"ftp://example.com", false},
      {"example.com", false},
      {"https://", false},
      {"https:///path", false},
      {"https://user:pass@example.com", false},
      {"https://example.com:0", false},
      {"https://example.com:65536", false},
      {"https://example.com:", false},
      {"https://example.com:https", false},
      {"https://example.com/?a=b", false},
      {"https://example.com/#a", false},
      {"https://exa mple.com", false},
      {"https://[::1", false},
      {"", false},
      {"http://127.0.0.1@evil.example/", false},
      {"http://-27.0.0.1", false},
  };
  for (const auto& test : cases) {
    if (ParseServerUrl(test.url, kHttpSchemes).ok() != test.fits) FAIL(test.url);
  }
}

TEST(HttpsUrl, Rows) {
  const char* server = "https://example.com:8443/base/";
  EXPECT_TEXT("https://example.com:8443/base/tables/readings/a1",
              Url(server, Row(Method::kDelete, "a1"), Protocol::k20));
  EXPECT_TEXT("https://example.com:8443/base/tables/readings/a%2Fb%20c%3Fd%25",
              Url(server, Row(Method::kUpdate, "a/b c?d%"), Protocol::k20));
  EXPECT_TEXT("https://example.com:8443/base/tables/readings/a%0D%0AX-Evil%3A%20b",
              Url(server, Row(Method::kUpdate, "a\r\nX-Evil: b"), Protocol::k20));
  EXPECT_TEXT("https://example.com:8443/base/tables/readings",
              Url(server, Row(Method::kInsert, "a1"), Protocol::k20));
  EXPECT_TEXT("https://example.com:443/tables/readings/a1?__includeDeleted=true",
              Url("https://example.com", Row(Method::kLookup, "a1"), Protocol::k20));
  EXPECT_TEXT("https://example.com:443/tables/readings/a1?__includedeleted=true",
              Url("https://example.com", Row(Method::kLookup, "a1"), Protocol::k30));
  for (const char* id : {"", ".", ".."}) {
    EXPECT_TEXT("error: this id cannot be named in a url",
                Url(server, Row(Method::kDelete, id), Protocol::k20));
  }
  EXPECT_TEXT("error: the id is too long for a url",
              Url(server, Row(Method::kDelete, std::string(256, 'a')), Protocol::k20));
}

TEST(HttpsUrl, Lists) {
  const char* server = "http://127.0.0.1:3000";
  const std::string start = "http://127.0.0.1:3000/tables/readings";
  EXPECT_TEXT(start.c_str(), Url(server, ListOf({}), Protocol::k20));
  ListQuery list;
  list.filter = "sensor eq 'it''s'";
  list.since = "2026-11-23T06:11:29.1234567+00:00";
  list.before = "2026-11-24T00:00:00.000Z";
  list.after_id = "o'neil";
  list.order_by = "updatedAt,id";
  list.top = 50;
  list.skip = 100;
  list.include_deleted = true;
  const std::string url20 = Url(server, ListOf(list), Protocol::k20);
  CHECK(url20.find('+') == std::string::npos);
  EXPECT_TEXT((start + "?$filter=(sensor eq 'it''s') and (updatedAt ge "
                       "datetimeoffset'2026-11-23T06:11:29.1234567+00:00') and (updatedAt lt "
                       "datetimeoffset'2026-11-24T00:00:00.000Z') and (id gt 'o''neil')"
                       "&$orderby=updatedAt,id&$skip=100&$top=50&__includeDeleted=true")
                  .c_str(),
              Decoded(url20));
  EXPECT_TEXT(
      (start + "?$filter=(sensor eq 'it''s') and (updatedAt ge "
               "cast(2026-11-23T06:11:29.1234567+00:00,Edm.DateTimeOffset)) and (updatedAt lt "
               "cast(2026-11-24T00:00:00.000Z,Edm.DateTimeOffset)) and (id gt 'o''neil')"
               "&$orderby=updatedAt,id&$skip=100&$top=50&__includedeleted=true")
          .c_str(),
      Decoded(Url(server, ListOf(list), Protocol::k30)));
  list.filter = list.since;
  const std::string long_filter(3000, '\'');
  list.filter = long_filter;
  EXPECT_TEXT("error: the url is too long", Url(server, ListOf(list), Protocol::k20));
}

TEST(HttpsUrl, FiltersIn30) {
  const struct {
    const char *before, *after;
  } cases[] = {
      {"a eq 1", "a eq 1"},
      {"at gt datetime'2012-05-03T00:06:00'",
       "at gt cast(2012-05-03T00:06:00Z,Edm.DateTimeOffset)"},
      {"at gt datetimeoffset'2012-05-03T00:06:00+02:00'",
       "at gt cast(2012-05-03T00:06:00+02:00,Edm.DateTimeOffset)"},
      {"g eq guid'12345678-1234-1234-1234-123456789abc'",
       "g eq cast(12345678-1234-1234-1234-123456789abc,Edm.Guid)"},
      {"substringof('a,b',name)", "contains(name,'a,b')"},
      {"substringof('x',concat(a,b)) and c", "contains(concat(a,b),'x') and c"},
      {"not(substringof(substringof('a',b),c))", "not(contains(c,contains(b,'a')))"},
      {"a eq 'substringof(''x'',y)'", "a eq 'substringof(''x'',y)'"},
      {"a eq 'datetime''x'''", "a eq 'datetime''x'''"},
      {"mydatetime eq 'x'", "mydatetime eq 'x'"},
      {"substringof(a)", "substringof(a)"},
      {"substringof(a,b,c)", "substringof(a,b,c)"},
      {"substringof('a", "substringof('a"},
      {"datetime'", "cast(Z,Edm.DateTimeOffset)"},
  };
  for (const auto& test : cases) {
    char buffer[1000];
    TextWriter out(buffer);
    PutFilter30(test.before, out);
    EXPECT_TEXT(test.after, Decoded(std::string(out.view())));
  }
  std::string deep;
  for (int i = 0; i < 1300; ++i) deep += "substringof(";
  char buffer[20000];
  TextWriter out(buffer);
  PutFilter30(deep, out);  // ends, and does not run out of stack
}

TEST(HttpsUrl, NextLinks) {
  const char* server = "https://example.com/base";
  const struct {
    const char *link, *url;
  } cases[] = {
      {"https://example.com/base/tables/readings?$skip=5", "$skip=5"},
      {"https://EXAMPLE.com:443/base/tables/readings?a=b", "a=b"},
      {"/base/tables/readings?$skip=5", "$skip=5"},
      {"$skip=5&$top=5", "$skip=5&$top=5"},
      {"?$skip=5", "$skip=5"},
      {"$filter=a eq 'b'", "$filter=a%20eq%20'b'"},
      {"$skip=5#part", "$skip=5"},
      {"https://example.com/base/tables/readings", nullptr},
      {"https://example.com/base/tables/other?a=b", nullptr},
      {"https://example.com:444/base/tables/readings?a=b", nullptr},
      {"http://example.com/base/tables/readings?a=b", nullptr},
      {"https://evil.example/base/tables/readings?a=b", nullptr},
      {"https://example.com@evil.example/base/tables/readings?a=b", nullptr},
      {"https://example.com.evil.example/base/tables/readings?a=b", nullptr},
      {"//evil.example/base/tables/readings?a=b", nullptr},
      {"/tables/readings?a=b", nullptr},
      {"https://example.com?a=b", nullptr},
      {"a=b\r\nX-Evil: c", nullptr},
      {"?", nullptr},
      {"#", nullptr},
  };
  for (const auto& test : cases) {
    ListQuery list;
    list.continuation = test.link;
    const std::string wanted =
        test.url == nullptr
            ? "error: the next link leads away from the list it came with"
            : std::string("https://example.com:443/base/tables/readings?") + test.url;
    EXPECT_TEXT(wanted.c_str(), Url(server, ListOf(list), Protocol::k30));
  }
}

TEST(HttpsUrl, LinkHeaders) {
  const struct {
    const char *header, *link;
  } cases[] = {
      {"http://h/?a=b; rel=next", "http://h/?a=b"},
      {"<http://h/?a=b>; rel=next", "http://h/?a=b"},
      {"<http://h/?a;b>; type=x; rel=\"next\"", "http://h/?a;b"},
      {"http://h/;REL=NEXT", "http://h/"},
      {"http://h/; rel=prev", nullptr},
      {"http://h/", nullptr},
      {"<http://h/; rel=next", nullptr},
      {"", nullptr},
      {";", nullptr},
  };
  for (const auto& test : cases) {
    const auto link = NextOfLinkHeader(test.header);
    if (link.has_value() != (test.link != nullptr)) FAIL(test.header);
    if (link) EXPECT_TEXT(test.link, *link);
  }
}

TEST_GROUP(HttpsHead){};

TEST(HttpsHead, Statuses) {
  const std::pair<int, Status> cases[] = {
      {100, Status::kOther},
      {200, Status::kOk},
      {201, Status::kCreated},
      {202, Status::kOther},
      {203, Status::kOther},
      {204, Status::kNoContent},
      {206, Status::kOther},
      {301, Status::kOther},
      {302, Status::kOther},
      {304, Status::kOther},
      {400, Status::kBadRequest},
      {401, Status::kUnauthorized},
      {402, Status::kBadRequest},
      {403, Status::kForbidden},
      {404, Status::kNotFound},
      {405, Status::kMethodNotAllowed},
      {407, Status::kUnauthorized},
      {408, Status::kUnavailable},
      {409, Status::kConflict},
      {410, Status::kGone},
      {412, Status::kPreconditionFailed},
      {413, Status::kTooLarge},
      {415, Status::kBadRequest},
      {421, Status::kUnavailable},
      {422, Status::kBadRequest},
      {425, Status::kUnavailable},
      {428, Status::kBadRequest},
      {429, Status::kThrottled},
      {500, Status::kServerError},
      {502, Status::kServerError},
      {503, Status::kUnavailable},
      {504, Status::kServerError},
      {511, Status::kServerError},
      {599, Status::kServerError},
      {600, Status::kOther},
      {999, Status::kOther},
  };
  for (const auto& [native, status] : cases) {
    if (StatusFromHttp(native) != status) FAIL(std::to_string(native).c_str());
  }
}

TEST(HttpsHead, VersionsComeBackAsTheyWere) {
  const std::string longest(limits::kVersionBytes, '"');
  for (const std::string& version : {std::string("MQ=="), std::string("a\"b"), std::string("\""),
                                     std::string("a b"), std::string("\\"), longest}) {
    char buffer[2 * limits::kVersionBytes + 8];
    auto encoded = EncodeEtag(version, buffer);
    CHECK(encoded.ok());
    auto decoded = DecodeEtag(*encoded);
    CHECK(decoded.has_value());
    EXPECT_TEXT(version.c_str(), decoded->view());
  }
  char buffer[300];
  for (const char* version : {"a\r\nb", "a\x7f", "\xc3\xa4", "\t"}) {
    CHECK(!EncodeEtag(version, buffer).ok());
  }
}

TEST(HttpsHead, Dates) {
  LONGS_EQUAL(784111777, ParseHttpDate("Sun, 06 Nov 1994 08:49:37 GMT").value_or(-1));
  LONGS_EQUAL(0, ParseHttpDate("Thu, 01 Jan 1970 00:00:00 GMT").value_or(-1));
  LONGS_EQUAL(951782400, ParseHttpDate("Tue, 29 Feb 2000 00:00:00 GMT").value_or(-1));
  for (const char* text : {"", "Sunday, 06-Nov-94 08:49:37 GMT", "Sun Nov  6 08:49:37 1994",
                           "Sun, 06 Nov 1994 08:49:37 CET", "Sun, 06 Now 1994 08:49:37 GMT",
                           "Sun, 00 Nov 1994 08:49:37 GMT", "Sun, 06 Nov 1994 24:49:37 GMT",
                           "Sun, 06 Nov 1994 08:4x:37 GMT", "Sun, 06 anF 1994 08:49:37 GMT"}) {
    if (ParseHttpDate(text)) FAIL(text);
  }
}

TEST_GROUP(HttpsErrors){};

TEST(HttpsErrors, WhatNumbersMean) {
  Circumstances none, sent, began, expired, mixed, alert, own;
  sent.wire_used = sent.request_sent = true;
  began = sent;
  began.answer_began = true;
  expired.verify_flags = MBEDTLS_X509_BADCERT_EXPIRED;
  mixed.verify_flags = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_NOT_TRUSTED;
  alert.tls_code = MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE;
  own = alert;
  own.own_certificate_expired = true;
  Circumstances expired_unset = expired, record = sent;
  expired_unset.clock_unset = true;
  record.tls_code = MBEDTLS_ERR_SSL_INVALID_RECORD;
  const struct {
    int curl;
    Circumstances facts;
    Code code;
  } cases[] = {
      {CURLE_COULDNT_RESOLVE_HOST, none, Code::kOffline},
      {CURLE_COULDNT_RESOLVE_PROXY, none, Code::kOffline},
      {CURLE_COULDNT_CONNECT, none, Code::kOffline},
      {CURLE_OPERATION_TIMEDOUT, none, Code::kOffline},
      {CURLE_OPERATION_TIMEDOUT, sent, Code::kTimeout},
      {CURLE_GOT_NOTHING, sent, Code::kOffline},
      {CURLE_RECV_ERROR, sent, Code::kOffline},
      {CURLE_RECV_ERROR, began, Code::kBadAnswer},
      {CURLE_RECV_ERROR, record, Code::kBadAnswer},
      {CURLE_RECV_ERROR, alert, Code::kTlsUntrusted},
      {CURLE_SEND_ERROR, sent, Code::kOffline},
      {CURLE_PARTIAL_FILE, began, Code::kBadAnswer},
      {CURLE_WEIRD_SERVER_REPLY, sent, Code::kBadAnswer},
      {CURLE_UNSUPPORTED_PROTOCOL, sent, Code::kBadAnswer},
      {CURLE_TOO_LARGE, sent, Code::kBadAnswer},
      {CURLE_OUT_OF_MEMORY, none, Code::kNoMemory},
      {CURLE_SSL_CONNECT_ERROR, none, Code::kOffline},
      {CURLE_SSL_CONNECT_ERROR, alert, Code::kTlsUntrusted},
      {CURLE_SSL_CONNECT_ERROR, own, Code::kTlsExpired},
      {CURLE_SSL_CONNECT_ERROR, record, Code::kBadAnswer},
      {CURLE_PEER_FAILED_VERIFICATION, expired, Code::kTlsExpired},
      {CURLE_PEER_FAILED_VERIFICATION, expired_unset, Code::kClockUnset},
      {CURLE_PEER_FAILED_VERIFICATION, mixed, Code::kTlsUntrusted},
      {CURLE_PEER_FAILED_VERIFICATION, none, Code::kTlsUntrusted},
      {CURLE_URL_MALFORMAT, none, Code::kInvalidArgument},
      {CURLE_HTTP2, sent, Code::kBadAnswer},
  };
  for (const auto& test : cases) {
    const Error error = FromCurl(test.curl, test.facts);
    if (error.code != test.code || error.what == nullptr)
      FAIL(curl_easy_strerror(CURLcode(test.curl)));
  }
}

TEST(HttpsErrors, TlsCodesInText) {
  LONGS_EQUAL(-0x7780, TlsCodeFromText("ssl_handshake returned: (-0x7780) SSL - alert"));
  LONGS_EQUAL(0, TlsCodeFromText("nothing"));
  LONGS_EQUAL(0, TlsCodeFromText("(-0x)"));
  LONGS_EQUAL(0, TlsCodeFromText("(-0xFFFFFFFFFFFF)"));
}
