// SPDX-License-Identifier: Apache-2.0
// server/http_fields.h - values of header fields that uploads and ranges need: pure functions.
//
// Errors: nullopt: absent or malformed, which means the same (RFC 9651 4.2).
// Standard: RFC 9651 (structured fields), RFC 9530 (Repr-Digest), RFC 9110 14 (ranges).
#ifndef HOLDFAST_SERVER_HTTP_FIELDS_H_
#define HOLDFAST_SERVER_HTTP_FIELDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace holdfast::server {

std::optional<bool> ParseFlagItem(std::string_view text);           // ?1;parameters
std::optional<std::int64_t> ParseCountItem(std::string_view text);  // not negative

// The SHA-256 in it as hex; "" when there is none. nullopt: there is one, and it is malformed: who
// sends a digest wants it checked.
std::optional<std::string> ParseReprDigest(std::string_view text);

// Whether a preference is among those of a Prefer header (RFC 7240).
bool Prefers(std::string_view text, std::string_view preference);

struct ByteRange {
  std::uint64_t first = 0;
  std::optional<std::uint64_t> last;
};
// "bytes=N-" and "bytes=N-M". Every other range is passed over: the answer is then whole.
std::optional<ByteRange> ParseRange(std::string_view text);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_HTTP_FIELDS_H_
