// SPDX-License-Identifier: Apache-2.0
// hal/base/limits.h - every ceiling of holdfast, with its reason.
//
// Purpose: nothing is unlimited. A buffer, a length or a count that is not bounded by a constant of
//          this file does not exist; a static_assert ties those together that depend on each other.
// Units:   bytes, unless the name says otherwise.
#ifndef HOLDFAST_HAL_BASE_LIMITS_H_
#define HOLDFAST_HAL_BASE_LIMITS_H_

#include <cstddef>
#include <cstdint>

namespace holdfast::limits {

// Names. Servers of the protocol allow 128 for a table; ids are 255 at most (2.0) or 127 (3.0).
inline constexpr std::size_t kTableNameBytes = 64;
inline constexpr std::size_t kColumnNameBytes = 64;
inline constexpr std::size_t kIdBytes = 255;
// A set of columns fits one 64-bit mask (store/queue.h keeps such masks of what was sent).
inline constexpr std::size_t kColumns = 64;
inline constexpr std::size_t kTables = 64;

// Version of a row. Ours are 8 bytes at most (a CoAP ETag carries them); others send base64 of
// a GUID or of an SQL rowversion, and we keep what they send.
inline constexpr std::size_t kVersionBytes = 128;
inline constexpr std::size_t kOwnVersionBytes = 8;

// A time stamp as text, at the server's own precision: 2026-11-23T06:11:29.1234567+00:00.
inline constexpr std::size_t kTimestampBytes = 40;

// One row as JSON, and so the largest body of a single-row exchange. Larger rows need a resumable
// upload. Servers of the old service stop at 100 kB.
inline constexpr std::size_t kRowBytes = 1 << 20;
inline constexpr std::size_t kJsonDepth = 8;
inline constexpr std::size_t kJsonNodes = 4096;

// A page of a pull, decoded row by row; the body as a whole may be this long.
inline constexpr std::size_t kPageRows = 1000;
inline constexpr std::size_t kPageBytes = 64u << 20;

// Filters (protocol.md 6.1): text, nesting, number of nodes.
inline constexpr std::size_t kFilterBytes = 4096;
inline constexpr std::size_t kFilterDepth = 32;
inline constexpr std::size_t kFilterNodes = 256;
inline constexpr std::size_t kUrlBytes = 8192;

// Operations that are marked `attempted` in one commit, and outcomes written back in one commit.
// A crash sends at most this many rows again, and the server recognises each.
inline constexpr std::size_t kPushWindowRows = 64;

// One bulk: operations, and bytes of its body before it is packed. A thousand small rows are some
// 70 kB; the server reads a body whole, and the device keeps 130 bytes an operation until it knows
// the outcome.
inline constexpr std::size_t kBulkOperations = 1000;
inline constexpr std::size_t kBulkBytes = 256 << 10;

// A row that is longer than kRowBytes goes up and comes down in pieces, where the server can do
// that: its values together, and its body as sent or unpacked (base64 adds a third).
inline constexpr std::size_t kLargeRowBytes = 16u << 20;
inline constexpr std::size_t kUploadBytes = 24u << 20;

// Rows longer than this go in pieces: below, sending one again costs less than asking what arrived.
inline constexpr std::size_t kPieceRowBytes = 64 << 10;

// The error text a server gave, as kept in __errors.
inline constexpr std::size_t kServerWordsBytes = 2048;

// Decided conflicts that are kept with what they overwrote; the oldest make room.
inline constexpr std::size_t kResolutionsKept = 10'000;

inline constexpr std::size_t kConfigFileBytes = 256 << 10;
inline constexpr std::size_t kLogLineBytes = 1024;

// What the program may take from the heap, by pool (hal/base/memory.h). Twice what was measured or
// more; a large row is in memory once, while it is written. Of the program's, most is buffers for
// rows of 1 MiB, which small rows leave untouched.
inline constexpr std::size_t kProgramMemory = 12u << 20;
inline constexpr std::size_t kSqliteMemory = kLargeRowBytes + (4u << 20);
inline constexpr std::size_t kTlsMemory = 2u
                                          << 20;  // a connection: 35 KiB; all public CAs: 0.5 MiB
inline constexpr std::size_t kHttpsMemory = 512 << 10;
inline constexpr std::size_t kCoapMemory = 256 << 10;
inline constexpr std::size_t kGzipMemory = 1 << 20;

static_assert(kOwnVersionBytes <= kVersionBytes);
static_assert(kLargeRowBytes / 3 * 4 + kRowBytes <= kUploadBytes, "a blob as base64 has to fit");
static_assert(kColumns <= 64, "masks of columns are 64 bits wide");
static_assert(kFilterBytes * 3 < kUrlBytes * 2, "a percent-encoded filter has to fit the URL");

}  // namespace holdfast::limits

#endif  // HOLDFAST_HAL_BASE_LIMITS_H_
