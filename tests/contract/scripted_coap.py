#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A CoAP peer without DTLS that sends exactly what it is told, and says what it was sent.

usage: scripted_coap.py                     serve: obeys commands on stdin, one a line
       scripted_coap.py certificates DIR    makes what scripted_server.py makes, and ends

    script JSON   a new socket on loopback with this script: "port N"
    nobody        a port where nothing listens: "port N"
    garbage       a port that answers every datagram with noise: "port N"
    seen          "sent BYTES received BYTES" and, after tabs, a line for each datagram received
    body          "body HEX": the payloads of the last body that came in blocks, joined

A script is a list; its n-th element, a list of steps, is played when the n-th request has come that
is no copy of another one. "..." as the last element: the element before it is played for ever. What
nobody has scripted is not answered. Steps are objects:

    {"copies": N}    go on when the N-th copy of the request has come
    {"wait": MS}     {"raw": HEX}     {"ack": 1} an empty one     {"rst": 1}    {"ping": 1}
    {"garbage": 1}   noise of 0 to 40 bytes, and what is left of the next answer when it is cut
    {"code": 205}    an answer: "type" is ack, con or non; "token" other bytes in hex; "mid" is added
                     to the request's; "etag", "format", "max_age", "size1", "size2"; "b1" and "b2" as
                     [number, more, szx], the number null for the one of the request; "options" as
                     [[number, hex]]; "text", "hex" or "fill" (a length); "times"
"""
import heapq
import json
import os
import pathlib
import random
import select
import socket
import sys
import time

TYPES = ('CON', 'NON', 'ACK', 'RST')
ETAG, OBSERVE, PATH, FORMAT, MAX_AGE, QUERY, ACCEPT, BLOCK2, BLOCK1, SIZE2, SIZE1, TAG = (
    4, 6, 11, 12, 14, 15, 17, 23, 27, 28, 60, 292)


def number_bytes(value):
    return value.to_bytes((value.bit_length() + 7) // 8, 'big')


def extended(value):
    if value < 13:
        return value, b''
    if value < 269:
        return 13, bytes([value - 13])
    return 14, (value - 269).to_bytes(2, 'big')


def message(kind, code, mid, token=b'', options=(), payload=b''):
    data = bytes([1 << 6 | TYPES.index(kind) << 4 | len(token), code]) + mid.to_bytes(2, 'big') + token
    last = 0
    for number, value in sorted(options, key=lambda option: option[0]):
        delta, more_delta = extended(number - last)
        length, more_length = extended(len(value))
        data += bytes([delta << 4 | length]) + more_delta + more_length + value
        last = number
    return data + (b'\xff' + payload if payload else b'')


class Malformed(Exception):
    pass


class Message:
    def __init__(self, data):
        if len(data) < 4 or data[0] >> 6 != 1:
            raise Malformed
        self.kind, length = TYPES[data[0] >> 4 & 3], data[0] & 15
        self.code, self.mid = data[1], int.from_bytes(data[2:4], 'big')
        self.token = data[4:4 + length]
        if length > 8 or len(self.token) < length:
            raise Malformed
        self.options, self.payload = [], b''
        self.parse(data, 4 + length)

    def parse(self, data, at):
        number = 0

        def extend(value):
            nonlocal at
            size = {13: 1, 14: 2}.get(value, 0)
            if value == 15 or at + size > len(data):
                raise Malformed
            more = int.from_bytes(data[at:at + size], 'big')
            at += size
            return value + more if size < 2 else 269 + more
        while at < len(data):
            if data[at] == 0xff:
                self.payload = data[at + 1:]
                if not self.payload:
                    raise Malformed
                return
            head = data[at]
            at += 1
            number += extend(head >> 4)
            length = extend(head & 15)
            if at + length > len(data):
                raise Malformed
            self.options.append((number, data[at:at + length]))
            at += length

    def all(self, number):
        return [value for known, value in self.options if known == number]

    def block(self, number):
        values = self.all(number)
        if not values:
            return None
        value = int.from_bytes(values[0], 'big')
        return value >> 4, value >> 3 & 1, value & 7

    def describe(self):
        words = [self.kind, f'{self.code >> 5}.{self.code & 31:02}', f'mid={self.mid}',
                 f'token={self.token.hex()}']
        words += ['/' + value.decode('utf-8', 'replace') for value in self.all(PATH)]
        words += ['?' + value.decode('utf-8', 'replace') for value in self.all(QUERY)]
        for name, number in (('b1', BLOCK1), ('b2', BLOCK2)):
            if block := self.block(number):
                words.append(f'{name}=' + '/'.join(map(str, block)))
        for name, number in (('format', FORMAT), ('accept', ACCEPT), ('size1', SIZE1), ('tag', TAG),
                             ('observe', OBSERVE)):
            words += [f'{name}={int.from_bytes(value, "big")}' for value in self.all(number)]
        return ' '.join(words + [f'payload={len(self.payload)}'])


class Peer:
    """One socket and its script."""

    def __init__(self, script, noise=False):
        self.socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
        self.socket.bind(('127.0.0.1', 0))
        self.socket.setblocking(False)
        self.endless = bool(script) and script[-1] == '...'
        self.script = script[:-1] if self.endless else script
        self.noise = random.Random(20) if noise else None
        self.copies, self.held = {}, {}  # by address and message id
        self.seen, self.sent, self.received = [], 0, 0
        self.body = b''
        self.timers, self.played, self.next_mid = [], 0, 7000
        self.began = time.monotonic()

    def port(self):
        return self.socket.getsockname()[1]

    def send(self, data, address):
        try:
            self.sent += self.socket.sendto(data, address)
        except OSError:
            pass  # nobody is there any more

    def read(self):
        while True:
            try:
                data, address = self.socket.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # what ICMP says of an earlier datagram
            self.take(data, address)

    def take(self, data, address):
        self.received += len(data)
        at = f' at={(time.monotonic() - self.began) * 1000:.0f}'
        if self.noise:
            self.seen.append(f'datagram {len(data)}{at}')
            self.send(self.noise.randbytes(self.noise.randrange(1, 200)), address)
            return
        try:
            request = Message(data)
        except Malformed:
            self.seen.append('malformed ' + data.hex())
            return
        self.seen.append(request.describe() + at)
        if request.kind in ('ACK', 'RST') or request.code == 0 or request.code >> 5 != 0:
            return
        key = (address, request.mid)
        self.copies[key] = self.copies.get(key, 0) + 1
        if self.copies[key] > 1:
            wanted, steps = self.held.get(key, (0, None))
            if steps is not None and self.copies[key] >= wanted:
                del self.held[key]
                self.play(steps, request, address)
            return
        block = request.block(BLOCK1)
        self.body = request.payload if not block or block[0] == 0 else self.body + request.payload
        number = self.played
        self.played += 1
        if number >= len(self.script):
            if not self.endless:
                return
            number = len(self.script) - 1
        steps = self.script[number]
        self.play(steps if isinstance(steps, list) else [steps], request, address)

    def play(self, steps, request, address):
        for index, step in enumerate(steps):
            rest = steps[index + 1:]
            if 'copies' in step:
                key = (address, request.mid)
                if self.copies[key] < step['copies']:
                    self.held[key] = (step['copies'], rest)
                    return
            elif 'wait' in step:
                due = time.monotonic() + step['wait'] / 1000
                heapq.heappush(self.timers, (due, id(rest), rest, request, address))
                return
            elif 'raw' in step:
                self.send(bytes.fromhex(step['raw']), address)
            elif 'ack' in step:
                self.send(message('ACK', 0, request.mid), address)
            elif 'rst' in step:
                self.send(message('RST', 0, (request.mid + step.get('mid', 0)) % 65536), address)
            elif 'ping' in step:
                self.send(message('CON', 0, self.new_mid()), address)
            elif 'garbage' in step:
                self.send_garbage(self.answer(rest[0], request), address)
            else:
                data = self.answer(step, request)
                for _ in range(step.get('times', 1)):
                    self.send(data, address)

    def new_mid(self):
        self.next_mid += 1
        return self.next_mid

    def send_garbage(self, answer, address):
        noise = random.Random(7)
        for length in range(41):
            # A reset that nobody asked for is a case of its own.
            data = noise.randbytes(length)
            self.send(b'\x30' + data[1:] if data[:1] and data[0] >> 4 == 7 else data, address)
        for length in range(len(answer)):
            try:
                Message(answer[:length])
            except Malformed:
                self.send(answer[:length], address)

    def answer(self, step, request):
        options = [(number, bytes.fromhex(value)) for number, value in step.get('options', [])]
        if 'etag' in step:
            options.append((ETAG, step['etag'].encode()))
        for name, number in (('format', FORMAT), ('max_age', MAX_AGE), ('size1', SIZE1), ('size2', SIZE2)):
            if name in step:
                options.append((number, number_bytes(step[name])))
        for name, option in (('b1', BLOCK1), ('b2', BLOCK2)):
            if name in step:
                number, more, szx = step[name]
                if number is None:
                    number = (request.block(option) or (0, 0, 0))[0]
                options.append((option, number_bytes(number << 4 | more << 3 | szx)))
        payload = step['text'].encode() if 'text' in step else bytes.fromhex(step.get('hex', ''))
        payload = payload or b'x' * step.get('fill', 0)
        kind = step.get('type', 'ack').upper()
        mid = (request.mid + step.get('mid', 0)) % 65536 if kind == 'ACK' else self.new_mid()
        token = bytes.fromhex(step['token']) if 'token' in step else request.token
        code = step['code'] // 100 << 5 | step['code'] % 100
        return message(kind, code, mid, token, options, payload)

    def run_timers(self):
        while self.timers and self.timers[0][0] <= time.monotonic():
            _, _, steps, request, address = heapq.heappop(self.timers)
            self.play(steps, request, address)

    def patience(self):
        return max(0, self.timers[0][0] - time.monotonic()) if self.timers else None


class Server:
    def __init__(self):
        self.peer = None

    def start(self, peer):
        if self.peer:
            self.peer.socket.close()
        self.peer = peer
        return f'port {peer.port()}'

    def command(self, line):
        word, _, rest = line.partition(' ')
        if word == 'script':
            return self.start(Peer(json.loads(rest)))
        if word == 'garbage':
            return self.start(Peer([], noise=True))
        if word == 'nobody':
            reply = self.start(Peer([]))
            self.peer.socket.close()
            self.peer = None
            return reply
        if self.peer is None:
            return 'nobody'
        self.peer.read()
        if word == 'seen':
            reply = '\t'.join([f'sent {self.peer.sent} received {self.peer.received}', *self.peer.seen])
            self.peer.seen = []
            return reply
        if word == 'body':
            return 'body ' + self.peer.body.hex()
        return 'unknown command'

    def serve(self):
        buffer = b''
        while True:
            waiting = [0] + ([self.peer.socket] if self.peer else [])
            ready, _, _ = select.select(waiting, [], [], self.peer.patience() if self.peer else None)
            if self.peer:
                self.peer.run_timers()
                if self.peer.socket in ready:
                    self.peer.read()
            if 0 not in ready:
                continue
            data = os.read(0, 65536)
            if not data:
                return
            buffer += data
            *lines, buffer = buffer.split(b'\n')
            for line in lines:
                print(self.command(line.decode()), flush=True)


def main():
    if sys.argv[1:2] == ['certificates']:
        import scripted_server
        folder = pathlib.Path(sys.argv[2])
        folder.mkdir(parents=True, exist_ok=True)
        scripted_server.Certificates(folder.resolve()).make()
        return
    Server().serve()


if __name__ == '__main__':
    main()
