"""The deadline of an attempt, kept by each read and write of its connection."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

import httpcore

if TYPE_CHECKING:
    import ssl

    import httpx

    from agentnb.core.resilience import Deadline

__all__ = ["Clock"]


class Clock(threading.local):
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

    def watch(self, pool: httpx.HTTPTransport) -> None:
        """Have the connections of a pool keep to it."""
        inner = pool._pool  # noqa: SLF001 - httpx takes no backend of ours
        inner._network_backend = _Backend(inner._network_backend, self)  # noqa: SLF001 - as above


class _Backend(httpcore.NetworkBackend):
    def __init__(self, inner: httpcore.NetworkBackend, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Any = None,
    ) -> httpcore.NetworkStream:
        seconds = self._clock.clip(timeout, httpcore.ConnectTimeout)
        stream = self._inner.connect_tcp(host, port, seconds, local_address, socket_options)
        return _Stream(stream, self._clock)


class _Stream(httpcore.NetworkStream):
    def __init__(self, inner: httpcore.NetworkStream, clock: Clock) -> None:
        self._inner, self._clock = inner, clock

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, self._clock.clip(timeout, httpcore.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        self._inner.write(buffer, self._clock.clip(timeout, httpcore.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,
    ) -> httpcore.NetworkStream:
        seconds = self._clock.clip(timeout, httpcore.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, seconds), self._clock)

    def get_extra_info(self, info: str) -> Any:
        return self._inner.get_extra_info(info)
