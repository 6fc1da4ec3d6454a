// SPDX-License-Identifier: Apache-2.0
// Syncs once and waits: what an agent holds that has nothing to do. Says "idle" on stdout then, and
// ends with its stdin.
#include <holdfast/holdfast.h>

#include <cstdio>

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fputs("usage: bench_idle CONFIG\n", stderr);
    return 2;
  }
  auto opened = holdfast::Client::Open(argv[1]);
  if (!opened) return 2;
  holdfast::Client& client = **opened;
  const holdfast::PushReport report = client.Push();
  if (!report.outcome || report.pushed == 0) {
    std::fprintf(stderr, "%s\n", client.why().c_str());
    return 1;
  }
  std::puts("idle");
  std::fflush(stdout);
  while (std::getchar() != EOF) {
  }
  return 0;
}
