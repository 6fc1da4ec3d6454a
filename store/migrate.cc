// SPDX-License-Identifier: Apache-2.0
#include "store/migrate.h"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>

#include "hal/base/text.h"
#include "store/schema.h"
#include "store/sql.h"

namespace holdfast::store {
namespace {

constexpr std::size_t kInstallationBytes = 16;
constexpr std::size_t kIncarnationBytes = 8;
// Ids made here begin with this: 48 random bits, so that a fleet's ids do not meet.
constexpr std::size_t kPrefixBytes = 6;

Result<bool> HasConfig(sqlite3* database) {
  Statement table("SELECT 1 FROM sqlite_master WHERE type='table' AND name='__config'");
  HF_TRY(table.Open(database));
  const Using use(table);
  return table.Step();
}

// 0: new.
Result<std::int64_t> SchemaVersion(sqlite3* database) {
  HF_TRY_ASSIGN(const bool there, HasConfig(database));
  if (!there) return std::int64_t{0};
  Statement version("SELECT value FROM __config WHERE id='schemaVersion'");
  HF_TRY(version.Open(database));
  const Using use(version);
  HF_TRY_ASSIGN(const bool found, version.Step());
  if (!found) return std::int64_t{0};
  const auto number = ParseInteger(version.Text(0));
  if (!number) return Error{Code::kCorrupt, Origin::kNone, 0, "__config: schemaVersion"};
  return *number;
}

Result<void> AddConfig(sqlite3* database, const char* key, std::string_view value) {
  Statement add("INSERT INTO __config(id,value) VALUES(?1,?2) ON CONFLICT(id) DO NOTHING");
  HF_TRY(add.Open(database));
  add.Bind(1, std::string_view(key));
  add.Bind(2, value);
  return add.Run();
}

Result<void> AddRandom(sqlite3* database, hal::Random& random, const char* key, std::size_t bytes) {
  std::array<std::byte, kInstallationBytes> raw{};
  HF_TRY(random.Fill({raw.data(), bytes}));
  char room[2 * kInstallationBytes];
  TextWriter hex(room);
  for (std::size_t i = 0; i < bytes; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    hex.Put(kDigits[std::size_t(raw[i]) >> 4]).Put(kDigits[std::size_t(raw[i]) & 15]);
  }
  return AddConfig(database, key, hex.view());
}

Result<void> Upgrade(sqlite3* database, hal::Random& random) {
  HF_TRY_ASSIGN(const std::int64_t found, SchemaVersion(database));
  if (found > schema::kVersion) {
    return Error{Code::kTooNew, Origin::kNone, int(found), "a later holdfast wrote this database"};
  }
  // What changes from version to version goes here, oldest first.
  if (found == 1) HF_TRY(Execute(database, schema::kAddEditedAt));
  HF_TRY(Execute(database, schema::kCreate));
  HF_TRY(AddRandom(database, random, "installation", kInstallationBytes));
  HF_TRY(AddRandom(database, random, "incarnation", kIncarnationBytes));
  HF_TRY(AddRandom(database, random, "idPrefix", kPrefixBytes));
  Statement version(
      "INSERT INTO __config(id,value) VALUES('schemaVersion',?1) ON CONFLICT(id) DO "
      "UPDATE SET value=excluded.value");
  HF_TRY(version.Open(database));
  const std::string number = std::to_string(schema::kVersion);
  version.Bind(1, number);
  return version.Run();
}

// Nothing to do, found out without writing: the usual start.
Result<bool> IsCurrent(sqlite3* database) {
  HF_TRY_ASSIGN(const std::int64_t found, SchemaVersion(database));
  if (found != schema::kVersion) return false;
  Statement parts(
      "SELECT (SELECT count(*) FROM sqlite_master WHERE name "
      "IN('__operations','__errors','__config','__resolutions','__missed',"
      "'__shadows','__tracking','__operations_keep_sequence'))+(SELECT count(*) FROM __config "
      "WHERE "
      "id IN('installation','incarnation','idPrefix'))");
  HF_TRY(parts.Open(database));
  const Using use(parts);
  HF_TRY(parts.Step());
  if (parts.Integer(0) != 11) return false;
  Statement tracking("SELECT 1 FROM __tracking WHERE id=1 AND applying=0");
  HF_TRY(tracking.Open(database));
  const Using use_tracking(tracking);
  return tracking.Step();
}

}  // namespace

Result<void> RenewIncarnation(sqlite3* database, hal::Random& random) {
  HF_TRY(Execute(database, "DELETE FROM __config WHERE id IN('incarnation','idPrefix','applied')"));
  HF_TRY(AddRandom(database, random, "incarnation", kIncarnationBytes));
  return AddRandom(database, random, "idPrefix", kPrefixBytes);
}

Result<void> Migrate(sqlite3* database, hal::Random& random) {
  HF_TRY_ASSIGN(const bool current, IsCurrent(database));
  if (current) return Ok();
  HF_TRY(Execute(database, "BEGIN IMMEDIATE"));
  Result<void> done = Upgrade(database, random);
  if (done) done = Execute(database, "UPDATE __tracking SET applying=0 WHERE id=1");
  if (done) done = Execute(database, "COMMIT");
  if (!done && sqlite3_get_autocommit(database) == 0) (void)Execute(database, "ROLLBACK");
  return done;
}

}  // namespace holdfast::store
