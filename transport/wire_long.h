// SPDX-License-Identifier: Apache-2.0
// transport/wire_long.h - a row as JSON that is too long for memory, read member by member.
//
// Purpose: what is short comes as a value; of a long string, the caller takes as much at a time as
//          he has room for. The text comes from wherever the caller keeps it, in order.
// Owner:   borrows the source; short values live until the next member is asked for.
// Threads: one.
// Errors:  kBadAnswer with Origin::kJson and the offset: no row, nested values, not UTF-8.
// kTooLarge:
//          more members than a row has. What the source says.
// Standard: RFC 8259.
#ifndef HOLDFAST_TRANSPORT_WIRE_LONG_H_
#define HOLDFAST_TRANSPORT_WIRE_LONG_H_

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/result.h"
#include "hal/base/row.h"

namespace holdfast::wire {

class TextSource {
 public:
  virtual ~TextSource() = default;
  // Fills the front of `out`, and says how far; 0 is the end.
  virtual Result<std::size_t> Read(std::uint64_t offset, std::span<char> out) = 0;
};

class LongRowReader {
 public:
  // Longer strings are long ones.
  static constexpr std::size_t kShortBytes = 8 << 10;

  explicit LongRowReader(TextSource& source) : source_(source) {}

  struct Member {
    std::string_view name;
    Value value;           // kText without its text when it is long
    bool is_long = false;  // its text comes by ReadText()
  };
  // false: the row has ended, and so has the text. What is left of a long string is passed over.
  Result<bool> Next(Member& member);
  // More of the long string, unescaped, whole characters only; empty: that was all of it.
  // REQUIRES: room for 4 bytes.
  Result<std::string_view> ReadText(std::span<char> out);

 private:
  Result<bool> Fill(std::size_t wanted);
  Result<char> Look();
  Result<char> SkipSpace();
  Result<void> Expect(char c, const char* what);
  Result<void> String(std::span<char> out, std::string_view& text, bool& whole);
  Result<std::size_t> Character(std::span<char> out);
  Result<unsigned> Escape();
  Result<unsigned> Unit();
  Result<void> Word(Value& value);
  Error Bad(const char* what) const;

  TextSource& source_;
  std::uint64_t read_ = 0;  // of the source
  std::size_t at_ = 0, end_ = 0;
  bool begun_ = false, in_long_ = false;
  int members_ = 0;
  std::array<char, 4096> window_;
  std::array<char, limits::kColumnNameBytes * 4> name_;
  std::array<char, kShortBytes> text_;
  std::string_view pending_;  // of text_: the beginning of a long string
};

}  // namespace holdfast::wire

#endif  // HOLDFAST_TRANSPORT_WIRE_LONG_H_
