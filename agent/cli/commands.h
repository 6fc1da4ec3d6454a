// SPDX-License-Identifier: Apache-2.0
// agent/cli/commands.h - the table of commands, and what runs them.
//
// Purpose: the one place where a command gets its name, options, help and function.
// Owner:   static.
// Threads: one.
#ifndef HOLDFAST_AGENT_CLI_COMMANDS_H_
#define HOLDFAST_AGENT_CLI_COMMANDS_H_

#include <span>

#include "agent/cli/arguments.h"
#include "agent/cli/platform.h"

namespace holdfast::agent {

std::span<const Command> Commands();

// All of the program: `words` is argv without the program's name.
Exit RunProgram(Platform& platform, std::span<const char* const> words);

Exit RunInit(Context& context, const Arguments& arguments);
Exit RunRecord(Context& context, const Arguments& arguments);
Exit RunGet(Context& context, const Arguments& arguments);
Exit RunPut(Context& context, const Arguments& arguments);
Exit RunDelete(Context& context, const Arguments& arguments);
Exit RunPush(Context& context, const Arguments& arguments);
Exit RunPull(Context& context, const Arguments& arguments);
Exit RunPurge(Context& context, const Arguments& arguments);
Exit RunStatus(Context& context, const Arguments& arguments);
Exit RunConflicts(Context& context, const Arguments& arguments);
Exit RunResolve(Context& context, const Arguments& arguments);
Exit RunConfigCheck(Context& context, const Arguments& arguments);
Exit RunConfigPrint(Context& context, const Arguments& arguments);
Exit RunConfigKeys(Context& context, const Arguments& arguments);
Exit RunConfigSample(Context& context, const Arguments& arguments);
Exit RunVersion(Context& context, const Arguments& arguments);
Exit RunHelp(Context& context, const Arguments& arguments);
Exit RunCompletionBash(Context& context, const Arguments& arguments);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_CLI_COMMANDS_H_
