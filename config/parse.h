// SPDX-License-Identifier: Apache-2.0
// config/parse.h - judges a JSON tree against the table of keys. Used by config.cc only.
#ifndef HOLDFAST_CONFIG_PARSE_H_
#define HOLDFAST_CONFIG_PARSE_H_

#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "config/json.h"
#include "config/keys.h"

namespace holdfast::config {

class Judge {
 public:
  // REQUIRES: the tree is complete; all three outlive this object.
  Judge(const JsonTree& tree, std::string_view folder, Loaded& out)
      : tree_(tree), folder_(folder), out_(out) {}

  void Run();

 private:
  using Seen = std::vector<const JsonNode*>;

  void Problem(const JsonNode& node, std::string key, std::string text);

  // Members of an object that are not given twice. False: it is not an object (reported).
  bool Members(const JsonNode& object, const std::string& path, bool ignore_case, Seen& members);

  void Section(const JsonNode& node, std::string_view section, const std::string& path,
               void* owner);
  void UnknownKey(const JsonNode& node, std::string_view section, const std::string& path);
  void Tables(const JsonNode& node);
  void Table(const JsonNode& node);
  void Columns(const JsonNode& node, const std::string& path, TableConfig& table);
  void Sources(const JsonNode& node);

  void Value(const Key& key, const JsonNode& node, const std::string& path, void* owner);
  void Text(const Key& key, const JsonNode& node, const std::string& path, std::string& member);
  void Flag(const JsonNode& node, const std::string& path, bool& member);
  void Choice(const Key& key, const JsonNode& node, const std::string& path, unsigned char& member);
  void Count(const Key& key, const JsonNode& node, const std::string& path, std::int64_t& member);
  void Measure(const Key& key, const JsonNode& node, const std::string& path, std::int64_t& member);
  void Range(const Key& key, const JsonNode& node, const std::string& path, std::int64_t value,
             std::int64_t& member);

  // What only several keys together can get wrong.
  void Server(const JsonNode* server, const JsonNode& root);
  void LargeRowsUrl(bool coap);
  void Pair(const std::string& one, const std::string& one_name, const std::string& other,
            const std::string& other_name);
  void Contradictions();

  const JsonNode* Given(std::string_view path) const;
  bool HasProblem(std::string_view path) const;

  const JsonTree& tree_;
  std::string_view folder_;
  Loaded& out_;
  std::vector<std::pair<std::string, const JsonNode*>> given_;  // known keys, by path
};

}  // namespace holdfast::config

#endif  // HOLDFAST_CONFIG_PARSE_H_
