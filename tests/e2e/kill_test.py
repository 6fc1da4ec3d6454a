#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""kill -9 of the agent at random moments of a push: every row arrives once, nothing stays queued.

usage: kill_test.py --server holdfast|coap|npm [--rows 2000] [--kills 200] [--seed N]
"""
import argparse
import random
import sys
import time

from harness import (Device, HoldfastCoapServer, HoldfastServer, NpmServer, check, equal, same_rows,
                     say, workspace)

SERVERS = {"holdfast": HoldfastServer, "coap": HoldfastCoapServer, "npm": NpmServer}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=sorted(SERVERS), default="holdfast")
    parser.add_argument("--rows", type=int, default=2000)
    parser.add_argument("--kills", type=int, default=200)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    dice = random.Random(options.seed)
    say(f"seed {options.seed}: {options.kills} kills, {options.rows} rows, {options.server}")

    with workspace() as folder:
        server = SERVERS[options.server](folder).start()
        try:
            device = Device(folder, server)
            device.run("init")
            recorded = kills = midway = doubtful = 0
            longest = 0.05
            while kills < options.kills:
                # The queue is filled up again after each kill, so that each meets a long push.
                missing = options.rows - device.operations()
                device.record([{"sensor": f"s{recorded + i}", "value": (recorded + i) / 4,
                                "ts": recorded + i, "quality": i % 3} for i in range(missing)])
                recorded += missing
                push = device.start("push")
                time.sleep(dice.uniform(0, longest))
                push.kill()
                push.wait()
                kills += 1
                left = device.operations()
                midway += left < options.rows
                if kills % 10 == 0:
                    # Rows that the server has and the device does not know of: their answers died.
                    doubtful += len(server.rows()) + left > recorded
                # Aim at the first few windows of the push, wherever they are on this machine.
                longest = min(5.0, longest * 1.5) if left > options.rows - 100 else longest * 0.8
            done = device.json("push")
            equal("complete", done["status"], "the last push")
            equal(0, device.operations(), "operations left")
            equal(0, done["conflicts"], "conflicts with our own writes")
            rows = device.rows()
            equal(recorded, len(rows), "rows on the device")
            same_rows(rows, server.rows(), "after the kills")
            versions = {row["version"] for row in rows.values()}
            check(None not in versions, "a row has no version although the server has it")
            check(midway > options.kills // 10, f"only {midway} of {kills} kills met a push at work")
            say(f"{kills} kills, {midway} of them after rows had gone ({doubtful} of "
                f"{options.kills // 10} looked at with answers lost); {recorded} rows: each on the "
                f"server once, 0 pending, 0 conflicts, {done['recognised']} recognised at the end")
        finally:
            server.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
