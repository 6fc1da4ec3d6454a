// SPDX-License-Identifier: Apache-2.0
// The parser. Text is read once from front to back; the tree goes into fixed room.
#include "hal/base/query.h"

#include <algorithm>

#include "hal/base/timestamp.h"

namespace holdfast::query {
namespace {

using Index = std::int16_t;

// Chains of operators (1 add 1 add 1 ...) make the tree deep without parentheses. A level of it is
// three of SQL at most (three levels, where the SQL is a subquery), and SQLite may be built with a
// limit of 100.
constexpr int kTreeDepth = int(limits::kFilterDepth);
static_assert(kTreeDepth * 3 <= 96);

struct FunctionRule {
  std::string_view name;
  Function function;
  int fewest;
  int most;
};
constexpr FunctionRule kFunctions[] = {
    {"day", Function::kDay, 1, 1},
    {"month", Function::kMonth, 1, 1},
    {"year", Function::kYear, 1, 1},
    {"hour", Function::kHour, 1, 1},
    {"minute", Function::kMinute, 1, 1},
    {"second", Function::kSecond, 1, 1},
    {"floor", Function::kFloor, 1, 1},
    {"ceiling", Function::kCeiling, 1, 1},
    {"round", Function::kRound, 1, 1},
    {"tolower", Function::kToLower, 1, 1},
    {"toupper", Function::kToUpper, 1, 1},
    {"length", Function::kLength, 1, 1},
    {"trim", Function::kTrim, 1, 1},
    {"substringof", Function::kSubstringOf, 2, 2},
    {"contains", Function::kContains, 2, 2},
    {"startswith", Function::kStartsWith, 2, 2},
    {"endswith", Function::kEndsWith, 2, 2},
    {"concat", Function::kConcat, 2, 2},
    {"indexof", Function::kIndexOf, 2, 2},
    {"replace", Function::kReplace, 3, 3},
    {"substring", Function::kSubstring, 2, 3},
};

struct OperatorRule {
  std::string_view word;
  Op op;
  int strength;
};
constexpr OperatorRule kOperators[] = {
    {"or", Op::kOr, 1},   {"and", Op::kAnd, 2}, {"eq", Op::kEq, 3},   {"ne", Op::kNe, 3},
    {"gt", Op::kGt, 3},   {"ge", Op::kGe, 3},   {"lt", Op::kLt, 3},   {"le", Op::kLe, 3},
    {"in", Op::kIn, 3},   {"add", Op::kAdd, 4}, {"sub", Op::kSub, 4}, {"mul", Op::kMul, 5},
    {"div", Op::kDiv, 5}, {"mod", Op::kMod, 5},
};
constexpr int kWeakest = 1;

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsSpace(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }
bool IsNameStart(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '@';
}
bool IsNamePart(char c) { return IsNameStart(c) || IsDigit(c); }

const OperatorRule* FindOperator(std::string_view word) {
  const auto* const found =
      std::find_if(std::begin(kOperators), std::end(kOperators),
                   [word](const OperatorRule& rule) { return rule.word == word; });
  return found == std::end(kOperators) ? nullptr : found;
}

bool IsDate(std::string_view text) {
  if (ParseTimestamp(text)) return true;
  char room[32];
  TextWriter whole(room);
  whole.Put(text).Put("T00:00:00Z");
  return text.size() == 10 && ParseTimestamp(whole.view()).has_value();
}

class Parser {
 public:
  Parser(std::string_view text, Arena& arena, ParsedFilter& filter, QueryError& error)
      : text_(text), arena_(arena), filter_(filter), error_(error) {}

  Result<void> Run() {
    filter_.count = 0;
    filter_.root = -1;
    error_ = {};
    if (text_.size() > limits::kFilterBytes) {
      at_ = limits::kFilterBytes;
      Fail("a filter has at most 4096 bytes");
      return Outcome();
    }
    SkipSpace();
    if (at_ == text_.size()) return Ok();
    const Index root = Expression(kWeakest);
    if (root >= 0) {
      SkipSpace();
      if (at_ != text_.size()) {
        Fail("an operator or the end is expected");
      } else {
        filter_.root = root;
      }
    }
    return Outcome();
  }

 private:
  Result<void> Outcome() const {
    if (out_of_memory_) return Arena::Full();
    if (error_.what == nullptr) return Ok();
    return Error{Code::kInvalidArgument, Origin::kNone, std::int32_t(error_.column), error_.what};
  }

  Index Fail(const char* what) { return FailAt(at_, what); }
  Index FailAt(std::size_t at, const char* what) {
    if (error_.what == nullptr) error_ = {at + 1, what};
    return -1;
  }

  char Peek(std::size_t ahead = 0) const {
    return at_ + ahead < text_.size() ? text_[at_ + ahead] : '\0';
  }
  void SkipSpace() {
    while (at_ < text_.size() && IsSpace(text_[at_])) ++at_;
  }
  bool Expect(char c, const char* what) {
    SkipSpace();
    if (Peek() != c || at_ == text_.size()) return Fail(what) >= 0;
    ++at_;
    return true;
  }
  std::string_view PeekWord() const {
    std::size_t end = at_;
    if (end < text_.size() && IsNameStart(text_[end])) {
      while (end < text_.size() && IsNamePart(text_[end])) ++end;
    }
    return text_.substr(at_, end - at_);
  }

  // Nodes.
  Node& At(Index index) { return filter_.nodes[std::size_t(index)]; }
  Index New(Op op, std::size_t column) {
    if (std::size_t(filter_.count) == limits::kFilterNodes) {
      return FailAt(column, "a filter has at most 256 values and operators");
    }
    const Index index = filter_.count++;
    At(index) = Node();
    At(index).op = op;
    At(index).column = column + 1;
    tree_depth_[std::size_t(index)] = 1;
    return index;
  }
  // What becomes a subquery is deeper in SQL than it looks here.
  static int Levels(const Node& node) {
    const bool is_subquery = node.op == Op::kMod || node.function == Function::kFloor ||
                             node.function == Function::kCeiling ||
                             node.function == Function::kEndsWith;
    return is_subquery ? 3 : 1;
  }
  // Makes `operand` the last of `parent`. False: too deep.
  bool Append(Index parent, Index operand) {
    Index* place = &At(parent).first;
    while (*place >= 0) place = &At(*place).next;
    *place = operand;
    std::uint8_t& depth = tree_depth_[std::size_t(parent)];
    const int deeper = tree_depth_[std::size_t(operand)] + Levels(At(parent));
    depth = std::max(depth, std::uint8_t(deeper));
    return depth <= kTreeDepth || FailAt(At(parent).column - 1, "too deeply nested") >= 0;
  }
  Index Text(std::string_view text, std::size_t column) {
    const Index index = New(Op::kLiteral, column);
    if (index >= 0) At(index).literal = Value::Text(text);
    return index;
  }

  // Every way down goes through here, so that the stack stays small.
  class Deeper {
   public:
    explicit Deeper(Parser& parser) : parser_(parser) { ++parser_.depth_; }
    Deeper(const Deeper&) = delete;
    Deeper& operator=(const Deeper&) = delete;
    ~Deeper() { --parser_.depth_; }
    bool ok() const { return parser_.depth_ <= int(limits::kFilterDepth) + 1; }

   private:
    Parser& parser_;
  };

  // Operators that bind at least as strongly as `weakest`, from left to right.
  Index Expression(int weakest) {
    Index left = Unary();
    while (left >= 0) {
      SkipSpace();
      const std::size_t column = at_;
      const OperatorRule* rule = FindOperator(PeekWord());
      if (rule == nullptr || rule->strength < weakest) break;
      at_ += rule->word.size();
      left = rule->op == Op::kIn ? List(left, column) : Binary(*rule, left, column);
    }
    return left;
  }

  Index Binary(const OperatorRule& rule, Index left, std::size_t column) {
    const Index right = Expression(rule.strength + 1);
    if (right < 0) return -1;
    // a and b and c is one node: clients chain hundreds of conditions.
    const bool is_chain = rule.op == Op::kAnd || rule.op == Op::kOr;
    if (is_chain && At(left).op == rule.op) return Append(left, right) ? left : -1;
    const Index index = New(rule.op, column);
    return index >= 0 && Append(index, left) && Append(index, right) ? index : -1;
  }

  Index List(Index left, std::size_t column) {
    const Index index = New(Op::kIn, column);
    if (index < 0 || !Append(index, left)) return -1;
    if (!Expect('(', "expected '('")) return -1;
    do {
      SkipSpace();
      const std::size_t start = at_;
      const Index item = Unary();
      if (item < 0) return -1;
      if (At(item).op != Op::kLiteral) return FailAt(start, "expected a literal");
      if (!Append(index, item)) return -1;
      SkipSpace();
    } while (Take(','));
    return Expect(')', "expected ',' or ')'") ? index : Index(-1);
  }

  bool Take(char c) {
    if (Peek() != c || at_ == text_.size()) return false;
    ++at_;
    return true;
  }

  Index Unary() {
    const Deeper deeper(*this);
    SkipSpace();
    if (!deeper.ok()) return Fail("too deeply nested");
    const std::size_t column = at_;
    const bool is_minus = Peek() == '-' && !IsDigit(Peek(1));
    if (!is_minus && PeekWord() != "not") return Primary();
    at_ += is_minus ? 1 : 3;
    const Index operand = Unary();
    if (operand < 0) return -1;
    const Index index = New(is_minus ? Op::kNegate : Op::kNot, column);
    return index >= 0 && Append(index, operand) ? index : -1;
  }

  Index Primary() {
    const std::size_t column = at_;
    const char c = Peek();
    if (at_ == text_.size()) return Fail("expected a value");
    if (c == '(') {
      ++at_;
      const Index inner = Expression(kWeakest);
      if (inner < 0) return -1;
      return Expect(')', "expected an operator or ')'") ? inner : Index(-1);
    }
    if (c == '\'') return String(column);
    if (IsDigit(c) || c == '-') return IsDateAhead() ? BareDate() : Number();
    const std::string_view word = PeekWord();
    if (word.empty() || FindOperator(word) != nullptr) return Fail("expected a value");
    at_ += word.size();
    if (word == "null") return New(Op::kLiteral, column);
    if (word == "true" || word == "false") {
      const Index index = New(Op::kLiteral, column);
      if (index >= 0) At(index).literal = Value::Boolean(word == "true");
      return index;
    }
    if (Peek() == '\'') return Prefixed(word, column);
    const std::size_t end = at_;
    SkipSpace();
    if (Peek() == '(') return word == "cast" ? Cast(column) : Call(word, column);
    at_ = end;
    return ColumnName(column);
  }

  Index ColumnName(std::size_t column) {
    while (Peek() == '/' && IsNameStart(Peek(1))) {
      ++at_;
      at_ += PeekWord().size();
    }
    const Index index = New(Op::kColumn, column);
    if (index >= 0) At(index).name = text_.substr(column, at_ - column);
    return index;
  }

  Index Call(std::string_view word, std::size_t column) {
    const auto* const rule =
        std::find_if(std::begin(kFunctions), std::end(kFunctions),
                     [word](const FunctionRule& one) { return one.name == word; });
    if (rule == std::end(kFunctions)) return FailAt(column, "no such function");
    const Index index = New(Op::kCall, column);
    if (index < 0) return -1;
    At(index).function = rule->function;
    ++at_;  // '('
    int count = 0;
    do {
      const Index argument = Expression(kWeakest);
      if (argument < 0 || !Append(index, argument)) return -1;
      ++count;
      SkipSpace();
      if (Peek() == ',' && count == rule->most) return Fail("too many arguments");
    } while (Take(','));
    if (count < rule->fewest) return Fail("an argument is missing");
    if (!Expect(')', "expected ',' or ')'")) return -1;
    return Peek() == '/' ? Fail("a function's result has no members") : index;
  }

  // 'it''s', with the quote at at_.
  bool Quoted(std::string_view& out) {
    const std::size_t start = ++at_;
    bool doubled = false;
    for (;; ++at_) {
      if (at_ == text_.size()) return FailAt(start - 1, "the string does not end") >= 0;
      if (text_[at_] != '\'') continue;
      if (Peek(1) != '\'') break;
      doubled = true;
      ++at_;
    }
    out = text_.substr(start, at_ - start);
    ++at_;
    return !doubled || Undouble(out);
  }
  bool Undouble(std::string_view& text) {
    const std::size_t mark = arena_.Mark();
    char* const place = static_cast<char*>(arena_.AllocateBytes(text.size()));
    if (place == nullptr) {
      out_of_memory_ = true;
      return Fail("the filter needs more memory than there is") >= 0;
    }
    std::size_t used = 0;
    for (std::size_t i = 0; i < text.size(); ++i) {
      place[used++] = text[i];
      if (text[i] == '\'') ++i;
    }
    arena_.ResetTo(mark + used);
    text = {place, used};
    return true;
  }

  Index String(std::size_t column) {
    std::string_view text;
    return Quoted(text) ? Text(text, column) : Index(-1);
  }

  // datetime'..', datetimeoffset'..', guid'..'
  Index Prefixed(std::string_view word, std::size_t column) {
    const bool is_date = word == "datetime" || word == "datetimeoffset";
    if (!is_date && word != "guid") return FailAt(column, "no such kind of literal");
    std::string_view text;
    if (!Quoted(text)) return -1;
    return is_date ? Date(text, column, column + word.size() + 1) : Guid(text, column);
  }

  Index Date(std::string_view text, std::size_t column, std::size_t text_column) {
    if (!IsDate(text)) return FailAt(text_column, "not a date like 2026-11-23T06:11:29.123Z");
    const Index index = Text(text, column);
    if (index >= 0) At(index).literal_type = ColumnType::kDatetime;
    return index;
  }
  // Ids are compared as texts: what it looks like is the writer's business.
  Index Guid(std::string_view text, std::size_t column) { return Text(text, column); }

  bool IsDateAhead() const {
    for (std::size_t i = 0; i < 10; ++i) {
      if (i == 4 || i == 7 ? Peek(i) != '-' : !IsDigit(Peek(i))) return false;
    }
    return true;
  }
  // As OData v4 writes them: 2024-01-02T03:04:05.678Z
  Index BareDate() {
    const std::size_t column = at_;
    while (IsDigit(Peek()) || (Peek() != '\0' && std::string_view("-:.+TtZz").find(Peek()) !=
                                                     std::string_view::npos)) {
      ++at_;
    }
    return Date(text_.substr(column, at_ - column), column, column);
  }

  Index Number() {
    const std::size_t column = at_;
    bool is_real = false;
    if (Peek() == '-') ++at_;
    while (IsDigit(Peek())) ++at_;
    if (Peek() == '.') {
      is_real = true;
      ++at_;
      if (!IsDigit(Peek())) return Fail("expected a digit");
      while (IsDigit(Peek())) ++at_;
    }
    if (Peek() == 'e' || Peek() == 'E') {
      is_real = true;
      ++at_;
      if (Peek() == '+' || Peek() == '-') ++at_;
      if (!IsDigit(Peek())) return Fail("expected a digit");
      while (IsDigit(Peek())) ++at_;
    }
    const std::string_view digits = text_.substr(column, at_ - column);
    const char suffix = Peek();
    if (suffix != '\0' && std::string_view("LlMmFfDd").find(suffix) != std::string_view::npos) {
      const bool is_long = suffix == 'L' || suffix == 'l';
      if (is_long && is_real) return Fail("expected an operator");
      is_real = !is_long;
      ++at_;
    }
    if (IsNamePart(Peek())) return Fail("expected an operator");
    return NumberLiteral(digits, is_real, column);
  }

  Index NumberLiteral(std::string_view digits, bool is_real, std::size_t column) {
    Value value;
    if (const auto integer = ParseInteger(digits); integer && !is_real) {
      value = Value::Integer(*integer);
    } else if (const auto real = ParseReal(digits); real && is_real) {
      value = Value::Real(*real);
    } else {
      return FailAt(column, "not a number within range");
    }
    const Index index = New(Op::kLiteral, column);
    if (index >= 0) At(index).literal = value;
    return index;
  }

  // cast(2024-01-02T03:04:05.678Z,Edm.DateTimeOffset); what is cast is a literal, bare or quoted.
  Index Cast(std::size_t column) {
    ++at_;  // '('
    SkipSpace();
    const std::size_t start = at_;
    std::string_view text;
    if (Peek() == '\'') {
      if (!Quoted(text)) return -1;
    } else {
      while (at_ < text_.size() && !IsSpace(Peek()) && Peek() != ',' && Peek() != ')') ++at_;
      text = text_.substr(start, at_ - start);
      if (text.empty()) return Fail("expected a literal");
    }
    if (!Expect(',', "expected ','")) return -1;
    SkipSpace();
    const std::size_t type_column = at_;
    while (IsNamePart(Peek()) || Peek() == '.') ++at_;
    const std::string_view type = text_.substr(type_column, at_ - type_column);
    if (!Expect(')', "expected ')'")) return -1;
    return CastTo(type, text, {column, start, type_column});
  }

  struct CastColumns {
    std::size_t cast, text, type;
  };
  Index CastTo(std::string_view type, std::string_view text, const CastColumns& at) {
    if (!type.starts_with("Edm."))
      return FailAt(at.type, "expected a type like Edm.DateTimeOffset");
    type.remove_prefix(4);
    if (type == "DateTimeOffset" || type == "DateTime" || type == "Date") {
      return Date(text, at.cast, at.text);
    }
    if (type == "String" || type == "Guid" || type == "TimeOfDay" || type == "Duration") {
      return Text(text, at.cast);
    }
    if (type == "Boolean" && (text == "true" || text == "false")) {
      const Index index = New(Op::kLiteral, at.cast);
      if (index >= 0) At(index).literal = Value::Boolean(text == "true");
      return index;
    }
    if (type == "Boolean") return FailAt(at.text, "expected true or false");
    for (const std::string_view name : {"Int64", "Int32", "Int16", "SByte", "Byte"}) {
      if (type == name) return NumberLiteral(text, false, at.text);
    }
    for (const std::string_view name : {"Double", "Single", "Decimal"}) {
      if (type == name) return NumberLiteral(text, true, at.text);
    }
    return FailAt(at.type, "no such type");
  }

  std::string_view text_;
  Arena& arena_;
  ParsedFilter& filter_;
  QueryError& error_;
  std::size_t at_ = 0;
  int depth_ = 0;
  bool out_of_memory_ = false;
  std::array<std::uint8_t, limits::kFilterNodes> tree_depth_ = {};
};

}  // namespace

Result<void> ParseFilter(std::string_view text, Arena& arena, ParsedFilter& filter,
                         QueryError& error) {
  return Parser(text, arena, filter, error).Run();
}

}  // namespace holdfast::query
