# SPDX-License-Identifier: Apache-2.0
"""The story that toolchains/demo tells, with real programs and this machine's own readings."""
import glob
import json
import os
import sys
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "tests", "e2e"))
sys.dont_write_bytecode = True
from harness import (  # noqa: E402
    Device, HoldfastCoapServer, HoldfastServer, same_rows, workspace)

SERVERS = {"https": HoldfastServer, "coap": HoldfastCoapServer}

COLUMNS = {"sensor": "text", "value": "real", "ts": "integer", "quality": "integer"}


def first_number(path):
    with open(path) as file:
        return float(file.read().split()[0])


def sample():
    """One reading of everything this machine can tell about itself."""
    values = {"load.1min": first_number("/proc/loadavg"), "uptime.s": first_number("/proc/uptime")}
    with open("/proc/meminfo") as file:
        memory = dict(line.split(":") for line in file)
    for key in ("MemAvailable", "Cached"):
        values[f"memory.{key}.kB"] = float(memory[key].split()[0])
    with open("/proc/net/dev") as file:
        for line in file.readlines()[2:]:
            name, counters = line.split(":")
            values[f"net.{name.strip()}.rx"] = float(counters.split()[0])
            values[f"net.{name.strip()}.tx"] = float(counters.split()[8])
    for zone in glob.glob("/sys/class/thermal/thermal_zone*/temp"):
        try:
            values[f"temperature.{zone.split('/')[4]}"] = first_number(zone) / 1000
        except OSError:
            pass  # a zone may be there and have nothing to say
    now = int(time.time() * 1000)
    return [{"sensor": sensor, "value": value, "ts": now, "quality": 0}
            for sensor, value in values.items()]


class Demo:
    def __init__(self, folder, transport):
        self.server = SERVERS[transport](folder, devices=("device1", "operator")).start()
        self.device = Device(folder, self.server, "device1")
        self.operator = Device(folder, self.server, "operator")
        self.recorded = self.pushed = self.again = self.requests = self.sent = 0
        self.started = time.monotonic()

    def say(self, text):
        print(f"[{time.monotonic() - self.started:5.1f} s] {text}", flush=True)

    def record(self, rounds):
        rows = []
        for _ in range(rounds):
            rows += sample()
            time.sleep(0.05)
        self.device.record(rows)
        self.recorded += len(rows)
        return len(rows)

    def push(self, expect=0):
        done = json.loads(self.device.run("push", "--json", expect=expect).stdout)
        self.pushed += done["pushed"]
        self.again += done.get("recognised", 0)
        self.requests += done["requests"]
        self.sent += done["bytes_sent"]
        return done

    def run(self):
        self.device.run("init")
        self.operator.run("init")
        rows = self.record(20)
        done = self.push()
        self.say(f"recorded {rows} readings of this machine and pushed {done['pushed']}")

        self.server.stop()
        self.say("the server is gone")
        rows = self.record(20)
        done = self.push(expect=3)
        self.say(f"recorded {rows} more; push says '{done['status']}', "
                 f"{done['remaining']} rows wait in the queue")
        rows = self.record(20)
        self.server.start()
        done = self.push()
        self.say(f"recorded {rows} more; the server is back: pushed {done['pushed']}, "
                 f"{done['remaining']} wait")

        # Somebody corrects a reading and removes another, on the server.
        victims = sorted(self.device.rows())[:2]
        self.operator.run("put", "readings", "--remote",
                          text=json.dumps({"id": victims[0], "quality": 9}) + "\n")
        self.operator.run("delete", "readings", victims[1], "--remote")
        done = json.loads(self.device.run("pull", "readings", "--json").stdout)
        pulled = done["tables"]["readings"]
        self.say(f"an operator changed one row and deleted one on the server: pulled "
                 f"{pulled['received']} and {pulled['deleted']}")

        # Both sides change one row: neither copy is lost, and the other rows do not wait.
        self.operator.run("put", "readings", "--remote",
                          text=json.dumps({"id": victims[0], "quality": 1}) + "\n")
        self.device.sql("UPDATE readings SET quality = 2 WHERE id = ?", victims[0])
        done = self.push(expect=4)
        (mine, theirs), = self.device.sql("SELECT item, rawResult FROM __errors")
        self.say(f"both changed one row: {done['conflicts']} conflict, both copies kept (ours and "
                 f"the server's, {len(mine)} and {len(theirs)} bytes)")
        self.settle(victims[0])
        return self.compare(pulled)

    def settle(self, key):
        """The server's copy wins here."""
        self.device.run("resolve", key, "--keep", "server")
        self.say("resolved: the server's copy is kept")

    def compare(self, pulled):
        mine = self.device.rows()
        theirs = {row["id"]: row for row in
                  map(json.loads, self.device.run("get", "readings", "--remote").stdout.splitlines())}
        same_rows(mine, theirs, "in the end")
        lost = self.recorded - pulled["deleted"] - len(theirs)
        print(f"""
  recorded    {self.recorded:6}   rows, {len({row['sensor'] for row in mine.values()})} sensors of this machine
  pushed      {self.pushed:6}   in {self.requests} requests, {self.sent} bytes sent
  pulled      {pulled['received'] + pulled['deleted']:6}   changes made on the server
  sent again  {self.again:6}
  lost        {lost:6}
  server      {len(theirs):6}   rows, equal to the device's {len(mine)} column by column
""")
        return 0 if lost == 0 and self.again == 0 else 1


def main():
    with workspace() as folder:
        demo = Demo(folder, sys.argv[1])
        try:
            return demo.run()
        finally:
            demo.server.stop()


if __name__ == "__main__":
    sys.exit(main())
