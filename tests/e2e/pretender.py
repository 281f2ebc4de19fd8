"""What answers the slot commands as a running Waymark would: from the registry's files, or as it is told.

It shows what the real one shows only in the wrong moment: a fallback while a slot is being reserved, an output
that never applies anything, a restart between two questions.
"""

import datetime
import http.server
import json
import threading
import time
import urllib.parse


class Pretender:
    """Of one project with `production`; attributes may be changed at any time."""

    def __init__(self, slots_file, project="shop"):
        self.slots_file, self.project = slots_file, project
        self.ready = True
        self.sees = None  # slots as it has seen them; None: as they stand in the file
        self.facts = {}  # slot -> what is different of it
        self.answers = {}  # path -> a status and a body instead
        self.applied = {"traefik": 60000}
        self.drain_ms = 300
        self.routed = False
        self.asked = []  # (when, path, query)
        self.drained_at = None  # when it first said so
        self.ended_at = None
        pretender = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                pretender.answer(self)

            def log_message(self, *args):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()

    def answer(self, request):
        url = urllib.parse.urlsplit(request.path)
        query = dict(urllib.parse.parse_qsl(url.query))
        self.asked.append((time.monotonic(), url.path, query))
        status, body = 404, b"{}"
        if url.path in self.answers:
            status, body = self.answers[url.path]
        elif not self.ready:
            status, body = 503, b'{"error": "there was no complete look yet"}'
        elif url.path == "/api/v1/slots":
            status, body = 200, json.dumps(self.slots()).encode()
        elif url.path == "/api/v1/applied":
            status, body = 200, json.dumps(self.in_force(query)).encode()
        try:
            request.send_response(status)
            request.send_header("Content-Length", str(len(body)))
            request.end_headers()
            request.wfile.write(body)
        except OSError:
            pass

    def slots(self):
        found = self.sees if self.sees is not None else self.registered()
        return [{**one, **self.facts.get(one.get("slot"), {})} if isinstance(one, dict) else one for one in found]

    def registered(self):
        with open(self.slots_file) as f:
            entry = json.load(f)["slots"].get(self.project, {}).get("production", {})
        return [self.one(name, entry.get(name) or {}, entry) for name in ("blue", "green")]

    def one(self, name, slot, entry):
        until = slot.get("until")
        over = until is not None and datetime.datetime.fromisoformat(until.replace("Z", "+00:00")) \
            <= datetime.datetime.now(datetime.timezone.utc)
        if over and not self.ended_at:
            self.ended_at = time.monotonic()
        return {"project": self.project, "environment": "production", "slot": name, "registered": bool(slot),
                "state": slot.get("state", "empty"), "active": entry.get("active") == name,
                "port": slot.get("port"), "since": slot.get("since"), "until": until, "id": slot.get("id"),
                "ended": over, "traffic": entry.get("active") == name, "fallback": False, "servers": 1,
                "ready": 1, "container": f"shop-production-{name}", "revision": 7}

    def in_force(self, query):
        ago = None if None in self.applied.values() else min(self.applied.values())
        if ago is not None and ago >= self.drain_ms and not self.routed and not self.drained_at:
            self.drained_at = time.monotonic()
        return {"host": query.get("host"), "routed": self.routed, "serves": [], "revision": 7, "applied": self.applied,
                "applied_ago_ms": ago, "drain_ms": self.drain_ms, "elsewhere": []}
