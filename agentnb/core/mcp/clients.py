"""The clients of a hub, of others' servers of tools."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.closing import close_all
from agentnb.core.forking import new_lock
from agentnb.core.loop import LoopThread
from agentnb.core.mcp.client import MCPClient
from agentnb.core.mcp.pins import Pins
from agentnb.core.table import Column, Table

if TYPE_CHECKING:
    from pathlib import Path

    from agentnb.core.runtime import Runtime

__all__ = ["MCPClients"]


class MCPClients:
    """Keeps one client for each server and set of options.

    Parameters
    ----------
    folder
        The folder in the home in which the digests of tools are kept.
    runtime
        Tracer, redactor and logs.
    """

    def __init__(self, folder: Path, runtime: Runtime) -> None:
        self._pins = Pins(folder)
        self._runtime = runtime
        self._loop = LoopThread()
        self._lock = new_lock()
        self._clients: dict[tuple[Any, ...], MCPClient] = {}

    def get(self, target: str, **options: Any) -> MCPClient:
        """Return the client of a server, made on first use; it is not connected by that."""
        from agentnb.core.extras import require

        require(("mcp",), "hub.mcp", service="mcp")
        made = MCPClient(target, **options, loop=self._loop, pins=self._pins, runtime=self._runtime)
        key = (target, made.timeout, made.max_bytes, made._ask, *sorted(made._given.items()))  # noqa: SLF001 - of this package
        with self._lock:
            return self._clients.setdefault(key, made)

    def clients(self) -> list[MCPClient]:
        """Return the clients, in the order in which they were made."""
        with self._lock:
            return list(self._clients.values())

    def table(self) -> Table:
        """Return the servers of this hub, and whether each is connected."""
        rows = [
            (one.name, "connected" if one.connected else "not connected", len(one.known))
            for one in self.clients()
        ]
        columns = ("server", Column("state", "state"), "tools")
        return Table(
            columns,
            rows,
            empty='no server was used yet: hub.mcp("stdio: python server.py").tools() '
            "(%mcp tools SERVER)",
        )

    def close(self) -> None:
        """Close the clients, and stop the servers that they have started."""
        with self._lock:
            found = list(self._clients.values())
            self._clients.clear()
        try:
            close_all(one.close for one in found)
        finally:
            self._loop.close()
