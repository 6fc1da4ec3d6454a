// SPDX-License-Identifier: Apache-2.0
#include "transport/https/https.h"

#include <curl/curl.h>
#include <mbedtls/platform_util.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

#include "hal/base/text.h"
#include "transport/https/credentials.h"
#include "transport/https/curl_error.h"
#include "transport/https/head.h"
#include "transport/https/socket_meter.h"
#include "transport/https/url.h"

namespace holdfast::transport {
namespace {

using namespace https;  // NOLINT(google-build-using-namespace): this file is its implementation

// A row as a server prints it may be somewhat longer than as we sent it.
constexpr std::int64_t kRowBodyBytes = limits::kRowBytes + (64 << 10);
// What is not JSON is for people to read; no server has more to say than this.
constexpr std::int64_t kTextBodyBytes = 256 << 10;
// The body of a refusal that may be about the protocol's version.
constexpr std::size_t kHeldBytes = 2048;
// How far into a list its shape must show.
constexpr std::size_t kShapeBytes = 64;
constexpr long kCurlBufferBytes = 16 << 10;
constexpr std::string_view kUndelete30 = R"({"deleted":false})";

Error Invalid(const char* what) { return {Code::kInvalidArgument, Origin::kNone, 0, what}; }
Error BadAnswer(int status, const char* what) {
  return {Code::kBadAnswer, Origin::kHttp, status, what};
}

bool Contains(std::string_view text, std::string_view word) {
  for (std::size_t i = 0; i + word.size() <= text.size(); ++i) {
    if (EqualsIgnoreCase(text.substr(i, word.size()), word)) return true;
  }
  return false;
}

const char* MethodName(Method method, Protocol protocol) {
  switch (method) {
    case Method::kList:
    case Method::kLookup: return "GET";
    case Method::kInsert: return "POST";
    case Method::kUpdate: return "PATCH";
    case Method::kReplace: return "PUT";
    case Method::kDelete: return "DELETE";
    case Method::kUndelete: return protocol == Protocol::k30 ? "PATCH" : "POST";
  }
  return "GET";
}

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
    if (lines_ == nodes_.size() || size > sizeof text_ - used_) return Invalid("a header too long");
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
  std::array<curl_slist, 12> nodes_ = {};
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

  Result<void> SetRequest();
  Result<void> SetHeaders();
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
  void LearnFromList(std::string_view start);
  Result<void> DeliverHead();
  Result<void> CheckLength(std::int64_t bytes) const;
  bool OnBodyBytes(std::string_view bytes);
  Result<void> DeliverBody(std::string_view bytes);
  Result<void> DeliverHeld();
  bool Fail(const Error& error);

  static std::size_t HeaderCallback(char* data, std::size_t size, std::size_t count, void* self);
  static std::size_t BodyCallback(char* data, std::size_t size, std::size_t count, void* self);
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

  // The exchange under way.
  Request request_;
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
  Traffic traffic_;
  std::uint64_t estimated_sent_ = 0, estimated_received_ = 0;  // when the kernel does not count
  HeaderLines headers_;
  char url_[limits::kUrlBytes + 1];
  char tag_[2 * limits::kVersionBytes + 8];
  char held_[kHeldBytes];
  char error_text_[CURL_ERROR_SIZE];
};

// ---- making it

Client::~Client() {
  HF_ASSERT(!in_callback_);
  if (active_) EndTransfer();
  CloseConnections();
}

void Client::CloseConnections() {
  if (easy_ != nullptr) curl_easy_cleanup(easy_);
  if (multi_ != nullptr) curl_multi_cleanup(multi_);
  easy_ = nullptr;
  multi_ = nullptr;
}

Result<void> Client::Start(const Options& options) {
  if (!library_.ok()) return Error{Code::kNoMemory, Origin::kCurl, 0, "libcurl does not start"};
  const curl_version_info_data* version = curl_version_info(CURLVERSION_NOW);
  const std::string_view tls = version->ssl_version == nullptr ? "" : version->ssl_version;
  if (tls.substr(0, 7) != "mbedTLS") {
    return Error{Code::kUnsupported, Origin::kCurl, 0, "libcurl was not built on Mbed TLS"};
  }
  HF_TRY(CopyOptions(options));
  HF_TRY_ASSIGN(credentials_, Credentials::Load(files_));
  return MakeHandles();
}

Result<void> Client::CopyOptions(const Options& options) {
  HF_TRY_ASSIGN(server_, ParseServerUrl(options.url));
  if (!files_.ca.Assign(options.ca_file) || !files_.cert.Assign(options.cert_file) ||
      !files_.key.Assign(options.key_file) || !files_.token.Assign(options.token_file)) {
    return Invalid("the path of a credential file is too long");
  }
  for (const std::string_view text : {options.installation_id, options.user_agent, options.proxy}) {
    for (const char c : text) {
      if (c < 0x20 || c >= 0x7f) return Invalid("a control character in an option for https");
    }
  }
  if (!options.proxy.empty() && options.proxy.substr(0, 7) != "http://") {
    return Invalid("a proxy is given as http://host:port");
  }
  if (!proxy_.Assign(options.proxy) || !installation_id_.Assign(options.installation_id) ||
      !user_agent_.Assign(options.user_agent)) {
    return Invalid("an option for https is too long");
  }
  connect_timeout_ = options.connect_timeout;
  stall_timeout_ = options.stall_timeout;
  stall_bytes_per_second_ = options.stall_bytes_per_second;
  protocol_fixed_ = options.protocol != Protocol::kUnknown;
  capabilities_.protocol = options.protocol;
  return Ok();
}

Result<void> Client::MakeHandles() {
  multi_ = curl_multi_init();
  easy_ = curl_easy_init();
  if (multi_ == nullptr || easy_ == nullptr) {
    CloseConnections();
    return Error{Code::kNoMemory, Origin::kCurl, 0, "libcurl has no memory"};
  }
  curl_multi_setopt(multi_, CURLMOPT_MAXCONNECTS, 1L);
  curl_multi_setopt(multi_, CURLMOPT_MAX_TOTAL_CONNECTIONS, 1L);
  return SetFixedOptions();
}

Result<void> Client::SetFixedOptions() {
  HF_TRY(Set(CURLOPT_NOSIGNAL, 1L));
  HF_TRY(Set(CURLOPT_QUICK_EXIT, 1L));  // do not wait for a resolver that hangs
  HF_TRY(Set(CURLOPT_ERRORBUFFER, error_text_));
  HF_TRY(Set(CURLOPT_PROTOCOLS_STR, server_.tls ? "https" : "http"));
  HF_TRY(Set(CURLOPT_HTTP_VERSION, long{CURL_HTTP_VERSION_1_1}));
  HF_TRY(Set(CURLOPT_PATH_AS_IS, 1L));
  HF_TRY(Set(CURLOPT_FOLLOWLOCATION, 0L));
  HF_TRY(Set(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1L));
  HF_TRY(Set(CURLOPT_BUFFERSIZE, kCurlBufferBytes));
  HF_TRY(Set(CURLOPT_UPLOAD_BUFFERSIZE, kCurlBufferBytes));
  HF_TRY(Set(CURLOPT_TCP_KEEPALIVE, 1L));
  HF_TRY(Set(CURLOPT_USERAGENT, user_agent_.c_str()));
  HF_TRY(Set(CURLOPT_PROXY, proxy_.c_str()));  // "": none, and none from the environment either
  HF_TRY(Set(CURLOPT_NOPROXY, server_.loopback ? "*" : ""));
  HF_TRY(Set(CURLOPT_CONNECTTIMEOUT_MS, long(connect_timeout_.milliseconds())));
  HF_TRY(Set(CURLOPT_LOW_SPEED_TIME,
             long(std::max<std::int64_t>(1, stall_timeout_.milliseconds() / 1000))));
  HF_TRY(Set(CURLOPT_LOW_SPEED_LIMIT, long(stall_bytes_per_second_)));
  HF_TRY(Set(CURLOPT_HEADERFUNCTION, &Client::HeaderCallback));
  HF_TRY(Set(CURLOPT_HEADERDATA, this));
  HF_TRY(Set(CURLOPT_WRITEFUNCTION, &Client::BodyCallback));
  HF_TRY(Set(CURLOPT_WRITEDATA, this));
  HF_TRY(Set(CURLOPT_OPENSOCKETFUNCTION, &Client::OpenSocket));
  HF_TRY(Set(CURLOPT_OPENSOCKETDATA, this));
  HF_TRY(Set(CURLOPT_CLOSESOCKETFUNCTION, &Client::CloseSocket));
  HF_TRY(Set(CURLOPT_CLOSESOCKETDATA, this));
  HF_TRY(Set(CURLOPT_SSL_VERIFYPEER, 1L));
  HF_TRY(Set(CURLOPT_SSL_VERIFYHOST, 2L));
  HF_TRY(Set(CURLOPT_SSLVERSION, long{CURL_SSLVERSION_TLSv1_2}));
  // Trust comes from Credentials::Configure() alone.
  HF_TRY(Set(CURLOPT_CAINFO, static_cast<const char*>(nullptr)));
  HF_TRY(Set(CURLOPT_CAPATH, static_cast<const char*>(nullptr)));
  HF_TRY(Set(CURLOPT_SSL_CTX_FUNCTION, &Client::TlsCallback));
  return Set(CURLOPT_SSL_CTX_DATA, this);
}

Result<void> Client::ReloadCredentials() {
  if (active_) return Error{Code::kBusy, Origin::kNone, 0, "an exchange is under way"};
  HF_TRY_ASSIGN(auto fresh, Credentials::Load(files_));
  CloseConnections();  // and with them the TLS sessions that the old credentials opened
  credentials_ = std::move(fresh);
  return MakeHandles();
}

// ---- one exchange

Result<void> Client::Begin(const Request& request, ResponseSink& sink) {
  HF_ASSERT(!active_);
  if (easy_ == nullptr) HF_TRY(MakeHandles());
  request_ = request;
  deadline_ = clock_.Now() + request.timeout;
  speaking_ = capabilities_.protocol == Protocol::k30 ? Protocol::k30 : Protocol::k20;
  probe_ = Probe::kNone;
  refused_method_ = false;
  sink_ = &sink;
  auto started = StartAttempt();
  if (!started) sink_ = nullptr;
  return started;
}

Result<void> Client::StartAttempt() {
  HF_TRY(SetRequest());
  head_.Reset();
  head_done_ = head_delivered_ = holding_ = false;
  held_bytes_ = 0;
  body_bytes_ = 0;
  failure_.reset();
  verify_flags_ = 0;
  error_text_[0] = '\0';
  sent_before_ = meter_.bytes_sent();
  if (curl_multi_add_handle(multi_, easy_) != CURLM_OK) {
    return Error{Code::kNoMemory, Origin::kCurl, 0, "libcurl cannot begin"};
  }
  active_ = true;
  return Ok();
}

Result<void> Client::SetRequest() {
  HF_TRY(BuildUrl(server_, request_, speaking_, url_));
  HF_TRY(SetHeaders());
  const bool undelete30 = request_.method == Method::kUndelete && speaking_ == Protocol::k30;
  SetBody(undelete30 ? kUndelete30 : request_.body);
  const hal::Duration left = deadline_ - clock_.Now();
  HF_TRY(Set(CURLOPT_TIMEOUT_MS, long(std::max<std::int64_t>(1, left.milliseconds()))));
  return Set(CURLOPT_URL, static_cast<const char*>(url_));
}

// A body goes out with every method that has one; an undelete of 2.0 is a POST of nothing.
void Client::SetBody(std::string_view body) {
  const char* name = MethodName(request_.method, speaking_);
  if (std::string_view(name) == "GET" || request_.method == Method::kDelete) {
    curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(easy_, CURLOPT_POST, 1L);
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body.empty() ? "" : body.data());
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.size()));
  }
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, name);
}

Result<void> Client::SetHeaders() {
  headers_.Clear();
  HF_TRY(headers_.Add("Expect:"));
  HF_TRY(headers_.Add("Accept: application/json"));
  HF_TRY(headers_.Add("ZUMO-API-VERSION: ", speaking_ == Protocol::k30 ? "3.0.0" : "2.0.0"));
  const bool undelete20 = request_.method == Method::kUndelete && speaking_ != Protocol::k30;
  HF_TRY(headers_.Add(undelete20 ? "Content-Type:" : "Content-Type: application/json"));
  if (!credentials_->token().empty()) {
    HF_TRY(headers_.Add("X-ZUMO-AUTH: ", credentials_->token()));
  }
  if (!installation_id_.empty()) {
    HF_TRY(headers_.Add("X-ZUMO-INSTALLATION-ID: ", installation_id_.view()));
  }
  if (!request_.if_match.empty()) {
    HF_TRY_ASSIGN(const std::string_view tag, EncodeEtag(request_.if_match, tag_));
    HF_TRY(headers_.Add("If-Match: ", tag));
  }
  return Set(CURLOPT_HTTPHEADER, headers_.list());
}

bool Client::Pump(hal::Duration wait) {
  if (!active_) return false;
  HF_ASSERT(!in_callback_);
  Work({0});
  if (active_ && wait.ns > 0) Work(wait);
  return active_;
}

void Client::Work(hal::Duration wait) {
  if (wait.ns > 0) {
    const std::int64_t ms = std::clamp<std::int64_t>((wait.ns + 999'999) / 1'000'000, 1, 60'000);
    curl_multi_poll(multi_, nullptr, 0, int(ms), nullptr);
  }
  int running = 0;
  const CURLMcode code = curl_multi_perform(multi_, &running);
  if (code != CURLM_OK) {
    EndTransfer();
    return Finish(Error{code == CURLM_OUT_OF_MEMORY ? Code::kNoMemory : Code::kOffline,
                        Origin::kCurl, code, "libcurl cannot go on"});
  }
  TakeResults();
}

void Client::TakeResults() {
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(multi_, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    OnTransferDone(message->data.result);
    return;
  }
}

void Client::OnTransferDone(CURLcode code) {
  std::optional<Error> error = failure_;
  if (!error && code != CURLE_OK) error = TransferError(code);
  EndTransfer();
  if (sink_ == nullptr) return;  // cancelled from inside a callback
  if (error) return Finish(*error);
  if (!head_done_) return Finish(BadAnswer(0, "an answer without a header"));
  if (holding_ && TryOtherProtocol()) {
    auto again = StartAttempt();
    return again ? void() : Finish(again);
  }
  if (holding_) {
    in_callback_ = true;
    auto delivered = DeliverHeld();
    in_callback_ = false;
    if (sink_ == nullptr) return;
    if (!delivered) return Finish(delivered);
  }
  Finish(Ok());
}

Error Client::TransferError(CURLcode code) {
  Circumstances facts;
  long proxy_status = 0, sent = 0;
  curl_easy_getinfo(easy_, CURLINFO_HTTP_CONNECTCODE, &proxy_status);
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &sent);
  meter_.Update();
  facts.request_sent = sent > 0;
  facts.wire_used = sent > 0 || meter_.bytes_sent() > sent_before_;
  facts.answer_began = head_.began();
  facts.proxy_status = int(proxy_status);
  facts.tls_code = TlsCodeFromText(error_text_);
  facts.verify_flags = verify_flags_;
  facts.clock_unset = clock_.Wall().quality == hal::WallQuality::kUnset;
  facts.own_certificate_expired = credentials_->OwnCertificateExpired();
  return FromCurl(code, facts);
}

// A refusal has come in whole. Whether the same request makes sense in another version.
bool Client::TryOtherProtocol() {
  if (probe_ == Probe::kNone) {
    refused_method_ = head_.status() == 405;
    probe_ = Probe::kSpeaks30;
    speaking_ = Protocol::k30;
    return true;
  }
  const std::string_view text(held_, held_bytes_);
  if (head_.status() == 400 && Contains(text, "version")) {
    // It knows only 2.0, and has refused that for another reason: which one?
    capabilities_.protocol = speaking_ = Protocol::k20;
    probe_ = Probe::kBackTo20;
    return true;
  }
  if (refused_method_) capabilities_.protocol = Protocol::k30;
  return false;
}

void Client::EndTransfer() {
  CountTraffic();
  curl_multi_remove_handle(multi_, easy_);
  active_ = false;
}

void Client::CountTraffic() {
  long requests_bytes = 0, connections = 0, head_bytes = 0;
  curl_easy_getinfo(easy_, CURLINFO_REQUEST_SIZE, &requests_bytes);
  curl_easy_getinfo(easy_, CURLINFO_NUM_CONNECTS, &connections);
  curl_easy_getinfo(easy_, CURLINFO_HEADER_SIZE, &head_bytes);
  if (requests_bytes > 0) ++traffic_.requests;
  traffic_.connections += std::uint64_t(std::max(0L, connections));
  meter_.Update();
  if (!meter_.exact()) {
    curl_off_t up = 0, down = 0;
    curl_easy_getinfo(easy_, CURLINFO_SIZE_UPLOAD_T, &up);
    curl_easy_getinfo(easy_, CURLINFO_SIZE_DOWNLOAD_T, &down);
    estimated_sent_ += std::uint64_t(requests_bytes + up);
    estimated_received_ += std::uint64_t(head_bytes + down);
  }
  traffic_.bytes_sent = meter_.bytes_sent() + estimated_sent_;
  traffic_.bytes_received = meter_.bytes_received() + estimated_received_;
}

void Client::Finish(const Result<void>& outcome) {
  ResponseSink* sink = std::exchange(sink_, nullptr);
  if (sink != nullptr) sink->OnDone(outcome);
}

void Client::Cancel() {
  if (!active_) return;
  // libcurl must not be called back into; it is told to stop when the callback returns.
  if (!in_callback_) EndTransfer();
  Finish(Error{Code::kCancelled, Origin::kNone, 0, "stopped on request"});
}

// ---- the answer

bool Client::Fail(const Error& error) {
  if (!failure_) failure_ = error;
  return false;
}

std::size_t Client::HeaderCallback(char* data, std::size_t size, std::size_t count, void* self) {
  auto* client = static_cast<Client*>(self);
  client->in_callback_ = true;
  const bool go_on = client->OnHeaderLine({data, size * count}) && client->sink_ != nullptr;
  client->in_callback_ = false;
  return go_on ? size * count : CURL_WRITEFUNC_ERROR;
}

bool Client::OnHeaderLine(std::string_view line) {
  if (auto taken = head_.Line(line); !taken) return Fail(taken.error());
  if (head_done_) return true;  // trailers
  if (line.find_first_not_of("\r\n") != std::string_view::npos || head_.interim()) return true;
  head_done_ = true;
  if (auto complete = OnHeadComplete(); !complete) return Fail(complete.error());
  return true;
}

Result<void> Client::OnHeadComplete() {
  const int status = head_.status();
  LearnFromHead(status);
  if (MayBeAboutVersion(status)) {
    holding_ = true;
    return Ok();
  }
  return DeliverHead();
}

bool Client::MayBeAboutVersion(int status) const {
  if (capabilities_.protocol != Protocol::kUnknown) return false;
  if (probe_ == Probe::kSpeaks30) return status == 400 || status == 405;
  return probe_ == Probe::kNone && (status == 400 || status == 405);
}

void Client::LearnFromHead(int status) {
  if (head_.holdfast()) capabilities_.holdfast = true;
  if (!head_.server().empty()) (void)capabilities_.server.Assign(head_.server()).ok();
  if (capabilities_.protocol != Protocol::kUnknown || status < 200 || status > 299) return;
  if (probe_ == Probe::kSpeaks30) {
    capabilities_.protocol = Protocol::k30;
  } else if (request_.method == Method::kUpdate || head_.holdfast()) {
    capabilities_.protocol = Protocol::k20;  // our own server speaks both
  }
}

// A toolkit server takes 2.0 requests for 3.0 ones without a word; the shape of a list tells.
void Client::LearnFromList(std::string_view start) {
  if (capabilities_.protocol != Protocol::kUnknown || request_.method != Method::kList) return;
  if (head_.status() != 200) return;
  const std::size_t first = start.find_first_not_of(" \t\r\n\xEF\xBB\xBF");
  if (first == std::string_view::npos) return;
  start = start.substr(first, kShapeBytes);
  if (start[0] == '[' || start.find("\"results\"") != std::string_view::npos) {
    capabilities_.protocol = Protocol::k20;
  } else if (start.substr(0, 8) == "{\"items\"") {
    capabilities_.protocol = Protocol::k30;
  }
}

Result<void> Client::CheckLength(std::int64_t bytes) const {
  const ResponseHead head = head_.Head();
  const bool page = request_.method == Method::kList && head.status == Status::kOk && head.is_json;
  const std::int64_t limit = page           ? std::int64_t(limits::kPageBytes)
                             : head.is_json ? kRowBodyBytes
                                            : kTextBodyBytes;
  if (bytes <= limit) return Ok();
  if (!head.is_json) return BadAnswer(head.native, "a long text instead of an answer");
  return Error{Code::kTooLarge, Origin::kHttp, std::int32_t(limit), "the answer is too long"};
}

Result<void> Client::DeliverHead() {
  ResponseHead head = head_.Head();
  HF_TRY(CheckLength(head.body_bytes));
  char path[2048];  // base, table
  TextWriter path_text(path);
  if (request_.method == Method::kList && !head_.link().empty() &&
      PutPath(server_, request_, path_text)) {
    if (const auto next = NextOfLinkHeader(head_.link())) {
      head.continuation =
          ContinuationQuery(server_, path_text.view(), *next).value_or(std::string_view());
    }
  }
  head_delivered_ = true;
  return sink_->OnHead(head);
}

std::size_t Client::BodyCallback(char* data, std::size_t size, std::size_t count, void* self) {
  auto* client = static_cast<Client*>(self);
  client->in_callback_ = true;
  const bool go_on = client->OnBodyBytes({data, size * count}) && client->sink_ != nullptr;
  client->in_callback_ = false;
  return go_on ? size * count : CURL_WRITEFUNC_ERROR;
}

bool Client::OnBodyBytes(std::string_view bytes) {
  if (!head_done_) return Fail(BadAnswer(0, "a body without a header"));
  if (body_bytes_ == 0) LearnFromList(bytes);
  body_bytes_ += std::int64_t(bytes.size());
  if (holding_) {
    if (bytes.size() <= sizeof held_ - held_bytes_) {
      std::memcpy(held_ + held_bytes_, bytes.data(), bytes.size());
      held_bytes_ += bytes.size();
      return true;
    }
    if (auto delivered = DeliverHeld(); !delivered) return Fail(delivered.error());
    if (sink_ == nullptr) return false;
  }
  if (auto delivered = DeliverBody(bytes); !delivered) return Fail(delivered.error());
  return true;
}

Result<void> Client::DeliverBody(std::string_view bytes) {
  HF_TRY(CheckLength(body_bytes_));
  return sink_->OnBody(bytes);
}

// The refusal is not about the version after all: the sink gets what was kept from it.
Result<void> Client::DeliverHeld() {
  holding_ = false;
  HF_TRY(DeliverHead());
  if (held_bytes_ == 0 || sink_ == nullptr) return Ok();
  return sink_->OnBody({held_, held_bytes_});
}

// ---- what libcurl asks for

CURLcode Client::TlsCallback(CURL*, void* config, void* self) {
  auto* client = static_cast<Client*>(self);
  client->verify_flags_ = 0;
  client->credentials_->Configure(*static_cast<mbedtls_ssl_config*>(config),
                                  &Client::VerifyCallback, client);
  return CURLE_OK;
}

// Judges nothing: Mbed TLS refuses the chain when any flag stays. It only remembers why.
int Client::VerifyCallback(void* self, mbedtls_x509_crt*, int, std::uint32_t* flags) {
  static_cast<Client*>(self)->verify_flags_ |= *flags;
  return 0;
}

curl_socket_t Client::OpenSocket(void* self, curlsocktype, curl_sockaddr* address) {
  return static_cast<Client*>(self)->meter_.Open(address->family, address->socktype,
                                                 address->protocol);
}

int Client::CloseSocket(void* self, curl_socket_t socket) {
  return static_cast<Client*>(self)->meter_.Close(socket);
}

}  // namespace

Result<std::unique_ptr<HttpsTransport>> HttpsTransport::Create(const Options& options,
                                                               hal::Clock& clock) {
  auto client = std::make_unique<Client>(clock);
  HF_TRY(client->Start(options));
  return std::unique_ptr<HttpsTransport>(std::move(client));
}

}  // namespace holdfast::transport
