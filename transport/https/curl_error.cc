// SPDX-License-Identifier: Apache-2.0
#include "transport/https/curl_error.h"

#include <curl/curl.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509.h>

#include "transport/tls/tls_error.h"

namespace holdfast::transport::https {
namespace {

Error Curl(Code code, int native, const char* what) { return {code, Origin::kCurl, native, what}; }
Error Tls(Code code, std::int32_t native, const char* what) {
  return {code, Origin::kTls, native, what};
}

constexpr char kCutShort[] = "the answer was cut short";

Error Untrusted(const Circumstances& facts) {
  constexpr std::uint32_t kDates = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
  const auto flags = std::int32_t(facts.verify_flags);
  if (facts.verify_flags != 0 && (facts.verify_flags & ~kDates) == 0) {
    if (facts.clock_unset) {
      return Tls(Code::kClockUnset, flags,
                 "the date is not known, so no certificate can be judged");
    }
    return Tls(Code::kTlsExpired, flags,
               (facts.verify_flags & MBEDTLS_X509_BADCERT_EXPIRED) != 0
                   ? "a certificate of the server has expired"
                   : "a certificate of the server is not valid yet");
  }
  if ((facts.verify_flags & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
    return Tls(Code::kTlsUntrusted, flags, "the server's certificate is for another name");
  }
  return Tls(Code::kTlsUntrusted, flags, "the server's certificate is not from a CA of ours");
}

// The other side ended the handshake with an alert. libcurl does not tell which.
Error Alert(const Circumstances& facts) {
  if (facts.own_certificate_expired && facts.clock_unset) {
    return Tls(Code::kClockUnset, facts.tls_code,
               "the server refused TLS, and without a date our certificate cannot be judged");
  }
  if (facts.own_certificate_expired) {
    return Tls(Code::kTlsExpired, facts.tls_code, "our own certificate is outside its dates");
  }
  return Tls(Code::kTlsUntrusted, facts.tls_code,
             "the server refused TLS with us: our certificate, or no common version");
}

Error Handshake(int curl_code, const Circumstances& facts) {
  switch (facts.tls_code) {
    case 0:
    case -1:  // libcurl's own "the socket failed"
    case MBEDTLS_ERR_SSL_CONN_EOF:
    case MBEDTLS_ERR_SSL_PEER_CLOSE_NOTIFY:
      return Curl(Code::kOffline, curl_code, "the connection was cut during the TLS handshake");
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
    case MBEDTLS_ERR_SSL_UNEXPECTED_RECORD:
    case MBEDTLS_ERR_SSL_DECODE_ERROR:
    case MBEDTLS_ERR_SSL_INVALID_MAC:
      return Tls(Code::kBadAnswer, facts.tls_code, "what answers there does not speak TLS");
    case MBEDTLS_ERR_SSL_BAD_PROTOCOL_VERSION:
      return Tls(Code::kTlsUntrusted, facts.tls_code, "the server offers only outdated TLS");
    default: break;
  }
  return IsWantOfMemory(facts.tls_code)
             ? Tls(Code::kNoMemory, facts.tls_code, "no memory for a TLS handshake")
             : Tls(Code::kTlsUntrusted, facts.tls_code, "the TLS handshake failed");
}

Error Broken(int curl_code, const Circumstances& facts) {
  switch (facts.tls_code) {
    case MBEDTLS_ERR_SSL_INVALID_MAC:
    case MBEDTLS_ERR_SSL_INVALID_RECORD:
    case MBEDTLS_ERR_SSL_UNEXPECTED_MESSAGE:
    case MBEDTLS_ERR_SSL_UNEXPECTED_RECORD:
    case MBEDTLS_ERR_SSL_DECODE_ERROR:
      return Tls(Code::kBadAnswer, facts.tls_code, "the connection carries damaged TLS records");
    default: break;
  }
  if (facts.proxy_status >= 300) {
    return Curl(Code::kOffline, curl_code, "the proxy refused to connect us");
  }
  if (facts.answer_began) return Curl(Code::kBadAnswer, curl_code, kCutShort);
  return Curl(Code::kOffline, curl_code, "the connection was cut; it may have been applied");
}

}  // namespace

Error FromCurl(int curl_code, const Circumstances& facts) {
  if (facts.tls_code == MBEDTLS_ERR_SSL_FATAL_ALERT_MESSAGE) return Alert(facts);
  switch (curl_code) {
    case CURLE_COULDNT_RESOLVE_PROXY:
      return Curl(Code::kOffline, curl_code, "the proxy's name is not known");
    case CURLE_COULDNT_RESOLVE_HOST:
      return Curl(Code::kOffline, curl_code, "the server's name is not known");
    case CURLE_COULDNT_CONNECT:
    case CURLE_PROXY: return Curl(Code::kOffline, curl_code, "could not connect");
    case CURLE_OPERATION_TIMEDOUT:
      if (!facts.wire_used) return Curl(Code::kOffline, curl_code, "could not connect in time");
      return Curl(Code::kTimeout, curl_code,
                  facts.request_sent ? "no whole answer in time; it may have been applied"
                                     : "no connection in time");
    case CURLE_PEER_FAILED_VERIFICATION: return Untrusted(facts);
    case CURLE_SSL_CONNECT_ERROR: return Handshake(curl_code, facts);
    case CURLE_GOT_NOTHING:
    case CURLE_SEND_ERROR:
    case CURLE_RECV_ERROR:
    case CURLE_SEND_FAIL_REWIND: return Broken(curl_code, facts);
    case CURLE_PARTIAL_FILE: return Curl(Code::kBadAnswer, curl_code, kCutShort);
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_UNSUPPORTED_PROTOCOL:
    case CURLE_TOO_LARGE:
    case CURLE_BAD_CONTENT_ENCODING:
      return Curl(Code::kBadAnswer, curl_code, "the answer is not HTTP as it should be");
    case CURLE_OUT_OF_MEMORY: return Curl(Code::kNoMemory, curl_code, "libcurl has no memory");
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CIPHER:
      return Curl(Code::kTlsUntrusted, curl_code, "the TLS credentials cannot be used");
    case CURLE_URL_MALFORMAT: return Curl(Code::kInvalidArgument, curl_code, "a malformed url");
    default: return Curl(Code::kBadAnswer, curl_code, "the transfer failed");
  }
}

int TlsCodeFromText(std::string_view text) {
  constexpr std::string_view kStart = "(-0x";
  const std::size_t at = text.find(kStart);
  if (at == std::string_view::npos) return 0;
  int code = 0;
  for (const char c : text.substr(at + kStart.size())) {
    if (c >= '0' && c <= '9') {
      code = code * 16 + (c - '0');
    } else if (c >= 'A' && c <= 'F') {
      code = code * 16 + (c - 'A' + 10);
    } else {
      break;
    }
    if (code > 0xffff) return 0;
  }
  return -code;
}

}  // namespace holdfast::transport::https
