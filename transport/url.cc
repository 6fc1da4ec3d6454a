// SPDX-License-Identifier: Apache-2.0
#include "transport/url.h"

#include <algorithm>
#include <cctype>

namespace holdfast::transport {
namespace {

Error Invalid(const char* what) { return {Code::kInvalidArgument, Origin::kNone, 0, what}; }

bool StartsWithIgnoreCase(std::string_view text, std::string_view start) {
  return text.size() >= start.size() && EqualsIgnoreCase(text.substr(0, start.size()), start);
}

bool IsVisible(char c) { return c > 0x20 && c < 0x7f; }

// Four decimal bytes that begin with 127. Short forms (127.1) are left to those who like riddles.
bool IsLoopbackAddress(std::string_view host) {
  int parts = 0;
  while (!host.empty()) {
    const std::size_t dot = host.find('.');
    const std::string_view part = host.substr(0, dot);
    const auto value = ParseInteger(part);
    if (part.empty() || part.size() > 3 || !value || *value < 0 || *value > 255) return false;
    if (part[0] < '0' || part[0] > '9' || (parts == 0 && *value != 127)) return false;
    ++parts;
    if (dot == std::string_view::npos) break;
    host.remove_prefix(dot + 1);
    if (host.empty()) return false;
  }
  return parts == 4;
}

struct Authority {
  std::string_view host;
  std::uint16_t port = 0;  // 0: not given
};

std::optional<Authority> ParseAuthority(std::string_view text) {
  Authority result;
  std::size_t host_end = text.find(':');
  if (!text.empty() && text[0] == '[') {
    host_end = text.find(']');
    if (host_end == std::string_view::npos) return std::nullopt;
    ++host_end;
  }
  result.host = text.substr(0, host_end);
  const std::string_view rest = text.substr(std::min(host_end, text.size()));
  if (result.host.empty() || result.host == "[]") return std::nullopt;
  for (const char c : result.host) {
    const bool fits = std::isalnum(static_cast<unsigned char>(c)) != 0 ||
                      std::string_view("-._~[]:").find(c) != std::string_view::npos;
    if (!fits) return std::nullopt;
  }
  if (rest.empty()) return result;
  const auto port = ParseInteger(rest.substr(1));
  if (rest[0] != ':' || !port || *port < 1 || *port > 65535) return std::nullopt;
  result.port = static_cast<std::uint16_t>(*port);
  return result;
}

// The length of 'text' with doubled quotes that starts at `at`; to the end when it is not closed.
std::size_t QuotedLength(std::string_view text, std::size_t at) {
  std::size_t i = at + 1;
  for (; i < text.size(); ++i) {
    if (text[i] != '\'') continue;
    if (i + 1 < text.size() && text[i + 1] == '\'') {
      ++i;
      continue;
    }
    return i + 1 - at;
  }
  return text.size() - at;
}

bool IsNameChar(char c) { return std::isalnum(static_cast<unsigned char>(c)) != 0 || c == '_'; }

// The two arguments of a call, `text` starting behind its '('.
struct Arguments {
  std::string_view first, second;
  std::size_t length = 0;  // with the ')'
};
std::optional<Arguments> TwoArguments(std::string_view text) {
  Arguments result;
  std::size_t comma = std::string_view::npos;
  int depth = 0;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (c == '\'') {
      i += QuotedLength(text, i) - 1;
    } else if (c == '(') {
      ++depth;
    } else if (c == ',' && depth == 0) {
      if (comma != std::string_view::npos) return std::nullopt;
      comma = i;
    } else if (c == ')' && depth-- == 0) {
      if (comma == std::string_view::npos) return std::nullopt;
      result.first = text.substr(0, comma);
      result.second = text.substr(comma + 1, i - comma - 1);
      result.length = i + 1;
      return result;
    }
  }
  return std::nullopt;
}

bool HasZone(std::string_view date) {
  const std::size_t time = date.find_first_of("Tt ");
  return time != std::string_view::npos &&
         date.find_first_of("Zz+-", time) != std::string_view::npos;
}

void PutCast(std::string_view value, std::string_view type, TextWriter& out) {
  out.PutPercentEncoded("cast(").PutPercentEncoded(value);
  if (type == "Edm.DateTimeOffset" && !HasZone(value)) out.Put('Z');
  out.PutPercentEncoded(",").PutPercentEncoded(type).PutPercentEncoded(")");
}

void PutFilter30At(std::string_view filter, std::size_t depth, TextWriter& out) {
  std::size_t i = 0;
  while (i < filter.size()) {
    if (filter[i] == '\'') {
      const std::size_t length = QuotedLength(filter, i);
      out.PutPercentEncoded(filter.substr(i, length));
      i += length;
      continue;
    }
    if (!IsNameChar(filter[i])) {
      out.PutPercentEncoded(filter.substr(i++, 1));
      continue;
    }
    std::size_t end = i;
    while (end < filter.size() && IsNameChar(filter[end])) ++end;
    const std::string_view name = filter.substr(i, end - i);
    const char next = end < filter.size() ? filter[end] : '\0';
    const bool date = name == "datetimeoffset" || name == "datetime";
    if (next == '\'' && (date || name == "guid")) {
      const std::size_t length = QuotedLength(filter, end);
      const std::string_view quoted = filter.substr(end, length);
      PutCast(quoted.substr(1, quoted.size() < 2 ? 0 : quoted.size() - 2),
              date ? "Edm.DateTimeOffset" : "Edm.Guid", out);
      i = end + length;
      continue;
    }
    const auto arguments = name == "substringof" && next == '(' && depth < limits::kFilterDepth
                               ? TwoArguments(filter.substr(end + 1))
                               : std::nullopt;
    if (arguments) {
      out.PutPercentEncoded("contains(");
      PutFilter30At(arguments->second, depth + 1, out);
      out.PutPercentEncoded(",");
      PutFilter30At(arguments->first, depth + 1, out);
      out.PutPercentEncoded(")");
      i = end + 1 + arguments->length;
      continue;
    }
    out.PutPercentEncoded(name);
    i = end;
  }
}

// Writes "key=" for the first and "&key=" for every later option.
class Options {
 public:
  explicit Options(TextWriter& out) : out_(out) {}
  TextWriter& Add(std::string_view key) {
    out_.Put(first_ ? '?' : '&').Put(key).Put('=');
    first_ = false;
    return out_;
  }

 private:
  TextWriter& out_;
  bool first_ = true;
};

void PutMoment(std::string_view operation, std::string_view moment, Protocol protocol,
               TextWriter& out) {
  out.PutPercentEncoded("(updatedAt ").PutPercentEncoded(operation).PutPercentEncoded(" ");
  if (protocol == Protocol::k30) {
    PutCast(moment, "Edm.DateTimeOffset", out);
  } else {
    out.PutPercentEncoded("datetimeoffset'").PutPercentEncoded(moment).PutPercentEncoded("'");
  }
  out.PutPercentEncoded(")");
}

void PutText(std::string_view text, TextWriter& out) {
  out.PutPercentEncoded("'");
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\'') out.PutPercentEncoded("'");
    out.PutPercentEncoded(text.substr(i, 1));
  }
  out.PutPercentEncoded("'");
}

void PutConditions(const ListQuery& list, Protocol protocol, TextWriter& out) {
  bool first = true;
  const auto both = [&] {
    if (!first) out.PutPercentEncoded(" and ");
    first = false;
  };
  if (!list.filter.empty()) {
    both();
    out.PutPercentEncoded("(");
    if (protocol == Protocol::k30) {
      PutFilter30(list.filter, out);
    } else {
      out.PutPercentEncoded(list.filter);
    }
    out.PutPercentEncoded(")");
  }
  if (!list.since.empty()) {
    both();
    PutMoment("ge", list.since, protocol, out);
  }
  if (!list.before.empty()) {
    both();
    PutMoment("lt", list.before, protocol, out);
  }
  if (!list.after_id.empty()) {
    both();
    out.PutPercentEncoded("(id gt ");
    PutText(list.after_id, out);
    out.PutPercentEncoded(")");
  }
}

void PutListOptions(const ListQuery& list, Protocol protocol, TextWriter& out) {
  Options options(out);
  const bool conditions =
      !list.filter.empty() || !list.since.empty() || !list.before.empty() || !list.after_id.empty();
  if (conditions) PutConditions(list, protocol, options.Add("$filter"));
  if (!list.order_by.empty()) options.Add("$orderby").PutPercentEncoded(list.order_by);
  if (list.ids_only) options.Add("$select").PutPercentEncoded("id");
  if (list.longest_row > 0) options.Add("__longest").PutInteger(list.longest_row);
  if (list.skip != 0) options.Add("$skip").PutInteger(list.skip);
  if (list.top != 0) options.Add("$top").PutInteger(list.top);
  if (list.include_deleted) {
    options.Add(protocol == Protocol::k30 ? "__includedeleted" : "__includeDeleted").Put("true");
  }
}

// A next link may hold blanks and quotes: one server prints it unescaped.
void PutQuery(std::string_view query, TextWriter& out) {
  out.Put('?');
  for (const char c : query) {
    const bool fits = IsVisible(c) && std::string_view("\"<>\\^`{|}").find(c) == query.npos;
    if (fits) {
      out.Put(c);
    } else {
      out.PutPercentEncoded({&c, 1});
    }
  }
}

}  // namespace

const Schemes kHttpSchemes = {
    "https://",
    "http://",
    443,
    80,
    "the server's url has to begin with https://",
    "http:// is for this machine only (127.0.0.0/8, ::1, localhost); use https://"};
const Schemes kCoapSchemes = {
    "coaps://",
    "coap://",
    5684,
    5683,
    "the server's url has to begin with coaps://",
    "coap:// is for this machine only (127.0.0.0/8, ::1, localhost); use coaps://"};

Result<ServerUrl> ParseServerUrl(std::string_view url, const Schemes& schemes) {
  ServerUrl result;
  result.schemes = &schemes;
  result.tls = StartsWithIgnoreCase(url, schemes.secure);
  if (!result.tls && !StartsWithIgnoreCase(url, schemes.plain)) {
    return Invalid(schemes.not_a_scheme);
  }
  url.remove_prefix((result.tls ? schemes.secure : schemes.plain).size());
  const std::size_t slash = std::min(url.find('/'), url.size());
  const auto authority = ParseAuthority(url.substr(0, slash));
  if (!authority) return Invalid("the server's url has no valid host and port");
  std::string_view base = url.substr(slash);
  while (!base.empty() && base.back() == '/') base.remove_suffix(1);
  for (const char c : base) {
    if (!IsVisible(c) || c == '?' || c == '#') {
      return Invalid("the server's url may have a path, but neither query nor blanks");
    }
  }
  const std::string_view host = authority->host;
  result.loopback =
      EqualsIgnoreCase(host, "localhost") || host == "[::1]" || IsLoopbackAddress(host);
  if (!result.tls && !result.loopback) {
    return Invalid(schemes.not_loopback);
  }
  result.port = authority->port != 0 ? authority->port
                : result.tls         ? schemes.secure_port
                                     : schemes.plain_port;
  char port[8];
  TextWriter port_text(port);
  port_text.PutInteger(result.port);
  if (!result.host.Assign(host) || !result.base.Assign(base) ||
      !result.origin.Assign(result.tls ? schemes.secure : schemes.plain) ||
      !result.origin.Append(host) || !result.origin.Append(":") ||
      !result.origin.Append(port_text.view())) {
    return Invalid("the server's url is too long");
  }
  return result;
}

Result<void> PutPath(const ServerUrl& server, const Request& request, TextWriter& out) {
  if (request.method == Method::kWatch) {
    out.Put(server.base.view()).Put("/changes");
    return Ok();
  }
  if (request.method == Method::kBulk) {
    out.Put(server.base.view()).Put("/bulk");
    return Ok();
  }
  if (request.method == Method::kAppendUpload || request.method == Method::kFindUpload) {
    out.Put(server.base.view()).Put("/uploads/").PutPercentEncoded(request.upload.resource);
    return Ok();
  }
  if (request.table.empty()) return Invalid("a request needs a table");
  out.Put(server.base.view()).Put("/tables/").PutPercentEncoded(request.table);
  const bool begins = request.method == Method::kBeginUpload;
  const Method method = begins ? request.upload.method : request.method;
  if (method == Method::kList || method == Method::kInsert) return Ok();
  // Dots would climb out of the table: they are unreserved, so no encoding can hold them.
  if (request.id.empty() || request.id == "." || request.id == "..") {
    return Invalid("this id cannot be named in a url");
  }
  if (request.id.size() > limits::kIdBytes) return Invalid("the id is too long for a url");
  out.Put('/').PutPercentEncoded(request.id);
  return Ok();
}

Result<std::string_view> BuildUrl(const ServerUrl& server, const Request& request,
                                  Protocol protocol, std::span<char> buffer) {
  TextWriter out(buffer.first(buffer.size() - 1));
  out.Put(server.origin.view());
  const std::size_t path_start = out.view().size();
  HF_TRY(PutPath(server, request, out));
  if (request.method == Method::kList) {
    if (request.list.continuation.empty()) {
      PutListOptions(request.list, protocol, out);
    } else {
      const auto query =
          ContinuationQuery(server, out.view().substr(path_start), request.list.continuation);
      if (!query) return Invalid("the next link leads away from the list it came with");
      PutQuery(*query, out);
    }
  } else if (request.method == Method::kWatch) {
    out.Put("?since=").PutPercentEncoded(request.list.since);
    out.Put("&wait_ms=").PutInteger(request.wait.milliseconds());
  } else if (request.method == Method::kLookup) {
    out.Put(protocol == Protocol::k30 ? "?__includedeleted=true" : "?__includeDeleted=true");
  } else if (request.method == Method::kUndelete && !request.body.empty()) {
    out.Put("?__includedeleted=true");
  }
  if (out.full()) return Invalid("the url is too long");
  buffer[out.view().size()] = '\0';
  return out.view();
}

void PutFilter30(std::string_view filter, TextWriter& out) { PutFilter30At(filter, 0, out); }

std::optional<std::string_view> ContinuationQuery(const ServerUrl& server, std::string_view path,
                                                  std::string_view link) {
  for (const char c : link) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) return std::nullopt;
  }
  link = link.substr(0, link.find('#'));
  const Schemes& schemes = *server.schemes;
  const bool secure = StartsWithIgnoreCase(link, schemes.secure);
  if (secure || StartsWithIgnoreCase(link, schemes.plain)) {
    if (secure != server.tls) return std::nullopt;
    link.remove_prefix((secure ? schemes.secure : schemes.plain).size());
    const std::size_t end = std::min(link.find_first_of("/?"), link.size());
    const auto authority = ParseAuthority(link.substr(0, end));
    if (!authority || !EqualsIgnoreCase(authority->host, server.host.view())) return std::nullopt;
    const std::uint16_t port = authority->port != 0 ? authority->port
                               : secure             ? schemes.secure_port
                                                    : schemes.plain_port;
    if (port != server.port) return std::nullopt;
    link.remove_prefix(end);
    if (link.empty() || link[0] != '/') return std::nullopt;
  }
  // Another scheme leads away as well; a query alone may have such a text behind its '='.
  if (link.find("://") < link.find_first_of("?=&/")) return std::nullopt;
  if (!link.empty() && link[0] == '/') {
    const std::size_t question = link.find('?');
    if (link.substr(0, question) != path || question == std::string_view::npos) return std::nullopt;
    link.remove_prefix(question);
  }
  if (!link.empty() && link[0] == '?') link.remove_prefix(1);
  if (link.empty()) return std::nullopt;
  return link;
}

std::optional<std::string_view> NextOfLinkHeader(std::string_view value) {
  std::string_view uri, parameters;
  if (!value.empty() && value[0] == '<') {
    const std::size_t end = value.find('>');
    if (end == std::string_view::npos) return std::nullopt;
    uri = value.substr(1, end - 1);
    parameters = value.substr(end + 1);
  } else {
    const std::size_t end = value.find(';');
    if (end == std::string_view::npos) return std::nullopt;
    uri = value.substr(0, end);
    parameters = value.substr(end);
  }
  while (!parameters.empty()) {
    parameters.remove_prefix(std::min(parameters.find(';'), parameters.size()));
    if (parameters.empty()) break;
    parameters.remove_prefix(1);
    std::string_view parameter = parameters.substr(0, parameters.find(';'));
    while (!parameter.empty() && parameter.front() == ' ') parameter.remove_prefix(1);
    while (!parameter.empty() && parameter.back() == ' ') parameter.remove_suffix(1);
    if (EqualsIgnoreCase(parameter, "rel=next") || EqualsIgnoreCase(parameter, "rel=\"next\"")) {
      return uri;
    }
  }
  return std::nullopt;
}

}  // namespace holdfast::transport
