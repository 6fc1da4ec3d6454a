// SPDX-License-Identifier: Apache-2.0
// agent/sync/large_body.h - the body of a row that is too long for memory, made piece by piece.
//
// Purpose: reads the row of an operation in parts, writes it as JSON, packs that, and stores what
//          comes out in the database: from there it goes up, as often as it takes, always the same
//          bytes. Each step is a short transaction, so that programs that record are not kept
//          waiting while a megabyte is packed.
// Owner:   one push has one; it works in what the workspace has for it.
// Threads: one.
// Errors:  kBusy: the row was edited meanwhile, begin again. kTooLarge: longer than a server takes.
//          kInvalidArgument: a text that is not UTF-8. What the store says.
// Standard: RFC 8259, RFC 1952; the digest is that of RFC 9530.
#ifndef HOLDFAST_AGENT_SYNC_LARGE_BODY_H_
#define HOLDFAST_AGENT_SYNC_LARGE_BODY_H_

#include <mbedtls/sha256.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "agent/sync/workspace.h"
#include "hal/base/arena.h"
#include "hal/base/text.h"
#include "store/store.h"
#include "transport/wire_gzip.h"

namespace holdfast::agent {

class LargeBody {
 public:
  LargeBody(store::Store& store, Workspace& workspace);
  ~LargeBody();
  LargeBody(const LargeBody&) = delete;
  LargeBody& operator=(const LargeBody&) = delete;

  // `most_bytes`: of the body as the server takes it.
  Result<void> Begin(const store::Operation& operation, std::size_t most_bytes);
  // The short values of the row, for those who want to see it before it goes.
  RowView short_fields() const { return short_.view(); }
  // Some 256 KiB of the row. true: the body is whole and stored.
  Result<bool> Step();
  // REQUIRES: Step() has said true.
  const store::Upload& upload() const { return upload_; }

 private:
  static constexpr std::size_t kStepBytes = 256 << 10;

  Result<void> Work();
  Result<void> NextText(TextWriter& text);
  Result<void> PutShort(TextWriter& text);
  Result<void> PutLongPart(TextWriter& text);
  Result<void> Pack(std::string_view text, bool last);
  Result<void> StorePiece();
  Result<void> Seal();

  store::Store& store_;
  store::Operation operation_;
  store::LongRow row_;
  RowFields short_;
  store::Upload upload_;
  std::size_t most_bytes_ = 0;
  std::size_t field_ = 0;     // that is being written
  std::uint64_t offset_ = 0;  // in its value
  std::uint64_t packed_ = 0;  // bytes that are stored
  std::size_t piece_used_ = 0;
  bool begun_ = false, written_ = false;
  mbedtls_sha256_context digest_;
  wire::GzipPacker& packer_;
  Workspace::OfLargeBody& room_;
  Arena arena_;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_LARGE_BODY_H_
