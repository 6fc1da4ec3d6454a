// SPDX-License-Identifier: Apache-2.0
// transport/tls/civil_date.h - a UTC date of years 1 to 9999 as seconds since 1970.
#ifndef HOLDFAST_TRANSPORT_TLS_CIVIL_DATE_H_
#define HOLDFAST_TRANSPORT_TLS_CIVIL_DATE_H_

#include <cstdint>

namespace holdfast::transport::tls {

struct CivilDate {
  int year, month, day, hour, minute, second;
};

// Hinnant, "chrono-Compatible Low-Level Date Algorithms", days_from_civil.
constexpr std::int64_t UnixSeconds(const CivilDate& date) {
  const int year = date.month <= 2 ? date.year - 1 : date.year;
  const int era = year / 400;
  const int year_of_era = year - era * 400;
  const int month = date.month + (date.month > 2 ? -3 : 9);
  const int day_of_year = (153 * month + 2) / 5 + date.day - 1;
  const int day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
  const std::int64_t days = std::int64_t{era} * 146097 + day_of_era - 719468;
  return ((days * 24 + date.hour) * 60 + date.minute) * 60 + date.second;
}
static_assert(UnixSeconds({1994, 11, 6, 8, 49, 37}) == 784111777);

}  // namespace holdfast::transport::tls

#endif  // HOLDFAST_TRANSPORT_TLS_CIVIL_DATE_H_
