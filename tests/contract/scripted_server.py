#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""A server that answers exactly what it is told, down to the byte, over TLS and without.

usage: scripted_server.py DIR

Makes certificates in DIR with openssl, listens on loopback, prints one line

    ready good=PORT plain=PORT expired=PORT ...

and obeys commands on stdin, one a line; each is answered by one line. Ends with its stdin.

    script STEP...   what happens after the next request that nobody has scripted yet
    clear            forgets scripts and requests
    requests         "requests HEX HEX ...": the requests since the last time, head and body
    connections      "connections N": accepted since the start, on all ports

Steps:  early     (first only) do not wait for the body of the request
        s:HEX     send               f:HEX:COUNT:MS  send COUNT times, MS apart
        g:HEX     send beside TLS    w:MS            wait
        t:PORT    be a tunnel to PORT, until either side ends
        c         close in order     x               just close, as a cut does
        r         reset              h               say nothing any more
A script without c, x, r or h leaves the connection open for the next request. Without a script a
request gets 200 and an empty list.
"""
import collections
import os
import pathlib
import shutil
import socket
import ssl
import struct
import subprocess
import sys
import threading
import time

DEFAULT = [('s', b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n[]')]

CA_CONFIG = """
[ca]
default_ca = all
[all]
database = %(dir)s/index.txt
new_certs_dir = %(dir)s
rand_serial = yes
unique_subject = no
default_md = sha256
policy = any
[any]
commonName = supplied
"""


class Certificates:
    """One folder of keys and certificates: good ones, and bad ones of every kind."""

    def __init__(self, folder):
        self.dir = pathlib.Path(folder)

    def openssl(self, *args):
        subprocess.run(['openssl', *map(str, args)], cwd=self.dir, check=True,
                       stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                       stderr=subprocess.PIPE)

    def key(self, name, rsa=0):
        if rsa:
            self.openssl('genrsa', '-out', f'{name}.key', rsa)
        else:
            self.openssl('ecparam', '-name', 'prime256v1', '-genkey', '-noout', '-out', f'{name}.key')
        os.chmod(self.dir / f'{name}.key', 0o600)

    def authority(self, name):
        self.key(name)
        self.openssl('req', '-x509', '-new', '-key', f'{name}.key', '-subj', f'/CN={name}',
                     '-days', '3650', '-addext', 'basicConstraints=critical,CA:TRUE',
                     '-addext', 'keyUsage=critical,keyCertSign,cRLSign', '-out', f'{name}.pem')

    def certificate(self, name, issuer='ca', names='DNS:localhost,IP:127.0.0.1,IP:::1',
                    start='20200101000000Z', end='20491231235959Z', digest='sha256', rsa=0,
                    extra='basicConstraints=CA:FALSE', usage='serverAuth'):
        self.key(name, rsa)
        (self.dir / f'{name}.cnf').write_text(CA_CONFIG % {'dir': self.dir})
        (self.dir / f'{name}.ext').write_text(
            f'{extra}\nsubjectAltName={names}\nextendedKeyUsage={usage}\n')
        (self.dir / 'index.txt').write_text('')
        self.openssl('req', '-new', '-key', f'{name}.key', '-subj', f'/CN={name}', '-out', f'{name}.csr')
        self.openssl('ca', '-batch', '-config', f'{name}.cnf', '-in', f'{name}.csr', '-notext',
                     '-cert', f'{issuer}.pem', '-keyfile', f'{issuer}.key', '-extfile', f'{name}.ext',
                     '-startdate', start, '-enddate', end, '-md', digest, '-out', f'{name}.pem')

    def make(self):
        self.authority('ca')
        self.authority('otherca')
        self.certificate('good')
        self.certificate('othername', names='DNS:other.example')
        self.certificate('expired', end='20210101000000Z')
        self.certificate('future', start='20480101000000Z')
        self.certificate('foreign', issuer='otherca')
        self.certificate('weak', rsa=1024)
        self.certificate('sha1', digest='sha1')
        self.certificate('middle', extra='basicConstraints=critical,CA:TRUE')
        self.certificate('orphan', issuer='middle')
        self.certificate('device', names='DNS:device', usage='clientAuth')
        self.certificate('olddevice', names='DNS:device', usage='clientAuth', end='20210101000000Z')
        self.key('self')
        self.openssl('req', '-x509', '-new', '-key', 'self.key', '-subj', '/CN=localhost', '-days',
                     '365', '-addext', 'subjectAltName=DNS:localhost,IP:127.0.0.1', '-out', 'self.pem')
        both = (self.dir / 'good.pem').read_bytes()
        (self.dir / 'good.chain').write_bytes(both)

    def context(self, name, low=None, high=None, clients=False):
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_ciphers('ALL:@SECLEVEL=0')
        context.load_cert_chain(self.dir / f'{name}.pem', self.dir / f'{name}.key')
        if low:
            context.minimum_version = low
        if high:
            context.maximum_version = high
        if clients:
            context.verify_mode = ssl.CERT_REQUIRED
            context.load_verify_locations(self.dir / 'ca.pem')
        return context


class Connection:
    """A client: reads requests, plays scripts."""

    def __init__(self, server, raw, sock):
        self.server, self.raw, self.sock = server, raw, sock
        self.buffer = b''

    def more(self):
        data = self.sock.recv(65536)
        if not data:
            raise ConnectionError
        self.buffer += data

    def head(self):
        while b'\r\n\r\n' not in self.buffer:
            self.more()
        head, self.buffer = self.buffer.split(b'\r\n\r\n', 1)
        return head + b'\r\n\r\n'

    def body(self, head):
        length = 0
        for line in head.split(b'\r\n'):
            name, _, value = line.partition(b':')
            if name.lower() == b'content-length':
                length = int(value)
        while len(self.buffer) < length:
            self.more()
        body, self.buffer = self.buffer[:length], self.buffer[length:]
        return body

    def serve(self):
        while True:
            head = self.head()
            script = self.server.next_script()
            if script and script[0][0] == 'early':
                self.server.requests.append(head)
                script = script[1:]
            else:
                self.server.requests.append(head + self.body(head))
            for step in script:
                if not self.play(*step):
                    return

    def play(self, kind, *args):
        if kind == 's':
            self.sock.sendall(args[0])
        elif kind == 'g':
            os.write(self.raw.fileno(), args[0])
        elif kind == 'w':
            time.sleep(args[0] / 1000)
        elif kind == 'f':
            data, count, pause = args
            for _ in range(count):
                self.sock.sendall(data)
                time.sleep(pause / 1000)
        elif kind == 't':
            self.tunnel(args[0])
            return False
        elif kind == 'h':
            while self.sock.recv(65536):
                pass
            return False
        elif kind == 'r':
            self.raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
            return False
        elif kind == 'c':
            self.say_goodbye()
            return False
        elif kind == 'x':
            return False
        return True

    def say_goodbye(self):
        if isinstance(self.sock, ssl.SSLSocket):
            self.sock.settimeout(0.2)
            try:
                self.sock.unwrap()
            except OSError:
                pass

    def tunnel(self, port):
        other = socket.create_connection(('127.0.0.1', port))

        def copy(source, target):
            try:
                while data := source.recv(65536):
                    target.sendall(data)
                target.shutdown(socket.SHUT_WR)
            except OSError:
                pass
        back = threading.Thread(target=copy, args=(other, self.sock), daemon=True)
        back.start()
        copy(self.sock, other)
        back.join()
        other.close()


class Server:
    def __init__(self):
        self.lock = threading.Lock()
        self.scripts = collections.deque()
        self.requests = []
        self.accepted = 0
        self.ports = {}

    def next_script(self):
        with self.lock:
            return self.scripts.popleft() if self.scripts else DEFAULT

    def listen(self, name, handler):
        listener = socket.create_server(('127.0.0.1', 0), backlog=64)
        self.ports[name] = listener.getsockname()[1]

        def accept():
            while True:
                raw, _ = listener.accept()
                self.accepted += 1
                threading.Thread(target=self.handle, args=(raw, handler), daemon=True).start()
        threading.Thread(target=accept, daemon=True).start()

    def handle(self, raw, handler):
        try:
            raw.settimeout(60)
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            handler(raw)
        except (OSError, ValueError):
            pass
        finally:
            raw.close()

    def plain(self, raw):
        Connection(self, raw, raw).serve()

    def tls(self, context):
        def handler(raw):
            # Kept as a plain descriptor too: for bytes beside TLS, and for a hard close.
            with socket.socket(fileno=os.dup(raw.fileno())) as below:
                below.settimeout(60)
                try:
                    sock = context.wrap_socket(raw, server_side=True)
                except ssl.SSLError:
                    self.linger(below)  # or a reset overtakes the alert
                    raise
                with sock:
                    Connection(self, below, sock).serve()
        return handler

    @staticmethod
    def linger(sock):
        sock.settimeout(1)
        sock.shutdown(socket.SHUT_WR)
        while sock.recv(65536):
            pass

    @staticmethod
    def silent(raw):
        while raw.recv(65536):
            pass

    @staticmethod
    def stranger(raw):
        raw.sendall(b'SSH-2.0-OpenSSH_9.6\r\n')
        Server.silent(raw)

    @staticmethod
    def httponly(raw):
        raw.recv(65536)
        raw.sendall(b'HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n')

    @staticmethod
    def cutter(raw):
        raw.recv(65536)


def parse_step(text):
    kind, *args = text.split(':')
    if kind in ('s', 'g'):
        return kind, bytes.fromhex(args[0])
    if kind == 'f':
        return kind, bytes.fromhex(args[0]), int(args[1]), int(args[2])
    if kind in ('w', 't'):
        return kind, int(args[0])
    return (kind,)


def command(server, line):
    word, *rest = line.split()
    with server.lock:
        if word == 'script':
            server.scripts.append([parse_step(step) for step in rest])
        elif word == 'clear':
            server.scripts.clear()
            server.requests.clear()
        elif word == 'requests':
            answer = ' '.join(['requests'] + [request.hex() for request in server.requests])
            server.requests.clear()
            return answer
        elif word == 'connections':
            return f'connections {server.accepted}'
        else:
            return f'error unknown command {word}'
    return 'ok'


def main():
    folder = pathlib.Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    if not shutil.which('openssl'):
        sys.exit('scripted_server.py: no openssl command')
    certificates = Certificates(folder.resolve())
    certificates.make()
    version = ssl.TLSVersion
    server = Server()
    server.listen('plain', server.plain)
    for name in ('good', 'othername', 'expired', 'future', 'foreign', 'weak', 'sha1', 'orphan', 'self'):
        server.listen(name, server.tls(certificates.context(name)))
    server.listen('tls11', server.tls(certificates.context('good', version.TLSv1, version.TLSv1_1)))
    server.listen('tls12', server.tls(certificates.context('good', None, version.TLSv1_2)))
    server.listen('tls13', server.tls(certificates.context('good', version.TLSv1_3)))
    server.listen('mutual12', server.tls(
        certificates.context('good', None, version.TLSv1_2, clients=True)))
    server.listen('mutual13', server.tls(
        certificates.context('good', version.TLSv1_3, clients=True)))
    for name in ('silent', 'stranger', 'httponly', 'cutter'):
        server.listen(name, getattr(Server, name))
    print('ready', *(f'{name}={port}' for name, port in server.ports.items()), flush=True)
    for line in sys.stdin:
        if line.strip():
            print(command(server, line), flush=True)


if __name__ == '__main__':
    main()
