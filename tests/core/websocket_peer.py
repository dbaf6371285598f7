"""A WebSocket server that does what a test says; run as a process: ``websocket_peer.py [PORT]``.

It prints its port. A message is a command: ``{"do": ...}``; what it does not know it sends back.
The path says what becomes of a handshake.
"""

from __future__ import annotations

import asyncio
import json
import sys
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import serve


def admit(connection, request):
    parts = urlsplit(request.path)
    if parts.path == "/status":
        asked = parse_qs(parts.query)
        response = connection.respond(int(asked["code"][0]), "no\n")
        if "after" in asked:
            response.headers["Retry-After"] = asked["after"][0]
        if "location" in asked:
            response.headers["Location"] = asked["location"][0]
        return response
    return None


async def talk(link):
    path = urlsplit(link.request.path).path
    if path == "/gone":
        link.transport.abort()
    elif path == "/flood":
        for n in range(20_000):
            await link.send(json.dumps(n))
        await link.send('"end"')
    elif path == "/headers":
        await link.send(json.dumps(dict(link.request.headers.raw_items())))
    async for message in link:
        try:
            asked = json.loads(message)
        except ValueError:
            asked = None
        do = DOES.get(asked.get("do")) if isinstance(asked, dict) else None
        await (link.send(message) if do is None else do(link, asked))


DOES = {
    "raw": lambda link, asked: link.send(asked["text"]),
    "bytes": lambda link, asked: link.send(bytes(asked["bytes"])),
    "large": lambda link, asked: link.send(json.dumps("x" * asked["size"])),
    "close": lambda link, asked: link.close(asked["code"], asked.get("reason", "")),
}


async def main():
    port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
    async with serve(talk, "127.0.0.1", port, process_request=admit, max_size=2**21) as server:
        sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
        sys.stdout.flush()
        await asyncio.Future()


if __name__ == "__main__":
    asyncio.run(main())
