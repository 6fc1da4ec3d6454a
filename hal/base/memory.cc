// SPDX-License-Identifier: Apache-2.0
#include "hal/base/memory.h"

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <cstring>
#ifdef __GLIBC__
#include <malloc.h>
#endif

namespace holdfast::memory {
namespace {

struct alignas(std::max_align_t) Header {
  std::size_t bytes;
  Pool pool;
};
static_assert(sizeof(Header) == 16 || sizeof(void*) != 8);

struct Count {
  std::atomic<std::size_t> now{0}, most{0};
  std::atomic<std::uint64_t> taken{0}, refused{0};
};

std::array<Count, kPools> g_counts;
Count g_total;
std::atomic<std::uint64_t> g_allocations{0};
std::atomic<std::uint64_t> g_refuse_from{0};
std::atomic<bool> g_refuse_all_after{false};
std::atomic<bool> g_has_budgets{false};

constexpr auto kRelaxed = std::memory_order_relaxed;

Count& CountOf(Pool pool) { return g_counts[std::size_t(pool)]; }

Header* HeaderOf(void* block) { return static_cast<Header*>(block) - 1; }

bool IsRefusedByTest() {
  const std::uint64_t nth = g_allocations.fetch_add(1, kRelaxed) + 1;
  const std::uint64_t from = g_refuse_from.load(kRelaxed);
  if (from == 0) return false;
  return g_refuse_all_after.load(kRelaxed) ? nth >= from : nth == from;
}

void Raise(std::atomic<std::size_t>& most, std::size_t now) {
  std::size_t before = most.load(kRelaxed);
  while (now > before && !most.compare_exchange_weak(before, now, kRelaxed)) {
  }
}

bool Take(Pool pool, std::size_t bytes) {
  Count& count = CountOf(pool);
  const std::size_t now = count.now.fetch_add(bytes, kRelaxed) + bytes;
  const bool over = g_has_budgets.load(kRelaxed) && now > kBudgets[std::size_t(pool)].cap;
  if (over || IsRefusedByTest()) {
    count.now.fetch_sub(bytes, kRelaxed);
    count.refused.fetch_add(1, kRelaxed);
    g_total.refused.fetch_add(1, kRelaxed);
    return false;
  }
  count.taken.fetch_add(1, kRelaxed);
  Raise(count.most, now);
  Raise(g_total.most, g_total.now.fetch_add(bytes, kRelaxed) + bytes);
  return true;
}

void Give(Pool pool, std::size_t bytes) {
  CountOf(pool).now.fetch_sub(bytes, kRelaxed);
  g_total.now.fetch_sub(bytes, kRelaxed);
}

Use UseOfCount(const Count& count) {
  return {count.now.load(kRelaxed), count.most.load(kRelaxed), count.taken.load(kRelaxed),
          count.refused.load(kRelaxed)};
}

}  // namespace

void KeepToBudgets() { g_has_budgets.store(true, kRelaxed); }

void* Allocate(Pool pool, std::size_t bytes) noexcept {
  if (bytes > SIZE_MAX - sizeof(Header) || !Take(pool, bytes + sizeof(Header))) return nullptr;
  auto* header = static_cast<Header*>(std::malloc(bytes + sizeof(Header)));
  if (header == nullptr) {
    Give(pool, bytes + sizeof(Header));
    return nullptr;
  }
  header->bytes = bytes;
  header->pool = pool;
  return header + 1;
}

void* AllocateZeroed(Pool pool, std::size_t count, std::size_t bytes) noexcept {
  if (bytes != 0 && count > SIZE_MAX / bytes) return nullptr;
  void* block = Allocate(pool, count * bytes);
  if (block != nullptr) std::memset(block, 0, count * bytes);
  return block;
}

void* Reallocate(Pool pool, void* block, std::size_t bytes) noexcept {
  if (block == nullptr) return Allocate(pool, bytes);
  Header* header = HeaderOf(block);
  const std::size_t before = header->bytes;
  const Pool owner = header->pool;
  // Both may exist for a moment.
  if (bytes > SIZE_MAX - sizeof(Header) || !Take(owner, bytes + sizeof(Header))) return nullptr;
  auto* moved = static_cast<Header*>(std::realloc(header, bytes + sizeof(Header)));
  if (moved == nullptr) {
    Give(owner, bytes + sizeof(Header));
    return nullptr;
  }
  Give(owner, before + sizeof(Header));
  moved->bytes = bytes;
  return moved + 1;
}

void Free(void* block) noexcept {
  if (block == nullptr) return;
  Header* header = HeaderOf(block);
  Give(header->pool, header->bytes + sizeof(Header));
  std::free(header);
}

void ReturnUnused() {
#ifdef __GLIBC__
  malloc_trim(0);
#endif
}

std::size_t SizeOf(const void* block) noexcept {
  return block == nullptr ? 0 : (static_cast<const Header*>(block) - 1)->bytes;
}

Use UseOf(Pool pool) { return UseOfCount(CountOf(pool)); }
Use Total() { return UseOfCount(g_total); }

void ForgetMost() {
  for (Count& count : g_counts) count.most.store(count.now.load(kRelaxed), kRelaxed);
  g_total.most.store(g_total.now.load(kRelaxed), kRelaxed);
}

void RefuseFrom(std::uint64_t nth, bool all_after) {
  g_refuse_all_after.store(all_after, kRelaxed);
  g_refuse_from.store(nth == 0 ? 0 : g_allocations.load(kRelaxed) + nth, kRelaxed);
}

std::uint64_t Allocations() { return g_allocations.load(kRelaxed); }

}  // namespace holdfast::memory
