// SPDX-License-Identifier: Apache-2.0
// transport/https/curl_error.h - libcurl's and Mbed TLS's numbers in our words.
//
// Purpose: one table-tested function decides what a failed transfer means, because the engine acts
//          on it: wait for the link, for the date, for a person, or just again later.
// Threads: any.
#ifndef HOLDFAST_TRANSPORT_HTTPS_CURL_ERROR_H_
#define HOLDFAST_TRANSPORT_HTTPS_CURL_ERROR_H_

#include <cstdint>
#include <string_view>

#include "hal/base/result.h"

namespace holdfast::transport::https {

// What else is known about a failed transfer.
struct Circumstances {
  bool wire_used = false;     // bytes have left this machine
  bool request_sent = false;  // the request, or part of it
  bool answer_began = false;
  int proxy_status = 0;            // of the proxy's answer to CONNECT; 0: none
  int tls_code = 0;                // Mbed TLS's error, negative; 0: none
  std::uint32_t verify_flags = 0;  // of the server's chain
  bool clock_unset = false;        // the date is not known
  bool own_certificate_expired = false;
};

Error FromCurl(int curl_code, const Circumstances& circumstances);

// "ssl_handshake returned: (-0x7780) ..." -> -0x7780; 0 when there is no such number. libcurl
// reports Mbed TLS's codes in its error text only.
int TlsCodeFromText(std::string_view text);

}  // namespace holdfast::transport::https

#endif  // HOLDFAST_TRANSPORT_HTTPS_CURL_ERROR_H_
