// SPDX-License-Identifier: Apache-2.0
#include "hal/linux/linux_storage.h"

#include <sys/statvfs.h>

#include <cerrno>
#include <climits>
#include <cstdio>
#include <cstring>

namespace holdfast::hal {
namespace {

using Counts = LinuxStorage::Counts;

// SQLite allocates vfs_.szOsFile bytes, aligned to 8: this, then the parent's own file.
struct alignas(8) File {
  sqlite3_file base;
  Counts* counts;
  sqlite3_file* real() { return static_cast<sqlite3_file*>(static_cast<void*>(this + 1)); }
};

File* Self(sqlite3_file* file) { return static_cast<File*>(static_cast<void*>(file)); }
sqlite3_file* Real(sqlite3_file* file) { return Self(file)->real(); }
const sqlite3_io_methods* Methods(sqlite3_file* file) { return Real(file)->pMethods; }

int Close(sqlite3_file* file) { return Methods(file)->xClose(Real(file)); }
int Read(sqlite3_file* file, void* out, int size, sqlite3_int64 offset) {
  return Methods(file)->xRead(Real(file), out, size, offset);
}
int Write(sqlite3_file* file, const void* data, int size, sqlite3_int64 offset) {
  const int rc = Methods(file)->xWrite(Real(file), data, size, offset);
  if (rc == SQLITE_OK) Self(file)->counts->bytes_written += std::uint64_t(size);
  return rc;
}
int Truncate(sqlite3_file* file, sqlite3_int64 size) {
  return Methods(file)->xTruncate(Real(file), size);
}
int Sync(sqlite3_file* file, int flags) {
  ++Self(file)->counts->syncs;
  return Methods(file)->xSync(Real(file), flags);
}
int FileSize(sqlite3_file* file, sqlite3_int64* size) {
  return Methods(file)->xFileSize(Real(file), size);
}
int Lock(sqlite3_file* file, int level) { return Methods(file)->xLock(Real(file), level); }
int Unlock(sqlite3_file* file, int level) { return Methods(file)->xUnlock(Real(file), level); }
int CheckReservedLock(sqlite3_file* file, int* out) {
  return Methods(file)->xCheckReservedLock(Real(file), out);
}
int FileControl(sqlite3_file* file, int op, void* argument) {
  return Methods(file)->xFileControl(Real(file), op, argument);
}
int SectorSize(sqlite3_file* file) { return Methods(file)->xSectorSize(Real(file)); }
int DeviceCharacteristics(sqlite3_file* file) {
  return Methods(file)->xDeviceCharacteristics(Real(file));
}
int ShmMap(sqlite3_file* file, int region, int size, int extend, void volatile** out) {
  return Methods(file)->xShmMap(Real(file), region, size, extend, out);
}
int ShmLock(sqlite3_file* file, int offset, int n, int flags) {
  return Methods(file)->xShmLock(Real(file), offset, n, flags);
}
void ShmBarrier(sqlite3_file* file) { Methods(file)->xShmBarrier(Real(file)); }
int ShmUnmap(sqlite3_file* file, int delete_it) {
  return Methods(file)->xShmUnmap(Real(file), delete_it);
}

// Version 2 has shared memory, so WAL works, and no memory mapping, so that every write is seen.
constexpr sqlite3_io_methods kMethods = {2,
                                         Close,
                                         Read,
                                         Write,
                                         Truncate,
                                         Sync,
                                         FileSize,
                                         Lock,
                                         Unlock,
                                         CheckReservedLock,
                                         FileControl,
                                         SectorSize,
                                         DeviceCharacteristics,
                                         ShmMap,
                                         ShmLock,
                                         ShmBarrier,
                                         ShmUnmap,
                                         nullptr,
                                         nullptr};

Counts* OfVfs(sqlite3_vfs* vfs) { return static_cast<Counts*>(vfs->pAppData); }
sqlite3_vfs* Parent(sqlite3_vfs* vfs) { return OfVfs(vfs)->parent; }

int Open(sqlite3_vfs* vfs, const char* path, sqlite3_file* out, int flags, int* out_flags) {
  File* file = Self(out);
  file->base.pMethods = nullptr;
  file->counts = OfVfs(vfs);
  const int rc = Parent(vfs)->xOpen(Parent(vfs), path, file->real(), flags, out_flags);
  // The parent sets its methods even when it fails, if it wants to be closed.
  if (file->real()->pMethods != nullptr) file->base.pMethods = &kMethods;
  return rc;
}
int Delete(sqlite3_vfs* vfs, const char* path, int sync_folder) {
  if (sync_folder != 0) ++OfVfs(vfs)->syncs;
  return Parent(vfs)->xDelete(Parent(vfs), path, sync_folder);
}
int Access(sqlite3_vfs* vfs, const char* path, int flags, int* out) {
  return Parent(vfs)->xAccess(Parent(vfs), path, flags, out);
}
int FullPathname(sqlite3_vfs* vfs, const char* path, int size, char* out) {
  return Parent(vfs)->xFullPathname(Parent(vfs), path, size, out);
}
int Randomness(sqlite3_vfs* vfs, int size, char* out) {
  return Parent(vfs)->xRandomness(Parent(vfs), size, out);
}
int Sleep(sqlite3_vfs* vfs, int microseconds) {
  return Parent(vfs)->xSleep(Parent(vfs), microseconds);
}
int CurrentTime(sqlite3_vfs* vfs, double* out) {
  return Parent(vfs)->xCurrentTime(Parent(vfs), out);
}
int GetLastError(sqlite3_vfs* vfs, int size, char* out) {
  return Parent(vfs)->xGetLastError(Parent(vfs), size, out);
}
int CurrentTimeInt64(sqlite3_vfs* vfs, sqlite3_int64* out) {
  return Parent(vfs)->xCurrentTimeInt64(Parent(vfs), out);
}

}  // namespace

LinuxStorage::LinuxStorage() {
  HF_ASSERT(sqlite3_initialize() == SQLITE_OK);
  counts_.parent = sqlite3_vfs_find("unix");
  HF_ASSERT(counts_.parent != nullptr && counts_.parent->iVersion >= 2);
  std::snprintf(name_, sizeof name_, "holdfast-%p", static_cast<void*>(this));
  vfs_.iVersion = 2;
  vfs_.szOsFile = int(sizeof(File)) + counts_.parent->szOsFile;
  vfs_.mxPathname = counts_.parent->mxPathname;
  vfs_.zName = name_;
  vfs_.pAppData = &counts_;
  vfs_.xOpen = Open;
  vfs_.xDelete = Delete;
  vfs_.xAccess = Access;
  vfs_.xFullPathname = FullPathname;
  vfs_.xRandomness = Randomness;
  vfs_.xSleep = Sleep;
  vfs_.xCurrentTime = CurrentTime;
  vfs_.xGetLastError = GetLastError;
  vfs_.xCurrentTimeInt64 = CurrentTimeInt64;
  HF_ASSERT(sqlite3_vfs_register(&vfs_, 0) == SQLITE_OK);
}

LinuxStorage::~LinuxStorage() { sqlite3_vfs_unregister(&vfs_); }

Result<StorageSpace> LinuxStorage::Space(const char* path) {
  struct statvfs facts {};
  int failed = statvfs(path, &facts);
  if (failed != 0 && errno == ENOENT) {
    // Asked before the database exists: its folder is on the same file system.
    char folder[PATH_MAX];
    const char* slash = std::strrchr(path, '/');
    const std::size_t size = slash == nullptr ? 0 : std::size_t(slash - path);
    if (size >= sizeof folder) return Error{Code::kTooLarge, Origin::kNone, PATH_MAX, "path"};
    // "a.db" is in ".", "/a.db" in "/".
    const char* name = slash == nullptr ? "." : size == 0 ? "/" : path;
    std::snprintf(folder, sizeof folder, "%.*s", size == 0 ? 1 : int(size), name);
    failed = statvfs(folder, &facts);
  }
  if (failed != 0) {
    const Code code = errno == ENOENT || errno == ENOTDIR ? Code::kNotFound : Code::kIo;
    return Error{code, Origin::kErrno, errno, "cannot ask the file system for its free space"};
  }
  const std::uint64_t block = facts.f_frsize != 0 ? facts.f_frsize : facts.f_bsize;
  return StorageSpace{block * facts.f_bavail, block * facts.f_blocks};
}

}  // namespace holdfast::hal
