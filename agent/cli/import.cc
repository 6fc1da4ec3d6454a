// SPDX-License-Identifier: Apache-2.0
// agent/cli/import.cc - record and put: rows from a file or a pipe into a table, here or there.
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cinttypes>
#include <cstring>

#include "agent/cli/advice.h"
#include "agent/cli/commands.h"
#include "agent/cli/progress.h"
#include "agent/cli/record_reader.h"
#include "agent/cli/row_parser.h"
#include "agent/cli/signals.h"
#include "agent/sync/remote.h"

namespace holdfast::agent {
namespace {

constexpr std::uint64_t kBatchRows = 100;
// How long a row that came through a pipe waits for others to share its commit.
constexpr hal::Duration kCommitWindow = hal::Duration::Seconds(1);

// Where rows go. Errors that are about one row are told from those that end it all by IsAboutRow().
class RowTarget {
 public:
  virtual ~RowTarget() = default;
  virtual Result<void> Begin() = 0;
  virtual Result<void> Add(RowView row, std::string_view version, store::Id& id) = 0;
  virtual Result<void> Commit() = 0;
  virtual void Rollback() = 0;
  virtual std::string_view why() const = 0;
};

class LocalTarget : public RowTarget {
 public:
  LocalTarget(store::Store& store, const store::Table& table, bool put)
      : store_(store), table_(table), put_(put) {}
  Result<void> Begin() override { return store_.Begin(); }
  Result<void> Add(RowView row, std::string_view, store::Id& id) override {
    return put_ ? store_.Put(table_, row, id) : store_.Insert(table_, row, id);
  }
  Result<void> Commit() override { return store_.Commit(); }
  void Rollback() override { store_.Rollback(); }
  std::string_view why() const override { return store_.why(); }

 private:
  store::Store& store_;
  const store::Table& table_;
  bool put_;
};

class RemoteTarget : public RowTarget {
 public:
  RemoteTarget(Remote& remote, std::string_view table) : remote_(remote), table_(table) {}
  Result<void> Begin() override { return Ok(); }
  Result<void> Add(RowView row, std::string_view version, store::Id& id) override {
    return remote_.Put(table_, row, version, id);
  }
  Result<void> Commit() override { return Ok(); }
  void Rollback() override {}
  std::string_view why() const override { return remote_.words(); }

 private:
  Remote& remote_;
  std::string_view table_;
};

bool IsAboutRow(const Error& error) {
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kNotFound:
    case Code::kExists:
    case Code::kTooLarge:
    case Code::kRefused:
    case Code::kConflict:
    case Code::kGone: return true;
    default: return false;
  }
}

struct ImportOptions {
  std::string name;  // of the input, for messages
  int fd = 0;
  bool csv = false, ack = false, any_columns = false;
  std::size_t batch = kBatchRows;
};

class Importer {
 public:
  Importer(Context& context, const store::Table& table, RowTarget& target,
           const ImportOptions& options)
      : context_(context),
        target_(target),
        options_(options),
        reader_(options.fd, options.csv ? RecordReader::Shape::kCsv : RecordReader::Shape::kLines,
                limits::kRowBytes, context.platform.clock()),
        parser_(table, options.any_columns),
        progress_(context.platform.clock(), !context.quiet && !options.ack) {
    struct stat info {};
    if (fstat(options.fd, &info) == 0 && S_ISREG(info.st_mode))
      file_bytes_ = std::uint64_t(info.st_size);
    if (options.ack) acks_.resize(options.batch);
  }

  Exit Run();

  std::uint64_t stored() const { return stored_; }
  std::uint64_t refused() const { return refused_; }

 private:
  void RunBatch();
  void TakeRecord(std::span<char> record);
  void Store(RowView row);
  void Commit();
  void Refuse(std::uint64_t line, std::string_view reason);
  void Stop(const Error& error);
  void ShowProgress();

  Context& context_;
  RowTarget& target_;
  ImportOptions options_;
  RecordReader reader_;
  RowParser parser_;
  ProgressLine progress_;
  std::uint64_t file_bytes_ = 0;  // 0: not a file
  std::vector<store::Id> acks_;
  store::Id id_;
  std::uint64_t stored_ = 0, refused_ = 0;
  std::uint64_t batch_line_ = 0;  // where the rows that are not committed yet begin
  std::size_t in_batch_ = 0;
  bool open_ = false, over_ = false, drained_ = false, header_done_ = false;
  Exit exit_ = Exit::kDone;
};

Exit Importer::Run() {
  while (!over_) {
    auto gathered = reader_.Gather(options_.batch, kCommitWindow);
    RunBatch();  // first what is here, whatever became of the rest
    if (!gathered && !over_) Stop(gathered.error());
    if (Interrupted() && drained_ && !over_) {
      progress_.Clear();
      Complain("%s:%" PRIu64 ": stopped here", options_.name.c_str(), reader_.line());
      exit_ = Exit::kFailed;
      over_ = true;
    }
    ShowProgress();
  }
  progress_.Clear();
  return exit_ == Exit::kDone && refused_ > 0 ? Exit::kFailed : exit_;
}

void Importer::RunBatch() {
  drained_ = false;
  while (!over_ && in_batch_ < options_.batch) {
    std::span<char> record;
    switch (reader_.Next(record)) {
      case RecordReader::Got::kRecord: TakeRecord(record); continue;
      case RecordReader::Got::kTooLong:
        Refuse(reader_.line(), "longer than a row may be (1 MiB)");
        continue;
      case RecordReader::Got::kBadQuotes:
        Refuse(reader_.line(), "a quote is not closed, or text follows a closing quote");
        continue;
      case RecordReader::Got::kEnd: over_ = true; break;
      case RecordReader::Got::kMore: drained_ = true; break;
    }
    break;
  }
  Commit();
}

void Importer::TakeRecord(std::span<char> record) {
  const std::string_view text(record.data(), record.size());
  if (text.find_first_not_of(" \t") == std::string_view::npos) return;
  if (options_.csv && !header_done_) {
    header_done_ = true;
    if (parser_.ParseCsvHeader(record)) return;
    Refuse(reader_.line(), parser_.why());
    over_ = true;  // without names there are no rows
    return;
  }
  auto row = options_.csv ? parser_.ParseCsv(record) : parser_.ParseJson(text);
  if (row) {
    Store(*row);
  } else if (IsAboutRow(row.error())) {
    Refuse(reader_.line(), parser_.why()[0] != '\0' ? parser_.why() : row.error().what);
  } else {
    Refuse(reader_.line(), "too complex for the working memory of one row");
  }
}

void Importer::Store(RowView row) {
  if (!open_) {
    batch_line_ = reader_.line();
    if (auto begun = target_.Begin(); !begun) return Stop(begun.error());
    open_ = true;
  }
  auto added = target_.Add(row, parser_.version(), id_);
  if (added) {
    if (options_.ack) acks_[in_batch_] = id_;
    ++in_batch_;
  } else if (added.error().code == Code::kExists) {
    Refuse(reader_.line(), "a row of this id is there already; 'put' changes rows");
  } else if (IsAboutRow(added.error())) {
    char words[256];
    std::string reason(Describe(added.error(), words, sizeof words));
    if (const std::string_view why = target_.why(); !why.empty()) reason.append(": ").append(why);
    Refuse(reader_.line(), reason);
  } else {
    Stop(added.error());
  }
}

void Importer::Commit() {
  if (!open_) return;
  open_ = false;
  if (auto committed = target_.Commit(); !committed) return Stop(committed.error());
  stored_ += in_batch_;
  for (std::size_t i = 0; options_.ack && i < in_batch_; ++i) {
    context_.out.Put(acks_[i].view()).Put("\n");
  }
  in_batch_ = 0;
  batch_line_ = 0;
  // Whoever waits for the ids waits now.
  if (options_.ack && !context_.out.Flush()) over_ = true;
}

void Importer::Refuse(std::uint64_t line, std::string_view reason) {
  ++refused_;
  progress_.Clear();
  std::fprintf(stderr, "%s:%" PRIu64 ": %.*s\n", options_.name.c_str(), line, int(reason.size()),
               reason.data());
}

// Not one row but the place they go to: what was not committed is not there.
void Importer::Stop(const Error& error) {
  progress_.Clear();
  if (open_) target_.Rollback();
  open_ = false;
  in_batch_ = 0;
  over_ = true;
  const std::uint64_t from = batch_line_ != 0 ? batch_line_ : reader_.line();
  const std::string what =
      options_.name + ":" + std::to_string(from) + ": this line and those after it are not stored";
  Fail(what.c_str(), error, target_.why());
  if (const std::string_view advice = Advice(error.code); !advice.empty()) {
    std::fprintf(stderr, "%.*s\n", int(advice.size()), advice.data());
  }
  exit_ = error.origin == Origin::kSqlite ? Exit::kFailed : ExitFor(error);
}

void Importer::ShowProgress() {
  if (!progress_.Due()) return;
  ProgressFacts facts;
  facts.what = "stored";
  facts.rows = stored_;
  facts.bytes = reader_.bytes_read();
  if (file_bytes_ != 0) facts.part_done = double(facts.bytes) / double(file_bytes_);
  progress_.Draw(facts);
}

// Opens FILE; "-" or none is stdin.
bool OpenInput(const Arguments& arguments, ImportOptions& options) {
  options.name = arguments.positionals.size() > 1 ? std::string(arguments.positionals[1]) : "-";
  if (options.name == "-") {
    options.name = "stdin";
    options.fd = STDIN_FILENO;
    return true;
  }
  options.fd = open(options.name.c_str(), O_RDONLY | O_CLOEXEC);
  if (options.fd < 0) Complain("%s: %s", options.name.c_str(), std::strerror(errno));
  return options.fd >= 0;
}

Exit Import(Context& context, const Arguments& arguments, const store::Table& table,
            RowTarget& target, ImportOptions& options, const char* verb) {
  const bool json = arguments.Has("--json");
  options.csv = arguments.Has("--csv");
  options.ack = arguments.Has("--ack");
  options.batch = std::size_t(arguments.Count("--batch", options.batch));
  if (!OpenInput(arguments, options)) return Exit::kFailed;
  Importer importer(context, table, target, options);
  const Exit exit = importer.Run();
  if (options.fd != STDIN_FILENO) close(options.fd);

  if (json) {
    JsonWriter writer(context.out);
    writer.Text("status", exit == Exit::kDone ? "complete" : "failed").Text("table", table.name());
    writer.Number(verb, importer.stored()).Number("refused", importer.refused()).End();
  } else if (!context.quiet && (importer.refused() > 0 || isatty(STDERR_FILENO) == 1)) {
    std::string text = FormatRows(importer.stored()) + " " + verb;
    if (importer.refused() > 0) text += ", " + FormatCount(importer.refused()) + " refused";
    Complain("%s: %s", options.name.c_str(), text.c_str());
  }
  return exit;
}

bool JsonAndAck(const Arguments& arguments) {
  if (!arguments.Has("--json") || !arguments.Has("--ack")) return false;
  Complain("%.*s: --ack and --json exclude each other: both answer on stdout",
           int(arguments.command->name.size()), arguments.command->name.data());
  return true;
}

}  // namespace

Exit RunRecord(Context& context, const Arguments& arguments) {
  if (JsonAndAck(arguments)) return Exit::kUsage;
  Workplace place(context);
  if (const Exit exit = place.Open(false); exit != Exit::kDone) return exit;
  const store::Table* table = place.FindTable(arguments.positionals[0]);
  if (table == nullptr) return Exit::kUsage;
  LocalTarget target(place.store(), *table, false);
  ImportOptions options;
  return Import(context, arguments, *table, target, options, "recorded");
}

Exit RunPut(Context& context, const Arguments& arguments) {
  if (JsonAndAck(arguments)) return Exit::kUsage;
  const bool is_remote = arguments.Has("--remote");
  Workplace place(context);
  if (const Exit exit = place.Open(is_remote); exit != Exit::kDone) return exit;
  const store::Table* table = place.FindTable(arguments.positionals[0]);
  if (table == nullptr) return Exit::kUsage;
  ImportOptions options;
  if (!is_remote) {
    LocalTarget target(place.store(), *table, true);
    return Import(context, arguments, *table, target, options, "put");
  }
  auto way = place.MakeWay();
  if (!way) return FailTransport(way.error());
  Remote remote(*way->transport, context.platform.random(), *way->workspace,
                place.exchange_timeout(), Interrupted);
  RemoteTarget target(remote, table->name());
  options.any_columns = true;
  options.batch = 1;
  return Import(context, arguments, *table, target, options, "put");
}

}  // namespace holdfast::agent
