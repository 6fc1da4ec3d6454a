// SPDX-License-Identifier: Apache-2.0
// transport/url.h - where a request goes, as text; the same for every carrier.
//
// Purpose: server address and request -> URL in protocol 2.0 or 3.0; next links back to what may
//          follow. Pure functions, table-tested. CoAP says the path and the query of such a URL in
//          options, so that both carriers ask for the same.
// Owner:   values; results are views into the caller's buffers.
// Threads: any.
// Errors:  kInvalidArgument with a static reason.
// Standard: RFC 3986; the table protocol's paths and query options (transport/README.md).
#ifndef HOLDFAST_TRANSPORT_URL_H_
#define HOLDFAST_TRANSPORT_URL_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/text.h"
#include "transport/transport.h"

namespace holdfast::transport {

using Protocol = Capabilities::Protocol;

// The two forms of a carrier's address: protected, and for this machine only.
struct Schemes {
  std::string_view secure, plain;  // "https://", "http://"
  std::uint16_t secure_port = 0, plain_port = 0;
  const char* not_a_scheme = nullptr;  // what to tell those who write another
  const char* not_loopback = nullptr;  // and those who would send rows unprotected
};
extern const Schemes kHttpSchemes, kCoapSchemes;

// The server's address, taken apart once.
struct ServerUrl {
  const Schemes* schemes = nullptr;
  bool tls = true;
  bool loopback = false;     // a name or address that never leaves this machine
  FixedString<300> host;     // as written; IPv6 with its brackets
  std::uint16_t port = 0;    // never 0 after ParseServerUrl()
  FixedString<1024> origin;  // https://host:port
  FixedString<1024> base;    // "" or "/path", without a slash at its end
};

// The plain scheme is refused unless it stays on this machine: rows and tokens would be readable.
Result<ServerUrl> ParseServerUrl(std::string_view url, const Schemes& schemes);

// The path of a table or of one of its rows: /base/tables/readings/r%201
Result<void> PutPath(const ServerUrl& server, const Request& request, TextWriter& out);

// The whole URL into `buffer`, with a NUL after it.
Result<std::string_view> BuildUrl(const ServerUrl& server, const Request& request,
                                  Protocol protocol, std::span<char> buffer);

// A filter of the 2.0 language in that of 3.0, percent-encoded: datetimeoffset'..' -> cast(..),
// substringof(a,b) -> contains(b,a). What is not understood stays: the server judges.
void PutFilter30(std::string_view filter, TextWriter& out);

// The query of a next link (without '?'), when it leads to the very list it came with: same
// scheme, host, port and path. Anything else could carry the credentials elsewhere. Absolute, path
// and query, or query alone.
std::optional<std::string_view> ContinuationQuery(const ServerUrl& server, std::string_view path,
                                                  std::string_view link);

// `uri; rel=next`, with or without angle brackets and quotes -> uri.
std::optional<std::string_view> NextOfLinkHeader(std::string_view value);

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_URL_H_
