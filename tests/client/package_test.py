#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The library as somebody else finds it: installed, found by find_package(), built against, run.

usage: package_test.py BUILD_FOLDER DEPENDENCIES [PATTERN]
"""
import os
import shutil
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from harness import Device, HoldfastServer, Running, check, equal, run_tests  # noqa: E402


def run(*words, expect=0, **options):
    done = subprocess.run(words, capture_output=True, text=True, timeout=280, **options)
    if done.returncode != expect:
        raise AssertionError(f"{' '.join(words)}: exit {done.returncode}, expected {expect}\n"
                             f"{done.stdout[-3000:]}{done.stderr[-3000:]}")
    return done.stdout


def install(folder):
    prefix = os.path.join(folder, "installed")
    run("cmake", "--install", sys.argv[1], "--prefix", prefix)
    return prefix


def build(folder, source, prefix):
    """The project `source`, out of tree, against what is installed."""
    build_folder = os.path.join(folder, "build")
    run("cmake", "-S", source, "-B", build_folder, f"-DCMAKE_PREFIX_PATH={prefix}",
        f"-DHOLDFAST_DEPS={sys.argv[2]}", "-DCMAKE_BUILD_TYPE=Release",
        f"-DCMAKE_EXE_LINKER_FLAGS={os.environ.get('HOLDFAST_TEST_LDFLAGS', '')}")
    run("cmake", "--build", build_folder)
    return build_folder


def test_the_example_records_and_syncs(folder):
    prefix = install(folder)
    example = os.path.join(REPOSITORY, "agent", "examples", "record_and_sync")
    with open(os.path.join(example, "main.cc"), encoding="utf-8") as source:
        check(len(source.readlines()) <= 40, "the example fits 40 lines")
    program = os.path.join(build(folder, example, prefix), "record_and_sync")
    with Running(HoldfastServer(folder)) as server:
        device = Device(folder, server)
        output = run(program, device.conf)
        check("pushed 1" in output and "t1 is at 21.5" in output, output)
        rows = server.rows()
        equal([("t1", 21.5)], [(row["sensor"], row["value"]) for row in rows.values()], "rows")
    output = run(program, device.conf, expect=3)
    check("1 wait" in output, "offline it records all the same: " + output)
    run(program, os.path.join(folder, "nothing.conf"), expect=2)


def test_c_programs_build_and_run(folder):
    prefix = install(folder)
    source = os.path.join(folder, "c")
    os.makedirs(source)
    with open(os.path.join(source, "CMakeLists.txt"), "w", encoding="utf-8") as file:
        file.write("cmake_minimum_required(VERSION 3.25)\nproject(c_api LANGUAGES C CXX)\n"
                   "set(CMAKE_C_STANDARD 11)\nfind_package(holdfast REQUIRED)\n"
                   f"add_executable(c_api {HERE}/c_api_program.c)\n"
                   "target_compile_options(c_api PRIVATE -Wall -Wextra -Werror)\n"
                   "target_link_libraries(c_api PRIVATE holdfast::holdfast)\n")
    program = os.path.join(build(folder, source, prefix), "c_api")
    with Running(HoldfastServer(folder)) as server:
        device = Device(folder, server)
        equal("ok\n", run(program, device.conf), "the C program")


def test_the_package_may_be_missing_or_beside_its_dependencies(folder):
    prefix = install(folder)
    source = os.path.join(folder, "optional")
    os.makedirs(source)
    with open(os.path.join(source, "CMakeLists.txt"), "w", encoding="utf-8") as file:
        file.write("cmake_minimum_required(VERSION 3.25)\nproject(optional LANGUAGES C CXX)\n"
                   "find_package(holdfast QUIET)\nmessage(STATUS \"found=${holdfast_FOUND}\")\n")
    words = ("cmake", "-S", source, f"-DCMAKE_PREFIX_PATH={prefix}")
    output = run(*words, "-B", os.path.join(folder, "without"))
    check("found=FALSE" in output or "found=0" in output, output)
    shutil.copytree(sys.argv[2], prefix, dirs_exist_ok=True, symlinks=True)
    output = run(*words, "-B", os.path.join(folder, "beside"))
    check("found=TRUE" in output or "found=1" in output, output)


def test_the_package_names_no_folder_of_this_machine(folder):
    prefix = install(folder)
    for root, _, files in os.walk(os.path.join(prefix, "lib", "cmake")):
        for file in files:
            with open(os.path.join(root, file), encoding="utf-8") as text:
                content = text.read()
            for word in (REPOSITORY, sys.argv[2], sys.argv[1]):
                check(word not in content, f"{file} names {word}")


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    return run_tests(tests, sys.argv[3] if len(sys.argv) > 3 else None)


if __name__ == "__main__":
    sys.exit(main())
