# SPDX-License-Identifier: Apache-2.0
"""What the tests from outside stand on: a server with throw-away credentials, and clients.

Free ports of loopback only. Python's own library only, so that nothing of ours takes part on this side.
"""
import atexit
import http.client
import json
import os
import re
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import time
import traceback

SERVER = sys.argv[1] if len(sys.argv) > 1 else ""
V2 = {"ZUMO-API-VERSION": "2.0.0"}
V3 = {"ZUMO-API-VERSION": "3.0.0"}


# Under the address sanitizer, what was freed is kept for a while, and would count as in use.
ENVIRONMENT = {**os.environ, "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=4"}


class Answer:
    def __init__(self, response):
        self.status = response.status
        self.headers = response.headers
        self.body = response.read()
        self.etag = response.headers.get("ETag")

    @property
    def json(self):
        return json.loads(self.body)

    def __repr__(self):
        return "%s %r" % (self.status, self.body[:300])


class Server:
    """One data folder; started and stopped as often as a test likes."""

    all = []

    def __init__(self, devices=("device1", "device2")):
        Server.all.append(self)
        self.data = tempfile.mkdtemp(prefix="holdfast-e2e-")
        shutil.rmtree(self.data)
        command = [SERVER, "init", self.data]
        for device in devices:
            command += ["--device", device]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL)
        self.process = None

    def start(self, *options):
        self.log = open(os.path.join(self.data, "stderr.txt"), "ab")
        self.process = subprocess.Popen(
            [SERVER, "run", "--data", self.data, "--https", "127.0.0.1:0", *options],
            stdout=subprocess.PIPE, stderr=self.log, text=True, env=ENVIRONMENT)
        line = self.process.stdout.readline()
        assert re.fullmatch(r"listening https://127\.0\.0\.1:\d+\n", line), line
        self.port = int(line.rsplit(":", 1)[1])
        return self

    def stop(self, how=signal.SIGTERM):
        if self.process is None:
            return None
        self.process.send_signal(how)
        code = self.process.wait(timeout=20)
        self.process.stdout.close()
        self.log.close()
        self.process = None
        return code

    def close(self):
        try:
            code = self.stop()
            log = os.path.join(self.data, "stderr.txt")
            errors = open(log).read() if os.path.exists(log) else ""
            assert code in (0, None), "exit code %s\n%s" % (code, errors)
            assert "Sanitizer" not in errors and "runtime error" not in errors, errors
        finally:
            shutil.rmtree(self.data, ignore_errors=True)

    def context(self, device="device1", version=None):
        context = ssl.create_default_context(cafile=self.data + "/ca.crt")
        if device:
            context.load_cert_chain(f"{self.data}/{device}.crt", f"{self.data}/{device}.key")
        if version:
            context.minimum_version = context.maximum_version = version
        return context

    def connect(self, device="device1", timeout=20):
        return http.client.HTTPSConnection("127.0.0.1", self.port, timeout=timeout,
                                           context=self.context(device))

    def raw(self, device="device1"):
        plain = socket.create_connection(("127.0.0.1", self.port), timeout=20)
        return self.context(device).wrap_socket(plain, server_hostname="127.0.0.1")

    def resident_kib(self):
        with open(f"/proc/{self.process.pid}/status") as status:
            return int(re.search(r"VmRSS:\s+(\d+)", status.read())[1])

    def token(self, device):
        return open(f"{self.data}/{device}.token").read().strip()


@atexit.register
def _leave_nothing_running():
    for server in Server.all:
        if server.process is not None:
            server.process.kill()
        shutil.rmtree(server.data, ignore_errors=True)


class Client:
    def __init__(self, server, device="device1", headers=V2):
        self.connection = server.connect(device)
        self.headers = headers

    def __call__(self, method, path, body=None, **headers):
        all_headers = dict(self.headers)
        for name, value in headers.items():
            all_headers[name.replace("_", "-")] = value
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        if body is not None and "Content-Type" not in all_headers:
            all_headers["Content-Type"] = "application/json"
        self.connection.request(method, path, body, all_headers)
        return Answer(self.connection.getresponse())


def expect(answer, status):
    assert answer.status == status, "expected %s, got %r" % (status, answer)
    if status >= 400:
        assert isinstance(answer.json["error"] if "error" in answer.json else answer.json["id"], str)
    return answer


def row_of(answer, status=200):
    """A single-row answer: the row, its ETag equal to its version, at most 8 bytes."""
    expect(answer, status)
    row = answer.json
    assert answer.etag == '"%s"' % row["version"], answer.headers.as_string()
    assert 0 < len(row["version"]) <= 8
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", row["updatedAt"]), row
    assert answer.headers["Content-Type"].startswith("application/json")
    assert answer.headers["Holdfast"].startswith("v=1")
    assert answer.headers["x-zumo-server-version"].startswith("holdfast-")
    assert answer.headers["Cache-Control"] == "no-cache"
    return row


def run_each(tests):
    """As run(); each function has a server of its own, and a client of it."""
    names = sys.argv[2:] or [n for n in tests if n.startswith("test_")]

    def alone(test):
        def call(_):
            server = Server().start()
            try:
                test(Client(server), server)
            finally:
                server.close()
        return call
    return run({name: alone(tests[name]) for name in names})


def run(tests):
    """Runs the functions test_* of a module; the exit code."""
    names = sys.argv[2:] or [n for n in tests if n.startswith("test_")]
    shared = Server().start("--page-size", "3", "--header-timeout", "1", "--body-timeout", "1")
    # An idle limit of a second would end the other tests' connections between their requests.
    impatient = Server().start("--idle-timeout", "1", "--header-timeout", "1", "--body-timeout", "1")
    failed = 0
    try:
        for name in names:
            started = time.monotonic()
            try:
                tests[name](impatient if name == "test_slow_peers" else shared)
                print("ok   %-40s %.1f s" % (name, time.monotonic() - started), flush=True)
            except Exception:
                failed += 1
                print("FAIL %s\n%s" % (name, traceback.format_exc()), flush=True)
    finally:
        for server in (shared, impatient):
            try:
                server.close()
            except Exception as error:
                failed += 1
                print("FAIL at the end: %s" % error, flush=True)
    print("%d tests, %d failed" % (len(names), failed))
    return 1 if failed else 0

