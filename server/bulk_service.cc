// SPDX-License-Identifier: Apache-2.0
#include "server/bulk_service.h"

#include <set>
#include <stdexcept>

#include "hal/base/text.h"
#include "server/protocol.h"
#include "server/schema.h"
#include "transport/wire.h"
#include "transport/wire_moment.h"

namespace holdfast::server {
namespace {

// Rows of refusals, then an outcome for each operation, however they alternate.
constexpr std::size_t kAnswerBytes = limits::kBulkBytes + limits::kBulkOperations * 512;
// Words are ours and ASCII without escapes, so that an outcome stays below 512 bytes.
constexpr std::size_t kWordsBytes = 240;
constexpr std::size_t kArenaBytes = 2 * limits::kBulkBytes;
constexpr std::size_t kRefusedRows = 1000;  // whose later operations are passed over
// What CBOR may say again with a byte each time. Beyond it a short body would be a flood of rows.
constexpr std::size_t kContentBytes = 16 * limits::kBulkBytes;
// Content that stays below limits::kRowBytes as JSON, even when each byte needs an escape.
constexpr std::size_t kSmallContentBytes = limits::kRowBytes / 8;

class MalformedBulk : public std::runtime_error {
 public:
  MalformedBulk(int status, const std::string& what) : std::runtime_error(what), status_(status) {}
  int status() const { return status_; }

 private:
  int status_;
};

struct StorageFailed {};

enum Change ChangeOf(wire::BulkKind kind) {
  switch (kind) {
    case wire::BulkKind::kUpdate: return Change::kUpdate;
    case wire::BulkKind::kDelete: return Change::kDelete;
    default: return Change::kInsert;
  }
}

std::string Described(const Error& error) {
  std::string text = error.what == nullptr ? "not a bulk" : error.what;
  if (error.origin == Origin::kJson) text += ", at byte " + std::to_string(error.native);
  return text;
}

// Blobs come as bytes or as base64, by encoding; they mean the same.
std::uint32_t DigestOf(const wire::BulkOperation& operation) {
  std::uint64_t digest = kDigestStart;
  const auto add = [&](const Value& value) {
    digest = DigestValue(digest, ColumnType::kAny, value);
  };
  std::string base64;
  add(Value::Integer(static_cast<std::int64_t>(operation.kind)));
  add(Value::Text(operation.table));
  add(Value::Text(operation.id));
  add(Value::Text(operation.if_match));
  for (const Field& field : operation.fields) {
    add(Value::Text(field.name));
    if (field.value.type != ValueType::kBlob) {
      add(field.value);
      continue;
    }
    base64.assign(field.value.text.size() * 4 / 3 + 8, '\0');
    TextWriter out(base64);
    out.PutBase64(field.value.text);
    add(Value::Text(out.view()));
  }
  return static_cast<std::uint32_t>(digest ^ digest >> 32);
}

}  // namespace

// The operations of one body as Rows takes them, and their outcomes as the answer.
class BulkService::Body : public Bulk, private RowSink {
 public:
  Body(std::string_view text, wire::Encoding encoding, std::span<char> arena,
       std::span<char> answer)
      : arena_(arena), reader_(text, encoding, arena_), answer_(answer) {}

  Sender Begin(std::string_view device) {
    wire::BulkSender said;
    if (auto begun = reader_.Begin(said); !begun)
      throw MalformedBulk(400, Described(begun.error()));
    return {std::string(device), std::string(said.installation), std::string(said.incarnation),
            said.acknowledged, said.applied};
  }

  // Those that are wrong for what they are never reach the rows.
  Operated* Next() override {
    for (;;) {
      auto more = reader_.Next(operation_);
      if (!more) {
        const bool large = more.error().code == Code::kTooLarge;
        throw MalformedBulk(large ? 413 : 400, Described(more.error()));
      }
      if (!*more) return nullptr;
      const auto [status, words] = WhyNot();
      if (status == 0) break;
      Refuse(operation_.sequence, status, words);
    }
    const std::size_t bytes = TakeContent();
    operated_ = {};
    operated_.sequence = operation_.sequence;
    operated_.changes = operation_.changes;
    operated_.digest = DigestOf(operation_);
    Write& write = operated_.write;
    write.change = ChangeOf(operation_.kind);
    write.table = operation_.table;
    write.id = operation_.id;
    write.fields = operation_.fields;
    write.sink = this;
    write.quiet = bytes <= kSmallContentBytes;
    if (!operation_.if_match.empty()) {
      write.conditions.match.given = true;
      write.conditions.match.versions.emplace_back(operation_.if_match);
    }
    return &operated_;
  }

  void OnApplied(const Operated& operated, std::int64_t moment, std::int64_t earlier) override {
    row_.clear();
    if (!answer_.Done({operated.sequence, 1, moment, earlier})) NoRoom();
    if (earlier < 0 && moment > newest_) newest_ = moment;
  }

  void OnRefused(const Operated& operated) override {
    const Write& write = operated.write;
    if (write.outcome == Outcome::kFailed) throw StorageFailed();
    const Verb verb = write.change == Change::kInsert   ? Verb::kInsert
                      : write.change == Change::kUpdate ? Verb::kUpdate
                                                        : Verb::kDelete;
    const int status = StatusOf(verb, Api::k2, write.outcome, false);
    const bool shows = write.outcome == Outcome::kExists || write.outcome == Outcome::kStale;
    const bool fits = answer_.bytes() + row_.size() < limits::kBulkBytes;
    const bool shown =
        shows && fits && !row_.empty() && answer_.RefusedRow(operated.sequence, status, row_);
    row_.clear();
    if (shown) return NoteRefused();
    Refuse(operated.sequence, status, write.reason.empty() ? WordsOf(write.outcome) : write.reason);
  }

  void OnRestored(std::int64_t moment) override { known_until_ = moment; }

  std::int64_t newest() const { return newest_; }
  std::int64_t known_until() const { return known_until_; }
  std::string_view Answer() {
    auto text = answer_.Finish();
    if (!text) NoRoom();
    return *text;
  }

 private:
  std::pair<int, std::string_view> WhyNot() const {
    if (!CheckName(operation_.table)) return {400, "no name for a table"};
    if (!CheckId(operation_.id)) return {400, "no id for a row"};
    if (operation_.kind == wire::BulkKind::kUpdate && operation_.fields.empty()) {
      return {400, "an update without columns"};
    }
    if (!refused_.empty() && refused_.contains(RowKey())) {
      return {424, "an earlier operation of this row was refused"};
    }
    return {0, ""};
  }
  std::size_t TakeContent() {
    std::size_t bytes = 0;
    for (const Field& field : operation_.fields) bytes += field.value.text.size();
    content_bytes_ += bytes;
    if (content_bytes_ > kContentBytes)
      throw MalformedBulk(413, "the rows are too long: send fewer");
    return bytes;
  }
  // Case does not tell tables apart; ids it does.
  std::string RowKey() const {
    return LowerCase(operation_.table) + "/" + std::string(operation_.id);
  }
  void Refuse(std::int64_t sequence, int status, std::string_view words) {
    if (!answer_.Refused(sequence, status, words.substr(0, kWordsBytes))) NoRoom();
    NoteRefused();
  }
  void NoteRefused() {
    if (refused_.size() < kRefusedRows) refused_.insert(RowKey());
  }
  [[noreturn]] void NoRoom() { throw MalformedBulk(413, "the outcomes have no room: send fewer"); }

  // A large row is never shown: the outcomes have no room for it.
  Result<void> OnRow(RowView row) override {
    const bool may_be_large = operated_.write.large;
    for (std::size_t room = 1024;; room *= 4) {
      row_.resize(room);
      TextWriter out(row_);
      const auto encoded = wire::EncodeRow(row, out);
      if (encoded.ok() && !out.full()) {
        row_.resize(out.view().size());
        if (row_.size() <= kRowRoom) return Ok();
        return may_be_large ? PassOver(row) : Error{Code::kTooLarge};
      }
      const bool longer = !encoded.ok() && encoded.error().code == Code::kTooLarge;
      if (!encoded.ok() && !longer) return encoded;
      if (room <= 4 * kRowRoom) continue;
      return may_be_large ? PassOver(row) : Error{Code::kTooLarge};
    }
  }
  Result<void> PassOver(RowView row) {
    row_ = std::string();
    return IsWithinLargeRow(row) ? Ok() : Result<void>(Error{Code::kTooLarge});
  }

  Arena arena_;
  wire::BulkReader reader_;
  wire::BulkAnswerWriter answer_;
  wire::BulkOperation operation_;
  Operated operated_;
  std::string row_;  // the server's, of the operation that is being refused
  std::set<std::string> refused_;
  std::int64_t newest_ = 0, known_until_ = 0;
  std::size_t content_bytes_ = 0;  // of all operations so far
};

BulkService::BulkService(Rows& rows, Changes& changes)
    : rows_(rows),
      changes_(changes),
      unpacked_(new char[limits::kBulkBytes]),
      arena_(new char[kArenaBytes]),
      answer_(new char[kAnswerBytes]) {}

void BulkService::Refuse(int status, std::string_view text, Response& response) {
  response.Clear();
  if (status == 503) response.retry_after_s = 5;
  response.Refuse(status, text);
}

void BulkService::Serve(const Head& head, std::string_view body, Response& response) {
  if (head.method != "POST") {
    Refuse(405, "POST a bulk", response);
    response.AddHeader("Allow", "POST");
    return;
  }
  const std::string_view type = MediaTypeOf(head.content_type);
  const bool packed = EqualsIgnoreCase(type, "application/cbor");
  if (!packed && !EqualsIgnoreCase(type, "application/json")) {
    return Refuse(415, "a bulk is application/json or application/cbor", response);
  }
  if (EqualsIgnoreCase(head.content_encoding, "gzip")) {
    auto unpacked = wire::Unpack(body, {unpacked_.get(), limits::kBulkBytes});
    if (!unpacked) {
      const Code code = unpacked.error().code;
      const int status = code == Code::kTooLarge ? 413 : code == Code::kNoMemory ? 503 : 400;
      return Refuse(status, unpacked.error().what, response);
    }
    body = *unpacked;
  } else if (!head.content_encoding.empty() &&
             !EqualsIgnoreCase(head.content_encoding, "identity")) {
    Refuse(415, "this content coding is not known", response);
    response.AddHeader("Accept-Encoding", "gzip");
    return;
  }
  if (body.size() > limits::kBulkBytes) return Refuse(413, "the bulk is too long", response);
  Apply(head.device, body, packed ? wire::Encoding::kCbor : wire::Encoding::kJson, response);
}

void BulkService::Apply(std::string_view device, std::string_view text, wire::Encoding encoding,
                        Response& response) {
  try {
    Body bulk(text, encoding, {arena_.get(), kArenaBytes}, {answer_.get(), kAnswerBytes});
    const BulkOutcome outcome = rows_.ApplyBulk(bulk.Begin(device), bulk);
    switch (outcome) {
      case BulkOutcome::kDone: break;
      case BulkOutcome::kFailed:
        return Refuse(503, "The server cannot store rows at the moment", response);
      case BulkOutcome::kRewound: return RefuseSender("rewound", 0, response);
      case BulkOutcome::kRestored: return RefuseSender("restored", bulk.known_until(), response);
    }
    if (bulk.newest() != 0) changes_.Note(device, wire::DateOfMoment(bulk.newest()).view());
    response.body.Append(bulk.Answer());
  } catch (const MalformedBulk& error) {
    Refuse(error.status(), error.what(), response);
  } catch (const StorageFailed&) {
    Refuse(503, "The server cannot store rows at the moment", response);
  }
}

// One of the two has lost its memory: nothing is applied before the device goes on under another
// name. What it was told of after `known_until` it may have to say again; 0: all of it.
void BulkService::RefuseSender(const char* reason, std::int64_t known_until, Response& response) {
  response.Clear();
  response.status = 409;
  response.body.Append("{\"error\":\"this device's operations do not follow those that it sent ");
  response.body.Append("before\",\"reason\":\"");
  response.body.Append(reason);
  response.body.Append("\",\"newest\":\"");
  if (known_until != 0) response.body.Append(wire::DateOfMoment(known_until).view());
  response.body.Append("\"}");
}

}  // namespace holdfast::server
