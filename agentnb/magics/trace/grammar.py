"""The verbs and options of ``%trace``."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import count, rows, seconds

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["GRAMMAR", "with_verb"]

_SHOW = ("show",)
_FORMS = ("export", "json", "plain")


def _apart(name: str) -> tuple[str, ...]:
    return tuple(one for one in _FORMS if one != name)


_VERBS = (
    Verb(
        "show",
        "show a trace; without an ID the last cell that called a service",
        ("[ID]",),
        live=("trace",),
        twin="hub.trace.get(ID)",
    ),
    Verb(
        "list",
        "list the last traces",
        options=(
            Option(("--slow",), "of the last 200 traces the slowest first"),
            Option(("-n", "--count"), "maximum number of traces (default 20)", "N", rows),
        ),
        twin="hub.trace.list(limit=20, failed=None)",
    ),
    Verb(
        "capture",
        "write a test or a notebook that replays recorded jobs, tasks or cells",
        ("ID",),
        live=("trace",),
        options=(
            Option(("--test",), "the file of the test: tests/test_night.py", "FILE"),
            Option(("--to",), "the notebook: notebooks/night.ipynb", "NOTEBOOK"),
            Option(("--yes",), "replace files that exist"),
        ),
        twin='hub.trace.capture(ID, test="tests/test_night.py")',
    ),
)

_OPTIONS = (
    Option(("--failed",), "traces in which something failed", verbs=("show", "list")),
    Option(
        ("--live",),
        "follow a trace until nothing of it runs",
        verbs=_SHOW,
    ),
    Option(
        ("--timeout",),
        "seconds that --live follows at most (default 60)",
        "S",
        seconds,
        verbs=_SHOW,
        needs=("live",),
    ),
    Option(
        ("--export",),
        "write it to a file: .json for Perfetto and chrome://tracing, .otlp for OpenTelemetry",
        "FILE",
        verbs=_SHOW,
        apart=_apart("export"),
    ),
    Option(("--json",), "as JSON", verbs=_SHOW, apart=_apart("json")),
    Option(
        ("--plain",),
        "as text without times and ids, the same in every run",
        verbs=_SHOW,
        apart=_apart("plain"),
    ),
    Option(
        ("--depth",), "levels of the tree that are shown", "N", count, verbs=_SHOW, apart=_FORMS
    ),
    Option(("--all",), "show repeats one by one, and every row", verbs=_SHOW, apart=_FORMS),
)

_ABOUT = "what a cell, a job or a workflow caused, in every process"


class _Grammar(Grammar):
    """The grammar of a magic whose free text, an ID, never begins with a verb."""

    def fits(self, verb: Verb, line: str, at: int, namespace: Mapping[str, Any]) -> bool:  # noqa: ARG002 - as in every grammar
        """Return that each line that begins with a verb is the verb."""
        return True


GRAMMAR = _Grammar(
    "trace",
    _ABOUT,
    _VERBS,
    options=_OPTIONS,
    free="ID",
    bare="show",
    examples=(
        "%trace                    (the last cell that called a service)",
        "%trace 1b77e0             (the first six digits of an id are enough)",
        "%trace job:ID             (also workflow:NAME and event:ID)",
        "%trace -2 --depth 3       (the cell before the last one)",
        "%trace --failed",
        "%trace list --slow -n 5",
        "%trace job:ID --live",
        "%trace 1b77e0 --export trace.json",
        "%trace capture job:ID --test tests/test_night.py",
        "%trace capture cell:12 --to night.ipynb",
    ),
)


def with_verb() -> Grammar:
    """Return the grammar of a line whose verb is written, so that all of it has to fit."""
    return Grammar("trace", _ABOUT, _VERBS, options=_OPTIONS)
