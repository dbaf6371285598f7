"""Cells as text, the way a table shows them."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from agentnb.core.format import cut
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

__all__ = ["LONGEST", "cell", "cells"]

LONGEST = 200
"""Characters of a cell at most."""


def cell(value: Any, kind: str | None = None) -> str | None:
    """Return a value as a table shows it, in at most 200 characters; None for NULL.

    >>> cell(2.50), cell(None), cell(b"abc"), len(cell("x" * 1000))
    ('2.5', None, '<3 bytes>', 120)
    """
    if value is None:
        return None
    try:
        return cut(text_of(value, kind), LONGEST)
    except ValueError:
        if isinstance(value, int):
            return f"<an integer of more than {sys.get_int_max_str_digits():,} digits>"
    except Exception:  # noqa: BLE001, S110 - a class of the user's
        pass
    return f"<{type(value).__name__}>"


def cells(
    rows: Iterable[Sequence[Any]], kinds: Sequence[str | None]
) -> tuple[tuple[str | None, ...], ...]:
    """Return rows as cells."""
    return tuple(
        tuple(cell(value, kind) for value, kind in zip(row, kinds, strict=True)) for row in rows
    )
