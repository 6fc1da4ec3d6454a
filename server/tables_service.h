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

#include "server/changes.h"
#include "server/group_writer.h"
#include "server/protocol.h"
#include "server/response.h"
#include "server/rows.h"

namespace holdfast::server {

class TablesService {
 public:
  TablesService(Rows& rows, GroupWriter& writer, Changes& changes, const ProtocolLimits& limits)
      : rows_(rows), writer_(writer), changes_(changes), limits_(limits) {}

  // Stores the answer to a write that is done, in the transaction of that write. Throws
  // StorageError: neither is then done.
  class Keeper {
   public:
    virtual ~Keeper() = default;
    virtual void Keep(const Response& response) = 0;
  };
  // How a carrier wants its answers. The page ends early above `page_bytes`.
  struct Form {
    std::string origin;  // "https://host:port", for links; "": links are path and query
    std::size_t page_bytes = 4u << 20;
    std::size_t body_bytes = limits::kRowBytes;  // more for what came in pieces
    Keeper* keeper = nullptr;
  };
  // The arguments outlive the answer.
  boost::asio::awaitable<void> Serve(const RequestHead& head, std::string_view body,
                                     const Form& form, Response& response);

  // Whether the body of this request may be uploaded; if not, the response says why.
  bool Accepts(const RequestHead& head, Response& response);

 private:
  class Writing;
  boost::asio::awaitable<void> Change(const RequestHead& head, const Operation& operation,
                                      std::string_view body, const Form& form, Response& response);
  void List(const Operation& operation, const Form& form, Response& response);
  void Lookup(const RequestHead& head, const Operation& operation, Response& response);

  Rows& rows_;
  GroupWriter& writer_;
  Changes& changes_;
  ProtocolLimits limits_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_TABLES_SERVICE_H_
