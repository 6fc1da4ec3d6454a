// SPDX-License-Identifier: Apache-2.0
#include "server/tls_context.h"

#include <mbedtls/oid.h>
#include <mbedtls/ssl_ciphersuites.h>

#include <array>
#include <cstring>
#include <stdexcept>

#include "server/credentials.h"

namespace holdfast::server {
namespace {

constexpr std::size_t kTicketBytes = 24;
constexpr std::size_t kSessions = 16384;
constexpr std::uint32_t kTicketSeconds = 24 * 60 * 60;
const char* kProtocols[] = {"http/1.1", nullptr};

void Check(const std::string& what, int code) {
  if (code != 0) ThrowTls(what, code);
}

}  // namespace

TlsContext::TlsContext(const TlsFiles& files) {
  mbedtls_ssl_config_init(&config_);
  mbedtls_x509_crt_init(&certificate_);
  mbedtls_x509_crt_init(&authority_);
  mbedtls_pk_init(&key_);
  Check(files.certificate, mbedtls_x509_crt_parse_file(&certificate_, files.certificate.c_str()));
  Check(files.key,
        mbedtls_pk_parse_keyfile(&key_, files.key.c_str(), nullptr, RandomForTls, nullptr));
  Check(files.client_authority,
        mbedtls_x509_crt_parse_file(&authority_, files.client_authority.c_str()));
  Check(files.key + " does not belong to " + files.certificate,
        mbedtls_pk_check_pair(&certificate_.pk, &key_, RandomForTls, nullptr));
  Check("TLS",
        mbedtls_ssl_config_defaults(&config_, MBEDTLS_SSL_IS_SERVER, MBEDTLS_SSL_TRANSPORT_STREAM,
                                    MBEDTLS_SSL_PRESET_DEFAULT));
  mbedtls_ssl_conf_rng(&config_, RandomForTls, nullptr);
  mbedtls_ssl_conf_min_tls_version(&config_, MBEDTLS_SSL_VERSION_TLS1_2);
  mbedtls_ssl_conf_max_tls_version(&config_, MBEDTLS_SSL_VERSION_TLS1_3);
  mbedtls_ssl_conf_ca_chain(&config_, &authority_, nullptr);
  mbedtls_ssl_conf_authmode(&config_, MBEDTLS_SSL_VERIFY_OPTIONAL);
  mbedtls_ssl_conf_verify(&config_, VerifyPeer, this);
  Check("TLS", mbedtls_ssl_conf_own_cert(&config_, &certificate_, &key_));
  Check("TLS", mbedtls_ssl_conf_alpn_protocols(&config_, kProtocols));
  mbedtls_ssl_conf_session_tickets_cb(&config_, WriteTicket, ReadTicket, this);
  mbedtls_ssl_conf_new_session_tickets(&config_, 1);
}

TlsContext::~TlsContext() {
  mbedtls_ssl_config_free(&config_);
  mbedtls_x509_crt_free(&certificate_);
  mbedtls_x509_crt_free(&authority_);
  mbedtls_pk_free(&key_);
}

PeerIdentity TlsContext::IdentityOf(const mbedtls_x509_crt* certificate) {
  PeerIdentity peer;
  if (certificate == nullptr) return peer;
  for (const mbedtls_x509_name* name = &certificate->subject; name != nullptr; name = name->next) {
    if (MBEDTLS_OID_CMP(MBEDTLS_OID_AT_CN, &name->oid) == 0) {
      peer.name.assign(reinterpret_cast<const char*>(name->val.p), name->val.len);
    }
  }
  peer.fingerprint =
      Sha256Hex({reinterpret_cast<const char*>(certificate->raw.p), certificate->raw.len});
  return peer;
}

// An error from here ends the handshake, also where no certificate would have been fine.
int TlsContext::VerifyPeer(void*, mbedtls_x509_crt*, int, std::uint32_t* flags) {
  return *flags == 0 ? 0 : MBEDTLS_ERR_X509_FATAL_ERROR;
}

int TlsContext::WriteTicket(void* context, const mbedtls_ssl_session* session, unsigned char* start,
                            const unsigned char* end, std::size_t* size, std::uint32_t* lifetime) {
  auto& self = *static_cast<TlsContext*>(context);
  if (static_cast<std::size_t>(end - start) < kTicketBytes || self.current_ == nullptr) {
    return MBEDTLS_ERR_SSL_BUFFER_TOO_SMALL;
  }
  std::array<unsigned char, 4096> state;
  std::size_t used = 0;
  const int code = mbedtls_ssl_session_save(session, state.data(), state.size(), &used);
  if (code != 0) return code;
  Session entry;
  entry.state.assign(reinterpret_cast<const char*>(state.data()), used);
  entry.peer = IdentityOf(session->MBEDTLS_PRIVATE(peer_cert));
  if (entry.peer.empty() && !self.current_->full) entry.peer = self.current_->resumed;
  entry.until = std::chrono::steady_clock::now() + std::chrono::seconds(kTicketSeconds);
  const std::string ticket = RandomBytes(kTicketBytes);
  self.sessions_[ticket] = std::move(entry);
  self.order_.push_back(ticket);
  if (self.order_.size() > kSessions) {
    self.sessions_.erase(self.order_.front());
    self.order_.pop_front();
  }
  std::memcpy(start, ticket.data(), kTicketBytes);
  *size = kTicketBytes;
  *lifetime = kTicketSeconds;
  return 0;
}

int TlsContext::ReadTicket(void* context, mbedtls_ssl_session* session, unsigned char* ticket,
                           std::size_t size) {
  auto& self = *static_cast<TlsContext*>(context);
  if (self.current_ == nullptr) return MBEDTLS_ERR_SSL_INVALID_MAC;
  self.current_->resumed = {};
  const auto found = self.sessions_.find(std::string(reinterpret_cast<const char*>(ticket), size));
  if (found == self.sessions_.end()) return MBEDTLS_ERR_SSL_INVALID_MAC;
  if (std::chrono::steady_clock::now() > found->second.until) {
    return MBEDTLS_ERR_SSL_SESSION_TICKET_EXPIRED;
  }
  const std::string& state = found->second.state;
  const int code = mbedtls_ssl_session_load(
      session, reinterpret_cast<const unsigned char*>(state.data()), state.size());
  if (code == 0) self.current_->resumed = found->second.peer;
  return code;
}

}  // namespace holdfast::server
