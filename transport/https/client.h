// SPDX-License-Identifier: Apache-2.0
// transport/https/client.h - one libcurl connection that speaks the table protocol; private to
// https/.
//
// Purpose: the object behind HttpsTransport::Create(), in two rooms: https.cc makes requests and
// runs
//          them, answer.cc takes what comes back apart.
// Owner:   HttpsTransport::Create() makes it.
// Threads: one; every callback of libcurl runs inside Pump().
#ifndef HOLDFAST_TRANSPORT_HTTPS_CLIENT_H_
#define HOLDFAST_TRANSPORT_HTTPS_CLIENT_H_

#include <curl/curl.h>
#include <mbedtls/platform_util.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <memory>
#include <optional>
#include <utility>

#include "hal/base/text.h"
#include "transport/https/curl_error.h"
#include "transport/https/head.h"
#include "transport/https/https.h"
#include "transport/https/socket_meter.h"
#include "transport/tls/credentials.h"
#include "transport/url.h"
#include "transport/wire_gzip.h"

namespace holdfast::transport::https {

using tls::CredentialFiles;
using tls::Credentials;

// The body of a refusal that may be about the protocol's version.
inline constexpr std::size_t kHeldBytes = 2048;
// The packed body of a bulk. One that does not get so small goes as it is.
inline constexpr std::size_t kPackedBytes = limits::kBulkBytes / 2;

// Header lines for libcurl, which reads them in place: fixed room instead of one allocation each.
class HeaderLines {
 public:
  HeaderLines() = default;
  HeaderLines(const HeaderLines&) = delete;
  HeaderLines& operator=(const HeaderLines&) = delete;
  ~HeaderLines() { mbedtls_platform_zeroize(text_, sizeof text_); }

  void Clear() { lines_ = used_ = 0; }
  // "Name: " + value; "Name:" alone keeps libcurl from sending its own.
  Result<void> Add(std::string_view name, std::string_view value = {}) {
    const std::size_t size = name.size() + value.size() + 1;
    if (lines_ == nodes_.size() || size > sizeof text_ - used_)
      return Error{Code::kTooLarge, Origin::kNone, int(sizeof text_), "a header too long"};
    char* line = text_ + used_;
    std::memcpy(line, name.data(), name.size());
    if (!value.empty()) std::memcpy(line + name.size(), value.data(), value.size());
    line[size - 1] = '\0';
    nodes_[lines_] = {line, nullptr};
    if (lines_ > 0) nodes_[lines_ - 1].next = &nodes_[lines_];
    ++lines_;
    used_ += size;
    return Ok();
  }
  curl_slist* list() { return lines_ == 0 ? nullptr : nodes_.data(); }

 private:
  std::array<curl_slist, 16> nodes_ = {};
  std::size_t lines_ = 0, used_ = 0;
  char text_[Credentials::kTokenBytes + 1024];
};

// libcurl is set up once per process; pairs of these are counted by libcurl.
class CurlLibrary {
 public:
  CurlLibrary() : ok_(curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK) {}
  CurlLibrary(const CurlLibrary&) = delete;
  CurlLibrary& operator=(const CurlLibrary&) = delete;
  ~CurlLibrary() {
    if (ok_) curl_global_cleanup();
  }
  bool ok() const { return ok_; }

 private:
  bool ok_;
};

class Client final : public HttpsTransport {
 public:
  explicit Client(hal::Clock& clock) : clock_(clock) {}
  ~Client() override;

  Result<void> Start(const Options& options);

  Result<void> Begin(const Request& request, ResponseSink& sink) override;
  bool Pump(hal::Duration wait) override;
  void Cancel() override;
  Result<void> ReloadCredentials() override;
  const Capabilities& capabilities() const override { return capabilities_; }
  void Recall(const Capabilities& known) override {
    capabilities_.bulk = known.bulk;
    capabilities_.gzip = known.gzip;
    capabilities_.sizes = known.sizes;
  }
  const Traffic& traffic() const override { return traffic_; }
  std::int64_t certificate_end_unix_s() const override { return credentials_->OwnCertificateEnd(); }

 private:
  // How the version of the protocol is found out, within one exchange.
  enum class Probe : std::uint8_t {
    kNone,      // it is known, or the first try was not refused
    kSpeaks30,  // 2.0 was refused, perhaps for being 2.0: the same again in 3.0
    kBackTo20,  // 3.0 was refused for being 3.0: so it was not the version; the same again in 2.0
  };

  Result<void> CopyOptions(const Options& options);
  Result<void> MakeHandles();
  Result<void> SetFixedOptions();
  void CloseConnections();

  hal::Duration LongestWait() const {
    constexpr hal::Duration kMargin = hal::Duration::Seconds(5);
    return stall_timeout_ > kMargin ? stall_timeout_ - kMargin : hal::Duration{0};
  }
  Result<void> SetRequest();
  Result<void> SetHeaders();
  Result<void> SetUploadHeaders();
  Result<void> SetRange();
  void PackBody();
  void SetBody(std::string_view body);
  Result<void> StartAttempt();
  void Work(hal::Duration wait);
  void TakeResults();
  void OnTransferDone(CURLcode code);
  Error TransferError(CURLcode code);
  bool TryOtherProtocol();
  void EndTransfer();
  void Finish(const Result<void>& outcome);
  void CountTraffic();

  bool OnHeaderLine(std::string_view line);
  Result<void> OnHeadComplete();
  bool MayBeAboutVersion(int status) const;
  void LearnFromHead(int status);
  void LearnBulk(int status);
  void LearnUpload(int status);
  void LearnFromList(std::string_view start);
  Result<void> DeliverHead();
  Result<void> CheckLength(std::int64_t bytes) const;
  bool OnBodyBytes(std::string_view bytes);
  Result<void> DeliverBody(std::string_view bytes);
  Result<void> DeliverHeld();
  bool Fail(const Error& error);

  static std::size_t HeaderCallback(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t BodyCallback(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t SendCallback(char* data, std::size_t size, std::size_t count, void* self);
  static CURLcode TlsCallback(CURL* easy, void* config, void* self);
  static int VerifyCallback(void* self, mbedtls_x509_crt*, int depth, std::uint32_t* flags);
  static curl_socket_t OpenSocket(void* self, curlsocktype, curl_sockaddr* address);
  static int CloseSocket(void* self, curl_socket_t socket);

  template <typename T>
  Result<void> Set(CURLoption option, T value) {
    const CURLcode code = curl_easy_setopt(easy_, option, value);
    if (code == CURLE_OK) return Ok();
    return Error{code == CURLE_OUT_OF_MEMORY ? Code::kNoMemory : Code::kUnsupported, Origin::kCurl,
                 code, "libcurl refuses an option"};
  }

  CurlLibrary library_;
  hal::Clock& clock_;
  ServerUrl server_;
  CredentialFiles files_;
  std::unique_ptr<Credentials> credentials_;
  FixedString<512> proxy_;
  FixedString<128> installation_id_, user_agent_;
  hal::Duration connect_timeout_, stall_timeout_;
  std::uint32_t stall_bytes_per_second_ = 0;
  bool protocol_fixed_ = false;

  SocketMeter meter_;  // before the handles: they close their sockets through it
  CURLM* multi_ = nullptr;
  CURL* easy_ = nullptr;

  std::unique_ptr<wire::GzipPacker> packer_;
  std::unique_ptr<char[]> packed_;

  // The exchange under way.
  Request request_;
  std::string_view body_;  // as it goes out
  std::size_t given_ = 0;  // to libcurl, of an append
  bool packed_body_ = false, accepts_packed_ = false;
  ResponseSink* sink_ = nullptr;
  bool active_ = false, in_callback_ = false;
  hal::Instant deadline_;
  Protocol speaking_ = Protocol::k20;
  Probe probe_ = Probe::kNone;
  bool refused_method_ = false;  // what was refused first was the method (405)
  HeadReader head_;
  bool head_done_ = false, head_delivered_ = false, holding_ = false;
  std::size_t held_bytes_ = 0;
  std::int64_t body_bytes_ = 0;
  std::optional<Error> failure_;  // of ours or of the sink, while libcurl unwinds
  std::uint32_t verify_flags_ = 0;
  std::uint64_t sent_before_ = 0;

  Capabilities capabilities_;
  // Whatever the server announces.
  bool bulk_refused_ = false, gzip_refused_ = false, upload_refused_ = false;
  Traffic traffic_;
  std::uint64_t estimated_sent_ = 0, estimated_received_ = 0;  // when the kernel does not count
  HeaderLines headers_;
  char url_[limits::kUrlBytes + 1];
  char tag_[2 * limits::kVersionBytes + 8];
  char held_[kHeldBytes];
  char error_text_[CURL_ERROR_SIZE];
};

}  // namespace holdfast::transport::https

#endif  // HOLDFAST_TRANSPORT_HTTPS_CLIENT_H_
