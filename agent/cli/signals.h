// SPDX-License-Identifier: Apache-2.0
// agent/cli/signals.h - SIGINT and SIGTERM as a wish that long commands look at.
//
// Purpose: the first signal asks to stop cleanly: what was acknowledged is stored, what was not
//          stays queued. The second one exits at once; even then nothing is lost.
// Threads: one.
#ifndef HOLDFAST_AGENT_CLI_SIGNALS_H_
#define HOLDFAST_AGENT_CLI_SIGNALS_H_

namespace holdfast::agent {

// Installs the handlers and ignores SIGPIPE: a peer that leaves is an error of a write.
void CatchSignals();

// A first signal came.
bool Interrupted();

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_SIGNALS_H_
