"""Documents that a test makes up, printed by Waymark's renderer (document.c), and served as Waymark
serves them; and servers on loopback for them to lead to."""

import http.server
import json
import subprocess
import threading

import native


def render(projects, **settings):
    """The document; document.c says what may stand in the two."""
    said = json.dumps({"projects": projects, **settings})
    run = subprocess.run([native.document()], input=said, capture_output=True, text=True, timeout=20)
    assert run.returncode == 0, run.stderr
    return run.stdout.strip()


class Served:
    """On a thread of its own, a thread for each request."""

    def __init__(self, answer):
        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def do_GET(self):
                status, headers, body = answer(self)
                self.send_response(status)
                for name, value in {**headers, "Content-Length": str(len(body))}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_):
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.server.handle_error = lambda *_: None  # whoever went away
        self.port = self.server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def stop(self):
        self.server.shutdown()
        self.server.server_close()


class Feed(Served):
    """What GET /traefik is: the newest document, held back from who has it."""

    def __init__(self, document):
        self.news = threading.Condition()
        self.document = document
        super().__init__(self._answer)

    def _answer(self, request):
        with self.news:
            had = getattr(request.server, "had", None)
            self.news.wait_for(lambda: self.document != had, 4)
            request.server.had = self.document
            return 200, {"Content-Type": "application/json"}, self.document.encode()

    def change(self, document):
        with self.news:
            self.document = document
            self.news.notify_all()


class Backend(Served):
    """Says who it is as the containers do, and what it saw: path, host and authorization."""

    def __init__(self, name):
        def answer(request):
            seen = {"path": request.path, "host": request.headers["Host"],
                    "authorization": request.headers["Authorization"]}
            return 200, {"X-Container": name}, json.dumps(seen).encode()

        self.name = name
        super().__init__(answer)
