// SPDX-License-Identifier: Apache-2.0
#include "server/upload_service.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>

#include "hal/base/log.h"
#include "hal/base/text.h"
#include "server/credentials.h"
#include "transport/wire_gzip.h"

namespace holdfast::server {

namespace asio = boost::asio;

namespace {

constexpr int kBusySeconds = 5, kFullSeconds = 60;
constexpr std::chrono::seconds kRound{60};
// A longer body is the row itself, which can be read again.
constexpr std::size_t kKeptBodyBytes = 16u << 10;
constexpr auto kUploadBytes = static_cast<std::int64_t>(limits::kUploadBytes);

RequestHead HeadOf(const UploadHead& upload) {
  RequestHead head;
  head.method = upload.method;
  head.target = upload.target;
  head.version = upload.version;
  head.if_match = upload.if_match;
  head.if_none_match = upload.if_none_match;
  head.if_unmodified_since = upload.if_unmodified_since;
  head.content_type = upload.content_type;
  head.zumo_options = upload.options;
  head.device = upload.device;
  head.version_only = upload.version_only;
  return head;
}

void Fail(Response& response) {
  response.Clear();
  response.retry_after_s = kBusySeconds;
  response.Refuse(503, "the server cannot store uploads at the moment");
}

UploadAnswer AnswerOf(const Response& response) {
  UploadAnswer answer;
  answer.status = response.status;
  answer.id_chosen = response.id_chosen;
  answer.version = response.version;
  answer.location = response.location;
  answer.headers = response.headers;
  answer.row = response.row;
  answer.shows_row = !response.row.empty() && response.body.size() > kKeptBodyBytes;
  if (!answer.shows_row) answer.body = response.body.view();
  return answer;
}

void LogFailure(const StorageError& error) { Log(LogLevel::kError, "uploads: %s", error.what()); }

}  // namespace

// What is known of an upload while somebody holds it, or while its last bytes are not on the
// medium.
struct UploadService::Active {
  explicit Active(const asio::any_io_executor& executor) : gate(executor) {}
  Upload upload;
  std::unique_ptr<UploadFile> file;
  std::int64_t written = 0;
  Gate gate;
  std::function<void()> stop;
  bool stopped = false, gone = false;
  Hold::Block last_block;
};

UploadService::Hold::Hold(UploadService& service, std::shared_ptr<Active> active)
    : service_(&service), active_(std::move(active)) {}
UploadService::Hold::Hold(Hold&& other) noexcept
    : service_(other.service_), active_(std::move(other.active_)) {}
UploadService::Hold& UploadService::Hold::operator=(Hold&& other) noexcept {
  std::swap(service_, other.service_);
  std::swap(active_, other.active_);
  return *this;
}
UploadService::Hold::~Hold() {
  if (active_) service_->Release(active_);
}
const Upload& UploadService::Hold::upload() const { return active_->upload; }
std::int64_t UploadService::Hold::offset() const { return active_->written; }
bool UploadService::Hold::stopped() const { return active_->stopped; }
bool UploadService::Hold::gone() const { return active_->gone; }
UploadService::Hold::Block& UploadService::Hold::last_block() { return active_->last_block; }
std::int64_t UploadService::Hold::seconds_left() const {
  return service_->uploads_.SecondsLeft(active_->upload);
}

// Keeps the answer to a row that is written, in the transaction that writes it.
class UploadService::AnswerKeeper : public TablesService::Keeper {
 public:
  AnswerKeeper(Uploads& uploads, Upload& upload) : uploads_(uploads), upload_(upload) {}
  void Keep(const Response& response) override {
    answer_ = AnswerOf(response);
    uploads_.Finish(upload_, answer_);
  }
  const UploadAnswer& answer() const { return answer_; }

 private:
  Uploads& uploads_;
  Upload& upload_;
  UploadAnswer answer_;
};

UploadService::UploadService(Uploads& uploads, TablesService& tables,
                             asio::any_io_executor executor)
    : uploads_(uploads),
      tables_(tables),
      executor_(executor),
      worker_(executor),
      applying_(executor) {}

// What came in blocks since the last flush need not come again after a restart.
UploadService::~UploadService() {
  for (const auto& [id, active] : active_) {
    try {
      if (active->written == active->upload.received || !active->file) continue;
      if (active->file->Sync()) uploads_.Advance(active->upload, active->written);
    } catch (const StorageError& error) {
      LogFailure(error);
    }
  }
}

std::string UploadService::LimitHeader(std::int64_t seconds_left) {
  const std::string bytes = std::to_string(limits::kUploadBytes);
  return "max-size=" + bytes + ", max-append-size=" + bytes +
         ", max-age=" + std::to_string(seconds_left);
}

bool UploadService::Create(const UploadHead& head, std::int64_t length, Response& response,
                           Upload& upload) {
  if (!tables_.Accepts(HeadOf(head), response)) return false;
  if (!head.coding.empty() && head.coding != "gzip") {
    response.AddHeader("Accept-Encoding", "gzip");
    response.Refuse(415, "this content coding is not known");
    return false;
  }
  if (length > kUploadBytes) {
    response.Refuse(413, "the body is too long, also in pieces");
    return false;
  }
  try {
    switch (uploads_.Create(head, length, upload)) {
      case Uploads::Made::kNew:
      case Uploads::Made::kAgain: break;
      case Uploads::Made::kTooMany:
        response.retry_after_s = kFullSeconds;
        response.Refuse(429, "this device has as many uploads open as it may have");
        return false;
      case Uploads::Made::kTooManyInAll:
        response.retry_after_s = kFullSeconds;
        response.Refuse(503, "the server has as many uploads open as it may have");
        return false;
    }
  } catch (const StorageError& error) {
    LogFailure(error);
    Fail(response);
    return false;
  }
  response.status = 201;
  response.location = "/uploads/" + upload.id;
  return true;
}

std::shared_ptr<UploadService::Active> UploadService::Load(const std::string& id,
                                                           const std::string& device) {
  const auto found = active_.find(id);
  if (found != active_.end()) {
    const Upload& upload = found->second->upload;
    const bool theirs = upload.head.device == device && uploads_.SecondsLeft(upload) > 0;
    return theirs ? found->second : nullptr;
  }
  const auto active = std::make_shared<Active>(executor_);
  if (!uploads_.Find(id, device, active->upload)) return nullptr;
  active->written = active->upload.received;
  active_[id] = active;
  return active;
}

asio::awaitable<UploadService::Hold> UploadService::Take(const std::string& id,
                                                         const std::string& device,
                                                         const Stop& stop) {
  const std::shared_ptr<Active> active = Load(id, device);
  if (!active) co_return Hold();
  if (active->gate.taken()) {
    active->stopped = true;
    if (active->stop) active->stop();
  }
  co_await active->gate.Enter();
  Hold hold(*this, active);
  if (active->gone) co_return Hold();
  active->stopped = false;
  active->stop = stop;
  co_return hold;
}

void UploadService::Release(const std::shared_ptr<Active>& active) {
  active->stop = nullptr;
  const bool known = !active->gone && active->written != active->upload.received;
  const auto found = active_.find(active->upload.id);
  const bool ours = found != active_.end() && found->second == active;
  if (ours && !known && !active->gate.awaited()) active_.erase(found);
  active->gate.Leave();
}

asio::awaitable<bool> UploadService::Append(Hold& hold, std::string_view bytes) {
  Active& active = *hold.active_;
  while (!bytes.empty()) {
    const std::int64_t room = kFlushBytes - (active.written - active.upload.received);
    const std::string_view piece = bytes.substr(0, static_cast<std::size_t>(room));
    if (!active.file) active.file = uploads_.files().Open(active.upload.id);
    if (!active.file || !active.file->Write(active.written, piece)) {
      Log(LogLevel::kError, "uploads: a file cannot be written");
      co_return false;
    }
    active.written += static_cast<std::int64_t>(piece.size());
    bytes.remove_prefix(piece.size());
    if (active.written - active.upload.received < kFlushBytes) continue;
    const bool flushed = co_await Flush(hold);
    if (!flushed) co_return false;
  }
  co_return true;
}

asio::awaitable<bool> UploadService::Flush(Hold& hold) {
  Active& active = *hold.active_;
  if (active.written == active.upload.received) co_return true;
  bool synced = false;
  co_await worker_.Run([&active, &synced] { synced = active.file->Sync(); });
  try {
    if (synced && uploads_.Advance(active.upload, active.written)) co_return true;
    active.gone = synced;
    if (!synced) Log(LogLevel::kError, "uploads: a file cannot be synced");
  } catch (const StorageError& error) {
    LogFailure(error);
  }
  // After a failure nobody knows what the medium has: it has to come again.
  active.written = active.upload.received;
  active.file.reset();
  co_return false;
}

bool UploadService::SetLength(Hold& hold, std::int64_t length) {
  Active& active = *hold.active_;
  if (active.upload.length == length) return true;
  if (active.upload.length >= 0) return false;
  try {
    return uploads_.SetLength(active.upload, length);
  } catch (const StorageError& error) {
    LogFailure(error);
    return false;
  }
}

struct UploadService::Body {
  int status = 0;  // why it is not to be had; 0: text() is it
  bool forged = false;
  std::string bytes, why;
  std::unique_ptr<char[]> room;  // unpacked, if need be
  std::size_t size = 0;
  std::string_view text() const { return room ? std::string_view(room.get(), size) : bytes; }
};

// On the worker's thread.
UploadService::Body UploadService::ReadBody(UploadFiles& files, const Upload& upload) {
  Body body;
  try {
    auto bytes = files.Read(upload.id, static_cast<std::size_t>(upload.received));
    if (!bytes) {
      body.status = 503;
      return body;
    }
    body.bytes = std::move(*bytes);
    body.forged = !upload.head.digest.empty() && Sha256Hex(body.bytes) != upload.head.digest;
    if (body.forged || upload.head.coding.empty()) return body;
    body.room.reset(new char[limits::kUploadBytes]);
    auto unpacked = wire::Unpack(body.bytes, {body.room.get(), limits::kUploadBytes});
    if (unpacked) {
      body.size = unpacked->size();
      return body;
    }
    const Code code = unpacked.error().code;
    body.status = code == Code::kTooLarge ? 413 : code == Code::kNoMemory ? 503 : 400;
    body.why = unpacked.error().what;
  } catch (const std::exception&) {
    body.status = 503;
  }
  return body;
}

asio::awaitable<void> UploadService::Complete(Hold& hold, const TablesService::Form& form,
                                              Response& response) {
  Active& active = *hold.active_;
  if (active.upload.complete()) {
    co_await Replay(active.upload, response);
    co_return;
  }
  active.stop = nullptr;  // it can no longer be ended
  active.stopped = false;
  co_await applying_.Enter();
  try {
    co_await Apply(active, form, response);
  } catch (const StorageError& error) {
    LogFailure(error);
    Fail(response);
  } catch (...) {
    applying_.Leave();
    throw;
  }
  applying_.Leave();
}

asio::awaitable<void> UploadService::Apply(Active& active, const TablesService::Form& form,
                                           Response& response) {
  Upload& upload = active.upload;
  Body body;
  co_await worker_.Run([&] { body = ReadBody(uploads_.files(), upload); });
  if (body.status == 503) {
    Fail(response);
    co_return;
  }
  if (body.forged) {
    uploads_.Remove(upload);
    active.gone = true;
    response.Refuse(400, "the bytes are not those of the Repr-Digest; the upload is given up");
    co_return;
  }
  if (body.status != 0) {
    response.Refuse(body.status, body.why);
    KeepAnswer(active, response);
    co_return;
  }
  AnswerKeeper keeper(uploads_, upload);
  TablesService::Form whole = form;
  whole.body_bytes = limits::kUploadBytes;
  whole.keeper = &keeper;
  const RequestHead head = HeadOf(upload.head);
  co_await tables_.Serve(head, body.text(), whole, response);
  if (response.status == 503) co_return;
  if (response.status < 300) {
    upload.answer = keeper.answer();
    upload.length = upload.received;
    active.file.reset();
    uploads_.DropFile(upload);
  } else {
    KeepAnswer(active, response);
  }
}

// Of a refusal, which changes no row.
void UploadService::KeepAnswer(Active& active, Response& response) {
  const UploadAnswer answer = AnswerOf(response);
  uploads_.Finish(active.upload, answer);
  active.upload.answer = answer;
  active.upload.length = active.upload.received;
  active.file.reset();
  uploads_.DropFile(active.upload);
}

// A row that has changed since is not shown: that would be another answer.
asio::awaitable<void> UploadService::Replay(const Upload& upload, Response& response) {
  const UploadAnswer& answer = upload.answer;
  if (answer.shows_row) {
    const std::string target = answer.row + "?__includeDeleted=true";
    RequestHead head;
    head.method = "GET";
    head.target = target;
    head.version = upload.head.version;
    head.device = upload.head.device;
    const TablesService::Form form;
    co_await tables_.Serve(head, "", form, response);
    if (response.status != 200 || response.version != answer.version) response.body.Truncate(0);
  } else {
    response.body.Append(answer.body);
  }
  response.status = answer.status;
  response.id_chosen = answer.id_chosen;
  response.version = answer.version;
  response.location = answer.location;
  response.headers = answer.headers;
  response.row = answer.row;
  response.lasting = 0;
}

bool UploadService::Remove(Hold& hold, Response& response) {
  try {
    uploads_.Remove(hold.upload());
    hold.active_->gone = true;
    return true;
  } catch (const StorageError& error) {
    LogFailure(error);
    Fail(response);
    return false;
  }
}

void UploadService::LookAround() {
  const auto now = std::chrono::steady_clock::now();
  if (now < next_round_) return;
  next_round_ = now + kRound;
  try {
    uploads_.Sweep();
  } catch (const StorageError& error) {
    LogFailure(error);
  }
  for (auto at = active_.begin(); at != active_.end();) {
    const auto& [id, active] = *at;
    const bool expired = uploads_.SecondsLeft(active->upload) <= 0;
    if (!active->gate.taken() && !expired) {
      asio::co_spawn(executor_, FlushIdle(id, active->upload.head.device), asio::detached);
    }
    at = !active->gate.taken() && expired ? active_.erase(at) : std::next(at);
  }
}

// Nobody holds it, and yet it is remembered: its last bytes are not on the medium.
asio::awaitable<void> UploadService::FlushIdle(std::string id, std::string device) {
  try {
    const Stop none;
    Hold hold = co_await Take(id, device, none);
    if (hold) co_await Flush(hold);
  } catch (const StorageError& error) {
    LogFailure(error);
  }
}

}  // namespace holdfast::server
