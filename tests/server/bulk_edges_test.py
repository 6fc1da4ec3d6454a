#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""POST /bulk at its edges: what else is in the body, ceilings, damage, packed bodies, kill -9 under load.

bulk_test.py has what it is for.
usage: bulk_edges_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import datetime
import gzip
import http.client
import json
import os
import random
import re
import shutil
import signal
import socket
import sqlite3
import struct
import sys
import threading
import time

from harness import Client, Server, expect, row_of, run_each

STEP = 8  # microseconds between the moments of one bulk
FIRST_MOMENT = 1577836800000000
DIGITS = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"


def version_of(moment):
    steps = (moment - FIRST_MOMENT) // STEP
    return "".join(DIGITS[steps >> 6 * i & 63] for i in reversed(range(8)))


def moment_of(text):
    at = datetime.datetime.strptime(text, "%Y-%m-%dT%H:%M:%S.%f%z")
    return (at - datetime.datetime.fromtimestamp(0, datetime.timezone.utc)) // datetime.timedelta(microseconds=1)


def inserts(first, names, changes=0, table="readings"):
    return [[table, "i", ["n"]], first, changes, [[name, i] for i, name in enumerate(names)]]


class Sender:
    """One incarnation of a device's queue."""

    def __init__(self, client, installation="installation", incarnation="a"):
        self.client, self.names = client, [installation, incarnation]
        self.acknowledged = self.applied = 0

    def body(self, *runs):
        return [1, *self.names, self.acknowledged, self.applied, list(runs)]

    def send(self, *runs):
        return self.client("POST", "/bulk", self.body(*runs))

    def __call__(self, *runs):
        """The outcomes; of every operation exactly one, in order."""
        outcomes = expect(self.send(*runs), 200).json
        told = []
        for outcome in outcomes:
            told += range(outcome[0], outcome[0] + (outcome[1] if is_done(outcome) else 1))
        assert told == [run[1] + i for run in runs for i in range(len(run[3]))], outcomes
        return outcomes


def moments(outcomes):
    """By sequence, of those that were applied."""
    return {o[0] + i: o[2] + i * STEP for o in outcomes if is_done(o) for i in range(o[1])}


def is_done(outcome):
    return isinstance(outcome[2], int)


def lookup(client, name, table="readings"):
    return client("GET", f"/tables/{table}/{name}")


# ---- what a bulk does

def test_kinds_and_tables_in_one_body(c, server):
    outcomes = Sender(c)(
        inserts(1, ["a", "b"]), inserts(3, ["a"], table="Others"),
        [["readings", "u", ["n", "text"]], 4, 2, [["a", None, 7, "x"]]],
        [["readings", "d", []], 5, 0, [["b", None]]],
        [0, 9, 1, [["c", 2.5]]])
    told = moments(outcomes)
    assert sorted(told) == [1, 2, 3, 4, 5, 9]
    row = row_of(lookup(c, "a"))
    assert (row["n"], row["text"]) == (7, "x") and row["version"] == version_of(told[4])
    assert row["updatedAt"] > row["createdAt"]
    expect(lookup(c, "b"), 404)
    assert row_of(lookup(c, "c"))["n"] == 2.5
    assert row_of(lookup(c, "a", "others"))["n"] == 0


def test_refusals_stand_alone(c, server):
    c("POST", "/tables/readings", {"id": "taken", "n": -1})
    c("POST", "/tables/readings", {"id": "yes", "flag": True})
    row = row_of(lookup(c, "taken"))
    outcomes = Sender(c)(
        inserts(1, ["a", "taken", "b", "with/slash", "c"]),
        [["readings", "u", ["n"]], 6, 0, [["missing", None, 1]]],
        [["readings", "u", ["flag"]], 7, 0, [["a", None, 5]]],
        [["no table", "i", ["n"]], 8, 0, [["a", 1]]],
        [["readings", "i", ["__bad"]], 9, 0, [["d", 1]]],
        [["readings", "u", []], 10, 0, [["b", None]]],
        [["nowhere", "d", []], 11, 0, [["b", None]]], inserts(12, ["e"]))
    refused = [o for o in outcomes if not is_done(o)]
    assert [o[:2] for o in refused] == [
        [2, 409], [4, 400], [6, 404], [7, 400], [8, 400], [9, 400], [10, 400], [11, 404]], outcomes
    assert refused[0][2] == row and all(isinstance(o[2], str) and o[2] for o in refused[1:])
    for name in "abce":
        row_of(lookup(c, name))
    expect(lookup(c, "d"), 404)
    assert "__bad" not in row_of(lookup(c, "a"))


def test_what_follows_a_refusal_is_passed_over(c, server):
    row_of(c("POST", "/tables/readings", {"id": "taken", "n": -1}), 201)
    head = ["READINGS", "u", ["n"]]
    s = Sender(c)
    outcomes = s(inserts(1, ["taken", "free"]), [head, 3, 0, [["taken", None, 5], ["free", None, 6]]],
                 [["readings", "u", []], 5, 0, [["free", None]]],
                 [["readings", "d", []], 6, 0, [["taken", None], ["free", None]]])
    assert [o[:2] for o in outcomes if not is_done(o)] == [
        [1, 409], [3, 424], [5, 400], [6, 424], [7, 424]], outcomes
    assert row_of(lookup(c, "taken"))["n"] == -1 and row_of(lookup(c, "free"))["n"] == 6
    # In another body it is an operation like any other.
    assert is_done(s([head, 8, 0, [["taken", None, 5]]])[0])


# ---- each operation once

def test_part_of_a_body_comes_again(c, server):
    s = Sender(c)
    moment = s(inserts(1, [f"r{i}" for i in range(10)]))[0][2]
    names = ["r4", "r5", "r6"]
    again = [["readings", "i", ["n"]], 5, 0, [[name, i] for i, name in enumerate(names, 4)]]
    outcomes = s(again, inserts(11, ["new"]))
    assert outcomes[0] == [5, 3, moment + 4 * STEP] and outcomes[1][0] == 11


def test_incarnations_and_devices_do_not_mix(c, server):
    a, b = Sender(c, incarnation="a"), Sender(c, incarnation="b")
    for i in range(3):
        for sender in (a, b):
            name = f"{sender.names[1]}{i}"
            assert is_done(sender(inserts(i + 1, [name]))[0])
            row_of(lookup(c, name))
    theirs = Sender(Client(server, "device2"), incarnation="a")
    assert theirs(inserts(1, ["a0"]))[0][1] == 409, "not what another device was told"
    theirs.applied = 1
    assert expect(theirs.send(inserts(4, ["x"])), 409).json["reason"] == "restored"
    a.applied = 3
    assert is_done(a(inserts(4, ["x"]))[0])


# ---- one of the two has lost its memory

def test_kill_while_bulks_arrive(c, server):
    """Whatever was cut off comes again; each row is there once and with the moment that was told last."""
    told, cut = {}, 0
    s = Sender(c)
    for round_ in range(4):
        killer = threading.Timer(0.02 + 0.1 * random.random(), server.stop, (signal.SIGKILL,))
        killer.start()
        first = 1 + max(told, default=0)
        try:
            while True:
                names = [f"r{i}" for i in range(first, first + 200)]
                run = [["readings", "i", ["n"]], first, 0, [[n, i] for i, n in enumerate(names, first)]]
                for at, count, moment in s(run):
                    told.update((at + i, moment + i * STEP) for i in range(count))
                first += 200
        except (OSError, http.client.HTTPException):
            cut += 1
        killer.join()
        s.client = Client(server.start())
        names = [f"r{i}" for i in range(first, first + 200)]
        run = [["readings", "i", ["n"]], first, 0, [[n, i] for i, n in enumerate(names, first)]]
        (at, count, moment), = s(run)
        told.update((at + i, moment + i * STEP) for i in range(count))
    assert cut == 4
    with sqlite3.connect(server.data + "/server.db") as db:
        rows = dict(db.execute("SELECT n,version FROM readings"))
    assert rows == {n: version_of(moment) for n, moment in told.items()}


def test_what_is_acknowledged_is_forgotten(c, server):
    s = Sender(c)

    def kept():
        with sqlite3.connect(server.data + "/server.db") as db:
            return db.execute("SELECT first,count FROM __outcomes ORDER BY first").fetchall()
    s(inserts(1, [f"r{i}" for i in range(300)]))
    s(inserts(301, [f"r{i}" for i in range(300, 302)]))
    assert kept() == [(1, 300), (301, 2)]
    s.acknowledged, s.applied = 299, 302
    s(inserts(303, ["x"]))
    assert kept() == [(1, 300), (301, 2), (303, 1)]
    s.acknowledged = 303
    s(inserts(304, ["y"]))
    assert kept() == [(304, 1)]


def test_senders_of_a_device_have_a_ceiling(c, server):
    def count():
        with sqlite3.connect(server.data + "/server.db") as db:
            return [db.execute("SELECT count(*) FROM " + t).fetchone()[0] for t in ("__senders", "__outcomes")]
    other = Sender(Client(server, "device2"), incarnation="theirs")
    other(inserts(1, ["theirs"]))
    first = Sender(c, incarnation="i0")
    first(inserts(1, ["i0"]))
    for i in range(1, 1001):
        Sender(c, incarnation=f"i{i}")(inserts(1, [f"i{i}"]))
    assert count() == [1001, 1001]
    first.applied = 1
    assert expect(first.send(inserts(2, ["x"])), 409).json["reason"] == "restored"
    last = Sender(c, incarnation="i1000")
    last.applied = 1
    assert is_done(last(inserts(2, ["x"]))[0])
    other.applied = 1
    assert is_done(other(inserts(2, ["y"]))[0])


# ---- what comes over the wire

def test_a_bomb_costs_no_more_than_a_body(c, server):
    Sender(c)(inserts(1, ["a"]))
    bomb = gzip.compress(b"[" + b" " * (900 << 20), 9)
    assert len(bomb) < 1 << 20
    before, started = server.resident_kib(), time.monotonic()
    for _ in range(5):
        expect(c("POST", "/bulk", bomb, Content_Encoding="gzip"), 413)
    assert server.resident_kib() - before < 8 << 10 and time.monotonic() - started < 5


def test_limits(c, server):
    s = Sender(c)
    expect(s.send(inserts(1, [f"r{i}" for i in range(1001)])), 413)
    body = json.dumps(s.body(inserts(1, ["a"]))).encode()
    assert expect(c("POST", "/bulk", body + b" " * ((256 << 10) - len(body))), 200)
    expect(c("POST", "/bulk", body + b" " * ((256 << 10) + 1 - len(body))), 413)
    expect(c("POST", "/bulk", gzip.compress(body + b" " * (256 << 10)), Content_Encoding="gzip"), 413)
    expect(lookup(c, "r0"), 404)
    Sender(c, incarnation="i" * 64)(inserts(1, ["b"]))
    # A row may not grow beyond its limit in small steps either.
    s = Sender(c, incarnation="large")
    row_of(c("POST", "/tables/readings", {"id": "large", "text": "x" * 900000}), 201)
    outcomes = s([["readings", "u", ["more"]], 1, 0, [["large", None, "y" * 200000]]], inserts(2, ["c"]))
    assert outcomes[0][:2] == [1, 413] and is_done(outcomes[1])
    assert "more" not in lookup(c, "large").json and "more" not in lookup(c, "c").json


def test_malformed(c, server):
    good = Sender(c).body(inserts(1, ["a"]))
    run, second = good[5][0], inserts(2, ["second"])

    def but(at, value):
        return good[:at] + [value] + good[at + 1:]

    def run_but(at, value):
        return but(5, [run, second[:at] + [value] + second[at + 1:]])
    bodies = [{}, None, 1, "x", [], [1], good[:5], good + [1], but(0, 2), but(0, "1"), but(1, ""), but(1, "i" * 65),
              but(1, "a b"), but(1, "\u00e9"), but(1, 1), but(2, ""), but(2, "\n"), but(3, -1), but(3, "0"),
              but(3, 1.5),
              but(4, -1), but(4, None), but(5, 1), but(5, [1]), but(5, [[]]), but(5, [run + [1]]), but(5, [run[:3]]),
              run_but(0, 1), run_but(0, -1), run_but(0, "readings"), run_but(0, ["readings", "x", ["n"]]),
              run_but(0, ["", "i", ["n"]]), run_but(0, ["t" * 65, "i", ["n"]]), run_but(0, ["readings", "i", "n"]),
              run_but(0, ["readings", "i", ["n", "N"]]), run_but(0, ["readings", "i", ["id"]]),
              run_but(0, ["readings", "i", ["version"]]), run_but(0, ["readings", "i", [""]]),
              run_but(0, ["readings", "d", ["n"]]), run_but(0, ["readings", "i", [f"c{i}" for i in range(65)]]),
              run_but(1, 1), run_but(1, 0), run_but(1, -5), run_but(1, 2**63), run_but(1, 2**63 - 2),
              run_but(2, -1), run_but(2, None), run_but(3, {}), run_but(3, [["b"]]), run_but(3, [["b", 1, 2]]),
              run_but(3, [[1, 1]]), run_but(3, [["", 1]]), run_but(3, [["i" * 256, 1]]), run_but(3, [["b", [1]]]),
              run_but(3, [["b", {"a": 1}]])]
    texts = [json.dumps(body) for body in bodies] + [
        "", "[", json.dumps(good)[:-1], json.dumps(good) + "]", "[" * 10000]
    texts = [text.encode() for text in texts] + [b"\x00\xff", json.dumps(good).encode()[:-40] + b'"\xff"]]]]']
    for text in texts:
        answer = c("POST", "/bulk", text)
        assert answer.status == 400 and answer.json["error"], (text[:200], answer)
    assert re.search(r"at byte \d+$", c("POST", "/bulk", texts[0]).json["error"])
    expect(lookup(c, "a"), 404)
    with sqlite3.connect(server.data + "/server.db") as db:
        assert db.execute("SELECT count(*) FROM __senders").fetchone() == (0,)
    assert is_done(Sender(c)(inserts(1, ["a"]))[0])


def test_random_damage(c, server):
    source = random.Random(11)
    update = [["readings", "u", ["n"]], 3, 0, [["a", None, 1]]]
    good = json.dumps(Sender(c).body(inserts(1, ["a", "b"]), update)).encode()
    for _ in range(600):
        body = bytearray(good)
        for _ in range(source.randint(1, 4)):
            at = source.randrange(len(body))
            kind = source.randrange(3)
            if kind == 0:
                body[at] = source.randrange(256)
            elif kind == 1:
                del body[at]
            else:
                body[at:at] = source.choice([b"[", b"]", b",", b'"', b"{", b"9", b"null", b"-"])
        answer = c("POST", "/bulk", bytes(body))
        assert answer.status in (200, 400, 409), (bytes(body), answer)
    assert server.process.poll() is None


def test_methods_and_types(c, server):
    body = Sender(c).body(inserts(1, ["a"]))
    for method in ("GET", "PUT", "PATCH", "DELETE"):
        assert expect(c(method, "/bulk"), 405).headers["Allow"] == "POST"
    for kind in ("text/plain", "application/merge-patch+json", "application/jsonx"):
        expect(c("POST", "/bulk", body, Content_Type=kind), 415)
    answer = expect(c("POST", "/bulk", body, Content_Type="Application/JSON ; charset=utf-8",
                      Content_Encoding="identity"), 200)
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Cache-Control"] == "no-store" and answer.etag is None


def test_who_may(c, server):
    body = json.dumps(Sender(c).body(inserts(1, ["a"])))
    stranger = Client(server, device=None)
    assert expect(stranger("POST", "/bulk", body), 401).headers["WWW-Authenticate"] == "Bearer"
    expect(stranger("POST", "/bulk", body, Authorization="Bearer nonsense"), 401)
    expect(lookup(c, "a"), 404)
    token = server.token("device1")
    outcomes = expect(stranger("POST", "/bulk", body, Authorization="Bearer " + token), 200).json
    assert Sender(c)(inserts(1, ["a"])) == outcomes, "the same device, whatever it shows"


def test_anonymous(c, server):
    server.stop()
    server.start("--allow-anonymous")
    nobody = Sender(Client(server, device=None))
    outcomes = nobody(inserts(1, ["a"]))
    assert nobody(inserts(1, ["a"])) == outcomes
    assert Sender(Client(server))(inserts(1, ["a"]))[0][1] == 409


def test_a_peer_that_goes_away(c, server):
    """Whether or not its answer arrived, the device asks again and is told the same."""
    s = Sender(c)
    body = json.dumps(s.body(inserts(1, [f"r{i}" for i in range(1000)]))).encode()
    raw = server.raw()
    raw.sendall(b"POST /bulk HTTP/1.1\r\nHost: h\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
                % len(body) + body)
    raw.shutdown(socket.SHUT_RDWR)
    raw.close()
    outcomes = s(inserts(1, [f"r{i}" for i in range(1000)]))
    assert len(outcomes) == 1 and outcomes[0][:2] == [1, 1000]


def test_storage_that_cannot(c, server):
    """Somebody with sqlite3 holds the database: 503, nothing is applied, and later all of it is."""
    s = Sender(c)
    s(inserts(1, ["a"]))
    holder = sqlite3.connect(server.data + "/server.db", isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    answer = expect(s.send(inserts(2, ["b"]), inserts(3, ["c"], table="new")), 503)
    assert answer.headers["Retry-After"]
    holder.execute("ROLLBACK")
    holder.close()
    expect(lookup(c, "b"), 404)
    assert sorted(moments(s(inserts(2, ["b"]), inserts(3, ["c"], table="new")))) == [2, 3]


def test_what_a_restored_server_has_is_what_it_had_of_this_device(c, server):
    """Others have written since, and may even have been refused: that says nothing of what this device lost."""
    s, theirs = Sender(c), Client(server, "device2")
    last = s(inserts(1, ["a", "b"]))[0][2] + STEP
    server.stop()
    shutil.copy(server.data + "/server.db", server.data + "/backup")
    s.client = Client(server.start())
    s(inserts(3, ["lost"]))
    s.acknowledged, s.applied = 2, 3
    server.stop()
    shutil.copy(server.data + "/backup", server.data + "/server.db")
    server.start()
    s.client, theirs = Client(server), Client(server, "device2")
    row_of(theirs("POST", "/tables/readings", {"id": "theirs"}), 201)
    expect(theirs("POST", "/bulk", json.dumps(Sender(c).body(inserts(1, ["x"])))[:-1]), 400)
    refused = expect(s.send(inserts(4, ["never"])), 409).json
    assert refused["reason"] == "restored" and moment_of(refused["newest"]) == last, (refused, last)
    # Of one that it does not know it has nothing, whatever else it has.
    stranger = Sender(s.client, incarnation="unknown")
    stranger.applied = 1
    assert expect(stranger.send(inserts(2, ["never"])), 409).json["newest"] == ""
    expect(lookup(s.client, "never"), 404)


# ---- packed bodies

SAME, REFERENCE = object(), object()


def cbor(item):
    def head(major, number):
        for bits, size in ((24, 0), (1 << 8, 1), (1 << 16, 2), (1 << 32, 4), (1 << 64, 8)):
            if number < bits:
                if size == 0:
                    return bytes([major << 5 | number])
                return bytes([major << 5 | 23 + size.bit_length()]) + number.to_bytes(size, "big")
        raise OverflowError(number)
    if item is SAME:
        return b"\xf7"
    if item is None:
        return b"\xf6"
    if isinstance(item, bool):
        return b"\xf5" if item else b"\xf4"
    if isinstance(item, int):
        return head(0, item) if item >= 0 else head(1, -1 - item)
    if isinstance(item, float):
        return b"\xfb" + struct.pack(">d", item)
    if isinstance(item, bytes):
        return head(2, len(item)) + item
    if isinstance(item, str):
        return head(3, len(item.encode())) + item.encode()
    if isinstance(item, tuple):
        return head(6, item[0]) + cbor(item[1])
    return head(4, len(item)) + b"".join(map(cbor, item))


def pack(client, sender, *runs):
    return client("POST", "/bulk", cbor(sender.body(*runs)), Content_Type="application/cbor")


def test_packed_or_not_it_is_the_same_operation(c, server):
    s = Sender(c)
    head = ["readings", "i", ["n", "text", "real", "raw", "yes"]]
    rows = [[0, "row-1", 5, "warm", (4, [-2, 2150]), b"\x00\xff", True], [4, "2", 1, SAME, 0.5, SAME, None],
            [4, "3", -3, "cold", SAME, SAME, False], [4, "4", SAME, (25, 0), None, SAME, SAME]]
    answer = expect(pack(c, s, [head, 1, 0, rows]), 200)
    assert answer.headers["Content-Type"].startswith("application/json") and answer.json[0][:2] == [1, 4]
    plain = [["row-1", 5, "warm", 21.5, "AP8=", True], ["row-2", 6, "warm", 0.5, "AP8=", None],
             ["row-3", 3, "cold", 0.5, "AP8=", False], ["row-4", 3, "warm", None, "AP8=", False]]
    for row in plain:
        assert [row_of(lookup(c, row[0]))[name] for name in ["id", *head[2]]] == row
    assert s([head, 1, 0, plain]) == answer.json
    update = [["readings", "u", ["n"]], 5, 0, [[0, "row-1", None, 1], [4, "2", None, SAME], [4, "3", "AAAAAAAA", 1]]]
    outcomes = expect(pack(c, s, update, [["readings", "d", []], 8, 0, [[0, "row-4", None]]]), 200).json
    assert [o[:2] for o in outcomes] == [[5, 2], [7, 412], [8, 1]] and outcomes[1][2]["n"] == 3


def test_a_packed_body_is_no_flood(c, server):
    s = Sender(c)
    head, text = ["readings", "i", ["text"]], "x" * 200000
    flood = [[0, "r0", text]] + [[1, str(i), SAME] for i in range(1, 1000)]
    before = os.path.getsize(server.data + "/server.db-wal")
    expect(pack(c, s, [head, 1, 0, flood]), 413)
    assert os.path.getsize(server.data + "/server.db-wal") - before < 16 << 20
    expect(lookup(c, "r0"), 404)
    assert expect(pack(c, s, [head, 1, 0, flood[:20]]), 200).json[0][:2] == [1, 20]
    # Each of these bytes is six as JSON, where a row has its limit.
    for sequence, name, size, status in ((21, "large", 200000, 413), (22, "small", 100000, 1)):
        outcomes = expect(pack(c, s, [head, sequence, 0, [[0, name, "\x01" * size]]]), 200).json
        assert outcomes[0][:2] == [sequence, status], outcomes
    expect(lookup(c, "large"), 404)
    assert row_of(lookup(c, "small"))["text"] == "\x01" * 100000


def test_packed_damage(c, server):
    s, source = Sender(c), random.Random(12)
    head = ["readings", "i", ["n", "text"]]
    good = cbor(s.body([head, 1, 0, [[0, "row-1", 5, "warm"], [4, "2", 1, SAME], [4, "3", SAME, (25, 0)]]]))
    bad = [[[1, "a", 5, "x"]], [[0, "a", SAME, "x"]], [[0, "a", 1, (25, 0)]], [[0, "a", 1, (25, 24)]],
           [[-1, "a", 1, "x"]], [[0, "a", (4, [0, 5]), "x"]], [[0, "a", (4, [-7, 5]), "x"]],
           [[0, "a", (4, [-1]), "x"]], [[0, "a", (1, 5), "x"]], [[0, "a", [1], "x"]], [[0, "", 1, "x"]],
           [[0, "a" * 200, 1, "x"], [200, "a" * 56, 1, "x"]]]
    for rows in bad:
        expect(pack(c, s, [head, 1, 0, rows]), 400)
    for cut in range(len(good)):
        expect(c("POST", "/bulk", good[:cut], Content_Type="application/cbor"), 400)
    expect(c("POST", "/bulk", good + b"\x00", Content_Type="application/cbor"), 400)
    expect(c("POST", "/bulk", cbor(s.body()), Content_Type="application/json"), 400)
    expect(lookup(c, "row-1"), 404)
    for _ in range(600):
        body = bytearray(good)
        for _ in range(source.randint(1, 4)):
            body[source.randrange(len(body))] = source.randrange(256)
        assert c("POST", "/bulk", bytes(body), Content_Type="application/cbor").status in (200, 400, 409), bytes(body)
    assert server.process.poll() is None


if __name__ == "__main__":
    sys.exit(run_each(globals()))
