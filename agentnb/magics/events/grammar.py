"""The verbs and options of ``%events``."""

from __future__ import annotations

from dataclasses import replace

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import count, rows, seconds

__all__ = ["GRAMMAR"]


_ACTS = ("replay", "discard")
_COUNT = Option(("-n", "--count"), "maximum number", "N", rows)

GRAMMAR = Grammar(
    "events",
    "events between notebooks, processes and machines; %%events on CHANNEL makes a cell a handler",
    (
        Verb(
            "publish",
            "publish an event: JSON, text or :name",
            ("CHANNEL", "[DATA]"),
            (
                Option(("--correlation",), "a correlation id, free text", "ID"),
                Option(("--no-durable",), "do not keep it in the log"),
                Option(("--passing",), "deprecated name of --no-durable"),
            ),
            live=("channel", "bound"),
            twin="hub.events.publish(CHANNEL, DATA, correlation_id=..., durable=...)",
        ),
        Verb(
            "history",
            "list the last events of the log",
            ("[PATTERN]",),
            (_COUNT, Option(("--since",), "only events of the last SECONDS", "SECONDS", seconds)),
            live=("channel",),
            twin="hub.events.history(PATTERN, N, since=...)",
        ),
        Verb(
            "tail",
            "show events as they come",
            ("[PATTERN]",),
            (_COUNT, Option(("--timeout",), "stop after SECONDS", "SECONDS", seconds)),
            live=("channel",),
            twin="hub.events.stream(PATTERN), or .wait_for(PATTERN, SECONDS)",
        ),
        Verb(
            "on",
            "make the cell a handler, with `event` in scope",
            ("PATTERN",),
            (
                Option(("--replay",), "start with the last N events of the log", "N", count),
                Option(("--queue",), "maximum number of waiting events (default 1000)", "N", count),
                Option(
                    ("--overflow",),
                    "policy for further events",
                    choices=("drop_oldest", "drop_newest", "reread"),
                ),
                Option(
                    ("--schema",),
                    "the class that event.data is converted to",
                    "NAME",
                    live="schema",
                ),
            ),
            live=("channel",),
            cell=True,
            twin="hub.events.subscribe(PATTERN, FUNCTION, replay=..., schema=...)",
        ),
        Verb(
            "list",
            "list the handlers of this notebook, with their counts",
            twin="hub.events.subscriptions()",
        ),
        Verb(
            "unsubscribe",
            "remove every handler of a channel",
            ("PATTERN",),
            live=("subscribed",),
            twin="hub.events.unsubscribe(PATTERN)",
        ),
        Verb(
            "dead",
            "list dead letters: events whose handler failed, with the error",
            (),
            (
                replace(_COUNT, apart=_ACTS),
                Option(
                    ("--replay",),
                    "hand one, or all, to its handler again",
                    "ID|all",
                    apart=("discard",),
                ),
                Option(("--discard",), "remove one, or all", "ID|all"),
                Option(("--yes",), "do not ask, even for many letters", needs=_ACTS),
            ),
            twin="hub.events.dead_letters(), .replay(LETTER), .discard(LETTER)",
        ),
        Verb("panel", "watch all channels live", twin='hub.panel("events")'),
    ),
    examples=(
        '%events publish agent.task.completed {"task_id": "task-456"}',
        "%events history agent.* --count 20",
        "%events tail agent.* --count 5 --timeout 30",
        "%%events on agent.*     (the cell's body handles each event, as `event`)",
    ),
)
