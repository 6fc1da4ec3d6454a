# SPDX-License-Identifier: Apache-2.0
"""P4, P5 and P6 beside two published offline clients that push the same rows: tests/bench/peers/.

A peer's number stands where the other lines have a limit. All of it goes over TLS on loopback; bytes are
counted by a relay in a run of their own, since a relay takes a core that client and server need.
"""
import json
import os
import shutil
import statistics
import subprocess
import tempfile

from counting_relay import CountingRelay
from harness import REPOSITORY, Device, HoldfastServer, NpmServer, Process
from measure import Serving, timed, write_rows

HERE = os.path.dirname(os.path.abspath(__file__))
ROWS = 10_000
ROWS_AS_SHIPPED = 300  # 14 a second: it takes its time from a timer
SECONDS = 900


class PouchServer(NpmServer):
    """express-pouchdb, with Node's own https in front."""
    name = "express-pouchdb"
    peer = os.path.join(REPOSITORY, "tests", "peers", "offline-clients")

    def start(self):
        self.databases = os.path.join(self.folder, "databases")
        os.makedirs(self.databases)
        self.process = Process(
            ["node", os.path.join(HERE, "peers", "pouchdb_server.js"), "--modules", self.modules, "--data",
             self.databases, "--cert", self.certificate, "--key", self.key, "--port", str(self.port)],
            os.path.join(self.folder, "npm.log"))
        (url,) = self.process.wait_for("listening")
        self.port = int(url.rsplit(":", 1)[1])
        return self

    def stop(self):
        code = super().stop()
        shutil.rmtree(self.databases)  # LevelDB calls its files .log, which are printed when a bench fails
        return code


class Push:
    """Rows a second, and CPU seconds per 10,000 rows."""

    def __init__(self, count, seconds, cpu):
        self.rate = count / seconds
        self.cpu = cpu / count * 10_000


class Holdfast:
    """The agent, pushing to a server of this kind."""

    def __init__(self, bench, kind, file):
        self.bench, self.kind, self.file = bench, kind, file

    def push(self, server, port):
        device = Device(self.bench.fresh("device"), server, port=port)
        device.run("init")
        device.run("record", "readings", self.file)
        wall, cpu, _, output = timed(device.command("push", "--json"))
        if json.loads(output)["pushed"] != ROWS:
            raise RuntimeError(f"not all pushed: {output}")
        return Push(ROWS, wall, cpu)


class Peer:
    """A published client, run by one of our drivers."""

    def __init__(self, bench, kind, driver, file, count, *options):
        self.bench, self.kind, self.file, self.count = bench, kind, file, count
        self.command = ["node", os.path.join(HERE, "peers", driver), "--modules", modules(), "--rows", file,
                        *options]

    def push(self, server, port):
        with tempfile.TemporaryDirectory(dir=self.bench.folder) as folder:
            done = subprocess.run(
                [*self.command, "--folder", folder, "--url", f"https://127.0.0.1:{port}"],
                env={**os.environ, "NODE_EXTRA_CA_CERTS": server.certificate}, stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, timeout=SECONDS, check=True)
        result = json.loads(done.stdout)
        return Push(self.count, result["seconds"], result["cpu"])


def timed_push(client):
    with Serving(client.bench, client.kind) as server:
        return client.push(server, server.port)


def counted_push(client):
    """Bytes a row, up and down."""
    with Serving(client.bench, client.kind) as server, CountingRelay(server.port) as relay:
        client.push(server, relay.port)
        return relay.up / ROWS, relay.down / ROWS


def modules():
    """The folder of the installed packages."""
    return subprocess.run([os.path.join(PouchServer.peer, "setup")], check=True,
                          stdout=subprocess.PIPE).stdout.decode().strip()


def rounds(bench, clients):
    """The pushes of each client, once a round, in an order that turns."""
    got = [[] for _ in clients]
    for n in range(bench.runs):
        for k in range(len(clients)):
            at = (n + k) % len(clients)
            got[at].append(timed_push(clients[at]))
    return got


def compare(bench, name, who, mine, theirs, note):
    def median(pushes, field):
        return statistics.median(getattr(push, field) for push in pushes)

    bench.add(f"P4 {name}", f"push of 10,000 rows, {who}", median(mine, "rate"), "rows/s",
              median(theirs, "rate"), 1.0, note=note)
    bench.add(f"P5 {name}", f"CPU per 10,000 rows, {who}", median(mine, "cpu"), "s", median(theirs, "cpu"),
              1.0, lower=True)


def compare_bytes(bench, name, who, mine, theirs):
    bench.add(f"P6 {name}", f"bytes a row both ways, {who}", sum(mine), "bytes", sum(theirs), 1.0, lower=True,
              note=f"{mine[0]:.1f} up, {mine[1]:.1f} down; theirs {theirs[0]:.0f} and {theirs[1]:.0f}")


def peers(bench):
    try:
        modules()
    except (OSError, subprocess.CalledProcessError):
        bench.add_missing("P4 peers", "published clients", "rows/s", 1, 1.0,
                          "tests/peers/offline-clients/setup failed: it needs node, npm and its registry")
        return
    file = write_rows(os.path.join(bench.folder, "peers.jsonl"), ROWS)
    few = write_rows(os.path.join(bench.folder, "few.jsonl"), ROWS_AS_SHIPPED)
    clients = [Holdfast(bench, HoldfastServer, file), Peer(bench, PouchServer, "pouchdb.js", file, ROWS),
               Holdfast(bench, NpmServer, file), Peer(bench, NpmServer, "azure.js", file, ROWS, "--fast-timers")]
    bulk, pouch, single, azure = rounds(bench, clients)
    compare(bench, "peer pouchdb", "PouchDB", bulk, pouch, "random UUIDs, each client to its own server")
    compare(bench, "peer azure", "azure, fast timers", single, azure,
            "azure-mobile-apps-client; both to azure-mobile-apps, one row a request")
    shipped = [timed_push(Peer(bench, NpmServer, "azure.js", few, ROWS_AS_SHIPPED))]
    compare(bench, "peer azure-shipped", "azure as shipped", single, shipped, f"its {ROWS_AS_SHIPPED} rows, once")
    bulk, pouch, single, azure = map(counted_push, clients)
    compare_bytes(bench, "peer pouchdb", "PouchDB", bulk, pouch)
    compare_bytes(bench, "peer azure", "azure", single, azure)
