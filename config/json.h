// SPDX-License-Identifier: Apache-2.0
// config/json.h - JSON with comments, read strictly, with the place of everything.
//
// Purpose: a message has to say file:line: key. cJSON, which reads the rows of the wire, knows no
//          comments, keeps no positions, and takes the first of two equal keys in silence; so the
//          configuration has this small reader of its own.
// Owner:   values. A tree of at most kJsonTreeNodes nodes, limits::kJsonDepth deep, from a text of
//          at most limits::kConfigFileBytes.
// Errors:  Diagnostics without a key. A missing comma and one too many are reported and read over;
//          anything else ends the reading, because what follows would be guesswork.
#ifndef HOLDFAST_CONFIG_JSON_H_
#define HOLDFAST_CONFIG_JSON_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/config.h"
#include "hal/base/limits.h"

namespace holdfast::config {

// Every table with every column, twice.
inline constexpr std::size_t kJsonTreeNodes = 2 * (limits::kTables * (limits::kColumns + 5) + 64);

enum class JsonType : std::uint8_t { kNull, kBoolean, kNumber, kString, kArray, kObject };

struct JsonNode {
  JsonType type = JsonType::kNull;
  int line = 0;  // of the key, or of the value where there is no key
  int column = 0;
  std::string key;   // in an object
  std::string text;  // kString: the content; kNumber: as written; kBoolean: "true" or "false"
  int first = -1;    // members of kArray and kObject, linked by next
  int next = -1;
};

struct JsonTree {
  std::vector<JsonNode> nodes;  // nodes[0] is the root, an object

  const JsonNode* First(const JsonNode& node) const { return At(node.first); }
  const JsonNode* Next(const JsonNode& node) const { return At(node.next); }

 private:
  const JsonNode* At(int index) const {
    return index < 0 ? nullptr : &nodes[static_cast<std::size_t>(index)];
  }
};

// False: the tree is not complete and must not be judged. Problems may be added either way.
bool ReadJson(std::string_view text, JsonTree& tree, std::vector<Diagnostic>& problems);

// The text as a JSON string, with its quotes.
std::string QuoteJson(std::string_view text);

}  // namespace holdfast::config

#endif  // HOLDFAST_CONFIG_JSON_H_
