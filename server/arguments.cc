// SPDX-License-Identifier: Apache-2.0
#include "server/arguments.h"

#include "hal/base/text.h"

namespace holdfast::server {

Arguments::Arguments(std::span<const std::string> words, std::span<const OptionSpec> known) {
  for (std::size_t i = 0; i < words.size(); ++i) {
    const std::string& word = words[i];
    if (word == "--") {
      rest_.insert(rest_.end(), words.begin() + static_cast<std::ptrdiff_t>(i) + 1, words.end());
      return;
    }
    if (word.size() < 2 || word[0] != '-') {
      rest_.push_back(word);
      continue;
    }
    const std::size_t equals = word.find('=');
    const std::string name = word.substr(0, equals);
    const OptionSpec* spec = nullptr;
    for (const OptionSpec& candidate : known) {
      if (name == candidate.name) spec = &candidate;
    }
    if (spec == nullptr) throw UsageError("unknown option '" + name + "'");
    const bool inline_value = equals != std::string::npos;
    if (!spec->takes_value && inline_value) throw UsageError(name + " takes no value");
    if (spec->takes_value && !inline_value && i + 1 == words.size()) {
      throw UsageError(name + " needs a value");
    }
    options_[name].push_back(!spec->takes_value ? ""
                             : inline_value     ? word.substr(equals + 1)
                                                : words[++i]);
  }
}

std::vector<std::string> Arguments::All(const std::string& name) const {
  const auto found = options_.find(name);
  return found == options_.end() ? std::vector<std::string>() : found->second;
}

std::string Arguments::One(const std::string& name, const std::string& otherwise) const {
  const std::vector<std::string> all = All(name);
  if (all.size() > 1) throw UsageError(name + " is given twice");
  return all.empty() ? otherwise : all.front();
}

std::uint64_t Arguments::Number(const std::string& name, std::uint64_t otherwise,
                                std::uint64_t most) const {
  if (!Has(name)) return otherwise;
  const auto number = ParseInteger(One(name));
  if (!number || *number < 1 || static_cast<std::uint64_t>(*number) > most) {
    throw UsageError(name + " needs a number from 1 to " + std::to_string(most));
  }
  return static_cast<std::uint64_t>(*number);
}

}  // namespace holdfast::server
