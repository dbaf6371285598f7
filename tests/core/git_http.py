"""A real git server over HTTP: git's own CGI program behind a small server, with a password."""

from __future__ import annotations

import base64
import os
import subprocess
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

USER, PASSWORD = "ada", "hunt/er 22@%"
QUOTED = "hunt%2Fer%2022%40%25"


class Handler(BaseHTTPRequestHandler):
    """Passes requests on to `git http-backend`."""

    protocol_version = "HTTP/1.0"

    def log_message(self, *words):
        pass

    def do_GET(self):
        self._serve()

    def do_POST(self):
        self._serve()

    def _serve(self):
        expected = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
        given = self.headers.get("Authorization")
        self.server.asked.append(given)
        if self.server.closed and given != f"Basic {expected}":
            self.send_response(401)
            self.send_header("WWW-Authenticate", 'Basic realm="git"')
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        path, _, query = self.path.partition("?")
        env = {
            **os.environ,
            "GIT_PROJECT_ROOT": str(self.server.folder),
            "GIT_HTTP_EXPORT_ALL": "1",
            "REQUEST_METHOD": self.command,
            "PATH_INFO": path,
            "QUERY_STRING": query,
            "CONTENT_TYPE": self.headers.get("Content-Type", ""),
            "HTTP_CONTENT_ENCODING": self.headers.get("Content-Encoding", ""),
            "HTTP_GIT_PROTOCOL": self.headers.get("Git-Protocol", ""),
            "REMOTE_USER": USER,
            "REMOTE_ADDR": "127.0.0.1",
        }
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        done = subprocess.run(
            ["git", "http-backend"], input=body, env=env, capture_output=True, check=False
        )
        head, _, content = done.stdout.partition(b"\r\n\r\n")
        headers = dict(line.split(": ", 1) for line in head.decode().split("\r\n") if line)
        self.send_response(int(headers.pop("Status", "200").split()[0]))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)


class GitHttp:
    """Serves the bare repositories of a folder on 127.0.0.1."""

    def __init__(self, folder):
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.folder, self._server.closed, self._server.asked = folder, True, []
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    @property
    def asked(self):
        return self._server.asked

    def open_to_all(self):
        self._server.closed = False

    def url(self, name, login=""):
        return f"http://{login + '@' if login else ''}127.0.0.1:{self.port}/{name}"

    def stop(self):
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
