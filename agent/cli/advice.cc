// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/advice.h"

#include "agent/cli/platform.h"

namespace holdfast::agent {

std::string_view Advice(Code code) {
  switch (code) {
    case Code::kOffline: return "Try again when the network and the server are back.";
    case Code::kTimeout: return "The link or the server is slow; try again later.";
    case Code::kTlsUntrusted:
      return "Check server.ca_file, cert_file, key_file and the host name in server.url.";
    case Code::kTlsExpired:
      return "Check this device's clock, then the dates of the certificates on both sides.";
    case Code::kClockUnset:
      return "Set this device's clock; without a date no certificate can be judged.";
    case Code::kBadAnswer:
      return "Something else than the server may have answered (a portal, a proxy); check "
             "server.url, or try again later.";
    case Code::kUnauthorized:
      return "The server does not know these credentials; check them, and the device's entry "
             "there.";
    case Code::kThrottled: return "Come back when the server's pause is over.";
    case Code::kServerError: return "The server has to be looked after; try again later.";
    case Code::kNoSpace: return "Make room on this device's file system.";
    case Code::kReadOnly: return "Check the permissions of the database and its folder.";
    case Code::kIo: return "Check the file system that holds the database.";
    case Code::kCorrupt: return "The database is damaged; keep a copy of it before anything else.";
    case Code::kBusy: return "Another program keeps the database locked; try again.";
    case Code::kCancelled: return "The next one goes on where this one stopped.";
    case Code::kTooNew:
      return "Install the version of holdfast that wrote this database, or a later one.";
    case Code::kPending: return "Push them, settle what waits, or discard them with --force.";
    case Code::kRefused: return "Check server.url and what the server allows this device.";
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kExists:
    case Code::kTooLarge:
    case Code::kNoMemory:
    case Code::kUnsupported:
    case Code::kConflict:
    case Code::kGone: return {};
  }
  return {};
}

std::optional<Code> CodeOf(std::string_view text) {
  const std::string_view name = text.substr(0, text.find_first_of(": "));
  for (int n = 0; n <= int(Code::kGone); ++n) {
    if (CodeName(Code(n)) == name) return Code(n);
  }
  return std::nullopt;
}

Exit FailTransport(const Error& error) {
  Fail("the server cannot be used", error);
  const bool is_ours = error.code == Code::kNoMemory || error.code == Code::kIo;
  return is_ours ? Exit::kFailed : Exit::kUsage;
}

}  // namespace holdfast::agent
