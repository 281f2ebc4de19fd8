"""A constant load on one host through a proxy (load.c); every failed request is counted."""

import json
import signal
import subprocess
import threading

import native
import wait


class Load:
    """with Load(port, "shop.example") as load: …; afterwards load.result."""

    def __init__(self, port, host, connections=8, rate=500, path="/", timeout=5):
        self.argv = [native.load(), "-c", str(connections), "-r", str(rate), "-p", path,
                     "-t", str(int(timeout * 1000)), str(port), host]
        self.first = {}  # container: when it answered first, while the load is running
        self.result = None

    def start(self):
        self.popen = subprocess.Popen(self.argv, stdout=subprocess.PIPE, text=True,
                                      stdin=subprocess.DEVNULL)
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()
        return self

    def _read(self):
        for line in self.popen.stdout:
            said = json.loads(line)
            if "first" in said:
                self.first[said["first"]] = said["t"]
            else:
                self.result = said

    def wait_first(self, container, timeout=30):
        """When this container gave its first 200, in seconds of time.monotonic()."""
        return wait.until(lambda: self.first.get(container), timeout,
                          f"an answer of {container}", every=0.002)

    def stop(self):
        if self.popen.poll() is None:
            self.popen.send_signal(signal.SIGTERM)
        self.popen.wait(30)
        self.reader.join()
        self.popen.stdout.close()
        return self.result

    def last(self, container):
        return self.result["containers"][container]["last"]

    def last_sent(self, container):
        """When the last request began that it answered."""
        return self.result["containers"][container]["last_sent"]

    def __enter__(self):
        return self.start()

    def __exit__(self, *exc):
        self.stop()


def failures(result):
    """What went wrong, in one line."""
    return f"{result['failed']} of {result['requests']} failed {result['reasons']}"
