"""A real HTTP server whose paths do what a test says, down to the socket."""

from __future__ import annotations

import json
import socket
import struct
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Handler(BaseHTTPRequestHandler):
    """Passes a request to the function of its path."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *words):
        pass

    def do(self):
        self.body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        server = self.server
        path = self.path.partition("?")[0]
        with server.lock:
            server.asked.append((self.command, self.path, dict(self.headers.items()), self.body))
            turns = server.paths.get(path)
            act = None
            if turns:  # one after the other, the last one for good
                act = turns.pop(0) if len(turns) > 1 else turns[0]
        if act is None:
            self.say(404, {"message": "no such path"})
        else:
            act(self)

    def say(self, status=200, value=None, *, raw=None, kind="application/json", **headers):
        """Answer, with a value as JSON or with bytes as they are."""
        body = json.dumps(value).encode() if raw is None else raw
        self.send_response(status)
        self.send_header("Content-Type", kind)
        if status != 204:
            self.send_header("Content-Length", str(len(body)))
        for name, text in headers.items():
            self.send_header(name.replace("_", "-"), text)
        self.end_headers()
        if status != 204:
            self.wfile.write(body)

    def reset(self):
        """End the connection in the way that a crash does."""
        linger = struct.pack("ii", 1, 0)
        self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
        self.close_connection = True


for _method in ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD"):
    setattr(Handler, f"do_{_method}", Handler.do)


class Server(ThreadingHTTPServer):
    """The server; ``asked`` has method, path, headers and body of each request."""

    daemon_threads = True
    block_on_close = False

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.lock = threading.Lock()
        self.paths, self.asked = {}, []
        self.over = threading.Event()
        self.url = f"http://127.0.0.1:{self.server_port}"
        self._thread = threading.Thread(target=self.serve_forever, args=(0.02,))
        self._thread.start()

    def handle_error(self, request, client_address):
        """Say nothing: a client that has gone is what some tests are about."""

    def on(self, path, *turns):
        """Have a path do these, one call after the other, and the last one ever after."""
        self.paths[path] = list(turns)

    def stop(self):
        self.over.set()
        self.shutdown()
        self.server_close()
        self._thread.join()


def says(status=200, value=None, **options):
    """Return what answers like this."""
    return lambda handler: handler.say(status, value, **options)


def hangs(handler):
    """Say nothing until the test is over."""
    handler.server.over.wait(20)
    handler.close_connection = True


def resets(handler):
    """End the connection before a word."""
    handler.reset()


def resets_in_the_body(handler):
    """Promise more than comes."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"half": ')
    handler.wfile.flush()
    handler.reset()


def drips(handler):
    """Send a byte at a time, always in time for the next."""
    handler.send_response(200)
    handler.send_header("Content-Length", "10000")
    handler.end_headers()
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b" ")
        handler.wfile.flush()


def drips_headers(handler):
    """Send the head of a reply a byte at a time."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    while not handler.server.over.wait(0.05):
        handler.wfile.write(b"x")
        handler.wfile.flush()


def begins(handler, *, kind="text/event-stream", status=200, **headers):
    """Send the head of a reply whose body comes in chunks."""
    handler.send_response(status)
    handler.send_header("Content-Type", kind)
    handler.send_header("Transfer-Encoding", "chunked")
    for name, text in headers.items():
        handler.send_header(name.replace("_", "-"), text)
    handler.end_headers()


def chunk(handler, data):
    """Send a chunk; an empty one ends the body."""
    handler.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
    handler.wfile.flush()


def streams(*parts, after=None, **options):
    """Return what sends these parts as chunks, and then ends the body or does something else."""

    def act(handler):
        begins(handler, **options)
        for part in parts:
            chunk(handler, part)
        if after is None:
            chunk(handler, b"")
        else:
            after(handler)

    return act
