// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/file_text.h"

#include <fcntl.h>
#include <string.h>  // explicit_bzero
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

namespace holdfast::transport::tls {

FileText::~FileText() {
  if (bytes_) explicit_bzero(bytes_.get(), size_ + 1);
}

Result<void> FileText::Read(const char* path, std::size_t limit, const Words& words) {
  const int fd = open(path, O_RDONLY | O_CLOEXEC);
  if (fd < 0) return Error{Code::kInvalidArgument, Origin::kErrno, errno, words.unreadable};
  const Result<void> result = ReadFrom(fd, limit, words);
  close(fd);
  return result;
}

Result<void> FileText::ReadFrom(int fd, std::size_t limit, const Words& words) {
  struct stat facts = {};
  if (fstat(fd, &facts) != 0) {
    return Error{Code::kInvalidArgument, Origin::kErrno, errno, words.unreadable};
  }
  if (!S_ISREG(facts.st_mode)) {
    return Error{Code::kInvalidArgument, Origin::kErrno, EISDIR, words.unreadable};
  }
  if (words.exposed != nullptr && (facts.st_mode & 077) != 0) {
    return Error{Code::kInvalidArgument, Origin::kErrno, EPERM, words.exposed};
  }
  if (facts.st_size < 0 || std::uint64_t(facts.st_size) > limit) {
    return Error{Code::kInvalidArgument, Origin::kErrno, EFBIG, words.too_large};
  }
  const std::size_t room = std::size_t(facts.st_size);
  bytes_.reset(new char[room + 1]);
  size_ = 0;
  while (size_ < room) {
    const ssize_t got = read(fd, bytes_.get() + size_, room - size_);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return Error{Code::kInvalidArgument, Origin::kErrno, errno, words.unreadable};
    if (got == 0) break;
    size_ += std::size_t(got);
  }
  bytes_[size_] = '\0';
  return Ok();
}

std::string_view FileText::trimmed() const {
  constexpr std::string_view kBlanks = " \t\r\n";
  std::string_view text = view();
  while (!text.empty() && kBlanks.find(text.front()) != kBlanks.npos) text.remove_prefix(1);
  while (!text.empty() && kBlanks.find(text.back()) != kBlanks.npos) text.remove_suffix(1);
  return text;
}

}  // namespace holdfast::transport::tls
