// SPDX-License-Identifier: Apache-2.0
// server/json.h - the server's own small files (devices, schema, settings) as Boost.JSON values.
//
// Purpose: rows never pass here; those are transport/wire.h's.
// Errors:  std::runtime_error, with the file's name in it.
#ifndef HOLDFAST_SERVER_JSON_H_
#define HOLDFAST_SERVER_JSON_H_

#include <boost/json.hpp>
#include <string>
#include <string_view>

namespace holdfast::server {

namespace json = boost::json;

template <typename Text>
std::string_view AsView(const Text& text) {
  return {text.data(), text.size()};
}

// `what` names the document in the error.
json::value ParseJson(std::string_view text, const std::string& what);

// Two spaces an indent, so that people can read and diff the file.
std::string PrettyJson(const json::value& value);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_JSON_H_
