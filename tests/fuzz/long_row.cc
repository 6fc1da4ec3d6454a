// SPDX-License-Identifier: Apache-2.0
// A row read member by member: what it takes, the reader of short rows takes as well, and both say
// the same.
#include <algorithm>
#include <cstdlib>
#include <string>

#include "hal/base/arena.h"
#include "hal/base/text.h"
#include "tests/fuzz/target.h"
#include "transport/wire.h"
#include "transport/wire_long.h"

using namespace holdfast;

namespace {

char g_arena[256 << 10], g_text[64];

void Require(bool holds) {
  if (!holds) std::abort();
}

// A few bytes at a time, so that everything is cut everywhere.
class Source : public wire::TextSource {
 public:
  explicit Source(std::string_view text) : text_(text) {}
  Result<std::size_t> Read(std::uint64_t offset, std::span<char> out) override {
    const std::size_t left = text_.size() - std::size_t(offset);
    const std::size_t size = std::min({left, out.size(), std::size_t{7}});
    std::copy_n(text_.data() + offset, size, out.data());
    return size;
  }

 private:
  std::string_view text_;
};

}  // namespace

std::vector<std::string> FuzzSeeds() {
  return {
      R"({"id":"r1","text":"a\u00e4\n\ud83d\ude00 \"b\"","number":-12.5e3,"none":null,"yes":true})",
      R"( { "id" : "x" , "n" : 0 } )",
      "{\"id\":\"long\",\"text\":\"" + std::string(9000, 'x') + "\\u0001\xC3\xA4\",\"after\":7}",
  };
}

int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view text(reinterpret_cast<const char*>(data), size);
  Source source(text);
  wire::LongRowReader reader(source);
  wire::LongRowReader::Member member;
  std::string names;
  std::size_t members = 0;
  for (;;) {
    auto more = reader.Next(member);
    if (!more) return 0;
    if (!*more) break;
    ++members;
    names.append(member.name).append("\n");
    Require(IsUtf8(member.name) && IsUtf8(member.value.text));
    while (member.is_long) {
      auto part = reader.ReadText(g_text);
      if (!part) return 0;
      Require(IsUtf8(*part));
      if (part->empty()) break;
    }
  }
  Arena arena(g_arena);
  RowFields fields;
  const auto decoded = wire::DecodeRow(text, arena, fields);
  // Only a name that comes twice, or too many, may pass here and not there.
  if (!decoded) return 0;
  std::string same;
  for (const Field& field : fields.view()) same.append(field.name).append("\n");
  Require(members == fields.size() && same == names);
  return 0;
}
