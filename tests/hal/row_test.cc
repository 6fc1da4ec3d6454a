// SPDX-License-Identifier: Apache-2.0
// When two values are the same, and that the digest sees it the same way.
#include "hal/base/row.h"

#include <CppUTest/TestHarness.h>

#include <deque>
#include <string>
#include <vector>

#include "hal/base/prng.h"
#include "hal/base/text.h"

using namespace holdfast;

namespace {

constexpr ColumnType kTypes[] = {ColumnType::kAny,  ColumnType::kText,    ColumnType::kInteger,
                                 ColumnType::kReal, ColumnType::kBoolean, ColumnType::kDatetime,
                                 ColumnType::kBlob};

bool Same(ColumnType type, const Value& a, const Value& b) {
  const bool same = SameValue(type, a, b);
  CHECK(same == SameValue(type, b, a));
  const bool same_digest = DigestValue(kDigestStart, type, a) == DigestValue(kDigestStart, type, b);
  CHECK(same == same_digest);
  return same;
}

}  // namespace

TEST_GROUP(Row){};

TEST(Row, NumbersAreComparedByValue) {
  CHECK(Same(ColumnType::kAny, Value::Integer(1), Value::Real(1.0)));
  CHECK(Same(ColumnType::kReal, Value::Real(0.0), Value::Real(-0.0)));
  CHECK_FALSE(Same(ColumnType::kAny, Value::Integer(1), Value::Real(1.5)));
  CHECK_FALSE(
      Same(ColumnType::kAny, Value::Integer(INT64_MAX), Value::Real(9223372036854775808.0)));
  CHECK(Same(ColumnType::kAny, Value::Integer(INT64_MIN), Value::Real(-9223372036854775808.0)));
  // 2^53 + 1 is no double.
  CHECK_FALSE(
      Same(ColumnType::kAny, Value::Integer(9007199254740993), Value::Real(9007199254740992.0)));
}

TEST(Row, BooleansAreZeroAndOne) {
  CHECK(Same(ColumnType::kBoolean, Value::Boolean(true), Value::Integer(1)));
  CHECK(Same(ColumnType::kBoolean, Value::Boolean(false), Value::Real(0)));
  CHECK_FALSE(Same(ColumnType::kBoolean, Value::Boolean(true), Value::Boolean(false)));
  CHECK_FALSE(Same(ColumnType::kBoolean, Value::Boolean(false), Value::Null()));
}

TEST(Row, DatesAreComparedToTheMillisecond) {
  const Value plain = Value::Text("2026-11-23T06:11:29.123Z");
  CHECK(Same(ColumnType::kDatetime, plain, Value::Text("2026-11-23T08:11:29.1239999+02:00")));
  CHECK_FALSE(Same(ColumnType::kDatetime, plain, Value::Text("2026-11-23T06:11:29.124Z")));
  CHECK_FALSE(Same(ColumnType::kDatetime, plain, Value::Text("yesterday")));
  CHECK(Same(ColumnType::kDatetime, Value::Text("yesterday"), Value::Text("yesterday")));
  CHECK_FALSE(Same(ColumnType::kText, plain, Value::Text("2026-11-23T08:11:29.123+02:00")));
}

TEST(Row, MillisecondsBefore1970AreCutTheSameWay) {
  CHECK(Same(ColumnType::kDatetime, Value::Text("1969-12-31T23:59:59.9990000Z"),
             Value::Text("1969-12-31T23:59:59.9999999Z")));
  CHECK_FALSE(Same(ColumnType::kDatetime, Value::Text("1969-12-31T23:59:59.9999999Z"),
                   Value::Text("1970-01-01T00:00:00Z")));
}

TEST(Row, BlobsEqualTheirBase64) {
  CHECK(Same(ColumnType::kBlob, Value::Blob("fooba"), Value::Text("Zm9vYmE=")));
  CHECK(Same(ColumnType::kBlob, Value::Blob(""), Value::Text("")));
  CHECK_FALSE(Same(ColumnType::kBlob, Value::Blob("fooba"), Value::Text("fooba")));
  CHECK_FALSE(Same(ColumnType::kBlob, Value::Blob("fooba"), Value::Blob("foobb")));
}

TEST(Row, NullIsNullOnly) {
  CHECK(Same(ColumnType::kText, Value::Null(), Value::Null()));
  CHECK_FALSE(Same(ColumnType::kText, Value::Null(), Value::Text("")));
  CHECK_FALSE(Same(ColumnType::kInteger, Value::Null(), Value::Integer(0)));
}

TEST(Row, TheDigestKeepsValuesApart) {
  const auto two = [](const char* a, const char* b) {
    return DigestValue(DigestValue(kDigestStart, ColumnType::kText, Value::Text(a)),
                       ColumnType::kText, Value::Text(b));
  };
  CHECK(two("ab", "c") != two("a", "bc"));
  CHECK(two("a", "b") != two("b", "a"));
}

// Any pair of values, most of them near each other, in every type of column.
TEST(Row, DigestsAgreeExactlyWhenValuesAreTheSame) {
  Prng random(4);
  std::deque<std::string> texts;
  std::vector<Value> values = {Value::Null(), Value::Boolean(true), Value::Boolean(false)};
  for (int i = -2; i < 3; ++i) {
    values.push_back(Value::Integer(i));
    values.push_back(Value::Real(i));
    values.push_back(Value::Real(i + 0.5));
    values.push_back(Value::Integer(INT64_MAX + std::min(i, 0)));
    values.push_back(Value::Real(9007199254740992.0 + i));
    values.push_back(Value::Integer(9007199254740992 + i));
    values.push_back(Value::Real(9223372036854775808.0 * i));
  }
  for (int i = 0; i < 40; ++i) {
    std::string bytes(random.Below(100), ' ');
    for (char& c : bytes) c = char(random.Next());
    char room[200];
    TextWriter base64(room);
    values.push_back(Value::Blob(texts.emplace_back(bytes)));
    values.push_back(Value::Text(texts.emplace_back(base64.PutBase64(bytes).view())));
    values.push_back(Value::Text(texts.emplace_back("1970-01-01T00:00:0" + std::to_string(i % 3) +
                                                    (i % 2 == 0 ? ".000" : "") + "+00:00")));
  }
  for (const ColumnType type : kTypes) {
    for (const Value& a : values) {
      for (const Value& b : values) Same(type, a, b);
    }
  }
}

TEST(Row, TypesHaveNames) {
  for (const ColumnType type : kTypes) CHECK(ColumnTypeFromName(ColumnTypeName(type)) == type);
  CHECK(ColumnTypeName(ColumnType::kDatetime) == "datetime");
  CHECK_FALSE(ColumnTypeFromName("Text"));
  CHECK_FALSE(ColumnTypeFromName(""));
}

TEST(Row, FieldsAreFoundWithoutCase) {
  RowFields fields;
  CHECK(fields.Add("id", ColumnType::kText, Value::Text("a")).ok());
  CHECK(fields.Add("updatedAt", ColumnType::kAny, Value::Integer(1)).ok());
  CHECK(Find(fields.view(), "UPDATEDAT") == &fields.view()[1]);
  CHECK(Find(fields.view(), "updated") == nullptr);
  CHECK(FindText(fields.view(), "ID") == "a");
  CHECK(FindText(fields.view(), "updatedAt").empty());
  CHECK(IsSystemColumn("CREATEDAT"));
  CHECK_FALSE(IsSystemColumn("created"));
}

TEST(Row, FieldsHaveALimit) {
  RowFields fields;
  for (std::size_t i = 0; i < limits::kColumns + 5; ++i) {
    CHECK(fields.Add("a", ColumnType::kAny, Value::Null()).ok());
  }
  CHECK(fields.Add("a", ColumnType::kAny, Value::Null()).error().code == Code::kTooLarge);
  fields.clear();
  CHECK(fields.view().empty());
}
