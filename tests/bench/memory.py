# SPDX-License-Identifier: Apache-2.0
"""P8: memory of the agent that no other process shares, from the kernel's count, over time.

Private_Clean + Private_Dirty of smaps_rollup: what would be free without this process. What of it is not
anonymous is pages of files, nearly all of the program's own one, which the kernel can drop and read again
(the split by Clean and Dirty does not tell: a file that was just built is dirty itself). The samples can
miss a moment, so VmHWM, the kernel's own mark of all resident memory, stands beside: no peak is above it.
"""
import contextlib
import json
import os
import sqlite3
import statistics
import subprocess
import threading
import time

import graph
from harness import BIN, HoldfastCoapServer, HoldfastServer
from large import LargeRow
from measure import Serving, limit

IDLE_MIB, LARGE_ROW_MIB, GROWTH = 3.0, 6.0, 1.05
SMALL_BACKLOG, BACKLOG, LONG_BACKLOG = 10_000, 100_000, 1_000_000
SAMPLE_SECONDS = 0.002
PROGRESS_SECONDS = 0.1
STATUS_RUNS = 10


class Watch(threading.Thread):
    """Samples a process until it ends; `progress`, when given, is asked now and then how far it is."""

    def __init__(self, pid, progress=None):
        super().__init__(daemon=True)
        self.folder = f"/proc/{pid}"
        self.progress = progress
        self.start_time = time.monotonic()
        self.samples = []  # (seconds, private kB, of these anonymous)
        self.done = []  # (seconds, rows)
        self.resident = 0  # VmHWM, kB
        self.first = threading.Event()  # there is a sample
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
        fields = _fields(f"{self.folder}/smaps_rollup", "Private_Clean:", "Private_Dirty:", "Anonymous:")
        marks = _fields(f"{self.folder}/status", "VmHWM:")
        if len(fields) == 3 and marks:  # a process that is ending has neither
            private = fields["Private_Clean:"] + fields["Private_Dirty:"]
            self.samples.append((time.monotonic() - self.start_time, private, fields["Anonymous:"]))
            self.resident = marks["VmHWM:"]
            self.first.set()

    def peak(self):
        """(MiB, of these anonymous, VmHWM in MiB)"""
        _, private, anonymous = max(self.samples, key=lambda sample: sample[1])
        return private / 1024, anonymous / 1024, self.resident / 1024


def _fields(path, *names):
    found = {}
    with open(path) as file:
        for line in file:
            word = line.split(None, 2)
            if word and word[0] in names:
                found[word[0]] = int(word[1])
    return found


def watched(device, *arguments, progress=None):
    """(Watch, answer) of `holdfast ARGUMENTS --json`, from its start to its end."""
    process = subprocess.Popen(device.command(*arguments, "--json"), stdin=subprocess.DEVNULL,
                               stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    watch = Watch(process.pid, progress)
    output = process.stdout.read()
    code = process.wait()
    watch.join()
    if code != 0:
        raise RuntimeError(f"holdfast {' '.join(arguments)}: exit {code}")
    return watch, json.loads(output)


def note_of(peak):
    return f"{peak[1]:.2f} anonymous, {peak[0] - peak[1]:.2f} of files; VmHWM {peak[2]:.2f}"


def p8(bench):
    idle(bench)
    backlog(bench)
    large_rows(bench)


# ---- idle

def idle(bench):
    what = "private memory, idle after a push over TLS"
    program = os.path.join(BIN, "bench_idle")
    if not os.path.exists(program):
        bench.add_missing("P8", what, "MiB", IDLE_MIB, 1.0, f"there is no {program}")
    peaks, idles = [], []
    with Serving(bench) as server:
        device = bench.device(server)
        for n in range(bench.runs):
            device.record([{"sensor": "x", "value": 1.5, "ts": n, "quality": 0}])
            peaks.append(watched(device, "push")[0].peak())
            if os.path.exists(program):
                device.record([{"sensor": "x", "value": 1.5, "ts": -n, "quality": 0}])
                idles.append(when_idle(program, device))
    for name, peaks_of in ((what, idles), ("private memory, the peak of a push of one row", peaks)):
        if peaks_of:
            peak = statistics.median_low(peaks_of)
            bench.add("P8", name, peak[0], "MiB", IDLE_MIB, 1.0, lower=True, note=note_of(peak))


def when_idle(program, device):
    """Of a program that has pushed a row, keeps its connection, and waits."""
    process = subprocess.Popen([program, device.conf], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    if process.stdout.readline() != b"idle\n":
        raise RuntimeError(f"{program} could not push")
    watch = Watch(process.pid)
    watch.first.wait()
    process.communicate()
    watch.join()
    private, anonymous = watch.samples[0][1:]
    return private / 1024, anonymous / 1024, watch.resident / 1024


# ---- a backlog

def backlog(bench):
    counts = [SMALL_BACKLOG, BACKLOG] + ([LONG_BACKLOG] if bench.options.long else [])
    done = {count: [Backlog(bench, count) for _ in range(1 if count == LONG_BACKLOG else bench.runs)]
            for count in counts}
    for what in ("push", "status"):
        small, *larger = [statistics.median_low([getattr(one, what).peak() for one in done[count]])
                          for count in counts]
        for count, peak in zip(counts[1:], larger):
            failed = [one.failed for one in done[count] if one.failed and what == "status"]
            bench.add("P8", f"private memory, {'bulk ' if what == 'push' else ''}{what} of {count:,} against "
                      f"{SMALL_BACKLOG:,}", peak[0], "MiB", small[0], GROWTH, lower=True, done=not failed,
                      note="; ".join([note_of(peak), *failed[:1]]))
    if bench.options.graph:
        small = statistics.median_low([one.push.peak() for one in done[SMALL_BACKLOG]])
        watch = done[counts[-1]][-1].push
        graph.draw(bench.options.graph, f"holdfast push: a backlog of {counts[-1]:,} rows",
                   [(at, kilobytes / 1024) for at, kilobytes, _ in watch.samples], watch.done,
                   (small[0] * GROWTH, f"{GROWTH} x the peak at {SMALL_BACKLOG:,} rows"))


class Backlog:
    """So many rows, looked at by `status` and sent by a bulk `push`, each with its Watch."""

    def __init__(self, bench, count):
        with Serving(bench) as server:
            device = bench.device(server)
            limit(device.database, count, 1000)
            self.status, self.failed = self._status(device)
            with contextlib.closing(ServerRows(server)) as rows:
                self.push, answer = watched(device, "push", progress=rows.count)
                self.push.done.append((self.push.samples[-1][0], rows.count()))
            if answer["pushed"] != count:
                raise RuntimeError(f"not all were pushed: {answer}")

    @staticmethod
    def _status(device):
        """With a short queue it is over before many samples are taken: the highest of some."""
        watches = []
        for _ in range(STATUS_RUNS):
            process = subprocess.Popen(device.command("status"), stdin=subprocess.DEVNULL,
                                       stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
            watch = Watch(process.pid)
            said = process.stderr.read().decode().strip()
            code = process.wait()
            watch.join()
            if watch.samples:
                watches.append(watch)
        return max(watches, key=Watch.peak), f"FAILED, exit {code}: {said}" if code else ""


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


# ---- large rows

def large_rows(bench):
    for carrier, kind in (("HTTPS", HoldfastServer), ("CoAP", HoldfastCoapServer)):
        for row in (LargeRow("blob"), LargeRow("text")):
            peaks = {"up": [], "down": []}
            for _ in range(bench.runs):
                with Serving(bench, kind) as server:
                    peaks["up"].append(up(bench, server, row))
                    peaks["down"].append(down(bench, server, row))
            for direction, values in peaks.items():
                peak = statistics.median_low(values)
                bench.add("P8", f"private memory, a {row.kind} of 4 MiB {direction}, {carrier}", peak[0], "MiB",
                          LARGE_ROW_MIB, 1.0, lower=True, note=note_of(peak))


def up(bench, server, row):
    device = row.device(bench.fresh("device"), server)
    row.insert(device)
    watch, answer = watched(device, "push")
    if answer["pushed"] != 1 or not row.is_on_server(server):
        raise RuntimeError(f"the row is not on the server: {answer}")
    return watch.peak()


def down(bench, server, row):
    device = row.device(bench.fresh("device"), server)
    watch, answer = watched(device, "pull", "readings")
    if not row.is_on(device):
        raise RuntimeError(f"the row did not come down: {answer}")
    return watch.peak()
