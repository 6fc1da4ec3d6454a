// SPDX-License-Identifier: Apache-2.0
// transport/https/head.h - the header of an answer, line by line, into a ResponseHead.
//
// Purpose: everything a hostile or merely old server may say in a header ends here: what is not
//          understood, contradicts itself or does not fit is as good as not said, except where
//          going on would be wrong.
// Owner:   the ResponseHead's views live until the next Reset().
// Threads: one.
// Errors:  kBadAnswer with Origin::kHttp: too much header, folded lines, two lengths, a content
//          coding nobody asked for.
// Standard: RFC 9110 and 9112; protocol.md 2, 4, 7 in transport/README.md's words.
#ifndef HOLDFAST_TRANSPORT_HTTPS_HEAD_H_
#define HOLDFAST_TRANSPORT_HTTPS_HEAD_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "transport/transport.h"

namespace holdfast::transport::https {

// All header bytes of one exchange, interim answers included.
inline constexpr std::size_t kHeaderBytes = 64 << 10;
inline constexpr std::size_t kHeaderLines = 256;
// Whoever asks for more than a day means "not now"; the agent looks again tomorrow.
inline constexpr std::int64_t kRetryAfterSecondsMax = 86400;

Status StatusFromHttp(int status);

// "a\"b" -> a"b. nullopt: weak, empty, too long, or with bytes no version has.
std::optional<Version> DecodeEtag(std::string_view value);
// a"b -> "a\"b". kInvalidArgument: bytes that no header can carry.
Result<std::string_view> EncodeEtag(std::string_view version, std::span<char> buffer);

// application/json and application/*+json, whatever the parameters.
bool IsJsonType(std::string_view content_type);

// Seconds since 1970 of `Sun, 06 Nov 1994 08:49:37 GMT`.
std::optional<std::int64_t> ParseHttpDate(std::string_view text);
// Seconds, or a date, which is measured against the answer's own `date`: our clock may be wrong.
// Negative: nothing usable.
hal::Duration ParseRetryAfter(std::string_view value, std::string_view date);

// The members of `Holdfast: v=1, bulk=1000, bytes=262144, enc=(gzip), upload=25165824`, a
// dictionary of structured fields (RFC 9651 3.2). Unknown members are passed over; of a member that
// makes no sense, nothing is believed.
struct Announcement {
  std::size_t bulk_operations = 0, bulk_bytes = 0, upload_bytes = 0;
  bool gzip = false;
};
Announcement ParseAnnouncement(std::string_view value);

// What stands behind the last "/uploads/" of a Location, when it is a name such as ours.
std::string_view UploadOfLocation(std::string_view location);

class HeadReader {
 public:
  // `packed`: the answer may be gzip-coded.
  void Reset(bool packed = false);

  // A line with or without its end; "" ends the header. What came before a new status line (an
  // interim answer) is forgotten, but still counts against the limits.
  Result<void> Line(std::string_view line);

  bool began() const { return bytes_ > 0; }

  // After the empty line.
  int status() const { return status_; }
  bool interim() const { return status_ < 200; }
  ResponseHead Head() const;
  std::string_view link() const { return link_.view(); }
  std::string_view server() const { return server_.view(); }
  bool holdfast() const { return holdfast_; }
  // What our own server says it can do; all zero when it does not, or nobody understands it.
  const Announcement& announcement() const { return announcement_; }

 private:
  // Raw text of a header that may come once; a second, different one makes it unusable.
  template <std::size_t N>
  struct Once {
    FixedString<N> text;
    bool seen = false, spoiled = false;
    void Set(std::string_view value) {
      if (seen && text.view() != value) spoiled = true;
      if (!seen && !text.Assign(value)) spoiled = true;
      seen = true;
    }
    void Clear() { text.clear(), seen = spoiled = false; }
    std::string_view view() const { return spoiled ? std::string_view() : text.view(); }
  };

  void Forget();
  Result<void> StatusLine(std::string_view line);
  Result<void> Field(std::string_view name, std::string_view value);

  std::size_t bytes_ = 0, lines_ = 0;
  int status_ = 0;
  bool holdfast_ = false, chunked_ = false;
  bool packed_allowed_ = false, packed_ = false;
  Announcement announcement_;
  std::int64_t length_ = -1;
  Once<2 * limits::kVersionBytes + 8> etag_;
  Once<128> content_type_;
  Once<64> retry_after_, date_;
  Once<limits::kUrlBytes> link_;
  Once<64> server_;
  Version version_;
  Once<512> location_;
  Once<32> upload_offset_, upload_complete_;
  Once<80> content_range_;
};

}  // namespace holdfast::transport::https

#endif  // HOLDFAST_TRANSPORT_HTTPS_HEAD_H_
