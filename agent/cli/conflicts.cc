// SPDX-License-Identifier: Apache-2.0
// agent/cli/conflicts.cc - what waits for a person: rows that are in conflict or were refused.
#include <string>

#include "agent/cli/commands.h"
#include "hal/base/arena.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kRoomBytes = 4 * limits::kRowBytes;

const char* KindName(store::ErrorKind kind) {
  return kind == store::ErrorKind::kConflict ? "conflict" : "parked";
}

const char* OperationName(store::Kind kind) {
  switch (kind) {
    case store::Kind::kInsert: return "insert";
    case store::Kind::kUpdate: return "update";
    case store::Kind::kDelete: return "delete";
  }
  return "?";
}

class Lister : public store::ErrorSink {
 public:
  Lister(Output& out, bool json) : out_(out), json_(json) {}

  Result<void> OnError(const store::ErrorRecord& record) override {
    ++count_;
    if (json_) {
      PrintJson(record);
    } else {
      PrintText(record);
    }
    return Ok();
  }
  std::uint64_t count() const { return count_; }

 private:
  void PrintJson(const store::ErrorRecord& record) {
    JsonWriter json(out_);
    json.Signed("conflict", record.sequence).Text("kind", KindName(record.kind));
    json.Text("table", record.table).Text("id", record.id);
    json.Text("operation", OperationName(record.operation_kind));
    json.Signed("http_status", record.http_status).Signed("attempts", record.attempts);
    json.Text("local", record.local_row).Text("base", record.base_row);
    json.Text("server", record.server_words).Text("server_version", record.server_version);
    json.End();
  }

  void PrintText(const store::ErrorRecord& record) {
    out_.Put(std::to_string(record.sequence) + "  " + KindName(record.kind) + ": " +
             OperationName(record.operation_kind) + " of " + std::string(record.table) + "/" +
             std::string(record.id) + ", sent " + std::to_string(record.attempts) +
             (record.attempts == 1 ? " time" : " times") + "\n    here    " +
             std::string(record.local_row) + "\n    server  ");
    const bool gone = record.kind == store::ErrorKind::kConflict && record.server_words.empty();
    out_.Put(gone ? "has no such row" : record.server_words).Put("\n");
  }

  Output& out_;
  bool json_;
  std::uint64_t count_ = 0;
};

const char* KeepName(store::Keep keep) {
  switch (keep) {
    case store::Keep::kLocal: return "local";
    case store::Keep::kServer: return "server";
    case store::Keep::kMerged: return "merged";
    case store::Keep::kNeither: return "discarded";
  }
  return "?";
}

class LogLister : public store::ResolutionSink {
 public:
  LogLister(Output& out, bool json) : out_(out), json_(json) {}

  Result<void> OnResolution(const store::ResolutionRecord& record) override {
    if (json_) {
      JsonWriter json(out_);
      json.Signed("number", record.number).Signed("decided_at", record.decided_unix_s);
      json.Text("table", record.table).Text("id", record.id).Text("rule", record.rule);
      json.Text("kept", KeepName(record.keep));
      json.Text("operation", OperationName(record.operation_kind));
      json.Text("local", record.local_row).Text("base", record.base_row);
      json.Text("server", record.server_row).End();
      return Ok();
    }
    out_.Put(std::to_string(record.number) + "  " + std::string(record.table) + "/" +
             std::string(record.id) + ": " + OperationName(record.operation_kind) + ", kept " +
             KeepName(record.keep) + " by " + std::string(record.rule) + "\n    here    " +
             std::string(record.local_row) + "\n    server  " +
             (record.server_row.empty() ? "has no such row" : std::string(record.server_row)) +
             "\n");
    return Ok();
  }

 private:
  Output& out_;
  bool json_;
};

}  // namespace

Exit RunConflicts(Context& context, const Arguments& arguments) {
  Workplace place(context);
  if (const Exit exit = place.Open(false); exit != Exit::kDone) return exit;
  std::unique_ptr<char[]> room(new char[kRoomBytes]);
  Arena arena({room.get(), kRoomBytes});
  if (arguments.Has("--log")) {
    LogLister lister(context.out, arguments.Has("--json"));
    auto listed = place.store().Resolutions(arena, lister);
    return listed ? Exit::kDone : Fail("conflicts", listed.error(), place.store().why());
  }
  Lister lister(context.out, arguments.Has("--json"));
  if (auto listed = place.store().Errors(arena, lister); !listed) {
    return Fail("conflicts", listed.error(), place.store().why());
  }
  if (lister.count() == 0 && !arguments.Has("--json")) context.out.Put("nothing waits\n");
  return lister.count() > 0 ? Exit::kWaiting : Exit::kDone;
}

}  // namespace holdfast::agent
