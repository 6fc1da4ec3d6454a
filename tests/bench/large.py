# SPDX-License-Identifier: Apache-2.0
"""A row of 4 MiB that gzip gains nothing on, as bytes or as text: into a device, and found again."""
import base64
import contextlib
import os
import random
import sqlite3

from harness import Device

BYTES = 4 << 20


class LargeRow:
    """`kind` is blob or text; a text is base64, so that gzip takes a quarter off again."""

    def __init__(self, kind):
        self.kind = kind
        dice = random.Random(1)
        self.value = dice.randbytes(BYTES) if kind == "blob" else \
            base64.b64encode(dice.randbytes(BYTES // 4 * 3)).decode()

    def device(self, folder, server, **more):
        device = Device(folder, server, columns={"name": "text", "photo": self.kind}, **more)
        device.run("init")
        return device

    def insert(self, device):
        device.sql("INSERT INTO readings(id, name, photo) VALUES('large', 'the large one', ?)", self.value)

    def is_on(self, device):
        return device.sql("SELECT photo FROM readings WHERE id = 'large'") == [(self.value,)]

    def is_on_server(self, server):
        with contextlib.closing(sqlite3.connect(os.path.join(server.folder, "server.db"), timeout=60)) as database:
            rows = database.execute("SELECT photo FROM readings WHERE id = 'large'").fetchall()
        # A server that was not told of the column's type has what JSON has of a blob.
        return rows in ([(self.value,)], [(base64.b64encode(self.value).decode(),)] if self.kind == "blob" else [])
