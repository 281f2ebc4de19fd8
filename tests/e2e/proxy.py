"""A liar between Waymark and its engine: a proxy on a unix socket that can misbehave in any way.

It records every request.  What it does to an answer is decided by `rules`, the first whose pattern
matches "METHOD PATH"; by default it passes everything on.
"""

import json
import os
import random
import re
import socket
import threading

import http_unix


class Proxy:
    def __init__(self, path, engine):
        self.path, self.engine = path, engine
        self.requests = []  # (method, path)
        self.rules = []  # (pattern, function of an Answer)
        self.api = None  # (oldest, newest) version it claims to speak, instead of the engine's own
        self.event_filter = None  # octets of one event -> list of octets to send instead
        self.streams = []  # sockets of clients that follow events
        self.lock = threading.Lock()
        self.listener = socket.socket(socket.AF_UNIX)
        self.listener.bind(path)
        self.listener.listen(64)
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def host(self):
        return "unix://" + self.path

    @property
    def network(self):
        return self.engine.network

    @property
    def kind(self):
        return self.engine.kind

    def close(self):
        self.listener.close()
        os.unlink(self.path)
        self.cut_streams()

    # what a test tells it

    def on(self, pattern, action):
        """From now on; returns what takes it back."""
        over = threading.Event()
        rule = (re.compile(pattern), lambda answer: action(answer, over))
        with self.lock:
            self.rules.insert(0, rule)

        def undo():
            self.rules.remove(rule)
            over.set()
        return undo

    def asked(self, pattern):
        with self.lock:
            return [path for method, path in self.requests if re.search(pattern, f"{method} {path}")]

    def forget(self):
        with self.lock:
            self.requests.clear()

    def cut_streams(self):
        with self.lock:
            streams, self.streams = self.streams, []
        for stream in streams:
            try:
                stream.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass

    # the machinery

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        reader = client.makefile("rb")
        try:
            while request := self._read_request(reader):
                method, path, body = request
                with self.lock:
                    self.requests.append((method, path))
                    action = next((a for p, a in self.rules if p.search(f"{method} {path}")), None)
                too_old, path = self._version(path)
                if "/events" in path and action is None and not too_old:
                    self._follow(client, path)
                    return
                answer = Answer(self.engine, method, path, body)
                if too_old:
                    gives(TOO_OLD, 400)(answer)
                elif action:
                    action(answer)
                else:
                    answer.forward()
                if self.api:
                    answer.claim(*self.api)
                if not answer.send(client):
                    return
        except OSError:
            pass
        finally:
            reader.close()
            client.close()

    def _version(self, path):
        """(whether the version asked for will not do, the path for the real engine)"""
        asked = re.match(r"/v(\d+)\.(\d+)/", path)
        if not self.api or not asked:
            return False, path
        version = tuple(map(int, asked.groups()))
        oldest, newest = (tuple(map(int, v.split("."))) for v in self.api)
        if not oldest <= version <= newest:
            return True, path
        return False, path[asked.end() - 1:]

    @staticmethod
    def _read_request(reader):
        line = reader.readline()
        if not line:
            return None
        method, path, _ = line.decode().split(" ", 2)
        length = 0
        while (header := reader.readline().strip()):
            name, _, value = header.partition(b":")
            if name.lower() == b"content-length":
                length = int(value)
        return method, path, reader.read(length)

    def _follow(self, client, path):
        """Events go through one by one, so that the filter can take, double and tear them."""
        upstream = http_unix.connect(self.engine.socket, timeout=None)
        try:
            upstream.request("GET", path)
            events = upstream.getresponse()
            client.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
                           b"Transfer-Encoding: chunked\r\n\r\n")
            with self.lock:
                self.streams.append(client)
            threading.Thread(target=_close_when_gone, args=(client, upstream), daemon=True).start()
            while line := events.readline():
                for piece in self.event_filter(line) if self.event_filter else [line]:
                    client.sendall(b"%x\r\n%s\r\n" % (len(piece), piece))
        except (OSError, ValueError, AttributeError):
            pass
        finally:
            upstream.close()


def _close_when_gone(client, upstream):
    """A follower that leaves must not keep its stream at the engine."""
    try:
        while client.recv(1):
            pass
    except OSError:
        pass
    if upstream.sock:
        try:
            upstream.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Answer:
    """What the client will get; an action changes it."""

    def __init__(self, engine, method, path, body):
        self.engine, self.method, self.path, self.request_body = engine, method, path, body
        self.status, self.type, self.body = 200, "application/json", b""
        self.declared = None  # Content-Length, where it is to be a lie
        self.dropped = False
        self.api = "1.41"

    def claim(self, oldest, newest):
        """Answers to /_ping and /version tell these versions."""
        self.api = newest
        if self.path.endswith("/version") and self.status == 200:
            said = json.loads(self.body)
            said.update(ApiVersion=newest, MinAPIVersion=oldest)
            self.body = json.dumps(said).encode()

    def forward(self):
        self.status, head, self.body = http_unix.ask(self.engine.socket, self.method, self.path,
                                                     self.request_body or None)
        self.type = head.get("Content-Type", self.type)

    def send(self, client):
        """False: the connection is over."""
        if self.dropped:
            return False
        length = len(self.body) if self.declared is None else self.declared
        client.sendall(f"HTTP/1.1 {self.status} X\r\nContent-Type: {self.type}\r\n"
                       f"Api-Version: {self.api}\r\nContent-Length: {length}\r\n\r\n".encode() + self.body)
        return self.declared is None


# actions: what to do with an answer; `over` is set when the rule is taken back

TOO_OLD = b'{"message":"client version is too old, or too new"}'


def held(answer, over):
    """Not before the rule is taken back; what it says is what was true when it was asked."""
    answer.forward()
    over.wait(120)


def never(answer, over):
    over.wait(120)
    answer.dropped = True


def drop(answer, over=None):
    answer.dropped = True


def gives(body, status=200, type="application/json"):
    def action(answer, over=None):
        answer.status, answer.body, answer.type = status, body, type
    return action


def cut_short(answer, over):
    """Half of the octets, and then the connection ends."""
    answer.forward()
    answer.declared = len(answer.body)
    answer.body = answer.body[:len(answer.body) // 2]


def quarter_of_the_list(answer, over):
    """Valid JSON that has lost most of its members."""
    answer.forward()
    members = json.loads(answer.body)
    answer.body = json.dumps(members[:len(members) // 4]).encode()


def garbled(answer, over):
    answer.forward()
    body = bytearray(answer.body)
    for _ in range(max(1, len(body) // 100)):
        body[random.randrange(len(body))] = random.randrange(256)
    answer.body = bytes(body)


# event filters

def losing(share):
    return lambda event: [] if random.random() < share else [event]


def doubled(event):
    return [event, event]


def torn(event):
    """One octet a chunk."""
    return [event[i:i + 1] for i in range(len(event))]
