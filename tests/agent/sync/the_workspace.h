// SPDX-License-Identifier: Apache-2.0
// tests/agent/sync/the_workspace.h - one agent::Workspace for all visits of a test program, as an
// agent has it.
#ifndef HOLDFAST_TESTS_AGENT_SYNC_THE_WORKSPACE_H_
#define HOLDFAST_TESTS_AGENT_SYNC_THE_WORKSPACE_H_

#include <memory>

#include "agent/sync/workspace.h"

namespace holdfast::test {

inline agent::Workspace& TheWorkspace() {
  static const std::unique_ptr<agent::Workspace> workspace = [] {
    auto created = agent::Workspace::Create();
    HF_ASSERT(created.ok());
    return std::move(created).value();
  }();
  return *workspace;
}

}  // namespace holdfast::test

#endif  // HOLDFAST_TESTS_AGENT_SYNC_THE_WORKSPACE_H_
