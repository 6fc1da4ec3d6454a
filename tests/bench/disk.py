# SPDX-License-Identifier: Apache-2.0
"""P10: what a row costs the medium. P11: what the program costs it."""
import json
import os
import shutil
import subprocess
import tempfile
import time

from harness import REPOSITORY
from measure import rows, write_rows

BYTES_A_ROW = 1_500
SECONDS = 40
LONG_SECONDS = 600
BLOCK = 512  # the unit of ru_oublock: write_bytes of /proc/PID/io, in these
PROGRAM_BYTES = 1.1 * (1 << 20)
STRIP = ("arm-linux-gnueabihf-strip", "llvm-strip", "llvm-strip-14")


def written_by(process):
    """Bytes that a process had written to block devices when it ended, by the kernel's account."""
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode != 0:
        raise RuntimeError(f"{process.args}: exit {process.returncode}")
    return usage.ru_oublock * BLOCK


def start(command, stdin):
    return subprocess.Popen(command, stdin=stdin, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def at_one_a_second(bench, count):
    """Rows through a pipe, each at its second: `record` itself decides which share a commit."""
    process = start(bench.device().command("record", "readings"), subprocess.PIPE)
    begin = time.monotonic()
    for n, row in enumerate(rows(count, 1, ids=False)):
        time.sleep(max(0, begin + n - time.monotonic()))
        process.stdin.write((json.dumps(row) + "\n").encode())
        process.stdin.flush()
    process.stdin.close()
    return written_by(process) / count


def at_once(bench, count, per_commit):
    """The same rows without waiting, so many a commit: what the kernel is given does not depend on the
    time between commits, since each ends with a sync."""
    device = bench.device()
    file = write_rows(os.path.join(device.folder, "rows.jsonl"), count, ids=False)
    return written_by(start(device.command("record", "readings", file, "--batch", str(per_commit)),
                            subprocess.DEVNULL)) / count


def p10(bench):
    what = "bytes written a row, 1 row/s, default window"
    if not at_once(bench, 100, 1):
        bench.add_missing("P10", what, "bytes", BYTES_A_ROW, 1.0, "the kernel counts no writes to this file "
                          "system (tmpfs?): set TMPDIR to a folder on a disk")
        return
    value = at_one_a_second(bench, LONG_SECONDS if bench.options.long else SECONDS)
    others = ", ".join(f"{n} a commit {at_once(bench, 1_200, n):,.0f}" for n in (1, 2, 10, 30, 60))
    bench.add("P10", what, value, "bytes", BYTES_A_ROW, 1.0, lower=True, note=others)


def p11(bench):
    what = "holdfast for ARMv7, stripped"
    path = bench.options.armv7 or os.path.join(REPOSITORY, "build", "armv7", "bin", "holdfast")
    strip = next(filter(None, map(shutil.which, STRIP)), None)
    if not os.path.exists(path) or strip is None:
        why = f"{' or '.join(STRIP)} is needed" if os.path.exists(path) else \
            "toolchains/build armv7 makes it, --armv7 FILE names another"
        bench.add_missing("P11", what, "MiB", PROGRAM_BYTES / (1 << 20), 1.0, why)
        return
    with tempfile.NamedTemporaryFile(dir=bench.folder) as copy:
        subprocess.run([strip, "-o", copy.name, path], check=True)
        size, sections = os.path.getsize(copy.name), section_sizes(copy.name)
    bench.add("P11", what, size / (1 << 20), "MiB", PROGRAM_BYTES / (1 << 20), 1.0, lower=True,
              note=f"{size:,} bytes; {sections}, {describe(path)}")


def section_sizes(path):
    if not shutil.which("size"):
        return "of unknown sections"
    lines = subprocess.run(["size", path], check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    text, data, bss = lines[1].split()[:3]
    return f"text {int(text):,}, data {int(data):,}, bss {int(bss):,}"


def describe(path):
    """Which shared libraries it asks for: all but libc's own are to be inside."""
    if not shutil.which("readelf"):
        return "its libraries unknown"
    lines = subprocess.run(["readelf", "-d", path], check=True, stdout=subprocess.PIPE, text=True).stdout
    needed = [line.split("[")[1].rstrip("]") for line in lines.splitlines() if "(NEEDED)" in line]
    return "needs " + " ".join(needed)
