"""The one place that knows httpx: an attempt is sent and its body read, in its time.

The pools below httpx's client are used rather than the client: they keep connections, and log no
URL, keep no cookie and follow no redirect by themselves, and they take a network that keeps to a
deadline.
"""

from __future__ import annotations

import asyncio
import functools
import os
import weakref
from typing import TYPE_CHECKING

import httpcore
import httpx

from agentnb.core.api.address import origin_of
from agentnb.core.api.body import Body
from agentnb.core.api.deadline_backend import AttemptDeadline, Backend
from agentnb.core.api.failures import FAILURES, transport_failure
from agentnb.core.api.pools import made, proxy_of, raw
from agentnb.core.api.request import Answer
from agentnb.core.errors import UsageError
from agentnb.core.forking import new_lock

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterable, Iterator

    from agentnb.core.api.request import Outgoing

__all__ = ["AsyncContent", "Content", "Transport"]

_Pools = dict[tuple[int, str | None], httpcore.ConnectionPool]
_AsyncPools = dict[str | None, httpcore.AsyncConnectionPool]


class Transport:
    """Sends attempts over connections that are kept.

    Thread-safe. A loop, and a process that was forked, have connections of their own.
    """

    def __init__(self) -> None:
        self._lock = new_lock()
        self._pools: _Pools = {}
        self._loops: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, _AsyncPools] = (
            weakref.WeakKeyDictionary()
        )
        self._attempt = AttemptDeadline()
        self._proxies: dict[str, str | None] = {}
        self._closed = False

    def send(self, out: Outgoing) -> Answer:
        """Make one attempt.

        Raises
        ------
        TransportFailure
            No reply came.
        InvalidResponse
            One came that cannot be read.
        """
        proxy = self._proxy(out.url)
        try:
            self._attempt.deadline = out.deadline
            response = self._pool(proxy).handle_request(_request(out))
            headers = _headers(response)
            if out.streams and _succeeded(response.status):
                content = Content(response, out, proxy, self._attempt)
                return Answer(response.status, headers, b"", _cookies(response), content)
            try:
                body = _body(response.status, headers, out)
                for part in response.iter_stream():
                    if not body.feed(part):
                        break
            finally:
                response.close()
        except FAILURES as error:
            raise transport_failure(error, out, proxy) from error
        finally:
            self._attempt.deadline = None
        return Answer(response.status, headers, body.done(), _cookies(response))

    async def asend(self, out: Outgoing) -> Answer:
        """Await `send`."""
        proxy = self._proxy(out.url)
        try:
            async with asyncio.timeout(out.deadline.remaining()):
                response = await self._apool(proxy).handle_async_request(_request(out))
                headers = _headers(response)
                if out.streams and _succeeded(response.status):
                    content = AsyncContent(response, out, proxy)
                    return Answer(response.status, headers, b"", _cookies(response), content)
                try:
                    body = _body(response.status, headers, out)
                    async for part in response.aiter_stream():
                        if not body.feed(part):
                            break
                finally:
                    await response.aclose()
        except (*FAILURES, TimeoutError) as error:
            raise transport_failure(error, out, proxy) from error
        return Answer(response.status, headers, body.done(), _cookies(response))

    def _pool(self, proxy: str | None) -> httpcore.ConnectionPool:
        key = (os.getpid(), proxy)
        pool = self._pools.get(key)
        if pool is None:
            with self._lock:
                self._check()
                pool = self._pools.get(key)
                if pool is None:
                    kind = functools.partial(
                        httpcore.ConnectionPool, network_backend=Backend(self._attempt)
                    )
                    pool = self._pools[key] = made(kind, proxy)
        return pool

    def _apool(self, proxy: str | None) -> httpcore.AsyncConnectionPool:
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
            raise UsageError(
                "this client is closed", service="api", hint="make another: hub.api(URL)"
            )

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


class Content:
    """The body of a reply that is read as it comes.

    Parameters
    ----------
    response
        The reply, open.
    out, proxy
        The request and the proxy.
    attempt
        The pool's; it is set for each read alone, since others use the thread between two.
    """

    def __init__(
        self,
        response: httpcore.Response,
        out: Outgoing,
        proxy: str | None,
        attempt_deadline: AttemptDeadline,
    ) -> None:
        self._response, self._out, self._proxy, self._attempt = (
            response,
            out,
            proxy,
            attempt_deadline,
        )

    def __iter__(self) -> Iterator[bytes]:
        """Yield the parts of the body as they arrive.

        Raises
        ------
        TransportFailure
            The connection broke, or nothing came in time.
        """
        parts = iter(self._response.iter_stream())
        while True:
            try:
                self._attempt.deadline = self._out.deadline
                part = next(parts, None)
            except FAILURES as error:
                raise transport_failure(error, self._out, self._proxy, within=True) from error
            finally:
                self._attempt.deadline = None
            if part is None:
                return
            yield part

    def close(self) -> None:
        """Close the reply: its connection is kept if all was read, else closed."""
        self._response.close()


class AsyncContent:
    """The awaited twin of `Content`."""

    def __init__(self, response: httpcore.Response, out: Outgoing, proxy: str | None) -> None:
        self._response, self._out, self._proxy = response, out, proxy

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the parts of the body, as `Content` does."""
        parts = aiter(self._response.aiter_stream())
        while True:
            try:
                async with asyncio.timeout(self._out.deadline.remaining()):
                    part = await anext(parts, None)
            except (*FAILURES, TimeoutError) as error:
                raise transport_failure(error, self._out, self._proxy, within=True) from error
            if part is None:
                return
            yield part

    async def aclose(self) -> None:
        """Close the reply."""
        await self._response.aclose()


async def _close_all(pools: Iterable[httpcore.AsyncConnectionPool]) -> None:
    for pool in list(pools):
        await pool.aclose()


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
    # look as if the host were slow. A stream without a deadline waits for one as for a byte.
    place = silence if left is None else left * 0.95
    waits = {"connect": silence, "read": silence, "write": silence, "pool": place}
    return httpcore.Request(
        out.method,
        url,
        # A cookie goes back as it came, which may be in bytes that are not ASCII.
        headers=[(name.encode(), value.encode("latin-1")) for name, value in headers.items()],
        content=out.content or b"",
        extensions={"timeout": waits},
    )


def _body(status: int, headers: dict[str, str], out: Outgoing) -> Body:
    # The headers of a HEAD speak of a body that does not come.
    return Body(status, {} if out.method == "HEAD" else headers, out.limit)


def _succeeded(status: int) -> bool:
    return 200 <= status < 300  # noqa: PLR2004 - what HTTP calls successful


def _cookies(response: httpcore.Response) -> list[str]:
    return [
        value.decode("latin-1") for name, value in response.headers if name.lower() == b"set-cookie"
    ]


def _headers(response: httpcore.Response) -> dict[str, str]:
    # What came twice, such as Link, is one header with commas.
    return {name.lower(): value for name, value in httpx.Headers(response.headers).items()}
