"""The server of tools in memory: schemas, deadlines, cancelled calls, spans and events."""

from __future__ import annotations

import asyncio
import threading

import pytest
from mcp import Client

import agentnb
from agentnb.core import services
from agentnb.core.mcp.server import ToolServer
from agentnb.core.tools import WRITE, policy_of
from agentnb.core.tools.box import Offer
from agentnb.core.tools.tool import Tool
from tests.waiting import until


@pytest.fixture(scope="module")
def hub(tmp_path_factory):
    folder = tmp_path_factory.mktemp("mcp")
    with agentnb.connect(home=folder / "home", workspace=folder / "ws") as hub:
        yield hub


class Slow:
    """Tools that wait until they are let go, and one that has a fault."""

    def __init__(self):
        self.free = threading.Event()
        self.running = self.most = 0
        self.lock = threading.Lock()

    def wait(self, seconds: float = 30.0) -> str:
        """Wait."""
        with self.lock:
            self.running += 1
            self.most = max(self.most, self.running)
        try:
            self.free.wait(seconds)
        finally:
            with self.lock:
                self.running -= 1
        return "done"

    def fault(self) -> str:
        """Fail."""
        raise ValueError("password=hunter22")


@pytest.fixture
def slow():
    slow = Slow()
    yield slow
    slow.free.set()


@pytest.fixture
def serve(hub, slow):
    """Return a function that runs a coroutine with a client of a server in memory."""

    def run(use, timeout=30.0, offer=None):
        def made(function):
            span = lambda name: hub.tracer.span("tool", service="mcp", tool=name)  # noqa: E731
            return Tool(function, group="slow", read_only=True, span=span)

        box = hub._open(services.TOOLS)
        real = box.offer(policy_of("files", WRITE), service="mcp")
        server = ToolServer(
            hub,
            offer or Offer([*real.tools, made(slow.wait), made(slow.fault)], real.writers),
            timeout=timeout,
        )

        async def main():
            async with Client(server.protocol) as client:
                found = await use(client)
            await server.flush()
            return found

        try:
            return asyncio.run(main())
        finally:
            server.close()

    return run


def test_a_client_sees_the_schema_and_whether_a_tool_only_reads(serve, hub):
    async def use(client):
        return (await client.list_tools()).tools

    found = {one.name: one for one in serve(use)}
    for tool in hub.tools("files", write=WRITE):
        seen = found[tool.name]
        assert seen.input_schema == tool.schema
        assert seen.description == tool.description
        assert seen.annotations.read_only_hint is tool.read_only
        assert seen.annotations.destructive_hint is not tool.read_only
    assert not {"approve", "answer", "workflow_answer", "workflow_approve"} & set(found)


def test_a_call_is_a_span_and_an_event(serve, hub):
    async def use(client):
        good = await client.call_tool("file_list", {})
        bad = await client.call_tool("file_read", {"path": "../x"})
        return good.is_error, bad.is_error, bad.content[0].text

    good, bad, text = serve(use)
    assert (good, bad) == (False, True)
    assert "leads out of the workspace\nhint: " in text
    spans = [one for one in hub.tracer.recent() if one.service == "mcp"]
    assert [(one.name, one.attributes["tool"], one.outcome) for one in spans[-2:]] == [
        ("tool", "file_list", "ok"),
        ("tool", "file_read", "PathEscape"),
    ]

    def published():
        return [one.data for one in hub.events.history("mcp.called")][-2:]

    until(lambda: len(published()) == 2)
    assert [(one["tool"], one["outcome"]) for one in published()] == [
        ("file_list", "ok"),
        ("file_read", "PathEscape"),
    ]
    assert published()[0]["arguments"] != published()[1]["arguments"]


def test_a_fault_of_a_tool_is_an_answer_with_its_secrets_masked(serve):
    async def use(client):
        failed = await client.call_tool("fault", {})
        good = await client.call_tool("file_list", {})
        return failed.content[0].text, good.is_error

    text, good = serve(use)
    assert text.startswith("fault: ValueError")
    assert "hunter22" not in text
    assert good is False


def test_a_call_that_takes_too_long_is_answered_and_so_is_the_next_one(serve):
    async def use(client):
        late = await client.call_tool("wait", {})
        return late.content[0].text, (await client.call_tool("file_list", {})).is_error

    text, failed = serve(use, timeout=0.3)
    assert text.startswith("wait took longer than 0.3 s\nhint: ask for less")
    assert failed is False


def test_four_calls_run_at_once_and_others_wait_for_their_turn(serve, slow):
    async def use(client):
        calls = [asyncio.create_task(client.call_tool("wait", {})) for _ in range(7)]
        await asyncio.to_thread(until, lambda: slow.running == 4)
        slow.free.set()
        return [one.content[0].text for one in await asyncio.gather(*calls)]

    assert serve(use) == ["done"] * 7
    assert slow.most == 4


def test_cancelled_calls_that_wait_for_their_turn_never_run(serve, slow):
    async def use(client):
        calls = [asyncio.create_task(client.call_tool("wait", {})) for _ in range(4)]
        await asyncio.to_thread(until, lambda: slow.running == 4)
        waits = asyncio.create_task(client.call_tool("fault", {}))
        await asyncio.sleep(0.05)
        waits.cancel()
        await asyncio.gather(waits, return_exceptions=True)
        slow.free.set()
        await asyncio.gather(*calls)
        return (await client.call_tool("file_list", {})).is_error

    assert serve(use) is False
    assert slow.most == 4
