// SPDX-License-Identifier: Apache-2.0
// agent/cli/lock.h - one explicit push or pull at a time; the next one waits for its turn.
//
// Purpose: two pushes at once would send the same operations twice; the server would recognise
// them,
//          but the bytes are paid for. The lock is flock(2) on DATABASE.lock, so the kernel lets go
//          of it however the holder ends. Recording, reading and status never take it.
// Owner:   held while the SyncLock lives.
// Threads: one.
// Errors:  kIo, kReadOnly: the lock file cannot be made; kCancelled: a signal came while waiting.
#ifndef HOLDFAST_AGENT_CLI_LOCK_H_
#define HOLDFAST_AGENT_CLI_LOCK_H_

#include <string>

#include "hal/base/result.h"

namespace holdfast::agent {

class SyncLock {
 public:
  SyncLock() = default;
  ~SyncLock();
  SyncLock(const SyncLock&) = delete;
  SyncLock& operator=(const SyncLock&) = delete;

  // Waits until the lock is ours; says so on stderr when somebody else has it, unless `quiet`.
  Result<void> Take(const std::string& database, bool quiet);

 private:
  int fd_ = -1;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_LOCK_H_
