// SPDX-License-Identifier: Apache-2.0
#include "transport/https/https.h"

#include "transport/https/client.h"

namespace holdfast::transport::https {
namespace {

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

// `whole`: an undelete that brings the whole row.
const char* MethodName(Method method, Protocol protocol, bool whole) {
  switch (method) {
    case Method::kList:
    case Method::kWatch:
    case Method::kFindUpload:
    case Method::kLookup: return "GET";
    case Method::kBulk:
    case Method::kInsert: return "POST";
    case Method::kAppendUpload:
    case Method::kUpdate: return "PATCH";
    case Method::kBeginUpload: return "POST";  // or what the whole shall be
    case Method::kReplace: return "PUT";
    case Method::kDelete: return "DELETE";
    case Method::kUndelete: return protocol != Protocol::k30 ? "POST" : whole ? "PUT" : "PATCH";
  }
  return "GET";
}

}  // namespace

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
  HF_TRY_ASSIGN(packer_, wire::GzipPacker::Create());
  packed_.reset(new char[kPackedBytes]);
  return MakeHandles();
}

Result<void> Client::CopyOptions(const Options& options) {
  HF_TRY_ASSIGN(server_, ParseServerUrl(options.url, kHttpSchemes));
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
  HF_TRY(Set(CURLOPT_READFUNCTION, &Client::SendCallback));
  HF_TRY(Set(CURLOPT_READDATA, this));
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
  // A server that holds its answer looks like a line that is dead.
  request_.wait = std::clamp<hal::Duration>(request.wait, {0}, LongestWait());
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
  head_.Reset(accepts_packed_);
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
  PackBody();
  HF_TRY(SetHeaders());
  const bool undelete30 =
      request_.method == Method::kUndelete && speaking_ == Protocol::k30 && request_.body.empty();
  SetBody(undelete30 ? kUndelete30 : body_);
  accepts_packed_ = request_.method == Method::kBulk || request_.method == Method::kList;
  // libcurl unpacks, piece by piece; CheckLength() bounds what comes out.
  HF_TRY(
      Set(CURLOPT_ACCEPT_ENCODING, accepts_packed_ ? "gzip" : static_cast<const char*>(nullptr)));
  const hal::Duration left = deadline_ - clock_.Now();
  HF_TRY(Set(CURLOPT_TIMEOUT_MS, long(std::max<std::int64_t>(1, left.milliseconds()))));
  return Set(CURLOPT_URL, static_cast<const char*>(url_));
}

// What does not get smaller goes as it is.
void Client::PackBody() {
  body_ = request_.body;
  packed_body_ = false;
  if (request_.method != Method::kBulk || !capabilities_.gzip) return;
  auto packed = packer_->Pack(body_, {packed_.get(), kPackedBytes});
  if (!packed || packed->size() >= body_.size()) return;
  body_ = *packed;
  packed_body_ = true;
}

// A body goes out with every method that has one; an undelete of 2.0 is a POST of nothing.
void Client::SetBody(std::string_view body) {
  const bool begins = request_.method == Method::kBeginUpload;
  const char* name = MethodName(begins ? request_.upload.method : request_.method, speaking_,
                                !request_.body.empty());
  if (std::string_view(name) == "GET" || request_.method == Method::kDelete) {
    curl_easy_setopt(easy_, CURLOPT_HTTPGET, 1L);
  } else {
    curl_easy_setopt(easy_, CURLOPT_POST, 1L);
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, curl_off_t(body.size()));
    // A connection that dies is not curl's to try again: the server has a part of an append. Of
    // what it has to ask for, curl keeps no copy, and says that it cannot begin again.
    const bool only_once = request_.method == Method::kAppendUpload;
    given_ = 0;
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS,
                     only_once      ? nullptr
                     : body.empty() ? ""
                                    : body.data());
  }
  curl_easy_setopt(easy_, CURLOPT_CUSTOMREQUEST, name);
}

std::size_t Client::SendCallback(char* data, std::size_t size, std::size_t count, void* self) {
  auto* client = static_cast<Client*>(self);
  const std::string_view next = client->body_.substr(client->given_, size * count);
  std::copy(next.begin(), next.end(), data);
  client->given_ += next.size();
  return next.size();
}

Result<void> Client::SetHeaders() {
  headers_.Clear();
  HF_TRY(headers_.Add("Expect:"));
  HF_TRY(headers_.Add("Accept: application/json"));
  HF_TRY(headers_.Add("ZUMO-API-VERSION: ", speaking_ == Protocol::k30 ? "3.0.0" : "2.0.0"));
  const bool undelete20 = request_.method == Method::kUndelete && speaking_ != Protocol::k30;
  HF_TRY(headers_.Add(undelete20 ? "Content-Type:"
                      : request_.method == Method::kAppendUpload
                          ? "Content-Type: application/partial-upload"
                          : "Content-Type: application/json"));
  if (packed_body_) HF_TRY(headers_.Add("Content-Encoding: gzip"));
  if (!credentials_->token().empty()) {
    HF_TRY(headers_.Add("X-ZUMO-AUTH: ", credentials_->token()));
  }
  if (!installation_id_.empty()) {
    HF_TRY(headers_.Add("X-ZUMO-INSTALLATION-ID: ", installation_id_.view()));
  }
  HF_TRY(SetUploadHeaders());
  if (request_.have_bytes > 0) {
    HF_TRY(SetRange());
  } else if (!request_.if_match.empty()) {
    HF_TRY_ASSIGN(const std::string_view tag, EncodeEtag(request_.if_match, tag_));
    HF_TRY(headers_.Add("If-Match: ", tag));
  }
  return Set(CURLOPT_HTTPHEADER, headers_.list());
}

// Structured fields (RFC 9651): `?0` is false. The digest is that of RFC 9530, over the coded
// bytes.
Result<void> Client::SetUploadHeaders() {
  const UploadPart& part = request_.upload;
  char number[24];
  if (request_.method == Method::kBeginUpload) {
    char digest[64];
    TextWriter text(digest);
    text.Put("sha-256=:").PutBase64(part.digest).Put(':');
    HF_TRY(headers_.Add("Upload-Complete: ?0"));
    HF_TRY(headers_.Add("Upload-Length: ",
                        TextWriter(number).PutInteger(std::int64_t(part.length)).view()));
    HF_TRY(headers_.Add("Content-Encoding: gzip"));
    HF_TRY(headers_.Add("Repr-Digest: ", text.view()));
    // Of a large row, the version is all that is wanted back.
    return headers_.Add("Prefer: return=minimal");
  }
  if (request_.method != Method::kAppendUpload) return Ok();
  const bool last = part.offset + request_.body.size() == part.length;
  HF_TRY(headers_.Add("Upload-Offset: ",
                      TextWriter(number).PutInteger(std::int64_t(part.offset)).view()));
  return headers_.Add(last ? "Upload-Complete: ?1" : "Upload-Complete: ?0");
}

// The rest of a row, or all of it when it is not the same any more.
Result<void> Client::SetRange() {
  char range[40];
  TextWriter text(range);
  text.Put("bytes=").PutInteger(std::int64_t(request_.have_bytes)).Put('-');
  HF_TRY(headers_.Add("Range: ", text.view()));
  HF_TRY_ASSIGN(const std::string_view tag, EncodeEtag(request_.if_match, tag_));
  return headers_.Add("If-Range: ", tag);
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

}  // namespace holdfast::transport::https

namespace holdfast::transport {

Result<std::unique_ptr<HttpsTransport>> HttpsTransport::Create(const Options& options,
                                                               hal::Clock& clock) {
  auto client = std::make_unique<https::Client>(clock);
  HF_TRY(client->Start(options));
  return std::unique_ptr<HttpsTransport>(std::move(client));
}

}  // namespace holdfast::transport
