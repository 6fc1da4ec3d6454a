// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/arguments.h"

#include <algorithm>

#include "hal/base/text.h"

namespace holdfast::agent {
namespace {

constexpr Option kGlobalOptions[] = {
    {.name = "--config",
     .value = "FILE",
     .help = "configuration (default /etc/holdfast/holdfast.conf)",
     .kind = Option::Kind::kText},
    {.name = "--quiet", .help = "no progress and no summaries, only answers and errors"},
    {.name = "--help", .help = "what a command does (also -h)"},
};

std::string_view FirstWord(std::string_view text) { return text.substr(0, text.find(' ')); }

// Appended, not added: GCC 12 sees overlaps in "x" + string (-Wrestrict).
std::string Quoted(std::string_view word) {
  std::string text = "'";
  return text.append(word).append("'");
}

std::string Synopsis(const Option& option) {
  std::string text(option.name);
  if (option.kind != Option::Kind::kFlag) text.append(" ").append(option.value);
  return text;
}

// "  left   right", the right side aligned.
void AppendRow(std::string& out, std::string_view left, std::string_view right, std::size_t width) {
  out.append("  ").append(left);
  out.append(width > left.size() ? width - left.size() : 1, ' ');
  out.append(right).append("\n");
}

void AppendOptions(std::string& out, std::span<const Option> options) {
  std::size_t width = 0;
  for (const Option& option : options) width = std::max(width, Synopsis(option).size() + 3);
  for (const Option& option : options) AppendRow(out, Synopsis(option), option.help, width);
}

std::size_t Distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t replaced = diagonal + (a[i - 1] == b[j - 1] ? 0 : 1);
      diagonal = row[j];
      row[j] = std::min({replaced, row[j] + 1, row[j - 1] + 1});
    }
  }
  return row[b.size()];
}

}  // namespace

std::span<const Option> GlobalOptions() { return kGlobalOptions; }

std::string_view Nearest(std::string_view word, std::span<const std::string_view> candidates) {
  std::string_view best;
  std::size_t best_distance = word.size() < 4 ? 2 : 3;  // further away is another word
  for (const std::string_view candidate : candidates) {
    const std::size_t distance = Distance(word, candidate);
    if (distance < best_distance) best = candidate, best_distance = distance;
  }
  return best;
}

bool Arguments::Has(std::string_view option) const {
  return std::any_of(given_.begin(), given_.end(),
                     [&](const Given& given) { return given.option->name == option; });
}

std::string_view Arguments::Text(std::string_view option) const {
  std::string_view value;
  for (const Given& given : given_) {
    if (given.option->name == option) value = given.value;
  }
  return value;
}

std::uint64_t Arguments::Count(std::string_view option, std::uint64_t otherwise) const {
  for (const Given& given : given_) {
    if (given.option->name == option) otherwise = given.count;
  }
  return otherwise;
}

std::vector<std::string_view> Arguments::All(std::string_view option) const {
  std::vector<std::string_view> values;
  for (const Given& given : given_) {
    if (given.option->name == option) values.push_back(given.value);
  }
  return values;
}

class Parser {
 public:
  Parser(std::span<const Command> commands, std::span<const char* const> words)
      : commands_(commands), words_(words) {}

  Arguments Run() {
    bool options_over = false;
    while (next_ < words_.size() && out_.problem.empty()) {
      const std::string_view word = words_[next_++];
      if (!options_over && word == "--") {
        options_over = true;
      } else if (!options_over && word.size() > 1 && word[0] == '-') {
        TakeOption(word);
      } else if (out_.command == nullptr) {
        TakeCommand(word);
      } else {
        out_.positionals.push_back(word);
      }
    }
    // Whoever asks for help gets it, whatever else is missing.
    if (out_.problem.empty() && out_.command != nullptr && !out_.help) CheckPositionals();
    return std::move(out_);
  }

 private:
  std::string Where() const {
    return out_.command == nullptr ? std::string() : std::string(out_.command->name) + ": ";
  }

  void TakeCommand(std::string_view word) {
    const std::string_view second = next_ < words_.size() ? words_[next_] : std::string_view();
    std::vector<std::string_view> firsts, seconds;
    for (const Command& command : commands_) {
      const std::string_view first = FirstWord(command.name);
      firsts.push_back(first);
      if (first != word) continue;
      if (command.name == word) {
        out_.command = &command;
        return;
      }
      const std::string_view rest = command.name.substr(word.size() + 1);
      seconds.push_back(rest);
      if (rest == second) {
        ++next_;
        out_.command = &command;
        return;
      }
    }
    if (!seconds.empty()) return TakeGroup(word, second, seconds);
    out_.problem = "unknown command " + Quoted(word);
    Suggest(Nearest(word, firsts));
  }

  // "config" alone, or with a word that does not follow it.
  void TakeGroup(std::string_view word, std::string_view second,
                 std::span<const std::string_view> seconds) {
    out_.topic = word;
    if (second == "--help" || second == "-h" || out_.help) {
      out_.help = true;
      next_ = words_.size();
      return;
    }
    out_.problem = std::string(word) + ": ";
    if (second.empty() || second[0] == '-') {
      out_.problem.append("say which:");
    } else {
      out_.problem.append("unknown command " + Quoted(second) + "; there is:");
    }
    for (const std::string_view known : seconds) out_.problem.append(" ").append(known);
  }

  void TakeOption(std::string_view word) {
    if (word == "-h") word = "--help";
    if (word == "-q") word = "--quiet";
    const std::size_t equals = word.find('=');
    const std::string_view name = word.substr(0, equals);
    const Option* option = Find(name);
    if (option == nullptr) {
      out_.problem = Where() + "unknown option " + std::string(name);
      Suggest(Nearest(name, names_));
      return;
    }
    if (option->name == "--help") out_.help = true;
    Arguments::Given given{option, {}, 0};
    if (option->kind == Option::Kind::kFlag) {
      if (equals != std::string_view::npos) {
        out_.problem = Where() + std::string(name) + " takes no value";
      }
    } else if (equals != std::string_view::npos) {
      given.value = word.substr(equals + 1);
    } else if (next_ < words_.size()) {
      given.value = words_[next_++];
    } else {
      out_.problem = Where() + std::string(name) + " needs a value: " + Synopsis(*option);
    }
    if (out_.problem.empty()) Take(given);
  }

  void Take(Arguments::Given given) {
    const Option& option = *given.option;
    if (option.kind == Option::Kind::kCount) {
      const auto number = ParseInteger(given.value);
      if (!number || *number < 0 || std::uint64_t(*number) < option.min ||
          std::uint64_t(*number) > option.max) {
        out_.problem = Where() + std::string(option.name) + ": a whole number from " +
                       std::to_string(option.min);
        if (option.max != UINT64_MAX) out_.problem.append(" to " + std::to_string(option.max));
        out_.problem.append(" is needed (got " + Quoted(given.value) + ")");
        return;
      }
      given.count = std::uint64_t(*number);
    }
    if (!option.repeatable && out_.Has(option.name) && option.kind != Option::Kind::kFlag) {
      out_.problem = Where() + std::string(option.name) + " is given twice";
      return;
    }
    out_.given_.push_back(given);
  }

  const Option* Find(std::string_view name) {
    names_.clear();
    const Option* found = nullptr;
    const auto look = [&](std::span<const Option> options) {
      for (const Option& option : options) {
        names_.push_back(option.name);
        if (option.name == name) found = &option;
      }
    };
    look(kGlobalOptions);
    if (out_.command != nullptr) look(out_.command->options);
    return found;
  }

  void Suggest(std::string_view nearest) {
    if (!nearest.empty()) out_.problem.append("; did you mean " + Quoted(nearest) + "?");
  }

  void CheckPositionals() {
    const Command& command = *out_.command;
    if (out_.positionals.size() < command.positionals_min) {
      out_.problem = Where() + "something is missing: holdfast " + std::string(command.name) + " " +
                     std::string(command.positionals);
    } else if (out_.positionals.size() > command.positionals_max) {
      out_.problem = Where() + Quoted(out_.positionals[command.positionals_max]) + " is too much";
    }
  }

  std::span<const Command> commands_;
  std::span<const char* const> words_;
  std::size_t next_ = 0;
  std::vector<std::string_view> names_;
  Arguments out_;
};

Arguments ParseArguments(std::span<const Command> commands, std::span<const char* const> words) {
  return Parser(commands, words).Run();
}

std::string HelpText(std::span<const Command> commands, std::string_view group) {
  std::string out = "usage: holdfast [--config FILE] ";
  out.append(group.empty() ? "COMMAND" : group).append(group.empty() ? "" : " COMMAND");
  out.append(
      " [ARGUMENT]...\n\nKeeps what this device records until a server has it.\n\ncommands:\n");
  std::size_t width = 0;
  for (const Command& command : commands) width = std::max(width, command.name.size() + 3);
  for (const Command& command : commands) {
    if (group.empty() || FirstWord(command.name) == group) {
      AppendRow(out, command.name, command.summary, width);
    }
  }
  out.append("\noptions everywhere:\n");
  AppendOptions(out, kGlobalOptions);
  out.append(
      "\nexit codes:\n"
      "  0  done\n"
      "  1  failed\n"
      "  2  usage or configuration\n"
      "  3  server not reachable, or it asked to come back later; nothing is lost\n"
      "  4  done, but conflicts or parked rows wait for somebody\n"
      "\n'holdfast COMMAND --help' tells more about one command, 'man holdfast' about all.\n");
  return out;
}

std::string HelpText(const Command& command) {
  std::string out = "usage: holdfast " + std::string(command.name);
  if (!command.positionals.empty()) out.append(" ").append(command.positionals);
  for (const Option& option : command.options) {
    out.append(" [").append(Synopsis(option)).append(option.repeatable ? "]..." : "]");
  }
  out.append("\n\n").append(command.summary).append("\n");
  if (!command.details.empty()) out.append("\n").append(command.details);
  if (!command.options.empty()) {
    out.append("\noptions:\n");
    AppendOptions(out, command.options);
  }
  out.append("\noptions everywhere:\n");
  AppendOptions(out, kGlobalOptions);
  return out;
}

std::string BashCompletion(std::span<const Command> commands) {
  std::string firsts, cases;
  std::string_view last;
  for (const Command& command : commands) {
    const std::string_view first = FirstWord(command.name);
    if (first == last) continue;
    last = first;
    firsts.append(firsts.empty() ? "" : " ").append(first);
    std::string words;
    for (const Command& other : commands) {
      if (FirstWord(other.name) != first) continue;
      if (other.name != first) words.append(other.name.substr(first.size() + 1)).append(" ");
      for (const Option& option : other.options) {
        if (words.find(option.name) == std::string::npos) words.append(option.name).append(" ");
      }
    }
    for (const Option& option : kGlobalOptions) words.append(option.name).append(" ");
    words.pop_back();
    cases.append("    ").append(first).append(") words=\"").append(words).append("\" ;;\n");
  }
  return "# bash completion for holdfast: source <(holdfast completion bash)\n"
         "_holdfast() {\n"
         "  local words=\"" +
         firsts +
         " --config --help\" command=\"\" i\n"
         "  for ((i = 1; i < COMP_CWORD; i++)); do\n"
         "    case \"${COMP_WORDS[i]}\" in\n"
         "    --config) i=$((i + 1)) ;;\n"
         "    -*) ;;\n"
         "    *) command=\"${COMP_WORDS[i]}\"; break ;;\n"
         "    esac\n"
         "  done\n"
         "  case \"$command\" in\n" +
         cases +
         "  esac\n"
         "  COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _holdfast holdfast\n";
}

}  // namespace holdfast::agent
