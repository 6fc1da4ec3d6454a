// SPDX-License-Identifier: Apache-2.0
#include "server/request_log.h"

#include <unistd.h>

#include <array>
#include <cstdio>

#include "hal/base/text.h"
#include "server/change_clock.h"
#include "transport/wire.h"

namespace holdfast::server {
namespace {

constexpr std::size_t kTextBytes = 256;

class Line {
 public:
  Line() : out_(buffer_) {
    out_.Put("{\"ts\":\"");
    out_.Put(ChangeClock::TextOf(ChangeClock::SystemNow()).view()).Put('"');
  }
  Line& Text(std::string_view name, std::string_view value) {
    Name(name);
    value = value.substr(0, kTextBytes);
    wire::EncodeString(IsUtf8(value) ? value : "(not UTF-8)", out_);
    return *this;
  }
  Line& Number(std::string_view name, std::int64_t value) {
    Name(name);
    out_.PutInteger(value);
    return *this;
  }
  Line& Milliseconds(std::chrono::steady_clock::duration time) {
    Name("ms");
    const auto us = std::chrono::duration_cast<std::chrono::microseconds>(time).count();
    char text[32];
    std::snprintf(text, sizeof text, "%lld.%03lld", static_cast<long long>(us / 1000),
                  static_cast<long long>(us % 1000));
    out_.Put(std::string_view(text));
    return *this;
  }
  void Print() {
    out_.Put("}\n");
    // One call, so that lines of several processes do not mix. A log that is full is not our fault.
    if (write(STDERR_FILENO, out_.view().data(), out_.view().size()) < 0) return;
  }

 private:
  void Name(std::string_view name) { out_.Put(",\"").Put(name).Put("\":"); }

  std::array<char, 4096> buffer_{};
  TextWriter out_;
};

}  // namespace

void RequestLog::Request(std::string_view device, std::string_view method, std::string_view path,
                         int status, std::size_t bytes, std::chrono::steady_clock::duration time) {
  if (!on_) return;
  Line line;
  line.Text("event", "request").Text("device", device).Text("method", method).Text("path", path);
  line.Number("status", status).Number("bytes", static_cast<std::int64_t>(bytes));
  line.Milliseconds(time).Print();
}

void RequestLog::Event(std::string_view event, std::string_view detail) {
  if (!on_) return;
  Line line;
  line.Text("event", event).Text("detail", detail).Print();
}

}  // namespace holdfast::server
