// SPDX-License-Identifier: Apache-2.0
#include "agent/cli/signals.h"

#include <signal.h>
#include <unistd.h>

namespace holdfast::agent {
namespace {

volatile sig_atomic_t caught = 0;

extern "C" void OnSignal(int number) {
  if (caught != 0) _exit(128 + number);
  caught = 1;
}

}  // namespace

void CatchSignals() {
  struct sigaction action {};
  action.sa_handler = OnSignal;  // without SA_RESTART: a wait for input ends
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
  action.sa_handler = SIG_IGN;
  sigaction(SIGPIPE, &action, nullptr);
}

bool Interrupted() { return caught != 0; }

}  // namespace holdfast::agent
