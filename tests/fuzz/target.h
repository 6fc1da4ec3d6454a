// SPDX-License-Identifier: Apache-2.0
// tests/fuzz/target.h - what each fuzz target supplies.
#ifndef HOLDFAST_TESTS_FUZZ_TARGET_H_
#define HOLDFAST_TESTS_FUZZ_TARGET_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

// Ends the program when something that must hold does not.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

// Well-formed inputs to begin with.
std::vector<std::string> FuzzSeeds();

#endif  // HOLDFAST_TESTS_FUZZ_TARGET_H_
