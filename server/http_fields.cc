// SPDX-License-Identifier: Apache-2.0
#include "server/http_fields.h"

#include <algorithm>
#include <array>

#include "hal/base/text.h"
#include "server/credentials.h"

namespace holdfast::server {
namespace {

constexpr std::size_t kDigestBytes = 32;

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// An item without its parameters. Two items in one field are no item: the comma stays and offends.
std::string_view Bare(std::string_view text) {
  text = Trim(text);
  return text.find(',') == text.npos ? text.substr(0, text.find(';')) : text;
}

// What stands before the next comma; `list` goes on behind it.
std::string_view NextMember(std::string_view& list) {
  const std::string_view member = list.substr(0, list.find(','));
  list.remove_prefix(std::min(member.size() + 1, list.size()));
  return Trim(member);
}

std::optional<std::uint64_t> ParseDigits(std::string_view text, std::size_t most) {
  if (text.empty() || text.size() > most) return std::nullopt;
  std::uint64_t value = 0;
  for (const char c : text) {
    if (c < '0' || c > '9') return std::nullopt;
    value = value * 10 + static_cast<std::uint64_t>(c - '0');
  }
  return value;
}

}  // namespace

std::optional<bool> ParseFlagItem(std::string_view text) {
  text = Bare(text);
  if (text == "?1") return true;
  if (text == "?0") return false;
  return std::nullopt;
}

std::optional<std::int64_t> ParseCountItem(std::string_view text) {
  const auto count = ParseDigits(Bare(text), 15);
  return count ? std::optional<std::int64_t>(static_cast<std::int64_t>(*count)) : std::nullopt;
}

std::optional<std::string> ParseReprDigest(std::string_view text) {
  while (!text.empty()) {
    std::string_view member = NextMember(text);
    const std::size_t equals = member.find('=');
    if (equals == member.npos || Trim(member.substr(0, equals)) != "sha-256") continue;
    member = Bare(member.substr(equals + 1));
    if (member.size() < 2 || member.front() != ':' || member.back() != ':') return std::nullopt;
    std::array<char, kDigestBytes + 1> room;
    const auto bytes = DecodeBase64(member.substr(1, member.size() - 2), room);
    if (!bytes || bytes->size() != kDigestBytes) return std::nullopt;
    return ToHex(*bytes);
  }
  return std::string();
}

bool Prefers(std::string_view text, std::string_view preference) {
  while (!text.empty()) {
    if (EqualsIgnoreCase(Bare(NextMember(text)), preference)) return true;
  }
  return false;
}

std::optional<ByteRange> ParseRange(std::string_view text) {
  constexpr std::string_view kUnit = "bytes=";
  text = Trim(text);
  if (!EqualsIgnoreCase(text.substr(0, kUnit.size()), kUnit)) return std::nullopt;
  text.remove_prefix(kUnit.size());
  const std::size_t dash = text.find('-');
  if (dash == text.npos) return std::nullopt;
  const auto first = ParseDigits(Trim(text.substr(0, dash)), 18);
  const std::string_view end = Trim(text.substr(dash + 1));
  const auto last = ParseDigits(end, 18);
  if (!first || (!end.empty() && (!last || *last < *first))) return std::nullopt;
  return ByteRange{*first, last};
}

}  // namespace holdfast::server
