# SPDX-License-Identifier: Apache-2.0
"""A TCP relay that counts the bytes of TLS handshakes from outside, and ends each connection after one
large answer, so that the client has to come again.

What is encrypted looks all the same, so the exchange is told by its size: the first record of the
client with LARGE bytes or more is the request, and the next such record of the server its answer.
Certificates and tickets of holdfast-server init are smaller.
"""
import contextlib
import select
import socket
import threading

LARGE = 1500
CHANGE_CIPHER_SPEC, HANDSHAKE = 20, 22  # content types of records
SERVER_HELLO = 2


class Connection:
    """Bytes of each direction until the client's request, and what they tell.

    `late` are bytes of the server that left after the client's last word of the handshake and before
    the answer: the ticket for the next time.
    """

    def __init__(self):
        self.up = self.down = self.late = 0
        self.suite = None
        self.records = []  # (direction, content type, bytes), up to the answer


class TlsRelay:
    def __init__(self, port):
        self.target = port
        self.connections = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        self.thread = threading.Thread(target=self._accept, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()
        self.thread.join()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            with client, socket.create_connection(("127.0.0.1", self.target)) as server, \
                    contextlib.suppress(OSError):
                self._serve(client, server)

    def _serve(self, client, server):
        connection = Connection()
        self.connections.append(connection)
        waiting = {client: b"", server: b""}
        asked = False
        while True:
            for end in select.select([client, server], [], [])[0]:
                data = end.recv(65536)
                if not data:
                    return
                (server if end is client else client).sendall(data)
                records, waiting[end] = split_records(waiting[end] + data)
                for record in records:
                    large = len(record) >= LARGE
                    if end is server and asked and large:
                        _sum_up(connection)
                        return
                    if end is client and large:
                        asked = True
                    else:
                        connection.records.append(("up" if end is client else "down", record[0],
                                                   len(record)))
                    if end is server and record[0] == HANDSHAKE and record[5] == SERVER_HELLO:
                        connection.suite = suite_of(record[5:])


def split_records(data):
    records = []
    while len(data) >= 5 and len(data) >= 5 + int.from_bytes(data[3:5], "big"):
        size = 5 + int.from_bytes(data[3:5], "big")
        records.append(data[:size])
        data = data[size:]
    return records, data


def _sum_up(connection):
    last = max(n for n, record in enumerate(connection.records) if record[0] == "up")
    for n, (direction, _, size) in enumerate(connection.records):
        if direction == "up":
            connection.up += size
        elif n < last:
            connection.down += size
        else:
            connection.late += size


def suite_of(hello, head=4):
    """The cipher suite in a ServerHello: after its head, version, random and session id."""
    session = head + 2 + 32
    at = session + 1 + hello[session]
    return int.from_bytes(hello[at:at + 2], "big")
