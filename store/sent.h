// SPDX-License-Identifier: Apache-2.0
// store/sent.h - the records of attempts in __operations.sent: 8 bytes mask, 8 bytes digest each.
#ifndef HOLDFAST_STORE_SENT_H_
#define HOLDFAST_STORE_SENT_H_

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace holdfast::store {

inline constexpr std::size_t kSentRecordBytes = 16;
inline constexpr std::size_t kSentRecords = 8;

inline std::uint64_t GetBigEndian(const char* bytes) {
  std::uint64_t value = 0;
  for (int i = 0; i < 8; ++i) value = value << 8 | static_cast<unsigned char>(bytes[i]);
  return value;
}

// Calls use(mask, digest) for each record, oldest first.
template <typename Use>
void ForEachSent(std::string_view sent, Use use) {
  for (std::size_t at = 0; at + kSentRecordBytes <= sent.size(); at += kSentRecordBytes) {
    use(GetBigEndian(sent.data() + at), GetBigEndian(sent.data() + at + 8));
  }
}

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_SENT_H_
