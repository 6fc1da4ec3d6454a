// SPDX-License-Identifier: Apache-2.0
// transport/wire_bulk.h - many operations in one body, and what became of them in another.
//
// Purpose: a push of a thousand rows is one exchange. Columns are named once, outcomes that follow
//          each other are one line. Every operation keeps its own identity: (installation,
//          incarnation, sequence, changes), by which the server knows it again when its answer was
//          lost and it comes a second time.
// Shapes:  the request, as JSON:
//            [1,"installation","incarnation",acknowledged,applied,[RUN,..]]
//          RUN  [HEAD,first sequence,changes,[ROW,..]]
//          HEAD ["readings","i",["sensor","value"]], or the number of an earlier head of this body,
//               the first being 0. "i" insert, "u" update, "d" delete (no columns)
//          ROW  insert: ["id",value,..]. update: ["id","version"|null,value,..].
//               delete: ["id","version"|null]
//          The rows of a run have consecutive sequences and the same `changes`; sequences grow
//          strictly over the whole body. `acknowledged`: every operation up to here has left this
//          device's queue, the server may forget its outcome. `applied`: the highest operation
//          that the server has reported as applied, durably noted here. Both only grow: a server
//          that knows a higher one sees that the device's memory went back, and one that has
//          applied less sees that its own did.
//          The answer:
//            [DONE|REFUSED,..]
//          DONE    [first sequence,count,moment]: these are applied, the first at `moment`
//                  (transport/wire_moment.h), each next one a step later. With a fourth member:
//                  they were applied by an earlier request, when their `changes` was that number.
//          REFUSED [sequence,status,{server's row}] (409, 412), or [sequence,status,"words"];
//                  status as of a single request; 424: an earlier operation of the same row was
//                  refused. A conflict whose row had no room in the answer has words.
//          Each operation of the request has exactly one outcome, in order of sequence.
//          A request may be packed instead: the same arrays in CBOR, and each row said against
//          those before it in its run. An id is two items, how many bytes it shares with the id
//          before, and the text that follows them. A value is `undefined` when it is that of the
//          row before; an integer after an integer is the difference, modulo 2^64; tag 25 with a
//          number is a text that this column has had in this run, the first that was written out
//          being 0, up to 23; tag 4 is a decimal fraction of 1 to 6 digits. Blobs are byte strings
//          (JSON: base64, as text). The answer is JSON all the same: it is short.
// Owner:   the caller owns all buffers. What a reader gives out lives until its next Next().
// Threads: any; no state but its own.
// Errors:  kBadAnswer (Origin::kJson with the offset): not of this shape. kTooLarge, kNoMemory.
#ifndef HOLDFAST_TRANSPORT_WIRE_BULK_H_
#define HOLDFAST_TRANSPORT_WIRE_BULK_H_

#include <array>
#include <cstdint>
#include <span>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "hal/base/text.h"
#include "transport/wire_bulk_packed.h"
#include "transport/wire_bulk_tokens.h"

namespace holdfast::wire {

enum class BulkKind : std::uint8_t { kInsert, kUpdate, kDelete };

struct BulkSender {
  std::string_view installation, incarnation;  // 1 to 64 visible characters of ASCII
  std::int64_t acknowledged = 0, applied = 0;
};

struct BulkOperation {
  BulkKind kind = BulkKind::kInsert;
  std::string_view table, id;
  std::string_view if_match;  // empty: unconditional; never of an insert
  std::int64_t sequence = 0, changes = 0;
  RowView fields;  // without the id
};

struct BulkDone {
  std::int64_t first = 0, count = 0;
  std::int64_t moment = 0;
  std::int64_t changes = -1;  // not negative: of an earlier request, when `changes` was this
};

struct BulkRefusal {
  std::int64_t sequence = 0;
  int status = 0;
  RowView row;             // the server's, with its system columns; or empty
  std::string_view words;  // when there is no row
};

// Different sets of columns that one body can name.
inline constexpr std::size_t kBulkHeads = 16;

class BulkWriter {
 public:
  // The body grows in `room`.
  BulkWriter(std::span<char> room, Encoding encoding);
  Result<void> Begin(const BulkSender& sender);
  // false: it does not fit any more, or needs one head too many. kInvalidArgument: a text that is
  // not UTF-8. Either way the body is as it was before.
  Result<bool> Add(const BulkOperation& operation);
  // The whole body. REQUIRES: at least one operation was added.
  Result<std::string_view> Finish();

 private:
  // The text of a head, in the body.
  struct Head {
    std::size_t at = 0, bytes = 0;
  };

  Result<bool> Put(const BulkOperation& operation);
  Result<bool> Place(const BulkOperation& operation);
  Result<void> PutHead(const BulkOperation& operation);
  Result<void> PutRow(const BulkOperation& operation);
  void PutPackedId(std::string_view id);
  Result<void> PutPackedValue(const Field& field, std::size_t index);
  void Remember(const BulkOperation& operation);
  void Open();
  void Separate();
  void Number(std::int64_t value);
  void Word(std::string_view text);

  TextWriter out_;
  const bool cbor_;
  std::array<Head, kBulkHeads> heads_;
  std::size_t head_count_ = 0;
  // The run that is open; `head_` is kBulkHeads while there is none.
  std::size_t head_ = kBulkHeads;
  std::int64_t changes_ = 0, last_sequence_ = 0;
  PackedMemory memory_;
  bool fresh_ = true;                             // the row under way is the first of its run
  std::array<Value, limits::kColumns> row_;       // it; its texts lie in the body
  std::array<bool, limits::kColumns> written_{};  // which of them were written out
};

// Reads a request one operation at a time.
class BulkReader {
 public:
  BulkReader(std::string_view body, Encoding encoding, Arena& arena);
  // The envelope. kUnsupported: another version of it. The sender's texts live as long as the
  // arena.
  Result<void> Begin(BulkSender& sender);
  // false: that was the last, and nothing followed it. What the operation before took of the arena
  // is given back.
  Result<bool> Next(BulkOperation& operation);

 private:
  struct Head {
    BulkKind kind = BulkKind::kInsert;
    std::string_view table;
    std::span<std::string_view> columns;  // in the arena
  };

  bool ReadSender(BulkSender& sender);
  bool OpenRun();
  bool ReadHead();
  bool ReadColumns(Head& head);
  bool ReadRow(BulkOperation& operation);
  bool ReadId(std::string_view& id);
  bool ReadValue(std::size_t index, Value& value);
  bool EndRun();

  std::string_view body_;
  BulkTokens tokens_;
  Arena& arena_;
  std::size_t mark_ = 0;  // of the arena, after the heads
  std::array<Head, kBulkHeads> heads_;
  std::size_t head_count_ = 0, operations_ = 0;
  const Head* head_ = nullptr;  // of the run that is open; null: none is
  std::int64_t sequence_ = 0, changes_ = 0;
  RowFields fields_;
  PackedMemory memory_;
};

class BulkAnswerWriter {
 public:
  explicit BulkAnswerWriter(std::span<char> room);
  // Joined with the one before where they follow each other. false: no room.
  bool Done(const BulkDone& done);
  // These two: false: no room; the answer is as it was before. `row`: as EncodeRow() has
  // written it.
  bool Refused(std::int64_t sequence, int status, std::string_view words);
  bool RefusedRow(std::int64_t sequence, int status, std::string_view row);
  std::size_t bytes() const { return out_.view().size(); }
  Result<std::string_view> Finish();

 private:
  bool Flush();
  void Next();
  bool Refuse(std::int64_t sequence, int status, std::string_view words, std::string_view row);

  TextWriter out_;
  BulkDone pending_;  // count 0: none
};

class BulkAnswerReader {
 public:
  enum class Outcome : std::uint8_t { kEnd, kDone, kRefused };

  BulkAnswerReader(std::string_view body, Arena& arena);
  Result<void> Begin();
  // Fills the one or the other.
  Result<Outcome> Next(BulkDone& done, BulkRefusal& refusal);

 private:
  bool ReadDone(BulkDone& done, std::int64_t first, std::int64_t count, std::int64_t moment);
  bool ReadRefusal(BulkRefusal& refusal, std::int64_t sequence, std::int64_t status);

  BulkTokens tokens_;
  Arena& arena_;
  std::size_t mark_;
  std::int64_t last_sequence_ = 0;
  RowFields fields_;
};

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_BULK_H_
