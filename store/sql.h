// SPDX-License-Identifier: Apache-2.0
// store/sql.h - SQLite's C API as RAII, with errors as Result.
//
// Owner:   a Statement owns its sqlite3_stmt and must end before its connection is closed. What is
//          bound, and what a column gives, is borrowed: until Reset(), until the next Step().
// Threads: one.
// Errors:  SqlError(): SQLite's extended code in `native`, the code in our terms.
#ifndef HOLDFAST_STORE_SQL_H_
#define HOLDFAST_STORE_SQL_H_

#include <sqlite3.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/base/row.h"
#include "hal/base/text.h"

namespace holdfast::store {

Error SqlError(int code);

// Runs one or more statements without results.
Result<void> Execute(sqlite3* database, const char* sql);

class Statement {
 public:
  Statement() = default;
  // The text is prepared at the first Open().
  explicit Statement(std::string sql) : sql_(std::move(sql)) {}
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  // Another text; forgets what was prepared.
  void Assign(std::string sql);
  void Close();
  bool assigned() const { return !sql_.empty(); }
  Result<void> Open(sqlite3* database);
  // A text that need not stay; Close() comes before another one.
  Result<void> Open(sqlite3* database, std::string_view sql);

  // Parameters count from 1. The first error is returned by the next Step().
  void Bind(int index, std::int64_t value) { Note(sqlite3_bind_int64(statement_, index, value)); }
  void Bind(int index, std::string_view text);
  void BindBlob(int index, std::string_view bytes);
  // Empty text as NULL.
  void BindOptional(int index, std::string_view text);
  void BindNull(int index) { Note(sqlite3_bind_null(statement_, index)); }
  void Bind(int index, const Value& value);

  // true: a row is there. false: the end.
  Result<bool> Step();
  // Steps to the end, and resets.
  Result<void> Run();
  void Reset();

  std::int64_t Integer(int column) { return sqlite3_column_int64(statement_, column); }
  bool IsNull(int column) { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  std::string_view Text(int column);  // NULL as ""
  Value At(int column);
  int columns() { return sqlite3_column_count(statement_); }

 private:
  void Note(int code) {
    if (code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = code;
  }

  std::string sql_;
  sqlite3_stmt* statement_ = nullptr;
  int bind_error_ = SQLITE_OK;
};

// Resets a statement when it goes out of scope, so that no read transaction stays open.
class Using {
 public:
  explicit Using(Statement& statement) : statement_(statement) {}
  ~Using() { statement_.Reset(); }
  Using(const Using&) = delete;
  Using& operator=(const Using&) = delete;

 private:
  Statement& statement_;
};

// While it lives, a statement that meets a longer value says kTooLarge before it makes room for it.
class LengthLimit {
 public:
  LengthLimit(sqlite3* database, std::size_t bytes)
      : database_(database), before_(sqlite3_limit(database, SQLITE_LIMIT_LENGTH, int(bytes))) {}
  ~LengthLimit() { sqlite3_limit(database_, SQLITE_LIMIT_LENGTH, before_); }
  LengthLimit(const LengthLimit&) = delete;
  LengthLimit& operator=(const LengthLimit&) = delete;

 private:
  sqlite3* database_;
  int before_;
};

// SQLite's handle on one value, for reading or writing a part of it. It stays open for the next
// part: to find a place in a long value, SQLite walks over all that is before it.
class BlobHandle {
 public:
  BlobHandle() = default;
  BlobHandle(const BlobHandle&) = delete;
  BlobHandle& operator=(const BlobHandle&) = delete;
  ~BlobHandle() { Close(); }

  // `table`, `column`: end with a NUL.
  Result<void> Open(sqlite3* database, const char* table, const char* column, std::int64_t row,
                    bool write);
  bool is_open() const { return blob_ != nullptr; }
  bool Is(std::string_view column, std::int64_t row) const {
    return is_open() && column_ == column && row == row_;
  }
  Result<void> Read(std::uint64_t offset, std::span<char> out);
  Result<void> Write(std::uint64_t offset, std::string_view bytes);
  void Close();

 private:
  sqlite3_blob* blob_ = nullptr;
  FixedString<limits::kColumnNameBytes> column_;
  std::int64_t row_ = 0;
};

// Room for a statement that has every column of a table twice.
inline constexpr std::size_t kSqlBytes =
    limits::kColumns * (2 * limits::kColumnNameBytes + 24) + 2 * limits::kTableNameBytes + 256;

// "name" with its quotes doubled; 'text' likewise.
void PutName(std::string_view name, TextWriter& sql);
std::string QuoteName(std::string_view name);
std::string QuoteText(std::string_view text);

}  // namespace holdfast::store

#endif  // HOLDFAST_STORE_SQL_H_
