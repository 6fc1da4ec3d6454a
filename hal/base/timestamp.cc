// SPDX-License-Identifier: Apache-2.0
#include "hal/base/timestamp.h"

#include <algorithm>
#include <cstddef>

namespace holdfast {
namespace {

constexpr std::int64_t kSecondsPerDay = 86400;

struct Date {
  std::int64_t year;
  int month;
  int day;
};

bool IsLeap(std::int64_t year) { return year % 4 == 0 && (year % 100 != 0 || year % 400 == 0); }

int DaysIn(std::int64_t year, int month) {
  constexpr int kDays[] = {31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31};
  return month == 2 && IsLeap(year) ? 29 : kDays[month - 1];
}

// Days since 1970-01-01 and back; eras of 400 years that begin on 1 March, so that the leap day is
// the last of its year (Howard Hinnant, chrono-compatible low-level date algorithms).
constexpr std::int64_t DaysFromDate(Date date) {
  const std::int64_t year = date.year - (date.month <= 2 ? 1 : 0);
  const std::int64_t era = (year >= 0 ? year : year - 399) / 400;
  const std::int64_t year_of_era = year - era * 400;
  const int day_of_year = (153 * (date.month + (date.month > 2 ? -3 : 9)) + 2) / 5 + date.day - 1;
  return era * 146097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year -
         719468;
}

constexpr Date DateFromDays(std::int64_t days) {
  days += 719468;
  const std::int64_t era = (days >= 0 ? days : days - 146096) / 146097;
  const std::int64_t day_of_era = days - era * 146097;
  const std::int64_t year_of_era =
      (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
  const int day_of_year =
      int(day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100));
  const int shifted = (5 * day_of_year + 2) / 153;
  const int month = shifted < 10 ? shifted + 3 : shifted - 9;
  return {year_of_era + era * 400 + (month <= 2 ? 1 : 0), month,
          day_of_year - (153 * shifted + 2) / 5 + 1};
}

constexpr Ticks kFirst = DaysFromDate({1, 1, 1}) * kSecondsPerDay * kTicksPerSecond;
constexpr Ticks kLast = DaysFromDate({10000, 1, 1}) * kSecondsPerDay * kTicksPerSecond - 1;

// Reads fixed-width fields from the front of a text; the first that is not there fails all.
class Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  int Number(std::size_t digits, int low, int high) {
    int value = 0;
    for (std::size_t i = 0; i < digits; ++i) {
      if (i >= text_.size() || text_[i] < '0' || text_[i] > '9') return Fail();
      value = value * 10 + (text_[i] - '0');
    }
    text_.remove_prefix(digits);
    return value < low || value > high ? Fail() : value;
  }
  void Expect(std::string_view one_of) {
    if (text_.empty() || one_of.find(text_[0]) == std::string_view::npos) {
      Fail();
    } else {
      text_.remove_prefix(1);
    }
  }
  bool Next(char c) {
    if (text_.empty() || text_[0] != c) return false;
    text_.remove_prefix(1);
    return true;
  }
  // Up to 9 decimals as ticks; what is finer than a tick is cut.
  Ticks Fraction() {
    Ticks ticks = 0;
    std::size_t digits = 0;
    for (; digits < text_.size() && text_[digits] >= '0' && text_[digits] <= '9'; ++digits) {
      if (digits < 7) ticks = ticks * 10 + (text_[digits] - '0');
    }
    if (digits == 0 || digits > 9) return Fail();
    text_.remove_prefix(digits);
    for (; digits < 7; ++digits) ticks *= 10;
    return ticks;
  }
  // Seconds that the text's clock is ahead of UTC.
  std::int64_t Offset() {
    if (text_.empty() || Next('Z') || Next('z')) return 0;
    const bool behind = text_[0] == '-';
    Expect("+-");
    const int hours = Number(2, 0, 23);
    Expect(":");
    const int seconds = hours * 3600 + Number(2, 0, 59) * 60;
    return behind ? -seconds : seconds;
  }
  bool done() const { return !failed_ && text_.empty(); }

 private:
  int Fail() {
    failed_ = true;
    return 1;  // a value that is right for every field: the caller goes on and asks done()
  }

  std::string_view text_;
  bool failed_ = false;
};

// Writes `value` with exactly `digits` digits.
char* PutDigits(char* at, std::int64_t value, int digits) {
  for (int i = digits - 1; i >= 0; --i, value /= 10) at[i] = char('0' + value % 10);
  return at + digits;
}

}  // namespace

std::optional<Ticks> ParseTimestamp(std::string_view text) {
  Reader reader(text);
  Date date{};
  date.year = reader.Number(4, 1, 9999);
  reader.Expect("-");
  date.month = reader.Number(2, 1, 12);
  reader.Expect("-");
  date.day = reader.Number(2, 1, DaysIn(date.year, date.month));
  reader.Expect("Tt ");
  std::int64_t seconds = DaysFromDate(date) * kSecondsPerDay + reader.Number(2, 0, 23) * 3600;
  reader.Expect(":");
  seconds += reader.Number(2, 0, 59) * 60;
  reader.Expect(":");
  seconds += reader.Number(2, 0, 59);
  const Ticks fraction = reader.Next('.') ? reader.Fraction() : 0;
  seconds -= reader.Offset();
  if (!reader.done()) return std::nullopt;
  const Ticks ticks = seconds * kTicksPerSecond + fraction;
  if (ticks < kFirst || ticks > kLast) return std::nullopt;
  return ticks;
}

TimestampText FormatTimestamp(Ticks ticks, int decimals) {
  ticks = std::clamp(ticks, kFirst, kLast) - kFirst;  // not negative: division rounds down
  decimals = std::clamp(decimals, 0, 7);
  const std::int64_t all_seconds = ticks / kTicksPerSecond;
  const Date date =
      DateFromDays(all_seconds / kSecondsPerDay + kFirst / kTicksPerSecond / kSecondsPerDay);
  const std::int64_t seconds = all_seconds % kSecondsPerDay;
  char text[limits::kTimestampBytes];
  char* at = PutDigits(text, date.year, 4);
  *at++ = '-';
  at = PutDigits(at, date.month, 2);
  *at++ = '-';
  at = PutDigits(at, date.day, 2);
  *at++ = 'T';
  at = PutDigits(at, seconds / 3600, 2);
  *at++ = ':';
  at = PutDigits(at, seconds / 60 % 60, 2);
  *at++ = ':';
  at = PutDigits(at, seconds % 60, 2);
  if (decimals > 0) {
    Ticks fraction = ticks % kTicksPerSecond;
    for (int i = decimals; i < 7; ++i) fraction /= 10;
    *at++ = '.';
    at = PutDigits(at, fraction, decimals);
  }
  *at++ = 'Z';
  TimestampText result;
  HF_ASSERT(result.Assign({text, std::size_t(at - text)}).ok());
  return result;
}

}  // namespace holdfast
