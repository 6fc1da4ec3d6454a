// SPDX-License-Identifier: Apache-2.0
// Bulks, as JSON and packed, and their answers. The first byte says which, the rest is the body.
// What is read is what it may be, and a request that is written again reads the same.
#include <cstdlib>
#include <string>

#include "hal/base/arena.h"
#include "tests/fuzz/target.h"
#include "transport/wire.h"
#include "transport/wire_bulk.h"
#include "transport/wire_moment.h"

using namespace holdfast;
using namespace holdfast::wire;

namespace {

char g_arena[256 << 10], g_room[512 << 10];

void Require(bool holds) {
  if (!holds) std::abort();
}

void Check(const BulkOperation& operation) {
  Require(!operation.id.empty() && operation.id.size() <= limits::kIdBytes);
  Require(!operation.table.empty() && operation.sequence > 0 && operation.changes >= 0);
  Require(operation.kind != BulkKind::kInsert || operation.if_match.empty());
  for (const Field& field : operation.fields) {
    Require(!IsSystemColumn(field.name));
    Require(field.value.type != ValueType::kText || IsUtf8(field.value.text));
  }
}

// The body once more; "" when it is none.
std::string Again(std::string_view body, Encoding encoding) {
  Arena arena(g_arena);
  BulkReader reader(body, encoding, arena);
  BulkWriter writer(g_room, encoding);
  BulkSender sender;
  if (!reader.Begin(sender) || !writer.Begin(sender)) return "";
  std::int64_t last = 0;
  for (std::size_t count = 0;; ++count) {
    BulkOperation operation;
    auto more = reader.Next(operation);
    if (!more) return "";
    if (!*more) return count == 0 ? "" : std::string(*writer.Finish());
    Check(operation);
    Require(operation.sequence > last && count < limits::kBulkOperations);
    last = operation.sequence;
    auto added = writer.Add(operation);
    if (!added || !*added) return "";
  }
}

void ReadAnswer(std::string_view body) {
  Arena arena(g_arena);
  BulkAnswerReader reader(body, arena);
  if (!reader.Begin()) return;
  std::int64_t last = 0;
  for (;;) {
    BulkDone done;
    BulkRefusal refusal;
    auto next = reader.Next(done, refusal);
    if (!next || *next == BulkAnswerReader::Outcome::kEnd) return;
    const bool is_done = *next == BulkAnswerReader::Outcome::kDone;
    const std::int64_t first = is_done ? done.first : refusal.sequence;
    Require(first > last);
    last = is_done ? first + done.count - 1 : first;
    Require(last >= first);
    if (is_done) {
      Require(VersionOfMoment(done.moment + (done.count - 1) * kMomentStep).size() == 8);
    } else {
      Require(refusal.status >= 400 && refusal.status < 600);
    }
  }
}

}  // namespace

// A packed body with each way to say a value.
std::string PackedSeed() {
  BulkWriter writer(g_room, Encoding::kCbor);
  Require(writer.Begin({"d", "i", 0, 0}).ok());
  const char* ids[] = {"row-1", "row-2", "row-3", "row-4"};
  const char* texts[] = {"one", "two", "two", "one"};
  for (int i = 0; i < 4; ++i) {
    const Field fields[] = {{"s", ColumnType::kAny, Value::Text(texts[i])},
                            {"n", ColumnType::kAny, Value::Integer(100 + i)},
                            {"r", ColumnType::kAny, Value::Real(20.37 + i)},
                            {"b", ColumnType::kAny, Value::Blob("\x01\x02")}};
    auto added = writer.Add({BulkKind::kInsert, "t", ids[i], "", i + 1, 1, fields});
    Require(added.ok() && *added);
  }
  return "p" + std::string(*writer.Finish());
}

std::vector<std::string> FuzzSeeds() {
  return {
      PackedSeed(),
      "q[1,\"d\",\"i\",0,0,[[[\"t\",\"i\",[\"a\",\"b\"]],1,1,[[\"x\",1,\"\\u00e4\"],[\"y\",1.5,"
      "null]]],[0,9,2,"
      "[[\"z\",true,false]]]]]",
      "q[1,\"d\",\"i\",7,6,[[[\"t\",\"u\",[\"a\"]],8,1,[[\"x\",\"v\",1]]],[[\"t\",\"d\",[]],9,0,[["
      "\"x\",null]]]]]",
      "a[[1,10,1577836800000800],[11,1,1577836800000900,4]]",
      "a[[1,412,{\"id\":\"a\",\"version\":\"v\",\"x\":[1]}],[2,424,\"no\"],[3,1,1577836800000800]]",
  };
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size == 0) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 1, size - 1);
  if (data[0] == 'a') {
    ReadAnswer(body);
    return 0;
  }
  const Encoding encoding = data[0] == 'p' ? Encoding::kCbor : Encoding::kJson;
  const std::string once = Again(body, encoding);
  if (!once.empty()) Require(Again(once, encoding) == once);
  return 0;
}
