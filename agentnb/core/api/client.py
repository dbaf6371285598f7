"""The client of one API."""

from __future__ import annotations

import asyncio
import inspect
import time
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import IO, TYPE_CHECKING, Any, Self, Unpack

from agentnb.core import sansio
from agentnb.core.api.address import base_of, joined, missing, origin_of
from agentnb.core.api.breakers import Breakers
from agentnb.core.api.context import ClientContext
from agentnb.core.api.cookies import Cookies
from agentnb.core.api.flow import steps
from agentnb.core.api.forms import Form, pairs_of
from agentnb.core.api.options import ResolvedOptions, checked, header_of, headers_of, policy_of
from agentnb.core.api.request import Call, Pause, Reply, Request, Send
from agentnb.core.api.stream import AsyncStreamReply, StreamReply
from agentnb.core.api.verbs import Verbs
from agentnb.core.callthreads import CallThreads
from agentnb.core.closing import aleave, leave
from agentnb.core.errors import UsageError
from agentnb.core.headers import check_mapping
from agentnb.core.keywords import refuse_unknown
from agentnb.core.loop import LoopThread
from agentnb.core.runtime import Runtime
from agentnb.core.tape.hook import active
from agentnb.core.trace.spans import Span
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping

    from agentnb.core.api.arguments import Auth, StreamOptions
    from agentnb.core.api.count import Count
    from agentnb.core.api.download import Downloaded, Workspace
    from agentnb.core.api.flow import Steps
    from agentnb.core.resilience import RetryPolicy

__all__ = ["MAX_BYTES", "APIClient"]

_DOWNLOADS = 8
"""Awaited downloads that run at once; all else that is awaited needs no thread."""

MAX_BYTES = 10_000_000


@refuse_unknown("api")
class APIClient(Verbs):
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
        Seconds for a whole call; None for no limit. Of the rest, an attempt that may be
        repeated waits half for each byte, so that a server that hangs leaves time to try again.
    headers
        Sent with every call; to the origin of `base_url` only, as `auth` is.
    auth
        A token, sent as ``Bearer``, or a pair of user and password.
    retries
        How often a GET is repeated, or a `RetryPolicy`.
    max_bytes
        The largest body, once unpacked. It is read no further.
    schema
        The type of every reply: a msgspec Struct, a dataclass, a TypedDict or a pydantic model.
    on_request
        Called with each `Request` before it is sent; may change it. ``def`` or ``async def``.
    on_response
        Called with each `Reply` of a call that worked; may change it.
    follow_redirects
        Whether to go where the service says, at most 5 times; credentials stay behind where
        that is another origin.
    params
        Sent in the query of every call to the origin of `base_url`, such as a key; a call's own
        of the same name wins.
    cookies
        Whether to keep the cookies that the service sets, and send them back.
    workspace
        Where `download` puts files, such as ``hub.files``; a function is called on first use.
    breakers
        Breakers shared with other clients; by default this client's own.
    runtime
        Tracer, redactor and logs; default: new ones.

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
        params: Mapping[str, Any] | None = None,
        cookies: bool = False,
        workspace: Workspace | Callable[[], Workspace] | None = None,
        breakers: Breakers | None = None,
        runtime: Runtime | None = None,
    ) -> None:
        self.base_url, login = base_of(base_url)
        own = headers_of(headers)
        if auth is not None or login is not None:
            own |= header_of(auth if auth is not None else login)
        resolved = checked(
            ResolvedOptions(
                own,
                timeout,
                policy_of(retries),
                max_bytes,
                schema,
                follow_redirects=follow_redirects,
            )
        )
        check_mapping(params, "params=", "api")
        pairs_of(params or {}, "params")
        self._params = dict(params or {})
        self._workspace = workspace
        runtime = runtime or Runtime()
        self._context = ClientContext(
            origin=origin_of(self.base_url),
            options=resolved,
            on_request=tuple(on_request),
            on_response=tuple(on_response),
            breakers=breakers if breakers is not None else Breakers(),
            cookies=Cookies() if cookies else None,
            runtime=runtime,
            log=runtime.log("api"),
        )
        self._loop = LoopThread()
        self._call_threads = CallThreads("api", limit=_DOWNLOADS)
        self._kept: Any = None
        self._closed = False

    def _reply(self, method: str, url: str, data: Any, options: Mapping[str, Any]) -> Reply:
        self._loop.check()
        resolved = self._context.options.but(options)
        return sansio.run(self._steps(method, url, data, options, resolved), self._do)

    async def _areply(self, method: str, url: str, data: Any, options: Mapping[str, Any]) -> Reply:
        resolved = self._context.options.but(options)
        flow = self._steps(method, url, data, options, resolved)
        return await sansio.arun(flow, self._ado)

    @contextmanager
    def stream(
        self, method: str, url: str, data: Any = None, **options: Unpack[StreamOptions]
    ) -> Iterator[StreamReply]:
        """Make a call whose reply is read as it comes, for the length of a ``with`` block.

        The call is made as by `request`: with its span, its breaker, and again as often as
        `retries` says, until the head of a reply has come. Once the body has begun nothing is
        repeated: a stream that breaks off is an error. Leaving the block closes the connection,
        and so does `StreamReply.close` from another thread. There is no whole reply, so that
        neither ``on_response`` nor the client's `schema` has a part in it: `Event.json` takes one.

        Parameters
        ----------
        method, url, data
            As `request` takes them.
        **options
            See `StreamOptions`. There is no limit of time in total unless `timeout` is given; the
            stream may be silent for 60 s (`idle`), and have 50 MB (`max_bytes`), and 1 MB in a
            line or an event (`max_event`).

        Yields
        ------
        StreamReply
            Status and headers; ``events()``, ``lines()`` and ``bytes()`` read the body.

        Raises
        ------
        AgentnbError
            As `request`, for a reply that is an error.

        Examples
        --------
        >>> def tokens(api, question):
        ...     with api.stream("POST", "/chat", {"ask": question, "stream": True}) as reply:
        ...         for event in reply.events():
        ...             yield event.json()["token"]
        """
        self._loop.check()
        resolved = self._context.options.for_stream().but(options)
        with self._stream_span(method, url) as span:
            flow = self._steps(method, url, data, options, resolved)
            reply = StreamReply(self._context, sansio.run(flow, self._do), resolved, span)
            try:
                yield reply
            except BaseException as error:
                leave(error, reply.close)
                raise
            reply.close()

    @asynccontextmanager
    async def astream(
        self, method: str, url: str, data: Any = None, **options: Unpack[StreamOptions]
    ) -> AsyncIterator[AsyncStreamReply]:
        """Make a call whose reply is read by ``async for``; the awaited twin of `stream`."""
        resolved = self._context.options.for_stream().but(options)
        with self._stream_span(method, url) as span:
            flow = self._steps(method, url, data, options, resolved)
            reply = AsyncStreamReply(
                self._context, await sansio.arun(flow, self._ado), resolved, span
            )
            try:
                yield reply
            except BaseException as error:
                await aleave(error, reply.aclose)
                raise
            await reply.aclose()

    def _stream_span(self, method: str, url: str) -> Span:
        shown: dict[str, object] = {"method": str(method), "url": self._context.shown(str(url))}
        return Span(self._context.runtime.tracer, "stream", "api", 1, shown)

    def download(
        self,
        url: str,
        to: str,
        *,
        on_progress: Callable[[int, int | None], object] | None = None,
        **options: Unpack[StreamOptions],
    ) -> Downloaded:
        """Save the reply of a GET as a file of the workspace, wholly or not at all.

        A download that breaks off is gone on with where it broke off, if the server says by a
        strong ETag that it is still the same; else it begins anew. Both are logged, and count as
        retries.

        Parameters
        ----------
        url
            As `request` takes it.
        to
            The path in the workspace; a file that is there is replaced.
        on_progress
            Called with the bytes that have come, and those that there are; None where the server
            does not say.
        **options
            See `StreamOptions`. The largest file is the workspace's `max_size`, or `max_bytes`.

        Raises
        ------
        UsageError
            The client has no workspace.
        AgentnbError
            As `stream`, and as the workspace raises; nothing has been written then.
        """
        from agentnb.core.api.download import download

        return download(self._context, self.stream, self._files(), url, to, on_progress, options)

    def _fetch(
        self,
        file: IO[bytes],
        url: str,
        *,
        largest: int,
        on_progress: Callable[[int, int | None], object] | None = None,
        **options: Unpack[StreamOptions],
    ) -> Downloaded:
        """Download into an open file, for a service that reads it at once."""
        from agentnb.core.api.download import fetch

        context = self._context
        return fetch(context, self.stream, file, url, "", largest, on_progress, options)

    # A download that is cancelled is cut off, and writes nothing.
    adownload = twin(download, callbacks=("on_progress",))

    def _files(self) -> Workspace:
        if self._workspace is None:
            raise UsageError(
                "this client has no workspace to download to",
                service="api",
                hint="hub.api(...) has one; APIClient(..., workspace=hub.files)",
            )
        if callable(self._workspace):
            self._workspace = self._workspace()
        return self._workspace

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    @property
    def origin(self) -> str:
        """Scheme, host and port of the base URL; credentials go nowhere else."""
        return self._context.origin

    @property
    def count(self) -> Count:
        """The calls, failures and retries so far."""
        return self._context.count

    @property
    def breakers(self) -> Breakers:
        """The breakers of the hosts: ``breakers.of(url).reset()`` closes one."""
        return self._context.breakers

    @property
    def cookies(self) -> Cookies | None:
        """The cookies that are kept; None where none are."""
        return self._context.cookies

    def _steps(
        self,
        method: str,
        url: str,
        data: Any,
        options: Mapping[str, Any],
        resolved: ResolvedOptions,
    ) -> Steps:
        if self._closed:
            raise UsageError(
                "this client is closed", service="api", hint="make another: hub.api(URL)"
            )
        if not isinstance(method, str) or not method.isascii() or not method.isalpha():
            raise UsageError(
                f"method must be letters such as GET, got {method!r:.60}",
                service="api",
                hint='request("GET", URL)',
            )
        headers = {
            "accept": "application/json" if resolved.expect == "json" else "*/*",
            "accept-encoding": "gzip",
            "user-agent": "agentnb",
            **resolved.headers,
        }
        if resolved.streams:  # as it comes, not as it packs well
            headers |= {"accept": "text/event-stream, */*", "accept-encoding": "identity"}
            headers |= resolved.headers
        if (etag := options.get("etag")) is not None:
            headers["if-none-match"] = etag
        if options.get("form") is not None or options.get("files") is not None:
            if data is not None:
                raise UsageError(
                    "a call has one body: data, or form= and files=",
                    service="api",
                    hint="post(URL, data), or post(URL, form={...})",
                )
            data = Form(options.get("form"), options.get("files"))
        whole = joined(self.base_url, url, options.get("params"))
        if self._params and origin_of(whole) == self._context.origin:
            whole = joined(self.base_url, whole, missing(whole, self._params))
        return steps(self._context, Request(method.upper(), whole, headers, data), resolved)

    @property
    def _transport(self) -> Any:
        if self._kept is None:
            from agentnb.core.api.transport import Transport

            self._kept = Transport()  # makes nothing yet, so that it matters not if two do
        return self._kept

    def _do(self, step: Send | Pause | Call) -> Any:
        tape = active()
        if isinstance(step, Send):
            if tape is None:
                return self._transport.send(step.out)
            from agentnb.core.api import taped

            redactor = self._context.runtime.redactor
            return taped.send(tape, lambda: self._transport, step.out, redactor)
        if isinstance(step, Pause):
            return None if tape is not None and tape.replays else time.sleep(step.seconds)
        return self._loop.call(partial(step.function, step.argument))

    async def _ado(self, step: Send | Pause | Call) -> Any:
        tape = active()
        if isinstance(step, Send):
            if tape is None:
                return await self._transport.asend(step.out)
            from agentnb.core.api import taped

            redactor = self._context.runtime.redactor
            return await taped.asend(tape, lambda: self._transport, step.out, redactor)
        if isinstance(step, Pause):
            replays = tape is not None and tape.replays
            return await asyncio.sleep(0 if replays else step.seconds)
        result = step.function(step.argument)
        return await result if inspect.isawaitable(result) else result

    def close(self) -> None:
        """Close the connections. Idempotent; a call after that is an error."""
        self._closed = True
        if self._kept is not None:
            self._kept.close()
        self._loop.close()
        self._call_threads.close()

    async def aclose(self) -> None:
        """Close the connections, those of the running loop before this returns."""
        if self._kept is not None:
            await self._kept.aclose()
        self.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        leave(error, self.close)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        await aleave(error, self.aclose)

    def __repr__(self) -> str:
        return f"APIClient({self._context.shown(self.base_url)!r})"
