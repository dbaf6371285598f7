"""The verbs and options of ``%cache``, and those of ``%%cache``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import names, rows, seconds

__all__ = ["CELL", "GRAMMAR"]

_TTL = Option(("--ttl",), "seconds that it is kept (default 3600)", "SECONDS", seconds)
_TAG = Option(("--tag",), "tags for invalidate --tag: a,b", "TAGS", names, adds=True)

GRAMMAR = Grammar(
    "cache",
    "values by key, shared by every process that uses the same server",
    (
        Verb("get", "return the value of a key", ("KEY",), live=("key",)),
        Verb(
            "set",
            "store a value: JSON, text, or :name",
            ("KEY", "VALUE"),
            (_TTL, _TAG),
            live=("key", "bound"),
        ),
        Verb("ttl", "return a value's remaining seconds", ("KEY",), live=("key",)),
        Verb(
            "list",
            "list the keys that match a pattern",
            ("[PATTERN]",),
            (Option(("-n", "--count"), "maximum number of keys (default 100)", "N", rows),),
            live=("key",),
        ),
        Verb("rm", "remove a key", ("KEY",), live=("key",)),
        Verb(
            "invalidate",
            "remove the keys that match a pattern, or have a tag",
            ("[PATTERN]",),
            (
                Option(
                    ("--tag",), "the keys that were stored with a tag", "TAGS", names, adds=True
                ),
                Option(("--yes",), "do not ask, even for many keys"),
            ),
            live=("key",),
        ),
        Verb("stats", "show hits, misses and the number of keys"),
        Verb("panel", "browse keys and values"),
    ),
    examples=(
        '%cache set rates {"EUR": 1.1} --ttl 60 --tag prices',
        "%cache list rates*",
        "%cache invalidate --tag prices",
        "%%cache report --ttl 600 --on year     (the cell runs once; a changed year runs it again)",
    ),
)

CELL = Grammar(
    "cache",
    "run a cell once, then serve its output, its value and the names it assigned",
    (
        Verb(
            "cell",
            "run the cell, or serve its stored outcome",
            ("KEY",),
            (
                _TTL,
                _TAG,
                Option(
                    ("--on",),
                    "run again when these variables change: a,b; auto: all that it reads; auto,-a",
                    "NAMES",
                    names,
                    adds=True,
                    live="variable",
                ),
                Option(("--rerun",), "run the cell now, and keep its new outcome"),
                Option(("--no-output",), "keep the value and the names, not what it prints"),
            ),
            live=("key",),
            cell=True,
        ),
    ),
)
