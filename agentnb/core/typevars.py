"""Type variables of generic classes that may be named without a type.

``Job`` is a job with any data, ``Job[Price]`` one whose data is a ``Price``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import TypeVar

    D = TypeVar("D", default=Any)
    D_co = TypeVar("D_co", covariant=True, default=Any)
    R_co = TypeVar("R_co", covariant=True, default=Any)
else:  # Python 3.11 has no type variables with a default
    from typing import TypeVar

    D = TypeVar("D")
    D_co = TypeVar("D_co", covariant=True)
    R_co = TypeVar("R_co", covariant=True)

__all__ = ["D", "D_co", "R_co"]
