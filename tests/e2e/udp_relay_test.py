#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""The UDP relay does to datagrams what it was told to, and counts it exactly."""
import contextlib
import json
import os
import random
import select
import signal
import socket
import struct
import subprocess
import sys
import threading
import time
import unittest
from unittest import mock

from udp_relay import MAX_CLIENTS, Counters, Faults, UdpRelay

PROGRAM = os.path.join(os.path.dirname(os.path.abspath(__file__)), "udp_relay.py")
SECONDS = 60  # until a test gives up; nothing takes that long
WINDOW = 50  # datagrams on the way at one time, so that no socket buffer overflows


def plain(host="127.0.0.1"):
    made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET, socket.SOCK_DGRAM)
    made.settimeout(SECONDS)
    made.bind((host, 0))
    return made


def packed(number, size=20):
    return struct.pack("!I", number).ljust(size, b".")


def number_of(data):
    return struct.unpack_from("!I", data)[0]


def overtaken(numbers):
    """How many came after a higher one, copies not counted."""
    newest, seen, count = -1, set(), 0
    for number in numbers:
        count += number < newest and number not in seen
        newest = max(newest, number)
        seen.add(number)
    return count


class RelayTest(unittest.TestCase):
    def setUp(self):
        self.ends = contextlib.ExitStack()
        self.addCleanup(self.ends.close)
        self.server = self.socket()
        self.client = self.socket()

    def socket(self, host="127.0.0.1"):
        return self.ends.enter_context(plain(host))

    def relay(self, **options):
        return self.ends.enter_context(UdpRelay(self.server.getsockname(), **options))

    def until(self, condition):
        deadline = time.monotonic() + SECONDS
        while not condition():
            self.assertLess(time.monotonic(), deadline, "it never happened")
            time.sleep(0.001)

    def up(self, relay, numbers, client=None):
        """Sends in windows; what came through, in the order in which it came."""
        return self.through(relay, "up", numbers, client or self.client, relay.address, self.server)

    def down(self, relay, numbers):
        self.client.sendto(b"hello", relay.address)
        _, source = self.server.recvfrom(100)
        return self.through(relay, "down", numbers, self.server, source, self.client)

    def through(self, relay, direction, numbers, sender, to, receiver):
        before = relay.counters[direction]
        sent, came, left = 0, [], list(numbers)
        while left or not self.all_came(relay, direction, before, sent, len(came)):
            batch, left = left[:WINDOW], left[WINDOW:]
            for number in batch:
                sender.sendto(packed(number), to)
            sent += len(batch)
            while not self.all_came(relay, direction, before, sent, len(came)):
                if select.select([receiver], [], [], 0.005)[0]:
                    came.append(number_of(receiver.recv(100)))
        return came

    def all_came(self, relay, direction, before, sent, came):
        now = relay.counters[direction]
        gone = now.lost + now.dropped - before.lost - before.dropped
        forwarded = now.forwarded - before.forwarded
        return (now.received - before.received == sent and forwarded == came and
                sent + now.duplicated - before.duplicated == forwarded + gone)

    def silent(self, *receivers):
        self.assertEqual([], select.select(receivers, [], [], 0.05)[0])

    def exchange(self, relay, text=b"ping"):
        """One datagram there and one back; the port from which the server saw it."""
        self.client.sendto(text, relay.address)
        data, source = self.server.recvfrom(100)
        self.assertEqual(text, data)
        self.server.sendto(text[::-1], source)
        self.assertEqual((text[::-1], relay.address), self.client.recvfrom(100))
        return source[1]


class NoFaults(RelayTest):
    def test_nothing_is_lost_and_order_is_kept(self):
        relay = self.relay()
        self.assertEqual(list(range(2000)), self.up(relay, range(2000)))
        self.assertEqual(list(range(2000)), self.down(relay, range(2000)))
        counters = relay.counters
        self.assertEqual(Counters(received=2001, received_bytes=40005, forwarded=2001,
                                  forwarded_bytes=40005), counters["up"])
        self.assertEqual(Counters(received=2000, received_bytes=40000, forwarded=2000,
                                  forwarded_bytes=40000), counters["down"])

    def test_sizes(self):
        relay = self.relay()
        for size in (0, 1, 1152, 16384, 65507):
            data = os.urandom(size)
            self.client.sendto(data, relay.address)
            came, source = self.server.recvfrom(65536)
            self.assertEqual(data, came)
            self.server.sendto(data, source)
            self.assertEqual(data, self.client.recv(65536))

    def test_two_clients_are_kept_apart(self):
        relay = self.relay()
        other = self.socket()
        self.client.sendto(b"one", relay.address)
        _, first = self.server.recvfrom(100)
        other.sendto(b"two", relay.address)
        _, second = self.server.recvfrom(100)
        self.assertNotEqual(first, second)
        self.server.sendto(b"for two", second)
        self.server.sendto(b"for one", first)
        self.assertEqual(b"for one", self.client.recv(100))
        self.assertEqual(b"for two", other.recv(100))
        self.assertEqual({self.client.getsockname(): first[1], other.getsockname(): second[1]},
                         relay.clients)
        self.silent(self.client, other)

    def test_a_stranger_cannot_answer(self):
        relay = self.relay()
        port = self.exchange(relay)
        self.socket().sendto(b"spoofed", ("127.0.0.1", port))
        self.silent(self.client)

    def test_the_client_idle_for_longest_goes(self):
        relay = self.relay()
        clients = [self.socket() for _ in range(MAX_CLIENTS)]
        for client in clients:
            client.sendto(b"hello", relay.address)
            self.server.recv(100)
        before = relay.clients
        clients[0].sendto(b"still here", relay.address)
        self.server.recv(100)
        self.client.sendto(b"one too many", relay.address)
        self.server.recv(100)
        after = relay.clients
        self.assertEqual(MAX_CLIENTS, len(after))
        self.assertEqual({clients[1].getsockname()}, set(before) - set(after))
        self.assertEqual({self.client.getsockname()}, set(after) - set(before))
        clients[1].sendto(b"again", relay.address)
        self.assertEqual(b"again", self.server.recv(100))

    def test_the_server_is_away_for_a_while(self):
        relay = self.relay()
        self.exchange(relay)
        address = self.server.getsockname()
        self.server.close()
        relay.change(up=Faults(reorder=1, delay_ms=(60000, 60000)))
        for count in range(2, 6):
            self.client.sendto(b"anyone?", relay.address)
            self.until(lambda: relay.counters["up"].received == count)
        # All leave at once, so that each meets the refusal of the one before.
        relay.change(up=Faults())
        self.client.sendto(b"anyone?", relay.address)
        self.until(lambda: relay.counters["up"].forwarded == 6)
        self.server = self.ends.enter_context(
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.server.settimeout(SECONDS)
        self.server.bind(address)
        self.exchange(relay)
        self.assertEqual((7, 0), (relay.counters["up"].forwarded, relay.counters["up"].dropped))


class Chances(RelayTest):
    def test_loss(self):
        def run(direction, **options):
            with UdpRelay(self.server.getsockname(), **options) as relay:
                came = getattr(self, direction)(relay, range(5000))
                lost = relay.counters[direction].lost
            self.assertEqual(sorted(came), came)
            self.assertEqual(5000 - len(came), lost)
            sigma = (5000 * 0.2 * 0.8) ** 0.5
            self.assertLess(abs(lost - 1000), 4 * sigma)
            return came

        first = run("up", up=Faults(loss=0.2), seed=7)
        # Neither other faults nor the other direction change which ones are lost.
        same = run("up", up=Faults(loss=0.2, corrupt=0.0), down=Faults(loss=0.9), seed=7)
        self.assertEqual(first, same)
        self.assertNotEqual(first, run("down", down=Faults(loss=0.2), seed=7))
        self.assertNotEqual(first, run("up", up=Faults(loss=0.2), seed=8))

    def test_duplicates(self):
        relay = self.relay(up=Faults(duplicate=0.3))
        came = self.up(relay, range(1000))
        counters = relay.counters["up"]
        self.assertEqual(set(range(1000)), set(came))
        self.assertEqual(sorted(came), came)
        self.assertEqual(len(came) - 1000, counters.duplicated)
        self.assertEqual(len(came), counters.forwarded)
        self.assertTrue(200 < counters.duplicated < 400)
        self.assertEqual(0, relay.counters["down"].duplicated)

    def test_reorders(self):
        for by in (1, 3):
            with UdpRelay(self.server.getsockname(),
                          up=Faults(reorder=0.1, reorder_by=by)) as relay:
                came = self.up(relay, range(1000))
                counters = relay.counters["up"]
            self.assertEqual(list(range(1000)), sorted(came))
            self.assertEqual(overtaken(came), counters.reordered)
            self.assertGreater(counters.reordered, 20)  # of about 100; a stall lets some go early

    def test_one_is_held_back_until_so_many_have_passed(self):
        # The delay puts the end of the 50 ms off, however slow the machine is.
        relay = self.relay(up=Faults(reorder=1, reorder_by=2, delay_ms=(60000, 60000)))
        self.client.sendto(packed(0), relay.address)
        self.until(lambda: relay.counters["up"].received == 1)
        relay.change(up=Faults())
        for number in (1, 2, 3):
            self.client.sendto(packed(number), relay.address)
        self.assertEqual([1, 2, 0, 3], [number_of(self.server.recv(100)) for _ in range(4)])
        self.assertEqual(1, relay.counters["up"].reordered)

    def test_one_that_nothing_passes_leaves_after_50_ms(self):
        relay = self.relay(up=Faults(reorder=1))
        start = time.monotonic()
        self.client.sendto(packed(0), relay.address)
        self.assertEqual(packed(0), self.server.recv(100))
        self.assertGreaterEqual(time.monotonic() - start, 0.05)
        self.assertEqual(0, relay.counters["up"].reordered)

    def test_delay(self):
        relay = self.relay(up=Faults(delay_ms=(40, 40)), down=Faults(delay_ms=(20, 30)))
        start = time.monotonic()
        for number in range(WINDOW):
            self.client.sendto(packed(number), relay.address)
        for number in range(WINDOW):
            data, source = self.server.recvfrom(100)
            self.assertEqual(number, number_of(data))
            self.assertGreaterEqual(time.monotonic() - start, 0.04)
        start = time.monotonic()
        self.server.sendto(b"back", source)
        self.assertEqual(b"back", self.client.recv(100))
        self.assertGreaterEqual(time.monotonic() - start, 0.02)
        self.assertEqual(0, relay.counters["up"].reordered)

    def test_a_later_datagram_with_a_shorter_delay_does_not_wait(self):
        relay = self.relay(up=Faults(delay_ms=(60000, 60000)))
        self.client.sendto(b"slow", relay.address)
        self.until(lambda: relay.counters["up"].received == 1)
        relay.change(up=Faults(delay_ms=(5, 5)))
        self.client.sendto(b"fast", relay.address)
        self.assertEqual(b"fast", self.server.recv(100))
        relay.close()
        self.assertEqual(1, relay.counters["up"].dropped)

    def test_corruption_is_one_byte(self):
        relay = self.relay(up=Faults(corrupt=0.5), down=Faults(corrupt=1))
        original = bytes(range(64))
        changed = 0
        places = set()
        for _ in range(200):
            self.client.sendto(original, relay.address)
            data, source = self.server.recvfrom(100)
            different = [i for i in range(64) if data[i] != original[i]]
            self.assertEqual(64, len(data))
            self.assertLessEqual(len(different), 1)
            changed += len(different)
            places.update(different)
        self.assertEqual(changed, relay.counters["up"].corrupted)
        self.assertTrue(60 < changed < 140)
        self.assertGreater(len(places), 30)
        self.server.sendto(b"", source)
        self.assertEqual(b"", self.client.recv(100))
        self.server.sendto(b"x", source)
        self.assertNotEqual(b"x", self.client.recv(100))
        self.assertEqual(1, relay.counters["down"].corrupted)

    def test_all_at_once(self):
        faults = Faults(loss=0.1, duplicate=0.1, reorder=0.1, reorder_by=2, delay_ms=(0, 5))
        relay = self.relay(up=faults, down=faults, seed=3)
        for direction, extra in ((self.up, 0), (self.down, 1)):
            if extra:
                relay.change(up=Faults())  # for the hello
            came = direction(relay, range(1000))
            counters = relay.counters["down" if extra else "up"]
            self.assertEqual(1000, counters.received)
            self.assertEqual(1000 - counters.lost, len(set(came)))
            self.assertEqual(len(came) - len(set(came)), counters.duplicated)
            self.assertEqual(overtaken(came), counters.reordered)
            self.assertEqual(0, counters.dropped)
            self.assertTrue(counters.lost and counters.duplicated and counters.reordered)

    def test_impossible_faults(self):
        for wrong in ({"loss": 1.5}, {"duplicate": -0.1}, {"reorder_by": 0}, {"delay_ms": (5, 1)},
                      {"delay_ms": (-1, 1)}, {"corrupt": float("nan")}):
            with self.assertRaises(ValueError):
                Faults(**wrong)


class Switches(RelayTest):
    def test_rebind_changes_the_port_and_answers_come_back(self):
        relay = self.relay()
        ports = [self.exchange(relay)]
        for _ in range(5):
            relay.rebind()
            ports.append(self.exchange(relay))
            self.assertEqual({self.client.getsockname(): ports[-1]}, relay.clients)
        self.assertEqual(6, len(set(ports)))
        # What still goes to the old port is lost without a trace.
        self.server.sendto(b"late", ("127.0.0.1", ports[0]))
        self.silent(self.client, self.server)
        self.exchange(relay)

    def test_rebind_of_one_client(self):
        relay = self.relay()
        other = self.socket()
        other.sendto(b"hello", relay.address)
        _, others = self.server.recvfrom(100)
        before = self.exchange(relay)
        relay.rebind(self.client.getsockname())
        self.assertNotEqual(before, self.exchange(relay))
        other.sendto(b"hello", relay.address)
        self.assertEqual(others, self.server.recvfrom(100)[1])
        with self.assertRaises(KeyError):
            relay.rebind(("127.0.0.1", 9))

    def test_what_waits_across_a_rebind_leaves_from_the_new_port(self):
        relay = self.relay()
        before = self.exchange(relay)
        relay.change(up=Faults(reorder=1, delay_ms=(60000, 60000)))
        self.client.sendto(b"waits", relay.address)
        self.until(lambda: relay.counters["up"].received == 2)
        relay.rebind()
        relay.change(up=Faults())
        self.client.sendto(b"passes", relay.address)
        for text in (b"passes", b"waits"):
            data, source = self.server.recvfrom(100)
            self.assertEqual(text, data)
            self.assertNotEqual(before, source[1])

    def test_blackout(self):
        relay = self.relay()
        port = self.exchange(relay)
        relay.blackout(True)
        for count in range(1, 11):
            self.client.sendto(b"lost", relay.address)
            self.server.sendto(b"lost too", ("127.0.0.1", port))
            self.until(lambda: relay.counters["up"].dropped == count
                       and relay.counters["down"].dropped == count)
        self.silent(self.server, self.client)
        relay.blackout(False)
        self.assertEqual(port, self.exchange(relay))
        self.assertEqual((2, 0), (relay.counters["up"].forwarded, relay.counters["up"].lost))

    def test_blackout_takes_what_waits(self):
        relay = self.relay(up=Faults(duplicate=1, reorder=1, delay_ms=(60000, 60000)))
        self.client.sendto(b"held back", relay.address)
        self.until(lambda: relay.counters["up"].received == 1)
        relay.change(up=Faults(duplicate=1, delay_ms=(60000, 60000)))
        self.client.sendto(b"delayed", relay.address)
        self.until(lambda: relay.counters["up"].received == 2)
        relay.blackout(True)
        relay.blackout(False)
        self.assertEqual(4, relay.counters["up"].dropped)
        relay.change(up=Faults())
        self.exchange(relay)
        self.silent(self.server)

    def test_cut_after(self):
        relay = self.relay()
        port = self.exchange(relay)
        relay.cut_after(250)
        for number in range(5):  # 100 bytes each: up, down, up, and then nothing
            sender, to = (self.client, relay.address) if number % 2 == 0 else (
                self.server, ("127.0.0.1", port))
            sender.sendto(packed(number, 100), to)
            self.until(lambda: sum(one.received for one in relay.counters.values()) == number + 3)
        self.assertEqual([0, 2], [number_of(self.server.recv(200)) for _ in range(2)])
        self.assertEqual(1, number_of(self.client.recv(200)))
        self.silent(self.server, self.client)
        self.assertEqual((1, 1), tuple(relay.counters[way].dropped for way in ("up", "down")))
        relay.blackout(False)
        self.exchange(relay)
        relay.cut_after(0)
        self.client.sendto(b"lost", relay.address)
        self.until(lambda: relay.counters["up"].dropped == 2)
        relay.blackout(False)
        self.exchange(relay)

    def test_tap(self):
        seen = []

        def tap(direction, data):
            seen.append((direction, data))
            if data == b"drop":
                return None
            return data.replace(b"secret", b"public")

        relay = self.relay(tap=tap, up=Faults(duplicate=1))
        for text in (b"drop", b"a secret"):
            self.client.sendto(text, relay.address)
        data, source = self.server.recvfrom(100)
        self.assertEqual((b"a public", b"a public"), (data, self.server.recv(100)))
        self.server.sendto(b"secret", source)
        self.assertEqual(b"public", self.client.recv(100))
        self.assertEqual([("up", b"drop"), ("up", b"a secret"), ("down", b"secret")], seen)
        self.assertEqual((1, 0), (relay.counters["up"].dropped, relay.counters["up"].lost))

    def test_a_tap_may_use_the_relay(self):
        relay = self.relay()

        def tap(_, data):
            if data == b"new port":
                relay.rebind()
            if data == b"dark":
                relay.blackout(True)
            if data == b"count":
                self.assertEqual(2, relay.counters["up"].received)
            return data

        before = self.exchange(relay)
        relay.tap = tap
        self.client.sendto(b"count", relay.address)
        self.assertEqual(b"count", self.server.recv(100))
        self.assertNotEqual(before, self.exchange(relay, b"new port"))
        self.client.sendto(b"dark", relay.address)
        self.until(lambda: relay.counters["up"].dropped == 1)
        self.silent(self.server)
        relay.close()

    def test_what_a_tap_raises_comes_out_of_close(self):
        def tap(_, data):
            if data == b"bad":
                raise AssertionError("a bad datagram")
            return data

        with self.assertRaisesRegex(AssertionError, "a bad datagram"):
            with UdpRelay(self.server.getsockname(), tap=tap) as relay:
                self.client.sendto(b"bad", relay.address)
                self.exchange(relay, b"good")
        self.assertEqual(1, relay.counters["up"].dropped)
        with self.assertRaisesRegex(RuntimeError, "the first"):
            with UdpRelay(self.server.getsockname(), tap=tap) as relay:
                self.client.sendto(b"bad", relay.address)
                self.exchange(relay, b"good")
                raise RuntimeError("the first")

    def test_log(self):
        relay = self.relay(keep_log=True, up=Faults(corrupt=1))
        data = bytes(range(40))
        self.client.sendto(data, relay.address)
        _, source = self.server.recvfrom(100)
        self.server.sendto(b"\x60", source)
        self.client.recv(100)
        (first, *up), (second, *down) = relay.log
        self.assertEqual([["up", 40, data[:16].hex()], ["down", 1, "60"]], [up, down])
        self.assertTrue(0 <= first <= second < SECONDS)
        self.assertIsNone(self.relay().log)

    def test_bounds(self):
        with mock.patch("udp_relay.MAX_LOG", 5), mock.patch("udp_relay.MAX_WAITING", 10):
            relay = self.relay(keep_log=True, up=Faults(delay_ms=(60000, 60000)))
            for count in range(1, 21):
                self.client.sendto(packed(count), relay.address)
                self.until(lambda: relay.counters["up"].received == count)
            self.assertEqual(10, relay.counters["up"].dropped)
            self.assertEqual([16, 17, 18, 19, 20],
                             [number_of(bytes.fromhex(start)) for _, _, _, start in relay.log])

    def test_repr_tells_how_to_repeat_a_run(self):
        text = repr(self.relay(seed=4711, up=Faults(loss=0.25)))
        for part in ("seed=4711", "loss=0.25", f"127.0.0.1:{self.server.getsockname()[1]}"):
            self.assertIn(part, text)

    def test_close(self):
        threads = threading.active_count()
        relay = UdpRelay(self.server.getsockname())
        self.exchange(relay)
        relay.close()
        relay.close()
        self.assertEqual(threads, threading.active_count())
        self.assertEqual(1, relay.counters["up"].forwarded)
        self.assertEqual({}, relay.clients)

    def test_a_port_in_use(self):
        with self.assertRaises(OSError):
            self.relay(listen=self.client.getsockname())


class CommandLine(RelayTest):
    def start(self, *arguments):
        process = self.ends.enter_context(subprocess.Popen(
            [sys.executable, PROGRAM, *arguments], stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True))
        self.ends.callback(process.kill)
        word, _, address = process.stdout.readline().strip().partition(" ")
        self.assertEqual("listening", word)
        host, _, port = address.rpartition(":")
        return process, (host.strip("[]"), int(port))

    def end(self, process, how):
        process.send_signal(how)
        output, errors = process.communicate(timeout=SECONDS)
        self.assertEqual((0, ""), (process.returncode, errors))
        return output

    def to(self):
        return f"127.0.0.1:{self.server.getsockname()[1]}"

    def test_faults_and_counters(self):
        process, address = self.start("--to", self.to(), "--listen", "127.0.0.1:0", "--seed", "5",
                                      "--loss", "1", "--up-loss", "0", "--duplicate", "1",
                                      "--delay", "1-5", "--up-delay", "20", "--json")
        start = time.monotonic()
        self.client.sendto(b"there", address)
        data, source = self.server.recvfrom(100)
        self.assertEqual(b"there", data)
        self.assertEqual((b"there", source), self.server.recvfrom(100))
        self.assertGreaterEqual(time.monotonic() - start, 0.02)
        self.server.sendto(b"and back", source)
        self.silent(self.client)
        output = self.end(process, signal.SIGTERM)
        self.assertEqual(1, output.count("\n"))
        counters = json.loads(output)
        self.assertEqual(5, counters["seed"])
        self.assertEqual({"received": 1, "received_bytes": 5, "forwarded": 2, "forwarded_bytes": 10,
                          "lost": 0, "dropped": 0, "duplicated": 1, "reordered": 0,
                          "corrupted": 0}, counters["up"])
        self.assertEqual((1, 8, 0, 1), tuple(counters["down"][name] for name in (
            "received", "received_bytes", "forwarded", "lost")))

    def test_same_seed_as_in_a_program(self):
        dice = random.Random("9 up")
        expected = []
        for number in range(200):
            if [dice.random() for _ in range(8)][0] >= 0.5:
                expected.append(number)
        relay = self.relay(up=Faults(loss=0.5), seed=9)
        self.assertEqual(expected, self.up(relay, range(200)))
        process, address = self.start("--to", self.to(), "--seed", "9", "--up-loss", "0.5")
        for number in range(200):
            self.client.sendto(packed(number), address)
            if number in expected:
                self.assertEqual(number, number_of(self.server.recv(100)))
        self.assertIn(f"up: received 200, received bytes 4000, forwarded {len(expected)}",
                      self.end(process, signal.SIGINT))

    def test_ipv6(self):
        try:
            self.server, self.client = self.socket("::1"), self.socket("::1")
        except OSError:
            self.skipTest("no IPv6 here")
        process, address = self.start("--to", f"[::1]:{self.server.getsockname()[1]}",
                                      "--listen", "[::1]:0")
        self.client.sendto(b"there", address)
        _, source = self.server.recvfrom(100)
        self.server.sendto(b"back", source)
        self.assertEqual(b"back", self.client.recv(100))
        self.end(process, signal.SIGTERM)

    def test_wrong_arguments(self):
        for wrong, status in (([], 2), (["--to", "::1:5683"], 2), (["--to", "127.0.0.1"], 2),
                              (["--to", self.to(), "--loss", "2"], 2),
                              (["--to", self.to(), "--delay", "50-10"], 2),
                              (["--to", self.to(), "--listen", self.to()], 1)):
            done = subprocess.run([sys.executable, PROGRAM, *wrong], capture_output=True, text=True,
                                  timeout=SECONDS)
            self.assertEqual((status, ""), (done.returncode, done.stdout), wrong)
            self.assertNotIn("Traceback", done.stderr)


if __name__ == "__main__":
    unittest.main()
