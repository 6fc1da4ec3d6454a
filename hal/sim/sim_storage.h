// SPDX-License-Identifier: Apache-2.0
// hal/sim/sim_storage.h - a disk in memory that can lose its power at any write.
//
// Purpose: SQLite runs on it unmodified, WAL with several connections included. For each file it
//          keeps what is durable and, in order, what was written since the last sync; a power cut
//          decides for each of those writes whether it was kept, dropped, or torn at 512 bytes.
// Owner:   create it before the store opens; destroy it after every connection is closed. It is
//          SQLite's default VFS while it lives, because SQLite seeds its own random() from the
//          default one; the newest of several wins.
// Threads: one; several connections of one thread are what it is for.
// Faults:  values of SimFault, and set_read_only(), set_capacity_bytes(), FlipBits().
// Model:   folder entries are durable at once (a file that was created or deleted stays so); bytes
//          are what SQLite asks for, not what a file system and a flash make of them.
//          The same seed and the same calls give the same bytes, faults and trace().
//
//   storage.Inject({.effect = SimEffect::kPowerCut, .on = SimCall::kWrite, .at = 17});
//   ... work until everything fails ... close all connections
//   storage.PowerOn();
#ifndef HOLDFAST_HAL_SIM_SIM_STORAGE_H_
#define HOLDFAST_HAL_SIM_SIM_STORAGE_H_

#include <sqlite3.h>

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/prng.h"
#include "hal/clock.h"
#include "hal/storage.h"

namespace holdfast::hal {

namespace sim {
struct Inode;
}

enum class SimCall : std::uint8_t { kWrite, kSync, kRead, kOpen, kDelete, kTruncate };
inline constexpr std::size_t kSimCalls = 6;

enum class SimEffect : std::uint8_t {
  kPowerCut,  // after the call reached the disk's cache; everything fails until PowerOn()
  kNoSpace,   // ENOSPC: SQLITE_FULL
  kIo,        // EIO
};

struct SimFault {
  SimEffect effect = SimEffect::kIo;
  SimCall on = SimCall::kWrite;
  std::uint64_t at = 1;     // the Nth such call from now on
  std::uint64_t times = 1;  // this many calls in a row
  const char* file = "";    // only files whose name ends like this, "-wal"; they alone are counted
};

struct SimStorageOptions {
  std::uint64_t seed = 1;
  std::uint64_t capacity_bytes = std::uint64_t{1} << 30;
  const Clock* clock = nullptr;  // for SQL's 'now'; none: the start of 2027
};

// The files of a disk as bytes: a backup, or the image from which a device is cloned.
using SimImage = std::map<std::string, std::string, std::less<>>;

class SimStorage final : public Storage {
 public:
  explicit SimStorage(const SimStorageOptions& options = {});
  ~SimStorage() override;
  SimStorage(const SimStorage&) = delete;
  SimStorage& operator=(const SimStorage&) = delete;

  const char* vfs_name() const override { return name_; }
  Result<StorageSpace> Space(const char* path) override;
  std::uint64_t bytes_written() const override { return bytes_written_; }
  std::uint64_t syncs() const override { return calls(SimCall::kSync); }

  // Faults ---------------------------------------------------------------------------------------
  void Inject(const SimFault& fault);
  void ClearFaults() { faults_.clear(); }
  std::uint64_t faults_fired() const { return faults_fired_; }

  // Open files are dead from here on. Close their connections, then PowerOn().
  void PowerCut();
  // REQUIRES: no file is open.
  void PowerOn();
  bool powered() const { return powered_; }

  // EROFS. Open files cannot be written any more; files are opened for reading only.
  void set_read_only(bool read_only) { read_only_ = read_only; }
  void set_capacity_bytes(std::uint64_t bytes) { capacity_bytes_ = bytes; }
  // A bit that rotted: flips the bits of `mask` in one byte, durably. False: no such byte.
  bool FlipBits(std::string_view path, std::uint64_t offset, std::uint8_t mask);

  // What is there --------------------------------------------------------------------------------
  std::uint64_t calls(SimCall call) const { return calls_[std::size_t(call)]; }
  std::uint64_t trace() const { return trace_; }  // digest of all calls, their files and places
  std::uint64_t used_bytes() const;
  std::uint64_t unsynced_writes() const;
  bool Exists(std::string_view path) const { return files_.contains(path); }

  // All files as a process would read them now.
  SimImage Image() const;
  // Replaces all files. REQUIRES: no file is open.
  void Restore(const SimImage& image);

 private:
  friend struct SimVfs;  // the functions that SQLite calls: sim_vfs.cc

  struct ArmedFault {
    SimFault fault;
    std::uint64_t seen = 0;
  };

  // Counts the call and says what SQLite shall be told: SQLITE_OK, or the error of a fault.
  // `power_cut` is set when the call still reaches the cache and then the power goes.
  int Enter(SimCall call, std::string_view path, std::uint64_t offset, std::uint64_t size,
            bool* power_cut);
  int ErrorOf(SimCall call, int error_number);
  std::shared_ptr<sim::Inode> Find(std::string_view path) const;

  char name_[32];
  sqlite3_vfs vfs_{};
  Prng prng_;
  const Clock* clock_;
  std::uint64_t capacity_bytes_;
  bool powered_ = true;
  bool read_only_ = false;
  int open_files_ = 0;
  int last_errno_ = 0;
  std::vector<ArmedFault> faults_;
  std::uint64_t faults_fired_ = 0;
  std::uint64_t bytes_written_ = 0;
  std::uint64_t calls_[kSimCalls] = {};
  std::uint64_t trace_;
  std::map<std::string, std::shared_ptr<sim::Inode>, std::less<>> files_;
};

}  // namespace holdfast::hal

#endif  // HOLDFAST_HAL_SIM_SIM_STORAGE_H_
