// SPDX-License-Identifier: Apache-2.0
#include <cstring>
#include <new>

#include "holdfast/c.h"
#include "holdfast/holdfast.h"

using holdfast::Client;
using holdfast::Code;
using holdfast::Error;
using holdfast::Operation;
using holdfast::Result;
using holdfast::Row;

namespace {

constexpr std::size_t kChangedRowBytes = 1 << 20;

static_assert(int(holdfast::Settle::kLocal) == HF_KEEP_LOCAL &&
              int(holdfast::Settle::kServer) == HF_KEEP_SERVER &&
              int(holdfast::Settle::kMerged) == HF_MERGE &&
              int(holdfast::Settle::kDiscard) == HF_DISCARD);
static_assert(int(holdfast::Action::kInsert) == HF_INSERT &&
              int(holdfast::Action::kUpdate) == HF_UPDATE &&
              int(holdfast::Action::kDelete) == HF_DELETE);

hf_status StatusOf(const Error& error) {
  switch (error.code) {
    case Code::kInvalidArgument:
    case Code::kTooLarge: return HF_INVALID;
    case Code::kNotFound:
    case Code::kGone: return HF_NOT_FOUND;
    case Code::kExists: return HF_EXISTS;
    case Code::kConflict: return HF_CONFLICT;
    case Code::kPending: return HF_PENDING;
    case Code::kCancelled: return HF_CANCELLED;
    case Code::kUnauthorized:
    case Code::kRefused: return HF_REFUSED;
    case Code::kNoSpace:
    case Code::kReadOnly:
    case Code::kIo:
    case Code::kCorrupt:
    case Code::kBusy:
    case Code::kTooNew: return HF_STORAGE;
    default: break;
  }
  switch (Classify(error)) {
    case holdfast::Disposition::kRetryLater:
    case holdfast::Disposition::kRetryWhenLinkUp:
    case holdfast::Disposition::kRetryWhenClockSet: return HF_TRY_LATER;
    default: return HF_FAILED;
  }
}

hf_status StatusOf(const Result<void>& outcome) {
  return outcome.ok() ? HF_OK : StatusOf(outcome.error());
}

template <typename T>
hf_status StatusOf(const Result<T>& outcome) {
  return outcome.ok() ? HF_OK : StatusOf(outcome.error());
}

std::string TextOf(const char* text) { return text == nullptr ? "" : text; }

void Copy(const std::string& text, char* out, std::size_t size) {
  if (out == nullptr || size == 0) return;
  const std::size_t bytes = std::min(text.size(), size - 1);
  std::memcpy(out, text.data(), bytes);
  out[bytes] = '\0';
}

void Fill(const holdfast::PushReport& from, hf_report& to) {
  to.pushed = from.pushed;
  to.recognised = from.recognised;
  to.resolved = from.resolved;
  to.conflicts = from.conflicts;
  to.parked = from.parked;
  to.skipped = from.skipped;
  to.remaining = from.remaining;
  to.requests = from.requests;
  to.bytes_sent = from.bytes_sent;
  to.bytes_received = from.bytes_received;
  to.retry_after_s = from.retry_after_s;
}

// The program's functions as Events.
class CEvents final : public holdfast::Events {
 public:
  hf_events functions{};

  Send BeforeSend(const Operation& operation, Row& row) override {
    if (functions.before_send == nullptr) return Send::kSend;
    const std::string json = row.Json();
    Room();
    const hf_send wish =
        functions.before_send(operation.table.c_str(), operation.id.c_str(), ActionOf(operation),
                              json.c_str(), room_.get(), kChangedRowBytes, functions.user);
    if (room_[0] != '\0') {
      if (auto changed = Row::FromJson(room_.get())) row = std::move(changed).value();
    }
    return wish == HF_SKIP ? Send::kSkip : wish == HF_ABORT_SEND ? Send::kAbort : Send::kSend;
  }
  bool OnConflict(const Operation& operation, const Row& local, const Row& server,
                  holdfast::Settle& settle, Row& merged) override {
    if (functions.on_conflict == nullptr) return false;
    const std::string local_json = local.Json(), server_json = server.Json();
    Room();
    hf_settle wish = HF_KEEP_LOCAL;
    if (functions.on_conflict(operation.table.c_str(), operation.id.c_str(), ActionOf(operation),
                              local_json.c_str(), server_json.c_str(), &wish, room_.get(),
                              kChangedRowBytes, functions.user) == 0) {
      return false;
    }
    settle = holdfast::Settle(wish);
    if (wish != HF_MERGE) return true;
    auto row = Row::FromJson(room_.get());
    if (!row) return false;
    merged = std::move(row).value();
    return true;
  }
  Refused OnRefused(const Operation& operation, const Error& error) override {
    if (functions.on_refused == nullptr) return Refused::kPark;
    const hf_refused wish = functions.on_refused(operation.table.c_str(), operation.id.c_str(),
                                                 ActionOf(operation), error.native, functions.user);
    return wish == HF_RETRY           ? Refused::kRetry
           : wish == HF_ABORT_REFUSED ? Refused::kAbort
                                      : Refused::kPark;
  }
  void OnPulled(std::string_view table, const Row& row, bool deleted) override {
    if (functions.on_pulled == nullptr) return;
    functions.on_pulled(std::string(table).c_str(), row.Json().c_str(), deleted ? 1 : 0,
                        functions.user);
  }
  void AfterPush(const holdfast::PushReport& pushed) override {
    if (functions.after_push == nullptr) return;
    hf_report report = {};
    Fill(pushed, report);
    functions.after_push(StatusOf(pushed.outcome), &report, functions.user);
  }

 private:
  static hf_action ActionOf(const Operation& operation) { return hf_action(operation.action); }
  void Room() {
    if (room_ == nullptr) room_.reset(new char[kChangedRowBytes]);
    room_[0] = '\0';
  }
  std::unique_ptr<char[]> room_;
};

}  // namespace

struct hf_client {
  std::unique_ptr<Client> client;
  CEvents events;
  std::string own_words;  // of an error that the client has not seen
  bool own = false;

  hf_status Say(hf_status status, const char* words) {
    own = true;
    own_words = words;
    return status;
  }
  // nullptr: no such table, and that has been noted.
  holdfast::Table* Find(hf_where where, const char* name) {
    own = false;
    const std::string table = TextOf(name);
    holdfast::Table* found = where == HF_SERVER ? client->table(table) : client->sync_table(table);
    if (found == nullptr) Say(HF_NOT_FOUND, "no such table in the configuration");
    return found;
  }
};

hf_status hf_open(const char* config_path, hf_client** client, char* problems, size_t size) {
  if (client == nullptr || config_path == nullptr) return HF_INVALID;
  *client = nullptr;
  std::string text;
  auto opened = Client::Open(config_path, &text);
  Copy(text, problems, size);
  if (!opened) return StatusOf(opened.error());
  auto* made = new (std::nothrow) hf_client;
  if (made == nullptr) return HF_FAILED;
  made->client = std::move(opened).value();
  *client = made;
  return HF_OK;
}

void hf_close(hf_client* client) { delete client; }

const char* hf_message(const hf_client* client) {
  return client->own ? client->own_words.c_str() : client->client->why().c_str();
}

hf_status hf_insert(hf_client* client, hf_where where, const char* table, const char* row,
                    char id[256]) {
  holdfast::Table* const found = client->Find(where, table);
  if (found == nullptr) return HF_NOT_FOUND;
  auto parsed = Row::FromJson(TextOf(row));
  if (!parsed) return client->Say(HF_INVALID, "the row is not one JSON object");
  auto inserted = found->Insert(*parsed);
  if (inserted) Copy(*inserted, id, 256);
  return StatusOf(inserted);
}

hf_status hf_update(hf_client* client, hf_where where, const char* table, const char* row) {
  holdfast::Table* const found = client->Find(where, table);
  if (found == nullptr) return HF_NOT_FOUND;
  auto parsed = Row::FromJson(TextOf(row));
  if (!parsed) return client->Say(HF_INVALID, "the row is not one JSON object");
  return StatusOf(found->Update(*parsed));
}

hf_status hf_delete(hf_client* client, hf_where where, const char* table, const char* id) {
  holdfast::Table* const found = client->Find(where, table);
  return found == nullptr ? HF_NOT_FOUND : StatusOf(found->Delete(TextOf(id)));
}

hf_status hf_lookup(hf_client* client, hf_where where, const char* table, const char* id,
                    hf_row_fn row, void* user) {
  holdfast::Table* const found = client->Find(where, table);
  if (found == nullptr) return HF_NOT_FOUND;
  auto looked_up = found->Lookup(TextOf(id));
  if (looked_up) row(looked_up->Json().c_str(), user);
  return StatusOf(looked_up);
}

hf_status hf_read(hf_client* client, hf_where where, const char* table, const char* filter,
                  const char* order, uint64_t top, uint64_t skip, hf_row_fn row, void* user) {
  holdfast::Table* const found = client->Find(where, table);
  if (found == nullptr) return HF_NOT_FOUND;
  holdfast::Query query;
  query.where = TextOf(filter);
  query.order_by = TextOf(order);
  if (top != 0) query.top = top;
  query.skip = skip;
  return StatusOf(
      found->Read(query, [&](const Row& read) { return row(read.Json().c_str(), user) == 0; }));
}

namespace {

hf_status Push(hf_client* client, const char* table, bool retry_parked, hf_report* report) {
  client->own = false;
  std::vector<std::string> tables;
  if (table != nullptr) tables.emplace_back(table);
  const holdfast::PushReport pushed = client->client->Push(tables, retry_parked);
  if (report != nullptr) {
    *report = {};
    Fill(pushed, *report);
  }
  return StatusOf(pushed.outcome);
}

}  // namespace

hf_status hf_push(hf_client* client, const char* table, hf_report* report) {
  return Push(client, table, false, report);
}

hf_status hf_push_parked(hf_client* client, const char* table, hf_report* report) {
  return Push(client, table, true, report);
}

hf_status hf_queue(hf_client* client, hf_queue_state* state) {
  client->own = false;
  auto queue = client->client->Queue();
  if (!queue) return StatusOf(queue.error());
  *state = {queue->queued, queue->sendable,      queue->attempted,      queue->conflicts,
            queue->parked, queue->oldest_unix_s, queue->database_bytes, queue->wal_bytes};
  return HF_OK;
}

hf_status hf_pull(hf_client* client, const char* table, const char* filter, const char* query_id,
                  unsigned flags, hf_report* report) {
  client->own = false;
  holdfast::PullRequest request;
  request.where = TextOf(filter);
  request.query_id = TextOf(query_id);
  request.full = (flags & HF_PULL_FULL) != 0;
  request.push_first = (flags & HF_PULL_NO_PUSH) == 0;
  const holdfast::PullReport pulled = client->client->Pull(TextOf(table), request);
  if (report != nullptr) {
    *report = {};
    Fill(pulled.push, *report);
    report->received = pulled.received;
    report->deleted = pulled.deleted;
    report->unchanged = pulled.unchanged;
    report->skipped_pending = pulled.skipped_pending;
  }
  return StatusOf(pulled.outcome);
}

hf_status hf_purge(hf_client* client, const char* table, const char* filter, int force,
                   uint64_t* removed, uint64_t* discarded) {
  client->own = false;
  auto purged = client->client->Purge(TextOf(table), TextOf(filter), force != 0);
  if (purged && removed != nullptr) *removed = purged->removed;
  if (purged && discarded != nullptr) *discarded = purged->discarded;
  return StatusOf(purged);
}

void hf_cancel(hf_client* client) { client->client->Cancel(); }

hf_status hf_conflicts(hf_client* client, hf_waiting_fn waiting, void* user) {
  client->own = false;
  auto all = client->client->Conflicts();
  if (!all) return StatusOf(all.error());
  for (const holdfast::Waiting& one : *all) {
    const std::string local = one.local.Json(), server = one.server.Json();
    const hf_waiting view = {one.number,
                             one.conflict ? 1 : 0,
                             one.http_status,
                             hf_action(one.operation.action),
                             one.operation.table.c_str(),
                             one.operation.id.c_str(),
                             local.c_str(),
                             server.c_str(),
                             one.server_words.c_str()};
    if (waiting(&view, user) != 0) break;
  }
  return HF_OK;
}

hf_status hf_resolve(hf_client* client, int64_t number, hf_settle settle, const char* merged) {
  client->own = false;
  Row row;
  if (settle == HF_MERGE) {
    auto parsed = Row::FromJson(TextOf(merged));
    if (!parsed) return client->Say(HF_INVALID, "the merged row is not one JSON object");
    row = std::move(parsed).value();
  }
  return StatusOf(client->client->Resolve(number, holdfast::Settle(settle), row));
}

void hf_set_events(hf_client* client, const hf_events* events) {
  client->events.functions = events != nullptr ? *events : hf_events{};
  client->client->set_events(events != nullptr ? &client->events : nullptr);
  const hf_events functions = client->events.functions;
  if (functions.on_progress == nullptr) {
    client->client->set_progress(nullptr);
    return;
  }
  client->client->set_progress([functions](const holdfast::Progress& now) {
    functions.on_progress(now.pushed, now.received, now.bytes_sent, now.bytes_received,
                          functions.user);
  });
}
