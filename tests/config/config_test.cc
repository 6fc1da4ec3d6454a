// SPDX-License-Identifier: Apache-2.0
#include "config/config.h"

#include <cstdlib>
#include <string>

#include <sys/stat.h>
#include <unistd.h>

#include "config/json.h"
#include "config/keys.h"
#include "config/units.h"
#include "config/url.h"
#include "tests/config/files.h"

#include <CppUTest/TestHarness.h>

namespace holdfast::config {

namespace {

constexpr const char* kMinimal = R"({ "server": { "url": "https://host" } })";

Loaded ParseText(const std::string& text) { return Parse(text, "/etc/holdfast"); }

// The problems of `text` in one line each, for comparing.
std::string Problems(const std::string& text) {
  std::string all;
  for (const auto& problem : ParseText(text).problems) all += Format(problem, "f") + "\n";
  return all;
}

}  // namespace

TEST_GROUP(Config){};

TEST(Config, EveryDefaultIsAsDocumented) {
  const Loaded loaded = ParseText(kMinimal);
  CHECK(loaded.ok());
  const Config& config = loaded.config;
  STRCMP_EQUAL("/var/lib/holdfast/holdfast.db", config.database.c_str());
  CHECK(config.server.protocol == Protocol::kAuto);
  for (const std::string* file :
       {&config.server.ca_file, &config.server.cert_file, &config.server.key_file,
        &config.server.token_file, &config.server.psk_identity, &config.server.psk_key_file,
        &config.server.proxy}) {
    STRCMP_EQUAL("", file->c_str());
  }
  CHECK(config.tables.empty());
  LONGS_EQUAL(60'000, config.sync.timeout_ms);
  LONGS_EQUAL(15'000, config.sync.connect_timeout_ms);
  LONGS_EQUAL(64, config.sync.push_window_rows);
  LONGS_EQUAL(1000, config.sync.page_rows);
  LONGS_EQUAL(200, config.sync.write_back_interval_ms);
  LONGS_EQUAL(1 << 20, config.limits.row_bytes);
  CHECK(config.log.level == LogLevel::kWarning);

  const Loaded table = ParseText(R"({ "server": { "url": "https://host" },
      "tables": { "t": { "columns": { "a": "text" } } } })");
  CHECK(table.ok());
  CHECK(!table.config.tables[0].adopt);
  CHECK(table.config.tables[0].direction == Direction::kBoth);
  CHECK(table.config.tables[0].conflict == Conflict::kAsk);
}

TEST(Config, DefaultsAreThoseOfAFileWithoutThem) {
  Config config = Defaults();
  config.server.url = "https://host";
  STRCMP_EQUAL(PrintEffective(ParseText(kMinimal).config).c_str(), PrintEffective(config).c_str());
}

TEST(Config, EveryKeyReachesItsMember) {
  const Loaded loaded = ParseText(R"({
    "database": "/data/x.db",
    "server": { "url": "coaps://gw.example.com", "protocol": "3.0", "ca_file": "/c/a",
                "cert_file": "/c/b", "key_file": "/c/c", "token_file": "/c/d",
                "psk_identity": "me", "psk_key_file": "/c/e", "proxy": "" },
    "tables": { "r": { "columns": { "a": "text", "b": "integer", "c": "real", "d": "boolean",
                                    "e": "datetime", "f": "blob" },
                       "direction": "push", "conflict": "newest" },
                "s": { "adopt": true, "direction": "pull", "conflict": "server" } },
    "sources": [],
    "sync": { "timeout": "1 min", "connect_timeout": "2s", "push_window": 1, "page_rows": 7,
              "write_back_interval": "0 ms" },
    "limits": { "row_bytes": "64 KiB" },
    "log": { "level": "debug" } })");
  CHECK(loaded.ok());
  const Config& c = loaded.config;
  STRCMP_EQUAL("/data/x.db", c.database.c_str());
  STRCMP_EQUAL("coaps://gw.example.com", c.server.url.c_str());
  CHECK(c.server.protocol == Protocol::k3);
  STRCMP_EQUAL("/c/a", c.server.ca_file.c_str());
  STRCMP_EQUAL("/c/b", c.server.cert_file.c_str());
  STRCMP_EQUAL("/c/c", c.server.key_file.c_str());
  STRCMP_EQUAL("/c/d", c.server.token_file.c_str());
  STRCMP_EQUAL("me", c.server.psk_identity.c_str());
  STRCMP_EQUAL("/c/e", c.server.psk_key_file.c_str());
  CHECK(c.server.scheme == Scheme::kCoaps);
  STRCMP_EQUAL("gw.example.com", c.server.host.c_str());
  LONGS_EQUAL(5684, c.server.port);
  CHECK(!c.server.on_loopback);

  LONGS_EQUAL(2, c.tables.size());
  const ColumnType types[] = {ColumnType::kText,    ColumnType::kInteger,  ColumnType::kReal,
                              ColumnType::kBoolean, ColumnType::kDatetime, ColumnType::kBlob};
  LONGS_EQUAL(6, c.tables[0].columns.size());
  for (std::size_t i = 0; i < 6; ++i) CHECK(c.tables[0].columns[i].type == types[i]);
  STRCMP_EQUAL("a", c.tables[0].columns[0].name.c_str());
  CHECK(c.tables[0].direction == Direction::kPush);
  CHECK(c.tables[0].conflict == Conflict::kNewest);
  CHECK(c.tables[1].adopt);
  CHECK(c.tables[1].direction == Direction::kPull);

  LONGS_EQUAL(60'000, c.sync.timeout_ms);
  LONGS_EQUAL(2000, c.sync.connect_timeout_ms);
  LONGS_EQUAL(1, c.sync.push_window_rows);
  LONGS_EQUAL(7, c.sync.page_rows);
  LONGS_EQUAL(0, c.sync.write_back_interval_ms);
  LONGS_EQUAL(65536, c.limits.row_bytes);
  CHECK(c.log.level == LogLevel::kDebug);

  // What it prints is a configuration file with the same meaning.
  const std::string printed = PrintEffective(c);
  STRCMP_EQUAL("", Problems(printed).c_str());
  STRCMP_EQUAL(printed.c_str(), PrintEffective(ParseText(printed).config).c_str());
}

TEST(Config, TheSampleIsTheDefaults) {
  const Loaded sample = ParseText(SampleFile());
  CHECK(sample.ok());
  Config config = Defaults();
  config.server = sample.config.server;
  config.tables = sample.config.tables;
  STRCMP_EQUAL(PrintEffective(config).c_str(), PrintEffective(sample.config).c_str());
}

TEST(Config, AFileLongerThanTheLimitIsNotRead) {
  const std::string long_file = kMinimal + std::string(256 << 10, ' ');
  STRCMP_EQUAL("f: longer than 262144 bytes\n", Problems(long_file).c_str());
}

TEST(Config, MoreValuesThanAnybodyNeedsAreAnError) {
  std::string text = "{ \"sources\": [\n";
  for (int i = 0; i < 20'000; ++i) text += "0,";
  STRCMP_EQUAL("f:2: too many values in this file\n", Problems(text + "0 ] }").c_str());
}

TEST(Config, AsManyTablesAndColumnsAsAllowedFit) {
  std::string columns;
  for (int i = 0; i < 64; ++i)
    columns += (i > 0 ? ",\"c" : "\"c") + std::to_string(i) + "\":\"blob\"";
  std::string text = R"({ "server": { "url": "https://host" }, "tables": {)";
  for (int i = 0; i < 64; ++i) {
    text += (i > 0 ? ",\"t" : "\"t") + std::to_string(i) + "\":{\"columns\":{" + columns + "}}";
  }
  STRCMP_EQUAL("", Problems(text + "} }").c_str());
}

TEST(Config, RelativePathsAreRelativeToTheFolderOfTheFile) {
  const Loaded loaded = ParseText(R"({ "database": "d/x.db",
      "server": { "url": "https://host", "ca_file": "ca.pem", "token_file": "/abs" } })");
  CHECK(loaded.ok());
  STRCMP_EQUAL("/etc/holdfast/d/x.db", loaded.config.database.c_str());
  STRCMP_EQUAL("/etc/holdfast/ca.pem", loaded.config.server.ca_file.c_str());
  STRCMP_EQUAL("/abs", loaded.config.server.token_file.c_str());
}

TEST(Config, ReloadNamesTheKeysThatNeedARestart) {
  const Config before = ParseText(kMinimal).config;
  const Config after = ParseText(R"({ "database": "/other.db",
      "server": { "url": "https://other", "token_file": "/t" },
      "tables": { "t": { "adopt": true } }, "sync": { "timeout": "30 s" } })")
                           .config;
  const auto keys = NeedRestart(before, after);
  LONGS_EQUAL(3, keys.size());
  STRCMP_EQUAL("database", keys[0].c_str());
  STRCMP_EQUAL("server.url", keys[1].c_str());
  STRCMP_EQUAL("tables", keys[2].c_str());
  CHECK(NeedRestart(after, after).empty());
}

TEST(Config, KeysAreListedForPeopleAndForPrograms) {
  const std::string text = PrintKeys(false);
  const std::string json = "{ \"keys\": " + PrintKeys(true) + "}";
  JsonTree tree;
  std::vector<Diagnostic> problems;
  CHECK(ReadJson(json, tree, problems));
  CHECK(problems.empty());
  for (const Key& key : Keys()) {
    CHECK(text.find(key.Path()) != std::string::npos);
    CHECK(json.find("\"key\":\"" + key.Path() + "\"") != std::string::npos);
    CHECK(!key.help.empty());
  }
}

TEST(Config, TheMaximaAreThoseOfTheProgram) {
  LONGS_EQUAL(holdfast::limits::kPushWindowRows, FindKey("sync", "push_window")->max);
  LONGS_EQUAL(holdfast::limits::kPageRows, FindKey("sync", "page_rows")->max);
  LONGS_EQUAL(holdfast::limits::kRowBytes, FindKey("limits", "row_bytes")->max);
}

TEST(Config, NamesOfChoicesAreThoseOfTheFile) {
  STRCMP_EQUAL("2.0", std::string(ProtocolName(Protocol::k2)).c_str());
  STRCMP_EQUAL("pull", std::string(DirectionName(Direction::kPull)).c_str());
  STRCMP_EQUAL("merge", std::string(ConflictName(Conflict::kMerge)).c_str());
}

TEST_GROUP(ConfigFiles) {
  std::string folder;
  void setup() override {
    char name[] = "/tmp/holdfast-config-XXXXXX";
    CHECK(mkdtemp(name) != nullptr);
    folder = name;
  }
  void teardown() override {
    for (const char* file : {"/a.conf", "/ca.pem", "/key.pem"}) unlink((folder + file).c_str());
    rmdir(folder.c_str());
    folder = std::string();
  }
  std::string Checked(const Loaded& loaded) const {
    std::string all;
    for (const auto& problem : CheckFiles(loaded)) all += Format(problem, "f") + "\n";
    return all;
  }
};

TEST(ConfigFiles, AFileIsLoadedWithItsFolder) {
  const std::string path = folder + "/a.conf";
  CHECK(holdfast::test::WriteFile(path,
                                  R"({ "database": "x.db", "server": { "url": "https://h" } })"));
  const Loaded loaded = LoadFile(path.c_str());
  CHECK(loaded.ok());
  STRCMP_EQUAL((folder + "/x.db").c_str(), loaded.config.database.c_str());
}

TEST(ConfigFiles, AFileThatCannotBeReadIsAProblem) {
  const Loaded missing = LoadFile((folder + "/none.conf").c_str());
  LONGS_EQUAL(1, missing.problems.size());
  STRCMP_EQUAL("f: cannot be read: No such file or directory",
               Format(missing.problems[0], "f").c_str());
  const Loaded not_a_file = LoadFile(folder.c_str());
  STRCMP_EQUAL("f: cannot be read: Is a directory", Format(not_a_file.problems[0], "f").c_str());
}

TEST(ConfigFiles, FilesThatAreNamedHaveToBeReadable) {
  CHECK(holdfast::test::WriteFile(folder + "/ca.pem", "x"));
  const std::string text =
      "{ \"database\": \"x.db\",\n\"server\": { \"url\": \"https://h\", \"ca_file\": \"ca.pem\",\n"
      "\"cert_file\": \"none.pem\",\n\"key_file\": \".\" } }";
  const Loaded loaded = Parse(text, folder);
  CHECK(loaded.ok());
  const std::string expected =
      "f:3: server.cert_file: cannot be read: No such file or directory (got \"" + folder +
      "/none.pem\")\nf:4: server.key_file: is not a file (got \"" + folder + "/.\")\n";
  STRCMP_EQUAL(expected.c_str(), Checked(loaded).c_str());
}

TEST(ConfigFiles, TheFolderOfTheDatabaseHasToBeThere) {
  const auto with_database = [&](const std::string& path) {
    return Checked(
        ParseText("{ \"database\": \"" + path + "\", \"server\": {\"url\": \"https://h\"} }"));
  };
  STRCMP_EQUAL("", with_database(folder + "/x.db").c_str());
  STRCMP_EQUAL(("f:1: database: its folder cannot be used: No such file or directory (got \"" +
                folder + "/no/x.db\")\n")
                   .c_str(),
               with_database(folder + "/no/x.db").c_str());
  CHECK(holdfast::test::WriteFile(folder + "/a.conf", "x"));
  STRCMP_EQUAL(
      ("f:1: database: its folder is not a folder (got \"" + folder + "/a.conf/x.db\")\n").c_str(),
      with_database(folder + "/a.conf/x.db").c_str());
}

TEST_GROUP(ConfigUnits){};

TEST(ConfigUnits, QuantitiesAreWholeNumbersWithAUnit) {
  struct Case {
    Dimension dimension;
    UnitError error;
    const char* text;
    std::int64_t value;
  };
  const Case cases[] = {
      {Dimension::kDuration, UnitError::kNone, "0 ms", 0},
      {Dimension::kDuration, UnitError::kNone, "30 s", 30'000},
      {Dimension::kDuration, UnitError::kNone, "30s", 30'000},
      {Dimension::kDuration, UnitError::kNone, "2 min", 120'000},
      {Dimension::kDuration, UnitError::kNone, "1 h", 3'600'000},
      {Dimension::kDuration, UnitError::kNone, "1 d", 86'400'000},
      {Dimension::kSize, UnitError::kNone, "7 B", 7},
      {Dimension::kSize, UnitError::kNone, "8 MiB", 8 << 20},
      {Dimension::kSize, UnitError::kNone, "1 GiB", 1 << 30},
      {Dimension::kSize, UnitError::kNoUnit, "8", 0},
      {Dimension::kSize, UnitError::kNoUnit, "8 ", 0},
      {Dimension::kSize, UnitError::kUnknownUnit, "8  MiB", 0},
      {Dimension::kSize, UnitError::kUnknownUnit, "8 mib", 0},
      {Dimension::kSize, UnitError::kUnknownUnit, "8 s", 0},
      {Dimension::kSize, UnitError::kNotANumber, "MiB", 0},
      {Dimension::kSize, UnitError::kNotANumber, "1.5 MiB", 0},
      {Dimension::kSize, UnitError::kNotANumber, "+1 MiB", 0},
      {Dimension::kSize, UnitError::kNone, "9223372036854775807 B", 9223372036854775807LL},
      {Dimension::kSize, UnitError::kTooLarge, "9223372036854775808 B", 0},
      {Dimension::kSize, UnitError::kTooLarge, "9007199254740992 KiB", 0},
  };
  for (const Case& c : cases) {
    const Quantity quantity = ParseQuantity(c.dimension, c.text);
    CHECK_TRUE_TEXT(quantity.error == c.error, c.text);
    CHECK_TRUE_TEXT(c.value == quantity.value, c.text);
  }
}

TEST(ConfigUnits, FormattingIsExact) {
  STRCMP_EQUAL("60 s", FormatQuantity(Dimension::kDuration, 60'000, "s").c_str());
  STRCMP_EQUAL("1 min", FormatQuantity(Dimension::kDuration, 60'000, "").c_str());
  STRCMP_EQUAL("1500 ms", FormatQuantity(Dimension::kDuration, 1500, "s").c_str());
  STRCMP_EQUAL("0 s", FormatQuantity(Dimension::kDuration, 0, "s").c_str());
  STRCMP_EQUAL("1025 B", FormatQuantity(Dimension::kSize, 1025, "MiB").c_str());
  STRCMP_EQUAL("64 KiB", FormatQuantity(Dimension::kSize, 65536, "MiB").c_str());
}

TEST_GROUP(ConfigUrl){};

TEST(ConfigUrl, SchemeHostAndPort) {
  struct Case {
    const char* text;
    const char* host;
    int port;
    Scheme scheme;
    bool loopback;
  };
  const Case cases[] = {
      {"https://host", "host", 443, Scheme::kHttps, false},
      {"https://host/", "host", 443, Scheme::kHttps, false},
      {"https://host:8443", "host", 8443, Scheme::kHttps, false},
      {"http://localhost:80", "localhost", 80, Scheme::kHttp, true},
      {"http://LOCALHOST", "LOCALHOST", 80, Scheme::kHttp, true},
      {"coap://127.9.9.9", "127.9.9.9", 5683, Scheme::kCoap, true},
      {"coaps://[::1]:5684", "::1", 5684, Scheme::kCoaps, true},
      {"coaps://[fe80::1%eth0]", "fe80::1%eth0", 5684, Scheme::kCoaps, false},
      {"https://localhost.example.com", "localhost.example.com", 443, Scheme::kHttps, false},
      {"https://127.example.com", "127.example.com", 443, Scheme::kHttps, false},
  };
  for (const Case& c : cases) {
    const ParsedUrl url = ParseUrl(c.text);
    STRCMP_EQUAL_TEXT("", url.problem.c_str(), c.text);
    CHECK_TRUE_TEXT(url.scheme == c.scheme, c.text);
    STRCMP_EQUAL(c.host, url.host.c_str());
    LONGS_EQUAL_TEXT(c.port, url.port, c.text);
    CHECK_TRUE_TEXT(url.on_loopback == c.loopback, c.text);
  }
}

TEST(ConfigUrl, EverythingElseIsRefused) {
  for (const char* text : {"",
                           "host",
                           "https:/host",
                           "HTTPS://host",
                           "https://",
                           "https:///",
                           "https://:443",
                           "https://host:",
                           "https://host:0",
                           "https://host:65536",
                           "https://host:4x",
                           "https://host:-1",
                           "https://[::1",
                           "https://[]",
                           "https://[::1]x",
                           "https://a b",
                           "https://a/b",
                           "https://a?b",
                           "https://a#b",
                           "https://u@h",
                           "https://h:1:2",
                           "https://2001:db8::1",
                           "coap+tcp://h"}) {
    CHECK_TRUE_TEXT(!ParseUrl(text).problem.empty(), text);
  }
}

}  // namespace holdfast::config
