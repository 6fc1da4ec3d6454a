// SPDX-License-Identifier: Apache-2.0
#include "transport/two_carriers.h"

#include <utility>

namespace holdfast::transport {

TwoCarriers::TwoCarriers(std::unique_ptr<Transport> small, std::unique_ptr<Transport> large)
    : small_(std::move(small)), large_(std::move(large)), current_(small_.get()) {}

Result<void> TwoCarriers::Begin(const Request& request, ResponseSink& sink) {
  const bool large = request.large || request.method == Method::kBeginUpload ||
                     request.method == Method::kAppendUpload ||
                     request.method == Method::kFindUpload || request.body.size() > kLargeBodyBytes;
  current_ = large ? large_.get() : small_.get();
  return current_->Begin(request, sink);
}

// Neither is left with half of the new credentials for long: what one refuses is told, and the next
// call tries both again.
Result<void> TwoCarriers::ReloadCredentials() {
  HF_TRY(small_->ReloadCredentials());
  return large_->ReloadCredentials();
}

const Capabilities& TwoCarriers::capabilities() const {
  both_ = small_->capabilities();
  both_.upload_bytes = large_->capabilities().upload_bytes;
  return both_;
}

const Traffic& TwoCarriers::traffic() const {
  const Traffic &a = small_->traffic(), &b = large_->traffic();
  sum_ = {a.requests + b.requests, a.bytes_sent + b.bytes_sent, a.bytes_received + b.bytes_received,
          a.connections + b.connections};
  return sum_;
}

}  // namespace holdfast::transport
