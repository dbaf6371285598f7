"""The line above a kept outcome, and the note about values that were not kept."""

from __future__ import annotations

from html import escape
from time import localtime, strftime, time
from typing import TYPE_CHECKING, Any, NoReturn

from agentnb.core.errors import NotFoundError
from agentnb.core.format import ago, duration, time_left

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.cache.outcome import CellOutcome

__all__ = ["NotKept", "bind_missing", "is_drawing", "line_of", "show_note", "unkept_note"]

_DAY = 86_400
_MOST_ITEMS = 1_000
_DRAWINGS = frozenset({"matplotlib", "mpl_toolkits", "PIL"})


class NotKept:
    """Stands for the value of a name that ``%%cache`` has not kept, such as a figure.

    Parameters
    ----------
    key, name
        The cell's key, and the name.
    kind
        The class of the value.
    """

    def __init__(self, key: str, name: str, kind: str) -> None:
        self._words = key, name, kind

    def __repr__(self) -> str:
        _, name, kind = self._words
        return f"<{name}, a {kind}, is not kept by %%cache>"

    def __getattr__(self, attribute: str) -> NoReturn:
        if attribute.startswith("_"):  # what asks IPython, copy or pickle
            raise AttributeError(attribute)
        key, name, kind = self._words
        raise NotFoundError(
            f"{name} is a {kind}, which %%cache does not keep",
            service="cache",
            hint=f"%%cache {key} --rerun makes it again",
        )


def is_drawing(value: Any) -> bool:
    """Return whether a value is a drawing or its parts: it is shown again, and not kept.

    >>> is_drawing(1), is_drawing([])
    (False, False)
    """
    if type(value).__module__.partition(".")[0] in _DRAWINGS:
        return True
    if type(value).__name__ == "ndarray" and str(value.dtype) == "object":
        value = value.ravel().tolist()
    if isinstance(value, dict):
        value = list(value.values())
    if not isinstance(value, (list, tuple)) or not 0 < len(value) <= _MOST_ITEMS:
        return False
    return all(map(is_drawing, value))


def bind_missing(names: dict[str, Any], key: str, missing: dict[str, str]) -> None:
    """Give names whose values were not kept a value that says so, unless they have theirs."""
    for name, kind in missing.items():
        there = names.get(name)
        if f"{type(there).__module__}.{type(there).__qualname__}" != kind:
            names[name] = NotKept(key, name, kind)


def unkept_note(kept: CellOutcome) -> str:
    """Return the note about the parts of an outcome that were not kept; empty for none."""
    parts = []
    if kept.missing:
        names = ", ".join(kept.missing)
        parts.append(f"{names} {'is' if len(kept.missing) == 1 else 'are'} not kept")
    if not kept.valued:
        kind = type(kept.value).__name__
        parts.append(f"of the displayed {kind} only what it shows is kept")
    return "; ".join(parts)


def line_of(key: str, kept: CellOutcome, now: float) -> str:
    """Return when an outcome was made, how long that took, and when the cell runs again.

    >>> from agentnb.core.cache.outcome import CellOutcome
    >>> line_of("rates", CellOutcome(1, took=32.1, left=3300), 0.0)
    '%%cache rates: kept; runs again in 55 min, or by --rerun'
    """
    parts = ["kept"]
    if kept.at is not None:
        age = now - kept.at
        form = "%H:%M" if 0 <= age < _DAY else "%Y-%m-%d %H:%M"
        parts = [f"from {strftime(form, localtime(kept.at))} ({ago(age)})"]
        parts.append(f"took {duration(kept.took)}")
    if kept.number is not None:
        parts.append(f"cell [{kept.number}]")
    again = "" if kept.left is None else f" in {time_left(kept.left)}, or"
    line = f"%%cache {key}: {', '.join(parts)}; runs again{again} by --rerun"
    if kept.unsigned:
        line += "; what it showed was kept by another home, and is not shown"
    if kept.missing:
        line += f"; not kept: {', '.join(kept.missing)}"
    return line


def show_note(shell: Any, key: str, kept: CellOutcome, unnamed: Sequence[str]) -> None:
    """Show the line, where a person is: not where a notebook is run and compared.

    A program that runs notebooks sends no id of the cell; a terminal has no kernel.
    """
    from agentnb.panels.base.registry import cell_id

    if getattr(shell, "kernel", None) is not None and cell_id(shell) is None:
        return
    line = line_of(key, kept, time())
    if unnamed:
        line += f"; reads {', '.join(unnamed)} (not in --on)"
    html = f'<small style="opacity: .6">{escape(line)}</small>'
    shell.display_pub.publish({"text/plain": line, "text/html": html})
