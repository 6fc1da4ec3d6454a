// SPDX-License-Identifier: Apache-2.0
// server/tables_service.h - answers requests for tables: parse, ask Rows, write the answer.
//
// Promise: whatever comes in, the answer is a 4xx with {"error":".."} or the real thing; 503 only
//          when the storage fails.
// Threads: one.
#ifndef HOLDFAST_SERVER_TABLES_SERVICE_H_
#define HOLDFAST_SERVER_TABLES_SERVICE_H_

#include <boost/asio/awaitable.hpp>
#include <string>

#include "server/group_writer.h"
#include "server/protocol.h"
#include "server/response.h"
#include "server/rows.h"

namespace holdfast::server {

class TablesService {
 public:
  TablesService(Rows& rows, GroupWriter& writer, const ProtocolLimits& limits)
      : rows_(rows), writer_(writer), limits_(limits) {}

  // `origin` is "https://host:port", for links. The arguments outlive the answer.
  boost::asio::awaitable<void> Serve(const RequestHead& head, std::string_view body,
                                     const std::string& origin, Response& response);

 private:
  boost::asio::awaitable<void> Change(const Operation& operation, std::string_view body,
                                      const std::string& origin, Response& response);
  void List(const Operation& operation, const std::string& origin, Response& response);
  void Lookup(const Operation& operation, Response& response);

  Rows& rows_;
  GroupWriter& writer_;
  ProtocolLimits limits_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_TABLES_SERVICE_H_
