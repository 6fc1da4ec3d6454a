// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/credentials.h"

#include <mbedtls/ctr_drbg.h>
#include <mbedtls/entropy.h>
#include <mbedtls/platform_util.h>

#include "transport/tls/civil_date.h"
#include "transport/tls/file_text.h"
#include "transport/tls/tls_error.h"

namespace holdfast::transport::tls {
namespace {

Error Refused(int mbedtls_code, const char* what) {
  if (IsWantOfMemory(mbedtls_code)) {
    return {Code::kNoMemory, Origin::kTls, mbedtls_code, "no memory for the credentials"};
  }
  return {Code::kInvalidArgument, Origin::kTls, mbedtls_code, what};
}

// Randomness for the blinding of key operations at load time.
class Random {
 public:
  Random() {
    mbedtls_entropy_init(&entropy_);
    mbedtls_ctr_drbg_init(&drbg_);
    status_ = mbedtls_ctr_drbg_seed(&drbg_, mbedtls_entropy_func, &entropy_, nullptr, 0);
  }
  Random(const Random&) = delete;
  Random& operator=(const Random&) = delete;
  ~Random() {
    mbedtls_ctr_drbg_free(&drbg_);
    mbedtls_entropy_free(&entropy_);
  }
  int status() const { return status_; }
  mbedtls_ctr_drbg_context* context() { return &drbg_; }

 private:
  mbedtls_entropy_context entropy_;
  mbedtls_ctr_drbg_context drbg_;
  int status_ = 0;
};

// Authenticated encryption with forward secrecy, and nothing else.
const int kSuites[] = {
    MBEDTLS_TLS1_3_AES_128_GCM_SHA256,
    MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS1_3_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
    MBEDTLS_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
    MBEDTLS_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
    0,
};

}  // namespace

Credentials::Credentials() {
  mbedtls_x509_crt_init(&ca_);
  mbedtls_x509_crt_init(&own_);
  mbedtls_pk_init(&key_);
}

Credentials::~Credentials() {
  mbedtls_pk_free(&key_);  // wipes
  mbedtls_x509_crt_free(&own_);
  mbedtls_x509_crt_free(&ca_);
  mbedtls_platform_zeroize(&token_, sizeof token_);
  mbedtls_platform_zeroize(&psk_, sizeof psk_);
}

Result<std::unique_ptr<Credentials>> Credentials::Load(const CredentialFiles& files) {
  std::unique_ptr<Credentials> result(new Credentials());
  if (!files.ca.empty()) HF_TRY(result->LoadCa(files.ca.c_str()));
  if (files.cert.empty() != files.key.empty()) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0,
                 "a client certificate needs its key file, and a key file its certificate"};
  }
  if (!files.cert.empty()) HF_TRY(result->LoadOwn(files.cert.c_str(), files.key.c_str()));
  if (!files.token.empty()) HF_TRY(result->LoadToken(files.token.c_str()));
  if (files.psk.empty() != files.psk_identity.empty()) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0,
                 "a PSK identity needs its key file, and a PSK key file its identity"};
  }
  if (!files.psk.empty()) {
    HF_TRY(result->LoadPsk(files.psk.c_str(), files.psk_identity.view()));
  }
  return result;
}

Result<void> Credentials::LoadCa(const char* path) {
  HF_TRY(ca_text_.Read(path, kCaFileBytes,
                       {"the CA file cannot be read", "the CA file is too large", nullptr}));
  const int code = mbedtls_x509_crt_parse(&ca_, ca_text_.data(), ca_text_.parse_size());
  // A positive code counts certificates it could not read: a bundle may hold kinds we do not know.
  if (code < 0 || ca_.version == 0) return Refused(code, "the CA file holds no certificate");
  return Ok();
}

Result<void> Credentials::LoadOwn(const char* cert_path, const char* key_path) {
  FileText &cert = certificate_text_, &key = key_text_;
  HF_TRY(cert.Read(cert_path, kOwnFileBytes,
                   {"the client certificate file cannot be read",
                    "the client certificate file is too large", nullptr}));
  HF_TRY(key.Read(key_path, kOwnFileBytes,
                  {"the private key file cannot be read", "the private key file is too large",
                   "others may read the private key file; make it yours alone: chmod 600"}));
  int code = mbedtls_x509_crt_parse(&own_, cert.data(), cert.parse_size());
  if (code != 0) return Refused(code, "the client certificate file holds no valid certificate");
  Random random;
  if (random.status() != 0) return Refused(random.status(), "no random numbers");
  code = mbedtls_pk_parse_key(&key_, key.data(), key.parse_size(), nullptr, 0,
                              mbedtls_ctr_drbg_random, random.context());
  if (code != 0) return Refused(code, "the private key file holds no usable key (no passphrase?)");
  code = mbedtls_pk_check_pair(&own_.pk, &key_, mbedtls_ctr_drbg_random, random.context());
  if (code != 0) return Refused(code, "client certificate and private key do not belong together");
  has_certificate_ = true;
  return Ok();
}

Result<void> Credentials::LoadToken(const char* path) {
  FileText file;
  HF_TRY(file.Read(path, kTokenBytes + 16,
                   {"the token file cannot be read", "the token file is too large", nullptr}));
  const std::string_view text = file.trimmed();
  for (const char c : text) {
    if (c <= 0x20 || c >= 0x7f) {
      return Error{Code::kInvalidArgument, Origin::kNone, 0,
                   "the token file holds bytes that no token has"};
    }
  }
  if (text.empty() || !token_.Assign(text)) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0, "the token file holds no token"};
  }
  return Ok();
}

Result<void> Credentials::LoadPsk(const char* path, std::string_view identity) {
  FileText file;
  HF_TRY(file.Read(path, 4 * kPskBytes,
                   {"the PSK file cannot be read", "the PSK file is too large",
                    "others may read the PSK file; make it yours alone: chmod 600"}));
  const auto digit = [](char c) {
    return c >= '0' && c <= '9'   ? c - '0'
           : c >= 'a' && c <= 'f' ? c - 'a' + 10
           : c >= 'A' && c <= 'F' ? c - 'A' + 10
                                  : -1;
  };
  const std::string_view text = file.trimmed();
  bool good = text.size() % 2 == 0 && text.size() / 2 >= kPskBytesMin;
  for (std::size_t i = 0; good && i < text.size(); i += 2) {
    const int high = digit(text[i]), low = digit(text[i + 1]);
    const char byte = char(high * 16 + low);
    good = high >= 0 && low >= 0 && psk_.Append({&byte, 1}).ok();
  }
  if (!good) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0,
                 "the PSK file has to hold 32 to 128 hex digits"};
  }
  if (!identity_.Assign(identity)) {
    return Error{Code::kInvalidArgument, Origin::kNone, 0,
                 "the PSK identity may be 64 bytes long at most"};
  }
  return Ok();
}

void Credentials::Configure(mbedtls_ssl_config& config, Verify verify, void* context) {
  mbedtls_ssl_conf_ca_chain(&config, &ca_, nullptr);
  if (has_certificate_) mbedtls_ssl_conf_own_cert(&config, &own_, &key_);
  mbedtls_ssl_conf_authmode(&config, MBEDTLS_SSL_VERIFY_REQUIRED);
  mbedtls_ssl_conf_verify(&config, verify, context);
  mbedtls_ssl_conf_cert_profile(&config, &mbedtls_x509_crt_profile_default);
  mbedtls_ssl_conf_ciphersuites(&config, kSuites);
  mbedtls_ssl_conf_min_tls_version(&config, MBEDTLS_SSL_VERSION_TLS1_2);
#if defined(MBEDTLS_SSL_SESSION_TICKETS)
  mbedtls_ssl_conf_session_tickets(&config, MBEDTLS_SSL_SESSION_TICKETS_ENABLED);
#endif
}

bool Credentials::OwnCertificateExpired() const {
  return has_certificate_ && (mbedtls_x509_time_is_past(&own_.valid_to) != 0 ||
                              mbedtls_x509_time_is_future(&own_.valid_from) != 0);
}

std::int64_t Credentials::OwnCertificateEnd() const {
  const mbedtls_x509_time& end = own_.valid_to;
  if (!has_certificate_) return 0;
  return UnixSeconds({end.year, end.mon, end.day, end.hour, end.min, end.sec});
}

}  // namespace holdfast::transport::tls
