"""``:name`` and ``:object.attribute`` looked up among the values of a caller."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["lookup"]


def lookup(name: str, values: Mapping[str, Any]) -> Any:
    """Return the value of a dotted name.

    Parameters
    ----------
    name
        A key of ``values``, then attributes or items, joined by dots.

    Raises
    ------
    UsageError
        No variable has that name; the hint has the nearest.

    Examples
    --------
    >>> lookup("task.id", {"task": {"id": 7}})
    7
    """
    first, *path = name.split(".")
    if first not in values:
        raise UsageError(
            f"nothing is bound to :{first}",
            service="bind",
            hint=did_you_mean(first, _nameable(values))
            or f"pass it as a parameter, or in a notebook assign it first: {first} = ...",
        )
    value: Any = values[first]
    for step in path:
        try:
            value = value[step] if isinstance(value, dict) else getattr(value, step)
        except (KeyError, AttributeError) as error:
            known = value if isinstance(value, dict) else dir(value)
            raise UsageError(
                f":{name}: {type(value).__name__} has no {step!r}",
                service="bind",
                hint=did_you_mean(step, [one for one in map(str, known) if one[:1] != "_"])
                or f"look at it first: {first}",
            ) from error
    return value


def _nameable(values: Mapping[str, Any]) -> list[str]:
    """Return the names that a hint may offer: functions and hidden names are left out."""
    return [
        str(key)
        for key, value in values.items()
        if not str(key).startswith("_") and not callable(value)
    ]
