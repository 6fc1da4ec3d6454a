// SPDX-License-Identifier: Apache-2.0
// agent/cli/resolve.cc - settles one row that is in conflict or was refused.
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string>

#include "agent/cli/commands.h"
#include "agent/cli/row_parser.h"
#include "agent/sync/conform.h"
#include "hal/base/arena.h"
#include "transport/wire.h"

namespace holdfast::agent {
namespace {

constexpr std::size_t kRoomBytes = 4 * limits::kRowBytes;

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
    id_ = record.id;
    server_row_ = record.kind == store::ErrorKind::kConflict ? record.server_words : "";
    return Ok();
  }

  int matches() const { return matches_; }
  std::int64_t sequence() const { return sequence_; }
  store::ErrorKind kind() const { return kind_; }
  const std::string& table() const { return table_; }
  const std::string& id() const { return id_; }
  const std::string& server_row() const { return server_row_; }

 private:
  std::string_view wanted_;
  int matches_ = 0;
  std::int64_t sequence_ = 0;
  store::ErrorKind kind_ = store::ErrorKind::kParked;
  std::string table_, id_, server_row_;
};

// The server's row as its columns are declared here.
Result<void> DecodeServerRow(const store::Table& table, const std::string& json, Arena& arena,
                             RowFields& row) {
  if (json.empty()) return Ok();
  RowFields raw;
  HF_TRY(wire::DecodeRow(json, arena, raw, {.keep_nested = true}));
  return ConformRow(table, raw.view(), arena, row);
}

// What was asked for. False: not exactly one thing, and that has been said.
bool ParseWish(const Arguments& arguments, store::Keep& keep) {
  const std::string_view copy = arguments.Text("--keep");
  const int given = int(arguments.Has("--keep")) + int(arguments.Has("--merge")) +
                    int(arguments.Has("--discard"));
  if (given != 1 || (arguments.Has("--keep") && copy != "local" && copy != "server")) {
    Complain("resolve: say one of --keep local, --keep server, --merge FILE, --discard");
    return false;
  }
  keep = arguments.Has("--merge")     ? store::Keep::kMerged
         : arguments.Has("--discard") ? store::Keep::kNeither
         : copy == "local"            ? store::Keep::kLocal
                                      : store::Keep::kServer;
  return true;
}

// The merged row: one JSON object in a file, or on stdin. False: said why.
bool ReadMerged(const std::string& path, std::string& text) {
  std::FILE* const file = path == "-" ? stdin : std::fopen(path.c_str(), "rbe");
  if (file == nullptr) {
    Complain("resolve: --merge: cannot open %s: %s", path.c_str(), std::strerror(errno));
    return false;
  }
  text.resize(limits::kRowBytes + 1);
  text.resize(std::fread(text.data(), 1, text.size(), file));
  const bool read = std::ferror(file) == 0;
  if (file != stdin) (void)std::fclose(file);
  if (!read || text.size() > limits::kRowBytes) {
    Complain("resolve: --merge: %s %s", path.c_str(), read ? "is too long" : "cannot be read");
    return false;
  }
  return true;
}

const char* Said(store::Keep keep) {
  switch (keep) {
    case store::Keep::kLocal: return "kept the local copy; the next push sends it\n";
    case store::Keep::kServer: return "kept the server's copy\n";
    case store::Keep::kMerged: return "stored the merged row; the next push sends it\n";
    case store::Keep::kNeither: return "gave up the edit\n";
  }
  return "";
}

}  // namespace

Exit RunResolve(Context& context, const Arguments& arguments) {
  store::Resolution resolution;
  resolution.rule = "person";
  if (!ParseWish(arguments, resolution.keep)) return Exit::kUsage;
  const std::string merge_path(arguments.Text("--merge"));
  std::string merged_text;
  if (resolution.keep == store::Keep::kMerged && !ReadMerged(merge_path, merged_text)) {
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
  if (resolution.keep == store::Keep::kServer && finder.kind() == store::ErrorKind::kParked) {
    Complain(
        "resolve: %s: the server refused the row and gave no copy of its own; change the row, "
        "delete it, give the edit up with --discard, or send it again with --keep local",
        wanted.c_str());
    return Exit::kFailed;
  }
  RowParser merged(*table, false);
  if (resolution.keep == store::Keep::kMerged) {
    auto row = merged.ParseJson(merged_text);
    if (!row) {
      Complain("resolve: --merge: %s: %s", merge_path.c_str(), merged.why());
      return Exit::kFailed;
    }
    if (!merged.id().empty() && merged.id() != finder.id()) {
      Complain("resolve: --merge: %s is about the row %.*s, not %s", merge_path.c_str(),
               int(merged.id().size()), merged.id().data(), finder.id().c_str());
      return Exit::kFailed;
    }
    resolution.merged = *row;
  }
  arena.Reset();
  RowFields server_row;
  Result<void> done = DecodeServerRow(*table, finder.server_row(), arena, server_row);
  resolution.server_row = server_row.view();
  if (done) done = place.store().Resolve(finder.sequence(), resolution);
  if (!done) return Fail("resolve", done.error(), place.store().why());
  context.out.Put(Said(resolution.keep));
  return Exit::kDone;
}

}  // namespace holdfast::agent
