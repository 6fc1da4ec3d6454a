// SPDX-License-Identifier: Apache-2.0
// transport/coap/coap.h - the table protocol over CoAP and DTLS, with libcoap.
//
// Purpose: a Transport for holdfast-server and whoever speaks the same mapping
// (transport/README.md).
//          One session is kept and used again; a failed one is given up and the next exchange opens
//          another. Bodies go and come in blocks that this code drives itself, so no body is ever
//          held as a whole.
// Owner:   the program; `clock` outlives it.
// Threads: one; names are resolved in a thread of their own.
// Memory:  our own buffers are members, made by Create(); libcoap and Mbed TLS allocate what a
//          session needs.
// Errors:  as transport.h. After kTimeout and kOffline the request may have been applied.
// Standard: RFC 7252, 7959 (blocks), 8132 (FETCH, PATCH), 8516 (4.29), 9175 (Request-Tag), 7925.
#ifndef HOLDFAST_TRANSPORT_COAP_COAP_H_
#define HOLDFAST_TRANSPORT_COAP_COAP_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "hal/base/result.h"
#include "hal/clock.h"
#include "transport/transport.h"

namespace holdfast::transport {

class CoapTransport : public Transport {
 public:
  // Everything is copied by Create().
  struct Options {
    std::string_view url;  // coaps://host[:port][/base]; coap:// to this machine only
    // Who we are: a pre-shared key, or a certificate with its key. With a PSK no certificate is
    // looked at on either side.
    std::string_view psk_identity;  // 1 to 64 bytes
    std::string_view psk_key_file;  // 16 to 64 bytes in hex; readable by its owner only
    std::string_view ca_file;       // PEM; without one no certificate is trusted
    std::string_view cert_file;     // PEM
    std::string_view key_file;      // PEM; readable by its owner only
    hal::Duration connect_timeout = hal::Duration::Seconds(20);  // name and handshake together
    hal::Duration stall_timeout = hal::Duration::Seconds(60);    // without an answer to a message
    // ACK_TIMEOUT of RFC 7252 4.8: how long to wait before a message is sent for the second time.
    hal::Duration ack_timeout = hal::Duration::Seconds(2);
  };

  // kInvalidArgument: an option or a file is wrong. kNoMemory.
  static Result<std::unique_ptr<CoapTransport>> Create(const Options& options, hal::Clock& clock);

  // When our own certificate ends, seconds since 1970; 0 without one.
  virtual std::int64_t certificate_end_unix_s() const = 0;
};

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_COAP_COAP_H_
