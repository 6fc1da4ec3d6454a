// SPDX-License-Identifier: Apache-2.0
// The generator. What filters mean is in filter_meaning.cc.
#include "tests/conformance/filter_corpus.h"

#include <algorithm>
#include <cstdio>
#include <string_view>
#include <utility>

namespace holdfast::test {
namespace {

using Kind = Expression::Kind;

constexpr std::int64_t kTwoTo53 = std::int64_t{1} << 53;
constexpr int kDepth = 4;

Expression Literal(std::string text, Cell cell) {
  return {Kind::kLiteral, std::move(text), std::move(cell), {}, false};
}
Expression NullLiteral() { return Literal("null", Cell::Null()); }
Expression Column(const char* name) { return {Kind::kColumn, name, {}, {}, false}; }
Expression Unary(const char* word, Expression operand) {
  Expression made{Kind::kUnary, word, {}, {}, false};
  made.operands.push_back(std::move(operand));
  return made;
}
template <typename... Operands>
Expression Call(const char* name, Operands... operands) {
  Expression made{Kind::kCall, name, {}, {}, false};
  (made.operands.push_back(std::move(operands)), ...);
  return made;
}
Expression Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return Literal(quoted + "'", Cell::Text(text));
}
Expression RealOf(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  std::string words = text;
  if (words.find_first_of(".e") == std::string::npos) words += ".0";
  return Literal(words, Cell::Real(value));
}
Expression WholeOf(std::int64_t value) { return Literal(std::to_string(value), Cell::Of(value)); }

// The device cuts both operands of mod to 64 bits when its columns say that they are whole, also
// where arithmetic has left 64 bits before: quality mul quality mod 7, when quality is 2^53. The
// server, whose columns of numbers are reals, does not.
constexpr bool kModuloOfWholeArithmetic = false;

bool IsWhole(const Expression& expression) {
  const auto& operands = expression.operands;
  switch (expression.kind) {
    case Kind::kLiteral: return expression.literal.is_integer();
    case Kind::kColumn: return expression.word == "quality";
    case Kind::kCall: return expression.word == "length" || expression.word == "indexof";
    case Kind::kUnary:
    case Kind::kBinary: return std::all_of(operands.begin(), operands.end(), IsWhole);
    case Kind::kIn: break;
  }
  return false;
}

bool IsExcludedModulo(const Expression& left, const Expression& right) {
  if (kModuloOfWholeArithmetic || !IsWhole(left) || !IsWhole(right)) return false;
  const auto calculated = [](const Expression& one) {
    return one.kind == Kind::kUnary || one.kind == Kind::kBinary;
  };
  return calculated(left) || calculated(right);
}

int Strength(const Expression& expression) {
  if (expression.kind == Kind::kIn) return 3;
  if (expression.kind == Kind::kUnary) return 6;
  if (expression.kind != Kind::kBinary) return 7;
  const std::string& word = expression.word;
  if (word == "or") return 1;
  if (word == "and") return 2;
  if (word == "add" || word == "sub") return 4;
  return word == "mul" || word == "div" || word == "mod" ? 5 : 3;
}

std::string Operand(const Expression& operand, int weakest) {
  const std::string text = TextOf(operand);
  return !operand.parentheses && Strength(operand) < weakest ? "(" + text + ")" : text;
}

std::string Listed(const Expression& expression, std::size_t from) {
  std::string text = "(";
  for (std::size_t i = from; i < expression.operands.size(); ++i) {
    text += (i == from ? "" : ",") + TextOf(expression.operands[i]);
  }
  return text + ")";
}

std::string Bare(const Expression& expression) {
  const auto& operands = expression.operands;
  const int own = Strength(expression);
  switch (expression.kind) {
    case Kind::kLiteral:
    case Kind::kColumn: return expression.word;
    case Kind::kUnary:
      return expression.word + (expression.word == "not" ? " " : "") + Operand(operands[0], own);
    case Kind::kBinary:
      return Operand(operands[0], own) + " " + expression.word + " " +
             Operand(operands[1], own + 1);
    case Kind::kIn: return Operand(operands[0], own) + " in " + Listed(expression, 1);
    case Kind::kCall: return expression.word + Listed(expression, 0);
  }
  return "";
}

}  // namespace

std::string TextOf(const Expression& expression) {
  return expression.parentheses ? "(" + Bare(expression) + ")" : Bare(expression);
}

std::string FilterRow::Json() const {
  std::string json = "\"sensor\":";
  if (sensor) {
    json += '"';
    for (const char c : *sensor) {
      if (c == '"' || c == '\\') json += '\\';
      json += c == '\t' ? std::string("\\t") : std::string(1, c);
    }
    json += '"';
  } else {
    json += "null";
  }
  json += ",\"value\":" + (value ? RealOf(*value).word : std::string("null"));
  return json + ",\"quality\":" + (quality ? std::to_string(*quality) : std::string("null"));
}

std::vector<FilterRow> AwkwardRows() {
  using Text = std::optional<std::string>;
  using Real = std::optional<double>;
  using Whole = std::optional<std::int64_t>;
  const Text texts[] = {std::nullopt,
                        "",
                        " ",
                        "'",
                        "''",
                        "it's",
                        "\"",
                        "%",
                        "100%",
                        "_",
                        "a_b",
                        "a\\b",
                        "abc",
                        "ABC",
                        "Abc",
                        "abcabc",
                        "bc",
                        " abc ",
                        "\tabc",
                        "\xC3\xA4",
                        "\xC3\x84ra",
                        "\xE6\xB8\xA9\xE5\xBA\xA6",
                        "a\xF0\x9F\x8C\xA1z",
                        "e\xCC\x81",
                        "12",
                        "12.0",
                        "null",
                        "true",
                        "2026-11-23T06:11:29.123Z",
                        "a+b&c=d",
                        "x,y(z)",
                        "zz"};
  const Real reals[] = {std::nullopt,
                        0.0,
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
                        12.0,
                        -12.0,
                        9007199254740992.0,
                        -9007199254740992.0,
                        1e17,
                        1e-7,
                        1e300};
  const Whole wholes[] = {std::nullopt, 0,   1,    -1,         2,        3,         -3,          7,
                          12,           100, -100, 2147483648, kTwoTo53, -kTwoTo53, kTwoTo53 - 1};
  // Steps without a common divisor, so that neighbours meet different partners.
  std::vector<FilterRow> rows;
  for (std::size_t i = 0; i < 42; ++i) {
    char name[8];
    std::snprintf(name, sizeof name, "f%02u", unsigned(i));
    rows.push_back({name, texts[i % std::size(texts)], reals[i * 5 % std::size(reals)],
                    wholes[i * 4 % std::size(wholes)]});
  }
  rows[40].value = 12.0;  // the same number, whole and real
  rows[40].quality = 12;
  rows[41] = {rows[41].id, std::nullopt, std::nullopt, std::nullopt};
  return rows;
}

const char* FilterCorpus::Pick(std::initializer_list<const char*> words) {
  return words.begin()[random_.Below(words.size())];
}

Expression FilterCorpus::Next() {
  return flavour_ == Flavour::kSimple ? SimpleCondition(kDepth - 1) : Condition(kDepth);
}

Expression FilterCorpus::Binary(const char* word, Expression left, Expression right) {
  Expression made{Kind::kBinary, word, {}, {}, random_.Chance(20)};
  made.operands.push_back(std::move(left));
  made.operands.push_back(std::move(right));
  return made;
}

Expression FilterCorpus::WholeLiteral() {
  const auto& row = rows_[random_.Below(rows_.size())];
  if (random_.Chance(40) && row.quality) return WholeOf(*row.quality);
  if (flavour_ == Flavour::kSimple || random_.Chance(80)) {
    return WholeOf(std::int64_t(random_.Below(15)) - 4);
  }
  switch (random_.Below(5)) {
    case 0: return Literal("9223372036854775807", Cell::Of(INT64_MAX));
    case 1: return Literal("-9223372036854775808", Cell::Of(INT64_MIN));
    case 2: return WholeOf(kTwoTo53 + 1);
    case 3: return Literal("12L", Cell::Of(12));
    default: return Literal("-0", Cell::Of(0));
  }
}

Expression FilterCorpus::NumberLiteral() {
  const auto& row = rows_[random_.Below(rows_.size())];
  if (random_.Chance(40)) return WholeLiteral();
  if (random_.Chance(50) && row.value) return RealOf(*row.value);
  if (flavour_ == Flavour::kSimple) return RealOf(double(random_.Below(40)) / 4 - 3);
  switch (random_.Below(6)) {
    case 0: return Literal("1e3", Cell::Real(1000));
    case 1: return Literal("2.5f", Cell::Real(2.5));
    case 2: return Literal("2.5M", Cell::Real(2.5));
    case 3: return Literal("1.7976931348623157e308", Cell::Real(1.7976931348623157e308));
    case 4: return Literal("9007199254740993", Cell::Of(kTwoTo53 + 1));
    default: return RealOf(double(random_.Below(40)) / 4 - 3);
  }
}

Expression FilterCorpus::TextLiteral() {
  const auto& row = rows_[random_.Below(rows_.size())];
  if (random_.Chance(60)) return Quoted(row.sensor.value_or(""));
  return Quoted(Pick({"", "a", "A", "abc", "b", "c", " ", "'", "%", "_", "%_", "1", "ab",
                      "\xC3\xA4", "\xE5\xBA\xA6", "\xF0\x9F\x8C\xA1", "e", "' or 1=1 --", "zzz"}));
}

Expression FilterCorpus::SimpleCondition(int depth) {
  if (depth > 0 && random_.Chance(65)) {
    // Each in turn: the order of evaluating arguments is the compiler's.
    Expression left = SimpleCondition(depth - 1);
    Expression right = SimpleCondition(depth - 1);
    return Binary(Pick({"and", "or"}), std::move(left), std::move(right));
  }
  const char* const column = Pick({"sensor", "value", "quality", "id"});
  if (random_.Chance(15)) return Binary(Pick({"eq", "ne"}), Column(column), NullLiteral());
  const std::string name = column;
  Expression literal;
  if (name == "id") {
    literal = Quoted(rows_[random_.Below(rows_.size())].id);
  } else {
    literal = name == "sensor" ? TextLiteral() : NumberLiteral();
  }
  return Binary(Pick({"eq", "gt", "ge", "lt", "le"}), Column(column), std::move(literal));
}

Expression FilterCorpus::Condition(int depth) {
  const auto kind = random_.Below(100);
  if (depth > 0 && kind < 30) {
    Expression left = Condition(depth - 1);
    Expression right = Condition(depth - 1);
    return Binary(Pick({"and", "or"}), std::move(left), std::move(right));
  }
  if (depth > 0 && kind < 40) return Unary("not", Condition(depth - 1));
  if (kind < 45) return List(depth - 1);
  if (kind < 60) return TestOfText(depth - 1);
  if (kind == 60) return Literal("true", Cell::Is(true));
  if (kind == 61) return Literal("false", Cell::Is(false));
  if (kind == 62) return NullLiteral();
  return Comparison(depth - 1);
}

Expression FilterCorpus::Comparison(int depth) {
  const char* const word = Pick({"eq", "eq", "ne", "gt", "ge", "lt", "le"});
  const auto kind = random_.Below(100);
  Expression left, right;
  if (kind < 45) {
    left = Number(depth);
    right = random_.Chance(50) ? NumberLiteral() : Number(depth);
  } else if (kind < 90 || depth <= 0) {
    left = Text(depth);
    right = random_.Chance(50) ? TextLiteral() : Text(depth);
  } else {
    left = Condition(depth - 1);
    right = random_.Chance(50) ? Literal("true", Cell::Is(true)) : Condition(depth - 1);
  }
  if (random_.Chance(10)) right = NullLiteral();
  if (random_.Chance(20)) std::swap(left, right);
  return Binary(word, std::move(left), std::move(right));
}

Expression FilterCorpus::List(int depth) {
  const bool numbers = random_.Chance(50);
  Expression made{Kind::kIn, "in", {}, {}, random_.Chance(20)};
  made.operands.push_back(numbers ? Number(depth) : Text(depth));
  for (auto count = 1 + random_.Below(4); count > 0; --count) {
    if (random_.Chance(10)) {
      made.operands.push_back(NullLiteral());
    } else {
      made.operands.push_back(numbers ? NumberLiteral() : TextLiteral());
    }
  }
  return made;
}

Expression FilterCorpus::TestOfText(int depth) {
  const char* const name = Pick({"substringof", "contains", "startswith", "endswith"});
  Expression one = Text(depth);
  Expression other = random_.Chance(80) ? TextLiteral() : Text(depth);
  if (std::string(name) == "substringof") std::swap(one, other);
  return Call(name, std::move(one), std::move(other));
}

// A number of characters or a place: anything whole.
Expression FilterCorpus::Whole(int depth) {
  const auto kind = random_.Below(100);
  if (depth <= 0 || kind < 50) return kind < 10 ? Column("quality") : WholeLiteral();
  if (kind < 70) return Call("length", Text(depth - 1));
  Expression text = Text(depth - 1);
  return Call("indexof", std::move(text), TextLiteral());
}

Expression FilterCorpus::Number(int depth) {
  const auto kind = random_.Below(100);
  if (depth <= 0 || kind < 35) return Column(Pick({"value", "quality"}));
  if (kind < 44) return NumberLiteral();
  if (kind == 44) return NullLiteral();
  if (kind < 60) return Whole(depth);
  if (kind < 70) return Unary("-", Number(depth - 1));
  if (kind < 80) return Call(Pick({"floor", "ceiling", "round"}), Number(depth - 1));
  Expression left = Number(depth - 1);
  Expression right = Number(depth - 1);
  const char* word = Pick({"add", "sub", "mul", "div", "mod"});
  if (word == std::string_view("mod") && IsExcludedModulo(left, right)) word = "sub";
  return Binary(word, std::move(left), std::move(right));
}

Expression FilterCorpus::Text(int depth) {
  const auto kind = random_.Below(100);
  if (depth <= 0 || kind < 50) return Column(random_.Chance(85) ? "sensor" : "id");
  if (kind < 54) return TextLiteral();
  if (kind == 54) return NullLiteral();
  return CallOfText(depth);
}

Expression FilterCorpus::CallOfText(int depth) {
  Expression text = Text(depth - 1);
  switch (random_.Below(5)) {
    case 0: return Call(Pick({"tolower", "toupper", "trim"}), std::move(text));
    case 1: {
      Expression other = random_.Chance(70) ? TextLiteral() : Text(depth - 1);
      if (random_.Chance(50)) std::swap(text, other);
      return Call("concat", std::move(text), std::move(other));
    }
    case 2: {
      Expression pattern = TextLiteral();
      Expression by = random_.Chance(80) ? TextLiteral() : Text(depth - 1);
      return Call("replace", std::move(text), std::move(pattern), std::move(by));
    }
    case 3: {
      Expression from = Whole(depth - 1);
      return Call("substring", std::move(text), std::move(from));
    }
    default: {
      Expression from = Whole(depth - 1);
      Expression length = Whole(depth - 1);
      return Call("substring", std::move(text), std::move(from), std::move(length));
    }
  }
}

}  // namespace holdfast::test
