// SPDX-License-Identifier: Apache-2.0
// server/sqlite_db.h - SQLite with owners: a connection, and statements that finalize themselves.
//
// Errors:  Database::Run() and Prepare() throw StorageError: for what cannot fail unless the disk
//          does. Statement::Step() returns SQLite's code: the caller decides.
#ifndef HOLDFAST_SERVER_SQLITE_DB_H_
#define HOLDFAST_SERVER_SQLITE_DB_H_

#include <sqlite3.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

#include "hal/base/row.h"

namespace holdfast::server {

class StorageError : public std::runtime_error {
 public:
  StorageError(int code, const std::string& what) : std::runtime_error(what), code_(code) {}
  int code() const { return code_; }

 private:
  int code_;
};

class Statement {
 public:
  Statement() = default;
  explicit Statement(sqlite3_stmt* statement) : statement_(statement) {}

  explicit operator bool() const { return statement_ != nullptr; }

  // Parameters count from 1. Texts are borrowed until Reset().
  void Bind(int index, const Value& value);
  void Bind(int index, std::string_view text) { Bind(index, Value::Text(text)); }
  void Bind(int index, std::int64_t number) { Bind(index, Value::Integer(number)); }

  int Step() { return sqlite3_step(statement_.get()); }
  void Reset() {
    sqlite3_reset(statement_.get());
    sqlite3_clear_bindings(statement_.get());
  }

  // Columns count from 0; views last until the next Step() or Reset().
  bool IsNull(int column) { return sqlite3_column_type(get(), column) == SQLITE_NULL; }
  std::int64_t Integer(int column) { return sqlite3_column_int64(get(), column); }
  std::string_view Text(int column);
  Value Read(int column, ColumnType type);
  // Of a text or a blob.
  std::size_t Bytes(int column);

  sqlite3_stmt* get() { return statement_.get(); }

 private:
  struct Finalize {
    void operator()(sqlite3_stmt* statement) const { sqlite3_finalize(statement); }
  };
  std::unique_ptr<sqlite3_stmt, Finalize> statement_;
};

// Resets a cached statement at the end of a scope, whatever way that is left.
class ResetAtEnd {
 public:
  explicit ResetAtEnd(Statement& statement) : statement_(statement) {}
  ~ResetAtEnd() { statement_.Reset(); }
  ResetAtEnd(const ResetAtEnd&) = delete;
  ResetAtEnd& operator=(const ResetAtEnd&) = delete;

 private:
  Statement& statement_;
};

class Database {
 public:
  // WAL, synchronous=FULL: what a COMMIT has returned for survives a power cut.
  explicit Database(const std::string& path);

  void Run(const std::string& sql);
  Statement Prepare(const std::string& sql);
  // An empty statement when the SQL is refused; message() says why.
  Statement TryPrepare(const std::string& sql);

  bool in_transaction() const { return sqlite3_get_autocommit(handle_.get()) == 0; }
  int changes() const { return sqlite3_changes(handle_.get()); }
  std::int64_t last_row_id() const { return sqlite3_last_insert_rowid(handle_.get()); }
  const char* message() const { return sqlite3_errmsg(handle_.get()); }

 private:
  struct Close {
    void operator()(sqlite3* handle) const { sqlite3_close_v2(handle); }
  };
  std::unique_ptr<sqlite3, Close> handle_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_SQLITE_DB_H_
