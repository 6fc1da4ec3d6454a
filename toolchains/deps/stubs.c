// SPDX-License-Identifier: Apache-2.0
/*
 * What libcoap needs from outside.
 *
 * libcoap's Mbed TLS part allocates with malloc() and frees with mbedtls_free(), so with a capped
 * allocator in Mbed TLS the two must be the same one. deps/make renames libcoap's calls of the
 * C allocator to hf_*; these weak definitions keep a program that sets no hooks working, and a
 * program that caps its heaps (the agent) defines its own. Likewise the calls that move datagrams:
 * libcoap counts no bytes, the kernel counts none for UDP, and a device pays for each.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define WEAK __attribute__((weak))

WEAK void *hf_malloc(size_t size) { return malloc(size); }
WEAK void *hf_calloc(size_t count, size_t size) { return calloc(count, size); }
WEAK void *hf_realloc(void *old, size_t size) { return realloc(old, size); }
WEAK void hf_free(void *memory) { free(memory); }

WEAK char *hf_strndup(const char *text, size_t limit) {
  size_t length = strnlen(text, limit);
  char *copy = hf_malloc(length + 1);
  if (copy) {
    memcpy(copy, text, length);
    copy[length] = '\0';
  }
  return copy;
}

WEAK char *hf_strdup(const char *text) { return hf_strndup(text, strlen(text)); }

WEAK ssize_t hf_send(int socket, const void *data, size_t size, int flags) {
  return send(socket, data, size, flags);
}
WEAK ssize_t hf_sendmsg(int socket, const struct msghdr *message, int flags) {
  return sendmsg(socket, message, flags);
}
WEAK ssize_t hf_recv(int socket, void *data, size_t size, int flags) {
  return recv(socket, data, size, flags);
}
WEAK ssize_t hf_recvmsg(int socket, struct msghdr *message, int flags) {
  return recvmsg(socket, message, flags);
}

#ifndef HOLDFAST_SERVER_TLS
/* libcoap calls it always; the client's Mbed TLS is built without MBEDTLS_DEBUG_C. */
void mbedtls_debug_set_threshold(int threshold) { (void)threshold; }
#endif
