"""A network between Traefik and Waymark that loses, delays and repeats polls and their replies."""

import http.client
import random
import socket
import threading
import time

FATES = ["well"] * 12 + ["late"] * 4 + ["twice"] * 2 + ["again"] * 2 + ["lost", "cut"]
LATE = 0.4  # seconds at most: with the time that Waymark holds a poll less than Traefik waits


class Lossy:
    """`port` is where Traefik polls.  What a poll meets with:

    well; late: the reply comes later; twice: Waymark is asked twice, and the first reply thrown
    away; again: Traefik gets the reply before this one once more; lost: the poll does not get to
    Waymark; cut: half of the reply gets to Traefik.
    """

    def __init__(self, target, seed=1):
        self.target = target
        self.random = random.Random(seed)
        self.calm = False  # then all goes well
        self.met = {}
        self.last = None  # what Traefik got last, whole
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        self.listener.close()

    def _accept(self):
        while True:
            try:
                client, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _serve(self, client):
        upstream = http.client.HTTPConnection("127.0.0.1", self.target, timeout=10)
        try:
            with client, client.makefile("rb") as polls:
                while self._pass_on(client, polls, upstream):
                    pass
        except (OSError, http.client.HTTPException):
            pass  # one of the two has gone
        finally:
            upstream.close()

    def _pass_on(self, client, polls, upstream):
        line = polls.readline().decode()
        if not line:
            return False
        while polls.readline().strip():
            pass
        fate = "well" if self.calm else self.random.choice(FATES)
        self.met[fate] = self.met.get(fate, 0) + 1
        if fate == "lost":
            return False
        reply = self._ask(upstream, line.split()[1])
        if fate == "twice":
            reply = self._ask(http.client.HTTPConnection("127.0.0.1", self.target, timeout=10),
                              line.split()[1])
        if fate == "again" and self.last:
            reply = self.last
        if fate == "late":
            time.sleep(self.random.uniform(0, LATE))
        if fate == "cut":
            client.sendall(reply[:len(reply) // 2])
            return False
        client.sendall(reply)
        self.last = reply
        return True

    def _ask(self, upstream, path):
        upstream.request("GET", path)
        answer = upstream.getresponse()
        body = answer.read()
        return (f"HTTP/1.1 {answer.status} X\r\nContent-Type: application/json\r\n"
                f"Content-Length: {len(body)}\r\n\r\n").encode() + body
