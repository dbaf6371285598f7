"""A server of HTTP for tapes: it answers by lists, and may be stopped before a replay."""

from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

__all__ = ["TapeServer"]


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        """Say nothing."""

    def _reply(self):
        size = int(self.headers.get("content-length") or 0)
        self.server.asked.append((self.path, self.rfile.read(size)))
        status, value, headers = self.server.answer(self.path)
        body = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, text in {"content-type": "application/json", **headers}.items():
            self.send_header(name, text)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)


for _method in ("GET", "POST"):
    setattr(_Handler, f"do_{_method}", _Handler._reply)


class TapeServer(ThreadingHTTPServer):
    """Answers each path by the next of its answers, the last one for good."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.asked, self.paths = [], {}
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def on(self, path, *answers):
        """Have a path answer by these: a value, or status, value and headers."""
        self.paths[path] = [one if isinstance(one, tuple) else (200, one, {}) for one in answers]

    def answer(self, path):
        """Return the next answer of a path."""
        answers = self.paths[path.partition("?")[0]]
        return answers.pop(0) if len(answers) > 1 else answers[0]

    def stop(self):
        """End it."""
        self.shutdown()
        self.server_close()
        self._thread.join()
