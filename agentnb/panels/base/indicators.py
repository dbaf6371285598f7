"""Values that a table draws as well as writes: in a colour, as a bar, as parts of a whole."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["TONES", "Indicator", "progress", "stacked", "state"]

TONES: Final = ("", "dim", "brand", "good", "warn", "bad")
"""Colours by what they mean; the page's theme says which they are."""


@dataclass(frozen=True, slots=True)
class Indicator:
    """The value of a cell: a text, and how it is drawn. A saved notebook keeps the text.

    Parameters
    ----------
    text
        The text, which a filter finds.
    tone
        One of `TONES`: the colour of the text, or, with `dot`, of the dot before it.
    dot
        Whether there is a dot before the text.
    parts
        Lengths of a bar from its left, as shares of 1, each with its tone.
    order
        The key by which the column is sorted; by default the text.
    about
        The tooltip; by default none.
    saved
        The text of a saved copy, such as a moment in place of "3 s ago".
    """

    text: str
    tone: str = ""
    dot: bool = False
    parts: tuple[tuple[float, str], ...] = ()
    order: float | None = None
    about: str = ""
    saved: str = ""

    def __str__(self) -> str:
        return self.text

    def shown(self, text: str) -> dict[str, object]:
        """Return what the page is sent; the text is what is left of it in one line."""
        found: dict[str, object] = {"text": text}
        if self.tone:
            found["tone"] = self.tone
        if self.dot:
            found["dot"] = 1
        if self.parts:
            found["parts"] = [[round(share, 4), tone] for share, tone in self.parts]
        if self.about:
            found["about"] = self.about
        return found


def state(word: str, tone: str = "") -> Indicator:
    """Return a state, with a dot of a colour before it.

    >>> str(state("failed", "bad"))
    'failed'
    """
    return Indicator(word, tone, dot=True)


def progress(percent: float, *, tone: str = "brand", text: str | None = None) -> Indicator:
    """Return how far something is, as a bar.

    Parameters
    ----------
    percent
        From 0 to 100; what is outside is shown as the nearer of the two.
    tone
        The bar's colour.
    text
        The text beside it; by default the percentage.

    Examples
    --------
    >>> str(progress(41.7)), progress(250).parts
    ('42 %', ((1.0, 'brand'),))
    """
    known = 0.0 if math.isnan(percent) else min(100.0, max(0.0, float(percent)))
    words = f"{known:.0f} %" if text is None else text
    return Indicator(words, parts=((known / 100, tone),), order=known)


def stacked(parts: Iterable[tuple[str, int, str]], *, whole: int | None = None) -> Indicator:
    """Return numbers as the parts of a bar, with their sum beside it.

    Parameters
    ----------
    parts
        Name, number and tone of each.
    whole
        The number of the full length; by default the sum.

    Examples
    --------
    >>> bar = stacked([("waiting", 30, "dim"), ("active", 0, "brand"), ("failed", 10, "bad")])
    >>> str(bar), bar.parts, bar.about
    ('40', ((0.75, 'dim'), (0.25, 'bad')), '30 waiting, 10 failed')
    """
    there = [(name, count, tone) for name, count, tone in parts if count > 0]
    total = sum(count for _, count, _ in there)
    full = max(total, whole or 0)
    return Indicator(
        f"{total:,}",
        parts=tuple((count / full, tone) for _, count, tone in there),
        order=total,
        about=", ".join(f"{count:,} {name}" for name, count, _ in there),
    )
