// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/commands.h"

#include <errno.h>

#include <cstdio>
#include <cstring>

#include "hal/base/limits.h"

namespace holdfast::agent {
namespace {

using Kind = Option::Kind;

constexpr Option kJson = {.name = "--json", .help = "the answer as one JSON object"};
constexpr Option kRemote = {.name = "--remote", .help = "on the server instead of this device"};
constexpr Option kCsv = {.name = "--csv", .help = "the input is CSV with a header"};
constexpr Option kBatch = {.name = "--batch",
                           .value = "N",
                           .help = "rows in one commit at most (default 100)",
                           .kind = Kind::kCount,
                           .min = 1,
                           .max = 10000};
constexpr Option kAck = {.name = "--ack", .help = "print each row's id once it is durable"};
constexpr Option kWhere = {.name = "--where",
                           .value = "FILTER",
                           .help = "only rows that pass, e.g. \"value gt 3 and sensor eq 't1'\"",
                           .kind = Kind::kText};

constexpr Option kInitOptions[] = {kJson};
constexpr Option kRecordOptions[] = {kCsv, kBatch, kAck, kJson};
constexpr Option kGetOptions[] = {
    kWhere,
    {.name = "--order", .value = "ORDER", .help = "e.g. \"ts desc, id\"", .kind = Kind::kText},
    {.name = "--top", .value = "N", .help = "at most N rows", .kind = Kind::kCount},
    {.name = "--skip", .value = "N", .help = "leave out the first N rows", .kind = Kind::kCount},
    kRemote,
};
constexpr Option kPutOptions[] = {kCsv, kBatch, kAck, kJson, kRemote};
constexpr Option kDeleteOptions[] = {kRemote, kJson};
constexpr Option kPushOptions[] = {
    {.name = "--table",
     .value = "T",
     .help = "only this table",
     .kind = Kind::kText,
     .repeatable = true},
    {.name = "--retry-parked", .help = "send rows again that the server has refused"},
    kJson,
};
constexpr Option kPullOptions[] = {
    kWhere,
    {.name = "--query-id",
     .value = "ID",
     .help = "remember how far this pull came under a name of its own",
     .kind = Kind::kText},
    {.name = "--full", .help = "all rows, not only what changed since the last pull"},
    {.name = "--no-push", .help = "do not push first"},
    kJson,
};
constexpr Option kStatusOptions[] = {kJson};
constexpr Option kConflictsOptions[] = {
    {.name = "--log", .help = "what was decided so far, and what that overwrote"},
    kJson,
};
constexpr Option kResolveOptions[] = {
    {.name = "--keep",
     .value = "COPY",
     .help = "\"local\" (sent again on the server's version) or \"server\"",
     .kind = Kind::kText},
    {.name = "--merge",
     .value = "FILE",
     .help = "this JSON object, on top of the server's row ('-': stdin)",
     .kind = Kind::kText},
    {.name = "--discard", .help = "give up the edit"},
};
constexpr Option kPurgeOptions[] = {
    kWhere,
    {.name = "--force", .help = "discard operations that wait to be pushed"},
    {.name = "--no-push", .help = "do not push first"},
    kJson,
};
constexpr Option kKeysOptions[] = {kJson};
constexpr Option kVersionOptions[] = {kJson};

constexpr std::string_view kInitDetails =
    "Safe to repeat. Other commands do the same quietly when they open the database.\n";
constexpr std::string_view kRecordDetails =
    "Reads FILE, or stdin when FILE is missing or '-': one JSON object a line, or CSV.\n"
    "A line that is no row of the table is refused with its number and the reason; the\n"
    "others go in, and the exit code is 1. From a pipe, rows are committed after one\n"
    "second at the latest. An id that is left out is made.\n";
constexpr std::string_view kGetDetails = "Prints rows as JSON, one a line, the id first.\n";
constexpr std::string_view kPutDetails =
    "Reads FILE, or stdin when FILE is missing or '-', like 'record'. Columns that a line\n"
    "does not name stay as they are. With --remote, a line that has a version changes the\n"
    "row only if the server still has that version.\n";
constexpr std::string_view kDeleteDetails =
    "An id that is not there is an error; the others are deleted.\n";
constexpr std::string_view kPushDetails =
    "Sends what the server does not have yet, in order, all tables unless named. What\n"
    "cannot be sent stays queued. A second push or pull waits for the first one.\n";
constexpr std::string_view kPullDetails =
    "Pushes first, then brings what changed on the server into all tables or those named.\n"
    "Rows that wait to be pushed are left alone.\n";
constexpr std::string_view kStatusDetails = "Asks this device only, never the server.\n";
constexpr std::string_view kConflictsDetails =
    "Each with its number, the copy here and the server's. Exit code 4 when something waits.\n"
    "With --log: what people and policies decided, with both copies as they were.\n";
constexpr std::string_view kResolveDetails =
    "ID is the number that 'conflicts' shows, or the id of the row. A refused row is sent\n"
    "again with --keep local; so is one that is changed. Columns that a merged row leaves\n"
    "out are the server's. A discarded edit leaves the row as the server has it, or as it\n"
    "was before. What is overwritten is kept: 'conflicts --log'.\n";
constexpr std::string_view kPurgeDetails =
    "Pushes first, then removes rows from this device only; the server keeps them. Refuses\n"
    "while operations of these rows wait; --force discards those and says how many. A\n"
    "purged table comes back whole with the next pull; rows purged with --where only when\n"
    "they change on the server, or with 'pull --full'.\n";
constexpr std::string_view kCheckDetails =
    "Prints all problems as FILE:LINE: KEY: PROBLEM, with the code that the start uses.\n";
constexpr std::string_view kCompletionDetails = "Use it with: source <(holdfast completion bash)\n";

constexpr std::size_t kMany = SIZE_MAX;

constexpr Command kCommands[] = {
    {"init", "", 0, 0, kInitOptions, "create or upgrade the database, its tables and triggers",
     kInitDetails, RunInit},
    {"record", "TABLE [FILE]", 1, 2, kRecordOptions, "record rows from a file or stdin",
     kRecordDetails, RunRecord},
    {"get", "TABLE [ID]", 1, 2, kGetOptions, "print rows", kGetDetails, RunGet},
    {"put", "TABLE [FILE]", 1, 2, kPutOptions, "insert rows, or change those that are there",
     kPutDetails, RunPut},
    {"delete", "TABLE ID...", 2, kMany, kDeleteOptions, "delete rows", kDeleteDetails, RunDelete},
    {"push", "", 0, 0, kPushOptions, "send what waits to the server", kPushDetails, RunPush},
    {"pull", "[TABLE]...", 0, kMany, kPullOptions, "push, then fetch what changed on the server",
     kPullDetails, RunPull},
    {"purge", "TABLE", 1, 1, kPurgeOptions, "push, then remove rows from this device only",
     kPurgeDetails, RunPurge},
    {"status", "", 0, 0, kStatusOptions, "how things stand, on one screen", kStatusDetails,
     RunStatus},
    {"conflicts", "", 0, 0, kConflictsOptions, "list rows that wait for a decision",
     kConflictsDetails, RunConflicts},
    {"resolve", "ID", 1, 1, kResolveOptions, "settle one of them", kResolveDetails, RunResolve},
    {"config check", "", 0, 0, {}, "check the configuration", kCheckDetails, RunConfigCheck},
    {"config print", "", 0, 0, {}, "print all values in effect", {}, RunConfigPrint},
    {"config keys",
     "",
     0,
     0,
     kKeysOptions,
     "print all keys with type, default and meaning",
     {},
     RunConfigKeys},
    {"config sample",
     "",
     0,
     0,
     {},
     "print a commented configuration to begin with",
     {},
     RunConfigSample},
    {"completion bash",
     "",
     0,
     0,
     {},
     "print what bash needs to complete commands",
     kCompletionDetails,
     RunCompletionBash},
    {"version",
     "",
     0,
     0,
     kVersionOptions,
     "print the versions of program, protocol and libraries",
     {},
     RunVersion},
    {"help", "[COMMAND]", 0, 2, {}, "print this, or what a command does", {}, RunHelp},
};

Exit Usage(const Arguments& arguments) {
  Complain("%s", arguments.problem.c_str());
  const std::string_view name =
      arguments.command != nullptr ? arguments.command->name : arguments.topic;
  std::fprintf(stderr, "Try 'holdfast %.*s%s--help'.\n", int(name.size()), name.data(),
               name.empty() ? "" : " ");
  return Exit::kUsage;
}

// An answer that nobody could get is a failure, whatever the command achieved. A reader that has
// seen enough (`| head`) gets no lecture.
Exit Close(Output& out, Exit exit) {
  if (out.Flush()) return exit;
  if (out.error() != EPIPE) Complain("cannot write the answer: %s", std::strerror(out.error()));
  return exit == Exit::kDone || exit == Exit::kWaiting ? Exit::kFailed : exit;
}

Exit Dispatch(Context& context, const Arguments& arguments) {
  if (!arguments.problem.empty()) return Usage(arguments);
  if (arguments.help) {
    context.out.Put(arguments.command != nullptr ? HelpText(*arguments.command)
                                                 : HelpText(kCommands, arguments.topic));
    return Exit::kDone;
  }
  if (arguments.command == nullptr) {
    std::fputs(HelpText(kCommands, {}).c_str(), stderr);
    return Exit::kUsage;
  }
  return arguments.command->run(context, arguments);
}

}  // namespace

std::span<const Command> Commands() { return kCommands; }

Exit RunProgram(Platform& platform, std::span<const char* const> words) {
  // What everybody tries first on a program they do not know.
  static constexpr const char* kVersionWord[] = {"version"};
  if (words.size() == 1 && std::strcmp(words[0], "--version") == 0) words = kVersionWord;

  const Arguments arguments = ParseArguments(kCommands, words);
  Output out(1);
  Context context{platform, out};
  if (arguments.Has("--config")) context.config_path = arguments.Text("--config");
  context.quiet = arguments.Has("--quiet");
  return Close(out, Dispatch(context, arguments));
}

Exit RunHelp(Context& context, const Arguments& arguments) {
  std::vector<const char*> words;
  std::vector<std::string> room(arguments.positionals.begin(), arguments.positionals.end());
  words.reserve(room.size() + 1);
  for (const std::string& word : room) words.push_back(word.c_str());
  words.push_back("--help");
  return Dispatch(context, ParseArguments(kCommands, words));
}

Exit RunCompletionBash(Context& context, const Arguments&) {
  context.out.Put(BashCompletion(kCommands));
  return Exit::kDone;
}

}  // namespace holdfast::agent
