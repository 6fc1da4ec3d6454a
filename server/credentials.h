// SPDX-License-Identifier: Apache-2.0
// server/credentials.h - keys, certificates, random bytes and digests; all by Mbed TLS.
//
// Purpose: what `init` and `device add` hand out: an authority of our own (EC P-256), a certificate
//          for the server, and one a device. Valid from 2020, so that a device whose clock is not
//          set yet can still judge them, for 20 years.
// Errors:  std::runtime_error with Mbed TLS's number.
#ifndef HOLDFAST_SERVER_CREDENTIALS_H_
#define HOLDFAST_SERVER_CREDENTIALS_H_

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::server {

struct Credential {
  std::string certificate;  // PEM
  std::string key;          // PEM
};

Credential MakeAuthority();
// Names: DNS names and IP addresses, told apart by their form.
Credential MakeServerCredential(const Credential& authority, const std::vector<std::string>& names);
Credential MakeDeviceCredential(const Credential& authority, const std::string& device);

// Lower-case hex of the SHA-256 of the certificate's DER.
std::string Fingerprint(const std::string& certificate_pem);

std::string RandomBytes(std::size_t size);
std::string ToHex(std::string_view bytes);
std::string Sha256Hex(std::string_view bytes);

// For Mbed TLS; `context` is not used.
int RandomForTls(void* context, unsigned char* out, std::size_t size);
// Once, before anything of this folder that uses TLS.
void StartCrypto();
// "what: Mbed TLS -0x1234"
[[noreturn]] void ThrowTls(const std::string& what, int code);

}  // namespace holdfast::server

#endif  // HOLDFAST_SERVER_CREDENTIALS_H_
