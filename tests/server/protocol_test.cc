// SPDX-License-Identifier: Apache-2.0
// The protocol as tables: requests to operations, outcomes to statuses, tags, versions, next links.
#include "server/protocol.h"

#include <CppUTest/TestHarness.h>

using namespace holdfast;
using namespace holdfast::server;

namespace {

RequestHead Head(std::string_view method, std::string_view target,
                 std::string_view version = "2.0.0") {
  RequestHead head{};
  head.method = method;
  head.target = target;
  head.version = version;
  return head;
}

int RefusalOf(const RequestHead& head) {
  const Parsed parsed = ParseOperation(head, {});
  const Refusal* refusal = std::get_if<Refusal>(&parsed);
  return refusal == nullptr ? 0 : refusal->status;
}

Operation Good(const RequestHead& head, const ProtocolLimits& limits = {}) {
  Parsed parsed = ParseOperation(head, limits);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) FAIL(refusal->text.c_str());
  return std::get<Operation>(std::move(parsed));
}

}  // namespace

TEST_GROUP(Protocol){};

TEST(Protocol, MethodAndPathSayWhatIsAsked) {
  const struct {
    const char *method, *target;
    Verb verb;
  } kCases[] = {
      {"GET", "/tables/readings", Verb::kList},
      {"GET", "/tables/readings/", Verb::kList},
      {"GET", "/TABLES/Readings?$top=1", Verb::kList},
      {"HEAD", "/tables/readings", Verb::kList},
      {"GET", "/tables/readings/a1", Verb::kLookup},
      {"POST", "/tables/readings", Verb::kInsert},
      {"POST", "/tables/readings/a1", Verb::kUndelete},
      {"PATCH", "/tables/readings/a1", Verb::kUpdate},
      {"PATCH", "/tables/readings", Verb::kUpdate},
      {"PUT", "/tables/readings/a1", Verb::kReplace},
      {"DELETE", "/tables/readings/a1", Verb::kDelete},
      {"OPTIONS", "/tables/readings/a1", Verb::kDescribe},
      {"GET", "http://proxy.example/tables/readings", Verb::kList},
  };
  for (const auto& test : kCases) {
    LONGS_EQUAL_TEXT(int(test.verb), int(Good(Head(test.method, test.target)).verb), test.target);
  }
}

TEST(Protocol, FaultsAreNamedWithTheirStatus) {
  const struct {
    const char *method, *target;
    int status;
  } kCases[] = {
      {"GET", "/", 404},
      {"GET", "/tables", 404},
      {"GET", "/tables/a/b/c", 404},
      {"GET", "/api/readings", 404},
      {"GET", "/tables/../etc", 400},
      {"GET", "/tables/%2e%2e", 400},
      {"GET", "/tables/sqlite_master", 400},
      {"GET", "/tables/__meta", 400},
      {"GET", "/tables/a%00b", 400},
      {"GET", "/tables/read%ings", 400},
      {"GET", "/tables/%ff", 400},
      {"GET", "readings", 400},
      {"GET", "/tables/readings/a%2Fb", 400},
      {"GET", "/tables/readings/..", 400},
      {"GET", "/tables/readings/a%22b", 400},
      {"DELETE", "/tables/readings", 405},
      {"PUT", "/tables/readings", 405},
      {"BREW", "/tables/readings", 405},
      {"GET", "/tables/readings?$top=x", 400},
      {"GET", "/tables/readings?$top=-1", 400},
      {"GET", "/tables/readings?$top=1001", 400},
      {"GET", "/tables/readings?$top=99999999999999999999", 400},
      {"GET", "/tables/readings?$skip=1e3", 400},
      {"GET", "/tables/readings?$filter=%", 400},
  };
  for (const auto& test : kCases) {
    LONGS_EQUAL_TEXT(test.status, RefusalOf(Head(test.method, test.target)), test.target);
  }
  const std::string long_target = "/tables/readings?$filter=" + std::string(9000, 'a');
  LONGS_EQUAL(414, RefusalOf(Head("GET", long_target)));
}

TEST(Protocol, VersionsFromHeaderOrQuery) {
  const struct {
    const char* text;
    int api;  // 0: refused
  } kCases[] = {{"2.0.0", 2}, {"2.0.17", 2}, {"2.0", 2},     {"3.0.0", 3}, {"3.0", 3},
                {"", 0},      {"2", 0},      {"2.1.0", 0},   {"4.0.0", 0}, {"2.0.x", 0},
                {"2.0.", 0},  {"12.0.0", 0}, {"2.0.0.0", 0}, {"3.0.0x", 0}};
  for (const auto& test : kCases) {
    const auto api = ParseApiVersion(test.text);
    LONGS_EQUAL_TEXT(test.api, !api ? 0 : *api == Api::k2 ? 2 : 3, test.text);
  }
  CHECK(Good(Head("GET", "/tables/t?zumo-api-VERSION=3.0.0", "")).api == Api::k3);
  CHECK(Good(Head("GET", "/tables/t?ZUMO-API-VERSION=3.0.0", "2.0.0")).api == Api::k2);
  LONGS_EQUAL(400, RefusalOf(Head("GET", "/tables/t", "")));
}

TEST(Protocol, ListOptions) {
  const Operation operation =
      Good(Head("GET",
                "/tables/t?%24filter=a%20eq+'b%2Bc'&$orderby=x&$select=a,b&$skip=7&$top=3&"
                "$inlinecount=AllPages&__INCLUDEdeleted=True&custom=1"));
  STRCMP_EQUAL("a eq 'b+c'", operation.list.filter.c_str());
  STRCMP_EQUAL("x", operation.list.order.c_str());
  STRCMP_EQUAL("a,b", operation.list.select.c_str());
  LONGS_EQUAL(7, operation.list.skip);
  LONGS_EQUAL(3, operation.list.top);
  CHECK(operation.list.count);
  CHECK(operation.list.include_deleted);
  CHECK_FALSE(Good(Head("GET", "/tables/t?__includeDeleted=false")).list.include_deleted);
  CHECK(Good(Head("GET", "/tables/t?$count=true", "3.0.0")).list.count);
  LONGS_EQUAL(100, Good(Head("GET", "/tables/t")).list.top);
  LONGS_EQUAL(0, Good(Head("GET", "/tables/t?$top=0")).list.top);
}

TEST(Protocol, ContentTypes) {
  const struct {
    const char *method, *type;
    int status;
  } kCases[] = {{"POST", "", 0},
                {"POST", "application/json", 0},
                {"POST", "Application/JSON; charset=utf-8", 0},
                {"POST", "text/plain", 415},
                {"POST", "application/merge-patch+json", 415},
                {"PATCH", "application/merge-patch+json", 0},
                {"PATCH", "application/json-patch+json", 415}};
  for (const auto& test : kCases) {
    RequestHead head = Head(test.method, test.method[1] == 'A' ? "/tables/t/a" : "/tables/t");
    head.content_type = test.type;
    LONGS_EQUAL_TEXT(test.status, RefusalOf(head), test.type);
  }
  RequestHead head = Head("POST", "/tables/t");
  head.content_encoding = "br";
  LONGS_EQUAL(415, RefusalOf(head));
}

TEST(Protocol, Tags) {
  CHECK_FALSE(ParseTags("", false).given);
  CHECK(ParseTags("*", false).Holds("anything"));
  CHECK(ParseTags("\"v1\"", false).Holds("v1"));
  CHECK(ParseTags("v1", false).Holds("v1"));
  CHECK(ParseTags(" \"v0\" , \"v1\"", false).Holds("v1"));
  CHECK(ParseTags("\"a\\\"b\"", false).Holds("a\"b"));
  CHECK_FALSE(ParseTags("\"v1\"", false).Holds("v2"));
  CHECK_FALSE(ParseTags("W/\"v1\"", false).Holds("v1"));
  CHECK(ParseTags("W/\"v1\"", true).Holds("v1"));
  CHECK_FALSE(ParseTags("\"", false).Holds("v1"));
  CHECK_FALSE(ParseTags(",,,\"v", false).Holds("v1"));
}

TEST(Protocol, StatusOfEachOutcome) {
  const struct {
    Verb verb;
    Outcome outcome;
    int v2, v3;
  } kCases[] = {
      {Verb::kInsert, Outcome::kDone, 201, 201},     {Verb::kUpdate, Outcome::kDone, 200, 200},
      {Verb::kReplace, Outcome::kDone, 200, 200},    {Verb::kDelete, Outcome::kDone, 200, 204},
      {Verb::kUndelete, Outcome::kDone, 201, 201},   {Verb::kLookup, Outcome::kDone, 200, 200},
      {Verb::kInsert, Outcome::kExists, 409, 409},   {Verb::kUpdate, Outcome::kStale, 412, 412},
      {Verb::kDelete, Outcome::kMissing, 404, 404},  {Verb::kDelete, Outcome::kGone, 404, 410},
      {Verb::kLookup, Outcome::kGone, 404, 410},     {Verb::kInsert, Outcome::kRefused, 400, 400},
      {Verb::kInsert, Outcome::kTooLarge, 413, 413}, {Verb::kInsert, Outcome::kFailed, 503, 503},
      {Verb::kList, Outcome::kNoTable, 404, 404},
  };
  for (const auto& test : kCases) {
    LONGS_EQUAL(test.v2, StatusOf(test.verb, Api::k2, test.outcome, false));
    LONGS_EQUAL(test.v3, StatusOf(test.verb, Api::k3, test.outcome, false));
  }
  LONGS_EQUAL(409, StatusOf(Verb::kUpdate, Api::k2, Outcome::kStale, true));
}

TEST(Protocol, NextTargetKeepsThePathAndTheOtherOptions) {
  const auto target = ParseTarget("/tables/r%65adings?$top=5&a=1&%24skip=2&$filter=x%20eq%201");
  STRCMP_EQUAL("/tables/r%65adings?a=1&$filter=x%20eq%201&$skip=5&$top=2",
               NextTarget(*target, 5, 2).c_str());
  STRCMP_EQUAL("/tables/t?$skip=9", NextTarget(*ParseTarget("/tables/t"), 9, 0).c_str());
}

TEST(Protocol, BodiesOfRows) {
  const auto refusal = [](const Operation& operation, const RowFields& row) {
    Write write;
    const auto result = ApplyBody(operation, row.view(), write);
    const Refusal* refused = std::get_if<Refusal>(&result);
    return refused == nullptr ? 0 : refused->status;
  };
  RowFields other, reserved, bare;
  CHECK(other.Add("id", ColumnType::kAny, Value::Text("b")).ok());
  CHECK(reserved.Add("UpdatedAt", ColumnType::kAny, Value::Text("x")).ok());
  CHECK(bare.Add("a", ColumnType::kAny, Value::Integer(1)).ok());
  const Operation update2 = Good(Head("PATCH", "/tables/t/a"));
  const Operation update3 = Good(Head("PATCH", "/tables/t/a", "3.0.0"));
  LONGS_EQUAL(400, refusal(update2, other));
  LONGS_EQUAL(400, refusal(update2, reserved));
  LONGS_EQUAL(0, refusal(update3, reserved));
  LONGS_EQUAL(0, refusal(update2, bare));
  LONGS_EQUAL(400, refusal(Good(Head("PUT", "/tables/t/a", "3.0.0")), bare));
  LONGS_EQUAL(400, refusal(Good(Head("PATCH", "/tables/t")), bare));
  LONGS_EQUAL(0, refusal(Good(Head("PATCH", "/tables/t")), other));
}

TEST(Protocol, AVersionInABodyIsAPreconditionOf20) {
  RowFields row;
  CHECK(row.Add("version", ColumnType::kAny, Value::Text("v1")).ok());
  Write write2, write3;
  const auto facts = ApplyBody(Good(Head("PATCH", "/tables/t/a")), row.view(), write2);
  CHECK(std::get<BodyFacts>(facts).version_in_body);
  CHECK_FALSE(write2.if_match.Holds("v2"));
  const auto none = ApplyBody(Good(Head("PATCH", "/tables/t/a", "3.0.0")), row.view(), write3);
  CHECK_FALSE(std::get<BodyFacts>(none).version_in_body);
  CHECK(write3.if_match.Holds("v2"));
}

TEST(Protocol, Uuids) {
  const std::string uuid = UuidFrom(std::string(16, '\xff'));
  STRCMP_EQUAL("ffffffff-ffff-4fff-bfff-ffffffffffff", uuid.c_str());
}
