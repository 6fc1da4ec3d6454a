// SPDX-License-Identifier: Apache-2.0
// The words of a server that refused: the one place where JSON of any shape is worth a tree.
#include <cjson/cJSON.h>

#include <cstdlib>

#include "transport/wire.h"
#include "transport/wire_json.h"

namespace holdfast::wire {
namespace {

constexpr int kErrorNesting = 3;  // {"error":{"message":{"value":"..."}}}, as OData servers have it

// cJSON's hooks are global, so they are set once and look for the arena of the call under way;
// outside of one they are malloc() and free(), so that no one else who uses cJSON is disturbed.
thread_local Arena* t_arena = nullptr;

void* Allocate(std::size_t bytes) {
  return t_arena != nullptr ? t_arena->Allocate(bytes) : std::malloc(bytes);
}

void Free(void* place) {
  if (t_arena == nullptr) std::free(place);
}

// What cJSON takes while this lives comes from the arena, and goes back to it all at once.
class ArenaForJson {
 public:
  explicit ArenaForJson(Arena& arena) : arena_(arena), mark_(arena.Mark()) {
    static const bool hooked = [] {
      cJSON_Hooks hooks = {Allocate, Free};
      cJSON_InitHooks(&hooks);
      return true;
    }();
    HF_ASSERT(hooked && t_arena == nullptr);
    t_arena = &arena;
  }
  ArenaForJson(const ArenaForJson&) = delete;
  ArenaForJson& operator=(const ArenaForJson&) = delete;
  ~ArenaForJson() {
    t_arena = nullptr;
    arena_.ResetTo(mark_);
  }

 private:
  Arena& arena_;
  std::size_t mark_;
};

bool IsSafe(std::string_view body) {
  JsonReader json(body);
  std::string_view raw;
  return json.Any(raw) && json.End();
}

// nullptr: nothing in it that reads like an error. Names without case: .NET writes "Message".
const char* FindWords(const cJSON* value, int nesting) {
  if (cJSON_IsString(value)) return value->valuestring;
  if (!cJSON_IsObject(value) || nesting == 0) return nullptr;
  for (const char* name : {"error", "message", "description", "detail", "title", "value"}) {
    const cJSON* member = cJSON_GetObjectItem(value, name);
    if (member == nullptr) continue;
    if (const char* words = FindWords(member, nesting - 1); words != nullptr && *words != '\0') {
      return words;
    }
  }
  return nullptr;
}

// Copies text on one line: runs of white space and control characters become one blank, what is
// not UTF-8 a question mark, tags nothing.
class Words {
 public:
  explicit Words(std::span<char> out) : out_(out) {}

  std::string_view Copy(std::string_view text, bool cut_tags) {
    while (!text.empty()) {
      const std::size_t length = Utf8Length(text);
      const std::size_t tag = cut_tags && text[0] == '<' ? TagLength(text) : 0;
      if (tag != 0) {
        blank_ = true;
        text.remove_prefix(tag);
        continue;
      }
      const auto c = static_cast<unsigned char>(text[0]);
      if (length == 0) {
        if (!Put("?")) break;
      } else if (c <= ' ' || c == 0x7F) {
        blank_ = true;
      } else if (!Put(text.substr(0, length))) {
        break;
      }
      text.remove_prefix(length == 0 ? 1 : length);
    }
    return {out_.data(), used_};
  }

 private:
  // Of the tag that begins here; of style and script with what they hold. 0: a lone '<'.
  static std::size_t TagLength(std::string_view text) {
    for (const std::string_view name : {"style", "script"}) {
      if (!EqualsIgnoreCase(text.substr(1, name.size()), name)) continue;
      std::size_t end = text.find("</", 1);
      while (end != std::string_view::npos &&
             !EqualsIgnoreCase(text.substr(end + 2, name.size()), name)) {
        end = text.find("</", end + 2);
      }
      if (end == std::string_view::npos) return text.size();
      const std::size_t close = text.find('>', end);
      return close == std::string_view::npos ? text.size() : close + 1;
    }
    const std::size_t close = text.find('>');
    return close == std::string_view::npos ? 0 : close + 1;
  }

  bool Put(std::string_view character) {
    const std::size_t blanks = blank_ && used_ > 0 ? 1 : 0;
    if (character.size() + blanks > out_.size() - used_) return false;
    if (blanks != 0) out_[used_++] = ' ';
    blank_ = false;
    for (const char c : character) out_[used_++] = c;
    return true;
  }

  std::span<char> out_;
  std::size_t used_ = 0;
  bool blank_ = false;
};

}  // namespace

std::string_view ErrorText(std::string_view body, bool is_json, Arena& arena, std::span<char> out) {
  if (is_json && IsSafe(body)) {
    const ArenaForJson scope(arena);
    const cJSON* const json = cJSON_ParseWithLength(body.data(), body.size());
    const char* const words = json == nullptr ? nullptr : FindWords(json, kErrorNesting);
    if (words != nullptr) return Words(out).Copy(words, false);
  }
  return Words(out).Copy(body, !is_json);
}

}  // namespace holdfast::wire
