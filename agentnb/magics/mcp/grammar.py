"""The verbs and options of ``%mcp``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import seconds

__all__ = ["GRAMMAR"]

_SERVER = Option(
    ("-s", "--server"), "the server (default: the one used last)", "SERVER", live="server"
)
_TIMEOUT = Option(("--timeout",), "stop after SECONDS (default 30)", "SECONDS", seconds)
_ENV = Option(
    ("--env",),
    "environment variable that the server is given; for a URL, the one that holds its token",
    "VARIABLE",
    live="variable",
)

GRAMMAR = Grammar(
    "mcp",
    "tools of other programs' servers (Model Context Protocol)",
    (
        Verb(
            "tools",
            "list the tools of a server: a URL, or stdio: and its command, in quotes",
            ("[SERVER]",),
            (_ENV, _TIMEOUT),
            live=("server",),
            twin="hub.mcp(SERVER).tools()",
        ),
        Verb(
            "call",
            "call a tool; its arguments are a JSON object or :name",
            ("TOOL", "[ARGUMENTS]"),
            (_SERVER,),
            live=("tool", "bound"),
            twin="hub.mcp(SERVER).call(TOOL, **ARGUMENTS)",
        ),
        Verb(
            "accept",
            "accept a tool that has changed since its first use",
            ("TOOL",),
            (_SERVER,),
            live=("tool",),
            twin="hub.mcp(SERVER).accept(TOOL)",
        ),
        Verb(
            "list",
            "list the servers of this notebook",
            twin="hub.mcp_servers.table()",
        ),
        Verb(
            "close",
            "close the connection to a server, and stop it if it was started here",
            ("[SERVER]",),
            live=("server",),
            twin="hub.mcp(SERVER).close()",
        ),
    ),
    examples=(
        '%mcp tools "stdio: python bank.py"',
        '%mcp call pay {"n": 4}',
        "%mcp tools https://example.com/mcp --env EXAMPLE_TOKEN",
    ),
    service="mcp",
)
