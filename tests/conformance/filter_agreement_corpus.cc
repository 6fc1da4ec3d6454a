// SPDX-License-Identifier: Apache-2.0
// The generator: every operator, function and form of a literal, over columns of every type.
#include <cmath>
#include <cstdio>
#include <string_view>
#include <utility>

#include "tests/conformance/filter_agreement.h"

namespace holdfast::agreement {
namespace {

using Kind = Expression::Kind;

constexpr int kDepth = 5;
constexpr std::size_t kNodesMost = 150;
constexpr std::size_t kBytesMost = 1500;

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
  if (operand.parentheses || Strength(operand) >= weakest) return text;
  return operand.spacious ? "( " + text + " )" : "(" + text + ")";
}

std::string Listed(const Expression& expression, std::size_t from) {
  const char* const comma = expression.spacious ? " ,\t" : ",";
  std::string text = expression.spacious ? " ( " : "(";
  for (std::size_t i = from; i < expression.operands.size(); ++i) {
    text += (i == from ? "" : comma) + TextOf(expression.operands[i]);
  }
  return text + (expression.spacious ? " )" : ")");
}

// A minus that a digit follows belongs to the number.
std::string Prefixed(const Expression& expression) {
  const std::string operand = Operand(expression.operands[0], 6);
  const bool is_tight =
      expression.word == "not" ? operand[0] == '(' : operand[0] < '0' || operand[0] > '9';
  return expression.word + (is_tight && !expression.spacious ? "" : " ") + operand;
}

std::string Bare(const Expression& expression) {
  const auto& operands = expression.operands;
  const int own = Strength(expression);
  const std::string space = expression.spacious ? "  " : " ";
  switch (expression.kind) {
    case Kind::kLiteral:
    case Kind::kColumn: return expression.word;
    case Kind::kUnary: return Prefixed(expression);
    case Kind::kBinary:
      return Operand(operands[0], own) + space + expression.word + space +
             Operand(operands[1], own + 1);
    case Kind::kIn: return Operand(operands[0], own) + " in " + Listed(expression, 1);
    case Kind::kCall: return expression.word + Listed(expression, 0);
  }
  return "";
}

Expression Literal(std::string text, Cell cell) {
  return {Kind::kLiteral, std::move(text), std::move(cell), {}, false, false};
}
Expression Column(const char* name) { return {Kind::kColumn, name, {}, {}, false, false}; }
Expression Null() { return Literal("null", {}); }

std::string Quoted(const std::string& text) {
  std::string quoted = "'";
  for (const char c : text) quoted += c == '\'' ? std::string("''") : std::string(1, c);
  return quoted + "'";
}

}  // namespace

std::string TextOf(const Expression& expression) {
  return expression.parentheses ? "(" + Bare(expression) + ")" : Bare(expression);
}

std::size_t Nodes(const Expression& expression) {
  std::size_t nodes = 1;
  for (const Expression& operand : expression.operands) nodes += Nodes(operand);
  return nodes;
}

Corpus::Corpus(const CorpusOptions& options)
    : random_(options.seed), options_(options), rows_(AwkwardRows()) {}

Expression Corpus::Next() {
  for (;;) {
    Expression made = Condition(int(random_.Below(kDepth + 1)));
    // A URL has to hold it, percent signs included.
    if (Nodes(made) <= kNodesMost && TextOf(made).size() <= kBytesMost) return made;
  }
}

const char* Corpus::Pick(std::initializer_list<const char*> words) {
  return words.begin()[random_.Below(words.size())];
}

const Cell& Corpus::PoolValue(Type type) {
  const auto& pool = PoolOf(type);
  return pool[type == Type::kBoolean ? random_.Below(2) : 1 + random_.Below(pool.size() - 1)];
}

// Operands are made one after the other: the order of arguments is the compiler's.
Expression Corpus::Binary(const char* word, Expression left, Expression right) {
  Expression made{Kind::kBinary, word, {}, {}, random_.Chance(20), random_.Chance(10)};
  made.operands.push_back(std::move(left));
  made.operands.push_back(std::move(right));
  return made;
}

Expression Corpus::Call(const char* name, std::vector<Expression> operands) {
  return {Kind::kCall, name, {}, std::move(operands), random_.Chance(5), random_.Chance(15)};
}

Expression Corpus::ColumnOf(Type type) {
  if (type == Type::kText && random_.Chance(15)) {
    return Column(options_.system_columns && random_.Chance(40) ? "version" : "id");
  }
  if (type == Type::kDate && options_.system_columns && random_.Chance(30)) {
    return Column(Pick({"createdAt", "updatedAt"}));
  }
  const std::size_t first = random_.Below(2);
  std::size_t seen = 0;
  for (const ColumnSpec& column : kColumns) {
    if (column.type == type && seen++ == first) return Column(column.name);
  }
  return Null();
}

Expression Corpus::WholeLiteral() {
  const std::int64_t value =
      random_.Chance(60) ? std::int64_t(random_.Below(16)) - 5 : PoolValue(Type::kInteger).integer;
  const std::string digits = std::to_string(value);
  const Cell cell = Cell::Integer(value);
  const bool is_small = value >= 0 && value < 128;
  switch (random_.Below(12)) {
    case 0: return Literal(digits + "L", cell);
    case 1: return Literal(digits + "l", cell);
    case 2: return Literal("cast(" + digits + ",Edm.Int64)", cell);
    case 3: return Literal("cast('" + digits + "', Edm.Int64)", cell);
    case 4:
      if (!is_small) break;
      return Literal(
          "cast(" + digits + "," + Pick({"Edm.Int32", "Edm.Int16", "Edm.Byte", "Edm.SByte"}) + ")",
          cell);
    default: break;
  }
  return Literal(digits, cell);
}

Expression Corpus::RealLiteral() {
  const double value =
      random_.Chance(50) ? double(random_.Below(48)) / 8 - 2 : PoolValue(Type::kReal).real;
  const std::string digits = RealText(value);
  const Cell cell = Cell::Real(value);
  switch (random_.Below(14)) {
    case 0: return Literal(digits + "M", cell);
    case 1: return Literal(digits + "d", cell);
    case 2:  // a single is as exact as it is written; here is one that has no more digits
      return double(float(value)) == value ? Literal(digits + "f", cell) : Literal(digits, cell);
    case 3:
      return Literal(
          "cast(" + digits + "," + Pick({"Edm.Double", "Edm.Single", "Edm.Decimal"}) + ")", cell);
    case 4: return Literal("1e3", Cell::Real(1000));
    case 5: return Literal("1.5E-3", Cell::Real(0.0015));
    case 6: return Literal("2d", Cell::Real(2));
    case 7: return Literal("cast(5,Edm.Double)", Cell::Real(5));
    default: return Literal(digits, cell);
  }
}

Expression Corpus::NumberLiteral() { return random_.Chance(50) ? WholeLiteral() : RealLiteral(); }

Expression Corpus::TextLiteral() {
  const auto form = random_.Below(20);
  if (form == 0) return Literal("guid'" + rows_[3].id + "'", Cell::Text(rows_[3].id));
  if (form == 1) return Literal("cast(r12,Edm.Guid)", Cell::Text("r12"));
  if (form == 2) return Literal("cast('it''s',Edm.String)", Cell::Text("it's"));
  if (form == 3) return Literal("cast(03:04:05.678,Edm.TimeOfDay)", Cell::Text("03:04:05.678"));
  std::string text = PoolValue(Type::kText).text;
  if (form < 9) {
    text = Pick({"", "a", "A", "b", "bc", "c", " ", "'", "%", "_", "1", "p", "PP", "\xC3\xA4",
                 "\xE5\xBA\xA6", "\xF0\x9F\x8C\xA1", "e", "' or 1=1 --", "zzz"});
  } else if (form < 11) {
    text = rows_[random_.Below(rows_.size())].id;
  }
  return Literal(Quoted(text), Cell::Text(text));
}

Expression Corpus::BooleanLiteral() {
  const bool value = random_.Chance(50);
  const std::string text = value ? "true" : "false";
  return Literal(random_.Chance(15) ? "cast(" + text + ",Edm.Boolean)" : text,
                 Cell::Boolean(value));
}

// The same moment in each of the forms that clients write.
Expression Corpus::DateLiteral() {
  const std::int64_t ms = PoolValue(Type::kDate).integer + (random_.Chance(15) ? 1 : 0);
  const std::int64_t moment = ms > 253402300799999 ? ms - 1 : ms;
  const Cell cell = Cell::Date(moment);
  const std::string plain = DateText(moment);
  const bool is_inner = moment > -62135000000000 && moment < 253402000000000;
  switch (random_.Below(16)) {
    case 0: return Literal("datetime'" + DateText(moment, 7) + "'", cell);
    case 1:  // what is finer than a millisecond is cut
      return Literal("datetimeoffset'" + plain.substr(0, 23) + "9999Z'", cell);
    case 2: return Literal("datetime'" + plain.substr(0, 23) + "'", cell);
    case 3:
      if (moment % 1000 != 0) break;
      return Literal("datetime'" + DateText(moment, 0) + "'", cell);
    case 4: return Literal("cast(" + plain + ",Edm.DateTimeOffset)", cell);
    case 5: return Literal("cast( '" + plain + "' , Edm.DateTime )", cell);
    case 6: return Literal(plain, cell);
    case 7: return Literal(Quoted(plain), cell);
    case 8:
    case 9: {
      const std::int64_t midnight = moment / 86400000 * 86400000;
      Cell day = Cell::Date(midnight);
      day.text = day.text.substr(0, 10);
      const std::string text = random_.Chance(50) ? "cast(" + day.text + ",Edm.Date)" : day.text;
      return Literal(text, day);
    }
    case 10:
    case 11:
      if (!is_inner) break;
      return Literal("datetimeoffset'" + DateText(moment + 7200000, 7).substr(0, 27) + "+02:00'",
                     cell);
    case 12:
      if (!is_inner) break;
      return Literal(
          "cast(" + DateText(moment - 19800000).substr(0, 23) + "-05:30,Edm.DateTimeOffset)", cell);
    case 13:
      return Literal("datetimeoffset'" + DateText(moment, 7).substr(0, 27) + "+00:00'", cell);
    default: break;
  }
  return Literal((random_.Chance(50) ? "datetime'" : "datetimeoffset'") + plain + "'", cell);
}

Expression Corpus::Date() { return random_.Chance(70) ? ColumnOf(Type::kDate) : DateLiteral(); }

Expression Corpus::Boolean(int depth) {
  const auto kind = random_.Below(10);
  if (kind < 5) return ColumnOf(Type::kBoolean);
  if (kind < 8 || depth <= 0) return BooleanLiteral();
  Expression inner = Condition(depth - 1);
  inner.parentheses = inner.kind != Kind::kCall;
  return inner;
}

Expression Corpus::Whole(int depth) {
  const auto kind = random_.Below(10);
  if (depth <= 0 || kind < 4) return random_.Chance(75) ? ColumnOf(Type::kInteger) : WholeLiteral();
  if (kind < 6) {
    Expression date = Date();
    // Also as a text, which is a date beside nothing that says so.
    if (random_.Chance(10)) {
      const Cell cell = PoolValue(Type::kDate);
      date = Literal(Quoted(DateText(cell.integer, random_.Chance(50) ? 3 : 7)), cell);
    }
    return Call(Pick({"year", "month", "day", "hour", "minute", "second"}), {std::move(date)});
  }
  if (kind < 8) return Call("length", {Text(depth - 1)});
  Expression text = Text(depth - 1);
  return Call("indexof", {std::move(text), random_.Chance(60) ? TextLiteral() : Text(0)});
}

Expression Corpus::Number(int depth) {
  const auto kind = random_.Below(20);
  if (depth <= 0 || kind < 5) {
    if (random_.Chance(4)) return Null();
    if (random_.Chance(30)) return NumberLiteral();
    return ColumnOf(random_.Chance(50) ? Type::kReal : Type::kInteger);
  }
  if (kind < 8) return Whole(depth - 1);
  if (kind < 10) return Call(Pick({"floor", "ceiling", "round"}), {Number(depth - 1)});
  if (kind == 10)
    return {Kind::kUnary, "-", {}, {Number(depth - 1)}, random_.Chance(30), random_.Chance(20)};
  Expression left = Number(depth - 1);
  Expression right = Number(depth - 2);
  return Binary(Pick({"add", "sub", "mul", "div", "mod"}), std::move(left), std::move(right));
}

Expression Corpus::CallOfText(int depth) {
  switch (random_.Below(6)) {
    case 0: return Call("tolower", {Text(depth)});
    case 1: return Call("toupper", {Text(depth)});
    case 2: return Call("trim", {Text(depth)});
    case 3: {
      Expression first = Text(depth);
      return Call("concat", {std::move(first), Text(0)});
    }
    case 4: {
      Expression first = Text(depth);
      Expression what = Text(0);
      return Call("replace", {std::move(first), std::move(what), Text(0)});
    }
    default: break;
  }
  std::vector<Expression> given;
  given.push_back(Text(depth));
  for (int n = random_.Chance(60) ? 2 : 1; n > 0; --n) {
    const std::int64_t few = std::int64_t(random_.Below(7)) - 1;
    given.push_back(random_.Chance(70) ? Literal(std::to_string(few), Cell::Integer(few))
                                       : Whole(depth));
  }
  return Call("substring", std::move(given));
}

Expression Corpus::Text(int depth) {
  if (depth > 0 && random_.Chance(45)) return CallOfText(depth - 1);
  if (random_.Chance(3)) return Null();
  return random_.Chance(70) ? ColumnOf(Type::kText) : TextLiteral();
}

Expression Corpus::TestOfText(int depth) {
  Expression text = Text(depth);
  Expression part = random_.Chance(65) ? TextLiteral() : Text(depth - 1);
  const char* const name = Pick({"startswith", "endswith", "contains", "substringof"});
  if (std::string_view(name) == "substringof") std::swap(text, part);
  Expression made = Call(name, {std::move(text), std::move(part)});
  if (random_.Chance(75)) return made;
  return Binary(Pick({"eq", "ne"}), std::move(made), BooleanLiteral());
}

// What holds for a row that is not deleted, whether it says so or leaves it open.
Expression Corpus::DeletedOrNot() {
  if (random_.Chance(30)) return {Kind::kUnary, "not", {}, {Column("deleted")}, false, false};
  return Binary(Pick({"eq", "ne"}), Column("deleted"), Literal("true", Cell::Boolean(true)));
}

Expression Corpus::List(int depth) {
  Expression made{Kind::kIn, "in", {}, {}, random_.Chance(20), random_.Chance(15)};
  const auto type = random_.Below(5);
  const bool is_number = type < 2;
  if (is_number) made.operands.push_back(Number(depth));
  if (type == 2) made.operands.push_back(Text(depth));
  if (type == 3) made.operands.push_back(ColumnOf(Type::kDate));
  if (type == 4) made.operands.push_back(ColumnOf(Type::kBoolean));
  for (std::uint64_t n = random_.Below(5) + 1; n > 0; --n) {
    Expression literal = random_.Chance(12) ? Null() : Literal("", {});
    if (literal.word.empty()) {
      literal = is_number   ? NumberLiteral()
                : type == 2 ? TextLiteral()
                : type == 3 ? DateLiteral()
                            : BooleanLiteral();
    }
    made.operands.push_back(std::move(literal));
  }
  return made;
}

Expression Corpus::Comparison(int depth) {
  const char* const word = Pick({"eq", "ne", "gt", "ge", "lt", "le", "eq", "ne"});
  const auto type = random_.Below(20);
  Expression left, right;
  if (type < 8) {
    left = Number(depth);
    right = random_.Chance(50) ? NumberLiteral() : Number(depth - 1);
  } else if (type < 13) {
    left = Text(depth);
    right = random_.Chance(60) ? TextLiteral() : Text(depth - 1);
  } else if (type < 16) {
    left = ColumnOf(Type::kDate);
    right = random_.Chance(75) ? DateLiteral() : ColumnOf(Type::kDate);
  } else if (type == 16) {  // beside a text, a date is one
    left = ColumnOf(Type::kText);
    right = Date();
  } else {
    left = Boolean(depth - 1);
    right = random_.Chance(15) ? WholeLiteral() : Boolean(depth - 1);
  }
  if (random_.Chance(10)) right = Null();
  if (random_.Chance(25)) std::swap(left, right);
  return Binary(word, std::move(left), std::move(right));
}

Expression Corpus::Condition(int depth) {
  const auto kind = random_.Below(100);
  if (depth > 0 && kind < 35) {
    Expression left = Condition(depth - 1);
    Expression right = Condition(depth - 2);
    return Binary(Pick({"and", "or"}), std::move(left), std::move(right));
  }
  if (depth > 0 && kind < 45) {
    return {Kind::kUnary,      "not", {}, {Condition(depth - 1)}, random_.Chance(15),
            random_.Chance(15)};
  }
  if (kind < 53) return List(depth - 1);
  if (kind < 65) return TestOfText(depth - 1);
  if (kind < 69) return ColumnOf(Type::kBoolean);
  if (kind == 69) return random_.Chance(50) ? BooleanLiteral() : Null();
  if (kind < 72) return DeletedOrNot();
  return Comparison(depth);
}

}  // namespace holdfast::agreement
