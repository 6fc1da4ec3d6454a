// SPDX-License-Identifier: Apache-2.0
// What becomes of an operation that the server did not take as it is: raised, settled, kept in
// conflict, or parked.
#include "agent/sync/conform.h"
#include "agent/sync/push.h"
#include "hal/base/log.h"

namespace holdfast::agent {

using transport::Method;

// The id was deleted on the server, and somebody here wants it again: the row is raised, and what
// it holds now follows as an update. Its old content is noted as sent, so that a raised row whose
// answer was lost is known for our doing.
Result<void> Push::RaiseTombstone(RowView tombstone) {
  if (current_.method == Method::kUndelete) return KeepConflict({}, {});
  const store::Operation& operation = current_.operation;
  HF_TRY(current_.tombstone.Assign(FindText(tombstone, kVersion)));
  if (!tombstone.empty()) {
    store::Store::Attempt raised;
    raised.sequence = operation.sequence;
    raised.changes = operation.changes;
    raised.mask = store::Store::kRaised;
    raised.digest = store::DigestRow(*operation.table, tombstone, raised.mask);
    HF_TRY(store_.MarkAttempted({&raised, 1}));
  }
  current_.method = Method::kUndelete;
  transport::Request request;
  request.method = Method::kUndelete;
  request.table = operation.table->name();
  request.id = operation.id.view();
  request.if_match = current_.tombstone.view();  // somebody else may raise it as well
  return Send(request, Phase::kAnswer);
}

// Some servers of 3.0 raise a row only by replacing it whole.
Result<void> Push::OnUndeleteRefused() {
  const bool not_this_way = answer_.status() == transport::Status::kMethodNotAllowed;
  if (!not_this_way || !TakesReplace() || current_.raised_whole) return KeepConflict({}, {});
  current_.raised_whole = true;
  TextWriter body(room_.body);
  HF_TRY(EncodeBody(body));
  transport::Request request;
  request.method = Method::kUndelete;
  request.table = current_.operation.table->name();
  request.id = current_.operation.id.view();
  request.if_match = current_.tombstone.view();
  request.body = body.view();
  return Send(request, Phase::kAnswer);
}

// The row changed on the server since the edit began. The handler, then the table's policy may
// settle that here; else both copies are kept until somebody does.
Result<void> Push::Conflict(RowView row, std::string_view version) {
  HF_TRY(WriteBack());
  HF_TRY(ConformRow(*current_.operation.table, row, answer_.arena(), server_fields_));
  HF_TRY_ASSIGN(const bool settled, Settle(server_fields_.view()));
  if (!settled) return KeepConflict(row, version);
  ++result_.resolved;
  current_.decided = true;
  return SendAgain();
}

// false: nobody here can decide.
Result<bool> Push::Settle(RowView server_row) {
  const store::Operation& operation = current_.operation;
  const ConflictPolicy& policy = options_.policies[std::size_t(operation.table->number())];
  if (options_.handler == nullptr && policy.rule == Rule::kAsk) return false;
  // No request is under way: the room of its body is free.
  Arena arena(room_.body);
  RowFields local, base, merged;
  HF_TRY_ASSIGN(const store::Store::Copies copies,
                store_.LoadCopies(operation.sequence, arena, local, base));
  store::Resolution resolution;
  resolution.server_row = server_row;
  resolution.changes = copies.changes;
  if (options_.handler != nullptr &&
      options_.handler->OnConflict(operation, copies, server_row, resolution.keep, merged)) {
    resolution.rule = "handler";
  } else {
    const Dispute dispute{operation.table, operation.kind, copies.local,
                          copies.base,     server_row,     operation.edited_unix_s};
    HF_TRY_ASSIGN(const Decision decision, Decide(policy, dispute, merged));
    if (decision.ask) return false;
    resolution.keep = decision.keep;
    resolution.rule = RuleName(decision.by);
  }
  resolution.merged = merged.view();
  auto done = store_.Resolve(operation.sequence, resolution);
  if (done) return true;
  // Edited while we looked: look again. A later operation stands on this one: somebody has to look.
  store::Operation now;
  HF_TRY_ASSIGN(const bool there, store_.Find(operation.sequence, now));
  if (there && now.changes != copies.changes) return true;
  if (done.error().code == Code::kBusy) return false;
  // A handler's merged row that does not fit must not keep other rows from going.
  if (done.error().code == Code::kInvalidArgument) {
    Log(LogLevel::kWarning, "push: a conflict of %s: the merged row cannot be stored",
        operation.id.c_str());
    return false;
  }
  return done.error();
}

Result<void> Push::KeepConflict(RowView row, std::string_view version) {
  TextWriter words(room_.body);
  if (!row.empty()) HF_TRY(wire::EncodeRow(row, words));
  store::OperationError error;
  error.kind = store::ErrorKind::kConflict;
  error.http_status = answer_.native_status();
  error.server_words = words.view();
  error.server_version = version;
  HF_TRY(store_.Fail(current_.operation.sequence, error));
  ++result_.conflicts;
  NextOperation();
  return Ok();
}

Result<void> Push::Park(const Error& error) {
  HF_TRY(WriteBack());
  if (options_.handler != nullptr) {
    switch (options_.handler->OnRefused(current_.operation, error)) {
      case SyncHandler::Refused::kPark: break;
      case SyncHandler::Refused::kRetry:
        if (current_.tries < kTriesMax) return SendAgain();
        break;
      case SyncHandler::Refused::kAbort:
        return Error{Code::kCancelled, Origin::kNone, 0, "stopped by the program's handler"};
    }
  }
  char words[limits::kServerWordsBytes];
  store::OperationError record;
  record.kind = store::ErrorKind::kParked;
  if (error.origin == Origin::kHttp) {
    record.http_status = error.native;
    record.server_words = answer_.Words(words);
  } else {
    record.server_words = Describe(error, words, sizeof words);
  }
  HF_TRY(store_.Fail(current_.operation.sequence, record));
  ++result_.parked;
  NextOperation();
  return Ok();
}

}  // namespace holdfast::agent
