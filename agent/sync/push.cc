// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/push.h"

#include <algorithm>

#include "agent/sync/conform.h"
#include "hal/base/log.h"
#include "transport/wire_moment.h"

namespace holdfast::agent {
namespace {

using store::Extent;
using store::Kind;
using store::State;
using transport::Method;

}  // namespace

Push::Push(store::Store& store, transport::Transport& transport, hal::Clock& clock,
           const PushOptions& options, Workspace& workspace)
    : store_(store),
      transport_(transport),
      clock_(clock),
      options_(options),
      bulk_(workspace.bulk),
      bulk_bytes_(std::min(options.bulk_bytes, limits::kBulkBytes)),
      large_(store, workspace),
      append_bytes_(std::min(options.bulk_bytes, limits::kBulkBytes)),
      answer_(workspace.answer),
      room_(workspace.push),
      content_arena_(room_.content) {
  bulk_.Clear();
  if (options_.window_rows == 0) options_.window_rows = 1;
  if (options_.window_rows > window_.size()) options_.window_rows = window_.size();
}

bool Push::Step(hal::Duration wait) {
  if (phase_ == Phase::kDone) return true;
  if (cancelled_) {
    transport_.Cancel();
    Finish(Error{Code::kCancelled, Origin::kNone, 0, "stopped on request"});
    return true;
  }
  Result<void> step;
  switch (phase_) {
    case Phase::kStart: step = Start(); break;
    case Phase::kTake: step = Take(); break;
    case Phase::kSend: step = SendNext(); break;
    case Phase::kReadLarge: step = ReadLarge(); break;
    case Phase::kDone: break;
    default:
      transport_.Pump(wait);
      if (!answer_.done()) return false;
      step = OnExchange();
      break;
  }
  if (!step) Finish(step);
  return phase_ == Phase::kDone;
}

// An answer has come, or will not.
Result<void> Push::OnExchange() {
  switch (phase_) {
    case Phase::kAnswer: return OnAnswer();
    case Phase::kLookup: return OnLookup();
    case Phase::kTombstone: return OnTombstone();
    case Phase::kBulk: return OnBulk();
    case Phase::kAsk: return OnAsked();
    case Phase::kBeginUpload: return OnUploadBegun();
    case Phase::kFindUpload: return OnUploadFound();
    case Phase::kAppend: return OnAppended();
    default: return Ok();
  }
}

Result<void> Push::Start() {
  HF_TRY(store_.DropStrayUploads());
  phase_ = Phase::kTake;
  return Ok();
}

Result<void> Push::Take() {
  HF_TRY(WriteBack());
  window_count_ = window_next_ = 0;
  if (bulk_.refused_left() > 0) return TakeRefused();
  if (TakesBulk()) {
    HF_TRY_ASSIGN(const bool sent, TakeBulk());
    if (sent) return Ok();
    return TakeWindow(1);  // the next one has to go alone
  }
  // The first answer tells whether the server takes bulks.
  return TakeWindow(transport_.traffic().requests == 0 ? 1 : options_.window_rows);
}

// Collects the next window of operations and makes it durably `attempted`, in one commit: a commit
// per operation would cost two syncs a row.
Result<void> Push::TakeWindow(std::size_t most) {
  while (window_count_ < most) {
    store::Operation operation;
    HF_TRY_ASSIGN(const bool found, store_.Next(cursor_, options_.tables, operation));
    if (!found) break;
    // An operation that stands on an earlier one of this very window has to wait for its outcome.
    if (operation.previous != 0 && window_count_ > 0 && operation.previous >= window_[0].sequence) {
      break;
    }
    cursor_ = operation.sequence;
    store::Content content;
    HF_TRY_ASSIGN(const bool admitted, Admit(operation, window_[window_count_], content));
    if (admitted) ++window_count_;
  }
  if (window_count_ > 0) {
    HF_TRY_ASSIGN(const bool marked, Mark({window_.data(), window_count_}));
    if (marked) phase_ = Phase::kSend;
    return Ok();
  }
  if (edited_meanwhile_ && --passes_left_ > 0) {
    edited_meanwhile_ = false;
    cursor_ = 0;
    return Ok();
  }
  Finish(Ok());
  return Ok();
}

// false: one of them has left the queue since it was read; they are read again.
Result<bool> Push::Mark(std::span<const store::Store::Attempt> attempts) {
  auto marked = store_.MarkAttempted(attempts);
  if (marked) return true;
  if (marked.error().code != Code::kBusy || marked.error().origin != Origin::kNone) {
    return marked.error();
  }
  cursor_ = attempts[0].sequence - 1;
  return false;
}

// Whether the operation can be sent now, as what and with which content.
Result<bool> Push::Admit(store::Operation& operation, store::Store::Attempt& attempt,
                         store::Content& out) {
  if (operation.state == State::kFailed) return false;  // waits for somebody: see __errors
  if (operation.previous != 0) {
    ++result_.blocked;
    return false;
  }
  attempt = {operation.sequence, operation.changes, 0, 0, operation.state == State::kPending};
  if (operation.kind == Kind::kDelete) return true;

  content_arena_.Reset();
  auto content = store_.Load(operation, Extent::kChanged, content_arena_, content_fields_);
  if (!content && content.error().code == Code::kNotFound) {
    const std::string_view table = operation.table->name();
    Log(LogLevel::kWarning, "push: %.*s/%s is gone although its operation waits; nothing to send",
        int(table.size()), table.data(), operation.id.c_str());
    HF_TRY(store_.Drop(operation.sequence, operation.changes));
    return false;
  }
  if (!content && content.error().code == Code::kTooLarge) {
    out.too_long = true;
    return true;
  }
  if (!content) return content.error();
  // Edited back to what the server has: nothing to say, unless an earlier attempt said otherwise.
  if (operation.kind == Kind::kUpdate && content->mask == 0 && operation.state == State::kPending) {
    store::Completion nothing;
    nothing.table = operation.table;
    nothing.sequence = operation.sequence;
    nothing.changes = operation.changes;
    nothing.id = operation.id;
    nothing.version = operation.base_version;
    if (nothing.version.empty()) {
      HF_TRY(store_.Drop(operation.sequence, operation.changes));
    } else {
      HF_TRY(store_.Complete({&nothing, 1}));
    }
    return false;
  }
  attempt.changes = operation.changes;
  attempt.mask = content->mask;
  attempt.digest = content->digest;
  out = *content;
  return true;
}

Result<void> Push::SendNext() {
  if (WriteBackDue()) HF_TRY(WriteBack());
  if (window_next_ == window_count_) {
    phase_ = Phase::kTake;
    return Ok();
  }
  current_ = {};
  return Prepare();
}

// Loads the operation as it is now. It may have changed since the window was marked: what leaves
// must be what was marked, so that a lost answer can be recognised.
Result<void> Push::Prepare() {
  HF_TRY_ASSIGN(const bool there, store_.Find(window_[window_next_].sequence, current_.operation));
  if (!there) {
    NextOperation();  // merged away: an insert that was deleted again, a delete at a later place
    return Ok();
  }
  store::Operation& operation = current_.operation;
  current_.content = {};
  current_.changed_by_handler = false;
  if (operation.kind == Kind::kDelete) {
    current_.method = Method::kDelete;
    HF_TRY_ASSIGN(const bool wanted, AskHandler());
    if (!wanted) return Ok();
    if (current_.decided) HF_TRY(store_.MarkAttempted({&window_[window_next_], 1}));
    // It stands in the place of a write that may have arrived, or not: what is there may be
    // somebody else's by now.
    if (operation.base_version.empty() && operation.attempts > 1) return BeginLookup();
    return BeginWrite();
  }
  HF_TRY_ASSIGN(const bool resumed, ResumeUpload());
  if (resumed) return Ok();
  content_arena_.Reset();
  const bool replace = operation.kind == Kind::kUpdate && TakesReplace();
  auto content = store_.Load(operation, Extent::kChanged, content_arena_, content_fields_);
  if (content && operation.kind == Kind::kUpdate && content->mask == 0) {
    // Nothing differs, but an earlier attempt may have changed the server's row: say all of it.
    content_arena_.Reset();
    content = store_.Load(operation, Extent::kWhole, content_arena_, content_fields_);
  }
  if (content && replace) {
    // All of the row travels; what changed is what tells our write from others'.
    const std::uint64_t mask = content->mask;
    content_arena_.Reset();
    content = store_.Load(operation, Extent::kWhole, content_arena_, content_fields_);
    if (content) {
      content->mask = mask;
      content->digest = store::DigestRow(*operation.table, content->fields, mask);
    }
  }
  const bool too_long = !content && content.error().code == Code::kTooLarge;
  if (!content && !too_long) return content.error();
  if (!too_long) current_.content = *content;
  current_.method = operation.kind == Kind::kInsert ? Method::kInsert
                    : replace                       ? Method::kReplace
                                                    : Method::kUpdate;
  if (!too_long) {
    HF_TRY_ASSIGN(const bool wanted, AskHandler());
    if (!wanted) return Ok();
    HF_TRY(Remark());
  }
  HF_TRY_ASSIGN(const bool in_pieces, GoesInPieces(too_long));
  return in_pieces ? Ok() : BeginWrite();
}

// Once an operation: one that was to go with others and turned out to have to go alone has its
// answer already.
Result<SyncHandler::Before> Push::Ask(const store::Operation& operation, RowView content) {
  if (asked_ == operation.sequence) {
    asked_ = 0;
    return SyncHandler::Before::kSend;
  }
  sent_fields_.clear();
  return options_.handler->BeforeSend(operation, content, sent_fields_);
}

// false: the operation is not sent now.
Result<bool> Push::AskHandler() {
  if (options_.handler == nullptr) return true;
  store::Content& content = current_.content;
  HF_TRY_ASSIGN(const SyncHandler::Before wish, Ask(current_.operation, content.fields));
  switch (wish) {
    case SyncHandler::Before::kSend: break;
    case SyncHandler::Before::kSkip:
      HF_TRY(store_.UnmarkUnsent({&window_[window_next_], 1}));
      ++result_.skipped;
      NextOperation();
      return false;
    case SyncHandler::Before::kAbort:
      return Error{Code::kCancelled, Origin::kNone, 0, "stopped by the program's handler"};
  }
  if (sent_fields_.size() == 0 || current_.operation.kind == Kind::kDelete) return true;
  for (const Field& field : content.fields) {
    if (Find(sent_fields_.view(), field.name) != nullptr) continue;
    HF_TRY(sent_fields_.Add(field.name, field.type, field.value));
  }
  const auto columns = current_.operation.table->columns();
  content.mask = 0;
  for (std::size_t i = 0; i < columns.size(); ++i) {
    if (Find(sent_fields_.view(), columns[i].name.view()) != nullptr) {
      content.mask |= std::uint64_t{1} << i;
    }
  }
  content.fields = sent_fields_.view();
  content.digest = store::DigestRow(*current_.operation.table, content.fields, content.mask);
  current_.changed_by_handler = true;
  return true;
}

Result<void> Push::Remark() {
  store::Store::Attempt& attempt = window_[window_next_];
  const store::Content& content = current_.content;
  if (attempt.mask == content.mask && attempt.digest == content.digest && !current_.decided) {
    attempt.changes = current_.operation.changes;
    return Ok();
  }
  attempt.changes = current_.operation.changes;
  attempt.mask = content.mask;
  attempt.digest = content.digest;
  return store_.MarkAttempted({&attempt, 1});
}

Result<void> Push::EncodeBody(TextWriter& body) {
  RowFields row;
  HF_TRY(row.Add(kId, ColumnType::kText, Value::Text(current_.operation.id.view())));
  for (const Field& field : current_.content.fields) {
    HF_TRY(row.Add(field.name, field.type, field.value));
  }
  if (current_.raised_whole) HF_TRY(row.Add(kDeleted, ColumnType::kAny, Value::Boolean(false)));
  return wire::EncodeRow(row.view(), body);
}

Result<void> Push::BeginWrite() {
  const store::Operation& operation = current_.operation;
  if (auto valid = CheckId(operation.id.view()); !valid) return Park(valid.error());

  TextWriter body(room_.body);
  if (operation.kind != Kind::kDelete) {
    if (auto encoded = EncodeBody(body); !encoded) return Park(encoded.error());
  }
  transport::Request request;
  request.method = current_.method;
  request.table = operation.table->name();
  request.id = operation.id.view();
  if (operation.kind != Kind::kInsert) request.if_match = operation.base_version.view();
  request.body = body.view();
  ++current_.tries;
  if (auto begun = Send(request, Phase::kAnswer); !begun) return Park(begun.error());
  return Ok();
}

Result<void> Push::Send(const transport::Request& request, Phase next) {
  transport::Request timed = request;
  timed.timeout = options_.timeout;
  answer_.Reset();
  HF_TRY(transport_.Begin(timed, answer_));
  phase_ = next;
  return Ok();
}

Result<void> Push::BeginLookup() {
  transport::Request request;
  request.method = Method::kLookup;
  request.table = current_.operation.table->name();
  request.id = current_.operation.id.view();
  return Send(request, Phase::kLookup);
}

// Some servers show a deleted row in a list only.
Result<void> Push::BeginTombstone() {
  tombstone_filter_.clear();
  HF_TRY(tombstone_filter_.Append("id eq '"));
  for (const char c : current_.operation.id.view()) {
    HF_TRY(tombstone_filter_.Append(c == '\'' ? "''" : std::string_view(&c, 1)));
  }
  HF_TRY(tombstone_filter_.Append("'"));
  transport::Request request;
  request.method = Method::kList;
  request.table = current_.operation.table->name();
  request.list.filter = tombstone_filter_.view();
  request.list.top = 1;
  request.list.include_deleted = true;
  return Send(request, Phase::kTombstone);
}

// Servers of 3.0 replace rows; some of them cannot merge.
bool Push::TakesReplace() const {
  const transport::Capabilities& server = transport_.capabilities();
  return server.protocol == transport::Capabilities::Protocol::k30 && !server.holdfast;
}

// A merge was refused, and with that answer the transport has learned that the server speaks 3.0.
bool Push::IsReplaceOnly() const {
  return answer_.status() == transport::Status::kMethodNotAllowed &&
         current_.method == Method::kUpdate && TakesReplace();
}

Result<void> Push::OnAnswer() {
  const Judgement judgement = JudgeWrite(current_.method, current_.operation.id.view(), answer_);
  switch (judgement.verdict) {
    case Verdict::kDone:
      if (current_.method == Method::kUndelete && !current_.raised_whole) {
        // The row lives again, with its old content: ours follows as an update.
        HF_TRY(store_.ChangeKind(current_.operation.sequence, Kind::kUpdate, judgement.version));
        return SendAgain();
      }
      return OnDone(judgement, false);
    case Verdict::kLookUp: return BeginLookup();
    case Verdict::kExists: return OnServerRow(judgement.row, judgement.version);
    case Verdict::kGone: return BeginLookup();
    case Verdict::kRefused:
      if (current_.method == Method::kUndelete) return OnUndeleteRefused();
      return IsReplaceOnly() ? SendAgain() : Park(judgement.error);
    case Verdict::kStop: result_.retry_after = answer_.retry_after(); return judgement.error;
  }
  return Ok();
}

Result<void> Push::OnLookup() {
  const Result<void>& outcome = answer_.outcome();
  if (!outcome && outcome.error().code == Code::kTooLarge) return OnUnseenRow(answer_.etag());
  const Judgement judgement = JudgeLookup(current_.operation.id.view(), answer_);
  switch (judgement.verdict) {
    case Verdict::kDone: return OnServerRow(judgement.row, judgement.version);
    case Verdict::kGone:
      if (current_.operation.kind == Kind::kDelete) return OnMissing();
      return BeginTombstone();
    case Verdict::kStop: result_.retry_after = answer_.retry_after(); return judgement.error;
    default: return Park(judgement.error);
  }
}

Result<void> Push::OnTombstone() {
  const Judgement judgement = JudgeTombstone(current_.operation.id.view(), answer_, room_.body);
  switch (judgement.verdict) {
    case Verdict::kDone: return OnServerRow(judgement.row, judgement.version);
    case Verdict::kGone:
    case Verdict::kRefused: return OnMissing();
    default: result_.retry_after = answer_.retry_after(); return judgement.error;
  }
}

bool Push::SameAsSent(RowView server_row) const {
  return store::DigestRow(*current_.operation.table, server_row, current_.content.mask) ==
         current_.content.digest;
}

// The server has what was sent. Outcomes are gathered and stored together; one whose row the server
// changed on the way needs that row, so it is stored at once.
Result<void> Push::OnDone(const Judgement& judgement, bool recognised) {
  const store::Operation& operation = current_.operation;
  store::Completion& completion = completions_[completion_count_];
  completion = {};
  completion.table = operation.table;
  completion.sequence = operation.sequence;
  completion.changes = window_[window_next_].changes;
  completion.id = operation.id;
  completion.recognised = recognised;
  HF_TRY(completion.version.Assign(judgement.version));
  HF_TRY(completion.created_at.Assign(FindText(judgement.row, kCreatedAt)));
  HF_TRY(completion.updated_at.Assign(FindText(judgement.row, kUpdatedAt)));
  if (completion_count_++ == 0) first_completion_ = clock_.Now();
  ++result_.pushed;
  if (recognised) ++result_.recognised;
  // Recognised: others may have written on top of ours since; that comes here as well.
  if (operation.kind != Kind::kDelete && !judgement.row.empty() &&
      (recognised || !SameAsSent(judgement.row))) {
    HF_TRY(ConformRow(*operation.table, judgement.row, answer_.arena(), server_fields_));
    completion.row = server_fields_.view();
    HF_TRY(WriteBack());
  } else if (current_.changed_by_handler) {
    completion.row = current_.content.fields;
    HF_TRY(WriteBack());
  } else if (completion_count_ == options_.window_rows) {
    HF_TRY(WriteBack());
  }
  NextOperation();
  return Ok();
}

// The server's true row is at hand: is it our own write, or somebody else's?
Result<void> Push::OnServerRow(RowView row, std::string_view version) {
  const store::Operation& operation = current_.operation;
  const Field* deleted = Find(row, kDeleted);
  const bool is_deleted =
      deleted != nullptr && !deleted->value.is_null() && deleted->value.integer != 0;
  if (operation.kind == Kind::kDelete && is_deleted) {
    return OnDone({Verdict::kDone, {}, {}, version}, true);
  }
  HF_TRY_ASSIGN(const store::Store::Sent sent, store_.WasSent(operation, row));
  if (operation.kind == Kind::kInsert && is_deleted) {
    // An old tombstone of this id; or an earlier push has made the row, somebody changed and
    // deleted it before its answer came, and only a person can tell what is wanted.
    const bool first_time = window_[window_next_].was_pending || operation.follows_own ||
                            current_.decided || sent == store::Store::Sent::kRaised;
    return first_time ? RaiseTombstone(row) : Conflict(row, version);
  }
  if (operation.kind != Kind::kDelete && SameAsSent(row)) {
    return OnDone({Verdict::kDone, {}, row, version}, true);
  }
  if (IsOlderThanOurs(version)) {
    HF_TRY(store_.ChangeKind(operation.sequence, Kind::kUpdate, version));
    return SendAgain();
  }
  if (sent == store::Store::Sent::kNever || is_deleted) return Conflict(row, version);
  // An earlier attempt arrived, and the row was edited since: send the rest on top of it.
  HF_TRY(ConformRow(*operation.table, row, answer_.arena(), server_fields_));
  if (sent == store::Store::Sent::kRaised) {
    HF_TRY(store_.Rebase(operation.sequence, version, server_fields_.view()));
    return SendAgain();
  }
  HF_TRY_ASSIGN(const bool ours,
                store_.Recognise(operation.sequence, version, server_fields_.view()));
  return ours ? SendAgain() : Conflict(row, version);
}

// A row that is sent again because the server lost its last state, and that had an earlier one
// then.
bool Push::IsOlderThanOurs(std::string_view version) const {
  const store::Operation& operation = current_.operation;
  const std::int64_t theirs = wire::MomentOfVersion(version);
  return operation.kind == Kind::kInsert && theirs != 0 &&
         theirs < wire::MomentOfVersion(operation.base_version.view());
}

// The server shows no row of this id.
Result<void> Push::OnMissing() {
  switch (current_.operation.kind) {
    case Kind::kDelete: return OnDone({Verdict::kDone, {}, {}, {}}, true);
    // It refused the insert all the same: a tombstone that it does not show.
    case Kind::kInsert: return RaiseTombstone({});
    case Kind::kUpdate: break;
  }
  return Conflict({}, {});
}

Result<void> Push::SendAgain() {
  HF_TRY(WriteBack());
  if (current_.tries >= kTriesMax) {
    // Left as attempted: the next push begins where this one gave up.
    edited_meanwhile_ = true;
    NextOperation();
    return Ok();
  }
  return Prepare();
}

bool Push::WriteBackDue() const {
  return completion_count_ > 0 && clock_.Now() - first_completion_ >= options_.write_back_interval;
}

Result<void> Push::WriteBack() {
  if (completion_count_ == 0) return Ok();
  const std::span<const store::Completion> batch{completions_.data(), completion_count_};
  completion_count_ = 0;
  HF_TRY_ASSIGN(const std::size_t stay, store_.Complete(batch));
  edited_meanwhile_ = edited_meanwhile_ || stay > 0;
  return Ok();
}

void Push::NextOperation() {
  ++window_next_;
  current_ = {};
  phase_ = Phase::kSend;
}

// Ends the push: what was acknowledged is stored, what was marked but never sent is pending again.
void Push::Finish(Result<void> outcome) {
  const bool in_flight = phase_ == Phase::kAnswer || phase_ == Phase::kLookup ||
                         phase_ == Phase::kTombstone || phase_ == Phase::kBeginUpload ||
                         phase_ == Phase::kFindUpload || phase_ == Phase::kAppend;
  const std::size_t unsent = window_next_ + (in_flight ? 1 : 0);
  if (auto written = WriteBack(); !written && outcome.ok()) outcome = written;
  if (unsent < window_count_) {
    auto unmarked = store_.UnmarkUnsent({window_.data() + unsent, window_count_ - unsent});
    if (!unmarked && outcome.ok()) outcome = unmarked;
  }
  result_.outcome = std::move(outcome);
  window_count_ = window_next_ = 0;
  phase_ = Phase::kDone;
  if (options_.handler != nullptr) options_.handler->AfterPush(result_);
}

}  // namespace holdfast::agent
