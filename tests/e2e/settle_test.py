#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Conflicts that are settled, rows that are purged: the commands a person types, on either server.

usage: settle_test.py --server holdfast|coap|npm [PATTERN]
"""
import argparse
import json
import os
import sys

from harness import (Device, HoldfastCoapServer, HoldfastServer, NpmServer, Running, check, equal,
                     run_tests, same_rows)

SERVERS = {"holdfast": HoldfastServer, "coap": HoldfastCoapServer, "npm": NpmServer}
server_class = HoldfastServer
WAITING = 4


def theirs(device, row_id, **columns):
    """Somebody else changes the row on the server."""
    line = json.dumps({"id": row_id, **columns})
    device.run("put", "readings", "--remote", text=line)


def in_conflict(folder, server):
    """A device whose row 'a' was changed on both sides: sensor there, value here."""
    device = Device(folder, server)
    device.run("init")
    device.record([{"id": "a", "sensor": "s", "value": 1}])
    device.json("push")
    theirs(device, "a", sensor="theirs")
    device.sql("UPDATE readings SET value = 2 WHERE id = 'a'")
    device.run("push", expect=WAITING)
    waiting = [json.loads(line) for line in device.run("conflicts", "--json", expect=WAITING).stdout.splitlines()]
    equal(1, len(waiting), "conflicts")
    check('"value":2' in waiting[0]["local"] and "theirs" in waiting[0]["server"], "both copies")
    return device


def log_of(device):
    return [json.loads(line) for line in device.run("conflicts", "--log", "--json").stdout.splitlines()]


def settled(device, server, sensor, value):
    device.json("pull")
    row = server.rows()["a"]
    equal((sensor, value), (row["sensor"], row["value"]), "the row on the server")
    same_rows(device.rows(), server.rows(), "in the end")


def test_keep_local_and_keep_server(folder):
    with Running(server_class(folder)) as server:
        device = in_conflict(folder, server)
        device.run("resolve", "a", "--keep", "server")
        settled(device, server, "theirs", 1)
        theirs(device, "a", sensor="again")
        device.sql("UPDATE readings SET value = 3")
        device.run("push", expect=WAITING)
        device.run("resolve", "a", "--keep", "local")
        settled(device, server, "theirs", 3)
        equal(["server", "local"], [entry["kept"] for entry in log_of(device)], "the log")


def test_a_merged_row_stands_on_the_servers(folder):
    with Running(server_class(folder)) as server:
        device = in_conflict(folder, server)
        device.run("resolve", "a", "--merge", "-", text='{"value": 7, "nonsense": 1}', expect=1)
        device.run("resolve", "a", "--merge", "-", text='{"id": "b", "value": 7}', expect=1)
        device.run("resolve", "a", "--merge", "-", text='not json', expect=1)
        device.run("resolve", "a", "--merge", "-", text='{"id": "a", "value": 7}')
        settled(device, server, "theirs", 7)
        entry = log_of(device)[0]
        equal(("person", "merged"), (entry["rule"], entry["kept"]), "the log")
        check('"value":2' in entry["local"] and "theirs" in entry["server"], "the log has both copies")


def test_a_discarded_edit_leaves_the_servers_row(folder):
    with Running(server_class(folder)) as server:
        device = in_conflict(folder, server)
        device.run("resolve", "a", "--discard")
        device.run("conflicts")
        settled(device, server, "theirs", 1)


def test_resolve_wants_exactly_one_answer(folder):
    with Running(server_class(folder)) as server:
        device = in_conflict(folder, server)
        for words in ([], ["--keep", "mine"], ["--keep", "local", "--discard"], ["--merge", "/nowhere"]):
            device.run("resolve", "a", *words, expect=2)
        device.run("resolve", "nobody", "--discard", expect=1)
        device.run("conflicts", expect=WAITING)


def test_policies_of_the_configuration(folder):
    with Running(server_class(folder)) as server:
        for number, (policy, expected) in enumerate([("server", ("theirs", 1)), ("client", ("s", 2)),
                                                     ("merge", ("theirs", 2))]):
            device = Device(os.path.join(folder, policy), server, table={"conflict": policy})
            device.run("init")
            row_id = f"row-{number}"
            device.record([{"id": row_id, "sensor": "s", "value": 1}])
            device.json("push")
            theirs(device, row_id, sensor="theirs")
            device.sql(f"UPDATE readings SET value = 2 WHERE id = '{row_id}'")
            done = device.json("push")
            equal((0, 1), (done["conflicts"], done["resolved"]), f"{policy}: what became of it")
            device.json("pull")
            row = server.rows()[row_id]
            equal(expected, (row["sensor"], row["value"]), f"{policy}: the row")
            same_rows(device.rows(), server.rows(), policy)
            equal(policy, log_of(device)[0]["rule"], "the log")


def test_purge(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([{"id": f"r{n}", "value": n} for n in range(10)])
        done = device.json("purge", "readings", "--where", "value lt 5")
        equal((10, 5, 0), (done["pushed"], done["removed"], done["discarded"]), "purge by a filter")
        equal(5, len(device.rows()), "rows here")
        equal(10, len([row for row in server.rows().values() if not row["deleted"]]), "rows there")
        device.sql("UPDATE readings SET value = 77 WHERE id = 'r9'")
        refused = device.run("purge", "readings", "--no-push", expect=1)
        check(b"--force" in refused.stderr, "what to do")
        equal(5, len(device.rows()), "nothing was removed")
        done = device.json("purge", "readings", "--no-push", "--force")
        equal((5, 1), (done["removed"], done["discarded"]), "forced")
        equal(0, device.json("push")["pushed"], "the server hears nothing")
        equal(10, device.json("pull")["received"], "the next pull brings all")
        equal(9, device.rows()["r9"]["value"], "the discarded edit")
        device.run("purge", "nothing", expect=2)
        device.run("purge", "readings", "--where", "value lt", expect=2)


def test_a_purge_without_the_server(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([{"id": f"r{n}", "value": n} for n in range(3)])
        device.json("push")
    # Nothing waits: nobody has to be asked.
    equal(3, device.json("purge", "readings")["removed"], "removed offline")
    device.record([{"id": "new", "value": 1}])
    device.run("purge", "readings", expect=3)
    equal(1, len(device.rows()), "what the server does not have stays")
    equal(1, device.json("purge", "readings", "--force")["discarded"], "forced offline")


def test_a_full_pull_finds_rows_that_are_gone_and_rows_that_left_the_filter(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([{"id": f"r{n}", "value": n} for n in range(6)])
        device.json("push")
        second = Device(os.path.join(folder, "second"), server)
        second.run("init")
        equal(3, second.json("pull", "readings", "--where", "value lt 3")["received"], "filtered")
        device.sql("UPDATE readings SET value = 50 WHERE id = 'r1'")
        device.sql("DELETE FROM readings WHERE id = 'r2'")
        device.json("push")
        second.json("pull", "readings", "--where", "value lt 3", "--full")
        rows = second.rows()
        equal(["r0", "r1"], sorted(rows), "rows")
        equal(50, rows["r1"]["value"], "the row that left the filter")


def main():
    global server_class
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=sorted(SERVERS), default="holdfast")
    parser.add_argument("pattern", nargs="?")
    options = parser.parse_args()
    server_class = SERVERS[options.server]
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    return run_tests(tests, options.pattern)


if __name__ == "__main__":
    sys.exit(main())
