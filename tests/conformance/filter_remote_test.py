#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Filters mean the same to holdfast-server, to the command line and to whoever reads them.

The corpus, and what each filter means, is printed by test_conformance_filters.

usage: filter_remote_test.py [PATTERN]
       filter_remote_test.py --peer npm|grown [--filters N]   for information: what another server,
                              or ours with columns that nobody declared, answers differently
"""
import argparse
import collections
import http.client
import json
import os
import re
import ssl
import subprocess
import sys
import urllib.parse

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import (BIN, Device, Failure, HoldfastServer, NpmServer, Running, check, equal,  # noqa: E402
                     run_tests, say, workspace)

# As in filter_agreement.h.
COLUMNS = {"s": "text", "y": "text", "i": "integer", "day": "integer", "r": "real", "x": "real",
           "b": "boolean", "in_stock": "boolean", "d": "datetime", "due": "datetime"}
FILTERS = 600
COMMANDS = 30
# What a filter is made of, for the survey; texts match too, and are left out there.
WORDS = re.compile(r"'(?:[^']|'')*'|Edm\.\w+|[a-zA-Z_]\w*'?")


def corpus(count):
    done = subprocess.run(
        [os.path.join(BIN, "test_conformance_filters"), "-g", "FilterAgreement", "-n", "PrintsTheCorpusForOthers"],
        env=dict(os.environ, HOLDFAST_PRINT_CORPUS=str(count)), stdout=subprocess.PIPE, check=True)
    # Lines of JSON only: a filter may hold what Python takes for the end of a line.
    lines = [json.loads(line) for line in done.stdout.split(b"\n") if line.startswith(b"{")]
    rows = [line["row"] for line in lines if "row" in line]
    filters = [(line["filter"], line["ids"]) for line in lines if "filter" in line]
    check(len(rows) == 60 and len(filters) == count, f"the corpus has {len(rows)} rows, {len(filters)} filters")
    return rows, filters


class Client:
    """Asks a server with Python's own HTTP."""

    def __init__(self, server):
        files = server.credentials()
        context = ssl.create_default_context(cafile=files["ca_file"])
        if "cert_file" in files:
            context.load_cert_chain(files["cert_file"], files["key_file"])
        self.connection = http.client.HTTPSConnection("127.0.0.1", server.port, timeout=60, context=context)

    def ask(self, method, query, version, body=None):
        headers = {"ZUMO-API-VERSION": version, "Content-Type": "application/json"}
        self.connection.request(method, "/tables/readings" + query, body, headers)
        answer = self.connection.getresponse()
        text = answer.read()
        try:
            return answer.status, json.loads(text)
        except ValueError:
            return answer.status, text.decode(errors="replace")

    def list(self, where, version="2.0.0"):
        """(status, ids or what else came)"""
        query = "?$top=500&$select=id&$filter=" + urllib.parse.quote(where, safe="")
        status, body = self.ask("GET", query, version)
        if status != 200:
            return status, body
        return status, sorted(row["id"] for row in (body["items"] if version == "3.0.0" else body))


def declared(folder):
    path = os.path.join(folder, "schema.json")
    with open(path, "w") as file:
        json.dump({"tables": {"readings": {"columns": COLUMNS}}}, file)
    return HoldfastServer(folder, options=["--schema", path])


def filled_device(folder, server, rows):
    device = Device(folder, server, columns=COLUMNS)
    device.run("init")
    device.record(rows)
    equal(len(rows), device.json("push")["pushed"], "pushed")
    return device


def ids_of(done):
    return sorted(json.loads(line)["id"] for line in done.stdout.split(b"\n") if line)


def test_the_server_chooses_what_the_filter_means(folder):
    rows, filters = corpus(FILTERS)
    with Running(declared(folder)) as server:
        filled_device(folder, server, rows)
        client = Client(server)
        wrong = []
        for number, (where, meant) in enumerate(filters):
            status, found = client.list(where, "3.0.0" if number % 2 else "2.0.0")
            if (status, found) != (200, meant):
                wrong.append(f"{where}\n  meant: {meant}\n  server: {status} {found}")
        check(not wrong, f"{len(wrong)} of {len(filters)} differ\n" + "\n".join(wrong[:5]))


def test_the_command_chooses_the_same_here_and_there(folder):
    rows, filters = corpus(COMMANDS * 4)
    with Running(declared(folder)) as server:
        device = filled_device(folder, server, rows)
        # Those that choose all or nothing would prove little.
        for where, meant in [one for one in filters if 0 < len(one[1]) < len(rows)][:COMMANDS]:
            here = device.run("get", "readings", "--where", where)
            there = device.run("get", "readings", "--where", where, "--remote")
            equal(meant, ids_of(here), f"{where}: the local table")
            equal(meant, ids_of(there), f"{where}: the server's table")


def test_mistakes_have_the_same_words_and_place_here_and_there(folder):
    cases = [
        ("(" * 33 + "b" + ")" * 33, "column 34: too deeply nested"),
        ("not " * 32 + "b", "column 1: too deeply nested"),
        ("i" + " add 1" * 31 + " eq 1", "column 189: too deeply nested"),
        ("floor(" * 11 + "r" + ")" * 11 + " eq 1", "column 1: too deeply nested"),
        ("i in (1" + ",1" * 254 + ")", "column 515: a filter has at most 256 values and operators"),
        ("b" + " or b" * 255, "column 1276: a filter has at most 256 values and operators"),
        ("s eq '" + "x" * 4090 + "'", "column 4097: a filter has at most 4096 bytes"),
        ("i eq", "column 5: expected a value"),
        ("s eq '\u00e4' and i = 1", "column 17: an operator or the end is expected"),
        ("s eq 'x", "column 6: the string does not end"),
        ("d gt datetime'2024-13-01T00:00:00Z'", "column 15: not a date like 2026-11-23T06:11:29.123Z"),
        ("d gt cast(2024-01-01,Edm.Foo)", "column 22: no such type"),
        ("frob(s) eq 1", "column 1: no such function"),
        ("i in (day)", "column 7: expected a literal"),
        ("i eq 9223372036854775808", "column 6: not a number within range"),
        ("b and nosuch eq 1", "column 7: no such column"),
        ("i eq 'x'", "column 6: a value of another type is expected"),
        ("tolower(i) eq 'x'", "column 9: expected a text"),
        ("d lt 'yesterday'", "column 6: expected a date like 2026-11-23T06:11:29.123Z"),
        ("s", "column 1: expected a condition"),
    ]
    with Running(declared(folder)) as server:
        device = Device(folder, server, columns=COLUMNS)
        device.run("init")
        client = Client(server)
        for where, mistake in cases:
            here = device.run("get", "readings", "--where", where, expect=2).stderr.decode()
            equal("holdfast: --where: " + mistake, here.splitlines()[0], f"{where[:60]}: the local table")
            for version in ("2.0.0", "3.0.0"):
                equal((400, {"error": "$filter: " + mistake}), client.list(where, version),
                      f"{where[:60]}: the server")


def survey(kind, count):
    """Prints what a server answers differently; nothing is a failure."""
    rows, filters = corpus(count)
    with workspace() as folder, Running(
            NpmServer(folder) if kind == "npm" else HoldfastServer(folder)) as server:
        client = Client(server)
        for row in rows:
            status, answer = client.ask("POST", "", "2.0.0", json.dumps(row))
            if status not in (200, 201):
                raise Failure(f"{row['id']}: {status} {answer}")
        used, refused, differing = (collections.Counter() for _ in range(3))
        shown = collections.Counter()
        for where, meant in filters:
            status, found = client.list(where)
            words = {word for word in WORDS.findall(where) if not (word[0] == "'" and len(word) > 1)}
            used.update(words | {"(any)"})
            if status != 200:
                refused.update(words | {"(any)"})
            elif found != meant:
                differing.update(words | {"(any)"})
            what = str(status) if status != 200 else "same" if found == meant else "other rows"
            shown[what] += 1
            if what != "same" and len(where) < 70 and shown[what] <= 40:
                say(f"{what}: {where}")
                if status == 200:
                    say(f"    missing {sorted(set(meant) - set(found))[:6]}"
                        f" extra {sorted(set(found) - set(meant))[:6]}")
        say(f"{kind}: {dict(shown)}")
        for word, times in used.most_common():
            say(f"{word:20} {times:5} used {refused[word]:5} refused {differing[word]:5} other rows")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", choices=("npm", "grown"))
    parser.add_argument("--filters", type=int, default=200)
    parser.add_argument("pattern", nargs="?")
    options = parser.parse_args()
    if options.peer:
        survey(options.peer, options.filters)
        return 0
    return run_tests([(name, test) for name, test in globals().items() if name.startswith("test_")], options.pattern)


if __name__ == "__main__":
    sys.exit(main())
