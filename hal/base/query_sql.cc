// SPDX-License-Identifier: Apache-2.0
// The SQL generator: first the types of all nodes, then the text.
//
// Only functions that every SQLite since 3.37 has, whatever it was built with: no math functions,
// no LIKE (its wildcards would be in the user's text). Comparisons are two-valued as in OData: a
// null is equal to a null only, and less or greater than nothing.
#include <initializer_list>

#include "hal/base/query.h"
#include "hal/base/timestamp.h"

namespace holdfast::query {
namespace {

enum class Kind : std::uint8_t { kNull, kAny, kBool, kInteger, kReal, kText, kDate, kBlob };

struct Info {
  Kind kind = Kind::kAny;
  int decimals = 3;  // kDate
};

constexpr int kDefaultDecimals = 3;

Kind KindOf(ColumnType type) {
  switch (type) {
    case ColumnType::kAny: return Kind::kAny;
    case ColumnType::kText: return Kind::kText;
    case ColumnType::kInteger: return Kind::kInteger;
    case ColumnType::kReal: return Kind::kReal;
    case ColumnType::kBoolean: return Kind::kBool;
    case ColumnType::kDatetime: return Kind::kDate;
    case ColumnType::kBlob: return Kind::kBlob;
  }
  return Kind::kAny;
}

bool IsOpen(Kind kind) { return kind == Kind::kAny || kind == Kind::kNull; }
bool IsNumber(Kind kind) { return kind == Kind::kInteger || kind == Kind::kReal || IsOpen(kind); }
bool IsText(Kind kind) { return kind == Kind::kText || IsOpen(kind); }
bool IsCondition(Kind kind) { return kind == Kind::kBool || IsOpen(kind); }
bool IsDate(Kind kind) { return kind == Kind::kDate || kind == Kind::kText || IsOpen(kind); }

// A literal's moment; a date alone is its first.
std::optional<Ticks> MomentOf(std::string_view text) {
  if (text.size() != 10) return ParseTimestamp(text);
  char room[32];
  TextWriter whole(room);
  return ParseTimestamp(whole.Put(text).Put("T00:00:00Z").view());
}

void PutName(TextWriter& sql, std::string_view name) {
  sql.Put('"');
  for (const char c : name) sql.Put(c == '"' ? std::string_view("\"\"") : std::string_view(&c, 1));
  sql.Put('"');
}

Error Invalid(QueryError& error, std::size_t column, const char* what) {
  error = {column, what};
  return {Code::kInvalidArgument, Origin::kNone, std::int32_t(column), what};
}

class Generator {
 public:
  Generator(const ParsedFilter& filter, const Columns& columns, Arena& arena, TextWriter& sql,
            Parameters& parameters, QueryError& error)
      : filter_(filter),
        columns_(columns),
        arena_(arena),
        sql_(sql),
        parameters_(parameters),
        error_(error) {}

  Result<void> Run() {
    error_ = {};
    parameters_.count = 0;
    if (filter_.root < 0) return Ok();
    const Node& root = At(filter_.root);
    HF_TRY(Analyse(root));
    HF_TRY(Check(root, IsCondition, "expected a condition"));
    HF_TRY(Emit(root));
    if (auto text = sql_.Finish(); !text) return text.error();
    return Ok();
  }

 private:
  const Node& At(std::int16_t index) const { return filter_.nodes[std::size_t(index)]; }
  const Node* Next(const Node* node) const { return node->next < 0 ? nullptr : &At(node->next); }
  const Node* First(const Node& node) const { return node.first < 0 ? nullptr : &At(node.first); }
  const Node& Operand(const Node& node, int number) const {
    const Node* operand = First(node);
    for (; number > 0 && operand != nullptr; --number) operand = Next(operand);
    HF_ASSERT(operand != nullptr);
    return *operand;
  }
  Info& InfoOf(const Node& node) { return info_[std::size_t(&node - filter_.nodes.data())]; }
  Error Fail(const Node& node, const char* what) { return Invalid(error_, node.column, what); }

  Result<void> Check(const Node& node, bool (*is_right)(Kind), const char* what) {
    if (is_right(InfoOf(node).kind)) return Ok();
    return Fail(node, what);
  }
  Result<void> CheckOperands(const Node& node, bool (*is_right)(Kind), const char* what) {
    for (const Node* operand = First(node); operand != nullptr; operand = Next(operand)) {
      HF_TRY(Check(*operand, is_right, what));
    }
    return Ok();
  }

  // Types, from the leaves up.
  Result<void> Analyse(const Node& node) {
    for (const Node* operand = First(node); operand != nullptr; operand = Next(operand)) {
      HF_TRY(Analyse(*operand));
    }
    Kind& kind = InfoOf(node).kind;
    switch (node.op) {
      case Op::kLiteral: kind = LiteralKind(node); return Ok();
      case Op::kColumn: return AnalyseColumn(node);
      case Op::kOr:
      case Op::kAnd:
      case Op::kNot:
        kind = Kind::kBool;
        return CheckOperands(node, IsCondition, "expected a condition");
      case Op::kNegate:
      case Op::kAdd:
      case Op::kSub:
      case Op::kMul:
      case Op::kDiv:
      case Op::kMod:
        kind = ArithmeticKind(node);
        return CheckOperands(node, IsNumber, "expected a number");
      case Op::kEq:
      case Op::kNe:
      case Op::kGt:
      case Op::kGe:
      case Op::kLt:
      case Op::kLe:
      case Op::kIn: kind = Kind::kBool; return AnalyseComparison(node);
      case Op::kCall: return AnalyseCall(node);
    }
    return Ok();
  }

  static Kind LiteralKind(const Node& node) {
    switch (node.literal.type) {
      case ValueType::kNull: return Kind::kNull;
      case ValueType::kBoolean: return Kind::kBool;
      case ValueType::kInteger: return Kind::kInteger;
      case ValueType::kReal: return Kind::kReal;
      case ValueType::kBlob: return Kind::kBlob;
      case ValueType::kText: break;
    }
    return node.literal_type == ColumnType::kDatetime ? Kind::kDate : Kind::kText;
  }

  Result<void> AnalyseColumn(const Node& node) {
    const auto column = columns_.Lookup(node.name);
    if (!column) return Fail(node, "no such column");
    InfoOf(node) = {KindOf(column->type), column->date_decimals};
    return Ok();
  }

  Kind ArithmeticKind(const Node& node) {
    Kind kind = Kind::kInteger;
    for (const Node* operand = First(node); operand != nullptr; operand = Next(operand)) {
      const Kind one = InfoOf(*operand).kind;
      if (one == Kind::kReal || (one != Kind::kInteger && kind != Kind::kReal)) kind = one;
    }
    return kind == Kind::kReal || kind == Kind::kInteger ? kind : Kind::kAny;
  }

  // The first operand is compared with each of the others.
  Result<void> AnalyseComparison(const Node& node) {
    const Node& left = Operand(node, 0);
    for (const Node* right = Next(&left); right != nullptr; right = Next(right)) {
      HF_TRY(Compare(left, *right));
      HF_TRY(Compare(*right, left));
      if (!AreComparable(InfoOf(left).kind, InfoOf(*right).kind)) {
        return Fail(*right, "a value of another type is expected");
      }
    }
    return Ok();
  }

  // A text literal takes the form of what it is compared with.
  Result<void> Compare(const Node& literal, const Node& other) {
    if (literal.op != Op::kLiteral || InfoOf(literal).kind != Kind::kText) return Ok();
    if (InfoOf(other).kind == Kind::kDate) {
      if (!MomentOf(literal.literal.text)) {
        return Fail(literal, "expected a date like 2026-11-23T06:11:29.123Z");
      }
      InfoOf(literal).kind = Kind::kDate;
    } else if (InfoOf(other).kind == Kind::kBlob) {
      InfoOf(literal).kind = Kind::kBlob;
    }
    return Ok();
  }

  static bool AreComparable(Kind left, Kind right) {
    if (IsOpen(left) || IsOpen(right) || left == right) return true;
    const auto is_scalar = [](Kind kind) { return IsNumber(kind) || kind == Kind::kBool; };
    if (is_scalar(left)) return is_scalar(right);
    return IsDate(left) && IsDate(right);
  }

  Result<void> AnalyseCall(const Node& node) {
    Kind& kind = InfoOf(node).kind;
    switch (node.function) {
      case Function::kDay:
      case Function::kMonth:
      case Function::kYear:
      case Function::kHour:
      case Function::kMinute:
      case Function::kSecond:
        kind = Kind::kInteger;
        return CheckOperands(node, IsDate, "expected a date");
      case Function::kFloor:
      case Function::kCeiling:
      case Function::kRound:
        kind = Kind::kReal;
        return CheckOperands(node, IsNumber, "expected a number");
      case Function::kLength:
      case Function::kIndexOf:
        kind = Kind::kInteger;
        return CheckOperands(node, IsText, "expected a text");
      case Function::kSubstringOf:
      case Function::kContains:
      case Function::kStartsWith:
      case Function::kEndsWith:
        kind = Kind::kBool;
        return CheckOperands(node, IsText, "expected a text");
      case Function::kToLower:
      case Function::kToUpper:
      case Function::kTrim:
      case Function::kConcat:
      case Function::kReplace:
        kind = Kind::kText;
        return CheckOperands(node, IsText, "expected a text");
      case Function::kSubstring:
        kind = Kind::kText;
        HF_TRY(Check(Operand(node, 0), IsText, "expected a text"));
        for (const Node* number = Next(&Operand(node, 0)); number != nullptr;
             number = Next(number)) {
          HF_TRY(Check(*number, IsNumber, "expected a number"));
        }
        return Ok();
      case Function::kNone: break;
    }
    return Fail(node, "no such function");
  }

  // Text. Everything that is more than one token stands in parentheses.
  struct Part {
    const char* text;  // nullptr: the operand instead
    int operand;
  };
  Result<void> EmitParts(const Node& node, std::initializer_list<Part> parts) {
    for (const Part& part : parts) {
      if (part.text != nullptr) {
        sql_.Put(part.text);
      } else {
        HF_TRY(EmitValue(Operand(node, part.operand)));
      }
    }
    return Ok();
  }
  static constexpr Part Sql(const char* text) { return {text, 0}; }
  static constexpr Part Arg(int number) { return {nullptr, number}; }

  Result<void> Emit(const Node& node) {
    if (sql_.full()) return Error{Code::kTooLarge, Origin::kNone, 0, "the SQL is too long"};
    switch (node.op) {
      case Op::kLiteral: return EmitLiteral(node, {Kind::kAny, kDefaultDecimals});
      case Op::kColumn: PutName(sql_, node.name); return Ok();
      case Op::kOr: return EmitChain(node, " OR ");
      case Op::kAnd: return EmitChain(node, " AND ");
      case Op::kNot:
        sql_.Put('(');
        HF_TRY(Emit(Operand(node, 0)));
        sql_.Put(" IS NOT TRUE)");
        return Ok();
      case Op::kNegate: return EmitParts(node, {Sql("(-"), Arg(0), Sql(")")});
      case Op::kAdd: return EmitParts(node, {Sql("("), Arg(0), Sql(" + "), Arg(1), Sql(")")});
      case Op::kSub: return EmitParts(node, {Sql("("), Arg(0), Sql(" - "), Arg(1), Sql(")")});
      case Op::kMul: return EmitParts(node, {Sql("("), Arg(0), Sql(" * "), Arg(1), Sql(")")});
      case Op::kDiv: return EmitParts(node, {Sql("("), Arg(0), Sql(" / "), Arg(1), Sql(")")});
      case Op::kMod: return EmitModulo(node);
      case Op::kEq: return EmitComparison(node, " IS ");
      case Op::kNe: return EmitComparison(node, " IS NOT ");
      case Op::kGt: return EmitComparison(node, " > ");
      case Op::kGe: return EmitComparison(node, " >= ");
      case Op::kLt: return EmitComparison(node, " < ");
      case Op::kLe: return EmitComparison(node, " <= ");
      case Op::kIn: return EmitList(node);
      case Op::kCall: return EmitCall(node);
    }
    return Ok();
  }

  // Halves in parentheses: SQLite limits the depth of an expression, and a chain is as deep as it
  // is long.
  Result<void> EmitChain(const Node& node, std::string_view word) {
    int count = 0;
    for (const Node* operand = First(node); operand != nullptr; operand = Next(operand)) ++count;
    const Node* operand = First(node);
    return EmitPartOfChain(operand, count, word);
  }
  // Writes `count` operands, and leaves `operand` at the one after them.
  Result<void> EmitPartOfChain(const Node*& operand, int count, std::string_view word) {
    HF_ASSERT(operand != nullptr);
    if (count == 1) {
      HF_TRY(Emit(*operand));
      operand = Next(operand);
      return Ok();
    }
    sql_.Put('(');
    HF_TRY(EmitPartOfChain(operand, count - count / 2, word));
    sql_.Put(word);
    HF_TRY(EmitPartOfChain(operand, count / 2, word));
    sql_.Put(')');
    return Ok();
  }

  // As an operand of something else a condition is true or false, never null.
  Result<void> EmitValue(const Node& node) {
    const bool is_column_or_literal = node.op == Op::kColumn || node.op == Op::kLiteral;
    if (is_column_or_literal || InfoOf(node).kind != Kind::kBool) return Emit(node);
    sql_.Put('(');
    HF_TRY(Emit(node));
    sql_.Put(" IS TRUE)");
    return Ok();
  }

  // One side of a comparison. Dates with different numbers of decimals are compared to the lesser;
  // texts byte by byte, whatever collation their column was created with.
  Result<void> EmitSide(const Node& node, const Info& other) {
    if (node.op == Op::kLiteral) return EmitLiteral(node, other);
    const Info& own = InfoOf(node);
    const bool cut = node.op == Op::kColumn && own.kind == Kind::kDate &&
                     other.kind == Kind::kDate && own.decimals > other.decimals;
    const bool cut_zone = node.op == Op::kColumn && own.kind == Kind::kDate &&
                          other.kind == Kind::kDate && own.decimals < other.decimals;
    if (cut || cut_zone) {
      const int decimals = cut ? other.decimals : own.decimals;
      sql_.Put("substr(");
      PutName(sql_, node.name);
      sql_.Put(",1,").PutInteger(decimals == 0 ? 19 : 20 + decimals).Put(')');
      return Ok();
    }
    HF_TRY(EmitValue(node));
    if (node.op == Op::kColumn && IsText(own.kind)) sql_.Put(" COLLATE BINARY");
    return Ok();
  }

  // How a date literal has to look like beside `node`: the literal has no decimals of its own.
  Info SideOf(const Node& node, const Info& fallback) {
    if (node.op != Op::kLiteral) return InfoOf(node);
    return {InfoOf(node).kind, fallback.decimals};
  }

  Result<void> EmitComparison(const Node& node, std::string_view op) {
    const Node& left = Operand(node, 0);
    const Node& right = Operand(node, 1);
    sql_.Put('(');
    HF_TRY(EmitSide(left, SideOf(right, InfoOf(left))));
    sql_.Put(op);
    HF_TRY(EmitSide(right, SideOf(left, InfoOf(right))));
    sql_.Put(')');
    return Ok();
  }

  // A null in the list is a value like others, but IN does not see it so: its answer for a null on
  // the left is null, which is not false. IN () would be false even then.
  Result<void> EmitList(const Node& node) {
    const Node& left = Operand(node, 0);
    int nulls = 0;
    int values = 0;
    for (const Node* item = Next(&left); item != nullptr; item = Next(item)) {
      ++(InfoOf(*item).kind == Kind::kNull ? nulls : values);
    }
    sql_.Put("((");
    HF_TRY(EmitSide(left, {Kind::kAny, InfoOf(left).decimals}));
    if (values == 0) {
      sql_.Put(" IS NULL))");
      return Ok();
    }
    std::string_view before = " IN (";
    for (const Node* item = Next(&left); item != nullptr; item = Next(item)) {
      if (InfoOf(*item).kind == Kind::kNull) continue;
      sql_.Put(before);
      before = ",";
      HF_TRY(EmitLiteral(*item, InfoOf(left)));
    }
    sql_.Put(nulls > 0 ? ")) IS NOT FALSE)" : ")))");
    return Ok();
  }

  Result<void> Bind(const Value& value) {
    if (parameters_.count == parameters_.values.size()) {
      return Error{Code::kTooLarge, Origin::kNone, 0, "too many values in a filter"};
    }
    parameters_.values[parameters_.count++] = value;
    sql_.Put('?');
    return Ok();
  }

  Result<void> EmitLiteral(const Node& node, const Info& other) {
    switch (InfoOf(node).kind) {
      case Kind::kNull: sql_.Put("NULL"); return Ok();
      case Kind::kBool: return Bind(Value::Integer(node.literal.integer));
      case Kind::kDate: return BindDate(node, other);
      case Kind::kBlob: return BindBlob(node);
      default: return Bind(node.literal);
    }
  }

  // A column of dates gets its own form. Elsewhere a date without a time stays one.
  Result<void> BindDate(const Node& node, const Info& other) {
    const std::string_view text = node.literal.text;
    if (text.size() == 10 && other.kind != Kind::kDate) return Bind(node.literal);
    const auto ticks = MomentOf(text);
    if (!ticks) return Fail(node, "expected a date");
    const int decimals = other.kind == Kind::kDate ? other.decimals : kDefaultDecimals;
    HF_TRY_ASSIGN(const std::string_view copy,
                  arena_.Copy(FormatTimestamp(*ticks, decimals).view()));
    return Bind(Value::Text(copy));
  }

  Result<void> BindBlob(const Node& node) {
    const std::string_view text = node.literal.text;
    char* const place = static_cast<char*>(arena_.AllocateBytes(text.size()));
    if (place == nullptr) return Arena::Full();
    const auto bytes = DecodeBase64(text, {place, text.size()});
    if (!bytes) return Fail(node, "expected base64");
    return Bind(Value::Blob(*bytes));
  }

  // Sums and products of integers are reals once they leave 64 bits.
  bool StaysInteger(const Node& node) {
    const bool is_plain = node.op == Op::kColumn || node.op == Op::kLiteral || node.op == Op::kCall;
    return is_plain && InfoOf(node).kind == Kind::kInteger;
  }

  // OData's remainder of reals is a real; that of SQLite cuts both to integers first.
  Result<void> EmitModulo(const Node& node) {
    if (StaysInteger(Operand(node, 0)) && StaysInteger(Operand(node, 1))) {
      return EmitParts(node, {Sql("("), Arg(0), Sql(" % "), Arg(1), Sql(")")});
    }
    return EmitParts(node, {Sql("(SELECT CASE WHEN typeof(x)='integer' AND typeof(y)='integer' "
                                "THEN x % y ELSE x - y * CAST(x / y AS INTEGER) END FROM (SELECT "),
                            Arg(0), Sql(" AS x,"), Arg(1), Sql(" AS y))")});
  }

  // Cutting to an integer is what SQLite always has. Beyond 2^53 reals are whole anyway.
  Result<void> EmitRounding(const Node& node, const char* correction) {
    return EmitParts(node,
                     {Sql("(SELECT CASE WHEN typeof(x)='real' AND x>-9e15 AND x<9e15 THEN 0.0+"),
                      Sql(correction), Sql(" ELSE x END FROM (SELECT "), Arg(0), Sql(" AS x))")});
  }

  // A column of dates is cut to whole seconds, so that nothing is rounded up to the next day.
  Result<void> EmitDatePart(const Node& node, const char* part) {
    const Kind kind = InfoOf(Operand(node, 0)).kind;
    if (kind == Kind::kDate) {
      return EmitParts(node, {Sql("CAST(strftime('"), Sql(part), Sql("',substr("), Arg(0),
                              Sql(",1,19)) AS INTEGER)")});
    }
    return EmitParts(node,
                     {Sql("CAST(strftime('"), Sql(part), Sql("',"), Arg(0), Sql(") AS INTEGER)")});
  }

  Result<void> EmitCall(const Node& node) {
    switch (node.function) {
      case Function::kDay: return EmitDatePart(node, "%d");
      case Function::kMonth: return EmitDatePart(node, "%m");
      case Function::kYear: return EmitDatePart(node, "%Y");
      case Function::kHour: return EmitDatePart(node, "%H");
      case Function::kMinute: return EmitDatePart(node, "%M");
      case Function::kSecond: return EmitDatePart(node, "%S");
      case Function::kFloor: return EmitRounding(node, "CAST(x AS INTEGER)-(x<CAST(x AS INTEGER))");
      case Function::kCeiling:
        return EmitRounding(node, "CAST(x AS INTEGER)+(x>CAST(x AS INTEGER))");
      case Function::kRound: return EmitParts(node, {Sql("round("), Arg(0), Sql(")")});
      default: return EmitTextCall(node);
    }
  }

  Result<void> EmitTextCall(const Node& node) {
    switch (node.function) {
      case Function::kToLower: return EmitParts(node, {Sql("lower("), Arg(0), Sql(")")});
      case Function::kToUpper: return EmitParts(node, {Sql("upper("), Arg(0), Sql(")")});
      case Function::kLength: return EmitParts(node, {Sql("length("), Arg(0), Sql(")")});
      case Function::kTrim: return EmitParts(node, {Sql("trim("), Arg(0), Sql(")")});
      case Function::kSubstringOf:
        return EmitParts(node, {Sql("(instr("), Arg(1), Sql(","), Arg(0), Sql(")>0)")});
      case Function::kContains:
        return EmitParts(node, {Sql("(instr("), Arg(0), Sql(","), Arg(1), Sql(")>0)")});
      case Function::kStartsWith:
        return EmitParts(node, {Sql("(instr("), Arg(0), Sql(","), Arg(1), Sql(")=1)")});
      case Function::kEndsWith:
        return EmitParts(node, {Sql("(SELECT x IS NOT NULL AND (length(y)=0 OR substr(x,-length(y))"
                                    "=y COLLATE BINARY) FROM (SELECT "),
                                Arg(0), Sql(" AS x,"), Arg(1), Sql(" AS y))")});
      case Function::kConcat:
        return EmitParts(node, {Sql("("), Arg(0), Sql(" || "), Arg(1), Sql(")")});
      case Function::kIndexOf:
        return EmitParts(node, {Sql("(instr("), Arg(0), Sql(","), Arg(1), Sql(")-1)")});
      case Function::kReplace:
        return EmitParts(node,
                         {Sql("replace("), Arg(0), Sql(","), Arg(1), Sql(","), Arg(2), Sql(")")});
      default: return EmitSubstring(node);
    }
  }

  // SQLite counts from 1, and takes numbers below 0 as counted from the end.
  Result<void> EmitSubstring(const Node& node) {
    HF_TRY(EmitParts(node, {Sql("substr("), Arg(0), Sql(",max("), Arg(1), Sql(",0)+1")}));
    if (Operand(node, 1).next >= 0) HF_TRY(EmitParts(node, {Sql(",max("), Arg(2), Sql(",0)")}));
    sql_.Put(')');
    return Ok();
  }

  const ParsedFilter& filter_;
  const Columns& columns_;
  Arena& arena_;
  TextWriter& sql_;
  Parameters& parameters_;
  QueryError& error_;
  std::array<Info, limits::kFilterNodes> info_;
};

// Reads "a, b desc".
class OrderReader {
 public:
  OrderReader(std::string_view text, QueryError& error) : text_(text), error_(error) {}

  bool AtEnd() {
    while (at_ < text_.size() && text_[at_] == ' ') ++at_;
    return at_ == text_.size();
  }
  std::string_view Word() {
    const std::size_t start = at_;
    if (!AtEnd()) start_ = at_;
    while (at_ < text_.size() && text_[at_] != ' ' && text_[at_] != ',') ++at_;
    return at_ == start ? std::string_view() : text_.substr(start_, at_ - start_);
  }
  bool Comma() {
    if (AtEnd() || text_[at_] != ',') return false;
    ++at_;
    return true;
  }
  Error Fail(const char* what) { return Invalid(error_, at_ + 1, what); }
  Error FailAtWord(const char* what) { return Invalid(error_, start_ + 1, what); }

 private:
  std::string_view text_;
  QueryError& error_;
  std::size_t at_ = 0;
  std::size_t start_ = 0;
};

}  // namespace

Result<void> AppendWhere(const ParsedFilter& filter, const Columns& columns, Arena& arena,
                         TextWriter& sql, Parameters& parameters, QueryError& error) {
  return Generator(filter, columns, arena, sql, parameters, error).Run();
}

Result<void> AppendOrderBy(std::string_view text, const Columns& columns, TextWriter& sql,
                           QueryError& error) {
  error = {};
  OrderReader reader(text, error);
  if (reader.AtEnd()) return Ok();
  bool first = true;
  do {
    if (reader.AtEnd()) return reader.Fail("expected a column");
    const std::string_view name = reader.Word();
    if (name.empty()) return reader.Fail("expected a column");
    if (!columns.Lookup(name)) return reader.FailAtWord("no such column");
    if (!first) sql.Put(',');
    first = false;
    PutName(sql, name);
    std::string_view direction;
    if (!reader.AtEnd()) direction = reader.Word();
    if (!direction.empty() && direction != "asc" && direction != "desc") {
      return reader.FailAtWord("expected asc, desc or ','");
    }
    sql.Put(direction == "desc" ? " DESC" : " ASC");
  } while (reader.Comma());
  if (!reader.AtEnd()) return reader.Fail("expected ','");
  if (auto written = sql.Finish(); !written) return written.error();
  return Ok();
}

}  // namespace holdfast::query
