// SPDX-License-Identifier: Apache-2.0
// Every allocation fails once: SQLite's, Mbed TLS's, libcurl's, libcoap's, zlib's and our own.
//
//   memory_sweep https|coap [--all] [--from N] [--to N]
//
// Each run is a process of its own, that records rows, sends and fetches them, and meets want of
// memory at the Nth allocation, or from there on. It may fail as it likes, but not die of a signal
// or hang; and a second process, with memory, then finds every row that was acknowledged, and
// brings each to the server once. Without --all, the first allocations and a sample of the others.
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "agent/platform/memory_hooks.h"
#include "hal/base/log.h"
#include "hal/base/memory.h"
#include "tests/agent/memory/device.h"
#include "tests/contract/child_process.h"

namespace holdfast::test {
namespace {

constexpr int kDied = 99;
constexpr unsigned kLongestRunSeconds = 30;
constexpr std::uint64_t kFirstOnes = 40, kSample = HOLDFAST_SWEEP_SAMPLE;
constexpr int kRunsOfAServer = 50;
// One row that goes up in pieces, after small ones that go alone and together.
const char* const kIds[] = {"a", "b", "c", "large", "d", "e"};
constexpr std::size_t kLargeBytes = 150'000;

std::string Large() {
  std::string text;
  for (unsigned i = 0; text.size() < kLargeBytes; ++i) text += std::to_string(i * 2654435761U);
  return text;
}

// Notes each id in the file of acknowledged rows as soon as the store says that it is there.
void Record(Device& device, const std::string& acknowledged) {
  FILE* file = std::fopen(acknowledged.c_str(), "a");
  for (const char* id : kIds) {
    const std::string words = std::strcmp(id, "large") == 0 ? Large() : id;
    if (!device.Insert(id, words)) break;
    std::fprintf(file, "%s\n", id);
    std::fflush(file);
  }
  std::fclose(file);
}

// What a short session may meet; the results are for the next process to judge.
void Work(const Place& place, const std::string& table) {
  Device device(place, table);
  if (!device.Open()) return;
  Record(device, place.database + ".acknowledged");
  for (int visit = 0; visit < 2; ++visit) (void)device.Sync().ok();
}

[[noreturn]] void Fail(const char* what, const Error& error) {
  char words[256];
  std::printf("    %s: %s\n", what, Describe(error, words, sizeof words).data());
  std::fflush(stdout);
  _exit(1);
}

// With memory: everything that was acknowledged is here, and on the server, and is what it was.
void Check(const Place& place, const std::string& table) {
  {  // the budget is for one device at a time
    Device device(place, table);
    if (auto opened = device.Open(); !opened) Fail("the database does not open", opened.error());
    if (auto synced = device.Sync(); !synced) Fail("the sync after it", synced.error());
    if (auto left = device.Operations(); !left || *left != 0) {
      Fail("operations are left", {Code::kBusy, Origin::kNone, 0, "in the queue"});
    }
  }
  Place other = place;
  other.database += ".other";
  Device second(other, table);
  class Rows final : public RowSink {
   public:
    Result<void> OnRow(RowView row) override {
      words[std::string(FindText(row, "id"))] = FindText(row, "words");
      return Ok();
    }
    std::map<std::string, std::string> words;
  } rows;
  auto read = second.Open();
  if (read) read = second.Sync();
  if (read) read = second.Read(rows);
  if (!read) Fail("reading the server", read.error());
  FILE* file = std::fopen((place.database + ".acknowledged").c_str(), "r");
  char id[32];
  while (file != nullptr && std::fscanf(file, "%31s", id) == 1) {
    const std::string want = std::strcmp(id, "large") == 0 ? Large() : id;
    if (rows.words[id] != want)
      Fail(id, {Code::kCorrupt, Origin::kNone, 0, "was acknowledged, is lost"});
  }
  if (file != nullptr) std::fclose(file);
}

// What a process did: its exit status, or kDied.
template <typename Job>
int InProcess(bool quiet, Job job) {
  std::fflush(stdout);
  const pid_t child = fork();
  if (child == 0) {
    alarm(kLongestRunSeconds);
    if (quiet && std::freopen("/dev/null", "w", stderr) == nullptr) _exit(2);
    if (!quiet) SetLogOptions({.level = LogLevel::kInfo});
    if (!agent::platform::InstallMemoryHooks()) _exit(2);
    job();
    _exit(0);
  }
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) != child) return kDied;
  if (WIFSIGNALED(status)) std::printf("    signal %d\n", WTERMSIG(status));
  return WIFEXITED(status) ? WEXITSTATUS(status) : kDied;
}

class Sweep {
 public:
  explicit Sweep(Place place) : place_(std::move(place)), folder_(place_.database) {}

  std::uint64_t CountAllocations() {
    int pipes[2];
    if (pipe(pipes) != 0) return 0;
    Name("count");
    const int status = InProcess(true, [&] {
      const std::uint64_t before = memory::Allocations();
      Work(place_, table_);
      const std::uint64_t count = memory::Allocations() - before;
      if (write(pipes[1], &count, sizeof count) != sizeof count) _exit(3);
    });
    std::uint64_t count = 0;
    if (status != 0 || read(pipes[0], &count, sizeof count) != sizeof count) return 0;
    close(pipes[0]);
    close(pipes[1]);
    return InProcess(false, [&] { Check(place_, table_); }) == 0 ? count : 0;
  }

  bool Run(std::uint64_t nth, bool all_after) {
    Name((all_after ? "from" : "at") + std::to_string(nth));
    const int worked = InProcess(true, [&] {
      memory::RefuseFrom(nth, all_after);
      Work(place_, table_);
    });
    // 1: a `new` that cannot fail has ended the program with a message.
    if (worked == 0 || worked == 1) {
      if (InProcess(false, [&] { Check(place_, table_); }) == 0) return true;
    }
    std::printf("FAIL %s, allocation %llu%s: status %d\n", place_.carrier.c_str(),
                static_cast<unsigned long long>(nth), all_after ? " and all after it" : "", worked);
    return false;
  }

 private:
  void Name(const std::string& name) {
    place_.database = folder_ + "/" + name;
    table_ = name;
  }

  Place place_;
  std::string folder_, table_;
};

// A server of its own for some runs: it has limits on tables and open uploads.
class Server {
 public:
  explicit Server(const std::string& carrier) : data_(folder_.path() + "/data") {
    testing::ChildProcess init({HOLDFAST_SERVER_PROGRAM, "init", data_, "--device", "dev"});
    HF_ASSERT(init.Wait() == 0);
    process_.emplace(std::vector<std::string>{HOLDFAST_SERVER_PROGRAM, "run", "--data", data_,
                                              "--" + carrier, "127.0.0.1:0"});
    place_ = {carrier,
              process_->Line().substr(std::strlen("listening ")),
              folder_.path(),
              data_ + "/ca.crt",
              data_ + "/dev.crt",
              data_ + "/dev.key",
              data_ + "/dev.psk"};
  }
  const Place& place() const { return place_; }

 private:
  testing::TemporaryFolder folder_;
  std::string data_;
  std::optional<testing::ChildProcess> process_;
  Place place_;
};

struct Runs {
  std::string carrier;
  bool all = false;
  std::uint64_t from = 1, to = 0;
};

int Main(const Runs& wanted) {
  auto server = std::make_unique<Server>(wanted.carrier);
  const std::uint64_t count = Sweep(server->place()).CountAllocations();
  if (count == 0) {
    std::printf("FAIL: it does not even work with memory\n");
    return 1;
  }
  const std::uint64_t to = wanted.to == 0 || wanted.to > count ? count : wanted.to;
  const std::uint64_t step = wanted.all ? 1 : std::max<std::uint64_t>(1, count / kSample);
  int runs = 0, failures = 0;
  for (std::uint64_t nth = wanted.from; nth <= to; nth += nth < kFirstOnes ? 1 : step) {
    for (const bool all_after : {false, true}) {
      if (++runs % kRunsOfAServer == 0) server = std::make_unique<Server>(wanted.carrier);
      if (!Sweep(server->place()).Run(nth, all_after)) ++failures;
    }
  }
  std::printf("%s: %llu allocations in a session; %d runs, %d failures\n", wanted.carrier.c_str(),
              static_cast<unsigned long long>(count), runs, failures);
  return failures == 0 ? 0 : 1;
}

}  // namespace
}  // namespace holdfast::test

int main(int argc, char** argv) {
  holdfast::test::Runs runs;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    const bool has_number = i + 1 < argc;
    if (word == "--all") {
      runs.all = true;
    } else if (word == "--from" && has_number) {
      runs.from = std::strtoull(argv[++i], nullptr, 10);
    } else if (word == "--to" && has_number) {
      runs.to = std::strtoull(argv[++i], nullptr, 10);
    } else {
      runs.carrier = word;
    }
  }
  if (runs.carrier != "https" && runs.carrier != "coap") {
    std::fprintf(stderr, "usage: memory_sweep https|coap [--all] [--from N] [--to N]\n");
    return 2;
  }
  return holdfast::test::Main(runs);
}
