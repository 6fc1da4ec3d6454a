#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""CoAP programs that we did not write, on either side of ours.

Debian's coap-client (libcoap on OpenSSL) over DTLS with a pre-shared key and the npm package `coap` read
and write rows on our server; our agent syncs with a server that is built on that package.

usage: coap_peers_test.py [PATTERN]
"""
import json
import os
import subprocess
import sys
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from harness import (Device, HoldfastCoapServer, Process, Running, check, equal,  # noqa: E402
                     run_tests, same_rows)

NPM = os.path.join(HERE, "coap")
KEY = "0123456789abcdefghijklmnopqrstuv"
LARGE = "x" * 100_000


class Server(HoldfastCoapServer):
    """With a key that coap-client can be given on its command line: it takes text."""

    def __init__(self, folder, options=()):
        super().__init__(folder, options=options)
        path = os.path.join(self.folder, "devices.json")
        devices = json.load(open(path))
        devices["devices"][0]["psk"] = KEY.encode().hex()
        json.dump(devices, open(path, "w"))


class PlainServer(Server):
    """Without DTLS, which the npm package does not have."""
    scheme = "coap"

    def __init__(self, folder):
        super().__init__(folder, options=["--allow-anonymous"])

    def start(self):
        self.process = Process(
            [os.path.join(os.environ["HOLDFAST_BIN"], "holdfast-server"), "run", "--data", self.folder,
             "--coap", f"coap://127.0.0.1:{self.port}"] + self.options,
            os.path.join(self.folder, "server.log"))
        (url,) = self.process.wait_for("listening")
        self.port = int(url.rsplit(":", 1)[1])
        return self


def coap_client(server, method, path, *words, key=KEY, identity="device1", expect=True):
    """The payload, and what it says of codes."""
    done = subprocess.run(
        ["coap-client-openssl", "-m", method, "-u", identity, "-k", key, "-B", "10", "-v", "6", *words,
         f"coaps://127.0.0.1:{server.port}/{path}"], capture_output=True, timeout=60)
    text = done.stdout.decode(errors="replace") + done.stderr.decode(errors="replace")
    if expect:
        check("Unable to establish" not in text, text[-2000:])
    return text


def test_coap_client_reads_and_writes(folder):
    with Running(Server(folder)) as server:
        row = {"id": "p1", "sensor": "peer", "value": 1.5, "ts": 1, "quality": 0}
        said = coap_client(server, "post", "tables/readings", "-t", "50", "-e", json.dumps(row))
        check("2.01" in said, said[-2000:])
        stored = server.rows()["p1"]
        equal("peer", stored["sensor"], "what was inserted")
        said = coap_client(server, "get", "tables/readings/p1")
        check('"value":1.5' in said and "2.05" in said, said[-2000:])
        stale = coap_client(server, "patch", "tables/readings/p1", "-O", "1,VERSION0", "-t", "50",
                            "-e", '{"value":2}')
        check("4.12" in stale and "peer" in stale, stale[-2000:])
        said = coap_client(server, "patch", "tables/readings/p1", "-O", f"1,{stored['version']}",
                           "-t", "50", "-e", '{"value":2}')
        check("2.04" in said, said[-2000:])
        equal(2.0, float(server.rows()["p1"]["value"]), "what was updated")
        check("4.04" in coap_client(server, "get", "tables/readings/none"), "no such row")
        check("2.02" in coap_client(server, "delete", "tables/readings/p1"), "deleted")
        check("</changes>" in coap_client(server, "get", ".well-known/core"), "discovery")


def test_coap_client_in_blocks(folder):
    with Running(Server(folder)) as server:
        body = os.path.join(folder, "large.json")
        with open(body, "w") as file:
            json.dump({"id": "large", "sensor": LARGE, "value": 1}, file)
        said = coap_client(server, "post", "tables/readings", "-t", "50", "-b", "512", "-f", body)
        check("2.01" in said, said[-500:])
        equal(LARGE, server.rows()["large"]["sensor"], "up in blocks")
        out = os.path.join(folder, "down.json")
        coap_client(server, "get", "tables/readings/large", "-b", "256", "-o", out)
        equal(LARGE, json.load(open(out))["sensor"], "down in blocks")


def test_coap_client_observes(folder):
    with Running(Server(folder)) as server:
        out = open(os.path.join(folder, "observed"), "wb")
        watcher = subprocess.Popen(
            ["stdbuf", "-oL", "coap-client-openssl", "-m", "get", "-u", "device1", "-k", KEY, "-s", "20",
             "-v", "6",
             f"coaps://127.0.0.1:{server.port}/changes"], stdout=out, stderr=out)
        try:
            deadline = time.monotonic() + 10
            while b"2.05" not in open(out.name, "rb").read():
                check(time.monotonic() < deadline, "no answer to the registration")
                time.sleep(0.05)
            # Another device, by other means: the operator over CoAP with the agent's own program.
            other = Device(folder, server, "device1")
            other.run("init")
            subprocess.run(
                [os.path.join(os.environ["HOLDFAST_BIN"], "holdfast-server"), "device", "add", "--data",
                 server.folder, "device2"], check=True, stdout=subprocess.DEVNULL)
            two = Device(os.path.join(folder, "two"), server, "device2")
            two.run("init")
            two.record([{"id": "o1", "sensor": "s", "value": 1, "ts": 1, "quality": 0}])
            while two.json("push", expect=None)["status"] != "complete":
                check(time.monotonic() < deadline + 20, "device2 is never known")
            moment = server.rows()["o1"]["updatedAt"]
            year = (moment if isinstance(moment, str) else "20")[:2].encode()
            deadline = time.monotonic() + 10
            while open(out.name, "rb").read().count(b"2.05") < 2:
                check(time.monotonic() < deadline, "no notification")
                time.sleep(0.05)
            check(year in open(out.name, "rb").read(), "the notification says when")
        finally:
            watcher.kill()
            watcher.wait()


def test_coap_client_with_wrong_credentials(folder):
    with Running(Server(folder)) as server:
        for words in ({"key": "wrong" + KEY[5:]}, {"identity": "nobody"}):
            said = coap_client(server, "get", "tables/readings", expect=False, **words)
            check("2.05" not in said, said[-500:])
        check("2.05" in coap_client(server, "get", "tables/readings"), "the right ones still work")


def npm(*words):
    modules = subprocess.run([os.path.join(NPM, "setup")], check=True,
                             stdout=subprocess.PIPE).stdout.decode().strip()
    return ["node", os.path.join(NPM, words[0]), "--modules", modules, *words[1:]]


def ask(server, method, path, *words):
    done = subprocess.run(npm("client.js", method, f"coap://127.0.0.1:{server.port}/{path}", *words),
                          capture_output=True, timeout=60)
    check(done.returncode == 0, f"{method} {path}: {done.stdout.decode()}{done.stderr.decode()}")
    return [json.loads(line) for line in done.stdout.decode().splitlines()]


def test_npm_client_reads_and_writes(folder):
    with Running(PlainServer(folder)) as server:
        (made,) = ask(server, "POST", "tables/readings", "--json", '{"id":"n1","value":1}')
        equal("2.01", made["code"], "insert")
        (made,) = ask(server, "POST", "tables/readings", "--cbor-from-json", '{"id":"n2","value":2.5}')
        equal("2.01", made["code"], "insert of CBOR")
        equal(2.5, server.rows()["n2"]["value"], "CBOR")
        (row,) = ask(server, "GET", "tables/readings/n1")
        equal("2.05", row["code"], "lookup")
        (stale,) = ask(server, "PATCH", "tables/readings/n1", "--json", '{"value":3}', "--if-match",
                       "VERSION0")
        equal("4.12", stale["code"], "a stale version")
        (good,) = ask(server, "PATCH", "tables/readings/n1", "--json", '{"value":3}', "--if-match",
                      server.rows()["n1"]["version"])
        equal("2.04", good["code"], "update")
        (large,) = ask(server, "POST", "tables/readings", "--json",
                       json.dumps({"id": "n3", "sensor": LARGE}))
        equal("2.01", large["code"], "a large row")
        (row,) = ask(server, "GET", "tables/readings/n3")
        equal(LARGE, json.loads(row["payload"])["sensor"], "and down again")
        (gone,) = ask(server, "DELETE", "tables/readings/n1")
        equal("2.02", gone["code"], "delete")


class NpmServer:
    scheme = "coap"

    def __init__(self, folder, *options):
        self.folder, self.options, self.port = folder, options, 0

    def start(self):
        self.process = Process(npm("server.js", *self.options), os.path.join(self.folder, "npm.log"))
        (url,) = self.process.wait_for("listening")
        self.port = int(url.rsplit(":", 1)[1])
        return self

    def stop(self):
        return self.process.stop()

    def credentials(self, _device):
        return {}


def test_our_agent_with_an_npm_server(folder):
    with Running(NpmServer(folder)) as server:
        for n in range(5):
            ask(server, "POST", "tables/readings", "--json",
                json.dumps({"id": f"t{n}", "sensor": "theirs", "value": n, "ts": n, "quality": 0}))
        ask(server, "POST", "tables/readings", "--json", json.dumps({"id": "t5", "sensor": LARGE}))
        device = Device(folder, server)
        device.run("init")
        equal("complete", device.json("pull", "readings")["status"], "pull")
        rows = device.rows()
        equal({f"t{n}" for n in range(6)}, set(rows), "what was pulled")
        equal(LARGE, rows["t5"]["sensor"], "a large row came down")
        device.record([{"id": "m1", "sensor": "mine", "value": 1.5, "ts": 7, "quality": 1},
                       {"id": "m2", "sensor": LARGE, "value": 2, "ts": 8, "quality": 1}])
        device.sql("UPDATE readings SET value = 9 WHERE id = 't1'")
        device.sql("DELETE FROM readings WHERE id = 't2'")
        done = device.json("push")
        equal(("complete", 4, 0), (done["status"], done["pushed"], done["conflicts"]), "push")
        theirs = {row["id"]: row for row in map(
            json.loads, device.run("get", "readings", "--remote").stdout.splitlines())}
        same_rows(device.rows(), theirs, "after the push")


def test_a_row_that_changes_while_it_is_read(folder):
    with Running(NpmServer(folder, "--change-etag-between-blocks")) as server:
        ask(server, "POST", "tables/readings", "--json", json.dumps({"id": "t5", "sensor": LARGE}))
        device = Device(folder, server)
        device.run("init")
        failed = device.run("get", "readings", "t5", "--remote", expect=None)
        check(failed.returncode != 0 and b"changed meanwhile" in failed.stderr, failed.stderr.decode())


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    return run_tests(tests, sys.argv[1] if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    sys.exit(main())
