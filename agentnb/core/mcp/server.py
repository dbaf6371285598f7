"""The server of ``agentnb mcp``: the tools of a hub for programs that speak the protocol."""

from __future__ import annotations

import asyncio
import hmac
from functools import partial
from hashlib import sha256
from time import monotonic, perf_counter
from typing import TYPE_CHECKING, Any

import msgspec
from mcp import types
from mcp.server import Server
from mcp.server.stdio import stdio_server

from agentnb.core.background import run_in_thread
from agentnb.core.callthreads import CallThreads
from agentnb.core.errors import AgentnbError, DeadlineExceeded, NotFoundError, did_you_mean
from agentnb.core.work.executors.record import versions

if TYPE_CHECKING:
    import socket
    from collections.abc import Awaitable, Callable, MutableMapping

    from mcp.server import ServerRequestContext

    from agentnb.core.hub import Hub
    from agentnb.core.tools.box import Offer
    from agentnb.core.tools.tool import Tool

    Scope = MutableMapping[str, Any]
    Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
    Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
    App = Callable[[Scope, Receive, Send], Awaitable[None]]

__all__ = ["AT_ONCE", "ToolServer"]

AT_ONCE = 4
"""Calls that run at once; others wait for their turn."""
_ABOUT = (
    "Tools of agentnb: the database, files, git, events, queues and workflows of one project. They "
    "only read, but for those that ask a person: such a call returns the id of a workflow, and "
    "workflow_show(workflow) says whether it was approved."
)
_MASKED = 2_000
_GRACE, _SOON = 2, 0.5  # seconds


class ToolServer:
    """Answers calls of tools.

    Parameters
    ----------
    hub
        The hub.
    offer
        Its tools.
    timeout
        Seconds that a call may take.
    """

    def __init__(self, hub: Hub, offer: Offer, *, timeout: float) -> None:
        self._hub = hub
        self._tools: dict[str, Tool] = {one.name: one for one in offer.tools}
        self._writers = offer.writers
        self._timeout = timeout
        self._threads = CallThreads("mcp", limit=AT_ONCE)
        # One thread: the first event starts the embedded server, and no answer waits for it.
        self._events = CallThreads("mcp-events", limit=1)
        self._publishing: set[asyncio.Task[None]] = set()
        self._log = hub.runtime.log("mcp")
        self.protocol: Server[Any] = Server(
            "agentnb",
            version=versions().version,
            instructions=_ABOUT,
            on_list_tools=self._list,
            on_call_tool=self._call,
        )

    async def serve_stdio(self) -> None:
        """Serve the program that started this process, until it closes the standard input."""
        self._prepare()
        async with stdio_server() as (read, write):
            await self.protocol.run(read, write, self.protocol.create_initialization_options())
        await self.flush()

    async def serve_http(self, listening: socket.socket, token: str) -> None:
        """Serve on a socket of the loopback address, to clients that have the token."""
        import uvicorn

        self._prepare()
        app = _WithToken(self.protocol.streamable_http_app(), token)
        config = uvicorn.Config(
            app, log_level="warning", lifespan="on", timeout_graceful_shutdown=2
        )
        await uvicorn.Server(config).serve(sockets=[listening])
        await self.flush()

    def _prepare(self) -> None:
        """Open soon what calls need, in a thread: the first answers must not wait for it."""
        loop = asyncio.get_running_loop()
        loop.call_later(_SOON, partial(run_in_thread, self._open, name="mcp-open"))

    def _open(self) -> None:
        try:
            agents = self._writers.register()
            if agents:
                self._hub.workflows.work(agents, kind="process")
            self._hub.open("events")
        except AgentnbError as error:
            self._log.warning("not all services can be used", extra={"data": {"error": str(error)}})

    async def _list(
        self, _: ServerRequestContext[Any], __: types.PaginatedRequestParams | None
    ) -> types.ListToolsResult:
        return types.ListToolsResult(tools=[_described(one) for one in self._tools.values()])

    async def _call(
        self, context: ServerRequestContext[Any], params: types.CallToolRequestParams
    ) -> types.CallToolResult:
        arguments = params.arguments or {}
        began, outcome = perf_counter(), "ok"
        try:
            text = await self._answer(params.name, arguments)
            failed = False
        except AgentnbError as error:
            outcome, failed = type(error).__name__, True
            text = f"{error.message}\nhint: {error.hint}" if error.hint else error.message
            text = self._hub.settings.redactor(text)
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        except Exception as error:  # noqa: BLE001 - no error may end the server
            outcome, failed = type(error).__name__, True
            text = self._hub.settings.redactor(f"{params.name}: {outcome}: {error}")[:_MASKED]
            self._log.error("a tool failed", extra={"data": {"tool": params.name, "error": text}})
        finally:
            ms = round((perf_counter() - began) * 1000, 3)
            self._publish(params.name, arguments, _caller(context), ms, outcome)
        return types.CallToolResult(
            content=[types.TextContent(type="text", text=text)], is_error=failed
        )

    async def _answer(self, name: str, arguments: dict[str, Any]) -> str:
        tool = self._tools.get(name)
        if tool is None:
            known = [*self._tools]
            raise NotFoundError(
                f"there is no tool {name!r:.80}",
                service="mcp",
                hint=did_you_mean(name, known) or f"tools: {', '.join(known)}",
            )
        value = await self._threads.run(
            partial(tool.call, arguments),
            until=monotonic() + self._timeout,
            late=partial(self._late, name),
            abandon=True,
        )
        return value if isinstance(value, str) else msgspec.json.encode(value).decode()

    def _late(self, name: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{name} took longer than {self._timeout:g} s",
            service="mcp",
            hint="ask for less, or start the server with more: --timeout 60",
        )

    def _publish(
        self, name: str, arguments: dict[str, Any], caller: str, ms: float, outcome: str
    ) -> None:
        """Publish an event about a call, after its answer."""
        digest = sha256(msgspec.json.encode(arguments, order="sorted")).hexdigest()[:16]
        event = {"tool": name, "arguments": digest, "caller": caller, "ms": ms, "outcome": outcome}

        def publish() -> None:
            try:
                self._hub.events.publish("mcp.called", event)
            except AgentnbError as error:
                self._log.warning(
                    "the event of a call was not published", extra={"data": {"error": str(error)}}
                )

        task = asyncio.get_running_loop().create_task(self._events.call(publish))
        self._publishing.add(task)
        task.add_done_callback(self._publishing.discard)

    async def flush(self) -> None:
        """Wait until the events of calls were published, for two seconds at most."""
        if self._publishing:
            await asyncio.wait(self._publishing, timeout=_GRACE)

    def close(self) -> None:
        """Let the threads end."""
        self._threads.close()
        self._events.close()


class _WithToken:
    """An application for clients that have a token alone."""

    def __init__(self, app: App, token: str) -> None:
        self._app = app
        self._token = token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            given = [value for name, value in scope["headers"] if name == b"authorization"]
            # The case of the scheme says nothing, and any number of spaces may follow it.
            scheme, _, token = b"".join(given).partition(b" ")
            known = hmac.compare_digest(token.lstrip(b" "), self._token)
            if len(given) != 1 or scheme.lower() != b"bearer" or not known:
                await _refuse(send)
                return
        await self._app(scope, receive, send)


async def _refuse(send: Send) -> None:
    body = b"a token is needed: Authorization: Bearer TOKEN (AGENTNB_MCP_TOKEN)\n"
    headers = [
        (b"content-type", b"text/plain"),
        (b"content-length", str(len(body)).encode()),
        (b"www-authenticate", b"Bearer"),
    ]
    await send({"type": "http.response.start", "status": 401, "headers": headers})
    await send({"type": "http.response.body", "body": body})


def _described(tool: Tool) -> types.Tool:
    return types.Tool(
        name=tool.name,
        description=tool.description,
        input_schema=tool.schema,
        annotations=types.ToolAnnotations(
            read_only_hint=tool.read_only,
            destructive_hint=not tool.read_only,
            open_world_hint=False,
        ),
    )


def _caller(context: ServerRequestContext[Any]) -> str:
    """Return the name of the program that calls, as it gives it."""
    params = context.session.client_params
    return "" if params is None else params.client_info.name[:80]
