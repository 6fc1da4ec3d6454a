// SPDX-License-Identifier: Apache-2.0
#include "transport/coap/resolver.h"

#include <netdb.h>
#include <pthread.h>

#include <chrono>
#include <condition_variable>
#include <cstring>
#include <mutex>

#include "hal/base/fixed_string.h"
#include "hal/base/text.h"

namespace holdfast::transport::coap {

struct Resolver::Lookup {
  FixedString<300> host;
  char port[8] = {};
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  int code = 0;  // of getaddrinfo()
  Address address;

  void Run(int flags) {
    addrinfo hints = {};
    hints.ai_socktype = SOCK_DGRAM;
    hints.ai_flags = AI_NUMERICSERV | flags;
    addrinfo* found = nullptr;
    const int result = getaddrinfo(host.c_str(), port, &hints, &found);
    const std::lock_guard<std::mutex> lock(mutex);
    code = result;
    if (result == 0 && found->ai_addrlen <= sizeof address.storage) {
      std::memcpy(&address.storage, found->ai_addr, found->ai_addrlen);
      address.size = found->ai_addrlen;
    }
    if (found != nullptr) freeaddrinfo(found);
    done = true;
    changed.notify_all();
  }
};

namespace {

// The thread holds the lookup by a pointer of its own, so that either side may end first. pthreads
// instead of std::thread: that one throws when there is no thread to be had.
template <typename Lookup>
void* RunInThread(void* raw) {
  const std::unique_ptr<std::shared_ptr<Lookup>> lookup(static_cast<std::shared_ptr<Lookup>*>(raw));
  (*lookup)->Run(AI_ADDRCONFIG);
  return nullptr;
}

}  // namespace

Result<void> Resolver::Start(std::string_view host, std::uint16_t port) {
  lookup_ = std::make_shared<Lookup>();
  HF_TRY(lookup_->host.Assign(host));
  TextWriter text({lookup_->port, sizeof lookup_->port - 1});
  text.PutInteger(port);
  lookup_->Run(AI_NUMERICHOST);
  if (lookup_->code == 0) return Ok();
  lookup_->done = false;
  auto* shared = new std::shared_ptr<Lookup>(lookup_);
  pthread_t thread;
  const int failed = pthread_create(&thread, nullptr, &RunInThread<Lookup>, shared);
  if (failed != 0) {
    delete shared;
    return Error{Code::kNoMemory, Origin::kErrno, failed, "no thread to look up the server's name"};
  }
  pthread_detach(thread);
  return Ok();
}

std::optional<Result<Address>> Resolver::Poll(hal::Duration wait) {
  std::unique_lock<std::mutex> lock(lookup_->mutex);
  lookup_->changed.wait_for(lock, std::chrono::nanoseconds(wait.ns), [&] { return lookup_->done; });
  if (!lookup_->done) return std::nullopt;
  if (lookup_->code != 0 || lookup_->address.size == 0) {
    return Result<Address>(
        Error{Code::kOffline, Origin::kNone, lookup_->code, "the server's name is not known"});
  }
  return Result<Address>(lookup_->address);
}

}  // namespace holdfast::transport::coap
