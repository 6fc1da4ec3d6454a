// SPDX-License-Identifier: Apache-2.0
// transport/wire_gzip.h - the content coding `gzip`, with a ceiling on everything that comes out.
//
// Purpose: bodies of bulk pushes and pages, on both sides. Packing is made once and used again: its
//          memory is allocated at the start and stays.
// Owner:   the caller's buffers; the packer owns zlib's state.
// Threads: one at a time each.
// Errors:  kTooLarge: more comes out than fits. kBadAnswer: not gzip, damaged, or something
// follows.
//          kNoMemory.
// Standard: RFC 1952, RFC 9110 8.4.1.3.
#ifndef HOLDFAST_TRANSPORT_WIRE_GZIP_H_
#define HOLDFAST_TRANSPORT_WIRE_GZIP_H_

#include <cstddef>
#include <memory>
#include <span>
#include <string_view>

#include "hal/base/result.h"

namespace holdfast::wire {

class GzipPacker {
 public:
  // Window of 32 KiB, the second smallest hash: some 160 KiB in all.
  static Result<std::unique_ptr<GzipPacker>> Create();
  ~GzipPacker();
  GzipPacker(const GzipPacker&) = delete;
  GzipPacker& operator=(const GzipPacker&) = delete;

  // The same bytes for the same text, always. kTooLarge: it does not get small enough for `out`.
  Result<std::string_view> Pack(std::string_view text, std::span<char> out);

  // A long body, part by part, into as many buffers as it takes. Feed() removes from `text` what it
  // has taken and returns how much of `out` it has filled: all of it, as long as there is more to
  // come; less, when it wants more text or, with `last`, when the body has ended.
  void Begin();
  std::size_t Feed(std::string_view& text, bool last, std::span<char> out);

 private:
  GzipPacker();
  struct State;
  std::unique_ptr<State> state_;
};

// All of one member, and nothing after it. Reads no further than `out` has room, so a bomb costs
// what `out` costs.
Result<std::string_view> Unpack(std::string_view gzip, std::span<char> out);

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_GZIP_H_
