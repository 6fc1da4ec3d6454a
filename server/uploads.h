// SPDX-License-Identifier: Apache-2.0
// server/uploads.h - what is known of the uploads of large rows, across restarts and power cuts.
//
// Purpose: a row that is too large for one exchange comes in pieces. What the row's request said is
//          kept in __uploads, in the rows' own database, so that an upload ends in the same
//          transaction as the row that it brings; the bytes are in a file each.
// Promise: a recorded offset never exceeds what the medium has: Advance() comes after Sync().
//          Whoever does not own an upload cannot tell it from none.
// Owner:   records are the database's; an Upload is a copy.
// Threads: one.
// Units:   seconds since 1970, by the system's clock.
// Errors:  StorageError, when the database fails; nothing is then changed.
#ifndef HOLDFAST_SERVER_UPLOADS_H_
#define HOLDFAST_SERVER_UPLOADS_H_

#include <cstdint>
#include <string>
#include <string_view>

#include "server/sqlite_db.h"
#include "server/upload_files.h"

namespace holdfast::server {

// The request that the upload is the body of. What is absent is "".
struct UploadHead {
  std::string device, method, target, version, if_match, if_none_match, if_unmodified_since,
      content_type, coding, options;
  std::string digest;         // SHA-256 of all bytes, as hex
  bool version_only = false;  // when the row is written, its version will do as an answer
};

// What its sender was told when it was complete.
struct UploadAnswer {
  int status = 0;
  bool id_chosen = false;
  bool shows_row = false;  // the body is the row as it was at `version`; it is not kept
  std::string version, location, headers, row, body;
};

struct Upload {
  std::string id;
  UploadHead head;
  std::int64_t length = -1;  // in all; -1: not known yet
  std::int64_t received = 0, touched = 0;
  UploadAnswer answer;

  bool complete() const { return answer.status != 0; }
};

struct UploadLimits {
  std::int64_t open_each = 4;  // of one device
  std::int64_t open = 1000;    // of all
  std::int64_t kept_each = 64;
  std::int64_t idle_s = 24 * 3600, kept_s = 7 * 24 * 3600;
};

class Uploads {
 public:
  using Now = std::int64_t (*)();
  static std::int64_t SystemNow();

  // Puts in order what a crash has left: files become as long as their record says; a file or a
  // record without the other goes.
  Uploads(Database& database, UploadFiles& files, const UploadLimits& limits = {},
          Now now = &SystemNow);

  enum class Made : std::uint8_t {
    kNew,
    kAgain,        // the same request made one before that is still open: this is it
    kTooMany,      // this device has as many open as it may
    kTooManyInAll  // all devices together have
  };
  Made Create(const UploadHead& head, std::int64_t length, Upload& upload);

  // False: there is none, or it has expired, or it is another device's.
  bool Find(std::string_view id, std::string_view device, Upload& upload);
  // False: it is gone.
  bool SetLength(Upload& upload, std::int64_t length);
  bool Advance(Upload& upload, std::int64_t received);
  // Also inside a transaction; the file is not touched.
  void Finish(Upload& upload, const UploadAnswer& answer);
  // The file of one that is finished.
  void DropFile(const Upload& upload) { files_.Remove(upload.id); }
  void Remove(const Upload& upload);

  // Removes what has expired.
  void Sweep();
  std::int64_t SecondsLeft(const Upload& upload) const;
  UploadFiles& files() { return files_; }

 private:
  void Recover();
  bool FindAgain(const UploadHead& head, std::int64_t length, Upload& upload);
  bool Expired(const Upload& upload) const { return SecondsLeft(upload) <= 0; }
  std::int64_t Count(Statement& statement, std::string_view device);
  void Read(Statement& statement, Upload& upload);
  void Run(Statement& statement);

  Database& database_;
  UploadFiles& files_;
  UploadLimits limits_;
  Now now_;
  Statement find_, open_of_, count_, count_of_, add_, set_length_, advance_, finish_, trim_,
      remove_, expired_;
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_UPLOADS_H_
