// SPDX-License-Identifier: Apache-2.0
#include "server/files.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <stdexcept>

namespace holdfast::server {
namespace {

constexpr std::size_t kMaxFileBytes = 16u << 20;

[[noreturn]] void Fail(const std::string& path) {
  throw std::runtime_error(path + ": " + std::strerror(errno));
}

class Descriptor {
 public:
  Descriptor(const std::string& path, int flags, mode_t mode)
      : fd_(open(path.c_str(), flags | O_CLOEXEC, mode)) {
    if (fd_ < 0) Fail(path);
  }
  ~Descriptor() { close(fd_); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int fd() const { return fd_; }

 private:
  int fd_;
};

void WriteAll(const Descriptor& file, const std::string& path, std::string_view content) {
  while (!content.empty()) {
    const ssize_t written = write(file.fd(), content.data(), content.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) Fail(path);
    content.remove_prefix(static_cast<std::size_t>(written));
  }
  if (fsync(file.fd()) != 0) Fail(path);
}

void SyncFolderOf(const std::string& path) {
  const std::filesystem::path folder = std::filesystem::path(path).parent_path();
  const Descriptor directory(folder.empty() ? "." : folder.string(), O_RDONLY | O_DIRECTORY, 0);
  if (fsync(directory.fd()) != 0 && errno != EINVAL) Fail(path);
}

}  // namespace

bool FileExists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

std::string ReadFile(const std::string& path) {
  const Descriptor file(path, O_RDONLY, 0);
  std::string content;
  char block[16384];
  while (true) {
    const ssize_t got = read(file.fd(), block, sizeof block);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) Fail(path);
    if (got == 0) return content;
    content.append(block, static_cast<std::size_t>(got));
    if (content.size() > kMaxFileBytes) throw std::runtime_error(path + ": too large");
  }
}

void WriteNewFile(const std::string& path, std::string_view content, mode_t mode) {
  {
    const Descriptor file(path, O_WRONLY | O_CREAT | O_EXCL, mode);
    WriteAll(file, path, content);
  }
  SyncFolderOf(path);
}

void ReplaceFile(const std::string& path, std::string_view content, mode_t mode) {
  const std::string fresh = path + ".new";
  unlink(fresh.c_str());
  {
    const Descriptor file(fresh, O_WRONLY | O_CREAT | O_EXCL, mode);
    WriteAll(file, fresh, content);
  }
  if (rename(fresh.c_str(), path.c_str()) != 0) Fail(path);
  SyncFolderOf(path);
}

void MakeDirectory(const std::string& path) {
  const mode_t before = umask(0077);
  std::error_code error;
  std::filesystem::create_directories(path, error);
  umask(before);
  if (error) throw std::runtime_error(path + ": " + error.message());
}

FolderLock::FolderLock(const std::string& file)
    : fd_(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600)) {
  if (fd_ < 0) Fail(file);
}
FolderLock::~FolderLock() { close(fd_); }
bool FolderLock::TryLock() { return flock(fd_, LOCK_EX | LOCK_NB) == 0; }
void FolderLock::Lock() {
  while (flock(fd_, LOCK_EX) != 0 && errno == EINTR) {
  }
}

}  // namespace holdfast::server
