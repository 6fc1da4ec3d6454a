// SPDX-License-Identifier: Apache-2.0
// transport/https/https.h - the table protocol over HTTPS, with libcurl.
//
// Purpose: a Transport for any server of the protocol, 2.0 or 3.0. One connection is kept and used
//          again; TLS is always verified, and there is no switch to turn that off.
// Owner:   the program; `clock` outlives it.
// Threads: one; libcurl resolves names in a thread of its own.
// Memory:  our own buffers are members, made by Create(); libcurl and Mbed TLS allocate what a
//          connection needs (cap them with their hooks).
// Errors:  as transport.h. A libcurl error that means "cut" may hide a request that was applied;
//          see transport/README.md for what libcurl itself repeats.
// Standard: RFC 9110, 9112, 9325; the table protocol 2.0 and 3.0.
#ifndef HOLDFAST_TRANSPORT_HTTPS_HTTPS_H_
#define HOLDFAST_TRANSPORT_HTTPS_HTTPS_H_

#include <cstdint>
#include <memory>
#include <string_view>

#include "hal/base/result.h"
#include "hal/clock.h"
#include "transport/transport.h"

namespace holdfast::transport {

class HttpsTransport : public Transport {
 public:
  // Everything is copied by Create().
  struct Options {
    std::string_view url;  // https://host[:port][/base]; http:// to this machine only
    Capabilities::Protocol protocol = Capabilities::Protocol::kUnknown;  // kUnknown: find out
    std::string_view ca_file;    // PEM; without one no https server is trusted
    std::string_view cert_file;  // PEM; our certificate, its chain after it
    std::string_view key_file;   // PEM; readable by its owner only
    std::string_view token_file;
    std::string_view proxy;  // http://[user:password@]host:port; "": none, whatever the environment
    std::string_view installation_id;
    std::string_view user_agent = "holdfast";
    hal::Duration connect_timeout = hal::Duration::Seconds(20);  // name, TCP and TLS together
    // Gives up when less than stall_bytes_per_second move for so long. Whole seconds.
    hal::Duration stall_timeout = hal::Duration::Seconds(30);
    std::uint32_t stall_bytes_per_second = 16;
  };

  // kInvalidArgument: an option or a file is wrong. kUnsupported: libcurl was built otherwise.
  static Result<std::unique_ptr<HttpsTransport>> Create(const Options& options, hal::Clock& clock);

  // When our own certificate ends, seconds since 1970; 0 without one.
  virtual std::int64_t certificate_end_unix_s() const = 0;
};

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_HTTPS_HTTPS_H_
