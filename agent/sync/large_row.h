// SPDX-License-Identifier: Apache-2.0
// agent/sync/large_row.h - one row of the server's that is too long for memory, on its way down.
//
// Purpose: what arrives is kept in the database piece by piece, so that a broken link costs what
//          was on the line; what is there is read twice: for the sizes of its values, and to write
//          them into the row.
// Owner:   borrows store and transport; a pull makes one when it meets such a row.
// Threads: one.
// Errors:  End() returns why the row did not come whole, or cannot be stored.
// Standard: RFC 9110 14 (ranges), RFC 7959 (Block2).
#ifndef HOLDFAST_AGENT_SYNC_LARGE_ROW_H_
#define HOLDFAST_AGENT_SYNC_LARGE_ROW_H_

#include <array>
#include <span>
#include <string_view>

#include "agent/sync/workspace.h"
#include "store/store.h"
#include "transport/transport.h"
#include "transport/wire_long.h"

namespace holdfast::agent {

class LargeRow : private transport::ResponseSink, private wire::TextSource {
 public:
  LargeRow(store::Store& store, transport::Transport& transport, const store::Table& table,
           hal::Duration timeout, Workspace& workspace);

  // REQUIRES: none is under way. `id` is borrowed until End().
  Result<void> Ask(std::string_view id);
  // Works and waits; true: the exchange has ended.
  bool Pump(hal::Duration wait);
  struct Outcome {
    bool gone = false;  // the server has no such row, or shows it as deleted
    store::Applied applied = store::Applied::kUnchanged;
  };
  // Stores the row, when it is all there. REQUIRES: Pump() was true.
  Result<Outcome> End();

  const Answer& refusal() const { return refusal_; }

 private:
  static constexpr std::size_t kPiece = store::Store::kUploadPiece;

  // What the first reading has found.
  struct Shape {
    RowFields fields;  // short ones, in the types of the table
    std::array<store::LongPlace, limits::kColumns> places;
    std::size_t place_count = 0;
  };

  Result<void> OnHead(const transport::ResponseHead& head) override;
  Result<void> OnBody(std::string_view chunk) override;
  void OnDone(Result<void> outcome) override;
  Result<std::size_t> Read(std::uint64_t offset, std::span<char> out) override;

  std::span<char> Half(std::size_t which) {
    const std::size_t size = sizeof room_.text / 2;
    return {room_.text + which * size, size};
  }
  Result<void> StartAt(const transport::ResponseHead& head);
  Result<void> Keep();
  Result<void> Measure(Shape& shape);
  Result<void> MeasureLong(wire::LongRowReader& reader, int column, store::LongPlace& place);
  Result<store::Applied> Apply(const Shape& shape);
  Result<void> WriteLong(wire::LongRowReader& reader, const store::LongPlace& place);

  store::Store& store_;
  transport::Transport& transport_;
  const store::Table& table_;
  hal::Duration timeout_;
  std::string_view id_;
  store::Version version_;
  std::uint64_t have_ = 0;      // bytes of the body, with those that are not stored yet
  std::size_t piece_used_ = 0;  // of the last piece
  bool done_ = false, is_row_ = false, unsaved_ = false;
  Result<void> outcome_;
  Answer& refusal_;
  Workspace::OfPull& room_;
  Arena arena_;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_LARGE_ROW_H_
