// SPDX-License-Identifier: Apache-2.0
// What SQLite calls: the constructor of SimStorage registers these functions. See sim_storage.h.
#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <new>

#include "hal/sim/sim_clock.h"
#include "hal/sim/sim_inode.h"
#include "hal/sim/sim_storage.h"

namespace holdfast::hal {

using sim::Handle;
using sim::Inode;

// A friend of SimStorage, so that C functions reach its parts.
struct SimVfs {
  // SQLite allocates vfs.szOsFile bytes, aligned to 8, and constructs nothing.
  struct alignas(8) File {
    sqlite3_file base;
    SimStorage* storage;
    Handle handle;
  };

  static File& Self(sqlite3_file* file) { return *static_cast<File*>(static_cast<void*>(file)); }
  static SimStorage& Of(sqlite3_vfs* vfs) { return *static_cast<SimStorage*>(vfs->pAppData); }

  static void Register(SimStorage& storage);

  // The disk.
  static int Open(sqlite3_vfs*, const char* path, sqlite3_file*, int flags, int* out_flags);
  static int Delete(sqlite3_vfs*, const char* path, int sync_folder);
  static int Access(sqlite3_vfs*, const char* path, int flags, int* out);
  static int FullPathname(sqlite3_vfs*, const char* path, int size, char* out);
  static int Randomness(sqlite3_vfs*, int size, char* out);
  static int Sleep(sqlite3_vfs*, int microseconds);
  static int CurrentTime(sqlite3_vfs*, double* out);
  static int CurrentTimeInt64(sqlite3_vfs*, sqlite3_int64* out);
  static int GetLastError(sqlite3_vfs*, int, char*);

  // A file.
  static int Close(sqlite3_file*);
  static int Read(sqlite3_file*, void* out, int size, sqlite3_int64 offset);
  static int Write(sqlite3_file*, const void* data, int size, sqlite3_int64 offset);
  static int Truncate(sqlite3_file*, sqlite3_int64 size);
  static int Sync(sqlite3_file*, int flags);
  static int FileSize(sqlite3_file*, sqlite3_int64* out);
  static int Lock(sqlite3_file*, int level);
  static int Unlock(sqlite3_file*, int level);
  static int CheckReservedLock(sqlite3_file*, int* out);
  static int FileControl(sqlite3_file*, int, void*) { return SQLITE_NOTFOUND; }
  static int SectorSize(sqlite3_file*) { return 4096; }
  // As on Linux: a write never harms bytes outside it, but may itself be torn.
  static int DeviceCharacteristics(sqlite3_file*) { return SQLITE_IOCAP_POWERSAFE_OVERWRITE; }

  // The shared memory of a WAL database.
  static int ShmMap(sqlite3_file*, int region, int size, int extend, void volatile** out);
  static int ShmLock(sqlite3_file*, int first, int n, int flags);
  static void ShmBarrier(sqlite3_file*) {}
  static int ShmUnmap(sqlite3_file*, int delete_it);
};

namespace {

constexpr sqlite3_io_methods kMethods = {2,
                                         SimVfs::Close,
                                         SimVfs::Read,
                                         SimVfs::Write,
                                         SimVfs::Truncate,
                                         SimVfs::Sync,
                                         SimVfs::FileSize,
                                         SimVfs::Lock,
                                         SimVfs::Unlock,
                                         SimVfs::CheckReservedLock,
                                         SimVfs::FileControl,
                                         SimVfs::SectorSize,
                                         SimVfs::DeviceCharacteristics,
                                         SimVfs::ShmMap,
                                         SimVfs::ShmLock,
                                         SimVfs::ShmBarrier,
                                         SimVfs::ShmUnmap,
                                         nullptr,
                                         nullptr};

bool IsDead(const SimVfs::File& file) { return file.handle.dead || !file.storage->powered(); }

}  // namespace

SimStorage::SimStorage(const SimStorageOptions& options)
    : prng_(options.seed),
      clock_(options.clock),
      capacity_bytes_(options.capacity_bytes),
      trace_(options.seed) {
  SimVfs::Register(*this);
  sqlite3_randomness(0, nullptr);  // SQLite's generator forgets its state and asks us for a seed
}

SimStorage::~SimStorage() {
  HF_ASSERT(open_files_ == 0);
  sqlite3_vfs_unregister(&vfs_);
  sqlite3_randomness(0, nullptr);
}

void SimVfs::Register(SimStorage& storage) {
  HF_ASSERT(sqlite3_initialize() == SQLITE_OK);
  std::snprintf(storage.name_, sizeof storage.name_, "sim-%p", static_cast<void*>(&storage));
  sqlite3_vfs& vfs = storage.vfs_;
  vfs.iVersion = 2;
  vfs.szOsFile = int(sizeof(File));
  vfs.mxPathname = 512;
  vfs.zName = storage.name_;
  vfs.pAppData = &storage;
  vfs.xOpen = Open;
  vfs.xDelete = Delete;
  vfs.xAccess = Access;
  vfs.xFullPathname = FullPathname;
  vfs.xRandomness = Randomness;
  vfs.xSleep = Sleep;
  vfs.xCurrentTime = CurrentTime;
  vfs.xGetLastError = GetLastError;
  vfs.xCurrentTimeInt64 = CurrentTimeInt64;
  HF_ASSERT(sqlite3_vfs_register(&vfs, 1) == SQLITE_OK);
}

int SimVfs::Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* out, int flags, int* out_flags) {
  SimStorage& storage = Of(vfs);
  out->pMethods = nullptr;  // no Close() when this fails
  const std::string name = path == nullptr ? "" : path;
  bool power_cut = false;
  const int rc = storage.Enter(SimCall::kOpen, name, 0, 0, &power_cut);
  if (power_cut) storage.PowerCut();
  if (rc != SQLITE_OK || power_cut) return rc == SQLITE_OK ? SQLITE_CANTOPEN : rc;

  auto inode = storage.Find(name);
  if (inode != nullptr && (flags & SQLITE_OPEN_EXCLUSIVE) != 0) return SQLITE_CANTOPEN;
  if (inode == nullptr) {
    if ((flags & SQLITE_OPEN_CREATE) == 0) return SQLITE_CANTOPEN;
    if (storage.read_only_) return storage.ErrorOf(SimCall::kOpen, EROFS);
    inode = std::make_shared<Inode>();
    if (!name.empty()) storage.files_[name] = inode;  // temporary files have no name
  }
  // A writer of a file system that is read-only gets a reader, as from the unix VFS.
  const bool writable = (flags & SQLITE_OPEN_READWRITE) != 0 && !storage.read_only_;
  if (!writable)
    flags = (flags & ~(SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE)) | SQLITE_OPEN_READONLY;
  if (out_flags != nullptr) *out_flags = flags;
  File* file = new (out) File{};
  file->base.pMethods = &kMethods;
  file->storage = &storage;
  file->handle.inode = std::move(inode);
  file->handle.path = name;
  file->handle.writable = writable;
  file->handle.delete_on_close = (flags & SQLITE_OPEN_DELETEONCLOSE) != 0;
  ++storage.open_files_;
  return SQLITE_OK;
}

int SimVfs::Delete(sqlite3_vfs* vfs, const char* path, int) {
  SimStorage& storage = Of(vfs);
  bool power_cut = false;
  const int rc = storage.Enter(SimCall::kDelete, path, 0, 0, &power_cut);
  if (rc != SQLITE_OK) return rc;
  if (storage.read_only_) return storage.ErrorOf(SimCall::kDelete, EROFS);
  const bool found = storage.files_.erase(path) != 0;
  if (power_cut) {
    storage.PowerCut();
    return SQLITE_IOERR_DELETE;
  }
  return found ? SQLITE_OK : SQLITE_IOERR_DELETE_NOENT;
}

int SimVfs::Access(sqlite3_vfs* vfs, const char* path, int flags, int* out) {
  SimStorage& storage = Of(vfs);
  if (!storage.powered_) return SQLITE_IOERR_ACCESS;
  const auto inode = storage.Find(path);
  // Like the unix VFS: an empty file does not count as there (an empty journal is none).
  const bool there = inode != nullptr && !inode->content.empty();
  *out = flags == SQLITE_ACCESS_EXISTS
             ? there
             : inode != nullptr && (flags != SQLITE_ACCESS_READWRITE || !storage.read_only_);
  return SQLITE_OK;
}

int SimVfs::FullPathname(sqlite3_vfs*, const char* path, int size, char* out) {
  const int n = std::snprintf(out, std::size_t(size), "%s%s", path[0] == '/' ? "" : "/", path);
  return n < size ? SQLITE_OK : SQLITE_CANTOPEN;
}

int SimVfs::Randomness(sqlite3_vfs* vfs, int size, char* out) {
  for (int i = 0; i < size; ++i) out[i] = char(Of(vfs).prng_.Next() >> 56);
  return size;
}

// Time does not pass here: whoever waits for a lock of the same thread would wait for ever.
int SimVfs::Sleep(sqlite3_vfs*, int microseconds) { return microseconds; }

int SimVfs::CurrentTimeInt64(sqlite3_vfs* vfs, sqlite3_int64* out) {
  constexpr sqlite3_int64 kJulianMsOf1970 = 210'866'760'000'000;
  const Clock* clock = Of(vfs).clock_;
  *out = kJulianMsOf1970 + (clock == nullptr ? SimClock::kStartUnixMs : clock->Wall().unix_ms);
  return SQLITE_OK;
}

int SimVfs::CurrentTime(sqlite3_vfs* vfs, double* out) {
  sqlite3_int64 julian_ms = 0;
  const int rc = CurrentTimeInt64(vfs, &julian_ms);
  *out = double(julian_ms) / 86'400'000.0;
  return rc;
}

int SimVfs::GetLastError(sqlite3_vfs* vfs, int, char*) { return Of(vfs).last_errno_; }

int SimVfs::Close(sqlite3_file* base) {
  File& file = Self(base);
  ShmUnmap(base, 0);
  Unlock(base, SQLITE_LOCK_NONE);
  if (file.handle.delete_on_close && file.storage->powered()) {
    const auto found = file.storage->files_.find(file.handle.path);
    if (found != file.storage->files_.end() && found->second == file.handle.inode) {
      file.storage->files_.erase(found);
    }
  }
  --file.storage->open_files_;
  file.~File();
  return SQLITE_OK;
}

int SimVfs::Read(sqlite3_file* base, void* out, int size, sqlite3_int64 offset) {
  File& file = Self(base);
  if (IsDead(file)) return SQLITE_IOERR_READ;
  bool power_cut = false;
  const int rc = file.storage->Enter(SimCall::kRead, file.handle.path, std::uint64_t(offset),
                                     std::uint64_t(size), &power_cut);
  if (power_cut) file.storage->PowerCut();
  if (rc != SQLITE_OK || power_cut) return rc == SQLITE_OK ? SQLITE_IOERR_READ : rc;
  const std::string& content = file.handle.inode->content;
  const std::size_t start = std::min(std::size_t(offset), content.size());
  const std::size_t there = std::min(std::size_t(size), content.size() - start);
  std::memcpy(out, content.data() + start, there);
  if (there == std::size_t(size)) return SQLITE_OK;
  std::memset(static_cast<char*>(out) + there, 0, std::size_t(size) - there);
  return SQLITE_IOERR_SHORT_READ;
}

int SimVfs::Write(sqlite3_file* base, const void* data, int size, sqlite3_int64 offset) {
  File& file = Self(base);
  SimStorage& storage = *file.storage;
  if (IsDead(file)) return SQLITE_IOERR_WRITE;
  if (storage.read_only_ || !file.handle.writable) return storage.ErrorOf(SimCall::kWrite, EROFS);
  bool power_cut = false;
  const int rc = storage.Enter(SimCall::kWrite, file.handle.path, std::uint64_t(offset),
                               std::uint64_t(size), &power_cut);
  if (rc != SQLITE_OK) return rc;
  Inode& inode = *file.handle.inode;
  const std::uint64_t end = std::uint64_t(offset) + std::uint64_t(size);
  const std::uint64_t grows = end > inode.content.size() ? end - inode.content.size() : 0;
  if (grows > 0 && storage.used_bytes() + grows > storage.capacity_bytes_) {
    return storage.ErrorOf(SimCall::kWrite, ENOSPC);
  }
  inode.Write(std::uint64_t(offset), {static_cast<const char*>(data), std::size_t(size)});
  storage.bytes_written_ += std::uint64_t(size);
  if (!power_cut) return SQLITE_OK;
  storage.PowerCut();
  return SQLITE_IOERR_WRITE;
}

int SimVfs::Truncate(sqlite3_file* base, sqlite3_int64 size) {
  File& file = Self(base);
  SimStorage& storage = *file.storage;
  if (IsDead(file)) return SQLITE_IOERR_TRUNCATE;
  if (storage.read_only_) return storage.ErrorOf(SimCall::kTruncate, EROFS);
  bool power_cut = false;
  const int rc =
      storage.Enter(SimCall::kTruncate, file.handle.path, std::uint64_t(size), 0, &power_cut);
  if (rc != SQLITE_OK) return rc;
  file.handle.inode->Truncate(std::uint64_t(size));
  if (!power_cut) return SQLITE_OK;
  storage.PowerCut();
  return SQLITE_IOERR_TRUNCATE;
}

int SimVfs::Sync(sqlite3_file* base, int) {
  File& file = Self(base);
  if (IsDead(file)) return SQLITE_IOERR_FSYNC;
  bool power_cut = false;
  const int rc = file.storage->Enter(SimCall::kSync, file.handle.path, 0, 0, &power_cut);
  if (rc != SQLITE_OK) return rc;
  if (power_cut) {  // while the disk was busy with it: nothing of it is promised
    file.storage->PowerCut();
    return SQLITE_IOERR_FSYNC;
  }
  file.handle.inode->Sync();
  return SQLITE_OK;
}

int SimVfs::FileSize(sqlite3_file* base, sqlite3_int64* out) {
  const File& file = Self(base);
  if (IsDead(file)) return SQLITE_IOERR_FSTAT;
  *out = sqlite3_int64(file.handle.inode->content.size());
  return SQLITE_OK;
}

int SimVfs::Lock(sqlite3_file* base, int level) {
  File& file = Self(base);
  Handle& handle = file.handle;
  Inode& inode = *handle.inode;
  if (IsDead(file)) return SQLITE_IOERR_LOCK;
  if (handle.lock >= level) return SQLITE_OK;
  if (inode.pending != nullptr && inode.pending != &handle) return SQLITE_BUSY;
  if (level == SQLITE_LOCK_SHARED) {
    ++inode.shared;
  } else {
    if (inode.reserved != nullptr && inode.reserved != &handle) return SQLITE_BUSY;
    if (level == SQLITE_LOCK_RESERVED) {
      inode.reserved = &handle;
    } else {  // exclusive: no new readers from here on, and the old ones have to leave
      inode.pending = &handle;
      if (inode.shared > 1) {
        handle.lock = SQLITE_LOCK_PENDING;
        return SQLITE_BUSY;
      }
    }
  }
  handle.lock = level;
  return SQLITE_OK;
}

int SimVfs::Unlock(sqlite3_file* base, int level) {
  Handle& handle = Self(base).handle;
  Inode& inode = *handle.inode;
  if (handle.lock <= level) return SQLITE_OK;
  if (inode.pending == &handle) inode.pending = nullptr;
  if (inode.reserved == &handle) inode.reserved = nullptr;
  if (level == SQLITE_LOCK_NONE) --inode.shared;
  handle.lock = level;
  return SQLITE_OK;
}

int SimVfs::CheckReservedLock(sqlite3_file* base, int* out) {
  const File& file = Self(base);
  if (IsDead(file)) return SQLITE_IOERR_CHECKRESERVEDLOCK;
  *out = file.handle.inode->reserved != nullptr || file.handle.inode->pending != nullptr;
  return SQLITE_OK;
}

int SimVfs::ShmMap(sqlite3_file* base, int region, int size, int extend, void volatile** out) {
  File& file = Self(base);
  Inode& inode = *file.handle.inode;
  *out = nullptr;
  if (IsDead(file)) return SQLITE_IOERR_SHMMAP;
  if (!file.handle.uses_shm) {
    // The first user finds it empty, as the first opener of a real -shm file does.
    if (inode.shm_users++ == 0) inode.regions.clear();
    file.handle.uses_shm = true;
  }
  while (inode.regions.size() <= std::size_t(region)) {
    if (extend == 0) return SQLITE_OK;
    inode.regions.push_back(std::make_unique<char[]>(std::size_t(size)));
  }
  *out = inode.regions[std::size_t(region)].get();
  return SQLITE_OK;
}

int SimVfs::ShmLock(sqlite3_file* base, int first, int n, int flags) {
  File& file = Self(base);
  Handle& handle = file.handle;
  Inode& inode = *handle.inode;
  if (IsDead(file)) return SQLITE_IOERR_SHMLOCK;
  const bool exclusive = (flags & SQLITE_SHM_EXCLUSIVE) != 0;
  if ((flags & SQLITE_SHM_LOCK) != 0) {
    for (int i = first; i < first + n; ++i) {
      const bool mine = (handle.shm_shared >> i & 1) != 0;
      const Handle* holder = inode.shm_exclusive[i];
      if (holder != nullptr && holder != &handle) return SQLITE_BUSY;
      if (exclusive && inode.shm_shared[i] > (mine ? 1 : 0)) return SQLITE_BUSY;
    }
  }
  for (int i = first; i < first + n; ++i) {
    const std::uint32_t bit = std::uint32_t{1} << i;
    if ((flags & SQLITE_SHM_LOCK) != 0 && exclusive) {
      inode.shm_exclusive[i] = &handle;
      handle.shm_exclusive |= bit;
    } else if ((flags & SQLITE_SHM_LOCK) != 0) {
      if ((handle.shm_shared & bit) == 0) ++inode.shm_shared[i];
      handle.shm_shared |= bit;
    } else {
      if ((handle.shm_exclusive & bit) != 0) inode.shm_exclusive[i] = nullptr;
      if ((handle.shm_shared & bit) != 0) --inode.shm_shared[i];
      handle.shm_exclusive &= ~bit;
      handle.shm_shared &= ~bit;
    }
  }
  return SQLITE_OK;
}

int SimVfs::ShmUnmap(sqlite3_file* base, int) {
  Handle& handle = Self(base).handle;
  Inode& inode = *handle.inode;
  for (int i = 0; i < SQLITE_SHM_NLOCK; ++i) {
    if ((handle.shm_exclusive >> i & 1) != 0) inode.shm_exclusive[i] = nullptr;
    if ((handle.shm_shared >> i & 1) != 0) --inode.shm_shared[i];
  }
  handle.shm_exclusive = handle.shm_shared = 0;
  if (handle.uses_shm && --inode.shm_users == 0) inode.regions.clear();
  handle.uses_shm = false;
  return SQLITE_OK;
}

}  // namespace holdfast::hal
