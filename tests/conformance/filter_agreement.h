// SPDX-License-Identifier: Apache-2.0
// tests/conformance/filter_agreement.h - filters over columns of every type, and what they mean.
//
// Purpose: a random tree is printed as a filter and walked over rows, without the product's parser,
//          SQL or dates; what the store, the server and the walker choose has to be the same.
// Meaning: comparisons are two-valued, a null is equal to a null only; a condition is true or
//          false; arithmetic and functions give null for null, and for division by zero; whole
//          numbers stay whole until they leave 64 bits, but round() makes reals; the quotient of a
//          remainder is cut to 64 bits; texts are bytes when compared, code points when counted;
//          case is that of ASCII, and only spaces are trimmed; a date has milliseconds.
#ifndef HOLDFAST_TESTS_CONFORMANCE_FILTER_AGREEMENT_H_
#define HOLDFAST_TESTS_CONFORMANCE_FILTER_AGREEMENT_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <vector>

#include "hal/base/prng.h"

namespace holdfast::agreement {

enum class Type : std::uint8_t { kNull, kBoolean, kInteger, kReal, kText, kDate };

struct Cell {
  Type type = Type::kNull;
  std::int64_t integer = 0;  // kBoolean, kInteger; kDate: milliseconds since 1970
  double real = 0;
  std::string text;  // kText; kDate: what it is beside a text

  static Cell Boolean(bool value) { return {Type::kBoolean, value ? 1 : 0, 0, {}}; }
  static Cell Integer(std::int64_t value) { return {Type::kInteger, value, 0, {}}; }
  static Cell Real(double value);  // what is no number is null
  static Cell Text(std::string value) { return {Type::kText, 0, 0, std::move(value)}; }
  static Cell Date(std::int64_t ms);
  bool is_null() const { return type == Type::kNull; }
  bool is_whole() const { return type == Type::kBoolean || type == Type::kInteger; }
  double number() const { return is_whole() ? double(integer) : real; }
};

// 2026-11-23T06:11:29.123Z; other numbers of decimals cut or fill.
std::string DateText(std::int64_t ms, int decimals = 3);

struct Row {
  std::string id;
  std::map<std::string, Cell> cells;  // system columns too; what is absent is null
};

struct ColumnSpec {
  const char* name;
  Type type;
};
// Two of each type; some bear names that mean something elsewhere.
inline constexpr ColumnSpec kColumns[] = {
    {"s", Type::kText}, {"y", Type::kText},  {"i", Type::kInteger}, {"day", Type::kInteger},
    {"r", Type::kReal}, {"x", Type::kReal},  {"b", Type::kBoolean}, {"in_stock", Type::kBoolean},
    {"d", Type::kDate}, {"due", Type::kDate}};

// Values that meet edges; the first is null, except that of booleans.
const std::vector<Cell>& PoolOf(Type type);
// Rows of awkward values. Those with an odd number have system columns, as if they were pulled.
std::vector<Row> AwkwardRows();
std::string JsonOf(const Row& row);  // user's columns and the id
std::string JsonOf(const std::string& text);
std::string RealText(double value);  // with all digits, and never like a whole number

struct Expression {
  enum class Kind : std::uint8_t { kLiteral, kColumn, kUnary, kBinary, kIn, kCall };
  Kind kind = Kind::kLiteral;
  std::string word;  // column, operator or function; the text of a literal
  Cell literal;
  std::vector<Expression> operands;
  bool parentheses = false;  // although nothing asks for them
  bool spacious = false;     // more white space than needed
};

std::string TextOf(const Expression& expression);
std::size_t Nodes(const Expression& expression);
Cell Evaluate(const Expression& expression, const Row& row);
bool IsTrue(const Cell& cell);

struct CorpusOptions {
  std::uint64_t seed = 1;
  // version, createdAt, updatedAt: a server gives others than AwkwardRows().
  bool system_columns = true;
};

class Corpus {
 public:
  explicit Corpus(const CorpusOptions& options);
  Expression Next();

 private:
  Expression Condition(int depth);
  Expression Comparison(int depth);
  Expression List(int depth);
  Expression TestOfText(int depth);
  Expression DeletedOrNot();
  Expression Number(int depth);
  Expression Whole(int depth);
  Expression Text(int depth);
  Expression CallOfText(int depth);
  Expression Date();
  Expression Boolean(int depth);
  Expression NumberLiteral();
  Expression WholeLiteral();
  Expression RealLiteral();
  Expression TextLiteral();
  Expression DateLiteral();
  Expression BooleanLiteral();
  Expression ColumnOf(Type type);
  Expression Binary(const char* word, Expression left, Expression right);
  Expression Call(const char* name, std::vector<Expression> operands);
  const Cell& PoolValue(Type type);
  const char* Pick(std::initializer_list<const char*> words);

  Prng random_;
  CorpusOptions options_;
  std::vector<Row> rows_;
};

}  // namespace holdfast::agreement

#endif  // HOLDFAST_TESTS_CONFORMANCE_FILTER_AGREEMENT_H_
