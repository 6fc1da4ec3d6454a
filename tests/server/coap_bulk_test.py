#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""POST /bulk over CoAP, datagram by datagram: bodies and answers in blocks, datagrams that come again.

usage: coap_bulk_test.py PATH/holdfast-server [NAME...]      (names of tests; default: all)
"""
import json
import random
import sys

from bulk_edges_test import SAME, STEP, cbor, version_of
from coap_test import (ACCEPT, ACK, BLOCK1, BLOCK2, CON, ETAG, FORMAT, GET, PATH, POST, PUT, Peer, block, main, message,
                       number)

BULK = 65000  # the option that says what the server takes
CBOR = [(FORMAT, number(60))]
HEAD = ["readings", "i", ["sensor", "value"]]


class Sender:
    def __init__(self, server, incarnation):
        self.peer, self.incarnation = Peer(server.coap_port), incarnation
        self.acknowledged = self.applied = 0

    def body(self, *runs):
        return [1, "coap", self.incarnation, self.acknowledged, self.applied, list(runs)]

    def send(self, *runs, options=()):
        return upload(self.peer, cbor(self.body(*runs)), options)

    def __call__(self, *runs):
        answer = self.send(*runs)
        assert answer.code == 204 and answer.options[FORMAT] == [number(50)], (answer.code, answer.payload)
        return json.loads(whole(self.peer, answer))


def upload(peer, body, options=(), form=60):
    """In blocks of 1 KiB; the answer to the last."""
    options = [(FORMAT, number(form)), *options]
    if len(body) <= 1024:
        return peer.ask(POST, "bulk", options, body)
    for at in range(0, len(body), 1024):
        more = at + 1024 < len(body)
        answer = peer.ask(POST, "bulk", options + [(BLOCK1, block(at // 1024, more, 6))], body[at:at + 1024])
        if answer.code != 231:
            return answer
    raise AssertionError("the last block is not the last")


def whole(peer, answer):
    """The answer with those of its blocks that are still to be had."""
    text, num = answer.payload, 0
    while BLOCK2 in answer.options and answer.options[BLOCK2][0][-1] & 8:
        num += 1
        answer = peer.ask(POST, "bulk", CBOR + [(BLOCK2, block(num, 0, 6))])
        assert answer.code == 204, (num, answer.code, answer.payload)
        text += answer.payload
    return text


def rows(prefix, count):
    """As an agent packs them: what is as before is not said again."""
    first = [0, prefix + "0", "warm", 20]
    return [first] + [[len(prefix), str(i), SAME, 1] for i in range(1, count)]


def test_a_body_in_blocks(server):
    s = Sender(server, "blocks")
    run = [HEAD, 1, 0, rows("blocks-", 1000)]
    assert len(cbor(s.body(run))) > 3 * 1024
    (first, count, moment), = s(run)
    assert (first, count) == (1, 1000)
    last = s.peer.ask(GET, "tables/readings/blocks-999")
    assert last.options[ETAG] == [version_of(moment + 999 * STEP).encode()]
    assert json.loads(last.payload)["value"] == 20 + 999
    assert s(run) == [[1, 1000, moment]], "in new messages, the same operations"


def test_a_datagram_that_comes_again(server):
    s = Sender(server, "again")
    body = cbor(s.body([HEAD, 1, 0, rows("again-", 5)]))
    data = message(CON, POST, 4000, options=[(PATH, b"bulk")] + CBOR, payload=body)
    first = s.peer.raw(data)
    assert (first.kind, first.code) == (ACK, 204)
    assert s.peer.raw(data).data == first.data


def test_an_answer_in_blocks(server):
    Sender(server, "long-1")([HEAD, 1, 0, rows("long-", 100)])
    s = Sender(server, "long-2")
    outcomes = s([HEAD, 1, 0, rows("long-", 100)])
    assert [o[:2] for o in outcomes] == [[i, 409] for i in range(1, 101)]
    assert [o[2]["id"] for o in outcomes] == [f"long-{i}" for i in range(100)]


def test_senders_that_do_not_go_on(server):
    s = Sender(server, "gone")
    s.applied = 1
    answer = s.send([HEAD, 2, 0, rows("gone-", 1)])
    assert answer.code == 409 and json.loads(answer.payload)["reason"] == "restored"
    assert s.peer.ask(GET, "tables/readings/gone-0").code == 404


def test_what_is_taken_is_said_once_a_session(server):
    peer = Peer(server.coap_port)
    assert peer.ask(GET, "tables/readings/nothing").options[BULK] == [b"1000,262144,25165824"]
    assert BULK not in peer.ask(GET, "tables/readings/nothing").options
    assert b"</bulk>" in peer.ask(GET, ".well-known/core").payload


def test_what_is_not_taken(server):
    s = Sender(server, "wrong")
    body = cbor(s.body([HEAD, 1, 0, rows("wrong-", 2)]))
    for code in (GET, PUT):
        assert s.peer.ask(code, "bulk", CBOR, body).code == 405
    assert s.peer.ask(POST, "bulk", (), body).code == 415
    assert s.peer.ask(POST, "bulk", [(FORMAT, number(42))], body).code == 415
    assert s.peer.ask(POST, "bulk", CBOR, b"").code == 400
    assert s.peer.ask(POST, "bulk", CBOR, body[:-1]).code == 400
    assert upload(s.peer, b" " * (300 << 10), form=50).code == 413
    flood = [[0, "wrong-0", "x" * 50000, 1]] + [[6, str(i), SAME, SAME] for i in range(1, 1000)]
    assert s.send([HEAD, 1, 0, flood]).code == 413
    assert s.peer.ask(GET, "tables/readings/wrong-0").code == 404
    text = json.dumps(s.body([HEAD, 1, 0, [["wrong-json", "warm", 1]]])).encode()
    assert s.peer.ask(POST, "bulk", [(FORMAT, number(50)), (ACCEPT, number(50))], text).code == 204


def test_noise(server):
    s, dice = Sender(server, "noise"), random.Random(21)
    body = cbor(s.body([HEAD, 1, 0, rows("noise-", 3)]))
    for _ in range(500):
        data = bytearray(body)
        for _ in range(dice.randrange(1, 4)):
            data[dice.randrange(len(data))] = dice.randrange(256)
        assert s.peer.ask(POST, "bulk", CBOR, bytes(data)).code in (204, 400, 409), bytes(data)


if __name__ == "__main__":
    sys.exit(main(globals()))
