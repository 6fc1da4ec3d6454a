// SPDX-License-Identifier: Apache-2.0
// server/upload_service.h - a large row in pieces: made, continued, and applied when it is whole.
//
// Purpose: the rules that both carriers share, so that what began on one may go on over the other.
//          When the last byte is there, the row's own request runs with it as if it had come in one
//          piece; its answer is kept with the row, and given again to whoever has not heard it.
// Promise: one at a time holds an upload, and who comes later ends an append that is under way: the
//          connection that it came over may have been dead for minutes. Bytes that were appended
//          stay, whatever ends the append.
// Owner:   a Hold keeps its upload until it goes; it does not outlive the service.
// Threads: one; what waits for the medium runs on a thread of its own (server/worker.h).
// Errors:  responses. 503: the storage cannot; the upload stays as it is.
// Standard: draft-ietf-httpbis-resumable-upload-12, RFC 9530 (digests).
#ifndef HOLDFAST_SERVER_UPLOAD_SERVICE_H_
#define HOLDFAST_SERVER_UPLOAD_SERVICE_H_

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>
#include <chrono>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "hal/base/limits.h"
#include "server/response.h"
#include "server/tables_service.h"
#include "server/uploads.h"
#include "server/worker.h"

namespace holdfast::server {

class UploadService {
  struct Active;

 public:
  // So many bytes are in a file at most that are not on the medium yet.
  static constexpr std::int64_t kFlushBytes = 64 << 10;

  UploadService(Uploads& uploads, TablesService& tables, boost::asio::any_io_executor executor);
  ~UploadService();
  UploadService(const UploadService&) = delete;
  UploadService& operator=(const UploadService&) = delete;

  // One upload, for oneself.
  class Hold {
   public:
    Hold() = default;
    Hold(UploadService& service, std::shared_ptr<Active> active);
    Hold(Hold&& other) noexcept;
    Hold& operator=(Hold&& other) noexcept;
    ~Hold();

    explicit operator bool() const { return active_ != nullptr; }
    const Upload& upload() const;
    // Bytes that came; the last of them may not be on the medium yet.
    std::int64_t offset() const;
    std::int64_t seconds_left() const;
    bool stopped() const;  // somebody else wants it
    bool gone() const;     // it has been removed meanwhile
    // A place to remember the last block in, as long as it is not on the medium.
    struct Block {
      std::int64_t offset = -1;
      std::size_t bytes = 0;
    };
    Block& last_block();

   private:
    friend class UploadService;
    UploadService* service_ = nullptr;
    std::shared_ptr<Active> active_;
  };

  // 201 with the location of a new upload, or of one that the same request made before; or why
  // not. Nothing is stored then.
  bool Create(const UploadHead& head, std::int64_t length, Response& response, Upload& upload);

  // Empty: there is none. `stop` is called when somebody else wants it.
  using Stop = std::function<void()>;
  boost::asio::awaitable<Hold> Take(const std::string& id, const std::string& device,
                                    const Stop& stop);

  // False: not stored; offset() says how far it came.
  boost::asio::awaitable<bool> Append(Hold& hold, std::string_view bytes);
  // False: not on the medium; offset() is back at what is.
  boost::asio::awaitable<bool> Flush(Hold& hold);
  // False: that contradicts what is known, or cannot be stored.
  bool SetLength(Hold& hold, std::int64_t length);
  // All bytes are there: the answer of the row's request, now or, when it is complete already, as
  // it was. 503: it stays open. 400 and gone(): the bytes are not those that were announced.
  boost::asio::awaitable<void> Complete(Hold& hold, const TablesService::Form& form,
                                        Response& response);
  // False: 503.
  bool Remove(Hold& hold, Response& response);

  // For the server's rounds.
  void LookAround();

  static std::string LimitHeader(std::int64_t seconds_left);
  std::int64_t idle_seconds() const { return UploadLimits{}.idle_s; }

 private:
  class AnswerKeeper;
  struct Body;

  std::shared_ptr<Active> Load(const std::string& id, const std::string& device);
  void Release(const std::shared_ptr<Active>& active);
  static Body ReadBody(UploadFiles& files, const Upload& upload);
  boost::asio::awaitable<void> Apply(Active& active, const TablesService::Form& form,
                                     Response& response);
  boost::asio::awaitable<void> Replay(const Upload& upload, Response& response);
  void KeepAnswer(Active& active, Response& response);
  boost::asio::awaitable<void> FlushIdle(std::string id, std::string device);

  Uploads& uploads_;
  TablesService& tables_;
  boost::asio::any_io_executor executor_;
  Worker worker_;
  Gate applying_;  // a row of 24 MiB takes five times that for a moment
  std::map<std::string, std::shared_ptr<Active>> active_;  // by id
  std::chrono::steady_clock::time_point next_round_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_UPLOAD_SERVICE_H_
