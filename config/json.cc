// SPDX-License-Identifier: Apache-2.0
#include "config/json.h"

#include <array>
#include <cstdio>

#include "hal/base/text.h"

namespace holdfast::config {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }

void AppendUtf8(std::string& out, std::uint32_t point) {
  if (point < 0x80) {
    out += char(point);
  } else if (point < 0x800) {
    out += char(0xC0 | point >> 6);
    out += char(0x80 | (point & 0x3F));
  } else if (point < 0x10000) {
    out += char(0xE0 | point >> 12);
    out += char(0x80 | (point >> 6 & 0x3F));
    out += char(0x80 | (point & 0x3F));
  } else {
    out += char(0xF0 | point >> 18);
    out += char(0x80 | (point >> 12 & 0x3F));
    out += char(0x80 | (point >> 6 & 0x3F));
    out += char(0x80 | (point & 0x3F));
  }
}

class Reader {
 public:
  Reader(std::string_view text, JsonTree& tree, std::vector<Diagnostic>& problems)
      : text_(text), tree_(tree), problems_(problems) {}

  bool Read();

 private:
  struct Place {
    int line;
    int column;
  };
  // A container that is not closed yet.
  struct Open {
    int node;
    int last_child = -1;
  };

  bool at_end() const { return at_ >= text_.size(); }
  char peek() const { return at_end() ? '\0' : text_[at_]; }
  bool StartsWith(std::string_view what) const { return text_.substr(at_).starts_with(what); }
  Place here() const { return {line_, int(at_ - line_start_) + 1}; }

  void Report(Place place, std::string text) {
    problems_.push_back({place.line, place.column, "", std::move(text)});
  }
  bool Fail(std::string text) {
    Report(here(), std::move(text));
    return false;
  }
  bool Unexpected(const char* wanted) {
    if (at_end()) return Fail(std::string("the file ends here; expected ") + wanted);
    return Fail(std::string("expected ") + wanted + " (got " + Shown() + ")");
  }
  std::string Shown() const;

  void Advance();
  bool SkipSpace();
  bool CheckEncoding();
  bool ReadMember();
  bool Separator(char close, bool& consumed);
  bool ReadValue(JsonNode node);
  bool OpenContainer(JsonNode node);
  bool ReadString(std::string& out);
  bool ReadEscape(std::string& out);
  bool ReadHex4(std::uint32_t& out);
  bool ReadNumber(std::string& out);
  bool ReadWord(JsonNode& node);
  bool Add(JsonNode node);

  Open& top() { return stack_[depth_ - 1]; }
  JsonNode& node_of(const Open& open) { return tree_.nodes[std::size_t(open.node)]; }

  std::string_view text_;
  JsonTree& tree_;
  std::vector<Diagnostic>& problems_;
  std::size_t at_ = 0;
  int line_ = 1;
  std::size_t line_start_ = 0;
  std::array<Open, limits::kJsonDepth> stack_{};
  std::size_t depth_ = 0;
  bool after_value_ = false;  // in the open container: a value came last
  bool after_comma_ = false;
  Place comma_{0, 0};
};

std::string Reader::Shown() const {
  const unsigned char c = static_cast<unsigned char>(peek());
  if (c == '\n' || c == '\r') return "the end of the line";
  if (c >= 0x20 && c < 0x7F) return std::string("'") + char(c) + "'";
  char hex[16];
  std::snprintf(hex, sizeof hex, "byte 0x%02X", c);
  return hex;
}

void Reader::Advance() {
  if (text_[at_++] == '\n') {
    ++line_;
    line_start_ = at_;
  }
}

// White space and comments. False: a comment that does not end.
bool Reader::SkipSpace() {
  while (!at_end()) {
    const char c = peek();
    if (c == ' ' || c == '\t' || c == '\r' || c == '\n') {
      Advance();
    } else if (StartsWith("//")) {
      while (!at_end() && peek() != '\n') Advance();
    } else if (StartsWith("/*")) {
      const Place start = here();
      const std::size_t end = text_.find("*/", at_ + 2);
      if (end == std::string_view::npos) {
        Report(start, "this comment has no end; write */ after it");
        return false;
      }
      while (at_ < end + 2) Advance();
    } else {
      return true;
    }
  }
  return true;
}

// Line by line, so that the message can point at the line.
bool Reader::CheckEncoding() {
  int line = 1;
  for (std::size_t start = 0; start < text_.size(); ++line) {
    const std::size_t end = std::min(text_.find('\n', start), text_.size());
    if (!IsUtf8(text_.substr(start, end - start))) {
      Report({line, 1}, "this line is not UTF-8 text; save the file as UTF-8");
      return false;
    }
    start = end + 1;
  }
  return true;
}

bool Reader::Read() {
  if (!CheckEncoding()) return false;
  if (StartsWith("\xEF\xBB\xBF")) at_ = line_start_ = 3;  // the mark that some editors write
  if (!SkipSpace()) return false;
  if (peek() != '{') return Unexpected("'{', the beginning of the settings");
  JsonNode root;
  root.line = here().line;
  root.column = here().column;
  if (!OpenContainer(std::move(root))) return false;
  while (depth_ > 0) {
    if (!SkipSpace() || !ReadMember()) return false;
  }
  if (!SkipSpace()) return false;
  return at_end() || Unexpected("the end of the file after the last '}'");
}

// One step inside the open container: a comma, its end, or a member.
bool Reader::ReadMember() {
  const bool object = node_of(top()).type == JsonType::kObject;
  const char close = object ? '}' : ']';
  bool consumed = false;
  if (!Separator(close, consumed)) return false;
  if (consumed) return true;

  JsonNode node;
  node.line = here().line;
  node.column = here().column;
  if (object) {
    if (peek() != '"') return Unexpected("a key in double quotes");
    if (!ReadString(node.key) || !SkipSpace()) return false;
    if (peek() != ':') return Unexpected("':' after the key");
    Advance();
    if (!SkipSpace()) return false;
  }
  return ReadValue(std::move(node));
}

// Commas and the end of the container. False ends the reading.
bool Reader::Separator(char close, bool& consumed) {
  consumed = true;
  if (at_end()) {
    const JsonNode& open = node_of(top());
    char text[64];
    std::snprintf(text, sizeof text, "the file ends inside the %s of line %d; write '%c'",
                  close == '}' ? "object" : "list", open.line, close);
    return Fail(text);
  }
  if (peek() == close) {
    if (after_comma_) Report(comma_, std::string("no comma may stand before '") + close + "'");
    Advance();
    --depth_;
    after_value_ = true;
    after_comma_ = false;
    return true;
  }
  if (peek() == ',') {
    if (!after_value_) return Unexpected(close == '}' ? "a key" : "a value");
    comma_ = here();
    Advance();
    after_value_ = false;
    after_comma_ = true;
    return true;
  }
  if (after_value_) {
    if (close == '}' && peek() != '"') return Unexpected("',' or '}'");
    Report(here(), "a comma is missing before this");
  }
  consumed = false;
  return true;
}

bool Reader::ReadValue(JsonNode node) {
  const char c = peek();
  if (c == '{' || c == '[') return OpenContainer(std::move(node));
  if (c == '"') {
    node.type = JsonType::kString;
    if (!ReadString(node.text)) return false;
  } else if (c == '-' || IsDigit(c)) {
    node.type = JsonType::kNumber;
    if (!ReadNumber(node.text)) return false;
  } else if (!ReadWord(node)) {
    return false;
  }
  after_value_ = true;
  after_comma_ = false;
  return Add(std::move(node));
}

bool Reader::OpenContainer(JsonNode node) {
  if (depth_ == stack_.size()) return Fail("nested too deep");
  node.type = peek() == '{' ? JsonType::kObject : JsonType::kArray;
  const int index = int(tree_.nodes.size());
  if (!Add(std::move(node))) return false;
  Advance();
  stack_[depth_++] = {index};
  after_value_ = after_comma_ = false;
  return true;
}

bool Reader::Add(JsonNode node) {
  if (tree_.nodes.size() >= kJsonTreeNodes) return Fail("too many values in this file");
  const int index = int(tree_.nodes.size());
  if (depth_ > 0) {
    Open& open = top();
    if (open.last_child < 0)
      node_of(open).first = index;
    else
      tree_.nodes[std::size_t(open.last_child)].next = index;
    open.last_child = index;
  }
  tree_.nodes.push_back(std::move(node));
  return true;
}

bool Reader::ReadString(std::string& out) {
  const Place start = here();
  Advance();
  for (;;) {
    if (at_end() || peek() == '\n') {
      Report(start, "this string has no closing '\"' on its line");
      return false;
    }
    const char c = peek();
    if (c == '"') break;
    if (static_cast<unsigned char>(c) < 0x20) {
      return Fail("a control character inside a string (got " + Shown() +
                  "); write \\t or \\u0009");
    }
    if (c == '\\') {
      if (!ReadEscape(out)) return false;
    } else {
      out += c;
      Advance();
    }
  }
  Advance();
  return true;
}

bool Reader::ReadEscape(std::string& out) {
  Advance();
  const char c = peek();
  constexpr std::string_view kNames = "\"\\/bfnrt";
  constexpr std::string_view kMeanings = "\"\\/\b\f\n\r\t";
  const std::size_t which = at_end() ? std::string_view::npos : kNames.find(c);
  if (which != std::string_view::npos) {
    out += kMeanings[which];
    Advance();
    return true;
  }
  if (c != 'u') return Unexpected("one of \" \\ / b f n r t u after a backslash");
  Advance();
  std::uint32_t point = 0;
  if (!ReadHex4(point)) return false;
  if (point >= 0xD800 && point < 0xDC00 && StartsWith("\\u")) {
    Advance();
    Advance();
    std::uint32_t low = 0;
    if (!ReadHex4(low)) return false;
    if (low < 0xDC00 || low >= 0xE000) return Fail("half of a surrogate pair");
    point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
  }
  if (point == 0) return Fail("\\u0000 has no place in a setting");
  if (point >= 0xD800 && point < 0xE000) return Fail("half of a surrogate pair");
  AppendUtf8(out, point);
  return true;
}

bool Reader::ReadHex4(std::uint32_t& out) {
  out = 0;
  for (int i = 0; i < 4; ++i) {
    constexpr std::string_view kDigits = "0123456789abcdef";
    const char c = peek();
    const std::size_t digit = kDigits.find(c >= 'A' && c <= 'F' ? char(c - 'A' + 'a') : c);
    if (at_end() || digit == std::string_view::npos) return Unexpected("four hex digits after \\u");
    out = out << 4 | std::uint32_t(digit);
    Advance();
  }
  return true;
}

// -?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?
bool Reader::ReadNumber(std::string& out) {
  const std::size_t start = at_;
  const auto digits = [this] {
    const std::size_t first = at_;
    while (IsDigit(peek())) Advance();
    return at_ > first;
  };
  if (peek() == '-') Advance();
  if (peek() == '0' && at_ + 1 < text_.size() && IsDigit(text_[at_ + 1])) {
    return Fail("a number must not begin with 0");
  }
  if (!digits()) return Unexpected("a digit");
  if (peek() == '.') {
    Advance();
    if (!digits()) return Unexpected("a digit after the decimal point");
  }
  if (peek() == 'e' || peek() == 'E') {
    Advance();
    if (peek() == '+' || peek() == '-') Advance();
    if (!digits()) return Unexpected("a digit in the exponent");
  }
  out = text_.substr(start, at_ - start);
  return true;
}

bool Reader::ReadWord(JsonNode& node) {
  struct Word {
    std::string_view text;
    JsonType type;
  };
  constexpr Word kWords[] = {
      {"true", JsonType::kBoolean}, {"false", JsonType::kBoolean}, {"null", JsonType::kNull}};
  for (const Word& word : kWords) {
    if (!StartsWith(word.text)) continue;
    node.type = word.type;
    node.text = word.text;
    for (std::size_t i = 0; i < word.text.size(); ++i) Advance();
    return true;
  }
  return Unexpected("a value: a string in double quotes, a number, true, false, {...} or [...]");
}

}  // namespace

bool ReadJson(std::string_view text, JsonTree& tree, std::vector<Diagnostic>& problems) {
  return Reader(text, tree, problems).Read();
}

std::string QuoteJson(std::string_view text) {
  std::string out = "\"";
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      char escape[8];
      std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned char>(c));
      out += escape;
    } else {
      out += c;
    }
  }
  return out + '"';
}

}  // namespace holdfast::config
