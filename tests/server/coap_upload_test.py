#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Large rows over CoAP, datagram by datagram: blocks out of turn, sessions that end, kills, and HTTPS in between.

usage: coap_upload_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import gzip
import hashlib
import json
import os
import re
import signal
import subprocess
import sys
import traceback

from bulk_edges_test import cbor
from coap_test import (BLOCK1, BLOCK2, DELETE, ETAG, FORMAT, GET, LOCATION, PATCH, POST, PUT, SIZE1, Peer, block, message,
                       number)
from harness import Client, Server

CBOR = [(FORMAT, number(60))]
TAG, MAX_AGE = 292, 14
LIMIT = 25165824


def where(answer):
    """The map in an answer: of one-letter names, integers and truths."""
    text, out = answer.payload, {}
    assert answer.options[FORMAT] == [number(60)] and text[0] >> 5 == 5, text
    at = 1
    for _ in range(text[0] & 31):
        assert text[at] == 0x61
        name, kind, at = chr(text[at + 1]), text[at + 2], at + 3
        if kind in (0xf4, 0xf5):
            out[name] = kind == 0xf5
            continue
        extra = {24: 1, 25: 2, 26: 4}.get(kind & 31, 0)
        out[name] = int.from_bytes(text[at:at + extra], "big") if extra else kind & 31
        at += extra
    assert at == len(text)
    return out


def map_of(said):
    return bytes([0xa0 | len(said)]) + b"".join(cbor(name) + cbor(value) for name, value in said.items())


class Both:
    """A server that speaks both; over both, nobody in particular is the device."""

    def __init__(self):
        self.files = Server(["device1"])
        self.start()

    def start(self):
        self.process = subprocess.Popen(
            [sys.argv[1], "run", "--data", self.files.data, "--https", "127.0.0.1:0", "--coap", "coap://127.0.0.1:0",
             "--allow-anonymous"], stdout=subprocess.PIPE, text=True)
        lines = [self.process.stdout.readline() for _ in range(2)]
        self.files.port, self.coap_port = (int(line.rsplit(":", 1)[1]) for line in lines)

    def https(self):
        return Client(self.files, None, {"ZUMO-API-VERSION": "3.0.0"})

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()
        self.process.stdout.close()
        self.start()

    def stop(self):
        self.process.terminate()
        assert self.process.wait(20) == 0
        self.process.stdout.close()


def begin(peer, body, method="POST", path="/tables/files", digest=True, **more):
    said = {"m": method, "p": path, "n": len(body), **more}
    if digest:
        said["d"] = hashlib.sha256(body).digest()
    return peer.ask(POST, "uploads", CBOR, map_of(said))


def made(answer, offset=0):
    assert answer.code == 201 and where(answer) == {"o": offset}, (answer.code, answer.payload)
    assert answer.options[LOCATION][0] == b"uploads" and re.fullmatch(rb"[A-Za-z0-9_-]{22}", answer.options[LOCATION][1])
    return answer.options[LOCATION][1].decode()


def put(peer, ident, body, num, szx=6, tag=True):
    size = 16 << szx
    more = (num + 1) * size < len(body)
    options = [(BLOCK1, block(num, more, szx))] + ([(TAG, ident[:8].encode())] if tag else [])
    return peer.ask(PUT, "uploads/" + ident, options, body[num * size:(num + 1) * size])


def send(peer, ident, body, first=0, last=None, szx=6):
    """Blocks from `first` on; the answer to the last one."""
    count = (len(body) + (16 << szx) - 1) // (16 << szx)
    for num in range(first, count if last is None else last):
        answer = put(peer, ident, body, num, szx)
        if num + 1 < count:
            assert answer.code == 231 and answer.options[BLOCK1] == [block(num, 1, szx)], (num, answer.code, answer.payload)
    return answer


def row_bytes(name, size):
    return json.dumps({"id": name, "text": "0123456789" * (size // 10)}).encode()


def stored(both, name, body):
    answer = both.https()("GET", "/tables/files/" + name)
    assert answer.status == 200 and answer.json["text"] == json.loads(body)["text"]
    return answer


def test_a_large_row(both):
    peer, body = Peer(both.coap_port), row_bytes("large", 1500000)
    first = peer.ask(GET, "tables/nothing")
    assert first.options[65000] == [b"1000,262144,25165824"]
    ident = made(begin(peer, body))
    answer = send(peer, ident, body)
    assert answer.code == 201 and answer.payload == b"" and LOCATION not in answer.options
    version = stored(both, "large", body).json["version"].encode()
    assert answer.options[ETAG] == [version]
    count = (len(body) + 1023) // 1024
    for _ in range(2):  # in new messages
        again = put(peer, ident, body, count - 1)
        assert again.code == 201 and again.options[ETAG] == [version]
        again = peer.ask(PUT, "uploads/" + ident)
        assert again.code == 201 and again.options[ETAG] == [version]
    told = peer.ask(GET, "uploads/" + ident)
    assert told.code == 205 and where(told) == {"o": len(body), "n": len(body), "c": True}
    out_of_turn = put(peer, ident, body, 3)
    assert out_of_turn.code == 408 and where(out_of_turn) == {"o": len(body)}
    assert peer.ask(DELETE, "uploads/" + ident).code == 202
    assert peer.ask(GET, "uploads/" + ident).code == 404


def test_blocks_out_of_turn(both):
    peer, body = Peer(both.coap_port), row_bytes("turn", 8000)
    ident = made(begin(peer, body))
    assert put(peer, ident, body, 1).code == 408
    assert put(peer, ident, body, 0).code == 231
    assert put(peer, ident, body, 0).code == 231, "the block that was stored last"
    # Smaller blocks from here on: offsets are bytes.
    assert put(peer, ident, body, 4, 4).code == 231
    assert put(peer, ident, body, 4, 4).code == 231
    for wrong in (0, 2, 3, 7):
        answer = put(peer, ident, body, wrong)
        assert answer.code == 408 and where(answer) == {"o": 1024 + 256}, wrong
    told = where(peer.ask(GET, "uploads/" + ident))
    assert told == {"o": 1280, "n": len(body), "c": False}
    assert peer.ask(PUT, "uploads/" + ident).code == 408, "it is not whole"
    bad = peer.ask(PUT, "uploads/" + ident, [(BLOCK1, block(5, 1, 4)), (TAG, b"AAAAAAAA")], body[1280:1536])
    assert bad.code == 400
    assert peer.ask(PUT, "uploads/" + ident, [(BLOCK1, block(5, 1, 4))], b"short").code == 400
    assert peer.ask(PUT, "uploads/" + ident, [(BLOCK1, block(5, 0, 4))], body[1280:1536]).code == 400
    assert send(peer, ident, body, 5, szx=4).code == 201
    stored(both, "turn", body)


def test_a_datagram_that_comes_again(both):
    peer, body = Peer(both.coap_port), row_bytes("datagram", 3000)
    ident = made(begin(peer, body))
    count = (len(body) + 1023) // 1024
    for num in range(count):
        first = put(peer, ident, body, num)
        options = [(11, b"uploads"), (11, ident.encode()), (BLOCK1, block(num, num + 1 < count, 6)),
                   (TAG, ident[:8].encode())]
        data = message(0, PUT, peer.mid, options=options, payload=body[num * 1024:(num + 1) * 1024])
        assert peer.raw(data).data == first.data
    assert first.code == 201


def test_another_session_goes_on(both):
    body, szx = row_bytes("sessions", 400000), 6
    ident = made(begin(Peer(both.coap_port), body))
    at = 0
    for _ in range(4):
        peer = Peer(both.coap_port)
        answer = send(peer, ident, body, at, min(at + 100, (len(body) + 1023) // 1024))
        at += 100
    assert answer.code == 201
    stored(both, "sessions", body)


def test_after_a_kill_the_medium_counts(both):
    body = row_bytes("killed", 400000)
    ident = made(begin(Peer(both.coap_port), body))
    send(Peer(both.coap_port), ident, body, 0, 200)
    both.kill()
    peer = Peer(both.coap_port)
    answer = put(peer, ident, body, 200)
    assert answer.code == 408 and where(answer) == {"o": 3 * 65536}
    send(peer, ident, body, 192, 230)
    assert where(peer.ask(GET, "uploads/" + ident)) == {"o": 230 * 1024, "n": len(body), "c": False}
    both.kill()
    peer = Peer(both.coap_port)
    assert where(peer.ask(GET, "uploads/" + ident))["o"] == 230 * 1024, "what was said is on the medium"
    last = send(peer, ident, body, 230)
    assert last.code == 201
    both.kill()
    assert put(Peer(both.coap_port), ident, body, (len(body) - 1) // 1024).code == 201


def test_an_end_in_peace_loses_nothing(both):
    body = row_bytes("peace", 100000)
    ident = made(begin(Peer(both.coap_port), body))
    send(Peer(both.coap_port), ident, body, 0, 70)
    both.stop()
    both.start()
    assert send(Peer(both.coap_port), ident, body, 70).code == 201


def test_from_one_carrier_to_the_other_and_back(both):
    body, peer, https = row_bytes("mixed", 300000), Peer(both.coap_port), both.https()
    ident = made(begin(peer, body))
    send(peer, ident, body, 0, 50)
    path = "/uploads/" + ident
    assert https("HEAD", path).headers["Upload-Offset"] == str(50 * 1024)
    headers = {"Content_Type": "application/partial-upload", "Upload_Offset": str(50 * 1024), "Upload_Complete": "?0"}
    # It ends in the middle of a block.
    answer = https("PATCH", path, body[50 * 1024:100001], **headers)
    assert answer.status == 204 and answer.headers["Upload-Offset"] == "100001"
    answer = put(peer, ident, body, 98)
    assert answer.code == 408 and where(answer) == {"o": 100001}
    assert send(peer, ident, body, 100001 // 1024, 200).code == 231
    headers["Upload_Offset"], headers["Upload_Complete"] = str(200 * 1024), "?1"
    answer = https("PATCH", path, body[200 * 1024:], **headers)
    assert answer.status == 201, answer
    version = stored(both, "mixed", body).json["version"].encode()
    again = peer.ask(PUT, "uploads/" + ident)
    assert again.code == 201 and again.options[ETAG] == [version]
    # And begun over there.
    body = row_bytes("mixed2", 5000)
    begun = https("POST", "/tables/files", None, Upload_Complete="?0", Upload_Length=str(len(body)),
                  Content_Type="application/json")
    ident = begun.headers["Location"].rsplit("/", 1)[1]
    assert send(peer, ident, body).code == 201
    stored(both, "mixed2", body)


def test_conflicts_and_refusals(both):
    https, peer = both.https(), Peer(both.coap_port)
    assert https("POST", "/tables/files", {"id": "c", "text": "y" * 5000}).status == 201
    row = https("GET", "/tables/files/c").json
    patch = json.dumps({"text": "z" * 3000}).encode()
    ident = made(begin(peer, patch, "PATCH", "/tables/files/c", i="AAAAAAAA"))
    answer = send(peer, ident, patch)
    assert answer.code == 412 and answer.options[ETAG] == [row["version"].encode()]
    # The row that is there comes in blocks, too.
    text, num = answer.payload, 0
    while answer.options[BLOCK2][0][-1] & 8:
        num += 1
        answer = peer.ask(PUT, "uploads/" + ident, [(BLOCK2, block(num, 0, 6)), (TAG, ident[:8].encode())])
        assert answer.code == 412, (answer.code, answer.payload)
        text += answer.payload
    assert json.loads(text) == row
    ident = made(begin(peer, patch, "PATCH", "/tables/files/c", i=row["version"]))
    assert send(peer, ident, patch).code == 204
    packed = gzip.compress(row_bytes("packed", 100000), mtime=0)
    assert send(peer, made(begin(peer, packed, c="gzip")), packed).code == 201
    stored(both, "packed", row_bytes("packed", 100000))
    # Bytes that are others than the digest's.
    body = row_bytes("forged", 2000)
    ident = made(begin(peer, body))
    assert send(peer, ident, body[:-2] + b"  ").code == 400
    assert peer.ask(GET, "uploads/" + ident).code == 404
    for said, code in (({"m": "POST", "p": "/tables/9bad", "n": 5}, 400), ({"m": "GET", "p": "/tables/files", "n": 5}, 400),
                       ({"m": "POST", "p": "/tables/files"}, 400), ({"m": "POST", "p": "/tables/files", "n": -1}, 400),
                       ({"m": "PATCH", "p": "/tables/none/x", "n": 5}, 404), ({"n": 5}, 400),
                       ({"m": "POST", "p": "/tables/files", "n": 5, "c": "br"}, 415),
                       ({"m": "POST", "p": "/tables/files", "n": 5, "d": b"x"}, 400),
                       ({"m": "POST", "p": "/tables/files", "n": LIMIT + 1}, 413)):
        answer = peer.ask(POST, "uploads", CBOR, map_of(said))
        assert answer.code == code, (said, answer.code, answer.payload)
    assert int.from_bytes(answer.options[SIZE1][0], "big") == LIMIT
    assert peer.ask(POST, "uploads", CBOR, b"\xff").code == 400
    assert peer.ask(POST, "uploads", [(FORMAT, number(50))], b"{}").code == 400
    assert peer.ask(GET, "uploads").code == 405 and peer.ask(PATCH, "uploads/" + "A" * 22).code == 404


def test_four_are_open_at_most(both):
    peer, bodies = Peer(both.coap_port), [row_bytes("cap%d" % n, 100 + n) for n in range(5)]
    idents = [made(begin(peer, body)) for body in bodies[:4]]
    refused = begin(peer, bodies[4])
    assert refused.code == 429 and refused.options[MAX_AGE] == [number(60)]
    assert made(begin(peer, bodies[0])) == idents[0], "the same request"
    assert peer.ask(DELETE, "uploads/" + idents[0]).code == 202
    idents[0] = made(begin(peer, bodies[4]))
    for ident in idents:
        assert peer.ask(DELETE, "uploads/" + ident).code == 202
    assert os.listdir(both.files.data + "/uploads") == []


def main(tests):
    names = sys.argv[2:] or [name for name in tests if name.startswith("test_")]
    failed = 0
    for name in names:
        both = Both()
        try:
            tests[name](both)
            both.stop()
            print("ok   " + name, flush=True)
        except Exception:
            failed += 1
            both.process.kill()
            print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
    print(f"{len(names)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
