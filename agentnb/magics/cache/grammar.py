"""The verbs and options of ``%cache``, and those of ``%%cache``."""

from __future__ import annotations

from agentnb.magics.grammar import Grammar, Option, Verb
from agentnb.magics.grammar.values import names, rows

__all__ = ["CELL", "GRAMMAR"]

_TTL = Option(("--ttl",), "keep it so many seconds (default 3600)", "SECONDS", float)
_TAG = Option(("--tag",), "find it by these tags too: a,b", "TAGS", names, adds=True)

GRAMMAR = Grammar(
    "cache",
    "values by key, shared by every process that uses the same server",
    (
        Verb("get", "the value of a key", ("KEY",), live=("key",)),
        Verb(
            "set",
            "store a value: JSON, text, or :name",
            ("KEY", "VALUE"),
            (_TTL, _TAG),
            live=("key", "bound"),
        ),
        Verb("ttl", "the seconds that a value has left", ("KEY",), live=("key",)),
        Verb(
            "list",
            "the keys that match a pattern",
            ("[PATTERN]",),
            (Option(("-n", "--count"), "how many at most (100)", "N", rows),),
            live=("key",),
        ),
        Verb("rm", "remove a key", ("KEY",), live=("key",)),
        Verb(
            "invalidate",
            "remove the keys that match a pattern, or have a tag",
            ("[PATTERN]",),
            (
                Option(("--tag",), "those that were stored with a tag", "TAGS", names, adds=True),
                Option(("--yes",), "however many they are"),
            ),
            live=("key",),
        ),
        Verb("stats", "hits, misses, and how many keys there are"),
        Verb("panel", "a browser of keys and values"),
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
    "run a cell once and serve what it displayed and assigned after that",
    (
        Verb(
            "cell",
            "the key it is kept under",
            ("KEY",),
            (
                _TTL,
                _TAG,
                Option(
                    ("--on",),
                    "run again when these variables change: a,b",
                    "NAMES",
                    names,
                    adds=True,
                    live="variable",
                ),
            ),
            live=("key",),
            cell=True,
        ),
    ),
)
