// SPDX-License-Identifier: Apache-2.0
#include "transport/coap/session.h"

#include <mbedtls/ssl.h>

#include <algorithm>
#include <charconv>
#include <cstring>

#include "hal/base/text.h"

namespace holdfast::transport::coap {
namespace {

constexpr std::string_view kAlertMark = "Alert '";

// What the other side's last alert was; libcoap says it in its log and nowhere else.
thread_local int last_alert = -1;

void OnLog(coap_log_t, const char* text) {
  const std::string_view line(text);
  const std::size_t at = line.find(kAlertMark);
  if (at == std::string_view::npos) return;
  const char* digits = line.data() + at + kAlertMark.size();
  std::from_chars(digits, line.data() + line.size(), last_alert);
}

// libcoap is set up once per process and has nothing that would need to be torn down.
void StartLibrary() {
  static const bool started = [] {
    coap_startup();
    coap_set_log_handler(&OnLog);
    coap_set_log_level(COAP_LOG_WARN);
    return true;
  }();
  (void)started;
}

// Judges nothing: Mbed TLS refuses the chain when any flag stays. It only remembers why, and takes
// the place of libcoap's own callback, which would forgive a wrong name.
int NoteFlags(void* flags, mbedtls_x509_crt*, int, std::uint32_t* found) {
  *static_cast<std::uint32_t*>(flags) |= *found;
  return 0;
}

bool IsNumericAddress(std::string_view host) {
  return host.find(':') != std::string_view::npos ||
         host.find_first_not_of("0123456789.") == std::string_view::npos;
}

std::string_view View(const coap_opt_t* option) {
  return {reinterpret_cast<const char*>(coap_opt_value(option)), coap_opt_length(option)};
}

std::int64_t Number(const coap_opt_t* option) {
  std::int64_t number = 0;
  for (const char c : View(option).substr(0, 4)) {
    number = number << 8 | static_cast<unsigned char>(c);
  }
  return number;
}

// Adds options in the order of their numbers, which libcoap wants.
class OptionWriter {
 public:
  explicit OptionWriter(coap_pdu_t* pdu) : pdu_(pdu) {}
  void Put(coap_option_num_t number, std::string_view value) {
    good_ = good_ && coap_add_option(pdu_, number, value.size(),
                                     reinterpret_cast<const std::uint8_t*>(value.data())) != 0;
  }
  void PutNumber(coap_option_num_t number, std::uint64_t value) {
    std::uint8_t bytes[8];
    const unsigned size = coap_encode_var_safe8(bytes, sizeof bytes, value);
    good_ = good_ && coap_add_option(pdu_, number, size, bytes) != 0;
  }
  void PutBlockOption(coap_option_num_t number, const Block& block) {
    std::uint8_t bytes[3];
    const std::size_t size = PutBlock(block, bytes);
    good_ = good_ && coap_add_option(pdu_, number, size, bytes) != 0;
  }
  bool good() const { return good_; }

 private:
  coap_pdu_t* pdu_;
  bool good_ = true;
};

constexpr coap_option_num_t kRequestTag = 292;

}  // namespace

// libcoap calls back with the session's context; the object is its application data.
struct Callbacks {
  static Session& Of(const coap_session_t* session) {
    return *static_cast<Session*>(coap_context_get_app_data(coap_session_get_context(session)));
  }
  static coap_response_t OnResponse(coap_session_t* session, const coap_pdu_t*,
                                    const coap_pdu_t* received, const coap_mid_t) {
    Session& self = Of(session);
    const coap_bin_const_t token = coap_pdu_get_token(received);
    // An acknowledgement belongs to a message by its id, an answer to a request by its token.
    const bool another = coap_pdu_get_type(received) == COAP_MESSAGE_ACK &&
                         coap_pdu_get_mid(received) != self.message_id_;
    const bool ours = self.waiting_ && !another && token.length == self.token_bytes_ &&
                      std::memcmp(token.s, self.token_.data(), token.length) == 0;
    if (!ours) return COAP_RESPONSE_FAIL;  // of an exchange that was given up: reset
    self.OnAnswer(*received);
    return COAP_RESPONSE_OK;
  }
  static void OnNack(coap_session_t* session, const coap_pdu_t*, const coap_nack_reason_t reason,
                     const coap_mid_t id) {
    Session& self = Of(session);
    if (reason != COAP_NACK_RST || id == self.message_id_) self.OnNack(reason);
  }
  static int OnEvent(coap_session_t* session, const coap_event_t event) {
    Of(session).OnEvent(event);
    return 0;
  }
};

Result<void> Session::MakeContext() {
  StartLibrary();
  context_ = coap_new_context(nullptr);
  if (context_ == nullptr) return Error{Code::kNoMemory, Origin::kCoap, 0, "no memory for CoAP"};
  coap_context_set_app_data(context_, this);
  coap_context_set_block_mode(context_, 0);  // blocks are ours
  coap_register_response_handler(context_, &Callbacks::OnResponse);
  coap_register_nack_handler(context_, &Callbacks::OnNack);
  coap_register_event_handler(context_, &Callbacks::OnEvent);
  return Ok();
}

void Session::SetPki(coap_dtls_pki_t& pki) {
  const tls::Credentials& own = *settings_.credentials;
  pki.version = COAP_DTLS_PKI_SETUP_VERSION;
  pki.verify_peer_cert = 1;
  pki.cert_chain_validation = 1;
  pki.cert_chain_verify_depth = 4;
  pki.use_cid = coap_dtls_cid_is_supported() ? 1 : 0;
  pki.pki_key.key_type = COAP_PKI_KEY_PEM_BUF;
  coap_pki_key_pem_buf_t& pem = pki.pki_key.key.pem_buf;
  pem.ca_cert = own.ca_text().data();
  pem.ca_cert_len = own.ca_text().parse_size();
  if (own.has_certificate()) {
    pem.public_cert = own.certificate_text().data();
    pem.public_cert_len = own.certificate_text().parse_size();
    pem.private_key = own.key_text().data();
    pem.private_key_len = own.key_text().parse_size();
  }
}

Result<void> Session::Open(const Settings& settings, const Address& server) {
  Close();
  settings_ = settings;
  HF_TRY(MakeContext());
  const Counting counting(meter_);
  coap_address_t address;
  coap_address_init(&address);
  std::memcpy(&address.addr, &server.storage, server.size);
  address.size = server.size;
  if (settings.credentials == nullptr) {
    session_ = coap_new_client_session(context_, nullptr, &address, COAP_PROTO_UDP);
    established_ = session_ != nullptr;
  } else if (settings.credentials->has_psk()) {
    coap_dtls_cpsk_t psk = {};
    psk.version = COAP_DTLS_CPSK_SETUP_VERSION;
    psk.use_cid = coap_dtls_cid_is_supported() ? 1 : 0;
    const std::string_view identity = settings.credentials->psk_identity();
    const std::string_view key = settings.credentials->psk();
    psk.psk_info.identity = {identity.size(),
                             reinterpret_cast<const std::uint8_t*>(identity.data())};
    psk.psk_info.key = {key.size(), reinterpret_cast<const std::uint8_t*>(key.data())};
    session_ = coap_new_client_session_psk2(context_, nullptr, &address, COAP_PROTO_DTLS, &psk);
  } else {
    coap_dtls_pki_t pki = {};
    SetPki(pki);
    if (!IsNumericAddress(settings.host)) pki.client_sni = const_cast<char*>(settings.host);
    session_ = coap_new_client_session_pki(context_, nullptr, &address, COAP_PROTO_DTLS, &pki);
  }
  if (session_ == nullptr) {
    const int why = meter_.last_errno;
    Close();
    return Error{Code::kOffline, Origin::kErrno, why, "the server cannot be reached"};
  }
  const std::int64_t ms = settings.ack_timeout.milliseconds();
  coap_session_set_ack_timeout(session_, {std::uint16_t(ms / 1000), std::uint16_t(ms % 1000)});
  auto* ssl = static_cast<mbedtls_ssl_context*>(coap_session_get_tls(session_, nullptr));
  if (ssl != nullptr && !settings.credentials->has_psk()) {
    // Before the server's certificate can have come: nothing has been read yet.
    mbedtls_ssl_set_hostname(ssl, settings.host);
    mbedtls_ssl_set_verify(ssl, &NoteFlags, &verify_flags_);
  }
  return Ok();
}

void Session::Close() {
  const Counting counting(meter_);
  if (session_ != nullptr) coap_session_release(session_);
  session_ = nullptr;
  if (context_ != nullptr) coap_free_context(context_);
  context_ = nullptr;
  established_ = waiting_ = has_answer_ = false;
  failure_.reset();
  verify_flags_ = 0;
  meter_.last_errno = 0;
  last_alert = -1;
}

unsigned Session::LargestSzx(const OutgoingRequest& request) const {
  // Header, token, formats, both blocks, size, tag and payload marker.
  constexpr std::size_t kAround = 4 + 2 + 2 + 2 + 2 * 5 + 5 + 8 + 1;
  const std::size_t room = coap_session_max_pdu_size(session_);
  unsigned szx = kLargestSzx;
  while (szx > 0 && BlockBytes(szx) + request.option_bytes() + kAround > room) --szx;
  return szx;
}

coap_pdu_t* Session::MakePdu(const OutgoingMessage& message) {
  message_id_ = coap_new_message_id(session_);
  coap_pdu_t* pdu = coap_pdu_init(COAP_MESSAGE_CON, coap_pdu_code_t(message.request->code()),
                                  coap_mid_t(message_id_), coap_session_max_pdu_size(session_));
  if (pdu == nullptr) return nullptr;
  token_bytes_ = coap_encode_var_safe8(token_.data(), token_.size(), next_token_++);
  bool good = coap_add_token(pdu, token_bytes_, token_.data()) != 0;
  OptionWriter options(pdu);
  const OutgoingRequest& request = *message.request;
  if (request.has_if_match()) options.Put(COAP_OPTION_IF_MATCH, request.if_match());
  if (request.observe()) options.PutNumber(COAP_OPTION_OBSERVE, COAP_OBSERVE_ESTABLISH);
  for (const auto segment : request.path()) options.Put(COAP_OPTION_URI_PATH, segment);
  if (message.format != kNoFormat) {
    options.PutNumber(COAP_OPTION_CONTENT_FORMAT, unsigned(message.format));
  }
  for (const auto argument : request.query()) options.Put(COAP_OPTION_URI_QUERY, argument);
  if (message.accept != kNoFormat) options.PutNumber(COAP_OPTION_ACCEPT, unsigned(message.accept));
  if (message.block2) options.PutBlockOption(COAP_OPTION_BLOCK2, *message.block2);
  if (message.block1) options.PutBlockOption(COAP_OPTION_BLOCK1, *message.block1);
  if (message.size1 != 0) options.PutNumber(COAP_OPTION_SIZE1, message.size1);
  if (message.request_tag != 0) options.PutNumber(kRequestTag, message.request_tag);
  if (!message.upload_tag.empty()) options.Put(kRequestTag, message.upload_tag);
  good = good && options.good();
  if (good && !message.payload.empty()) {
    good = coap_add_data(pdu, message.payload.size(),
                         reinterpret_cast<const std::uint8_t*>(message.payload.data())) != 0;
  }
  if (good) return pdu;
  coap_delete_pdu(pdu);
  return nullptr;
}

Result<void> Session::Send(const OutgoingMessage& message) {
  HF_ASSERT(established_ && !waiting_);
  has_answer_ = false;
  const Counting counting(meter_);
  coap_pdu_t* pdu = MakePdu(message);
  if (pdu == nullptr) return Error{Code::kNoMemory, Origin::kCoap, 0, "no room for a message"};
  waiting_ = true;
  ++messages_;
  if (coap_send(session_, pdu) == COAP_INVALID_MID && !failure_) OnNack(COAP_NACK_NOT_DELIVERABLE);
  return Ok();
}

void Session::Work(hal::Duration wait) {
  const Counting counting(meter_);
  const std::int64_t ms = (wait.ns + 999'999) / 1'000'000;
  coap_io_process(context_,
                  ms <= 0 ? COAP_IO_NO_WAIT : std::uint32_t(std::min<std::int64_t>(ms, 60'000)));
  if (failure_) return;
  // Neither the end of a handshake nor a reset by ICMP before it is always told otherwise.
  const coap_session_state_t state = coap_session_get_state(session_);
  if (state == COAP_SESSION_STATE_ESTABLISHED) established_ = true;
  if (state == COAP_SESSION_STATE_NONE) OnNack(COAP_NACK_ICMP_ISSUE);
}

void Session::OnEvent(coap_event_t event) {
  if (event != COAP_EVENT_DTLS_ERROR && event != COAP_EVENT_DTLS_CLOSED) return;
  if (session_ != nullptr && !failure_) failure_ = HandshakeError();
}

Error Session::HandshakeError() const {
  const int alert = last_alert;  // it comes before the news that the session has ended
  if (established_) {
    return {Code::kOffline, Origin::kTls, alert, "the server ended the session"};
  }
  if (verify_flags_ != 0) {
    constexpr std::uint32_t kDates = MBEDTLS_X509_BADCERT_EXPIRED | MBEDTLS_X509_BADCERT_FUTURE;
    if ((verify_flags_ & ~kDates) == 0) {
      return {Code::kTlsExpired, Origin::kTls, int(verify_flags_),
              "the server's certificate is outside its dates"};
    }
    if ((verify_flags_ & MBEDTLS_X509_BADCERT_CN_MISMATCH) != 0) {
      return {Code::kTlsUntrusted, Origin::kTls, int(verify_flags_),
              "the server's certificate is for another name"};
    }
    return {Code::kTlsUntrusted, Origin::kTls, int(verify_flags_),
            "the server's certificate is not trusted: is ca_file the right one?"};
  }
  if (alert >= 0) {
    return {Code::kTlsUntrusted, Origin::kTls, alert,
            settings_.credentials->has_psk()
                ? "the server refuses our PSK: are identity and key those of this device?"
                : "the server refuses our certificate"};
  }
  return {Code::kOffline, Origin::kCoap, 0, "the server does not answer the handshake"};
}

void Session::OnNack(coap_nack_reason_t reason) {
  waiting_ = false;
  if (failure_) return;
  switch (reason) {
    case COAP_NACK_TOO_MANY_RETRIES:
      failure_ = Error{Code::kTimeout, Origin::kCoap, reason, "the server does not answer"};
      return;
    case COAP_NACK_RST:
      failure_ = Error{Code::kOffline, Origin::kCoap, reason, "the server has reset the exchange"};
      return;
    case COAP_NACK_BAD_RESPONSE:
      failure_ = Error{Code::kBadAnswer, Origin::kCoap, reason,
                       "an answer with an option that nobody may pass over"};
      return;
    case COAP_NACK_TLS_FAILED:
    case COAP_NACK_TLS_LAYER_FAILED: failure_ = HandshakeError(); return;
    default:
      failure_ = Error{Code::kOffline, Origin::kErrno, meter_.last_errno,
                       "nothing answers at the server's address"};
  }
}

void Session::OnAnswer(const coap_pdu_t& received) {
  waiting_ = false;
  has_answer_ = true;
  answer_ = {};
  answer_.code = std::uint8_t(coap_pdu_get_code(&received));
  TakeOptions(received);
  std::size_t size = 0;
  const std::uint8_t* data = nullptr;
  if (coap_get_data(&received, &size, &data) == 0) return;
  size = std::min(size, payload_.size());  // a datagram of ours has never room for more
  std::memcpy(payload_.data(), data, size);
  answer_.payload = {payload_.data(), size};
}

// What is not understood is not said.
void Session::TakeAnnouncement(std::string_view value) {
  const auto next = [&value] {
    const std::size_t comma = std::min(value.find(','), value.size());
    const auto number = ParseInteger(value.substr(0, comma));
    value.remove_prefix(std::min(comma + 1, value.size()));
    return number.value_or(0);
  };
  const std::int64_t operations = next(), bytes = next(), upload = next();
  if (upload > 0) answer_.upload_bytes = upload;
  if (operations < 1 || bytes < 1) return;
  answer_.bulk_operations = operations;
  answer_.bulk_bytes = bytes;
}

void Session::TakeOptions(const coap_pdu_t& received) {
  coap_opt_iterator_t iterator;
  coap_option_iterator_init(&received, &iterator, COAP_OPT_ALL);
  const auto take_block = [&](const coap_opt_t* option, std::optional<Block>& block) {
    block = ParseBlock(View(option));
    if (!block) answer_.bad_option = true;
  };
  while (const coap_opt_t* option = coap_option_next(&iterator)) {
    switch (iterator.number) {
      case COAP_OPTION_ETAG:
        if (answer_.has_etag || !answer_.etag.Assign(View(option))) answer_.bad_option = true;
        answer_.has_etag = true;
        break;
      case COAP_OPTION_CONTENT_FORMAT: answer_.format = int(Number(option)); break;
      case COAP_OPTION_MAXAGE: answer_.max_age_s = Number(option); break;
      case COAP_OPTION_BLOCK1: take_block(option, answer_.block1); break;
      case COAP_OPTION_BLOCK2: take_block(option, answer_.block2); break;
      case COAP_OPTION_SIZE1: answer_.size1 = Number(option); break;
      case COAP_OPTION_SIZE2: answer_.size2 = Number(option); break;
      case COAP_OPTION_LOCATION_PATH:
        if (!answer_.location.Assign(View(option))) answer_.location.clear();
        break;
      case kBulkOption: TakeAnnouncement(View(option)); break;
      default: break;
    }
  }
}

}  // namespace holdfast::transport::coap
