# SPDX-License-Identifier: Apache-2.0
"""P8: memory of the agent that no other process shares, from the kernel's count, over time.

Private_Clean + Private_Dirty of smaps_rollup: what would be free without this process. The clean part
is pages of the program's own file, which the kernel can drop and read again. The samples can miss a
moment, so VmHWM, the kernel's own mark of all resident memory, stands beside: no peak is above it.
"""
import base64
import contextlib
import json
import os
import random
import sqlite3
import statistics
import subprocess
import threading
import time

import graph
from harness import HoldfastCoapServer, HoldfastServer
from measure import Serving, limit

IDLE_MIB, LARGE_ROW_MIB, GROWTH = 3.0, 6.0, 1.05
SMALL_BACKLOG, BACKLOG, LONG_BACKLOG = 10_000, 100_000, 1_000_000
LARGE_ROW_BYTES = 4 << 20
SAMPLE_SECONDS = 0.002
PROGRESS_SECONDS = 0.1
PULL_SECONDS = 300


class Watch(threading.Thread):
    """Samples a process until it ends; `progress`, when given, is asked now and then how far it is."""

    def __init__(self, pid, progress=None):
        super().__init__(daemon=True)
        self.folder = f"/proc/{pid}"
        self.progress = progress
        self.start_time = time.monotonic()
        self.samples = []  # (seconds, private kB, of these clean)
        self.done = []  # (seconds, rows)
        self.resident = 0  # VmHWM, kB
        self.start()

    def run(self):
        asked = 0
        try:
            while True:
                self._sample()
                if self.progress and time.monotonic() - asked >= PROGRESS_SECONDS:
                    asked = time.monotonic()
                    self.done.append((asked - self.start_time, self.progress()))
                time.sleep(SAMPLE_SECONDS)
        except OSError:
            pass  # it has ended

    def _sample(self):
        fields = _fields(f"{self.folder}/smaps_rollup", "Private_Clean:", "Private_Dirty:")
        marks = _fields(f"{self.folder}/status", "VmHWM:")
        if len(fields) == 2 and marks:  # a process that is ending has neither
            clean = fields["Private_Clean:"]
            self.samples.append((time.monotonic() - self.start_time, clean + fields["Private_Dirty:"], clean))
            self.resident = marks["VmHWM:"]

    def peak(self):
        """(MiB, of these clean, VmHWM in MiB)"""
        _, private, clean = max(self.samples, key=lambda sample: sample[1])
        return private / 1024, clean / 1024, self.resident / 1024


def _fields(path, *names):
    found = {}
    with open(path) as file:
        for line in file:
            word = line.split(None, 2)
            if word and word[0] in names:
                found[word[0]] = int(word[1])
    return found


def watched(device, *arguments, progress=None):
    """(Watch, answer) of `holdfast ARGUMENTS --json`, from its start to its end. Exit 4 is an answer too:
    a row was not sent."""
    process = subprocess.Popen(device.command(*arguments, "--json"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watch = Watch(process.pid, progress)
    output = process.stdout.read()
    code = process.wait()
    watch.join()
    if code not in (0, 4):
        raise RuntimeError(f"holdfast {' '.join(arguments)}: exit {code}")
    return watch, json.loads(output)


def note_of(peak):
    return f"{peak[1]:.2f} of it clean; VmHWM {peak[2]:.2f}"


def p8(bench):
    idle(bench)
    backlog(bench)
    large_row(bench)


# ---- idle

def idle(bench):
    # The whole life of a push of one row: what an agent that waits holds cannot be more.
    peaks = []
    with Serving(bench) as server:
        device = bench.device(server)
        for n in range(bench.runs):
            device.record([{"sensor": "x", "value": 1.5, "ts": n, "quality": 0}])
            peaks.append(watched(device, "push")[0].peak())
    peak = statistics.median_low(peaks)
    bench.add("P8", "private memory after a TLS exchange, push of one row", peak[0], "MiB", IDLE_MIB, 1.0,
              lower=True, note=note_of(peak))


# ---- a backlog

def backlog(bench):
    count = LONG_BACKLOG if bench.options.long else BACKLOG
    runs = 1 if bench.options.long else bench.runs
    small = statistics.median_low([push_backlog(bench, SMALL_BACKLOG).peak() for _ in range(bench.runs)])
    watches = [push_backlog(bench, count) for _ in range(runs)]
    large = statistics.median_low([watch.peak() for watch in watches])
    bench.add("P8", f"private memory, bulk push of {count:,} against {SMALL_BACKLOG:,}", large[0], "MiB",
              small[0], GROWTH, lower=True, note=note_of(large))
    if bench.options.graph:
        watch = watches[-1]
        graph.draw(bench.options.graph, f"holdfast push: a backlog of {count:,} rows",
                   [(at, kilobytes / 1024) for at, kilobytes, _ in watch.samples], watch.done,
                   (small[0] * GROWTH, f"{GROWTH} x the peak at {SMALL_BACKLOG:,} rows"))


def push_backlog(bench, count):
    with Serving(bench) as server:
        device = bench.device(server)
        limit(device.database, count, 1000)
        with contextlib.closing(ServerRows(server)) as rows:
            watch, answer = watched(device, "push", progress=rows.count)
            watch.done.append((watch.samples[-1][0], rows.count()))
        if answer["pushed"] != count:
            raise RuntimeError(f"not all were pushed: {answer}")
        return watch


class ServerRows:
    """How many rows have arrived, from the server's database: reading the device's own one would be in
    the way of its checkpoints."""

    def __init__(self, server):
        self.path = os.path.join(server.folder, "server.db")
        self.database = None

    def count(self):
        # Rows are only added here: the last rowid is their number, and costs one step.
        try:
            if self.database is None:
                self.database = sqlite3.connect(f"file:{self.path}?mode=ro", uri=True,
                                                check_same_thread=False)
            return self.database.execute("SELECT max(rowid) FROM readings").fetchone()[0] or 0
        except sqlite3.Error:
            return 0  # the table comes with the first row

    def close(self):
        if self.database is not None:
            self.database.close()


# ---- a large row

def large_text(size, seed=1):
    """Text that gzip gains little on."""
    return base64.b64encode(random.Random(seed).randbytes(size * 3 // 4)).decode()


def large_row(bench):
    for carrier, kind in (("HTTPS", HoldfastServer), ("CoAP", HoldfastCoapServer)):
        with Serving(bench, kind) as server:
            up, sent = push_large(bench, server)
            add_large(bench, f"a row of 4 MiB goes up, {carrier}", up,
                      None if sent else "NOT SENT: the agent keeps rows over 1 MiB on the device (no uploads)")
            if not sent:
                put_on_server(bench, server)
            down, stored = pull_large(bench, server)
            add_large(bench, f"a row of 4 MiB comes down, {carrier}", down,
                      None if stored else "NOT STORED: the agent takes no answer of this length")


def add_large(bench, what, watch, missing):
    peak = watch.peak()
    bench.add("P8", f"private memory, {what}", peak[0], "MiB", LARGE_ROW_MIB, 1.0, lower=True,
              note="; ".join(filter(None, (note_of(peak), missing))), done=missing is None)


def push_large(bench, server):
    device = bench.device(server)
    device.sql("INSERT INTO readings(id, sensor, value, ts, quality) VALUES('large', ?, 1.5, 1, 0)",
               large_text(LARGE_ROW_BYTES))
    watch, answer = watched(device, "push")
    return watch, answer["pushed"] == 1


def put_on_server(bench, server):
    """Past the server, which may not take such a row either: a small one grows in its database."""
    device = bench.device(server)
    device.record([{"id": "large", "sensor": "x", "value": 1.5, "ts": 1, "quality": 0}])
    device.run("push")
    with contextlib.closing(sqlite3.connect(os.path.join(server.folder, "server.db"), timeout=60)) as database:
        database.execute("UPDATE readings SET sensor = ? WHERE id = 'large'", (large_text(LARGE_ROW_BYTES),))
        database.commit()


def pull_large(bench, server):
    device = bench.device(server)
    process = subprocess.Popen(device.command("pull", "readings", "--json"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    watch = Watch(process.pid)
    process.wait(timeout=PULL_SECONDS)
    watch.join()
    stored = device.sql("SELECT length(sensor) FROM readings WHERE id = 'large'")
    return watch, stored == [(LARGE_ROW_BYTES,)]
