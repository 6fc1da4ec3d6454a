#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A UDP relay that loses, doubles, reorders, delays and corrupts datagrams: for CoAP over DTLS.

It stands between clients and one server on the same machine. "up" is from a client to the server,
"down" the way back. The server sees each client from a source port of its own. What happens to the
n-th datagram of a direction depends on the seed and on n alone, so that a run can be repeated.
"""
import argparse
import collections
import contextlib
import dataclasses
import heapq
import itertools
import json
import random
import selectors
import signal
import socket
import sys
import threading
import time

MAX_CLIENTS = 64
MAX_LOG = 100000
MAX_WAITING = 20000  # datagrams delayed or held back at one time
HOLD_SECONDS = 0.05  # how long a datagram is held back when none passes it
BATCH = 64  # datagrams read from one socket before the others get their turn
BUFFER = 4 << 20  # asked of the kernel, which gives what it allows

DIRECTIONS = ("up", "down")


@dataclasses.dataclass(frozen=True)
class Faults:
    """What one direction suffers; the chances are from 0 to 1 and independent of each other.

    A reordered datagram is held back until `reorder_by` later ones of the same client have passed
    it, or for 50 ms; at a chance of 1 there is none to pass it. `delay_ms` is a range; a duplicate
    has a delay of its own, unless it is held back with the first.
    """
    loss: float = 0.0
    duplicate: float = 0.0
    reorder: float = 0.0
    reorder_by: int = 1
    delay_ms: tuple = (0, 0)
    corrupt: float = 0.0

    def __post_init__(self):
        for name in ("loss", "duplicate", "reorder", "corrupt"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"{name} must be from 0 to 1")
        if self.reorder_by < 1:
            raise ValueError("reorder_by must be at least 1")
        if not 0 <= self.delay_ms[0] <= self.delay_ms[1]:
            raise ValueError("delay_ms must be a range (from, to)")


@dataclasses.dataclass
class Counters:
    """What happened in one direction.

    `lost` fell to Faults.loss; `dropped` fell to a blackout, a cut, the tap, a bound or close().
    `forwarded` includes duplicates. `reordered` is what left after a later one of its client, be it
    held back or delayed. When nothing waits, received + duplicated = forwarded + lost + dropped.
    """
    received: int = 0
    received_bytes: int = 0
    forwarded: int = 0
    forwarded_bytes: int = 0
    lost: int = 0
    dropped: int = 0
    duplicated: int = 0
    reordered: int = 0
    corrupted: int = 0


class _Flow:
    """One direction of one client."""

    def __init__(self):
        self.arrived = 0
        self.newest = 0  # the highest number that has left
        self.held = []  # by number


class _Client:
    def __init__(self, address, upstream):
        self.address = address
        self.upstream = upstream  # None when the client had to go
        self.flows = {direction: _Flow() for direction in DIRECTIONS}


class _Datagram:
    def __init__(self, direction, client, data):
        self.direction = direction
        self.client = client
        self.data = data
        self.flow = client.flows[direction]
        self.flow.arrived += 1
        self.number = self.flow.arrived
        self.copies = 1
        self.held = 0  # how many must pass it before it leaves
        self.left = False


class UdpRelay:
    """Relays from construction to close().

    `tap`, when set, is called as tap(direction, data) for each datagram before any fault, and gives
    the data to go on with, or None to drop it. It runs while the relay is locked: it may use the
    relay except for close(), and must not wait for another thread that does. What it raises,
    close() raises again.

    `log` with keep_log=True: (seconds since the start, direction, size, hex of the first 16 bytes)
    of the latest datagrams, as they arrived; None without.

    The methods that change something first treat what has already arrived in the old way.
    """

    def __init__(self, server, up=Faults(), down=Faults(), seed=1, keep_log=False, tap=None,
                 listen=("127.0.0.1", 0)):
        self.seed = seed
        self.tap = tap
        self._faults = {"up": up, "down": down}
        self._dice = {direction: random.Random(f"{seed} {direction}") for direction in DIRECTIONS}
        self._counters = {direction: Counters() for direction in DIRECTIONS}
        self._log = collections.deque(maxlen=MAX_LOG) if keep_log else None
        self._clients = collections.OrderedDict()  # the one idle for longest first
        self._abandoned = collections.deque()  # sockets of before a rebind, open and never read
        self._waiting = []  # a heap of (time, order, datagram, copies, is held back)
        self._order = 0
        self._dark = False
        self._budget = None  # bytes until it gets dark
        self._in_tap = False
        self._failure = None
        self._closing = False
        self._lock = threading.RLock()
        self._started = time.monotonic()

        self._family, _, _, _, self._server = socket.getaddrinfo(*server, type=socket.SOCK_DGRAM)[0]
        family, _, _, _, address = socket.getaddrinfo(*listen, type=socket.SOCK_DGRAM)[0]
        self._listener = self._socket(family)
        try:
            self._listener.bind(address)
        except OSError:
            self._listener.close()
            raise
        self.address = self._listener.getsockname()[:2]
        self._alarm, self._waker = socket.socketpair()
        self._alarm.setblocking(False)
        self._waker.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._listener, selectors.EVENT_READ)
        self._selector.register(self._alarm, selectors.EVENT_READ)
        self._thread = threading.Thread(target=self._run, name="udp_relay", daemon=True)
        self._thread.start()

    def __repr__(self):
        return (f"UdpRelay({_text(self.address)} to {_text(self._server)}, seed={self.seed!r}, "
                f"up={self._faults['up']}, down={self._faults['down']})")

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        try:
            self.close()
        except Exception:
            if kind is None:
                raise

    @property
    def counters(self):
        """{"up": Counters, "down": Counters} as of now."""
        with self._changing():
            return {direction: dataclasses.replace(counters)
                    for direction, counters in self._counters.items()}

    @property
    def log(self):
        with self._changing():
            return None if self._log is None else list(self._log)

    @property
    def clients(self):
        """{address of the client: port from which the server sees it}"""
        with self._changing():
            return {address: client.upstream.getsockname()[1]
                    for address, client in self._clients.items()}

    def change(self, up=None, down=None):
        """Other faults from now on, for the directions given."""
        with self._changing():
            self._faults = {"up": up or self._faults["up"], "down": down or self._faults["down"]}

    def rebind(self, client=None):
        """The server sees the client with this address, or every one, from a new port from now on.

        As with a NAT that forgot its mapping, what the server sends to the old port is lost without
        a trace.
        """
        with self._changing():
            for one in [self._clients[client[:2]]] if client else list(self._clients.values()):
                old, one.upstream = one.upstream, self._connect()
                self._selector.unregister(old)
                self._selector.register(one.upstream, selectors.EVENT_READ, one)
                self._abandoned.append(old)
                if len(self._abandoned) > MAX_CLIENTS:
                    self._abandoned.popleft().close()

    def blackout(self, on):
        """Drops everything in both directions, and what waits; False ends that, and a cut too."""
        with self._changing():
            self._budget = None
            self._dark = bool(on)
            if on:
                self._drop_waiting()

    def cut_after(self, n_bytes):
        """A blackout as soon as `n_bytes` more have left, both directions taken together.

        The datagram that reaches the limit still leaves whole.
        """
        with self._changing():
            self._budget = n_bytes
            self._cut_when_spent()

    def close(self):
        """Stops; what waits is dropped. Raises what the tap raised, or what broke the relay."""
        with self._changing():
            if self._in_tap:
                raise RuntimeError("the tap cannot close its relay")
            if self._closing:
                return
            self._closing = True
            self._wake()
        self._thread.join()
        self._drop_waiting()
        for client in self._clients.values():
            client.upstream.close()
        self._clients.clear()
        for one in (*self._abandoned, self._selector, self._listener, self._alarm, self._waker):
            one.close()
        if self._failure:
            raise self._failure

    @contextlib.contextmanager
    def _changing(self):
        with self._lock:
            if not self._closing and not self._in_tap:
                self._read(self._listener, None, MAX_WAITING)
                for client in list(self._clients.values()):
                    self._read(client.upstream, client, MAX_WAITING)
                self._leave_due()
            yield
            if not self._closing:
                self._wake()  # there may be something to wait for that the thread does not know

    def _wake(self):
        with contextlib.suppress(BlockingIOError):  # full: it will wake up anyway
            self._waker.send(b"x")

    def _socket(self, family):
        made = socket.socket(family, socket.SOCK_DGRAM)
        made.setblocking(False)
        with contextlib.suppress(OSError):
            made.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, BUFFER)
        return made

    def _connect(self):
        made = self._socket(self._family)
        try:
            made.connect(self._server)
        except OSError:
            made.close()
            raise
        return made

    def _run(self):
        try:
            while True:
                with self._lock:
                    if self._closing:
                        return
                    timeout = None
                    if self._waiting:
                        timeout = max(0, self._waiting[0][0] - time.monotonic())
                events = self._selector.select(timeout)
                with self._lock:
                    for key, _ in events:
                        if key.fileobj is self._alarm:
                            with contextlib.suppress(BlockingIOError):
                                self._alarm.recv(4096)
                        else:
                            self._read(key.fileobj, key.data, BATCH)
                    self._leave_due()
        except Exception as error:  # close() tells
            self._failure = error

    def _read(self, source, client, limit):
        for _ in range(limit):
            if client and client.upstream is not source:
                return  # another thread was faster
            try:
                data, address = source.recvfrom(65536)
            except BlockingIOError:
                return
            except OSError:
                continue  # nobody listens at the server's port; that is for the client to find out
            if client:
                self._arrive("down", client, data)
            else:
                self._arrive("up", self._client(address), data)

    def _client(self, address):
        client = self._clients.get(address[:2])
        if not client:
            try:
                upstream = self._connect()
            except OSError:
                return None
            if len(self._clients) == MAX_CLIENTS:
                _, idle = self._clients.popitem(last=False)
                self._selector.unregister(idle.upstream)
                idle.upstream.close()
                idle.upstream = None
            client = self._clients[address[:2]] = _Client(address, upstream)
            self._selector.register(upstream, selectors.EVENT_READ, client)
        return client

    def _arrive(self, direction, client, data):
        faults, counters = self._faults[direction], self._counters[direction]
        # Always as many throws, so that the next datagram's do not depend on this one's fate.
        loss, duplicate, reorder, corrupt, place, change, delay, second_delay = (
            self._dice[direction].random() for _ in range(8))
        now = time.monotonic()
        counters.received += 1
        counters.received_bytes += len(data)
        if self._log is not None:
            self._log.append((now - self._started, direction, len(data), data[:16].hex()))
        if client:
            self._clients.move_to_end(client.address[:2])
        if self._dark or not client or len(self._waiting) >= MAX_WAITING:
            counters.dropped += 1
            return
        data = self._tapped(direction, data)
        if data is None or self._dark or not client.upstream:
            counters.dropped += 1
            return
        if loss < faults.loss:
            counters.lost += 1
            return
        if corrupt < faults.corrupt and data:
            counters.corrupted += 1
            data = bytearray(data)
            data[int(place * len(data))] ^= 1 + int(change * 255)
        datagram = _Datagram(direction, client, data)
        first, last = faults.delay_ms
        due = now + (first + delay * (last - first)) / 1000
        second_due = now + (first + second_delay * (last - first)) / 1000
        if duplicate < faults.duplicate:
            counters.duplicated += 1
            datagram.copies = 2
        if reorder < faults.reorder:
            datagram.held = faults.reorder_by
            datagram.flow.held.append(datagram)
            self._wait(due + HOLD_SECONDS, datagram, datagram.copies, True)
        else:
            self._wait(due, datagram, 1, False)
            if datagram.copies == 2:
                self._wait(second_due, datagram, 1, False)
        self._leave_due()

    def _tapped(self, direction, data):
        if not self.tap:
            return data
        self._in_tap = True
        try:
            return self.tap(direction, data)
        except Exception as error:
            self._failure = self._failure or error
            return None
        finally:
            self._in_tap = False

    def _wait(self, due, datagram, copies, held):
        self._order += 1
        heapq.heappush(self._waiting, (due, self._order, datagram, copies, held))

    def _leave_due(self):
        now = time.monotonic()
        while self._waiting and self._waiting[0][0] <= now:
            _, _, datagram, copies, held = heapq.heappop(self._waiting)
            if held and not datagram.held:
                continue  # passed by enough others, and gone since
            if held:
                datagram.held = 0
                datagram.flow.held.remove(datagram)
            self._leave(datagram, copies)

    def _leave(self, datagram, copies):
        leaving = collections.deque([(datagram, copies)])
        while leaving:
            datagram, copies = leaving.popleft()
            flow = datagram.flow
            sent = sum(self._send(datagram) for _ in range(copies))
            if not sent or datagram.left:
                continue
            datagram.left = True
            if datagram.number < flow.newest:
                self._counters[datagram.direction].reordered += 1
            flow.newest = max(flow.newest, datagram.number)
            number = datagram.number
            for held in list(itertools.takewhile(lambda one: one.number < number, flow.held)):
                held.held -= 1
                if not held.held:
                    flow.held.remove(held)
                    leaving.append((held, held.copies))

    def _send(self, datagram):
        counters, client = self._counters[datagram.direction], datagram.client
        sent = False
        if not self._dark and client.upstream:
            with contextlib.suppress(OSError):
                if datagram.direction == "down":
                    self._listener.sendto(datagram.data, client.address)
                else:
                    try:
                        client.upstream.send(datagram.data)
                    except OSError:  # about an earlier one; this one is still here
                        client.upstream.send(datagram.data)
                sent = True
        if not sent:
            counters.dropped += 1
            return False
        counters.forwarded += 1
        counters.forwarded_bytes += len(datagram.data)
        if self._budget is not None:
            self._budget -= len(datagram.data)
            self._cut_when_spent()
        return True

    def _cut_when_spent(self):
        if self._budget <= 0:
            self._budget = None
            self._dark = True
            self._drop_waiting()

    def _drop_waiting(self):
        for _, _, datagram, copies, held in self._waiting:
            if not held or datagram.held:
                self._counters[datagram.direction].dropped += copies
                datagram.flow.held.clear()
        self._waiting.clear()


def _text(address):
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _address(text):
    """HOST:PORT, with an IPv6 address in brackets, as (host, port)."""
    host, _, port = text.rpartition(":")
    if host.startswith("[") and host.endswith("]"):
        host = host[1:-1]
    elif ":" in host:
        raise argparse.ArgumentTypeError(f"{text!r}: an IPv6 address goes in brackets")
    if not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST:PORT")
    return host, int(port)


def _delay(text):
    """Milliseconds, as 10 or 10-50."""
    first, _, last = text.partition("-")
    try:
        return float(first), float(last or first)
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not MS or MS-MS") from None


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False, epilog="Each fault also as --up-... and --down-..., for one direction "
        "only. Runs until SIGTERM or SIGINT,\nthen prints its counters.")
    parser.add_argument("--to", type=_address, required=True, metavar="HOST:PORT")
    parser.add_argument("--listen", type=_address, default=("127.0.0.1", 0), metavar="HOST:PORT")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="the counters as one line of JSON")
    faults = {"loss": (float, "0..1"), "duplicate": (float, "0..1"), "reorder": (float, "0..1"),
              "reorder_by": (int, "N"), "delay_ms": (_delay, "MS-MS"), "corrupt": (float, "0..1")}
    for prefix in ("", "up_", "down_"):
        for name, (kind, values) in faults.items():
            option = "--" + (prefix + name.replace("_ms", "")).replace("_", "-")
            parser.add_argument(option, dest=prefix + name, type=kind, metavar=values,
                                help=argparse.SUPPRESS if prefix else None)
    options = parser.parse_args()

    def chosen(direction):
        given = {}
        for name in faults:
            for value in (getattr(options, name), getattr(options, f"{direction}_{name}")):
                if value is not None:
                    given[name] = value
        return Faults(**given)

    try:
        up, down = chosen("up"), chosen("down")
    except ValueError as error:
        parser.error(str(error))
    # Blocked before there is a second thread, so that it is this one which gets them.
    ends = {signal.SIGTERM, signal.SIGINT}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)
    try:
        relay = UdpRelay(options.to, up, down, options.seed, listen=options.listen)
    except OSError as error:
        print(f"udp_relay.py: {error}", file=sys.stderr)
        return 1
    with relay:
        print(f"listening {_text(relay.address)}", flush=True)
        signal.sigwait(ends)
    counters = {direction: dataclasses.asdict(counted)
                for direction, counted in relay.counters.items()}
    if options.json:
        print(json.dumps({"seed": options.seed, **counters}), flush=True)
    else:
        print(f"seed {options.seed}")
        for direction, counted in counters.items():
            print(direction + ":", ", ".join(f"{name.replace('_', ' ')} {count}"
                                             for name, count in counted.items()), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
