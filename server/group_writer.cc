// SPDX-License-Identifier: Apache-2.0
#include "server/group_writer.h"

#include <boost/asio/post.hpp>
#include <iterator>

namespace holdfast::server {
namespace {
constexpr std::size_t kGroupWrites = 256;
}

// Twice through the queue: between the two the sockets are polled, and what they hold is read.
void GroupWriter::Schedule() {
  if (scheduled_) return;
  scheduled_ = true;
  boost::asio::post(executor_, [this] { boost::asio::post(executor_, [this] { Commit(); }); });
}

void GroupWriter::Commit() {
  scheduled_ = false;
  std::vector<Waiting> group;
  if (waiting_.size() <= kGroupWrites) {
    group.swap(waiting_);
  } else {
    const auto end = waiting_.begin() + kGroupWrites;
    group.assign(std::make_move_iterator(waiting_.begin()), std::make_move_iterator(end));
    waiting_.erase(waiting_.begin(), end);
    Schedule();
  }
  std::vector<Write*> writes;
  writes.reserve(group.size());
  for (const Waiting& waiting : group) writes.push_back(waiting.write);
  rows_.Apply(writes);
  for (Waiting& waiting : group) waiting.waiter->Resume();
}

}  // namespace holdfast::server
