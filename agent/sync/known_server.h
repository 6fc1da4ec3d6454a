// SPDX-License-Identifier: Apache-2.0
// agent/sync/known_server.h - what a server has shown that it can do, kept for a day.
//
// Purpose: a program that runs for one push would have to send its first row alone each time, only
//          to hear what it heard before. What is remembered is tried at the URL it was heard from;
//          a server that refuses it is asked in the plain way from then on. That rows may go up in
//          pieces is kept for people to read, and tells that lists can show sizes; no upload begins
//          on it: another server at that URL would take that for an empty row.
// Owner:   a fact in the store; written when it changes or grows old, not at each visit.
// Threads: one.
// Errors:  those of the store. A fact that cannot be read is none.
#ifndef HOLDFAST_AGENT_SYNC_KNOWN_SERVER_H_
#define HOLDFAST_AGENT_SYNC_KNOWN_SERVER_H_

#include <string_view>

#include "hal/clock.h"
#include "store/store.h"
#include "transport/transport.h"

namespace holdfast::agent {

inline constexpr std::string_view kFactCapabilities = "capabilities";

struct KnownServer {
  bool fresh = false;  // heard within a day, as far as the clock can tell
  transport::Capabilities::Bulk bulk;
  bool gzip = false;
  std::size_t upload_bytes = 0;
};

// All zero when nothing is known of the server at `url`.
Result<KnownServer> ReadKnownServer(store::Store& store, hal::Clock& clock, std::string_view url);

Result<void> NoteKnownServer(store::Store& store, hal::Clock& clock, std::string_view url,
                             const transport::Capabilities& now);

}  // namespace holdfast::agent

#endif  // HOLDFAST_AGENT_SYNC_KNOWN_SERVER_H_
