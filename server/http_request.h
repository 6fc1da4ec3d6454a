// SPDX-License-Identifier: Apache-2.0
// server/http_request.h - what Beast has of a request, as strings of the standard library.
#ifndef HOLDFAST_SERVER_HTTP_REQUEST_H_
#define HOLDFAST_SERVER_HTTP_REQUEST_H_

#include <boost/beast/core/string_type.hpp>
#include <string>
#include <string_view>

namespace holdfast::server {

inline std::string_view View(boost::beast::string_view text) { return {text.data(), text.size()}; }

// A header that is a list may come in several lines, which mean the same as one (RFC 9110, 5.3).
template <typename Fields>
std::string Joined(const Fields& fields, boost::beast::string_view name) {
  std::string text;
  for (auto [at, end] = fields.equal_range(name); at != end; ++at) {
    if (!text.empty()) text += ", ";
    text += View(at->value());
  }
  return text;
}

template <typename Request>
std::string_view PathOf(const Request& request) {
  const std::string_view target = View(request.target());
  return target.substr(0, target.find('?'));
}

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_HTTP_REQUEST_H_
