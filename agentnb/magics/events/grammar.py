"""The verbs and options of ``%events``."""

from __future__ import annotations

from dataclasses import replace

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import count, rows, seconds

__all__ = ["GRAMMAR"]


_ACTS = ("replay", "discard")
_COUNT = Option(("-n", "--count"), "how many at most", "N", rows)

GRAMMAR = Grammar(
    "events",
    "events between notebooks, processes and machines; %%events on CHANNEL makes a cell a handler",
    (
        Verb(
            "publish",
            "publish an event: JSON, text, or :name",
            ("CHANNEL", "[DATA]"),
            (
                Option(("--correlation",), "a correlation id, free text", "ID"),
                Option(("--passing",), "do not keep it in the log"),
            ),
            live=("channel", "bound"),
            twin="hub.events.publish(CHANNEL, DATA, correlation_id=..., durable=...)",
        ),
        Verb(
            "history",
            "the last events that the log has",
            ("[PATTERN]",),
            (_COUNT, Option(("--since",), "of the last so many seconds", "SECONDS", seconds)),
            live=("channel",),
            twin="hub.events.history(PATTERN, N, since=...)",
        ),
        Verb(
            "tail",
            "show events as they come",
            ("[PATTERN]",),
            (_COUNT, Option(("--timeout",), "stop after so many seconds", "SECONDS", seconds)),
            live=("channel",),
            twin="hub.events.stream(PATTERN), or .wait_for(PATTERN, SECONDS)",
        ),
        Verb(
            "on",
            "make the cell a handler, with `event` in scope",
            ("PATTERN",),
            (
                Option(("--replay",), "give it the last events of before first", "N", count),
                Option(("--queue",), "how many events may wait (default 1000)", "N", count),
                Option(
                    ("--overflow",),
                    "what happens when more do",
                    choices=("drop_oldest", "drop_newest", "reread"),
                ),
                Option(("--schema",), "a class that event.data is made of", "NAME", live="schema"),
            ),
            live=("channel",),
            cell=True,
            twin="hub.events.subscribe(PATTERN, FUNCTION, replay=..., schema=...)",
        ),
        Verb(
            "list",
            "the handlers of this notebook, with their counts",
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
            "events that were not handled, with the error",
            (),
            (
                replace(_COUNT, apart=_ACTS),
                Option(
                    ("--replay",),
                    "hand one to its handler again, or all",
                    "ID|all",
                    apart=("discard",),
                ),
                Option(("--discard",), "remove one, or all", "ID|all"),
                Option(("--yes",), "however many they are", needs=_ACTS),
            ),
            twin="hub.events.dead_letters(), .replay(LETTER), .discard(LETTER)",
        ),
        Verb("panel", "a live view of all channels", twin='hub.panel("events")'),
    ),
    examples=(
        '%events publish agent.task.completed {"task_id": "task-456"}',
        "%events history agent.* --count 20",
        "%events tail agent.* --count 5 --timeout 30",
        "%%events on agent.*     (the cell's body handles each event, as `event`)",
    ),
)
