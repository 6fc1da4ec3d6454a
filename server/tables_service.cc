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

using Encode = Result<void> (*)(RowView row, TextWriter& out);

// What a row has at its end and may grow in the middle of: columns that come later are null in it.
RowView TailOf(RowView row) {
  std::size_t keep = row.size();
  while (keep > 0 && (IsSystemColumn(row[keep - 1].name) || row[keep - 1].value.is_null())) --keep;
  return row.subspan(keep);
}

// Appends rows to a body that grows.
class RowEncoder {
 public:
  RowEncoder(Buffer& body, Encode encode) : body_(body), encode_(encode) {}

  // kTooLarge: longer than `most`; the body is then as it was.
  Result<void> Append(RowView row, std::size_t most) {
    std::size_t room = 1024;
    for (const Field& field : row) room += field.value.text.size();
    for (;; room *= 2) {
      body_.Reserve(room);
      TextWriter writer(body_.Free());
      const Result<void> encoded = encode_(row, writer);
      if (encoded.ok() && !writer.full()) {
        if (writer.view().size() > most) return Error{Code::kTooLarge};
        body_.Grow(writer.view().size());
        return Ok();
      }
      if (!encoded.ok() && encoded.error().code != Code::kTooLarge) return encoded;
      if (room > most) return Error{Code::kTooLarge};
    }
  }

 private:
  Buffer& body_;
  Encode encode_;
};

// The rows of a list. It ends before the row that would make it longer than `page_bytes`; of a row
// that is longer than `longest` it shows the size.
class ListSink : public RowSink {
 public:
  ListSink(Buffer& body, std::size_t page_bytes, std::size_t longest)
      : body_(body),
        encoder_(body, &wire::EncodeRow),
        page_bytes_(page_bytes),
        longest_(longest == 0 ? kLargeRowRoom : longest),
        start_(body.size()) {}

  Result<void> OnRow(RowView row) override {
    if (body_.size() - start_ > page_bytes_) return Error{Code::kCancelled};
    if (rows_ != 0) body_.Append(",");
    ++rows_;
    const std::size_t before = body_.size();
    HF_TRY(encoder_.Append(row, kLargeRowRoom));
    const std::size_t bytes = body_.size() - before;
    if (bytes <= longest_) return Ok();
    body_.Truncate(before);
    return AppendSize(row, bytes);
  }

 private:
  Result<void> AppendSize(RowView row, std::size_t bytes) {
    RowFields shown;
    for (const std::string_view name : {kId, kUpdatedAt, kVersion, kDeleted}) {
      const Field* field = Find(row, name);
      if (field != nullptr) HF_TRY(shown.Add(name, field->type, field->value));
    }
    HF_TRY(shown.Add(kBytesOfRow, ColumnType::kInteger,
                     Value::Integer(static_cast<std::int64_t>(bytes))));
    return encoder_.Append(shown.view(), kLargeRowRoom);
  }

  Buffer& body_;
  RowEncoder encoder_;
  std::size_t page_bytes_, longest_, start_, rows_ = 0;
};

// A single row, and what validates it. The last one it is given counts.
class BodySink : public RowSink {
 public:
  // Of a write, `write` says whether the row may be large.
  BodySink(Buffer& body, Encode encode, const Write* write = nullptr)
      : body_(body), encode_(encode), write_(write), start_(body.size()) {}

  Result<void> OnRow(RowView row) override {
    body_.Truncate(start_);
    version_ = FindText(row, kVersion);
    updated_at_ = FindText(row, kUpdatedAt);
    const bool large = write_ == nullptr || write_->large;
    if (large && !IsWithinLargeRow(row)) return Error{Code::kTooLarge};
    RowEncoder encoder(body_, encode_);
    HF_TRY(encoder.Append(row, large ? kLargeRowRoom : kRowRoom));
    return write_ == nullptr ? MeasureTail(row) : Ok();
  }
  const std::string& version() const { return version_; }
  const std::string& updated_at() const { return updated_at_; }
  std::size_t lasting() const { return lasting_; }

 private:
  Result<void> MeasureTail(RowView row) {
    const std::size_t whole = body_.size();
    RowEncoder encoder(body_, encode_);
    HF_TRY(encoder.Append(TailOf(row), kLargeRowRoom));
    const std::size_t tail = body_.size() - whole;
    body_.Truncate(whole);
    lasting_ = whole - start_ - std::min(tail, whole - start_);
    return Ok();
  }

  Buffer& body_;
  Encode encode_;
  const Write* write_;
  std::size_t start_, lasting_ = 0;
  std::string version_, updated_at_;
};

// The validators of a row. A date only for 3.0: its servers have always sent one, and those of 2.0
// never did, whose devices pay for each byte.
void AddTag(Response& response, Api api, const std::string& version,
            const std::string& updated_at) {
  response.version = version;
  if (api != Api::k3) return;
  if (const auto moment = ParseTimestamp(updated_at)) {
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

// Of a body that came in pieces, no more than it surely needs.
std::size_t ArenaBytesOf(std::string_view body, std::size_t most_bytes) {
  const std::size_t bytes = ArenaBytes(body);
  return most_bytes <= limits::kRowBytes ? bytes : bytes - 2 * body.size();
}

Refusal WhyNotDecoded(const Error& error, bool cbor) {
  std::string text =
      cbor ? "the body is not a flat CBOR map" : "the body is not a flat JSON object";
  if (error.what != nullptr) text += std::string(": ") + error.what;
  if (cbor || error.origin == Origin::kJson) text += ", at byte " + std::to_string(error.native);
  return {error.code == Code::kTooLarge ? 413 : 400, text, ""};
}

Encode EncoderFor(const RequestHead& head) {
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
    default: co_await Change(head, operation, body, form, response);
  }
}

bool TablesService::Accepts(const RequestHead& head, Response& response) {
  Parsed parsed = ParseOperation(head, limits_);
  if (const Refusal* refusal = std::get_if<Refusal>(&parsed)) {
    RefuseWith(*refusal, response);
    return false;
  }
  const Operation& operation = std::get<Operation>(parsed);
  const Verb verb = operation.verb;
  if (verb != Verb::kInsert && verb != Verb::kUpdate && verb != Verb::kReplace) {
    response.Refuse(400, "an upload is the body of a row that is written");
    return false;
  }
  if (operation.cbor_body) {
    response.Refuse(415, "an upload has to be application/json");
    return false;
  }
  if (!rows_.Takes(operation.table, verb == Verb::kInsert)) {
    RefuseOutcome(404, Outcome::kNoTable, "", response);
    return false;
  }
  return true;
}

// A write, and its answer, which a keeper may want inside the transaction.
class TablesService::Writing : public WriteWitness {
 public:
  Writing(const RequestHead& head, const Operation& operation, Keeper* keeper, Response& response)
      : head_(head),
        operation_(operation),
        keeper_(keeper),
        response_(response),
        sink_(response.body, EncoderFor(head), &write) {
    write.sink = &sink_;
    if (keeper != nullptr) write.witness = this;
  }
  Writing(const Writing&) = delete;
  Writing& operator=(const Writing&) = delete;

  void OnDone() override {
    Tell();
    keeper_->Keep(response_);
    told_ = true;
  }
  // What has become of it.
  void End(Changes& changes) {
    const bool done = write.outcome == Outcome::kDone;
    if (done) changes.Note(head_.device, sink_.updated_at());
    if (!done || !told_) Tell();
  }

  Write write;
  BodyFacts facts;

 private:
  void Tell();

  const RequestHead& head_;
  const Operation& operation_;
  Keeper* keeper_;
  Response& response_;
  BodySink sink_;
  bool told_ = false;
};

boost::asio::awaitable<void> TablesService::Change(const RequestHead& head,
                                                   const Operation& operation,
                                                   std::string_view body, const Form& form,
                                                   Response& response) {
  const bool has_body = operation.verb != Verb::kDelete && operation.verb != Verb::kUndelete;
  const std::size_t arena_bytes = has_body ? ArenaBytesOf(body, form.body_bytes) : 0;
  const std::unique_ptr<char[]> memory(new char[arena_bytes]);
  Arena arena({memory.get(), arena_bytes});
  RowFields fields;
  Writing writing(head, operation, form.keeper, response);
  Write& write = writing.write;
  write.change = ChangeOf(operation.verb);
  write.table = operation.table;
  write.id = operation.id;
  write.conditions = operation.conditions;
  write.large = form.body_bytes > limits::kRowBytes;
  if (has_body) {
    const wire::DecodeOptions options{false, form.body_bytes};
    const auto decoded = operation.cbor_body ? wire::DecodeRowCbor(body, arena, fields)
                                             : wire::DecodeRow(body, arena, fields, options);
    if (!decoded) {
      RefuseWith(WhyNotDecoded(decoded.error(), operation.cbor_body), response);
      co_return;
    }
    auto applied = ApplyBody(operation, fields.view(), write);
    if (const Refusal* refusal = std::get_if<Refusal>(&applied)) {
      RefuseWith(*refusal, response);
      co_return;
    }
    writing.facts = std::get<BodyFacts>(applied);
    response.id_chosen = write.id.empty();
    if (write.id.empty()) write.id = UuidFrom(RandomBytes(16));
  }
  co_await writer_.Apply(write);
  writing.End(changes_);
}

void TablesService::Writing::Tell() {
  const int status =
      StatusOf(operation_.verb, operation_.api, write.outcome, facts.version_in_body);
  const bool row = write.outcome == Outcome::kDone || write.outcome == Outcome::kExists ||
                   write.outcome == Outcome::kStale;
  Response& response = response_;
  if (!row) {
    RefuseOutcome(status, write.outcome, write.reason, response);
    return;
  }
  response.status = status;
  if (status == 204) {
    response.body.Truncate(0);
    return;
  }
  AddTag(response, operation_.api, sink_.version(), sink_.updated_at());
  response.row = "/tables/" + operation_.table + "/" + PercentEncoded(write.id);
  if (head_.cbor_answer) response.type = BodyType::kCbor;
  if (head_.version_only && status < 300) response.body.Truncate(0);
  if (status == 201 && operation_.verb == Verb::kInsert) response.location = response.row;
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
  AddTag(response, operation.api, sink.version(), sink.updated_at());
  if (head.cbor_answer) response.type = BodyType::kCbor;
  if (!head.cbor_answer) response.lasting = sink.lasting();
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
  ListSink sink(response.body, form.page_bytes, operation.longest_row);
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
