// SPDX-License-Identifier: Apache-2.0
#include "server/upload_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "server/files.h"

namespace holdfast::server {
namespace {

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() {
    if (fd_ >= 0) close(fd_);
  }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  bool good() const { return fd_ >= 0; }

 private:
  int fd_;
};

class PosixFile : public UploadFile {
 public:
  PosixFile(int fd, std::string folder) : file_(fd), folder_(std::move(folder)) {}

  bool Write(std::int64_t offset, std::string_view bytes) override {
    while (!bytes.empty()) {
      const ssize_t written = pwrite(file_.get(), bytes.data(), bytes.size(), offset);
      if (written < 0 && errno == EINTR) continue;
      if (written <= 0) return false;
      offset += written;
      bytes.remove_prefix(static_cast<std::size_t>(written));
    }
    return true;
  }

  bool Sync() override {
    if (fdatasync(file_.get()) != 0) return false;
    if (named_) return true;
    const Descriptor folder(open(folder_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    named_ = folder.good() && (fsync(folder.get()) == 0 || errno == EINVAL);
    return named_;
  }

 private:
  Descriptor file_;
  std::string folder_;
  bool named_ = false;
};

class PosixFiles : public UploadFiles {
 public:
  explicit PosixFiles(const std::string& folder) : folder_(folder) { MakeDirectory(folder); }

  std::unique_ptr<UploadFile> Open(const std::string& id) override {
    const int fd = open(PathOf(id).c_str(), O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
    return fd < 0 ? nullptr : std::make_unique<PosixFile>(fd, folder_);
  }

  std::optional<std::string> Read(const std::string& id, std::size_t size) override {
    const Descriptor file(open(PathOf(id).c_str(), O_RDONLY | O_CLOEXEC));
    if (!file.good()) return size == 0 ? std::optional<std::string>("") : std::nullopt;
    std::string bytes(size, '\0');
    for (std::size_t have = 0; have < size;) {
      const ssize_t got = read(file.get(), bytes.data() + have, size - have);
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return std::nullopt;
      have += static_cast<std::size_t>(got);
    }
    return bytes;
  }

  std::optional<std::int64_t> SizeOf(const std::string& id) override {
    struct stat facts {};
    if (stat(PathOf(id).c_str(), &facts) != 0) return std::nullopt;
    return facts.st_size;
  }

  bool Truncate(const std::string& id, std::int64_t size) override {
    return truncate(PathOf(id).c_str(), size) == 0;
  }

  void Remove(const std::string& id) override { unlink(PathOf(id).c_str()); }

  std::vector<std::string> List() override {
    std::vector<std::string> ids;
    std::error_code error;
    for (const auto& entry : std::filesystem::directory_iterator(folder_, error)) {
      ids.push_back(entry.path().filename().string());
    }
    return ids;
  }

 private:
  std::string PathOf(const std::string& id) const { return folder_ + "/" + id; }
  std::string folder_;
};

}  // namespace

std::unique_ptr<UploadFiles> MakeUploadFiles(const std::string& folder) {
  return std::make_unique<PosixFiles>(folder);
}

}  // namespace holdfast::server
