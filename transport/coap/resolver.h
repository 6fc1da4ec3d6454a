// SPDX-License-Identifier: Apache-2.0
// transport/coap/resolver.h - a host name becomes an address, without waiting for it.
//
// Purpose: getaddrinfo() can hang for as long as a name server likes. It runs in a thread that
//          nobody has to wait for; an address written as numbers needs none.
// Owner:   the transport. A lookup that is given up ends by itself later, and touches nothing of
// ours. Threads: used from one. Errors:  kOffline: the name is not known, or nobody answers for
// names.
#ifndef HOLDFAST_TRANSPORT_COAP_RESOLVER_H_
#define HOLDFAST_TRANSPORT_COAP_RESOLVER_H_

#include <netinet/in.h>
#include <sys/socket.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string_view>

#include "hal/base/result.h"
#include "hal/clock.h"

namespace holdfast::transport::coap {

struct Address {
  sockaddr_storage storage = {};
  socklen_t size = 0;
};

class Resolver {
 public:
  // `host` without brackets. What was under way is given up.
  Result<void> Start(std::string_view host, std::uint16_t port);
  void GiveUp() { lookup_.reset(); }
  bool started() const { return lookup_ != nullptr; }

  // Waits at most `wait`. nullopt: not known yet.
  std::optional<Result<Address>> Poll(hal::Duration wait);

 private:
  struct Lookup;
  std::shared_ptr<Lookup> lookup_;
};

}  // namespace holdfast::transport::coap

#endif  // HOLDFAST_TRANSPORT_COAP_RESOLVER_H_
