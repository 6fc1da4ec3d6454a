// SPDX-License-Identifier: Apache-2.0
// hal/base/result.h - how every function of holdfast says that it failed.
//
// Purpose: an error is a small value: a code in the caller's terms, where it came from, that
//          origin's own number, and a static text. Nothing is allocated to report a failure, and a
//          dropped error does not compile (-Werror): Result is [[nodiscard]].
// Owner:   values; copy freely.
// Threads: any.
// Errors:  the closed list of Code. Classify() maps each to what the engine does next; it has no
//          default, so a new code does not compile until somebody has decided that.
#ifndef HOLDFAST_HAL_BASE_RESULT_H_
#define HOLDFAST_HAL_BASE_RESULT_H_

#include <cstdint>
#include <cstdlib>
#include <new>
#include <string_view>
#include <type_traits>
#include <utility>

namespace holdfast {

enum class Code : std::uint8_t {
  // Local.
  kInvalidArgument,  // the caller's input is wrong; `what` says how
  kNotFound,         // no such row, table, file
  kExists,           // an object of that name is there already
  kTooLarge,         // over a limit of hal/base/limits.h; `native` is the limit
  kNoMemory,         // an allocation was refused or a fixed buffer is full
  kNoSpace,          // ENOSPC, SQLITE_FULL, the free-space floor
  kReadOnly,         // EROFS, SQLITE_READONLY
  kIo,               // EIO and its kin
  kCorrupt,          // the database, or a record in it, is damaged
  kBusy,             // somebody else holds the lock; trying again helps
  kTooNew,           // written by a later holdfast; refuse to touch it
  kCancelled,        // the user or a signal asked to stop
  kUnsupported,      // this build, or the other side, cannot do that
  kPending,          // operations wait to be pushed, and would be lost
  // The way to the server.
  kOffline,       // no link, name not resolved, connection refused or cut: nothing got an answer
  kTimeout,       // no answer in time; the request may or may not have been applied
  kTlsUntrusted,  // certificate chain, host name, or our own certificate was refused
  kTlsExpired,    // a certificate is outside its dates
  kClockUnset,    // the date is not known, so certificates cannot be judged
  kBadAnswer,     // not the protocol: HTML, truncated, wrong type, wrong id (captive portals)
  // The server's own words.
  kUnauthorized,  // 401: credentials refused
  kThrottled,     // 429, or 503 with Retry-After
  kServerError,   // 5xx
  kRefused,       // 4xx about this one row: 400, 403, 405, 413, 415, 422 ...
  kConflict,      // 409, 412: the row changed on the server
  kGone,          // 404, 410 for a row that we believed to exist
};

enum class Origin : std::uint8_t { kNone, kErrno, kSqlite, kCurl, kTls, kHttp, kCoap, kJson };

// What the engine does about an error. One function decides, and only one.
enum class Disposition : std::uint8_t {
  kRetryLater,         // stop this push; try again after a back-off
  kRetryWhenLinkUp,    // stop this push; a change of the link is what can help
  kRetryWhenClockSet,  // stop this push; wait until the date is known
  kResolve,            // this row is in conflict: keep both copies, go on with other rows
  kPark,               // this row is refused: keep the server's words, go on with other rows
  kStop,               // nothing will help but a person: stop, and say so
};

struct Error {
  Code code;
  Origin origin = Origin::kNone;
  std::int32_t native = 0;     // errno, SQLite extended code, CURLcode, HTTP status ...
  const char* what = nullptr;  // static text, or nullptr; never freed

  friend bool operator==(const Error& a, const Error& b) {
    return a.code == b.code && a.origin == b.origin && a.native == b.native;
  }
};
static_assert(sizeof(Error) <= 16);

// The name of a code as users see it in logs and JSON: "offline", "no_space".
std::string_view CodeName(Code code);
std::string_view DispositionName(Disposition disposition);
Disposition Classify(const Error& error);

// "offline: could not connect (curl 7)". Writes into `out`, always terminated; returns the part
// written, cut when it does not fit.
std::string_view Describe(const Error& error, char* out, std::size_t size);

// A broken invariant of our own code. Stays on in release: a supervisor restarts us, and going on
// with a wrong state could lose rows.
[[noreturn]] void AssertFailed(const char* expression, const char* file, int line);
#define HF_ASSERT(expression) \
  ((expression) ? (void)0 : ::holdfast::AssertFailed(#expression, __FILE__, __LINE__))

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : ok_(true) { new (&storage_.value) T(std::move(value)); }
  Result(Error error) : ok_(false) { storage_.error = error; }
  Result(Result&& other) noexcept : ok_(other.ok_) { Take(other); }
  Result(const Result& other) : ok_(other.ok_) {
    if (ok_)
      new (&storage_.value) T(other.storage_.value);
    else
      storage_.error = other.storage_.error;
  }
  Result& operator=(Result&& other) noexcept {
    if (this != &other) {
      Destroy();
      ok_ = other.ok_;
      Take(other);
    }
    return *this;
  }
  ~Result() { Destroy(); }

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  T& value() & {
    HF_ASSERT(ok_);
    return storage_.value;
  }
  const T& value() const& {
    HF_ASSERT(ok_);
    return storage_.value;
  }
  T&& value() && {
    HF_ASSERT(ok_);
    return std::move(storage_.value);
  }
  T& operator*() & { return value(); }
  T&& operator*() && { return std::move(*this).value(); }
  T* operator->() { return &value(); }
  const Error& error() const {
    HF_ASSERT(!ok_);
    return storage_.error;
  }

 private:
  void Take(Result& other) {
    if (ok_)
      new (&storage_.value) T(std::move(other.storage_.value));
    else
      storage_.error = other.storage_.error;
  }
  void Destroy() {
    if (ok_) storage_.value.~T();
  }

  union Storage {
    Storage() {}
    ~Storage() {}
    T value;
    Error error;
  } storage_;
  bool ok_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(error), ok_(false) {}

  bool ok() const { return ok_; }
  explicit operator bool() const { return ok_; }
  const Error& error() const {
    HF_ASSERT(!ok_);
    return error_;
  }

 private:
  Error error_{Code::kInvalidArgument};
  bool ok_ = true;
};

inline Result<void> Ok() { return {}; }

// Returns the error of a Result<...> expression from the enclosing function.
#define HF_TRY(expression)                                                      \
  do {                                                                          \
    if (auto hf_result_ = (expression); !hf_result_) return hf_result_.error(); \
  } while (0)

// HF_TRY_ASSIGN(auto row, table.Get(id));
#define HF_CONCAT_(a, b) a##b
#define HF_CONCAT(a, b) HF_CONCAT_(a, b)
#define HF_TRY_ASSIGN(target, expression) \
  HF_TRY_ASSIGN_(HF_CONCAT(hf_r_, __LINE__), target, expression)
#define HF_TRY_ASSIGN_(name, target, expression) \
  auto name = (expression);                      \
  if (!name) return name.error();                \
  target = std::move(name).value()

}  // namespace holdfast

#endif  // HOLDFAST_HAL_BASE_RESULT_H_
