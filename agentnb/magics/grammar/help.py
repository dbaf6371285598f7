"""The help of a magic and of its verbs, as text."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.magics.grammar.parse import Grammar
    from agentnb.magics.grammar.verbs import Verb

__all__ = ["help_of", "help_of_verb"]


def help_of(grammar: Grammar) -> str:
    """Return the help of a magic: its verbs, its options, those of each verb, and examples."""
    usages = [(verb.usage, verb.about) for verb in grammar.verbs.values()]
    if grammar.free:
        usages.insert(0, (grammar.free, f"anything that is not a verb is {grammar.free}"))
    lines = [f"%{grammar.noun}: {grammar.about}", "", *_columns(usages)]
    lines += ["", "options:", *_columns((one.usage, one.about) for one in grammar.options)]
    for verb in grammar.verbs.values():
        if verb.options:
            lines += ["", f"options of {verb.name}:"]
            lines += _columns((one.usage, one.about) for one in verb.options)
    if twins := [(verb.name, verb.twin) for verb in grammar.verbs.values() if verb.twin]:
        lines += ["", "in Python:", *_columns(twins)]
    if grammar.examples:
        lines += ["", "examples:", *(f"  {example}" for example in grammar.examples)]
    return "\n".join(lines)


def help_of_verb(grammar: Grammar, verb: Verb) -> str:
    """Return the help of a verb, with its options before those of the whole magic."""
    lines = [f"%{grammar.noun} {verb.usage}", f"    {verb.about}"]
    lines += [f"    in Python: {verb.twin}"] if verb.twin else []
    options = grammar.options_of(verb)
    lines += ["", "options:", *_columns((one.usage, one.about) for one in options)]
    return "\n".join(lines)


def _columns(rows: Iterable[tuple[str, str]]) -> list[str]:
    rows = list(rows)
    width = max((len(first) for first, _ in rows), default=0)
    return [f"  {first:<{width}}  {second}" for first, second in rows]
