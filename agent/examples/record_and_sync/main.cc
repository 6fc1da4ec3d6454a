// SPDX-License-Identifier: Apache-2.0
// Records a reading, whether or not there is a network, and syncs when there is one.
#include <holdfast/holdfast.h>
#include <cstdio>

int main(int argc, char** argv) {
  const char* const path = argc > 1 ? argv[1] : "/etc/holdfast/holdfast.conf";
  std::string problems;
  auto opened = holdfast::Client::Open(path, &problems);
  if (!opened) {
    std::fputs(problems.c_str(), stderr);
    return 2;
  }
  holdfast::Client& client = **opened;

  holdfast::Table& readings = *client.sync_table("readings");
  auto id = readings.Insert(holdfast::Row().Set("sensor", "t1").Set("value", 21.5));
  if (!id) {
    std::fprintf(stderr, "%s\n", client.why().c_str());
    return 1;
  }
  std::printf("recorded %s\n", id->c_str());  // durable from here on

  const holdfast::PullReport report = client.Pull("readings");  // pushes first
  if (!report.outcome) {
    std::printf("%llu wait: %s\n", static_cast<unsigned long long>(report.push.remaining),
                client.why().c_str());
    return 3;
  }
  std::printf("pushed %llu, received %llu\n", static_cast<unsigned long long>(report.push.pushed),
              static_cast<unsigned long long>(report.received));

  auto warm = readings.ReadAll({.where = "value gt 20", .order_by = "sensor", .top = 10});
  if (!warm) return 1;
  for (const holdfast::Row& row : *warm) {
    std::printf("%s is at %.1f\n", row.Text("sensor").c_str(), row.Real("value"));
  }
  return 0;
}
