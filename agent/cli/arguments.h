// SPDX-License-Identifier: Apache-2.0
// agent/cli/arguments.h - the words after `holdfast`, checked against one table of commands.
//
// Purpose: a command and its options are one row of a table; parsing, help, completion and the test
//          of the manual page read that table, so none of them can fall behind.
// Owner:   tables are static; Arguments borrow the words of argv.
// Threads: any; no state.
// Errors:  Arguments::problem is a sentence for a person; the caller prints it and exits with 2.
#ifndef HOLDFAST_AGENT_CLI_ARGUMENTS_H_
#define HOLDFAST_AGENT_CLI_ARGUMENTS_H_

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::agent {

struct Context;
class Arguments;

// What a command leaves behind. Part of the contract with scripts.
enum class Exit : int {
  kDone = 0,
  kFailed = 1,
  kUsage = 2,     // usage or configuration
  kTryLater = 3,  // server not reachable, or it asked to come back; nothing is lost
  kWaiting = 4,   // done, but conflicts or parked rows wait for somebody
};

struct Option {
  enum class Kind : std::uint8_t { kFlag, kText, kCount };

  std::string_view name;        // "--table"
  std::string_view value = {};  // how help names the value: "T"
  std::string_view help = {};
  Kind kind = Kind::kFlag;
  bool repeatable = false;
  std::uint64_t min = 0, max = UINT64_MAX;  // kCount
};

struct Command {
  std::string_view name;         // one word, or two: "config check"
  std::string_view positionals;  // "TABLE [FILE]"
  std::size_t positionals_min = 0, positionals_max = 0;
  std::span<const Option> options;
  std::string_view summary;  // one line, no full stop
  std::string_view details;  // more lines for the command's own help; may be empty
  Exit (*run)(Context& context, const Arguments& arguments) = nullptr;
};

// Options that stand before the command or after it, the same for all.
std::span<const Option> GlobalOptions();

class Arguments {
 public:
  const Command* command = nullptr;  // nullptr: none was given
  bool help = false;
  std::string problem;     // not empty: a usage error
  std::string_view topic;  // words that were no command, e.g. "config" for its help
  std::vector<std::string_view> positionals;

  bool Has(std::string_view option) const;
  // The last value given; "" when there is none.
  std::string_view Text(std::string_view option) const;
  std::uint64_t Count(std::string_view option, std::uint64_t otherwise) const;
  std::vector<std::string_view> All(std::string_view option) const;

 private:
  friend class Parser;
  struct Given {
    const Option* option;
    std::string_view value;
    std::uint64_t count;
  };
  std::vector<Given> given_;
};

// `words` without the program's name.
Arguments ParseArguments(std::span<const Command> commands, std::span<const char* const> words);

// The candidate that somebody most likely meant; "" when nothing is near.
std::string_view Nearest(std::string_view word, std::span<const std::string_view> candidates);

// Whole texts, with newlines, for stdout. `group`: "" or the first word of two-word commands.
std::string HelpText(std::span<const Command> commands, std::string_view group);
std::string HelpText(const Command& command);
std::string BashCompletion(std::span<const Command> commands);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_ARGUMENTS_H_
