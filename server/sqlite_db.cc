// SPDX-License-Identifier: Apache-2.0
#include "server/sqlite_db.h"

namespace holdfast::server {

void Statement::Bind(int index, const Value& value) {
  sqlite3_stmt* statement = get();
  const char* data = value.text.data() == nullptr ? "" : value.text.data();
  switch (value.type) {
    case ValueType::kNull: sqlite3_bind_null(statement, index); break;
    case ValueType::kInteger:
    case ValueType::kBoolean: sqlite3_bind_int64(statement, index, value.integer); break;
    case ValueType::kReal: sqlite3_bind_double(statement, index, value.real); break;
    case ValueType::kText:
      sqlite3_bind_text64(statement, index, data, value.text.size(), SQLITE_STATIC, SQLITE_UTF8);
      break;
    case ValueType::kBlob:
      sqlite3_bind_blob64(statement, index, data, value.text.size(), SQLITE_STATIC);
      break;
  }
}

std::string_view Statement::Text(int column) {
  const void* text = sqlite3_column_blob(get(), column);
  const auto size = static_cast<std::size_t>(sqlite3_column_bytes(get(), column));
  return {text == nullptr ? "" : static_cast<const char*>(text), size};
}

std::size_t Statement::Bytes(int column) {
  const int type = sqlite3_column_type(get(), column);
  if (type != SQLITE_TEXT && type != SQLITE_BLOB) return 0;
  return static_cast<std::size_t>(sqlite3_column_bytes(get(), column));
}

Value Statement::Read(int column, ColumnType type) {
  switch (sqlite3_column_type(get(), column)) {
    case SQLITE_INTEGER: {
      const std::int64_t number = Integer(column);
      return type == ColumnType::kBoolean ? Value::Boolean(number != 0) : Value::Integer(number);
    }
    case SQLITE_FLOAT: return Value::Real(sqlite3_column_double(get(), column));
    case SQLITE_TEXT: return Value::Text(Text(column));
    case SQLITE_BLOB: return Value::Blob(Text(column));
    default: return Value::Null();
  }
}

Database::Database(const std::string& path) {
  sqlite3_initialize();
  sqlite3* handle = nullptr;
  const int code =
      sqlite3_open_v2(path.c_str(), &handle,
                      SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, nullptr);
  handle_.reset(handle);
  if (code != SQLITE_OK) {
    throw StorageError(code, path + ": " + (handle ? sqlite3_errmsg(handle) : "no memory"));
  }
  sqlite3_extended_result_codes(handle, 1);
  sqlite3_busy_timeout(handle, 5000);
  Run("PRAGMA journal_mode=WAL");
  Run("PRAGMA synchronous=FULL");
  Run("PRAGMA cache_size=-16384");
  Run("PRAGMA wal_autocheckpoint=4000");
  Run("PRAGMA journal_size_limit=33554432");
  Run("PRAGMA trusted_schema=OFF");
}

void Database::Run(const std::string& sql) {
  const int code = sqlite3_exec(handle_.get(), sql.c_str(), nullptr, nullptr, nullptr);
  if (code != SQLITE_OK) throw StorageError(code, sql.substr(0, 60) + ": " + message());
}

Statement Database::TryPrepare(const std::string& sql) {
  sqlite3_stmt* statement = nullptr;
  sqlite3_prepare_v3(handle_.get(), sql.data(), static_cast<int>(sql.size()),
                     SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  return Statement(statement);
}

Statement Database::Prepare(const std::string& sql) {
  Statement statement = TryPrepare(sql);
  if (!statement) {
    throw StorageError(sqlite3_errcode(handle_.get()), sql.substr(0, 60) + ": " + message());
  }
  return statement;
}

}  // namespace holdfast::server
