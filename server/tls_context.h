// SPDX-License-Identifier: Apache-2.0
// server/tls_context.h - how this server speaks TLS: its certificate, whom it believes, and the
//                        sessions it will take up again.
//
// Purpose: TLS 1.2 and 1.3, a client certificate asked for but not demanded (tokens exist), and a
//          wrong one refused in the handshake.
// Shapes:  a session ticket is 24 random bytes, the name of an entry kept here with the identity
// that
//          the full handshake proved. Short tickets save a metered link some 200 bytes a
//          connection, and a resumed TLS 1.3 session knows who it is, which its own state does not
//          carry.
// Threads: one. `current` is the stream inside Mbed TLS at the moment.
// Errors:  std::runtime_error at construction.
#ifndef HOLDFAST_SERVER_TLS_CONTEXT_H_
#define HOLDFAST_SERVER_TLS_CONTEXT_H_

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include <chrono>
#include <deque>
#include <string>
#include <unordered_map>

#include "server/devices.h"

namespace holdfast::server {

struct TlsFiles {
  std::string certificate, key, client_authority;
};

// What the ticket callbacks need to know of the handshake that is under way.
struct TlsHandshake {
  bool full = false;     // certificates were exchanged, so nothing was resumed
  PeerIdentity resumed;  // of the ticket that the client offered last
};

class TlsContext {
 public:
  explicit TlsContext(const TlsFiles& files);
  ~TlsContext();
  TlsContext(const TlsContext&) = delete;
  TlsContext& operator=(const TlsContext&) = delete;

  const mbedtls_ssl_config& config() const { return config_; }
  void Enter(TlsHandshake* handshake) { current_ = handshake; }

  static PeerIdentity IdentityOf(const mbedtls_x509_crt* certificate);

 private:
  struct Session {
    std::string state;
    PeerIdentity peer;
    std::chrono::steady_clock::time_point until;
  };
  static int VerifyPeer(void* context, mbedtls_x509_crt* crt, int depth, std::uint32_t* flags);
  static int WriteTicket(void* context, const mbedtls_ssl_session* session, unsigned char* start,
                         const unsigned char* end, std::size_t* size, std::uint32_t* lifetime);
  static int ReadTicket(void* context, mbedtls_ssl_session* session, unsigned char* ticket,
                        std::size_t size);

  mbedtls_ssl_config config_;
  mbedtls_x509_crt certificate_, authority_;
  mbedtls_pk_context key_;
  TlsHandshake* current_ = nullptr;
  std::unordered_map<std::string, Session> sessions_;
  std::deque<std::string> order_;  // tickets, oldest first
};

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_TLS_CONTEXT_H_
