"""The client of another program's server of tools."""

from __future__ import annotations

import asyncio
import fnmatch
import json
import shlex
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from agentnb.core.callthreads import CallThreads
from agentnb.core.errors import (
    AgentnbError,
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
    UnavailableError,
    UsageError,
    did_you_mean,
)
from agentnb.core.format import cut, visible
from agentnb.core.keywords import refuse_unknown
from agentnb.core.mcp.failures import AWAY, hint_of, is_answer, phrase, text_of
from agentnb.core.mcp.pins import digest_of
from agentnb.core.mcp.session import Session, ToolSaysNo
from agentnb.core.ranges import seconds, texts, whole
from agentnb.core.redact import Secret, is_secret_name
from agentnb.core.runtime import Runtime
from agentnb.core.table import Table
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Coroutine, Mapping, Sequence
    from concurrent.futures import Future

    from agentnb.core.loop import LoopThread
    from agentnb.core.mcp.pins import Pins
    from agentnb.core.workflow.context import Context

__all__ = ["MCPClient", "RemoteTool"]

T = TypeVar("T")

_STDIO = "stdio:"
_HINT = 'hub.mcp("stdio: python server.py"), or hub.mcp("https://example.com/mcp")'
_SHOWN = 100
_ASKED = 2_000
_TAIL = 500
"""Characters of the arguments in a question, and of what a server has written to its log."""
_LONG = 8
"""Characters from which a variable or a header that is given is masked, whatever its name."""
_LEAST_BYTES, _MOST_BYTES = 1_000, 1_000_000_000
_SPARE = 5.0
"""Seconds that a caller waits beyond the deadline, which the loop holds."""


class RemoteTool(NamedTuple):
    """A tool of another program's server.

    Attributes
    ----------
    name, description
        As the server gives them.
    schema
        The JSON Schema of its arguments.
    read_only
        Whether the server says that it changes nothing.
    asks
        Whether an agent has to ask a person before it calls it.
    changed
        Whether it is another than at its first use.
    """

    name: str
    description: str
    schema: dict[str, Any]
    read_only: bool
    asks: bool
    changed: bool


@refuse_unknown("mcp")
class MCPClient:
    """The client of one server of tools, connected on first use and kept until `close`.

    Each call has a deadline and a bound of bytes; a server that exceeds one of them is cut off,
    and started or connected to again by the next call. The description and the schemas of a tool
    are remembered at its first use: a tool that has changed is not called until `accept`. Calls
    are made as they are asked for, and never repeated. Thread-safe.

    Parameters
    ----------
    target
        ``"stdio: COMMAND ARGUMENTS"`` to start the server, or its URL.
    timeout
        Seconds that a call may take, with the start of the server.
    max_bytes
        Bytes that a server may send for one call.
    ask
        Globs of the tools that an agent has to ask a person for; by default those that are not
        marked as reading only.
    env
        Variables of the environment of a server that is started; it has few others.
    headers
        Headers of the requests to a URL.
    loop
        The loop that the connection lives in.
    pins
        Where the digests of tools are kept.
    runtime
        Tracer, redactor and logs; default: new ones.
    """

    def __init__(
        self,
        target: str,
        *,
        timeout: float = 30.0,
        max_bytes: int = 1_000_000,
        ask: str | Sequence[str] | None = None,
        env: Mapping[str, str | Secret] | None = None,
        headers: Mapping[str, str | Secret] | None = None,
        loop: LoopThread,
        pins: Pins,
        runtime: Runtime | None = None,
    ) -> None:
        self._words, self._url = _target(target)
        if (env and self._url) or (headers and not self._url):
            raise UsageError(
                "env is for a server that is started, headers are for a URL",
                service="mcp",
                hint=_HINT,
            )
        self.timeout = seconds("timeout", timeout, service="mcp")
        self.max_bytes = whole(
            "max_bytes", max_bytes, service="mcp", least=_LEAST_BYTES, most=_MOST_BYTES
        )
        self._ask = None if ask is None else texts("ask", ask, service="mcp")
        self._runtime = runtime or Runtime()
        self._given = {
            name: value.reveal() if isinstance(value, Secret) else str(value)
            for name, value in (env or headers or {}).items()
        }
        for name, value in self._given.items():
            # A short word such as "test" is no secret, and would be masked in all that is shown.
            if (
                len(value) >= _LONG
                or is_secret_name(name)
                or isinstance((env or headers or {})[name], Secret)
            ):
                self._runtime.redactor.add(value.removeprefix("Bearer "))
        self.name: str = self._runtime.redactor(self._url or shlex.join(self._words))
        self._loop = loop
        self._pins = pins
        self._call_threads = CallThreads("mcp-client", limit=4)
        # Of the loop alone:
        self._session: Session | None = None
        self._leaving: set[Session] = set()
        self._known: dict[str, RemoteTool] = {}
        self._digests: dict[str, str] = {}
        self._wrapped: set[str] = set()

    @property
    def connected(self) -> bool:
        """Whether there is a connection now."""
        session = self._session
        return session is not None and not session.ended

    @property
    def known(self) -> tuple[str, ...]:
        """The names of its tools, as last read; empty before that."""
        return tuple(self._known)

    def changed(self, name: str) -> bool:
        """Return whether a tool was another than at its first use, as last read."""
        return name in self._known and self._known[name].changed

    def describe(self) -> list[RemoteTool]:
        """Return the tools of the server, read now.

        Raises
        ------
        UnavailableError
            It cannot be started or reached, or does not answer in time.
        RejectedError
            It sends too much.
        """
        return self._wait(self._listed(), "tools")

    def tools(self) -> Table:
        """Return the tools of the server as a table, read now.

        Raises
        ------
        AgentnbError
            As in `describe`.
        """
        rows = [
            (
                one.name,
                "yes" if one.read_only else "",
                "asks" if one.asks else "",
                "changed" if one.changed else "as pinned",
                one.description,
            )
            for one in self.describe()
        ]
        changed = [row[0] for row in rows if row[3] == "changed"]
        note = f"changed since their first use: {', '.join(changed)}; .accept(NAME)"
        return Table(
            ("tool", "read-only", "approval", "digest", "description"),
            rows,
            note=note if changed else "",
            empty="the server has no tools",
        )

    def call(self, name: str, /, **arguments: Any) -> Any:
        """Call a tool, and return its answer: plain JSON or text.

        Parameters
        ----------
        name
            The tool.
        **arguments
            Its arguments, as its schema has them.

        Raises
        ------
        NotFoundError
            There is no such tool.
        RejectedError
            The tool says no, has changed since its first use, or the server sends too much.
        DeadlineExceeded
            The time was over; the server may have done it all the same.
        UnavailableError
            The server cannot be started or reached, or ended during the call.

        Examples
        --------
        In an agent, as a step that is made once::

            ctx.step("pay", hub.mcp("stdio: python bank.py").call, "pay", n=4)
        """
        with self._runtime.tracer.span("call", service="mcp", server=self.name, tool=str(name)):
            return self._wait(self._called(name, arguments), str(name))

    async def acall(self, name: str, /, **arguments: Any) -> Any:
        """Await `call`."""
        with self._runtime.tracer.span("call", service="mcp", server=self.name, tool=str(name)):
            return await asyncio.wrap_future(self._loop.submit(self._called(name, arguments)))

    def step(self, ctx: Context, name: str, /, **arguments: Any) -> Any:
        """Call a tool as a step of an agent, after a person has approved it where it asks.

        The approval is for this tool with these arguments. The task is parked meanwhile.

        Parameters
        ----------
        ctx
            The context of the agent.
        name, **arguments
            As `call` takes them.

        Raises
        ------
        RejectedError
            The person said no.
        AgentnbError
            As in `call`.
        """
        label, question = self._labels(name, arguments)
        asks = ctx.step(f"{label}: does it ask?", self.asks, name)
        if asks and not ctx.ask(f"{label}: approve", question, form=bool):
            raise _refused(label)
        return ctx.step(label, self.call, name, **arguments)

    async def astep(self, ctx: Context, name: str, /, **arguments: Any) -> Any:
        """Await `step`, in an agent that is a coroutine function."""
        label, question = self._labels(name, arguments)
        asks = await ctx.astep(f"{label}: does it ask?", self.aasks, name)
        if asks and not await ctx.aask(f"{label}: approve", question, form=bool):
            raise _refused(label)
        return await ctx.astep(label, self.acall, name, **arguments)

    def _labels(self, name: str, arguments: dict[str, Any]) -> tuple[str, str]:
        """Return the name of the step of a call, and the question about it."""
        plain = _json(name, arguments)
        shown = visible(self._runtime.redactor(plain))
        if len(shown) > _ASKED:
            shown = f"{shown[:_ASKED]}… ({len(shown):,} characters)"
        label = f"mcp {cut(str(name), _SHOWN)} {sha256(plain.encode()).hexdigest()[:12]}"
        return label, f"Call {name} of {self.name} with {shown}?"

    def asks(self, name: str) -> bool:
        """Return whether an agent has to ask a person before it calls a tool.

        Raises
        ------
        NotFoundError
            There is no such tool.
        """
        return self._wait(self._one(name), name).asks

    def accept(self, name: str) -> None:
        """Accept a tool as it is now, after you have read its description and schema.

        Raises
        ------
        NotFoundError
            There is no such tool.
        """
        self._wait(self._accepted(name), name)

    adescribe, atools = twin(describe), twin(tools)
    aasks, aaccept = twin(asks), twin(accept)

    def _wait(self, work: Coroutine[Any, Any, T], about: str) -> T:
        try:
            self._loop.check()
        except UsageError:
            work.close()
            raise
        future: Future[T] = self._loop.submit(work)
        try:
            return future.result(self.timeout + _SPARE)
        except TimeoutError as error:
            raise self._late(about) from error
        except BaseException:
            future.cancel()
            raise

    def _late(self, about: str) -> DeadlineExceeded:
        return DeadlineExceeded(
            f"{about} of {self.name} took longer than {self.timeout:g} s",
            service="mcp",
            hint="more time: hub.mcp(..., timeout=60); it may have been done all the same",
        )

    # On the loop

    async def _listed(self) -> list[RemoteTool]:
        found: list[RemoteTool] = await self._within(self._read_tools, "tools")
        return found

    async def _read_tools(self, session: Session) -> list[RemoteTool]:
        found = await session.tools()
        self._digests = {one["name"]: digest_of(one) for one in found}
        self._wrapped = {one["name"] for one in found if _is_wrapped(one)}
        kept = await self._call_threads.call(self._pins.add, self.name, self._digests)
        tools = []
        for one in found:
            hints = one.get("annotations") or {}
            read_only = hints.get("readOnlyHint") is True
            name = one["name"]
            asks = (
                not read_only
                if self._ask is None
                else any(fnmatch.fnmatchcase(name, glob) for glob in self._ask)
            )
            tools.append(
                RemoteTool(
                    name,
                    str(one.get("description") or ""),
                    one.get("inputSchema") or {},
                    read_only,
                    asks,
                    kept[name] != self._digests[name],
                )
            )
        self._known = {one.name: one for one in tools}
        session.listed = True
        return tools

    async def _tool(self, session: Session, name: str) -> RemoteTool:
        if not session.listed:
            await self._read_tools(session)
        if name not in self._known:
            raise NotFoundError(
                f"{self.name} has no tool {name!r:.80}",
                service="mcp",
                hint=did_you_mean(str(name), self._known)
                or f"it has: {', '.join([*self._known][:20])}",
            )
        return self._known[name]

    async def _one(self, name: str) -> RemoteTool:
        found: RemoteTool = await self._within(lambda session: self._tool(session, name), name)
        return found

    async def _accepted(self, name: str) -> None:
        async def accept(session: Session) -> None:
            await self._read_tools(session)
            tool = await self._tool(session, name)
            await self._call_threads.call(self._pins.replace, self.name, name, self._digests[name])
            self._known[name] = tool._replace(changed=False)

        await self._within(accept, name)

    async def _called(self, name: str, arguments: dict[str, Any]) -> Any:
        _json(name, arguments)

        async def call(session: Session) -> Any:
            tool = await self._tool(session, name)
            if tool.changed:
                raise RejectedError(
                    f"{name} of {self.name} is another tool than at its first use: its "
                    "description or its schema has changed",
                    service="mcp",
                    hint=f"read it with .describe() and accept it with .accept({name!r}) "
                    f"(%mcp accept {name})",
                )
            answer = await session.call(name, arguments)
            if name in self._wrapped and isinstance(answer, dict) and {*answer} == {"result"}:
                return answer["result"]
            return answer

        return await self._within(call, str(name))

    async def _within(self, work: Any, about: str) -> Any:
        """Await work on the connection, within the deadline; cut off a server that fails."""
        session = self._session
        try:
            async with asyncio.timeout(self.timeout):
                if session is None or session.ended:
                    session = self._session = Session(
                        self._words, self._url, self._given, self.max_bytes
                    )
                await session.ready()
                session.traffic.begin()
                return await work(session)
        except TimeoutError as error:
            self._drop(session)
            raise self._late(about) from error
        except AgentnbError:
            raise
        except Exception as error:
            raise self._failed(session, error) from error

    def _failed(self, session: Session | None, error: Exception) -> AgentnbError:
        """Return the error of a call that did not come to its end."""
        flooded = session is not None and session.traffic.flooded
        # Masked before the cut, which may go through a secret.
        masked = self._runtime.redactor
        tail = "" if session is None else masked(session.traffic.errors.strip())[-_TAIL:]
        if session is not None and (flooded or session.ended or not is_answer(error)):
            self._drop(session)
        if flooded:
            return RejectedError(
                f"{self.name} sent more than {self.max_bytes:,} bytes for one call",
                service="mcp",
                hint="ask it for less, or hub.mcp(..., max_bytes=10_000_000)",
            )
        text = masked(text_of(error))
        status = 0 if session is None else session.traffic.status
        if status and not isinstance(error, ToolSaysNo):
            text = f"HTTP {phrase(status)} ({text})"
        if is_answer(error) and status not in AWAY:
            return RejectedError(
                f"{self.name}: {text}", service="mcp", hint="its tools and schemas: .describe()"
            )
        hint = "start it by hand to see more; the next call starts it again"
        if self._url:
            hint = hint_of(status)
        return UnavailableError(
            f"{self.name} cannot be used: {text}{f': {tail}' if tail else ''}",
            service="mcp",
            hint=hint,
        )

    def _drop(self, session: Session | None) -> None:
        if session is not None:
            session.stop()
            self._leaving.add(session)  # `close` waits for it: its server may have to be killed
            session.on_end(lambda: self._leaving.discard(session))
        if self._session is session:
            self._session = None

    def close(self) -> None:
        """Close the connection, and stop the server that was started; a call opens it again."""

        async def ended() -> None:
            session, self._session = self._session, None
            if session is not None:
                await session.end()
            for one in [*self._leaving]:
                await one.end()

        with suppress(TimeoutError):
            self._loop.submit(ended()).result(_SPARE)
        self._call_threads.close()

    async def aclose(self) -> None:
        """Await `close`."""
        await self._call_threads.call(self.close)

    def __repr__(self) -> str:
        return f"MCPClient({self.name!r})"


def _refused(label: str) -> RejectedError:
    return RejectedError(
        f"{label} was not approved", service="mcp", hint="the answer of the task's question says so"
    )


def _json(name: str, arguments: Mapping[str, Any]) -> str:
    """Return the arguments of a call as JSON; refuse those that cannot be sent.

    >>> _json("pay", {"n": 4})
    '{"n":4}'
    """
    from pydantic_core import to_json

    try:
        plain = json.loads(to_json(arguments))
    except (TypeError, ValueError, RecursionError) as error:
        raise UsageError(
            f"the arguments of {name!s:.80} are not JSON: {error}",
            service="mcp",
            hint="numbers, texts, lists and dicts: call('pay', when=str(date), n=4)",
        ) from error
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":"))


def _target(target: Any) -> tuple[list[str], str]:
    """Return the words of a command, or a URL."""
    if isinstance(target, str) and target.startswith(_STDIO):
        try:
            words = shlex.split(target.removeprefix(_STDIO))
        except ValueError as error:
            raise UsageError(
                f"the command cannot be read: {error}", service="mcp", hint=_HINT
            ) from error
        if words:
            return words, ""
    if isinstance(target, str) and target.startswith(("http://", "https://")):
        return [], target
    raise UsageError(
        f"a server is a command or a URL, got {target!r:.80}", service="mcp", hint=_HINT
    )


def _is_wrapped(tool: Mapping[str, Any]) -> bool:
    """Return whether the server's SDK wraps the results of a tool, which are no objects.

    That of Python names the schema after the function, FastMCP marks it. A tool whose own result
    is an object with one field ``result`` has another schema.

    >>> schema = {"title": "payOutput", "properties": {"result": {"type": "integer"}}}
    >>> _is_wrapped({"name": "pay", "outputSchema": schema})
    True
    >>> _is_wrapped({"name": "pay", "outputSchema": schema | {"title": "Receipt"}})
    False
    """
    schema = tool.get("outputSchema") or {}
    if schema.get("x-fastmcp-wrap-result") is True:
        return True
    fields = schema.get("properties")
    named = schema.get("title") == f"{tool['name']}Output"
    return named and isinstance(fields, dict) and {*fields} == {"result"}
