"""The one place that knows httpx: an attempt is sent and its body read, in its time.

The pools below httpx's client are used rather than the client: they keep connections, and log no
URL, keep no cookie and follow no redirect by themselves, and they take a network that keeps to a
deadline.
"""

from __future__ import annotations

import asyncio
import functools
import os
import socket
import ssl
import threading
import weakref
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore
import httpx

from agentnb.core.api.address import origin_of, shown
from agentnb.core.api.body import Body
from agentnb.core.api.breakers import Crowded
from agentnb.core.api.clock import Backend, Clock
from agentnb.core.api.pools import CONNECTIONS, made, proxy_of, raw
from agentnb.core.api.request import Answer
from agentnb.core.api.status import AGAIN, LOOK
from agentnb.core.errors import (
    AgentnbError,
    DeadlineExceeded,
    UnavailableError,
    UsageError,
)

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.api.request import Outgoing

__all__ = ["Lost", "Transport"]

_Pools = dict[tuple[int, str | None], httpcore.ConnectionPool]
_AsyncPools = dict[str | None, httpcore.AsyncConnectionPool]


class Lost(Exception):  # noqa: N818 - never leaves the package
    """An attempt that brought no reply.

    Parameters
    ----------
    error
        What it is to the caller.
    again
        Whether another attempt may help.
    """

    def __init__(self, error: AgentnbError, *, again: bool) -> None:
        super().__init__()
        self.error = error
        self.again = again


class Transport:
    """Sends attempts over connections that are kept.

    Thread-safe. A loop, and a process that was forked, have connections of their own.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._pools: _Pools = {}
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _AsyncPools] = (
            weakref.WeakKeyDictionary()
        )
        self._clock = Clock()
        self._proxies: dict[str, str | None] = {}
        self._closed = False

    def send(self, out: Outgoing) -> Answer:
        """Make one attempt.

        Raises
        ------
        Lost
            No reply came.
        InvalidResponse
            One came that cannot be read.
        """
        try:
            self._clock.deadline = out.deadline
            response = self._pool(out.url).handle_request(_request(out))
            try:
                headers = _headers(response)
                body = Body(response.status, headers, out.limit)
                for part in response.iter_stream():
                    if not body.feed(part):
                        break
            finally:
                response.close()
        except _THEIRS as error:
            raise _lost(error, out) from error
        finally:
            self._clock.deadline = None
        return Answer(response.status, headers, body.done())

    async def asend(self, out: Outgoing) -> Answer:
        """Await `send`."""
        try:
            async with asyncio.timeout(out.deadline.remaining()):
                response = await self._apool(out.url).handle_async_request(_request(out))
                try:
                    headers = _headers(response)
                    body = Body(response.status, headers, out.limit)
                    async for part in response.aiter_stream():
                        if not body.feed(part):
                            break
                finally:
                    await response.aclose()
        except (*_THEIRS, TimeoutError) as error:
            raise _lost(error, out) from error
        return Answer(response.status, headers, body.done())

    def _pool(self, url: str) -> httpcore.ConnectionPool:
        proxy = self._proxy(url)
        key = (os.getpid(), proxy)
        pool = self._pools.get(key)
        if pool is None:
            with self._lock:
                self._check()
                pool = self._pools.get(key)
                if pool is None:
                    kind = functools.partial(
                        httpcore.ConnectionPool, network_backend=Backend(self._clock)
                    )
                    pool = self._pools[key] = made(kind, proxy)
        return pool

    def _apool(self, url: str) -> httpcore.AsyncConnectionPool:
        proxy = self._proxy(url)
        with self._lock:
            self._check()
            pools = self._loops.setdefault(asyncio.get_running_loop(), {})
            if proxy not in pools:
                pools[proxy] = made(httpcore.AsyncConnectionPool, proxy)
            return pools[proxy]

    def _proxy(self, url: str) -> str | None:
        """Return the proxy that the environment named when the host was called first."""
        host = origin_of(url)
        if host not in self._proxies:
            self._proxies[host] = proxy_of(url)
        return self._proxies[host]

    def _check(self) -> None:
        if self._closed:
            raise UsageError("this client is closed", service="api", hint="make another")

    def close(self) -> None:
        """Close the connections; those of a loop that is not running go with it."""
        with self._lock:
            self._closed = True
            pools, loops = list(self._pools.items()), list(self._loops.items())
            self._pools.clear()
            self._loops.clear()
        for (pid, _), pool in pools:
            if pid == os.getpid():  # a fork's parent goes on with its own
                pool.close()
        for loop, apools in loops:
            if loop.is_running():
                asyncio.run_coroutine_threadsafe(_close_all(apools.values()), loop)

    async def aclose(self) -> None:
        """Close the connections, those of the running loop before this returns."""
        with self._lock:
            own = self._loops.pop(asyncio.get_running_loop(), {})
        await _close_all(own.values())
        self.close()


async def _close_all(pools: Iterable[httpcore.AsyncConnectionPool]) -> None:
    for pool in list(pools):
        await pool.aclose()


_WRONG = (httpx.InvalidURL, httpcore.UnsupportedProtocol, httpcore.LocalProtocolError)
_THEIRS = (
    *_WRONG,
    UnicodeError,  # a host whose name no host can have
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)


@functools.lru_cache(maxsize=256)
def _parsed(url: str) -> tuple[httpcore.URL, str]:
    """Return a URL as it goes out, and the host as its header names it."""
    parsed = httpx.URL(url)  # takes as long as a twentieth of a call
    return raw(parsed), parsed.netloc.decode("ascii")


def _request(out: Outgoing) -> httpcore.Request:
    url, host = _parsed(out.url)
    headers = {"host": host, **out.headers}
    if out.content is not None:
        headers["content-length"] = str(len(out.content))
    silence, left = out.silence, out.deadline.remaining()
    # A place among the connections may be long in coming, yet not until the deadline: that would
    # look as if the host were slow.
    place = None if left is None else left * 0.95
    waits = {"connect": silence, "read": silence, "write": silence, "pool": place}
    return httpcore.Request(
        out.method,
        url,
        headers=list(headers.items()),
        content=out.content or b"",
        extensions={"timeout": waits},
    )


def _headers(response: httpcore.Response) -> dict[str, str]:
    # What came twice, such as Link, is one header with commas.
    return {name.lower(): value for name, value in httpx.Headers(response.headers).items()}


def _lost(error: Exception, out: Outgoing) -> Lost:
    doing = f"{out.method} {shown(out.url)}"
    if isinstance(error, httpcore.PoolTimeout):
        crowded = Crowded(
            f"{doing} got no connection: {CONNECTIONS} calls were under way all the time",
            service="api",
            hint="make fewer calls at once, or give them more time by timeout=",
        )
        return Lost(crowded, again=False)
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        if out.deadline.expired or isinstance(error, TimeoutError):
            late = DeadlineExceeded(
                f"{doing} took longer than {out.deadline.seconds:g} s",
                service="api",
                hint="give it more by timeout=, or ask for less",
            )
            return Lost(late, again=False)
        text = f"{doing}: no answer within {out.silence:.3g} s"
        return Lost(_unavailable(text, out), again=True)
    if isinstance(error, httpcore.ConnectError | UnicodeError):
        return _unconnected(error, doing, out)
    if isinstance(error, _WRONG):
        # Without their text, which may hold a header's value.
        wrong = UsageError(f"{doing} cannot be sent: {type(error).__name__}", service="api")
        return Lost(wrong, again=False)
    text = f"{doing}: the connection broke ({type(error).__name__})"
    return Lost(_unavailable(text, out), again=True)


def _unavailable(text: str, out: Outgoing) -> UnavailableError:
    hint = AGAIN if out.method in {"GET", "HEAD"} else LOOK
    return UnavailableError(text, service="api", hint=hint)


def _unconnected(error: Exception, doing: str, out: Outgoing) -> Lost:
    host = urlsplit(out.url).netloc.rpartition("@")[2]
    causes = list(_causes(error))
    tls = next((one for one in causes if isinstance(one, ssl.SSLError)), None)
    if tls is not None:
        why = getattr(tls, "verify_message", "") or tls.reason or "TLS failed"
        text, again = f"{doing}: no trusted connection to {host}: {why}", False
        hint = "look at the address; SSL_CERT_FILE names certificates to trust"
    elif any(isinstance(one, socket.gaierror | UnicodeError) for one in causes):
        text, again = f"{doing}: the host {host} is unknown", False
        hint = "look at the address, and whether there is a network"
    else:
        text, again = f"{doing}: {host} does not take connections", True
        hint = "start the service, or try again later"
    return Lost(UnavailableError(text, service="api", hint=hint), again=again)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
