#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""holdfast-server from outside: hostile input, identity, kill -9, draining, the command line.

usage: hostile_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import http.client
import json
import os
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time

from harness import SERVER, V2, V3, Client, Server, expect, row_of, run


# ---- hostile input: never a 5xx, never a dead server

def test_bad_bodies(server):
    c = Client(server)
    bodies = [b"", b"{", b"[]", b"[1]", b"null", b"1", b'"x"', b"{]", b'{"a":}', b'{"a":1,}',
              b'{"a":1}}', b'{"a":{"b":1}}', b'{"a":[1]}', b'{"a":1,"a":2}', b'{"a":NaN}',
              b'{"a":"\xff"}', b'{"a":"\xed\xa0\x80"}', b"\xef\xbb\xbf", b"\x00" * 100,
              b"[" * 100000, b'{"a":' * 100000, b" " * 200000, b'{"id":true}', b'{"id":{}}',
              b'{"id":"a/b"}', b'{"id":"' + b"i" * 256 + b'"}', b'{"id":".."}', b'{"id":"a\\u0000"}',
              b'{"__x":1}', b'{"a b":1}', b'{"":1}', b'{"sqlite_x":1}', b'{"a-b":1}',
              b'{"a\\"; DROP TABLE readings; --":1}', b'{"' + b"n" * 65 + b'":1}',
              b'{' + b",".join(b'"c%d":1' % i for i in range(65)) + b"}",
              b'{' + b",".join(b'"c%d":1' % i for i in range(5000)) + b"}"]
    for body in bodies:
        for method, path in (("POST", "/tables/bad"), ("PATCH", "/tables/bad/x")):
            answer = c(method, path, body)
            assert 400 <= answer.status < 500 and answer.json["error"], (body[:60], answer)
    for kind in ("text/plain", "application/xml", "multipart/form-data; boundary=x"):
        expect(c("POST", "/tables/bad", b"{}", Content_Type=kind), 415)
    expect(c("POST", "/tables/bad", b"{}", Content_Encoding="gzip"), 415)


def test_bad_urls(server):
    c = Client(server)
    c("POST", "/tables/urls", {"id": "x", "n": 1})
    cases = ["/tables/urls/a%2Fb%20c%3Fd", "/tables/urls/%00", "/tables/urls/%", "/tables/urls/%ff",
             "/tables/..%2f..%2fetc%2fpasswd", "/tables/sqlite_master", "/tables/__meta",
             "/tables/%F0%9F%98%80", "/tables/" + "t" * 65, "/tables/urls/" + "i" * 256,
             "/tables/urls?$top=junk", "/tables/urls?$top=-1", "/tables/urls?$top=1001",
             "/tables/urls?$top=1e2", "/tables/urls?$skip=junk", "/tables/urls?$skip=9e99",
             "/tables/urls?$filter=n%20eq", "/tables/urls?$filter=nosuch%20eq%201",
             "/tables/urls?$filter=" + "(" * 4000, "/tables/urls?$filter=" + "not%20" * 1000 + "n",
             "/tables/urls?$filter=" + "n%20eq%201%20or%20" * 400 + "n%20eq%201",
             "/tables/urls?$filter=frob(n)", "/tables/urls?$filter=n%20eq%20'",
             "/tables/urls?$filter=1;DROP%20TABLE%20urls", "/tables/urls?$orderby=nosuch",
             "/tables/urls?$orderby=n%20sideways", "/tables/urls?$select=nosuch",
             "/tables/urls?$select=,", "/tables/urls?$filter=%ff"]
    for path in cases:
        answer = c("GET", path)
        assert 400 <= answer.status < 500 and answer.json["error"], (path[:80], answer)
    depth = "/tables/urls?$filter=" + "(" * 10000 + "n%20eq%201" + ")" * 10000
    answer = Client(server)("GET", depth)
    assert answer.status in (400, 414, 431), answer
    for method, path in (("DELETE", "/tables/urls"), ("PUT", "/tables/urls"), ("BREW", "/tables/urls"),
                         ("TRACE", "/tables/urls/x")):
        answer = expect(c(method, path), 405)
        assert "GET" in answer.headers["Allow"]
    expect(c("GET", "/"), 404)
    expect(c("GET", "/api/x"), 404)
    row_of(c("GET", "/tables/urls/x"))
    head = c("HEAD", "/tables/urls/x")
    assert head.status == 200 and head.body == b"" and head.etag


def exchange(server, data, device="device1", shut=False):
    """Everything that comes back for these bytes."""
    with server.raw(device) as connection:
        try:
            connection.sendall(data)
            if shut:
                connection.unwrap()
        except OSError:
            pass
        got = b""
        try:
            while True:
                piece = connection.recv(65536)
                if not piece:
                    break
                got += piece
        except OSError:
            pass
        return got


def test_bad_framing(server):
    host = b"Host: 127.0.0.1\r\nZUMO-API-VERSION: 2.0.0\r\nConnection: close\r\n"
    post = b"POST /tables/framing HTTP/1.1\r\n" + host
    cases = [
        (b"\r\n\r\n\r\n", (b"400",)), (b"GARBAGE\r\n\r\n", (b"400",)),
        (b"GET /tables/framing HTTP/9.9\r\n" + host + b"\r\n", (b"400",)),
        (b"GET /tables/framing HTTP/1.1\r\n\r\n", (b"400",)),
        (b"GET /tables/framing HTTP/1.1\r\n" + host + b"Host: b\r\n\r\n", (b"400",)),
        (b"GET /tables/framing HTTP/1.1\r\nHost: a\"b<c\r\n\r\n", (b"400",)),
        (b"GET /tables/fra\x01ming HTTP/1.1\r\n" + host + b"\r\n", (b"400",)),
        (b"GET /tables/framing HTTP/1.1\r\n" + host + b"X: " + b"x" * 20000 + b"\r\n\r\n", (b"431",)),
        (b"GET /tables/framing HTTP/1.1\r\n" + host + b"X: y\r\n" * 5000 + b"\r\n", (b"431",)),
        (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\n" + host + b"\r\n", (b"414", b"431")),
        (b"X" * 70000, (b"400", b"431")),
        (post + b"Content-Length: -1\r\n\r\n{}", (b"400",)),
        (post + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}", (b"400",)),
        (post + b"Content-Length: 99999999999999999999\r\n\r\n{}", (b"400", b"413")),
        (post + b"Content-Length: 1048577\r\n\r\n{}", (b"413",)),
        (post + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n{}", (b"400",)),
        (post + b"Transfer-Encoding: chunked\r\n\r\nZZ\r\n{}\r\n0\r\n\r\n", (b"400",)),
        (post + b"Transfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n", (b"201",)),
        (post + b"Transfer-Encoding: chunked\r\n\r\n" + b"10000\r\n" + b"x" * 65536 + b"\r\n" * 1 +
         (b"10000\r\n" + b"x" * 65536 + b"\r\n") * 17, (b"413",)),
        (post + b"Expect: the-unexpected\r\nContent-Length: 2\r\n\r\n", (b"417",)),
    ]
    for data, statuses in cases:
        answer = exchange(server, data)
        assert answer[:9] == b"HTTP/1.1 " and answer[9:12] in statuses, (data[:120], answer[:200])
    assert exchange(server, post + b"Content-Length: 50\r\n\r\n{\"id\":\"cut\"", shut=True) == b""
    expect(Client(server)("GET", "/tables/framing/cut"), 404)
    going = exchange(server, post + b"Expect: 100-continue\r\nContent-Length: 13\r\n\r\n" + b'{"id":"cont"}')
    assert b"201 Created" in going


def test_pipelining(server):
    one = (b"POST /tables/pipe HTTP/1.1\r\nHost: h\r\nZUMO-API-VERSION: 2.0.0\r\n"
           b"Content-Length: 2\r\n\r\n{}")
    last = b"GET /tables/pipe?$top=0&$inlinecount=allpages HTTP/1.1\r\nHost: h\r\n" \
           b"ZUMO-API-VERSION: 2.0.0\r\nConnection: close\r\n\r\n"
    answer = exchange(server, one * 50 + last)
    assert answer.count(b"HTTP/1.1 201") == 50 and answer.endswith(b'"count":50}'), answer[-300:]
    old = exchange(server, b"GET /tables/pipe?ZUMO-API-VERSION=2.0.0&$top=0 HTTP/1.0\r\n\r\n")
    assert old.startswith(b"HTTP/1.1 200") and old.endswith(b"[]"), old


def test_slow_peers(server):
    """This server gives 1 s for a header, a body and an idle connection."""
    def times(sender):
        connection = server.raw()
        started = time.monotonic()
        got = b""
        try:
            for piece in sender:
                connection.sendall(piece)
                time.sleep(0.2)
        except OSError:
            pass
        try:
            while True:
                piece = connection.recv(4096)
                if not piece:
                    break
                got += piece
        except OSError:
            pass
        connection.close()
        return time.monotonic() - started, got
    head = b"POST /tables/slow HTTP/1.1\r\nHost: h\r\nZUMO-API-VERSION: 2.0.0\r\n"
    took, got = times([bytes([b]) for b in head[:40]])
    assert took < 10, took
    took, got = times([head + b"Content-Length: 40\r\n\r\n"] + [b"x"] * 30)
    assert took < 10, took
    took, got = times([])
    assert 0.5 < took < 5 and got == b"", (took, got)
    plain = [socket.create_connection(("127.0.0.1", server.port)) for _ in range(50)]
    row_of(Client(server)("POST", "/tables/slow", {"id": "works"}), 201)
    for connection in plain:
        connection.close()
    with socket.create_connection(("127.0.0.1", server.port), timeout=15) as connection:
        connection.sendall(b"GET / HTTP/1.1\r\n\r\n")
        connection.recv(100)
        assert connection.recv(100) == b""


# ---- identity

def test_identity(server):
    data = server.data
    expect(Client(server, device=None)("GET", "/tables/readings"), 401)
    token = server.token("device1")
    nobody = Client(server, device=None)
    assert nobody("GET", "/tables/readings", X_ZUMO_AUTH=token).status == 200
    assert nobody("GET", "/tables/readings", Authorization="Bearer " + token).status == 200
    expect(nobody("GET", "/tables/readings", X_ZUMO_AUTH=token[:-1]), 401)
    expect(nobody("GET", "/tables/readings", Authorization="Basic " + token), 401)
    assert nobody("GET", "/.well-known/holdfast").status == 200
    expect(Client(server)("GET", "/tables/readings", X_ZUMO_AUTH="wrong"), 401)
    # A certificate of somebody else's authority ends in the handshake.
    other = Server(["device1"])
    context = server.context(None)
    context.load_cert_chain(other.data + "/device1.crt", other.data + "/device1.key")
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        context.minimum_version = context.maximum_version = version
        connection = http.client.HTTPSConnection("127.0.0.1", server.port, context=context, timeout=10)
        try:
            connection.request("GET", "/tables/readings", headers=V2)
            answer = connection.getresponse()
            raise AssertionError("a foreign certificate got %s" % answer.status)
        except (ssl.SSLError, ConnectionError):
            pass
    other.close()
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        connection = http.client.HTTPSConnection("127.0.0.1", server.port,
                                                 context=server.context("device1", version))
        connection.request("GET", "/tables/readings", headers=V2)
        assert connection.getresponse().status == 200
    for name in os.listdir(data):
        mode = os.stat(os.path.join(data, name)).st_mode & 0o777
        secret = name.endswith((".key", ".psk", ".token")) or name == "devices.json"
        assert not secret or mode == 0o600, (name, oct(mode))


def resumed(server, context, session, request=b""):
    plain = socket.create_connection(("127.0.0.1", server.port), timeout=10)
    connection = context.wrap_socket(plain, server_hostname="127.0.0.1", session=session)
    connection.sendall(b"GET /tables/readings?$top=0 HTTP/1.1\r\nHost: h\r\n"
                       b"ZUMO-API-VERSION: 2.0.0\r\nConnection: close\r\n\r\n")
    got = b""
    while True:
        piece = connection.recv(4096)
        if not piece:
            break
        got += piece
    result = (connection.session_reused, connection.session, got[9:12])
    connection.close()
    return result


def test_resumption_keeps_the_identity(server):
    for version in (ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3):
        for device, status in (("device1", b"200"), (None, b"401")):
            context = server.context(device, version)
            reused, session, got = resumed(server, context, None)
            assert not reused and got == status, (version, device, got)
            for _ in range(3):
                reused, session, got = resumed(server, context, session)
                assert reused and got == status, (version, device, reused, got)


def test_revocation(server):
    subprocess.run([SERVER, "device", "add", "--data", server.data, "late"], check=True,
                   stdout=subprocess.DEVNULL)
    client = Client(server, device="late")
    tokens = Client(server, device=None)
    token = server.token("late")
    until = time.monotonic() + 6
    while client("GET", "/tables/readings").status != 200:
        assert time.monotonic() < until, "device add took longer than 6 s"
        time.sleep(0.2)
    context = server.context("late")
    _, session, got = resumed(server, context, None)
    assert got == b"200"
    subprocess.run([SERVER, "device", "revoke", "--data", server.data, "late"], check=True)
    until = time.monotonic() + 6
    while client("GET", "/tables/readings").status != 401:
        assert time.monotonic() < until, "revocation took longer than 6 s"
        time.sleep(0.2)
    expect(tokens("GET", "/tables/readings", X_ZUMO_AUTH=token), 401)
    reused, _, got = resumed(server, context, session)
    assert got == b"401", (reused, got)
    listed = subprocess.run([SERVER, "device", "list", "--data", server.data, "--json"], check=True,
                            stdout=subprocess.PIPE, text=True).stdout
    assert {json.loads(l)["name"]: json.loads(l)["revoked"] for l in listed.splitlines()}["late"]
    again = subprocess.run([SERVER, "device", "add", "--data", server.data, "late"],
                           stderr=subprocess.PIPE, text=True)
    assert again.returncode == 1 and "revoked" in again.stderr


# ---- durability and the life of the process

def test_kill_keeps_what_was_acknowledged(_):
    server = Server()
    acknowledged = []
    for round_number in range(3):
        server.start()
        stop = threading.Event()

        def write(worker):
            try:
                client = Client(server, device="device1")
                i = 0
                while not stop.is_set():
                    name = "k%d-%d-%d" % (round_number, worker, i)
                    answer = client("POST", "/tables/kill", {"id": name, "n": i})
                    if answer.status == 201:
                        acknowledged.append((name, answer.json["version"]))
                    i += 1
            except (OSError, http.client.HTTPException):
                pass
        workers = [threading.Thread(target=write, args=(n,)) for n in range(4)]
        for worker in workers:
            worker.start()
        time.sleep(0.7)
        server.stop(signal.SIGKILL)
        stop.set()
        for worker in workers:
            worker.join()
    server.start("--page-size", "1000")
    client = Client(server, headers=V3)
    rows, path = {}, "/tables/kill"
    while path:
        page = client("GET", path, X_ZUMO_Options="nextLink=path").json
        rows.update((r["id"], r) for r in page["items"])
        path = page["nextLink"]
    assert len(acknowledged) > 20
    for name, version in acknowledged:
        assert rows[name]["version"] == version, name
    moments = sorted(r["updatedAt"] for r in rows.values())
    assert len(set(moments)) == len(moments)
    server.close()


def test_drain(_):
    server = Server().start()
    idle = Client(server)
    idle("GET", "/tables/readings")
    busy = server.raw()
    body = b'{"id":"drain"}'
    busy.sendall(b"POST /tables/readings HTTP/1.1\r\nHost: h\r\nZUMO-API-VERSION: 2.0.0\r\n"
                 b"Content-Length: %d\r\n\r\n" % len(body) + body[:5])
    time.sleep(0.3)
    server.process.send_signal(signal.SIGTERM)
    time.sleep(0.7)
    try:
        socket.create_connection(("127.0.0.1", server.port), timeout=2).close()
        raise AssertionError("still listening")
    except ConnectionRefusedError:
        pass
    busy.sendall(body[5:])
    answer = busy.recv(4096)
    assert b"201 Created" in answer and b"Connection: close" in answer, answer
    started = time.monotonic()
    assert server.process.wait(timeout=12) == 0
    assert time.monotonic() - started < 3
    busy.close()
    server.close()


def test_schema(_):
    server = Server()
    with open(server.data + "/schema.json", "w") as out:
        out.write('{"grow": false, "tables": {"readings": {"grow": false, "hard_delete": true,\n'
                  '"columns": {"sensor": "text", "value": "real", "raw": "blob"}}}} // ours\n')
    server.start()
    c = Client(server)
    row = row_of(c("POST", "/tables/readings", {"id": "s", "sensor": "x", "raw": "AAEC"}), 201)
    assert row["raw"] == "AAEC" and row["value"] is None
    expect(c("POST", "/tables/readings", {"id": "t", "value": "text"}), 400)
    expect(c("POST", "/tables/readings", {"id": "t", "unknown": 1}), 400)
    expect(c("POST", "/tables/others", {"id": "t"}), 404)
    expect(c("GET", "/tables/others"), 404)
    assert row_of(c("DELETE", "/tables/readings/s"))["id"] == "s"
    expect(c("DELETE", "/tables/readings/s"), 404)
    expect(c("GET", "/tables/readings/s?__includeDeleted=true"), 404)
    row_of(c("POST", "/tables/readings", {"id": "s"}), 201)
    server.close()


def test_command_line(_):
    def run(*words):
        return subprocess.run([SERVER, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True, timeout=10)
    assert run("version").returncode == 0 and "SQLite" in run("version").stdout
    for words in ((), ("frobnicate",), ("run",), ("run", "--nonsense"), ("init",), ("device", "add"),
                  ("run", "--data", "x", "--page-size", "0"), ("device", "list")):
        assert run(*words).returncode == 2, words
    for command in ("init", "run", "device", "version"):
        assert run(command, "--help").returncode == 0
    server = Server(["device1"])
    before = {name: open(os.path.join(server.data, name)).read() for name in os.listdir(server.data)}
    again = run("init", server.data)
    assert again.returncode == 1 and "already" in again.stderr
    assert before == {n: open(os.path.join(server.data, n)).read() for n in os.listdir(server.data)}
    config = json.load(open(server.data + "/device1.conf"))
    assert config["server"]["url"] == "https://127.0.0.1:8443"
    assert all(os.path.isfile(config["server"][key]) for key in ("ca_file", "cert_file", "key_file"))
    assert config["tables"]["readings"]["columns"]["value"] == "real"
    for words in (("--coap", "nonsense"), ("--coap", "coap://0.0.0.0:0"),
                  ("--allow-anonymous", "--coap", "0.0.0.0:0"),
                  ("--allow-anonymous", "--https", "0.0.0.0:0"),
                  ("--https", "nonsense"), ("--https", "127.0.0.1:99999")):
        refused = run("run", "--data", server.data, *words)
        assert refused.returncode == 1 and refused.stderr, words
    assert run("run", "--data", "/nonexistent/folder").returncode == 1
    server.start("--json-log", "--allow-anonymous")
    assert run("run", "--data", server.data, "--https", "127.0.0.1:0").returncode == 1, "two servers"
    assert Client(server, device=None)("GET", "/tables/readings").status == 200
    expect(Client(server, device=None)("GET", "/tables/readings", X_ZUMO_AUTH="wrong"), 401)
    server.stop()
    lines = [json.loads(l) for l in open(server.data + "/stderr.txt") if l.startswith("{")]
    assert [l["status"] for l in lines if l["event"] == "request"] == [200, 401]
    server.close()


if __name__ == "__main__":
    sys.exit(run(globals()))
