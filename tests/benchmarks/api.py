"""Calls of an API beside a bare httpx client that is kept."""

from __future__ import annotations

import asyncio
import json
import logging
import subprocess
import sys
from pathlib import Path
from time import perf_counter

import peers
from rounds import by_turns, compared, scratch

CALLS = 50
RAW = "httpx"
DATA = {"id": 7, "name": "plan the release", "tags": ["a", "b"], "body": "x" * 100}

# Answers whatever it is asked with the same JSON, a path that begins with /s with a stream of two
# events, and keeps connections open.
_SERVER = """
import asyncio, sys
BODY = sys.argv[1].encode()
HEAD = b"HTTP/1.1 200 OK\\r\\nContent-Type: application/json\\r\\nContent-Length: %d\\r\\n\\r\\n"
REPLY = HEAD % len(BODY) + BODY
EVENT = b"data: " + BODY + b"\\n\\n"
STREAM = b"HTTP/1.1 200 OK\\r\\nContent-Type: text/event-stream\\r\\n"
STREAM += b"Transfer-Encoding: chunked\\r\\n\\r\\n"
STREAM += (b"%x\\r\\n%b\\r\\n" % (len(EVENT), EVENT)) * 2 + b"0\\r\\n\\r\\n"
class Server(asyncio.Protocol):
    def connection_made(self, transport):
        self.transport, self.came = transport, b""
    def data_received(self, data):
        self.came += data
        while b"\\r\\n\\r\\n" in self.came:
            head, _, rest = self.came.partition(b"\\r\\n\\r\\n")
            found = head.lower().partition(b"content-length: ")[2].split(b"\\r\\n")[0]
            size = int(found or 0)
            if len(rest) < size:
                return
            self.came = rest[size:]
            self.transport.write(STREAM if b" /s" in head[:8] else REPLY)
async def main():
    server = await asyncio.get_running_loop().create_server(Server, "127.0.0.1", 0)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()
asyncio.run(main())
"""


def server():
    """Start the server, and return its process and address."""
    words = [sys.executable, "-c", _SERVER, json.dumps(DATA)]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    return process, f"http://127.0.0.1:{process.stdout.readline().strip()}"


def compare(calls, rounds):
    """Return the seconds of one call, by name."""
    repeated = {name: peers.repeated(call, CALLS) for name, call in calls.items()}
    found = by_turns(repeated, rounds=rounds, clock=perf_counter)
    return {name: [each / CALLS for each in seconds] for name, seconds in found.items()}


def awaited(api, url, rounds):
    """Return the seconds of one awaited call, by name."""
    import httpx

    loop = asyncio.new_event_loop()
    client = httpx.AsyncClient(base_url=url)

    async def raw():
        for _ in range(CALLS):
            (await client.get("/x")).json()

    async def ours():
        for _ in range(CALLS):
            await api.aget("/x")

    calls = {
        RAW: lambda: loop.run_until_complete(raw()),
        "agentnb": lambda: loop.run_until_complete(ours()),
    }
    try:
        found = by_turns(calls, rounds=rounds, clock=perf_counter)
    finally:
        loop.run_until_complete(client.aclose())
        loop.run_until_complete(api.aclose())
        loop.close()
    return {name: [each / CALLS for each in seconds] for name, seconds in found.items()}


def first_byte(opened, pieces):
    """Return the seconds from a call to the first byte of its streamed reply, which is read on."""
    begun = perf_counter()
    with opened() as reply:
        coming = pieces(reply)
        next(coming)
        seconds = perf_counter() - begun
        for _ in coming:
            pass
    return seconds


def streamed(api, client, rounds):
    """Return the seconds to the first byte of a streamed reply, by name."""
    calls = {
        RAW: lambda: first_byte(lambda: client.stream("GET", "/s"), lambda r: r.iter_bytes()),
        "agentnb": lambda: first_byte(lambda: api.stream("GET", "/s"), lambda r: r.bytes()),
    }
    found = {name: [] for name in calls}
    for turn in range(rounds + 1):
        for name, call in calls.items():
            seconds = [call() for _ in range(CALLS)]
            if turn:  # the first opens the connections
                found[name].append(sum(seconds) / CALLS)
    return found


def measure(*, quick):
    """Return the rows of this subject."""
    import httpx

    import agentnb
    from agentnb.core.trace import LogFile

    rounds = 10 if quick else 40
    process, url = server()
    rows = []
    try:
        with scratch(), agentnb.connect() as hub, httpx.Client(base_url=url) as client:
            api = hub.api(url)
            calls = {
                RAW: lambda: client.get("/x").json(),
                "agentnb": lambda: api.get("/x"),
            }
            what = "GET of 200 B of JSON; logging, retry, breaker and span on"
            found = compare(calls, rounds)
            rows.append(compared(what, found, "agentnb", RAW, target=1.25, unit="µs"))
            calls = {
                RAW: lambda: client.post("/x", json=DATA).json(),
                "agentnb": lambda: api.post("/x", DATA),
            }
            found = compare(calls, rounds)
            what = "POST of 200 B of JSON, as above"
            rows.append(compared(what, found, "agentnb", RAW, target=1.25, unit="µs"))
            found = streamed(api, client, rounds)
            what = "first byte of a streamed reply, as above"
            rows.append(compared(what, found, "agentnb", RAW, target=1.3, unit="µs"))
            found = awaited(hub.api(url, timeout=29), url, rounds)
            what = "GET, awaited, as above"
            rows.append(compared(what, found, "agentnb", RAW, target=1.25, unit="µs"))
            with LogFile(Path("debug"), redactor=hub.settings.redactor, level=logging.DEBUG) as log:
                calls = {
                    RAW: lambda: client.get("/x").json(),
                    "agentnb": lambda: api.get("/x"),
                }
                found = compare(calls, rounds)
                assert log.path.stat().st_size > 1000
            what = "GET, request and reply also logged at debug, written to a file"
            rows.append(compared(what, found, "agentnb", RAW, target=1.25, unit="µs"))
    finally:
        process.kill()
        process.wait()
        process.stdout.close()
    return rows
