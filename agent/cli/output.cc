// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/output.h"

#include <errno.h>
#include <unistd.h>

#include <cinttypes>
#include <cstdarg>
#include <cstdio>
#include <cstring>

#include "hal/base/text.h"
#include "transport/wire.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kBufferBytes = 64 << 10;

}  // namespace

Output::Output(int fd) : fd_(fd), buffer_(new char[kBufferBytes]) {}

Output& Output::Put(std::string_view text) {
  if (text.size() > kBufferBytes - used_) {
    Write({buffer_.get(), used_});
    used_ = 0;
    if (text.size() > kBufferBytes) {
      Write(text);
      return *this;
    }
  }
  if (!text.empty()) std::memcpy(buffer_.get() + used_, text.data(), text.size());
  used_ += text.size();
  return *this;
}

Output& Output::Print(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  const int n = std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  if (n <= 0) return *this;
  if (std::size_t(n) < sizeof text) return Put({text, std::size_t(n)});
  std::string all(std::size_t(n) + 1, '\0');  // a path or a message of unusual length
  va_start(arguments, format);
  std::vsnprintf(all.data(), all.size(), format, arguments);
  va_end(arguments);
  return Put(std::string_view(all).substr(0, std::size_t(n)));
}

void Output::Write(std::string_view text) {
  while (!text.empty() && errno_ == 0) {
    const ssize_t n = write(fd_, text.data(), text.size());
    if (n >= 0) {
      text.remove_prefix(std::size_t(n));
    } else if (errno != EINTR) {
      errno_ = errno;
    }
  }
}

Result<void> Output::Flush() {
  Write({buffer_.get(), used_});
  used_ = 0;
  if (errno_ == 0) return Ok();
  return Error{Code::kIo, Origin::kErrno, errno_, "the answer could not be written"};
}

void JsonWriter::Key(std::string_view key) {
  if (!first_) Raw(",");
  first_ = false;
  String(key);
  Raw(":");
}

void JsonWriter::String(std::string_view text) {
  std::string room(text.size() * 6 + 2, '\0');  // \u0000 for every byte, and the quotes
  TextWriter writer(room);
  wire::EncodeString(text, writer);
  Raw(writer.view());
}

JsonWriter& JsonWriter::Open(std::string_view key) {
  Key(key);
  Raw("{");
  first_ = true;
  return *this;
}

JsonWriter& JsonWriter::Close() {
  Raw("}");
  first_ = false;
  return *this;
}

JsonWriter& JsonWriter::Text(std::string_view key, std::string_view value) {
  Key(key);
  String(value);
  return *this;
}

JsonWriter& JsonWriter::Number(std::string_view key, std::uint64_t value) {
  Key(key);
  out_.Print("%" PRIu64, value);
  return *this;
}

JsonWriter& JsonWriter::Signed(std::string_view key, std::int64_t value) {
  Key(key);
  out_.Print("%" PRId64, value);
  return *this;
}

JsonWriter& JsonWriter::Seconds(std::string_view key, double value) {
  Key(key);
  out_.Print("%.3f", value);
  return *this;
}

JsonWriter& JsonWriter::Bool(std::string_view key, bool value) {
  Key(key);
  Raw(value ? "true" : "false");
  return *this;
}

JsonWriter& JsonWriter::Null(std::string_view key) {
  Key(key);
  Raw("null");
  return *this;
}

void Complain(const char* format, ...) {
  char text[1024];
  va_list arguments;
  va_start(arguments, format);
  std::vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  std::fprintf(stderr, "holdfast: %s\n", text);
}

}  // namespace holdfast::agent
