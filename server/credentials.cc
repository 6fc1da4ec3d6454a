// SPDX-License-Identifier: Apache-2.0
#include "server/credentials.h"

#include <arpa/inet.h>
#include <mbedtls/asn1.h>
#include <mbedtls/ecp.h>
#include <mbedtls/oid.h>
#include <mbedtls/pk.h>
#include <mbedtls/sha256.h>
#include <mbedtls/x509_crt.h>
#include <psa/crypto.h>
#include <sys/random.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <stdexcept>

namespace holdfast::server {
namespace {

constexpr const char* kNotBefore = "20200101000000";
constexpr const char* kNotAfter = "20391231235959";

void Check(const char* what, int code) {
  if (code < 0) ThrowTls(what, code);
}

struct Key {
  mbedtls_pk_context pk;
  Key() { mbedtls_pk_init(&pk); }
  ~Key() { mbedtls_pk_free(&pk); }
  Key(const Key&) = delete;
  Key& operator=(const Key&) = delete;

  void Generate() {
    Check("key", mbedtls_pk_setup(&pk, mbedtls_pk_info_from_type(MBEDTLS_PK_ECKEY)));
    Check("key",
          mbedtls_ecp_gen_key(MBEDTLS_ECP_DP_SECP256R1, mbedtls_pk_ec(pk), RandomForTls, nullptr));
  }
  void Parse(const std::string& pem) {
    Check("authority's key",
          mbedtls_pk_parse_key(&pk, reinterpret_cast<const unsigned char*>(pem.c_str()),
                               pem.size() + 1, nullptr, 0, RandomForTls, nullptr));
  }
  std::string Pem() {
    std::array<unsigned char, 2048> buffer{};
    Check("key", mbedtls_pk_write_key_pem(&pk, buffer.data(), buffer.size()));
    return reinterpret_cast<const char*>(buffer.data());
  }
  // RFC 7093: the leftmost 160 bits of the SHA-256 of the public key.
  std::array<unsigned char, 20> Identifier() {
    std::array<unsigned char, 512> der{};
    const int size = mbedtls_pk_write_pubkey_der(&pk, der.data(), der.size());
    Check("key", size);
    std::array<unsigned char, 32> digest{};
    Check("key", mbedtls_sha256(der.data() + der.size() - size, static_cast<std::size_t>(size),
                                digest.data(), 0));
    std::array<unsigned char, 20> identifier{};
    std::memcpy(identifier.data(), digest.data(), identifier.size());
    return identifier;
  }
};

// What the three kinds of certificate have in common.
class Certificate {
 public:
  Certificate(Key& subject, Key& issuer, const std::string& subject_name) : issuer_(issuer) {
    mbedtls_x509write_crt_init(&crt_);
    mbedtls_x509write_crt_set_version(&crt_, MBEDTLS_X509_CRT_VERSION_3);
    mbedtls_x509write_crt_set_md_alg(&crt_, MBEDTLS_MD_SHA256);
    mbedtls_x509write_crt_set_subject_key(&crt_, &subject.pk);
    mbedtls_x509write_crt_set_issuer_key(&crt_, &issuer.pk);
    Check("issuer", mbedtls_x509write_crt_set_issuer_name(&crt_, "CN=holdfast authority"));
    Check("subject", mbedtls_x509write_crt_set_subject_name(&crt_, subject_name.c_str()));
    Check("dates", mbedtls_x509write_crt_set_validity(&crt_, kNotBefore, kNotAfter));
    std::string serial = RandomBytes(16);
    serial[0] = static_cast<char>((serial[0] & 0x3f) | 0x40);
    Check("serial", mbedtls_x509write_crt_set_serial_raw(
                        &crt_, reinterpret_cast<unsigned char*>(serial.data()), serial.size()));
    AddIdentifiers(subject);
  }
  ~Certificate() { mbedtls_x509write_crt_free(&crt_); }
  Certificate(const Certificate&) = delete;
  Certificate& operator=(const Certificate&) = delete;

  void Constrain(bool authority, unsigned usage) {
    Check("constraints",
          mbedtls_x509write_crt_set_basic_constraints(&crt_, authority, authority ? 0 : -1));
    Check("usage", mbedtls_x509write_crt_set_key_usage(&crt_, usage));
  }
  void SetExtendedUsage(const char* oid, std::size_t size) {
    mbedtls_asn1_sequence usage{};
    usage.buf.tag = MBEDTLS_ASN1_OID;
    usage.buf.p = reinterpret_cast<unsigned char*>(const_cast<char*>(oid));
    usage.buf.len = size;
    Check("usage", mbedtls_x509write_crt_set_ext_key_usage(&crt_, &usage));
  }
  void SetNames(const std::vector<std::string>& names);
  std::string Pem() {
    std::array<unsigned char, 4096> buffer{};
    Check("certificate",
          mbedtls_x509write_crt_pem(&crt_, buffer.data(), buffer.size(), RandomForTls, nullptr));
    return reinterpret_cast<const char*>(buffer.data());
  }

 private:
  // Not by Mbed TLS's own function: that one needs SHA-1.
  void AddIdentifiers(Key& subject) {
    const auto own = subject.Identifier(), issuers = issuer_.Identifier();
    std::array<unsigned char, 22> subject_value{0x04, 20};
    std::memcpy(&subject_value[2], own.data(), own.size());
    std::array<unsigned char, 24> issuer_value{0x30, 22, 0x80, 20};
    std::memcpy(&issuer_value[4], issuers.data(), issuers.size());
    Check("identifier",
          mbedtls_x509write_crt_set_extension(&crt_, MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER,
                                              MBEDTLS_OID_SIZE(MBEDTLS_OID_SUBJECT_KEY_IDENTIFIER),
                                              0, subject_value.data(), subject_value.size()));
    Check("identifier", mbedtls_x509write_crt_set_extension(
                            &crt_, MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER,
                            MBEDTLS_OID_SIZE(MBEDTLS_OID_AUTHORITY_KEY_IDENTIFIER), 0,
                            issuer_value.data(), issuer_value.size()));
  }

  mbedtls_x509write_cert crt_;
  Key& issuer_;
};

void Certificate::SetNames(const std::vector<std::string>& names) {
  std::vector<mbedtls_x509_san_list> list(names.size());
  std::vector<std::array<unsigned char, 16>> addresses(names.size());
  for (std::size_t i = 0; i < names.size(); ++i) {
    auto& san = list[i].node;
    if (i + 1 < names.size()) list[i].next = &list[i + 1];
    const bool v4 = inet_pton(AF_INET, names[i].c_str(), addresses[i].data()) == 1;
    const bool v6 = !v4 && inet_pton(AF_INET6, names[i].c_str(), addresses[i].data()) == 1;
    if (v4 || v6) {
      san.type = MBEDTLS_X509_SAN_IP_ADDRESS;
      san.san.unstructured_name.p = addresses[i].data();
      san.san.unstructured_name.len = v4 ? 4 : 16;
    } else {
      san.type = MBEDTLS_X509_SAN_DNS_NAME;
      san.san.unstructured_name.p =
          reinterpret_cast<unsigned char*>(const_cast<char*>(names[i].data()));
      san.san.unstructured_name.len = names[i].size();
    }
  }
  Check("names", mbedtls_x509write_crt_set_subject_alternative_name(&crt_, list.data()));
}

}  // namespace

Credential MakeAuthority() {
  Key key;
  key.Generate();
  Certificate certificate(key, key, "CN=holdfast authority");
  certificate.Constrain(true, MBEDTLS_X509_KU_KEY_CERT_SIGN | MBEDTLS_X509_KU_CRL_SIGN);
  return {certificate.Pem(), key.Pem()};
}

Credential MakeServerCredential(const Credential& authority,
                                const std::vector<std::string>& names) {
  Key issuer, key;
  issuer.Parse(authority.key);
  key.Generate();
  Certificate certificate(key, issuer, "CN=holdfast server");
  certificate.Constrain(false, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
  certificate.SetExtendedUsage(MBEDTLS_OID_SERVER_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_SERVER_AUTH));
  certificate.SetNames(names);
  return {certificate.Pem(), key.Pem()};
}

Credential MakeDeviceCredential(const Credential& authority, const std::string& device) {
  Key issuer, key;
  issuer.Parse(authority.key);
  key.Generate();
  Certificate certificate(key, issuer, "CN=" + device);
  certificate.Constrain(false, MBEDTLS_X509_KU_DIGITAL_SIGNATURE);
  certificate.SetExtendedUsage(MBEDTLS_OID_CLIENT_AUTH, MBEDTLS_OID_SIZE(MBEDTLS_OID_CLIENT_AUTH));
  return {certificate.Pem(), key.Pem()};
}

std::string Fingerprint(const std::string& certificate_pem) {
  mbedtls_x509_crt crt;
  mbedtls_x509_crt_init(&crt);
  const int code =
      mbedtls_x509_crt_parse(&crt, reinterpret_cast<const unsigned char*>(certificate_pem.c_str()),
                             certificate_pem.size() + 1);
  std::string digest;
  if (code == 0) digest = Sha256Hex({reinterpret_cast<const char*>(crt.raw.p), crt.raw.len});
  mbedtls_x509_crt_free(&crt);
  Check("certificate", code);
  return digest;
}

std::string RandomBytes(std::size_t size) {
  std::string bytes(size, '\0');
  RandomForTls(nullptr, reinterpret_cast<unsigned char*>(bytes.data()), size);
  return bytes;
}

std::string ToHex(std::string_view bytes) {
  static constexpr char kHex[] = "0123456789abcdef";
  std::string hex;
  for (const char c : bytes) {
    const auto byte = static_cast<unsigned char>(c);
    hex += kHex[byte >> 4];
    hex += kHex[byte & 15];
  }
  return hex;
}

std::string Sha256Hex(std::string_view bytes) {
  std::array<char, 32> digest{};
  Check("digest", mbedtls_sha256(reinterpret_cast<const unsigned char*>(bytes.data()), bytes.size(),
                                 reinterpret_cast<unsigned char*>(digest.data()), 0));
  return ToHex({digest.data(), digest.size()});
}

int RandomForTls(void*, unsigned char* out, std::size_t size) {
  while (size > 0) {
    const ssize_t got = getrandom(out, size, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) return -1;
    out += got;
    size -= static_cast<std::size_t>(got);
  }
  return 0;
}

void StartCrypto() {
  if (psa_crypto_init() != PSA_SUCCESS) throw std::runtime_error("the cryptography did not start");
}

void ThrowTls(const std::string& what, int code) {
  char number[32];
  std::snprintf(number, sizeof number, "-0x%04x", static_cast<unsigned>(-code));
  throw std::runtime_error(what + ": Mbed TLS " + number);
}

}  // namespace holdfast::server
