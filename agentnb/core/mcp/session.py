"""A connection to another program's server of tools."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["Session", "ToolSaysNo"]

_MOST_TOOLS = 1_000
_PATIENCE = 2.5
"""Seconds that a server has for its end, before the connection is cut."""


class Session:
    """A connection, which lives in a task of its own."""

    def __init__(self, words: Sequence[str], url: str, given: Mapping[str, str], most: int) -> None:
        from agentnb.core.mcp.transport import Traffic

        self.traffic = Traffic(most)
        self.listed = False
        self._words, self._url, self._given = words, url, given
        self._client: Any = None
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._end = asyncio.Event()
        self._task = asyncio.create_task(self._keep())

    @property
    def ended(self) -> bool:
        """True once the connection is closed."""
        return self._task.done()

    async def _keep(self) -> None:
        from mcp import Client

        from agentnb.core.mcp.transport import http_transport, stdio_transport

        transport = (
            http_transport(self._url, self._given, self.traffic)
            if self._url
            else stdio_transport(self._words, self._given, self.traffic)
        )
        try:
            async with Client(transport, cache=None, message_handler=self._heard) as client:
                self._client = client
                if not self._opened.done():
                    self._opened.set_result(None)
                await self._end.wait()
        except BaseException as error:
            if not self._opened.done():
                self._opened.set_exception(
                    error if isinstance(error, Exception) else ConnectionError("it was closed")
                )
                self._opened.exception()  # a caller that has gone asks no more
            if not isinstance(error, Exception):
                raise

    async def _heard(self, message: Any) -> None:
        """Read the tools again before the next call, once the server says that they changed."""
        if getattr(message, "method", "") == "notifications/tools/list_changed":
            self.listed = False

    async def ready(self) -> None:
        """Wait until the connection is there."""
        await asyncio.shield(self._opened)

    async def tools(self) -> list[dict[str, Any]]:
        """Return the tools as the server describes them."""
        found: list[dict[str, Any]] = []
        cursor = None
        while True:
            page = await self._client.list_tools(cursor=cursor)
            found += [
                one.model_dump(by_alias=True, mode="json", exclude_none=True) for one in page.tools
            ]
            cursor = page.next_cursor
            if cursor is None or len(found) > _MOST_TOOLS:
                return found[:_MOST_TOOLS]

    async def call(self, name: str, arguments: dict[str, Any]) -> Any:
        """Call a tool, and return its answer as plain JSON or text."""
        result = await self._client.call_tool(name, arguments)
        if result.is_error:
            raise ToolSaysNo(_text(result))
        found = result.structured_content
        return _text(result) if found is None else found

    def stop(self) -> None:
        """Close the connection soon."""
        self._task.cancel()

    def on_end(self, function: Callable[[], object]) -> None:
        """Call a function once the connection is closed."""
        self._task.add_done_callback(lambda _: function())

    async def end(self) -> None:
        """Close the connection, and wait for that."""
        self._end.set()
        done, _ = await asyncio.wait({self._task}, timeout=_PATIENCE)
        if not done:
            self._task.cancel()


class ToolSaysNo(Exception):  # noqa: N818 - an answer
    """The answer of a tool that is an error."""


def _text(result: Any) -> str:
    """Return the texts of an answer; the size of what is none."""
    parts = []
    for one in result.content:
        text = getattr(one, "text", None)
        data = getattr(one, "data", None)
        parts.append(text if text is not None else f"<{one.type}, {len(data or ''):,} characters>")
    return "\n".join(parts)
