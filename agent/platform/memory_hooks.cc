// SPDX-License-Identifier: Apache-2.0
#include "agent/platform/memory_hooks.h"

#include <curl/curl.h>
#include <mbedtls/platform.h>
#include <sqlite3.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <new>

#include "hal/base/memory.h"

namespace holdfast::agent::platform {
namespace {

using memory::Pool;

// ------------------------------------------------------------------------------------------ SQLite

void* SqliteMalloc(int bytes) { return memory::Allocate(Pool::kSqlite, std::size_t(bytes)); }
void* SqliteRealloc(void* block, int bytes) {
  return memory::Reallocate(Pool::kSqlite, block, std::size_t(bytes));
}
int SqliteSize(void* block) { return int(memory::SizeOf(block)); }
int SqliteRoundUp(int bytes) { return (bytes + 7) & ~7; }
int SqliteInit(void*) { return SQLITE_OK; }
void SqliteShutdown(void*) {}

bool HookSqlite() {
  const sqlite3_mem_methods methods = {SqliteMalloc,  memory::Free, SqliteRealloc,  SqliteSize,
                                       SqliteRoundUp, SqliteInit,   SqliteShutdown, nullptr};
  // One thread has the database; what is counted here needs no counting there.
  return sqlite3_config(SQLITE_CONFIG_MALLOC, &methods) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_SINGLETHREAD) == SQLITE_OK &&
         sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0) == SQLITE_OK &&
         sqlite3_initialize() == SQLITE_OK;
}

// ----------------------------------------------------------------------------------------- libcurl

void* CurlMalloc(std::size_t bytes) { return memory::Allocate(Pool::kHttps, bytes); }
void* CurlRealloc(void* block, std::size_t bytes) {
  return memory::Reallocate(Pool::kHttps, block, bytes);
}
void* CurlCalloc(std::size_t count, std::size_t bytes) {
  return memory::AllocateZeroed(Pool::kHttps, count, bytes);
}
char* CurlStrdup(const char* text) {
  const std::size_t bytes = std::strlen(text) + 1;
  auto* copy = static_cast<char*>(CurlMalloc(bytes));
  if (copy != nullptr) std::memcpy(copy, text, bytes);
  return copy;
}

// ---------------------------------------------------------------------------------------- Mbed TLS

void* TlsCalloc(std::size_t count, std::size_t bytes) {
  return memory::AllocateZeroed(Pool::kTls, count, bytes);
}

}  // namespace

bool InstallMemoryHooks() {
  memory::KeepToBudgets();
  return HookSqlite() && mbedtls_platform_set_calloc_free(TlsCalloc, memory::Free) == 0 &&
         curl_global_init_mem(CURL_GLOBAL_DEFAULT, CurlMalloc, memory::Free, CurlRealloc,
                              CurlStrdup, CurlCalloc) == CURLE_OK;
}

}  // namespace holdfast::agent::platform

// ----------------------------------------------------------------------------------------- libcoap

// The build of libcoap calls these by name instead of the C library's (toolchains/deps/stubs.c).
extern "C" {
void* hf_malloc(std::size_t bytes);
void* hf_calloc(std::size_t count, std::size_t bytes);
void* hf_realloc(void* block, std::size_t bytes);
void hf_free(void* block);

void* hf_malloc(std::size_t bytes) {
  return holdfast::memory::Allocate(holdfast::memory::Pool::kCoap, bytes);
}
void* hf_calloc(std::size_t count, std::size_t bytes) {
  return holdfast::memory::AllocateZeroed(holdfast::memory::Pool::kCoap, count, bytes);
}
void* hf_realloc(void* block, std::size_t bytes) {
  return holdfast::memory::Reallocate(holdfast::memory::Pool::kCoap, block, bytes);
}
void hf_free(void* block) { holdfast::memory::Free(block); }
}

// -------------------------------------------------------------------------------------------- ours

namespace {

void* New(std::size_t bytes) {
  void* block = holdfast::memory::Allocate(holdfast::memory::Pool::kProgram, bytes);
  if (block != nullptr) return block;
  char text[160];
  const int size =
      std::snprintf(text, sizeof text,
                    "holdfast: out of memory (%zu bytes wanted, %zu of %zu in use); "
                    "what was acknowledged is safe, start it again\n",
                    bytes, holdfast::memory::UseOf(holdfast::memory::Pool::kProgram).now,
                    holdfast::limits::kProgramMemory);
  if (size > 0 && write(STDERR_FILENO, text, std::size_t(size)) < 0) _exit(1);
  _exit(1);
}

}  // namespace

void* operator new(std::size_t bytes) { return New(bytes); }
void* operator new[](std::size_t bytes) { return New(bytes); }
void* operator new(std::size_t bytes, const std::nothrow_t&) noexcept {
  return holdfast::memory::Allocate(holdfast::memory::Pool::kProgram, bytes);
}
void* operator new[](std::size_t bytes, const std::nothrow_t&) noexcept {
  return holdfast::memory::Allocate(holdfast::memory::Pool::kProgram, bytes);
}
void operator delete(void* block) noexcept { holdfast::memory::Free(block); }
void operator delete[](void* block) noexcept { holdfast::memory::Free(block); }
void operator delete(void* block, std::size_t) noexcept { holdfast::memory::Free(block); }
void operator delete[](void* block, std::size_t) noexcept { holdfast::memory::Free(block); }
void operator delete(void* block, const std::nothrow_t&) noexcept { holdfast::memory::Free(block); }
void operator delete[](void* block, const std::nothrow_t&) noexcept {
  holdfast::memory::Free(block);
}
