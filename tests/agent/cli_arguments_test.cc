// SPDX-License-Identifier: Apache-2.0
// The words of the command line, and that help and manual page know all of them.
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "agent/cli/advice.h"
#include "agent/cli/arguments.h"
#include "agent/cli/commands.h"

// After the standard headers: it redefines new.
#include <CppUTest/TestHarness.h>

namespace holdfast::agent {
namespace {

Arguments Parse(std::vector<const char*> words) { return ParseArguments(Commands(), words); }

void CheckProblem(const char* expected, std::vector<const char*> words) {
  STRCMP_EQUAL(expected, Parse(std::move(words)).problem.c_str());
}

TEST_GROUP(Arguments){};

TEST(Arguments, CommandOptionsAndWordsInAnyOrder) {
  const Arguments got = Parse(
      {"--config", "a.conf", "get", "--top", "5", "readings", "--where=value gt 3", "--remote"});
  STRCMP_EQUAL("", got.problem.c_str());
  CHECK(got.command->name == "get");
  CHECK_EQUAL(1u, got.positionals.size());
  CHECK(got.positionals[0] == "readings");
  CHECK(got.Text("--config") == "a.conf");
  CHECK(got.Text("--where") == "value gt 3");
  CHECK(got.Has("--remote"));
  CHECK(!got.Has("--order"));
  UNSIGNED_LONGS_EQUAL(5, got.Count("--top", 7));
  UNSIGNED_LONGS_EQUAL(7, got.Count("--skip", 7));
}

TEST(Arguments, GlobalOptionsMayFollowTheCommand) {
  const Arguments got = Parse({"status", "--config", "b.conf", "-q"});
  STRCMP_EQUAL("", got.problem.c_str());
  CHECK(got.Text("--config") == "b.conf");
  CHECK(got.Has("--quiet"));
}

TEST(Arguments, TwoWordCommands) {
  CHECK(Parse({"config", "print"}).command->name == "config print");
  CheckProblem("config: say which: check print keys sample", {"config"});
  CheckProblem("config: unknown command 'prin'; there is: check print keys sample",
               {"config", "prin"});
  CHECK(Parse({"config", "--help"}).help);
  CHECK(Parse({"config", "--help"}).topic == "config");
}

TEST(Arguments, RepeatedOptionKeepsAll) {
  const Arguments got = Parse({"push", "--table", "a", "--table", "b"});
  const auto tables = got.All("--table");
  CHECK_EQUAL(2u, tables.size());
  CHECK(tables[0] == "a");
  CHECK(tables[1] == "b");
}

TEST(Arguments, DoubleDashEndsOptions) {
  const Arguments got = Parse({"delete", "readings", "--", "--odd", "-x"});
  STRCMP_EQUAL("", got.problem.c_str());
  CHECK_EQUAL(3u, got.positionals.size());
  CHECK(got.positionals[1] == "--odd");
}

TEST(Arguments, ASingleDashIsAWord) {
  const Arguments got = Parse({"record", "readings", "-"});
  STRCMP_EQUAL("", got.problem.c_str());
  CHECK(got.positionals[1] == "-");
}

TEST(Arguments, HelpWinsOverWhatIsMissing) {
  for (const char* word : {"--help", "-h"}) {
    const Arguments got = Parse({"get", word});
    STRCMP_EQUAL("", got.problem.c_str());
    CHECK(got.help);
    CHECK(got.command->name == "get");
  }
  CHECK(Parse({"--help"}).command == nullptr);
}

TEST(Arguments, ProblemsSayWhatIsWrong) {
  CheckProblem("unknown command 'recrod'; did you mean 'record'?", {"recrod"});
  CheckProblem("purge: something is missing: holdfast purge TABLE", {"purge"});
  CheckProblem("unknown command 'zzz'", {"zzz"});
  CheckProblem("record: unknown option --bach; did you mean '--batch'?", {"record", "--bach", "3"});
  CheckProblem("unknown option --json", {"--json"});
  CheckProblem("record: something is missing: holdfast record TABLE [FILE]", {"record"});
  CheckProblem("get: 'c' is too much", {"get", "a", "b", "c"});
  CheckProblem("get: --top needs a value: --top N", {"get", "a", "--top"});
  CheckProblem("get: --remote takes no value", {"get", "a", "--remote=1"});
  CheckProblem("get: --top: a whole number from 0 is needed (got '-1')",
               {"get", "a", "--top", "-1"});
  CheckProblem("record: --batch: a whole number from 1 to 10000 is needed (got '0')",
               {"record", "a", "--batch", "0"});
  CheckProblem("record: --batch: a whole number from 1 to 10000 is needed (got '5x')",
               {"record", "a", "--batch=5x"});
  CheckProblem("get: --top is given twice", {"get", "a", "--top", "1", "--top", "2"});
}

TEST(Arguments, NoWordsIsNoCommand) {
  const Arguments got = Parse({});
  STRCMP_EQUAL("", got.problem.c_str());
  CHECK(got.command == nullptr);
}

std::string ReadSource(const char* path) {
  std::ifstream file(std::string(HOLDFAST_SOURCE_DIR "/") + path);
  std::stringstream text;
  text << file.rdbuf();
  return text.str();
}

// scdoc wants underscores and some others escaped.
std::string Unescaped(std::string text) {
  std::string plain;
  for (const char c : text) {
    if (c != '\\') plain.push_back(c);
  }
  return plain;
}

TEST_GROUP(CommandTable){};

TEST(CommandTable, ManualPageHasEachCommandAndOption) {
  const std::string page = Unescaped(ReadSource("agent/man/holdfast.1.scd"));
  CHECK(!page.empty());
  for (const Command& command : Commands()) {
    // "*record* _TABLE_ ..." at the start of its own paragraph, up to the next command.
    const std::string start = "\n*" + std::string(command.name) + "*";
    const std::size_t from = page.find(start);
    if (from == std::string::npos) FAIL(start.c_str());
    const std::size_t next = page.find("\n\n*", from);
    const std::string part = page.substr(from, next == std::string::npos ? next : next - from);
    for (const Option& option : command.options) {
      const std::string wanted = "*" + std::string(option.name) + "*";
      if (part.find(wanted) == std::string::npos) {
        FAIL((start.substr(1) + " without " + wanted).c_str());
      }
    }
  }
  for (const Option& option : GlobalOptions()) {
    const std::string wanted = "*" + std::string(option.name) + "*";
    if (page.find(wanted) == std::string::npos) FAIL(wanted.c_str());
  }
}

TEST(CommandTable, HelpHasEachOption) {
  for (const Command& command : Commands()) {
    const std::string help = HelpText(command);
    for (const Option& option : command.options) {
      if (help.find(option.name) == std::string::npos) FAIL(help.c_str());
    }
    CHECK(HelpText(Commands(), {}).find(command.summary) != std::string::npos);
  }
}

TEST(CommandTable, CompletionHasEachWord) {
  const std::string script = BashCompletion(Commands());
  for (const Command& command : Commands()) {
    const std::string_view first = command.name.substr(0, command.name.find(' '));
    CHECK(script.find("    " + std::string(first) + ") words=") != std::string::npos);
    for (const Option& option : command.options) {
      CHECK(script.find(option.name) != std::string::npos);
    }
  }
}

TEST(CommandTable, EveryCodeThatStopsASyncHasAnAdvice) {
  for (const Code code : {Code::kOffline, Code::kTimeout, Code::kTlsUntrusted, Code::kTlsExpired,
                          Code::kClockUnset, Code::kBadAnswer, Code::kUnauthorized,
                          Code::kThrottled, Code::kServerError, Code::kNoSpace}) {
    CHECK(!Advice(code).empty());
  }
}

TEST(CommandTable, CodeOfReadsWhatDescribeWrote) {
  char text[100];
  const Error error{Code::kTlsExpired, Origin::kCurl, 60, "a certificate"};
  CHECK(CodeOf(Describe(error, text, sizeof text)) == Code::kTlsExpired);
  CHECK(CodeOf("offline") == Code::kOffline);
  CHECK(!CodeOf("something else").has_value());
}

TEST(CommandTable, ExitCodesFollowTheDisposition) {
  CHECK(ExitFor({Code::kOffline}) == Exit::kTryLater);
  CHECK(ExitFor({Code::kThrottled}) == Exit::kTryLater);
  CHECK(ExitFor({Code::kServerError}) == Exit::kTryLater);
  CHECK(ExitFor({Code::kClockUnset}) == Exit::kTryLater);
  CHECK(ExitFor({Code::kUnauthorized}) == Exit::kFailed);
  CHECK(ExitFor({Code::kTlsUntrusted}) == Exit::kFailed);
  CHECK(ExitFor({Code::kNoSpace}) == Exit::kFailed);
  CHECK(ExitFor({Code::kRefused}) == Exit::kFailed);
}

}  // namespace
}  // namespace holdfast::agent
