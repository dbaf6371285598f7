"""The client of one API."""

from __future__ import annotations

import asyncio
import inspect
import time
from functools import partial
from typing import TYPE_CHECKING, Any, Self, Unpack

from agentnb.core import steps as steps_of
from agentnb.core.api.address import base_of, joined, origin_of, shown
from agentnb.core.api.breakers import Breakers
from agentnb.core.api.count import Count
from agentnb.core.api.flow import steps
from agentnb.core.api.options import (
    Auth,
    Options,
    Settled,
    checked,
    header_of,
    headers_of,
    policy_of,
)
from agentnb.core.api.request import Call, Pause, Reply, Request, Send
from agentnb.core.errors import UsageError
from agentnb.core.loop import LoopThread
from agentnb.core.redact import redact
from agentnb.core.trace.servicelog import ServiceLog

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from agentnb.core.api.flow import Steps
    from agentnb.core.resilience import RetryPolicy
    from agentnb.core.trace import Tracer

__all__ = ["MAX_BYTES", "APIClient"]

MAX_BYTES = 10_000_000


class APIClient:
    """Calls of one API.

    A call has its time in total, over all attempts and the body. GET is made again after a
    failure that may pass, with a warning each time; POST, PUT, PATCH and DELETE are made once.
    After 5 failures in a row a host is left alone for 10 s. ``Retry-After`` is honoured up to 30 s.

    Connections are kept: make one client and use it, from any thread and any loop.

    Parameters
    ----------
    base_url
        Such as ``"https://api.example/v1"``; a login in it is taken as `auth`.
    timeout
        Seconds for a whole call; None for no limit. Of what is left, an attempt that may be
        repeated waits half for each byte, so that a server that hangs leaves time to try again.
    headers
        Sent with every call; to the origin of `base_url` only, as `auth` is.
    auth
        A token, sent as ``Bearer``, or a pair of user and password.
    retries
        How often a GET is made again, or a `RetryPolicy`.
    max_bytes
        The largest body, once unpacked. It is read no further.
    schema
        What every reply must be: a msgspec Struct, a dataclass, a TypedDict or a pydantic model.
    on_request
        Called with each `Request` before it is sent; may change it. ``def`` or ``async def``.
    on_response
        Called with each `Reply` of a call that worked; may change it.
    follow_redirects
        Whether to go where the service says, at most 5 times; credentials stay behind where
        that is another origin.
    breakers
        Those to share with other clients; default: this client's own.
    tracer
        Keeps a span of every attempt.
    redactor
        Masks secrets in what is logged.
    hub_id
        The hub whose log file takes what this client logs; default: any.

    Examples
    --------
    >>> client = APIClient("https://ada:s3cret@api.example/v1", timeout=5)
    >>> client
    APIClient('https://api.example/v1')
    >>> client.close()
    """

    def __init__(  # noqa: PLR0913 - each by its name, and each with a default
        self,
        base_url: str,
        *,
        timeout: float | None = 30.0,
        headers: Mapping[str, str] | None = None,
        auth: Auth | None = None,
        retries: int | RetryPolicy = 3,
        max_bytes: int = MAX_BYTES,
        schema: Any = None,
        on_request: Iterable[Callable[[Request], Any]] = (),
        on_response: Iterable[Callable[[Reply], Any]] = (),
        follow_redirects: bool = False,
        breakers: Breakers | None = None,
        tracer: Tracer | None = None,
        redactor: Callable[[str], str] = redact,
        hub_id: str | None = None,
    ) -> None:
        self.base_url, login = base_of(base_url)
        self.origin = origin_of(self.base_url)
        own = headers_of(headers)
        if auth is not None or login is not None:
            own |= header_of(auth if auth is not None else login)
        self.settled = checked(
            Settled(
                own,
                timeout,
                policy_of(retries),
                max_bytes,
                schema,
                follow_redirects=follow_redirects,
            )
        )
        self.on_request = tuple(on_request)
        self.on_response = tuple(on_response)
        self.breakers = breakers if breakers is not None else Breakers()
        self.tracer = tracer
        self.redactor = redactor
        self.log = ServiceLog("api", hub_id)
        self.count = Count()
        self._loop = LoopThread()
        self._kept: Any = None
        self._closed = False

    def request(self, method: str, url: str, data: Any = None, **options: Unpack[Options]) -> Reply:
        """Make a call, and return the whole reply: status and headers beside the data.

        Parameters
        ----------
        method
            As ``"GET"``.
        url
            A path under the base URL, or a whole URL; to another origin neither the client's
            headers nor its `auth` are sent.
        data
            Sent as JSON: any value with a JSON form, see `agentnb.core.codec.plain`; bytes are
            sent as they are.
        **options
            See `Options`; each wins over the client's.

        Raises
        ------
        UsageError
            The call cannot be made as it is.
        NotFoundError
            404 or 410.
        RateLimited
            429, or 503 with ``Retry-After``, and the wait is too long; `reset_at` says how long.
        InvalidResponse
            The reply is no JSON, not the schema's, or too large.
        RejectedError
            Another 4xx, or a redirect that was not to be followed.
        UnavailableError
            5xx, or the host cannot be reached; `CircuitOpen`, if that was so a moment ago.
        DeadlineExceeded
            It took longer than `timeout`.

        Notes
        -----
        Statuses are in the errors' ``status``.
        """
        self._loop.check()
        return steps_of.drive(self._steps(method, url, data, options), self._do)

    async def arequest(
        self, method: str, url: str, data: Any = None, **options: Unpack[Options]
    ) -> Reply:
        """Await `request`."""
        return await steps_of.adrive(self._steps(method, url, data, options), self._ado)

    def get(self, url: str, **options: Unpack[Options]) -> Any:
        """Return the data of a GET, which is made again if that may help. See `request`."""
        return self.request("GET", url, **options).data

    def post(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a POST, which is made once. See `request`."""
        return self.request("POST", url, data, **options).data

    def put(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a PUT, which is made once. See `request`."""
        return self.request("PUT", url, data, **options).data

    def patch(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a PATCH, which is made once. See `request`."""
        return self.request("PATCH", url, data, **options).data

    def delete(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Return the data of a DELETE, which is made once. See `request`."""
        return self.request("DELETE", url, data, **options).data

    async def aget(self, url: str, **options: Unpack[Options]) -> Any:
        """Await `get`."""
        return (await self.arequest("GET", url, **options)).data

    async def apost(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `post`."""
        return (await self.arequest("POST", url, data, **options)).data

    async def aput(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `put`."""
        return (await self.arequest("PUT", url, data, **options)).data

    async def apatch(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `patch`."""
        return (await self.arequest("PATCH", url, data, **options)).data

    async def adelete(self, url: str, data: Any = None, **options: Unpack[Options]) -> Any:
        """Await `delete`."""
        return (await self.arequest("DELETE", url, data, **options)).data

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def shown(self, url: str) -> str:
        """Return a URL as it may be shown."""
        return shown(url, self.redactor)

    def _steps(self, method: str, url: str, data: Any, options: Options) -> Steps:
        if self._closed:
            raise UsageError("this client is closed", service="api", hint="make another")
        if not isinstance(method, str) or not method.isascii() or not method.isalpha():
            raise UsageError(f"{method!r} is no method", service="api", hint='such as "GET"')
        settled = self.settled.but(options)
        headers = {
            "accept": "application/json" if settled.expect == "json" else "*/*",
            "accept-encoding": "gzip",
            "user-agent": "agentnb",
            **settled.headers,
        }
        whole = joined(self.base_url, url, options.get("params"))
        return steps(self, Request(method.upper(), whole, headers, data), settled)

    @property
    def _transport(self) -> Any:
        if self._kept is None:
            from agentnb.core.api.transport import Transport

            self._kept = Transport()  # makes nothing yet, so that it matters not if two do
        return self._kept

    def _do(self, step: Send | Pause | Call) -> Any:
        if isinstance(step, Send):
            return self._transport.send(step.out)
        if isinstance(step, Pause):
            return time.sleep(step.seconds)
        return self._loop.call(partial(step.function, step.argument))

    async def _ado(self, step: Send | Pause | Call) -> Any:
        if isinstance(step, Send):
            return await self._transport.asend(step.out)
        if isinstance(step, Pause):
            return await asyncio.sleep(step.seconds)
        result = step.function(step.argument)
        return await result if inspect.isawaitable(result) else result

    def close(self) -> None:
        """Close the connections. Idempotent; a call after that is an error."""
        self._closed = True
        if self._kept is not None:
            self._kept.close()
        self._loop.close()

    async def aclose(self) -> None:
        """Close the connections, those of the running loop before this returns."""
        if self._kept is not None:
            await self._kept.aclose()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()

    def __repr__(self) -> str:
        return f"APIClient({self.shown(self.base_url)!r})"
