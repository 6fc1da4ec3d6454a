# SPDX-License-Identifier: Apache-2.0
"""What the end-to-end tests share: servers, devices, a relay that breaks connections.

Real programs over loopback, each started on a free port, waited for by its "listening" line, and
stopped by its pid. Nothing sleeps to become ready.
"""
import contextlib
import json
import os
import re
import select
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
import tempfile
import threading

REPOSITORY = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
BIN = os.environ.get("HOLDFAST_BIN", os.path.join(REPOSITORY, "build", "host", "bin"))
READY_SECONDS = 60

COLUMNS = {"sensor": "text", "value": "real", "ts": "integer", "quality": "integer"}


def say(text):
    print(text, flush=True)


class Failure(AssertionError):
    pass


def check(condition, text):
    if not condition:
        raise Failure(text)


def equal(expected, actual, text):
    if expected != actual:
        raise Failure(f"{text}: expected {expected!r}, got {actual!r}")


class Process:
    """A program that says 'listening URL' on stdout when it is ready."""

    def __init__(self, arguments, log):
        self.log = open(log, "ab")
        self.process = subprocess.Popen(
            arguments, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.log)
        self.lines = {}

    def wait_for(self, *words):
        """Reads stdout until each of `words` began a line; the rest of the line is its value."""
        text = b""
        while not all(word in self.lines for word in words):
            ready, _, _ = select.select([self.process.stdout], [], [], READY_SECONDS)
            chunk = os.read(self.process.stdout.fileno(), 4096) if ready else b""
            if not chunk:
                raise Failure(f"{self.process.args[0]} did not say {words}; see {self.log.name}")
            text += chunk
            for line in text.decode().splitlines():
                word, _, value = line.partition(" ")
                self.lines[word] = value
        # Keep reading, so that the program never blocks on a full pipe.
        threading.Thread(target=self._drain, daemon=True).start()
        return [self.lines[word] for word in words]

    def _drain(self):
        with contextlib.suppress(OSError, ValueError):
            while os.read(self.process.stdout.fileno(), 4096):
                pass

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()

    def stop(self):
        if self.process.poll() is None:
            self.process.terminate()
        code = self.process.wait(timeout=READY_SECONDS)
        self.log.close()
        return code


class HoldfastServer:
    """holdfast-server with throw-away credentials; the same port after a restart."""
    name = "holdfast-server"
    carrier, scheme, configuration = "--https", "https", ".conf"

    def __init__(self, folder, devices=("device1",), options=()):
        self.folder = os.path.join(folder, "server")
        self.options = list(options)
        self.process = None
        self.port = 0
        arguments = [os.path.join(BIN, "holdfast-server"), "init", self.folder]
        for device in devices:
            arguments += ["--device", device]
        subprocess.run(arguments, check=True, stdout=subprocess.DEVNULL)

    def start(self):
        self.process = Process(
            [os.path.join(BIN, "holdfast-server"), "run", "--data", self.folder,
             self.carrier, f"127.0.0.1:{self.port}"] + self.options,
            os.path.join(self.folder, "server.log"))
        (url,) = self.process.wait_for("listening")
        self.port = int(url.rsplit(":", 1)[1])
        return self

    def stop(self):
        return self.process.stop() if self.process else 0

    def kill(self):
        self.process.kill()

    def credentials(self, device="device1"):
        conf = json.load(open(os.path.join(self.folder, device + self.configuration)))
        return {key: value for key, value in conf["server"].items()
                if key not in ("url", "protocol")}

    def rows(self, table="readings"):
        """Every row, straight from the server's database, by id."""
        # The database is whatever file in the folder holds the table.
        for file in sorted(os.listdir(self.folder)):
            if not file.endswith((".db", ".sqlite")):
                continue
            with contextlib.closing(sqlite3.connect(os.path.join(self.folder, file))) as db:
                db.row_factory = sqlite3.Row
                names = [n for (n,) in db.execute("SELECT name FROM sqlite_master WHERE type='table'")]
                for name in names:
                    if name == table or name.endswith("_" + table):
                        return {row["id"]: dict(row) for row in db.execute(f'SELECT * FROM "{name}"')}
        return {}


class HoldfastCoapServer(HoldfastServer):
    """The same over CoAP and DTLS; devices are known by their pre-shared keys."""
    name = "holdfast-server, CoAP"
    carrier, scheme, configuration = "--coap", "coaps", ".coap.conf"


class NpmServer:
    """The real azure-mobile-apps 4.0.2, with Node's own https in front, and its fault switch."""
    name = "azure-mobile-apps"
    scheme = "https"
    peer = os.path.join(REPOSITORY, "tests", "peers", "azure-mobile-apps")

    def __init__(self, folder, options=()):
        self.folder = os.path.join(folder, "npm")
        os.makedirs(self.folder)
        self.options = list(options)
        self.process = None
        self.port = 0
        self.modules = subprocess.run([os.path.join(self.peer, "setup")], check=True,
                                      stdout=subprocess.PIPE).stdout.decode().strip()
        self.certificate = os.path.join(self.folder, "server.crt")
        self.key = os.path.join(self.folder, "server.key")
        subprocess.run(
            ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-days", "3650", "-subj", "/CN=localhost", "-addext",
             "subjectAltName=IP:127.0.0.1,DNS:localhost", "-keyout", self.key, "-out",
             self.certificate], check=True, stderr=subprocess.DEVNULL)
        os.chmod(self.key, 0o600)

    def start(self):
        self.process = Process(
            ["node", os.path.join(self.peer, "server.js"), "--modules", self.modules, "--data",
             self.folder, "--cert", self.certificate, "--key", self.key, "--port", str(self.port)]
            + self.options, os.path.join(self.folder, "npm.log"))
        url, self.control = self.process.wait_for("listening", "control")
        self.port = int(url.rsplit(":", 1)[1])
        return self

    def stop(self):
        return self.process.stop() if self.process else 0

    def kill(self):
        self.process.kill()

    def credentials(self, device="device1"):
        return {"ca_file": self.certificate}

    def fault(self, **what):
        return self._ask("POST", "/fault", what)

    def stats(self):
        return self._ask("GET", "/stats")

    def rows(self, table="readings"):
        return {row["id"]: row for row in self._ask("GET", f"/rows?table={table}")}

    def _ask(self, method, path, body=None):
        import http.client
        host, port = self.control[len("http://"):].split(":")
        connection = http.client.HTTPConnection(host, int(port), timeout=READY_SECONDS)
        connection.request(method, path, json.dumps(body) if body is not None else None)
        answer = connection.getresponse().read()
        connection.close()
        return json.loads(answer) if answer else None


class Device:
    """A folder with a configuration and a database, and the holdfast program."""

    def __init__(self, folder, server, name="device1", port=None, sync=None, columns=None, table=None):
        self.folder = os.path.join(folder, name)
        os.makedirs(self.folder, exist_ok=True)
        self.database = os.path.join(self.folder, "device.db")
        self.conf = os.path.join(self.folder, "device.conf")
        settings = {
            "database": self.database,
            "server": {"url": f"{server.scheme}://127.0.0.1:{port or server.port}",
                       **server.credentials(name)},
            "tables": {"readings": {"columns": columns or COLUMNS, **(table or {})}},
        }
        if sync:
            settings["sync"] = sync
        with open(self.conf, "w") as file:
            json.dump(settings, file, indent=1)

    def command(self, *arguments):
        return [os.path.join(BIN, "holdfast"), "--config", self.conf, *arguments]

    def run(self, *arguments, text="", expect=0):
        done = subprocess.run(self.command(*arguments), input=text.encode(), capture_output=True,
                              timeout=600)
        if expect is not None and done.returncode != expect:
            raise Failure(f"holdfast {' '.join(arguments)}: exit {done.returncode}, expected {expect}\n"
                          f"{done.stdout.decode()}{done.stderr.decode()}")
        return done

    def json(self, *arguments, **options):
        return json.loads(self.run(*arguments, "--json", **options).stdout)

    def start(self, *arguments):
        return subprocess.Popen(self.command(*arguments), stdin=subprocess.DEVNULL,
                                stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def sql(self, text, *parameters):
        with contextlib.closing(sqlite3.connect(self.database, timeout=60)) as db:
            rows = db.execute(text, parameters).fetchall()
            db.commit()
            return rows

    def record(self, rows):
        self.run("record", "readings", text="".join(json.dumps(row) + "\n" for row in rows))

    def rows(self):
        done = self.run("get", "readings")
        rows = [json.loads(line) for line in done.stdout.splitlines()]
        return {row["id"]: row for row in rows}

    def operations(self):
        return self.sql("SELECT count(*) FROM __operations")[0][0]


class Running:
    """A started server, stopped in the end and checked for a clean exit."""

    def __init__(self, server):
        self.server = server

    def __enter__(self):
        return self.server.start()

    def __exit__(self, kind, *_):
        code = self.server.stop()
        if kind is None:
            equal(0, code, "the server's exit code")


class Relay:
    """A TCP relay that cuts each connection after so many bytes from the server."""

    def __init__(self, port):
        self.target = port
        self.cut_after = None  # a function that gives the bytes of the next connection, or None
        self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        left = self.cut_after() if self.cut_after else None
        try:
            server = socket.create_connection(("127.0.0.1", self.target))
        except OSError:
            client.close()
            return
        with client, server:
            while True:
                ready, _, _ = select.select([client, server], [], [])
                for end in ready:
                    try:
                        data = end.recv(65536)
                    except OSError:
                        data = b""
                    if not data:
                        return
                    if end is server and left is not None:
                        left -= len(data)
                        if left <= 0:
                            self.cuts += 1
                            # A reset, so that the client knows at once.
                            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER,
                                              b"\x01\x00\x00\x00\x00\x00\x00\x00")
                            return
                    with contextlib.suppress(OSError):
                        (server if end is client else client).sendall(data)

    def close(self):
        self.listener.close()


SAME = ("sensor", "value", "ts", "quality")


def same_rows(device_rows, server_rows, text):
    """The server's living rows are exactly the device's."""
    alive = {key: row for key, row in server_rows.items() if not row.get("deleted")}
    missing = sorted(set(device_rows) - set(alive))
    extra = sorted(set(alive) - set(device_rows))
    check(not missing and not extra,
          f"{text}: {len(missing)} missing on the server {missing[:3]}, {len(extra)} extra {extra[:3]}")
    for key, row in device_rows.items():
        for column in SAME:
            if row.get(column) != alive[key].get(column):
                raise Failure(f"{text}: {key}.{column}: device {row.get(column)!r}, "
                              f"server {alive[key].get(column)!r}")


@contextlib.contextmanager
def workspace():
    folder = tempfile.mkdtemp(prefix="holdfast-test-")
    try:
        yield folder
    except BaseException:
        for root, _, files in os.walk(folder):
            for file in files:
                if file.endswith(".log") and os.path.getsize(os.path.join(root, file)):
                    say(f"--- {file}")
                    with open(os.path.join(root, file), errors="replace") as log:
                        sys.stdout.writelines(log.readlines()[-20:])
        raise
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run_tests(tests, pattern=None):
    """Runs functions named test_*; each gets a fresh folder. Exit code for sys.exit()."""
    failed = 0
    for name, test in tests:
        if pattern and not re.search(pattern, name):
            continue
        try:
            with workspace() as folder:
                test(folder)
            say(f"ok   {name}")
        except Exception as error:  # one failing test must not hide the others
            failed += 1
            say(f"FAIL {name}: {error}")
            if not isinstance(error, Failure):
                import traceback
                traceback.print_exc(file=sys.stdout)
    return 1 if failed else 0
