// SPDX-License-Identifier: Apache-2.0
#include "server/tables_service.h"

#include <algorithm>

#include "hal/base/arena.h"
#include "hal/base/text.h"
#include "server/credentials.h"
#include "server/http_date.h"
#include "transport/wire.h"
#include "transport/wire_cbor.h"

namespace holdfast::server {
namespace {

// Appends rows to a body that grows; of a single row remembers what validates it.
class BodySink : public RowSink {
 public:
  using Encode = Result<void> (*)(RowView row, TextWriter& out);
  // A list ends before the row that would make it longer than `page_bytes`; 0: this is a single
  // row.
  BodySink(Buffer& body, Encode encode, std::size_t page_bytes = 0)
      : body_(body),
        encode_(encode),
        list_(page_bytes != 0),
        page_bytes_(page_bytes),
        start_(body.size()) {}

  Result<void> OnRow(RowView row) override {
    if (list_ && body_.size() - start_ > page_bytes_) return Error{Code::kCancelled};
    if (list_ && rows_ != 0) body_.Append(",");
    if (!list_) body_.Truncate(start_);
    if (!list_) {
      version_ = FindText(row, kVersion);
      updated_at_ = FindText(row, kUpdatedAt);
    }
    ++rows_;
    for (std::size_t room = 1024;; room *= 4) {
      body_.Reserve(room);
      TextWriter writer(body_.Free());
      const Result<void> encoded = encode_(row, writer);
      if (encoded.ok() && !writer.full()) {
        if (!list_ && writer.view().size() > kRowRoom) return Error{Code::kTooLarge};
        body_.Grow(writer.view().size());
        return Ok();
      }
      if (!encoded.ok() && encoded.error().code != Code::kTooLarge) return encoded;
      if (room > 64 * kRowRoom) return Error{Code::kTooLarge};
    }
  }
  const std::string& version() const { return version_; }
  const std::string& updated_at() const { return updated_at_; }

 private:
  Buffer& body_;
  Encode encode_;
  bool list_;
  std::size_t page_bytes_, start_, rows_ = 0;
  std::string version_, updated_at_;
};

// The validators of a row. A date only for 3.0: its servers have always sent one, and those of 2.0
// never did, whose devices pay for each byte.
void AddTag(Response& response, Api api, const BodySink& sink) {
  response.version = sink.version();
  if (api != Api::k3) return;
  if (const auto moment = ParseTimestamp(sink.updated_at())) {
    response.AddHeader("Last-Modified", FormatHttpDate(*moment));
  }
}

void RefuseOutcome(int status, Outcome outcome, const std::string& reason, Response& response) {
  response.Clear();
  if (status == 503) response.retry_after_s = 5;
  response.Refuse(status, reason.empty() ? std::string_view(WordsOf(outcome)) : reason);
}

void RefuseWith(const Refusal& refusal, Response& response) {
  response.Clear();
  if (!refusal.allow.empty()) response.AddHeader("Allow", refusal.allow);
  if (refusal.status == 415) response.AddHeader("Accept-Encoding", "identity");
  if (!refusal.accept_patch.empty()) response.AddHeader("Accept-Patch", refusal.accept_patch);
  response.Refuse(refusal.status, refusal.text);
}

enum Change ChangeOf(Verb verb) {
  switch (verb) {
    case Verb::kUpdate: return Change::kUpdate;
    case Verb::kReplace: return Change::kReplace;
    case Verb::kDelete: return Change::kDelete;
    case Verb::kUndelete: return Change::kUndelete;
    default: return Change::kInsert;
  }
}

// What decoding a body can need at most: its strings, and a node for each separator in it.
std::size_t ArenaBytes(std::string_view body) {
  std::size_t nodes = 4;
  for (const char c : body) nodes += c == ',' || c == '[' || c == '{' ? 1 : 0;
  return std::min(nodes, limits::kJsonNodes + 16) * 256 + 3 * body.size() + 4096;
}

Refusal WhyNotDecoded(const Error& error, bool cbor) {
  std::string text =
      cbor ? "the body is not a flat CBOR map" : "the body is not a flat JSON object";
  if (error.what != nullptr) text += std::string(": ") + error.what;
  if (cbor || error.origin == Origin::kJson) text += ", at byte " + std::to_string(error.native);
  return {error.code == Code::kTooLarge ? 413 : 400, text, ""};
}

BodySink::Encode EncoderFor(const RequestHead& head) {
  return head.cbor_answer ? &wire::EncodeRowCbor : &wire::EncodeRow;
}

}  // namespace

void Response::Refuse(int code, std::string_view text) {
  status = code;
  type = BodyType::kJson;
  body.Truncate(0);
  body.Reserve(text.size() * 6 + 32);
  TextWriter writer(body.Free());
  writer.Put("{\"error\":");
  wire::EncodeString(text, writer);
  writer.Put("}");
  body.Grow(writer.view().size());
}

boost::asio::awaitable<void> TablesService::Serve(const RequestHead& head, std::string_view body,
                                                  const Form& form, Response& response) {
  Parsed parsed = ParseOperation(head, limits_);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) {
    RefuseWith(*refusal, response);
    co_return;
  }
  const Operation& operation = std::get<Operation>(parsed);
  switch (operation.verb) {
    case Verb::kDescribe:
      response.status = 204;
      response.AddHeader("Allow", operation.allow);
      co_return;
    case Verb::kList: List(operation, form, response); co_return;
    case Verb::kLookup: Lookup(head, operation, response); co_return;
    default: co_await Change(head, operation, body, response);
  }
}

boost::asio::awaitable<void> TablesService::Change(const RequestHead& head,
                                                   const Operation& operation,
                                                   std::string_view body, Response& response) {
  const bool has_body = operation.verb != Verb::kDelete && operation.verb != Verb::kUndelete;
  const std::size_t arena_bytes = has_body ? ArenaBytes(body) : 0;
  const std::unique_ptr<char[]> memory(new char[arena_bytes]);
  Arena arena({memory.get(), arena_bytes});
  RowFields fields;
  Write write;
  write.change = ChangeOf(operation.verb);
  write.table = operation.table;
  write.id = operation.id;
  write.conditions = operation.conditions;
  BodyFacts facts;
  if (has_body) {
    const auto decoded = operation.cbor_body ? wire::DecodeRowCbor(body, arena, fields)
                                             : wire::DecodeRow(body, arena, fields);
    if (!decoded) {
      RefuseWith(WhyNotDecoded(decoded.error(), operation.cbor_body), response);
      co_return;
    }
    auto applied = ApplyBody(operation, fields.view(), write);
    if (const Refusal* refusal = std::get_if<Refusal>(&applied)) {
      RefuseWith(*refusal, response);
      co_return;
    }
    facts = std::get<BodyFacts>(applied);
    response.id_chosen = write.id.empty();
    if (write.id.empty()) write.id = UuidFrom(RandomBytes(16));
  }
  BodySink sink(response.body, EncoderFor(head));
  write.sink = &sink;
  co_await writer_.Apply(write);
  if (write.outcome == Outcome::kDone) changes_.Note(head.device, sink.updated_at());

  const int status = StatusOf(operation.verb, operation.api, write.outcome, facts.version_in_body);
  const bool row = write.outcome == Outcome::kDone || write.outcome == Outcome::kExists ||
                   write.outcome == Outcome::kStale;
  if (!row) {
    RefuseOutcome(status, write.outcome, write.reason, response);
    co_return;
  }
  response.status = status;
  if (status == 204) {
    response.body.Truncate(0);
    co_return;
  }
  AddTag(response, operation.api, sink);
  if (head.cbor_answer) response.type = BodyType::kCbor;
  if (head.version_only && status < 300) response.body.Truncate(0);
  if (status == 201 && operation.verb == Verb::kInsert) {
    response.location = "/tables/" + operation.table + "/" + PercentEncoded(write.id);
  }
}

void TablesService::Lookup(const RequestHead& head, const Operation& operation,
                           Response& response) {
  BodySink sink(response.body, EncoderFor(head));
  const Outcome outcome =
      rows_.Lookup(operation.table, operation.id, operation.include_deleted, sink);
  if (outcome != Outcome::kDone) {
    const int status = StatusOf(Verb::kLookup, operation.api, outcome, false);
    RefuseOutcome(status, outcome, "", response);
    return;
  }
  AddTag(response, operation.api, sink);
  if (head.cbor_answer) response.type = BodyType::kCbor;
  if (!operation.conditions.Met(sink.version(), sink.updated_at())) {
    response.status = 412;
  } else if (operation.conditions.Known(sink.version(), sink.updated_at())) {
    response.status = 304;
    response.body.Truncate(0);
  }
}

void TablesService::List(const Operation& operation, const Form& form, Response& response) {
  const bool version3 = operation.api == Api::k3;
  const bool wrapped = version3 || operation.list.count;
  response.body.Append(!wrapped ? "[" : version3 ? "{\"items\":[" : "{\"results\":[");
  BodySink sink(response.body, &wire::EncodeRow, form.page_bytes);
  const ListResult result = rows_.List(operation.list, sink);
  if (result.outcome != Outcome::kDone) {
    const int status = StatusOf(Verb::kList, operation.api, result.outcome, false);
    RefuseOutcome(status, result.outcome, result.reason, response);
    return;
  }
  // What the client asked for with $top is done when that many rows have been sent.
  const std::uint64_t left = operation.wanted - std::min(operation.wanted, result.rows);
  std::string next;
  if (result.more && operation.list.top != 0 && (operation.wanted == 0 || left != 0)) {
    next = NextTarget(operation.target, operation.list.skip + result.rows, left, result.last);
  }
  response.body.Append("]");
  if (wrapped) {
    response.body.Append(",\"count\":");
    response.body.Append(operation.list.count ? std::to_string(result.count) : "null");
  }
  if (version3) {
    response.body.Append(",\"nextLink\":");
    if (next.empty()) {
      response.body.Append("null");
    } else {
      if (!operation.path_links) next = form.origin + next;
      response.body.Reserve(next.size() * 6 + 2);
      TextWriter writer(response.body.Free());
      wire::EncodeString(next, writer);
      response.body.Grow(writer.view().size());
    }
  } else if (!next.empty()) {
    response.AddHeader("Link", form.origin + next + "; rel=next");
  }
  if (wrapped) response.body.Append("}");
}

}  // namespace holdfast::server
