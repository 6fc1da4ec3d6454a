// SPDX-License-Identifier: Apache-2.0
// The grammar of filters, and where each mistake is.
#include "hal/base/query.h"

#include <CppUTest/TestHarness.h>

#include <string>

#include "hal/base/prng.h"

using namespace holdfast;
using namespace holdfast::query;

namespace {

const char* Word(Op op) {
  switch (op) {
    case Op::kLiteral: return "";
    case Op::kColumn: return "";
    case Op::kOr: return "or";
    case Op::kAnd: return "and";
    case Op::kNot: return "not";
    case Op::kNegate: return "-";
    case Op::kEq: return "eq";
    case Op::kNe: return "ne";
    case Op::kGt: return "gt";
    case Op::kGe: return "ge";
    case Op::kLt: return "lt";
    case Op::kLe: return "le";
    case Op::kIn: return "in";
    case Op::kAdd: return "add";
    case Op::kSub: return "sub";
    case Op::kMul: return "mul";
    case Op::kDiv: return "div";
    case Op::kMod: return "mod";
    case Op::kCall: return "call";
  }
  return "?";
}

}  // namespace

TEST_GROUP(Query) {
  char room[8192];
  Arena arena{room};
  ParsedFilter filter;
  QueryError error;

  std::string Literal(const Node& node) {
    char text[200];
    TextWriter out(text);
    switch (node.literal.type) {
      case ValueType::kNull: out.Put("null"); break;
      case ValueType::kBoolean: out.Put(node.literal.integer != 0 ? "true" : "false"); break;
      case ValueType::kInteger: out.PutInteger(node.literal.integer); break;
      case ValueType::kReal: out.PutReal(node.literal.real, true); break;
      case ValueType::kText:
      case ValueType::kBlob:
        out.Put(node.literal_type == ColumnType::kDatetime ? "date<" : "<");
        out.Put(node.literal.text).Put('>');
        break;
    }
    return std::string(out.view());
  }
  std::string Show(std::int16_t index) {
    const Node& node = filter.nodes[std::size_t(index)];
    if (node.op == Op::kLiteral) return Literal(node);
    if (node.op == Op::kColumn) return std::string(node.name);
    std::string text = std::string("(") + Word(node.op);
    if (node.op == Op::kCall) text += std::to_string(int(node.function));
    for (std::int16_t i = node.first; i >= 0; i = filter.nodes[std::size_t(i)].next) {
      text.append(" ").append(Show(i));
    }
    return text + ")";
  }
  std::string Parse(std::string_view text) {
    arena.Reset();
    if (const auto parsed = ParseFilter(text, arena, filter, error); !parsed) {
      CHECK(parsed.error().code == Code::kInvalidArgument);
      return std::to_string(error.column).append(": ").append(error.what);
    }
    LONGS_EQUAL(0, error.column);
    return filter.root < 0 ? "" : Show(filter.root);
  }
};

#define PARSES(text, tree) STRCMP_EQUAL(tree, Parse(text).c_str())

TEST(Query, NothingIsTheEmptyFilter) {
  PARSES("", "");
  PARSES("  \t", "");
}

TEST(Query, OperatorsBindAsInOData) {
  PARSES("a eq 1", "(eq a 1)");
  PARSES("a eq 1 or b eq 2 and c eq 3", "(or (eq a 1) (and (eq b 2) (eq c 3)))");
  PARSES("a add 1 mul 2 eq 3", "(eq (add a (mul 1 2)) 3)");
  PARSES("a sub 1 sub 2 gt 0", "(gt (sub (sub a 1) 2) 0)");
  PARSES("a div 2 mod 3 le 0", "(le (mod (div a 2) 3) 0)");
  PARSES("(a or b) and c", "(and (or a b) c)");
  PARSES("a ne 1 eq true", "(eq (ne a 1) true)");
  PARSES("a lt 1 and b ge 2", "(and (lt a 1) (ge b 2))");
}

TEST(Query, ChainsOfConditionsAreOneNode) {
  PARSES("a and b and c and d", "(and a b c d)");
  PARSES("(((a and b) and c) and d)", "(and a b c d)");
  PARSES("a or b or (c and d)", "(or a b (and c d))");
}

TEST(Query, NotAndMinusBindStrongest) {
  PARSES("not a and b", "(and (not a) b)");
  PARSES("not(a and b)", "(not (and a b))");
  PARSES("not not a", "(not (not a))");
  PARSES("not endswith(a,'x')", "(not (call17 a <x>))");
  PARSES("-a mul 2 eq -3", "(eq (mul (- a) 2) -3)");
  PARSES("-(a) eq - 3", "(eq (- a) (- 3))");
  PARSES("notes eq 1", "(eq notes 1)");
}

TEST(Query, LiteralsOfAllKinds) {
  PARSES("null", "null");
  PARSES("true", "true");
  PARSES("false", "false");
  PARSES("'it''s'", "<it's>");
  PARSES("''", "<>");
  PARSES("''''", "<'>");
  PARSES("12", "12");
  PARSES("12L", "12");
  PARSES("-9223372036854775808", "-9223372036854775808");
  PARSES("9223372036854775807L", "9223372036854775807");
  PARSES("1.5", "1.5");
  PARSES("1e3", "1000.0");
  PARSES("1.5E-3", "0.0015");
  PARSES("1.5f", "1.5");
  PARSES("1.5M", "1.5");
  PARSES("2d", "2.0");
}

TEST(Query, DatesAndGuidsOfVersion2) {
  PARSES("datetime'2012-05-03T00:06:00.638Z'", "date<2012-05-03T00:06:00.638Z>");
  PARSES("datetimeoffset'2012-05-03T00:06:00.6380000+00:00'",
         "date<2012-05-03T00:06:00.6380000+00:00>");
  PARSES("guid'0f8fad5b-d9cb-469f-a165-70867728950e'", "<0f8fad5b-d9cb-469f-a165-70867728950e>");
}

TEST(Query, CastsOfVersion4) {
  PARSES("a gt cast(2024-01-02T03:04:05.678Z,Edm.DateTimeOffset)",
         "(gt a date<2024-01-02T03:04:05.678Z>)");
  PARSES("cast( '2024-01-02' , Edm.Date )", "date<2024-01-02>");
  PARSES("cast(03:04:05.678,Edm.TimeOfDay)", "<03:04:05.678>");
  PARSES("cast(0f8fad5b-d9cb-469f-a165-70867728950e,Edm.Guid)",
         "<0f8fad5b-d9cb-469f-a165-70867728950e>");
  PARSES("cast(-5,Edm.Int32)", "-5");
  PARSES("cast(5,Edm.Double)", "5.0");
  PARSES("cast(true,Edm.Boolean)", "true");
  PARSES("a gt 2024-01-02T03:04:05.678Z", "(gt a date<2024-01-02T03:04:05.678Z>)");
}

TEST(Query, ListsOfLiterals) {
  PARSES("s in ('a','b')", "(in s <a> <b>)");
  PARSES("s in(1 , -2,null) and t", "(and (in s 1 -2 null) t)");
}

TEST(Query, NamesMayBeginWithUnderscoreOrAt) {
  PARSES("__updatedAt ge 1", "(ge __updatedAt 1)");
  PARSES("@x eq day", "(eq @x day)");
  PARSES("a/b eq 1", "(eq a/b 1)");
  PARSES("in_stock eq 1", "(eq in_stock 1)");
}

TEST(Query, FunctionsWithTheirArguments) {
  PARSES("substringof('a',b)", "(call14 <a> b)");
  PARSES("substring(a,1) eq substring( a , 1 , 2 )", "(eq (call21 a 1) (call21 a 1 2))");
  PARSES("tolower (a) eq 'x'", "(eq (call10 a) <x>)");
  PARSES("round(a add 1) eq 2", "(eq (call9 (add a 1)) 2)");
}

TEST(Query, MistakesAreFoundWhereTheyAre) {
  PARSES("a eq", "5: expected a value");
  PARSES("a eq ", "6: expected a value");
  PARSES("a = 1", "3: an operator or the end is expected");
  PARSES("(a eq 1", "8: expected an operator or ')'");
  PARSES("a eq 1)", "7: an operator or the end is expected");
  PARSES("a eq and b", "6: expected a value");
  PARSES("a eq 'x", "6: the string does not end");
  PARSES("a eq 1x", "7: expected an operator");
  PARSES("a eq 1.", "8: expected a digit");
  PARSES("a eq 1e+", "9: expected a digit");
  PARSES("a eq 1.5L", "9: expected an operator");
  PARSES("a eq 9223372036854775808", "6: not a number within range");
  PARSES("a eq 1e400", "6: not a number within range");
  PARSES("foo(a) eq 1", "1: no such function");
  PARSES("a eq 1 and floor(a,b)", "19: too many arguments");
  PARSES("concat(a) eq 'x'", "9: an argument is missing");
  PARSES("concat( ) eq 'x'", "9: expected a value");
  PARSES("floor(a", "8: expected ',' or ')'");
  PARSES("datetime'2024-13-01T00:00:00Z' gt a", "10: not a date like 2026-11-23T06:11:29.123Z");
  PARSES("a eq foo'x'", "6: no such kind of literal");
  PARSES("a in 1", "6: expected '('");
  PARSES("a in (b)", "7: expected a literal");
  PARSES("a in ()", "7: expected a value");
  PARSES("a in (1,2", "10: expected ',' or ')'");
  PARSES("cast(1,Edm.Foo) eq 1", "8: no such type");
  PARSES("cast(1,Int32) eq 1", "8: expected a type like Edm.DateTimeOffset");
  PARSES("cast(x,Edm.Int32) eq 1", "6: not a number within range");
  PARSES("cast(,Edm.Int32) eq 1", "6: expected a literal");
  PARSES("cast(1) eq 1", "7: expected ','");
  PARSES("\xC3\xA4 eq 1", "1: expected a value");
  PARSES("a/ eq 1", "2: an operator or the end is expected");
  PARSES("trim(a)/b eq 1", "8: a function's result has no members");
  PARSES(std::string_view("a\0b", 3), "2: an operator or the end is expected");
}

TEST(Query, DepthHasALimit) {
  const auto nested = [](int depth) {
    return std::string(std::size_t(depth), '(') + "a" + std::string(std::size_t(depth), ')');
  };
  PARSES(nested(32), "a");
  PARSES(nested(33), "34: too deeply nested");
  PARSES(std::string(4000, '('), "34: too deeply nested");
  PARSES(std::string(4000, '-') + "a", "34: too deeply nested");
  std::string negations;
  for (int i = 0; i < 1000; ++i) negations += "not ";
  PARSES(negations + "a", "133: too deeply nested");
}

TEST(Query, ChainsOfOperatorsHaveALimit) {
  std::string sum = "a";
  for (int i = 0; i < 31; ++i) sum += " add 1";
  CHECK(Parse(sum).starts_with("(add (add "));
  PARSES(sum + " add 1", "189: too deeply nested");
}

TEST(Query, NodesHaveALimit) {
  std::string list = "a in (1";
  for (int i = 0; i < 253; ++i) list += ",1";
  CHECK(Parse(list + ")").starts_with("(in a 1 "));
  PARSES(list + ",1)", "515: a filter has at most 256 values and operators");
}

TEST(Query, LengthHasALimit) {
  const std::string text(limits::kFilterBytes - 1, ' ');
  PARSES(text + "a", "a");
  PARSES(text + " a", "4097: a filter has at most 4096 bytes");
}

TEST(Query, AFullArenaIsAnError) {
  Arena small({});
  const auto parsed = ParseFilter("a eq 'it''s'", small, filter, error);
  CHECK(parsed.error().code == Code::kNoMemory);
}

TEST(Query, NoTruncationAndNoMutationDoesHarm) {
  const std::string whole =
      "(not startswith(a,'it''s') and b add -1.5e3 mul 2 ge datetime'2012-05-03T00:06:00Z') or c "
      "in "
      "(1,2L,null) or cast(2024-01-02,Edm.Date) lt d";
  for (std::size_t n = 0; n <= whole.size(); ++n) Parse(whole.substr(0, n));
  Prng random(5);
  for (int i = 0; i < 100000; ++i) {
    std::string text = whole;
    for (std::uint64_t k = 0; k <= random.Below(4); ++k) {
      const std::size_t at = random.Below(text.size());
      if (random.Chance(30)) {
        text.erase(at, random.Below(10) + 1);
      } else {
        text[at] = random.Chance(50) ? whole[random.Below(whole.size())] : char(random.Next());
      }
    }
    Parse(text);
    CHECK(error.column <= text.size() + 1);
  }
}
