// SPDX-License-Identifier: Apache-2.0
// What a device takes of memory, whatever it is told and however much it has to tell.
//
//   memory_bounds
#include <cstdio>
#include <cstdlib>
#include <string>
#include <vector>

#include "agent/platform/memory_hooks.h"
#include "hal/base/memory.h"
#include "tests/agent/memory/device.h"
#include "tests/contract/child_process.h"
#include "tests/contract/scripted_server.h"

namespace holdfast::test {
namespace {

using memory::Pool;
using testing::Flood;
using testing::Send;

int g_failures = 0;

void Check(bool good, const std::string& what) {
  if (good) return;
  ++g_failures;
  std::printf("FAIL %s\n", what.c_str());
}

class Server {
 public:
  explicit Server(const std::string& carrier) : data_(folder_.path() + "/data") {
    testing::ChildProcess init({HOLDFAST_SERVER_PROGRAM, "init", data_, "--device", "dev"});
    HF_ASSERT(init.Wait() == 0);
    process_ = std::make_unique<testing::ChildProcess>(std::vector<std::string>{
        HOLDFAST_SERVER_PROGRAM, "run", "--data", data_, "--" + carrier, "127.0.0.1:0"});
    url_ = process_->Line().substr(10);
    carrier_ = carrier;
  }
  Place At(const std::string& name) const {
    return {carrier_,
            url_,
            folder_.path() + "/" + name,
            data_ + "/ca.crt",
            data_ + "/dev.crt",
            data_ + "/dev.key",
            data_ + "/dev.psk"};
  }

 private:
  testing::TemporaryFolder folder_;
  std::string data_, url_, carrier_;
  std::unique_ptr<testing::ChildProcess> process_;
};

// A visit finds all that it needs: after the first one, our own code takes nothing from the heap.
void VisitsTakeNothing(const std::string& carrier) {
  const Server server(carrier);
  Device device(server.At("quiet"), "quiet");
  Check(device.Open().ok(), carrier + ": the device opens");
  std::uint64_t before = 0;
  for (int visit = 0; visit < 4; ++visit) {
    for (int row = 0; row < 300; ++row) {
      Check(device.Insert(std::to_string(visit * 1000 + row), "words").ok(), "a row is recorded");
    }
    if (visit == 2) {
      Check(device.Insert("large", std::string(200'000, 'x')).ok(), "a large row is recorded");
    }
    before = memory::UseOf(Pool::kProgram).taken;
    const auto synced = device.Sync();
    const std::uint64_t taken = memory::UseOf(Pool::kProgram).taken - before;
    Check(synced.ok(), carrier + ": a visit succeeds");
    if (visit > 0) {
      Check(taken == 0, carrier + ": visit " + std::to_string(visit) + " took memory " +
                            std::to_string(taken) + " times");
    }
  }
}

// Under the sanitizers the server can take longer than a device waits.
bool SyncInTheEnd(Device& device) {
  for (int visit = 0; visit < 10; ++visit) {
    if (device.Sync()) return true;
  }
  return false;
}

// A large row is in memory once, while it is written.
void ALargeRowIsThereOnce(const std::string& carrier, std::size_t bytes) {
  const Server server(carrier);
  // Beside the budget: it is the test's.
  const std::unique_ptr<char, decltype(&std::free)> room(static_cast<char*>(std::malloc(bytes)),
                                                         &std::free);
  for (std::size_t i = 0; i < bytes; ++i) room.get()[i] = char('a' + (i * 2654435761U >> 7) % 26);
  const std::string_view words(room.get(), bytes);
  std::size_t pushed = 0;
  {
    Device device(server.At("up"), "rows");
    Check(device.Open().ok(), "the device opens");
    Check(device.Insert("large", words).ok(), "the row is recorded");  // our own insert needs more
  }
  {
    Device device(server.At("up"), "rows");
    Check(device.Open().ok(), "the device opens again");
    memory::ForgetMost();
    Check(SyncInTheEnd(device), carrier + ": the row goes up");
    pushed = memory::UseOf(Pool::kSqlite).most;
  }
  Device other(server.At("down"), "rows");
  Check(other.Open().ok(), "another device opens");
  memory::ForgetMost();
  Check(SyncInTheEnd(other), carrier + ": the row comes down");
  const std::size_t pulled = memory::UseOf(Pool::kSqlite).most;
  class Compare final : public RowSink {
   public:
    Result<void> OnRow(RowView row) override {
      same = FindText(row, "words") == wanted;
      return Ok();
    }
    std::string_view wanted;
    bool same = false;
  } compare;
  compare.wanted = words;
  Check(other.Read(compare).ok() && compare.same, carrier + ": the row is what it was");
  std::printf("%s, a row of %zu bytes: SQLite took %zu going up, %zu coming down\n",
              carrier.c_str(), bytes, pushed, pulled);
  constexpr std::size_t kBeside = 1 << 20;
  Check(pushed < bytes + kBeside && pulled < bytes + kBeside, "it was there more than once");
}

// More rows than there is memory for can be counted and put in order.
void ManyRowsAreCountedAndSorted() {
  constexpr int kRows = 100'000;
  const testing::TemporaryFolder folder;
  Device device({"https", "", folder.path() + "/many", "", "", "", ""}, "many");
  Check(device.Open().ok(), "the device opens");
  const std::string filling(250, 'f');
  Check(device.store().Begin().ok(), "a transaction");
  for (int row = 0; row < kRows; ++row) {
    const std::string number = std::to_string(row * 7919LL % kRows + kRows);
    Check(device.Insert("r" + std::to_string(row), number + filling).ok(), "a row is recorded");
  }
  Check(device.store().Commit().ok(), "they are there");
  memory::ForgetMost();
  auto counted = device.Operations();
  Check(counted.ok() && *counted == kRows, "the queue is counted");
  class InOrder final : public RowSink {
   public:
    Result<void> OnRow(RowView row) override {
      const std::string now(FindText(row, "words").substr(0, 6));
      in_order = in_order && before <= now;
      before = now;
      ++rows;
      return Ok();
    }
    std::string before;
    bool in_order = true;
    int rows = 0;
  } sink;
  Check(device.Read(sink, "words").ok(), "they are read in order");
  Check(sink.rows == kRows && sink.in_order, "all of them, in order");
  const std::size_t most = memory::UseOf(Pool::kSqlite).most;
  std::printf("%d rows counted and sorted: SQLite took %zu\n", kRows, most);
  Check(most < (4u << 20), "SQLite took much");
}

// Lists of every bad kind, and too much of every good one: it may be refused, by us, but no pool
// comes near its cap.
void HostileAnswersStayWithin() {
  auto& server = testing::ScriptedServer::Get();
  const std::string head =
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n";
  const auto chunk = [](const std::string& text) {
    char size[16];
    std::snprintf(size, sizeof size, "%zx\r\n", text.size());
    return size + text + "\r\n";
  };
  const std::string row = R"({"id":"r","words":")" + std::string(60'000, 'w') +
                          R"(","updatedAt":"2026-01-01T00:00:00Z"},)";
  const std::string deep(8000, '['), wide = R"({"id":"r")" + [] {
    std::string members;
    for (int i = 0; i < 3000; ++i) members += ",\"c" + std::to_string(i) + "\":[1,{\"a\":null}]";
    return members;
  }() + "},";
  const std::vector<std::pair<const char*, std::string>> answers = {
      {"rows without end", Send(head + chunk("[")) + Flood(chunk(row), 500, 0) + "h"},
      {"one row without end", Send(head + chunk(R"([{"id":"r","words":")")) +
                                  Flood(chunk(std::string(8000, 'x')), 4000, 0) + "h"},
      {"depth without end", Send(head) + Flood(chunk(deep), 200, 0) + "h"},
      {"rows of many columns", Send(head + chunk("[")) + Flood(chunk(wide), 200, 0) + "h"},
      {"names without end",
       Send(head + chunk("[{\"")) + Flood(chunk(std::string(8000, 'n')), 500, 0) + "h"},
      {"a header without end",
       Send("HTTP/1.1 200 OK\r\n") +
           Flood("X-Fill: 0123456789012345678901234567890123456789\r\n", 100'000, 0)},
      {"spaces without end", Send(head) + Flood(chunk(std::string(8000, ' ')), 4000, 0) + "h"},
  };
  const testing::TemporaryFolder folder;
  int number = 0;
  for (const auto& [name, script] : answers) {
    Place place{"https",
                server.Url("good"),
                folder.path() + "/" + std::to_string(++number),
                server.File("ca.pem"),
                "",
                "",
                ""};
    Device device(place, "rows");
    Check(device.Open().ok(), "the device opens");
    memory::ForgetMost();
    const std::uint64_t refused = memory::Total().refused;
    server.Script(script);
    const auto synced = device.Sync();
    server.Clear();
    Check(!synced.ok(), std::string(name) + ": is taken for an answer");
    Check(memory::Total().refused == refused, std::string(name) + ": a pool was at its cap");
    Check(memory::UseOf(Pool::kSqlite).most < (4u << 20), std::string(name) + ": SQLite took much");
    std::printf("%s: %zu bytes at most, %s\n", name, memory::Total().most,
                synced ? "ok" : CodeName(synced.error().code).data());
  }
}

}  // namespace
}  // namespace holdfast::test

int main() {
  using namespace holdfast::test;
  if (!holdfast::agent::platform::InstallMemoryHooks()) return 2;
  for (const char* carrier : {"https", "coap"}) {
    VisitsTakeNothing(carrier);
    ALargeRowIsThereOnce(carrier, 4u << 20);
  }
  ManyRowsAreCountedAndSorted();
  HostileAnswersStayWithin();
  std::printf("%d failures\n", g_failures);
  return g_failures == 0 ? 0 : 1;
}
