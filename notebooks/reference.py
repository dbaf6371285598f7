"""Write guide/reference.md: every magic with its verbs and options, from the grammars.

python notebooks/reference.py
"""

from __future__ import annotations

import importlib
import pkgutil
from pathlib import Path
from typing import TYPE_CHECKING

import agentnb.magics
from agentnb.magics.grammar import Grammar

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.magics.grammar import Option, Verb

PAGE = Path(__file__).parent / "guide" / "reference.md"
TOP = """# Reference

Every magic with its verbs and options. `python notebooks/reference.py` writes this page from the
grammars that parse a line, print its help and complete it with Tab.

A line is `%noun [verb] [arguments] [--options]`. An argument in brackets is optional. `:name` is a
value of the notebook. JSON is decoded in place. Everything after ` -- ` is passed on unchanged.
Every magic also has `help [VERB]`, `--quiet` (no output) and `--help`.
"""


def grammars() -> list[Grammar]:
    """Return all grammars, by noun; those of a cell's first line after those of a line."""
    found: dict[tuple[str, str], Grammar] = {}
    for module in pkgutil.walk_packages(agentnb.magics.__path__, "agentnb.magics."):
        for name, value in vars(importlib.import_module(module.name)).items():
            if isinstance(value, Grammar):
                found[value.noun, name] = value
    kept = {id(grammar): grammar for _, grammar in sorted(found.items(), key=_order)}
    return list(kept.values())


def _order(entry: tuple[tuple[str, str], Grammar]) -> tuple[str, bool, str]:
    (noun, name), _ = entry
    return noun, "CELL" in name, name


def verbs(grammar: Grammar) -> list[Verb]:
    """Return the verbs of a magic without `help`, which every magic has."""
    return [verb for verb in grammar.verbs.values() if verb.name != "help"]


def page() -> str:
    """Return the reference as Markdown."""
    return "\n".join([TOP, *(line for grammar in grammars() for line in _magic(grammar))])


def _magic(grammar: Grammar) -> Iterable[str]:
    known = verbs(grammar)
    first_line = len(known) == 1 and known[0].cell  # of a cell, in which no verb is written
    yield f"## `{'%%' if first_line else '%'}{grammar.noun}`\n"
    yield f"{_sentence(grammar.about)}\n"
    if first_line:
        usage = " ".join((f"%%{grammar.noun}", *known[0].arguments))
        yield f"Write it as `{cell(usage)}`.\n"
    else:
        if grammar.free:
            yield f"A line that is not a verb is {grammar.free}.\n"
        yield from ("| Verb | What it does | In Python |", "| --- | --- | --- |")
        yield from map(_verb, known)
        yield ""
    rows = [("", option) for option in grammar.options if option.key not in ("quiet", "help")]
    rows += [(verb.name, option) for verb in known for option in verb.options]
    if rows:
        yield from ("| Option | Of | What it does |", "| --- | --- | --- |")
        yield from (_option("" if first_line else of, option) for of, option in rows)
        yield ""
    if grammar.examples:
        yield from ("```text", *grammar.examples, "```\n")


def _verb(verb: Verb) -> str:
    about = cell(verb.about) + ("; takes the cell" if verb.cell else "")
    twin = f"`{cell(verb.twin)}`" if verb.twin else ""
    return f"| `{cell(verb.usage)}` | {about} | {twin} |"


def _option(of: str, option: Option) -> str:
    of = ", ".join(option.verbs) if option.verbs else of
    return f"| `{cell(option.usage)}` | {of} | {cell(option.about)} |"


def _sentence(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}."


def cell(text: str) -> str:
    """Return text for a cell of a table."""
    return text.replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
