// SPDX-License-Identifier: Apache-2.0
// transport/tls/file_text.h - a small file in memory for as long as it takes to parse it.
//
// Purpose: certificates, keys, tokens and pre-shared keys. What others may read is refused where it
//          is a secret, and what was read is wiped.
// Threads: any.
// Errors:  kInvalidArgument with Origin::kErrno, and the reader's own words.
#ifndef HOLDFAST_TRANSPORT_TLS_FILE_TEXT_H_
#define HOLDFAST_TRANSPORT_TLS_FILE_TEXT_H_

#include <cstddef>
#include <memory>
#include <string_view>

#include "hal/base/result.h"

namespace holdfast::transport::tls {

class FileText {
 public:
  FileText() = default;
  FileText(const FileText&) = delete;
  FileText& operator=(const FileText&) = delete;
  ~FileText();

  struct Words {
    const char* unreadable;
    const char* too_large;
    const char* exposed;  // nullptr: anybody may read it
  };
  Result<void> Read(const char* path, std::size_t limit, const Words& words);

  // With the NUL that Mbed TLS wants after PEM and refuses after DER.
  const unsigned char* data() const { return reinterpret_cast<unsigned char*>(bytes_.get()); }
  std::size_t parse_size() const {
    return view().find("-----BEGIN ") == std::string_view::npos ? size_ : size_ + 1;
  }
  std::string_view view() const { return {bytes_.get(), size_}; }
  std::string_view trimmed() const;  // without white space around it

 private:
  Result<void> ReadFrom(int fd, std::size_t limit, const Words& words);

  std::unique_ptr<char[]> bytes_;
  std::size_t size_ = 0;
};

}  // namespace holdfast::transport::tls

#endif  // HOLDFAST_TRANSPORT_TLS_FILE_TEXT_H_
