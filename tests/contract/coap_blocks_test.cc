// SPDX-License-Identifier: Apache-2.0
// Bodies in blocks, in front of a server that loses them, asks for others, or lies about them.
#include "tests/contract/coap_play.h"

using namespace holdfast;
using namespace holdfast::testing;
using transport::Method;
using transport::Status;

namespace {

// An answer's block: number, more, szx; and its bytes.
std::string Part(const char* b2, int bytes, const char* more = "") {
  return R"({"code":205,"format":50,"b2":)" + std::string(b2) + R"(,"fill":)" +
         std::to_string(bytes) + more + "}";
}

// A body of about as many blocks of 1024 bytes; as CBOR it is a little shorter.
std::string Body(int blocks) {
  std::string text;
  for (int i = 0; i < blocks * 1024 - 100; ++i) text += char('a' + i % 26);
  return R"({"id":"r1","text":")" + text + "\"}";
}

constexpr const char* kDone = R"({"code":204,"b1":[null,0,6],"etag":"v2"})";
constexpr const char* kContinue = R"({"code":231,"b1":[null,1,6]})";

std::string Answers(const std::vector<std::string>& answers) {
  std::string script;
  for (const std::string& answer : answers) script += (script.empty() ? "[" : ",") + answer;
  return script + "]";
}

}  // namespace

TEST_GROUP_BASE(CoapDownloads, CoapPlay){};

TEST(CoapDownloads, BlocksThatLie) {
  const std::string first = Part("[0,1,6]", 1024), second = Part("[1,1,6]", 1024),
                    last = Part("[2,0,6]", 100);
  CheckAll(
      {
          {"honest", Answers({first, second, last}), Says(Status::kOk)},
          {"begins in its middle", Answers({second}), Fails(Code::kBadAnswer)},
          {"ends before it begins", Answers({last}), Fails(Code::kBadAnswer)},
          {"the first again", Answers({first, first, second, last}), Fails(Code::kBadAnswer)},
          {"one left out", Answers({first, last}), Fails(Code::kBadAnswer)},
          {"short", Answers({first, Part("[1,1,6]", 1000)}), Fails(Code::kBadAnswer)},
          {"empty, and more to come", Answers({first, Part("[1,1,6]", 0)}),
           Fails(Code::kBadAnswer)},
          {"the last is empty", Answers({first, Part("[1,0,6]", 0)}), Says(Status::kOk)},
          {"smaller from the second on",
           Answers({first, Part("[16,1,2]", 64), Part("[17,1,2]", 64), Part("[18,0,2]", 1)}),
           Says(Status::kOk)},
          {"smaller from the first on",
           Answers({Part("[0,1,0]", 16), Part("[1,1,0]", 16), Part("[2,0,0]", 1)}),
           Says(Status::kOk)},
          {"smaller, without counting anew", Answers({first, Part("[1,1,2]", 64)}),
           Fails(Code::kBadAnswer)},
          {"no block any more", Answers({first, R"({"code":205,"format":50,"text":"end"})"}),
           Fails(Code::kBadAnswer)},
          {"never ends", Answers({Part("[null,1,0]", 16, R"(,"size2":70000000)")}),
           Fails(Code::kTooLarge)},
          {"text that never ends", R"([{"code":205,"format":0,"b2":[null,1,6],"fill":1024},"..."])",
           Fails(Code::kBadAnswer)},
          {"fails in the middle", Answers({first, R"({"code":500})"}), Fails(Code::kServerError)},
          {"is gone in the middle", Answers({first, R"({"code":404})"}), Fails(Code::kServerError)},
          {"'continue' in the middle", Answers({first, R"({"code":231})"}),
           Fails(Code::kBadAnswer)},
          {"'continue' to a request without a body", R"([{"code":231}])", Fails(Code::kBadAnswer)},
          {"'continue' with a block", R"([{"code":231,"b1":[0,1,6]}])", Fails(Code::kBadAnswer)},
          {"another tag",
           Answers({Part("[0,1,6]", 1024, R"(,"etag":"a")"), Part("[1,0,6]", 9, R"(,"etag":"b")")}),
           Fails(Code::kBadAnswer)},
          {"a tag too late", Answers({first, Part("[1,0,6]", 9, R"(,"etag":"b")")}),
           Fails(Code::kBadAnswer)},
          {"no tag any more",
           Answers({Part("[0,1,6]", 1024, R"(,"etag":"a")"), Part("[1,0,6]", 9)}),
           Fails(Code::kBadAnswer)},
          {"another format",
           Answers({first, R"({"code":205,"format":0,"b2":[1,0,6],"text":"end"})"}),
           Fails(Code::kBadAnswer)},
          {"too large, it says", Answers({Part("[0,1,6]", 1024, R"(,"size2":4294967295)")}),
           Fails(Code::kTooLarge)},
      },
      List("readings"));
}

TEST(CoapDownloads, AskForWhatComesNext) {
  Start(Answers(
      {Part("[0,1,6]", 1024), Part("[16,1,2]", 64), Part("[17,1,2]", 64), Part("[18,0,2]", 1)}));
  const KeepingSink sink = Ask(List("readings"));
  CHECK(sink.answered(Status::kOk));
  LONGS_EQUAL(1024 + 64 + 64 + 1, sink.size);
  const auto seen = peer.See();
  LONGS_EQUAL(4, seen.messages.size());
  LONGS_EQUAL(0, seen.Count("b1="));
  CHECK(seen.messages[1].find(" b2=1/0/6 ") != std::string::npos);
  CHECK(seen.messages[2].find(" b2=17/0/2 ") != std::string::npos);
  CHECK(seen.messages[3].find(" b2=18/0/2 ") != std::string::npos);
  LONGS_EQUAL(1, client->traffic().requests);
}

TEST(CoapDownloads, ARowThatNeverEnds) {
  Start(R"([{"code":205,"format":50,"b2":[null,1,6],"fill":1024},"..."])");
  KeepingSink sink;
  sink.keep = false;
  auto request = Lookup("readings", "r1");
  request.timeout = hal::Duration::Seconds(30);
  Run(*client, request, sink);
  if (!sink.failed(Code::kTooLarge)) FAIL(sink.Describe().c_str());
}

TEST(CoapDownloads, CborThatIsNone) {
  CheckAll({
      {"text", R"([{"code":205,"format":60,"text":"hello"}])", Fails(Code::kBadAnswer)},
      {"nothing", R"([{"code":205,"format":60}])", Fails(Code::kBadAnswer)},
      {"nothing, created", R"([{"code":201,"format":60,"etag":"v1"}])", Fails(Code::kBadAnswer)},
      {"an array", R"([{"code":205,"format":60,"hex":"80"}])", Fails(Code::kBadAnswer)},
      {"cut", R"([{"code":205,"format":60,"hex":"a16161"}])", Fails(Code::kBadAnswer)},
      {"a row", R"([{"code":205,"format":60,"hex":"a1616101"}])", Says(Status::kOk)},
      {"a row of a refusal", R"([{"code":412,"format":60,"hex":"a1616101"}])",
       Says(Status::kPreconditionFailed)},
  });
}

TEST(CoapDownloads, CborTooLargeIsAskedForAsJson) {
  Start(R"([{"code":205,"format":60,"b2":[0,1,6],"size2":20000,"fill":1024},
            {"code":205,"format":50,"text":"{}"}])");
  const KeepingSink sink = Ask(Lookup("readings", "r1"));
  if (!sink.answered(Status::kOk)) FAIL(sink.Describe().c_str());
  STRCMP_EQUAL("{}", sink.body.c_str());
  const auto seen = peer.See();
  LONGS_EQUAL(1, seen.Count("accept=60"));
  LONGS_EQUAL(1, seen.Count("accept=50"));
  // A server that sends CBOR whatever is asked for.
  Start(R"([{"code":205,"format":60,"b2":[0,1,6],"size2":20000,"fill":1024},"..."])");
  const KeepingSink deaf = Ask(Lookup("readings", "r1"));
  if (!deaf.failed(Code::kBadAnswer)) FAIL(deaf.Describe().c_str());
  CHECK(peer.See().messages.size() <= 5);
}

TEST_GROUP_BASE(CoapUploads, CoapPlay){};

TEST(CoapUploads, AnswersToBlocks) {
  const auto insert = [](const std::string& body) {
    return Write(Method::kUpdate, "readings", "r1", body, "v1");
  };
  const std::string body = Body(3);
  CheckAll(
      {
          {"honest", Answers({kContinue, kContinue, kDone}), Says(Status::kOk)},
          {"'continue' for another block", R"([{"code":231,"b1":[1,1,6]}])",
           Fails(Code::kBadAnswer)},
          {"'continue' for no block", R"([{"code":231}])", Fails(Code::kBadAnswer)},
          {"'continue' for an earlier block", Answers({kContinue, R"({"code":231,"b1":[0,1,6]})"}),
           Fails(Code::kBadAnswer)},
          {"'continue' after the last", Answers({kContinue, kContinue, kContinue}),
           Fails(Code::kBadAnswer)},
          {"success at once", R"([{"code":204,"etag":"v2"}])", Fails(Code::kBadAnswer)},
          {"success before the end", Answers({kContinue, R"({"code":204,"b1":[1,1,6]})"}),
           Fails(Code::kBadAnswer)},
          {"created before the end", Answers({kContinue, R"({"code":201,"etag":"v2"})"}),
           Fails(Code::kBadAnswer)},
          {"refused at once", R"([{"code":412,"b1":[0,1,6]}])", Says(Status::kPreconditionFailed)},
          {"refused in the middle", Answers({kContinue, R"({"code":403})"}),
           Says(Status::kForbidden)},
          {"refused in the end", Answers({kContinue, kContinue, R"({"code":409})"}),
           Says(Status::kConflict)},
          {"refused with a row in blocks",
           Answers({kContinue, R"({"code":412,"format":50,"b2":[0,1,0],"fill":16})",
                    R"({"code":412,"format":50,"b2":[1,0,0],"fill":3})"}),
           Says(Status::kPreconditionFailed)},
          {"lost for ever", R"([{"code":408},"..."])", Says(Status::kUnavailable)},
          {"lost in the middle for ever",
           Answers({kContinue, R"({"code":408})", kContinue, R"({"code":408})", kContinue,
                    R"({"code":408})", kContinue, R"({"code":408})"}),
           Says(Status::kUnavailable)},
          {"too large", R"([{"code":413}])", Says(Status::kTooLarge)},
          {"too large, with the size that would do", R"([{"code":413,"size1":1000}])",
           Says(Status::kTooLarge)},
          {"too large, with the same block", R"([{"code":413,"b1":[0,1,6],"size1":1000}])",
           Says(Status::kTooLarge)},
          {"too large in the middle", Answers({kContinue, R"({"code":413,"size1":1000})"}),
           Says(Status::kTooLarge)},
          {"smaller blocks for ever",
           R"([{"code":413,"b1":[0,1,5]},{"code":413,"b1":[0,1,4]},{"code":413,"b1":[0,1,3]},
               {"code":413,"b1":[0,1,2]},{"code":413,"b1":[0,1,1]}])",
           Says(Status::kTooLarge)},
          {"block1 of a reserved size", R"([{"code":231,"options":[[27,"0f"]]}])",
           Fails(Code::kBadAnswer)},
          {"4.15 twice", R"([{"code":415},{"code":415}])", Says(Status::kBadRequest)},
      },
      insert(body));
}

TEST(CoapUploads, LostOnce) {
  const std::string body = Body(3);
  const auto update = Write(Method::kUpdate, "readings", "r1", body, "v1");
  const char* lost = R"({"code":408})";
  for (const auto& script : {Answers({lost, kContinue, kContinue, kDone}),
                             Answers({kContinue, lost, kContinue, kContinue, kDone}),
                             Answers({kContinue, kContinue, lost, kContinue, kContinue, kDone})}) {
    Start(script);
    const KeepingSink sink = Ask(update);
    if (!sink.answered(Status::kOk)) FAIL((script + "\n" + sink.Describe()).c_str());
    STRCMP_EQUAL("v2", sink.version.c_str());
    const auto seen = peer.See();
    LONGS_EQUAL(2, seen.Count("b1=0/1/6"));
    // The second time is another body, as far as a server can tell.
    CHECK(seen.Count("tag=1 ") > 0 && seen.Count("tag=2 ") > 0);
  }
}

// Whatever the size of its blocks: what has arrived is what was sent.
TEST(CoapUploads, SmallerBlocks) {
  const std::string body = Body(3);
  const auto update = Write(Method::kUpdate, "readings", "r1", body, "v1");
  Start(Answers({kContinue, kContinue, kDone}));
  CHECK(Ask(update).answered(Status::kOk));
  const std::string wanted = peer.Body();
  CHECK(wanted.size() > 2048);
  const auto until_done = [](int szx) {
    return R"([{"code":231,"b1":[null,1,)" + std::to_string(szx) + R"(]},"..."])";
  };
  for (int szx = 0; szx < 6; ++szx) {
    Start(until_done(szx));
    // It never says that it is done, so this ends with the last block.
    CHECK(Ask(update).failed(Code::kBadAnswer));
    CHECK(peer.Body() == wanted);
    const auto seen = peer.See();
    const std::size_t size = std::size_t{16} << szx;
    LONGS_EQUAL(1 + (wanted.size() - 1024 + size - 1) / size, seen.messages.size());
    LONGS_EQUAL(1, seen.Count("b1=" + std::to_string(1024 / size) + "/1/" + std::to_string(szx)));
  }
  Start(R"([{"code":413,"b1":[0,1,3]},{"code":231,"b1":[null,1,3]},"..."])");
  CHECK(Ask(update).failed(Code::kBadAnswer));
  CHECK(peer.Body() == wanted);
  const auto seen = peer.See();
  LONGS_EQUAL(1, seen.Count("b1=0/1/6"));
  LONGS_EQUAL(1, seen.Count("b1=0/1/3"));
  // In two steps.
  Start(R"([{"code":231,"b1":[0,1,4]},{"code":231,"b1":[null,1,1]},"..."])");
  CHECK(Ask(update).failed(Code::kBadAnswer));
  CHECK(peer.Body() == wanted);
}

// RFC 7959 2.9.3: the answer to a body that went out in one piece may ask for smaller blocks too.
TEST(CoapUploads, SmallerBlocksInsteadOfOneMessage) {
  const std::string body = R"({"id":"r1","text":")" + std::string(300, 'x') + "\"}";
  Start(R"([{"code":413,"b1":[0,0,4]},{"code":231,"b1":[0,1,4]},{"code":204,"b1":[1,0,4]}])");
  const KeepingSink sink = Ask(Write(Method::kUpdate, "readings", "r1", body, "v1"));
  if (!sink.answered(Status::kOk)) FAIL(sink.Describe().c_str());
}

// The body has been taken, and its answer is being read: sending it again would apply it twice.
TEST(CoapUploads, NothingIsSentAgainOnceItWasAnswered) {
  const std::string large = Body(3), small = R"({"id":"r1","value":3})";
  const std::string begun = R"({"code":204,"format":50,"b1":[null,0,6],"b2":[0,1,0],"fill":16})";
  for (const char* late : {R"({"code":408})", R"({"code":408,"b1":[0,1,4]})",
                           R"({"code":413,"b1":[0,1,4]})", R"({"code":413,"b1":[0,0,0]})",
                           R"({"code":415})", R"({"code":406})", R"({"code":231,"b1":[0,1,6]})"}) {
    Start(Answers({kContinue, kContinue, begun, late, kDone}));
    CHECK_TEXT(!Ask(Write(Method::kUpdate, "readings", "r1", large)).outcome.ok(), late);
    LONGS_EQUAL_TEXT(4, peer.See().messages.size(), late);
    Start(Answers({begun, late, kDone}));
    CHECK_TEXT(!Ask(Write(Method::kUpdate, "readings", "r1", small)).outcome.ok(), late);
    LONGS_EQUAL_TEXT(2, peer.See().messages.size(), late);
  }
}

// One request with long options needs smaller blocks; those after it do not.
TEST(CoapUploads, BlocksAreNotSmallForEver) {
  const std::string body = Body(3), id(limits::kIdBytes, 'i');
  Start(R"([{"code":231,"b1":[null,1,6]},"..."])");
  CHECK(Ask(Write(Method::kUpdate, "readings", id, body, "v1")).failed(Code::kBadAnswer));
  CHECK(peer.See().Count("b1=0/1/5") == 1);
  CHECK(Ask(Write(Method::kUpdate, "readings", "r1", body, "v1")).failed(Code::kBadAnswer));
  const auto seen = peer.See();
  LONGS_EQUAL_TEXT(1, seen.Count("b1=0/1/6"), seen.All().c_str());
}

TEST(CoapUploads, FormatsThatAreRefused) {
  const std::string small = R"({"id":"r1","value":3})";
  const auto update = Write(Method::kUpdate, "readings", "r1", small, "v1");
  Start(R"([{"code":415},{"code":204,"etag":"v2"},{"code":204,"etag":"v3"},
            {"code":205,"format":50,"text":"{}"}])");
  CHECK(Ask(update).answered(Status::kOk));
  STRCMP_EQUAL(small.c_str(), peer.Body().c_str());
  CHECK(Ask(update).answered(Status::kOk));
  CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  auto seen = peer.See();
  LONGS_EQUAL(1, seen.Count("format=60"));
  LONGS_EQUAL(2, seen.Count("format=50"));
  LONGS_EQUAL(0, seen.Count("accept=60"));
  Start(R"([{"code":406},{"code":205,"format":50,"text":"{}"},{"code":204,"etag":"v2"}])");
  CHECK(Ask(Lookup("readings", "r1")).answered(Status::kOk));
  CHECK(Ask(update).answered(Status::kOk));
  seen = peer.See();
  LONGS_EQUAL(1, seen.Count("accept=60"));
  LONGS_EQUAL(0, seen.Count("format=60"));
  // Amid a body.
  const std::string large = Body(3);
  Start(Answers({kContinue, R"({"code":415})", kContinue, kContinue, kDone}));
  CHECK(Ask(Write(Method::kUpdate, "readings", "r1", large, "v1")).answered(Status::kOk));
  STRCMP_EQUAL(large.c_str(), peer.Body().c_str());
  // Neither CBOR nor JSON.
  Start(R"([{"code":406},"..."])");
  const KeepingSink sink = Ask(Lookup("readings", "r1"));
  if (!sink.answered(Status::kBadRequest)) FAIL(sink.Describe().c_str());
  LONGS_EQUAL(2, peer.See().messages.size());
}

// A query in a body is CBOR in any case: there is no other way to say it.
TEST(CoapUploads, AFetchIsSentOnce) {
  const std::string filter = "text eq '" + std::string(400, 'x') + "'";
  auto request = List("readings");
  request.list.filter = filter;
  for (const int code : {405, 406, 415}) {
    Start(R"([{"code":)" + std::to_string(code) + R"(},"..."])");
    CHECK(Ask(request).outcome.ok());
    const auto seen = peer.See();
    LONGS_EQUAL(1, seen.messages.size());
    LONGS_EQUAL(1, seen.Count("CON 0.05"));
  }
  const std::string long_filter = "text eq '" + std::string(2000, 'x') + "'";
  request.list.filter = long_filter;
  Start(R"([{"code":231,"b1":[0,1,6]},{"code":205,"b1":[1,0,6],"format":50,"text":"[]"}])");
  const KeepingSink sink = Ask(request);
  if (!sink.answered(Status::kOk)) FAIL(sink.Describe().c_str());
  CHECK(peer.Body().find(long_filter) != std::string::npos);
}

TEST(CoapUploads, WritesThatBringNoRow) {
  const std::string small = R"({"id":"r1","value":3})";
  Start(R"([{"code":201,"etag":"v1"},{"code":204,"format":60,"b2":[0,1,6],"size2":20000,"etag":"v2",
            "fill":1024},{"code":202}])");
  KeepingSink sink = Ask(Write(Method::kInsert, "readings", "", small));
  CHECK(sink.answered(Status::kCreated) && sink.version == "v1" && sink.body.empty());
  sink = Ask(Write(Method::kUpdate, "readings", "r1", small));
  // Larger than there is room for: its version is what counts.
  CHECK(sink.answered(Status::kOk) && sink.version == "v2" && sink.body.empty() && !sink.is_json);
  CHECK(Ask(Write(Method::kDelete, "readings", "r1")).answered(Status::kNoContent));
  LONGS_EQUAL(3, peer.See().messages.size());
}
