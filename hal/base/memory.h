// SPDX-License-Identifier: Apache-2.0
// hal/base/memory.h - who has how much memory, and how much each may have.
//
// Purpose: every pool of the program has a name, a cap and a count; the caps are constants of
//          hal/base/limits.h, and their sum is what the program can take from the heap at most. The
//          libraries take their memory here (agent/platform/memory_hooks.h); a library that would
//          go over its cap is refused, as if the machine had no more, and its caller has to cope.
//          cJSON works in the buffer of the answer that it reads, and needs no pool.
// Owner:   nobody; the counts are the process's. What is allocated here is given back by Free(),
//          whoever took it: libraries free what others made.
// Threads: any: libcurl looks up names in a thread of its own.
// Units:   bytes as asked for; each block costs 16 more, which are counted.
// Errors:  nullptr.
#ifndef HOLDFAST_HAL_BASE_MEMORY_H_
#define HOLDFAST_HAL_BASE_MEMORY_H_

#include <array>
#include <cstddef>
#include <cstdint>

#include "hal/base/limits.h"

namespace holdfast::memory {

enum class Pool : std::uint8_t {
  kProgram,  // our own: buffers made at the start, texts of statements
  kSqlite,
  kTls,
  kHttps,
  kCoap,
  kGzip,
};
inline constexpr std::size_t kPools = 6;

struct Budget {
  const char* name;
  std::size_t cap;
};

// By Pool.
inline constexpr std::array<Budget, kPools> kBudgets = {{
    {"program", limits::kProgramMemory},
    {"sqlite", limits::kSqliteMemory},
    {"tls", limits::kTlsMemory},
    {"https", limits::kHttpsMemory},
    {"coap", limits::kCoapMemory},
    {"gzip", limits::kGzipMemory},
}};

// Before, memory is counted and not refused: a program that embeds the client, and the server, have
// budgets of their own.
void KeepToBudgets();

void* Allocate(Pool pool, std::size_t bytes) noexcept;
void* AllocateZeroed(Pool pool, std::size_t count, std::size_t bytes) noexcept;
// As realloc(): the old block stays when there is no room for the new one. A block keeps its pool.
void* Reallocate(Pool pool, void* block, std::size_t bytes) noexcept;
void Free(void* block) noexcept;
std::size_t SizeOf(const void* block) noexcept;

// What the C library keeps for later goes back to the system.
void ReturnUnused();

struct Use {
  std::size_t now = 0, most = 0;
  std::uint64_t taken = 0, refused = 0;  // allocations
};
Use UseOf(Pool pool);
// Of all pools together.
Use Total();

// For tests: `most` begins anew.
void ForgetMost();

// For tests: the nth allocation from now is refused (1: the next one), or it and all after it. 0:
// none. Allocations() counts the tries.
void RefuseFrom(std::uint64_t nth, bool all_after);
std::uint64_t Allocations();

}  // namespace holdfast::memory

#endif  // HOLDFAST_HAL_BASE_MEMORY_H_
