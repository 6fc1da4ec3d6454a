# SPDX-License-Identifier: Apache-2.0
"""P12: what goes again when a connection is lost in the middle of a large row."""
import json

from body_relay import BodyRelay, BodyUdpRelay
from harness import HoldfastCoapServer, HoldfastServer
from large import LargeRow
from measure import Serving

# What the server has safely at every moment: 64 KiB of an append over HTTPS, one message of CoAP.
CARRIERS = {"HTTPS": (HoldfastServer, BodyRelay, 64 << 10), "CoAP": (HoldfastCoapServer, BodyUdpRelay, 1024)}
CUTS = (0.1, 0.37, 0.5, 0.9)  # of the body
TRIES = 5


def bytes_of_row(bench, carrier, cut_at=None):
    """Bytes of the row's body that went up until the server had it, cut once or not at all."""
    kind, relay_of, _ = CARRIERS[carrier]
    row = LargeRow("blob")
    with Serving(bench, kind) as server, relay_of(server.port) as relay:
        device = row.device(bench.fresh("device"), server, port=relay.port,
                            sync={"ack_timeout": "200 ms"} if carrier == "CoAP" else None)
        row.insert(device)
        relay.cut_at = cut_at
        for _ in range(TRIES):
            answer = json.loads(device.run("push", "--json", expect=None).stdout or "{}")
            if not device.operations():
                break
            relay.renew()
        if not row.is_on_server(server):
            raise RuntimeError(f"the row never arrived: {answer}")
        if relay.cuts != (cut_at is not None):
            raise RuntimeError(f"{relay.cuts} cuts of {carrier}, at {cut_at}")
        return relay.body


def p12(bench):
    for carrier, (_, _, block) in CARRIERS.items():
        whole = bytes_of_row(bench, carrier)
        again = max((bytes_of_row(bench, carrier, int(whole * part)) - whole, part) for part in CUTS)
        bench.add("P12", f"bytes sent again after a cut in a row of 4 MiB, {carrier}", again[0], "bytes", block, 1.0,
                  lower=True, note=f"the worst of cuts at {', '.join(map(str, CUTS))} of {whole:,} bytes")
