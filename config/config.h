// SPDX-License-Identifier: Apache-2.0
// config/config.h - the configuration file: text in, one plain struct or all of its problems out.
//
// Purpose: a device starts with exactly the settings somebody meant. The file is JSON with // and
//          /* */ comments and is read strictly: unknown and duplicate keys, wrong types, missing
//          units, values out of range and contradictions are problems, and one run reports all.
//          Every key is one row of config/keys.inc; parser, defaults, sample and lists follow it.
// Owner:   values. Strings and vectors are fine here: all of this happens before the start, and its
//          size is bounded by limits::kConfigFileBytes.
// Threads: any; no state.
// Errors:  Diagnostics, not Result: there may be many, and each is for a person.
#ifndef HOLDFAST_CONFIG_CONFIG_H_
#define HOLDFAST_CONFIG_CONFIG_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "hal/base/log.h"
#include "hal/base/row.h"

namespace holdfast::config {

// The enumerators stand in the order of the choices in keys.inc.
enum class Protocol : std::uint8_t { kAuto, k2, k3 };
enum class Direction : std::uint8_t { kBoth, kPush, kPull };
enum class Conflict : std::uint8_t { kAsk, kServer, kClient, kNewest, kMerge };
enum class Scheme : std::uint8_t { kHttps, kHttp, kCoaps, kCoap };

struct ServerConfig {
  std::string url;  // as written, without a slash at its end
  std::string large_rows_url;
  Protocol protocol{};
  std::string ca_file;  // files: absolute, or "" when not given
  std::string cert_file;
  std::string key_file;
  std::string token_file;
  std::string psk_identity;
  std::string psk_key_file;
  std::string proxy;

  // Taken from the url.
  Scheme scheme{};
  std::string host;        // without brackets
  std::uint16_t port = 0;  // the one given, or the scheme's own
  bool on_loopback = false;
};

struct ColumnConfig {
  std::string name;
  ColumnType type{};  // never kAny
};

struct TableConfig {
  std::string name;
  bool adopt = false;                 // take the table as it stands; columns is empty then
  std::vector<ColumnConfig> columns;  // without the system columns, in the order of the file
  Direction direction{};
  Conflict conflict{};
  Conflict both_changed{};  // for kMerge; never kMerge itself
};

struct SyncConfig {
  std::int64_t timeout_ms = 0;
  std::int64_t connect_timeout_ms = 0;
  std::int64_t ack_timeout_ms = 0;
  std::int64_t push_window_rows = 0;
  std::int64_t bulk_rows = 0;
  std::int64_t page_rows = 0;
  std::int64_t look_back_ms = 0;
  std::int64_t write_back_interval_ms = 0;
};

struct LimitsConfig {
  std::int64_t row_bytes = 0;
};

struct LogConfig {
  LogLevel level{};
};

// A Config of its own is all zeros; Defaults() and Parse() fill in what keys.inc says.
struct Config {
  std::string database;
  ServerConfig server;
  std::vector<TableConfig> tables;
  SyncConfig sync;
  LimitsConfig limits;
  LogConfig log;
};

struct Diagnostic {
  int line = 0;  // 1-based; 0: about the file as a whole
  int column = 0;
  std::string key;   // "server.url", "tables.readings.columns"; "" for bad syntax
  std::string text;  // 'unknown key (got "intervall"); did you mean "interval"?'
};

// Where a key was given, so that later checks can point at it.
struct Position {
  std::string key;
  int line = 0;
  int column = 0;
};

struct Loaded {
  Config config;                     // meaningful only when ok()
  std::vector<Diagnostic> problems;  // in the order of the file
  std::vector<Position> positions;

  bool ok() const { return problems.empty(); }
};

// Every key at its default. server.url has none and is "".
Config Defaults();

// Touches no file. `folder` is what relative paths in the text are relative to.
Loaded Parse(std::string_view text, std::string_view folder);

// Reads `path` and parses it; its own folder is the folder. A file that cannot be read, or is
// longer than limits::kConfigFileBytes, is a problem like any other.
Loaded LoadFile(const char* path);

// Problems of the files that the configuration names: missing or not readable. For `config check`
// and the start; REQUIRES: loaded.ok().
std::vector<Diagnostic> CheckFiles(const Loaded& loaded);

// "holdfast.conf:14: limits.row_bytes: 8 has no unit (got \"8\"); write \"8 MiB\"", without
// newline.
std::string Format(const Diagnostic& diagnostic, std::string_view file_name);

// All values in effect, as JSON that Parse() reads back to the same Config.
std::string PrintEffective(const Config& config);

// All keys with type, default, range and meaning: a table for people, or a JSON array.
std::string PrintKeys(bool json);

// The commented sample, which is config/holdfast.conf.
std::string SampleFile();

// Keys that differ and take effect only after a restart, for a reload to refuse.
std::vector<std::string> NeedRestart(const Config& before, const Config& after);

std::string_view ProtocolName(Protocol protocol);  // "auto", "2.0", "3.0"
std::string_view DirectionName(Direction direction);
std::string_view ConflictName(Conflict conflict);

}  // namespace holdfast::config

#endif  // HOLDFAST_CONFIG_CONFIG_H_
