// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/known_server.h"

#include <algorithm>
#include <cinttypes>
#include <cstdio>

namespace holdfast::agent {
namespace {

constexpr std::int64_t kDayMs = 24LL * 60 * 60 * 1000;

std::int64_t NowMs(hal::Clock& clock) {
  const hal::WallTime wall = clock.Wall();
  return wall.quality == hal::WallQuality::kUnset ? 0 : wall.unix_ms;
}

// "<unix ms> <operations> <bytes> <cbor> <gzip> <upload bytes> <url>"
struct Fact {
  std::int64_t heard_ms = 0;
  unsigned long operations = 0, bytes = 0, upload_bytes = 0;
  int cbor = 0, gzip = 0;
  std::string_view url;
};

bool Parse(const FixedString<512>& text, Fact& fact) {
  int end = 0;
  const int read =
      std::sscanf(text.c_str(), "%" SCNd64 " %lu %lu %d %d %lu %n", &fact.heard_ms,
                  &fact.operations, &fact.bytes, &fact.cbor, &fact.gzip, &fact.upload_bytes, &end);
  if (read != 6 || end <= 0) return false;
  fact.url = text.view().substr(std::size_t(end));
  return true;
}

}  // namespace

Result<KnownServer> ReadKnownServer(store::Store& store, hal::Clock& clock, std::string_view url) {
  KnownServer known;
  FixedString<512> text;
  HF_TRY_ASSIGN(const bool found, store.Fact(kFactCapabilities, text));
  Fact fact;
  if (!found || !Parse(text, fact) || fact.url != url) return known;
  const std::int64_t now = NowMs(clock);
  known.fresh = fact.heard_ms > 0 && now >= fact.heard_ms && now - fact.heard_ms < kDayMs;
  known.bulk.operations = std::min<std::size_t>(fact.operations, limits::kBulkOperations);
  known.bulk.bytes = std::min<std::size_t>(fact.bytes, limits::kBulkBytes);
  known.bulk.encoding = fact.cbor != 0 ? wire::Encoding::kCbor : wire::Encoding::kJson;
  known.gzip = fact.gzip != 0;
  known.upload_bytes = fact.upload_bytes;
  return known;
}

Result<void> NoteKnownServer(store::Store& store, hal::Clock& clock, std::string_view url,
                             const transport::Capabilities& now) {
  HF_TRY_ASSIGN(const KnownServer before, ReadKnownServer(store, clock, url));
  const bool same = before.bulk.operations == now.bulk.operations &&
                    before.bulk.bytes == now.bulk.bytes &&
                    before.bulk.encoding == now.bulk.encoding && before.gzip == now.gzip &&
                    before.upload_bytes == now.upload_bytes;
  if (same && (before.fresh || now.bulk.operations == 0)) return Ok();
  char text[512];
  const int size = std::snprintf(
      text, sizeof text, "%" PRId64 " %lu %lu %d %d %lu %.*s", NowMs(clock),
      static_cast<unsigned long>(now.bulk.operations), static_cast<unsigned long>(now.bulk.bytes),
      now.bulk.encoding == wire::Encoding::kCbor ? 1 : 0, now.gzip ? 1 : 0,
      static_cast<unsigned long>(now.upload_bytes), int(url.size()), url.data());
  if (size < 0 || std::size_t(size) >= sizeof text) return Ok();  // a URL that long is not kept
  return store.SetFact(kFactCapabilities, {text, std::size_t(size)});
}

}  // namespace holdfast::agent
