# SPDX-License-Identifier: Apache-2.0
"""What the benches share: rows, programs that are timed, servers."""
import json
import os
import random
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import BIN, HoldfastServer  # noqa: E402


def uuid(dice):
    a, b = dice.getrandbits(64), dice.getrandbits(64)
    return "%08x-%04x-4%03x-8%03x-%012x" % (a >> 32, a >> 16 & 0xffff, a & 0xfff, b >> 52,
                                            b & 0xffffffffffff)


def rows(count, seed, ids=True):
    dice = random.Random(seed)
    for i in range(count):
        row = {"id": uuid(dice)} if ids else {}
        row.update(sensor=f"temperature-{i % 10}", value=round(20 + dice.randrange(1000) / 100, 2),
                   ts=1790000000000 + i * 100, quality=0)
        yield row


def write_rows(path, count, seed=1, ids=True):
    with open(path, "w") as file:
        for row in rows(count, seed, ids):
            file.write(json.dumps(row, separators=(",", ":")) + "\n")
    return path


def seconds_of(*command, stdin=None):
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, stdin=stdin)
    return float(done.stdout)


def limit(database, count, per_commit, *prefix):
    return seconds_of(os.path.join(BIN, "bench_sqlite_limit"), database, str(count),
                      str(per_commit), *prefix)


class HighWater(threading.Thread):
    """Peak resident memory of a process, from the kernel's own mark. What wait4() reports is of no
    use: it counts this interpreter, which the child was before it became a program."""

    def __init__(self, pid):
        super().__init__(daemon=True)
        self.path = f"/proc/{pid}/status"
        self.kilobytes = 0
        self.start()

    def run(self):
        try:
            while True:
                with open(self.path) as file:
                    for line in file:
                        if line.startswith("VmHWM:"):
                            self.kilobytes = int(line.split()[1])
                time.sleep(0.005)
        except OSError:
            pass  # it has ended


def timed(command, stdin=None):
    """(wall seconds, CPU seconds, peak resident kB, stdout) of a program."""
    start = time.monotonic()
    process = subprocess.Popen(command, stdin=stdin or subprocess.DEVNULL, stdout=subprocess.PIPE)
    peak = HighWater(process.pid)
    output = process.stdout.read()
    _, status, usage = os.wait4(process.pid, 0)
    wall = time.monotonic() - start
    process.returncode = os.waitstatus_to_exitcode(status)
    return wall, usage.ru_utime + usage.ru_stime, peak.kilobytes, output


class NoServer:
    """For devices that only record."""
    scheme, port = "https", 1

    def credentials(self, _):
        return {}


class Serving:
    """A server of its own for one measurement."""

    def __init__(self, bench, kind=HoldfastServer):
        self.server = kind(bench.fresh("server"))

    def __enter__(self):
        return self.server.start()

    def __exit__(self, *_):
        self.server.stop()
