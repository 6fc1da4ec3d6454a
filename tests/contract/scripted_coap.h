// SPDX-License-Identifier: Apache-2.0
// tests/contract/scripted_coap.h - scripted_coap.py as a C++ object.
//
// Purpose: a table of CoAP answers and what must come of each; and what was sent to get them.
// Owner:   one process per test program, started on first use and gone with the program.
#ifndef HOLDFAST_TESTS_CONTRACT_SCRIPTED_COAP_H_
#define HOLDFAST_TESTS_CONTRACT_SCRIPTED_COAP_H_

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/contract/child_process.h"

namespace holdfast::testing {

class ScriptedCoap {
 public:
  static ScriptedCoap& Get();

  // All return the port, which is new each time, so nothing late comes to the wrong test.
  int Script(const std::string& json);
  int Nobody();
  int Garbage();

  struct Seen {
    std::uint64_t sent = 0, received = 0;  // bytes, since the script began
    std::vector<std::string> messages;     // since the last time
    // How many of them hold this text.
    int Count(std::string_view text) const;
    std::string All() const;
  };
  Seen See();
  std::string Body();

  // What scripted_server.py has: good.pem, expired.pem, othername.pem ..., with their keys.
  static void MakeCertificates(const std::string& folder);

 private:
  ScriptedCoap();
  std::string Ask(const std::string& line);
  int Port(const std::string& line);

  ChildProcess process_;
};

}  // namespace holdfast::testing

#endif  // HOLDFAST_TESTS_CONTRACT_SCRIPTED_COAP_H_
