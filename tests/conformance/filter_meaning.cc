// SPDX-License-Identifier: Apache-2.0
// What a filter means: the tree walked with plain values. Nothing of the product is used here.
#include <algorithm>
#include <cmath>
#include <string_view>
#include <utility>

#include "tests/conformance/filter_corpus.h"

namespace holdfast::test {
namespace {

using Kind = Expression::Kind;

constexpr double kTwoTo63 = 9223372036854775808.0;

// Beyond 64 bits a number becomes the nearest that there is.
std::int64_t Cut(double value) {
  if (value >= kTwoTo63) return INT64_MAX;
  if (value <= -kTwoTo63) return INT64_MIN;
  return std::int64_t(value);
}

int Sign(double value) { return value < 0 ? -1 : int(value > 0); }

// Exact: a real that holds all 64 bits is not to be had everywhere.
int CompareMixed(std::int64_t whole, double real) {
  if (real >= kTwoTo63) return -1;
  if (real < -kTwoTo63) return 1;
  const auto cut = std::int64_t(real);
  if (whole != cut) return whole < cut ? -1 : 1;
  return -Sign(real - double(cut));
}

int Compare(const Cell& left, const Cell& right) {
  if (left.is_text()) return left.text.compare(right.text);
  if (left.is_integer() && right.is_integer()) {
    return left.integer == right.integer ? 0 : (left.integer < right.integer ? -1 : 1);
  }
  if (left.is_integer()) return CompareMixed(left.integer, right.real);
  if (right.is_integer()) return -CompareMixed(right.integer, left.real);
  return left.real == right.real ? 0 : (left.real < right.real ? -1 : 1);
}

bool Equal(const Cell& left, const Cell& right) {
  if (left.is_null() || right.is_null()) return left.is_null() && right.is_null();
  return Compare(left, right) == 0;
}

bool Holds(const std::string& word, const Cell& left, const Cell& right) {
  if (word == "eq") return Equal(left, right);
  if (word == "ne") return !Equal(left, right);
  if (left.is_null() || right.is_null()) return false;
  const int order = Compare(left, right);
  if (word == "gt") return order > 0;
  if (word == "ge") return order >= 0;
  return word == "lt" ? order < 0 : order <= 0;
}

Cell Remainder(const Cell& left, const Cell& right);

Cell WholeArithmetic(const std::string& word, const Cell& left, const Cell& right) {
  const std::int64_t a = left.integer, b = right.integer;
  std::int64_t result = 0;
  if (word == "add" && !__builtin_add_overflow(a, b, &result)) return Cell::Of(result);
  if (word == "sub" && !__builtin_sub_overflow(a, b, &result)) return Cell::Of(result);
  if (word == "mul" && !__builtin_mul_overflow(a, b, &result)) return Cell::Of(result);
  if (word == "div" && !(a == INT64_MIN && b == -1)) return Cell::Of(a / b);
  if (word == "add") return Cell::Real(double(a) + double(b));
  if (word == "sub") return Cell::Real(double(a) - double(b));
  return Cell::Real(word == "mul" ? double(a) * double(b) : double(a) / double(b));
}

Cell Arithmetic(const std::string& word, const Cell& left, const Cell& right) {
  if (left.is_null() || right.is_null()) return Cell::Null();
  if ((word == "div" || word == "mod") && right.number() == 0) return Cell::Null();
  if (word == "mod") return Remainder(left, right);
  if (left.is_integer() && right.is_integer()) return WholeArithmetic(word, left, right);
  const double a = left.number(), b = right.number();
  // volatile: a product must be rounded before it is subtracted, on machines with one instruction
  // for both too.
  volatile double result = 0;
  if (word == "add") result = a + b;
  if (word == "sub") result = a - b;
  if (word == "mul") result = a * b;
  if (word == "div") result = a / b;
  return Cell::Real(result);
}

// What is left when the quotient is cut to a whole number; it has the sign of the dividend.
Cell Remainder(const Cell& left, const Cell& right) {
  if (left.is_integer() && right.is_integer()) {
    return Cell::Of(right.integer == -1 ? 0 : left.integer % right.integer);
  }
  const Cell quotient = Arithmetic("div", left, right);
  if (quotient.is_null()) return quotient;
  const Cell times = Cell::Of(quotient.is_integer() ? quotient.integer : Cut(quotient.real));
  return Arithmetic("sub", left, Arithmetic("mul", right, times));
}

// Texts, by code points.
std::vector<std::string_view> Points(std::string_view text) {
  std::vector<std::string_view> points;
  for (std::size_t i = 0; i < text.size();) {
    std::size_t end = i + 1;
    while (end < text.size() && (std::uint8_t(text[end]) & 0xC0) == 0x80) ++end;
    points.push_back(text.substr(i, end - i));
    i = end;
  }
  return points;
}

std::string Cased(std::string text, char first, char last, int step) {
  for (char& c : text) {
    if (c >= first && c <= last) c = char(c + step);
  }
  return text;
}

std::string Trimmed(const std::string& text) {
  const auto first = text.find_first_not_of(' ');
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(' ') - first + 1);
}

std::string Replaced(const std::string& text, const std::string& what, const std::string& by) {
  std::string result;
  std::size_t at = 0;
  for (auto found = text.find(what); found != std::string::npos; found = text.find(what, at)) {
    result += text.substr(at, found - at) + by;
    at = found + what.size();
  }
  return result + text.substr(at);
}

// What lies before the text or behind its end is empty.
std::string Substring(const std::string& text, const Cell& from, const Cell* length) {
  const auto points = Points(text);
  const auto size = std::int64_t(points.size());
  const std::int64_t first = std::clamp<std::int64_t>(from.integer, 0, size);
  std::int64_t count = size - first;
  if (length != nullptr) count = std::clamp<std::int64_t>(length->integer, 0, count);
  std::string result;
  for (std::int64_t i = first; i < first + count; ++i) result += points[std::size_t(i)];
  return result;
}

Cell IndexOf(const std::string& text, const std::string& what) {
  const auto found = text.find(what);
  if (found == std::string::npos) return Cell::Of(-1);
  return Cell::Of(std::int64_t(Points(std::string_view(text).substr(0, found)).size()));
}

// A condition is never null.
Cell TestOfText(const std::string& name, const Cell& text, const Cell& part) {
  if (text.is_null() || part.is_null()) return Cell::Is(false);
  const std::string &whole = text.text, &piece = part.text;
  if (name == "startswith") return Cell::Is(whole.starts_with(piece));
  if (name == "endswith") return Cell::Is(whole.ends_with(piece));
  return Cell::Is(whole.find(piece) != std::string::npos);
}

Cell Rounded(const std::string& name, const Cell& number) {
  if (name == "round") {
    // Half is added, so 0.49999999999999994 becomes 1, as SQLite has it on both sides. From 2^52 on
    // a real is whole.
    const double real = number.number();
    if (std::fabs(real) > 4503599627370496.0) return Cell::Real(real);
    return Cell::Real(std::trunc(real + std::copysign(0.5, real)));
  }
  if (number.is_integer()) return number;
  return Cell::Real(name == "floor" ? std::floor(number.real) : std::ceil(number.real));
}

Cell CallOf(const std::string& name, const std::vector<Cell>& given) {
  if (name == "substringof") return TestOfText(name, given[1], given[0]);
  if (name == "contains" || name == "startswith" || name == "endswith") {
    return TestOfText(name, given[0], given[1]);
  }
  // Nothing is replaced, so it does not matter by what.
  if (name == "replace" && given[1].is_text() && given[1].text.empty()) return given[0];
  if (std::any_of(given.begin(), given.end(), [](const Cell& one) { return one.is_null(); })) {
    return Cell::Null();
  }
  const Cell& first = given[0];
  if (name == "floor" || name == "ceiling" || name == "round") return Rounded(name, first);
  if (name == "tolower") return Cell::Text(Cased(first.text, 'A', 'Z', 'a' - 'A'));
  if (name == "toupper") return Cell::Text(Cased(first.text, 'a', 'z', 'A' - 'a'));
  if (name == "trim") return Cell::Text(Trimmed(first.text));
  if (name == "length") return Cell::Of(std::int64_t(Points(first.text).size()));
  if (name == "concat") return Cell::Text(first.text + given[1].text);
  if (name == "indexof") return IndexOf(first.text, given[1].text);
  if (name == "replace") return Cell::Text(Replaced(first.text, given[1].text, given[2].text));
  return Cell::Text(Substring(first.text, given[1], given.size() > 2 ? &given[2] : nullptr));
}

Cell ColumnOf(const std::string& name, const FilterRow& row) {
  if (name == "id") return Cell::Text(row.id);
  if (name == "sensor") return row.sensor ? Cell::Text(*row.sensor) : Cell::Null();
  if (name == "value") return row.value ? Cell::Real(*row.value) : Cell::Null();
  return row.quality ? Cell::Of(*row.quality) : Cell::Null();
}

Cell BinaryOf(const std::string& word, const Cell& left, const Cell& right) {
  if (word == "and") return Cell::Is(IsTrue(left) && IsTrue(right));
  if (word == "or") return Cell::Is(IsTrue(left) || IsTrue(right));
  for (const char* one : {"add", "sub", "mul", "div", "mod"}) {
    if (word == one) return Arithmetic(word, left, right);
  }
  return Cell::Is(Holds(word, left, right));
}

}  // namespace

Cell Cell::Real(double value) {
  return std::isnan(value) ? Null() : Cell{Type::kReal, 0, value, {}};
}

bool IsTrue(const Cell& cell) { return !cell.is_null() && cell.number() != 0; }

Cell Evaluate(const Expression& expression, const FilterRow& row) {
  std::vector<Cell> given;
  for (const Expression& operand : expression.operands) given.push_back(Evaluate(operand, row));
  switch (expression.kind) {
    case Kind::kLiteral: return expression.literal;
    case Kind::kColumn: return ColumnOf(expression.word, row);
    case Kind::kUnary:
      if (expression.word == "not") return Cell::Is(!IsTrue(given[0]));
      return Arithmetic("sub", Cell::Of(0), given[0]);
    case Kind::kBinary: return BinaryOf(expression.word, given[0], given[1]);
    case Kind::kIn:
      return Cell::Is(std::any_of(given.begin() + 1, given.end(),
                                  [&](const Cell& one) { return Equal(given[0], one); }));
    case Kind::kCall: return CallOf(expression.word, given);
  }
  return Cell::Null();
}

}  // namespace holdfast::test
