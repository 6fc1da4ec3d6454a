// SPDX-License-Identifier: Apache-2.0
// A row read member by member says what the same row says when it is read at once.
#include "transport/wire_long.h"

#include <algorithm>
#include <random>
#include <string>
#include <vector>

#include <CppUTest/TestHarness.h>

#include "hal/base/text.h"
#include "transport/wire.h"

using namespace holdfast;

namespace {

// Gives its text in pieces of all sizes.
class Text : public wire::TextSource {
 public:
  Text(std::string_view text, unsigned seed) : text_(text), random_(seed) {}
  Result<std::size_t> Read(std::uint64_t offset, std::span<char> out) override {
    const std::size_t left = text_.size() - std::size_t(offset);
    const std::size_t size = std::min({left, out.size(), std::size_t(1 + random_() % 5000)});
    std::copy_n(text_.data() + offset, size, out.data());
    return size;
  }

 private:
  std::string_view text_;
  std::mt19937 random_;
};

struct Got {
  std::string name;
  Value value;
  std::string text;
};

Result<void> ReadAll(std::string_view json, unsigned seed, std::vector<Got>& got) {
  Text source(json, seed);
  wire::LongRowReader reader(source);
  wire::LongRowReader::Member member;
  std::mt19937 random(seed);
  for (;;) {
    HF_TRY_ASSIGN(const bool more, reader.Next(member));
    if (!more) return Ok();
    got.push_back({std::string(member.name), member.value, std::string(member.value.text)});
    if (!member.is_long) continue;
    char room[9000];
    for (;;) {
      const std::size_t size = 4 + random() % (sizeof room - 4);
      HF_TRY_ASSIGN(const std::string_view part, reader.ReadText({room, size}));
      if (part.empty()) break;
      CHECK(IsUtf8(part));
      got.back().text += part;
    }
  }
}

// What DecodeRow() says, and what the reader says, have to agree.
void Agree(const std::string& json, unsigned seed) {
  std::string room(8 * json.size() + 1000, '\0');
  Arena arena(room);
  RowFields fields;
  const bool good = wire::DecodeRow(json, arena, fields).ok();
  std::vector<Got> got;
  const bool read = ReadAll(json, seed, got).ok();
  if (read != good) FAIL(json.substr(0, 200).c_str());
  if (!good) return;
  LONGS_EQUAL(long(fields.size()), long(got.size()));
  for (std::size_t i = 0; i < got.size(); ++i) {
    const Field& field = fields.view()[i];
    CHECK(field.name == got[i].name);
    CHECK(field.value.type == got[i].value.type);
    if (field.value.type == ValueType::kText) {
      CHECK(field.value.text == got[i].text);
    } else if (field.value.type == ValueType::kReal) {
      CHECK(field.value.real == got[i].value.real);
    } else {
      CHECK(field.value.integer == got[i].value.integer);
    }
  }
}

std::string Random(std::mt19937& random, std::size_t bytes) {
  static const char* const kPieces[] = {
      "abc",  "\\n", "\\\"", "\\u00e9", "\xC3\xA4", "\\ud83d\\ude00", "\xF0\x9F\x90\x9F",
      "\\\\", "/",   " "};
  std::string text;
  while (text.size() < bytes) text += kPieces[random() % 10];
  return text;
}

}  // namespace

TEST_GROUP(WireLong){};

TEST(WireLong, AgreesWithTheReaderOfShortRows) {
  std::mt19937 random(7);
  static const char* const kValues[] = {"null", "true",    "false",
                                        "0",    "-12.5e3", "9007199254740993"};
  for (unsigned round = 0; round < 300; ++round) {
    std::string json = "{\"id\":\"r\"";
    for (unsigned i = 0; i < random() % 6; ++i) {
      json += std::string(random() % 2 ? " ,\n" : ",") + "\"c" + std::to_string(i) + "\" :";
      if (random() % 3 == 0) {
        json += kValues[random() % 6];
      } else {
        static const std::size_t kSizes[] = {0, 10, 8180, 8192, 8200, 30000};
        json += '"' + Random(random, kSizes[random() % 6]) + '"';
      }
    }
    json += random() % 2 ? "}" : " } \n";
    // White space after the row is for readers of whole texts.
    while (json.back() != '}') json.pop_back();
    Agree(json, round);
    // And when something is wrong with it.
    for (int damage = 0; damage < 20; ++damage) {
      std::string bad = json;
      const std::size_t at = random() % bad.size();
      switch (random() % 3) {
        case 0: bad[at] = char(random()); break;
        case 1: bad.resize(at); break;
        default: bad.insert(at, 1, "\"\\{}[],:\x01\xFF"[random() % 10]); break;
      }
      std::vector<Got> got;
      std::string room(8 * bad.size() + 1000, '\0');
      Arena arena(room);
      RowFields fields;
      // It may be stricter, never laxer, but for names that come twice.
      const bool read = ReadAll(bad, round, got).ok();
      auto decoded = wire::DecodeRow(bad, arena, fields);
      if (read && !decoded) {
        STRCMP_CONTAINS("twice", decoded.error().what);
      }
    }
  }
}

TEST(WireLong, RefusesWhatIsNoRow) {
  for (const char* const text :
       {"", "{", "[]", "{\"a\"}", "{\"a\":}", "{\"a\":{}}", "{\"a\":[1]}", "{\"a\":1,}", "{,}",
        "{\"a\":1}x", "{\"a\":tru}", "{\"a\":\"\\ud800\"}", "{\"a\":\"\\x\"}", "{\"a\":\"\xFF\"}",
        "{\"a\":\"\x01\"}", "{\"a\":01}", "{\"a\":1 2}"}) {
    std::vector<Got> got;
    CHECK_FALSE_TEXT(ReadAll(text, 1, got).ok(), text);
  }
  std::string many = "{\"c\":1";
  for (int i = 0; i < 200; ++i) many += ",\"c" + std::to_string(i) + "\":1";
  std::vector<Got> got;
  CHECK_FALSE(ReadAll(many + "}", 1, got).ok());
}

TEST(WireLong, WhatIsNotReadIsPassedOver) {
  const std::string json = "{\"a\":\"" + std::string(50000, 'x') + "\",\"b\":5}";
  Text source(json, 3);
  wire::LongRowReader reader(source);
  wire::LongRowReader::Member member;
  auto more = reader.Next(member);
  CHECK(more.ok() && *more && member.is_long);
  char room[100];
  CHECK(reader.ReadText(room).ok());
  more = reader.Next(member);
  CHECK(more.ok() && *more);
  LONGS_EQUAL(5, long(member.value.integer));
  more = reader.Next(member);
  CHECK(more.ok() && !*more);
}
