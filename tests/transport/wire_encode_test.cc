// SPDX-License-Identifier: Apache-2.0
// Rows as JSON.
#include <CppUTest/TestHarness.h>

#include <limits>
#include <string>

#include "transport/wire.h"

using namespace holdfast;
using namespace holdfast::wire;

TEST_GROUP(WireEncode) {
  RowFields row;
  char room[4096];

  void Add(std::string_view name, ColumnType type, const Value& value) {
    CHECK(row.Add(name, type, value).ok());
  }
  std::string Encode() {
    TextWriter out(room);
    const auto encoded = EncodeRow(row.view(), out);
    if (!encoded) return std::string(CodeName(encoded.error().code));
    return std::string(out.view());
  }
};

TEST(WireEncode, AnEmptyRowIsAnEmptyObject) { STRCMP_EQUAL("{}", Encode().c_str()); }

TEST(WireEncode, MembersAreInOrder) {
  Add("id", ColumnType::kText, Value::Text("a1"));
  Add("value", ColumnType::kReal, Value::Real(21.5));
  Add("ts", ColumnType::kInteger, Value::Integer(9007199254740993));
  Add("quality", ColumnType::kInteger, Value::Null());
  STRCMP_EQUAL("{\"id\":\"a1\",\"value\":21.5,\"ts\":9007199254740993,\"quality\":null}",
               Encode().c_str());
}

TEST(WireEncode, BooleansGoByTheColumn) {
  Add("a", ColumnType::kBoolean, Value::Integer(1));
  Add("b", ColumnType::kBoolean, Value::Integer(0));
  Add("c", ColumnType::kInteger, Value::Integer(1));
  Add("d", ColumnType::kAny, Value::Boolean(true));
  STRCMP_EQUAL("{\"a\":true,\"b\":false,\"c\":1,\"d\":true}", Encode().c_str());
}

TEST(WireEncode, WholeRealsStayReals) {
  Add("a", ColumnType::kReal, Value::Real(3));
  Add("b", ColumnType::kAny, Value::Real(1e30));
  Add("c", ColumnType::kInteger, Value::Real(3));
  STRCMP_EQUAL("{\"a\":3.0,\"b\":1e+30,\"c\":3}", Encode().c_str());
}

TEST(WireEncode, RealsThatAreNotFiniteAreNull) {
  Add("a", ColumnType::kReal, Value::Real(std::numeric_limits<double>::infinity()));
  Add("b", ColumnType::kReal, Value::Real(std::numeric_limits<double>::quiet_NaN()));
  STRCMP_EQUAL("{\"a\":null,\"b\":null}", Encode().c_str());
}

TEST(WireEncode, BlobsAreBase64) {
  Add("z", ColumnType::kBlob, Value::Blob(std::string_view("\0\xFF", 2)));
  STRCMP_EQUAL("{\"z\":\"AP8=\"}", Encode().c_str());
}

TEST(WireEncode, StringsAreEscaped) {
  TextWriter out(room);
  EncodeString(std::string_view("a\"\\/\n\r\t\b\0\x1F\x7F\xC3\xA4", 13), out);
  CHECK(out.view() == "\"a\\\"\\\\/\\n\\r\\t\\u0008\\u0000\\u001f\x7F\xC3\xA4\"");
}

TEST(WireEncode, WhatIsNotUtf8IsReplacedInStringsAndRefusedInRows) {
  TextWriter out(room);
  EncodeString("a\xFF\"\xC3", out);
  CHECK(out.view() == "\"a\xEF\xBF\xBD\\\"\xEF\xBF\xBD\"");
  Add("s", ColumnType::kText, Value::Text("\xFF"));
  STRCMP_EQUAL("invalid_argument", Encode().c_str());
}

TEST(WireEncode, EveryRoomIsRespected) {
  Add("id", ColumnType::kText, Value::Text("a\n\xC3\xA4"));
  Add("value", ColumnType::kReal, Value::Real(21.5));
  Add("z", ColumnType::kBlob, Value::Blob("bytes"));
  Add("b", ColumnType::kBoolean, Value::Integer(1));
  const std::size_t whole = Encode().size();
  for (std::size_t size = 0; size <= whole; ++size) {
    std::string some(size, '.');
    TextWriter out(some);
    const auto encoded = EncodeRow(row.view(), out);
    CHECK(encoded.ok() == (size == whole));
    if (!encoded) CHECK(encoded.error().code == Code::kTooLarge);
  }
}
