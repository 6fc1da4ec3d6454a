// SPDX-License-Identifier: Apache-2.0
#include "server/coap_server.h"

#include <mbedtls/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/ip/udp.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cstring>
#include <stdexcept>

#include "hal/base/log.h"
#include "server/access.h"
#include "server/tls_context.h"

namespace holdfast::server {

namespace asio = boost::asio;
using asio::ip::udp;

namespace {

constexpr std::chrono::seconds kRound{5};
// One notification a second is enough to make a device look; it then gets all there is.
constexpr std::chrono::seconds kNotifyPause{1};
// How long a watch of /changes holds without being renewed. Shorter than session_idle_s, so that a
// device that is still there keeps its session.
constexpr std::int64_t kWatchSeconds = 240;
constexpr std::int64_t kAwaySeconds = 5;
constexpr coap_option_num_t kRequestTag = 292;
constexpr std::string_view kAnnouncement = "1000,262144,25165824";
static_assert(limits::kBulkOperations == 1000 && limits::kBulkBytes == 262144 &&
              limits::kUploadBytes == 25165824);

std::string Bytes(const coap_opt_t* option) {
  return {reinterpret_cast<const char*>(coap_opt_value(option)), coap_opt_length(option)};
}

std::int64_t Number(const coap_opt_t* option) {
  return coap_decode_var_bytes(coap_opt_value(option), std::min(coap_opt_length(option), 4u));
}

void ReadBlock(const coap_opt_t* option, std::optional<CoapBlock>& block, CoapRequest& request) {
  block = ParseCoapBlock(Bytes(option));
  if (!block) request.fault = "a block option that cannot be";
}

void OnLog(coap_log_t level, const char* text) {
  std::string_view line(text);
  while (!line.empty() && line.back() == '\n') line.remove_suffix(1);
  // An "alert" is a reset by a peer: nothing that others may fill our log with.
  const bool ours = level <= COAP_LOG_ERR && level != COAP_LOG_ALERT;
  Log(ours ? LogLevel::kError : LogLevel::kInfo, "coap: %.*s", static_cast<int>(line.size()),
      line.data());
}

bool IsPath(const CoapRequest& request, std::initializer_list<std::string_view> path) {
  return std::equal(request.path.begin(), request.path.end(), path.begin(), path.end());
}

bool IsUpload(const CoapRequest& request) {
  const std::size_t segments = request.path.size();
  return (segments == 1 || segments == 2) && request.path[0] == "uploads";
}

// Its blocks go where they belong one by one, instead of being put together first.
bool IsPieceOfUpload(const CoapRequest& request) {
  const bool rest_of_answer = request.block2 && request.block2->number != 0;
  return IsUpload(request) && request.path.size() == 2 && !rest_of_answer;
}

std::string PathText(const CoapRequest& request) {
  std::string text;
  for (const std::string& segment : request.path) text += "/" + PercentEncoded(segment);
  return text;
}

const char* MethodName(std::uint8_t code) {
  static constexpr const char* kNames[] = {"GET",   "POST",  "PUT",   "DELETE",
                                           "FETCH", "PATCH", "iPATCH"};
  return code >= 1 && code <= 7 ? kNames[code - 1] : "?";
}

}  // namespace

CoapRequest ReadCoapPdu(const coap_pdu_t& pdu) {
  CoapRequest request;
  request.code = static_cast<std::uint8_t>(coap_pdu_get_code(&pdu));
  coap_opt_iterator_t iterator;
  coap_option_iterator_init(&pdu, &iterator, COAP_OPT_ALL);
  while (const coap_opt_t* option = coap_option_next(&iterator)) {
    switch (iterator.number) {
      case COAP_OPTION_IF_MATCH: request.if_match.push_back(Bytes(option)); break;
      case COAP_OPTION_ETAG: request.etags.push_back(Bytes(option)); break;
      case COAP_OPTION_IF_NONE_MATCH: request.if_none_match = true; break;
      case COAP_OPTION_OBSERVE: request.observe = Number(option); break;
      case COAP_OPTION_URI_PATH: request.path.push_back(Bytes(option)); break;
      case COAP_OPTION_URI_QUERY: request.query.push_back(Bytes(option)); break;
      case COAP_OPTION_CONTENT_FORMAT: request.format = static_cast<int>(Number(option)); break;
      case COAP_OPTION_ACCEPT: request.accept = static_cast<int>(Number(option)); break;
      case COAP_OPTION_BLOCK1: ReadBlock(option, request.block1, request); break;
      case COAP_OPTION_BLOCK2: ReadBlock(option, request.block2, request); break;
      case COAP_OPTION_SIZE1: request.size1 = Number(option); break;
      case kRequestTag: request.request_tag = Bytes(option); break;
      default: break;
    }
  }
  std::size_t size = 0;
  const std::uint8_t* data = nullptr;
  if (coap_get_data(&pdu, &size, &data) != 0) {
    request.payload.assign(reinterpret_cast<const char*>(data), size);
  }
  return request;
}

// libcoap calls back with the session's context, whose application data is the server.
struct CoapCallbacks {
  static CoapServer& Of(const coap_session_t* session) {
    return *static_cast<CoapServer*>(coap_context_get_app_data(coap_session_get_context(session)));
  }
  // The answer comes later: an empty one that is not confirmable is not sent at all.
  static void OnRequest(coap_resource_t*, coap_session_t* session, const coap_pdu_t* request,
                        const coap_string_t*, coap_pdu_t* response) {
    coap_pdu_set_type(response, COAP_MESSAGE_NON);
    Of(session).OnRequest(session, *request);
  }
  static int OnEvent(coap_session_t* session, const coap_event_t event) {
    if (event == COAP_EVENT_SERVER_SESSION_DEL) Of(session).Gone(session);
    return 0;
  }
  // A notification that was reset or not acknowledged: nobody watches any more.
  static void OnNack(coap_session_t* session, const coap_pdu_t* sent, const coap_nack_reason_t,
                     const coap_mid_t) {
    if (sent == nullptr) return;
    const coap_bin_const_t token = coap_pdu_get_token(sent);
    const auto connection = Of(session).Of(session);
    const std::string_view nacked(reinterpret_cast<const char*>(token.s), token.length);
    if (connection->watch_token == nacked) connection->watching = false;
  }
  static const coap_bin_const_t* OnIdentity(coap_bin_const_t* identity, coap_session_t*,
                                            void* server) {
    auto* self = static_cast<CoapServer*>(server);
    const Device* device = self->DeviceOfPsk(*identity);
    if (device == nullptr || device->psk.empty()) return nullptr;
    self->psk_ = {device->psk.size(), reinterpret_cast<const std::uint8_t*>(device->psk.data())};
    return &self->psk_;
  }
};

CoapServer::CoapServer(asio::io_context& io, Host& host, const CoapFiles& files,
                       const CoapLimits& limits)
    : io_(io),
      host_(host),
      files_(files),
      limits_(limits),
      descriptor_(io),
      timer_(io),
      notify_timer_(io) {
  coap_startup();
  coap_set_log_handler(&OnLog);
  coap_set_log_level(COAP_LOG_WARN);
  context_ = coap_new_context(nullptr);
  if (context_ == nullptr) throw std::runtime_error("CoAP: no memory");
  budget_.most = limits.bodies_bytes;
  coap_context_set_app_data(context_, this);
  coap_context_set_block_mode(context_, 0);  // blocks are ours
  coap_context_set_max_idle_sessions(context_, limits.idle_sessions);
  coap_context_set_max_handshake_sessions(context_, limits.handshakes);
  coap_context_set_session_timeout(context_, limits.session_idle_s);
  coap_register_event_handler(context_, &CoapCallbacks::OnEvent);
  coap_register_nack_handler(context_, &CoapCallbacks::OnNack);
  SetUpDtls();
  SetUpResources();
  descriptor_.assign(dup(coap_context_get_coap_fd(context_)));
  Watch();
  asio::co_spawn(io_, Rounds(), asio::detached);
  host_.changes.OnChange([this] { NotifySoon(); });
}

CoapServer::~CoapServer() {
  coap_free_context(context_);
  coap_cleanup();
}

void CoapServer::SetUpDtls() {
  coap_dtls_pki_t pki = {};
  pki.version = COAP_DTLS_PKI_SETUP_VERSION;
  pki.verify_peer_cert = 1;
  pki.check_common_ca = 1;
  pki.cert_chain_validation = 1;
  pki.cert_chain_verify_depth = 4;
  pki.pki_key.key_type = COAP_PKI_KEY_PEM;
  pki.pki_key.key.pem = {files_.client_authority.c_str(), files_.certificate.c_str(),
                         files_.key.c_str()};
  coap_dtls_spsk_t psk = {};
  psk.version = COAP_DTLS_SPSK_SETUP_VERSION;
  psk.validate_id_call_back = &CoapCallbacks::OnIdentity;
  psk.id_call_back_arg = this;
  if (coap_context_set_pki(context_, &pki) == 0 || coap_context_set_psk2(context_, &psk) == 0) {
    throw std::runtime_error("CoAP: DTLS cannot be set up");
  }
}

void CoapServer::SetUpResources() {
  coap_resource_t* everything =
      coap_resource_unknown_init2(&CoapCallbacks::OnRequest, COAP_RESOURCE_HANDLE_WELLKNOWN_CORE);
  for (const coap_request_t method :
       {COAP_REQUEST_GET, COAP_REQUEST_POST, COAP_REQUEST_DELETE, COAP_REQUEST_FETCH,
        COAP_REQUEST_PATCH, COAP_REQUEST_IPATCH}) {
    coap_register_request_handler(everything, method, &CoapCallbacks::OnRequest);
  }
  coap_add_resource(context_, everything);
}

std::string CoapServer::Listen(const Endpoint& endpoint, bool dtls) {
  try {
    udp::resolver resolver(io_);
    udp::endpoint address =
        resolver.resolve(endpoint.host, endpoint.port, udp::resolver::numeric_service)
            .begin()
            ->endpoint();
    const bool loopback = address.address().is_loopback();
    if (!dtls && !loopback) throw std::runtime_error("coap:// is for loopback addresses only");
    // libcoap neither says which port it got nor notices that another has it.
    udp::socket probe(io_, address.protocol());
    probe.bind(address);
    address = probe.local_endpoint();
    probe.close();
    coap_address_t place;
    coap_address_init(&place);
    std::memcpy(&place.addr, address.data(), address.size());
    place.size = static_cast<socklen_t>(address.size());
    if (coap_new_endpoint(context_, &place, dtls ? COAP_PROTO_DTLS : COAP_PROTO_UDP) == nullptr) {
      throw std::runtime_error("cannot listen on " + endpoint.host + ":" + endpoint.port);
    }
    only_loopback_ = only_loopback_ && loopback;
    const std::string text = address.address().to_string();
    return std::string(dtls ? "coaps://" : "coap://") +
           (address.address().is_v6() ? "[" + text + "]" : text) + ":" +
           std::to_string(address.port());
  } catch (const boost::system::system_error& error) {
    throw std::runtime_error("cannot listen on " + endpoint.host + ":" + endpoint.port + ": " +
                             error.code().message());
  }
}

void CoapServer::Watch() {
  descriptor_.async_wait(asio::posix::stream_descriptor::wait_read,
                         [this](const boost::system::error_code& error) {
                           if (error) return;
                           coap_io_process(context_, COAP_IO_NO_WAIT);
                           Watch();
                         });
}

asio::awaitable<void> CoapServer::Rounds() {
  while (!host_.draining) {
    boost::system::error_code error;
    timer_.expires_after(kRound);
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    const auto now = CoapPeer::Clock::now();
    for (const auto& [session, connection] : connections_) connection->peer.Forget(now);
  }
}

void CoapServer::Drain() {
  timer_.cancel();
  notify_timer_.cancel();
  boost::system::error_code ignored;
  descriptor_.cancel(ignored);
}

CoapServer::ConnectionPointer CoapServer::Of(coap_session_t* session) {
  ConnectionPointer& connection = connections_[session];
  if (!connection) {
    connection = std::make_shared<Connection>(session, budget_, limits_.body_bytes);
  }
  return connection;
}

void CoapServer::Gone(coap_session_t* session) {
  const auto found = connections_.find(session);
  if (found == connections_.end()) return;
  found->second->session = nullptr;
  connections_.erase(found);
}

const Device* CoapServer::DeviceOfPsk(const coap_bin_const_t& identity) const {
  return host_.devices.devices().ByPskIdentity(
      {reinterpret_cast<const char*>(identity.s), identity.length});
}

// What was proved in the handshake holds for the whole session; whether it still counts is asked
// for each request.
const PeerIdentity& CoapServer::IdentityOf(Connection& connection) {
  if (connection.identified) return connection.identity;
  connection.identified = true;
  const coap_bin_const_t* psk = coap_session_get_psk_identity(connection.session);
  auto* ssl = static_cast<mbedtls_ssl_context*>(coap_session_get_tls(connection.session, nullptr));
  const mbedtls_x509_crt* certificate = ssl == nullptr ? nullptr : mbedtls_ssl_get_peer_cert(ssl);
  if (certificate != nullptr) {
    connection.identity = TlsContext::IdentityOf(certificate);
  } else if (psk != nullptr) {
    connection.identity.psk_identity.assign(reinterpret_cast<const char*>(psk->s), psk->length);
  }
  return connection.identity;
}

void CoapServer::OnRequest(coap_session_t* session, const coap_pdu_t& pdu) {
  const coap_bin_const_t token = coap_pdu_get_token(&pdu);
  Exchange exchange{Of(session), static_cast<std::uint16_t>(coap_pdu_get_mid(&pdu)),
                    std::string(reinterpret_cast<const char*>(token.s), token.length),
                    coap_pdu_get_type(&pdu) == COAP_MESSAGE_CON};
  CoapPeer& peer = exchange.connection->peer;
  if (const CoapPeer::Recent* before = peer.Find(exchange.id, exchange.token)) {
    if (before->reply) Send(exchange, *before->reply);
    return;
  }
  peer.Remember(exchange.id, exchange.token);
  asio::co_spawn(io_, Answer(std::move(exchange), ReadCoapPdu(pdu)),
                 [](std::exception_ptr failure) {
                   if (!failure) return;
                   try {
                     std::rethrow_exception(failure);
                   } catch (const std::exception& error) {
                     Log(LogLevel::kError, "a CoAP request ended: %s", error.what());
                   }
                 });
}

asio::awaitable<void> CoapServer::Answer(Exchange exchange, CoapRequest request) {
  const auto started = CoapPeer::Clock::now();
  Connection& connection = *exchange.connection;
  if (connection.session == nullptr) co_return;
  const Access access =
      Authorize(host_.devices.devices(), IdentityOf(connection), "", "", host_.allow_anonymous);
  const std::optional<CoapBlock> block1 = request.block1;
  std::optional<CoapReply> reply = Refuse(request, access);
  if (!reply) reply = AnswerHere(exchange, access.device, request);
  const bool piece = IsPieceOfUpload(request);
  if (!reply && !piece) reply = connection.peer.Blocks(request);
  const bool whole = !reply.has_value();
  if (whole && piece) {
    reply = co_await ServeUpload(access.device, request);
  } else if (whole) {
    reply = co_await Serve(access.device, request);
    if (block1) reply->block1 = CoapBlock{block1->number, false, block1->szx};
  }
  host_.log.Request(access.device, MethodName(request.code), PathText(request),
                    (reply->code >> 5) * 100 + (reply->code & 31), reply->payload.size(),
                    CoapPeer::Clock::now() - started);
  if (whole) {
    reply = connection.peer.Cut(request, std::move(*reply));
    reply->announces = !connection.announced;
    connection.announced = true;
  }
  connection.peer.Answered(exchange.id, exchange.token, *reply);
  Send(exchange, *reply);
}

std::optional<CoapReply> CoapServer::Refuse(const CoapRequest& request,
                                            const Access& access) const {
  if (request.fault != nullptr) return CoapReply::Refuse(400, request.fault);
  if (!access.allowed) return CoapReply::Refuse(401, access.why);
  if (!host_.draining) return std::nullopt;
  CoapReply reply = CoapReply::Refuse(503, "the server is going away");
  reply.max_age = kAwaySeconds;
  return reply;
}

// What has no rows to it.
std::optional<CoapReply> CoapServer::AnswerHere(Exchange& exchange, const std::string& device,
                                                const CoapRequest& request) {
  if (IsPath(request, {"changes"})) return WatchChanges(exchange, device, request);
  const bool discovery = IsPath(request, {".well-known", "core"});
  if (discovery && request.code == COAP_REQUEST_CODE_GET) return Discover();
  return std::nullopt;
}

CoapReply CoapServer::ServeBulk(const std::string& device, const CoapRequest& request) {
  Response response;
  const bool post = request.code == COAP_REQUEST_CODE_POST;
  const BulkService::Head head{device, post ? "POST" : "", CoapTypeOf(request.format), ""};
  host_.bulks.Serve(head, request.payload, response);
  return WriteCoapReply(request, response);
}

asio::awaitable<CoapReply> CoapServer::Serve(const std::string& device,
                                             const CoapRequest& request) {
  if (IsPath(request, {"bulk"})) co_return ServeBulk(device, request);
  if (IsUpload(request)) {
    CoapReply reply = co_await ServeUpload(device, request);
    co_return reply;
  }
  auto read = ReadCoapRequest(request);
  if (CoapReply* refusal = std::get_if<CoapReply>(&read)) co_return std::move(*refusal);
  CoapAsked& asked = std::get<CoapAsked>(read);
  Bind(asked, request);
  asked.head.device = device;
  const TablesService::Form form{"", limits_.page_bytes};
  Response response;
  co_await host_.tables.Serve(asked.head, request.payload, form, response);
  co_return WriteCoapReply(request, response);
}

CoapReply CoapServer::Discover() const {
  CoapReply reply;
  reply.code = CoapCode(205);
  reply.format = kCoapLinkFormat;
  reply.payload =
      "</tables>;rt=\"holdfast.tables\";ct=\"50 "
      "60\",</bulk>;rt=\"holdfast.bulk\";ct=60,</uploads>;rt=\"holdfast.uploads\";ct=60,</"
      "changes>;rt=\"holdfast.changes\";ct=0;obs";
  return reply;
}

CoapReply CoapServer::WatchChanges(Exchange& exchange, const std::string& device,
                                   const CoapRequest& request) {
  if (request.code != COAP_REQUEST_CODE_GET) return CoapReply::Refuse(405, "GET it, or observe it");
  Connection& connection = *exchange.connection;
  CoapReply reply;
  reply.code = CoapCode(205);
  reply.format = kCoapText;
  reply.payload = host_.changes.NewestFor(device);
  reply.max_age = kWatchSeconds;
  if (request.observe == 0) {
    connection.watching = true;
    connection.watch_token = exchange.token;
    connection.told = reply.payload;
    reply.observe = ++connection.watch_sequence & 0xffffff;
  } else if (connection.watch_token == exchange.token) {
    connection.watching = false;
  }
  return reply;
}

void CoapServer::NotifySoon() {
  if (notify_pending_ || host_.draining) return;
  notify_pending_ = true;
  notify_timer_.expires_at(last_notified_ + kNotifyPause);
  notify_timer_.async_wait([this](const boost::system::error_code& error) {
    notify_pending_ = false;
    if (!error) Notify();
  });
}

void CoapServer::Notify() {
  last_notified_ = CoapPeer::Clock::now();
  for (const auto& [session, connection] : connections_) {
    if (!connection->watching) continue;
    const Access access =
        Authorize(host_.devices.devices(), IdentityOf(*connection), "", "", host_.allow_anonymous);
    CoapReply reply;
    if (!access.allowed) {
      reply = CoapReply::Refuse(401, access.why);
      connection->watching = false;
    } else {
      reply.code = CoapCode(205);
      reply.format = kCoapText;
      reply.payload = host_.changes.NewestFor(access.device);
      reply.max_age = kWatchSeconds;
      reply.observe = ++connection->watch_sequence & 0xffffff;
      if (reply.payload == connection->told) continue;
      connection->told = reply.payload;
    }
    coap_pdu_t* pdu = MakePdu(session, COAP_MESSAGE_CON, coap_new_message_id(session),
                              connection->watch_token, reply);
    if (pdu != nullptr) coap_send(session, pdu);
  }
}

void CoapServer::Send(const Exchange& exchange, const CoapReply& reply) {
  coap_session_t* session = exchange.connection->session;
  if (session == nullptr) return;  // nobody is there to take it
  const std::uint16_t id = exchange.confirmable ? exchange.id : coap_new_message_id(session);
  coap_pdu_t* pdu = MakePdu(session, exchange.confirmable ? COAP_MESSAGE_ACK : COAP_MESSAGE_NON, id,
                            exchange.token, reply);
  if (pdu != nullptr) coap_send(session, pdu);
}

coap_pdu_t* CoapServer::MakePdu(coap_session_t* session, coap_pdu_type_t type, std::uint16_t id,
                                const std::string& token, const CoapReply& reply) {
  coap_pdu_t* pdu = coap_pdu_init(type, static_cast<coap_pdu_code_t>(reply.code), id,
                                  coap_session_max_pdu_size(session));
  if (pdu == nullptr) return nullptr;
  const auto data = [](std::string_view text) {
    return reinterpret_cast<const std::uint8_t*>(text.data());
  };
  bool good = coap_add_token(pdu, token.size(), data(token)) != 0;
  const auto put = [&](coap_option_num_t number, std::string_view value) {
    good = good && coap_add_option(pdu, number, value.size(), data(value)) != 0;
  };
  const auto put_number = [&](coap_option_num_t number, std::int64_t value) {
    if (value >= 0) put(number, CoapNumber(static_cast<std::uint64_t>(value)));
  };
  if (!reply.etag.empty()) put(COAP_OPTION_ETAG, reply.etag);
  put_number(COAP_OPTION_OBSERVE, reply.observe);
  for (const std::string& segment : reply.location) put(COAP_OPTION_LOCATION_PATH, segment);
  put_number(COAP_OPTION_CONTENT_FORMAT, reply.format);
  put_number(COAP_OPTION_MAXAGE, reply.max_age);
  if (reply.block2) put(COAP_OPTION_BLOCK2, CoapBlockValue(*reply.block2));
  if (reply.block1) put(COAP_OPTION_BLOCK1, CoapBlockValue(*reply.block1));
  put_number(COAP_OPTION_SIZE2, reply.size2);
  put_number(COAP_OPTION_SIZE1, reply.size1);
  if (reply.announces) put(kCoapBulkOption, kAnnouncement);
  if (good && !reply.payload.empty()) {
    good = coap_add_data(pdu, reply.payload.size(), data(reply.payload)) != 0;
  }
  if (good) return pdu;
  Log(LogLevel::kError, "coap: an answer does not fit a message");
  coap_delete_pdu(pdu);
  return nullptr;
}

}  // namespace holdfast::server
