// SPDX-License-Identifier: Apache-2.0
// server/upload_files.h - the bytes of uploads on the medium: a folder with a file for each.
//
// Purpose: the seam at which a test lets the medium fail. Names are ids (server/uploads.h).
// Owner:   a file closes itself.
// Threads: one at a time each; Sync() and Read() are meant for another thread than the rest.
// Errors:  false or nullopt, with errno; what was written before stays as it was.
#ifndef HOLDFAST_SERVER_UPLOAD_FILES_H_
#define HOLDFAST_SERVER_UPLOAD_FILES_H_

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::server {

class UploadFile {
 public:
  virtual ~UploadFile() = default;
  // At that place; what stood there is replaced.
  virtual bool Write(std::int64_t offset, std::string_view bytes) = 0;
  // What was written survives a power cut, and so does the file's name.
  virtual bool Sync() = 0;
};

class UploadFiles {
 public:
  virtual ~UploadFiles() = default;
  // Null: it cannot be had. Made when it is not there.
  virtual std::unique_ptr<UploadFile> Open(const std::string& id) = 0;
  // The first `size` bytes; nullopt: there are not so many, or they cannot be read.
  virtual std::optional<std::string> Read(const std::string& id, std::size_t size) = 0;
  // nullopt: there is no such file.
  virtual std::optional<std::int64_t> SizeOf(const std::string& id) = 0;
  virtual bool Truncate(const std::string& id, std::int64_t size) = 0;
  virtual void Remove(const std::string& id) = 0;
  virtual std::vector<std::string> List() = 0;
};

// Throws std::runtime_error when the folder cannot be made.
std::unique_ptr<UploadFiles> MakeUploadFiles(const std::string& folder);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_UPLOAD_FILES_H_
