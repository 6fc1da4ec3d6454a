// SPDX-License-Identifier: Apache-2.0
// server/group_writer.h - one commit for all the changes that wait.
//
// Purpose: a durable commit costs a write to the medium. Requests that arrive while one is under
//          way are gathered and put into the next transaction together, each with its own outcome,
//          and are answered only when that is durable.
// Threads: one; Apply() is awaited on the same executor on which the commit runs.
#ifndef HOLDFAST_SERVER_GROUP_WRITER_H_
#define HOLDFAST_SERVER_GROUP_WRITER_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/async_result.hpp>
#include <boost/asio/awaitable.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <vector>

#include "server/rows.h"

namespace holdfast::server {

class GroupWriter {
 public:
  GroupWriter(Rows& rows, boost::asio::any_io_executor executor)
      : rows_(rows), executor_(std::move(executor)) {}

  // `write` stays valid until this is done; its outcome is then set.
  boost::asio::awaitable<void> Apply(Write& write) {
    return boost::asio::async_initiate<const boost::asio::use_awaitable_t<>, void()>(
        [this, &write](auto handler) {
          using Handler = decltype(handler);
          waiting_.push_back({&write, std::make_unique<Waiter<Handler>>(std::move(handler))});
          Schedule();
        },
        boost::asio::use_awaitable);
  }

 private:
  struct WaiterBase {
    virtual ~WaiterBase() = default;
    virtual void Resume() = 0;
  };
  template <typename Handler>
  struct Waiter : WaiterBase {
    explicit Waiter(Handler h) : handler(std::move(h)) {}
    void Resume() override { std::move(handler)(); }
    Handler handler;
  };
  struct Waiting {
    Write* write;
    std::unique_ptr<WaiterBase> waiter;
  };

  void Schedule();
  void Commit();

  Rows& rows_;
  boost::asio::any_io_executor executor_;
  std::vector<Waiting> waiting_;
  bool scheduled_ = false;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_GROUP_WRITER_H_
