// SPDX-License-Identifier: Apache-2.0
// Large rows: made into a body piece by piece, and brought up in pieces, whatever happens.
#include <random>

#include "agent/sync/large_body.h"
#include "tests/agent/sync/world.h"
#include "transport/wire.h"

using namespace holdfast;
using namespace holdfast::test;

namespace {

using transport::Method;

constexpr transport::SimServer::Options kTakesUploads = {.flavour = SimFlavour::kHoldfast,
                                                         .uploads = true};
constexpr std::size_t kLong = (1 << 20) + 212345;  // does not fit memory

// Characters of one to four bytes, quotes and controls; gzip makes little of it.
std::string Words(std::size_t bytes, unsigned seed) {
  static const char* const kPieces[] = {
      "a", "Z", "7", "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x90\x9F", "\"", "\\", "\n", "\x01"};
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    const unsigned n = random();
    if (n % 8 < 6) {
      text += char(' ' + (n >> 8) % 90);
      if (text.back() == '"' || text.back() == '\\') text.back() = '_';
    } else {
      text += kPieces[(n >> 8) % 10];
    }
  }
  return text;
}

agent::SessionResult Settle(World& world) {
  agent::SessionResult result;
  for (int visits = 0; visits < 40; ++visits) {
    world.ForgetRetryAfter();
    result = world.PushOnce();
    if (result.outcome.ok() && world.Operations() == 0) break;
  }
  return result;
}

void EndsEqual(World& world, const char* when) {
  CHECK_TRUE_TEXT(Settle(world).outcome.ok(), when);
  LONGS_EQUAL_TEXT(0, long(world.Operations()), when);
  world.CheckEqual(when);
  world.CheckInsertedOnce(when);
}

// A small row before and after: the order of the queue has to stand.
void Record(World& world, const std::string& text) {
  CHECK(world.Put("before", 1));
  CHECK(world.Put("large", 2, text.c_str()));
  CHECK(world.Put("after", 3));
}

}  // namespace

TEST_GROUP(Upload){};

TEST(Upload, ALargeRowGoesInPieces) {
  World world(kTakesUploads);
  const std::string text = Words(kLong, 1);
  Record(world, text);
  const auto result = world.PushOnce();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(3, long(result.push.pushed));
  LONGS_EQUAL(1, long(world.server.uploads()));
  CHECK(world.server.uploaded_bytes() < text.size() * 5 / 4);
  world.CheckEqual("at the end");
  store::Upload left;
  for (std::int64_t sequence = 1; sequence < 5; ++sequence) {
    auto found = world.store->FindUpload(sequence, left);
    CHECK(found.ok() && !*found);
  }
}

TEST(Upload, OnlyLargeRowsDo) {
  World world(kTakesUploads);
  CHECK(world.Put("met", 1));
  CHECK(world.PushOnce().outcome.ok());
  CHECK(world.Put("60k", 1, Words(60 << 10, 2).c_str()));
  CHECK(world.PushOnce().outcome.ok());
  LONGS_EQUAL(0, long(world.server.uploads()));
  CHECK(world.Put("70k", 1, Words(70 << 10, 3).c_str()));
  CHECK(world.PushOnce().outcome.ok());
  LONGS_EQUAL(1, long(world.server.uploads()));
  world.CheckEqual("at the end");
}

TEST(Upload, APlainServerNeverSeesOne) {
  for (const SimFlavour flavour : {SimFlavour::kNode, SimFlavour::kToolkit}) {
    World world(flavour);
    world.transport.set_fault_source([&](const transport::Request& request) {
      CHECK(request.method != Method::kBeginUpload && request.method != Method::kAppendUpload);
      return SimFault();
    });
    CHECK(world.Put("200k", 1, Words(200 << 10, 4).c_str()));
    Record(world, Words(kLong, 5));
    const auto result = world.PushOnce();
    CHECK(result.outcome.ok());
    LONGS_EQUAL(3, long(result.push.pushed));
    LONGS_EQUAL(1, long(result.push.parked));  // nobody would take it
    LONGS_EQUAL(1, long(world.Operations()));
  }
}

TEST(Upload, GoesOnWhereTheLinkBroke) {
  const std::string text = Words(kLong, 6);
  using Kind = SimFault::Kind;
  for (const Kind kind : {Kind::kNotSent, Kind::kUnanswered}) {
    for (std::uint64_t nth = 1; nth < 40; ++nth) {
      World world(kTakesUploads);
      Record(world, text);
      std::uint64_t requests = 0;
      bool broken = false;
      world.transport.set_fault_source([&](const transport::Request&) {
        SimFault fault;
        if (++requests == nth) {
          fault.kind = kind;
          broken = true;
        }
        return fault;
      });
      EndsEqual(world, ("request " + std::to_string(nth)).c_str());
      LONGS_EQUAL(world.server.uploads() <= 2, true);  // two: nobody heard the name of the first
      CHECK(world.server.uploaded_bytes() < text.size() * 5 / 4);
      if (!broken) break;
    }
  }
}

TEST(Upload, APowerCutAtAnyWriteLosesAndRepeatsNothing) {
  const std::string text = Words(400 << 10, 7);
  for (std::uint64_t write = 1;; write += 1 + write / 12) {
    World world(kTakesUploads);
    Record(world, text);
    world.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = write});
    (void)world.PushOnce();
    if (world.storage.powered()) return;  // there was no such write
    world.PowerCycle();
    EndsEqual(world, ("write " + std::to_string(write)).c_str());
  }
}

TEST(Upload, AFailingDiskKeepsTheRowForLater) {
  const std::string text = Words(300 << 10, 8);
  for (std::uint64_t write = 1; write < 200; write += 3) {
    World world(kTakesUploads);
    Record(world, text);
    world.storage.Inject({.effect = hal::SimEffect::kNoSpace, .at = write, .times = 20});
    (void)world.PushOnce();
    world.storage.ClearFaults();
    EndsEqual(world, ("write " + std::to_string(write)).c_str());
  }
}

TEST(Upload, EditsAndDeletesMeanwhileWin) {
  for (const bool remove : {false, true}) {
    for (int nth = 1; nth < 8; ++nth) {
      World world(kTakesUploads);
      Record(world, Words(400 << 10, 9));
      int requests = 0;
      world.transport.set_fault_source([&](const transport::Request&) {
        if (++requests == nth) {
          if (remove) {
            CHECK(world.Delete("large"));
          } else {
            CHECK(world.Put("large", 9, Words(150 << 10, 10).c_str()));
          }
        }
        return SimFault();
      });
      EndsEqual(world, ("request " + std::to_string(nth)).c_str());
      const transport::SimRow* row = world.server.Find("readings", "large");
      CHECK(requests < nth || remove == (row == nullptr || row->deleted));
    }
  }
}

TEST(Upload, AServerThatForgetsIsToldAgain) {
  for (int nth = 2; nth < 8; ++nth) {
    World world(kTakesUploads);
    Record(world, Words(400 << 10, 11));
    int requests = 0;
    world.transport.set_fault_source([&](const transport::Request&) {
      if (++requests == nth) world.server.ForgetUploads();
      return SimFault();
    });
    EndsEqual(world, ("request " + std::to_string(nth)).c_str());
  }
}

TEST(Upload, OneThatIsAlwaysForgottenDoesNotHoldUpTheOthers) {
  World world(kTakesUploads);
  Record(world, Words(400 << 10, 12));
  world.transport.set_fault_source([&](const transport::Request& request) {
    if (request.method == Method::kAppendUpload) world.server.ForgetUploads();
    return SimFault();
  });
  const auto result = world.PushOnce();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(2, long(result.push.pushed));
  LONGS_EQUAL(1, long(result.push.parked));
}

TEST(Upload, ALargeUpdateStandsOnItsVersion) {
  for (const bool client_wins : {false, true}) {
    World world(kTakesUploads);
    CHECK(world.Put("large", 1, Words(kLong, 13).c_str()));
    CHECK(world.PushOnce().outcome.ok());
    CHECK(world.Put("large", 2, Words(kLong, 14).c_str()));
    CHECK(world.PushOnce().outcome.ok());
    world.CheckEqual("updated");
    // Somebody else, then we: the server's row is too large to be looked at.
    world.server.Put("readings", R"({"id":"large","value":7})");
    CHECK(world.Put("large", 3, Words(kLong, 15).c_str()));
    agent::SessionOptions options;
    if (client_wins) options.push_options.policies[0].rule = agent::Rule::kClient;
    const auto result = world.Visit(options);
    CHECK(result.outcome.ok());
    LONGS_EQUAL(client_wins ? 0 : 1, long(result.push.conflicts));
    if (!client_wins) {
      // Somebody takes the server's copy, as it stands in __errors.
      class Sink : public store::ErrorSink {
       public:
        std::int64_t sequence = 0;
        std::string words;
        Result<void> OnError(const store::ErrorRecord& record) override {
          sequence = record.sequence;
          words = record.server_words;
          return Ok();
        }
      } sink;
      std::string room(1 << 16, '\0');
      Arena arena(room);
      CHECK(world.store->Errors(arena, sink).ok());
      RowFields theirs;
      arena.Reset();
      CHECK(wire::DecodeRow(sink.words, arena, theirs).ok());
      store::Resolution resolution;
      resolution.keep = store::Keep::kServer;
      resolution.server_row = theirs.view();
      auto resolved = world.store->Resolve(sink.sequence, resolution);
      char said[200];
      if (!resolved) FAIL(std::string(Describe(resolved.error(), said, 200)).c_str());
      CHECK(world.PullOnce().outcome.ok());
    }
    LONGS_EQUAL(0, long(world.Operations()));
    world.CheckEqual("decided");
  }
}

TEST(Upload, TheBodyIsTheRow) {
  World world(kTakesUploads);
  store::Column columns[4];
  const char* const names[] = {"a", "b", "c", "d"};
  const ColumnType types[] = {ColumnType::kBlob, ColumnType::kText, ColumnType::kInteger,
                              ColumnType::kAny};
  for (int i = 0; i < 4; ++i) {
    CHECK(columns[i].name.Assign(names[i]).ok());
    columns[i].type = types[i];
  }
  auto table = world.store->DefineTable({.name = "mixed", .columns = columns});
  CHECK(table.ok());
  agent::LargeBody body(*world.store, TheWorkspace());
  std::int64_t after = 0;
  const std::size_t sizes[] = {0, 1, 8191, 8192, 8193, 12288, 12289, 24577, 300001};
  for (const std::size_t size : sizes) {
    const std::string bytes = Words(size, unsigned(size)), text = Words(300001 - size, 1);
    const std::string id = "row " + std::to_string(size);
    RowFields row;
    CHECK(row.Add("id", ColumnType::kText, Value::Text(id)).ok());
    CHECK(row.Add("a", ColumnType::kBlob, Value::Blob(bytes)).ok());
    CHECK(row.Add("b", ColumnType::kText, Value::Text(text)).ok());
    if (size % 2 == 0) CHECK(row.Add("c", ColumnType::kInteger, Value::Integer(-5)).ok());
    CHECK(row.Add("d", ColumnType::kAny, Value::Real(0.5)).ok());
    store::Id made;
    CHECK(world.store->Insert(**table, row.view(), made).ok());
    store::Operation operation;
    auto found = world.store->Next(after, ~0ULL, operation);
    CHECK(found.ok() && *found);
    after = operation.sequence;
    CHECK(body.Begin(operation, limits::kUploadBytes).ok());
    for (;;) {
      auto whole = body.Step();
      CHECK(whole.ok());
      if (*whole) break;
    }
    const store::Upload& upload = body.upload();
    std::string packed(upload.bytes, '\0'), json(4 << 20, '\0'), wanted(4 << 20, '\0');
    CHECK(world.store->ReadUpload(upload.sequence, 0, packed).ok());
    auto unpacked = wire::Unpack(packed, json);
    CHECK(unpacked.ok());
    TextWriter expected(wanted);
    CHECK(wire::EncodeRow(row.view(), expected).ok());
    CHECK(*unpacked == expected.view());
    // Any part of it can be read.
    std::string part(std::min<std::size_t>(packed.size(), 50000), '\0');
    const std::size_t from = packed.size() - part.size();
    CHECK(world.store->ReadUpload(upload.sequence, from, part).ok());
    CHECK(part == packed.substr(from));
  }
}

TEST(Upload, WhatIsNoTextOrTooLongIsParkedWithWords) {
  World world(kTakesUploads);
  std::string broken = Words(kLong, 16);
  broken[kLong / 2] = '\xFF';
  CHECK(world.Put("broken", 1, broken.c_str()));
  CHECK(world.Put("long", 1, std::string(limits::kLargeRowBytes + 1, 'x').c_str()));
  CHECK(world.Put("fine", 1));
  const auto result = world.PushOnce();
  char words[200];
  if (!result.outcome.ok()) FAIL(std::string(Describe(result.outcome.error(), words, 200)).c_str());
  LONGS_EQUAL(1, long(result.push.pushed));
  LONGS_EQUAL(2, long(result.push.parked));
}
