# SPDX-License-Identifier: Apache-2.0
"""Relays that count the bytes of bodies on their way up, and lose a connection in the middle of one.

What is encrypted looks all the same, so a body is told by its size: `body` are the bytes of large records
of application data, without handshakes and short requests. With `cut_at` set, the connection is cut once,
when `body` has come so far.
"""
import socket
import struct

from counting_relay import CountingRelay, CountingUdpRelay
from tls_relay import LARGE, split_records

APPLICATION_DATA = 23  # content type of records
LARGE_DATAGRAM = 512
RESET = struct.pack("ii", 1, 0)  # SO_LINGER
BUFFER = 64 << 10  # of the client's side: little is under way when a connection is cut
GONE_SECONDS = 10


class BodyRelay(CountingRelay):
    """TCP. At the cut the server gets all that was handed on and sees an end, the client a reset."""

    def __init__(self, port):
        self.body = 0
        self.cut_at = None
        super().__init__(port)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def _ending(self):
        rest = b""

        def is_over(upwards, data):
            nonlocal rest
            if not upwards:
                return False
            records, rest = split_records(rest + data)
            self.body += sum(map(_body_bytes, records))
            if self.cut_at is None or self.body < self.cut_at:
                return False
            self.cut_at = None
            self.body += len(rest)  # the server has that much of the next record, and can do nothing with it
            return True

        return is_over

    def _cut(self, client, server):
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        server.shutdown(socket.SHUT_WR)
        server.settimeout(GONE_SECONDS)
        while server.recv(BUFFER):
            pass

    def renew(self):
        """Another connection may come at any time."""


def _body_bytes(record):
    return len(record) if record[0] == APPLICATION_DATA and len(record) >= LARGE else 0


class BodyUdpRelay(CountingUdpRelay):
    """Datagrams. After the cut nothing passes in either direction until renew()."""

    def __init__(self, port):
        self.body = 0
        self.cut_at = None
        super().__init__(port, tap=self._tap)
        self.cuts = 0

    def renew(self):
        self.relay.blackout(False)

    def _tap(self, direction, data):
        if direction == "up" and data[0] == APPLICATION_DATA and len(data) >= LARGE_DATAGRAM:
            self.body += len(data)
            if self.cut_at is not None and self.body >= self.cut_at:
                self.cut_at = None
                self.cuts += 1
                self.relay.blackout(True)
        return data
