// SPDX-License-Identifier: Apache-2.0
// The protocol as tables: requests to operations, outcomes to statuses, tags, versions, next links.
#include "server/protocol.h"

#include <CppUTest/TestHarness.h>

#include "server/http_date.h"

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
      {"GET", "/tables/readings?$inlinecount=yes", 400},
      {"GET", "/tables/readings?$count=maybe", 400},
      {"GET", "/tables/readings?__after=yesterday", 400},
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
  CHECK_FALSE(Good(Head("GET", "/tables/t?$inlinecount=none&$count=false")).list.count);
  const Operation large = Good(Head("GET", "/tables/t?$top=128000", "3.0.0"));
  LONGS_EQUAL(limits::kPageRows, large.list.top);
  LONGS_EQUAL(128000, large.wanted);
  LONGS_EQUAL(400, RefusalOf(Head("GET", "/tables/t?$top=128001", "3.0.0")));
  STRCMP_EQUAL("2026-01-02T03:04:05.678900Z",
               Good(Head("GET", "/tables/t?__after=2026-01-02T03:04:05.6789Z")).list.after.c_str());
  RequestHead head = Head("GET", "/tables/t", "3.0.0");
  head.zumo_options = "nextLink=path , Include:Deleted";
  CHECK(Good(head).path_links && Good(head).list.include_deleted);
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
  const auto followed = ParseTarget("/tables/t?$skip=9&__AFTER=2026-01-01T00:00:00Z");
  STRCMP_EQUAL("/tables/t?$skip=12&__after=x", NextTarget(*followed, 12, 0, "x").c_str());
}

TEST(Protocol, ALinkInThePlaceOfAQueryIsReadAsItsQuery) {
  const struct {
    const char *target, *filter;
  } kCases[] = {
      {"/tables/t?https://h:1/tables/t?$filter=a&$skip=3", "a"},
      {"/tables/t?http://h/tables/t?x=1&$filter=a", "a"},
      {"/tables/t?$filter=https://h/?$filter=b", "https://h/?$filter=b"},
      {"/tables/t?x=https://h/?$filter=b&$filter=a", "a"},
      {"/tables/t?https://h/tables/t&$filter=a", "a"},
      {"/tables/t?https://h/t=1?$filter=b&$filter=a", "a"},
  };
  for (const auto& test : kCases) {
    const auto target = ParseTarget(test.target);
    CHECK(target.has_value());
    const std::string* filter = target->Find("$filter");
    STRCMP_EQUAL_TEXT(test.filter, filter == nullptr ? "" : filter->c_str(), test.target);
  }
}

TEST(Protocol, DatesOfHttp) {
  const struct {
    const char *text, *moment;
  } kCases[] = {{"Sun, 06 Nov 1994 08:49:37 GMT", "1994-11-06T08:49:37.000Z"},
                {"Sunday, 06-Nov-94 08:49:37 GMT", "1994-11-06T08:49:37.000Z"},
                {"Sun Nov  6 08:49:37 1994", "1994-11-06T08:49:37.000Z"},
                {"Sun, 06 Nov 1994 08:49:37", ""},
                {"Sun, 06 Nov 1994 08:49:37 GMT+1", ""},
                {"1994-11-06T08:49:37Z", ""},
                {"Sun, 06 Nov 1994 28:49:37 GMT", ""},
                {"", ""}};
  for (const auto& test : kCases) {
    const auto ticks = ParseHttpDate(test.text);
    const TimestampText moment = ticks ? FormatTimestamp(*ticks, 3) : TimestampText();
    STRCMP_EQUAL_TEXT(test.moment, std::string(moment.view()).c_str(), test.text);
  }
  const auto ticks = ParseTimestamp("1994-11-06T08:49:37.999999Z");
  STRCMP_EQUAL("Sun, 06 Nov 1994 08:49:37 GMT", FormatHttpDate(*ticks).c_str());
  STRCMP_EQUAL("Wed, 31 Dec 1969 23:59:59 GMT", FormatHttpDate(-1).c_str());
}

TEST(Protocol, ConditionsInTheirOrder) {
  const char* const kMoment = "2026-01-02T03:04:05.600000Z";
  const auto second = ParseHttpDate("Fri, 02 Jan 2026 03:04:05 GMT");
  const auto next = ParseHttpDate("Fri, 02 Jan 2026 03:04:06 GMT");
  Conditions none, dated, later, tagged;
  CHECK(none.Met("v", kMoment));
  CHECK_FALSE(none.Known("v", kMoment));
  dated.unmodified_since = dated.modified_since = second;
  CHECK_FALSE(dated.Met("v", kMoment));
  CHECK_FALSE(dated.Known("v", kMoment));
  later.unmodified_since = later.modified_since = next;
  CHECK(later.Met("v", kMoment));
  CHECK(later.Known("v", kMoment));
  tagged = dated;
  tagged.match = tagged.none_match = ParseTags("\"v\"", false);
  CHECK(tagged.Met("v", kMoment));
  CHECK(tagged.Known("v", kMoment));
  CHECK_FALSE(tagged.Met("w", kMoment));
  CHECK_FALSE(tagged.Known("w", kMoment));
}

TEST(Protocol, ConditionsOfEachVersion) {
  for (const char* method : {"GET", "PUT"}) {
    RequestHead head = Head(method, "/tables/t/a");
    head.if_match = "\"v\"";
    head.if_none_match = "*";
    head.if_modified_since = head.if_unmodified_since = "Fri, 02 Jan 2026 03:04:05 GMT";
    const bool read = method[0] == 'G';
    const Conditions two = Good(head).conditions;
    CHECK_EQUAL(!read, two.match.given);
    CHECK_FALSE(two.none_match.given || two.modified_since || two.unmodified_since);
    head.version = "3.0.0";
    const Conditions three = Good(head).conditions;
    CHECK(three.match.given && three.none_match.any && three.unmodified_since.has_value());
    CHECK_EQUAL(read, three.modified_since.has_value());
  }
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
  RowFields alive, dead, odd, unsaid, empty_id;
  CHECK(alive.Add("Deleted", ColumnType::kAny, Value::Boolean(false)).ok());
  CHECK(dead.Add("deleted", ColumnType::kAny, Value::Boolean(true)).ok());
  CHECK(odd.Add("deleted", ColumnType::kAny, Value::Text("false")).ok());
  CHECK(unsaid.Add("deleted", ColumnType::kAny, Value::Null()).ok());
  CHECK(empty_id.Add("id", ColumnType::kAny, Value::Text("")).ok());
  LONGS_EQUAL(0, refusal(update3, alive));
  LONGS_EQUAL(400, refusal(update3, dead));
  LONGS_EQUAL(400, refusal(update3, odd));
  LONGS_EQUAL(0, refusal(update3, unsaid));
  LONGS_EQUAL(400, refusal(update3, empty_id));
  LONGS_EQUAL(400, refusal(Good(Head("PUT", "/tables/t/a")), empty_id));
  LONGS_EQUAL(0, refusal(Good(Head("POST", "/tables/t")), empty_id));
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
  CHECK_FALSE(write2.conditions.match.Holds("v2"));
  const auto none = ApplyBody(Good(Head("PATCH", "/tables/t/a", "3.0.0")), row.view(), write3);
  CHECK_FALSE(std::get<BodyFacts>(none).version_in_body);
  CHECK(write3.conditions.match.Holds("v2"));
}

TEST(Protocol, Uuids) {
  const std::string uuid = UuidFrom(std::string(16, '\xff'));
  STRCMP_EQUAL("ffffffff-ffff-4fff-bfff-ffffffffffff", uuid.c_str());
}
