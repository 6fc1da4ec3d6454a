// SPDX-License-Identifier: Apache-2.0
// transport/wire.h - rows as bytes and back; the same for every carrier, and for the server.
//
// Purpose: JSON as protocol.md 3 to 11 has it. Encoding writes into the caller's buffer. Rows are
//          decoded by a reader of our own (transport/wire_json.h), because cJSON keeps numbers as
//          doubles; it checks size, depth, number of nodes and UTF-8, also before cJSON sees an
//          error body, and cJSON allocates only from the caller's arena.
// Owner:   decoded rows borrow from the arena until it is reset.
// Threads: one at a time (cJSON's allocator hooks are global).
// Errors:  kBadAnswer with Origin::kJson: not JSON, not an object, nested values where a scalar is
//          due, duplicate members, not UTF-8; `native` is the byte offset. kTooLarge, kNoMemory.
#ifndef HOLDFAST_TRANSPORT_WIRE_H_
#define HOLDFAST_TRANSPORT_WIRE_H_

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "hal/base/text.h"

namespace holdfast::wire {

// Appends {"name":value,...}. Booleans by column type, blobs as base64, dates as text. A real that
// is not finite is written as null. kTooLarge when the writer is full; kInvalidArgument for a text
// that is not UTF-8 (any program writes to the database): no server could take that row.
Result<void> EncodeRow(RowView row, TextWriter& out);

// One value of such a row, without its name. A full writer is no error here.
Result<void> EncodeScalar(const Field& field, TextWriter& out);

// A part of a long text, without quotes around it; cut between characters. kInvalidArgument: not
// UTF-8. A full writer is no error here.
Result<void> EncodeTextPart(std::string_view text, TextWriter& out);

// A string as JSON, with quotes; what is not UTF-8 in it becomes U+FFFD.
void EncodeString(std::string_view text, TextWriter& out);

// One JSON object -> fields, in order. Integers that fit 64 bits are kInteger, other numbers kReal;
// strings are kText. Numbers that overflow to infinity become null. Nested objects and arrays are
// kept as their JSON text without white space (kText) when `keep_nested`, else refused. On an error
// the row is empty and the arena as it was. Names that differ by case only are duplicates.
struct DecodeOptions {
  bool keep_nested = false;
  std::size_t most_bytes = limits::kRowBytes;  // of the text
};
Result<void> DecodeRow(std::string_view json, Arena& arena, RowFields& row,
                       const DecodeOptions& options = {});

// Makes decoded values what a column is declared to hold: base64 text -> blob, true/1 -> boolean,
// "2026-..+02:00" -> UTC with 3 decimals, 1.0 -> integer 1. A value that cannot be is left as it
// is: the store keeps what the server said.
Result<void> Conform(ColumnType type, Arena& arena, Value& value);

// The text of an error body: a JSON string, or its "error", "message", "description", "detail" or
// "title" member, or the text itself (tags cut). Never fails; at most `out`'s size.
std::string_view ErrorText(std::string_view body, bool is_json, Arena& arena, std::span<char> out);

// Splits the body of a list answer into rows while it arrives, with the memory of one row. Takes
// [..], {"results":[..],"count":n}, {"items":[..],"count":n,"nextLink":".."} and, as the old
// clients do, a single object as a list of one.
class PageReader {
 public:
  // The largest row is `buffer`'s size.
  PageReader(std::span<char> buffer, Arena& arena, RowSink& sink);

  Result<void> Feed(std::string_view chunk);
  // Ok only when the body was whole.
  Result<void> Finish();

  std::uint64_t rows() const { return rows_; }
  std::int64_t count() const { return count_; }                     // -1: the server did not say
  std::string_view next_link() const { return next_link_.view(); }  // 3.0

 private:
  // In the order of a body; all from kFirstMember on belong to an object.
  enum class State : std::uint8_t {
    kStart,
    kFirstRow,
    kNextRow,
    kRow,
    kAfterRow,
    kFirstMember,
    kNextMember,
    kName,
    kColon,
    kBeforeValue,
    kValue,
    kAfterMember,
    kEnd,
  };
  enum class Member : std::uint8_t { kOther, kList, kCount, kNextLink };

  Error Bad(const char* what) const;
  Error Lift(Error error) const;
  Result<void> Consume(std::string_view chunk);
  Result<std::size_t> Step(char c);
  Result<std::size_t> Open(char c);
  Result<std::size_t> EndList();
  Result<std::size_t> EndObject();
  Result<std::size_t> Begin(State state);
  Result<std::size_t> Collect(std::string_view chunk);
  std::size_t Scan(std::string_view chunk, bool& done);
  Result<void> Keep(std::string_view text);
  Result<void> Append(std::string_view text);
  Result<void> Row(std::string_view json);
  Result<void> Name(std::string_view json);
  Result<void> MemberValue(std::string_view json);

  std::span<char> buffer_;
  Arena& arena_;
  RowSink& sink_;
  State state_ = State::kStart;
  Member member_ = Member::kOther;
  std::size_t used_ = 0;         // of buffer_
  std::size_t value_start_ = 0;  // in buffer_, of the name or value under way
  std::size_t depth_ = 0;
  std::size_t offset_ = 0;  // in the body
  std::size_t row_offset_ = 0;
  std::size_t value_offset_ = 0;
  std::size_t mark_bytes_ = 0;  // of a byte order mark
  bool in_string_ = false;
  bool escaped_ = false;
  bool wrapped_ = false;  // the list is a member of an object
  bool has_id_ = false;   // the object has a member of that name
  std::optional<Error> failure_;
  std::uint64_t rows_ = 0;
  std::int64_t count_ = -1;
  FixedString<limits::kUrlBytes> next_link_;
  RowFields fields_;
};

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_H_
