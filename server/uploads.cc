// SPDX-License-Identifier: Apache-2.0
#include "server/uploads.h"

#include <algorithm>
#include <ctime>
#include <set>
#include <utility>

#include "hal/base/log.h"
#include "server/credentials.h"

namespace holdfast::server {
namespace {

// status 0: open. `shows`: UploadAnswer::shows_row, and 2 for id_chosen.
constexpr const char* kTable =
    "CREATE TABLE IF NOT EXISTS __uploads(number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE,"
    " device TEXT NOT NULL, method TEXT NOT NULL, target TEXT NOT NULL, api TEXT NOT NULL,"
    " if_match TEXT NOT NULL, if_none_match TEXT NOT NULL, unmodified TEXT NOT NULL,"
    " type TEXT NOT NULL, coding TEXT NOT NULL, options TEXT NOT NULL, digest TEXT NOT NULL,"
    " version_only INTEGER NOT NULL, length INTEGER NOT NULL, received INTEGER NOT NULL,"
    " touched INTEGER NOT NULL, status INTEGER NOT NULL, shows INTEGER NOT NULL DEFAULT 0,"
    " version TEXT NOT NULL DEFAULT '', location TEXT NOT NULL DEFAULT '',"
    " headers TEXT NOT NULL DEFAULT '', row TEXT NOT NULL DEFAULT '',"
    " body BLOB NOT NULL DEFAULT x'');"
    "CREATE INDEX IF NOT EXISTS __uploads_of ON __uploads(device, status);"
    "CREATE INDEX IF NOT EXISTS __uploads_old ON __uploads(status, touched);";

constexpr const char* kColumns =
    "SELECT id, device, method, target, api, if_match, if_none_match, unmodified, type, coding,"
    " options, digest, version_only, length, received, touched, status, shows, version, location,"
    " headers, row, body FROM __uploads";

constexpr std::size_t kIdRandomBytes = 16;

// base64url without padding.
std::string MakeId() {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  std::string id;
  std::uint32_t bits = 0;
  int have = 0;
  for (const char c : RandomBytes(kIdRandomBytes)) {
    bits = bits << 8 | static_cast<unsigned char>(c);
    for (have += 8; have >= 6; have -= 6) id += kDigits[bits >> (have - 6) & 63];
  }
  id += kDigits[bits << (6 - have) & 63];
  return id;
}

bool SameRequest(const UploadHead& a, const UploadHead& b) {
  return a.method == b.method && a.target == b.target && a.version == b.version &&
         a.if_match == b.if_match && a.if_none_match == b.if_none_match &&
         a.if_unmodified_since == b.if_unmodified_since && a.coding == b.coding &&
         a.options == b.options && a.digest == b.digest;
}

}  // namespace

std::int64_t Uploads::SystemNow() { return std::time(nullptr); }

Uploads::Uploads(Database& database, UploadFiles& files, const UploadLimits& limits, Now now)
    : database_(database), files_(files), limits_(limits), now_(now) {
  database_.Run(kTable);
  const std::string columns = kColumns;
  find_ = database_.Prepare(columns + " WHERE id=? AND device=?");
  open_of_ = database_.Prepare(columns + " WHERE device=? AND status=0");
  count_ = database_.Prepare("SELECT count(*) FROM __uploads WHERE status=0");
  count_of_ = database_.Prepare("SELECT count(*) FROM __uploads WHERE status=0 AND device=?");
  add_ = database_.Prepare(
      "INSERT INTO __uploads(id, device, method, target, api, if_match, if_none_match, unmodified,"
      " type, coding, options, digest, version_only, length, received, touched, status)"
      " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,0,?,0)");
  set_length_ = database_.Prepare("UPDATE __uploads SET length=?2 WHERE id=?1 AND status=0");
  advance_ =
      database_.Prepare("UPDATE __uploads SET received=?2, touched=?3 WHERE id=?1 AND status=0");
  finish_ = database_.Prepare(
      "UPDATE __uploads SET touched=?2, length=?3, status=?4, shows=?5, version=?6, location=?7,"
      " headers=?8, row=?9, body=?10 WHERE id=?1 AND status=0");
  trim_ = database_.Prepare(
      "DELETE FROM __uploads WHERE device=?1 AND status>0 AND number NOT IN (SELECT number FROM"
      " __uploads WHERE device=?1 AND status>0 ORDER BY touched DESC, number DESC LIMIT ?2)");
  remove_ = database_.Prepare("DELETE FROM __uploads WHERE id=?");
  expired_ = database_.Prepare(
      "SELECT id FROM __uploads WHERE status=0 AND touched<=?1 UNION ALL"
      " SELECT id FROM __uploads WHERE status>0 AND touched<=?2 LIMIT 1000");
  Recover();
}

void Uploads::Run(Statement& statement) {
  const int code = statement.Step();
  statement.Reset();
  if (code != SQLITE_DONE) throw StorageError(code, database_.message());
}

void Uploads::Recover() {
  std::vector<Upload> open;
  Statement all = database_.Prepare(std::string(kColumns) + " WHERE status=0");
  while (all.Step() == SQLITE_ROW) Read(all, open.emplace_back());
  all.Reset();
  std::set<std::string> wanted;
  for (const Upload& upload : open) {
    const auto size = files_.SizeOf(upload.id);
    const bool whole =
        size.value_or(0) >= upload.received &&
        (!size || *size == upload.received || files_.Truncate(upload.id, upload.received));
    if (whole) {
      wanted.insert(upload.id);
      continue;
    }
    Log(LogLevel::kWarning, "an upload has lost its bytes, and is given up");
    Remove(upload);
  }
  for (const std::string& id : files_.List()) {
    if (wanted.count(id) == 0) files_.Remove(id);
  }
  Sweep();
}

void Uploads::Read(Statement& statement, Upload& upload) {
  int column = 0;
  for (std::string* text :
       {&upload.id, &upload.head.device, &upload.head.method, &upload.head.target,
        &upload.head.version, &upload.head.if_match, &upload.head.if_none_match,
        &upload.head.if_unmodified_since, &upload.head.content_type, &upload.head.coding,
        &upload.head.options, &upload.head.digest}) {
    *text = statement.Text(column++);
  }
  upload.head.version_only = statement.Integer(column++) != 0;
  upload.length = statement.Integer(column++);
  upload.received = statement.Integer(column++);
  upload.touched = statement.Integer(column++);
  UploadAnswer& answer = upload.answer;
  answer.status = static_cast<int>(statement.Integer(column++));
  const std::int64_t shows = statement.Integer(column++);
  answer.shows_row = (shows & 1) != 0;
  answer.id_chosen = (shows & 2) != 0;
  for (std::string* text :
       {&answer.version, &answer.location, &answer.headers, &answer.row, &answer.body}) {
    *text = statement.Text(column++);
  }
}

bool Uploads::Find(std::string_view id, std::string_view device, Upload& upload) {
  ResetAtEnd reset(find_);
  find_.Bind(1, id);
  find_.Bind(2, device);
  const int code = find_.Step();
  if (code == SQLITE_DONE) return false;
  if (code != SQLITE_ROW) throw StorageError(code, database_.message());
  Read(find_, upload);
  return !Expired(upload);
}

// The same bytes for the same request: only a digest says that. The answer to its creation was
// lost, or the device has forgotten it.
bool Uploads::FindAgain(const UploadHead& head, std::int64_t length, Upload& upload) {
  if (head.digest.empty()) return false;
  ResetAtEnd reset(open_of_);
  open_of_.Bind(1, head.device);
  while (open_of_.Step() == SQLITE_ROW) {
    Upload found;
    Read(open_of_, found);
    if (Expired(found) || found.length != length || !SameRequest(found.head, head)) continue;
    upload = found;
    return true;
  }
  return false;
}

std::int64_t Uploads::Count(Statement& statement, std::string_view device) {
  ResetAtEnd reset(statement);
  if (!device.empty() || &statement == &count_of_) statement.Bind(1, device);
  const int code = statement.Step();
  if (code != SQLITE_ROW) throw StorageError(code, database_.message());
  return statement.Integer(0);
}

Uploads::Made Uploads::Create(const UploadHead& head, std::int64_t length, Upload& upload) {
  if (FindAgain(head, length, upload)) return Made::kAgain;
  // What has expired no longer counts.
  if (Count(count_of_, head.device) >= limits_.open_each) Sweep();
  if (Count(count_of_, head.device) >= limits_.open_each) return Made::kTooMany;
  if (Count(count_, "") >= limits_.open) return Made::kTooManyInAll;
  upload = {};
  upload.id = MakeId();
  upload.head = head;
  upload.length = length;
  upload.touched = now_();
  int index = 0;
  for (const std::string* text :
       {&std::as_const(upload.id), &head.device, &head.method, &head.target, &head.version,
        &head.if_match, &head.if_none_match, &head.if_unmodified_since, &head.content_type,
        &head.coding, &head.options, &head.digest}) {
    add_.Bind(++index, std::string_view(*text));
  }
  add_.Bind(++index, std::int64_t{head.version_only});
  add_.Bind(++index, length);
  add_.Bind(++index, upload.touched);
  Run(add_);
  return Made::kNew;
}

bool Uploads::SetLength(Upload& upload, std::int64_t length) {
  set_length_.Bind(1, upload.id);
  set_length_.Bind(2, length);
  Run(set_length_);
  if (database_.changes() == 0) return false;
  upload.length = length;
  return true;
}

bool Uploads::Advance(Upload& upload, std::int64_t received) {
  const std::int64_t now = now_();
  advance_.Bind(1, upload.id);
  advance_.Bind(2, received);
  advance_.Bind(3, now);
  Run(advance_);
  if (database_.changes() == 0) return false;
  upload.received = received;
  upload.touched = now;
  return true;
}

void Uploads::Finish(Upload& upload, const UploadAnswer& answer) {
  finish_.Bind(1, upload.id);
  finish_.Bind(2, now_());
  finish_.Bind(3, upload.received);
  finish_.Bind(4, std::int64_t{answer.status});
  finish_.Bind(5, std::int64_t{answer.shows_row} | std::int64_t{answer.id_chosen} << 1);
  finish_.Bind(6, answer.version);
  finish_.Bind(7, answer.location);
  finish_.Bind(8, answer.headers);
  finish_.Bind(9, answer.row);
  finish_.Bind(10, Value::Blob(answer.body));
  Run(finish_);
  trim_.Bind(1, upload.head.device);
  trim_.Bind(2, limits_.kept_each);
  Run(trim_);
}

void Uploads::Remove(const Upload& upload) {
  remove_.Bind(1, upload.id);
  Run(remove_);
  files_.Remove(upload.id);
}

void Uploads::Sweep() {
  const std::int64_t now = now_();
  std::vector<Upload> old;
  {
    ResetAtEnd reset(expired_);
    expired_.Bind(1, now - limits_.idle_s);
    expired_.Bind(2, now - limits_.kept_s);
    while (expired_.Step() == SQLITE_ROW) old.emplace_back().id = expired_.Text(0);
  }
  for (const Upload& upload : old) Remove(upload);
}

std::int64_t Uploads::SecondsLeft(const Upload& upload) const {
  const std::int64_t life = upload.complete() ? limits_.kept_s : limits_.idle_s;
  return std::max<std::int64_t>(0, upload.touched + life - now_());
}

}  // namespace holdfast::server
