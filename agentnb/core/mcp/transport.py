"""Connections to others' servers, which end where a server sends too much."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Any

import anyio
import httpx2
from mcp import types
from mcp.client.stdio import get_default_environment
from mcp.client.streamable_http import streamable_http_client
from mcp.shared.message import SessionMessage

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

# Errors of connections are raised; the SDK's own lines go where a program has set up logging, and
# not as tracebacks into a cell.
logging.getLogger("mcp").addHandler(logging.NullHandler())

__all__ = ["Traffic", "http_transport", "stdio_transport"]

_KEPT = 2_000  # characters of what a server has written to its standard error
_GRACE = 1.0  # seconds for a server to end after its input does


class Traffic:
    """Counts the bytes that come over a connection, and keeps the errors of its server.

    Parameters
    ----------
    most
        Bytes that may come for one call.
    """

    def __init__(self, most: int) -> None:
        self.most = most
        self.flooded = False
        self.errors = ""
        self.status = 0
        """The status of the last answer to a message over HTTP, if it is an error."""
        self._received = 0

    def begin(self) -> None:
        """Count from now on, for a call."""
        self._received = 0
        self.errors = ""
        self.status = 0

    def add(self, size: int) -> bool:
        """Count bytes, and return whether they are still few enough."""
        self._received += size
        if self._received > self.most:
            self.flooded = True
        return not self.flooded


@asynccontextmanager
async def stdio_transport(
    words: Sequence[str], variables: Mapping[str, str], traffic: Traffic
) -> AsyncIterator[tuple[Any, Any]]:
    """Start a server and yield the streams of its messages; in the end it is stopped.

    It is given the few variables of the environment that the SDK gives, and those given here.
    """
    loop = asyncio.get_running_loop()
    # As asyncio.create_subprocess_exec does, which keeps to itself what closes the pipes.
    transport, protocol = await loop.subprocess_exec(
        lambda: asyncio.subprocess.SubprocessStreamProtocol(traffic.most, loop),
        *words,
        env=get_default_environment() | dict(variables),
        start_new_session=True,
    )
    process = asyncio.subprocess.Process(transport, protocol, loop)
    to_session, received = anyio.create_memory_object_stream[Any](0)
    sent, from_session = anyio.create_memory_object_stream[Any](0)
    try:
        async with anyio.create_task_group() as group:
            group.start_soon(_read, process, to_session, traffic)
            group.start_soon(_write, process, from_session)
            group.start_soon(_keep_errors, process, traffic)
            yield received, sent
            group.cancel_scope.cancel()
    finally:
        for stream in (to_session, received, sent, from_session):
            stream.close()
        with anyio.CancelScope(shield=True):
            await _stop(process, transport)


async def _read(process: asyncio.subprocess.Process, to_session: Any, traffic: Traffic) -> None:
    assert process.stdout is not None  # noqa: S101 - a pipe
    async with to_session:
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:  # longer than the limit
                traffic.flooded = True
                return
            if not line or not traffic.add(len(line)):
                return
            try:
                message = types.jsonrpc_message_adapter.validate_json(line, by_name=False)
            except ValueError as error:
                await to_session.send(error)
            else:
                await to_session.send(SessionMessage(message))


async def _write(process: asyncio.subprocess.Process, from_session: Any) -> None:
    assert process.stdin is not None  # noqa: S101 - a pipe
    with suppress(OSError):  # it has ended, which reading finds out
        async for one in from_session:
            text = one.message.model_dump_json(by_alias=True, exclude_unset=True)
            process.stdin.write(f"{text}\n".encode())
            await process.stdin.drain()


async def _keep_errors(process: asyncio.subprocess.Process, traffic: Traffic) -> None:
    assert process.stderr is not None  # noqa: S101 - a pipe
    while data := await process.stderr.read(4096):
        traffic.errors = (traffic.errors + data.decode(errors="replace"))[-_KEPT:]


async def _stop(
    process: asyncio.subprocess.Process, transport: asyncio.SubprocessTransport
) -> None:
    """End a server and what it has started, and close its pipes."""
    if process.stdin is not None:
        process.stdin.close()
    try:
        with suppress(TimeoutError):
            await asyncio.wait_for(process.wait(), _GRACE)
    finally:  # also where the loop ends meanwhile
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        try:
            await process.wait()
        finally:  # a program that has left the session of the server may hold the pipes open
            transport.close()
            await asyncio.sleep(0)  # for the pipes, which are closed by the loop


@asynccontextmanager
async def http_transport(
    url: str, headers: Mapping[str, str], traffic: Traffic
) -> AsyncIterator[tuple[Any, Any]]:
    """Connect to a server and yield the streams of its messages."""
    bounded = _Bounded(httpx2.AsyncHTTPTransport(), traffic)
    async with (
        httpx2.AsyncClient(headers=dict(headers), transport=bounded, timeout=None) as client,
        streamable_http_client(url, http_client=client) as streams,
    ):
        yield streams


class _Bounded(httpx2.AsyncBaseTransport):
    """A transport that counts what comes, and keeps the status of an error."""

    def __init__(self, inner: httpx2.AsyncHTTPTransport, traffic: Traffic) -> None:
        self._inner = inner
        self._traffic = traffic

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Return a response whose body ends with an error where it is too long."""
        response = await self._inner.handle_async_request(request)
        if request.method == "POST":
            self._traffic.status = response.status_code if response.is_error else 0
        response.stream = _Counted(response.stream, self._traffic)
        return response

    async def aclose(self) -> None:
        """Close the connections."""
        await self._inner.aclose()


class _Counted(httpx2.AsyncByteStream):
    """The body of a response, which is counted."""

    def __init__(self, inner: Any, traffic: Traffic) -> None:
        self._inner = inner
        self._traffic = traffic

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for piece in self._inner:
            if not self._traffic.add(len(piece)):
                raise httpx2.ReadError("the server sent too much")
            yield piece

    async def aclose(self) -> None:
        """Close the response."""
        await self._inner.aclose()
