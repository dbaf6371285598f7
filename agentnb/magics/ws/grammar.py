"""The verbs and options of ``%ws``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import rows, seconds

__all__ = ["GRAMMAR"]


_CLIENT = Option(("-c", "--client"), "which one, by its URL", "URL", live="client")

GRAMMAR = Grammar(
    "ws",
    "WebSockets that are connected again whenever they are cut off",
    (
        Verb(
            "connect",
            "connect to a URL; without one to the agentnb serve of this home",
            ("[URL]",),
            (
                Option(
                    ("--env",),
                    "the variable with the token, or, where no URL is given, with the URL",
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
            "send a message: JSON, text, or :name; or the JSON under %%ws send",
            ("[DATA]",),
            (_CLIENT,),
            live=("bound",),
            cell=True,
            twin="hub.websocket(URL).send(DATA)",
        ),
        Verb(
            "tail",
            "show messages: those that wait, then as they come",
            (),
            (
                Option(("-n", "--count"), "how many at most (default 10)", "N", rows),
                Option(
                    ("--timeout",), "stop after so many seconds (default 10)", "SECONDS", seconds
                ),
                _CLIENT,
            ),
            twin='hub.websocket(URL).receive(), or .on("message", FUNCTION)',
        ),
        Verb(
            "list",
            "the WebSockets of this notebook, with their counts",
            twin="hub.websockets.table()",
        ),
        Verb(
            "close",
            "disconnect one, and forget it",
            ("[URL]",),
            (Option(("--all",), "all of them"),),
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
)
