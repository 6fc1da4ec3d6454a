#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""holdfast-server's CoAP from outside, datagram by datagram: what no well-behaved client sends.

usage: coap_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import json
import os
import random
import socket
import struct
import subprocess
import sys
import traceback

from harness import Server

GET, POST, PUT, DELETE, FETCH, PATCH = 1, 2, 3, 4, 5, 6
IF_MATCH, ETAG, OBSERVE, LOCATION, PATH, FORMAT, QUERY, ACCEPT = 1, 4, 6, 8, 11, 12, 15, 17
BLOCK2, BLOCK1, SIZE2, SIZE1 = 23, 27, 28, 60
CON, NON, ACK, RST = 0, 1, 2, 3


def number(value):
    return value.to_bytes((value.bit_length() + 7) // 8, "big")


def block(num, more, szx):
    return number(num << 4 | more << 3 | szx)


def nibble(value):
    if value < 13:
        return value, b""
    if value < 269:
        return 13, bytes([value - 13])
    return 14, struct.pack(">H", value - 269)


def message(kind, code, mid, token=b"\x01", options=(), payload=b""):
    out = bytes([0x40 | kind << 4 | len(token), code]) + struct.pack(">H", mid) + token
    last = 0
    for option, value in sorted(options, key=lambda pair: pair[0]):
        delta, more_delta = nibble(option - last)
        length, more_length = nibble(len(value))
        out += bytes([delta << 4 | length]) + more_delta + more_length + value
        last = option
    return out + (b"\xff" + payload if payload else b"")


class Answer:
    def __init__(self, data):
        self.data, self.kind, self.mid = data, data[0] >> 4 & 3, struct.unpack(">H", data[2:4])[0]
        self.code = (data[1] >> 5) * 100 + (data[1] & 31)
        at = 4 + (data[0] & 15)
        self.token, self.options, self.payload, last = data[4:at], {}, b"", 0
        while at < len(data):
            if data[at] == 0xff:
                self.payload = data[at + 1:]
                break
            delta, length = data[at] >> 4, data[at] & 15
            at += 1
            if delta == 13:
                delta, at = data[at] + 13, at + 1
            elif delta == 14:
                delta, at = int.from_bytes(data[at:at + 2], "big") + 269, at + 2
            if length == 13:
                length, at = data[at] + 13, at + 1
            last += delta
            self.options.setdefault(last, []).append(data[at:at + length])
            at += length


class Peer:
    """One address. Without DTLS, on loopback."""

    def __init__(self, port):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.connect(("127.0.0.1", port))
        self.socket.settimeout(5)
        self.mid = random.randrange(1 << 15)

    def raw(self, data):
        """Sent again when no answer comes, as the kernel drops what a busy server has no room for."""
        for _ in range(5):
            self.socket.send(data)
            try:
                return Answer(self.socket.recv(4096))
            except socket.timeout:
                pass
        raise AssertionError("the server does not answer")

    def ask(self, code, path, options=(), payload=b"", kind=CON, mid=None):
        self.mid += 1
        options = [(PATH, part.encode()) for part in path.split("/")] + list(options)
        return self.raw(message(kind, code, self.mid if mid is None else mid, options=options,
                                payload=payload))

    def silent(self):
        self.socket.settimeout(0.3)
        try:
            return self.socket.recv(4096) == b""
        except socket.timeout:
            return True
        finally:
            self.socket.settimeout(5)


JSON = [(FORMAT, number(50))]


def row(name, **columns):
    return json.dumps({"id": name, **columns}).encode()


def start():
    server = Server(["device1"])
    process = subprocess.Popen(
        [sys.argv[1], "run", "--data", server.data, "--coap", "coap://127.0.0.1:0",
         "--allow-anonymous"], stdout=subprocess.PIPE,
        # AddressSanitizer would keep a quarter of a gigabyte of freed memory.
        env=dict(os.environ, ASAN_OPTIONS="quarantine_size_mb=1"))
    line = process.stdout.readline().decode()
    server.coap, server.coap_port = process, int(line.rsplit(":", 1)[1])
    return server


def test_a_request_that_comes_again_has_the_same_answer(server):
    peer = Peer(server.coap_port)
    first = peer.ask(POST, "tables/again", JSON, row("a", value=1))
    assert (first.kind, first.code, first.mid) == (ACK, 201, peer.mid)
    again = peer.ask(POST, "tables/again", JSON, row("a", value=1))
    assert again.code == 409, "a new message is a new request"
    same = peer.raw(message(CON, POST, first.mid, options=[(PATH, b"tables"), (PATH, b"again")] + JSON,
                            payload=row("a", value=1)))
    assert same.data == first.data, "the answer that was lost"
    version = first.options[ETAG][0]
    update = message(CON, PATCH, 77, options=[(PATH, b"tables"), (PATH, b"again"), (PATH, b"a"),
                                              (IF_MATCH, version)] + JSON, payload=b'{"value":2}')
    done = peer.raw(update)
    assert done.code == 204 and done.options[ETAG][0] != version
    assert peer.raw(update).data == done.data, "without the memory this would be 4.12"


def test_answers_say_the_version_and_no_more(server):
    peer = Peer(server.coap_port)
    made = peer.ask(POST, "tables/short", JSON, row("a", value=1))
    assert made.payload == b"" and len(made.options[ETAG][0]) == 8 and LOCATION not in made.options
    assert len(peer.ask(POST, "tables/short", JSON, b'{"value":1}').options[LOCATION]) == 3
    whole = peer.ask(PATCH, "tables/short/a", JSON + [(QUERY, b"return=representation")], b'{"value":2}')
    assert whole.code == 204 and json.loads(whole.payload)["value"] == 2
    known = peer.ask(GET, "tables/short/a", [(ETAG, whole.options[ETAG][0])])
    assert known.code == 203 and known.payload == b""
    assert peer.ask(GET, "tables/short/a", [(ACCEPT, number(60))]).options[FORMAT] == [number(60)]
    assert peer.ask(GET, "tables/short/a", [(ACCEPT, number(0))]).code == 406
    assert peer.ask(POST, "tables/short", [(FORMAT, number(42))], b"x").code == 415
    stale = peer.ask(PATCH, "tables/short/a", JSON + [(IF_MATCH, b"VERSION0")], b'{"value":3}')
    assert stale.code == 412 and json.loads(stale.payload)["value"] == 2
    assert peer.ask(DELETE, "tables/short/a").code == 202
    assert peer.ask(GET, "tables/short/a").code == 404
    answer = peer.ask(GET, "tables/short", kind=NON)
    assert answer.kind == NON and answer.code == 205


def test_options_nobody_knows(server):
    peer = Peer(server.coap_port)
    assert peer.ask(GET, "tables/odd", [(9, b"\x01")]).code == 402, "critical"
    assert peer.ask(GET, "tables/odd", [(65000, b"x")]).code == 205, "elective"
    assert peer.ask(GET, "nothing/here").code == 404
    ping = peer.raw(message(CON, 0, 4711, token=b""))
    assert (ping.kind, ping.mid) == (RST, 4711)


def test_blocks_that_lie(server):
    peer = Peer(server.coap_port)
    ask = lambda num, more, szx, size, *more_options: peer.ask(  # noqa: E731
        POST, "tables/blocks", JSON + [(BLOCK1, block(num, more, szx)), *more_options], b" " * size)
    assert ask(3, 1, 2, 64).code == 408, "begins in the middle"
    assert ask(0, 1, 2, 63).code == 400, "shorter than it says"
    assert ask(0, 0, 2, 65).code == 400, "longer than it says"
    assert ask(0, 1, 7, 64).code in (400, 402), "the reserved size"
    assert ask(0, 1, 2, 64).code == 231
    assert ask(2, 1, 2, 64).code == 408, "one left out"
    too_long = ask(0, 1, 2, 64, (SIZE1, number(1 << 24)))
    assert too_long.code == 413 and int.from_bytes(too_long.options[SIZE1][0], "big") == 1 << 20
    # Growing beyond the limit, without a word about its size.
    for num in range(1 << 10):
        answer = ask(num, 1, 6, 1024)
        assert answer.code == 231, (num, answer.code)
    assert ask(1 << 10, 1, 6, 1024).code == 413


def test_an_answer_in_blocks(server):
    peer = Peer(server.coap_port)
    text = "x" * 5000
    body = row("big", sensor=text)
    for at in range(0, len(body), 1024):
        answer = peer.ask(POST, "tables/down", JSON + [
            (BLOCK1, block(at // 1024, at + 1024 < len(body), 6))], body[at:at + 1024])
    assert answer.code == 201
    for szx in range(7):
        whole, num, tags = b"", 0, set()
        while True:
            part = peer.ask(GET, "tables/down/big", [(BLOCK2, block(num, 0, szx))])
            assert part.code == 205, (szx, num, part.code)
            tags.add(part.options[ETAG][0])
            whole += part.payload
            if not part.options[BLOCK2][0][-1] & 8:
                break
            num += 1
        assert json.loads(whole)["sensor"] == text and len(tags) == 1
    assert peer.ask(GET, "tables/down/big", [(BLOCK2, block(9999, 0, 6))]).code == 400
    late = peer.ask(PATCH, "tables/down/big", JSON + [(BLOCK2, block(3, 0, 6))], b'{"value":5}')
    assert late.code == 408, "a write is not done for the sake of its answer's rest"


def test_many_bodies_do_not_fill_the_memory(server):
    def resident():
        with open(f"/proc/{server.coap.pid}/statm") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    before = resident()
    refused = 0
    for _ in range(120):
        peer = Peer(server.coap_port)
        for num in range(700):
            answer = peer.ask(POST, "tables/many", JSON + [(BLOCK1, block(num, 1, 6))], b" " * 1024)
            if answer.code == 503:
                refused += 1
                break
            assert answer.code == 231
    assert refused > 0, "120 x 700 KiB are more than the budget"
    assert resident() - before < 160 << 20, f"{(resident() - before) >> 20} MiB more than before"


def test_noise(server):
    dice = random.Random(5)
    peer = Peer(server.coap_port)
    good = [message(CON, POST, 1, options=[(PATH, b"tables"), (PATH, b"noise")] + JSON,
                    payload=row("n", value=1)),
            message(CON, GET, 2, options=[(PATH, b"tables"), (PATH, b"noise"), (QUERY, b"$top=3")])]
    for length in range(65):
        peer.socket.send(bytes(dice.randrange(256) for _ in range(length)))
    for _ in range(20_000):
        data = bytearray(dice.choice(good))
        for _ in range(dice.randrange(1, 5)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        try:
            peer.socket.send(bytes(data[:dice.randrange(1, len(data) + 1)]))
        except ConnectionRefusedError:
            raise AssertionError("the server is gone")
    assert Peer(server.coap_port).ask(POST, "tables/noise", JSON, row("after")).code == 201


def test_nothing_large_to_strangers(server):
    """On the port with DTLS, an address that has proved nothing gets no more than it has sent."""
    other = Server(["device1"])
    process = subprocess.Popen([sys.argv[1], "run", "--data", other.data, "--coap", "127.0.0.1:0"],
                               stdout=subprocess.PIPE)
    port = int(process.stdout.readline().decode().rsplit(":", 1)[1])
    dice = random.Random(9)
    body = b"\xfe\xfd" + bytes(32) + b"\x00\x00" + b"\x00\x04\x00\xa8\x00\xff" + b"\x01\x00"
    hello = (b"\x01" + len(body).to_bytes(3, "big") + b"\x00\x00" + b"\x00\x00\x00"
             + len(body).to_bytes(3, "big") + body)
    record = b"\x16\xfe\xfd" + bytes(8) + len(hello).to_bytes(2, "big") + hello
    for data in [record, b"\x17\xfe\xfd" + bytes(40), b"x" * 100] + [
            bytes(dice.randrange(256) for _ in range(64)) for _ in range(50)]:
        peer = Peer(port)
        peer.socket.settimeout(0.05)
        peer.socket.send(data)
        got = 0
        try:
            while True:
                got += len(peer.socket.recv(4096))
        except socket.timeout:
            pass
        assert got <= len(data), (got, data[:16])
    process.terminate()
    assert process.wait(30) == 0


def test_it_ends_when_it_is_asked_to(server):
    server.coap.terminate()
    assert server.coap.wait(30) == 0


def main(tests):
    names = sys.argv[2:] or [name for name in tests if name.startswith("test_")]
    failed = 0
    server = start()
    for name in names:
        try:
            tests[name](server)
            print("ok   " + name, flush=True)
        except Exception:
            failed += 1
            print(f"FAIL {name}\n{traceback.format_exc()}", flush=True)
    server.coap.kill()
    server.coap.wait()
    print(f"{len(names)} tests, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(globals()))
