"""The place of an error in a statement: its line, with a caret below."""

from __future__ import annotations

__all__ = ["caret"]

_WIDTH = 76


def caret(sql: str, at: int) -> str:
    r"""Return the line of a position and, below it, a caret.

    Parameters
    ----------
    sql
        The statement.
    at
        The position, from 0.

    Examples
    --------
    >>> print(caret("select *\nform task", 9))
    line 2: form task
            ^
    """
    start = sql.rfind("\n", 0, at) + 1
    end = sql.find("\n", at)
    line = sql[start : end if end >= 0 else len(sql)]
    column = at - start
    cut = max(0, column - _WIDTH // 2)
    shown = line[cut : cut + _WIDTH].replace("\t", " ")
    before = "…" if cut else ""
    after = "…" if cut + _WIDTH < len(line) else ""
    number = f"line {sql.count(chr(10), 0, at) + 1}: " if "\n" in sql.strip() else ""
    mark = f"{number}{before}"
    return f"{mark}{shown}{after}\n{' ' * (len(mark) + column - cut)}^"
