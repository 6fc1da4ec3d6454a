// SPDX-License-Identifier: Apache-2.0
#include "server/target.h"

#include "hal/base/text.h"

namespace holdfast::server {
namespace {

std::optional<std::string> Decode(std::string_view text, bool plus_is_space) {
  std::string out(text.size(), '\0');
  const auto decoded = DecodePercent(text, out, plus_is_space);
  if (!decoded || !IsUtf8(*decoded)) return std::nullopt;
  out.resize(decoded->size());
  return out;
}

// Clients of CommunityToolkit.Datasync put the whole of a nextLink where its query belongs, so what
// arrives is "https://host/tables/t?a=1": the options are those behind the second '?'.
std::string_view WithoutLink(std::string_view query) {
  const std::size_t name = query.find_first_of("&=?");
  const bool link = query.starts_with("http://") || query.starts_with("https://");
  return link && name != std::string_view::npos && query[name] == '?' ? query.substr(name + 1)
                                                                      : query;
}

bool ParseOptions(std::string_view query, Target& target) {
  query = WithoutLink(query);
  while (!query.empty()) {
    const std::size_t end = query.find('&');
    const std::string_view raw = query.substr(0, end);
    query = end == std::string_view::npos ? std::string_view() : query.substr(end + 1);
    if (raw.empty()) continue;
    const std::size_t equals = raw.find('=');
    auto name = Decode(raw.substr(0, equals), true);
    auto value = equals == std::string_view::npos ? std::optional<std::string>(std::string())
                                                  : Decode(raw.substr(equals + 1), true);
    if (!name || !value) return false;
    target.options.push_back({std::move(*name), std::move(*value), raw});
  }
  return true;
}

}  // namespace

const std::string* Target::Find(std::string_view name) const {
  for (const Option& option : options) {
    if (EqualsIgnoreCase(option.name, name)) return &option.value;
  }
  return nullptr;
}

std::optional<Target> ParseTarget(std::string_view text) {
  Target target;
  // The absolute form, which a proxy may send: http://host/path.
  if (const std::size_t scheme = text.find("://");
      scheme != std::string_view::npos && scheme < text.find_first_of("/?")) {
    const std::size_t path = text.find('/', scheme + 3);
    text = path == std::string_view::npos ? "/" : text.substr(path);
  }
  const std::size_t question = text.find('?');
  target.path = text.substr(0, question);
  std::string_view path = target.path;
  if (path.empty() || path.front() != '/') return std::nullopt;
  path.remove_prefix(1);
  if (!path.empty() && path.back() == '/') path.remove_suffix(1);
  while (true) {
    const std::size_t slash = path.find('/');
    auto segment = Decode(path.substr(0, slash), false);
    if (!segment) return std::nullopt;
    target.segments.push_back(std::move(*segment));
    if (slash == std::string_view::npos) break;
    path.remove_prefix(slash + 1);
  }
  if (question != std::string_view::npos && !ParseOptions(text.substr(question + 1), target)) {
    return std::nullopt;
  }
  return target;
}

std::string NextTarget(const Target& target, std::uint64_t skip, std::uint64_t top,
                       std::string_view after) {
  std::string next(target.path);
  char separator = '?';
  for (const Option& option : target.options) {
    if (EqualsIgnoreCase(option.name, "$skip") || EqualsIgnoreCase(option.name, "$top") ||
        EqualsIgnoreCase(option.name, "__after")) {
      continue;
    }
    next += separator;
    next += option.raw;
    separator = '&';
  }
  next += separator + std::string("$skip=") + std::to_string(skip);
  if (top != 0) next += "&$top=" + std::to_string(top);
  if (!after.empty()) next.append("&__after=").append(after);
  return next;
}

std::string PercentEncoded(std::string_view text) {
  std::string out(text.size() * 3, '\0');
  TextWriter writer(out);
  writer.PutPercentEncoded(text);
  out.resize(writer.view().size());
  return out;
}

}  // namespace holdfast::server
