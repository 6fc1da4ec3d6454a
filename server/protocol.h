// SPDX-License-Identifier: Apache-2.0
// server/protocol.h - the table protocol without a carrier: which operation a request is, and which
//                     status an outcome has.
//
// Purpose: everything here is a function from values to values, so that it can be tested as tables,
//          and so that a second carrier (CoAP) says the same.
// Shapes:  protocol.md 3 to 7: versions 2.0 and 3.0 of the table protocol.
// Errors:  a Refusal: a 4xx and one sentence that names the fault.
#ifndef HOLDFAST_SERVER_PROTOCOL_H_
#define HOLDFAST_SERVER_PROTOCOL_H_

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "hal/base/row.h"
#include "server/rows.h"
#include "server/target.h"

namespace holdfast::server {

enum class Api : std::uint8_t { k2, k3 };
enum class Verb : std::uint8_t {
  kList,
  kLookup,
  kInsert,
  kUpdate,
  kReplace,
  kDelete,
  kUndelete,
  kDescribe,  // OPTIONS: what may be done here
};

// Headers as they came; empty when absent.
struct RequestHead {
  std::string_view method, target, version, if_match, if_none_match, if_modified_since,
      if_unmodified_since, content_type, content_encoding, zumo_options;
  std::string_view device;    // who is asking; "" when nobody in particular
  bool cbor_answer = false;   // a single row is wanted as CBOR
  bool version_only = false;  // of a write that succeeds, the version will do
};

struct Refusal {
  int status = 400;
  std::string text;
  std::string allow = {};         // 405: the methods that would do
  std::string accept_patch = {};  // 415 of a PATCH: the types that would do
};

struct Operation {
  Verb verb = Verb::kList;
  Api api = Api::k2;
  bool head = false;  // HEAD: as GET, without the body
  Target target;
  std::string table, id;
  Conditions conditions;
  bool include_deleted = false;
  std::uint32_t wanted = 0;  // $top; 0: not given
  ListQuery list;
  std::size_t longest_row = 0;  // __longest: longer ones come as their size; 0: all come whole
  bool cbor_body = false;       // the row that comes is CBOR
  bool path_links = false;      // X-ZUMO-Options: nextLink=path
  std::string allow;
};

struct ProtocolLimits {
  std::uint32_t page_rows = 100;                // when $top is not given
  std::uint32_t most_rows = limits::kPageRows;  // of a page, whatever $top says
  // A larger $top is refused. 3.0 has a nextLink that every client follows, so there a page may be
  // smaller than what was asked for; clients of 2.0 take a page for all there is.
  std::uint32_t top_rows = limits::kPageRows, top_rows_3 = 128000;
};

// Of one row in an answer: system columns come on top of what a device may send.
inline constexpr std::size_t kRowRoom = limits::kRowBytes + 4096;
inline constexpr std::size_t kLargeRowRoom = limits::kUploadBytes + 4096;

// Of a row that may be large: its values are no more than limits::kLargeRowBytes.
bool IsWithinLargeRow(RowView row);

using Parsed = std::variant<Operation, Refusal>;
Parsed ParseOperation(const RequestHead& head, const ProtocolLimits& limits);

std::optional<Api> ParseApiVersion(std::string_view text);

// Of a Content-Type, without its parameters.
std::string_view MediaTypeOf(std::string_view content_type);

// `"a", "b"`, `*`, and the bare text that old clients send. A weak tag stands for nothing where
// strong ones are compared.
Precondition ParseTags(std::string_view header, bool weak_counts);

// What the members of a body say beyond the columns. Sets the id, the precondition that a 2.0 body
// may carry as `version`, and whether a soft-deleted row is to come back.
struct BodyFacts {
  bool version_in_body = false;  // a conflict is then 409, not 412
};
std::variant<BodyFacts, Refusal> ApplyBody(const Operation& operation, RowView fields,
                                           Write& write);

int StatusOf(Verb verb, Api api, Outcome outcome, bool version_in_body);
// For an answer without a row, when the rows gave no reason of their own.
const char* WordsOf(Outcome outcome);

// Version 4, with dashes; `random` is 16 bytes.
std::string UuidFrom(std::string_view random);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_PROTOCOL_H_
