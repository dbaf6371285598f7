"""The verbs and options of ``%ws``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import rows, seconds

__all__ = ["GRAMMAR"]


_CLIENT = Option(("-c", "--client"), "the WebSocket, by its URL", "URL", live="client")

GRAMMAR = Grammar(
    "ws",
    "WebSockets that reconnect whenever they are cut off",
    (
        Verb(
            "connect",
            "connect to a URL; default: the agentnb serve of this home",
            ("[URL]",),
            (
                Option(
                    ("--env",),
                    "environment variable of the token, or of the URL if none is given",
                    "VARIABLE",
                    live="variable",
                ),
                Option(("--text",), "messages are text or bytes, not JSON"),
                Option(("--reconnect",), "pause after a drop (default 5)", "SECONDS", seconds),
            ),
            live=("client",),
            twin="hub.websocket(URL, headers=...).connect()",
        ),
        Verb(
            "send",
            "send a message: JSON, text or :name; %%ws send takes the cell",
            ("[DATA]",),
            (_CLIENT,),
            live=("bound",),
            cell=True,
            twin="hub.websocket(URL).send(DATA)",
        ),
        Verb(
            "tail",
            "show waiting messages, then further ones as they arrive",
            (),
            (
                Option(("-n", "--count"), "maximum number of messages (default 10)", "N", rows),
                Option(("--timeout",), "stop after SECONDS (default 10)", "SECONDS", seconds),
                _CLIENT,
            ),
            twin='hub.websocket(URL).receive(), or .on("message", FUNCTION)',
        ),
        Verb(
            "list",
            "list the WebSockets of this notebook, with their counts",
            twin="hub.websockets.table()",
        ),
        Verb(
            "close",
            "disconnect a WebSocket and forget it",
            ("[URL]",),
            (Option(("--all",), "close all"),),
            live=("client",),
            twin="hub.websockets.close_client(URL)",
        ),
    ),
    examples=(
        "%ws connect     (the agentnb serve of this home)",
        "%ws connect wss://example.com/ws --env EXAMPLE_TOKEN",
        '%ws send {"type": "subscribe", "channels": ["workflows"]}',
        "%ws tail --count 5 --timeout 30",
    ),
    service="websocket",
)
