// SPDX-License-Identifier: Apache-2.0
// server/arguments.h - the command line of one command, taken apart by a table.
//
// Errors: UsageError: an unknown option, a missing value; exit code 2.
#ifndef HOLDFAST_SERVER_ARGUMENTS_H_
#define HOLDFAST_SERVER_ARGUMENTS_H_

#include <cstdint>
#include <map>
#include <span>
#include <stdexcept>
#include <string>
#include <vector>

namespace holdfast::server {

class UsageError : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

struct OptionSpec {
  const char* name;  // "--https"
  bool takes_value;
};

class Arguments {
 public:
  // "--name value" and "--name=value"; "--" ends the options.
  Arguments(std::span<const std::string> words, std::span<const OptionSpec> known);

  bool Has(const std::string& name) const { return options_.contains(name); }
  std::vector<std::string> All(const std::string& name) const;
  std::string One(const std::string& name, const std::string& otherwise = "") const;
  // 1 to `most`. Throws UsageError.
  std::uint64_t Number(const std::string& name, std::uint64_t otherwise, std::uint64_t most) const;
  const std::vector<std::string>& rest() const { return rest_; }

 private:
  std::map<std::string, std::vector<std::string>> options_;
  std::vector<std::string> rest_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_ARGUMENTS_H_
