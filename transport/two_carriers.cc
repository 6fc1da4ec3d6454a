// SPDX-License-Identifier: Apache-2.0
#include "transport/two_carriers.h"

#include <utility>

namespace holdfast::transport {

TwoCarriers::TwoCarriers(std::unique_ptr<Transport> small, std::unique_ptr<Transport> large)
    : small_(std::move(small)), large_(std::move(large)), current_(small_.get()) {}

Result<void> TwoCarriers::Begin(const Request& request, ResponseSink& sink) {
  current_ = request.body.size() > kLargeBodyBytes ? large_.get() : small_.get();
  return current_->Begin(request, sink);
}

// Neither is left with half of the new credentials for long: what one refuses is told, and the next
// call tries both again.
Result<void> TwoCarriers::ReloadCredentials() {
  HF_TRY(small_->ReloadCredentials());
  return large_->ReloadCredentials();
}

const Traffic& TwoCarriers::traffic() const {
  const Traffic &a = small_->traffic(), &b = large_->traffic();
  sum_ = {a.requests + b.requests, a.bytes_sent + b.bytes_sent, a.bytes_received + b.bytes_received,
          a.connections + b.connections};
  return sum_;
}

}  // namespace holdfast::transport
