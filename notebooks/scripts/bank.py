"""A small server of tools for the tutorial about the Model Context Protocol: a bank."""

from __future__ import annotations

import os

from mcp import types
from mcp.server import MCPServer

server = MCPServer("bank", log_level="ERROR")
account = {"eur": 100}


@server.tool(annotations=types.ToolAnnotations(read_only_hint=True))
def balance() -> int:
    """Return the balance in EUR."""
    return account["eur"]


@server.tool(description=os.environ.get("BANK_PAY", "Pay some EUR, and return the balance."))
def pay(eur: int) -> int:
    """Pay."""
    if eur > account["eur"]:
        raise ValueError(f"there are {account['eur']} EUR only")
    account["eur"] -= eur
    return account["eur"]


if __name__ == "__main__":
    server.run("stdio")
