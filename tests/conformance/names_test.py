#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Every test that the README names exists, and every test of the suite is named there.

usage: names_test.py REPOSITORY
"""
import os
import re
import sys

SUITE = ("Merge", "Outcomes", "Conflicts", "Pulls", "Pushes", "Filters")


def tests_of(root):
    """All tests of the repository: Group.Name of CppUTest, and functions of Python."""
    names = set()
    for folder, _, files in os.walk(os.path.join(root, "tests")):
        for file in files:
            if not file.endswith(("_test.cc", "_test.py")):
                continue
            with open(os.path.join(folder, file), encoding="utf-8") as source:
                text = source.read()
            names.update(f"{group}.{name}" for group, name in re.findall(r"^TEST\((\w+),\s*(\w+)\)", text, re.M))
            names.update(re.findall(r"^def (test_\w+)", text, re.M))
    return names


def main():
    root = sys.argv[1]
    known = tests_of(root)
    with open(os.path.join(root, "tests", "conformance", "README.md"), encoding="utf-8") as file:
        text = file.read()
    named = set(re.findall(r"`([A-Z]\w+\.\w+|test_\w+)`", text)) - {"test_conformance"}
    problems = [f"named, but there is no such test: {name}" for name in sorted(named - known)]
    ours = {name for name in known if name.split(".")[0] in SUITE}
    problems += [f"not named in the README: {name}" for name in sorted(ours - named)]
    for problem in problems:
        print(problem)
    print(f"{len(named)} tests named, {len(problems)} problems")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
