// SPDX-License-Identifier: Apache-2.0
// server/worker.h - a thread for what takes long, and a gate for what goes one at a time.
//
// Purpose: everything runs on one thread, so nothing that waits for the medium or goes through
//          megabytes may run there. A coroutine hands such a job over and goes on, on its own
//          thread, when the job is done.
// Owner:   a job borrows from the coroutine that waits for it.
// Errors:  a job throws nothing; it leaves its outcome in what it borrows.
#ifndef HOLDFAST_SERVER_WORKER_H_
#define HOLDFAST_SERVER_WORKER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <list>
#include <utility>

namespace holdfast::server {

class Worker {
 public:
  explicit Worker(boost::asio::any_io_executor executor)
      : executor_(std::move(executor)), thread_(1) {}
  ~Worker() { thread_.join(); }

  template <typename Job>
  boost::asio::awaitable<void> Run(Job job) {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
        [this](auto handler, Job work) {
          // The guard keeps the executor running as long as a coroutine waits for the thread.
          auto guard = boost::asio::make_work_guard(executor_);
          boost::asio::post(thread_, [handler = std::move(handler), guard = std::move(guard),
                                      work = std::move(work)]() mutable {
            work();
            boost::asio::post(guard.get_executor(), std::move(handler));
          });
        },
        boost::asio::use_awaitable, std::move(job));
  }

 private:
  boost::asio::any_io_executor executor_;
  boost::asio::thread_pool thread_;
};

class Gate {
 public:
  explicit Gate(boost::asio::any_io_executor executor) : executor_(std::move(executor)) {}
  Gate(const Gate&) = delete;
  Gate& operator=(const Gate&) = delete;

  bool taken() const { return taken_; }
  bool awaited() const { return !waiting_.empty(); }
  boost::asio::awaitable<void> Enter() {
    while (taken_) {
      waiting_.emplace_back(executor_, boost::asio::steady_timer::time_point::max());
      const auto place = std::prev(waiting_.end());
      boost::system::error_code cancelled;
      co_await place->async_wait(
          boost::asio::redirect_error(boost::asio::use_awaitable, cancelled));
      waiting_.erase(place);
    }
    taken_ = true;
  }
  void Leave() {
    taken_ = false;
    if (!waiting_.empty()) waiting_.front().cancel();
  }

 private:
  boost::asio::any_io_executor executor_;
  std::list<boost::asio::steady_timer> waiting_;
  bool taken_ = false;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_WORKER_H_
