// SPDX-License-Identifier: Apache-2.0
#include "config/parse.h"

#include <algorithm>

#include "config/suggest.h"
#include "config/units.h"
#include "config/url.h"
#include "hal/base/text.h"

namespace holdfast::config {
namespace {

constexpr std::size_t kShownBytes = 60;
// More would scroll the first ones away.
constexpr std::size_t kProblems = 100;

// A value as a message shows it: "(got ...)".
std::string Got(const JsonNode& node) {
  switch (node.type) {
    case JsonType::kNull: return " (got null)";
    case JsonType::kArray: return " (got a list)";
    case JsonType::kObject: return " (got an object)";
    case JsonType::kBoolean:
    case JsonType::kNumber:
    case JsonType::kString: break;
  }
  std::size_t shown = std::min(node.text.size(), kShownBytes);
  // Not in the middle of a character.
  while (shown < node.text.size() && shown > 0 && (node.text[shown] & 0xC0) == 0x80) --shown;
  std::string text = node.text.substr(0, shown);
  if (node.type == JsonType::kString) text = QuoteJson(text);
  if (shown < node.text.size()) text += "...";
  return " (got " + text + ")";
}

// '; did you mean "x"?', or nothing.
std::string DidYouMean(std::string_view written, std::span<const std::string_view> candidates) {
  const std::string_view best = Closest(written, candidates);
  return best.empty() ? std::string() : "; did you mean " + QuoteJson(best) + "?";
}

std::string Joined(std::span<const std::string_view> words, const char* last = " or ") {
  std::string text;
  for (std::size_t i = 0; i < words.size(); ++i) {
    if (i > 0) text += i + 1 == words.size() ? last : ", ";
    text += words[i];
  }
  return text;
}

// A path is shown to people: whatever is not a plain name goes in quotes, escaped.
std::string Below(const std::string& path, std::string_view name) {
  const bool plain = !name.empty() && std::ranges::all_of(name, [](char c) {
    return static_cast<unsigned char>(c) > 0x20 && c != '"' && c != '.';
  });
  const std::string shown = plain ? std::string(name) : QuoteJson(name);
  return path.empty() ? shown : path + "." + shown;
}

constexpr std::string_view kColumnTypes[] = {"text",    "integer",  "real",
                                             "boolean", "datetime", "blob"};

}  // namespace

void Judge::Problem(const JsonNode& node, std::string key, std::string text) {
  if (out_.problems.size() > kProblems) return;
  if (out_.problems.size() == kProblems) {
    out_.problems.push_back(
        {node.line, node.column, "", "too many problems; the rest is not shown"});
    return;
  }
  out_.problems.push_back({node.line, node.column, std::move(key), std::move(text)});
}

const JsonNode* Judge::Given(std::string_view path) const {
  for (const auto& [key, node] : given_) {
    if (key == path) return node;
  }
  return nullptr;
}

bool Judge::HasProblem(std::string_view path) const {
  return std::ranges::any_of(out_.problems,
                             [&](const Diagnostic& problem) { return problem.key == path; });
}

bool Judge::Members(const JsonNode& object, const std::string& path, bool ignore_case,
                    Seen& members) {
  if (object.type != JsonType::kObject) {
    Problem(object, path, "must be an object, {...}" + Got(object));
    return false;
  }
  for (const JsonNode* node = tree_.First(object); node != nullptr; node = tree_.Next(*node)) {
    const auto twin = std::ranges::find_if(members, [&](const JsonNode* other) {
      return ignore_case ? EqualsIgnoreCase(other->key, node->key) : other->key == node->key;
    });
    if (twin == members.end()) {
      members.push_back(node);
    } else {
      Problem(*node, Below(path, node->key),
              "given twice, first in line " + std::to_string((*twin)->line) + "; remove one");
    }
  }
  return true;
}

void Judge::Run() {
  const JsonNode& root = tree_.nodes[0];
  Section(root, "", "", &out_.config);
  Server(Given("server"), root);
  Contradictions();
  std::ranges::stable_sort(out_.problems, [](const Diagnostic& a, const Diagnostic& b) {
    return a.line != b.line ? a.line < b.line : a.column < b.column;
  });
  for (const auto& [key, node] : given_) out_.positions.push_back({key, node->line, node->column});
}

// The keys of one section; at the top level also the sections themselves.
void Judge::Section(const JsonNode& node, std::string_view section, const std::string& path,
                    void* owner) {
  Seen members;
  if (!Members(node, path, false, members)) return;
  for (const JsonNode* member : members) {
    const std::string member_path = Below(path, member->key);
    const Key* key = FindKey(section, member->key);
    const bool is_section =
        section.empty() && !member->key.empty() && member->key != Key::kTableSection &&
        std::ranges::any_of(Keys(), [&](const Key& k) { return k.section == member->key; });
    if (key == nullptr && !is_section) {
      UnknownKey(*member, section, member_path);
      continue;
    }
    given_.emplace_back(member_path, member);
    if (is_section) {
      Section(*member, member->key, member_path, owner);
    } else if (key->kind == Kind::kTables) {
      Tables(*member);
    } else if (key->kind == Kind::kSources) {
      Sources(*member);
    } else if (key->kind == Kind::kColumns) {
      Columns(*member, member_path, *static_cast<TableConfig*>(owner));
    } else {
      Value(*key, *member, member_path, owner);
    }
  }
}

void Judge::UnknownKey(const JsonNode& node, std::string_view section, const std::string& path) {
  std::vector<std::string_view> candidates;
  std::string elsewhere;
  for (const Key& key : Keys()) {
    if (key.section == section) candidates.push_back(key.name);
    if (section.empty() && !key.section.empty() && !key.of_table() &&
        std::ranges::find(candidates, key.section) == candidates.end()) {
      candidates.push_back(key.section);
    }
    if (key.section != section && key.name == node.key) {
      elsewhere = key.section.empty() ? "at the top level"
                  : key.of_table()    ? "inside a table"
                                      : "inside " + QuoteJson(key.section);
    }
  }
  const std::string hint = DidYouMean(node.key, candidates);
  if (!hint.empty()) return Problem(node, path, "unknown key" + hint);
  if (!elsewhere.empty()) return Problem(node, path, "unknown key here; it belongs " + elsewhere);
  Problem(node, path, "unknown key; known here: " + Joined(candidates, " and "));
}

void Judge::Value(const Key& key, const JsonNode& node, const std::string& path, void* owner) {
  void* member = key.member(owner);
  switch (key.kind) {
    case Kind::kText:
    case Kind::kPath:
    case Kind::kUrl: return Text(key, node, path, *static_cast<std::string*>(member));
    case Kind::kFlag: return Flag(node, path, *static_cast<bool*>(member));
    case Kind::kChoice: return Choice(key, node, path, *static_cast<unsigned char*>(member));
    case Kind::kCount: return Count(key, node, path, *static_cast<std::int64_t*>(member));
    case Kind::kDuration:
    case Kind::kSize: return Measure(key, node, path, *static_cast<std::int64_t*>(member));
    case Kind::kTables:
    case Kind::kColumns:
    case Kind::kSources: return;  // Section() knows where these go
  }
}

void Judge::Text(const Key& key, const JsonNode& node, const std::string& path,
                 std::string& member) {
  if (node.type != JsonType::kString) {
    return Problem(node, path, "must be a string in double quotes" + Got(node));
  }
  std::string text = node.text;
  if (text.empty() && key.min > 0) return Problem(node, path, "must not be empty (got \"\")");
  if (std::ranges::any_of(text, [](char c) { return static_cast<unsigned char>(c) < 0x20; })) {
    return Problem(node, path, "must not contain control characters" + Got(node));
  }
  if (key.kind == Kind::kPath && !text.empty() && text[0] != '/' && !folder_.empty()) {
    text = std::string(folder_) + (folder_.ends_with('/') ? "" : "/") + text;
  }
  if (text.size() > std::size_t(key.max)) {
    return Problem(node, path, "longer than " + std::to_string(key.max) + " bytes" + Got(node));
  }
  member = std::move(text);
}

void Judge::Flag(const JsonNode& node, const std::string& path, bool& member) {
  if (node.type == JsonType::kBoolean) {
    member = node.text == "true";
    return;
  }
  const bool quoted =
      node.type == JsonType::kString && (node.text == "true" || node.text == "false");
  Problem(node, path, "must be true or false" + Got(node) + (quoted ? "; write " + node.text : ""));
}

void Judge::Choice(const Key& key, const JsonNode& node, const std::string& path,
                   unsigned char& member) {
  const auto choices = Choices(key);
  const auto found = std::ranges::find(choices, std::string_view(node.text));
  if (node.type == JsonType::kString && found != choices.end()) {
    member = static_cast<unsigned char>(found - choices.begin());
    return;
  }
  std::string text = "must be " + Joined(choices) + Got(node);
  if (found != choices.end())
    text += "; write " + QuoteJson(node.text);  // 2.0 as a number
  else if (node.type == JsonType::kString)
    text += DidYouMean(node.text, choices);
  Problem(node, path, std::move(text));
}

void Judge::Count(const Key& key, const JsonNode& node, const std::string& path,
                  std::int64_t& member) {
  const auto number = ParseInteger(node.text);
  if (node.type == JsonType::kString && number) {
    return Problem(node, path,
                   "must be a number without quotes" + Got(node) + "; write " + node.text);
  }
  if (node.type != JsonType::kNumber) return Problem(node, path, "must be a number" + Got(node));
  if (!number && node.text.find_first_of(".eE") != std::string::npos) {
    return Problem(node, path, "must be a whole number" + Got(node));
  }
  // A number that does not even fit is out of range like any other.
  const std::int64_t far = node.text.starts_with('-') ? key.min - 1 : key.max + 1;
  Range(key, node, path, number.value_or(far), member);
}

void Judge::Measure(const Key& key, const JsonNode& node, const std::string& path,
                    std::int64_t& member) {
  const bool duration = key.kind == Kind::kDuration;
  const Dimension dimension = duration ? Dimension::kDuration : Dimension::kSize;
  const char* what = duration ? "duration" : "size";
  const std::string example = QuoteJson(key.fallback);
  if (node.type != JsonType::kString && node.type != JsonType::kNumber) {
    return Problem(node, path, std::string("must be a ") + what + " like " + example + Got(node));
  }
  const Quantity quantity = ParseQuantity(dimension, node.text);
  const std::string number(quantity.number);
  switch (quantity.error) {
    case UnitError::kNone: return Range(key, node, path, quantity.value, member);
    case UnitError::kNotANumber:
      return Problem(node, path,
                     std::string("must be a ") + what + ", a whole number and a unit, like " +
                         example + Got(node));
    case UnitError::kNoUnit:
      return Problem(node, path,
                     number + " has no unit" + Got(node) + "; write " +
                         QuoteJson(number + " " + std::string(key.unit)));
    case UnitError::kUnknownUnit: {
      std::string text = std::string("not a unit of a ") + what + Got(node) + "; ";
      if (quantity.unit.empty())
        text += "one of " + std::string(UnitNames(dimension));
      else
        text += "write " + QuoteJson(number + " " + std::string(quantity.unit));
      return Problem(node, path, std::move(text));
    }
    case UnitError::kTooLarge: return Range(key, node, path, key.max + 1, member);
  }
}

void Judge::Range(const Key& key, const JsonNode& node, const std::string& path, std::int64_t value,
                  std::int64_t& member) {
  if (value >= key.min && value <= key.max) {
    member = value;
    return;
  }
  const bool low = value < key.min;
  const std::string least = MinText(key);
  const std::string most = MaxText(key);
  Problem(node, path,
          (low ? "less than " + least : "more than " + most) + Got(node) + "; from " + least +
              " to " + most);
}

void Judge::Sources(const JsonNode& node) {
  if (node.type != JsonType::kArray) {
    Problem(node, "sources", "must be a list, [...]" + Got(node));
  } else if (tree_.First(node) != nullptr) {
    Problem(node, "sources",
            "this build of holdfast has no sources yet; write [] and pipe rows into "
            "'holdfast record'");
  }
}

void Judge::Tables(const JsonNode& node) {
  Seen members;
  if (!Members(node, "tables", true, members)) return;
  if (members.size() > limits::kTables) {
    Problem(node, "tables",
            "more than " + std::to_string(limits::kTables) + " tables (got " +
                std::to_string(members.size()) + ")");
  }
  for (const JsonNode* member : members) Table(*member);
}

void Judge::Table(const JsonNode& node) {
  const std::string path = Below("tables", node.key);
  if (const auto name = CheckName(node.key); !name) {
    Problem(node, path,
            std::string("not a name for a table: ") + name.error().what + " (got " +
                QuoteJson(node.key) + ")");
  }
  given_.emplace_back(path, &node);
  TableConfig table;
  SetDefaults(table);
  table.name = node.key;
  Section(node, Key::kTableSection, path, &table);
  const JsonNode* columns = Given(path + ".columns");
  if (columns != nullptr && table.adopt) {
    Problem(*columns, path + ".columns",
            "columns and \"adopt\": true exclude each other; remove one of them");
  } else if (columns == nullptr && !table.adopt && node.type == JsonType::kObject &&
             !HasProblem(path + ".adopt")) {
    Problem(node, path,
            "has neither columns nor \"adopt\": true; write \"columns\": { \"name\": \"text\" }");
  }
  const JsonNode* both_changed = Given(path + ".both_changed");
  if (both_changed != nullptr && table.conflict != Conflict::kMerge &&
      table.both_changed != Conflict::kAsk && !HasProblem(path + ".conflict")) {
    Problem(*both_changed, path + ".both_changed",
            "is of no use without \"conflict\": \"merge\"" + Got(*both_changed));
  }
  out_.config.tables.push_back(std::move(table));
}

void Judge::Columns(const JsonNode& node, const std::string& path, TableConfig& table) {
  Seen members;
  if (!Members(node, path, true, members)) return;
  if (members.empty()) Problem(node, path, "no column; write { \"name\": \"text\" }");
  if (members.size() > limits::kColumns) {
    Problem(node, path,
            "more than " + std::to_string(limits::kColumns) + " columns (got " +
                std::to_string(members.size()) + ")");
  }
  for (const JsonNode* member : members) {
    const std::string column = Below(path, member->key);
    if (IsSystemColumn(member->key)) {
      Problem(*member, column, "is there in every table and belongs to the server; remove it");
      continue;
    }
    if (const auto name = CheckName(member->key); !name) {
      Problem(*member, column,
              std::string("not a name for a column: ") + name.error().what + " (got " +
                  QuoteJson(member->key) + ")");
    }
    const auto type = ColumnTypeFromName(member->text);
    const bool known = std::ranges::find(kColumnTypes, member->text) != std::end(kColumnTypes);
    if (member->type != JsonType::kString || !known || !type) {
      Problem(*member, column,
              "must be " + Joined(kColumnTypes) + Got(*member) +
                  DidYouMean(member->text, kColumnTypes));
      continue;
    }
    table.columns.push_back({member->key, *type});
  }
}

// The address, and what depends on its scheme.
void Judge::Server(const JsonNode* server, const JsonNode& root) {
  ServerConfig& config = out_.config.server;
  const JsonNode* url = Given("server.url");
  if (url == nullptr) {
    if (server != nullptr && server->type != JsonType::kObject) return;
    return Problem(server != nullptr ? *server : root, "server.url",
                   "missing; write \"server\": { \"url\": \"https://host\" }");
  }
  if (HasProblem("server.url")) return;
  ParsedUrl parsed = ParseUrl(config.url);
  if (!parsed.problem.empty()) {
    // A password must not end up in a log because somebody put it here.
    const bool secret = config.url.find('@') != std::string::npos;
    return Problem(*url, "server.url",
                   parsed.problem + (secret ? "" : Got(*url)) + "; write \"https://host:port\"");
  }
  if (config.url.ends_with('/')) config.url.pop_back();
  config.scheme = parsed.scheme;
  config.host = std::move(parsed.host);
  config.port = parsed.port;
  config.on_loopback = parsed.on_loopback;
  const bool coap = parsed.scheme == Scheme::kCoap || parsed.scheme == Scheme::kCoaps;
  const bool plain = parsed.scheme == Scheme::kHttp || parsed.scheme == Scheme::kCoap;
  if (plain && !config.on_loopback) {
    Problem(*url, "server.url",
            "is not encrypted, which is allowed to this machine only" + Got(*url) + "; write " +
                QuoteJson((coap ? "coaps" : "https") + config.url.substr(config.url.find(':'))));
  }
  if (coap && config.protocol == Protocol::k2) {
    const JsonNode* protocol = Given("server.protocol");
    Problem(*protocol, "server.protocol",
            "CoAP carries protocol 3.0" + Got(*protocol) + "; remove it or use an https:// url");
  }
  LargeRowsUrl(coap);
  const JsonNode* proxy = Given("server.proxy");
  if (proxy == nullptr || config.proxy.empty()) return;
  const ParsedUrl way = ParseUrl(config.proxy);
  if (!way.problem.empty() || way.scheme != Scheme::kHttp) {
    const bool secret = config.proxy.find('@') != std::string::npos;
    Problem(*proxy, "server.proxy",
            "must be http://host[:port]" + (secret ? " without a password" : Got(*proxy)));
  } else if (coap && config.large_rows_url.empty()) {
    Problem(
        *proxy, "server.proxy",
        "CoAP does not go through a proxy" + Got(*proxy) + "; remove it or use an https:// url");
  }
}

// Both or neither.
void Judge::Pair(const std::string& one, const std::string& one_name, const std::string& other,
                 const std::string& other_name) {
  if (one.empty() == other.empty()) return;
  const std::string& present = one.empty() ? other_name : one_name;
  const std::string& absent = one.empty() ? one_name : other_name;
  const JsonNode* node = Given(present);
  if (node == nullptr || HasProblem(absent) || HasProblem(present)) return;
  Problem(*node, present, "is of no use without " + absent + Got(*node) + "; give both or none");
}

void Judge::LargeRowsUrl(bool coap) {
  ServerConfig& config = out_.config.server;
  const JsonNode* url = Given("server.large_rows_url");
  if (url == nullptr || config.large_rows_url.empty()) return;
  const ParsedUrl parsed = ParseUrl(config.large_rows_url);
  const bool https =
      parsed.scheme == Scheme::kHttps || (parsed.scheme == Scheme::kHttp && parsed.on_loopback);
  if (!parsed.problem.empty() || !https) {
    const bool secret = config.large_rows_url.find('@') != std::string::npos;
    Problem(*url, "server.large_rows_url",
            "must be https://host[:port]" + (secret ? " without a password" : Got(*url)));
  } else if (!coap) {
    Problem(*url, "server.large_rows_url",
            "is for a coaps:// url" + Got(*url) + "; remove it: all rows go over https already");
  }
  if (config.large_rows_url.ends_with('/')) config.large_rows_url.pop_back();
}

void Judge::Contradictions() {
  const ServerConfig& server = out_.config.server;
  Pair(server.cert_file, "server.cert_file", server.key_file, "server.key_file");
  Pair(server.psk_identity, "server.psk_identity", server.psk_key_file, "server.psk_key_file");
  const SyncConfig& sync = out_.config.sync;
  const JsonNode* connect = Given("sync.connect_timeout");
  const JsonNode* timeout = Given("sync.timeout");
  const JsonNode* culprit = connect != nullptr ? connect : timeout;
  if (sync.connect_timeout_ms > sync.timeout_ms && culprit != nullptr) {
    Problem(*culprit, connect != nullptr ? "sync.connect_timeout" : "sync.timeout",
            "connect_timeout is longer than timeout" + Got(*culprit) + "; it is a part of it");
  }
}

}  // namespace holdfast::config
