#!/usr/bin/python3
"""Stands in for Codi's API, FastAPI on port 8000: it answers every path as JSON.

    api.py [PORT]
"""

import http.server
import json
import sys


class Api(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self):
        body = json.dumps({"service": "codi-api", "status": "ok", "path": self.path}).encode() + b"\n"
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


http.server.ThreadingHTTPServer(("127.0.0.1", int((sys.argv + ["8000"])[1])), Api).serve_forever()
