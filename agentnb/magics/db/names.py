"""Completion inside of SQL: tables, columns and keywords."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.db.catalog import Catalog

__all__ = ["sql_names"]

_KEYWORDS = (
    *("select", "from", "where", "group by", "order by", "having", "limit", "offset", "join"),
    *("left", "inner", "on", "as", "and", "or", "not", "in", "is", "null", "like", "between"),
    *("exists", "distinct", "case", "when", "then", "else", "end", "union", "all", "with"),
    *("insert", "into", "values", "update", "set", "delete", "create", "table", "view", "index"),
    *("drop", "alter", "returning", "desc", "asc", "count", "sum", "avg", "min", "max"),
    *("coalesce", "cast"),
)
_NAME = r'"?[\w.]+"?'
_TABLES = re.compile(
    rf"\b(?:from|join|into|update|table)\s+({_NAME}(?:\s*,\s*{_NAME})*)", re.IGNORECASE
)
_ALIASES = re.compile(
    rf"\b(?:from|join|into|update)\s+({_NAME})(?:\s+as)?\s+([A-Za-z_]\w*)", re.IGNORECASE
)
_WANTS_TABLE = re.compile(r"\b(?:from|join|into|update|table|describe)\s+\Z", re.IGNORECASE)
_AFTER_DOT = re.compile(r"([A-Za-z_]\w*)\.\w*\Z")


def sql_names(
    catalog: Catalog, before: str, word: str, text: str, frames: Sequence[str] = ()
) -> list[tuple[str, str]]:
    """Return the names that fit, each with its kind.

    Parameters
    ----------
    catalog
        The names of the database in use.
    before
        The SQL in front of the word that is being typed.
    word
        The word itself, as far as it has been typed.
    text
        The whole cell, whose tables tell which columns fit.
    frames
        Frames of the notebook that are tables, too.
    """
    tables = [*catalog.tables(word), *frames]
    if _WANTS_TABLE.search(before):
        return [(name, "table") for name in tables]
    mentioned = [
        name.strip().strip('"') for found in _TABLES.findall(text) for name in found.split(",")
    ]
    if dotted := _AFTER_DOT.search(word):
        alias = dotted[1]
        aliases = {second: first.strip('"') for first, second in _ALIASES.findall(text)}
        columns = catalog.columns(str(aliases.get(alias, alias)))
        return [(f"{alias}.{column}", "column") for column in columns]
    known = {*tables, *catalog.tables("agentnb"), *(name for name in mentioned if "." in name)}
    columns = [column for name in mentioned if name in known for column in catalog.columns(name)]
    names = [(column, "column") for column in dict.fromkeys(columns)]
    return [
        *names,
        *((name, "table") for name in tables),
        *((word, "keyword") for word in _KEYWORDS),
    ]
