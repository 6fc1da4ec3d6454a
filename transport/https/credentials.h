// SPDX-License-Identifier: Apache-2.0
// transport/https/credentials.h - whom we trust, and who we are.
//
// Purpose: reads CA, certificate, key and token files once, says at the start what is wrong with
//          them, and hands them to every TLS handshake already parsed. libcurl would read and parse
//          the CA file anew for each connection and report a bad one only then.
// Owner:   the transport; a TLS connection borrows them, so they outlive every connection.
// Threads: one.
// Errors:  kInvalidArgument with Origin::kTls (native: Mbed TLS's code) or Origin::kErrno, and a
//          text that names the file's role. Secrets are wiped when they go.
#ifndef HOLDFAST_TRANSPORT_HTTPS_CREDENTIALS_H_
#define HOLDFAST_TRANSPORT_HTTPS_CREDENTIALS_H_

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/result.h"

namespace holdfast::transport::https {

struct CredentialFiles {
  FixedString<1024> ca, cert, key, token;  // "" when there is none
};

class Credentials {
 public:
  // Largest files that are read. A distribution's whole CA bundle has 230 KiB.
  static constexpr std::size_t kCaFileBytes = 1 << 20;
  static constexpr std::size_t kOwnFileBytes = 64 << 10;
  static constexpr std::size_t kTokenBytes = 4096;

  static Result<std::unique_ptr<Credentials>> Load(const CredentialFiles& files);
  ~Credentials();
  Credentials(const Credentials&) = delete;
  Credentials& operator=(const Credentials&) = delete;

  // What a handshake needs: trust, our own certificate, modern suites only (RFC 9325), tickets for
  // short handshakes later. `verify` is told about each certificate of the server's chain.
  using Verify = int (*)(void* context, mbedtls_x509_crt* certificate, int depth,
                         std::uint32_t* flags);
  void Configure(mbedtls_ssl_config& config, Verify verify, void* context);

  std::string_view token() const { return token_.view(); }
  bool has_certificate() const { return has_certificate_; }
  // Whether today lies outside the dates of our own certificate, by the system's clock.
  bool OwnCertificateExpired() const;
  // End of our own certificate's validity, seconds since 1970; 0 without one.
  std::int64_t OwnCertificateEnd() const;

 private:
  Credentials();
  Result<void> LoadCa(const char* path);
  Result<void> LoadOwn(const char* cert_path, const char* key_path);
  Result<void> LoadToken(const char* path);

  mbedtls_x509_crt ca_, own_;
  mbedtls_pk_context key_;
  bool has_certificate_ = false;
  FixedString<kTokenBytes> token_;
};

}  // namespace holdfast::transport::https

#endif  // HOLDFAST_TRANSPORT_HTTPS_CREDENTIALS_H_
