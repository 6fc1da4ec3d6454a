// SPDX-License-Identifier: Apache-2.0
// transport/transport.h - one exchange with the server.
//
// Purpose: the sync engine speaks of methods, tables, ids, versions and bodies; https/ and coap/
//          turn that into their carrier and back. The engine never sees a URL, a header or an
//          option number. Three implementations (https, coap, sim) pass one contract suite,
//          tests/contract/transport_contract.h.
// Owner:   the program creates a Transport; it outlives the Session that uses it. Everything in a
//          Request is borrowed until OnDone().
// Threads: one. All I/O and all calls of the sink happen inside Pump().
// Units:   see names.
// Errors:  OnDone(Error) when there was no whole, well-formed answer: kOffline, kTimeout,
//          kTlsUntrusted, kTlsExpired, kBadAnswer, kTooLarge, kNoMemory, kCancelled. An answer with
//          a refusing status is not an error here: the engine reads `status`.
// Standard: the table protocol of Azure Mobile Apps 2.0 and 3.0; RFC 9110.
#ifndef HOLDFAST_TRANSPORT_TRANSPORT_H_
#define HOLDFAST_TRANSPORT_TRANSPORT_H_

#include <cstdint>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/limits.h"
#include "hal/base/result.h"
#include "hal/clock.h"
#include "transport/wire_encoding.h"

namespace holdfast::transport {

using Version = FixedString<limits::kVersionBytes>;  // decoded: no quotes, as in the body

enum class Method : std::uint8_t {
  kList,    // rows of a table: `list` says which
  kLookup,  // one row, deleted or not where the server allows it
  kInsert,
  kUpdate,   // the fields in the body; others stay
  kReplace,  // the whole row
  kDelete,
  kUndelete,  // a soft-deleted row lives again; with a body, as that row (3.0 only)
  // holdfast-server only: answers when somebody else has changed a row of any table later than
  // list.since. kOk: the body is the moment of the newest such change, as text; it is what to ask
  // with next time. kNoContent: `wait` has passed without one.
  kWatch,
  // holdfast-server only: the operations in `body` (transport/wire_bulk.h), one outcome each in the
  // answer. Only where the server has shown that it can: Capabilities::bulk.
  kBulk,
  // holdfast-server only, and only where Capabilities::upload_bytes says so: another server would
  // take a begun upload for an empty row. A row goes up in pieces and may rest in between.
  kBeginUpload,   // kCreated: ResponseHead::upload
  kAppendUpload,  // `body` at upload.offset; with the last byte, the row's own answer
  kFindUpload,    // how much of it the server has
};

// What kBeginUpload, kAppendUpload and kFindUpload are about. The body of the whole is the row's
// JSON, gzip-coded.
struct UploadPart {
  Method method =
      Method::kInsert;        // kBeginUpload: what the whole shall be, with table, id, if_match
  std::string_view digest;    // kBeginUpload: SHA-256 of the whole, 32 bytes
  std::string_view resource;  // the others: what the server has called it
  std::uint64_t offset = 0, length = 0;  // of the part in the whole; of the whole
};

// Which rows a kList asks for. All texts are in the 2.0 filter language, not yet encoded; the
// transport says them in the protocol in use.
struct ListQuery {
  std::string_view filter;  // the user's; may be empty
  // Changes: updatedAt ge since and (when set) updatedAt lt before; id gt after_id.
  std::string_view since;  // timestamps with all their digits; empty: no condition
  std::string_view before;
  std::string_view after_id;
  std::string_view order_by;  // "updatedAt,id"; may be empty
  std::uint32_t top = 0;      // rows wanted at most; 0: the server's choice
  std::uint32_t skip = 0;
  bool include_deleted = false;
  bool ids_only = false;  // rows of an id alone
  // holdfast-server only: of a row that is longer, as JSON, come id, version, dates and kBytesOfRow
  // instead of its values. 0: all rows come whole.
  std::uint32_t longest_row = 0;
  std::string_view continuation;  // a next link of this server; when set, all else is ignored
};

struct Request {
  Method method = Method::kList;
  std::string_view table;
  std::string_view id;        // kLookup, kUpdate, kReplace, kDelete, kUndelete
  std::string_view if_match;  // the version this write stands on; empty: unconditional
  std::string_view body;      // JSON; kInsert, kUpdate, kReplace; kBulk: in Bulk::encoding
  // The row as it then is has to be in the answer of a write. A carrier that saves bytes otherwise
  // leaves it out where this side knows it: of an insert, and where `if_match` is given.
  bool want_row = false;
  ListQuery list;  // kList
  UploadPart upload;
  // kLookup: the row may be larger than limits::kRowBytes, and the first `have_bytes` of what the
  // server sent of it at version `if_match` are here already.
  bool large = false;
  std::uint64_t have_bytes = 0;
  hal::Duration wait;  // kWatch: zero asks for what is known now; shorter than `timeout`
  // For the whole exchange. A transport also gives up earlier when nothing moves.
  hal::Duration timeout = hal::Duration::Seconds(60);
};

// The server's answer, in the engine's words. Both carriers map to it in table-tested functions.
enum class Status : std::uint8_t {
  kOk,                  // 200, 2.05, 2.04
  kCreated,             // 201, 2.01
  kNoContent,           // 204
  kBadRequest,          // 400 and every 4xx without a name here
  kUnauthorized,        // 401, and 407 of a proxy
  kForbidden,           // 403
  kNotFound,            // 404
  kMethodNotAllowed,    // 405
  kConflict,            // 409
  kGone,                // 410
  kPreconditionFailed,  // 412
  kTooLarge,            // 413
  kThrottled,           // 429
  kServerError,         // 5xx
  kUnavailable,         // 503; 408, 421, 425, which are not about the row either
  kOther,               // 1xx, 3xx, other 2xx: not an answer of this protocol
};

struct ResponseHead {
  Status status = Status::kOther;
  int native = 0;        // 412; of CoAP, what HTTP would have said
  bool is_json = false;  // the body is declared as JSON; anything else is never a success
  // A write has succeeded and, as this carrier does, the version is all there is to say.
  bool version_only = false;
  std::string_view version;       // from ETag, decoded; empty when there was none or it was weak
  std::string_view continuation;  // next link, when the answer had a usable one
  hal::Duration retry_after{-1};  // negative: the server did not say
  std::int64_t body_bytes = -1;   // declared; negative: unknown
  std::int64_t body_from = 0;     // kLookup: what the body begins with, of the whole
  // Of an upload: the server's name for it, how much of it the server keeps (negative: it did not
  // say), and whether this is the answer to the whole.
  std::string_view upload;
  std::int64_t upload_offset = -1;
  bool upload_complete = false;
};

class ResponseSink {
 public:
  virtual ~ResponseSink() = default;
  // Once, before any body. The views live during the call.
  virtual Result<void> OnHead(const ResponseHead& head) = 0;
  // Any number of times. An error ends the exchange and comes back in OnDone.
  virtual Result<void> OnBody(std::string_view chunk) = 0;
  // Exactly once, last. Ok: the whole body has arrived.
  virtual void OnDone(Result<void> outcome) = 0;
};

// What the other side has shown that it can do, learned without side effects.
struct Capabilities {
  enum class Protocol : std::uint8_t { kUnknown, k20, k30 };
  Protocol protocol = Protocol::kUnknown;
  bool holdfast = false;   // the server is ours
  FixedString<64> server;  // as it names itself; for `status`

  // How it takes many operations in one exchange. It says so in each answer; a server that refuses
  // what it has announced is not asked again.
  struct Bulk {
    std::size_t operations = 0;  // in one body; 0: it does not
    std::size_t bytes = 0;       // of a body, before it is packed
    wire::Encoding encoding = wire::Encoding::kJson;
  };
  Bulk bulk;
  bool gzip = false;             // bodies may go packed, and come so
  std::size_t upload_bytes = 0;  // of a row that goes up in pieces; 0: rows do not
  bool sizes = false;            // lists show how long a row is, instead of a long one
};

struct Traffic {
  std::uint64_t requests = 0;
  std::uint64_t bytes_sent = 0;  // on the wire as far as the carrier can tell, TLS included
  std::uint64_t bytes_received = 0;
  std::uint64_t connections = 0;  // handshakes made
};

class Transport {
 public:
  virtual ~Transport() = default;

  // Registers one exchange; sends nothing. REQUIRES: none is under way.
  // kInvalidArgument: the request does not fit the carrier (id, URL too long).
  virtual Result<void> Begin(const Request& request, ResponseSink& sink) = 0;

  // Does what can be done now, waiting at most `wait` for the network. Returns whether an exchange
  // is still under way.
  virtual bool Pump(hal::Duration wait) = 0;

  // Ends the exchange under way; its OnDone is called with kCancelled before this returns.
  virtual void Cancel() = 0;

  // Lets connections go and reads the credentials anew from their files. kBusy while an exchange is
  // under way; kInvalidArgument when a file is wrong: the old credentials then stay in use.
  virtual Result<void> ReloadCredentials() = 0;

  virtual const Capabilities& capabilities() const = 0;
  // What this server has shown to an earlier process: believed until it says otherwise. Taken of it
  // is what does no harm where it is wrong: bulk, gzip and sizes.
  virtual void Recall(const Capabilities& known) { (void)known; }
  virtual const Traffic& traffic() const = 0;
};

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_TRANSPORT_H_
