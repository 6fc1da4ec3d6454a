// SPDX-License-Identifier: Apache-2.0
// agent/sync/bulk_window.h - the operations that travel in one bulk, and what became of each.
//
// Purpose: the memory of a bulk between its request and its outcomes, some 130 bytes an operation;
//          hands the applied ones to the store, one by one.
// Owner:   Push; one bulk at a time.
// Threads: one.
#ifndef HOLDFAST_AGENT_SYNC_BULK_WINDOW_H_
#define HOLDFAST_AGENT_SYNC_BULK_WINDOW_H_

#include <array>
#include <cstdint>
#include <span>

#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "store/store.h"
#include "transport/wire_bulk.h"

namespace holdfast::agent {

class BulkWindow final : public store::CompletionSource {
 public:
  void Clear();
  bool empty() const { return count_ == 0; }
  std::size_t size() const { return count_; }
  // Whether one more fits, with an id of this length.
  bool HasRoom(std::size_t most, std::size_t id_bytes) const;
  // REQUIRES: HasRoom().
  void Add(const store::Operation& operation, const store::Store::Attempt& attempt);
  std::span<const store::Store::Attempt> attempts() const { return {attempts_.data(), count_}; }

  // The outcomes, in the order of the operations. kBadAnswer: not one for each, or about others.
  Result<void> Note(const wire::BulkDone& done);
  Result<void> Note(const wire::BulkRefusal& refusal);
  Result<void> NoteEnd() const;
  // How many the server has applied as they were sent now.
  std::size_t applied() const { return applied_; }

  // The applied ones, as completions.
  Result<bool> Next(store::Completion& completion) override;

  // Those that the server refused: they are sent again alone, where there is room for all that it
  // has to say about a row. REQUIRES: refused_left() > 0.
  std::size_t refused_left() const { return refused_left_; }
  const store::Store::Attempt& TakeRefused();

 private:
  enum class Outcome : std::uint8_t { kUnknown, kApplied, kAppliedEarlier, kRefused };
  struct Entry {
    const store::Table* table = nullptr;
    std::int64_t moment = 0;
    std::int64_t changes = 0;  // that the server has applied
    std::uint32_t id_at = 0;
    std::uint8_t id_bytes = 0;
    store::Kind kind = store::Kind::kInsert;
    Outcome outcome = Outcome::kUnknown;
  };
  static_assert(limits::kIdBytes <= 255);
  // Our own ids have 21 bytes; a bulk of longer ones has fewer operations.
  static constexpr std::size_t kIdRoom = 40 * limits::kBulkOperations;

  std::array<store::Store::Attempt, limits::kBulkOperations> attempts_;
  std::array<Entry, limits::kBulkOperations> entries_;
  std::array<char, kIdRoom> ids_;
  std::size_t count_ = 0, ids_used_ = 0;
  std::size_t noted_ = 0, applied_ = 0;  // outcomes
  std::size_t handed_out_ = 0;           // by Next()
  std::size_t refused_left_ = 0, refused_next_ = 0;
};

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_BULK_WINDOW_H_
