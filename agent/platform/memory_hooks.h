// SPDX-License-Identifier: Apache-2.0
// agent/platform/memory_hooks.h - the libraries take their memory from hal/base/memory.h.
//
// Purpose: SQLite, Mbed TLS, libcurl and libcoap are counted and kept to their budgets by the hooks
//          that they offer (zlib is by transport/wire_gzip.cc), our own code by operator new, which
//          a program that links this gets replaced. A `new` that cannot fail, for want of
//          exceptions, ends the program with a message: what was acknowledged is on the disk. It
//          happens at the start, where the buffers are made, and in statements that are written for
//          one use; the buffers of a visit say kNoMemory instead.
// Owner:   main(), as its first act: none of the libraries may have been used before.
// Threads: SQLite is told that there is one.
// Errors:  false: a library has been used already, or there is no memory to begin with.
#ifndef HOLDFAST_AGENT_PLATFORM_MEMORY_HOOKS_H_
#define HOLDFAST_AGENT_PLATFORM_MEMORY_HOOKS_H_

namespace holdfast::agent::platform {

[[nodiscard]] bool InstallMemoryHooks();

}  // namespace holdfast::agent::platform

#endif  // HOLDFAST_AGENT_PLATFORM_MEMORY_HOOKS_H_
