"""Hints for both kinds of users: Python and the command line, and magics where a shell has them.

A hint gives the Python first and the magic behind it, in parentheses::

    hub.git.status() (%git status) shows what has changed
    pull with rebase=True (--rebase)

Outside of IPython the parentheses are left out.
"""

from __future__ import annotations

import re

__all__ = ["rendered", "use_magics"]

_START = re.compile(r" ?\((?:%%?|--)[a-z]")
_shells: set[int] = set()


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
    if _shells or ("(%" not in text and "(--" not in text):
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
