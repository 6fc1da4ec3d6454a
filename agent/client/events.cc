// SPDX-License-Identifier: Apache-2.0
#include "agent/client/impl.h"
#include "agent/sync/conform.h"

namespace holdfast {

Operation OperationOf(const store::Operation& operation) {
  Operation made;
  made.table = operation.table->name();
  made.id = operation.id.view();
  made.attempts = operation.attempts;
  switch (operation.kind) {
    case store::Kind::kInsert: made.action = Action::kInsert; break;
    case store::Kind::kUpdate: made.action = Action::kUpdate; break;
    case store::Kind::kDelete: made.action = Action::kDelete; break;
  }
  return made;
}

EventsHandler::Before EventsHandler::BeforeSend(const store::Operation& operation, RowView content,
                                                RowFields& changed) {
  if (events == nullptr) return Before::kSend;
  sent_ = Row(content);
  switch (events->BeforeSend(OperationOf(operation), sent_)) {
    case Events::Send::kSkip: return Before::kSkip;
    case Events::Send::kAbort: return Before::kAbort;
    case Events::Send::kSend: break;
  }
  RowFields now;
  if (!sent_.AppendTo(now) || !sent_values_.Make(*operation.table, now.view())) {
    return Before::kSend;
  }
  for (const Field& field : sent_values_.view()) {
    const auto column = operation.table->Lookup(field.name);
    if (!column || IsSystemColumn(field.name)) continue;
    const Field* before = Find(content, field.name);
    if (before != nullptr && SameValue(column->type, before->value, field.value)) continue;
    (void)changed.Add(field.name, column->type, field.value);
  }
  return Before::kSend;
}

bool EventsHandler::OnConflict(const store::Operation& operation,
                               const store::Store::Copies& copies, RowView server_row,
                               store::Keep& keep, RowFields& merged) {
  if (events == nullptr) return false;
  Settle settle = Settle::kLocal;
  merged_ = Row();
  if (!events->OnConflict(OperationOf(operation), Row(copies.local), Row(server_row), settle,
                          merged_)) {
    return false;
  }
  switch (settle) {
    case Settle::kLocal: keep = store::Keep::kLocal; break;
    case Settle::kServer: keep = store::Keep::kServer; break;
    case Settle::kDiscard: keep = store::Keep::kNeither; break;
    case Settle::kMerged: keep = store::Keep::kMerged; break;
  }
  if (keep != store::Keep::kMerged) return true;
  // An answer that cannot be carried out leaves the row to the policy: it must not end the push.
  RowFields given;
  return merged_.AppendTo(given).ok() && merged_values_.Make(*operation.table, given.view()).ok() &&
         MergedColumns(*operation.table, merged_values_.view(), server_row, merged).ok();
}

Result<void> MergedColumns(const store::Table& table, RowView merged, RowView server,
                           RowFields& columns) {
  for (const Field& field : merged) {
    if (IsSystemColumn(field.name)) continue;
    if (table.Lookup(field.name)) {
      HF_TRY(columns.Add(field.name, field.type, field.value));
      continue;
    }
    const Field* there = Find(server, field.name);
    if (there == nullptr || !SameValue(field.type, there->value, field.value)) {
      return Error{Code::kInvalidArgument, Origin::kNone, 0, "the device has no such column"};
    }
  }
  return Ok();
}

Result<void> Conformed::Make(const store::Table& table, RowView row) {
  // Values only shrink, dates and the names of their zones apart.
  std::size_t bytes = 1024;
  for (const Field& field : row) bytes += field.value.text.size() + 64;
  bytes_.reset(new char[bytes]);
  Arena arena({bytes_.get(), bytes});
  return agent::ConformRow(table, row, arena, fields_);
}

EventsHandler::Refused EventsHandler::OnRefused(const store::Operation& operation,
                                                const Error& error) {
  if (events == nullptr) return Refused::kPark;
  switch (events->OnRefused(OperationOf(operation), error)) {
    case Events::Refused::kPark: return Refused::kPark;
    case Events::Refused::kRetry: return Refused::kRetry;
    case Events::Refused::kAbort: return Refused::kAbort;
  }
  return Refused::kPark;
}

void EventsHandler::OnPulled(const store::Table& table, RowView server_row,
                             store::Applied applied) {
  if (events == nullptr) return;
  events->OnPulled(table.name(), Row(server_row), applied == store::Applied::kDeleted);
}

}  // namespace holdfast
