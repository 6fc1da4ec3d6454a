# SPDX-License-Identifier: Apache-2.0
"""Relays that count what is on the wire, both ways, and end each connection after so many bytes."""
import contextlib
import select
import socket
import threading

from udp_relay import UdpRelay


class CountingRelay:
    """TCP; counts bytes both ways, and ends each connection after so many."""

    def __init__(self, port):
        self.target = port
        self.cut_after = None
        self.bytes = self.cuts = 0
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        with contextlib.suppress(OSError):
            while True:
                client, _ = self.listener.accept()
                threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        left = self.cut_after
        with client, contextlib.suppress(OSError):
            with socket.create_connection(("127.0.0.1", self.target)) as server:
                while True:
                    ready, _, _ = select.select([client, server], [], [])
                    for end in ready:
                        data = end.recv(4096 if left is None else min(4096, left))
                        if not data:
                            return
                        self.bytes += len(data)
                        (server if end is client else client).sendall(data)
                        if left is not None:
                            left -= len(data)
                            if left <= 0:
                                self.cuts += 1
                                return

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.listener.close()


class CountingUdpRelay:
    """The same for datagrams: after so many bytes nobody is heard any more, until renew()."""

    def __init__(self, port):
        self.relay = UdpRelay(("127.0.0.1", port))
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
