#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Large rows in pieces over HTTPS: each rule of the draft that we keep, cuts, kills, lies and bombs.

usage: upload_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import base64
import gzip
import hashlib
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time

from harness import V3, Client, expect, row_of, run_each

LIMIT = 25165824
JSON = "application/json"
PARTIAL = "application/partial-upload"
PROBLEM = "https://iana.org/assignments/http-problem-types#"


def body_of(name, size, **more):
    return json.dumps({"id": name, "text": "abcdefghij" * (size // 10), **more}).encode()


def digest_of(body):
    return "sha-256=:%s:" % base64.b64encode(hashlib.sha256(body).digest()).decode()


def begin(c, length, path="/tables/files", method="POST", body=None, **headers):
    headers = {"Upload_Complete": "?0", "Content_Type": JSON, **headers}
    if length is not None:
        headers["Upload_Length"] = str(length)
    return c(method, path, body, **headers)


def made(answer, offset=0):
    """The path of a new upload."""
    assert answer.status == 201 and answer.body == b"", answer
    assert answer.headers["Upload-Complete"] == "?0" and answer.headers["Upload-Offset"] == str(offset), answer.headers
    limit = re.fullmatch(r"max-size=25165824, max-append-size=25165824, max-age=(\d+)", answer.headers["Upload-Limit"])
    assert 86390 <= int(limit[1]) <= 86400, limit
    place = re.fullmatch(r"https://127\.0\.0\.1(?::\d+)?(/uploads/[A-Za-z0-9_-]{22})", answer.headers["Location"])
    assert place, answer.headers["Location"]
    return place[1]


def append(c, path, offset, piece, complete=False, **headers):
    headers = {"Upload_Offset": str(offset), "Upload_Complete": "?1" if complete else "?0", "Content_Type": PARTIAL,
               **headers}
    return c("PATCH", path, piece, **{name: value for name, value in headers.items() if value is not None})


def is_at(answer, offset, complete=False):
    assert answer.headers["Upload-Offset"] == str(offset), (answer, answer.headers["Upload-Offset"])
    assert answer.headers["Upload-Complete"] == ("?1" if complete else "?0"), answer.headers.as_string()
    return answer


def send(c, path, body, piece=65536, start=0):
    """All pieces; the answer to the last."""
    for at in range(start, len(body), piece):
        part = body[at:at + piece]
        last = at + len(part) == len(body)
        answer = append(c, path, at, part, last)
        if last:
            return answer
        is_at(expect(answer, 204), at + len(part))
    raise AssertionError("nothing to send")


def files(server):
    return os.listdir(server.data + "/uploads")


def test_a_row_of_four_megabytes(c, server):
    body = body_of("big", 4 << 20, n=7)
    path = made(begin(c, len(body), Repr_Digest=digest_of(body)))
    expect(c("GET", "/tables/files/big"), 404)
    answer = send(c, path, body, 256 << 10)
    is_at(answer, len(body), True)
    row = row_of(answer, 201)
    assert row["text"] == json.loads(body)["text"] and row["n"] == 7
    assert answer.headers["Location"].endswith("/tables/files/big"), answer.headers["Location"]
    assert row_of(c("GET", "/tables/files/big")) == row and files(server) == []
    # Such a row can be changed, read in a list, and deleted as every other; and by a bulk.
    changed = row_of(c("PATCH", "/tables/files/big", {"n": 8}))
    assert changed["n"] == 8 and changed["text"] == row["text"]
    assert [one["id"] for one in expect(c("GET", "/tables/files"), 200).json] == ["big"]
    update = [1, "i", "j", 0, 0, [[["files", "u", ["n"]], 1, 1, [["big", changed["version"], 9]]]]]
    assert expect(c("POST", "/bulk", update), 200).json[0][:2] == [1, 1]
    stale = [1, "i", "j", 0, 0, [[["files", "d", []], 2, 1, [["big", changed["version"]]]]]]
    assert expect(c("POST", "/bulk", stale), 200).json[0][:2] == [2, 412]
    conflict = c("PATCH", "/tables/files/big", {"n": 1}, If_Match='"AAAAAAAA"')
    assert conflict.status == 412 and conflict.json["n"] == 9 and len(conflict.body) > 4 << 20
    expect(c("DELETE", "/tables/files/big"), 200)


def test_it_is_announced(c, server):
    first = c("GET", "/tables/files")
    assert "upload=25165824" in first.headers["Holdfast"]
    told = expect(c("GET", "/.well-known/holdfast"), 200).json["upload"]
    assert told == {"path": "/uploads", "bytes": LIMIT, "seconds": 86400}
    for path in ("/tables/files", "/tables/files/a"):
        answer = c("OPTIONS", path)
        assert answer.status == 204 and answer.headers["Allow"]
        assert answer.headers["Upload-Limit"] == "max-size=25165824, max-append-size=25165824, max-age=86400"


def test_where_it_is_and_what_an_append_must_say(c, server):
    body = body_of("a", 1000)
    path = made(begin(c, len(body)))
    for method in ("HEAD", "GET"):
        answer = is_at(c(method, path), 0)
        assert answer.status == 204 and answer.headers["Upload-Length"] == str(len(body))
        assert answer.headers["Cache-Control"] == "no-store" and "max-size" in answer.headers["Upload-Limit"]
    is_at(expect(append(c, path, 0, body[:100]), 204), 100)
    wrong = is_at(append(c, path, 50, body[50:]), 100)
    assert wrong.status == 409 and wrong.headers["Content-Type"] == "application/problem+json"
    problem = wrong.json
    assert problem["type"] == PROBLEM + "mismatching-upload-offset"
    assert (problem["expected-offset"], problem["provided-offset"]) == (100, 50)
    for offset in (None, "x", "-1", "100, 100", "1.5", '"100"'):
        is_at(expect(append(c, path, 0, b"x", Upload_Offset=offset), 400), 100)
    for kind in ("application/octet-stream", JSON, "text/plain"):
        is_at(expect(append(c, path, 100, b"x", Content_Type=kind), 415), 100)
        expect(append(c, path, 100, b"x", Content_Type=kind, Upload_Draft_Interop_Version="6"), 415)
    assert append(c, path, 100, body[100:101], Content_Type="application/offset+octet-stream",
                  Upload_Draft_Interop_Version="5").status == 204
    # Parameters of a structured field mean nothing; no Upload-Complete is none.
    assert append(c, path, 101, body[101:110], Upload_Complete=None).status == 204
    assert append(c, path, 110, body[110:120], Upload_Complete="?0;a=1").status == 204
    is_at(expect(c("POST", path, "{}"), 405), 120)
    assert c("OPTIONS", path).status == 204
    row_of(is_at(send(c, path, body, start=120), len(body), True), 201)


def test_lengths_that_lie(c, server):
    body = body_of("a", 1000)
    path = made(begin(c, len(body)))
    is_at(expect(append(c, path, 0, body[:500]), 204), 500)
    for answer in (append(c, path, 500, body[500:] + b"x"), append(c, path, 500, body[500:-1], True),
                   append(c, path, 500, body[500:], Upload_Length=str(len(body) + 1)),
                   append(c, path, 500, b"", True)):
        is_at(expect(answer, 400), 500)
        assert answer.json["type"] == PROBLEM + "inconsistent-upload-length", answer
    # Chunked, so that it shows late: what belongs to it may count, more never does.
    raw = server.raw()
    raw.sendall(("PATCH %s HTTP/1.1\r\nHost: x\r\nUpload-Offset: 500\r\nContent-Type: %s\r\n"
                 "Transfer-Encoding: chunked\r\n\r\n64\r\n" % (path, PARTIAL)).encode() + body[500:600] + b"\r\n")
    time.sleep(0.2)
    raw.sendall(b"2710\r\n" + b"y" * 10000 + b"\r\n0\r\n\r\n")
    assert raw.recv(100).startswith(b"HTTP/1.1 400 ")
    raw.close()
    offset = int(is_at(c("HEAD", path), 600).headers["Upload-Offset"])
    row_of(send(c, path, body, start=offset), 201)
    expect(begin(c, LIMIT + 1), 413)
    assert begin(c, LIMIT + 1).headers["Upload-Limit"].startswith("max-size=25165824")
    assert made(begin(c, LIMIT))
    # A length that nobody has said shows at the end, or earlier.
    unknown = made(begin(c, None))
    assert c("HEAD", unknown).headers["Upload-Length"] is None
    is_at(expect(append(c, unknown, 0, b'{"id":"u",', Upload_Length="18"), 204), 10)
    is_at(expect(append(c, unknown, 10, b'"n":5}  ', Upload_Length="17"), 400), 10)
    assert row_of(append(c, unknown, 10, b'"n":5}  ', True), 201)["n"] == 5
    over = append(c, made(begin(c, None)), 0, b"", Upload_Length=str(LIMIT + 1))
    assert over.status == 413 and over.headers["Upload-Limit"]


def test_what_is_wrong_is_said_at_once(c, server):
    for answer, status in ((begin(c, 9, "/tables/9bad"), 400), (begin(c, 9, "/nothing"), 404),
                           (begin(c, 9, "/bulk"), 404), (begin(c, 9, "/tables/files/a%2Fb", "PATCH"), 400),
                           (begin(c, 9, "/tables/none/a", "PATCH"), 404), (begin(c, 9, "/tables/files/a"), 400),
                           (begin(c, 9, Content_Type="text/plain"), 415),
                           (begin(c, 9, Content_Type="application/cbor"), 415),
                           (begin(c, 9, Content_Encoding="br"), 415), (begin(c, 9, ZUMO_API_VERSION="9.0.0"), 400),
                           (begin(c, 9, Repr_Digest="sha-256=:AAAA:"), 400),
                           (begin(Client(server, None), 9), 401)):
        expect(answer, status)
        assert answer.headers["Location"] is None
    with sqlite3.connect(server.data + "/server.db") as db:
        assert db.execute("SELECT count(*) FROM __uploads").fetchone() == (0,)


def test_all_of_it_at_once_is_an_ordinary_request(c, server):
    answer = c("POST", "/tables/files", {"id": "a", "n": 1}, Upload_Complete="?1")
    row_of(answer, 201)
    assert answer.headers["Upload-Complete"] == "?1" and files(server) == []
    lied = expect(c("POST", "/tables/files", {"id": "b"}, Upload_Complete="?1", Upload_Length="1"), 400)
    assert lied.json["type"] == PROBLEM + "inconsistent-upload-length"
    expect(c("GET", "/tables/files/b"), 404)
    large = c("POST", "/tables/files", body_of("l", 2 << 20), Upload_Complete="?1")
    assert large.status == 413 and large.headers["Upload-Limit"], large


def test_with_the_first_part_in_the_request_itself(c, server):
    body = body_of("a", 200000)
    path = made(begin(c, len(body), body=body[:70000]), 70000)
    is_at(c("HEAD", path), 70000)
    row_of(send(c, path, body, start=70000), 201)
    # All of it, but not complete: that is still no row.
    path = made(begin(c, 10, body=b'{"id":"b"}'), 10)
    expect(c("GET", "/tables/files/b"), 404)
    row_of(is_at(append(c, path, 10, b"", True), 10, True), 201)


def test_the_closing_append_again(c, server):
    for size in (1000, 300000):
        body = json.dumps({"text": "x" * size}).encode()  # the server names the row
        path = made(begin(c, len(body)))
        first = append(c, path, 0, body, True)
        row = row_of(first, 201)
        for _ in range(2):
            again = is_at(append(c, path, len(body), b"", True), len(body), True)
            assert (again.status, again.body, again.etag) == (201, first.body, first.etag)
            for name in ("Location", "Last-Modified", "Content-Type"):
                assert again.headers[name] == first.headers[name]
        is_at(c("HEAD", path), len(body), True)
        wrong = append(c, path, 0, body, True)
        assert wrong.status == 409 and is_at(wrong, len(body))
        server.stop(signal.SIGKILL)
        server.start()
        c = Client(server)
        again = append(c, path, len(body), b"", True)
        assert (again.status, again.body) == (201, first.body)
        # When the row has changed since, a long one is not shown.
        row_of(c("PATCH", "/tables/files/" + row["id"], {"n": 1}))
        again = append(c, path, len(body), b"", True)
        assert (again.status, again.etag) == (201, first.etag)
        assert again.body == (first.body if size == 1000 else b"")
        assert c("DELETE", path).status == 204
        assert c("HEAD", path).status == 404
    assert len(expect(c("GET", "/tables/files"), 200).json) == 2


def test_a_conflict_is_found_when_it_is_complete(c, server):
    row = row_of(c("POST", "/tables/files", {"id": "a", "n": 1}), 201)
    body = json.dumps({"text": "z" * 100000}).encode()

    def start(version):
        return made(begin(c, len(body), "/tables/files/a", "PATCH", If_Match='"%s"' % version))
    path = start(row["version"])
    is_at(expect(append(c, path, 0, body[:50000]), 204), 50000)
    theirs = row_of(Client(server, "device2")("PATCH", "/tables/files/a", {"n": 2}))
    answer = is_at(append(c, path, 50000, body[50000:], True), len(body), True)
    assert answer.status == 412 and answer.json == theirs and answer.etag == '"%s"' % theirs["version"]
    assert append(c, path, len(body), b"", True).status == 412
    path = start(theirs["version"])
    assert row_of(is_at(send(c, path, body), len(body), True))["text"] == "z" * 100000
    # An insert of what is there.
    taken = body_of("a", 100000)
    answer = is_at(send(c, made(begin(c, len(taken))), taken), len(taken), True)
    assert answer.status == 409 and answer.json["n"] == 2 and answer.etag
    # A row that is none.
    path = made(begin(c, 3))
    refused = is_at(expect(append(c, path, 0, b"[1]", True), 400), 3, True)
    assert append(c, path, 3, b"", True).body == refused.body
    gone = made(begin(c, 9, "/tables/files/nobody", "PATCH"))
    is_at(expect(append(c, gone, 0, b'{"n": 1 }', True), 404), 9, True)


def test_a_digest_that_is_another(c, server):
    body = body_of("a", 100000)
    path = made(begin(c, len(body), Repr_Digest="sha-512=:AAAA:, " + digest_of(body)))
    answer = is_at(send(c, path, body[:-5] + b"xyz\"}"), len(body))
    assert answer.status == 400
    assert c("HEAD", path).status == 404 and files(server) == []
    expect(c("GET", "/tables/files/a"), 404)
    row_of(send(c, made(begin(c, len(body), Repr_Digest=digest_of(body))), body), 201)


def test_packed(c, server):
    body = body_of("a", 3 << 20)
    packed = gzip.compress(body, mtime=0)
    path = made(begin(c, len(packed), Content_Encoding="gzip", Repr_Digest=digest_of(packed)))
    half = len(packed) // 2
    is_at(expect(append(c, path, 0, packed[:half]), 204), half)
    assert row_of(append(c, path, half, packed[half:], True), 201)["text"] == json.loads(body)["text"]
    for wrong, status in ((b"\x1f\x8b no", 400), (packed[:-9], 400), (packed + b"x", 400)):
        path = made(begin(c, len(wrong), Content_Encoding="gzip"))
        is_at(expect(append(c, path, 0, wrong, True), status), len(wrong), True)


def test_a_bomb(c, server):
    bomb = gzip.compress(b'{"id":"b","text":"' + b" " * 200_000_000 + b'"}', 9)
    assert len(bomb) < 300_000
    before = server.resident_kib()
    for _ in range(3):
        path = made(begin(c, len(bomb), Content_Encoding="gzip"))
        is_at(expect(append(c, path, 0, bomb, True), 413), len(bomb), True)
    assert server.resident_kib() - before < 40_000, (before, server.resident_kib())
    nested = b'{"id":"n","a":' + b"[" * 100000 + b"]" * 100000 + b"}"
    expect(send(c, made(begin(c, len(nested))), nested), 400)


def test_the_largest_row_and_one_that_is_larger(c, server):
    large = json.dumps({"id": "l", "text": "x" * (16 << 20)}).encode()
    path = made(begin(c, len(large)))
    assert len(row_of(send(c, path, large, 4 << 20), 201)["text"]) == 16 << 20
    over = json.dumps({"id": "o", "text": "x" * ((16 << 20) + 8192)}).encode()
    is_at(expect(send(c, made(begin(c, len(over))), over, 8 << 20), 413), len(over), True)
    expect(c("GET", "/tables/files/o"), 404)


def test_minimal(c, server):
    body = body_of("a", 100000)
    path = made(begin(c, len(body), Prefer="return=minimal"))
    answer = send(c, path, body)
    assert answer.status == 201 and answer.body == b"" and answer.headers["Preference-Applied"] == "return=minimal"
    assert answer.etag == c("GET", "/tables/files/a").etag


def test_what_came_before_a_cut_stays(c, server):
    body = body_of("a", 1 << 20)
    path = made(begin(c, len(body)))
    head = "PATCH %s HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\nUpload-Complete: ?1\r\nContent-Type: %s\r\n" \
           "Content-Length: %d\r\n\r\n" % (path, PARTIAL, len(body))
    raw = server.raw()
    raw.sendall(head.encode() + body[:300001])
    time.sleep(0.3)
    raw.close()
    deadline = time.monotonic() + 10
    while (offset := int(c("HEAD", path).headers["Upload-Offset"])) < 300001:
        assert time.monotonic() < deadline, offset
        time.sleep(0.05)
    assert offset == 300001
    expect(c("GET", "/tables/files/a"), 404)
    row_of(send(c, path, body, 256 << 10, start=offset), 201)


def test_who_comes_later_ends_an_append(c, server):
    body = body_of("a", 1 << 20)
    for method in ("HEAD", "PATCH", "DELETE"):
        path = made(begin(c, len(body)))
        raw = server.raw()
        raw.sendall(("PATCH %s HTTP/1.1\r\nHost: x\r\nUpload-Offset: 0\r\nContent-Type: %s\r\nContent-Length: %d\r\n\r\n"
                     % (path, PARTIAL, len(body))).encode() + body[:100000])
        time.sleep(0.3)
        started = time.monotonic()
        if method == "HEAD":
            is_at(c("HEAD", path), 100000)
        elif method == "PATCH":
            is_at(expect(append(c, path, 100000, body[100000:200000]), 204), 200000)
        else:
            assert c("DELETE", path).status == 204 and c("HEAD", path).status == 404
        assert time.monotonic() - started < 3
        raw.settimeout(5)
        try:
            assert raw.recv(100) == b"", method
        except OSError:
            pass
        raw.close()
    assert files(server) and len(files(server)) == 2


def test_a_kill_in_the_middle(c, server):
    body = body_of("a", 2 << 20)
    path = made(begin(c, len(body), Repr_Digest=digest_of(body)))
    at = 0
    for _ in range(4):
        raw = server.raw()
        raw.sendall(("PATCH %s HTTP/1.1\r\nHost: x\r\nUpload-Offset: %d\r\nUpload-Complete: ?1\r\nContent-Type: %s\r\n"
                     "Content-Length: %d\r\n\r\n" % (path, at, PARTIAL, len(body) - at)).encode() + body[at:at + 400000])
        time.sleep(0.3)
        server.stop(signal.SIGKILL)
        with open(server.data + "/uploads/" + path[9:], "ab") as file:
            file.write(b"what a power cut may leave")
        open(server.data + "/uploads/orphan", "wb").close()
        server.start()
        c = Client(server)
        offset = int(c("HEAD", path).headers["Upload-Offset"])
        assert at < offset <= at + 400000 and offset >= at + 400000 - 65536 - 16384, (at, offset)
        assert files(server) == [path[9:]] and os.path.getsize(server.data + path) == offset
        at = offset
    row_of(send(c, path, body, 256 << 10, start=at), 201)
    assert len(expect(c("GET", "/tables/files"), 200).json) == 1


def test_bytes_that_are_gone(c, server):
    path = made(begin(c, 100))
    is_at(expect(append(c, path, 0, b"x" * 50), 204), 50)
    server.stop(signal.SIGKILL)
    os.truncate(server.data + path, 20)
    server.start()
    assert Client(server)("HEAD", path).status == 404


def test_of_others_one_hears_nothing(c, server):
    path = made(begin(c, 100))
    other = Client(server, "device2")
    for answer in (other("HEAD", path), other("GET", path), append(other, path, 0, b"x"), other("DELETE", path),
                   c("HEAD", "/uploads/" + "A" * 22), c("GET", "/uploads/..%2F..%2Fserver.key"), c("HEAD", "/uploads/")):
        assert answer.status == 404, answer
    is_at(c("HEAD", path), 0)
    assert Client(server, None)("HEAD", path).status == 401


def test_four_are_open_at_most(c, server):
    paths = [made(begin(c, 100 + n)) for n in range(4)]
    refused = expect(begin(c, 200), 429)
    assert refused.headers["Retry-After"] == "60"
    made(begin(Client(server, "device2"), 200))
    assert c("DELETE", paths[0]).status == 204
    body = body_of("a", 100)
    path = made(begin(c, len(body), Repr_Digest=digest_of(body)))
    expect(begin(c, 200), 429)
    is_at(expect(append(c, path, 0, body[:60]), 204), 60)
    # The same request finds the one that it made before.
    assert made(begin(c, len(body), Repr_Digest=digest_of(body)), 60) == path
    expect(begin(c, len(body), Repr_Digest=digest_of(body), If_Match='"x"'), 429)
    row_of(send(c, path, body, start=60), 201)
    made(begin(c, 300))


def test_finished_ones_are_kept_so_many(c, server):
    first = None
    for n in range(66):
        body = b'{"id":"r%d"}' % n
        path = made(begin(c, len(body)))
        first = first or path
        row_of(append(c, path, 0, body, True), 201)
    assert c("HEAD", first).status == 404 and is_at(c("HEAD", path), len(body), True)
    with sqlite3.connect(server.data + "/server.db") as db:
        assert db.execute("SELECT count(*) FROM __uploads").fetchone() == (64,)


def test_others_are_served_meanwhile(c, server):
    body = body_of("big", 15 << 20)
    path = made(begin(c, len(body)))
    slowest, done = [0.0], threading.Event()

    def watch():
        other = Client(server, "device2")
        while not done.is_set():
            started = time.monotonic()
            other("GET", "/tables/small")
            slowest[0] = max(slowest[0], time.monotonic() - started)
    watcher = threading.Thread(target=watch)
    watcher.start()
    row_of(send(c, path, body, 4 << 20), 201)
    done.set()
    watcher.join()
    assert slowest[0] < 2, slowest


def test_a_row_comes_down_in_ranges(c, server):
    body = body_of("a", 200000)
    row_of(send(c, made(begin(c, len(body))), body), 201)
    for client in (c, Client(server, headers=V3)):
        whole = client("GET", "/tables/files/a")
        assert whole.headers["Accept-Ranges"] == "bytes" and whole.headers["Content-Encoding"] is None
        size, text = len(whole.body), whole.body
        for first in (0, 1, 100000, 199999):
            part = client("GET", "/tables/files/a", Range="bytes=%d-" % first, If_Range=whole.etag)
            assert part.status == 206 and part.body == text[first:] and part.etag == whole.etag
            assert part.headers["Content-Range"] == "bytes %d-%d/%d" % (first, size - 1, size)
        part = client("GET", "/tables/files/a", Range="bytes=5-9")
        assert part.status == 206 and part.body == text[5:10]
        for beyond in (size, size + 1, 10 ** 15):
            answer = client("GET", "/tables/files/a", Range="bytes=%d-" % beyond, If_Range=whole.etag)
            assert expect(answer, 416).headers["Content-Range"] == "bytes */%d" % size
        for passed_over in ("bytes=-5", "bytes=9-5", "rows=1-", "bytes=1-2,5-6", "bytes=x-"):
            answer = client("GET", "/tables/files/a", Range=passed_over)
            assert answer.status == 200 and answer.body == text
        assert client("GET", "/tables/files/a", Range="bytes=5-", If_Range='"AAAAAAAA"').body == text
        # A table that grows gives the row another end, but no other version.
        column = "more%s" % client.headers["ZUMO-API-VERSION"][0]
        row_of(client("POST", "/tables/files", {"id": column, column: 1}), 201)
        grown = client("GET", "/tables/files/a")
        assert grown.etag == whole.etag and len(grown.body) > size
        part = client("GET", "/tables/files/a", Range="bytes=150000-", If_Range=whole.etag)
        assert json.loads(text[:150000] + part.body) == grown.json
        late = client("GET", "/tables/files/a", Range="bytes=%d-" % (size - 20), If_Range=whole.etag)
        assert late.status == 200 and late.body == grown.body
    assert c("GET", "/tables/files", Range="bytes=5-").status == 200


if __name__ == "__main__":
    sys.exit(run_each(globals()))
