"""``agentnb mcp``: its start, and what a call of a tool costs beyond the core's own time."""

from __future__ import annotations

import asyncio
import statistics
import sys
from time import perf_counter

from rounds import Row, scratch, spelt

CALLS = 200
BARE = """
from pathlib import Path
from mcp.server import MCPServer
server = MCPServer("bare", log_level="ERROR")
@server.tool()
def file_read(path: str) -> str:
    return Path(path).read_text()
server.run("stdio")
"""


async def _timed(words, folder, calls):
    """Return the seconds until a server is ready, and those of each call."""
    from mcp import Client, StdioServerParameters

    server = StdioServerParameters(command=sys.executable, args=words, cwd=str(folder))
    began = perf_counter()
    async with Client(server, mode="legacy") as client:
        ready = perf_counter() - began
        times = []
        for number in range(calls + 10):
            began = perf_counter()
            await client.call_tool("file_read", {"path": "a.txt"})
            if number >= 10:  # the first ones import what they need
                times.append(perf_counter() - began)
    return ready, times


def _in_process(folder, calls):
    """Return the seconds of the same calls, made in this process."""
    import agentnb

    with agentnb.connect(home=folder / "home", workspace=folder) as hub:
        read = {one.name: one for one in hub.tools("files", root=folder)}["file_read"]
        times = []
        for _ in range(calls):
            began = perf_counter()
            read("a.txt")
            times.append(perf_counter() - began)
        return times


def measure(*, quick):
    """Return the rows of this subject."""
    calls, rounds = (50, 2) if quick else (CALLS, 5)
    with scratch() as folder:
        (folder / "a.txt").write_text("text\n" * 20)
        (folder / ".agentnb").mkdir(mode=0o700)
        words = ["-m", "agentnb", "mcp", "--root", str(folder)]
        starts, far, near, bare_starts, bare = [], [], [], [], []
        for _ in range(rounds):
            ready, times = asyncio.run(_timed(words, folder, calls))
            starts.append(ready)
            far.append(statistics.median(times))
            ready, times = asyncio.run(_timed(["-c", BARE], folder, calls))
            bare_starts.append(ready)
            bare.append(statistics.median(times))
            near.append(statistics.median(_in_process(folder, calls)))
    beyond = statistics.median(a - b for a, b in zip(far, near, strict=True))
    start = statistics.median(starts)
    return [
        Row(
            "`agentnb mcp`, its start to the answer of initialize",
            spelt(starts),
            f"a bare server of the SDK {spelt(bare_starts)}",
            start,
            2.0,
            "s",
        ),
        Row(
            "a call of a tool by the SDK's client, beyond the core's own time",
            spelt(far),
            f"in process {spelt(near)} · a bare server of the SDK {spelt(bare)}",
            beyond * 1000,
            5.0,
            "ms",
        ),
    ]
