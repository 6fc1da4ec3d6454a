// SPDX-License-Identifier: Apache-2.0
// hal/linux/linux_storage.h - SQLite's own unix VFS, with a counter in front.
//
// Purpose: files, locks and shared memory stay SQLite's, so other programs share the database as
//          usual. This only counts what is written and synced: the wear of the flash.
// Owner:   create it before the store opens and destroy it after it closed. Starts SQLite
//          (sqlite3_initialize), so sqlite3_config() comes before the first of these.
// Threads: one.
// Units:   bytes as handed to write(2); what the file system and the flash make of them is more.
//          The -shm file is mapped, never synced, and not counted.
#ifndef HOLDFAST_HAL_LINUX_LINUX_STORAGE_H_
#define HOLDFAST_HAL_LINUX_LINUX_STORAGE_H_

#include <sqlite3.h>

#include <cstdint>

#include "hal/storage.h"

namespace holdfast::hal {

class LinuxStorage final : public Storage {
 public:
  LinuxStorage();
  ~LinuxStorage() override;
  LinuxStorage(const LinuxStorage&) = delete;
  LinuxStorage& operator=(const LinuxStorage&) = delete;

  const char* vfs_name() const override { return name_; }
  // `path` need not exist yet; its folder must. kNotFound: no such folder. kIo: statvfs failed.
  Result<StorageSpace> Space(const char* path) override;
  std::uint64_t bytes_written() const override { return counts_.bytes_written; }
  std::uint64_t syncs() const override { return counts_.syncs; }

  // What the shim counts; public for the functions of the VFS, which are not members.
  struct Counts {
    sqlite3_vfs* parent = nullptr;
    std::uint64_t bytes_written = 0;
    std::uint64_t syncs = 0;
  };

 private:
  char name_[32];  // "holdfast-" and this object's address: several may live side by side
  Counts counts_;
  sqlite3_vfs vfs_{};
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_LINUX_LINUX_STORAGE_H_
