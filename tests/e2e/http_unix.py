"""JSON over HTTP, on a unix socket or on loopback; one connection a request."""

import http.client
import json
import socket


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path, timeout):
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


def connect(address, timeout=30):
    """A path of a socket, or a port on loopback."""
    if isinstance(address, int):
        return http.client.HTTPConnection("127.0.0.1", address, timeout=timeout)
    return UnixConnection(address, timeout)


def ask(address, method, path, body=None, headers=None, timeout=30):
    """(status, headers, octets) of the answer."""
    connection = connect(address, timeout)
    try:
        connection.request(method, path, body, headers or {})
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    finally:
        connection.close()


def get_json(address, path, headers=None, timeout=10):
    status, _, body = ask(address, "GET", path, headers=headers, timeout=timeout)
    if status != 200:
        raise LookupError(f"GET {path}: {status}: {body[:300]!r}")
    return json.loads(body)


def ask_host(address, port, path="/", timeout=5):
    """(status, octets) of a server that is not on loopback: a container."""
    connection = http.client.HTTPConnection(address, port, timeout=timeout)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.read()
    finally:
        connection.close()
