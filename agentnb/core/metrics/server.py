"""``/metrics``, ``/healthz`` and ``/readyz`` over HTTP, from a thread of the worker's process."""

from __future__ import annotations

import errno
import json
import socket
import threading
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any, Self

from agentnb.core.closing import leave
from agentnb.core.errors import ConfigError
from agentnb.core.forking import new_semaphore
from agentnb.core.metrics.address import Address

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["MetricsServer", "Reply"]

_REQUEST_SECONDS = 5.0
_MOST_AT_ONCE = 16
_PATHS = "/metrics, /healthz, /readyz"

Reply = tuple[HTTPStatus, str, bytes]
"""The status, the type of the content, and the content."""


class MetricsServer:
    """Serves pages at an address, each made when it is asked for.

    Parameters
    ----------
    address
        Where to listen.
    pages
        Returns the reply of each path; given the ``Accept`` header.

    Raises
    ------
    ConfigError
        Nothing can listen there.

    Examples
    --------
    >>> from urllib.request import urlopen
    >>> page = lambda accept: (HTTPStatus.OK, "text/plain", b"ok")
    >>> with MetricsServer(Address("127.0.0.1", 0), {"/healthz": page}) as server:
    ...     urlopen(f"http://{server.address}/healthz").read()
    b'ok'
    """

    def __init__(self, address: Address, pages: dict[str, Callable[[str], Reply]]) -> None:
        try:
            self._server = _Server(address, pages)
        except OSError as error:
            raise _refused(address, error) from error
        self.address = Address(address.host, self._server.server_address[1])
        """Where it listens: the port that was taken where any would do."""
        self._thread = threading.Thread(
            target=self._server.serve_forever,
            kwargs={"poll_interval": 0.2},
            name="agentnb-metrics",
            daemon=True,
        )
        self._thread.start()

    def close(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()
        self._thread.join(_REQUEST_SECONDS)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False

    def __init__(self, address: Address, pages: dict[str, Callable[[str], Reply]]) -> None:
        found = socket.getaddrinfo(
            address.host, address.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        self.address_family = found[0][0]
        self.pages = pages
        self._places = new_semaphore(_MOST_AT_ONCE)
        super().__init__(found[0][4][:2], _Handler)  # type: ignore[arg-type]

    def server_bind(self) -> None:
        """Bind without the look-up of the host's name, which may take seconds."""
        if self.address_family == socket.AF_INET6:
            self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        self.socket.bind(self.server_address)
        self.server_address = self.socket.getsockname()
        self.server_name, self.server_port = "agentnb", self.server_address[1]

    def process_request(self, request: Any, client_address: Any) -> None:
        """Answer in a thread; beyond some at once, a client is turned away."""
        if not self._places.acquire(blocking=False):
            self.shutdown_request(request)
            return
        super().process_request(request, client_address)

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """Answer, and let another in."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._places.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing: a client has gone."""


class _Handler(BaseHTTPRequestHandler):
    timeout = _REQUEST_SECONDS
    server_version = "agentnb"
    sys_version = ""
    server: _Server

    def do_GET(self) -> None:
        """Answer with the page of the path."""
        self._answer(body=True)

    def do_HEAD(self) -> None:
        """Answer without the page."""
        self._answer(body=False)

    def _answer(self, *, body: bool) -> None:
        page = self.server.pages.get(self.path.partition("?")[0])
        if page is None:
            status, kind, content = HTTPStatus.NOT_FOUND, "text/plain", f"{_PATHS}\n".encode()
        else:
            status, kind, content = page(self.headers.get("Accept", ""))
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if body:
            self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        """Log nothing: a probe comes every few seconds."""


def as_json(status: HTTPStatus, **data: object) -> Reply:
    """Return a reply of one JSON object."""
    return status, "application/json", json.dumps(data).encode() + b"\n"


def _refused(address: Address, error: OSError) -> ConfigError:
    reasons = {
        errno.EADDRINUSE: ("the port is taken", f"--metrics {address.host}:0 takes a free one"),
        errno.EADDRNOTAVAIL: ("this machine has no such address", "--metrics 127.0.0.1:9464"),
        errno.EACCES: ("ports below 1024 are the administrator's", "--metrics 127.0.0.1:9464"),
    }
    reason, hint = reasons.get(error.errno or 0, (str(error), "--metrics 127.0.0.1:9464"))
    if isinstance(error, socket.gaierror):
        reason, hint = "no such host is known", "--metrics 127.0.0.1:9464"
    what = f"metrics cannot be offered on {address}: {reason}"
    return ConfigError(what, service="cli", hint=hint)
