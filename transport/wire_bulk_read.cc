// SPDX-License-Identifier: Apache-2.0
// Requests on a server, answers on a device. All of it comes from outside.
#include "transport/wire.h"
#include "transport/wire_bulk.h"
#include "transport/wire_moment.h"

namespace holdfast::wire {
namespace {

constexpr std::size_t kSenderBytes = 64;
// Counting on from here cannot overflow within a bulk.
constexpr std::int64_t kLastSequence = INT64_MAX - std::int64_t(limits::kBulkOperations);

bool IsSenderName(std::string_view name) {
  if (name.empty() || name.size() > kSenderBytes) return false;
  for (const char c : name) {
    if (c <= 0x20 || c >= 0x7f) return false;
  }
  return true;
}

}  // namespace

BulkReader::BulkReader(std::string_view body, Encoding encoding, Arena& arena)
    : body_(body), tokens_(body, encoding, arena), arena_(arena) {}

Result<void> BulkReader::Begin(BulkSender& sender) {
  if (!ReadSender(sender)) return tokens_.error();
  mark_ = arena_.Mark();
  return Ok();
}

bool BulkReader::ReadSender(BulkSender& sender) {
  std::int64_t version = 0;
  if (!tokens_.Open("an array is expected") ||
      !tokens_.Integer(version, "the version of the bulk is expected")) {
    return false;
  }
  if (version != 1) {
    return tokens_.Fail(Error{Code::kUnsupported, Origin::kNone, 0, "a bulk of another version"});
  }
  if (!tokens_.Text(sender.installation, "the installation is expected") ||
      !tokens_.Text(sender.incarnation, "the incarnation is expected") ||
      !tokens_.Integer(sender.acknowledged, "the acknowledged sequence is expected") ||
      !tokens_.Integer(sender.applied, "the applied sequence is expected")) {
    return false;
  }
  if (!IsSenderName(sender.installation) || !IsSenderName(sender.incarnation)) {
    return tokens_.Fail("a sender is named by 1 to 64 visible characters");
  }
  if (sender.acknowledged < 0 || sender.applied < 0) {
    return tokens_.Fail("a sequence is not negative");
  }
  return (tokens_.More() || tokens_.Fail("the runs are expected")) &&
         tokens_.Open("the runs are expected");
}

Result<bool> BulkReader::Next(BulkOperation& operation) {
  arena_.ResetTo(mark_);
  for (;;) {
    if (head_ == nullptr) {
      if (!tokens_.More()) break;
      if (!OpenRun()) return tokens_.error();
    }
    if (tokens_.More()) {
      if (!ReadRow(operation)) return tokens_.error();
      return true;
    }
    if (!EndRun()) return tokens_.error();
  }
  if (tokens_.failed() || !tokens_.Close("something follows the runs") || !tokens_.End()) {
    return tokens_.error();
  }
  return false;
}

bool BulkReader::OpenRun() {
  std::int64_t first = 0;
  if (!tokens_.Open("a run is expected") || !ReadHead() ||
      !tokens_.Integer(first, "the first sequence is expected") ||
      !tokens_.Integer(changes_, "the number of changes is expected")) {
    return false;
  }
  if (first <= sequence_) return tokens_.Fail("the sequences do not grow");
  if (first > kLastSequence) return tokens_.Fail("no sequence is so high");
  if (changes_ < 0) return tokens_.Fail("a number of changes is not negative");
  sequence_ = first - 1;
  memory_.Forget();
  return (tokens_.More() || tokens_.Fail("the rows are expected")) &&
         tokens_.Open("the rows are expected");
}

bool BulkReader::EndRun() {
  head_ = nullptr;
  return !tokens_.failed() && tokens_.Close("something follows the rows");
}

bool BulkReader::ReadHead() {
  if (!tokens_.More()) return tokens_.Fail("a head is expected");
  if (!tokens_.at_array()) {
    std::int64_t number = 0;
    Value value;
    if (!tokens_.Scalar(value)) return false;
    number = value.type == ValueType::kInteger ? value.integer : -1;
    if (number < 0 || number >= std::int64_t(head_count_)) return tokens_.Fail("no such head");
    head_ = &heads_[std::size_t(number)];
    return true;
  }
  if (head_count_ == kBulkHeads) return tokens_.Fail("too many heads");
  Head& head = heads_[head_count_];
  std::string_view kind;
  if (!tokens_.Open("a head is expected") || !tokens_.Text(head.table, "a table is expected") ||
      !tokens_.Text(kind, "a kind is expected")) {
    return false;
  }
  if (head.table.empty() || head.table.size() > limits::kTableNameBytes) {
    return tokens_.Fail("no name for a table");
  }
  if (kind != "i" && kind != "u" && kind != "d") return tokens_.Fail("a kind is i, u or d");
  head.kind = kind == "i" ? BulkKind::kInsert : kind == "u" ? BulkKind::kUpdate : BulkKind::kDelete;
  if (!ReadColumns(head) || !tokens_.Close("something follows the columns")) return false;
  head_ = &head;
  ++head_count_;
  mark_ = arena_.Mark();
  return true;
}

bool BulkReader::ReadColumns(Head& head) {
  std::array<std::string_view, limits::kColumns> names;
  std::size_t count = 0;
  if (!tokens_.More() || !tokens_.Open("the columns are expected")) {
    return tokens_.Fail("the columns are expected");
  }
  while (tokens_.More()) {
    if (count == names.size()) return tokens_.Fail("more columns than a table has");
    Value value;
    if (!tokens_.Scalar(value)) return false;
    const bool name = value.type == ValueType::kText && !value.text.empty() &&
                      value.text.size() <= limits::kColumnNameBytes;
    if (!name) return tokens_.Fail("no name for a column");
    if (IsSystemColumn(value.text)) return tokens_.Fail("a column that is the server's");
    for (std::size_t i = 0; i < count; ++i) {
      if (EqualsIgnoreCase(names[i], value.text)) return tokens_.Fail("a column occurs twice");
    }
    names[count++] = value.text;
  }
  if (tokens_.failed()) return false;
  if (head.kind == BulkKind::kDelete && count > 0) {
    return tokens_.Fail("a deletion has no columns");
  }
  auto* const place =
      static_cast<std::string_view*>(arena_.Allocate(count * sizeof(std::string_view)));
  if (place == nullptr) return tokens_.Fail(Arena::Full());
  for (std::size_t i = 0; i < count; ++i) new (&place[i]) std::string_view(names[i]);
  head.columns = {place, count};
  return true;
}

bool BulkReader::ReadRow(BulkOperation& operation) {
  if (++operations_ > limits::kBulkOperations) {
    return tokens_.Fail(Error{Code::kTooLarge, Origin::kNone, int(limits::kBulkOperations),
                              "more operations than a bulk may have"});
  }
  operation = {};
  operation.kind = head_->kind;
  operation.table = head_->table;
  operation.sequence = ++sequence_;
  operation.changes = changes_;
  if (!tokens_.Open("a row is expected") || !ReadId(operation.id)) return false;
  if (operation.id.empty() || operation.id.size() > limits::kIdBytes) {
    return tokens_.Fail("an id has 1 to 255 bytes");
  }
  if (head_->kind != BulkKind::kInsert) {
    if (!tokens_.TextOrNull(operation.if_match, "a version or null is expected")) {
      return false;
    }
    if (operation.if_match.size() > limits::kVersionBytes) {
      return tokens_.Fail("the version is too long");
    }
  }
  fields_.clear();
  for (const std::string_view column : head_->columns) {
    Value value;
    if (!tokens_.More()) return tokens_.Fail("a row has fewer values than columns");
    if (!ReadValue(fields_.size(), value)) return false;
    if (auto added = fields_.Add(column, ColumnType::kAny, value); !added) {
      return tokens_.Fail(added.error());
    }
  }
  operation.fields = fields_.view();
  if (tokens_.packed()) {
    if (!memory_.id.Assign(operation.id)) return tokens_.Fail("an id has 1 to 255 bytes");
    memory_.any = true;
  }
  return tokens_.Close("a row has more values than columns");
}

bool BulkReader::ReadId(std::string_view& id) {
  if (!tokens_.packed()) return tokens_.Text(id, "an id is expected");
  std::int64_t shared = 0;
  std::string_view rest;
  if (!tokens_.Integer(shared, "the length that ids share is expected") ||
      !tokens_.Text(rest, "the rest of an id is expected")) {
    return false;
  }
  if (shared < 0 || shared > std::int64_t(memory_.id.size())) {
    return tokens_.Fail("more than the id before has");
  }
  if (std::size_t(shared) + rest.size() > limits::kIdBytes) {
    return tokens_.Fail("an id has 1 to 255 bytes");
  }
  char* const place = static_cast<char*>(arena_.AllocateBytes(std::size_t(shared) + rest.size()));
  if (place == nullptr) return tokens_.Fail(Arena::Full());
  memory_.id.view().copy(place, std::size_t(shared));
  rest.copy(place + shared, rest.size());
  id = {place, std::size_t(shared) + rest.size()};
  return IsUtf8(id) || tokens_.Fail("an id that is not UTF-8");
}

bool BulkReader::ReadValue(std::size_t index, Value& value) {
  if (!tokens_.packed()) return tokens_.Scalar(value);
  PackedMemory::Column& column = memory_.columns[index];
  BulkTokens::Packed item;
  if (!tokens_.Item(item)) return false;
  value = item.value;
  if (item.same) {
    if (!memory_.any) return tokens_.Fail("the first row has no row before it");
    value = column.last;
  } else if (item.reference >= 0) {
    if (std::size_t(item.reference) >= column.count) return tokens_.Fail("no such text");
    value = Value::Text(column.texts[std::size_t(item.reference)]);
  } else if (value.type == ValueType::kInteger && memory_.any &&
             column.last.type == ValueType::kInteger) {
    value.integer = std::int64_t(std::uint64_t(column.last.integer) + std::uint64_t(value.integer));
  } else if (value.type == ValueType::kText || value.type == ValueType::kBlob) {
    // What later rows refer to has to stay where it is.
    const char* const text = value.text.data();
    if (!value.text.empty() && (text < body_.data() || text >= body_.data() + body_.size())) {
      return tokens_.Fail("a string in pieces");
    }
    if (value.type == ValueType::kText && column.count < kPackedTexts) {
      column.texts[column.count++] = value.text;
    }
  }
  column.last = value;
  return true;
}

// ---- answers

BulkAnswerReader::BulkAnswerReader(std::string_view body, Arena& arena)
    : tokens_(body, Encoding::kJson, arena), arena_(arena), mark_(arena.Mark()) {}

Result<void> BulkAnswerReader::Begin() {
  if (!tokens_.Open("the outcomes are expected")) return tokens_.error();
  return Ok();
}

Result<BulkAnswerReader::Outcome> BulkAnswerReader::Next(BulkDone& done, BulkRefusal& refusal) {
  arena_.ResetTo(mark_);
  if (!tokens_.More()) {
    if (tokens_.failed() || !tokens_.End()) return tokens_.error();
    return Outcome::kEnd;
  }
  std::int64_t first = 0, second = 0;
  if (!tokens_.Open("an outcome is expected") ||
      !tokens_.Integer(first, "a sequence is expected") ||
      !tokens_.Integer(second, "a number or a status is expected")) {
    return tokens_.error();
  }
  if (first <= last_sequence_) {
    tokens_.Fail("the sequences do not grow");
    return tokens_.error();
  }
  if (!tokens_.More()) {
    tokens_.Fail("an outcome is expected");
    return tokens_.error();
  }
  if (tokens_.at_object() || tokens_.at_text()) {
    if (!ReadRefusal(refusal, first, second)) return tokens_.error();
    return Outcome::kRefused;
  }
  Value moment;
  if (!tokens_.Scalar(moment)) return tokens_.error();
  if (!ReadDone(done, first, second, moment.type == ValueType::kInteger ? moment.integer : -1)) {
    return tokens_.error();
  }
  return Outcome::kDone;
}

bool BulkAnswerReader::ReadDone(BulkDone& done, std::int64_t first, std::int64_t count,
                                std::int64_t moment) {
  if (count < 1 || count > std::int64_t(limits::kBulkOperations)) {
    return tokens_.Fail("a run of outcomes has 1 to 1000 of them");
  }
  if (first > kLastSequence) return tokens_.Fail("no sequence is so high");
  if (moment < kFirstMoment || moment > kLastMoment - count * kMomentStep) {
    return tokens_.Fail("no moment of a change");
  }
  done = {first, count, moment, -1};
  last_sequence_ = first + count - 1;
  if (!tokens_.More()) return !tokens_.failed();
  Value changes;
  if (!tokens_.Scalar(changes)) return false;
  if (changes.type != ValueType::kInteger || changes.integer < 0) {
    return tokens_.Fail("a number of changes is not negative");
  }
  done.changes = changes.integer;
  return tokens_.Close("something follows an outcome");
}

bool BulkAnswerReader::ReadRefusal(BulkRefusal& refusal, std::int64_t sequence,
                                   std::int64_t status) {
  if (status < 400 || status > 599) return tokens_.Fail("no status of a refusal");
  refusal = {};
  refusal.sequence = last_sequence_ = sequence;
  refusal.status = int(status);
  if (tokens_.at_object()) {
    std::string_view raw;
    if (!tokens_.Object(raw)) return false;
    if (auto row = DecodeRow(raw, arena_, fields_, {.keep_nested = true}); !row) {
      return tokens_.Fail(row.error());
    }
    refusal.row = fields_.view();
  } else {
    Value words;
    if (!tokens_.Scalar(words)) return false;
    refusal.words = words.text;
  }
  return tokens_.Close("something follows an outcome");
}

}  // namespace holdfast::wire
