#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""POST /bulk: each operation once in effect, however often it comes, and whoever has lost its memory.

usage: bulk_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import gzip
import json
import signal
import sqlite3
import sys
import threading

from harness import Client, expect, run_each

READINGS = ["readings", "i", ["value"]]


class Device:
    """What an agent would say of itself."""

    def __init__(self, client, installation="inst", incarnation="one"):
        self.client, self.installation, self.incarnation = client, installation, incarnation
        self.acknowledged = self.applied = 0

    def body(self, *runs):
        return [1, self.installation, self.incarnation, self.acknowledged, self.applied, list(runs)]

    def send(self, *runs, **headers):
        return self.client("POST", "/bulk", self.body(*runs), **headers)

    def outcomes(self, *runs):
        return expect(self.send(*runs), 200).json

    def insert(self, first, *values, changes=1):
        return self.outcomes([READINGS, first, changes, [["r%d" % (first + n), value] for n, value in enumerate(values)]])


def rows(c):
    return {row["id"]: row for row in expect(c("GET", "/tables/readings?$top=1000&__includeDeleted=true"), 200).json}


def values(c):
    return {key: row["value"] for key, row in rows(c).items()}


def test_outcomes_are_told_together_and_mean_versions_and_dates(c, server):
    device = Device(c)
    [[first, count, moment]] = device.insert(1, *range(200))
    assert (first, count) == (1, 200)
    digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    stored = rows(c)
    assert len(stored) == 200
    for n in range(200):
        row, at = stored["r%d" % (n + 1)], moment + 8 * n
        steps, version = (at - 1577836800000000) // 8, ""
        for _ in range(8):
            steps, version = steps >> 6, digits[steps & 63] + version
        assert row["version"] == version and row["value"] == n, row
        assert row["updatedAt"] == row["createdAt"] and row["updatedAt"].endswith("%06dZ" % (at % 1_000_000)), row


def test_what_comes_again_is_not_applied_again(c, server):
    device = Device(c)
    told = device.insert(1, 10, 20, 30)
    before = rows(c)
    assert device.insert(1, 10, 20, 30) == told
    # In other company too.
    [[first, count, moment], [again, one, later]] = device.insert(2, 20, 30, 40)
    assert (first, count, moment) == (2, 2, told[0][2] + 8) and (again, one) == (4, 1) and later > moment
    after = rows(c)
    assert {key: after[key] for key in before} == before and len(after) == 4


def test_what_comes_again_is_not_applied_again_when_somebody_changed_the_row(c, server):
    device = Device(c)
    told = device.insert(1, 10)
    expect(Client(server, "device2")("PATCH", "/tables/readings/r1", {"value": 99}), 200)
    assert device.insert(1, 10) == told
    assert values(c) == {"r1": 99}


def test_edited_meanwhile_it_hears_which_edit_arrived_and_goes_on_from_there(c, server):
    device = Device(c)
    [[_, _, moment]] = device.insert(1, 10)
    assert device.insert(1, 11, changes=2) == [[1, 1, moment, 1]]
    assert values(c) == {"r1": 10}
    version = rows(c)["r1"]["version"]
    update = [["readings", "u", ["value"]], 1, 2, [["r1", version, 11]]]
    [[_, _, later]] = device.outcomes(update)
    assert later > moment and values(c) == {"r1": 11}
    assert device.outcomes(update) == [[1, 1, later]]


def test_refusals_are_each_operations_own_and_leave_no_record(c, server):
    device = Device(c)
    device.insert(1, 10, 20)
    theirs = expect(Client(server, "device2")("PATCH", "/tables/readings/r1", {"value": 99}), 200).json
    outcomes = device.outcomes(
        [READINGS, 3, 1, [["r1", 1], ["r3", 30]]],
        [["readings", "u", ["value"]], 5, 1, [["r1", "AAAAAAAA", 2], ["nobody", None, 3]]],
        [["readings", "d", []], 7, 1, [["r2", "AAAAAAAA"], ["missing", None]]],
        [["readings", "i", ["__bad"]], 9, 1, [["r9", 1]]],
        [["sqlite_x", "i", []], 10, 1, [["a"]]],
        [READINGS, 11, 1, [["a/b", 1], ["r11", 5]]])
    statuses = [(one[0], one[1]) for one in outcomes]
    assert statuses == [(3, 409), (4, 1), (5, 424), (6, 404), (7, 412), (8, 404), (9, 400), (10, 400), (11, 400),
                        (12, 1)], outcomes
    assert outcomes[0][2] == theirs, outcomes[0]
    assert outcomes[4][2]["id"] == "r2" and "column" in outcomes[6][2], outcomes
    assert values(c) == {"r1": 99, "r2": 20, "r3": 30, "r11": 5}
    # Settled, the same operations go through.
    version = rows(c)["r1"]["version"]
    [[sequence, count, _]] = device.outcomes([["readings", "u", ["value"]], 3, 1, [["r1", version, 7]]])
    assert (sequence, count) == (3, 1) and values(c)["r1"] == 7


def test_a_deletion_is_soft_and_known_again(c, server):
    device = Device(c)
    device.insert(1, 10)
    gone = [["readings", "d", []], 2, 1, [["r1", rows(c)["r1"]["version"]]]]
    told = device.outcomes(gone)
    assert told[0][:2] == [2, 1] and rows(c)["r1"]["deleted"] is True
    assert device.outcomes(gone) == told


def test_a_device_that_forgot_is_told_so(c, server):
    device = Device(c)
    device.insert(1, 10, 20)
    device.acknowledged = device.applied = 2
    device.insert(3, 30)
    device.acknowledged = device.applied = 1  # an old image
    answer = expect(device.send([READINGS, 3, 1, [["r3", 31]]]), 409)
    assert answer.json["reason"] == "rewound" and values(c)["r3"] == 30
    device.incarnation, device.acknowledged, device.applied = "two", 0, 0
    outcomes = device.insert(3, 31)
    assert outcomes[0][1] == 409 and outcomes[0][2]["value"] == 30, outcomes


def test_a_device_that_says_something_else_under_an_old_name_is_told_so(c, server):
    device = Device(c)
    device.insert(1, 10, 20)  # it never hears of it; then an old image, and other readings
    answer = expect(device.send([READINGS, 1, 1, [["r1", 77]]]), 409)
    assert answer.json["reason"] == "rewound" and values(c) == {"r1": 10, "r2": 20}


def test_a_server_that_forgot_says_so(c, server):
    device = Device(c)
    device.insert(1, 10)
    newest = rows(c)["r1"]["updatedAt"]
    device.applied = 5
    answer = expect(device.send([READINGS, 6, 1, [["r6", 60]]]), 409)
    assert answer.json["reason"] == "restored" and answer.json["newest"] == newest, answer
    assert "r6" not in values(c)
    stranger = Device(c, "stranger")
    stranger.applied = 1
    assert expect(stranger.send([READINGS, 2, 1, [["s2", 1]]]), 409).json["reason"] == "restored"


def test_senders_do_not_mix(c, server):
    one, copy, other = Device(c), Device(c, incarnation="two"), Device(Client(server, "device2"))
    first = one.insert(1, 10)
    outcomes = copy.outcomes([READINGS, 1, 1, [["c1", 11]]])
    assert outcomes[0][2] > first[0][2]
    # The same names from another device are somebody else's.
    outcomes = other.outcomes([READINGS, 1, 1, [["o1", 12]]])
    assert outcomes[0][:2] == [1, 1] and values(c) == {"r1": 10, "c1": 11, "o1": 12}
    assert one.insert(1, 10) == first


def test_what_was_told_survives_a_kill(c, server):
    device = Device(c)
    told = device.insert(1, 10, 20)
    server.stop(signal.SIGKILL)
    server.start()
    device.client = Client(server)
    assert device.insert(1, 10, 20) == told


def test_what_is_acknowledged_is_forgotten(c, server):
    device = Device(c)
    for first in range(1, 40, 2):
        device.insert(first, 1, 2)
        device.acknowledged = device.applied = first + 1
    device.insert(41, 1)
    server.stop()
    with sqlite3.connect(server.data + "/server.db") as db:
        assert db.execute("SELECT first, count FROM __outcomes").fetchall() == [(41, 1)]
        assert db.execute("SELECT acknowledged, applied FROM __senders").fetchall() == [(40, 41)]
    server.start()


def test_nothing_of_a_body_that_is_not_whole_is_applied(c, server):
    device = Device(c)
    whole = json.dumps(device.body([READINGS, 1, 1, [["r%d" % n, n] for n in range(50)]]))
    for size in list(range(0, len(whole), 97)) + [len(whole) - 1]:
        answer = expect(c("POST", "/bulk", whole[:size] or " "), 400)
        assert "byte" in answer.json["error"], answer
    for broken in (whole + "x", whole.replace('"r49"', "49"), whole.replace('["value"]', '["value","value"]')):
        expect(c("POST", "/bulk", broken), 400)
    assert expect(c("GET", "/tables/readings"), 200).json == []
    assert device.outcomes([READINGS, 1, 1, [["r1", 1]]])[0][:2] == [1, 1]


def test_packed_both_ways(c, server):
    device = Device(c)
    runs = [[READINGS, 1, 1, [["r%d" % n, n] for n in range(900)]]]
    packed = gzip.compress(json.dumps(device.body(*runs)).encode())
    answer = c("POST", "/bulk", packed, Content_Encoding="gzip", Accept_Encoding="gzip")
    assert answer.json[0][:2] == [1, 900] and answer.headers["Content-Encoding"] is None  # it is short
    page = c("GET", "/tables/readings?$top=900", Accept_Encoding="gzip")
    assert page.headers["Content-Encoding"] == "gzip" and page.headers["Vary"] == "Accept-Encoding"
    assert len(json.loads(gzip.decompress(page.body))) == 900
    for accepted in ("identity", "gzip;q=0", "br", ""):
        plain = c("GET", "/tables/readings?$top=900", Accept_Encoding=accepted)
        assert plain.headers["Content-Encoding"] is None and len(plain.json) == 900, accepted
    row = c("GET", "/tables/readings/r1", Accept_Encoding="gzip")
    assert row.headers["Content-Encoding"] is None and row.etag


def test_bombs_damage_and_limits(c, server):
    bomb = gzip.compress(b"[" * 100_000_000)
    assert len(bomb) < 200_000
    before = server.resident_kib()
    expect(c("POST", "/bulk", bomb, Content_Encoding="gzip"), 413)
    assert server.resident_kib() - before < 32_000, (before, server.resident_kib())
    expect(c("POST", "/bulk", b"\x1f\x8b nonsense", Content_Encoding="gzip"), 400)
    expect(c("POST", "/bulk", gzip.compress(b"[]") + b"x", Content_Encoding="gzip"), 400)
    answer = expect(c("POST", "/bulk", b"x", Content_Encoding="br"), 415)
    assert answer.headers["Accept-Encoding"] == "gzip"
    expect(c("POST", "/bulk", "[]", Content_Type="text/plain"), 415)
    assert expect(c("GET", "/bulk"), 405).headers["Allow"] == "POST"
    expect(c("POST", "/bulk", " " * 262_145), 413)
    many = Device(c).body([["t", "i", []], 1, 1, [["r%d" % n] for n in range(1001)]])
    expect(c("POST", "/bulk", many), 413)
    assert expect(c("GET", "/tables/t"), 200).json == []


def test_many_conflicts_have_an_answer_of_bounded_length(c, server):
    text = "x" * 250
    for first in range(0, 1000, 500):
        Device(c, "i%d" % first).outcomes([["readings", "i", ["text"]], 1, 1,
                                           [["r%d" % (first + n), text] for n in range(500)]])
    outcomes = Device(c, "late").outcomes([["readings", "i", []], 1, 1, [["r%d" % n] for n in range(1000)]])
    assert len(outcomes) == 1000 and all(one[1] == 409 for one in outcomes)
    assert isinstance(outcomes[0][2], dict) and isinstance(outcomes[-1][2], str)


def test_it_is_announced_once_a_connection_and_described(c, server):
    first, second = c("GET", "/tables/x"), c("GET", "/tables/x")
    assert first.headers["Holdfast"] == "v=1, bulk=1000, bytes=262144, enc=(gzip), upload=25165824"
    assert second.headers["Holdfast"] == "v=1"
    told = expect(c("GET", "/.well-known/holdfast"), 200).json["bulk"]
    assert told == {"path": "/bulk", "operations": 1000, "bytes": 262144, "codings": ["gzip"]}


def test_strangers_are_refused(c, server):
    expect(Client(server, None)("POST", "/bulk", Device(c).body()), 401)


def test_somebody_who_waits_hears_of_it_once_and_of_the_last(c, server):
    device = Device(c)
    heard = []

    def wait():
        heard.append(Client(server, "device2")("GET", "/changes?since=&wait_ms=10000").body.decode())
    waiting = threading.Thread(target=wait)
    waiting.start()
    device.insert(1, *range(30))
    waiting.join()
    assert heard[0] == rows(c)["r30"]["updatedAt"] or heard[0] < rows(c)["r30"]["updatedAt"]
    assert Client(server, "device2")("GET", "/changes?since=").body.decode() == rows(c)["r30"]["updatedAt"]
    assert c("GET", "/changes?since=").status == 204  # one's own are no news


if __name__ == "__main__":
    sys.exit(run_each(globals()))
