// SPDX-License-Identifier: Apache-2.0
#include "transport/sim/sim_server.h"

#include <algorithm>

#include "hal/base/text.h"
#include "transport/sim/sim_filter.h"
#include "transport/wire.h"
#include "transport/wire_moment.h"

namespace holdfast::transport {
namespace {

constexpr std::size_t kArenaBytes = limits::kUploadBytes + 4 * limits::kRowBytes;

SimAnswer Refusal(int status, std::string_view words) {
  SimAnswer answer;
  answer.status = status;
  answer.body = "{\"error\":\"" + std::string(words) + "\"}";
  return answer;
}

std::string JsonText(std::string_view text) {
  std::string room(6 * text.size() + 2, '\0');
  TextWriter out(room);
  wire::EncodeString(text, out);
  return std::string(out.view());
}

// A row's place in an order such as "updatedAt,id desc".
bool Before(const SimRow& a, const SimRow& b, std::string_view order) {
  while (!order.empty()) {
    std::string_view key = order.substr(0, order.find(','));
    order.remove_prefix(std::min(key.size() + 1, order.size()));
    while (!key.empty() && key.front() == ' ') key.remove_prefix(1);
    const std::size_t blank = key.find(' ');
    const bool descending = blank != key.npos && key.find("desc", blank) != key.npos;
    const std::string_view name = key.substr(0, blank);
    const int sign =
        SimFilter::Compare(SimFilter::Column(a, name), SimFilter::Column(b, name)).value_or(0);
    if (sign != 0) return descending ? sign > 0 : sign < 0;
  }
  return a.id < b.id;
}

bool InRange(const SimRow& row, const ListQuery& list) {
  if (row.deleted && !list.include_deleted) return false;
  const auto since = ParseTimestamp(list.since), before = ParseTimestamp(list.before);
  if (since && row.updated_at < *since) return false;
  if (before && row.updated_at >= *before) return false;
  return list.after_id.empty() || row.id > list.after_id;
}

}  // namespace

SimValue SimValue::From(const Value& value) {
  SimValue result;
  result.type = value.type;
  if (value.type == ValueType::kInteger || value.type == ValueType::kBoolean) {
    result.integer = value.integer;
  }
  if (value.type == ValueType::kReal) result.real = value.real;
  result.text = value.text;
  return result;
}

Value SimValue::view() const {
  switch (type) {
    case ValueType::kNull: return Value::Null();
    case ValueType::kInteger: return Value::Integer(integer);
    case ValueType::kReal: return Value::Real(real);
    case ValueType::kBoolean: return Value::Boolean(integer != 0);
    case ValueType::kText: return Value::Text(text);
    case ValueType::kBlob: return Value::Blob(text);
  }
  return Value::Null();
}

const SimValue* SimRow::Find(std::string_view name) const {
  for (const auto& [column, value] : columns) {
    if (EqualsIgnoreCase(column, name)) return &value;
  }
  return nullptr;
}

void SimRow::Set(std::string_view name, SimValue value) {
  for (auto& [column, old] : columns) {
    if (!EqualsIgnoreCase(column, name)) continue;
    old = std::move(value);
    return;
  }
  columns.emplace_back(std::string(name), std::move(value));
}

SimServer::SimServer(const hal::Clock& clock, const Options& options)
    : clock_(clock),
      options_(options),
      arena_bytes_(new char[kArenaBytes]),
      arena_({arena_bytes_.get(), kArenaBytes}) {}

SimAnswer SimServer::Handle(const Request& request) {
  arena_.Reset();
  const bool toolkit = options_.flavour == SimFlavour::kToolkit;
  switch (request.method) {
    case Method::kList: return List(request);
    case Method::kLookup: return Lookup(request);
    case Method::kInsert: return Insert(request);
    case Method::kUpdate: return toolkit ? Refusal(405, "no PATCH") : Update(request);
    case Method::kReplace:
      if (options_.flavour != SimFlavour::kNode) return Update(request);
      return {404, false, "<html>Cannot PUT</html>", {}, {}, hal::Duration{-1}};
    case Method::kDelete: return Remove(request);
    case Method::kWatch: return Watch(request);
    case Method::kBulk: return options_.bulk ? Bulk(request) : Refusal(404, "no such thing");
    case Method::kBeginUpload:
    case Method::kAppendUpload:
    case Method::kFindUpload:
      if (!options_.uploads) return Refusal(404, "no such thing");
      return request.method == Method::kBeginUpload    ? BeginUpload(request)
             : request.method == Method::kAppendUpload ? AppendUpload(request)
                                                       : FindUpload(request);
    case Method::kUndelete:
      if (!toolkit) return Undelete(request);
      return request.body.empty() ? Refusal(405, "no PATCH") : Update(request);
  }
  return Refusal(400, "no such method");
}

// It knows nobody by name, so every change is somebody else's.
SimAnswer SimServer::Watch(const Request& request) const {
  SimAnswer answer;
  answer.is_json = false;
  const std::string moment(FormatTimestamp(last_change_, 7).view());
  if (options_.flavour != SimFlavour::kHoldfast) {
    answer.status = 404;
  } else if (last_change_ == 0 || moment <= request.list.since) {
    answer.status = 204;
  } else {
    answer.body = moment;
  }
  return answer;
}

// ---- reading

SimAnswer SimServer::List(const Request& asked) {
  Request request = asked;
  if (!asked.list.continuation.empty()) {
    const auto page = pages_.find(asked.list.continuation);
    if (page == pages_.end()) return Refusal(400, "no such page");
    request = page->second;
  }
  const ListQuery& list = request.list;
  if (list.top > options_.top_rows) return Refusal(400, "too many records asked for");
  SimFilter filter;
  if (!filter.Parse(list.filter)) return Refusal(400, "a filter that is not understood");
  std::vector<const SimRow*> rows;
  for (const auto& [id, row] : table(request.table)) {
    if (InRange(row, list) && filter.Passes(row)) rows.push_back(&row);
  }
  std::sort(rows.begin(), rows.end(),
            [&](const SimRow* a, const SimRow* b) { return Before(*a, *b, list.order_by); });
  const std::size_t start = std::min<std::size_t>(list.skip, rows.size());
  const std::size_t wanted = list.top == 0 ? options_.page_rows : list.top;
  const std::size_t end =
      std::min(start + std::min<std::size_t>(wanted, options_.top_rows), rows.size());
  SimAnswer answer;
  answer.body = "[";
  for (std::size_t i = start; i < end; ++i) {
    if (i > start) answer.body += ',';
    const std::string row = Json(*rows[i]);
    answer.body += list.ids_only ? "{\"id\":" + JsonText(rows[i]->id) + "}"
                   : list.longest_row > 0 && row.size() > list.longest_row
                       ? SizeOnly(*rows[i], row.size())
                       : row;
  }
  answer.body += ']';
  std::string next;
  if (end < rows.size() && options_.flavour != SimFlavour::kNode) {
    const auto keep = [&](std::string_view& text) {
      page_texts_.push_back(std::make_unique<std::string>(text));
      text = *page_texts_.back();
    };
    Request later = request;
    for (std::string_view* text :
         {&later.table, &later.list.filter, &later.list.since, &later.list.before,
          &later.list.after_id, &later.list.order_by}) {
      keep(*text);
    }
    later.list.skip = std::uint32_t(end);
    next = "page=" + std::to_string(pages_.size() + 1);
    pages_.emplace(next, later);
  }
  if (options_.flavour == SimFlavour::kToolkit) {
    answer.body = "{\"items\":" + answer.body +
                  ",\"count\":null,\"nextLink\":" + (next.empty() ? "null" : JsonText(next)) + "}";
  } else {
    answer.continuation = next;
  }
  return answer;
}

SimAnswer SimServer::Lookup(const Request& request) {
  const SimRow* row = Find(request.table, request.id);
  if (row == nullptr) return Missing(false);
  if (row->deleted && options_.flavour == SimFlavour::kNode) return Missing(true);
  SimAnswer answer = RowAnswer(200, *row);
  const bool rest =
      options_.uploads && request.have_bytes > 0 && request.if_match == answer.version;
  if (rest && request.have_bytes >= answer.body.size()) return Refusal(416, "there is no more");
  if (rest) {
    answer.body_from = std::int64_t(request.have_bytes);
    answer.body.erase(0, request.have_bytes);
  }
  return answer;
}

// Of a row that is too long to be shown.
std::string SimServer::SizeOnly(const SimRow& row, std::size_t bytes) const {
  const TimestampText updated = FormatTimestamp(row.updated_at, options_.date_decimals);
  return "{\"id\":" + JsonText(row.id) + ",\"updatedAt\":\"" + std::string(updated.view()) +
         "\",\"version\":\"" + VersionText(row) + "\",\"" + std::string(kBytesOfRow) +
         "\":" + std::to_string(bytes) + ",\"deleted\":" + (row.deleted ? "true" : "false") + "}";
}

// ---- writing

SimAnswer SimServer::Insert(const Request& request) {
  RowFields fields;
  if (!Decode(request.body, fields)) return Refusal(400, "not a row");
  std::string id(FindText(fields.view(), kId));
  if (id.empty()) id = NewId();
  if (const SimRow* row = Find(request.table, id)) {
    if (options_.flavour != SimFlavour::kNode) return RowAnswer(409, *row);
    SimAnswer echo;
    echo.status = 409;
    echo.body = request.body;
    return echo;
  }
  SimRow& row = Store(request.table, id, fields);
  row.created_at = row.updated_at;
  ++row.inserts;
  return RowAnswer(201, row);
}

SimAnswer SimServer::Update(const Request& request) {
  RowFields fields;
  if (!Decode(request.body, fields)) return Refusal(400, "not a row");
  const std::string_view id = FindText(fields.view(), kId);
  if (!id.empty() && id != request.id) return Refusal(400, "the ids did not match");
  const SimRow* row = Find(request.table, request.id);
  const bool raise = request.method == Method::kUndelete;
  if (row == nullptr || (row->deleted && !raise)) return Missing(row != nullptr);
  if (auto stale = Stale(request, *row)) return *stale;
  SimRow& stored = tables_.find(request.table)->second.find(request.id)->second;
  if (request.method != Method::kUpdate) stored.columns.clear();
  if (raise) stored.deleted = false;
  return RowAnswer(200, Store(request.table, request.id, fields));
}

SimAnswer SimServer::Remove(const Request& request) {
  const SimRow* row = Find(request.table, request.id);
  if (row == nullptr || row->deleted) return Missing(row != nullptr);
  if (auto stale = Stale(request, *row)) return *stale;
  Delete(request.table, request.id);
  const SimRow* gone = Find(request.table, request.id);
  if (gone == nullptr || options_.flavour == SimFlavour::kToolkit) {
    return {204, false, {}, {}, {}, hal::Duration{-1}};
  }
  return RowAnswer(200, *gone);
}

SimAnswer SimServer::Undelete(const Request& request) {
  const auto table = tables_.find(request.table);
  if (table == tables_.end()) return Missing(false);
  const auto row = table->second.find(request.id);
  if (row == table->second.end()) return Missing(false);
  if (auto stale = Stale(request, row->second)) return *stale;
  row->second.deleted = false;
  return RowAnswer(201, Touch(row->second));
}

void SimServer::Put(std::string_view table, std::string_view json) {
  arena_.Reset();
  RowFields fields;
  HF_ASSERT(Decode(json, fields));
  SimRow& row = Store(table, FindText(fields.view(), kId), fields);
  if (row.created_at == 0) row.created_at = row.updated_at;
  row.deleted = false;
}

void SimServer::SetText(std::string_view table, std::string_view id, std::string_view column,
                        std::string_view text) {
  SimRow& row = tables_.find(table)->second.find(id)->second;
  row.Set(column, SimValue::From(Value::Text(text)));
  Touch(row);
}

void SimServer::Delete(std::string_view table, std::string_view id) {
  const auto found = tables_.find(table);
  if (found == tables_.end()) return;
  const auto row = found->second.find(id);
  if (row == found->second.end()) return;
  if (!options_.soft_delete) {
    found->second.erase(row);
    ++writes_;
    return;
  }
  row->second.deleted = true;
  Touch(row->second);
}

void SimServer::Backdate(std::string_view table, std::string_view id, hal::Duration by) {
  SimRow& row = tables_.find(table)->second.find(id)->second;
  row.updated_at -= by.milliseconds() * kTicksPerMillisecond;
}

SimRow& SimServer::Store(std::string_view table, std::string_view id, const RowFields& fields) {
  SimRow& row = tables_[std::string(table)][std::string(id)];
  row.id = id;
  for (const Field& field : fields.view()) {
    if (!IsSystemColumn(field.name)) row.Set(field.name, SimValue::From(field.value));
  }
  return Touch(row);
}

// Strictly increasing, whatever the clock does: readers of changes depend on it.
SimRow& SimServer::Touch(SimRow& row) {
  const Ticks now = clock_.Wall().unix_ms * kTicksPerMillisecond;
  last_change_ = std::max(now, last_change_ + kTicksPerMillisecond);
  if (options_.bulk)
    last_change_ = std::max(last_change_, wire::kFirstMoment * kTicksPerMicrosecond);
  row.updated_at = last_change_;
  row.version = options_.bulk ? std::uint64_t(last_change_ / kTicksPerMicrosecond) : ++versions_;
  ++writes_;
  return row;
}

std::string SimServer::VersionText(const SimRow& row) const {
  if (!options_.bulk) return std::to_string(row.version);
  const wire::MomentVersion version = wire::VersionOfMoment(std::int64_t(row.version));
  return {version.data(), version.size()};
}

// ---- answers

SimAnswer SimServer::RowAnswer(int status, const SimRow& row) const {
  SimAnswer answer;
  answer.status = status;
  answer.body = Json(row);
  answer.version = VersionText(row);
  return answer;
}

SimAnswer SimServer::Missing(bool was_deleted) const {
  const bool gone = was_deleted && options_.flavour == SimFlavour::kToolkit;
  return Refusal(gone ? 410 : 404, "The item does not exist");
}

std::optional<SimAnswer> SimServer::Stale(const Request& request, const SimRow& row) const {
  if (request.if_match.empty() || request.if_match == VersionText(row)) {
    return std::nullopt;
  }
  return RowAnswer(412, row);
}

std::string SimServer::Json(const SimRow& row) const {
  RowFields fields;
  const TimestampText created = FormatTimestamp(row.created_at, options_.date_decimals);
  const TimestampText updated = FormatTimestamp(row.updated_at, options_.date_decimals);
  const std::string version = VersionText(row);
  std::size_t bytes = 512 + 6 * row.id.size();
  const auto add = [&](std::string_view name, const Value& value) {
    HF_ASSERT(fields.Add(name, ColumnType::kAny, value).ok());
  };
  add(kId, Value::Text(row.id));
  for (const auto& [name, value] : row.columns) {
    add(name, value.view());
    bytes += 6 * (name.size() + value.text.size()) + 64;
  }
  if (options_.flavour != SimFlavour::kToolkit) add(kCreatedAt, Value::Text(created.view()));
  add(kUpdatedAt, Value::Text(updated.view()));
  add(kVersion, Value::Text(version));
  add(kDeleted, Value::Boolean(row.deleted));
  std::string room(bytes, '\0');
  TextWriter out(room);
  HF_ASSERT(wire::EncodeRow(fields.view(), out).ok());
  return std::string(out.view());
}

bool SimServer::Decode(std::string_view json, RowFields& fields) {
  return wire::DecodeRow(json, arena_, fields, {.most_bytes = most_bytes_}).ok();
}

std::string SimServer::NewId() { return "server-" + std::to_string(++ids_); }

const SimServer::Table& SimServer::table(std::string_view name) const {
  static const Table kEmpty;
  const auto found = tables_.find(name);
  return found == tables_.end() ? kEmpty : found->second;
}

const SimRow* SimServer::Find(std::string_view name, std::string_view id) const {
  const Table& rows = table(name);
  const auto found = rows.find(id);
  return found == rows.end() ? nullptr : &found->second;
}

}  // namespace holdfast::transport
