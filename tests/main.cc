// SPDX-License-Identifier: Apache-2.0
// Every test program of CppUTest starts here.
#include <CppUTest/CommandLineTestRunner.h>
#include <CppUTest/TestRegistry.h>

int main(int argc, char** argv) { return CommandLineTestRunner::RunAllTests(argc, argv); }
