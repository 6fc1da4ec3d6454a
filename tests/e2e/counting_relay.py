# SPDX-License-Identifier: Apache-2.0
"""Relays that count what is on the wire, both ways, and can end each connection after so many bytes."""
import contextlib
import select
import socket
import threading

from udp_relay import UdpRelay

CHUNK = 64 << 10
CHUNK_BEFORE_A_CUT = 4 << 10


class CountingRelay:
    """TCP. `up` and `down` are bytes handed on: TLS records included, headers of TCP and IP not.

    With `cut_after` set, each connection that begins ends when so many have passed, both ways together.
    """

    def __init__(self, port):
        self.target = port
        self.cut_after = None
        self.up = self.down = self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def bytes(self):
        return self.up + self.down

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        with client, contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.target)) as server:
            for end in (client, server):
                end.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            is_over = self._ending()
            while True:
                for end in select.select([client, server], [], [])[0]:
                    data = end.recv(CHUNK if self.cut_after is None else CHUNK_BEFORE_A_CUT)
                    if not data:
                        return
                    if end is client:
                        server.sendall(data)
                        self.up += len(data)
                    else:
                        client.sendall(data)
                        self.down += len(data)
                    if is_over(end is client, data):
                        self.cuts += 1
                        self._cut(client, server)
                        return

    def _ending(self):
        """For one connection: is told what was handed on, and says whether it ends there."""
        left = self.cut_after

        def is_over(_, data):
            nonlocal left
            if left is not None:
                left -= len(data)
            return left is not None and left <= 0

        return is_over

    def _cut(self, client, server):
        """What each side sees of the cut; both sockets are closed after it."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.listener.close()


class CountingUdpRelay:
    """The same for datagrams: after so many bytes nobody is heard any more, until renew()."""

    def __init__(self, port, tap=None):
        self.relay = UdpRelay(("127.0.0.1", port), tap=tap)
        self.port = self.relay.address[1]
        self.cut_after = None
        self.cuts = -1

    def renew(self):
        self.cuts += 1
        self.relay.blackout(False)
        if self.cut_after is not None:
            self.relay.cut_after(self.cut_after)

    @property
    def bytes(self):
        return sum(each.received_bytes for each in self.relay.counters.values())

    def __enter__(self):
        self.relay.__enter__()
        return self

    def __exit__(self, *what):
        return self.relay.__exit__(*what)
