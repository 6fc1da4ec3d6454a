// SPDX-License-Identifier: Apache-2.0
// transport/tls/tls_error.h - what an error of Mbed TLS means to us.
#ifndef HOLDFAST_TRANSPORT_TLS_TLS_ERROR_H_
#define HOLDFAST_TRANSPORT_TLS_TLS_ERROR_H_

namespace holdfast::transport {

// Somewhere in it memory was refused: nobody is to be distrusted for that.
bool IsWantOfMemory(int mbedtls_code);

}  // namespace holdfast::transport

#endif  // HOLDFAST_TRANSPORT_TLS_TLS_ERROR_H_
