"""A saved copy of a panel: absolute times, and nothing that only a live panel can do."""

from __future__ import annotations

import datetime as dt
import re
from html import escape, unescape

__all__ = ["Instruction", "absolute", "html_of", "moment", "saved_html", "saved_words"]

_LIVE = re.compile(r"<span data-live>[^<]*</span>|<button\b[^>]*>[^<]*</button>", re.IGNORECASE)
_TIME = re.compile(r'<time data-saved="([^"]*)">[^<]*</time>')
_TAG = re.compile(r"<[^>]*>")


class Instruction(str):
    """A text that only a live panel can follow, such as to click on a row.

    A saved copy leaves it out.
    """

    __slots__ = ()


def absolute(seconds: float) -> str:
    """Return a moment, in seconds since the epoch, as a date and a time with their offset.

    >>> len(absolute(0))
    25
    """
    moment = dt.datetime.fromtimestamp(seconds, dt.UTC).astimezone()
    return moment.isoformat(sep=" ", timespec="seconds")


def html_of(text: str) -> str:
    """Return a text as HTML that `saved_html` can tell from an instruction.

    >>> html_of("a < b"), html_of(Instruction("Click on a row."))
    ('a &lt; b', '<span data-live>Click on a row.</span>')
    """
    html = escape(text)
    return f"<span data-live>{html}</span>" if isinstance(text, Instruction) else html


def moment(words: str, seconds: float, *, before: str = "") -> str:
    """Return a moment as HTML: relative in a live panel, absolute in a saved copy.

    Parameters
    ----------
    words
        The text of a live panel.
    seconds
        The moment, in seconds since the epoch.
    before
        The prefix in a saved copy, such as ``"until "``.

    Examples
    --------
    >>> moment("3 s ago", 0).endswith('">3 s ago</time>')
    True
    """
    return f'<time data-saved="{escape(before)}{absolute(seconds)}">{escape(words)}</time>'


def saved_html(html: str) -> str:
    """Return HTML of a live panel as a saved copy has it.

    >>> saved_html('<time data-saved="2026-01-05">now</time><span data-live>Click</span>')
    '2026-01-05'
    """
    return _TIME.sub(r"\1", _LIVE.sub("", html))


def saved_words(html: str) -> str:
    """Return what is left of HTML in plain text."""
    lines = saved_html(html).replace("</div>", "\n")
    return unescape(_TAG.sub("", lines)).strip("\n")
