// SPDX-License-Identifier: Apache-2.0
// agent/platform/linux_parts.h - the concrete classes behind the interfaces, on a Linux machine.
//
// Purpose: the one place besides main.cc that names them; the program and the library choose alike.
// Owner:   the caller owns what is made; `clock` outlives it.
// Threads: any.
// Errors:  MakeTransport: kInvalidArgument: credentials that cannot be used.
#ifndef HOLDFAST_AGENT_PLATFORM_LINUX_PARTS_H_
#define HOLDFAST_AGENT_PLATFORM_LINUX_PARTS_H_

#include <memory>
#include <string_view>

#include "config/config.h"
#include "hal/clock.h"
#include "hal/link.h"
#include "transport/transport.h"

namespace holdfast::agent::platform {

std::unique_ptr<hal::Link> MakeLink(const config::Config& config);

Result<std::unique_ptr<transport::Transport>> MakeTransport(const config::Config& config,
                                                            std::string_view installation_id,
                                                            std::string_view user_agent,
                                                            hal::Clock& clock);

}  // namespace holdfast::agent::platform

#endif  // HOLDFAST_AGENT_PLATFORM_LINUX_PARTS_H_
