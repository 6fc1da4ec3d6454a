// SPDX-License-Identifier: Apache-2.0
// Every status with every kind of body: what does it mean for one row?
#include "agent/sync/answer.h"

#include <CppUTest/TestHarness.h>

#include <memory>
#include <string>

using namespace holdfast;
using namespace holdfast::agent;
using transport::Method;
using transport::Status;

namespace {

const char* VerdictName(Verdict verdict) {
  switch (verdict) {
    case Verdict::kDone: return "done";
    case Verdict::kLookUp: return "look up";
    case Verdict::kExists: return "exists";
    case Verdict::kGone: return "gone";
    case Verdict::kRefused: return "refused";
    case Verdict::kStop: return "stop";
  }
  return "?";
}

constexpr const char* kOurRow = R"({"id":"r1","value":1,"version":"AQ"})";
constexpr const char* kNoVersion = R"({"id":"r1","value":1})";
constexpr const char* kOtherRow = R"({"id":"r2","value":1,"version":"AQ"})";
constexpr const char* kPortal = "<!DOCTYPE html><html>Please log in</html>";
constexpr const char* kWords = R"({"error":"no"})";

struct Case {
  const char* name;
  Method method;
  Status status;
  bool is_json;
  const char* etag;
  const char* body;
  const char* verdict;
};

constexpr Case kCases[] = {
    {"insert created", Method::kInsert, Status::kCreated, true, "AQ", kOurRow, "done"},
    {"insert ok", Method::kInsert, Status::kOk, true, "AQ", kOurRow, "done"},
    {"version in the body is enough", Method::kInsert, Status::kCreated, true, "", kOurRow, "done"},
    {"version in the ETag is enough", Method::kUpdate, Status::kOk, true, "AQ", kNoVersion, "done"},
    {"no version anywhere", Method::kInsert, Status::kCreated, true, "", kNoVersion, "look up"},
    {"another row's answer", Method::kInsert, Status::kCreated, true, "AQ", kOtherRow, "stop"},
    {"portal with 200", Method::kInsert, Status::kOk, false, "", kPortal, "stop"},
    {"portal that claims JSON", Method::kInsert, Status::kOk, true, "", kPortal, "stop"},
    {"truncated JSON", Method::kUpdate, Status::kOk, true, "AQ", R"({"id":"r1","val)", "stop"},
    {"an array", Method::kUpdate, Status::kOk, true, "AQ", "[1]", "stop"},
    {"empty success", Method::kUpdate, Status::kOk, true, "AQ", "", "look up"},
    {"204 for an update", Method::kUpdate, Status::kNoContent, false, "", "", "look up"},
    {"204 for a delete", Method::kDelete, Status::kNoContent, false, "", "", "done"},
    {"200 with the deleted row", Method::kDelete, Status::kOk, true, "AQ", kOurRow, "done"},
    {"200 with nothing for a delete", Method::kDelete, Status::kOk, false, "", "", "look up"},
    {"portal for a delete", Method::kDelete, Status::kOk, false, "", kPortal, "stop"},
    {"delete of a missing row", Method::kDelete, Status::kNotFound, true, "", kWords, "done"},
    {"delete of a deleted row", Method::kDelete, Status::kGone, false, "", "", "done"},
    {"404 page for a delete", Method::kDelete, Status::kNotFound, false, "", kPortal, "stop"},
    {"update of a missing row", Method::kUpdate, Status::kNotFound, true, "", kWords, "gone"},
    {"update of a deleted row", Method::kUpdate, Status::kGone, false, "", "", "gone"},
    {"insert into no table", Method::kInsert, Status::kNotFound, true, "", kWords, "refused"},
    {"409 with the true row", Method::kInsert, Status::kConflict, true, "AQ", kOurRow, "exists"},
    {"409 echo without version", Method::kInsert, Status::kConflict, true, "", kNoVersion,
     "look up"},
    {"409 echo with a version of ours", Method::kInsert, Status::kConflict, true, "", kOurRow,
     "look up"},
    {"409 whose ETag disagrees", Method::kInsert, Status::kConflict, true, "BQ", kOurRow,
     "look up"},
    {"409 with another row", Method::kInsert, Status::kConflict, true, "AQ", kOtherRow, "look up"},
    {"409 without a body", Method::kInsert, Status::kConflict, false, "", "", "look up"},
    {"412 with the true row", Method::kUpdate, Status::kPreconditionFailed, true, "AQ", kOurRow,
     "exists"},
    {"412 for a delete", Method::kDelete, Status::kPreconditionFailed, true, "AQ", kOurRow,
     "exists"},
    {"bad request", Method::kInsert, Status::kBadRequest, true, "", kWords, "refused"},
    {"forbidden", Method::kUpdate, Status::kForbidden, true, "", kWords, "refused"},
    {"forbidden by a portal", Method::kUpdate, Status::kForbidden, false, "", kPortal, "stop"},
    {"too large", Method::kInsert, Status::kTooLarge, false, "", "", "refused"},
    {"method not allowed, as text", Method::kInsert, Status::kMethodNotAllowed, false, "", "no",
     "refused"},
    {"unauthorized", Method::kInsert, Status::kUnauthorized, false, "", "log in", "stop"},
    {"throttled", Method::kInsert, Status::kThrottled, false, "", "", "stop"},
    {"server error", Method::kInsert, Status::kServerError, true, "", kWords, "stop"},
    {"unavailable", Method::kInsert, Status::kUnavailable, false, "", "", "stop"},
    {"redirect", Method::kInsert, Status::kOther, false, "", "", "stop"},
};

void Fill(Answer& answer, Status status, bool is_json, const char* etag, const char* body) {
  transport::ResponseHead head;
  head.status = status;
  head.is_json = is_json;
  head.version = etag;
  answer.Reset();
  CHECK(answer.OnHead(head).ok());
  CHECK(answer.OnBody(body).ok());
  answer.OnDone(Ok());
}

}  // namespace

TEST_GROUP(Answer) { std::unique_ptr<Answer> answer_ = std::make_unique<Answer>(); };

TEST(Answer, EveryStatusAndBodyHasOneMeaning) {
  Answer& answer = *answer_;
  for (const Case& c : kCases) {
    Fill(answer, c.status, c.is_json, c.etag, c.body);
    const Judgement judgement = JudgeWrite(c.method, "r1", answer);
    STRCMP_EQUAL_TEXT(c.verdict, VerdictName(judgement.verdict), c.name);
  }
}

TEST(Answer, AStopSaysWhatTheEngineDoesNext) {
  Answer& answer = *answer_;
  Fill(answer, Status::kUnauthorized, false, "", "log in");
  CHECK(Classify(JudgeWrite(Method::kInsert, "r1", answer).error) == Disposition::kStop);
  Fill(answer, Status::kThrottled, false, "", "");
  CHECK(Classify(JudgeWrite(Method::kInsert, "r1", answer).error) == Disposition::kRetryLater);
  Fill(answer, Status::kOk, false, "", kPortal);
  CHECK(Classify(JudgeWrite(Method::kInsert, "r1", answer).error) == Disposition::kRetryLater);
}

TEST(Answer, ACutExchangeIsTheTransportsError) {
  Answer& answer = *answer_;
  answer.OnDone(Error{Code::kTimeout});
  const Judgement judgement = JudgeWrite(Method::kInsert, "r1", answer);
  STRCMP_EQUAL("stop", VerdictName(judgement.verdict));
  CHECK(judgement.error.code == Code::kTimeout);
}

TEST(Answer, ABodyWithoutEndIsRefusedNotStored) {
  Answer& answer = *answer_;
  const std::string chunk(64 << 10, 'x');
  Result<void> fed;
  int chunks = 0;
  while (fed.ok() && chunks < 1000) {
    fed = answer.OnBody(chunk);
    ++chunks;
  }
  CHECK_FALSE(fed.ok());
  CHECK(fed.error().code == Code::kTooLarge);
  CHECK(answer.body().size() <= limits::kRowBytes + (64u << 10));
}

TEST(Answer, ALookupOfAnotherRowIsNoAnswer) {
  Answer& answer = *answer_;
  Fill(answer, Status::kOk, true, "AQ", kOtherRow);
  STRCMP_EQUAL("stop", VerdictName(JudgeLookup("r1", answer).verdict));
  Fill(answer, Status::kOk, true, "AQ", kOurRow);
  STRCMP_EQUAL("done", VerdictName(JudgeLookup("r1", answer).verdict));
  Fill(answer, Status::kNotFound, true, "", kWords);
  STRCMP_EQUAL("gone", VerdictName(JudgeLookup("r1", answer).verdict));
  Fill(answer, Status::kNotFound, false, "", kPortal);
  STRCMP_EQUAL("stop", VerdictName(JudgeLookup("r1", answer).verdict));
}
