// SPDX-License-Identifier: Apache-2.0
#include "transport/wire.h"
#include "transport/wire_json.h"

namespace holdfast::wire {
namespace {

constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";

bool IsSpace(char c) { return c == ' ' || c == '\n' || c == '\r' || c == '\t'; }

}  // namespace

PageReader::PageReader(std::span<char> buffer, Arena& arena, RowSink& sink)
    : buffer_(buffer), arena_(arena), sink_(sink) {}

Error PageReader::Bad(const char* what) const {
  return {Code::kBadAnswer, Origin::kJson, std::int32_t(offset_), what};
}

Result<void> PageReader::Feed(std::string_view chunk) {
  if (failure_) return *failure_;
  Result<void> consumed = Consume(chunk);
  if (!consumed) failure_ = consumed.error();
  return consumed;
}

Result<void> PageReader::Finish() {
  if (failure_) return *failure_;
  if (state_ != State::kEnd) return Bad("the answer is cut off");
  return Ok();
}

Result<void> PageReader::Consume(std::string_view chunk) {
  if (chunk.size() > limits::kPageBytes - offset_) {
    return Error{Code::kTooLarge, Origin::kJson, limits::kPageBytes, "a page over its limit"};
  }
  while (!chunk.empty()) {
    const bool collecting =
        state_ == State::kRow || state_ == State::kName || state_ == State::kValue;
    HF_TRY_ASSIGN(const std::size_t taken, collecting ? Collect(chunk) : Step(chunk[0]));
    offset_ += taken;
    chunk.remove_prefix(taken);
  }
  return Ok();
}

// One byte between values. 0 taken: it is the first of a value that is collected from here.
Result<std::size_t> PageReader::Step(char c) {
  if (state_ == State::kStart && offset_ == mark_bytes_ && mark_bytes_ < kByteOrderMark.size() &&
      c == kByteOrderMark[mark_bytes_]) {
    ++mark_bytes_;
    return std::size_t(1);
  }
  if (IsSpace(c)) {
    HF_TRY(Keep({&c, 1}));
    return std::size_t(1);
  }
  switch (state_) {
    case State::kStart: return Open(c);
    case State::kFirstRow:
      if (c == ']') return EndList();
      [[fallthrough]];
    case State::kNextRow:
      if (c != '{') return Bad("a list of something else than rows");
      return Begin(State::kRow);
    case State::kAfterRow:
      if (c == ']') return EndList();
      if (c != ',') return Bad("a comma or the end of the list is expected");
      state_ = State::kNextRow;
      return std::size_t(1);
    case State::kFirstMember:
      if (c == '}') return EndObject();
      [[fallthrough]];
    case State::kNextMember:
      if (c != '"') return Bad("a member's name is expected");
      return Begin(State::kName);
    case State::kColon:
      if (c != ':') return Bad("a colon is expected");
      HF_TRY(Keep({&c, 1}));
      state_ = State::kBeforeValue;
      return std::size_t(1);
    case State::kBeforeValue:
      if (member_ != Member::kList || c != '[') return Begin(State::kValue);
      if (wrapped_) return Bad("two lists in one answer");
      wrapped_ = true;
      state_ = State::kFirstRow;
      return std::size_t(1);
    case State::kAfterMember:
      if (c == '}') return EndObject();
      if (c != ',') return Bad("a comma or the end of the object is expected");
      HF_TRY(Keep({&c, 1}));
      state_ = State::kNextMember;
      return std::size_t(1);
    case State::kEnd: return Bad("something follows the answer");
    case State::kRow:
    case State::kName:
    case State::kValue: break;
  }
  return Bad("an internal state");
}

Result<std::size_t> PageReader::Open(char c) {
  if (mark_bytes_ != 0 && mark_bytes_ != kByteOrderMark.size()) return Bad("not UTF-8");
  if (c == '[') {
    state_ = State::kFirstRow;
    return std::size_t(1);
  }
  if (c != '{') return Bad("a list is expected");
  // An object around a list, or a row? Until the list shows up it is kept: it might be the row.
  used_ = 0;
  row_offset_ = offset_;
  state_ = State::kFirstMember;
  HF_TRY(Keep({&c, 1}));
  return std::size_t(1);
}

Result<std::size_t> PageReader::EndList() {
  state_ = wrapped_ ? State::kAfterMember : State::kEnd;
  return std::size_t(1);
}

Result<std::size_t> PageReader::EndObject() {
  HF_TRY(Keep("}"));
  state_ = State::kEnd;
  if (wrapped_) return std::size_t(1);
  // Some servers answer with one row alone; what has no id is something else.
  if (!has_id_) return Bad("neither a list of rows nor a row");
  count_ = -1;
  next_link_.clear();
  HF_TRY(Row({buffer_.data(), used_}));
  return std::size_t(1);
}

Result<std::size_t> PageReader::Begin(State state) {
  if (state == State::kRow) {
    used_ = 0;
    row_offset_ = offset_;
  } else if (wrapped_) {
    used_ = 0;
  }
  state_ = state;
  value_start_ = used_;
  value_offset_ = offset_;
  depth_ = 0;
  in_string_ = false;
  escaped_ = false;
  return std::size_t(0);
}

// What may belong to a single row. In a list, and around it, only values are kept.
Result<void> PageReader::Keep(std::string_view text) {
  if (wrapped_ || state_ < State::kFirstMember || state_ == State::kEnd) return Ok();
  return Append(text);
}

Result<void> PageReader::Append(std::string_view text) {
  if (text.size() > buffer_.size() - used_) {
    return Error{Code::kTooLarge, Origin::kJson, std::int32_t(buffer_.size()),
                 "a row is longer than its limit"};
  }
  if (!text.empty()) std::memcpy(buffer_.data() + used_, text.data(), text.size());
  used_ += text.size();
  return Ok();
}

// Takes the part of `chunk` that belongs to the value under way.
Result<std::size_t> PageReader::Collect(std::string_view chunk) {
  bool done = false;
  const std::size_t taken = Scan(chunk, done);
  HF_TRY(Append(chunk.substr(0, taken)));
  if (!done) return taken;
  const std::string_view value(buffer_.data() + value_start_, used_ - value_start_);
  if (state_ == State::kRow) {
    state_ = State::kAfterRow;
    HF_TRY(Row(value));
  } else if (state_ == State::kName) {
    state_ = State::kColon;
    HF_TRY(Name(value));
  } else {
    state_ = State::kAfterMember;
    HF_TRY(MemberValue(value));
  }
  return taken;
}

// Where the value ends: a container with its bracket, a string with its quote, anything else before
// what may follow a value. Whether it is well-formed is found out when it is read.
std::size_t PageReader::Scan(std::string_view chunk, bool& done) {
  for (std::size_t i = 0; i < chunk.size(); ++i) {
    const char c = chunk[i];
    if (in_string_) {
      if (escaped_) {
        escaped_ = false;
      } else if (c == '\\') {
        escaped_ = true;
      } else if (c == '"') {
        in_string_ = false;
        done = depth_ == 0;
      }
      if (done) return i + 1;
    } else if (c == '"') {
      in_string_ = true;
    } else if (c == '{' || c == '[') {
      ++depth_;
    } else if (depth_ == 0) {
      done = c == ',' || c == '}' || c == ']' || IsSpace(c);
      if (done) return i;
    } else if (c == '}' || c == ']') {
      done = --depth_ == 0;
      if (done) return i + 1;
    }
  }
  return chunk.size();
}

Result<void> PageReader::Row(std::string_view json) {
  const std::size_t mark = arena_.Mark();
  if (auto read = DecodeRow(json, arena_, fields_, {.keep_nested = true}); !read) {
    Error error = read.error();
    // The position in the row becomes the one in the body.
    if (error.code == Code::kBadAnswer) error.native += std::int32_t(row_offset_);
    return error;
  }
  ++rows_;
  Result<void> outcome = sink_.OnRow(fields_.view());
  arena_.ResetTo(mark);
  return outcome;
}

Result<void> PageReader::Name(std::string_view json) {
  const std::size_t mark = arena_.Mark();
  JsonReader reader(json);
  std::string_view name;
  if (!reader.String(arena_, name) || !reader.End()) return Lift(reader.error());
  has_id_ = has_id_ || name == kId;
  member_ = name == "results" || name == "items" ? Member::kList
            : name == "count"                    ? Member::kCount
            : name == "nextLink"                 ? Member::kNextLink
                                                 : Member::kOther;
  arena_.ResetTo(mark);
  return Ok();
}

Result<void> PageReader::MemberValue(std::string_view json) {
  JsonReader reader(json);
  if (member_ == Member::kOther || member_ == Member::kList || reader.at_container()) {
    std::string_view raw;
    return reader.Any(raw) && reader.End() ? Ok() : Result<void>(Lift(reader.error()));
  }
  const std::size_t mark = arena_.Mark();
  Value value;
  if (!reader.Scalar(arena_, value) || !reader.End()) return Lift(reader.error());
  if (member_ == Member::kCount && value.type == ValueType::kInteger) count_ = value.integer;
  if (member_ == Member::kNextLink && value.type == ValueType::kText) {
    HF_TRY(next_link_.Assign(value.text));
  }
  arena_.ResetTo(mark);
  return Ok();
}

// The error of a name or value around the list, at its place in the body.
Error PageReader::Lift(Error error) const {
  if (error.code == Code::kBadAnswer) error.native += std::int32_t(value_offset_);
  return error;
}

}  // namespace holdfast::wire
