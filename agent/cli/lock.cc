// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/file.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>

#include "agent/cli/output.h"
#include "agent/cli/signals.h"

namespace holdfast::agent {
namespace {

constexpr int kAskAgainMs = 100;

// Whoever has the lock left its process id in the file; only for the message.
long Holder(int fd) {
  char text[24] = {};
  return pread(fd, text, sizeof text - 1, 0) > 0 ? std::atol(text) : 0;
}

}  // namespace

SyncLock::~SyncLock() {
  if (fd_ >= 0) close(fd_);
}

Result<void> SyncLock::Take(const std::string& database, bool quiet) {
  const std::string path = database + ".lock";
  fd_ = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0644);
  if (fd_ < 0) {
    return Error{errno == EROFS || errno == EACCES ? Code::kReadOnly : Code::kIo, Origin::kErrno,
                 errno, "the lock file beside the database cannot be opened"};
  }
  bool told = quiet;
  while (flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK && errno != EINTR) {
      return Error{Code::kIo, Origin::kErrno, errno, "the database cannot be locked for a sync"};
    }
    if (Interrupted()) {
      return Error{Code::kCancelled, Origin::kNone, 0, "stopped while waiting for another sync"};
    }
    if (!told)
      Complain("another push or pull is at work (process %ld); waiting for it", Holder(fd_));
    told = true;
    poll(nullptr, 0, kAskAgainMs);
  }
  char text[24];
  const int n = std::snprintf(text, sizeof text, "%ld\n", long(getpid()));
  if (ftruncate(fd_, 0) == 0) {
    [[maybe_unused]] const ssize_t written = pwrite(fd_, text, std::size_t(n), 0);
  }
  return Ok();
}

}  // namespace holdfast::agent
