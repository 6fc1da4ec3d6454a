// SPDX-License-Identifier: Apache-2.0
#include "agent/sync/workspace.h"

#include <new>

namespace holdfast::agent {

Result<std::unique_ptr<Workspace>> Workspace::Create() {
  std::unique_ptr<Workspace> workspace(new (std::nothrow) Workspace);
  if (!workspace) return Error{Code::kNoMemory, Origin::kNone, 0, "no memory for push and pull"};
  HF_TRY_ASSIGN(workspace->packer, wire::GzipPacker::Create());
  return workspace;
}

}  // namespace holdfast::agent
