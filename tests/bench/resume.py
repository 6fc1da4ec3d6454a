# SPDX-License-Identifier: Apache-2.0
"""P12: what goes again when a connection is lost half way through a large row."""
import json

from counting_relay import APPLICATION_DATA, CountingRelay
from harness import Device, HoldfastCoapServer, HoldfastServer
from measure import Serving
from memory import LARGE_ROW_BYTES, large_text
from udp_relay import UdpRelay

# What the server has safely at every moment: 64 KiB of an append over HTTPS, one message of CoAP.
BLOCKS = {"HTTPS": 64 << 10, "CoAP": 1024}
WITHOUT_UPLOADS = 900 << 10  # a row of this length goes without them as well
LARGE_DATAGRAM = 512
TRIES = 5


class CuttingUdpRelay:
    """The same for datagrams: `body` and `cut_at` as in CountingRelay; after a cut nothing passes in
    either direction until lift()."""

    def __init__(self, port):
        self.body = self.cuts = 0
        self.cut_at = None
        self.dark = False
        self.relay = UdpRelay(("127.0.0.1", port), tap=self._tap)
        self.port = self.relay.address[1]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.relay.close()

    def lift(self):
        self.dark = False

    def _tap(self, direction, data):
        if self.dark:
            return None
        if direction == "up" and data[0] == APPLICATION_DATA and len(data) >= LARGE_DATAGRAM:
            self.body += len(data)
            if self.cut_at is not None and self.body >= self.cut_at:
                self.cut_at = None
                self.cuts += 1
                self.dark = True
        return data


CARRIERS = {"HTTPS": (HoldfastServer, CountingRelay), "CoAP": (HoldfastCoapServer, CuttingUdpRelay)}


def bytes_of_row(bench, carrier, size, cut_at=None):
    """Bytes of the row's body that went up until the server had it, cut once or not at all; None when the
    agent does not send it."""
    kind, relay_of = CARRIERS[carrier]
    with Serving(bench, kind) as server, relay_of(server.port) as relay:
        device = Device(bench.fresh("device"), server, port=relay.port,
                        sync={"ack_timeout": "200 ms"} if carrier == "CoAP" else None)
        device.run("init")
        device.sql("INSERT INTO readings(id, sensor, value, ts, quality) VALUES('large', ?, 1.5, 1, 0)",
                   large_text(size))
        relay.cut_at = cut_at
        for _ in range(TRIES):
            answer = json.loads(device.run("push", "--json", expect=None).stdout or "{}")
            if answer.get("parked"):
                return None
            if not device.operations():
                break
            if carrier == "CoAP":
                relay.lift()
        else:
            raise RuntimeError(f"the row never arrived: {answer}")
        if relay.cuts != (cut_at is not None):
            raise RuntimeError(f"{relay.cuts} cuts of {carrier}, at {cut_at}")
        return relay.body


def p12(bench):
    for carrier, block in BLOCKS.items():
        what = f"bytes sent again after a cut in a row of 4 MiB, {carrier}"
        note = ""
        whole = bytes_of_row(bench, carrier, LARGE_ROW_BYTES)
        size = LARGE_ROW_BYTES
        if whole is None:
            size = WITHOUT_UPLOADS
            whole = bytes_of_row(bench, carrier, size)
            what = f"bytes sent again after a cut in a row of {size >> 10} KiB, {carrier}"
            note = "; 4 MiB are NOT SENT: the agent keeps rows over 1 MiB on the device (no uploads)"
        again = bytes_of_row(bench, carrier, size, whole // 2) - whole
        bench.add("P12", what, again, "bytes", block, 1.0, lower=True, done=size == LARGE_ROW_BYTES,
                  note=f"cut half way through {whole:,} bytes{note}")
