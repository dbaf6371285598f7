"""An engine that takes the context of a build and keeps the names in it, for the docker command."""

from __future__ import annotations

import http.server
import io
import socketserver
import subprocess
import tarfile
import threading
from contextlib import contextmanager


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def address_string(self):
        return "here"

    def _reply(self, body):
        self.send_response(200)
        self.send_header("Api-Version", "1.41")
        self.send_header("OSType", "linux")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def do_HEAD(self):
        self._reply(b"OK")

    def do_GET(self):
        self._reply(b"{}")

    def do_POST(self):
        sent = b""
        while size := int(self.rfile.readline(), 16):
            sent += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        with tarfile.open(fileobj=io.BytesIO(sent)) as archive:
            self.server.names = {member.name.rstrip("/") for member in archive}
        self._reply(b'{"stream":"done"}\n')


class _Server(socketserver.ThreadingMixIn, socketserver.UnixStreamServer):
    daemon_threads = True
    names = None


class Reader:
    """The docker command, asked for the names that it would send."""

    def __init__(self, command, socket, server):
        self._command, self._socket, self._server = command, socket, server

    def names(self, folder, dockerfile=None):
        """Return the names in the context of a folder; None where docker refuses the list."""
        self._server.names = None
        options = ["-f", str(folder / dockerfile)] if dockerfile else []
        subprocess.run(
            [self._command, "build", "-q", *options, str(folder)],
            env={
                "PATH": "/usr/bin",
                "HOME": str(self._socket.parent),
                "DOCKER_HOST": f"unix://{self._socket}",
                "DOCKER_BUILDKIT": "0",
            },
            capture_output=True,
            timeout=60,
            check=False,
        )
        return self._server.names


@contextmanager
def reading(command, folder):
    """Run the engine on a socket in a folder for as long as the block lasts."""
    with _Server(str(folder / "s"), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.05,))
        thread.start()
        try:
            yield Reader(command, folder / "s", server)
        finally:
            server.shutdown()
            thread.join()
