// SPDX-License-Identifier: Apache-2.0
// A bulk is what its operations are, one after the other; and a server remembers what it has said.
#include "hal/base/text.h"
#include "transport/sim/sim_server.h"
#include "transport/wire.h"
#include "transport/wire_moment.h"

namespace holdfast::transport {
namespace {

constexpr std::size_t kAnswerBytes = limits::kRowBytes;

Method MethodOf(wire::BulkKind kind) {
  switch (kind) {
    case wire::BulkKind::kUpdate: return Method::kUpdate;
    case wire::BulkKind::kDelete: return Method::kDelete;
    default: return Method::kInsert;
  }
}

std::uint64_t DigestOf(const wire::BulkOperation& operation) {
  std::uint64_t digest = DigestValue(kDigestStart, ColumnType::kText, Value::Text(operation.id));
  for (const Field& field : operation.fields) {
    digest = DigestValue(digest, ColumnType::kText, Value::Text(field.name));
    digest = DigestValue(digest, field.type, field.value);
  }
  return digest;
}

std::string RowJson(const wire::BulkOperation& operation) {
  RowFields row;
  HF_ASSERT(row.Add(kId, ColumnType::kText, Value::Text(operation.id)).ok());
  for (const Field& field : operation.fields) {
    HF_ASSERT(row.Add(field.name, field.type, field.value).ok());
  }
  std::string room(2 * limits::kRowBytes, '\0');
  TextWriter out(room);
  HF_ASSERT(wire::EncodeRow(row.view(), out).ok());
  return std::string(out.view());
}

SimAnswer Forgotten(const char* reason, const std::string& newest) {
  SimAnswer answer;
  answer.status = 409;
  answer.body = std::string("{\"error\":\"whose memory is it?\",\"reason\":\"") + reason +
                "\",\"newest\":\"" + newest + "\"}";
  return answer;
}

}  // namespace

std::optional<SimAnswer> SimServer::CheckSender(const wire::BulkSender& said,
                                                Sender& sender) const {
  if (said.acknowledged < sender.acknowledged || said.applied < sender.told_applied) {
    return Forgotten("rewound", "");
  }
  if (said.applied > sender.applied) {
    const std::string newest(FormatTimestamp(last_change_, options_.date_decimals).view());
    return Forgotten("restored", last_change_ == 0 ? "" : newest);
  }
  sender.acknowledged = said.acknowledged;
  sender.told_applied = said.applied;
  sender.kept.erase(sender.kept.begin(), sender.kept.upper_bound(said.acknowledged));
  return std::nullopt;
}

SimServer::Verdict SimServer::ApplyBulk(const wire::BulkOperation& operation) {
  Request single;
  single.method = MethodOf(operation.kind);
  single.table = operation.table;
  single.id = operation.id;
  single.if_match = operation.if_match;
  const std::string body = operation.kind == wire::BulkKind::kDelete ? "" : RowJson(operation);
  single.body = body;
  const std::size_t mark = arena_.Mark();
  const SimAnswer answer = operation.kind == wire::BulkKind::kInsert   ? Insert(single)
                           : operation.kind == wire::BulkKind::kUpdate ? Update(single)
                                                                       : Remove(single);
  arena_.ResetTo(mark);
  return {answer.status, last_change_ / kTicksPerMicrosecond, answer.body};
}

SimAnswer SimServer::Bulk(const Request& request) {
  SimAnswer answer;
  wire::BulkReader reader(request.body, wire::Encoding::kJson, arena_);
  wire::BulkSender said;
  if (!reader.Begin(said)) return {400, true, "{\"error\":\"not a bulk\"}", {}, {}, {-1}};
  Sender& sender = senders_[std::string(said.installation) + "/" + std::string(said.incarnation)];
  if (auto forgotten = CheckSender(said, sender)) return *forgotten;
  std::string room(kAnswerBytes, '\0');
  wire::BulkAnswerWriter out(room);
  for (;;) {
    wire::BulkOperation operation;
    auto more = reader.Next(operation);
    HF_ASSERT(more.ok());
    if (!*more) break;
    const auto kept = sender.kept.find(operation.sequence);
    if (kept != sender.kept.end()) {
      const Kept& was = kept->second;
      const bool same = was.changes == operation.changes;
      if (same && was.digest != DigestOf(operation)) return Forgotten("rewound", "");
      // Standing on what it was told, the operation says something new.
      if (same || wire::MomentOfVersion(operation.if_match) < was.moment) {
        HF_ASSERT(out.Done({operation.sequence, 1, was.moment, same ? -1 : was.changes}));
        continue;
      }
    }
    const std::uint64_t digest = DigestOf(operation);
    const std::int64_t sequence = operation.sequence, changes = operation.changes;
    const Verdict verdict = ApplyBulk(operation);
    if (verdict.status < 300) {
      sender.kept[sequence] = {changes, verdict.moment, digest};
      sender.applied = std::max(sender.applied, sequence);
      HF_ASSERT(out.Done({sequence, 1, verdict.moment, -1}));
    } else {
      HF_ASSERT(out.Refused(sequence, verdict.status, "refused"));
    }
  }
  ++bulks_;
  auto body = out.Finish();
  HF_ASSERT(body.ok());
  answer.body = *body;
  return answer;
}

void SimServer::Remember() {
  remembered_tables_ = tables_;
  remembered_senders_ = senders_;
  remembered_change_ = last_change_;
}

void SimServer::GoBack() {
  tables_ = remembered_tables_;
  senders_ = remembered_senders_;
  last_change_ = remembered_change_;
}

}  // namespace holdfast::transport
