# SPDX-License-Identifier: Apache-2.0
"""P12: what goes again when a connection is lost half way through a large row."""
import json

from body_relay import BodyRelay, BodyUdpRelay
from harness import Device, HoldfastCoapServer, HoldfastServer
from measure import Serving
from memory import LARGE_ROW_BYTES, large_text

# What the server has safely at every moment: 64 KiB of an append over HTTPS, one message of CoAP.
BLOCKS = {"HTTPS": 64 << 10, "CoAP": 1024}
WITHOUT_UPLOADS = 900 << 10  # a row of this length goes without them as well
TRIES = 5


CARRIERS = {"HTTPS": (HoldfastServer, BodyRelay), "CoAP": (HoldfastCoapServer, BodyUdpRelay)}


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
            relay.renew()
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
