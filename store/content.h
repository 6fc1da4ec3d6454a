// SPDX-License-Identifier: Apache-2.0
// store/content.h - a row's content as text in the queue: "col"=1,"other"='it''s',"raw"=X'00FF'
//
// Purpose: triggers write it with quote(), which every SQLite has and which keeps each digit of a
//          number and each byte of a blob; this reads and writes the same form.
// Owner:   parsed values borrow from the arena.
// Errors:  kCorrupt: not that form. Columns that the table does not have are passed over.
#ifndef HOLDFAST_STORE_CONTENT_H_
#define HOLDFAST_STORE_CONTENT_H_

#include <sqlite3.h>

#include <array>
#include <cstdint>
#include <string_view>

#include "hal/base/arena.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "store/store.h"

namespace holdfast::store {

struct ContentValues {
  std::array<Value, limits::kColumns> values;
  std::uint64_t present = 0;  // bit n: columns()[n] is there
};

Result<void> ParseContent(std::string_view text, const Table& table, Arena& arena,
                          ContentValues& out);

// Text that grows by SQLite's allocator, and is given back at the end.
class SqlText {
 public:
  SqlText() : text_(sqlite3_str_new(nullptr)) {}
  ~SqlText() { sqlite3_free(sqlite3_str_finish(text_)); }
  SqlText(const SqlText&) = delete;
  SqlText& operator=(const SqlText&) = delete;

  SqlText& Put(std::string_view text) {
    sqlite3_str_append(text_, text.data(), int(text.size()));
    return *this;
  }
  SqlText& Put(char c) { return Put(std::string_view(&c, 1)); }
  // kNoMemory, kTooLarge.
  Result<std::string_view> Finish() const;

 private:
  sqlite3_str* text_;
};

// The user's columns among `row`, in the form above; a column that is absent is left out.
void WriteContent(RowView row, const Table& table, SqlText& out);

// {"id":"..","col":..} for people and for `conflicts`.
void WriteJson(std::string_view id, RowView row, SqlText& out);

// The value with its text or bytes in the arena.
Result<Value> CopyValue(const Value& value, Arena& arena);

// Position of a column; -1: there is none of that name.
int IndexOf(const Table& table, std::string_view column);

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_CONTENT_H_
