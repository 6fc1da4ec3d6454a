// SPDX-License-Identifier: Apache-2.0
#include "server/json.h"

#include <boost/json/src.hpp>
#include <stdexcept>

namespace holdfast::server {
namespace {

void Print(const json::value& value, std::size_t indent, std::string& out) {
  const std::string inner(indent + 2, ' ');
  if (value.is_object() && !value.get_object().empty()) {
    const char* separator = "{\n";
    for (const auto& member : value.get_object()) {
      out += separator + inner + json::serialize(json::string(member.key())) + ": ";
      Print(member.value(), indent + 2, out);
      separator = ",\n";
    }
    out += "\n" + std::string(indent, ' ') + "}";
  } else if (value.is_array() && !value.get_array().empty()) {
    const char* separator = "[\n";
    for (const json::value& element : value.get_array()) {
      out += separator + inner;
      Print(element, indent + 2, out);
      separator = ",\n";
    }
    out += "\n" + std::string(indent, ' ') + "]";
  } else {
    out += json::serialize(value);
  }
}

}  // namespace

json::value ParseJson(std::string_view text, const std::string& what) {
  boost::system::error_code error;
  json::parse_options options;
  options.allow_comments = true;
  json::value value = json::parse({text.data(), text.size()}, error, {}, options);
  if (error) throw std::runtime_error(what + ": not JSON: " + error.message());
  return value;
}

std::string PrettyJson(const json::value& value) {
  std::string out;
  Print(value, 0, out);
  return out + "\n";
}

}  // namespace holdfast::server
