// SPDX-License-Identifier: Apache-2.0
// server/bulk_service.h - answers POST /bulk: many operations of one device in one exchange.
//
// Purpose: what tables_service.h is for single requests; both carriers use it.
// Promise: each operation of a body has exactly one outcome, in the answer and in effect, however
//          often the body comes (server/rows.h). A body that is not well-formed to its end has
//          none.
// Shapes:  transport/wire_bulk.h.
// Threads: one.
#ifndef HOLDFAST_SERVER_BULK_SERVICE_H_
#define HOLDFAST_SERVER_BULK_SERVICE_H_

#include <memory>
#include <string_view>

#include "server/changes.h"
#include "server/response.h"
#include "server/rows.h"
#include "transport/wire_bulk.h"
#include "transport/wire_gzip.h"

namespace holdfast::server {

class BulkService {
 public:
  BulkService(Rows& rows, Changes& changes);

  // As they came; empty when absent.
  struct Head {
    std::string_view device, method, content_type, content_encoding;
  };
  void Serve(const Head& head, std::string_view body, Response& response);

 private:
  class Body;
  void Apply(std::string_view device, std::string_view text, wire::Encoding encoding,
             Response& response);
  void Refuse(int status, std::string_view text, Response& response);
  void RefuseSender(const char* reason, std::int64_t known_until, Response& response);

  Rows& rows_;
  Changes& changes_;
  // Room for one body and its answer at a time.
  std::unique_ptr<char[]> unpacked_, arena_, answer_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_BULK_SERVICE_H_
