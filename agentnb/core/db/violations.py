"""Refusals of a database, as the error of their SQLSTATE."""

from __future__ import annotations

from agentnb.core.errors import (
    CheckViolation,
    ConstraintViolation,
    ForeignKeyViolation,
    NotNullViolation,
    QueryRejected,
    UniqueViolation,
)

__all__ = ["CHECK", "EXISTS", "FOREIGN_KEY", "NOT_NULL", "UNIQUE", "refusal"]

# Source: https://www.postgresql.org/docs/current/errcodes-appendix.html, class 23
CHECK, FOREIGN_KEY, NOT_NULL, UNIQUE = "23514", "23503", "23502", "23505"
# A table, an index or a view; the others are a schema, any other object, a function, and MySQL's.
EXISTS = "42P07"
_OTHERS_EXIST = ("42P06", "42710", "42723", "42S01")

_KINDS: dict[str, type[ConstraintViolation]] = {
    CHECK: CheckViolation,
    FOREIGN_KEY: ForeignKeyViolation,
    NOT_NULL: NotNullViolation,
    UNIQUE: UniqueViolation,
}
_HINTS = {
    CHECK: "give a value that the check allows: hub.db.describe(TABLE) shows the columns",
    FOREIGN_KEY: "insert a row before those that refer to it, and delete it after them",
    NOT_NULL: "give the column a value, or the table a default for it",
    UNIQUE: "give another key, or update the row that has this one",
    **dict.fromkeys((EXISTS, *_OTHERS_EXIST), "take another name, or drop what has this one first"),
}


def refusal(
    text: str, state: str | None, *, hint: str | None = None, constraint: str | None = None
) -> QueryRejected:
    """Return the error of a refusal, of the class of its SQLSTATE.

    Parameters
    ----------
    text
        The database's message.
    state
        The SQLSTATE, None if it is not known.
    hint
        The database's own hint, if it gives one.
    constraint
        The rule of the table that was broken, as in `ConstraintViolation.constraint`.

    Examples
    --------
    >>> error = refusal("UNIQUE constraint failed: task.id", UNIQUE, constraint="task.id")
    >>> type(error).__name__, error.sqlstate, error.constraint
    ('UniqueViolation', '23505', 'task.id')
    """
    hint = hint or _HINTS.get(state or "")
    if state is None or not state.startswith("23"):
        refused = QueryRejected(text, service="db", hint=hint)
    else:
        kind = _KINDS.get(state, ConstraintViolation)
        refused = kind(text, service="db", hint=hint)
        refused.constraint = constraint
    refused.sqlstate = state
    return refused
