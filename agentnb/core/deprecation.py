"""Warnings of what is deprecated, at the line that has to be changed."""

from __future__ import annotations

import inspect
import warnings

__all__ = ["warn_deprecated"]


def warn_deprecated(message: str) -> None:
    """Warn of a deprecated use, at the first caller outside agentnb.

    Python shows a `DeprecationWarning` only where the code of ``__main__`` or a notebook is
    named: wrappers of a call, such as those that check its keywords, are passed over.

    Examples
    --------
    >>> with warnings.catch_warnings(record=True) as seen:
    ...     warnings.simplefilter("always")
    ...     warn_deprecated("retries=2 is deprecated: use attempts=3")
    >>> str(seen[0].message)
    'retries=2 is deprecated: use attempts=3'
    """
    level, frame = 1, inspect.currentframe()
    while frame is not None and f"{frame.f_globals.get('__name__')}.".startswith("agentnb."):
        level, frame = level + 1, frame.f_back
    warnings.warn(message, DeprecationWarning, stacklevel=level)
