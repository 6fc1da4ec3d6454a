#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CoAP over a link that loses, doubles, delays and reorders: every row once, and in order.

usage: coap_loss_test.py [--rows 1000] [--seed N] [PATTERN]

The first wait for an acknowledgement is 50 ms instead of the 2 s of RFC 7252, so that a minute tells
what would take forty; HOLDFAST_LONG=1 takes the 2 s. How long a push may take is computed from the
chances of the relay and the back-off of RFC 7252 4.2, never from a clock alone.
"""
import argparse
import os
import sys
import time

from harness import Device, HoldfastCoapServer, Running, check, equal, run_tests, same_rows, say
from udp_relay import Faults, UdpRelay

LONG = os.environ.get("HOLDFAST_LONG") == "1"
ACK_SECONDS = 2.0 if LONG else 0.05
ROWS = 1000
SEED = 1
COPIES = 5  # MAX_RETRANSMIT + 1


def reading(n):
    return {"id": f"row-{n:05}", "sensor": f"s{n % 7}", "value": n / 4, "ts": n, "quality": n % 3}


def device_on(folder, server, relay):
    return Device(folder, server, port=relay.address[1],
                  sync={"ack_timeout": f"{int(ACK_SECONDS * 1000)} ms", "write_back_interval": "50 ms",
                        "bulk_rows": 1})


def push_until_complete(device):
    """Pushes until the queue is empty; how often that took a new session."""
    pushes = 0
    while True:
        pushes += 1
        done = device.json("push", expect=None)
        if done["status"] == "complete":
            return pushes
        check(done["status"] in ("timeout", "offline"), f"a push ended with {done}")
        check(pushes < 200, "the push never ends")


def in_order(server):
    """Rows in the order in which the server applied them are in the order of recording."""
    rows = sorted(server.rows().values(), key=lambda row: row["updatedAt"])
    times = [row["ts"] for row in rows]
    equal(sorted(times), times, "the order on the server")


def expected_seconds(rows, loss):
    """Back-off only: copy k+1 goes out after ACK_TIMEOUT * [1..1.5] * 2^k without an answer."""
    lost = 1 - (1 - loss) ** 2
    waits = sum(lost ** (k + 1) * ACK_SECONDS * 1.25 * 2 ** k for k in range(COPIES))
    return rows * waits


def test_a_fifth_is_lost_each_way(folder):
    loss = 0.2
    with Running(HoldfastCoapServer(folder)) as server:
        faults = Faults(loss=loss, duplicate=0.05, reorder=0.05)
        with UdpRelay(("127.0.0.1", server.port), up=faults, down=faults, seed=SEED) as relay:
            device = device_on(folder, server, relay)
            device.run("init")
            device.record([reading(n) for n in range(ROWS)])
            started = time.monotonic()
            pushes = push_until_complete(device)
            seconds = time.monotonic() - started
            say(f"{ROWS} rows in {seconds:.0f} s and {pushes} pushes; RFC 7252's back-off alone "
                f"explains {expected_seconds(ROWS, loss):.0f} s; {relay.counters['up'].lost} and "
                f"{relay.counters['down'].lost} datagrams lost")
            # A message is given up when all its copies were lost; each such end costs the whole
            # back-off and a handshake, which has timers of its own (1 s and more, RFC 6347 4.2.4).
            given_up = (pushes - 1) * (ACK_SECONDS * 1.5 * 2 ** COPIES + 20)
            check(seconds < 2 * expected_seconds(ROWS, loss) + given_up + 60,
                  "slower than back-off explains")
            check(relay.counters["down"].lost > ROWS / 10, "the relay has lost nothing")
        same_rows(device.rows(), server.rows(), "after the losses")
        equal(ROWS, len(server.rows()), "rows on the server")
        equal(0, device.operations(), "operations left")
        in_order(server)


def test_pull_over_a_bad_link(folder):
    with Running(HoldfastCoapServer(folder)) as server:
        writer = Device(os.path.join(folder, "writer"), server)
        writer.run("init")
        writer.record([reading(n) for n in range(500)])
        writer.json("push")
        faults = Faults(loss=0.1, duplicate=0.1, reorder=0.1, delay_ms=(0, 5))
        with UdpRelay(("127.0.0.1", server.port), up=faults, down=faults, seed=SEED) as relay:
            reader = device_on(os.path.join(folder, "reader"), server, relay)
            reader.run("init")
            for _ in range(50):
                if reader.run("pull", "readings", "--json", expect=None).returncode == 0:
                    break
            same_rows(reader.rows(), server.rows(), "pulled over a bad link")


def test_a_large_row_over_a_bad_link(folder):
    with Running(HoldfastCoapServer(folder)) as server:
        faults = Faults(loss=0.05, duplicate=0.05, reorder=0.05)
        with UdpRelay(("127.0.0.1", server.port), up=faults, down=faults, seed=SEED) as relay:
            device = device_on(folder, server, relay)
            device.run("init")
            device.record([dict(reading(1), sensor="x" * 100_000)])
            push_until_complete(device)
        same_rows(device.rows(), server.rows(), "a large row")


def test_a_router_that_forgets(folder):
    """A new port in the middle of a push: the session is lost, the rows are not."""
    with Running(HoldfastCoapServer(folder)) as server:
        with UdpRelay(("127.0.0.1", server.port)) as relay:
            device = device_on(folder, server, relay)
            device.run("init")
            device.record([reading(n) for n in range(300)])
            seen = []

            def tap(direction, data):
                seen.append(direction)
                return data

            relay.tap = tap
            push = device.start("push")
            while len(seen) < 200:
                time.sleep(0.01)
            relay.rebind()
            push.wait()
            push_until_complete(device)
            check(len(server.rows()) == 300, "rows on the server")
            same_rows(device.rows(), server.rows(), "after the new port")
            in_order(server)


def test_corrupted_datagrams_are_as_good_as_lost(folder):
    with Running(HoldfastCoapServer(folder)) as server:
        faults = Faults(corrupt=0.1)
        with UdpRelay(("127.0.0.1", server.port), up=faults, down=faults, seed=SEED) as relay:
            device = device_on(folder, server, relay)
            device.run("init")
            device.record([reading(n) for n in range(100)])
            push_until_complete(device)
        same_rows(device.rows(), server.rows(), "with one datagram in ten damaged")
        in_order(server)


def main():
    global ROWS, SEED
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=ROWS)
    parser.add_argument("--seed", type=int, default=SEED)
    parser.add_argument("pattern", nargs="?")
    options = parser.parse_args()
    ROWS, SEED = options.rows, options.seed
    say(f"seed {SEED}")
    return run_tests([(name, test) for name, test in globals().items() if name.startswith("test_")],
                     options.pattern)


if __name__ == "__main__":
    sys.exit(main())
