#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The house rules that no compiler knows: format, licence line, length, and calls that bypass the HAL.

usage: check.py FOLDER
"""
import os
import re
import shutil
import subprocess
import sys

LINES_MAX = 600
FOLDERS = ("agent", "config", "hal", "server", "store", "tests", "transport")
# The engine and the store get time, randomness and waiting from the HAL only; hal/linux is where
# these calls live, and the server is no device.
BYPASS = re.compile(r"\b(?<![.:_>])(std::rand|rand|srand|time|gettimeofday|clock_gettime|sleep|usleep|"
                    r"nanosleep|std::this_thread::sleep_for|getrandom|system|popen)\s*\(")
HAL_ONLY = ("agent/sync/", "store/", "transport/", "config/")
STREAMS = re.compile(r'#include <(iostream|fstream|sstream|regex)>')
DEVICE = ("agent/", "config/", "hal/", "store/", "transport/")


def sources(top):
    listed = subprocess.run(["git", "ls-files", "--cached", "--others", "--exclude-standard", *FOLDERS],
                            cwd=top, capture_output=True, text=True, check=True).stdout
    return [name for name in listed.splitlines()
            if name.endswith((".cc", ".h")) and os.path.exists(os.path.join(top, name))]


def check_text(name, text):
    lines = text.splitlines()
    if not lines or "SPDX-License-Identifier: Apache-2.0" not in lines[0]:
        yield f"{name}:1: the first line names the licence (SPDX)"
    if len(lines) > LINES_MAX:
        yield f"{name}: {len(lines)} lines; a file of more than {LINES_MAX} is two files"
    for number, line in enumerate(lines, 1):
        code = line.split("//")[0]
        if name.startswith(HAL_ONLY) and (found := BYPASS.search(code)):
            yield f"{name}:{number}: {found.group(1)}() bypasses the HAL"
        if name.startswith(DEVICE) and STREAMS.search(code):
            yield f"{name}:{number}: {code.strip()}: too large for a device; use TextWriter or stdio"


def check_format(top, names):
    tool = shutil.which("clang-format-14") or shutil.which("clang-format")
    if tool is None or " 14." not in subprocess.run([tool, "--version"], capture_output=True, text=True).stdout:
        print("clang-format 14 is not here: the format was not checked")
        return []
    done = subprocess.run([tool, "--dry-run", "--Werror", *names], cwd=top, capture_output=True, text=True)
    return [line for line in done.stderr.splitlines() if "error:" in line]


def main():
    top = sys.argv[1]
    names = sources(top)
    problems = [problem for name in names
                for problem in check_text(name, open(os.path.join(top, name), encoding="utf-8").read())]
    problems += check_format(top, names)
    for problem in problems:
        print(problem)
    print(f"{len(names)} files, {len(problems)} problems")
    return 1 if problems or not names else 0


if __name__ == "__main__":
    sys.exit(main())
