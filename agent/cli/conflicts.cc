// SPDX-License-Identifier: Apache-2.0
// agent/cli/conflicts.cc - what waits for a person: rows that are in conflict or were refused.
#include <charconv>
#include <string>

#include "agent/cli/commands.h"
#include "hal/base/arena.h"
#include "transport/wire.h"

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
    json.Signed("http_status", record.http_status);
    json.Text("local", record.local_row).Text("base", record.base_row);
    json.Text("server", record.server_words).Text("server_version", record.server_version);
    json.End();
  }

  void PrintText(const store::ErrorRecord& record) {
    out_.Put(std::to_string(record.sequence) + "  " + KindName(record.kind) + ": " +
             OperationName(record.operation_kind) + " of " + std::string(record.table) + "/" +
             std::string(record.id) + "\n    here    " + std::string(record.local_row) +
             "\n    server  ");
    const bool gone = record.kind == store::ErrorKind::kConflict && record.server_words.empty();
    out_.Put(gone ? "has no such row" : record.server_words).Put("\n");
  }

  Output& out_;
  bool json_;
  std::uint64_t count_ = 0;
};

// Finds the error that a person means: by its number, or by the id of its row.
class Finder : public store::ErrorSink {
 public:
  explicit Finder(std::string_view wanted) : wanted_(wanted) {}

  Result<void> OnError(const store::ErrorRecord& record) override {
    const bool number = std::to_string(record.sequence) == wanted_;
    if (!number && record.id != wanted_) return Ok();
    if (matches_++ > 0 && !number) return Ok();
    sequence_ = record.sequence;
    kind_ = record.kind;
    table_ = record.table;
    server_row_ = record.kind == store::ErrorKind::kConflict ? record.server_words : "";
    return Ok();
  }

  int matches() const { return matches_; }
  std::int64_t sequence() const { return sequence_; }
  store::ErrorKind kind() const { return kind_; }
  const std::string& table() const { return table_; }
  const std::string& server_row() const { return server_row_; }

 private:
  std::string_view wanted_;
  int matches_ = 0;
  std::int64_t sequence_ = 0;
  store::ErrorKind kind_ = store::ErrorKind::kParked;
  std::string table_, server_row_;
};

// The server's row as its columns are declared here.
Result<void> DecodeServerRow(const store::Table& table, const std::string& json, Arena& arena,
                             RowFields& row) {
  if (json.empty()) return Ok();
  RowFields raw;
  HF_TRY(wire::DecodeRow(json, arena, raw, {.keep_nested = true}));
  for (const Field& field : raw.view()) {
    Value value = field.value;
    const auto column = table.Lookup(field.name);
    const ColumnType type = column ? column->type : ColumnType::kAny;
    if (column && !IsSystemColumn(field.name)) HF_TRY(wire::Conform(type, arena, value));
    HF_TRY(row.Add(field.name, type, value));
  }
  return Ok();
}

}  // namespace

Exit RunConflicts(Context& context, const Arguments& arguments) {
  Workplace place(context);
  if (const Exit exit = place.Open(false); exit != Exit::kDone) return exit;
  std::unique_ptr<char[]> room(new char[kRoomBytes]);
  Arena arena({room.get(), kRoomBytes});
  Lister lister(context.out, arguments.Has("--json"));
  if (auto listed = place.store().Errors(arena, lister); !listed) {
    return Fail("conflicts", listed.error(), place.store().why());
  }
  if (lister.count() == 0 && !arguments.Has("--json")) context.out.Put("nothing waits\n");
  return lister.count() > 0 ? Exit::kWaiting : Exit::kDone;
}

Exit RunResolve(Context& context, const Arguments& arguments) {
  const std::string_view keep = arguments.Text("--keep");
  if (keep != "local" && keep != "server") {
    Complain("resolve: say which copy to keep: --keep local, or --keep server");
    return Exit::kUsage;
  }
  Workplace place(context);
  if (const Exit exit = place.Open(false); exit != Exit::kDone) return exit;
  const std::string wanted(arguments.positionals[0]);
  std::unique_ptr<char[]> room(new char[kRoomBytes]);
  Arena arena({room.get(), kRoomBytes});
  Finder finder(wanted);
  if (auto found = place.store().Errors(arena, finder); !found) {
    return Fail("resolve", found.error(), place.store().why());
  }
  if (finder.matches() != 1) {
    Complain("resolve: %s: %s; see 'holdfast conflicts'", wanted.c_str(),
             finder.matches() == 0 ? "nothing waits under that number or id"
                                   : "rows of several tables wait under that id, use the number");
    return Exit::kFailed;
  }
  const store::Table* table = place.FindTable(finder.table());
  if (table == nullptr) return Exit::kUsage;
  if (keep == "server" && finder.kind() == store::ErrorKind::kParked) {
    Complain(
        "resolve: %s: the server refused the row and gave no copy of its own; change the row, "
        "or delete it, or send it again with --keep local",
        wanted.c_str());
    return Exit::kFailed;
  }
  arena.Reset();
  RowFields server_row;
  Result<void> done = DecodeServerRow(*table, finder.server_row(), arena, server_row);
  if (done) {
    done = place.store().Resolve(
        finder.sequence(),
        keep == "local" ? store::Store::Copy::kLocal : store::Store::Copy::kServer,
        server_row.view());
  }
  if (!done) return Fail("resolve", done.error(), place.store().why());
  context.out.Put(keep == "local" ? "kept the local copy; the next push sends it\n"
                                  : "kept the server's copy\n");
  return Exit::kDone;
}

}  // namespace holdfast::agent
