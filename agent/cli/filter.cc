// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/filter.h"

#include <algorithm>
#include <cstdio>
#include <string>

#include "agent/cli/output.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kScratchBytes = limits::kFilterBytes + 4096;

class LenientColumns : public query::Columns {
 public:
  LenientColumns(const store::Table& table, bool any) : table_(table), any_(any) {}
  std::optional<query::ColumnInfo> Lookup(std::string_view name) const override {
    auto info = table_.Lookup(name);
    if (!info && any_) return query::ColumnInfo{};
    return info;
  }

 private:
  const store::Table& table_;
  bool any_;
};

}  // namespace

void PrintQueryError(const char* option, std::string_view text, const query::QueryError& error) {
  Complain("%s: column %zu: %s", option, error.column,
           error.what != nullptr ? error.what : "not understood");
  if (error.column == 0) return;
  // A caret under the character: bytes that continue a UTF-8 character take no place.
  const std::size_t bytes = std::min(error.column - 1, text.size());
  std::string shown(text), caret;
  std::replace_if(
      shown.begin(), shown.end(), [](char c) { return c >= 0 && c < ' '; }, ' ');
  for (std::size_t i = 0; i < bytes; ++i) {
    if ((static_cast<unsigned char>(shown[i]) & 0xC0) != 0x80) caret.push_back(' ');
  }
  std::fprintf(stderr, "  %s\n  %s^\n", shown.c_str(), caret.c_str());
}

CheckedFilter::CheckedFilter()
    : room_(new Room),
      arena_({room_->arena, sizeof room_->arena}),
      scratch_bytes_(new char[kScratchBytes]) {}

bool CheckedFilter::CheckWhere(std::string_view text, const store::Table& table, bool any_columns) {
  query::QueryError error;
  arena_.Reset();
  auto checked = query::ParseFilter(text, arena_, room_->filter, error);
  if (checked) {
    // The store makes the SQL anew from the parsed filter; this is for the names and types.
    Arena scratch({scratch_bytes_.get(), kScratchBytes});
    TextWriter sql({room_->sql, sizeof room_->sql});
    checked = query::AppendWhere(room_->filter, LenientColumns(table, any_columns), scratch, sql,
                                 room_->parameters, error);
  }
  if (!checked) PrintQueryError("--where", text, error);
  return checked.ok();
}

bool CheckedFilter::CheckOrder(std::string_view text, const store::Table& table, bool any_columns) {
  query::QueryError error;
  TextWriter sql({room_->sql, sizeof room_->sql});
  auto checked = query::AppendOrderBy(text, LenientColumns(table, any_columns), sql, error);
  if (!checked) PrintQueryError("--order", text, error);
  return checked.ok();
}

}  // namespace holdfast::agent
