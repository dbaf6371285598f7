"""A scanned statement and its values, in the form that a driver takes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from agentnb.core.bind import lookup
from agentnb.core.db.values import UnfitError, in_microseconds, json_text
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from agentnb.core.db.text import Bind, Statement

__all__ = ["render"]

_JSON = re.compile(r"\s*::\s*jsonb?\b(?!\s*\[)", re.IGNORECASE)
NO_VALUES = {
    "in": "in (select null where 1 = 0)",
    "not in": "not in (select null where 1 = 0)",
}
"""The SQL of ``in`` and ``not in`` with an empty list: ``in ()`` is an error outside of SQLite."""

_NUMBERED = {"numeric": ":", "numeric_dollar": "$"}
_POSITIONS = {"qmark": "?", "format": "%s", **_NUMBERED}
_MARKED = {"qmark", *_NUMBERED}  # where the user's marks would be taken for ours
_STYLES = {*_POSITIONS, "named", "pyformat"}


def render(
    statement: Statement,
    params: Mapping[str, Any],
    paramstyle: str,
    adapt: Callable[[Any], Any],
    no_values: Mapping[str, str] = NO_VALUES,
) -> tuple[str, dict[str, Any] | tuple[Any, ...] | None]:
    """Return the SQL and the parameters in the form that a driver wants.

    Parameters
    ----------
    statement
        The statement, from `scan` or `split`.
    params
        The values; ``:a.b`` is attribute or item ``b`` of ``params["a"]``. A list, tuple,
        set, array or series after IN becomes as many parameters as it has values.
    paramstyle
        The driver's, as PEP 249 names them.
    adapt
        Turns one value into one that the driver takes.
    no_values
        The SQL of ``in`` and ``not in`` with an empty list.

    Raises
    ------
    UsageError
        A name that nothing is bound to, a value that cannot be bound, or a mark of the
        driver's own among the names.
    """
    if paramstyle not in _STYLES:
        raise UsageError(
            f"agentnb cannot bind in the style {paramstyle!r} of this driver",
            service="db",
            hint="use another driver for this database",
        )
    if statement.marks and paramstyle in _MARKED:
        raise UsageError(
            f"values are bound by name, not to {statement.marks[0]}",
            service="db",
            hint='write :name in its place, and give {"name": value}',
        )
    if not hasattr(params, "keys"):
        raise UsageError(
            f"params must be a dictionary, got {type(params).__name__}",
            service="db",
            hint='give them by name, as in {"id": 7}',
        )
    percent = paramstyle in {"format", "pyformat"}
    escape = (lambda text: text.replace("%", "%%")) if percent else str
    if not statement.binds:
        return escape(statement.sql), None
    out, at = [], 0
    values = _Values(paramstyle)
    for bind in statement.binds:
        value = lookup(bind.name, params)
        items = _items(value, bind.name) if bind.is_in else None
        if items is None:
            out.append(escape(statement.sql[at : bind.start]))
            if isinstance(value, (list, tuple)) and _JSON.match(statement.sql, bind.end):
                value = _json(value, bind.name)  # not an array
            out.append(values.mark(bind.name, "", _adapted(adapt, value, bind.name)))
            at = bind.end
        elif items or bind.whole is None:
            out.append(escape(statement.sql[at : bind.start]))
            out.append(_listed(bind, items, values, adapt))
            at = bind.end
        else:
            out.append(escape(statement.sql[at : bind.whole[0]]))
            out.append(no_values[bind.is_in])
            at = bind.whole[1]
    out.append(escape(statement.sql[at:]))
    return "".join(out), values.taken()


class _Values:
    """Collects values under the marks that a driver's style has for them."""

    def __init__(self, paramstyle: str) -> None:
        self._style = paramstyle
        self._keys: dict[str, str] = {}
        self._named: dict[str, Any] = {}
        self._numbers: dict[str, int] = {}
        self._order: list[Any] = []

    def mark(self, name: str, suffix: str, value: object) -> str:
        if self._style in {"named", "pyformat"}:
            # Numbered, so that `:a.b` and `:a__b` stay apart; one key a name, so that
            # the database sees that two places have the same value.
            key = self._keys.setdefault(name, f"p{len(self._keys)}") + suffix
            self._named[key] = value
            return f":{key}" if self._style == "named" else f"%({key})s"
        if self._style in _NUMBERED:
            number = self._numbers.setdefault(name + suffix, len(self._numbers) + 1)
            if number > len(self._order):
                self._order.append(value)
            return f"{_NUMBERED[self._style]}{number}"
        self._order.append(value)
        return _POSITIONS[self._style]

    def taken(self) -> dict[str, Any] | tuple[Any, ...] | None:
        return (self._named or tuple(self._order)) or None


def _json(value: object, name: str) -> str:
    try:
        return json_text(value)
    except (TypeError, ValueError) as error:
        raise _unbindable(name, error) from error


def _listed(bind: Bind, items: list[Any], values: _Values, adapt: Callable[[Any], Any]) -> str:
    marks = ", ".join(
        values.mark(bind.name, f"_{number}", _adapted(adapt, item, bind.name))
        for number, item in enumerate(items)
    )
    marks = marks or "select null where 1 = 0"
    return marks if bind.enclosed else f"({marks})"


def _items(value: object, name: str) -> list[Any] | None:
    if isinstance(value, (list, tuple, set, frozenset, range)):
        return list(value)
    if isinstance(value, (dict, str, bytes)):
        return None
    try:
        found = _python(value)
    except UnfitError as error:
        raise error.about(f":{name}") from error
    except (ValueError, OverflowError) as error:  # a time that Python does not have
        raise _unbindable(name, error) from error
    return found if isinstance(found, list) else None


def _python(value: Any) -> Any:
    """Return the Python values of numpy's, pandas' and polars' scalars, arrays and series."""
    value = in_microseconds(value)
    for method in ("tolist", "to_list", "to_pylist"):
        if hasattr(value, method):
            return getattr(value, method)()
    return value


def _adapted(adapt: Callable[[Any], Any], value: Any, name: str) -> Any:
    if hasattr(value, "__arrow_c_stream__") or hasattr(value, "__dataframe__"):
        raise UsageError(
            f":{name} is a {type(value).__name__}, which cannot be bound as a value",
            service="db",
            hint="bind one value or a list after IN; a frame goes in with load",
        )
    try:
        if type(value).__module__.partition(".")[0] == "numpy":
            value = _python(value)
        return adapt(value)
    except UnfitError as error:
        raise error.about(f":{name}") from error
    except (TypeError, ValueError, OverflowError) as error:
        raise _unbindable(name, error) from error


def _unbindable(name: str, error: Exception) -> UsageError:
    return UsageError(
        f":{name} cannot be bound: {error}",
        service="db",
        hint="convert it to a number, text, bytes, a date, JSON or a list of these",
    )
