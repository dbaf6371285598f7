"""Hints for mistyped names."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["did_you_mean"]

_CANDIDATES = 5
_PREFIX = 3  # letters
_SHORT, _MIDDLE, _LONG = 4, 7, 16
_LISTED = 12
_TYPED = 1000


def did_you_mean(word: str, known: Iterable[str], kind: str = "") -> str | None:
    """Return a hint with the nearest of the known names.

    A name is near if it differs by a typing error or two: a letter more, less, wrong, or two
    exchanged; or if the word is how it begins.

    Parameters
    ----------
    word
        The word as it was typed.
    known
        The names there are.
    kind
        The kind of the names, in the plural: the hint then lists them where none is near.

    Returns
    -------
    str or None
        None if no name is near and no kind is given, or there are no names.

    Examples
    --------
    >>> did_you_mean("tabels", ["tables", "describe"])
    'did you mean tables?'
    >>> did_you_mean("fork", ["work", "list"], "verbs")
    'verbs: work, list'
    """
    names = list(dict.fromkeys(known))
    # A caller may have given anything; a name of that length is no typing error.
    near = _nearest(word, names) if isinstance(word, str) and len(word) <= _TYPED else None
    if near is not None:
        return f"did you mean {near}?"
    if not kind or not names:
        return None
    more = len(names) - _LISTED
    rest = f" and {more:,} more" if more > 0 else ""
    return f"{kind}: {', '.join(names[:_LISTED])}{rest}"


def _nearest(word: str, names: Sequence[str]) -> str | None:
    import difflib

    typed = _plain(word)
    plain = {_plain(name): name for name in names}
    if typed in plain:
        return plain[typed]
    close = difflib.get_close_matches(typed, plain, n=_CANDIDATES, cutoff=0.5)
    # Of two that are as near, the one with the same beginning.
    by_distance = sorted(
        (_distance(typed, one), -_same_beginning(typed, one), at, one)
        for at, one in enumerate(close)
    )
    for distance, *_, one in by_distance:
        if _is_near(typed, one, distance):
            return plain[one]
    begun = [one for one in plain if len(typed) >= _PREFIX and one.startswith(typed)]
    return plain[min(begun, key=len)] if begun else None


def _same_beginning(one: str, other: str) -> int:
    """Return how many letters two words begin with alike."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _plain(name: str) -> str:
    return name.casefold().lstrip("-")


def _is_near(word: str, name: str, distance: int) -> bool:
    """Return whether a distance is that of a typing error.

    The first letter is seldom wrong: in a short word another one makes another word.
    """
    length = max(len(word), len(name))
    allowed = 1 if length <= _SHORT else 2 if length <= _LONG else 3
    if sorted(word) == sorted(name):
        return distance <= allowed
    if length == len(word) == len(name) and word[:1] != name[:1] and length <= _MIDDLE:
        return False
    return distance <= allowed and distance < length


def _distance(one: str, other: str) -> int:
    """Return how many letters to insert, remove, replace or exchange with the next.

    Source: optimal string alignment, https://en.wikipedia.org/wiki/Damerau-Levenshtein_distance
    """
    before: list[int] = []
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        earlier, before, row = before, row, [i]
        for j, b in enumerate(other, 1):
            cost = min(before[j] + 1, row[j - 1] + 1, before[j - 1] + (a != b))
            if i > 1 and j > 1 and a == other[j - 2] and one[i - 2] == b:
                cost = min(cost, earlier[j - 2] + 1)
            row.append(cost)
    return row[-1]
