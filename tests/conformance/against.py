#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The conformance program against a real server, which it starts and stops.

usage: against.py --server holdfast|coap|npm [--bulk] [WORDS FOR THE PROGRAM]...
"""
import argparse
import os
import subprocess
import sys

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "e2e"))
from harness import BIN, HoldfastCoapServer, HoldfastServer, NpmServer, Running, workspace  # noqa: E402

SERVERS = {"holdfast": HoldfastServer, "coap": HoldfastCoapServer, "npm": NpmServer}


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--server", choices=sorted(SERVERS), required=True)
    parser.add_argument("--bulk", action="store_true")
    options, words = parser.parse_known_args()
    with workspace() as folder, Running(SERVERS[options.server](folder)) as server:
        files = server.credentials()
        environment = dict(
            os.environ, HOLDFAST_CONFORMANCE_SERVER=options.server,
            HOLDFAST_CONFORMANCE_URL=f"{server.scheme}://127.0.0.1:{server.port}",
            HOLDFAST_CONFORMANCE_BULK="1" if options.bulk else "",
            HOLDFAST_CONFORMANCE_CA=files.get("ca_file", ""),
            HOLDFAST_CONFORMANCE_PSK=files.get("psk_key_file", ""),
            HOLDFAST_CONFORMANCE_IDENTITY=files.get("psk_identity", ""),
            HOLDFAST_CONFORMANCE_CERT=files.get("cert_file", ""),
            HOLDFAST_CONFORMANCE_KEY=files.get("key_file", ""))
        program = os.path.join(BIN, "test_conformance")
        return subprocess.run([program, "-c", *words], env=environment).returncode


if __name__ == "__main__":
    sys.exit(main())
