// SPDX-License-Identifier: Apache-2.0
#include "server/protocol.h"

#include <algorithm>

#include "hal/base/text.h"
#include "server/http_date.h"

namespace holdfast::server {
namespace {

constexpr std::uint64_t kMaxSkip = std::uint64_t{1} << 53;
constexpr std::uint64_t kLeastLongest = 1024;
constexpr std::string_view kCollectionMethods = "GET, HEAD, POST, PATCH, OPTIONS";
constexpr const char* kPatchTypes = "application/json, application/merge-patch+json";
constexpr std::string_view kRowMethods = "GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS";

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool AllDigits(std::string_view text) {
  for (const char c : text) {
    if (c < '0' || c > '9') return false;
  }
  return !text.empty();
}

std::optional<Verb> VerbOf(std::string_view method, bool row) {
  if (method == "GET" || method == "HEAD") return row ? Verb::kLookup : Verb::kList;
  if (method == "POST") return row ? Verb::kUndelete : Verb::kInsert;
  if (method == "PATCH") return Verb::kUpdate;
  if (method == "OPTIONS") return Verb::kDescribe;
  if (!row) return std::nullopt;
  if (method == "PUT") return Verb::kReplace;
  if (method == "DELETE") return Verb::kDelete;
  return std::nullopt;
}

bool IsCbor(const RequestHead& head) {
  return EqualsIgnoreCase(MediaTypeOf(head.content_type), "application/cbor");
}

std::optional<Refusal> CheckContent(const RequestHead& head, Verb verb) {
  const bool body = verb == Verb::kInsert || verb == Verb::kUpdate || verb == Verb::kReplace;
  if (!body) return std::nullopt;
  const std::string_view type = MediaTypeOf(head.content_type);
  const bool json =
      type.empty() || EqualsIgnoreCase(type, "application/json") || IsCbor(head) ||
      (verb == Verb::kUpdate && EqualsIgnoreCase(type, "application/merge-patch+json"));
  if (!json) {
    const bool patch = verb == Verb::kUpdate;
    return Refusal{415, "the body has to be application/json", "", patch ? kPatchTypes : ""};
  }
  if (!head.content_encoding.empty() && !EqualsIgnoreCase(head.content_encoding, "identity")) {
    return Refusal{415, "this Content-Encoding is not supported; send the body as it is"};
  }
  return std::nullopt;
}

bool IsTrue(std::string_view text) { return EqualsIgnoreCase(text, "true") || text == "1"; }

// nullopt: not a number of rows.
std::optional<std::uint64_t> ParseCount(std::string_view text) {
  if (!AllDigits(text) || text.size() > 16) return std::nullopt;
  return static_cast<std::uint64_t>(*ParseInteger(text));
}

// A client that asks for a count wants another shape of answer, so a value that means neither yes
// nor no cannot be passed over as an unknown option is.
std::optional<Refusal> ParseCounting(const Target& target, ListQuery& list) {
  if (const std::string* text = target.Find("$inlinecount")) {
    list.count = EqualsIgnoreCase(*text, "allpages");
    if (!list.count && !EqualsIgnoreCase(*text, "none") && !text->empty()) {
      return Refusal{400, "$inlinecount is allpages or none"};
    }
  }
  if (const std::string* text = target.Find("$count")) {
    list.count = list.count || IsTrue(*text);
    if (!IsTrue(*text) && !EqualsIgnoreCase(*text, "false") && *text != "0" && !text->empty()) {
      return Refusal{400, "$count is true or false"};
    }
  }
  return std::nullopt;
}

// X-ZUMO-Options: words with commas between them.
bool HasWord(std::string_view list, std::string_view word) {
  while (!list.empty()) {
    const std::size_t comma = std::min(list.find(','), list.size());
    if (EqualsIgnoreCase(Trim(list.substr(0, comma)), word)) return true;
    list.remove_prefix(std::min(comma + 1, list.size()));
  }
  return false;
}

// What 2.0 knows is If-Match, and that for writes only; its servers ignored the rest.
void ParseConditions(const RequestHead& head, Operation& operation) {
  Conditions& conditions = operation.conditions;
  const bool read = operation.verb == Verb::kLookup;
  if (operation.api == Api::k2) {
    if (!read) conditions.match = ParseTags(head.if_match, false);
    return;
  }
  conditions.match = ParseTags(head.if_match, false);
  conditions.none_match = ParseTags(head.if_none_match, true);
  conditions.unmodified_since = ParseHttpDate(Trim(head.if_unmodified_since));
  if (read) conditions.modified_since = ParseHttpDate(Trim(head.if_modified_since));
}

std::optional<Refusal> ParseListOptions(const ProtocolLimits& limits, Operation& operation) {
  ListQuery& list = operation.list;
  const Target& target = operation.target;
  list.table = operation.table;
  list.include_deleted = operation.include_deleted;
  if (const std::string* text = target.Find("$filter")) list.filter = *text;
  if (const std::string* text = target.Find("$orderby")) list.order = *text;
  if (const std::string* text = target.Find("$select")) list.select = *text;
  // A filter that is too long is refused where it is parsed, with its place, as on a device.
  if (list.order.size() > limits::kFilterBytes || list.select.size() > limits::kUrlBytes) {
    return Refusal{
        400, "$orderby may be " + std::to_string(limits::kFilterBytes) + " bytes long at most", ""};
  }
  if (const std::string* text = target.Find("__after")) {
    const auto moment = ParseTimestamp(*text);
    if (!moment) return Refusal{400, "__after is not a date; follow the link as it was given"};
    list.after = FormatTimestamp(*moment, 6).view();
  }
  list.top = limits.page_rows;
  if (const std::string* text = target.Find("$top")) {
    const auto top = ParseCount(*text);
    if (!top) return Refusal{400, "$top is not a number of rows", ""};
    const std::uint32_t most = operation.api == Api::k3 ? limits.top_rows_3 : limits.top_rows;
    if (*top > most) {
      return Refusal{400, "You cannot request more than " + std::to_string(most) +
                              " records: $top is too large"};
    }
    operation.wanted = static_cast<std::uint32_t>(*top);
    list.top = std::min(operation.wanted, limits.most_rows);
  }
  if (const std::string* text = target.Find("$skip")) {
    const auto skip = ParseCount(*text);
    if (!skip || *skip > kMaxSkip) return Refusal{400, "$skip is not a number of rows", ""};
    list.skip = *skip;
  }
  if (const std::string* text = target.Find("__longest")) {
    const auto longest = ParseCount(*text);
    if (!longest || *longest < kLeastLongest) {
      return Refusal{400, "__longest is a number of bytes, 1024 or more", ""};
    }
    operation.longest_row = static_cast<std::size_t>(*longest);
  }
  return ParseCounting(target, list);
}

std::optional<Refusal> ParsePlace(Operation& operation) {
  const auto& segments = operation.target.segments;
  const bool tables =
      segments.size() >= 2 && segments.size() <= 3 && EqualsIgnoreCase(segments[0], "tables");
  if (!tables) return Refusal{404, "there is nothing here; tables are at /tables/{table}", ""};
  if (!CheckName(segments[1])) return Refusal{400, "this is not the name of a table", ""};
  operation.table = segments[1];
  if (segments.size() == 2) return std::nullopt;
  if (const auto good = CheckId(segments[2]); !good) {
    const char* what = good.error().what;
    return Refusal{400, std::string("this is not an id: ") + (what ? what : "not allowed"), ""};
  }
  operation.id = segments[2];
  return std::nullopt;
}

std::optional<Refusal> ParseVersion(const RequestHead& head, Operation& operation) {
  std::string_view text = head.version;
  if (text.empty()) {
    if (const std::string* option = operation.target.Find("ZUMO-API-VERSION")) text = *option;
  }
  const std::optional<Api> api = ParseApiVersion(Trim(text));
  if (!api) {
    return Refusal{400,
                   text.empty() ? "An API version is needed: ZUMO-API-VERSION, 2.0.0 or 3.0.0"
                                : "An invalid API version was specified: ZUMO-API-VERSION "
                                  "has to be 2.0.x or 3.0.x",
                   ""};
  }
  operation.api = *api;
  return std::nullopt;
}

// Insert: the id of the row; others: the same as in the URL.
std::optional<Refusal> TakeId(const Operation& operation, const Field& field, Write& write) {
  std::string id;
  if (field.value.type == ValueType::kText) {
    id = field.value.text;
  } else if (field.value.type == ValueType::kInteger) {
    id = std::to_string(field.value.integer);
  } else if (!field.value.is_null()) {
    return Refusal{400, "the id has to be a string", ""};
  }
  if (!operation.id.empty()) {
    if (!field.value.is_null() && id != operation.id) {
      return Refusal{400, "The item ID and querystring ID did not match", ""};
    }
    return std::nullopt;
  }
  if (id.empty()) return std::nullopt;
  if (const auto good = CheckId(id); !good) {
    const char* what = good.error().what;
    return Refusal{400, std::string("this is not an id: ") + (what ? what : "not allowed"), ""};
  }
  write.id = id;
  return std::nullopt;
}

}  // namespace

bool IsWithinLargeRow(RowView row) {
  std::size_t bytes = 0;
  for (const Field& field : row) bytes += field.value.text.size();
  return bytes <= limits::kLargeRowBytes + 4096;
}

std::string_view MediaTypeOf(std::string_view content_type) {
  return Trim(content_type.substr(0, content_type.find(';')));
}

std::optional<Api> ParseApiVersion(std::string_view text) {
  if (text.size() < 3) return std::nullopt;
  const std::string_view major = text.substr(0, 3), rest = text.substr(3);
  const bool good = rest.empty() || (rest.front() == '.' && AllDigits(rest.substr(1)));
  if (!good || rest.size() > 9) return std::nullopt;
  if (major == "2.0") return Api::k2;
  if (major == "3.0") return Api::k3;
  return std::nullopt;
}

Precondition ParseTags(std::string_view header, bool weak_counts) {
  Precondition tags;
  header = Trim(header);
  if (header.empty()) return tags;
  tags.given = true;
  tags.any = header == "*";
  while (!header.empty()) {
    const bool weak = header.starts_with("W/");
    if (weak) header.remove_prefix(2);
    std::string version;
    if (header.starts_with('"')) {
      header.remove_prefix(1);
      std::size_t i = 0;
      for (; i < header.size() && header[i] != '"'; ++i) {
        if (header[i] == '\\' && i + 1 < header.size()) ++i;
        version += header[i];
      }
      header.remove_prefix(std::min(i + 1, header.size()));
      header.remove_prefix(std::min(header.find(','), header.size()));
    } else {
      const std::size_t comma = std::min(header.find(','), header.size());
      version = Trim(header.substr(0, comma));
      header.remove_prefix(comma);
    }
    if ((!weak || weak_counts) && tags.versions.size() < 16) tags.versions.push_back(version);
    if (!header.empty()) header.remove_prefix(1);
    header = Trim(header);
  }
  return tags;
}

Parsed ParseOperation(const RequestHead& head, const ProtocolLimits& limits) {
  if (head.target.size() > limits::kUrlBytes) return Refusal{414, "the URL is too long", ""};
  auto target = ParseTarget(head.target);
  if (!target) return Refusal{400, "the URL is not well-formed", ""};
  Operation operation;
  operation.target = std::move(*target);
  if (auto refusal = ParsePlace(operation)) return *refusal;
  const bool row = !operation.id.empty();
  operation.allow = row ? kRowMethods : kCollectionMethods;
  const std::optional<Verb> verb = VerbOf(head.method, row);
  if (!verb) return Refusal{405, "this method does not work here", operation.allow};
  operation.verb = *verb;
  operation.head = head.method == "HEAD";
  if (operation.verb == Verb::kDescribe) return operation;
  if (auto refusal = ParseVersion(head, operation)) return *refusal;
  if (auto refusal = CheckContent(head, operation.verb)) return *refusal;
  const std::string* deleted = operation.target.Find("__includeDeleted");
  operation.include_deleted = deleted != nullptr && IsTrue(*deleted);
  if (HasWord(head.zumo_options, "include:deleted")) operation.include_deleted = true;
  operation.cbor_body = IsCbor(head);
  operation.path_links = HasWord(head.zumo_options, "nextLink=path");
  ParseConditions(head, operation);
  if (operation.verb == Verb::kList) {
    if (auto refusal = ParseListOptions(limits, operation)) return *refusal;
  }
  return operation;
}

std::variant<BodyFacts, Refusal> ApplyBody(const Operation& operation, RowView fields,
                                           Write& write) {
  BodyFacts facts;
  const bool insert = operation.verb == Verb::kInsert;
  const bool version2 = operation.api == Api::k2;
  write.table = operation.table;
  write.id = operation.id;
  write.fields = fields;
  write.conditions = operation.conditions;
  write.revive = operation.verb == Verb::kReplace && operation.include_deleted;
  const Field* id = Find(fields, kId);
  if (id != nullptr) {
    if (auto refusal = TakeId(operation, *id, write)) return *refusal;
  }
  if (operation.verb == Verb::kReplace && (id == nullptr || id->value.is_null())) {
    return Refusal{400, "a row that replaces another carries its id", ""};
  }
  if (operation.verb == Verb::kUpdate && write.id.empty()) {
    return Refusal{400, "an id is needed, in the URL or in the body", ""};
  }
  for (const Field& field : fields) {
    if (!IsSystemColumn(field.name) || EqualsIgnoreCase(field.name, kId)) continue;
    if (EqualsIgnoreCase(field.name, kVersion)) {
      const bool counts = version2 && !insert && !operation.conditions.match.given &&
                          field.value.type == ValueType::kText && !field.value.text.empty();
      if (!counts) continue;
      write.conditions.match.given = facts.version_in_body = true;
      write.conditions.match.versions.emplace_back(field.value.text);
    } else if (version2) {
      return Refusal{
          400,
          "Cannot update item with property '" + std::string(field.name) + "' as it is reserved",
          ""};
    } else if (EqualsIgnoreCase(field.name, kDeleted)) {
      if (field.value.is_null()) continue;
      // A wish to delete that is passed over in silence would be taken for granted.
      if (field.value.type != ValueType::kBoolean || field.value.integer != 0) {
        return Refusal{400, "'deleted' may only be false, which undeletes; DELETE deletes a row"};
      }
      if (operation.verb == Verb::kUpdate) write.revive = true;
    }
  }
  return facts;
}

int StatusOf(Verb verb, Api api, Outcome outcome, bool version_in_body) {
  switch (outcome) {
    case Outcome::kDone:
      if (verb == Verb::kInsert || verb == Verb::kUndelete) return 201;
      return verb == Verb::kDelete && api == Api::k3 ? 204 : 200;
    case Outcome::kExists: return 409;
    case Outcome::kStale: return version_in_body ? 409 : 412;
    case Outcome::kMissing: return 404;
    case Outcome::kGone: return api == Api::k3 ? 410 : 404;
    case Outcome::kNoTable: return 404;
    case Outcome::kRefused: return 400;
    case Outcome::kTooLarge: return 413;
    case Outcome::kFailed: return 503;
  }
  return 503;
}

const char* WordsOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kExists: return "The item exists";
    case Outcome::kStale: return "The item has another version";
    case Outcome::kMissing: return "The item does not exist";
    case Outcome::kGone: return "The item is deleted";
    case Outcome::kNoTable: return "There is no such table";
    case Outcome::kTooLarge: return "The row would be larger than a row may be";
    case Outcome::kFailed: return "The server cannot store or read rows at the moment";
    default: return "The request was refused";
  }
}

std::string UuidFrom(std::string_view random) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string uuid;
  for (std::size_t i = 0; i < 16 && i < random.size(); ++i) {
    if (i == 4 || i == 6 || i == 8 || i == 10) uuid += '-';
    auto byte = static_cast<unsigned char>(random[i]);
    if (i == 6) byte = static_cast<unsigned char>((byte & 0x0f) | 0x40);
    if (i == 8) byte = static_cast<unsigned char>((byte & 0x3f) | 0x80);
    uuid += kHex[byte >> 4];
    uuid += kHex[byte & 15];
  }
  return uuid;
}

}  // namespace holdfast::server
