// SPDX-License-Identifier: Apache-2.0
// What filters mean, worked out value by value: nothing of the product takes part.
#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <optional>
#include <string_view>

#include "tests/conformance/filter_agreement.h"

namespace holdfast::agreement {
namespace {

using Kind = Expression::Kind;

constexpr std::int64_t kDayMs = 86400000;

// -1, 0, 1 by value: beyond 2^53 not every whole number is a double.
int OrderOf(std::int64_t whole, double real) {
  if (real >= 9223372036854775808.0) return -1;
  if (real < -9223372036854775808.0) return 1;
  const auto cut = static_cast<std::int64_t>(real);
  if (whole != cut) return whole < cut ? -1 : 1;
  const double rest = real - static_cast<double>(cut);
  return rest > 0 ? -1 : (rest < 0 ? 1 : 0);
}

template <typename T>
int OrderOf(const T& a, const T& b) {
  return a < b ? -1 : (b < a ? 1 : 0);
}

// Nothing, when one is null.
std::optional<int> Compare(const Cell& a, const Cell& b) {
  if (a.is_null() || b.is_null()) return std::nullopt;
  if (a.type == Type::kDate && b.type == Type::kDate) return OrderOf(a.integer, b.integer);
  if (!a.text.empty() || !b.text.empty() || a.type == Type::kText) return OrderOf(a.text, b.text);
  if (a.is_whole() && b.is_whole()) return OrderOf(a.integer, b.integer);
  if (a.is_whole()) return OrderOf(a.integer, b.real);
  if (b.is_whole()) return -OrderOf(b.integer, a.real);
  return OrderOf(a.real, b.real);
}

bool Equal(const Cell& a, const Cell& b) {
  return a.is_null() || b.is_null() ? a.is_null() && b.is_null() : Compare(a, b) == 0;
}

bool Holds(const std::string& word, const Cell& a, const Cell& b) {
  if (word == "eq") return Equal(a, b);
  if (word == "ne") return !Equal(a, b);
  const auto order = Compare(a, b);
  if (!order) return false;
  if (word == "gt") return *order > 0;
  if (word == "ge") return *order >= 0;
  return word == "lt" ? *order < 0 : *order <= 0;
}

Cell Reals(const std::string& word, double a, double b) {
  // volatile: each step is rounded, on machines with one instruction for two of them as well.
  volatile double result = 0;
  if (word == "add") result = a + b;
  if (word == "sub") result = a - b;
  if (word == "mul") result = a * b;
  if (word == "div") result = a / b;
  return Cell::Real(result);
}

Cell Wholes(const std::string& word, std::int64_t a, std::int64_t b) {
  std::int64_t result = 0;
  bool is_lost = false;
  if (word == "add") is_lost = __builtin_add_overflow(a, b, &result);
  if (word == "sub") is_lost = __builtin_sub_overflow(a, b, &result);
  if (word == "mul") is_lost = __builtin_mul_overflow(a, b, &result);
  if (word == "div") {
    is_lost = a == INT64_MIN && b == -1;
    if (!is_lost) result = a / b;
  }
  if (word == "mod") result = b == -1 ? 0 : a % b;
  return is_lost ? Reals(word, double(a), double(b)) : Cell::Integer(result);
}

Cell Remainder(const Cell& a, const Cell& b);

Cell Arithmetic(const std::string& word, const Cell& a, const Cell& b) {
  if (a.is_null() || b.is_null()) return {};
  if ((word == "div" || word == "mod") && b.number() == 0) return {};
  if (word == "mod") return Remainder(a, b);
  if (a.is_whole() && b.is_whole()) return Wholes(word, a.integer, b.integer);
  return Reals(word, a.number(), b.number());
}

// The quotient is cut to a whole number of 64 bits, or the nearest there is.
Cell Remainder(const Cell& a, const Cell& b) {
  if (a.is_whole() && b.is_whole()) return Wholes("mod", a.integer, b.integer);
  const Cell quotient = Arithmetic("div", a, b);
  if (quotient.is_null()) return quotient;
  const bool is_huge = OrderOf(INT64_MAX, quotient.real) < 0;
  const bool is_tiny = OrderOf(INT64_MIN, quotient.real) > 0;
  const std::int64_t times =
      is_huge ? INT64_MAX : (is_tiny ? INT64_MIN : std::int64_t(quotient.real));
  return Arithmetic("sub", a, Arithmetic("mul", b, Cell::Integer(times)));
}

Cell Negative(const Cell& cell) {
  if (cell.is_null()) return {};
  if (cell.type == Type::kReal) return Cell::Real(-cell.real);
  return Wholes("sub", 0, cell.integer);
}

// Where each code point begins, and the end.
std::vector<std::size_t> Starts(const std::string& text) {
  std::vector<std::size_t> starts;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if ((static_cast<unsigned char>(text[i]) & 0xC0) != 0x80) starts.push_back(i);
  }
  starts.push_back(text.size());
  return starts;
}
std::int64_t Length(const std::string& text) { return std::int64_t(Starts(text).size()) - 1; }

std::int64_t Count(const Cell& cell, std::int64_t most) {
  return std::clamp<std::int64_t>(cell.integer, 0, most);
}

Cell Substring(const std::vector<Cell>& given) {
  const std::string& text = given[0].text;
  const auto starts = Starts(text);
  const std::int64_t size = Length(text);
  const std::int64_t from = Count(given[1], size);
  const std::int64_t length = given.size() > 2 ? Count(given[2], size - from) : size - from;
  const std::size_t begin = starts[std::size_t(from)];
  return Cell::Text(text.substr(begin, starts[std::size_t(from + length)] - begin));
}

std::string Replaced(const std::string& text, const std::string& what, const std::string& by) {
  std::string result;
  for (std::size_t i = 0; i < text.size();) {
    if (text.compare(i, what.size(), what) == 0) {
      result += by;
      i += what.size();
    } else {
      result += text[i++];
    }
  }
  return result;
}

std::string Trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(' ');
  if (begin == std::string::npos) return "";
  return text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
}

std::string Cased(std::string text, char first, char last, int distance) {
  for (char& c : text) {
    if (c >= first && c <= last) c = char(c + distance);
  }
  return text;
}

struct DateParts {
  std::int64_t year, month, day, hour, minute, second, ms;
};
DateParts PartsOf(std::int64_t ms) {
  std::int64_t days = ms / kDayMs;
  if (ms % kDayMs < 0) --days;
  const std::int64_t rest = ms - days * kDayMs;
  const std::chrono::year_month_day date{std::chrono::sys_days{std::chrono::days{days}}};
  return {int(date.year()),  unsigned(date.month()), unsigned(date.day()), rest / 3600000,
          rest / 60000 % 60, rest / 1000 % 60,       rest % 1000};
}

Cell PartOf(const std::string& name, const Cell& date) {
  const DateParts parts = PartsOf(date.integer);
  if (name == "year") return Cell::Integer(parts.year);
  if (name == "month") return Cell::Integer(parts.month);
  if (name == "day") return Cell::Integer(parts.day);
  if (name == "hour") return Cell::Integer(parts.hour);
  return Cell::Integer(name == "minute" ? parts.minute : parts.second);
}

Cell Rounded(const std::string& name, const Cell& cell) {
  if (name == "round") return Cell::Real(std::round(cell.number()));
  if (cell.is_whole()) return cell;
  return Cell::Real(name == "floor" ? std::floor(cell.real) : std::ceil(cell.real));
}

Cell Called(const std::string& name, const std::vector<Cell>& given) {
  const bool any_null =
      std::any_of(given.begin(), given.end(), [](const Cell& one) { return one.is_null(); });
  const bool is_test =
      name == "substringof" || name == "contains" || name == "startswith" || name == "endswith";
  if (is_test && any_null) return Cell::Boolean(false);
  // There is nothing to look for, so it does not matter what it would become.
  if (name == "replace" && !given[0].is_null() && !given[1].is_null() && given[1].text.empty()) {
    return given[0];
  }
  if (any_null) return {};
  const std::string& text = given[0].text;
  if (name == "substringof") return Cell::Boolean(given[1].text.find(text) != std::string::npos);
  if (name == "contains") return Cell::Boolean(text.find(given[1].text) != std::string::npos);
  if (name == "startswith") return Cell::Boolean(text.starts_with(given[1].text));
  if (name == "endswith") return Cell::Boolean(text.ends_with(given[1].text));
  if (name == "floor" || name == "ceiling" || name == "round") return Rounded(name, given[0]);
  if (name == "tolower") return Cell::Text(Cased(text, 'A', 'Z', 'a' - 'A'));
  if (name == "toupper") return Cell::Text(Cased(text, 'a', 'z', 'A' - 'a'));
  if (name == "trim") return Cell::Text(Trimmed(text));
  if (name == "length") return Cell::Integer(Length(text));
  if (name == "concat") return Cell::Text(text + given[1].text);
  if (name == "replace") return Cell::Text(Replaced(text, given[1].text, given[2].text));
  if (name == "substring") return Substring(given);
  if (name == "indexof") {
    const std::size_t found = text.find(given[1].text);
    return Cell::Integer(found == std::string::npos ? -1 : Length(text.substr(0, found)));
  }
  return PartOf(name, given[0]);
}

Cell Joined(const std::string& word, const Cell& a, const Cell& b) {
  if (word == "and") return Cell::Boolean(IsTrue(a) && IsTrue(b));
  if (word == "or") return Cell::Boolean(IsTrue(a) || IsTrue(b));
  for (const char* const one : {"add", "sub", "mul", "div", "mod"}) {
    if (word == one) return Arithmetic(word, a, b);
  }
  return Cell::Boolean(Holds(word, a, b));
}

}  // namespace

Cell Cell::Real(double value) {
  if (std::isnan(value)) return {};
  return {Type::kReal, 0, value, {}};
}

Cell Cell::Date(std::int64_t ms) { return {Type::kDate, ms, 0, DateText(ms)}; }

std::string DateText(std::int64_t ms, int decimals) {
  const DateParts parts = PartsOf(ms);
  char text[80];
  std::snprintf(text, sizeof text, "%04d-%02d-%02dT%02d:%02d:%02d.%03d0000", int(parts.year),
                int(parts.month), int(parts.day), int(parts.hour), int(parts.minute),
                int(parts.second), int(parts.ms));
  const int size = decimals == 0 ? 19 : 20 + decimals;
  return std::string(text, std::size_t(size)) + "Z";
}

bool IsTrue(const Cell& cell) { return cell.is_whole() && cell.integer != 0; }

Cell Evaluate(const Expression& expression, const Row& row) {
  std::vector<Cell> given;
  for (const Expression& operand : expression.operands) given.push_back(Evaluate(operand, row));
  switch (expression.kind) {
    case Kind::kLiteral: return expression.literal;
    case Kind::kColumn: {
      const auto found = row.cells.find(expression.word);
      return found == row.cells.end() ? Cell() : found->second;
    }
    case Kind::kUnary:
      return expression.word == "not" ? Cell::Boolean(!IsTrue(given[0])) : Negative(given[0]);
    case Kind::kBinary: return Joined(expression.word, given[0], given[1]);
    case Kind::kIn:
      return Cell::Boolean(std::any_of(given.begin() + 1, given.end(),
                                       [&](const Cell& one) { return Equal(given[0], one); }));
    case Kind::kCall: return Called(expression.word, given);
  }
  return {};
}

}  // namespace holdfast::agreement
