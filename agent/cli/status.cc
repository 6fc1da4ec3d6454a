// SPDX-License-Identifier: Apache-2.0
// agent/cli/status.cc - how things stand, from what this device knows; the server is not asked.
#include <unistd.h>

#include <array>
#include <cinttypes>
#include <cstdio>
#include <cstdlib>

#include "agent/cli/advice.h"
#include "agent/cli/commands.h"
#include "agent/cli/progress.h"
#include "agent/sync/known_server.h"
#include "agent/sync/session.h"
#include "hal/base/memory.h"
#include "hal/base/text.h"
#include "hal/base/timestamp.h"

namespace holdfast::agent {
namespace {

struct LastError {
  std::int64_t unix_ms = 0;
  std::string disposition, text;
};

struct Facts {
  bool exists = false;
  hal::LinkStatus link;
  hal::WallTime wall;
  std::string installation, server;
  KnownServer known;
  store::QueueStats stats;
  std::string last_success;     // unix ms as text; empty: never
  std::int64_t success_ms = 0;  // 0: at an unknown date
  LastError error;
  hal::Duration retry_after{-1};
  hal::StorageSpace space;
  bool space_known = false;
  std::array<std::size_t, memory::kPools> memory_most{};  // of a visit; 0: none was counted
};

const char* LinkName(hal::LinkState state) {
  switch (state) {
    case hal::LinkState::kUnknown: return "unknown";
    case hal::LinkState::kDown: return "down";
    case hal::LinkState::kUp: return "up";
  }
  return "unknown";
}

const char* CostName(hal::LinkCost cost) {
  switch (cost) {
    case hal::LinkCost::kFree: return "free";
    case hal::LinkCost::kMetered: return "metered";
    case hal::LinkCost::kRoaming: return "roaming";
  }
  return "free";
}

const char* QualityName(hal::WallQuality quality) {
  switch (quality) {
    case hal::WallQuality::kUnset: return "unset";
    case hal::WallQuality::kEstimated: return "estimated";
    case hal::WallQuality::kSynced: return "synced";
  }
  return "unset";
}

std::string Date(std::int64_t unix_ms) {
  return std::string(FormatTimestamp(unix_ms * kTicksPerMillisecond, 0).view());
}

// "2026-11-23T06:11:29Z, 5 min 3 s ago"; a date is unknown when the clock was.
std::string When(std::int64_t unix_ms, const hal::WallTime& now) {
  if (unix_ms <= 0) return "at an unknown date (the clock was not set)";
  std::string text = Date(unix_ms);
  if (now.quality == hal::WallQuality::kUnset) return text;
  const std::int64_t ago = now.unix_ms - unix_ms;
  // The clock was put back since: an age would be nonsense.
  if (ago < 0) return text;
  return text + ", " + FormatSpan(hal::Duration::Milliseconds(ago)) + " ago";
}

Result<std::string> ReadFact(store::Store& store, std::string_view key) {
  FixedString<512> fact;
  HF_TRY_ASSIGN(const bool known, store.Fact(key, fact));
  return known ? std::string(fact.view()) : std::string();
}

// "<unix ms> <disposition> <text>"
LastError ParseLastError(const std::string& fact) {
  LastError error;
  const std::size_t first = fact.find(' ');
  if (first == std::string::npos) return error;
  const std::size_t second = fact.find(' ', first + 1);
  if (second == std::string::npos) return error;
  error.unix_ms = ParseInteger(std::string_view(fact).substr(0, first)).value_or(0);
  error.disposition = fact.substr(first + 1, second - first - 1);
  error.text = fact.substr(second + 1);
  return error;
}

// "<boot id> <ns since boot>": counts only within the same boot.
hal::Duration ParseRetryAfter(const std::string& fact, hal::Clock& clock) {
  std::uint64_t boot = 0;
  std::int64_t until = 0;
  if (std::sscanf(fact.c_str(), "%" SCNu64 " %" SCNd64, &boot, &until) != 2) return {-1};
  const hal::Duration left{until - clock.Now().ns_since_boot};
  return boot == clock.BootId() && left.ns > 0 ? left : hal::Duration{-1};
}

// "<bytes> <bytes> ...", by pool.
void ParseMemory(const std::string& fact, std::array<std::size_t, memory::kPools>& most) {
  const char* at = fact.c_str();
  for (std::size_t& bytes : most) {
    char* end = nullptr;
    bytes = std::strtoull(at, &end, 10);
    at = end;
  }
}

Result<void> ReadStore(store::Store& store, hal::Clock& clock, std::string_view url, Facts& facts) {
  facts.installation = store.installation_id();
  HF_TRY_ASSIGN(facts.stats, store.Stats());
  HF_TRY_ASSIGN(facts.server, ReadFact(store, kFactServer));
  HF_TRY_ASSIGN(facts.known, ReadKnownServer(store, clock, url));
  HF_TRY_ASSIGN(facts.last_success, ReadFact(store, kFactLastSuccess));
  facts.success_ms = ParseInteger(facts.last_success).value_or(0);
  HF_TRY_ASSIGN(const std::string error, ReadFact(store, kFactLastError));
  facts.error = ParseLastError(error);
  HF_TRY_ASSIGN(const std::string memory, ReadFact(store, kFactMemory));
  ParseMemory(memory, facts.memory_most);
  HF_TRY_ASSIGN(const std::string retry, ReadFact(store, kFactRetryAfter));
  facts.retry_after = ParseRetryAfter(retry, clock);
  return Ok();
}

// An error that was followed by a success is history.
bool ErrorIsOver(const Facts& facts) {
  return !facts.last_success.empty() && facts.success_ms > 0 &&
         facts.success_ms >= facts.error.unix_ms;
}

// What the server has shown that it can do beyond the protocol.
std::string Takes(const KnownServer& known) {
  std::string text;
  if (known.bulk.operations > 1) {
    text = FormatCount(known.bulk.operations) + " rows or " + FormatBytes(known.bulk.bytes) +
           " at once" + (known.gzip ? ", packed" : "");
  }
  if (known.upload_bytes > 0) {
    text.append(text.empty() ? "" : "; ");
    text += "large rows in pieces, up to " + FormatBytes(known.upload_bytes);
  }
  return text;
}

// The caps are those of this program, the other numbers of its visits.
std::string MemoryText(const Facts& facts) {
  std::size_t most = 0, cap = 0;
  std::string pools;
  for (std::size_t pool = 0; pool < memory::kPools; ++pool) {
    const memory::Budget& budget = memory::kBudgets[pool];
    most += facts.memory_most[pool];
    cap += budget.cap;
    pools.append(pool == 0 ? "" : ", ").append(budget.name).append(" ");
    pools += FormatBytes(facts.memory_most[pool]) + " of " + FormatBytes(budget.cap);
  }
  return FormatBytes(most) + " reserved at most, of " + FormatBytes(cap) + "\n           " + pools;
}

std::string Next(const Facts& facts) {
  std::string text;
  if (facts.retry_after.ns > 0) {
    text = "The server wants to be left alone for " + FormatSpan(facts.retry_after) + ". ";
  }
  if (const auto code = CodeOf(facts.error.text)) text.append(Advice(*code));
  return text;
}

void Line(Output& out, const char* label, const std::string& text) {
  out.Print("%-10s %s\n", label, text.c_str());
}

std::string QueueText(const Facts& facts) {
  const store::QueueStats& stats = facts.stats;
  if (stats.operations == 0) return "empty: the server has all that was recorded here";
  std::string text = FormatRows(stats.operations) + ": " + FormatCount(stats.pending) +
                     " pending, " + FormatCount(stats.attempted) + " attempted, " +
                     FormatCount(stats.failed) + " failed";
  if (stats.oldest_unix_s > 0)
    text += "; oldest of " + When(stats.oldest_unix_s * 1000, facts.wall);
  return text;
}

void PrintErrorLines(Output& out, const Facts& facts) {
  if (facts.error.text.empty()) return Line(out, "error", "none");
  Line(out, "error", facts.error.text + (ErrorIsOver(facts) ? " (over)" : ""));
  Line(out, "", When(facts.error.unix_ms, facts.wall));
  if (ErrorIsOver(facts)) return;
  if (const std::string next = Next(facts); !next.empty()) Line(out, "", next);
}

void PrintText(Context& context, const Workplace& place, const Facts& facts) {
  Output& out = context.out;
  const config::Config& config = place.config();
  std::string link = LinkName(facts.link.state);
  if (facts.link.cost != hal::LinkCost::kFree) link.append(", ").append(CostName(facts.link.cost));
  Line(out, "link", link);
  Line(out, "clock",
       facts.wall.quality == hal::WallQuality::kUnset
           ? "not set"
           : Date(facts.wall.unix_ms) + " (" + QualityName(facts.wall.quality) + ")");
  Line(out, "server", config.server.url + (facts.server.empty() ? "" : " (" + facts.server + ")"));
  if (!facts.exists) {
    Line(out, "database", config.database + ": not there yet; 'holdfast init' makes it");
    return;
  }
  if (const std::string takes = Takes(facts.known); !takes.empty()) Line(out, "takes", takes);
  Line(out, "queue", QueueText(facts));
  Line(out, "conflicts", FormatCount(facts.stats.conflicts));
  Line(out, "parked", FormatCount(facts.stats.parked));
  std::string database = config.database + ": " + FormatBytes(facts.stats.database_bytes) +
                         ", WAL " + FormatBytes(facts.stats.wal_bytes);
  if (facts.space_known) database += ", " + FormatBytes(facts.space.free_bytes) + " free";
  Line(out, "database", database);
  if (facts.memory_most[0] > 0) Line(out, "memory", MemoryText(facts));
  Line(out, "identity", facts.installation);
  Line(out, "success", facts.last_success.empty() ? "never" : When(facts.success_ms, facts.wall));
  PrintErrorLines(out, facts);
}

void PrintJsonError(JsonWriter& json, const Facts& facts) {
  if (facts.error.text.empty()) {
    json.Null("last_error");
    return;
  }
  json.Open("last_error").Text("text", facts.error.text);
  const auto code = CodeOf(facts.error.text);
  json.Text("code", code ? CodeName(*code) : std::string_view("unknown"));
  json.Text("disposition", facts.error.disposition).Bool("over", ErrorIsOver(facts));
  if (facts.error.unix_ms > 0) {
    json.Text("at", Date(facts.error.unix_ms));
  } else {
    json.Null("at");
  }
  json.Text("next", Next(facts)).Close();
}

void PrintJsonStore(JsonWriter& json, const Facts& facts) {
  const store::QueueStats& stats = facts.stats;
  json.Text("installation", facts.installation);
  json.Open("queue").Number("rows", stats.operations).Number("pending", stats.pending);
  json.Number("attempted", stats.attempted).Number("failed", stats.failed);
  if (stats.operations > 0 && stats.oldest_unix_s > 0) {
    json.Text("oldest", Date(stats.oldest_unix_s * 1000));
  } else {
    json.Null("oldest");
  }
  json.Close().Number("conflicts", stats.conflicts).Number("parked", stats.parked);
  if (facts.last_success.empty() || facts.success_ms <= 0) {
    json.Null("last_success");
  } else {
    json.Text("last_success", Date(facts.success_ms));
  }
  json.Bool("ever_succeeded", !facts.last_success.empty());
  PrintJsonError(json, facts);
  if (facts.retry_after.ns > 0) {
    json.Seconds("retry_after_seconds", facts.retry_after.seconds());
  } else {
    json.Null("retry_after_seconds");
  }
}

void PrintJsonMemory(JsonWriter& json, const Facts& facts) {
  json.Open("memory");
  for (std::size_t pool = 0; pool < memory::kPools; ++pool) {
    const memory::Budget& budget = memory::kBudgets[pool];
    json.Open(budget.name).Number("most_bytes", facts.memory_most[pool]);
    json.Number("cap_bytes", budget.cap).Close();
  }
  json.Close();
}

void PrintJson(Context& context, const Workplace& place, const Facts& facts) {
  const config::Config& config = place.config();
  JsonWriter json(context.out);
  json.Text("status", "complete");
  json.Open("link").Text("state", LinkName(facts.link.state));
  json.Text("cost", CostName(facts.link.cost)).Close();
  json.Open("clock").Text("quality", QualityName(facts.wall.quality));
  if (facts.wall.quality == hal::WallQuality::kUnset) {
    json.Null("now");
  } else {
    json.Text("now", Date(facts.wall.unix_ms));
  }
  json.Close();
  json.Open("server").Text("url", config.server.url).Text("name", facts.server);
  json.Number("bulk_rows", facts.known.bulk.operations);
  json.Number("bulk_bytes", facts.known.bulk.bytes);
  json.Bool("gzip", facts.known.gzip);
  json.Number("upload_bytes", facts.known.upload_bytes).Close();
  json.Open("database").Text("path", config.database).Bool("exists", facts.exists);
  json.Number("bytes", facts.stats.database_bytes).Number("wal_bytes", facts.stats.wal_bytes);
  if (facts.space_known) {
    json.Number("free_bytes", facts.space.free_bytes);
  } else {
    json.Null("free_bytes");
  }
  json.Close();
  PrintJsonMemory(json, facts);
  if (facts.exists) PrintJsonStore(json, facts);
  json.End();
}

}  // namespace

Exit RunStatus(Context& context, const Arguments& arguments) {
  Workplace place(context);
  if (const Exit exit = place.LoadConfig(false); exit != Exit::kDone) return exit;
  Platform& platform = context.platform;
  const std::string& database = place.config().database;
  Facts facts;
  facts.link = platform.MakeLink(place.config())->Status();
  facts.wall = platform.clock().Wall();
  if (auto space = platform.storage().Space(database.c_str())) {
    facts.space = *space;
    facts.space_known = true;
  }
  // Looking must not make what it looks for.
  facts.exists = access(database.c_str(), F_OK) == 0;
  if (facts.exists) {
    if (const Exit exit = place.OpenStore(); exit != Exit::kDone) return exit;
    if (auto read = ReadStore(place.store(), platform.clock(), place.config().server.url, facts);
        !read) {
      return Fail("the database cannot be read", read.error(), place.store().why());
    }
  }
  if (arguments.Has("--json")) {
    PrintJson(context, place, facts);
  } else {
    PrintText(context, place, facts);
  }
  return facts.stats.conflicts + facts.stats.parked > 0 ? Exit::kWaiting : Exit::kDone;
}

}  // namespace holdfast::agent
