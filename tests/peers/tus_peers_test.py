#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Large rows from an uploader that we did not write: tus-js-client in the IETF draft's protocol.

usage: tus_peers_test.py [PATTERN]
"""
import json
import os
import subprocess
import sys

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, os.path.join(HERE, "..", "e2e"))
from counting_relay import CountingRelay  # noqa: E402
from harness import HoldfastServer, Running, check, equal, run_tests  # noqa: E402

TUS = os.path.join(HERE, "tus")
PROTOCOLS = ("ietf-draft-03", "ietf-draft-05")
SIZE = 3_000_000


class Uploader:
    """One file, and what uploads it."""

    def __init__(self, folder, server, name, size=SIZE, port=None, **more):
        self.server, self.path = server, os.path.join(folder, name + ".json")
        self.port = port or server.port
        self.row = {"id": name, "sensor": "0123456789" * (size // 10), **more}
        with open(self.path, "w") as file:
            json.dump(self.row, file)
        self.bytes = os.path.getsize(self.path)

    def start(self, protocol, *words):
        modules = subprocess.run([os.path.join(TUS, "setup")], check=True,
                                 stdout=subprocess.PIPE).stdout.decode().strip()
        data = self.server.folder
        return subprocess.Popen(
            ["node", os.path.join(TUS, "upload.js"), "--modules", modules, "--protocol", protocol,
             "--to", f"https://127.0.0.1:{self.port}/tables/readings", "--file", self.path,
             "--ca", f"{data}/ca.crt", "--cert", f"{data}/device1.crt", "--key", f"{data}/device1.key", *words],
            stdout=subprocess.PIPE, text=True)

    def run(self, protocol, *words, expect="done"):
        """What it says at the end."""
        said, _ = self.start(protocol, *words).communicate(timeout=60)
        return self.ended(said.splitlines()[-1], expect)

    def ended(self, line, expect="done"):
        end = json.loads(line)
        equal(expect, end["end"], line[:500])
        if expect == "done":
            equal((201, "?1"), (end["status"], end["complete"]), "the closing answer is the row's")
            equal(self.row["sensor"], json.loads(end["body"])["sensor"], "the row in the answer")
            equal(self.row["sensor"], self.server.rows()[self.row["id"]]["sensor"], "the row that is stored")
        return end


def counted(end, method):
    return sum(1 for one, _ in end["requests"] if one == method)


def test_in_one_append_and_in_many(folder):
    with Running(HoldfastServer(folder)) as server:
        for protocol in PROTOCOLS:
            end = Uploader(folder, server, "whole-" + protocol).run(protocol)
            equal([["POST", 201], ["PATCH", 201]], end["requests"], "one append")
            end = Uploader(folder, server, "pieces-" + protocol).run(protocol, "--chunk", "200000")
            equal(15 + 1, counted(end, "PATCH"), "appends")
            equal({201, 204}, {status for _, status in end["requests"]}, "statuses")


def test_a_length_that_shows_at_the_end(folder):
    with Running(HoldfastServer(folder)) as server:
        for protocol in PROTOCOLS:
            Uploader(folder, server, "deferred-" + protocol).run(protocol, "--deferred", "--chunk", "500000")


def test_cut_aborted_and_found_again(folder):
    with Running(HoldfastServer(folder)) as server, CountingRelay(server.port) as relay:
        for protocol in PROTOCOLS:
            uploader = Uploader(folder, server, "cut-" + protocol, port=relay.port)
            store = ["--store", os.path.join(folder, protocol + ".store")]
            relay.cut_after = 1_000_000
            uploader.run(protocol, *store, expect="failed")
            check("cut-" + protocol not in server.rows(), "nothing is stored before it is whole")
            relay.cut_after = None
            uploader.run(protocol, *store, "--abort-at", "2000000", "--chunk", "70001", expect="aborted")
            end = uploader.run(protocol, *store, "--chunk", "300000")
            equal(["HEAD", 204], end["requests"][0], "it asks where it was")
            equal(0, counted(end, "POST"), "it does not begin again")
            check(counted(end, "PATCH") <= 6, f"what had come stayed: {end['requests']}")


def test_a_server_that_is_killed_in_between(folder):
    with Running(HoldfastServer(folder)) as server:
        for protocol in PROTOCOLS:
            uploader = Uploader(folder, server, "killed-" + protocol)
            end = uploader.run(protocol, "--chunk", "500000", "--abort-at", "1700000", expect="aborted")
            server.kill()
            server.start()
            end = uploader.run(protocol, "--upload-url", end["url"], "--chunk", "500000")
            equal((["HEAD", 204], 0), (end["requests"][0], counted(end, "POST")), "it goes on")
            check(counted(end, "PATCH") <= 4, f"what had come stayed: {end['requests']}")


def test_a_server_that_is_killed_meanwhile(folder):
    with Running(HoldfastServer(folder)) as server:
        for protocol in PROTOCOLS:
            uploader = Uploader(folder, server, "meanwhile-" + protocol)
            process = uploader.start(protocol, "--chunk", "65536", "--retry")
            line, kills = "", 0
            for line in process.stdout:
                accepted = json.loads(line).get("accepted", 0)
                if kills < 3 and accepted >= (kills + 1) * 600_000:
                    kills += 1
                    server.kill()
                    server.start()
            process.wait(timeout=60)
            equal(3, kills, "kills")
            end = uploader.ended(line)
            equal(1, counted(end, "POST"), "begun once")
            check(counted(end, "HEAD") >= 3, "it asked after each kill")


def test_a_conflict_is_its_answer(folder):
    with Running(HoldfastServer(folder)) as server:
        for protocol in PROTOCOLS:
            uploader = Uploader(folder, server, "twice-" + protocol, 100_000)
            uploader.run(protocol)
            end = uploader.run(protocol, expect="failed")
            equal((409, "?1"), (end["status"], end["complete"]), "an id that is taken")
            equal("twice-" + protocol, json.loads(end["body"])["id"], "the row that has it")


def test_what_is_refused_at_once(folder):
    with Running(HoldfastServer(folder)) as server:
        end = Uploader(folder, server, "large", 25_200_000).run("ietf-draft-05", expect="failed")
        equal([["POST", 413]], end["requests"], "more than the server takes")


def main():
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")]
    return run_tests(tests, sys.argv[1] if len(sys.argv) > 1 else None)


if __name__ == "__main__":
    sys.exit(main())
