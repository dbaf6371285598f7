"""The deadline of an attempt, kept by each read and write of its connection."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import httpcore

from agentnb.core.background import run_in_thread
from agentnb.core.forking import ForkGuard

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable
    from concurrent.futures import Future

    from agentnb.core.resilience import Deadline

__all__ = ["AttemptDeadline", "Backend"]


class AttemptDeadline(threading.local):
    """The deadline of the attempt that a thread makes, for its reads and writes.

    httpx takes a time for each of them, so that a reply that drips in would never end.
    """

    deadline: Deadline | None = None

    def clip(self, seconds: float | None, kind: type[Exception]) -> float | None:
        """Return the smaller of the seconds given and the seconds left.

        Raises
        ------
        Exception
            The kind given: none are left.
        """
        if self.deadline is None:
            return seconds
        left = self.deadline.remaining()
        if left is not None and left <= 0:
            raise kind
        return self.deadline.clip(seconds)


class Backend(httpcore.NetworkBackend):
    """Makes the connections of a pool, which keep to the deadline of the attempt.

    Parameters
    ----------
    attempt_deadline
        That of the pool.
    """

    def __init__(self, attempt_deadline: AttemptDeadline) -> None:
        self._inner, self._attempt = httpcore.SyncBackend(), attempt_deadline

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        """Connect; see `httpcore.NetworkBackend`."""
        seconds = self._attempt.clip(timeout, httpcore.ConnectTimeout)

        def connect() -> httpcore.NetworkStream:
            return self._inner.connect_tcp(host, port, seconds, local_address, socket_options)

        return _Stream(_within(seconds, connect), self._attempt)


def _within(
    seconds: float | None, connect: Callable[[], httpcore.NetworkStream]
) -> httpcore.NetworkStream:
    """Connect on a thread, which is left to itself when the seconds are over.

    To look up a name takes as long as it takes, and of its addresses each may take the seconds.
    """
    connecting = run_in_thread(connect, name="connect")
    try:
        return connecting.result(seconds)
    except BaseException as error:
        failed = connecting.done() and connecting.exception() is error
        connecting.add_done_callback(_close)
        if isinstance(error, TimeoutError) and not failed:
            raise httpcore.ConnectTimeout from error
        raise


def _close(connecting: Future[httpcore.NetworkStream]) -> None:
    """Close a connection whose caller has given up."""
    if connecting.exception() is None:
        connecting.result().close()


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, attempt_deadline: AttemptDeadline) -> None:
        self._inner, self._attempt, self._fork = inner, attempt_deadline, ForkGuard()

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._attempt.clip(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._attempt.clip(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        # A thread that reads is not woken by close alone. A forked child has none, and the
        # connection is its parent's.
        with suppress(OSError):
            if not self._fork.forked:
                self._inner.get_extra_info("socket").shutdown(socket.SHUT_RDWR)
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = self._attempt.clip(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds), self._attempt)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
