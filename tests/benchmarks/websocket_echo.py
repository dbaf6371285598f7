"""There and back over a WebSocket, beside the library that does it."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
import threading
from time import perf_counter

from rounds import by_turns, compared

CALLS = 200
MESSAGE = {"type": "event", "channel": "agent.task.completed", "data": {"task_id": "task-456"}}
SYNC, ASYNC = "websockets.sync", "websockets.asyncio"

_ECHO = """
import asyncio
from websockets.asyncio.server import serve
async def echo(link):
    async for message in link:
        await link.send(message)
async def main():
    async with serve(echo, "127.0.0.1", 0, compression=None) as server:
        print(server.sockets[0].getsockname()[1], flush=True)
        await asyncio.Future()
asyncio.run(main())
"""


def ours(url):
    """Return a client, and what sends and receives so many messages."""
    from agentnb.core.websocket import WebSocketClient

    client = WebSocketClient(url)
    assert client.connect()

    def call():
        for _ in range(CALLS):
            client.send(MESSAGE)
            client.receive(5)

    return client, call


def handled(url):
    """Return a client whose handler answers, and what waits until it has so many times."""
    from agentnb.core.websocket import WebSocketClient

    client, done, left = WebSocketClient(url), threading.Event(), [0]

    def answer(_):
        left[0] -= 1
        client.send(MESSAGE) if left[0] else done.set()

    client.on("message", answer)
    assert client.connect()

    def call():
        left[0] = CALLS
        done.clear()
        client.send(MESSAGE)
        assert done.wait(30)

    return client, call


def synchronous(link):
    """Return what does the same by the library's calls that wait."""

    def call():
        for _ in range(CALLS):
            link.send(json.dumps(MESSAGE))
            json.loads(link.recv(timeout=5))

    return call


class Awaiting:
    """Does the same by the library's coroutines, on a loop that goes on between the rounds."""

    def __init__(self, url):
        from websockets.asyncio.client import connect

        self.loop = asyncio.new_event_loop()

        async def begin():
            return await connect(url, compression=None)

        self.link = self.loop.run_until_complete(begin())

    async def _echo(self):
        for _ in range(CALLS):
            await self.link.send(json.dumps(MESSAGE))
            json.loads(await self.link.recv())

    def __call__(self):
        self.loop.run_until_complete(self._echo())

    def close(self):
        self.loop.run_until_complete(self.link.close())
        self.loop.close()


def measure(*, quick):
    """Return the rows of this subject."""
    from websockets.sync.client import connect

    server = subprocess.Popen([sys.executable, "-c", _ECHO], stdout=subprocess.PIPE, text=True)
    url = f"ws://127.0.0.1:{int(server.stdout.readline())}/"
    try:
        client, asked = ours(url)
        other, told = handled(url)
        awaiting = Awaiting(url)
        with connect(url, compression=None) as link:
            calls = {SYNC: synchronous(link), ASYNC: awaiting, "agentnb": asked, "handler": told}
            found = by_turns(calls, rounds=8 if quick else 30, clock=perf_counter)
        for one in (client, other, awaiting):
            one.close()
    finally:
        server.kill()
        server.wait()
        server.stdout.close()
    found = {name: [each / CALLS for each in seconds] for name, seconds in found.items()}
    what = "a message of 100 B to a WebSocket and back: `send`, `receive`"
    rows = [compared(what, found, "agentnb", SYNC, target=2, others=(ASYNC,), unit="µs")]
    what = "the same, answered by a handler on its own thread"
    rows.append(compared(what, found, "handler", SYNC, target=2, others=(ASYNC,), unit="µs"))
    return rows
