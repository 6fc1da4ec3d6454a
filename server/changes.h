// SPDX-License-Identifier: Apache-2.0
// server/changes.h - the moment of the newest change, for those who wait for one.
//
// Purpose: what a device wants to know is whether somebody else has changed something; its own
//          writes are no news to it. So the newest change is remembered with its author, and the
//          newest by anybody else: two moments, however many devices there are.
// Shapes:  a moment is the text of updatedAt; "" before the first change. After a restart the
// author
//          of the last change is not known: everybody may look once in vain.
// Threads: one.
#ifndef HOLDFAST_SERVER_CHANGES_H_
#define HOLDFAST_SERVER_CHANGES_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <list>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::server {

class Changes {
 public:
  explicit Changes(boost::asio::any_io_executor executor, std::string newest)
      : executor_(std::move(executor)), newest_(std::move(newest)) {}

  // `device` is "" for those who showed nothing.
  void Note(std::string_view device, std::string_view moment);

  // The newest change by anybody but `device`; by anybody, for those who showed nothing.
  const std::string& NewestFor(std::string_view device) const {
    return author_known_ && !device.empty() && device == author_ ? by_others_ : newest_;
  }

  // Returns when there is one later than `since`, at `until`, or when the server ends. False: none.
  boost::asio::awaitable<bool> Wait(const std::string& device, const std::string& since,
                                    std::chrono::steady_clock::time_point until);
  // Everybody who waits goes on.
  void Release();

  // Called after each change, from inside Note().
  void OnChange(std::function<void()> call) { calls_.push_back(std::move(call)); }

 private:
  boost::asio::any_io_executor executor_;
  std::string newest_, author_, by_others_;
  bool author_known_ = false, released_ = false;
  std::list<boost::asio::steady_timer> waiting_;
  std::vector<std::function<void()>> calls_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_CHANGES_H_
