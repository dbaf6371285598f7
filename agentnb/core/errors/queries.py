"""Refusals of a database."""

from __future__ import annotations

from agentnb.core.errors.base import RejectedError

__all__ = [
    "CheckViolation",
    "ConstraintViolation",
    "ForeignKeyViolation",
    "NotNullViolation",
    "QueryRejected",
    "UniqueViolation",
]


class QueryRejected(RejectedError):  # noqa: N818 - what happened, as its siblings say it
    """The database was reached and refused the statement.

    Attributes
    ----------
    sqlstate
        The SQLSTATE of the refusal, such as ``"42501"`` for a right that is missing; None where
        the database gives none.
    """

    sqlstate: str | None = None


class ConstraintViolation(QueryRejected):
    """The rows of a statement break a rule of their table; nothing of the statement was kept.

    Attributes
    ----------
    constraint
        The name of the rule, or ``TABLE.COLUMN, ...`` where the database names these instead;
        None where it names neither.
    """

    constraint: str | None = None


class UniqueViolation(ConstraintViolation):
    """A row of that key exists already."""


class ForeignKeyViolation(ConstraintViolation):
    """A row refers to one that does not exist, or is referred to by another."""


class NotNullViolation(ConstraintViolation):
    """A column that needs a value has none."""


class CheckViolation(ConstraintViolation):
    """A value breaks a ``check`` of its table."""
