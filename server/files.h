// SPDX-License-Identifier: Apache-2.0
// server/files.h - whole small files, written so that a power cut leaves the old one or the new
// one.
//
// Errors: std::runtime_error with the path and the system's words.
#ifndef HOLDFAST_SERVER_FILES_H_
#define HOLDFAST_SERVER_FILES_H_

#include <sys/types.h>

#include <string>
#include <string_view>

namespace holdfast::server {

bool FileExists(const std::string& path);
std::string ReadFile(const std::string& path);
// Fails when the file is there already.
void WriteNewFile(const std::string& path, std::string_view content, mode_t mode);
void ReplaceFile(const std::string& path, std::string_view content, mode_t mode);
// With parents; 0700 for what is made.
void MakeDirectory(const std::string& path);

// Held until the process ends: one server, or one command that writes, a folder.
class FolderLock {
 public:
  explicit FolderLock(const std::string& file);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;
  // False: somebody else holds it.
  bool TryLock();
  void Lock();

 private:
  int fd_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_FILES_H_
