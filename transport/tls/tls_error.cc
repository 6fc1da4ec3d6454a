// SPDX-License-Identifier: Apache-2.0
#include "transport/tls/tls_error.h"

#include <mbedtls/asn1.h>
#include <mbedtls/bignum.h>
#include <mbedtls/cipher.h>
#include <mbedtls/ecp.h>
#include <mbedtls/md.h>
#include <mbedtls/pem.h>
#include <mbedtls/pk.h>
#include <mbedtls/ssl.h>
#include <mbedtls/x509.h>

namespace holdfast::transport {

// A code is the sum of a module's (its last seven bits are zero) and of that of what it stands on.
bool IsWantOfMemory(int mbedtls_code) {
  const int low = -(-mbedtls_code & 0x7F), high = mbedtls_code - low;
  switch (low) {
    case MBEDTLS_ERR_MPI_ALLOC_FAILED:
    case MBEDTLS_ERR_ASN1_ALLOC_FAILED: return true;
    default: break;
  }
  switch (high) {
    case MBEDTLS_ERR_SSL_ALLOC_FAILED:
    case MBEDTLS_ERR_X509_ALLOC_FAILED:
    case MBEDTLS_ERR_PEM_ALLOC_FAILED:
    case MBEDTLS_ERR_PK_ALLOC_FAILED:
    case MBEDTLS_ERR_ECP_ALLOC_FAILED:
    case MBEDTLS_ERR_MD_ALLOC_FAILED:
    case MBEDTLS_ERR_CIPHER_ALLOC_FAILED: return true;
    default: return false;
  }
}

}  // namespace holdfast::transport
