// SPDX-License-Identifier: Apache-2.0
// tests/conformance/filter_corpus.h - random filters, awkward rows, and what the first choose.
//
// Purpose: a second opinion on what a filter means. Each filter is made as a tree; its text goes to
//          the product, and the tree is walked here without any of the product's code.
// Meaning: comparisons are two-valued (a null is equal to a null only); a condition is true or
//          false; arithmetic and functions of texts give null for null; whole numbers stay whole
//          until they leave 64 bits; texts count in code points, and case is that of ASCII.
// Owner:   a Filter owns its tree and its text.
#ifndef HOLDFAST_TESTS_CONFORMANCE_FILTER_CORPUS_H_
#define HOLDFAST_TESTS_CONFORMANCE_FILTER_CORPUS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "hal/base/prng.h"

namespace holdfast::test {

// A value while a filter is worked out. Conditions are the integers 0 and 1.
struct Cell {
  enum class Type : std::uint8_t { kNull, kInteger, kReal, kText };
  Type type = Type::kNull;
  std::int64_t integer = 0;
  double real = 0;
  std::string text;

  static Cell Null() { return {}; }
  static Cell Of(std::int64_t value) { return {Type::kInteger, value, 0, {}}; }
  static Cell Real(double value);  // what is no number is null
  static Cell Text(std::string value) { return {Type::kText, 0, 0, std::move(value)}; }
  static Cell Is(bool value) { return Of(value ? 1 : 0); }
  bool is_null() const { return type == Type::kNull; }
  bool is_integer() const { return type == Type::kInteger; }
  bool is_text() const { return type == Type::kText; }
  double number() const { return is_integer() ? double(integer) : real; }
};

struct FilterRow {
  std::string id;
  std::optional<std::string> sensor;
  std::optional<double> value;
  std::optional<std::int64_t> quality;

  std::string Json() const;  // without the id, as for Device::Put
};

// Names only; the ids are the caller's.
std::vector<FilterRow> AwkwardRows();

struct Expression {
  enum class Kind : std::uint8_t { kLiteral, kColumn, kUnary, kBinary, kIn, kCall };
  Kind kind = Kind::kLiteral;
  std::string word;  // column, operator or function; a literal's text
  Cell literal;
  std::vector<Expression> operands;
  bool parentheses = false;  // although nothing asks for them
};

std::string TextOf(const Expression& expression);
Cell Evaluate(const Expression& expression, const FilterRow& row);
bool IsTrue(const Cell& cell);

enum class Flavour : std::uint8_t {
  kWhole,   // all that protocol 2.0 and 3.0 have for these columns
  kSimple,  // what every server of the family answers alike
};

class FilterCorpus {
 public:
  // Literals are taken from `rows` too, so that comparisons meet; they are borrowed.
  FilterCorpus(std::uint64_t seed, const std::vector<FilterRow>& rows, Flavour flavour)
      : random_(seed), rows_(rows), flavour_(flavour) {}

  Expression Next();

 private:
  Expression Condition(int depth);
  Expression SimpleCondition(int depth);
  Expression Comparison(int depth);
  Expression List(int depth);
  Expression TestOfText(int depth);
  Expression Number(int depth);
  Expression Whole(int depth);
  Expression Text(int depth);
  Expression CallOfText(int depth);
  Expression NumberLiteral();
  Expression WholeLiteral();
  Expression TextLiteral();
  Expression Binary(const char* word, Expression left, Expression right);
  const char* Pick(std::initializer_list<const char*> words);

  Prng random_;
  const std::vector<FilterRow>& rows_;
  Flavour flavour_;
};

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_CONFORMANCE_FILTER_CORPUS_H_
