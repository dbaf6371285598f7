"""Print the changes of prices as they come, over the WebSocket of `agentnb serve`."""

from __future__ import annotations

import asyncio

import agentnb


async def watch(hub: agentnb.Hub) -> None:
    """Print each change; the client connects again by itself after an outage."""
    client = hub.websocket()  # of the `agentnb serve` that runs in this home

    async def subscribe() -> None:
        await client.asend({"type": "subscribe", "channels": ["price", "report"]})

    client.on("connected", subscribe)
    await client.aconnect()
    async for message in client:
        if message["type"] == "event":  # else the answer to a subscription
            print(message["channel"], message["data"], flush=True)


async def main() -> None:
    """Watch until Ctrl-C."""
    async with agentnb.connect() as hub:
        await hub.aopen("websocket")
        await watch(hub)


if __name__ == "__main__":
    asyncio.run(main())
