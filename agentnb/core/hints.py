"""Hints for both kinds of users: Python and the command line, and magics where a shell has them.

A hint gives the Python first and the magic behind it, in parentheses::

    hub.git.status() (%git status) shows what has changed
    pull with rebase=True (--rebase)

Outside of IPython the parentheses are left out. A command of the command line has its own words
in the place of the Python: ``agentnb trace list``.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["rendered", "use_commands", "use_magics"]

_START = re.compile(r" ?\((?:%%?|--)[a-z]")
_CALL = re.compile(r"hub\.trace\.(?P<method>list|get)\((?P<arguments>[^()]*)\)")
_VERBS = {"list": "list", "get": "show"}
_shells: set[int] = set()
_commands: list[bool] = []


def use_magics(shell: object, *, on: bool) -> None:
    """Name magics in hints from now on, or until the last shell has given them up.

    Parameters
    ----------
    shell
        The shell that has the magics, or that has no longer.
    on
        True if it has them now.
    """
    (_shells.add if on else _shells.discard)(id(shell))


@contextmanager
def use_commands() -> Iterator[None]:
    """Name commands of the command line in the hints of a block.

    >>> with use_commands():
    ...     rendered("hub.trace.list(failed=True) (%trace list --failed) lists them")
    'agentnb trace list --failed lists them'
    """
    _commands.append(True)
    try:
        yield
    finally:
        _commands.pop()


def _as_command(found: re.Match[str]) -> str:
    given = found["arguments"].removesuffix("=True").strip("\"'")
    given = f"--{given}" if found["arguments"].endswith("=True") else given
    return f"agentnb trace {_VERBS[found['method']]} {given}".rstrip()


def rendered(text: str) -> str:
    """Return a hint, without the magics and their options in parentheses if no shell has them.

    Examples
    --------
    >>> rendered("hub.git.stash() (%git stash) puts changes aside")
    'hub.git.stash() puts changes aside'
    >>> rendered("give it longer with timeout= (--timeout), or ask for less")
    'give it longer with timeout=, or ask for less'
    >>> rendered("hub.git.restore('a (1).py') (%git restore 'a (1).py'); try again")
    "hub.git.restore('a (1).py'); try again"
    """
    if _commands:
        text = _CALL.sub(_as_command, text)
    if (_shells and not _commands) or ("(%" not in text and "(--" not in text):
        return text
    kept, at = [], 0
    while found := _START.search(text, at):
        end = _end_of(text, found.start())
        if end is None:
            break
        kept.append(text[at : found.start()])
        at = end
    return "".join(kept) + text[at:]


def _end_of(text: str, start: int) -> int | None:
    """Return where the first parentheses behind a place end, None if they do not."""
    depth = 0
    for at in range(start, len(text)):
        depth += (text[at] == "(") - (text[at] == ")")
        if text[at] == ")" and not depth:
            return at + 1
    return None
