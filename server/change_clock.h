// SPDX-License-Identifier: Apache-2.0
// server/change_clock.h - the moment and the version that every change of a row gets.
//
// Purpose: one strictly growing series for the whole server. A moment is the wall clock while that
//          moves forward, and the last moment plus one step while it does not.
// Shapes:  a version is the moment in other clothes: the number of 8 us steps since 2020, 48 bits,
// as
//          8 characters of base64. It is unique because moments are, needs no counter on disk,
//          fits a CoAP ETag, decodes for clients that keep versions as bytes, and a server that was
//          restored from a backup does not hand out versions that devices have already seen. Lasts
//          to 2091.
// Units:   microseconds since 1970.
#ifndef HOLDFAST_SERVER_CHANGE_CLOCK_H_
#define HOLDFAST_SERVER_CHANGE_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/timestamp.h"

namespace holdfast::server {

class ChangeClock {
 public:
  static constexpr std::int64_t kStep = 8;
  static constexpr std::int64_t kEpoch = 1577836800000000;  // 2020-01-01T00:00:00Z

  using Now = std::int64_t (*)();
  explicit ChangeClock(Now now = &SystemNow) : now_(now) {}

  // Moments that are given out from now on are later than `moment`.
  void RaiseTo(std::int64_t moment) {
    if (moment > last_) last_ = moment - moment % kStep;
  }

  std::int64_t Next() {
    const std::int64_t now = now_();
    last_ = now - now % kStep > last_ ? now - now % kStep : last_ + kStep;
    return last_;
  }
  std::int64_t last() const { return last_; }

  static std::string VersionOf(std::int64_t moment) {
    static constexpr std::string_view kDigits =
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    auto bits = static_cast<std::uint64_t>((moment - kEpoch) / kStep);
    std::string version(8, 'A');
    for (std::size_t i = version.size(); i-- > 0; bits >>= 6) version[i] = kDigits[bits & 63];
    return version;
  }
  static TimestampText TextOf(std::int64_t moment) { return FormatTimestamp(moment * 10, 6); }

  static std::int64_t SystemNow() {
    using std::chrono::duration_cast, std::chrono::microseconds, std::chrono::system_clock;
    return duration_cast<microseconds>(system_clock::now().time_since_epoch()).count();
  }

 private:
  Now now_;
  std::int64_t last_ = kEpoch;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_CHANGE_CLOCK_H_
