// SPDX-License-Identifier: Apache-2.0
// agent/cli/advice.h - what happens next after an error, and what a person can do.
//
// Purpose: the one place with these words, for push, pull, status and --remote alike.
// Threads: any; pure.
#ifndef HOLDFAST_AGENT_CLI_ADVICE_H_
#define HOLDFAST_AGENT_CLI_ADVICE_H_

#include <optional>
#include <string_view>

#include "agent/cli/arguments.h"
#include "hal/base/result.h"

namespace holdfast::agent {

// A sentence or two; "" when the error says it all.
std::string_view Advice(Code code);

// The code whose CodeName() begins `text`, as in the words of Describe().
std::optional<Code> CodeOf(std::string_view text);

// Says why there is no way to the server; these are errors of the configuration.
Exit FailTransport(const Error& error);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_ADVICE_H_
