// SPDX-License-Identifier: Apache-2.0
// server/change_clock.h - the moment and the version that every change of a row gets.
//
// Purpose: one strictly growing series for the whole server. A moment is the wall clock while that
//          moves forward, and the last moment plus one step while it does not.
// Shapes:  a version is the moment in other clothes (transport/wire_moment.h). It is unique because
//          moments are, needs no counter on disk, fits a CoAP ETag, decodes for clients that keep
//          versions as bytes, and a server that was restored from a backup does not hand out
//          versions that devices have already seen.
// Units:   microseconds since 1970.
#ifndef HOLDFAST_SERVER_CHANGE_CLOCK_H_
#define HOLDFAST_SERVER_CHANGE_CLOCK_H_

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "hal/base/timestamp.h"
#include "transport/wire_moment.h"

namespace holdfast::server {

class ChangeClock {
 public:
  static constexpr std::int64_t kStep = wire::kMomentStep;
  static constexpr std::int64_t kEpoch = wire::kFirstMoment;

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
  // One step after the last: for changes that are told of together.
  std::int64_t Following() { return last_ += kStep; }
  std::int64_t last() const { return last_; }

  static std::string VersionOf(std::int64_t moment) {
    const wire::MomentVersion version = wire::VersionOfMoment(moment);
    return {version.data(), version.size()};
  }
  static TimestampText TextOf(std::int64_t moment) { return wire::DateOfMoment(moment); }

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
