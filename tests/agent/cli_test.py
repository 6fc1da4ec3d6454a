#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The real program against a database, without a server: good and bad uses of every command.

usage: cli_test.py [--update] [PATTERN]

--update writes the golden files of --help anew; look at the difference before it is kept.
"""
import contextlib
import json
import os
import re
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
REPOSITORY = os.path.dirname(os.path.dirname(HERE))
BIN = os.environ.get("HOLDFAST_BIN", os.path.join(REPOSITORY, "build", "host", "bin"))
PROGRAM = os.path.join(BIN, "holdfast")
GOLDEN = os.path.join(HERE, "cli_golden")
DEADLINE = 120

DONE, FAILED, USAGE, TRY_LATER, WAITING = range(5)
COLUMNS = {"sensor": "text", "value": "real", "ts": "integer", "ok": "boolean", "at": "datetime",
           "raw": "blob"}


class Failure(AssertionError):
    pass


def equal(expected, actual, text=""):
    if expected != actual:
        raise Failure(f"{text}: expected {expected!r}, got {actual!r}")


def contains(part, whole, text=""):
    if part not in whole:
        raise Failure(f"{text}: {part!r} is not in {whole!r}")


def closed_port():
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


class Device:
    def __init__(self, folder, **settings):
        self.folder = folder
        self.database = os.path.join(folder, "device.db")
        self.conf = os.path.join(folder, "device.conf")
        self.settings = {
            "database": self.database,
            "server": {"url": f"http://127.0.0.1:{closed_port()}"},
            "tables": {"readings": {"columns": dict(COLUMNS)}, "notes": {"columns": {"text": "text"}}},
            **settings,
        }
        self.write()

    def write(self, text=None):
        with open(self.conf, "w") as file:
            file.write(text if text is not None else json.dumps(self.settings, indent=1))

    def command(self, *words):
        return [PROGRAM, "--config", self.conf, *words]

    def run(self, *words, text="", expect=DONE):
        data = text.encode() if isinstance(text, str) else text
        done = subprocess.run(self.command(*words), input=data, capture_output=True, timeout=DEADLINE)
        done.out, done.err = done.stdout.decode(), done.stderr.decode()
        if done.returncode != expect:
            raise Failure(f"holdfast {' '.join(words)}: exit {done.returncode}, expected {expect}\n"
                          f"{done.out}{done.err}")
        return done

    def json(self, *words, **options):
        return json.loads(self.run(*words, "--json", **options).out)

    def record(self, *rows):
        self.run("record", "readings", text="".join(json.dumps(row) + "\n" for row in rows))

    def rows(self, *words, table="readings"):
        return [json.loads(line) for line in self.run("get", table, *words).out.splitlines()]

    def sql(self, text, *parameters):
        with contextlib.closing(sqlite3.connect(self.database, timeout=30)) as db:
            rows = db.execute(text, parameters).fetchall()
            db.commit()
            return rows

    def file(self, name, content):
        path = os.path.join(self.folder, name)
        with open(path, "wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
        return path


def run_plain(*words, text=b"", expect=DONE):
    done = subprocess.run([PROGRAM, *words], input=text, capture_output=True, timeout=DEADLINE)
    done.out, done.err = done.stdout.decode(), done.stderr.decode()
    equal(expect, done.returncode, f"exit of {words}: {done.err}")
    return done


# ------------------------------------------------------------------------------------ help, usage

UPDATE = False
PAGES = ["", "init", "record", "get", "put", "delete", "push", "pull", "status", "config",
         "config check", "config print", "config keys", "config sample", "completion bash",
         "version", "help"]


def test_help_is_the_golden_text(_):
    for page in PAGES:
        out = run_plain(*page.split(), "--help").out
        path = os.path.join(GOLDEN, (page.replace(" ", "_") or "holdfast") + ".txt")
        if UPDATE:
            os.makedirs(GOLDEN, exist_ok=True)
            with open(path, "w") as file:
                file.write(out)
        with open(path) as file:
            equal(file.read(), out, f"{page} --help")


def test_help_comes_by_every_name(_):
    out = run_plain("--help").out
    equal(out, run_plain("-h").out, "-h")
    equal(out, run_plain("help").out, "help")
    equal(run_plain("record", "--help").out, run_plain("help", "record").out, "help record")
    equal(run_plain("config", "check", "-h").out, run_plain("help", "config", "check").out, "help")
    equal(run_plain("config", "--help").out, run_plain("help", "config").out, "help config")
    for page in PAGES[1:]:
        contains(page.split()[0], out, "the list of commands")


def test_usage_errors(_):
    for words, part in [
            ([], "usage:"),
            (["frobnicate"], "unknown command 'frobnicate'"),
            (["purge"], "TABLE"),
            (["stauts"], "did you mean 'status'?"),
            (["record"], "TABLE [FILE]"),
            (["record", "a", "b", "c"], "'c' is too much"),
            (["record", "a", "--batch", "none"], "--batch"),
            (["record", "a", "--ack", "--json"], "exclude each other"),
            (["get", "a", "--wher", "x"], "did you mean '--where'?"),
            (["get", "a", "id", "--top", "1"], "an ID names one row"),
            (["delete", "readings"], "TABLE ID..."),
            (["push", "readings"], "too much"),
            (["config"], "check print keys sample"),
            (["config", "chek"], "unknown command 'chek'"),
            (["status", "--remote"], "unknown option --remote"),
            (["help", "frobnicate"], "unknown command"),
            (["--config"], "needs a value"),
            (["pull", "--query-id", "a|b"], "--query-id")]:
        done = run_plain(*words, expect=USAGE)
        contains(part, done.err, f"holdfast {words}")
        equal("", done.out, f"stdout of {words}")


def test_version(_):
    text = run_plain("version").out
    contains("holdfast ", text)
    equal(text, run_plain("--version").out, "--version")
    answer = json.loads(run_plain("version", "--json").out)
    equal({"sqlite", "mbedtls", "libcurl", "cjson", "zlib"}, set(answer["libraries"]), "libraries")
    for name, version in answer["libraries"].items():
        if not re.match(r"\d+\.\d+", version):
            raise Failure(f"{name}: {version}")


def test_completion_is_a_script_that_bash_takes(_):
    script = run_plain("completion", "bash").out
    if shutil.which("bash"):
        done = subprocess.run(
            ["bash", "-c", script + '\nCOMP_WORDS=(holdfast --config x rec); COMP_CWORD=3; _holdfast; '
             'echo "${COMPREPLY[@]}"; COMP_WORDS=(holdfast record --a); COMP_CWORD=2; _holdfast; '
             'echo "${COMPREPLY[@]}"'], capture_output=True, timeout=DEADLINE)
        equal("record\n--ack\n", done.stdout.decode(), done.stderr.decode())


def test_an_answer_that_cannot_be_written_is_a_failure(folder):
    device = Device(folder)
    device.record({"sensor": "a"})
    with open("/dev/full", "w") as full:
        done = subprocess.run(device.command("get", "readings"), stdout=full, stderr=subprocess.PIPE,
                              timeout=DEADLINE)
    equal(FAILED, done.returncode, "exit")
    contains(b"cannot write the answer", done.stderr)


# ---------------------------------------------------------------------------------- configuration

def test_a_missing_configuration_is_said_clearly(folder):
    path = os.path.join(folder, "none.conf")
    done = run_plain("--config", path, "status", expect=USAGE)
    contains(f"no configuration: {path} does not exist", done.err)
    contains("config sample", done.err)


def test_all_problems_of_a_configuration_at_once(folder):
    device = Device(folder)
    device.settings["sync"] = {"timeout": 5, "page_rowz": 3}
    device.settings["tables"]["readings"]["columns"]["x"] = "number"
    device.write()
    for words in (["config", "check"], ["status"], ["record", "readings"], ["push"]):
        done = device.run(*words, expect=USAGE)
        equal(3, len(done.err.splitlines()), f"problems: {done.err}")
        for line in done.err.splitlines():
            if not re.match(re.escape(device.conf) + r":\d+: [\w.]+: ", line):
                raise Failure(line)
    equal([], os.listdir(folder)[1:], "no database was made")


def test_files_that_are_missing_stop_what_needs_the_server_only(folder):
    device = Device(folder, server={"url": "https://127.0.0.1:1", "ca_file": "/nowhere/ca.crt"})
    for words in (["config", "check"], ["push"], ["pull"], ["get", "readings", "--remote"]):
        contains("/nowhere/ca.crt", device.run(*words, expect=USAGE).err, str(words))
    device.record({"sensor": "a"})
    device.run("status")


def test_config_commands(folder):
    device = Device(folder)
    contains("no problems", device.run("config", "check").out)
    printed = device.run("config", "print").out
    device.write(printed)
    equal(printed, device.run("config", "print").out, "what was printed, read back")
    contains("sync.page_rows", device.run("config", "keys").out)
    keys = json.loads(run_plain("config", "keys", "--json").out)
    contains("sync.page_rows", json.dumps(keys))
    contains("//", run_plain("config", "sample").out)


def test_tables_are_named_when_one_is_not_found(folder):
    device = Device(folder)
    done = device.run("get", "reading", expect=USAGE)
    contains("did you mean 'readings'?", done.err)
    done = device.run("record", "zzzzzz", expect=USAGE)
    contains("there is: readings notes", done.err)
    for words in (["put", "x"], ["delete", "x", "1"], ["push", "--table", "x"], ["pull", "x"]):
        contains("no table 'x'", device.run(*words, expect=USAGE).err)


def test_direction_of_a_table_is_obeyed(folder):
    device = Device(folder)
    device.settings["tables"]["readings"]["direction"] = "push"
    device.settings["tables"]["notes"]["direction"] = "pull"
    device.write()
    contains('"direction": "push"', device.run("pull", "readings", expect=USAGE).err)
    contains('"direction": "pull"', device.run("push", "--table", "notes", expect=USAGE).err)


# ------------------------------------------------------------------------------------------- init

def test_init_makes_extends_and_repeats(folder):
    device = Device(folder)
    first = device.json("init")
    equal(("complete", "created"), (first["status"], first["action"]), "init")
    equal({"action": "created", "columns": 6}, first["tables"]["readings"], "readings")
    again = device.json("init")
    equal(("unchanged", "unchanged"), (again["action"], again["tables"]["notes"]["action"]), "again")
    device.settings["tables"]["notes"]["columns"]["author"] = "text"
    device.write()
    extended = device.json("init")["tables"]
    equal({"action": "updated", "columns": 2}, extended["notes"], "extended")
    equal({"action": "unchanged", "columns": 6}, extended["readings"], "the other")
    contains("notes: unchanged", device.run("init").out)
    device.settings["tables"]["notes"]["columns"]["author"] = "integer"
    device.write()
    contains("table notes", device.run("init", expect=USAGE).err)


def test_init_without_a_folder_fails(folder):
    device = Device(folder)
    device.settings["database"] = os.path.join(folder, "none", "device.db")
    device.write()
    contains("none/device.db", device.run("init", expect=FAILED).err)


# ----------------------------------------------------------------------------------------- record

def test_record_and_get_every_type(folder):
    device = Device(folder)
    row = {"id": "r1", "sensor": 'say "hi"\n\u00e9\U0001f600', "value": 1.5, "ts": 2**62, "ok": True,
           "at": "2026-11-23T06:11:29.123Z", "raw": "AAEC/w=="}
    device.record(row)
    (got,) = device.rows()
    equal("id", next(iter(got)), "the first column")
    equal(row, {key: got[key] for key in row}, "the row")
    equal(["createdAt", "updatedAt", "version"], list(got)[-3:], "system columns")
    (got,) = device.rows("r1")
    equal("r1", got["id"], "by id")
    equal([(b"\x00\x01\x02\xff",)], device.sql("SELECT raw FROM readings"), "the blob in SQL")


def test_record_makes_ids_and_acknowledges_them(folder):
    device = Device(folder)
    done = device.run("record", "readings", "--ack", text='{"sensor":"a"}\n\n{"id":"mine"}\n')
    ids = done.out.split()
    equal(2, len(ids), "ids")
    equal("mine", ids[1], "a given id")
    equal(set(ids), {row["id"] for row in device.rows()}, "ids in the table")


def test_bad_lines_are_refused_and_the_others_go_in(folder):
    device = Device(folder)
    lines = ['{"sensor":"a"}', '{"sensor":', '[1]', '{"speed":1}', '{"value":"fast"}', '{"ts":1.5}',
             '{"id":"x"}', '{"id":"x"}', '{"id":""}', '{"id":"a/b"}', '{"sensor":{"a":1}}',
             '{"at":"yesterday"}', '{"raw":"?"}', '{"ok":2}', '{"sensor":"a","sensor":"b"}',
             '{"sensor":5}', '{"id":7}', '{"sensor":"z"}']
    path = device.file("in.jsonl", "\n".join(lines) + "\n")
    done = device.run("record", "readings", path, expect=FAILED)
    refused = [line for line in done.err.splitlines() if re.match(re.escape(path) + r":\d+: ", line)]
    numbers = [int(line[len(path) + 1:].split(":")[0]) for line in refused]
    equal([2, 3, 4, 5, 6, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17], numbers, done.err)
    contains("speed: readings has no such column", done.err)
    contains('value: a number is needed (got "fast")', done.err)
    contains("'put' changes rows", done.err)
    contains("3 rows recorded, 15 refused", done.err)
    equal({"a", None, "z"}, {row["sensor"] for row in device.rows()}, "the good ones")
    answer = device.json("record", "readings", path, expect=FAILED)
    equal(("failed", 2, 16), (answer["status"], answer["recorded"], answer["refused"]), "JSON")


def test_system_columns_in_the_input_are_ignored(folder):
    device = Device(folder)
    device.record({"id": "a", "version": "zz", "createdAt": "2000-01-01T00:00:00Z", "deleted": True,
                   "updatedAt": 5})
    (row,) = device.rows()
    equal(None, row["version"], "version")


def test_a_line_over_the_limit_is_refused(folder):
    device = Device(folder)
    big = json.dumps({"sensor": "x" * (1 << 20)})
    fits = json.dumps({"id": "fits", "sensor": "x" * ((1 << 20) - 100)})
    done = device.run("record", "readings", text=f'{{"id":"a"}}\n{big}\n{fits}\n{{"id":"b"}}\n',
                      expect=FAILED)
    contains("stdin:2: longer than a row may be", done.err)
    equal({"a", "b", "fits"}, {row["id"] for row in device.rows()}, "the others")


def test_an_endless_line_takes_no_memory(folder):
    device = Device(folder)
    device.run("init")
    limited = ["sh", "-c", 'ulimit -v 400000; exec "$@"', "sh"]
    if "asan" in BIN or os.environ.get("HOLDFAST_NO_ULIMIT"):
        limited = []  # the sanitizer reserves more addresses than that
    done = subprocess.run(limited + device.command("record", "readings"),
                          input=b"x" * (64 << 20) + b'\n{"id":"after"}\n', capture_output=True,
                          timeout=DEADLINE)
    equal(FAILED, done.returncode, done.stderr.decode()[:200])
    equal(["after"], [row["id"] for row in device.rows()], "the line after it")


def test_csv(folder):
    device = Device(folder)
    text = ('\ufeffid,sensor,value,ts,ok,at,raw\r\n'
            'a,"say ""hi"", twice",1.5,7,true,2026-11-23T06:11:29Z,AAE=\r\n'
            'b,"two\nlines",,,,,\n'
            'c,"",2,8,0,,\n'
            'd,x,1\n'
            'e,x,fast,1,1,,\n'
            'f,"open,1,2,1,,\n'
            ',made,,,,,\n')
    path = device.file("in.csv", text)
    done = device.run("record", "readings", path, "--csv", expect=FAILED)
    for part in (f"{path}:6: 3 fields, the header has 7", f"{path}:7: value: 'fast' is no number",
                 f"{path}:8: a quote is not closed"):
        contains(part, done.err)
    rows = {row["id"]: row for row in device.rows()}
    equal(4, len(rows), "rows")
    equal(('say "hi", twice', 1.5, 7, True, "2026-11-23T06:11:29.000Z", "AAE="),
          tuple(rows["a"][key] for key in COLUMNS), "all types")
    equal(("two\nlines", None), (rows["b"]["sensor"], rows["b"]["value"]), "newline, null")
    equal("", rows["c"]["sensor"], "a quoted empty text")
    equal("made", [row["sensor"] for key, row in rows.items() if len(key) > 1][0], "an id made")


def test_csv_with_a_bad_header_records_nothing(folder):
    device = Device(folder)
    for header, part in (("id,speed", "'speed', which is no column"), ("id,ID", "twice"),
                         ('"id', "quote")):
        contains(part, device.run("record", "readings", "--csv", text=f"{header}\na,b\n",
                                  expect=FAILED).err)
    equal([], device.rows(), "rows")


def test_record_from_a_missing_file(folder):
    device = Device(folder)
    contains("No such file", device.run("record", "readings", "/nowhere", expect=FAILED).err)
    device.run("record", "readings", folder, expect=FAILED)


def test_an_empty_input_is_fine(folder):
    device = Device(folder)
    device.run("record", "readings")
    equal([], device.rows(), "rows")


def test_many_rows_in_any_batch(folder):
    device = Device(folder)
    for batch in ("1", "7", "10000"):
        count = 50 if batch == "1" else 5000
        text = "".join(json.dumps({"sensor": batch, "ts": n}) + "\n" for n in range(count))
        done = device.run("record", "readings", "--batch", batch, "--ack", text=text)
        equal(count, len(set(done.out.split())), "ids")
        equal([(count,)], device.sql("SELECT count(*) FROM readings WHERE sensor=?", batch), "rows")


def test_rows_from_a_pipe_are_durable_within_a_second_and_no_lock_is_held(folder):
    device = Device(folder)
    device.run("init")
    process = subprocess.Popen(device.command("record", "readings", "--ack"), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE)
    try:
        process.stdin.write(b'{"id":"first"}\n{"id":"second"}\n{"id":"unfinis')
        process.stdin.flush()
        started = time.monotonic()
        equal(b"first\n", process.stdout.readline(), "ack")
        equal(b"second\n", process.stdout.readline(), "ack")
        if time.monotonic() - started > 30:
            raise Failure("the rows waited for more input")
        # Another program writes at once, although holdfast has the database open.
        with contextlib.closing(sqlite3.connect(device.database, timeout=0)) as db:
            db.execute("INSERT INTO readings(id) VALUES('sql')")
            db.commit()
        process.stdin.write(b'hed"}\n')
        process.stdin.close()
        equal(b"unfinished\n", process.stdout.readline(), "ack")
        equal(DONE, process.wait(DEADLINE), "exit")
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    equal(4, len(device.rows()), "rows")


def test_a_signal_keeps_what_has_arrived(folder):
    device = Device(folder)
    device.run("init")
    process = subprocess.Popen(device.command("record", "readings", "--ack"), stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    try:
        process.stdin.write(b'{"id":"a"}\n')
        process.stdin.flush()
        equal(b"a\n", process.stdout.readline(), "ack")
        process.stdin.write(b'{"id":"b"}\n')
        process.stdin.flush()
        time.sleep(0.2)  # it has read b, and waits for company
        process.send_signal(signal.SIGTERM)
        equal(FAILED, process.wait(DEADLINE), "exit")
        contains(b"stopped here", process.stderr.read())
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()
    equal({"a", "b"}, {row["id"] for row in device.rows()}, "rows")


# ------------------------------------------------------------------------------- get, put, delete

def test_get_filters_orders_and_cuts(folder):
    device = Device(folder)
    device.record(*({"id": f"r{n}", "sensor": f"s{n % 2}", "value": n / 2, "ts": n} for n in range(10)))
    ids = lambda *words: [row["id"] for row in device.rows(*words)]
    equal(["r7", "r9"], ids("--where", "ts gt 5 and sensor eq 's1'", "--order", "ts"), "where")
    equal(["r9", "r8"], ids("--order", "ts desc", "--top", "2"), "top")
    equal(["r7", "r6"], ids("--order", "ts desc", "--top", "2", "--skip", "2"), "skip")
    equal([], ids("--top", "0"), "none")
    equal([f"r{n}" for n in range(10)], ids(), "the order of insertion")
    equal(["r1"], ids("--where", "startswith(id,'r') and value eq 0.5"), "a function")


def test_a_bad_filter_shows_the_place(folder):
    device = Device(folder)
    device.run("init")
    for option, text, column in (("--where", "value gt", 9), ("--where", "sensor eq 'é' xor 1", None),
                                 ("--where", "speed gt 3", 1), ("--order", "ts desc, speed", 10)):
        done = device.run("get", "readings", option, text, expect=USAGE)
        first, shown, caret = done.err.splitlines()
        if column is not None:
            contains(f"{option}: column {column}: ", first)
            equal("  " + " " * (column - 1) + "^", caret, "caret")
        equal("  " + text, shown, "text")
        equal("", done.out, "stdout")
    contains("column 9", device.run("pull", "--where", "value gt", expect=USAGE).err)
    contains("column 9", device.run("get", "readings", "--remote", "--where", "value gt",
                                    expect=USAGE).err)


def test_an_id_that_is_not_there(folder):
    device = Device(folder)
    contains("no row 'none' in readings", device.run("get", "readings", "none", expect=FAILED).err)


def test_get_to_a_reader_that_leaves(folder):
    device = Device(folder)
    device.record(*({"sensor": "x" * 200} for _ in range(5000)))
    process = subprocess.Popen(device.command("get", "readings"), stdout=subprocess.PIPE,
                               stderr=subprocess.PIPE)
    process.stdout.readline()
    process.stdout.close()
    equal(FAILED, process.wait(DEADLINE), "exit")
    equal(b"", process.stderr.read(), "no lecture")
    process.stderr.close()


def test_plain_sql_is_visible_and_queued(folder):
    device = Device(folder)
    device.run("init")
    device.sql("INSERT INTO readings(sensor, value) VALUES('sql', 2.5)")
    if shutil.which("sqlite3"):
        subprocess.run(["sqlite3", device.database, "INSERT INTO readings(id) VALUES('shell')"],
                       check=True, timeout=DEADLINE)
    else:
        device.sql("INSERT INTO readings(id) VALUES('shell')")
    rows = device.rows()
    equal({"sql", None}, {row["sensor"] for row in rows}, "rows")
    equal(True, all(len(row["id"]) >= 5 for row in rows), "ids")
    equal(2, device.json("status")["queue"]["rows"], "queue")


def test_put_inserts_and_changes_named_columns(folder):
    device = Device(folder)
    device.record({"id": "a", "sensor": "old", "value": 1})
    done = device.run("put", "readings", "--ack",
                      text='{"id":"a","value":2}\n{"id":"b","sensor":"new"}\n{"sensor":"made"}\n')
    equal(3, len(done.out.split()), "ids")
    rows = {row["id"]: row for row in device.rows()}
    equal(("old", 2.0), (rows["a"]["sensor"], rows["a"]["value"]), "a")
    equal("new", rows["b"]["sensor"], "b")
    before = device.run("get", "readings").out
    answer = device.json("put", "readings", text=before)
    equal(("complete", 3, 0), (answer["status"], answer["put"], answer["refused"]), "put back")
    equal(before, device.run("get", "readings").out, "what get printed can be put back")
    device.run("put", "readings", text='{"id":"a","speed":1}\n', expect=FAILED)


def test_delete(folder):
    device = Device(folder)
    device.record({"id": "a"}, {"id": "b"}, {"id": "c"})
    device.run("delete", "readings", "a")
    done = device.run("delete", "readings", "b", "none", expect=FAILED)
    contains("no row 'none'", done.err)
    equal(["c"], [row["id"] for row in device.rows()], "rows")
    equal({"status": "complete", "table": "readings", "deleted": 1, "missing": 0},
          device.json("delete", "readings", "c"), "JSON")


def test_remote_without_a_server_tries_later(folder):
    device = Device(folder)
    for words, text in ((["get", "readings", "--remote"], ""), (["get", "readings", "x", "--remote"], ""),
                        (["put", "readings", "--remote"], '{"id":"a"}\n'),
                        (["delete", "readings", "a", "--remote"], "")):
        done = device.run(*words, text=text, expect=TRY_LATER)
        contains("offline", done.err, str(words))
        equal("", done.out, "stdout")
    equal(0, device.json("status")["queue"]["rows"], "nothing is queued")


class TableServer:
    """As little of a plain 2.0 server as --remote needs: pages of 50, versions, soft deletes."""

    def __init__(self):
        import http.server
        import threading
        import urllib.parse
        server = self
        self.rows, self.requests, self.refuse = {}, [], None

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *_):
                pass

            def answer(self, status, body):
                data = json.dumps(body).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                if isinstance(body, dict) and "version" in body:
                    self.send_header("ETag", '"%s"' % body["version"])
                self.end_headers()
                self.wfile.write(data)

            def handle_any(self):
                url = urllib.parse.urlsplit(self.path)
                query = dict(urllib.parse.parse_qsl(url.query))
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                parts = url.path.strip("/").split("/")
                if parts[:2] != ["tables", "readings"]:
                    return self.answer(404, {"error": "no such thing"})
                server.requests.append((self.command, self.path))
                if server.refuse:
                    return self.answer(*server.refuse)
                identity = urllib.parse.unquote(parts[2]) if len(parts) > 2 else None
                body = json.loads(body) if body else {}
                return self.answer(*getattr(server, self.command.lower())(
                    identity, query, body, (self.headers.get("If-Match") or "").strip('"')))

            do_GET = do_POST = do_PATCH = do_DELETE = handle_any

        self.http = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        threading.Thread(target=self.http.serve_forever, daemon=True).start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.http.shutdown()
        self.http.server_close()

    def store(self, row):
        row["version"] = f"v{int(row.get('version', 'v0')[1:]) + 1}"
        self.rows[row["id"]] = row
        return row

    def get(self, identity, query, _, __):
        alive = [row for key, row in sorted(self.rows.items()) if not row["deleted"]]
        if identity is None:
            skip, top = int(query.get("$skip", 0)), min(50, int(query.get("$top", 50)))
            return 200, alive[skip:skip + top]
        found = [row for row in alive if row["id"] == identity]
        return (200, found[0]) if found else (404, {"error": "The item does not exist"})

    def post(self, identity, _, body, __):
        if identity is not None:  # undelete
            return 200, self.store({**self.rows[identity], "deleted": False})
        if body["id"] in self.rows:
            return 409, {"error": "exists"}
        return 201, self.store({"deleted": False, **body})

    def patch(self, identity, _, body, match):
        row = self.rows.get(identity)
        if row is None or row["deleted"]:
            return 404, {"error": "The item does not exist"}
        if match and match != row["version"]:
            return 412, row
        return 200, self.store({**row, **body})

    def delete(self, identity, _, __, ___):
        row = self.rows.get(identity)
        if row is None or row["deleted"]:
            return 404, {"error": "The item does not exist"}
        return 200, self.store({**row, "deleted": True})


def test_remote_pages_are_followed_until_top(folder):
    with TableServer() as server:
        device = Device(folder, server={"url": server.url, "protocol": "2.0"}, sync={"page_rows": 100})
        for n in range(120):
            server.rows[f"r{n:03}"] = {"sensor": "s", "value": n, "id": f"r{n:03}", "deleted": False,
                                       "version": "v1", "ok": 1}
        ids = lambda *words: [row["id"] for row in device.rows("--remote", *words)]
        equal([f"r{n:03}" for n in range(120)], ids(), "all")
        equal([f"r{n:03}" for n in range(70)], ids("--top", "70"), "top")
        equal([f"r{n:03}" for n in range(110, 120)], ids("--skip", "110"), "skip")
        server.requests.clear()
        ids("--where", "value gt 3 and sensor eq 's'", "--order", "ts desc", "--top", "1")
        (_, path) = server.requests[0]
        contains("value%20gt%203%20and%20sensor%20eq%20%27s%27", path)
        contains("orderby=ts%20desc%2Cid", path.replace(",", "%2C"))
        (row,) = device.rows("r007", "--remote")
        equal(("r007", 7.0, True), (row["id"], row["value"], row["ok"]), "one row, as declared")
        equal("id", next(iter(row)), "the first column")
        equal(False, os.path.exists(device.database) and bool(device.rows()), "nothing is kept here")


def test_remote_put_and_delete(folder):
    with TableServer() as server:
        device = Device(folder, server={"url": server.url, "protocol": "2.0"})
        done = device.run("put", "readings", "--remote", "--ack",
                          text='{"id":"a","sensor":"one"}\n{"sensor":"made"}\n{"id":"b","extra":5}\n')
        equal(("a", "b"), (done.out.split()[0], done.out.split()[2]), "ids")
        equal({"one", "made", None}, {row.get("sensor") for row in server.rows.values()}, "inserted")
        equal(5, server.rows["b"]["extra"], "a column that only the server has")
        device.run("put", "readings", "--remote", text='{"id":"a","value":2}\n')
        equal(("one", 2, "v2"), tuple(server.rows["a"][k] for k in ("sensor", "value", "version")), "a")
        done = device.run("put", "readings", "--remote", expect=FAILED,
                          text='{"id":"a","value":3,"version":"v1"}\n{"id":"b","value":1}\n')
        contains("stdin:1: conflict: the row changed on the server", done.err)
        equal((2, 1), (server.rows["a"]["value"], server.rows["b"]["value"]), "the other line went in")
        device.run("put", "readings", "--remote", text='{"id":"a","value":3,"version":"v2"}\n')
        done = device.run("delete", "readings", "a", "none", "--remote", expect=FAILED)
        contains("no row 'none'", done.err)
        equal(True, server.rows["a"]["deleted"], "deleted")
        device.run("get", "readings", "a", "--remote", expect=FAILED)
        device.run("put", "readings", "--remote", text='{"id":"a","value":9}\n')
        equal((False, 9), (server.rows["a"]["deleted"], server.rows["a"]["value"]), "it lives again")
        equal([], device.rows(), "nothing happened here")


def test_remote_refusals_are_told_in_the_servers_words(folder):
    with TableServer() as server:
        device = Device(folder, server={"url": server.url, "protocol": "2.0"})
        for refuse, code, part in (((400, {"error": "bad column"}), FAILED, "bad column"),
                                   ((401, {"error": "who are you"}), FAILED, "who are you"),
                                   ((503, {"error": "later"}), TRY_LATER, "throttled"),
                                   ((500, {"error": "broken"}), TRY_LATER, "server_error")):
            server.refuse = refuse
            contains(part, device.run("get", "readings", "--remote", expect=code).err)
            contains(part, device.run("get", "readings", "a", "--remote", expect=code).err)
            contains(part, device.run("put", "readings", "--remote", text='{"id":"a"}\n',
                                      expect=code).err)
            contains(part, device.run("delete", "readings", "a", "--remote", expect=code).err)


# ----------------------------------------------------------------------------- push, pull, status

def test_push_to_a_closed_port_loses_nothing(folder):
    device = Device(folder)
    device.record(*({"id": f"r{n}", "ts": n} for n in range(150)))
    before = device.sql("SELECT * FROM readings")
    for words in (["push"], ["pull"], ["push", "--table", "readings"], ["pull", "readings", "--full"]):
        done = device.run(*words, expect=TRY_LATER)
        contains("150 rows wait in the queue, nothing is lost", done.err, str(words))
        contains("offline", done.err)
        contains("Try again when the network", done.err)
    answer = device.json("push", expect=TRY_LATER)
    equal(("offline", 0, 0, 0, 150), tuple(answer[key] for key in (
        "status", "pushed", "conflicts", "parked", "remaining")), "JSON")
    equal(("offline", "retry_when_link_up"),
          (answer["error"]["code"], answer["error"]["disposition"]), "error")
    for key in ("requests", "bytes_sent", "bytes_received", "seconds", "recognised"):
        if not isinstance(answer[key], (int, float)):
            raise Failure(key)
    equal(before, device.sql("SELECT * FROM readings"), "rows")
    answer = device.json("pull", "--no-push", expect=TRY_LATER)
    equal("offline", answer["status"], "pull")
    equal({"readings"}, set(answer["tables"]) & {"readings"} or set(answer["tables"]), "tables")


def test_quiet_says_errors_only(folder):
    device = Device(folder)
    device.record({"id": "a"})
    equal("", device.run("--quiet", "push", expect=TRY_LATER).out, "stdout")


def test_status_before_and_after(folder):
    device = Device(folder)
    answer = device.json("status")
    equal(False, answer["database"]["exists"], "exists")
    equal(False, os.path.exists(device.database), "looking makes nothing")
    contains("not there yet", device.run("status").out)
    device.record({"sensor": "a"}, {"sensor": "b"})
    answer = device.json("status")
    equal((True, 2, 2, 0), (answer["database"]["exists"], answer["queue"]["rows"],
                            answer["queue"]["pending"], answer["queue"]["attempted"]), "queue")
    equal((None, None, False), (answer["last_success"], answer["last_error"],
                                answer["ever_succeeded"]), "history")
    device.run("push", expect=TRY_LATER)
    answer = device.json("status")
    equal(("offline", "retry_when_link_up", False),
          tuple(answer["last_error"][key] for key in ("code", "disposition", "over")), "error")
    contains("Try again", answer["last_error"]["next"])
    text = device.run("status").out
    for part in ("link ", "clock ", "server ", "queue      2 rows", "conflicts  0", "parked     0",
                 "database ", "free", "success    never", "error      offline", "Try again"):
        contains(part, text)
    if len(text.splitlines()) > 24:
        raise Failure("more than one screen")


def hold_lock(device):
    """Holds the lock that push and pull take, as another process would."""
    import fcntl
    lock = open(device.database + ".lock", "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def test_a_second_push_waits_and_others_do_not(folder):
    device = Device(folder)
    device.run("init")
    with hold_lock(device):
        process = subprocess.Popen(device.command("push"), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        contains(b"another push or pull is at work", process.stderr.readline())
        device.record({"sensor": "a"})
        device.run("status")
        equal(1, len(device.rows()), "rows")
        equal(None, process.poll(), "the push waits")
    out, err = process.communicate(timeout=DEADLINE)
    equal(TRY_LATER, process.returncode, (out + err).decode())


def test_a_signal_ends_the_wait_for_another_push(folder):
    device = Device(folder)
    device.run("init")
    with hold_lock(device):
        process = subprocess.Popen(device.command("push", "--json"), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        process.stderr.readline()
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE)
    equal("cancelled", json.loads(out)["status"], "status")
    equal(TRY_LATER, process.returncode, "exit")


def silent_server():
    """Accepts and never answers."""
    return socket.create_server(("127.0.0.1", 0))


def test_a_signal_ends_a_push_cleanly_and_a_second_one_at_once(folder):
    with silent_server() as server:
        device = Device(folder, server={"url": f"http://127.0.0.1:{server.getsockname()[1]}"})
        device.record(*({"id": f"r{n}"} for n in range(100)))
        process = subprocess.Popen(device.command("push", "--json"), stdout=subprocess.PIPE,
                                   stderr=subprocess.PIPE)
        connection, _ = server.accept()
        # While it waits for an answer, status tells the truth.
        device.run("status")
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=DEADLINE)
        connection.close()
        answer = json.loads(out)
        equal(("cancelled", 100), (answer["status"], answer["remaining"]), "cancelled")
        equal(TRY_LATER, process.returncode, "exit")
        queue = device.json("status")["queue"]
        equal(100, queue["rows"], "queue")
        if queue["attempted"] > 1:
            raise Failure(f"one was sent, {queue['attempted']} are marked")


def test_progress_is_for_terminals_only_and_goes_away(folder):
    import pty
    with silent_server() as server:
        device = Device(folder, server={"url": f"http://127.0.0.1:{server.getsockname()[1]}"})
        device.record({"id": "a"})
        for words, shown in ((["push"], True), (["push", "--quiet"], False), (["push", "--json"], False)):
            main, side = pty.openpty()
            process = subprocess.Popen(device.command(*words), stdout=subprocess.DEVNULL, stderr=side)
            os.close(side)
            connection, _ = server.accept()
            time.sleep(0.7)
            process.send_signal(signal.SIGINT)
            text = b""
            with contextlib.suppress(OSError):
                while chunk := os.read(main, 4096):
                    text += chunk
            process.wait(DEADLINE)
            os.close(main)
            connection.close()
            equal(shown, b"pushed 0 of 1 rows" in text, f"{words}: {text}")
            if shown:
                contains(b"\r\x1b[Kholdfast: push: cancelled", text.replace(b"\r\n", b"\n"), "cleared")


# ------------------------------------------------------------------------------------------- main

def main():
    global UPDATE
    words = sys.argv[1:]
    if "--update" in words:
        UPDATE = True
        words.remove("--update")
    if not os.access(PROGRAM, os.X_OK):
        sys.exit(f"no program {PROGRAM}; HOLDFAST_BIN names the folder of another one")
    failed = 0
    for name, test in [(n, t) for n, t in globals().items() if n.startswith("test_")]:
        if words and not re.search(words[0], name):
            continue
        folder = tempfile.mkdtemp(prefix="holdfast-cli-")
        try:
            test(folder)
            print(f"ok   {name}", flush=True)
        except Exception as error:  # one failing test must not hide the others
            failed += 1
            print(f"FAIL {name}: {error}", flush=True)
            if not isinstance(error, Failure):
                import traceback
                traceback.print_exc(file=sys.stdout)
        finally:
            shutil.rmtree(folder, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
