# SPDX-License-Identifier: Apache-2.0
"""A TCP relay that counts what it hands on, and can lose a connection while a client sends."""
import contextlib
import select
import socket
import struct

from harness import Relay
from tls_relay import LARGE, split_records

APPLICATION_DATA = 23  # content type of records
RESET = struct.pack("ii", 1, 0)  # SO_LINGER
BUFFER = 64 << 10  # of the client's side: little is under way when a connection is cut
GONE_SECONDS = 10


class CountingRelay(Relay):
    """`up` and `down` are bytes handed on, TLS records included, TCP and IP headers not.

    `body` are those up that came in large records of application data: bodies, without handshakes and
    short requests. With `cut_at` set, the connection is cut when `body` has come so far: the server
    gets all that was handed on and sees an end, the client a reset. It cuts once.
    """

    def __init__(self, port):
        self.up = self.down = self.body = 0
        self.cut_at = None
        super().__init__(port)
        self.listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def _serve(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            rest = b""
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(BUFFER)
                    if not data:
                        return
                    if end is server:
                        self.down += len(data)
                        client.sendall(data)
                        continue
                    self.up += len(data)
                    server.sendall(data)
                    records, rest = split_records(rest + data)
                    self.body += sum(map(_body_bytes, records))
                    if self.cut_at is not None and self.body >= self.cut_at:
                        self._cut(client, server, rest)
                        return

    def _cut(self, client, server, rest):
        self.cut_at = None
        self.cuts += 1
        self.body += len(rest)  # the server has that much of the next record, and can do nothing with it
        client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, RESET)
        client.close()
        server.shutdown(socket.SHUT_WR)
        server.settimeout(GONE_SECONDS)
        while server.recv(BUFFER):
            pass


def _body_bytes(record):
    return len(record) if record[0] == APPLICATION_DATA and len(record) >= LARGE else 0
