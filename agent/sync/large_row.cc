// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/large_row.h"

#include <algorithm>
#include <cstring>

#include "hal/base/text.h"
#include "transport/wire.h"

namespace holdfast::agent {
namespace {

Error BadAnswer(const Answer& answer, const char* what) {
  return {Code::kBadAnswer, Origin::kHttp, answer.native_status(), what};
}

// A long string in parts, all but the last a multiple of four bytes long, for base64.
class Parts {
 public:
  Parts(wire::LongRowReader& reader, std::span<char> room) : reader_(reader), room_(room) {}

  // Empty: that was all.
  Result<std::string_view> Next() {
    std::memmove(room_.data(), room_.data() + used_, kept_);
    std::size_t filled = kept_;
    while (room_.size() - filled >= 4) {
      HF_TRY_ASSIGN(const std::string_view part, reader_.ReadText(room_.subspan(filled)));
      if (part.empty()) break;
      filled += part.size();
    }
    const bool last = filled == kept_;
    used_ = last ? filled : filled - filled % 4;
    kept_ = filled - used_;
    return std::string_view(room_.data(), used_);
  }

 private:
  wire::LongRowReader& reader_;
  std::span<char> room_;
  std::size_t used_ = 0, kept_ = 0;
};

}  // namespace

LargeRow::LargeRow(store::Store& store, transport::Transport& transport, const store::Table& table,
                   hal::Duration timeout, Workspace& workspace)
    : store_(store),
      transport_(transport),
      table_(table),
      timeout_(timeout),
      refusal_(workspace.answer),
      room_(workspace.pull),
      arena_(room_.arena) {}

Result<void> LargeRow::Ask(std::string_view id) {
  id_ = id;
  done_ = is_row_ = unsaved_ = false;
  outcome_ = Ok();
  refusal_.Reset();
  version_.clear();
  have_ = 0;
  HF_TRY_ASSIGN(const bool begun, store_.FindDownload(table_, id, version_, have_));
  if (!begun) have_ = 0;
  transport::Request request;
  request.method = transport::Method::kLookup;
  request.table = table_.name();
  request.id = id;
  request.large = true;
  // All of it may be here, and a server has nothing to say to one who asks for what comes after.
  request.have_bytes = have_ > 0 ? have_ - 1 : 0;
  if (request.have_bytes > 0) request.if_match = version_.view();
  request.timeout = timeout_;
  return transport_.Begin(request, *this);
}

bool LargeRow::Pump(hal::Duration wait) {
  if (!done_) transport_.Pump(wait);
  return done_;
}

Result<void> LargeRow::OnHead(const transport::ResponseHead& head) {
  is_row_ = head.status == transport::Status::kOk && head.is_json;
  HF_TRY(refusal_.OnHead(head));
  return is_row_ ? StartAt(head) : Ok();
}

// Where what comes goes on: after what is here, when that is of the same version.
Result<void> LargeRow::StartAt(const transport::ResponseHead& head) {
  if (head.version.empty()) return BadAnswer(refusal_, "a large row without a version");
  const auto from = std::uint64_t(head.body_from);
  const bool goes_on = from > 0 && from <= have_ && version_ == head.version;
  if (from > 0 && !goes_on) return BadAnswer(refusal_, "another part of the row was asked for");
  if (head.body_bytes > 0 && from + std::uint64_t(head.body_bytes) > limits::kUploadBytes) {
    return Error{Code::kTooLarge, Origin::kHttp, 0, "the row is too long"};
  }
  have_ = from;
  piece_used_ = std::size_t(have_ % kPiece);
  if (goes_on) return store_.ReadDownload(have_ - piece_used_, {room_.piece, piece_used_});
  HF_TRY(version_.Assign(head.version));
  HF_TRY(store_.DropDownload());
  return store_.NoteDownload(table_, id_, version_.view(), 0);
}

Result<void> LargeRow::OnBody(std::string_view chunk) {
  if (!is_row_) return refusal_.OnBody(chunk);
  while (!chunk.empty()) {
    const std::size_t part = std::min(chunk.size(), kPiece - piece_used_);
    std::memcpy(room_.piece + piece_used_, chunk.data(), part);
    piece_used_ += part;
    have_ += part;
    unsaved_ = true;
    chunk.remove_prefix(part);
    if (have_ > limits::kUploadBytes) {
      return Error{Code::kTooLarge, Origin::kHttp, 0, "the row is too long"};
    }
    if (piece_used_ == kPiece) HF_TRY(Keep());
  }
  return Ok();
}

// In a transaction that does not wait for the disk: what a power cut takes is asked for again.
Result<void> LargeRow::Keep() {
  HF_TRY(store_.BeginPage());
  auto kept = store_.PutDownload(have_ - piece_used_, {room_.piece, piece_used_});
  if (kept) kept = store_.NoteDownload(table_, id_, version_.view(), have_);
  if (!kept) {
    store_.AbortPage();
    return kept;
  }
  unsaved_ = false;
  if (piece_used_ == kPiece) piece_used_ = 0;
  return store_.EndPage(table_, {}, {});
}

void LargeRow::OnDone(Result<void> outcome) {
  outcome_ = std::move(outcome);
  done_ = true;
}

Result<LargeRow::Outcome> LargeRow::End() {
  // What arrived before a cut is kept.
  if (unsaved_) HF_TRY(Keep());
  if (!outcome_) return outcome_.error();
  using transport::Status;
  if (!is_row_) {
    refusal_.OnDone(Ok());
    const Status status = refusal_.status();
    if ((status == Status::kNotFound || status == Status::kGone) && !refusal_.looks_like_html()) {
      HF_TRY(store_.DropDownload());
      return Outcome{true, store::Applied::kUnchanged};
    }
    return StatusError(refusal_);
  }
  arena_.Reset();
  Shape shape;
  auto measured = Measure(shape);
  // What is no row now will not be one when its end comes again: all of it has to come again.
  if (!measured) {
    HF_TRY(store_.DropDownload());
    return measured.error();
  }
  HF_TRY_ASSIGN(const store::Applied applied, Apply(shape));
  HF_TRY(store_.DropDownload());
  return Outcome{false, applied};
}

Result<std::size_t> LargeRow::Read(std::uint64_t offset, std::span<char> out) {
  if (offset >= have_) return std::size_t{0};
  const std::size_t size = std::size_t(std::min<std::uint64_t>(out.size(), have_ - offset));
  HF_TRY(store_.ReadDownload(offset, out.first(size)));
  return size;
}

Result<void> LargeRow::Measure(Shape& shape) {
  wire::LongRowReader reader(*this);
  wire::LongRowReader::Member member;
  for (;;) {
    HF_TRY_ASSIGN(const bool more, reader.Next(member));
    if (!more) break;
    const auto known = table_.Lookup(member.name);
    if (!known) continue;
    int column = -1;
    for (std::size_t i = 0; i < table_.columns().size(); ++i) {
      if (EqualsIgnoreCase(table_.columns()[i].name.view(), member.name)) column = int(i);
    }
    if (member.is_long) {
      if (column < 0) return BadAnswer(refusal_, "a system column that is too long");
      store::LongPlace& place = shape.places[shape.place_count++];
      HF_TRY(MeasureLong(reader, column, place));
      continue;
    }
    Value value = member.value;
    if (value.type == ValueType::kText) {
      HF_TRY_ASSIGN(value.text, arena_.Copy(value.text));
    }
    if (column >= 0) HF_TRY(wire::Conform(known->type, arena_, value));
    HF_TRY_ASSIGN(const std::string_view name, arena_.Copy(member.name));
    HF_TRY(shape.fields.Add(name, known->type, value));
  }
  if (FindText(shape.fields.view(), kId) != id_) {
    return BadAnswer(refusal_, "asked for one row, got another");
  }
  return Ok();
}

// How long a long value will be. What is no base64 stays text, as it does in a short row.
Result<void> LargeRow::MeasureLong(wire::LongRowReader& reader, int column,
                                   store::LongPlace& place) {
  const std::span<char> text = Half(0), bytes = Half(1);
  bool is_blob = table_.columns()[std::size_t(column)].type == ColumnType::kBlob;
  bool ended = false;
  std::uint64_t text_bytes = 0, blob_bytes = 0;
  Parts parts(reader, text);
  for (;;) {
    HF_TRY_ASSIGN(const std::string_view part, parts.Next());
    if (part.empty()) break;
    text_bytes += part.size();
    if (!is_blob) continue;
    const auto decoded = DecodeBase64(part, bytes);
    // Padding can stand at the end only.
    is_blob = decoded.has_value() && !ended;
    if (is_blob) blob_bytes += decoded->size();
    ended = part.back() == '=';
  }
  place.column = column;
  place.type = is_blob ? ValueType::kBlob : ValueType::kText;
  place.bytes = is_blob ? blob_bytes : text_bytes;
  return Ok();
}

Result<store::Applied> LargeRow::Apply(const Shape& shape) {
  const std::span<const store::LongPlace> places(shape.places.data(), shape.place_count);
  HF_TRY(store_.BeginPage());
  auto applied = store_.ApplyLong(table_, shape.fields.view(), places);
  Result<void> written;
  if (applied && *applied == store::Applied::kStored) {
    wire::LongRowReader reader(*this);
    wire::LongRowReader::Member member;
    std::size_t next = 0;
    while (written && next < places.size()) {
      auto more = reader.Next(member);
      if (!more) written = more.error();
      if (!more || !*more) break;
      const bool ours = member.is_long && table_.Lookup(member.name).has_value();
      if (ours) written = WriteLong(reader, places[next++]);
    }
  }
  if (!applied || !written) {
    store_.AbortPage();
    return applied ? written.error() : applied.error();
  }
  HF_TRY(store_.EndPage(table_, {}, {}));
  return *applied;
}

Result<void> LargeRow::WriteLong(wire::LongRowReader& reader, const store::LongPlace& place) {
  const std::span<char> text = Half(0), bytes = Half(1);
  Parts parts(reader, text);
  for (std::uint64_t at = 0;;) {
    HF_TRY_ASSIGN(const std::string_view part, parts.Next());
    if (part.empty()) return Ok();
    const auto decoded = place.type == ValueType::kBlob ? DecodeBase64(part, bytes) : part;
    if (!decoded || at + decoded->size() > place.bytes) {
      return BadAnswer(refusal_, "the row is not what it was");
    }
    HF_TRY(store_.WriteLong(table_, id_, place.column, at, *decoded));
    at += decoded->size();
  }
}

}  // namespace holdfast::agent
