// SPDX-License-Identifier: Apache-2.0
// Records of uploads: owners, caps, expiry by a clock of our own, restarts, and a medium that
// fails.
#include "server/uploads.h"

#include <CppUTest/TestHarness.h>
#include <stdlib.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <filesystem>
#include <memory>

#include "server/http_fields.h"
#include "server/sqlite_rows.h"
#include "server/upload_service.h"

using namespace holdfast;
using namespace holdfast::server;

namespace {

std::int64_t g_now = 0;
std::int64_t TestNow() { return g_now; }

// A medium that fails when it is told to; otherwise the real one.
struct Faults {
  bool open = false, sync = false, read = false;
  std::int64_t room = -1;  // bytes that may still be written; -1: any number
};

class FaultyFile : public UploadFile {
 public:
  FaultyFile(std::unique_ptr<UploadFile> file, Faults& faults)
      : file_(std::move(file)), faults_(faults) {}
  bool Write(std::int64_t offset, std::string_view bytes) override {
    if (faults_.room < 0) return file_->Write(offset, bytes);
    const auto room = static_cast<std::size_t>(faults_.room);
    const std::string_view fits = bytes.substr(0, room);
    faults_.room -= static_cast<std::int64_t>(fits.size());
    return file_->Write(offset, fits) && fits.size() == bytes.size();
  }
  bool Sync() override { return !faults_.sync && file_->Sync(); }

 private:
  std::unique_ptr<UploadFile> file_;
  Faults& faults_;
};

class FaultyFiles : public UploadFiles {
 public:
  explicit FaultyFiles(const std::string& folder) : files_(MakeUploadFiles(folder)) {}
  std::unique_ptr<UploadFile> Open(const std::string& id) override {
    if (faults.open) return nullptr;
    return std::make_unique<FaultyFile>(files_->Open(id), faults);
  }
  std::optional<std::string> Read(const std::string& id, std::size_t size) override {
    return faults.read ? std::nullopt : files_->Read(id, size);
  }
  std::optional<std::int64_t> SizeOf(const std::string& id) override { return files_->SizeOf(id); }
  bool Truncate(const std::string& id, std::int64_t size) override {
    return files_->Truncate(id, size);
  }
  void Remove(const std::string& id) override { files_->Remove(id); }
  std::vector<std::string> List() override { return files_->List(); }

  Faults faults;

 private:
  std::unique_ptr<UploadFiles> files_;
};

UploadHead HeadFor(const char* device, const char* target = "/tables/files") {
  UploadHead head;
  head.device = device;
  head.method = "POST";
  head.target = target;
  head.version = "3.0";
  return head;
}

}  // namespace

TEST_GROUP(Uploads) {
  char folder[32] = "/tmp/holdfast-uploads-XXXXXX";
  std::unique_ptr<Database> database;
  std::unique_ptr<FaultyFiles> files;
  std::unique_ptr<Uploads> uploads;

  void setup() override {
    CHECK(mkdtemp(folder) != nullptr);
    g_now = 1'800'000'000;
    Open();
  }
  void teardown() override {
    Close();
    std::filesystem::remove_all(folder);
  }
  void Close() {
    uploads.reset();
    files.reset();
    database.reset();
  }
  void Open() {
    Close();
    database = std::make_unique<Database>(std::string(folder) + "/server.db");
    files = std::make_unique<FaultyFiles>(std::string(folder) + "/uploads");
    uploads = std::make_unique<Uploads>(*database, *files, UploadLimits{}, &TestNow);
  }
  Upload Make(const UploadHead& head, std::int64_t length = 100) {
    Upload upload;
    CHECK(uploads->Create(head, length, upload) == Uploads::Made::kNew);
    return upload;
  }
  void Store(Upload & upload, std::string_view bytes) {
    const auto file = files->Open(upload.id);
    CHECK(file->Write(upload.received, bytes) && file->Sync());
    CHECK(uploads->Advance(upload, upload.received + static_cast<std::int64_t>(bytes.size())));
  }
  bool Has(const Upload& upload, const char* device = "a") {
    Upload found;
    return uploads->Find(upload.id, device, found);
  }
  bool HasFile(const Upload& upload) { return files->SizeOf(upload.id).has_value(); }
};

TEST(Uploads, AnIdIsLongAndFitsAUrl) {
  const Upload one = Make(HeadFor("a")), other = Make(HeadFor("a"));
  UNSIGNED_LONGS_EQUAL(22, one.id.size());
  CHECK(one.id != other.id);
  CHECK(one.id.find_first_not_of(
            "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_") ==
        std::string::npos);
}

TEST(Uploads, EverythingThatTheRequestSaidComesBack) {
  UploadHead head{"a",
                  "PATCH",
                  "/tables/t/r",
                  "3.0.0",
                  "\"v\"",
                  "\"n\"",
                  "Mon, 01 Jan 2024 00:00:00 GMT",
                  "application/json",
                  "gzip",
                  "include:deleted",
                  "00ff",
                  true};
  const Upload made = Make(head, 77);
  Open();
  Upload found;
  CHECK(uploads->Find(made.id, "a", found));
  CHECK(found.head.method == head.method && found.head.target == head.target &&
        found.head.version == head.version && found.head.if_match == head.if_match &&
        found.head.if_none_match == head.if_none_match && found.head.digest == head.digest &&
        found.head.if_unmodified_since == head.if_unmodified_since && found.head.version_only &&
        found.head.content_type == head.content_type && found.head.coding == head.coding &&
        found.head.options == head.options && found.length == 77 && found.received == 0);
  CHECK(!found.complete());
}

TEST(Uploads, OthersDoNotSeeIt) {
  const Upload made = Make(HeadFor("a"));
  CHECK(Has(made));
  CHECK(!Has(made, "b"));
  CHECK(!Has(made, ""));
}

TEST(Uploads, AnIdleOneExpiresAndAnAppendRenewsIt) {
  Upload renewed = Make(HeadFor("a")), idle = Make(HeadFor("a"));
  Store(idle, "x");
  g_now += 23 * 3600;
  Store(renewed, "x");
  LONGS_EQUAL(3600, uploads->SecondsLeft(idle));
  g_now += 3600;
  CHECK(!Has(idle));
  CHECK(Has(renewed));
  CHECK(HasFile(idle));
  uploads->Sweep();
  CHECK(!HasFile(idle));
  CHECK(HasFile(renewed));
  CHECK(!uploads->Advance(idle, 2));
  g_now += 24 * 3600;
  Open();  // a start sweeps, too
  CHECK(!HasFile(renewed));
}

TEST(Uploads, AFinishedOneStaysForAWeek) {
  Upload upload = Make(HeadFor("a"));
  Store(upload, "{}");
  UploadAnswer answer;
  answer.status = 201;
  answer.version = "v1";
  answer.location = "/tables/files/r";
  answer.headers = "Last-Modified: x\r\n";
  answer.row = "/tables/files/r";
  answer.body = std::string("{\"id\":\"r\"}\0", 11);
  answer.id_chosen = answer.shows_row = true;
  uploads->Finish(upload, answer);
  g_now += 7 * 24 * 3600 - 1;
  Open();
  CHECK(!HasFile(upload));
  Upload found;
  CHECK(uploads->Find(upload.id, "a", found));
  CHECK(found.complete() && found.length == 2 && found.answer.status == 201 &&
        found.answer.version == "v1" && found.answer.location == answer.location &&
        found.answer.headers == answer.headers && found.answer.row == answer.row &&
        found.answer.body == answer.body && found.answer.id_chosen && found.answer.shows_row);
  CHECK(!uploads->Advance(found, 3));
  g_now += 1;
  CHECK(!Has(upload));
  uploads->Sweep();
}

TEST(Uploads, ManyFinishedOnesMakeRoomForEachOther) {
  UploadAnswer answer;
  answer.status = 400;
  std::vector<Upload> made;
  for (int i = 0; i < 66; ++i) {
    made.push_back(Make(HeadFor("a")));
    uploads->Finish(made.back(), answer);
  }
  CHECK(!Has(made[0]) && !Has(made[1]));
  CHECK(Has(made[2]) && Has(made[65]));
}

TEST(Uploads, CapsCountWhatIsOpenAndNotExpired) {
  for (int i = 0; i < 4; ++i) Make(HeadFor("a"));
  Upload upload;
  CHECK(uploads->Create(HeadFor("a"), 1, upload) == Uploads::Made::kTooMany);
  Make(HeadFor("b"));
  g_now += 24 * 3600;
  Make(HeadFor("a"));
  UploadLimits few;
  few.open = 1;
  uploads = std::make_unique<Uploads>(*database, *files, few, &TestNow);
  CHECK(uploads->Create(HeadFor("c"), 1, upload) == Uploads::Made::kTooManyInAll);
}

TEST(Uploads, TheSameRequestWithADigestFindsItsOwn) {
  UploadHead head = HeadFor("a");
  head.digest = "aa";
  const Upload made = Make(head);
  Upload again;
  CHECK(uploads->Create(head, 100, again) == Uploads::Made::kAgain);
  CHECK(again.id == made.id);
  CHECK(uploads->Create(head, 101, again) == Uploads::Made::kNew);
  head.if_match = "\"v\"";
  CHECK(uploads->Create(head, 100, again) == Uploads::Made::kNew);
  head.device = "b";
  CHECK(uploads->Create(head, 100, again) == Uploads::Made::kNew);
  const UploadHead without = HeadFor("c");
  Make(without);
  Make(without);
}

TEST(Uploads, AStartPutsFilesAndRecordsInOrder) {
  Upload whole = Make(HeadFor("a")), longer = Make(HeadFor("a")), shorter = Make(HeadFor("a")),
         lost = Make(HeadFor("a")), fresh = Make(HeadFor("b"));
  for (Upload* upload : {&whole, &longer, &shorter, &lost}) Store(*upload, "12345");
  CHECK(files->Open(longer.id)->Write(5, "not recorded"));
  CHECK(files->Open(fresh.id)->Write(0, "not recorded"));
  CHECK(files->Truncate(shorter.id, 3));
  files->Remove(lost.id);
  CHECK(files->Open("AAAAAAAAAAAAAAAAAAAAAA") != nullptr);
  Open();
  CHECK(Has(whole) && Has(longer) && Has(fresh, "b") && !Has(shorter) && !Has(lost));
  LONGS_EQUAL(5, *files->SizeOf(longer.id));
  LONGS_EQUAL(0, *files->SizeOf(fresh.id));
  UNSIGNED_LONGS_EQUAL(3, files->List().size());
}

// The service on top, with a medium that fails.
TEST_GROUP(UploadService) {
  char folder[32] = "/tmp/holdfast-uploads-XXXXXX";
  std::unique_ptr<boost::asio::io_context> io;
  std::unique_ptr<SqliteRows> rows;
  std::unique_ptr<GroupWriter> writer;
  std::unique_ptr<Changes> changes;
  std::unique_ptr<TablesService> tables;
  std::unique_ptr<FaultyFiles> files;
  std::unique_ptr<Uploads> uploads;
  std::unique_ptr<UploadService> service;
  const std::string body = "{\"id\":\"r\",\"text\":\"" + std::string(200'000, 'x') + "\"}";

  void setup() override {
    CHECK(mkdtemp(folder) != nullptr);
    g_now = 1'800'000'000;
    io = std::make_unique<boost::asio::io_context>(1);
    rows = std::make_unique<SqliteRows>(std::string(folder) + "/server.db", SchemaFile{});
    writer = std::make_unique<GroupWriter>(*rows, io->get_executor());
    changes = std::make_unique<Changes>(io->get_executor(), "");
    tables = std::make_unique<TablesService>(*rows, *writer, *changes, ProtocolLimits{});
    files = std::make_unique<FaultyFiles>(std::string(folder) + "/uploads");
    uploads = std::make_unique<Uploads>(rows->database(), *files, UploadLimits{}, &TestNow);
    service = std::make_unique<UploadService>(*uploads, *tables, io->get_executor());
  }
  void teardown() override {
    service.reset();
    uploads.reset();
    files.reset();
    tables.reset();
    changes.reset();
    writer.reset();
    rows.reset();
    io.reset();
    std::filesystem::remove_all(folder);
  }
  void Run(boost::asio::awaitable<void> work) {
    io->restart();
    std::exception_ptr failure;
    boost::asio::co_spawn(*io, std::move(work),
                          [&failure](std::exception_ptr thrown) { failure = thrown; });
    io->run();
    if (failure) std::rethrow_exception(failure);
  }
  std::string Begin() {
    Response response;
    Upload upload;
    CHECK(service->Create(HeadFor("a"), static_cast<std::int64_t>(body.size()), response, upload));
    LONGS_EQUAL(201, response.status);
    return upload.id;
  }
  // Appends all that is not there yet, and flushes; the offset that is on the medium.
  boost::asio::awaitable<void> Append(const std::string& id, bool& good, std::int64_t& offset) {
    const std::string device = "a";
    const UploadService::Stop none;
    UploadService::Hold hold = co_await service->Take(id, device, none);
    const std::string_view rest = std::string_view(body).substr(std::size_t(hold.offset()));
    good = co_await service->Append(hold, rest);
    const bool flushed = co_await service->Flush(hold);
    good = good && flushed;
    offset = hold.upload().received;
  }
  boost::asio::awaitable<void> Complete(const std::string& id, int& status) {
    const std::string device = "a";
    const UploadService::Stop none;
    const TablesService::Form form;
    Response response;
    UploadService::Hold hold = co_await service->Take(id, device, none);
    status = 404;
    if (!hold) co_return;
    co_await service->Complete(hold, form, response);
    status = response.status;
  }
  int Completed(const std::string& id) {
    int status = 0;
    Run(Complete(id, status));
    return status;
  }
};

TEST(UploadService, AFullMediumKeepsWhatIsOnIt) {
  const std::string id = Begin();
  bool good = true;
  std::int64_t offset = 0;
  files->faults.room = 100'000;
  Run(Append(id, good, offset));
  CHECK(!good);
  LONGS_EQUAL(65536, offset);
  files->faults.room = -1;
  Run(Append(id, good, offset));
  CHECK(good);
  LONGS_EQUAL(body.size(), offset);
  LONGS_EQUAL(201, Completed(id));
  LONGS_EQUAL(201, Completed(id));
}

TEST(UploadService, WhatCouldNotBeSyncedHasToComeAgain) {
  const std::string id = Begin();
  bool good = true;
  std::int64_t offset = -1;
  files->faults.sync = true;
  Run(Append(id, good, offset));
  CHECK(!good);
  LONGS_EQUAL(0, offset);
  files->faults.sync = false;
  files->faults.open = true;
  Run(Append(id, good, offset));
  CHECK(!good);
  LONGS_EQUAL(0, offset);
  files->faults.open = false;
  Run(Append(id, good, offset));
  CHECK(good);
  LONGS_EQUAL(body.size(), offset);
}

TEST(UploadService, WhatCannotBeReadStaysOpen) {
  const std::string id = Begin();
  bool good = false;
  std::int64_t offset = 0;
  Run(Append(id, good, offset));
  files->faults.read = true;
  LONGS_EQUAL(503, Completed(id));
  files->faults.read = false;
  LONGS_EQUAL(201, Completed(id));
  CHECK(files->List().empty());
}

TEST(UploadService, ARowThatCannotBeStoredLeavesItOpen) {
  const std::string id = Begin();
  bool good = false;
  std::int64_t offset = 0;
  Run(Append(id, good, offset));
  // The record cannot be closed: then there is no row either.
  rows->database().Run(
      "CREATE TRIGGER no BEFORE UPDATE OF status ON __uploads BEGIN SELECT RAISE(FAIL, 'no'); END");
  LONGS_EQUAL(503, Completed(id));
  rows->database().Run("DROP TRIGGER no");
  LONGS_EQUAL(201, Completed(id));
  Statement count = rows->database().Prepare("SELECT count(*) FROM files");
  LONGS_EQUAL(SQLITE_ROW, count.Step());
  LONGS_EQUAL(1, count.Integer(0));
}

TEST(UploadService, AnExpiredOneIsNoneAndIsForgotten) {
  const std::string id = Begin();
  bool good = false;
  std::int64_t offset = 0;
  Run(Append(id, good, offset));
  g_now += 24 * 3600;
  LONGS_EQUAL(404, Completed(id));
  service->LookAround();
  CHECK(files->List().empty());
}

TEST_GROUP(HttpFields){};

TEST(HttpFields, ItemsAreWholeOrAbsent) {
  CHECK(ParseFlagItem("?1") == true && ParseFlagItem(" ?0 ") == false &&
        ParseFlagItem("?1;a") == true);
  for (const char* text : {"", "1", "true", "?2", "?", "?1, ?1", "\"?1\""}) {
    CHECK_TEXT(!ParseFlagItem(text), text);
  }
  CHECK(ParseCountItem("0") == 0 && ParseCountItem(" 999999999999999;x=1 ") == 999999999999999);
  for (const char* text :
       {"", "-1", "+1", "1.0", "1000000000000000", "1, 1", "0x1", "1 1", ":AA==:"}) {
    CHECK_TEXT(!ParseCountItem(text), text);
  }
}

TEST(HttpFields, Digests) {
  const std::string zeros = ":AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=:";
  CHECK(ParseReprDigest("sha-256=" + zeros) == std::string(64, '0'));
  CHECK(ParseReprDigest("md5=:AA==:, sha-256=" + zeros + ";x=1, sha-512=:AA==:") ==
        std::string(64, '0'));
  CHECK(ParseReprDigest("") == "");
  CHECK(ParseReprDigest("sha-512=:AA==:") == "");
  for (const char* text :
       {"sha-256=", "sha-256=:AA==:", "sha-256=AAAA", "sha-256=:A:", "sha-256=::"}) {
    CHECK_TEXT(!ParseReprDigest(text), text);
  }
}

TEST(HttpFields, Ranges) {
  CHECK(ParseRange("bytes=5-")->first == 5 && !ParseRange("bytes=5-")->last);
  CHECK(ParseRange(" Bytes=0-9 ")->last == 9);
  for (const char* text : {"", "bytes", "bytes=", "bytes=-5", "bytes=9-5", "rows=1-",
                           "bytes=1-2,4-", "bytes=x-", "bytes=1-y", "bytes=1000000000000000000-"}) {
    CHECK_TEXT(!ParseRange(text), text);
  }
  CHECK(Prefers("respond-async, return=minimal", "return=minimal"));
  CHECK(!Prefers("return=representation", "return=minimal"));
}
