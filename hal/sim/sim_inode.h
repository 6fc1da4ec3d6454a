// SPDX-License-Identifier: Apache-2.0
// hal/sim/sim_inode.h - one file of the simulated disk: bytes, locks, shared memory.
//
// Purpose: shared by sim_storage.cc (what happens to the disk) and sim_vfs.cc (what SQLite calls).
// Owner:   the folder and every open handle hold it; a deleted file lives until its last handle.
#ifndef HOLDFAST_HAL_SIM_SIM_INODE_H_
#define HOLDFAST_HAL_SIM_SIM_INODE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "hal/base/prng.h"

namespace holdfast::hal::sim {

// One change since the last sync: bytes at an offset, or a new size.
struct Change {
  bool truncate = false;
  std::uint64_t offset = 0;  // of the bytes, or the new size
  std::string bytes;
};

struct Handle;

struct Inode {
  std::string content;          // as every process sees it
  std::string durable;          // as the medium has it
  std::vector<Change> changes;  // durable + changes = content

  // SQLite's five locks, by holder.
  int shared = 0;
  const Handle* reserved = nullptr;
  const Handle* pending = nullptr;  // also while exclusive

  // Shared memory of a WAL database, and who uses it.
  std::vector<std::unique_ptr<char[]>> regions;
  int shm_users = 0;
  int shm_shared[SQLITE_SHM_NLOCK] = {};
  const Handle* shm_exclusive[SQLITE_SHM_NLOCK] = {};

  void Write(std::uint64_t offset, std::string_view bytes);
  void Truncate(std::uint64_t size);
  void Sync();
  // The power goes: the medium keeps of the changes what chance says.
  void Cut(Prng& prng);
};

// What SQLite holds as an open file; lives in memory that SQLite allocates.
struct Handle {
  std::shared_ptr<Inode> inode;
  std::string path;
  bool writable = false;
  bool delete_on_close = false;
  bool dead = false;  // its process died with the power
  int lock = SQLITE_LOCK_NONE;
  bool uses_shm = false;
  std::uint32_t shm_shared = 0;  // slots, as bits
  std::uint32_t shm_exclusive = 0;
};

}  // namespace holdfast::hal::sim

#endif  // HOLDFAST_HAL_SIM_SIM_INODE_H_
