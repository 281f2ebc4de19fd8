"""WebSockets through a proxy, on the standard library alone: some clients, each of which says a little
20 times a second and wants to hear it back (backend.c).  Where a connection ends it is noted, and the
client opens another."""

import asyncio
import base64
import os
import struct
import threading
import time

EVERY = 0.05  # seconds between two texts of a client
PATIENCE = 5  # an echo, or an answer to the request, that takes longer never comes
TEXT, CLOSE = 1, 8


class Connection:
    """What became of one; times are time.monotonic()."""

    def __init__(self):
        self.asked = time.monotonic()
        self.container = None  # None: it was never open
        self.opened = self.ended = None  # ended None: open until the test took it down
        self.why = None  # it ended
        self.echoes = 0
        self.silence = 0  # the longest, from one echo to the next

    def __repr__(self):
        return (f"<WebSocket of {self.container}, open at {self.opened}, {self.echoes} echoes, "
                f"ended at {self.ended}: {self.why}>")


class Ended(Exception):
    pass


class WebSockets:
    """with WebSockets(port, "shop.example", 20) as sockets: …; afterwards sockets.connections."""

    def __init__(self, port, host, clients=20, path="/"):
        self.port, self.host, self.clients, self.path = port, host, clients, path
        self.connections = []
        self.thread = threading.Thread(target=asyncio.run, args=(self._run(),), daemon=True)
        self.began = threading.Event()

    def __enter__(self):
        self.thread.start()
        self.began.wait()
        return self

    def __exit__(self, *_):
        self.loop.call_soon_threadsafe(self.ending.set)
        self.thread.join(30)

    def open(self):
        """Those that are open now."""
        return [c for c in list(self.connections) if c.opened and not c.ended]

    def of(self, container):
        return [c for c in list(self.connections) if c.container == container]

    def ended(self):
        """All that ended otherwise than by the test's end, also those that never opened."""
        return [c for c in list(self.connections) if c.ended]

    def silence(self):
        """The longest of all."""
        return max((c.silence for c in list(self.connections)), default=0)

    # on the loop, in a thread of its own

    async def _run(self):
        self.loop, self.ending = asyncio.get_running_loop(), asyncio.Event()
        self.began.set()
        clients = [asyncio.create_task(self._client(i)) for i in range(self.clients)]
        await self.ending.wait()
        for client in clients:
            client.cancel()
        await asyncio.gather(*clients, return_exceptions=True)

    async def _client(self, number):
        await asyncio.sleep(EVERY * number / self.clients)  # not all in the same moment
        while True:
            connection = Connection()
            self.connections.append(connection)
            try:
                await self._live(connection)
            except (Ended, OSError, asyncio.IncompleteReadError, asyncio.TimeoutError) as e:
                connection.why = str(e) or type(e).__name__
                connection.ended = time.monotonic()
            if connection.container is None:
                await asyncio.sleep(EVERY)

    async def _live(self, connection):
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        try:
            await asyncio.wait_for(self._open(connection, reader, writer), PATIENCE)
            speaker = asyncio.create_task(self._speak(writer))
            try:
                await self._listen(connection, reader)
            finally:
                speaker.cancel()
        finally:
            writer.close()

    async def _open(self, connection, reader, writer):
        key = base64.b64encode(os.urandom(16)).decode()
        writer.write((f"GET {self.path} HTTP/1.1\r\nHost: {self.host}\r\nUpgrade: websocket\r\n"
                      f"Connection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                      f"Sec-WebSocket-Key: {key}\r\n\r\n").encode())
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        if " 101 " not in status:
            raise Ended("status " + status.split(" ")[1])
        head = dict(line.split(": ", 1) for line in lines if line)
        connection.container = head["X-Container"]
        connection.opened = time.monotonic()

    async def _speak(self, writer):
        number = 0
        while True:
            mask, text = os.urandom(4), str(number).encode()
            masked = bytes(octet ^ mask[i % 4] for i, octet in enumerate(text))
            writer.write(bytes([0x80 | TEXT, 0x80 | len(text)]) + mask + masked)
            number += 1
            await asyncio.sleep(EVERY)

    async def _listen(self, connection, reader):
        heard = connection.opened
        while True:
            said = await asyncio.wait_for(self._frame(reader), PATIENCE)
            if said != f"{connection.container} {connection.echoes}":
                raise Ended(f"{said!r} for an echo")
            now = time.monotonic()
            connection.echoes += 1
            connection.silence = max(connection.silence, now - heard)
            heard = now

    async def _frame(self, reader):
        opcode, length = await reader.readexactly(2)
        if length == 126:
            length, = struct.unpack("!H", await reader.readexactly(2))
        text = (await reader.readexactly(length)).decode(errors="replace")
        if opcode & 15 == CLOSE:
            raise Ended("a close frame")
        return text
