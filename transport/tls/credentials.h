// SPDX-License-Identifier: Apache-2.0
// transport/tls/credentials.h - whom we trust, and who we are; for every carrier.
//
// Purpose: reads CA, certificate, key, token and PSK files once and says at the start what is wrong
//          with them. A TLS handshake of libcurl gets them already parsed, which would read and
//          parse the CA file anew for each connection and report a bad one only then. libcoap takes
//          no parsed ones, so it gets the texts.
// Owner:   the transport; a TLS connection borrows them, so they outlive every connection.
// Threads: one.
// Errors:  kInvalidArgument with Origin::kTls (native: Mbed TLS's code) or Origin::kErrno, and a
//          text that names the file's role. Secrets are wiped when they go.
#ifndef HOLDFAST_TRANSPORT_TLS_CREDENTIALS_H_
#define HOLDFAST_TRANSPORT_TLS_CREDENTIALS_H_

#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509_crt.h>

#include <cstdint>
#include <memory>
#include <string_view>

#include "hal/base/fixed_string.h"
#include "hal/base/result.h"
#include "transport/tls/file_text.h"

namespace holdfast::transport::tls {

struct CredentialFiles {
  FixedString<1024> ca, cert, key, token, psk;  // "" when there is none
  FixedString<128> psk_identity;
};

class Credentials {
 public:
  // Largest files that are read. A distribution's whole CA bundle has 230 KiB.
  static constexpr std::size_t kCaFileBytes = 1 << 20;
  static constexpr std::size_t kOwnFileBytes = 64 << 10;
  static constexpr std::size_t kTokenBytes = 4096;
  // A key shorter than that can be guessed; longer ones, and longer identities, libcoap refuses.
  static constexpr std::size_t kPskBytesMin = 16, kPskBytes = 64, kPskIdentityBytes = 64;

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
  bool has_psk() const { return psk_.size() != 0; }
  std::string_view psk() const { return psk_.view(); }
  std::string_view psk_identity() const { return identity_.view(); }
  bool has_ca() const { return ca_text_.data() != nullptr; }
  // As they stand in the files.
  const FileText& ca_text() const { return ca_text_; }
  const FileText& certificate_text() const { return certificate_text_; }
  const FileText& key_text() const { return key_text_; }

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
  Result<void> LoadPsk(const char* path, std::string_view identity);

  mbedtls_x509_crt ca_, own_;
  mbedtls_pk_context key_;
  bool has_certificate_ = false;
  FixedString<kTokenBytes> token_;
  FixedString<kPskBytes> psk_;
  FixedString<kPskIdentityBytes> identity_;
  FileText ca_text_, certificate_text_, key_text_;
};

}  // namespace holdfast::transport::tls

#endif  // HOLDFAST_TRANSPORT_TLS_CREDENTIALS_H_
