// SPDX-License-Identifier: Apache-2.0
#include "transport/https/head.h"

#include <algorithm>
#include <cctype>

#include "hal/base/text.h"
#include "transport/tls/civil_date.h"

namespace holdfast::transport::https {
namespace {

Error Bad(const char* what) { return {Code::kBadAnswer, Origin::kHttp, 0, what}; }

std::string_view Trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(),
                                      [](unsigned char c) { return std::isdigit(c) != 0; });
}

// What an ETag may hold between its quotes (RFC 9110 8.8.3), and a blank, which old servers print.
bool IsTagByte(char c) { return c >= 0x20 && c < 0x7f; }

// An inner list of tokens: (gzip br).
bool HasToken(std::string_view list, std::string_view token) {
  if (list.size() < 2 || list.front() != '(' || list.back() != ')') return false;
  list = list.substr(1, list.size() - 2);
  while (!list.empty()) {
    const std::size_t blank = list.find(' ');
    if (list.substr(0, blank) == token) return true;
    list = blank == list.npos ? std::string_view() : list.substr(blank + 1);
  }
  return false;
}

int Number(std::string_view text) { return IsDigits(text) ? int(*ParseInteger(text)) : -1; }

}  // namespace

// 408, 421 and 425 say "again, please", and 407 is about a proxy's credentials: none of them is
// about the row, so none may park it.
Status StatusFromHttp(int status) {
  switch (status) {
    case 200: return Status::kOk;
    case 201: return Status::kCreated;
    case 204: return Status::kNoContent;
    case 401:
    case 407: return Status::kUnauthorized;
    case 403: return Status::kForbidden;
    case 404: return Status::kNotFound;
    case 405: return Status::kMethodNotAllowed;
    case 409: return Status::kConflict;
    case 410: return Status::kGone;
    case 412: return Status::kPreconditionFailed;
    case 413: return Status::kTooLarge;
    case 429: return Status::kThrottled;
    case 408:
    case 421:
    case 425:
    case 503: return Status::kUnavailable;
    default: break;
  }
  if (status >= 400 && status < 500) return Status::kBadRequest;
  if (status >= 500 && status < 600) return Status::kServerError;
  return Status::kOther;
}

std::optional<Version> DecodeEtag(std::string_view value) {
  value = Trim(value);
  if (value.substr(0, 2) == "W/" || value.substr(0, 2) == "w/") return std::nullopt;
  if (value.size() >= 2 && value.front() == '"' && value.back() == '"') {
    value = value.substr(1, value.size() - 2);
  } else if (value.find('"') != std::string_view::npos) {
    return std::nullopt;
  }
  Version version;
  for (std::size_t i = 0; i < value.size(); ++i) {
    if (!IsTagByte(value[i])) return std::nullopt;
    if (value[i] == '\\' && i + 1 < value.size() && value[i + 1] == '"') ++i;
    if (!version.Append(value.substr(i, 1))) return std::nullopt;
  }
  if (version.empty()) return std::nullopt;
  return version;
}

Result<std::string_view> EncodeEtag(std::string_view version, std::span<char> buffer) {
  TextWriter out(buffer);
  out.Put('"');
  for (std::size_t i = 0; i < version.size(); ++i) {
    if (!IsTagByte(version[i])) {
      return Error{Code::kInvalidArgument, Origin::kNone, 0, "a version no header can carry"};
    }
    if (version[i] == '"' && (i == 0 || version[i - 1] != '\\')) out.Put('\\');
    out.Put(version[i]);
  }
  out.Put('"');
  if (out.full()) return Error{Code::kInvalidArgument, Origin::kNone, 0, "the version is too long"};
  return out.view();
}

bool IsJsonType(std::string_view content_type) {
  const std::string_view type = Trim(content_type.substr(0, content_type.find(';')));
  constexpr std::string_view kApplication = "application/";
  if (type.size() <= kApplication.size() ||
      !EqualsIgnoreCase(type.substr(0, kApplication.size()), kApplication)) {
    return false;
  }
  const std::string_view subtype = type.substr(kApplication.size());
  return EqualsIgnoreCase(subtype, "json") ||
         (subtype.size() > 5 && EqualsIgnoreCase(subtype.substr(subtype.size() - 5), "+json"));
}

std::optional<std::int64_t> ParseHttpDate(std::string_view text) {
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  // Sun, 06 Nov 1994 08:49:37 GMT
  if (text.size() != 29 || text.substr(3, 2) != ", " || text[7] != ' ' || text[11] != ' ' ||
      text[16] != ' ' || text[19] != ':' || text[22] != ':' || text.substr(25) != " GMT") {
    return std::nullopt;
  }
  const std::size_t month = kMonths.find(text.substr(8, 3));
  const int day = Number(text.substr(5, 2)), year = Number(text.substr(12, 4));
  const int hour = Number(text.substr(17, 2)), minute = Number(text.substr(20, 2));
  const int second = Number(text.substr(23, 2));
  if (month == std::string_view::npos || month % 3 != 0 || day < 1 || day > 31 || year < 1 ||
      hour < 0 || hour > 23 || minute < 0 || minute > 59 || second < 0 || second > 60) {
    return std::nullopt;
  }
  return tls::UnixSeconds({year, int(month / 3) + 1, day, hour, minute, second});
}

hal::Duration ParseRetryAfter(std::string_view value, std::string_view date) {
  value = Trim(value);
  std::int64_t seconds = 0;
  const bool negative = value.size() > 1 && value[0] == '-' && IsDigits(value.substr(1));
  if (IsDigits(value)) {
    seconds = ParseInteger(value).value_or(kRetryAfterSecondsMax);
  } else if (!negative) {
    const auto until = ParseHttpDate(value), now = ParseHttpDate(Trim(date));
    if (!until || !now) return {-1};
    seconds = *until - *now;
  }
  return hal::Duration::Seconds(std::clamp<std::int64_t>(seconds, 0, kRetryAfterSecondsMax));
}

Announcement ParseAnnouncement(std::string_view value) {
  Announcement found;
  while (!value.empty()) {
    const std::size_t comma = value.find(',');
    const std::string_view member = Trim(value.substr(0, comma));
    value = comma == value.npos ? std::string_view() : value.substr(comma + 1);
    const std::size_t equals = member.find('=');
    const std::string_view key = member.substr(0, equals);
    const std::string_view text = equals == member.npos ? "" : member.substr(equals + 1);
    const std::int64_t number = IsDigits(text) ? ParseInteger(text).value_or(0) : 0;
    if (key == "v" && number != 1) return {};
    if (key == "bulk") found.bulk_operations = std::size_t(number);
    if (key == "bytes") found.bulk_bytes = std::size_t(number);
    if (key == "upload") found.upload_bytes = std::size_t(number);
    if (key == "enc") found.gzip = HasToken(text, "gzip");
  }
  if (found.bulk_bytes == 0) found.bulk_operations = 0;
  return found;
}

std::string_view UploadOfLocation(std::string_view location) {
  constexpr std::string_view kFolder = "/uploads/";
  constexpr std::size_t kLongest = 64;
  const std::size_t folder = location.rfind(kFolder);
  if (folder == location.npos) return {};
  const std::string_view name = location.substr(folder + kFolder.size());
  const bool good = std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
  return good && name.size() <= kLongest ? name : std::string_view();
}

void HeadReader::Reset(bool packed) {
  packed_allowed_ = packed;
  bytes_ = lines_ = 0;
  Forget();
}

void HeadReader::Forget() {
  status_ = 0;
  holdfast_ = chunked_ = packed_ = false;
  announcement_ = {};
  length_ = -1;
  etag_.Clear();
  content_type_.Clear();
  retry_after_.Clear();
  date_.Clear();
  link_.Clear();
  server_.Clear();
  location_.Clear();
  upload_offset_.Clear();
  upload_complete_.Clear();
  content_range_.Clear();
  version_.clear();
}

Result<void> HeadReader::Line(std::string_view line) {
  bytes_ += line.size();
  if (bytes_ > kHeaderBytes || ++lines_ > kHeaderLines)
    return Bad("more header than any server has");
  while (!line.empty() && (line.back() == '\r' || line.back() == '\n')) line.remove_suffix(1);
  if (line.substr(0, 5) == "HTTP/") return StatusLine(line);
  if (line.empty()) {
    if (const auto version = DecodeEtag(etag_.view())) version_ = *version;
    return Ok();
  }
  if (line[0] == ' ' || line[0] == '\t') return Bad("a folded header line");
  const std::size_t colon = line.find(':');
  if (colon == std::string_view::npos) return Ok();  // libcurl has judged it harmless
  return Field(line.substr(0, colon), Trim(line.substr(colon + 1)));
}

Result<void> HeadReader::StatusLine(std::string_view line) {
  Forget();
  const std::size_t blank = line.find(' ');
  std::string_view code = blank == line.npos ? std::string_view() : line.substr(blank + 1);
  code = code.substr(0, code.find(' '));
  if (code.size() != 3 || !IsDigits(code)) return Bad("no status in the status line");
  status_ = int(*ParseInteger(code));
  return Ok();
}

Result<void> HeadReader::Field(std::string_view name, std::string_view value) {
  if (EqualsIgnoreCase(name, "etag")) {
    etag_.Set(value);
  } else if (EqualsIgnoreCase(name, "content-type")) {
    content_type_.Set(value);
  } else if (EqualsIgnoreCase(name, "retry-after")) {
    retry_after_.Set(value);
  } else if (EqualsIgnoreCase(name, "date")) {
    date_.Set(value);
  } else if (EqualsIgnoreCase(name, "link")) {
    link_.Set(value);
  } else if (EqualsIgnoreCase(name, "location")) {
    location_.Set(value);
  } else if (EqualsIgnoreCase(name, "upload-offset")) {
    upload_offset_.Set(value);
  } else if (EqualsIgnoreCase(name, "upload-complete")) {
    upload_complete_.Set(value);
  } else if (EqualsIgnoreCase(name, "content-range")) {
    content_range_.Set(value);
  } else if (EqualsIgnoreCase(name, "x-zumo-server-version")) {
    const bool visible = std::all_of(value.begin(), value.end(), IsTagByte);
    if (visible) server_.Set(value);
  } else if (EqualsIgnoreCase(name, "holdfast")) {
    holdfast_ = true;
    announcement_ = ParseAnnouncement(value);
  } else if (EqualsIgnoreCase(name, "transfer-encoding")) {
    chunked_ = true;
  } else if (EqualsIgnoreCase(name, "content-length")) {
    const auto length = IsDigits(value) ? ParseInteger(value) : std::nullopt;
    if (!length) return Bad("the length of the answer is not a number");
    if (length_ >= 0 && length_ != *length) return Bad("two lengths of one answer");
    length_ = *length;
  } else if (EqualsIgnoreCase(name, "content-encoding")) {
    packed_ = packed_allowed_ && EqualsIgnoreCase(value, "gzip");
    if (!packed_ && !EqualsIgnoreCase(value, "identity") && !value.empty()) {
      return Bad("the answer is compressed, which nobody asked for");
    }
  }
  return Ok();
}

namespace {

// "bytes 1000-1999/2000" -> 1000; -1: not that.
std::int64_t RangeStart(std::string_view range) {
  constexpr std::string_view kUnit = "bytes ";
  if (!range.starts_with(kUnit)) return -1;
  range.remove_prefix(kUnit.size());
  const std::string_view first = range.substr(0, range.find('-'));
  return IsDigits(first) ? ParseInteger(first).value_or(-1) : -1;
}

}  // namespace

ResponseHead HeadReader::Head() const {
  ResponseHead head;
  head.status = StatusFromHttp(status_);
  head.native = status_;
  head.is_json = IsJsonType(content_type_.view());
  head.version = version_.view();
  if (retry_after_.seen) head.retry_after = ParseRetryAfter(retry_after_.view(), date_.view());
  if (!chunked_ && !packed_) head.body_bytes = length_;
  head.upload = UploadOfLocation(location_.view());
  if (IsDigits(upload_offset_.view())) {
    head.upload_offset = ParseInteger(upload_offset_.view()).value_or(-1);
  }
  head.upload_complete = upload_complete_.view() == "?1";
  if (status_ == 206) head.body_from = RangeStart(content_range_.view());
  return head;
}

}  // namespace holdfast::transport::https
