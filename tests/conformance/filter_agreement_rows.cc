// SPDX-License-Identifier: Apache-2.0
// Awkward values, and rows of them.
#include <cstdio>

#include "tests/conformance/filter_agreement.h"

namespace holdfast::agreement {
namespace {

struct Pools {
  std::vector<Cell> texts, wholes, reals, booleans, dates;
};

// Milliseconds of a day and time in UTC.
constexpr std::int64_t kLeapDayEnd = 1709251199999;       // 2024-02-29T23:59:59.999Z
constexpr std::int64_t kNewYear = 1735689600000;          // 2025-01-01T00:00:00.000Z
constexpr std::int64_t kTwoTo53 = std::int64_t{1} << 53;  // from here on reals have gaps

const Pools& AllPools() {
  static const Pools pools = [] {
    Pools made;
    made.texts = {Cell()};
    for (const char* const text : {"",
                                   " ",
                                   "'",
                                   "''",
                                   "it's",
                                   "\"",
                                   "\"x\"",
                                   "%",
                                   "100%_x",
                                   "_",
                                   "a_b",
                                   "\\",
                                   "a\\b",
                                   "Apple",
                                   "apple",
                                   "APPLE",
                                   "abc",
                                   "abcabc",
                                   "bc",
                                   "  abc ",
                                   "abc  ",
                                   "\tabc",
                                   "a\nb",
                                   "\xC3\xA4pfel",
                                   "\xC3\x84pfel",
                                   "\xE6\xB8\xA9\xE5\xBA\xA6",
                                   "a\xF0\x9F\x8C\xA1z",
                                   "e\xCC\x81",
                                   "\xC3\xA9",
                                   "12",
                                   "12.0",
                                   "1e3",
                                   "null",
                                   "true",
                                   "2024-02-29T23:59:59.999Z",
                                   "2025-01-01",
                                   "a+b&c=d#e",
                                   "x,y(z)",
                                   "z",
                                   "Z",
                                   "le",
                                   "?1",
                                   "'; DROP TABLE t; --",
                                   "%41%2B"}) {
      made.texts.push_back(Cell::Text(text));
    }
    made.wholes = {Cell()};
    for (const std::int64_t whole :
         {std::int64_t{0}, std::int64_t{1}, std::int64_t{-1}, std::int64_t{2}, std::int64_t{3},
          std::int64_t{-3}, std::int64_t{5}, std::int64_t{7}, std::int64_t{-7}, std::int64_t{12},
          std::int64_t{100}, std::int64_t{-100}, std::int64_t{2147483648}, kTwoTo53 - 1, kTwoTo53,
          kTwoTo53 + 1, -kTwoTo53 - 1, INT64_MAX, INT64_MIN}) {
      made.wholes.push_back(Cell::Integer(whole));
    }
    made.reals = {Cell()};
    for (const double real : {0.0,
                              0.1,
                              0.2,
                              0.3,
                              -0.1,
                              0.5,
                              -0.5,
                              1.0,
                              1.5,
                              2.0,
                              2.5,
                              -2.5,
                              3.0,
                              5.0,
                              7.5,
                              -7.5,
                              12.0,

                              -1.0 / 3,
                              9007199254740992.0,
                              -9007199254740992.0,

                              1e17,
                              9223372036854775808.0,
                              1e300,
                              -1e300,
                              1e-7,
                              1e-300,
                              5e-324}) {
      made.reals.push_back(Cell::Real(real));
    }
    made.booleans = {Cell::Boolean(true), Cell::Boolean(false), Cell()};
    made.dates = {Cell()};
    for (const std::int64_t ms :
         {kLeapDayEnd, kLeapDayEnd + 1, kNewYear, kNewYear - 1, kNewYear, kNewYear + 11045678,
          std::int64_t{0}, std::int64_t{-1}, std::int64_t{1000}, std::int64_t{951782400000},
          std::int64_t{-2208988800000}, std::int64_t{1336003560638}, std::int64_t{-62135596800000},
          std::int64_t{253402300799999}}) {
      made.dates.push_back(Cell::Date(ms));
    }
    return made;
  }();
  return pools;
}

}  // namespace

const std::vector<Cell>& PoolOf(Type type) {
  const Pools& pools = AllPools();
  switch (type) {
    case Type::kBoolean: return pools.booleans;
    case Type::kInteger: return pools.wholes;
    case Type::kReal: return pools.reals;
    case Type::kDate: return pools.dates;
    case Type::kText:
    case Type::kNull: break;
  }
  return pools.texts;
}

std::string RealText(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  std::string words = text;
  if (words.find_first_of(".e") == std::string::npos) words += ".0";
  return words;
}

std::string JsonOf(const std::string& text) {
  std::string json = "\"";
  for (const char c : text) {
    char escaped[8];
    std::snprintf(escaped, sizeof escaped, "\\u%04x", unsigned(static_cast<unsigned char>(c)));
    const bool is_plain = static_cast<unsigned char>(c) >= ' ' && c != '"' && c != '\\';
    json += is_plain ? std::string(1, c) : std::string(escaped);
  }
  return json + "\"";
}

std::string JsonOf(const Row& row) {
  std::string json = "{\"id\":" + JsonOf(row.id);
  for (const ColumnSpec& column : kColumns) {
    const Cell& cell = row.cells.at(column.name);
    json += ",\"" + std::string(column.name) + "\":";
    switch (cell.type) {
      case Type::kNull: json += "null"; break;
      case Type::kBoolean: json += cell.integer != 0 ? "true" : "false"; break;
      case Type::kInteger: json += std::to_string(cell.integer); break;
      case Type::kReal: json += RealText(cell.real); break;
      case Type::kText:
      case Type::kDate: json += JsonOf(cell.text); break;
    }
  }
  return json + "}";
}

std::vector<Row> AwkwardRows() {
  std::vector<Row> rows;
  for (std::size_t n = 0; n < 60; ++n) {
    Row row;
    char id[8];
    std::snprintf(id, sizeof id, "%c%02u", n % 7 == 0 ? 'R' : 'r', unsigned(n));
    row.id = id;
    row.cells["id"] = Cell::Text(row.id);
    row.cells["deleted"] = Cell::Boolean(false);
    // Steps without a common divisor, so that values meet different neighbours.
    std::size_t step = 1;
    for (const ColumnSpec& column : kColumns) {
      const auto& pool = PoolOf(column.type);
      row.cells[column.name] = pool[n * step % pool.size()];
      step += 6;
    }
    if (n % 2 == 1) {
      row.cells["createdAt"] = Cell::Date(kNewYear + std::int64_t(n / 8) * 1000);
      row.cells["updatedAt"] = Cell::Date(kNewYear + std::int64_t(n) * 60007);
      row.cells["version"] = Cell::Text("AAAA" + row.id + "=");
    }
    rows.push_back(std::move(row));
  }
  for (auto& [name, cell] : rows[58].cells) {
    if (name != "id" && name != "deleted") cell = Cell();
  }
  rows[59].cells["i"] = Cell::Integer(12);  // the same number, whole and real
  rows[59].cells["r"] = Cell::Real(12.0);
  return rows;
}

}  // namespace holdfast::agreement
