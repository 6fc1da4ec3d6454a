#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The way of a row and back, with real programs, against either server.

usage: sync_test.py --server holdfast|coap|npm [PATTERN]
"""
import argparse
import json
import os
import random
import signal
import subprocess
import sys
import threading
import time

from harness import (Device, HoldfastCoapServer, HoldfastServer, NpmServer, Relay, Running, check,
                     equal, run_tests, same_rows)

SERVERS = {"holdfast": HoldfastServer, "coap": HoldfastCoapServer, "npm": NpmServer}
server_class = HoldfastServer


def reading(number, **more):
    return {"sensor": f"s{number}", "value": number / 4, "ts": number, "quality": number % 3, **more}


def test_a_plain_sql_row_reaches_the_server_with_an_id_nobody_typed(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        subprocess.run(["sqlite3", device.database,
                        "INSERT INTO readings(sensor,value) VALUES('t',21.5)"], check=True)
        done = device.json("push")
        equal(("complete", 1, 0), (done["status"], done["pushed"], done["remaining"]), "push")
        remote = [json.loads(line) for line in device.run("get", "readings", "--remote").stdout.splitlines()]
        equal(1, len(remote), "rows on the server")
        equal(("t", 21.5), (remote[0]["sensor"], remote[0]["value"]), "the row")
        check(len(remote[0]["id"]) > 8, "it has an id")


def test_edits_and_deletes_follow_their_rows(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([reading(n, id=f"row-{n}") for n in range(10)])
        device.json("push")
        device.sql("UPDATE readings SET value = 99.5 WHERE id = 'row-3'")
        device.sql("UPDATE readings SET sensor = NULL WHERE id = 'row-4'")
        device.sql("DELETE FROM readings WHERE id = 'row-5'")
        done = device.json("push")
        equal(3, done["pushed"], "operations")
        rows = server.rows()
        equal(99.5, rows["row-3"]["value"], "the edit")
        equal(None, rows["row-4"]["sensor"], "a value that was taken away")
        check(rows["row-5"]["deleted"], "the delete")
        same_rows(device.rows(), rows, "in the end")


def test_insert_then_delete_before_a_push_sends_nothing(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.sql("INSERT INTO readings(id, sensor) VALUES('x', 'a')")
        device.sql("UPDATE readings SET sensor = 'b'")
        device.sql("DELETE FROM readings")
        equal(0, device.operations(), "operations")
        equal(0, device.json("push")["pushed"], "pushed")
        equal({}, server.rows(), "rows on the server")


def test_delete_then_insert_of_the_same_id_is_one_row_in_the_end(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([reading(1, id="x")])
        device.json("push")
        device.sql("DELETE FROM readings")
        device.sql("INSERT INTO readings(id, sensor) VALUES('x', 'again')")
        device.json("push")
        equal(0, device.operations(), "operations")
        same_rows(device.rows(), server.rows(), "in the end")
        # And when the delete had reached the server before the row came back.
        device.sql("DELETE FROM readings")
        device.json("push")
        device.sql("INSERT INTO readings(id, sensor) VALUES('x', 'third')")
        done = device.json("push")
        equal((1, 0), (done["pushed"], done["conflicts"]), "an id comes back to life")
        same_rows(device.rows(), server.rows(), "and once more")


def test_a_pull_brings_rows_edits_and_deletions_of_others(folder):
    with Running(server_class(folder)) as server:
        one = Device(folder, server)
        two = make_second(folder, server)
        one.run("init")
        two.run("init")
        one.record([reading(n, id=f"row-{n:03}") for n in range(250)])
        one.json("push")
        done = two.json("pull", "readings")
        equal(250, done["tables"]["readings"]["received"], "received")
        same_rows(two.rows(), server.rows(), "the first pull")
        one.sql("UPDATE readings SET value = -1 WHERE id = 'row-007'")
        one.sql("DELETE FROM readings WHERE id IN ('row-008', 'row-009')")
        one.json("push")
        done = two.json("pull", "readings")["tables"]["readings"]
        equal((1, 2), (done["received"], done["deleted"]), "the second pull")
        same_rows(two.rows(), server.rows(), "the second pull")
        equal(0, two.operations(), "pulled rows are not operations")
        done = two.json("pull", "readings")["tables"]["readings"]
        equal((0, 0), (done["received"], done["deleted"]), "an idle pull")


def make_second(folder, server):
    """Another database with the same credentials."""
    other = os.path.join(folder, "second")
    os.makedirs(other)
    return Device(other, server)


def test_many_pages_arrive_whole_and_a_cut_pull_resumes(folder):
    with Running(server_class(folder)) as server:
        one = Device(folder, server)
        one.run("init")
        one.record([reading(n) for n in range(2500)])
        one.json("push")
        relay = Relay(server.port)
        other = os.path.join(folder, "second")
        os.makedirs(other)
        two = Device(other, server, port=relay.port, sync={"page_rows": 200})
        two.run("init")
        dice = random.Random(7)
        # holdfast-server packs its pages.
        low, high = (9_000, 30_000) if server_class.__name__ == "HoldfastServer" else (20_000, 200_000)
        relay.cut_after = lambda: dice.randrange(low, high)
        tries = 0
        while two.run("pull", "readings", "--json", expect=None).returncode != 0:
            tries += 1
            check(tries < 200, "the pull never ends")
        check(relay.cuts > 0, "the relay cut nothing")
        same_rows(two.rows(), server.rows(), f"after {tries} cuts")
        relay.close()


test_many_pages_arrive_whole_and_a_cut_pull_resumes.not_on = ("coap",)  # a relay of TCP; coap_test.py has one of datagrams


def test_a_row_with_a_pending_edit_is_not_overwritten_by_a_pull(folder):
    with Running(server_class(folder)) as server:
        one = Device(folder, server)
        two = make_second(folder, server)
        one.run("init")
        two.run("init")
        one.record([reading(1, id="x")])
        one.json("push")
        two.json("pull", "readings")
        one.sql("UPDATE readings SET value = 1000")
        one.json("push")
        two.sql("UPDATE readings SET value = 2000")
        done = two.json("pull", "readings", "--no-push")["tables"]["readings"]
        equal(1, done["skipped_pending"], "skipped")
        equal([(2000.0,)], two.sql("SELECT value FROM readings"), "the local edit")
        equal(1, two.operations(), "and its operation")


def test_a_conflict_is_kept_with_both_copies_and_blocks_nobody(folder):
    with Running(server_class(folder)) as server:
        one = Device(folder, server)
        two = make_second(folder, server)
        one.run("init")
        two.run("init")
        one.record([reading(1, id="x"), reading(2, id="y")])
        one.json("push")
        two.json("pull", "readings")
        one.sql("UPDATE readings SET value = 1000 WHERE id = 'x'")
        one.json("push")
        two.sql("UPDATE readings SET value = 2000 WHERE id = 'x'")
        two.sql("UPDATE readings SET value = 7 WHERE id = 'y'")
        done = two.json("push", expect=4)
        equal((1, 1), (done["conflicts"], done["pushed"]), "conflicts, pushed")
        equal(1000, server.rows()["x"]["value"], "the server's copy stands")
        equal([(2000.0,)], two.sql("SELECT value FROM readings WHERE id = 'x'"), "ours too")
        equal(7, server.rows()["y"]["value"], "the other row went through")
        (theirs,) = two.sql("SELECT rawResult FROM __errors")
        equal(1000, json.loads(theirs[0])["value"], "the server's copy is at hand")
        status = two.json("status", expect=4)
        check("conflict" in json.dumps(status), "status tells")


def test_offline_loses_nothing_and_says_to_try_later(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([reading(n) for n in range(20)])
        server.stop()
        done = device.run("push", expect=3)
        check(b"try again" in done.stderr.lower(),
              f"says what to do: {done.stderr}")
        equal(20, device.operations(), "operations")
        device.record([reading(n) for n in range(20, 30)])
        server.start()
        equal(30, device.json("push")["pushed"], "pushed")
        same_rows(device.rows(), server.rows(), "after the outage")


def cut_pushes(folder, rows, longest, least_cuts, **sync):
    with Running(server_class(folder)) as server:
        relay = Relay(server.port)
        device = Device(folder, server, port=relay.port, sync=sync)
        device.run("init")
        device.record([reading(n) for n in range(rows)])
        dice = random.Random(11)
        relay.cut_after = lambda: dice.randrange(1500, longest)
        for attempt in range(400):
            if device.run("push", "--json", expect=None).returncode == 0:
                break
        equal(0, device.operations(), f"operations after {attempt} cuts")
        check(relay.cuts > least_cuts, f"only {relay.cuts} cuts")
        same_rows(device.rows(), server.rows(), "after the cuts")
        relay.close()


def test_connections_cut_at_any_byte_apply_each_row_once(folder):
    cut_pushes(folder, 400, 30_000, 5, bulk_rows=1)


def test_bulks_cut_at_any_byte_apply_each_row_once(folder):
    cut_pushes(folder, 3000, 6_000, 5, bulk_rows=20)


for test in test_connections_cut_at_any_byte_apply_each_row_once, test_bulks_cut_at_any_byte_apply_each_row_once:
    test.not_on = ("coap",)  # a relay of TCP; coap_test.py has one of datagrams
test_bulks_cut_at_any_byte_apply_each_row_once.not_on += ("npm",)  # which takes none


def test_a_server_killed_in_the_middle_applies_each_row_once(folder):
    server = server_class(folder).start()
    try:
        device = Device(folder, server)
        device.run("init")
        device.record([reading(n) for n in range(600)])
        dice = random.Random(13)
        for _ in range(10):
            push = device.start("push")
            time.sleep(dice.uniform(0.02, 0.25))
            server.kill()
            push.wait()
            server.start()
        equal(0, device.run("push").returncode, "the last push")
        equal(0, device.operations(), "operations")
        same_rows(device.rows(), server.rows(), "after the kills")
    finally:
        server.stop()


def test_programs_that_write_plain_sql_during_pushes_lose_nothing(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        stop = threading.Event()
        failures = []

        def write(writer):
            import sqlite3
            dice = random.Random(writer)
            db = sqlite3.connect(device.database, timeout=60, isolation_level=None)
            mine = []
            try:
                while not stop.is_set():
                    what = dice.random()
                    if what < 0.5 or not mine:
                        key = f"w{writer}-{len(mine):05}"
                        db.execute("INSERT INTO readings(id, sensor, value, ts) VALUES(?, ?, ?, 0)",
                                   (key, f"w{writer}", dice.randrange(1000)))
                        mine.append(key)
                    elif what < 0.85:
                        db.execute("UPDATE readings SET value = ?, ts = ts + 1 WHERE id = ?",
                                   (dice.randrange(1000), dice.choice(mine)))
                    elif what < 0.95:
                        db.execute("DELETE FROM readings WHERE id = ?", (dice.choice(mine),))
                    else:
                        db.execute("BEGIN IMMEDIATE")
                        db.execute("UPDATE readings SET value = -5")
                        db.execute("ROLLBACK")
                    time.sleep(dice.uniform(0, 0.01))
            except sqlite3.Error as error:
                failures.append(str(error))

        writers = [threading.Thread(target=write, args=(n,)) for n in range(3)]
        for writer in writers:
            writer.start()
        deadline = time.monotonic() + 8
        while time.monotonic() < deadline:
            result = device.json("push")
            equal(0, result["conflicts"], "a conflict with ourselves")
        stop.set()
        for writer in writers:
            writer.join()
        equal([], failures, "the writers' errors")
        device.json("push")
        equal(0, device.operations(), "operations")
        same_rows(device.rows(), server.rows(), "after edits during pushes")


def test_rows_of_100_kilobytes_go_up_and_down(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        two = make_second(folder, server)
        device.run("init")
        two.run("init")
        # The npm server takes bodies up to 100 kB.
        text = "".join(random.Random(3).choices("abcdefghij \\\"\u00e9", k=90_000))
        while len(json.dumps(text, ensure_ascii=False).encode()) > 100_000:
            text = text[:-1000]
        device.record([{"id": "large", "sensor": text, "value": 1, "ts": 1, "quality": 1}])
        equal(1, device.json("push")["pushed"], "pushed")
        two.json("pull", "readings")
        equal(text, two.rows()["large"]["sensor"], "the text")


def test_a_row_that_is_refused_is_parked_and_the_others_go(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.sql("INSERT INTO readings(id, sensor) VALUES('bad/id', 'x')")
        device.record([reading(1, id="good")])
        done = device.json("push", expect=4)
        equal((1, 1), (done["parked"], done["pushed"]), "parked, pushed")
        check("good" in server.rows(), "the good row is there")
        check("bad/id" not in server.rows(), "the bad one is not")
        equal(1, device.operations(), "its operation waits")


def test_interrupting_a_push_keeps_what_was_acknowledged(folder):
    together = 50
    with Running(server_class(folder)) as server:
        device = Device(folder, server, sync={"bulk_rows": together})
        device.run("init")
        device.record([reading(n) for n in range(3000)])
        push = device.start("push")
        time.sleep(0.3)
        push.send_signal(signal.SIGINT)
        push.wait(timeout=30)
        left = device.operations()
        sent = len(server.rows())
        check(sent + left >= 3000 and sent + left <= 3000 + together,
              f"{sent} on the server and {left} queued of 3000: an acknowledged row is queued again")
        device.json("push")
        same_rows(device.rows(), server.rows(), "in the end")


# ---- what only one of the servers can show


def only(name):
    def mark(test):
        test.only = name
        return test
    return mark


@only("npm")
def test_answers_lost_after_the_commit_are_recognised(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([reading(n, id=f"row-{n}") for n in range(30)])
        server.fault(cut_after_commit=1)
        device.run("push", expect=3)
        done = device.json("push")
        equal((1, 0), (done["recognised"], done["conflicts"]), "the lost insert is known")
        device.sql("UPDATE readings SET value = 5 WHERE id = 'row-1'")
        server.fault(cut_after_commit=1)
        device.run("push", expect=3)
        done = device.json("push")
        equal((1, 0), (done["recognised"], done["conflicts"]), "the lost update is known")
        device.sql("UPDATE readings SET value = 6 WHERE id = 'row-1'")
        server.fault(cut_after_commit=1)
        device.run("push", expect=3)
        device.sql("UPDATE readings SET value = 7 WHERE id = 'row-1'")
        done = device.json("push")
        equal((0, 0), (done["conflicts"], done["remaining"]), "an edit after a lost update")
        device.sql("DELETE FROM readings WHERE id = 'row-2'")
        server.fault(cut_after_commit=1)
        device.run("push", expect=3)
        equal(0, device.json("push")["conflicts"], "the lost delete is known")
        same_rows(device.rows(), server.rows(), "in the end")


@only("npm")
def test_an_insert_whose_answer_was_lost_can_be_deleted_without_an_orphan(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([reading(1, id="x")])
        server.fault(cut_after_commit=1)
        device.run("push", expect=3)
        device.sql("DELETE FROM readings")
        device.json("push")
        equal(0, device.operations(), "operations")
        check(server.rows()["x"]["deleted"], "no orphan on the server")


@only("npm")
def test_each_refusal_ends_as_it_should(folder):
    with Running(server_class(folder)) as server:
        device = Device(folder, server)
        device.run("init")
        device.record([reading(n, id=f"row-{n}") for n in range(3)])
        html = {"status": 200, "headers": {"content-type": "text/html"}, "body": "<html>log in</html>"}
        json_type = {"content-type": "application/json"}
        for what, code, word in (
                ({"answer": html}, 3, "bad_answer"),
                ({"answer": {"status": 401, "headers": json_type, "body": "{}"}}, 1, "unauthorized"),
                ({"answer": {"status": 500, "headers": json_type, "body": "{}"}}, 3, "server_error"),
                ({"answer": {"status": 503, "headers": json_type, "body": "{}"}}, 3, "throttled"),
                ({"answer": {"status": 302, "headers": {"location": "http://x/"}, "body": ""}}, 3, "bad_answer"),
                ({"truncate": 1}, 3, None),
                ({"cut_before": 1}, 3, "offline")):
            if "answer" in what:
                what = {**what, "count": 1}
            server.fault(**what)
            done = device.run("push", "--json", expect=code)
            result = json.loads(done.stdout)
            if word:
                equal(word, result["status"], f"{what}")
            equal(0, result["parked"] + result["conflicts"], f"{what}: nothing was given up")
        server.fault(answer={"status": 429, "headers": {**json_type, "retry-after": "3600"},
                             "body": "{}"}, count=1)
        result = json.loads(device.run("push", "--json", expect=3).stdout)
        equal("throttled", result["status"], "429")
        result = json.loads(device.run("push", "--json", expect=3).stdout)
        equal(("throttled", 0), (result["status"], result["requests"]), "no request while it runs")
        device.sql("UPDATE __config SET value = '' WHERE id LIKE '%retryAfter%'")
        device.json("push")
        same_rows(device.rows(), server.rows(), "in the end")


@only("holdfast")
def test_wrong_credentials_stop_the_push_and_lose_nothing(folder):
    with Running(server_class(folder, devices=("device1", "device2"))) as server:
        other = os.path.join(folder, "other")
        os.makedirs(other)
        stranger = HoldfastServer(other)  # its CA is not the server's
        device = Device(folder, server)
        device.run("init")
        device.record([reading(1)])
        settings = json.load(open(device.conf))
        for change, word in (
                ({"ca_file": stranger.credentials()["ca_file"]}, "tls_untrusted"),
                ({key: stranger.credentials()[key] for key in ("cert_file", "key_file")}, None)):
            with open(device.conf, "w") as file:
                json.dump({**settings, "server": {**settings["server"], **change}}, file)
            done = device.run("push", "--json", expect=None)
            result = json.loads(done.stdout)
            check(done.returncode in (1, 3), f"exit {done.returncode} for {change}")
            if word:
                equal(word, result["status"], f"{change}")
            equal(1, device.operations(), "operations")
        # A device without any credentials is unknown.
        bare = {k: v for k, v in settings["server"].items() if k not in ("cert_file", "key_file")}
        with open(device.conf, "w") as file:
            json.dump({**settings, "server": bare}, file)
        result = json.loads(device.run("push", "--json", expect=1).stdout)
        equal("unauthorized", result["status"], "no credentials")
        equal({}, server.rows(), "nothing came through")


def main():
    global server_class
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=sorted(SERVERS), default="holdfast")
    parser.add_argument("pattern", nargs="?")
    options = parser.parse_args()
    server_class = SERVERS[options.server]
    tests = [(name, test) for name, test in globals().items() if name.startswith("test_")
             and getattr(test, "only", options.server) == options.server
             and options.server not in getattr(test, "not_on", ())]
    return run_tests(tests, options.pattern)


if __name__ == "__main__":
    sys.exit(main())
