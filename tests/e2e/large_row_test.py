#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A large row up and down over links that are cut every 64 KiB, with both sides killed at random.

usage: large_row_test.py --server holdfast|coap [--bytes 4194304] [--seed N] [PATTERN]

The row is a blob that cannot be packed. What was on the wire is counted by the relay, both ways,
handshakes included; going up it may be at most 1.25 times the blob.
"""
import argparse
import base64
import random
import sys
import time

from counting_relay import CountingRelay, CountingUdpRelay
from harness import (Device, HoldfastCoapServer, HoldfastServer, Running, check, equal, run_tests,
                     say)

SERVERS = {"holdfast": HoldfastServer, "coap": HoldfastCoapServer}
COLUMNS = {"name": "text", "photo": "blob"}
SYNC = {"holdfast": {}, "coap": {"ack_timeout": "50 ms"}}
CUT_BYTES = 64 << 10
MOST_UP = 1.25
OPTIONS = None


def relay_to(server):
    return CountingUdpRelay(server.port) if OPTIONS.server == "coap" else CountingRelay(server.port)


def device_on(folder, server, relay, name="device1"):
    device = Device(folder, server, name=name, port=relay.port, columns=COLUMNS, sync=SYNC[OPTIONS.server])
    device.run("init")
    return device


def record(device, photo, row="photo-1"):
    device.sql("INSERT INTO readings(id,name,photo) VALUES('a','before',NULL)")
    device.sql("INSERT INTO readings(id,name,photo) VALUES(?,?,?)", row, "the large one", photo)
    device.sql("INSERT INTO readings(id,name,photo) VALUES('z','after',NULL)")


def until_done(device, relay, what="push"):
    """Again and again, as a daemon would; how often."""
    for attempt in range(1, 400):
        if OPTIONS.server == "coap":
            relay.renew()
        done = device.run(what, "--json", expect=None)
        if done.returncode == 0:
            return attempt
    check(False, f"the {what} never ends: {done.stdout.decode()}")


def on_server(server, row="photo-1"):
    photo = server.rows()[row]["photo"]
    return base64.b64decode(photo) if isinstance(photo, str) else photo


def photo():
    return random.Random(OPTIONS.seed).randbytes(OPTIONS.bytes)


def say_ratio(what, relay, before=0):
    ratio = (relay.bytes - before) / OPTIONS.bytes
    say(f"     {what}: {relay.bytes - before:,} bytes on the wire, {ratio:.3f} x the blob; {relay.cuts} cuts")
    return ratio


def test_up_and_down_with_a_cut_every_64_kib(folder):
    with Running(SERVERS[OPTIONS.server](folder, devices=("device1", "device2"))) as server:
        with relay_to(server) as relay:
            device = device_on(folder, server, relay)
            record(device, photo())
            relay.cut_after = CUT_BYTES
            pushes = until_done(device, relay)
            ratio = say_ratio(f"up in {pushes} pushes", relay)
            equal(0, device.operations(), "operations left")
            check(on_server(server) == photo(), "the row on the server is not the row")
            check(ratio <= MOST_UP, f"{ratio:.3f} x the blob on the wire; at most {MOST_UP}")
            check(relay.cuts >= OPTIONS.bytes // CUT_BYTES // 2, f"only {relay.cuts} cuts")
            equal(3, len(server.rows()), "rows")

            second = device_on(folder, server, relay, "device2")
            before = relay.bytes
            pulls = until_done(second, relay, "pull")
            say_ratio(f"down in {pulls} pulls", relay, before)
            rows = dict(second.sql("SELECT id, photo FROM readings"))
            check(rows["photo-1"] == photo() and set(rows) == {"a", "photo-1", "z"}, "what came down")
            equal([(0,)], second.sql("SELECT count(*) FROM __pieces"), "pieces left")


def test_both_sides_killed_at_random(folder):
    dice = random.Random(OPTIONS.seed)
    server = SERVERS[OPTIONS.server](folder).start()
    try:
        with relay_to(server) as relay:
            device = device_on(folder, server, relay)
            record(device, photo())
            kills = deaths = 0
            longest = 0.4 * OPTIONS.bytes / (4 << 20)
            while device.operations() > 1 and kills < 60:
                push = device.start("push")
                time.sleep(dice.uniform(0, longest))
                if dice.random() < 0.3:
                    server.kill()
                    deaths += 1
                    push.kill()
                    server.start()
                push.kill()
                push.wait()
                kills += 1
            until_done(device, relay)
            ratio = say_ratio(f"{kills} kills of the agent, {deaths} of the server", relay)
            check(on_server(server) == photo(), "the row on the server is not the row")
            equal(3, len(server.rows()), "rows")
            check(ratio <= MOST_UP + kills * 0.05, f"{ratio:.3f} x the blob on the wire")
    finally:
        server.stop()


def test_an_edit_while_it_goes_up_is_what_is_there_in_the_end(folder):
    with Running(SERVERS[OPTIONS.server](folder)) as server:
        with relay_to(server) as relay:
            device = device_on(folder, server, relay)
            record(device, photo())
            relay.cut_after = CUT_BYTES
            if OPTIONS.server == "coap":
                relay.renew()
            device.run("push", expect=None)
            device.sql("UPDATE readings SET name='edited', photo=? WHERE id='photo-1'", photo()[::-1])
            relay.cut_after = None
            until_done(device, relay)
            equal(0, device.operations(), "operations left")
            check(on_server(server) == photo()[::-1], "the edit is not on the server")
            equal("edited", server.rows()["photo-1"]["name"], "the name")


def main():
    global OPTIONS
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=sorted(SERVERS), default="holdfast")
    parser.add_argument("--bytes", type=int, default=4 << 20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("pattern", nargs="?")
    OPTIONS = parser.parse_args()
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    return run_tests(tests, OPTIONS.pattern)


if __name__ == "__main__":
    sys.exit(main())
