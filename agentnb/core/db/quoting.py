"""Names as standard SQL quotes them."""

from __future__ import annotations

__all__ = ["quoted_name"]


def quoted_name(name: str) -> str:
    """Return a name in double quotes, as SQLite, PostgreSQL and DuckDB read it.

    >>> print(quoted_name('odd "name'))
    "odd ""name"
    """
    doubled = name.replace('"', '""')
    return f'"{doubled}"'
