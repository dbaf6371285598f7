"""Keywords that a call does not have: most are values that belong into ``params``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError, did_you_mean

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["refuse_values"]

_KNOWN = ("params", "limit", "timeout", "arrow", "max_bytes", "preview", "chunk")


def refuse_values(call: str, given: Mapping[str, object]) -> None:
    """Raise if a call was given keywords that it does not have.

    Parameters
    ----------
    call
        The name of the method.
    given
        The keywords that it does not have.

    Raises
    ------
    UsageError
        There is one; the hint shows how values are given.
    """
    if not given:
        return
    name = next(iter(given))
    values = ", ".join(f'"{key}": {key}' for key in given)
    near = did_you_mean(name, _KNOWN)
    hint = f"values of :names are given as params={{{values}}}"
    raise UsageError(
        f"{call} has no keyword {name}", service="db", hint=f"{near} or: {hint}" if near else hint
    )
