// SPDX-License-Identifier: Apache-2.0
#include "hal/base/result.h"

#include <cstdio>

namespace holdfast {

std::string_view CodeName(Code code) {
  switch (code) {
    case Code::kInvalidArgument: return "invalid_argument";
    case Code::kNotFound: return "not_found";
    case Code::kExists: return "exists";
    case Code::kTooLarge: return "too_large";
    case Code::kNoMemory: return "no_memory";
    case Code::kNoSpace: return "no_space";
    case Code::kReadOnly: return "read_only";
    case Code::kIo: return "io";
    case Code::kCorrupt: return "corrupt";
    case Code::kBusy: return "busy";
    case Code::kTooNew: return "too_new";
    case Code::kCancelled: return "cancelled";
    case Code::kUnsupported: return "unsupported";
    case Code::kPending: return "pending";
    case Code::kOffline: return "offline";
    case Code::kTimeout: return "timeout";
    case Code::kTlsUntrusted: return "tls_untrusted";
    case Code::kTlsExpired: return "tls_expired";
    case Code::kClockUnset: return "clock_unset";
    case Code::kBadAnswer: return "bad_answer";
    case Code::kUnauthorized: return "unauthorized";
    case Code::kThrottled: return "throttled";
    case Code::kServerError: return "server_error";
    case Code::kRefused: return "refused";
    case Code::kConflict: return "conflict";
    case Code::kGone: return "gone";
  }
  return "unknown";
}

std::string_view DispositionName(Disposition disposition) {
  switch (disposition) {
    case Disposition::kRetryLater: return "retry_later";
    case Disposition::kRetryWhenLinkUp: return "retry_when_link_up";
    case Disposition::kRetryWhenClockSet: return "retry_when_clock_set";
    case Disposition::kResolve: return "resolve";
    case Disposition::kPark: return "park";
    case Disposition::kStop: return "stop";
  }
  return "unknown";
}

Disposition Classify(const Error& error) {
  switch (error.code) {
    case Code::kOffline: return Disposition::kRetryWhenLinkUp;
    case Code::kClockUnset: return Disposition::kRetryWhenClockSet;
    case Code::kConflict:
    case Code::kGone: return Disposition::kResolve;
    case Code::kRefused:
    case Code::kTooLarge: return Disposition::kPark;
    case Code::kTimeout:
    case Code::kBadAnswer:
    case Code::kThrottled:
    case Code::kServerError:
    case Code::kNoMemory:
    case Code::kNoSpace:
    case Code::kReadOnly:
    case Code::kIo:
    case Code::kBusy:
    case Code::kCancelled: return Disposition::kRetryLater;
    case Code::kTlsUntrusted:
    case Code::kTlsExpired:
    case Code::kUnauthorized:
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kExists:
    case Code::kCorrupt:
    case Code::kTooNew:
    case Code::kUnsupported:
    case Code::kPending: return Disposition::kStop;
  }
  return Disposition::kStop;
}

namespace {

const char* OriginName(Origin origin) {
  switch (origin) {
    case Origin::kNone: return "";
    case Origin::kErrno: return "errno";
    case Origin::kSqlite: return "sqlite";
    case Origin::kCurl: return "curl";
    case Origin::kTls: return "tls";
    case Origin::kHttp: return "http";
    case Origin::kCoap: return "coap";
    case Origin::kJson: return "json";
  }
  return "";
}

}  // namespace

std::string_view Describe(const Error& error, char* out, std::size_t size) {
  if (size == 0) return {};
  const std::string_view name = CodeName(error.code);
  int n = std::snprintf(out, size, "%.*s", static_cast<int>(name.size()), name.data());
  std::size_t used = n < 0 ? 0 : std::size_t(n);
  if (error.what != nullptr && used < size) {
    n = std::snprintf(out + used, size - used, ": %s", error.what);
    used += n < 0 ? 0 : std::size_t(n);
  }
  if (error.origin != Origin::kNone && used < size) {
    n = std::snprintf(out + used, size - used, " (%s %d)", OriginName(error.origin), error.native);
    used += n < 0 ? 0 : std::size_t(n);
  }
  return {out, used < size ? used : size - 1};
}

void AssertFailed(const char* expression, const char* file, int line) {
  std::fprintf(stderr, "holdfast: internal error: %s is false at %s:%d\n", expression, file, line);
  std::abort();
}

}  // namespace holdfast
