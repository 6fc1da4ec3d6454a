// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/remote.h"

#include <algorithm>

#include "agent/sync/cursor.h"
#include "transport/wire.h"

namespace holdfast::agent {
namespace {

using transport::Method;
using transport::Status;

constexpr hal::Duration kPumpWait = hal::Duration::Milliseconds(200);

// Pages need an order without ties, or a row may be on two of them and another on none.
Result<void> CompleteOrder(std::string_view order_by, FixedString<limits::kFilterBytes>& order) {
  HF_TRY(order.Assign(order_by));
  std::string_view last = order_by.substr(order_by.rfind(',') + 1);
  last.remove_prefix(std::min(last.find_first_not_of(' '), last.size()));
  if (EqualsIgnoreCase(last.substr(0, last.find(' ')), kId)) return Ok();
  return order.Append(order_by.empty() ? "id" : ",id");
}

Error Missing(const char* what) { return {Code::kNotFound, Origin::kNone, 0, what}; }

}  // namespace

// One page of a list. What is no page is kept as an answer, for the server's words.
class Remote::Page : public transport::ResponseSink, public RowSink {
 public:
  Page(Workspace& workspace, std::uint64_t& wanted, RowSink& sink)
      : refusal_(workspace.answer),
        wanted_(wanted),
        sink_(sink),
        room_(workspace.pull),
        arena_(room_.arena) {}

  void Reset() {
    is_rows_ = false;
    link_.clear();
    arena_.Reset();
    reader_.emplace(room_.row, arena_, *this);
    refusal_.Reset();
  }

  Result<void> OnHead(const transport::ResponseHead& head) override {
    is_rows_ = head.status == Status::kOk && head.is_json;
    HF_TRY(link_.Assign(head.continuation));
    return refusal_.OnHead(head);
  }
  Result<void> OnBody(std::string_view chunk) override {
    return is_rows_ ? reader_->Feed(chunk) : refusal_.OnBody(chunk);
  }
  void OnDone(Result<void> outcome) override { refusal_.OnDone(outcome); }

  Result<void> OnRow(RowView row) override {
    if (wanted_ == 0) return Ok();  // a server that sends more than it was asked for
    --wanted_;
    return sink_.OnRow(row);
  }

  bool is_rows() const { return is_rows_; }
  Result<void> Finish() { return reader_->Finish(); }
  std::uint64_t rows() const { return reader_->rows(); }
  std::string_view link() const { return link_.empty() ? reader_->next_link() : link_.view(); }

 private:
  Answer& refusal_;
  std::uint64_t& wanted_;
  RowSink& sink_;
  Workspace::OfPull& room_;
  Arena arena_;
  std::optional<wire::PageReader> reader_;
  FixedString<limits::kUrlBytes> link_;
  bool is_rows_ = false;
};

Remote::Remote(transport::Transport& transport, hal::Random& random, Workspace& workspace,
               hal::Duration timeout, std::function<bool()> interrupted)
    : transport_(transport),
      random_(random),
      timeout_(timeout),
      interrupted_(std::move(interrupted)),
      workspace_(workspace),
      answer_(workspace.answer) {}

Result<void> Remote::Exchange(transport::Request& request) {
  request.timeout = timeout_;
  words_ = {};
  answer_.Reset();
  HF_TRY(transport_.Begin(request, answer_));
  while (transport_.Pump(kPumpWait)) {
    if (interrupted_()) transport_.Cancel();
  }
  return answer_.outcome();
}

Result<void> Remote::Refusal(const Error& error) {
  if (error.origin == Origin::kHttp) words_ = answer_.Words(words_room_);
  return error;
}

Result<void> Remote::Lookup(std::string_view table, std::string_view id, RowSink& sink) {
  HF_TRY(CheckId(id));
  transport::Request request;
  request.method = Method::kLookup;
  request.table = table;
  request.id = id;
  HF_TRY(Exchange(request));
  const Judgement judgement = JudgeLookup(id, answer_);
  if (judgement.verdict == Verdict::kGone) return Missing("no such row on the server");
  if (judgement.verdict != Verdict::kDone) return Refusal(judgement.error);
  return sink.OnRow(judgement.row);
}

Result<void> Remote::List(std::string_view table, const RemoteQuery& query, RowSink& sink) {
  std::uint64_t wanted = query.top, skip = query.skip;
  Page page(workspace_, wanted, sink);
  FixedString<limits::kUrlBytes> link;
  FixedString<limits::kFilterBytes> order;
  HF_TRY(CompleteOrder(query.order_by, order));
  while (wanted > 0) {
    transport::Request request;
    request.table = table;
    request.timeout = timeout_;
    request.list.filter = query.filter;
    request.list.order_by = order.view();
    request.list.top = std::uint32_t(std::min<std::uint64_t>(query.page_rows, wanted));
    request.list.skip = std::uint32_t(std::min<std::uint64_t>(skip, UINT32_MAX));
    request.list.continuation = link.view();
    page.Reset();
    HF_TRY(transport_.Begin(request, page));
    while (transport_.Pump(kPumpWait)) {
      if (interrupted_()) transport_.Cancel();
    }
    HF_TRY(answer_.outcome());
    if (!page.is_rows()) return Refusal(StatusError(answer_));
    HF_TRY(page.Finish());
    if (page.rows() == 0) break;
    skip += page.rows();
    HF_TRY(link.Assign(page.link()));
    // Plain servers cap pages without a word, so that only a very short one is surely the last.
    const std::uint64_t full = transport_.capabilities().holdfast
                                   ? request.list.top
                                   : std::min(request.list.top, Cursor::kSmallestServerPage);
    if (link.empty() && page.rows() < full) break;
  }
  return Ok();
}

Result<void> Remote::Write(Method method, std::string_view table, std::string_view id,
                           std::string_view version, Verdict& verdict) {
  transport::Request request;
  request.method = method;
  request.table = table;
  request.id = id;
  request.if_match = version;
  if (method == Method::kInsert || method == Method::kUpdate) request.body = body_text_;
  HF_TRY(Exchange(request));
  const Judgement judgement = JudgeWrite(method, id, answer_);
  verdict = judgement.verdict;
  if (verdict == Verdict::kRefused || verdict == Verdict::kStop) return Refusal(judgement.error);
  // A write that succeeded without a word has to be looked up by a sync; here it is done.
  const bool success = answer_.status() == Status::kOk || answer_.status() == Status::kCreated ||
                       answer_.status() == Status::kNoContent;
  if (verdict == Verdict::kLookUp) verdict = success ? Verdict::kDone : Verdict::kExists;
  return Ok();
}

Result<void> Remote::MakeId(store::Id& id) {
  std::byte bytes[16];
  HF_TRY(random_.Fill(bytes));
  char text[2 * sizeof bytes];
  TextWriter writer(text);
  writer.PutHex({reinterpret_cast<const char*>(bytes), sizeof bytes});
  return id.Assign(writer.view());
}

// The row as the next write's body, its id first.
Result<void> Remote::SetBody(RowView row, store::Id& id) {
  HF_TRY(id.Assign(FindText(row, kId)));
  if (id.empty()) HF_TRY(MakeId(id));
  HF_TRY(CheckId(id.view()));
  RowFields fields;
  HF_TRY(fields.Add(kId, ColumnType::kText, Value::Text(id.view())));
  for (const Field& field : row) {
    if (field.name != kId) HF_TRY(fields.Add(field.name, field.type, field.value));
  }
  TextWriter body(workspace_.push.body);
  HF_TRY(wire::EncodeRow(fields.view(), body));
  body_text_ = body.view();
  return Ok();
}

Result<void> Remote::Insert(std::string_view table, RowView row, store::Id& id) {
  HF_TRY(SetBody(row, id));
  Verdict verdict = Verdict::kDone;
  HF_TRY(Write(Method::kInsert, table, id.view(), {}, verdict));
  if (verdict == Verdict::kDone) return Ok();
  return Error{Code::kExists, Origin::kNone, 0, "the server has a row of that id"};
}

Result<void> Remote::Update(std::string_view table, RowView row, std::string_view version) {
  store::Id id;
  if (FindText(row, kId).empty()) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0, "an update needs the row's id"};
  }
  HF_TRY(SetBody(row, id));
  Verdict verdict = Verdict::kDone;
  HF_TRY(Write(Method::kUpdate, table, id.view(), version, verdict));
  if (verdict == Verdict::kDone) return Ok();
  if (verdict == Verdict::kGone) return Missing("no such row on the server");
  return Error{Code::kConflict, Origin::kNone, 0, "the row changed on the server"};
}

Result<void> Remote::Put(std::string_view table, RowView row, std::string_view version,
                         store::Id& id) {
  const bool is_new = FindText(row, kId).empty();
  HF_TRY(SetBody(row, id));

  const Error changed{Code::kConflict, Origin::kNone, 0, "the row changed on the server"};
  Verdict verdict = Verdict::kGone;
  if (!is_new) HF_TRY(Write(Method::kUpdate, table, id.view(), version, verdict));
  if (verdict == Verdict::kDone) return Ok();
  if (verdict != Verdict::kGone || !version.empty()) return changed;
  HF_TRY(Write(Method::kInsert, table, id.view(), {}, verdict));
  if (verdict == Verdict::kDone) return Ok();
  // The id belongs to a row that was deleted softly: it lives again, then it is changed.
  HF_TRY(Write(Method::kUndelete, table, id.view(), {}, verdict));
  if (verdict != Verdict::kDone) return changed;
  HF_TRY(Write(Method::kUpdate, table, id.view(), {}, verdict));
  return verdict == Verdict::kDone ? Ok() : Result<void>(changed);
}

Result<void> Remote::Delete(std::string_view table, std::string_view id) {
  HF_TRY(CheckId(id));
  Verdict verdict = Verdict::kDone;
  HF_TRY(Write(Method::kDelete, table, id, {}, verdict));
  if (answer_.status() == Status::kNotFound || answer_.status() == Status::kGone) {
    return Missing("no such row on the server");
  }
  if (verdict == Verdict::kDone) return Ok();
  return Error{Code::kConflict, Origin::kNone, 0, "the row changed on the server"};
}

}  // namespace holdfast::agent
