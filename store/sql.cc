// SPDX-License-Identifier: Apache-2.0
#include "store/sql.h"

#include <cmath>

namespace holdfast::store {
namespace {

std::string Quote(std::string_view text, char mark) {
  std::string quoted(1, mark);
  for (const char c : text) {
    quoted += c;
    if (c == mark) quoted += c;
  }
  quoted += mark;
  return quoted;
}

// SQLite takes a null pointer for NULL, and an empty view has one.
const char* Bytes(std::string_view text) { return text.empty() ? "" : text.data(); }

}  // namespace

Error SqlError(int code) {
  const auto error = [code](Code ours, const char* what) {
    return Error{ours, Origin::kSqlite, code, what};
  };
  switch (code & 0xff) {
    case SQLITE_BUSY:
    case SQLITE_LOCKED: return error(Code::kBusy, "another program keeps the database locked");
    case SQLITE_NOMEM: return error(Code::kNoMemory, "SQLite got no memory");
    case SQLITE_READONLY: return error(Code::kReadOnly, "the database cannot be written");
    case SQLITE_PERM:
    case SQLITE_AUTH:
    case SQLITE_CANTOPEN: return error(Code::kIo, "the database cannot be opened");
    case SQLITE_IOERR:
      if (code == SQLITE_IOERR_NOMEM) return error(Code::kNoMemory, "SQLite got no memory");
      return error(Code::kIo, "reading or writing the database failed");
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB: return error(Code::kCorrupt, "the database is damaged");
    case SQLITE_FULL: return error(Code::kNoSpace, "no space left for the database");
    case SQLITE_TOOBIG: return error(Code::kTooLarge, "a value is too large for SQLite");
    case SQLITE_INTERRUPT: return error(Code::kCancelled, "interrupted");
    case SQLITE_CONSTRAINT:
      if (code == SQLITE_CONSTRAINT_PRIMARYKEY || code == SQLITE_CONSTRAINT_UNIQUE) {
        return error(Code::kExists, "a row of that id is there");
      }
      return error(Code::kInvalidArgument, "a constraint of the table refuses the row");
    default: return error(Code::kInvalidArgument, "SQLite refuses the statement");
  }
}

Result<void> Execute(sqlite3* database, const char* sql) {
  const int code = sqlite3_exec(database, sql, nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) return SqlError(code);
  return Ok();
}

void Statement::Close() {
  sqlite3_finalize(statement_);
  statement_ = nullptr;
}

void Statement::Assign(std::string sql) {
  Close();
  sql_ = std::move(sql);
}

Result<void> Statement::Open(sqlite3* database) {
  if (statement_ != nullptr) return Ok();
  const int code = sqlite3_prepare_v3(database, sql_.data(), int(sql_.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  if (code != SQLITE_OK) return SqlError(code);
  return Ok();
}

Result<void> Statement::Open(sqlite3* database, std::string_view sql) {
  HF_ASSERT(statement_ == nullptr);
  const int code = sqlite3_prepare_v3(database, sql.data(), int(sql.size()),
                                      SQLITE_PREPARE_PERSISTENT, &statement_, nullptr);
  if (code != SQLITE_OK) return SqlError(code);
  return Ok();
}

void Statement::Bind(int index, std::string_view text) {
  Note(sqlite3_bind_text(statement_, index, Bytes(text), int(text.size()), SQLITE_STATIC));
}

void Statement::BindBlob(int index, std::string_view bytes) {
  Note(sqlite3_bind_blob(statement_, index, Bytes(bytes), int(bytes.size()), SQLITE_STATIC));
}

void Statement::BindOptional(int index, std::string_view text) {
  if (text.empty()) {
    BindNull(index);
  } else {
    Bind(index, text);
  }
}

void Statement::Bind(int index, const Value& value) {
  switch (value.type) {
    case ValueType::kNull: return BindNull(index);
    case ValueType::kInteger:
    case ValueType::kBoolean: return Bind(index, value.integer);
    case ValueType::kReal: return Note(sqlite3_bind_double(statement_, index, value.real));
    case ValueType::kText: return Bind(index, value.text);
    case ValueType::kBlob: return BindBlob(index, value.text);
  }
}

Result<bool> Statement::Step() {
  if (bind_error_ != SQLITE_OK) return SqlError(bind_error_);
  const int code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  if (code == SQLITE_DONE) return false;
  return SqlError(code);
}

Result<void> Statement::Run() {
  const Using use(*this);
  for (;;) {
    HF_TRY_ASSIGN(const bool row, Step());
    if (!row) return Ok();
  }
}

void Statement::Reset() {
  // Reset repeats the error of the last step, which was returned already.
  (void)sqlite3_reset(statement_);
  bind_error_ = SQLITE_OK;
}

std::string_view Statement::Text(int column) {
  const void* bytes = sqlite3_column_blob(statement_, column);
  if (bytes == nullptr) return {};
  return {static_cast<const char*>(bytes), std::size_t(sqlite3_column_bytes(statement_, column))};
}

Value Statement::At(int column) {
  switch (sqlite3_column_type(statement_, column)) {
    case SQLITE_INTEGER: return Value::Integer(Integer(column));
    case SQLITE_FLOAT: {
      const double real = sqlite3_column_double(statement_, column);
      return std::isfinite(real) ? Value::Real(real) : Value::Null();
    }
    case SQLITE_TEXT: return Value::Text(Text(column));
    case SQLITE_BLOB: return Value::Blob(Text(column));
    default: return Value::Null();
  }
}

Result<void> BlobHandle::Open(sqlite3* database, const char* table, const char* column,
                              std::int64_t row, bool write) {
  Close();
  HF_TRY(column_.Assign(column));
  const int code = sqlite3_blob_open(database, "main", table, column, row, write ? 1 : 0, &blob_);
  if (code != SQLITE_OK) {
    Close();
    return SqlError(code);
  }
  row_ = row;
  return Ok();
}

Result<void> BlobHandle::Read(std::uint64_t offset, std::span<char> out) {
  const int code = sqlite3_blob_read(blob_, out.data(), int(out.size()), int(offset));
  return code == SQLITE_OK ? Ok() : Result<void>(SqlError(code));
}

Result<void> BlobHandle::Write(std::uint64_t offset, std::string_view bytes) {
  const int code = sqlite3_blob_write(blob_, bytes.data(), int(bytes.size()), int(offset));
  return code == SQLITE_OK ? Ok() : Result<void>(SqlError(code));
}

void BlobHandle::Close() {
  sqlite3_blob_close(blob_);
  blob_ = nullptr;
}

void PutName(std::string_view name, TextWriter& sql) {
  sql.Put('"');
  for (const char c : name) {
    if (c == '"') sql.Put('"');
    sql.Put(c);
  }
  sql.Put('"');
}

std::string QuoteName(std::string_view name) { return Quote(name, '"'); }
std::string QuoteText(std::string_view text) { return Quote(text, '\''); }

}  // namespace holdfast::store
