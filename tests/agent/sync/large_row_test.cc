// SPDX-License-Identifier: Apache-2.0
// Rows too long for memory on their way down: by themselves, in pieces, from where the link broke.
#include <random>

#include "agent/sync/large_row.h"
#include "hal/base/text.h"
#include "tests/agent/sync/world.h"
#include "transport/wire.h"

using namespace holdfast;
using namespace holdfast::test;

namespace {

using transport::Method;

constexpr transport::SimServer::Options kTakesUploads = {.flavour = SimFlavour::kHoldfast,
                                                         .uploads = true};
constexpr std::size_t kLong = (1 << 20) + 212345;  // does not fit memory

std::string Json(std::string_view id, std::string_view sensor) {
  RowFields row;
  CHECK(row.Add("id", ColumnType::kText, Value::Text(id)).ok());
  CHECK(row.Add("sensor", ColumnType::kText, Value::Text(sensor)).ok());
  CHECK(row.Add("value", ColumnType::kReal, Value::Real(2)).ok());
  std::string room(6 * sensor.size() + 200, '\0');
  TextWriter out(room);
  CHECK(wire::EncodeRow(row.view(), out).ok());
  return std::string(out.view());
}

std::string Words(std::size_t bytes, unsigned seed) {
  static const char* const kPieces[] = {"a",    "\xC3\xA4", "\xE2\x82\xAC", "\xF0\x9F\x90\x9F",
                                        "\x01", "\"",       "\\",           "\n"};
  std::mt19937 random(seed);
  std::string text;
  while (text.size() < bytes) {
    const unsigned n = random();
    text += n % 4 == 0 ? kPieces[(n >> 8) % 8] : "x";
  }
  return text;
}

// The server's rows are longer than its own reader takes from a test: they come as pieces there.
void PutLarge(World& world, std::string_view id, std::size_t bytes, unsigned seed) {
  world.server.Put("readings", Json(id, "small"));
  world.server.SetText("readings", id, "sensor", Words(bytes, seed));
}

void Rows(World& world, std::size_t bytes = kLong) {
  world.server.Put("readings", R"({"id":"a","sensor":"t","value":1})");
  PutLarge(world, "large", bytes, 1);
  PutLarge(world, "larger", bytes + 5000, 2);
  world.server.Put("readings", R"({"id":"z","sensor":"t","value":3})");
}

void EndsEqual(World& world, const char* when) {
  agent::PullResult result;
  for (int visits = 0; visits < 20; ++visits) {
    world.ForgetRetryAfter();
    result = world.PullOnce();
    if (result.outcome.ok()) break;
  }
  CHECK_TRUE_TEXT(result.outcome.ok(), when);
  world.CheckEqual(when);
}

}  // namespace

TEST_GROUP(LargeRows){};

TEST(LargeRows, ComeByThemselves) {
  World world(kTakesUploads);
  Rows(world);
  int lists = 0, lookups = 0;
  world.transport.set_fault_source([&](const transport::Request& request) {
    lists += request.method == Method::kList ? 1 : 0;
    lookups += request.method == Method::kLookup ? 1 : 0;
    return SimFault();
  });
  const auto result = world.PullOnce();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(2, lookups);
  world.CheckEqual("at the end");
  LONGS_EQUAL(4, long(world.Local().size()));
  // Once more: nothing comes again.
  lists = lookups = 0;
  CHECK(world.PullOnce().outcome.ok());
  LONGS_EQUAL(0, lookups);
  // A change of one brings that one.
  world.server.SetText("readings", "large", "sensor", Words(kLong, 3));
  CHECK(world.PullOnce().outcome.ok());
  LONGS_EQUAL(1, lookups);
  world.CheckEqual("changed");
  world.server.Delete("readings", "large");
  CHECK(world.PullOnce().outcome.ok());
  world.CheckEqual("deleted");
}

TEST(LargeRows, GoOnWhereTheLinkBroke) {
  constexpr std::size_t kBytes = 300 << 10;
  for (std::size_t bytes = 1; bytes < kBytes; bytes = bytes * 3 + 1000) {
    World world(kTakesUploads);
    CHECK(world.PullOnce().outcome.ok());  // now it is known what the server can do
    Rows(world, kBytes);
    std::uint64_t came = 0;
    int cuts = 0;
    world.transport.set_fault_source([&](const transport::Request& request) {
      SimFault fault;
      if (request.method != Method::kLookup) return fault;
      came += request.have_bytes;
      if (++cuts > 6) return fault;
      fault.kind = SimFault::Kind::kTruncated;
      fault.bytes = bytes;
      return fault;
    });
    EndsEqual(world, ("after " + std::to_string(bytes)).c_str());
    CHECK(bytes == 1 || came > 0);
  }
}

TEST(LargeRows, ThatChangeMeanwhileComeAnew) {
  World world(kTakesUploads);
  Rows(world);
  int cuts = 0;
  world.transport.set_fault_source([&](const transport::Request& request) {
    SimFault fault;
    if (request.method != Method::kLookup || ++cuts > 3) return fault;
    world.server.SetText("readings", request.id, "sensor", Words(kLong, unsigned(10 + cuts)));
    fault.kind = SimFault::Kind::kTruncated;
    fault.bytes = 400000;
    return fault;
  });
  EndsEqual(world, "changed between the parts");
}

TEST(LargeRows, APowerCutAtAnyWriteLeavesThemWholeOrOld) {
  for (std::uint64_t write = 1;; write += 1 + write / 3) {
    World world(kTakesUploads);
    CHECK(world.PullOnce().outcome.ok());  // now it is known what the server can do
    Rows(world, 150 << 10);
    world.storage.Inject({.effect = hal::SimEffect::kPowerCut, .at = write});
    (void)world.PullOnce();
    if (world.storage.powered()) return;  // there was no such write
    world.PowerCycle();
    EndsEqual(world, ("write " + std::to_string(write)).c_str());
  }
}

TEST(LargeRows, AQueuedEditIsLeftAlone) {
  World world(kTakesUploads);
  Rows(world);
  CHECK(world.PullOnce().outcome.ok());
  CHECK(world.Put("large", 5, "edited"));
  world.server.SetText("readings", "large", "sensor", Words(kLong, 7));
  const auto result = world.PullOnce();
  CHECK(result.outcome.ok());
  LONGS_EQUAL(1, long(result.skipped_pending));
  CHECK(world.Local()["large"].starts_with("edited"));
}

TEST(LargeRows, BlobsComeAsBytes) {
  World world(kTakesUploads);
  store::Column columns[3];
  const char* const names[] = {"a", "b", "c"};
  const ColumnType types[] = {ColumnType::kBlob, ColumnType::kBlob, ColumnType::kInteger};
  for (int i = 0; i < 3; ++i) {
    CHECK(columns[i].name.Assign(names[i]).ok());
    columns[i].type = types[i];
  }
  auto table = world.store->DefineTable({.name = "mixed", .columns = columns});
  CHECK(table.ok());
  // Lengths around those of the reader's parts, with all kinds of padding.
  for (const std::size_t size : {8191u, 9215u, 9216u, 9217u, 18433u, 100000u, 1000001u}) {
    const std::string bytes = Words(size, 5);
    std::string text(bytes.size() * 2, '\0');
    TextWriter base64(text);
    base64.PutBase64(bytes);
    const std::string id = "row" + std::to_string(size);
    world.server.Put("mixed", "{\"id\":\"" + id + "\",\"a\":\"\",\"b\":\"AQI=\",\"c\":7}");
    world.server.SetText("mixed", id, "a", base64.view());
    agent::SessionOptions options;
    options.push = false;
    options.pull_tables = 2;
    CHECK(world.Visit(options).pulls[1].outcome.ok());
    class Sink : public RowSink {
     public:
      std::string a, b;
      std::int64_t c = 0;
      Result<void> OnRow(RowView row) override {
        a = Find(row, "a")->value.text;
        b = Find(row, "b")->value.text;
        c = Find(row, "c")->value.integer;
        CHECK(Find(row, "a")->value.type == ValueType::kBlob);
        return Ok();
      }
    } sink;
    store::ReadQuery one;
    one.id = id;
    CHECK(world.store->Read(**table, one, sink).ok());
    CHECK(sink.a == bytes);
    CHECK(sink.b == std::string_view("\x01\x02"));
    LONGS_EQUAL(7, long(sink.c));
  }
}
