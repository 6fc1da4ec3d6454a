// SPDX-License-Identifier: Apache-2.0
// hal/storage.h - where the database lives, and what that place can tell about itself.
//
// Purpose: SQLite's virtual file system (VFS) is the seam to the disk: everything durable goes
//          through it, so a port, a test of power cuts and a counter of flash wear each are a VFS.
// Owner:   the program creates one Storage before the store opens and destroys it after it closed.
// Threads: one.
// Errors:  I/O errors surface as SQLite's own codes from the store (kIo, kNoSpace, kReadOnly).
// Sim:     hal/sim/sim_storage.h: power cuts, torn writes, ENOSPC, EIO at the Nth call.
#ifndef HOLDFAST_HAL_STORAGE_H_
#define HOLDFAST_HAL_STORAGE_H_

#include <cstdint>

#include "hal/base/result.h"

namespace holdfast::hal {

struct StorageSpace {
  std::uint64_t free_bytes = 0;  // for us, not for root
  std::uint64_t total_bytes = 0;
};

class Storage {
 public:
  virtual ~Storage() = default;

  // Name of a VFS that is registered with SQLite while this object lives.
  virtual const char* vfs_name() const = 0;

  // Space of the file system that holds `path`.
  virtual Result<StorageSpace> Space(const char* path) = 0;

  // Bytes handed to write() through this VFS since it was made: what flash wear is counted from.
  virtual std::uint64_t bytes_written() const = 0;
  virtual std::uint64_t syncs() const = 0;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_STORAGE_H_
