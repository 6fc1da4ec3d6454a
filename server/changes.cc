// SPDX-License-Identifier: Apache-2.0
#include "server/changes.h"

#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace holdfast::server {

void Changes::Note(std::string_view device, std::string_view moment) {
  if (moment <= newest_) return;
  if (!author_known_ || device != author_) by_others_ = newest_;
  newest_ = moment;
  author_ = device;
  author_known_ = true;
  for (auto& timer : waiting_) timer.cancel();
  for (const auto& call : calls_) call();
}

boost::asio::awaitable<bool> Changes::Wait(const std::string& device, const std::string& since,
                                           std::chrono::steady_clock::time_point until) {
  while (NewestFor(device) <= since) {
    if (released_ || std::chrono::steady_clock::now() >= until) co_return false;
    const auto timer = waiting_.emplace(waiting_.end(), executor_);
    timer->expires_at(until);
    boost::system::error_code ignored;
    co_await timer->async_wait(boost::asio::redirect_error(boost::asio::use_awaitable, ignored));
    waiting_.erase(timer);
  }
  co_return true;
}

void Changes::Release() {
  released_ = true;
  for (auto& timer : waiting_) timer.cancel();
}

}  // namespace holdfast::server
