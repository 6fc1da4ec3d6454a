// SPDX-License-Identifier: Apache-2.0
#include "store/content.h"

#include <cstring>

#include "hal/base/text.h"
#include "store/sql.h"

namespace holdfast::store {
namespace {

Error Damaged() {
  return {Code::kCorrupt, Origin::kNone, 0, "the content of a queued operation cannot be read"};
}

// Walks over text in the arena, undoing doubled quotes in place.
class Reader {
 public:
  Reader(char* text, std::size_t size) : at_(text), end_(text + size) {}

  bool done() const { return at_ == end_; }
  bool Skip(char c) {
    if (done() || *at_ != c) return false;
    ++at_;
    return true;
  }
  // What stands between two `mark`s. The cursor is on the first.
  bool Quoted(char mark, std::string_view& out) {
    if (!Skip(mark)) return false;
    char* const begin = at_;
    char* to = at_;
    while (!done()) {
      if (*at_ == mark) {
        ++at_;
        if (done() || *at_ != mark) {
          out = {begin, std::size_t(to - begin)};
          return true;
        }
      }
      *to++ = *at_++;
    }
    return false;
  }
  bool Literal(Value& out) {
    if (done()) return false;
    if (*at_ == '\'') {
      std::string_view text;
      if (!Quoted('\'', text)) return false;
      out = Value::Text(text);
      return true;
    }
    if (*at_ == 'X' || *at_ == 'x') return Blob(out);
    char* const begin = at_;
    while (!done() && *at_ != ',') ++at_;
    const std::string_view word(begin, std::size_t(at_ - begin));
    if (const auto integer = ParseInteger(word)) {
      out = Value::Integer(*integer);
    } else if (const auto real = ParseReal(word)) {
      out = Value::Real(*real);
    } else {
      out = Value::Null();  // NULL; and infinities, which no server could take
    }
    return !word.empty();
  }

 private:
  static int Digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    if (c >= 'A' && c <= 'F') return c - 'A' + 10;
    if (c >= 'a' && c <= 'f') return c - 'a' + 10;
    return -1;
  }
  bool Blob(Value& out) {
    ++at_;
    std::string_view digits;
    char* const bytes = at_;
    if (!Quoted('\'', digits) || digits.size() % 2 != 0) return false;
    for (std::size_t i = 0; i < digits.size(); i += 2) {
      const int high = Digit(digits[i]), low = Digit(digits[i + 1]);
      if (high < 0 || low < 0) return false;
      bytes[i / 2] = char(high * 16 + low);
    }
    out = Value::Blob({bytes, digits.size() / 2});
    return true;
  }

  char* at_;
  char* end_;
};

void PutQuoted(std::string_view text, char mark, SqlText& out) {
  out.Put(mark);
  for (std::size_t start = 0; start < text.size();) {
    const std::size_t found = text.find(mark, start);
    const std::size_t end = found == std::string_view::npos ? text.size() : found + 1;
    out.Put(text.substr(start, end - start));
    if (found != std::string_view::npos) out.Put(mark);
    start = end;
  }
  out.Put(mark);
}

void PutNumber(const Value& value, bool keep_real, SqlText& out) {
  char room[40];
  TextWriter number(room);
  if (value.type == ValueType::kReal) {
    number.PutReal(value.real, keep_real);
  } else {
    number.PutInteger(value.integer);
  }
  out.Put(number.view());
}

void PutLiteral(const Value& value, SqlText& out) {
  switch (value.type) {
    case ValueType::kNull: out.Put("NULL"); return;
    case ValueType::kInteger:
    case ValueType::kBoolean:
    case ValueType::kReal: PutNumber(value, true, out); return;
    case ValueType::kText: PutQuoted(value.text, '\'', out); return;
    case ValueType::kBlob: {
      out.Put("X'");
      for (const char c : value.text) {
        char room[2];
        TextWriter hex(room);
        out.Put(hex.PutHex({&c, 1}).view());
      }
      out.Put('\'');
      return;
    }
  }
}

void PutJsonText(std::string_view text, SqlText& out) {
  out.Put('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out.Put('\\').Put(c);
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char room[2];
      TextWriter hex(room);
      out.Put("\\u00").Put(hex.PutHex({&c, 1}).view());
    } else {
      out.Put(c);
    }
  }
  out.Put('"');
}

void PutJson(const Field& field, SqlText& out) {
  const Value& value = field.value;
  switch (value.type) {
    case ValueType::kNull: out.Put("null"); return;
    case ValueType::kInteger:
    case ValueType::kBoolean:
      if (field.type == ColumnType::kBoolean || value.type == ValueType::kBoolean) {
        out.Put(value.integer != 0 ? "true" : "false");
        return;
      }
      PutNumber(value, false, out);
      return;
    case ValueType::kReal: PutNumber(value, false, out); return;
    case ValueType::kText: PutJsonText(value.text, out); return;
    case ValueType::kBlob: {
      out.Put('"');
      for (std::size_t start = 0; start < value.text.size(); start += 48) {
        char room[64];
        TextWriter piece(room);
        out.Put(piece.PutBase64(value.text.substr(start, 48)).view());
      }
      out.Put('"');
      return;
    }
  }
}

}  // namespace

Result<std::string_view> SqlText::Finish() const {
  const int code = sqlite3_str_errcode(text_);
  if (code != SQLITE_OK) return SqlError(code);
  const char* text = sqlite3_str_value(text_);
  if (text == nullptr) return std::string_view();
  return std::string_view(text, std::size_t(sqlite3_str_length(text_)));
}

Result<Value> CopyValue(const Value& value, Arena& arena) {
  if (value.type != ValueType::kText && value.type != ValueType::kBlob) return value;
  Value kept = value;
  HF_TRY_ASSIGN(kept.text, arena.Copy(value.text));
  return kept;
}

int IndexOf(const Table& table, std::string_view column) {
  const auto columns = table.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (EqualsIgnoreCase(columns[i].name.view(), column)) return int(i);
  }
  return -1;
}

Result<void> ParseContent(std::string_view text, const Table& table, Arena& arena,
                          ContentValues& out) {
  out.present = 0;
  auto* room = static_cast<char*>(arena.AllocateBytes(text.size()));
  if (room == nullptr) return Arena::Full();
  if (!text.empty()) std::memcpy(room, text.data(), text.size());
  Reader reader(room, text.size());
  while (!reader.done()) {
    (void)reader.Skip(',');
    std::string_view name;
    Value value;
    if (!reader.Quoted('"', name) || !reader.Skip('=') || !reader.Literal(value)) return Damaged();
    const int index = IndexOf(table, name);
    if (index < 0) continue;
    out.values[std::size_t(index)] = value;
    out.present |= std::uint64_t{1} << index;
  }
  return Ok();
}

void WriteContent(RowView row, const Table& table, SqlText& out) {
  bool first = true;
  for (const Column& column : table.columns()) {
    const Field* field = Find(row, column.name.view());
    if (field == nullptr) continue;
    if (!first) out.Put(',');
    first = false;
    PutQuoted(column.name.view(), '"', out);
    out.Put('=');
    PutLiteral(field->value, out);
  }
}

void WriteJson(std::string_view id, RowView row, SqlText& out) {
  out.Put("{\"id\":");
  PutJsonText(id, out);
  for (const Field& field : row) {
    out.Put(',');
    PutJsonText(field.name, out);
    out.Put(':');
    PutJson(field, out);
  }
  out.Put('}');
}

std::uint64_t DigestRow(const Table& table, RowView row, std::uint64_t mask) {
  std::uint64_t digest = kDigestStart;
  const auto columns = table.columns();
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if ((mask >> i & 1) == 0) continue;
    const Field* field = Find(row, columns[i].name.view());
    digest = DigestValue(digest, ColumnType::kInteger, Value::Integer(std::int64_t(i)));
    digest = DigestValue(digest, columns[i].type, field != nullptr ? field->value : Value::Null());
  }
  return digest;
}

}  // namespace holdfast::store
